"""ConvNeXt (Liu et al. 2022, arXiv:2201.03545)."""

from __future__ import annotations

from typing import Any, ClassVar

from oxiconv import layers, ops, random
from oxiconv.applications.assembly import Wanted, assemble, pooled, wanted
from oxiconv.applications.blocks import act, channel_axis, channels, conv
from oxiconv.applications.imagenet_utils import decode_predictions
from oxiconv.applications.pretrained import pair
from oxiconv.initializers import Constant
from oxiconv.models import Model, Sequential

__all__ = [
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtSmall",
    "ConvNeXtTiny",
    "ConvNeXtXLarge",
    "LayerScale",
    "StochasticDepth",
    "decode_predictions",
    "preprocess_input",
]

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_EPSILON = 1e-6


class StochasticDepth(layers.Layer):
    """In training, whole samples become zeros at a rate, and the others grow accordingly (Huang et al. 2016).

    Args:
        drop_path_rate: of samples that are dropped.
        **kwargs: those of `Layer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("drop_path_rate",)

    def __init__(self, drop_path_rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.drop_path_rate = drop_path_rate

    def call(self, x: Any, training: bool | None = None) -> Any:
        """The samples that are kept."""
        if not training:
            return x
        keep = 1.0 - self.drop_path_rate
        shape = (ops.shape(x)[0], *[1] * (x.ndim - 1))
        return x / keep * ops.floor(random.uniform(shape) + keep)


class LayerScale(layers.Layer):
    """A weight per channel.

    Args:
        init_values: the weights at first.
        projection_dim: number of channels.
        **kwargs: those of `Layer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("init_values", "projection_dim")

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.init_values = init_values
        self.projection_dim = projection_dim

    def build(self, input_shape: Any) -> None:
        """Makes the weights."""
        self.gamma = self.add_weight((self.projection_dim,), initializer=Constant(self.init_values))

    def call(self, x: Any) -> Any:
        """The scaled channels."""
        return x * self.gamma


def _convnext(
    depths: tuple[int, ...],
    widths: tuple[int, ...],
    variant: str,
    checksums: tuple[str, str],
    arguments: dict[str, Any],
) -> Model:
    if channel_axis() == 1:
        raise ValueError(f"{arguments['name']}: expected images of the format 'channels_last', the only one supported.")
    request = wanted(arguments)
    name = request.name
    files = pair("convnext", (f"{variant}.h5", f"{variant}_notop.h5"), checksums)

    def body(x: Any) -> Any:
        if arguments["include_preprocessing"] and channels(x) == 3:
            mean, variance = [m * 255 for m in _MEAN], [(d * 255) ** 2 for d in _DEVIATION]
            x = layers.Normalization(mean=mean, variance=variance, name=f"{name}_prestem_normalization")(x)
        for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            x = _narrower(stage, width, name)(x)
            for block in range(depth):
                x = _block(x, width, f"{name}_stage_{stage}_block_{block}")
        return x

    def top(x: Any, request: Wanted) -> Any:
        if not request.include_top:
            return layers.LayerNormalization(epsilon=_EPSILON)(pooled(x, request))
        x = layers.GlobalAveragePooling2D(name=f"{name}_head_gap")(x)
        x = layers.LayerNormalization(epsilon=_EPSILON, name=f"{name}_head_layernorm")(x)
        return layers.Dense(request.classes, activation=request.classifier_activation, name=f"{name}_head_dense")(x)

    return assemble(request, body, top, files)


def _narrower(stage: int, width: int, name: str) -> Sequential:
    """What makes images smaller before a stage: a quarter at first, then halves."""
    if stage == 0:
        first = layers.Conv2D(width, 4, strides=4, name=f"{name}_stem_conv")
        second = layers.LayerNormalization(epsilon=_EPSILON, name=f"{name}_stem_layernorm")
        return Sequential([first, second], name=f"{name}_stem")
    i = stage - 1
    norm = layers.LayerNormalization(epsilon=_EPSILON, name=f"{name}_downsampling_layernorm_{i}")
    convolution = layers.Conv2D(width, 2, strides=2, name=f"{name}_downsampling_conv_{i}")
    return Sequential([norm, convolution], name=f"{name}_downsampling_block_{i}")


def _block(inputs: Any, width: int, name: str) -> Any:
    x = conv(inputs, width, 7, f"{name}_depthwise_conv", bias=True, padding="same", groups=width)
    x = layers.LayerNormalization(epsilon=_EPSILON, name=f"{name}_layernorm")(x)
    x = act(layers.Dense(4 * width, name=f"{name}_pointwise_conv_1")(x), f"{name}_gelu", "gelu")
    x = layers.Dense(width, name=f"{name}_pointwise_conv_2")(x)
    x = LayerScale(1e-6, width, name=f"{name}_layer_scale")(x)
    return inputs + act(x, f"{name}_identity", "linear")


def ConvNeXtTiny(
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "convnext_tiny",
) -> Model:
    """ConvNeXt Tiny (Liu et al. 2022), which takes values from 0 to 255."""
    return _convnext(
        (3, 3, 9, 3),
        (96, 192, 384, 768),
        "convnext_tiny",
        (
            "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
            "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        ),
        locals(),
    )


def ConvNeXtSmall(
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "convnext_small",
) -> Model:
    """ConvNeXt Small (Liu et al. 2022), which takes values from 0 to 255."""
    return _convnext(
        (3, 3, 27, 3),
        (96, 192, 384, 768),
        "convnext_small",
        (
            "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
            "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
        ),
        locals(),
    )


def ConvNeXtBase(
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "convnext_base",
) -> Model:
    """ConvNeXt Base (Liu et al. 2022), which takes values from 0 to 255."""
    return _convnext(
        (3, 3, 27, 3),
        (128, 256, 512, 1024),
        "convnext_base",
        (
            "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
            "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
        ),
        locals(),
    )


def ConvNeXtLarge(
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "convnext_large",
) -> Model:
    """ConvNeXt Large (Liu et al. 2022), which takes values from 0 to 255."""
    return _convnext(
        (3, 3, 27, 3),
        (192, 384, 768, 1536),
        "convnext_large",
        (
            "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
            "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
        ),
        locals(),
    )


def ConvNeXtXLarge(
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "convnext_xlarge",
) -> Model:
    """ConvNeXt XLarge (Liu et al. 2022), which takes values from 0 to 255."""
    return _convnext(
        (3, 3, 27, 3),
        (256, 512, 1024, 2048),
        "convnext_xlarge",
        (
            "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
            "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
        ),
        locals(),
    )


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images as they are: the network itself scales values from 0 to 255."""
    return x
