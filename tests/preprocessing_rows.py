"""Preprocessing layers with arguments, the shapes they take and give, and their numbers of parameters."""

from __future__ import annotations

from typing import Any

from oxiconv import layers

IMAGES = (None, 12, 10, 3)
_SAME: list[tuple[type, dict[str, Any]]] = [
    (layers.RandomFlip, {"mode": "horizontal", "seed": 1}),
    (layers.RandomRotation, {"factor": 0.1, "fill_mode": "constant", "fill_value": 3.0}),
    (layers.RandomZoom, {"height_factor": (-0.2, 0.1), "interpolation": "nearest"}),
    (layers.RandomTranslation, {"height_factor": 0.1, "width_factor": 0.2}),
    (layers.RandomShear, {"x_factor": 0.2, "y_factor": (0.1, 0.3)}),
    (layers.RandomPerspective, {"scale": 0.5}),
    (layers.RandomElasticTransform, {"scale": 0.5}),
    (layers.RandomBrightness, {"factor": 0.2}),
    (layers.RandomContrast, {"factor": 0.2, "value_range": (0, 1)}),
    (layers.RandomHue, {"factor": 0.2}),
    (layers.RandomSaturation, {"factor": 0.2}),
    (layers.RandomColorJitter, {"brightness_factor": 0.2, "hue_factor": 0.1}),
    (layers.RandomColorDegeneration, {"factor": 0.2}),
    (layers.RandomGrayscale, {"factor": 0.2}),
    (layers.RandomSharpness, {"factor": 0.2}),
    (layers.RandomGaussianBlur, {"kernel_size": (3, 5)}),
    (layers.RandomPosterization, {"factor": 5}),
    (layers.RandomInvert, {"factor": 0.5}),
    (layers.Solarization, {"threshold_factor": 0.5}),
    (layers.AutoContrast, {"value_range": (0, 1)}),
    (layers.Equalization, {"bins": 64}),
    (layers.ContrastLimitedAdaptiveHistogramEqualization, {"tile_grid_size": (2, 3)}),
    (layers.MixUp, {"alpha": 0.3}),
    (layers.CutMix, {"factor": 0.5}),
    (layers.RandomErasing, {"fill_value": 3.0}),
    (layers.RandAugment, {"num_ops": 1}),
    (layers.AugMix, {"num_chains": 2, "chain_depth": 1, "all_ops": False}),
    (layers.MaxNumBoundingBoxes, {"max_number": 3}),
]

PREPROCESSING: list[tuple[Any, dict[str, Any], Any, Any, int]] = [
    *[(cls, arguments, IMAGES, IMAGES, 0) for cls, arguments in _SAME],
    (layers.Resizing, {"height": 5, "width": 7, "interpolation": "bicubic"}, (None, None, 9, 3), (None, 5, 7, 3), 0),
    (layers.CenterCrop, {"height": 5, "width": 7}, IMAGES, (None, 5, 7, 3), 0),
    (layers.RandomCrop, {"height": 5, "width": 7}, IMAGES, (None, 5, 7, 3), 0),
    (layers.Normalization, {"axis": -1}, (None, 4, 3), (None, 4, 3), 7),
    (layers.CategoryEncoding, {"num_tokens": 4, "output_mode": "count"}, (None, 3), (None, 4), 0),
    (layers.Pipeline, {"layers": [layers.RandomFlip(name="flip")]}, IMAGES, IMAGES, 0),
]
