"""Convolutions of one to three spatial axes, with Keras's padding rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oxiconv import _core
from oxiconv.config import image_data_format, is_exact
from oxiconv.ops.promotion import reals, widened
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike

if TYPE_CHECKING:
    from collections.abc import Sequence


def data_format_of(data_format: str | None, name: str) -> str:
    """`data_format` checked; None is the configured default."""
    chosen = image_data_format() if data_format is None else data_format
    if chosen not in ("channels_first", "channels_last"):
        raise ValueError(f"{name}: expected data_format 'channels_first' or 'channels_last', got {data_format!r}")
    return chosen


def tuple_of(value: int | Sequence[object], rank: int, name: str, what: str, least: int = 1) -> tuple[int, ...]:
    """`value` as one whole number per spatial axis, each at least `least`."""
    sizes = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(sizes) != rank or any(not isinstance(n, (int, np.integer)) or n < least for n in sizes):
        raise ValueError(f"{name}: expected {what} to be {rank} whole numbers of at least {least}, got {value!r}")
    return tuple(int(n) for n in sizes if isinstance(n, int | np.integer))


def positive(value: object, name: str, what: str) -> int:
    """`value` if it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name}: expected {what} of at least 1, got {value!r}")
    return int(value)


def to_last(x: Tensor, data_format: str) -> Tensor:
    """`x` with channels last."""
    return x if data_format == "channels_last" else _core.permute(x, [0, *range(2, x.ndim), 1])


