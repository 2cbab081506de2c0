"""The base class of metrics: state that batches add to and a result read from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.losses.loss import check_dtype
from oxiconv.naming import auto_name
from oxiconv.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oxiconv._core import Tensor


class Metric:
    """Base class: subclasses create variables and define `update_state` and `result`.

    Args:
        dtype: None or 'float32'.
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

    def __init__(self, dtype: str | None = None, name: str | None = None) -> None:
        check_dtype(type(self).__name__, dtype)
        self.name = name or auto_name(type(self).__name__)
        self._variables: list[Variable] = []

    @property
    def dtype(self) -> str:
        """float32."""
        return "float32"

    @property
    def variables(self) -> list[Variable]:
        """The metric's own variables, then those of metrics it holds as attributes."""
        inner = [m for value in vars(self).values() for m in (value if isinstance(value, list) else [value])]
        return self._variables + [v for m in inner if isinstance(m, Metric) for v in m.variables]

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
        self, shape: Sequence[int] = (), initializer: Any = "zeros", dtype: str | None = None, name: str | None = None
    ) -> Variable:
        """`add_variable` in older Keras code."""
        return self.add_variable(shape, initializer, dtype, name=name)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Adds a batch: `(y_true, y_pred, sample_weight=None)`, or values for means and sums."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state")

    def result(self) -> Any:
        """The value over all batches since the last reset: a scalar, or a dict of scalars."""
        raise NotImplementedError(f"{type(self).__name__} must define result")

    def reset_state(self) -> None:
        """Forgets all batches."""
        for variable in self.variables:
            variable.assign(ops.zeros(variable.shape, variable.dtype))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Adds a batch and returns the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """An instance of a configuration."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


class Accumulator:
    """Float32 sums with a second float32 for what rounding lost, so that an epoch of any size stays exact.

    Each addition finds its rounding error by Knuth's TwoSum and adds it to the second number. Counts stay exact beyond
    2**24, where a single float32 would stop growing by ones.
    """

    def __init__(self, owner: Metric, name: str, shape: Sequence[int] = ()) -> None:
        self.high = owner.add_variable(shape, "zeros", name=name)
        self.low = owner.add_variable(shape, "zeros", name=f"{name}_rounding")

    def add(self, x: Tensor) -> None:
        """Adds a value."""
        high = self.high.value
        total = ops.add(high, x)
        taken = ops.subtract(total, high)
        error = ops.add(ops.subtract(high, ops.subtract(total, taken)), ops.subtract(x, taken))
        self.low.assign(ops.add(self.low.value, error))
        self.high.assign(total)

    @property
    def value(self) -> Tensor:
        """The sum."""
        return ops.add(self.high.value, self.low.value)
