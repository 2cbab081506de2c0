"""The base class of metrics: state that batches add to and a result read from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.losses.loss import check_dtype
from oxiconv.naming import auto_name
from oxiconv.variable import StatelessScope, Variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oxiconv._core import Tensor


class Metric:
    """Base class: subclasses create variables and define `update_state` and `result`.

    Args:
        dtype: a floating type; metrics are computed in float32.
        name: name in histories and progress bars; by default the class name in snake case.

    Example:
        >>> import oxiconv
        >>> class Batches(oxiconv.metrics.Metric):
        ...     def __init__(self, name="batches"):
        ...         super().__init__(name=name)
        ...         self.seen = self.add_variable((), "zeros", name="seen")
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.seen.assign_add(1.0)
        ...     def result(self):
        ...         return self.seen.value
        >>> metric = Batches()
        >>> float(metric([0.0], [0.0])), float(metric([0.0], [0.0]))
        (1.0, 2.0)
    """

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        check_dtype(type(self).__name__, dtype)
        self.name = name or auto_name(type(self).__name__)
        self._variables: list[Variable] = []
        # What rounding lost in sums: see `Accumulator`.
        self._lost: list[Variable] = []

    def __setattr__(self, name: str, value: Any) -> None:
        # A variable that a subclass makes itself is state of the metric, as those of `add_variable` are.
        if isinstance(value, Variable) and all(v is not value for v in vars(self).get("_variables", (value,))):
            self._variables.append(value)
        super().__setattr__(name, value)

    @property
    def dtype(self) -> str:
        """float32, the type of computations."""
        return "float32"

    @property
    def variables(self) -> list[Variable]:
        """The metric's own variables, then those of metrics it holds as attributes."""
        return self._variables + [v for metric in self._inner() for v in metric.variables]

    def _inner(self) -> list[Metric]:
        held = [m for value in vars(self).values() for m in (value if isinstance(value, list) else [value])]
        return [m for m in held if isinstance(m, Metric)]

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: str | None = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """A variable that `reset_state` sets back to zeros."""
        variable = Variable(
            initializer,
            shape=tuple(shape),
            dtype=dtype or "float32",
            trainable=False,
            aggregation=aggregation,
            name=name,
        )
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    def add_weight(
        self, shape: Sequence[int] = (), initializer: Any = None, dtype: str | None = None, name: str | None = None
    ) -> Variable:
        """`add_variable` in older Keras code; zeros without an initializer."""
        return self.add_variable(shape, "zeros" if initializer is None else initializer, dtype, name=name)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Adds a batch: `(y_true, y_pred, sample_weight=None)`, or values for means and sums."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state")

    def result(self) -> Any:
        """The value over all batches since the last reset: a scalar, or a dict of scalars."""
        raise NotImplementedError(f"{type(self).__name__} must define result")

    def reset_state(self) -> None:
        """Forgets all batches."""
        for variable in [*self._variables, *self._lost]:
            variable.assign(ops.zeros(variable.shape, variable.dtype))
        for metric in self._inner():
            metric.reset_state()

    def stateless_update_state(self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any) -> list[Tensor]:
        """The values of `variables` after `update_state`, if they were `metric_variables`; nothing is changed."""
        with self._given("stateless_update_state", metric_variables) as scope:
            self.update_state(*args, **kwargs)
        return [scope.get_current_value(v) for v in self.variables]

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """`result`, if the values of `variables` were `metric_variables`."""
        with self._given("stateless_result", metric_variables):
            return self.result()

    def stateless_reset_state(self) -> list[Tensor]:
        """The values of `variables` after `reset_state`; nothing is changed."""
        with StatelessScope() as scope:
            self.reset_state()
        return [scope.get_current_value(v) for v in self.variables]

    def _given(self, method: str, values: Sequence[Any]) -> StatelessScope:
        variables = self.variables
        if len(values) != len(variables):
            raise ValueError(
                f"{type(self).__name__}.{method}: expected {len(variables)} values of variables, got {len(values)}."
            )
        return StatelessScope(list(zip(variables, values, strict=True)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Adds a batch and returns the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """An instance of a configuration."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


class Accumulator:
    """A float32 sum in a variable of a metric, with what rounding lost beside it: epochs of any size stay exact.

    Each addition finds its rounding error by Knuth's TwoSum and adds it to the second number. Counts stay exact beyond
    2**24, where a single float32 would stop growing by ones. The second number is no variable of the metric; it counts
    only while the sum is what the last addition made it: who assigns the sum, to reset it say, need not know of it.
    """

    def __init__(self, owner: Metric, name: str, shape: Sequence[int] = ()) -> None:
        self.high = owner.add_variable(shape, "zeros", name=name)
        self._last, self._lost = (
            Variable("zeros", shape=tuple(shape), dtype="float32", trainable=False, name=f"{name}_{what}")
            for what in ("last", "lost")
        )
        owner._lost.append(self._lost)

    def add(self, x: Tensor) -> None:
        """Adds a value."""
        high, lost = self.high.value, self._low()
        total = ops.add(high, x)
        taken = ops.subtract(total, high)
        error = ops.add(ops.subtract(high, ops.subtract(total, taken)), ops.subtract(x, taken))
        self._lost.assign(ops.add(lost, error))
        self._last.assign(total)
        self.high.assign(total)

    def _low(self) -> Tensor:
        return ops.where(ops.equal(self.high.value, self._last.value), self._lost.value, 0.0)

    @property
    def value(self) -> Tensor:
        """The sum."""
        return ops.add(self.high.value, self._low())
