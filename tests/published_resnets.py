"""The residual networks for CIFAR-10 of He et al. 2015 (arXiv:1512.03385, section 4.2), with published weights.

The weights are those of the PyTorch repository akamaster/pytorch_resnet_cifar10, as safetensors under their own names.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import oxiconv as keras
from oxiconv import layers, ops
from oxiconv.saving import safetensors_file

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build(depth: int) -> keras.Model:
    """An untrained network of `depth` = 6 n + 2 layers, for pictures of 32x32 in 0 ... 255."""

    def normalized(x: keras.KerasTensor, filters: int, stride: int, name: str, norm: str) -> keras.KerasTensor:
        if stride > 1:  # PyTorch pads both sides alike, "same" only the end
            x = layers.ZeroPadding2D(1)(x)
        padding = "valid" if stride > 1 else "same"
        x = layers.Conv2D(filters, 3, stride, padding, use_bias=False, name=name)(x)
        result: keras.KerasTensor = layers.BatchNormalization(epsilon=1e-5, name=norm)(x)
        return result

    inputs = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Normalization(mean=MEAN, variance=np.square(DEVIATION))(x)
    x = layers.ReLU()(normalized(x, 16, 1, "conv1", "bn1"))
    for group, (filters, first) in enumerate([(16, 1), (32, 2), (64, 2)], 1):
        for block in range((depth - 2) // 6):
            stride = first if block == 0 else 1
            prefix = f"layer{group}_{block}"
            y = layers.ReLU()(normalized(x, filters, stride, f"{prefix}_conv1", f"{prefix}_bn1"))
            y = normalized(y, filters, 1, f"{prefix}_conv2", f"{prefix}_bn2")
            if stride > 1:  # the shortcut without weights: every second pixel, channels padded with zeros
                x = ops.pad(x[:, ::2, ::2], [(0, 0), (0, 0), (0, 0), (filters // 4, filters // 4)])
            x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, name="linear")(x))


def load(depth: int, folder: Path) -> keras.Model:
    """The published network of this depth, its weights read from `folder`."""
    model = build(depth)
    tensors, _ = safetensors_file.read(str(folder / f"resnet{depth}.safetensors"))

    def take(layer: str, part: str) -> NDArray[np.float32]:
        group = layer.replace("layer1_", "layer1.").replace("layer2_", "layer2.").replace("layer3_", "layer3.")
        return np.asarray(tensors.pop(f"module.{group.replace('_', '.')}.{part}"))

    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            layer.set_weights([take(layer.name, "weight").transpose(2, 3, 1, 0)])
        elif isinstance(layer, layers.BatchNormalization):
            layer.set_weights([take(layer.name, part) for part in ("weight", "bias", "running_mean", "running_var")])
        elif isinstance(layer, layers.Dense):
            layer.set_weights([take(layer.name, "weight").T, take(layer.name, "bias")])
    left = [name for name in tensors if not name.endswith("num_batches_tracked")]
    if left:
        raise ValueError(f"{len(left)} tensors have no place in ResNet-{depth}: {left[:5]}")
    return model


def folder() -> Path | None:
    """Where the published weights are, if they are here."""
    path = Path(os.environ.get("OXICONV_DATA_DIR", "absent")) / "resnet-cifar10"
    return path if path.is_dir() else None