def from_last(x: Tensor, data_format: str) -> Tensor:
    """`x`, which has channels last, in `data_format`."""
    return x if data_format == "channels_last" else _core.permute(x, [0, x.ndim - 1, *range(1, x.ndim - 1)])


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Padding before and after an axis so that the result has `ceil(size / stride)`; the odd unit goes to the end.

    >>> same_padding(5, 2, 1), same_padding(6, 3, 2)
    ((0, 1), (0, 1))
    """
    out = -(-size // stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def paddings(
    padding: str,
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    name: str,
) -> tuple[list[int], list[int]]:
    """Padding before and after each spatial axis for a padding mode."""
    padding = str(padding).lower()
    if padding == "valid":
        return [0] * len(sizes), [0] * len(sizes)
    if padding == "causal" and len(sizes) == 1:
        return [(kernel[0] - 1) * dilation[0]], [0]
    if padding != "same":
        raise ValueError(f"{name}: expected padding 'valid' or 'same', got {padding!r}")
    pairs = [same_padding(*axis) for axis in zip(sizes, kernel, strides, dilation, strict=True)]
    return [low for low, _ in pairs], [high for _, high in pairs]


@op
@widened
def conv(
    inputs: TensorLike,
    kernel: TensorLike,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
    *,
    precision: str | None = None,
) -> Tensor:
    """Convolution of `[n, sizes.., channels]` with `[kernel.., channels / groups, filters]`.

    `padding` is "valid", "same", or for one spatial axis "causal"; groups follow from the channels. `precision` is
    "fast", "exact", or None for that of `config.precision()`.

    >>> conv([[[1.0], [2.0], [3.0]]], [[[1.0]], [[10.0]]]).numpy().tolist()
    [[[21.0], [32.0]]]
    """
    x, k = reals(inputs, kernel)
    return _convolve(x, k, strides, padding, data_format, dilation_rate, is_exact(precision))


def conv_of_bytes(
    x: Tensor,
    kernel: Tensor,
    strides: int | Sequence[int],
    padding: str,
    data_format: str | None,
    dilation_rate: int | Sequence[int],
) -> Tensor:
    """`conv` of uint8 or int8 with an int8 kernel of one group: exact sums in int32, without gradients."""
    return _convolve(x, kernel, strides, padding, data_format, dilation_rate, exact=True)


def _convolve(
    x: Tensor,
    k: Tensor,
    strides: int | Sequence[int],
    padding: str,
    data_format: str | None,
    dilation_rate: int | Sequence[int],
    exact: bool,
) -> Tensor:
    data_format = data_format_of(data_format, "conv")
    x = to_last(x, data_format)
    rank = _rank(x, k, "conv")
    strides = tuple_of(strides, rank, "conv", "strides")
    dilation = tuple_of(dilation_rate, rank, "conv", "dilation_rate")
    if x.shape[-1] % k.shape[-2] or k.shape[-1] % (x.shape[-1] // k.shape[-2]):
        raise ShapeError(
            f"conv: expected a multiple of the kernel's {k.shape[-2]} channels, and filters a multiple of the groups, "
            f"got {x.shape[-1]} channels and {k.shape[-1]} filters"
        )
    low, high = paddings(padding, x.shape[1:-1], k.shape[:rank], strides, dilation, "conv")
    y = _core.conv(x, k, strides, dilation, low, high, x.shape[-1] // k.shape[-2], exact)
    return from_last(y, data_format)


def _rank(x: Tensor, k: Tensor, name: str) -> int:
    rank = k.ndim - 2
    if not 1 <= rank <= 3 or x.ndim != k.ndim:
        raise ShapeError(f"{name}: expected inputs and kernel with 3 to 5 axes, as many, got {x.shape} and {k.shape}")
    if 0 in k.shape:
        raise ShapeError(f"{name}: expected a kernel with elements, got shape {k.shape}")
    return rank


@op
@widened
def depthwise_conv(
    inputs: TensorLike,
    kernel: TensorLike,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Tensor:
    """Convolution of each channel on its own, with `[kernel.., channels, multiplier]`.

    >>> depthwise_conv([[[1.0, 2.0]]], [[[10.0], [100.0]]]).numpy().ravel().tolist()
    [10.0, 200.0]
    """
    x, k = reals(inputs, kernel)
    _rank(x, k, "depthwise_conv")
    channels = x.shape[1 if data_format_of(data_format, "depthwise_conv") == "channels_first" else -1]
    if channels != k.shape[-2]:
        raise ShapeError(f"depthwise_conv: expected {k.shape[-2]} channels, as the kernel has, got {channels}")
    grouped = _core.reshape(k, (*k.shape[:-2], 1, k.shape[-2] * k.shape[-1]))
    return conv(x, grouped, strides, padding, data_format, dilation_rate)


@op
@widened
def separable_conv(
    inputs: TensorLike,
    depthwise_kernel: TensorLike,
    pointwise_kernel: TensorLike,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Tensor:
    """A depthwise convolution, then one of kernel size 1.

    >>> separable_conv([[[1.0, 2.0]]], [[[10.0], [100.0]]], [[[1.0], [1.0]]]).numpy().ravel().tolist()
    [210.0]
    """
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(y, pointwise_kernel, 1, "valid", data_format, 1)


@op
@widened
def conv_transpose(
    inputs: TensorLike,
    kernel: TensorLike,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    output_padding: int | Sequence[int] | None = None,
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
    *,
    precision: str | None = None,
) -> Tensor:
    """The input gradient of a convolution, `[n, sizes.., channels]` with `[kernel.., filters, channels]`.

    Result sizes are `size * stride` for "same", `size * stride + max(span - stride, 0)` for "valid", where `span` is
    the dilated kernel size; `output_padding` gives `(size - 1) * stride + span - 2 * pad + output_padding`.
    `precision` is that of `conv`.

    >>> conv_transpose([[[1.0], [2.0]]], [[[1.0]], [[10.0]]]).numpy().ravel().tolist()
    [1.0, 12.0, 20.0]
    """
    data_format = data_format_of(data_format, "conv_transpose")
    x, k = reals(inputs, kernel)
    x = to_last(x, data_format)
    rank = _rank(x, k, "conv_transpose")
    strides = tuple_of(strides, rank, "conv_transpose", "strides")
    dilation = tuple_of(dilation_rate, rank, "conv_transpose", "dilation_rate")
    extra = None if output_padding is None else tuple_of(output_padding, rank, "conv_transpose", "output_padding", 0)
    if x.shape[-1] != k.shape[-1]:
        raise ShapeError(f"conv_transpose: expected {k.shape[-1]} channels, as the kernel has, got {x.shape[-1]}")
    geometry = [
        _transposed(x.shape[a + 1], k.shape[a], strides[a], dilation[a], padding, None if extra is None else extra[a])
        for a in range(rank)
    ]
    output, low, high = (list(part) for part in zip(*geometry, strict=True))
    y = _core.conv_transpose(x, k, output, strides, dilation, low, high, 1, is_exact(precision))
    return from_last(y, data_format)


def _transposed(
    size: int, kernel: int, stride: int, dilation: int, padding: str, extra: int | None
) -> tuple[int, int, int]:
    """Result size, and the padding of the convolution whose gradient this is, along one axis."""
    span = (kernel - 1) * dilation + 1
    if padding not in ("valid", "same"):
        raise ValueError(f"conv_transpose: expected padding 'valid' or 'same', got {padding!r}")
    if extra is not None and extra >= stride:
        raise ValueError(f"conv_transpose: expected output_padding below the stride {stride}, got {extra}")
    full = (size - 1) * stride + span
    if extra is not None:
        output = full + extra - (2 * (span // 2) if padding == "same" else 0)
    else:
        output = size * stride + (max(span - stride, 0) if padding == "valid" else 0)
    if output < 1:
        raise ShapeError(
            f"conv_transpose: expected a result of at least 1, got {output} for size {size} and span {span}"
        )
    total = max(full - output, 0)
    return output, total // 2, total - total // 2


__all__ = ["conv", "conv_transpose", "depthwise_conv", "separable_conv"]
