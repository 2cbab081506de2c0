"""Layers whose product with a kernel may be one of bytes: what `Model.quantize` makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from oxiconv import naming, ops
from oxiconv.layers import context
from oxiconv.layers.layer import Layer
from oxiconv.tensor import Tensor
from oxiconv.variable import Variable

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A sum of this many products of a byte with a signed byte is sure to fit an int32.
_MAX_TERMS = (2**31 - 1) // (255 * 128)


class Quantizable(Layer):
    """A layer that multiplies its inputs by `kernel`, whose last axis is the result's channels.

    Quantized, the kernel is int8 in [-127, 127], with one scale per channel, and the inputs are rounded to uint8, or to
    int8 where calibration met negative ones, with one scale for all: `x = input_scale * q`, `w = kernel_scale * k`. The
    sums of products are exact integers, and everything behind them is float32 as before.
    """

    kernel: Any
    kernel_scale: Variable
    input_scale: Variable
    # What the layer is quantized to: {"mode": "int8", "input": "uint8" or "int8"}.
    quantization_config: Mapping[str, str] | None = None
    # While a model is being calibrated: what is shown the layer's inputs.
    _observer: Callable[[Tensor], None] | None = None
    # Whether it is a layer of this library whose call is the plain product, bias and activation.
    _plain_call: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # What a subclass computes otherwise is not known to be the product.
        if "_plain_call" not in vars(cls) and {"call", "convolution_op"} & set(vars(cls)):
            cls._plain_call = False

    @property
    def quantization_mode(self) -> str | None:
        """'int8' if the layer is quantized, else None."""
        return None if self.quantization_config is None else self.quantization_config["mode"]

    def _take_quantization(self, config: Any) -> None:
        """Takes a `quantization_config` of the constructor: that of a layer that was quantized."""
        if config is None:
            return
        known = isinstance(config, Mapping) and set(config) == {"mode", "input"} and config["mode"] == "int8"
        if not known or config["input"] not in ("uint8", "int8"):
            raise ValueError(
                f"{self._label}: expected a quantization_config as a quantized layer has, "
                f'{{"mode": "int8", "input": "uint8" or "int8"}}, got {config!r}'
            )
        self.quantization_config = dict(config)

    def _why_not_quantized(self) -> str | None:
        """Why the layer stays float32; None if it can be quantized."""
        if not self._plain_call:
            return "products of its kind have no integer kernels"
        if self.quantization_config is not None:
            return "it is quantized already"
        if self.compute_dtype != "float32" or self.variable_dtype != "float32":
            return f"it computes in {self.compute_dtype} with weights of {self.variable_dtype}, not in float32"
        terms = int(np.prod(self.kernel.shape[:-1], dtype=np.int64))
        if terms > _MAX_TERMS:
            return f"it sums {terms} products, more than the {_MAX_TERMS} that int32 holds"
        return None

    def _quantize(self, unsigned: bool, scale: float) -> None:
        """Makes the layer's product one of bytes, for inputs of this scale."""
        self._quantized_weights({"mode": "int8", "input": "uint8" if unsigned else "int8"}, scale)

    def _build_quantized(self) -> None:
        """The end of `build`, for a layer that was quantized when it was saved: its weights are to be loaded."""
        if self.quantization_config is not None:
            self._quantized_weights(self.quantization_config, 1.0)

    def _quantized_weights(self, config: Mapping[str, str], scale: float) -> None:
        kernel: NDArray[Any] = self.kernel.numpy()
        largest = np.abs(kernel.reshape(-1, kernel.shape[-1])).max(axis=0, initial=0.0)
        # A channel of zeros has any scale.
        scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        rounded = np.rint(kernel / scales).clip(-127, 127).astype(np.int8)
        with naming.name_scope(self.name, caller=self):
            quantized = [
                Variable(rounded, trainable=False, autocast=False, name="kernel"),
                Variable(scales, trainable=False, autocast=False, name="kernel_scale"),
                Variable(scale, dtype="float32", trainable=False, autocast=False, name="input_scale"),
            ]
        self._weights = [v for v in self._weights if v is not self.kernel] + quantized
        self.kernel, self.kernel_scale, self.input_scale = quantized
        self.quantization_config = dict(config)

    def _rounded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs in bytes and their scale: as the tensor before has them, or rounded here."""
        held = bytes_of(x)
        if held is not None:
            return held
        assert self.quantization_config is not None
        scale = self.input_scale.value
        rounded = ops.round(ops.multiply(x, ops.divide(1.0, scale)))
        return ops.cast(rounded, self.quantization_config["input"]), scale

    def through_bytes(self, x: Tensor) -> Tensor:
        """Inputs rounded as the quantized layer reads them."""
        return from_bytes(*self._rounded(x))

    def _product(self, x: Tensor) -> Tensor:
        """The product with the kernel, in bytes if the layer is quantized."""
        if self._observer is not None:
            self._observer(x)
        if self.quantization_config is None:
            return self._multiply(x, self.kernel)
        if context.calls.training:
            raise ValueError(
                f"{self._label}: a quantized layer cannot be trained: train the model, then quantize it; to run it "
                "as in training, keep the model as it was before"
            )
        q, scale = self._rounded(x)
        sums = ops.cast(self._multiply(q, self.kernel.value), "float32")
        return self._scaled(sums, ops.multiply(self.kernel_scale.value, scale))

    def _multiply(self, x: Tensor, kernel: Any) -> Tensor:
        """The product of floats, or of bytes."""
        raise NotImplementedError

    def _scaled(self, sums: Tensor, scale: Tensor) -> Tensor:
        """Sums times a scale per channel."""
        return ops.multiply(sums, scale)


def from_bytes(q: Tensor, scale: Tensor) -> Tensor:
    """The numbers that bytes stand for, as a tensor from which a quantized layer takes the bytes themselves."""
    x = ops.multiply(ops.cast(q, "float32"), scale)
    setattr(x, "_bytes", (q, scale))  # noqa: B010
    return x


def bytes_of(x: Any) -> tuple[Tensor, Tensor] | None:
    """The bytes and the scale that a tensor was made of; None if it was not."""
    held: tuple[Tensor, Tensor] | None = getattr(x, "_bytes", None)
    return held
