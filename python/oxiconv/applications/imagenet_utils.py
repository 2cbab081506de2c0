"""Images as the networks expect them, and their predictions in words."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np

from oxiconv import ops
from oxiconv.applications.pretrained import Remote, fetch
from oxiconv.config import image_data_format

_INDEX = Remote(
    "imagenet_class_index.json",
    "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json",
    "c2c37ea517e94d9795004a39431a14cb",
)
# By mode: whether colors are reversed; then (x / scale - mean) / deviation.
_MODES: dict[str, tuple[bool, float, Any, Any]] = {
    "tf": (False, 127.5, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    "torch": (False, 255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": (True, 1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
}


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Images with values from 0 to 255 as networks were trained on them, in float32.

    Args:
        x: an image or a batch of them, `[.., rows, columns, 3]` or with the channels first; an array, or a tensor, also
            a symbolic one. It is not changed.
        data_format: 'channels_last' or 'channels_first'; by default the configured one.
        mode: 'tf' for values from -1 to 1; 'torch' for channels with ImageNet's mean 0 and deviation 1; 'caffe' for
            blue, green and red less ImageNet's means, unscaled.

    Returns:
        An array for an array, otherwise a tensor.

    Raises:
        ValueError: another mode or format.

    Example:
        >>> import numpy as np
        >>> preprocess_input(np.array([[[255, 127.5, 0]]]), mode="tf").tolist()
        [[[1.0, 0.0, -1.0]]]
    """
    if mode not in _MODES:
        raise ValueError(f"preprocess_input: mode must be one of {sorted(_MODES)}, got {mode!r}.")
    data_format = data_format or image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"preprocess_input: expected a data_format of images, got {data_format!r}.")
    reverse, scale, mean, deviation = _MODES[mode]
    array = isinstance(x, np.ndarray)
    if array:
        x = x.astype(x.dtype if x.dtype.kind == "f" else np.float32)
    elif "float" not in str(x.dtype):
        x = ops.cast(x, "float32")
    axis = -1 if data_format == "channels_last" else -3
    if mode == "tf":  # also for images without colors
        return x / scale - 1.0
    shape = (3,) if axis == -1 else (3, 1, 1)
    if reverse:
        x = np.flip(x, axis) if array else ops.flip(x, axis)
    mean, deviation = (np.reshape(np.asarray(v, np.float32), shape) for v in (mean, deviation))
    result = (x / scale - mean) / deviation
    return result.astype(x.dtype) if array else result


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """The likeliest classes of ImageNet.

    Args:
        preds: probabilities `[n, 1000]`.
        top: how many classes per image.

    Returns:
        For each image, the likeliest first: `(WordNet number, name, probability)`.

    Raises:
        ValueError: another shape.
        FileNotFoundError: the list of classes is not in Keras's cache and cannot be downloaded.
    """
    scores = np.asarray(preds)
    if scores.ndim != 2 or scores.shape[1] != 1000:
        raise ValueError(f"decode_predictions: expected predictions of shape (n, 1000), got {scores.shape}.")
    names = _class_index(fetch(_INDEX))
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return [[(*names[i], row[i]) for i in order] for row, order in zip(scores, best, strict=True)]


@functools.cache
def _class_index(path: str) -> list[tuple[str, str]]:
    with open(path, encoding="utf-8") as file:
        index = json.load(file)
    return [tuple(index[str(i)]) for i in range(1000)]
