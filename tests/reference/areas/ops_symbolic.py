"""Shapes and element types that operations make of symbolic tensors with unknown sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reference.case import Array, Library, case

# Of `x [None, 4]`.
ROWS: dict[str, Callable[[Any, Any], Any]] = {
    "moments": lambda o, x: o.moments(x, axes=[0]),
    "normalize": lambda o, x: o.normalize(x),
    "norm": lambda o, x: o.norm(x, axis=1, keepdims=True),
    "one_hot": lambda o, x: o.one_hot(o.cast(x, "int32"), 3),
    "softmax": lambda o, x: o.softmax(x),
    "quantile": lambda o, x: o.quantile(x, [0.25, 0.5], axis=1),
    "median": lambda o, x: o.median(x, axis=1, keepdims=True),
    "sort": lambda o, x: o.sort(x),
    "argsort": lambda o, x: o.argsort(x, axis=1),
    "top_k": lambda o, x: tuple(o.top_k(x, 2)),
    "in_top_k": lambda o, x: o.in_top_k(o.cast(x[:, 0], "int32"), x, 2),
    "cumsum": lambda o, x: o.cumsum(x, axis=1),
    "diff": lambda o, x: o.diff(x, axis=1),
    "average": lambda o, x: o.average(x, axis=1),
    "diagonal": lambda o, x: o.diagonal(o.ones((3, 3)) * x[:, :1, None], axis1=1, axis2=2),
    "tril": lambda o, x: o.tril(x[:, None] * o.ones((4, 1))),
    "flip": lambda o, x: o.flip(x, axis=1),
    "roll": lambda o, x: o.roll(x, 1, axis=1),
    "pad": lambda o, x: o.pad(x, ((0, 0), (1, 2))),
    "repeat": lambda o, x: o.repeat(x, 2, axis=1),
    "tile": lambda o, x: o.tile(x, (1, 3)),
    "stack": lambda o, x: o.stack([x, x], axis=1),
    "concatenate": lambda o, x: o.concatenate([x, x[:, :2]], axis=-1),
    "split": lambda o, x: o.split(x, 2, axis=1),
    "unstack": lambda o, x: o.unstack(x, axis=1),
    "reshape": lambda o, x: o.reshape(x, (-1, 2, 2)),
    "transpose": lambda o, x: o.transpose(x),
    "expand_dims": lambda o, x: o.expand_dims(x, (0, -1)),
    "take": lambda o, x: o.take(x, [0, 2], axis=1),
    "take_along_axis": lambda o, x: o.take_along_axis(x, o.argsort(x), axis=1),
    "get_item": lambda o, x: x[:, None, ::-2],
    "matmul": lambda o, x: o.matmul(x, np.ones((4, 5), np.float32)),
    "einsum": lambda o, x: o.einsum("bi,bj->bij", x, x),
    "tensordot": lambda o, x: o.tensordot(x, np.ones((4, 2, 3), np.float32), axes=1),
    "dot": lambda o, x: o.dot(x, np.ones((4, 5), np.float32)),
    "where": lambda o, x: o.where(x > 0, x, 0.0),
    "logical": lambda o, x: o.logical_and(x > 0, x < 1),
    "argmax": lambda o, x: o.argmax(x, axis=-1),
    "all": lambda o, x: o.all(x, axis=1),
    "count_nonzero": lambda o, x: o.count_nonzero(x, axis=1),
    "max": lambda o, x: o.max(x, axis=0),
    "mean": lambda o, x: o.mean(x, axis=1, keepdims=True),
    "logsumexp": lambda o, x: o.logsumexp(x, axis=1),
    "cast": lambda o, x: o.cast(x, "int32"),
    "zeros_like": lambda o, x: o.zeros_like(x, dtype="int32"),
    "categorical_crossentropy": lambda o, x: o.categorical_crossentropy(x, x),
    "sparse_crossentropy": lambda o, x: o.sparse_categorical_crossentropy(o.cast(x[:, 0], "int32"), x),
    "binary_crossentropy": lambda o, x: o.binary_crossentropy(x, x),
    "layer_normalization": lambda o, x: o.layer_normalization(x),
    "rms_normalization": lambda o, x: o.rms_normalization(x),
    "glu": lambda o, x: o.glu(x),
    "gelu": lambda o, x: o.gelu(x),
    "power": lambda o, x: o.power(x, 2),
    "divide": lambda o, x: o.divide(x, 2),
    "erfinv": lambda o, x: o.erfinv(x),
    "nan_to_num": lambda o, x: o.nan_to_num(x),
    "clip": lambda o, x: o.clip(x, 0.0, 1.0),
    "digitize": lambda o, x: o.digitize(x, np.array([0.0, 1.0], np.float32)),
    "hstack": lambda o, x: o.hstack([x, x]),
    "outer": lambda o, x: o.outer(x[0], x[1]),
    "prod": lambda o, x: o.prod(x, axis=1),
    "std": lambda o, x: o.std(x, axis=1),
    "trace": lambda o, x: o.trace(x[:, None] * o.ones((4, 1)), axis1=1, axis2=2),
}


def specs(k: Library, outputs: Any) -> Mapping[str, Array]:
    leaves = k.keras.tree.flatten(outputs)
    return {"specs": np.array([f"{tuple(t.shape)} {k.keras.backend.standardize_dtype(t.dtype)}" for t in leaves])}


@case(each=ROWS)
def rows(k: Library, function: Callable[[Any, Any], Any]) -> Mapping[str, Array]:
    return specs(k, function(k.keras.ops, k.keras.KerasTensor((None, 4), "float32")))


# Of `x [None, 8, 8, 4]`, then of `[None, None, None, 4]`.
IMAGES: dict[str, Callable[[Any, Any], Any]] = {
    "conv": lambda o, x: o.conv(x, np.ones((3, 3, 4, 5), np.float32), 2, "same", "channels_last"),
    "conv_valid": lambda o, x: o.conv(x, np.ones((3, 3, 4, 5), np.float32), 1, "valid", "channels_last"),
    "conv_transpose": lambda o, x: o.conv_transpose(
        x, np.ones((3, 3, 5, 4), np.float32), 2, "same", None, "channels_last"
    ),
    "depthwise_conv": lambda o, x: o.depthwise_conv(x, np.ones((3, 3, 4, 2), np.float32), 1, "same", "channels_last"),
    "max_pool": lambda o, x: o.max_pool(x, 2, data_format="channels_last"),
    "average_pool": lambda o, x: o.average_pool(x, 2, padding="same", data_format="channels_last"),
    "depth_to_space": lambda o, x: o.depth_to_space(x, 2),
    "batch_normalization": lambda o, x: o.batch_normalization(x, np.ones(4, np.float32), np.ones(4, np.float32), -1),
    "mean": lambda o, x: o.mean(x, axis=(1, 2)),
    "moveaxis": lambda o, x: o.moveaxis(x, -1, 1),
    "rot90": lambda o, x: o.rot90(x, axes=(1, 2)),
    "flip": lambda o, x: o.flip(x, axis=2),
    "slice": lambda o, x: x[:, ::2, 1:, :2],
}


@case(each=IMAGES)
def images(k: Library, function: Callable[[Any, Any], Any]) -> Mapping[str, Mapping[str, Array]]:
    tensors = [k.keras.KerasTensor((None, *size, 4), "float32") for size in [(8, 8), (None, None)]]
    return {f"x{i}": specs(k, function(k.keras.ops, x)) for i, x in enumerate(tensors)}
