"""What an optimizer is made with and what it keeps: learning rate, slots, configuration."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, overload

from oxiconv import ops
from oxiconv.naming import auto_name
from oxiconv.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from oxiconv.variable import Variable

if TYPE_CHECKING:
    from numpy.typing import NDArray


class OptimizerState:
    """The part of `Optimizer` that does not update anything; arguments: see there."""

    # Constructor arguments of a subclass that are attributes of the same name, for `get_config`.
    config_fields: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        who = type(self).__name__
        if kwargs.pop("decay", None) is not None:
            warnings.warn(f"{who}: decay is ignored; give a schedule as learning_rate.", stacklevel=2)
        if kwargs:
            raise ValueError(f"{who}: unknown arguments {sorted(kwargs)}.")
        if sum(clip is not None for clip in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(
                f"{who}: expected at most one of clipnorm, clipvalue and global_clipnorm, "
                f"got {clipnorm=}, {clipvalue=}, {global_clipnorm=}."
            )
        if use_ema and not 0 <= ema_momentum <= 1:
            raise ValueError(f"{who}: ema_momentum must be in [0, 1], got {ema_momentum!r}.")
        if use_ema and ema_overwrite_frequency is not None and not _whole(ema_overwrite_frequency, 1):
            raise ValueError(
                f"{who}: ema_overwrite_frequency must be an integer >= 1, got {ema_overwrite_frequency!r}."
            )
        if gradient_accumulation_steps is not None and not _whole(gradient_accumulation_steps, 2):
            raise ValueError(
                f"{who}: gradient_accumulation_steps must be an integer >= 2, got {gradient_accumulation_steps!r}."
            )
        self.name = name or auto_name(who)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._variables: list[Variable] = []
        self._trainable_variables: list[Variable] = []
        self._index: dict[int, int] = {}
        self._averages: list[Variable] = []
        self._accumulators: list[Variable] = []
        self._excluded: Callable[[Variable], bool] | None = None
        # During an update: what all variables share. See `_once`.
        self._memo: dict[str, Any] | None = None
        self._iterations = self.add_variable((), dtype="int32", name="iteration")
        self._learning_rate: Any = self._rate(learning_rate)

    @property
    def variables(self) -> list[Variable]:
        """The optimizer's own variables: iteration, learning rate, then slots."""
        return list(self._variables)

    @property
    def iterations(self) -> Any:
        """How many updates have been made."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations, self.gradient_accumulation_steps)
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate: a variable, or the schedule's present value. Assigning a number changes the variable."""
        if isinstance(self._learning_rate, Variable):
            return self._learning_rate
        rate = self._learning_rate
        return ops.convert_to_tensor(rate(self._iterations) if _takes_step(rate) else rate(), dtype="float32")

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, LearningRateSchedule) or (callable(value) and not isinstance(value, Variable)):
            if isinstance(self._learning_rate, Variable):
                self._variables = [v for v in self._variables if v is not self._learning_rate]
            self._learning_rate = value
        elif isinstance(self._learning_rate, Variable):
            self._learning_rate.assign(value)
        else:
            raise TypeError(
                f"{type(self).__name__}: the learning rate follows {type(self._learning_rate).__name__}; it cannot be "
                "set to a number. Create the optimizer with a number to set it later."
            )

    def _rate(self, learning_rate: Any) -> Any:
        if callable(learning_rate):
            return learning_rate
        try:
            number = float(learning_rate)
        except (TypeError, ValueError):
            raise ValueError(
                f"{type(self).__name__}: expected a number, a LearningRateSchedule or a function without arguments as "
                f"learning_rate, got {learning_rate!r}."
            ) from None
        return self.add_variable((), initializer=number, name="learning_rate")

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that the optimizer was built with."""
        return list(self._trainable_variables)

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: str | None = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A variable of the optimizer's own. `layout` must be None: there is one device."""
        variable = Variable(
            initializer,
            shape=tuple(shape),
            dtype=dtype or "float32",
            trainable=False,
            aggregation=aggregation,
            name=name,
            layout=layout,
        )
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """A slot: a variable of the shape and dtype of `reference_variable`, whose path is in its name."""
        name = f"{reference_variable.path.replace('/', '_')}_{name or 'var'}"
        return self.add_variable(reference_variable.shape, initializer, reference_variable.dtype, name=name)

    @overload
    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable], name: str, initializer: Any = "zeros"
    ) -> list[Variable]: ...

    @overload
    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable], name: list[str], initializer: Any = "zeros"
    ) -> tuple[list[Variable], ...]: ...

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable], name: str | list[str], initializer: Any = "zeros"
    ) -> list[Variable] | tuple[list[Variable], ...]:
        """A slot for each variable, or for a list of names as many slots, made variable after variable."""
        names = [name] if isinstance(name, str) else name
        starts = list(initializer) if isinstance(initializer, list | tuple) else [initializer] * len(names)
        if len(names) != len(starts):
            raise ValueError(
                f"{type(self).__name__}: expected an initializer per name, got {len(names)} names and "
                f"{len(starts)} initializers."
            )
        rows = [
            [self.add_variable_from_reference(v, name, start) for name, start in zip(names, starts, strict=True)]
            for v in trainable_variables
        ]
        slots = tuple([row[i] for row in rows] for i in range(len(names)))
        return slots[0] if isinstance(name, str) else slots

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the slots for `variables`; `super().build(variables)` comes first in subclasses."""
        if self.built:
            return
        self._trainable_variables = list(variables)
        self._index = {id(v): i for i, v in enumerate(variables)}
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulators = self.add_optimizer_variables(variables, "gradient_accumulator")
        self.built = True

    def __setattr__(self, name: str, value: Any) -> None:
        # A variable that a subclass makes itself is state of the optimizer, as those of `add_variable` are.
        if isinstance(value, Variable) and all(v is not value for v in vars(self).get("_variables", (value,))):
            self._variables.append(value)
        super().__setattr__(name, value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """For copies and pickles: the index is by identity."""
        vars(self).update(state)
        self._index = {id(v): i for i, v in enumerate(self._trainable_variables)}

    def _get_variable_index(self, variable: Variable) -> int:
        return self._index[id(variable)]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replaces the values of `variables`."""
        if not self.built:
            raise ValueError(f"{type(self).__name__}.set_weights: call build(variables) first.")
        variables = self.variables
        if len(weights) != len(variables):
            raise ValueError(
                f"{type(self).__name__}.set_weights: expected {len(variables)} arrays, got {len(weights)}."
            )
        for variable, weight in zip(variables, weights, strict=True):
            variable.assign(weight)

    def save_own_variables(self, store: MutableMapping[str, NDArray[Any]]) -> None:
        """Writes the values of `variables` into `store`, under their numbers."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Reads what `save_own_variables` wrote; another number of values is skipped with a warning."""
        variables = self.variables
        if len(store) != len(variables):
            warnings.warn(
                f"{self.name}: the {len(store)} saved variables are not loaded: this optimizer has {len(variables)}"
                + ("." if self.built else ", since it is not built yet."),
                stacklevel=2,
            )
            return
        for i, variable in enumerate(variables):
            variable.assign(store[str(i)])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; the learning rate as it is now."""
        from oxiconv.saving.serialization import serialize_keras_object

        rate = self._learning_rate
        return {
            "name": self.name,
            "learning_rate": float(rate) if isinstance(rate, Variable) else serialize_keras_object(rate),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
            **{field: getattr(self, field) for field in self.config_fields},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """The optimizer of a configuration."""
        if isinstance(config.get("learning_rate"), dict):
            from oxiconv.saving.serialization import deserialize_keras_object

            rate = deserialize_keras_object(config["learning_rate"], custom_objects)
            config = {**config, "learning_rate": rate}
        return cls(**config)


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _takes_step(rate: Callable[..., Any]) -> bool:
    """Whether a learning rate wants the iteration: schedules do, other functions need not."""
    if isinstance(rate, LearningRateSchedule):
        return True
    parameters = inspect.signature(rate).parameters.values()
    return any(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
