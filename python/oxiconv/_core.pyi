"""The Rust core: tensors, primitive ops, traced graphs, compiled steps."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

DTypeName = Literal["float32", "int32", "uint8", "bool"]
Scalar = float | int | bool

__version__: str

class Tensor:
    """Immutable n-d array: concrete, or a value of a `Graph` being traced. Row-major, channels last."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> DTypeName: ...
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def traced(self) -> bool:
        """Whether this is a value of a graph, without data."""
    def numpy(self) -> NDArray[Any]:
        """Read-only view of the data, without a copy. GraphError if traced."""
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]: ...
    def __dlpack__(self, **kwargs: Any) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

def tensor(array: NDArray[Any], copy: bool = True) -> Tensor:
    """Tensor of an array of one of the four dtypes. `copy=False` shares the memory of a C-contiguous, aligned array."""

# Elementwise. NumPy broadcasting; dtypes are promoted (bool < uint8 < int32 < float32), Python scalars adapt to the
# tensor; comparisons and logic give bool; true division and transcendental functions give float32. At least one
# argument is a Tensor. Any traced argument makes the result traced; concrete ones are captured.
def unary(name: str, x: Tensor, /) -> Tensor:
    """neg abs sign floor ceil round sqrt rsqrt exp expm1 log log1p sin cos tan tanh sigmoid erf not isnan"""

def binary(name: str, a: Tensor | Scalar, b: Tensor | Scalar, /) -> Tensor:
    """add sub mul div floordiv pow min max mod atan2 eq ne lt le gt ge and or"""

def select(condition: Tensor, a: Tensor | Scalar, b: Tensor | Scalar, /) -> Tensor: ...
def cast(x: Tensor, dtype: DTypeName, /) -> Tensor: ...
def detach(x: Tensor, /) -> Tensor:
    """The same values with gradient zero."""

# Products.
def matmul(a: Tensor, b: Tensor, /) -> Tensor:
    """`[.., m, k] @ [.., k, n]`, equal leading axes."""

def conv(
    x: Tensor,
    kernel: Tensor,
    /,
    strides: Sequence[int],
    dilation: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    groups: int,
) -> Tensor:
    """`[n, in.., cin]`, `[kernel.., cin // groups, cout]` to `[n, out.., cout]`; one to three spatial axes."""

def conv_transpose(
    y: Tensor,
    kernel: Tensor,
    /,
    output: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    groups: int,
) -> Tensor:
    """The input gradient of the `conv` whose spatial input sizes are `output`: `[n, in.., cout]`,
    `[kernel.., cin // groups, cout]` to `[n, output.., cin]`."""

# Shape and reduction. Axes are non-negative; reduced axes vanish.
def sum(x: Tensor, axes: Sequence[int], /) -> Tensor: ...
def max(x: Tensor, axes: Sequence[int], /) -> Tensor: ...
def broadcast_to(x: Tensor, dims: Sequence[int], /) -> Tensor: ...
def reshape(x: Tensor, dims: Sequence[int], /) -> Tensor: ...
def permute(x: Tensor, axes: Sequence[int], /) -> Tensor: ...
def slice(x: Tensor, start: Sequence[int], stop: Sequence[int], step: Sequence[int], /) -> Tensor: ...
def pad(x: Tensor, low: Sequence[int], high: Sequence[int], interior: Sequence[int], /) -> Tensor: ...
def concat(xs: Sequence[Tensor], axis: int, /) -> Tensor: ...
def gather(x: Tensor, index: Tensor, axis: int, /) -> Tensor: ...
def scatter_add(x: Tensor, index: Tensor, axis: int, size: int, /) -> Tensor: ...

# Pooling over `[n, in.., c]`; padding counts as absent.
def window_sum(
    x: Tensor, size: Sequence[int], stride: Sequence[int], low: Sequence[int], high: Sequence[int], /
) -> Tensor: ...
def window_spread(
    g: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    input: Sequence[int],
    /,
) -> Tensor: ...
def window_argmax(
    x: Tensor, size: Sequence[int], stride: Sequence[int], low: Sequence[int], high: Sequence[int], /
) -> Tensor: ...
def window_take(
    x: Tensor, index: Tensor, size: Sequence[int], stride: Sequence[int], low: Sequence[int], high: Sequence[int], /
) -> Tensor: ...
def window_put(
    g: Tensor,
    index: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    input: Sequence[int],
    /,
) -> Tensor: ...
def random(state: Tensor, dims: Sequence[int], distribution: Literal["uniform", "normal"], /) -> Tensor:
    """Counter-based random float32: uniform on [0, 1), or standard normal. `state` is int32[2] = (seed, counter)."""

class Cell:
    """The mutable storage of a variable. `get` returns an immutable tensor that later `set`s and steps do not change."""

    def __init__(self, value: Tensor) -> None: ...
    def get(self) -> Tensor: ...
    def set(self, value: Tensor) -> None: ...

class Graph:
    """A computation being traced. Ops on its values append to it."""

    def __init__(self) -> None: ...
    def input(self, dims: Sequence[int], dtype: DTypeName, batched: bool = True) -> Tensor:
        """A value given to each `Step.run`, in order of creation. `batched`: axis 0 is the batch."""
    def state(self, cell: Cell) -> Tensor:
        """The cell's value when the step starts; the same value for the same cell."""
    def grad(self, target: Tensor, sources: Sequence[Tensor]) -> list[Tensor | None]:
        """Cotangents of the sum of `target`; None where unconnected."""
    def compile(self, outputs: Sequence[Tensor], updates: Sequence[tuple[Cell, Tensor]]) -> Step:
        """A program that computes `outputs` and stores `updates` into their cells, all after all reads."""

class Step:
    """A compiled graph."""

    def run(self, inputs: Sequence[NDArray[Any] | Tensor]) -> list[Tensor]:
        """Runs once, with the GIL released; arrays are read in place. On error or Ctrl-C no cell is changed."""
    @property
    def memory(self) -> int:
        """Bytes of planned memory."""
    def __str__(self) -> str: ...

class Tape:
    """Records eager ops on this thread between `start` and `stop`, for reverse-mode gradients. Tapes nest."""

    def __init__(self) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def watch(self, x: Tensor) -> None: ...
    def gradient(
        self, target: Tensor, sources: Sequence[Tensor], seed: Tensor | None = None
    ) -> list[Tensor | None]: ...

def set_num_threads(n: int) -> None: ...
def num_threads() -> int: ...
def isa() -> str: ...
def save_safetensors(path: str, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Writes atomically: temporary file in the same folder, fsync, rename."""

def load_safetensors(path: str) -> tuple[dict[str, NDArray[Any]], dict[str, str]]: ...

class OxiconvError(Exception): ...
class ShapeError(OxiconvError, ValueError): ...
class DTypeError(OxiconvError, TypeError): ...
class IndexValueError(OxiconvError, ValueError): ...
class GraphError(OxiconvError, RuntimeError): ...
class FileFormatError(OxiconvError, ValueError): ...
class InternalError(OxiconvError, RuntimeError): ...
