"""Different optimizers for different variables of one model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from oxiconv.optimizers.loss_scale_optimizer import LossScaleOptimizer
from oxiconv.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from oxiconv.variable import Variable


class OptimizerMap(MutableMapping[str, Optimizer]):
    """The optimizer of a variable, by its path or a regular expression that matches the whole path.

    Args:
        default_optimizer: of variables that no key matches.
        optimizer_map: optimizers by key.

    Example:
        >>> from oxiconv.optimizers import SGD, Adam, OptimizerMap
        >>> by_path = OptimizerMap(Adam(), {".*/bias": SGD()})
        >>> type(by_path["dense/bias"]).__name__, type(by_path["dense/kernel"]).__name__
        ('SGD', 'Adam')
    """

    def __init__(self, default_optimizer: Any, optimizer_map: Any = None) -> None:
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(f"OptimizerMap: expected an optimizer as default_optimizer, got {default_optimizer!r}.")
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(f"OptimizerMap: expected a dict as optimizer_map, got {optimizer_map!r}.")
        self.default_optimizer: Optimizer = default_optimizer
        self._optimizers: dict[str, Optimizer] = {} if optimizer_map is None else optimizer_map

    def __getitem__(self, key: str) -> Optimizer:
        if key in self._optimizers:
            return self._optimizers[key]
        matching = [pattern for pattern in self._optimizers if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(f"OptimizerMap: several keys match {key!r}: {matching}.")
        return self._optimizers[matching[0]] if matching else self.default_optimizer

    def __setitem__(self, key: Any, optimizer: Any) -> None:
        if not isinstance(key, str) or key in self._optimizers:
            raise ValueError(f"OptimizerMap: expected a key that is a new string, got {key!r}.")
        if not isinstance(optimizer, Optimizer) or isinstance(optimizer, LossScaleOptimizer | MultiOptimizer):
            raise ValueError(f"OptimizerMap: expected an optimizer that wraps no other, got {optimizer!r}.")
        self._optimizers[key] = optimizer

    def __delitem__(self, key: str) -> None:
        del self._optimizers[key]

    def __len__(self) -> int:
        return len(self._optimizers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._optimizers)

    def __call__(self, variable: Variable) -> Optimizer:
        """The optimizer of a variable."""
        return self[variable.path]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        from oxiconv.saving.serialization import serialize_keras_object

        return {
            "default_optimizer": serialize_keras_object(self.default_optimizer),
            "optimizer_map": serialize_keras_object(self._optimizers),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> OptimizerMap:
        """The map of a configuration."""
        from oxiconv.saving.serialization import deserialize_keras_object

        return cls(**{name: deserialize_keras_object(value, custom_objects) for name, value in config.items()})


class MultiOptimizer(Optimizer):
    """Hands each variable to the optimizer that `optimizer_map` gives for it.

    Args:
        optimizer_map: an `OptimizerMap`, or a function from a variable to its optimizer.
        loss_scale_factor: of all optimizers.
        name: name of the optimizer.

    Example:
        >>> import oxiconv
        >>> from oxiconv.optimizers import SGD, MultiOptimizer
        >>> v, w = oxiconv.Variable(1.0), oxiconv.Variable(1.0)
        >>> slow, fast = SGD(0.25), SGD(0.5)
        >>> optimizer = MultiOptimizer(lambda variable: slow if variable is v else fast)
        >>> optimizer.apply([oxiconv.ops.convert_to_tensor(1.0)] * 2, [v, w])
        >>> float(v), float(w)
        (0.75, 0.5)
    """

    def __init__(
        self,
        optimizer_map: OptimizerMap | Callable[[Variable], Optimizer],
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(0.0, loss_scale_factor=loss_scale_factor, name=name)
        self._optimizer_map = optimizer_map
        self._inner_optimizers: list[Optimizer] = []
        self._owners: list[Optimizer] = []
        if isinstance(optimizer_map, OptimizerMap):
            for optimizer in (*optimizer_map.values(), optimizer_map.default_optimizer):
                self._include(optimizer)

    def _include(self, optimizer: Any) -> None:
        if not isinstance(optimizer, Optimizer) or isinstance(optimizer, LossScaleOptimizer | MultiOptimizer):
            raise ValueError(f"MultiOptimizer: expected optimizers that wrap no other, got {optimizer!r}.")
        if all(known is not optimizer for known in self._inner_optimizers):
            optimizer.loss_scale_factor = self.loss_scale_factor
            self._inner_optimizers.append(optimizer)

    def build(self, variables: Sequence[Variable]) -> None:
        """Builds each optimizer for its variables."""
        if self.built:
            return
        for v in variables:
            self._owners.append(self._optimizer_map(v))
            self._include(self._owners[-1])
        for optimizer in self._inner_optimizers:
            own = [v for v, owner in zip(variables, self._owners, strict=True) if owner is optimizer]
            if own:
                optimizer.build(own)
        super().build(variables)

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers."""
        return self._inner_optimizers

    @property
    def variables(self) -> list[Variable]:
        """The own variables, then those of each optimizer."""
        return self._variables + [v for optimizer in self._inner_optimizers for v in optimizer.variables]

    @property
    def learning_rate(self) -> Any:
        """None in common: ask one of `optimizers`."""
        raise AttributeError("MultiOptimizer: the learning rates are those of its optimizers.")

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError("MultiOptimizer: set the learning rates of its optimizers.")

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Updates the variables, each by its optimizer. Arguments as in `Optimizer.apply`."""
        grads, variables = self._known(grads, trainable_variables)
        for optimizer in self._inner_optimizers:
            own = [
                (g, v)
                for g, v in zip(grads, variables, strict=True)
                if self._owners[self._get_variable_index(v)] is optimizer
            ]
            if own:
                optimizer.apply([g for g, _ in own], [v for _, v in own])
        self._iterations.assign_add(1)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Lets each optimizer finish its variables."""
        for optimizer in self._inner_optimizers:
            own = [v for v in var_list if self._owners[self._get_variable_index(v)] is optimizer]
            if own:
                optimizer.finalize_variable_values(own)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        from oxiconv.saving.serialization import serialize_keras_object

        return {
            "optimizer_map": serialize_keras_object(self._optimizer_map),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """The optimizer of a configuration."""
        from oxiconv.saving.serialization import deserialize_keras_object

        by_path = deserialize_keras_object(config["optimizer_map"], custom_objects)
        return cls(**{**config, "optimizer_map": by_path})
