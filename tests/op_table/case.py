"""What a row of the op table is: an op, its definition in float64, inputs, and the error that float32 may make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np

# An `NDArray[Any]`. NumPy's stubs type most of what definitions compute with these as Any.
Array: TypeAlias = Any
Oracle: TypeAlias = Callable[[Sequence[Array]], list[Array]]

# Unit roundoff of float32: one rounded operation gives `y (1 + e)` with `|e| <= U`. One ULP is at most `2 U |y|`.
U = 2.0**-24
# Subnormal results and intermediate values may be flushed to zero.
TINY = 2.0**-126


class Bound(Protocol):
    """How far float32 may be from the oracle."""

    def forward(self, oracle: Oracle, inputs: Sequence[Array], outputs: Sequence[Array]) -> list[Array]:
        """A tolerance for each element of each output."""

    def gradients(
        self, oracle: Oracle, inputs: Sequence[Array], cotangents: Sequence[Array]
    ) -> list[tuple[Array, Array]]:
        """For each float input: the gradient of `sum(cotangent * output)`, and a tolerance for its elements."""


@dataclass(frozen=True, eq=False)
class Case:
    """`call` is `op` with the row's settings; `oracle` takes the same inputs, floats as float64."""

    op: Any
    call: Callable[..., Any]
    oracle: Callable[..., Any]
    inputs: tuple[Array, ...]
    bound: Bound
    label: str = ""
    differentiable: bool = True

    @property
    def name(self) -> str:
        """For the reports of the tests."""
        shapes = ",".join("x".join(map(str, a.shape)) or "scalar" for a in self.inputs)
        return "-".join(part for part in (self.op.__name__, self.label, shapes) if part)

    @cached_property
    def wide(self) -> list[Array]:
        """The inputs as the oracle takes them."""
        return [a.astype(np.float64) if a.dtype == np.float32 else a for a in self.inputs]

    def define(self, inputs: Sequence[Array]) -> list[Array]:
        """The oracle's results as a list."""
        with np.errstate(all="ignore"):
            result = self.oracle(*inputs)
        return [np.asarray(y) for y in (result if isinstance(result, (list, tuple)) else [result])]

    @cached_property
    def outputs(self) -> list[Array]:
        """What the op should give."""
        return self.define(self.wide)

    @cached_property
    def tolerances(self) -> list[Array]:
        """How far each float output may be from that; integers are exact."""
        with np.errstate(all="ignore"):
            return [np.nan_to_num(t) + TINY for t in self.bound.forward(self.define, self.wide, self.outputs)]

    @cached_property
    def cotangents(self) -> list[Array]:
        """One for each float output, the same at every call."""
        rng = np.random.default_rng(11)
        # Eighths, so that float32 holds them.
        return [
            np.asarray(rng.integers(4, 17, y.shape) / 8 * rng.choice([-1.0, 1.0], y.shape)) for y in self.float_outputs
        ]

    @property
    def has_gradients(self) -> bool:
        """Whether there is anything to differentiate."""
        return self.differentiable and bool(self.float_outputs)

    @property
    def float_outputs(self) -> list[Array]:
        """Those with a gradient."""
        return [y for y in self.outputs if y.dtype == np.float64]

    @cached_property
    def gradients(self) -> list[tuple[Array, Array]]:
        """Gradient and tolerance for each float input, for the cotangents as float32 holds them."""
        return [(g, t + TINY) for g, t in self.bound.gradients(self.define, self.wide, self.cotangents)]


def row(
    op: Any,
    oracle: Callable[..., Any],
    inputs: Sequence[Any],
    bound: Bound,
    label: str = "",
    call: Callable[..., Any] | None = None,
    differentiable: bool = True,
    **settings: Any,
) -> Case:
    """A case that calls `op` with `settings`, or `call` where the op does not take its tensors as leading arguments."""
    if call is None:

        def call(*tensors: Any) -> Any:
            return op(*tensors, **settings)

    arrays = tuple(np.asarray(a) for a in inputs)
    floats = any(a.dtype == np.float32 for a in arrays)
    return Case(op, call, oracle, arrays, bound, label, differentiable and floats)
