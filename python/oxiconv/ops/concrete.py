"""What needs data: results whose size, or whose algorithm, depends on values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxiconv.symbolic import KerasTensor
from oxiconv.tape import recording
from oxiconv.tensor import GraphError, convert

if TYPE_CHECKING:
    from numpy.typing import NDArray


def values(x: Any, what: str) -> NDArray[Any]:
    """The data of `x`; an error that says `what` needs them while a computation is being traced."""
    symbolic = isinstance(x, KerasTensor)
    if symbolic or (tensor := convert(x)).traced:
        raise GraphError(
            f"{what} must be known, which it is not in a functional model or a compiled step; compute it outside, or "
            "with compile(run_eagerly=True)"
        )
    return tensor.numpy()


def undifferentiated(x: Any, name: str) -> NDArray[Any]:
    """The data of `x` for a function without a gradient: an error under a tape, which would miss it."""
    if recording():
        raise GraphError(
            f"{name}: its gradient is not available, and a tape is recording; call it outside of the tape, or within "
            "tape.stop_recording()"
        )
    return values(x, f"{name}: the argument")
