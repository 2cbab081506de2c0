"""What a layer expects of its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from oxiconv import tree
from oxiconv.tensor import ShapeError, Tensor


class InputSpec:
    """Number of axes, sizes and element type that an input must have; None is not checked.

    Args:
        dtype: element type.
        shape: sizes, None for any.
        ndim: number of axes.
        max_ndim: largest number of axes.
        min_ndim: smallest number of axes.
        axes: sizes of single axes.
        allow_last_axis_squeeze: whether a last axis of 1 may be missing or added.
        name: of the input, to find it in a dict.
        optional: whether the input may be None.
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = dict(axes or {})
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional

    def __repr__(self) -> str:
        shown = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        parts = [f"{name}={getattr(self, name)}" for name in shown if getattr(self, name)]
        return f"InputSpec({', '.join(parts)})"

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal specification."""
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A specification of a configuration."""
        return cls(**config)

    def problem(self, shape: tuple[int | None, ...], dtype: str) -> str | None:
        """What is wrong with an input, as "expected …, got …"; None if nothing."""
        count = len(shape)
        if self.ndim is not None and count != self.ndim:
            return f"expected {self.ndim} axes, got shape {shape}"
        if self.max_ndim is not None and count > self.max_ndim:
            return f"expected at most {self.max_ndim} axes, got shape {shape}"
        if self.min_ndim is not None and count < self.min_ndim:
            return f"expected at least {self.min_ndim} axes, got shape {shape}"
        if self.dtype is not None and dtype != self.dtype:
            return f"expected {self.dtype}, got {dtype}"
        for axis, size in self.axes.items() if self.shape is None else (*enumerate(self.shape), *self.axes.items()):
            if size is not None and -count <= axis < count and shape[axis] not in (size, None):
                return f"expected size {size} of axis {axis}, got shape {shape}"
        return None


def check(spec: Any, inputs: Any, layer: Any) -> None:
    """Raises `ShapeError` if the inputs of a layer are not what its `InputSpec`s say."""
    if isinstance(spec, InputSpec) and isinstance(inputs, Tensor):  # nearly every call
        problem = spec.problem(inputs.shape, inputs.dtype)
        if problem is not None:
            raise ShapeError(f"{layer._label}: {problem}")
        return
    if spec is None:
        return
    specs, values = tree.flatten(spec), tree.flatten(inputs)
    if len(specs) != len(values):
        raise ShapeError(f"{layer._label}: expected {len(specs)} inputs, got {len(values)}")
    for one, value in zip(specs, values, strict=True):
        if value is None:
            if not one.optional:
                raise ShapeError(f"{layer._label}: expected a tensor, got None")
            continue
        if not hasattr(value, "shape"):
            raise TypeError(f"{layer._label}: expected a tensor, got {type(value).__name__}")
        problem = one.problem(tuple(value.shape), str(value.dtype))
        if problem is not None:
            raise ShapeError(f"{layer._label}: {problem}")
