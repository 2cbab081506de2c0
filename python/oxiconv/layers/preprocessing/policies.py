"""Layers that apply other layers: chosen by chance, in chains, or one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from oxiconv import ops, random
from oxiconv.layers.layer import Layer
from oxiconv.layers.preprocessing.coloring import RandomBrightness, RandomColorDegeneration, RandomContrast
from oxiconv.layers.preprocessing.histograms import Equalization
from oxiconv.layers.preprocessing.image_layer import BaseImagePreprocessingLayer, Factor, value_range_of
from oxiconv.layers.preprocessing.levels import AutoContrast, RandomPosterization, RandomSharpness, Solarization
from oxiconv.layers.preprocessing.warping import RandomRotation, RandomShear, RandomTranslation
from oxiconv.tensor import Tensor, TensorLike


class _Policy(BaseImagePreprocessingLayer):
    """What layers that choose among the others have in common: those layers, of one strength.

    The choice is the same for a whole batch. In a compiled step all layers run and one result is taken; eagerly, only
    the chosen one runs.
    """

    factor_bounds = (0.0, 1.0)
    config_fields: ClassVar[tuple[str, ...]] = ("value_range", "factor", "interpolation", "seed")

    def __init__(
        self,
        names: Sequence[str],
        value_range: Sequence[float],
        factor: Factor,
        interpolation: str,
        seed: int | None,
        data_format: str | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor=factor, data_format=data_format, seed=seed, **kwargs)
        self.value_range = value_range_of(value_range, self._label)
        self.interpolation = interpolation
        strength = self.factor
        shared: dict[str, Any] = {"data_format": self.data_format, "bounding_box_format": self.bounding_box_format}
        seeded = {**shared, "seed": seed}
        warp = {**seeded, "interpolation": interpolation}
        color = {**seeded, "value_range": self.value_range}
        made: dict[str, BaseImagePreprocessingLayer] = {
            "random_shear": RandomShear(x_factor=strength, y_factor=strength, **warp),
            "random_translation": RandomTranslation(strength, strength, **warp),
            "random_rotation": RandomRotation(strength, **warp),
            "random_brightness": RandomBrightness(strength, **color),
            "random_color_degeneration": RandomColorDegeneration(strength, **color),
            "random_contrast": RandomContrast(strength, **color),
            "random_sharpness": RandomSharpness(strength, **color),
            "random_posterization": RandomPosterization(max(1, int(8 * strength[1])), **color),
            "solarization": Solarization(strength, strength, **color),
            "auto_contrast": AutoContrast(self.value_range, **shared),
            "equalization": Equalization(self.value_range, **shared),
        }
        self._choices = {name: made[name] for name in names}

    def _drawn(self, data: Any, seed: Any) -> dict[str, Any]:
        return {name: choice.get_random_transformation(data, True, seed) for name, choice in self._choices.items()}

    def _apply(self, method: str, value: Any, choice: Any, transforms: Mapping[str, Any]) -> Any:
        """`value` by the layer of number `choice`; a number beyond them leaves it alone."""
        layers = [(getattr(layer, method), transforms[name]) for name, layer in self._choices.items()]
        if not choice.traced:
            number = int(choice)
            return layers[number][0](value, layers[number][1]) if number < len(layers) else value
        result = value
        for number, (transform, transformation) in enumerate(layers):
            result = _select(choice == number, transform(value, transformation), result)
        return result


def _select(condition: Tensor, one: Any, other: Any) -> Any:
    if isinstance(one, Mapping):
        return {**other, **{key: _select(condition, one[key], other[key]) for key in ("boxes", "labels")}}
    return ops.where(condition, one, other)


_AUGMENTS = (
    "random_shear",
    "random_translation",
    "random_rotation",
    "random_brightness",
    "random_color_degeneration",
    "random_contrast",
    "random_sharpness",
    "random_posterization",
    "solarization",
    "auto_contrast",
    "equalization",
)


class RandAugment(_Policy):
    """In training, applies some of eleven layers, chosen by chance for each batch, one after the other.

    Cubuk, Zoph, Shlens, Le, RandAugment: Practical Automated Data Augmentation (2019). The layers: shear, translation,
    rotation, brightness, color degeneration, contrast, sharpness, posterization, solarization, auto contrast,
    equalization.

    Args:
        value_range: the smallest and the largest value of images.
        num_ops: how many.
        factor: the strength of all of them, from 0 to 1, or two numbers.
        interpolation: "bilinear" or "nearest".
        seed: integer; None derives one from the global seed.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("num_ops",)

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        num_ops: int = 2,
        factor: Factor = 0.5,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(_AUGMENTS, value_range, factor, interpolation, seed, data_format, **kwargs)
        self.num_ops = num_ops

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Which layers, and their transformations."""
        if not training:
            return None
        source = self.generator if seed is None else seed
        chosen = random.randint((self.num_ops,), 0, len(self._choices), seed=source)
        return {"transforms": self._drawn(data, source), "layer_idxes": chosen}

    def _all(self, method: str, value: Any, transformation: Any) -> Any:
        for number in range(self.num_ops):
            choice = ops.convert_to_tensor(transformation["layer_idxes"])[number]
            value = self._apply(method, value, choice, transformation["transforms"])
        return value

    def transform_images(self, images: TensorLike, transformation: Any, training: bool = True) -> Tensor:
        """The images by the chosen layers."""
        images = ops.cast(images, self.compute_dtype)
        return self._all("transform_images", images, transformation) if training else images

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        """The masks by the chosen layers."""
        if not training:
            return segmentation_masks
        return self._all("transform_segmentation_masks", segmentation_masks, transformation)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        """The boxes by the chosen layers."""
        return self._all("transform_bounding_boxes", bounding_boxes, transformation) if training else bounding_boxes


class AugMix(_Policy):
    """In training, mixes images with weighted chains of layers chosen by chance for each batch.

    Hendrycks, Mu, Cubuk, Zoph, Gilmer, Lakshminarayanan, AugMix (2019). See `RandAugment` for the layers.

    Args:
        value_range: the smallest and the largest value of images.
        num_chains: how many chains.
        chain_depth: layers of a chain, each of which may be none.
        factor: the strength of all layers, from 0 to 1, or two numbers.
        alpha: parameter of the distributions of weights.
        all_ops: whether brightness, color degeneration, contrast and sharpness are among the layers.
        interpolation: "bilinear" or "nearest".
        seed: integer; None derives one from the global seed.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("num_chains", "chain_depth", "alpha", "all_ops")

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: Factor = 0.3,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        some = [n for n in _AUGMENTS if n.startswith(("random_s", "random_t", "random_r", "random_p", "s", "a", "e"))]
        names = _AUGMENTS if all_ops else [n for n in some if n != "random_sharpness"]
        super().__init__(names, value_range, factor, interpolation, seed, data_format, **kwargs)
        self.num_chains = num_chains
        self.chain_depth = chain_depth
        self.alpha = alpha
        self.all_ops = all_ops

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The weights, the layers of the chains, and their transformations."""
        if not training:
            return None
        source = self.generator if seed is None else seed
        weights = random.gamma((self.num_chains,), self.alpha, seed=source)
        links = (self.num_chains, self.chain_depth)
        return {
            "chain_mixing_weights": weights / ops.sum(weights),
            "weight_sample": random.beta((), self.alpha, self.alpha, seed=source),
            "layer_idxes": random.randint(links, 0, len(self._choices) + 1, seed=source),
            "transforms": [[self._drawn(data, source) for _ in range(links[1])] for _ in range(links[0])],
        }

    def _mixed(self, method: str, value: Tensor, transformation: Any) -> Tensor:
        total: Any = 0.0
        for chain in range(self.num_chains):
            link = value
            for place in range(self.chain_depth):
                choice = transformation["layer_idxes"][chain, place]
                link = self._apply(method, link, choice, transformation["transforms"][chain][place])
            total = total + link * transformation["chain_mixing_weights"][chain]
        kept = transformation["weight_sample"]
        return ops.add(value * kept, total * (1.0 - kept))

    def transform_images(self, images: TensorLike, transformation: Any, training: bool = True) -> Tensor:
        """The mixed images."""
        images = ops.cast(images, self.compute_dtype)
        if not training:
            return images
        mixed = self._mixed("transform_images", images, transformation)
        return ops.clip(mixed, *map(float, self.value_range))

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        """The masks, mixed by the same weights."""
        if not training:
            return segmentation_masks
        masks = ops.cast(segmentation_masks, self.compute_dtype)
        return self._mixed("transform_segmentation_masks", masks, transformation)


class Pipeline(Layer):
    """Layers one after the other, each with the training flag.

    Args:
        layers: the layers.
        name: see `Layer`.
    """

    def __init__(self, layers: Sequence[Layer], name: str | None = None) -> None:
        super().__init__(name=name)
        self._pipeline_layers = list(layers)

    @property
    def layers(self) -> list[Layer]:
        """The layers."""
        return self._pipeline_layers

    def call(self, inputs: Any, training: bool = True) -> Any:
        """What the last layer makes."""
        for layer in self._pipeline_layers:
            inputs = layer(inputs, training=training)
        return inputs

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        from oxiconv.saving.serialization import serialize_keras_object

        return {"layers": [serialize_keras_object(layer) for layer in self._pipeline_layers], "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Pipeline:
        """A layer of a configuration."""
        from oxiconv.saving.serialization import deserialize_keras_object

        if not isinstance(config.get("layers"), (list, tuple)):
            raise ValueError(f"Pipeline: expected a configuration with a list of 'layers', got {config!r}")
        return cls(**{**config, "layers": [deserialize_keras_object(layer) for layer in config["layers"]]})
