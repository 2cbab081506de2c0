"""Datasets of the images in a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oxiconv.config import image_data_format
from oxiconv.data import Dataset
from oxiconv.images import load_batch
from oxiconv.utils.argument_validation import is_whole
from oxiconv.utils.directory_index import Index, check_validation_split, index_directory

FORMATS: Final = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
INTERPOLATIONS: Final = (
    "bilinear",
    "nearest",
    "bicubic",
    "area",
    "lanczos3",
    "lanczos5",
    "gaussian",
    "mitchellcubic",
)
_AHEAD: Final = 2  # batches read ahead, at once, so that no thread waits for the end of a batch
_CHANNELS: Final = {"rgb": 3, "rgba": 4, "grayscale": 1}


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: int | tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """A dataset of the JPEG, PNG, BMP and GIF images in the subfolders of a folder, one subfolder per class.

    Two batches are read ahead of their use, each on as many threads as `config.num_threads()`. The split into training
    and validation, and the order without shuffling, are those of Keras for the same seed; with `shuffle` each pass has
    another order of all images, the same in each run with the same seed.

    Args:
        directory: the folder.
        labels: "inferred" from the subfolders, a list with an integer per image, or None. Images are then ordered by
            folder and name.
        label_mode: "int", "categorical" (one-hot), "binary" (0.0 or 1.0), or None for images alone.
        class_names: subfolders to read, in the order of their labels; by default all, sorted.
        color_mode: "rgb", "grayscale" or "rgba".
        batch_size: images in a batch; the last one may have fewer. None for single images.
        image_size: `(height, width)` to resize to, or one number for both.
        shuffle: another order in each pass; otherwise by folder and name.
        seed: of the orders and the split.
        validation_split: the fraction of the images for validation.
        subset: "training", "validation", or "both" for a pair of datasets.
        interpolation: "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian" or "mitchellcubic",
            without antialiasing.
        follow_links: enter folders that are links.
        crop_to_aspect_ratio: take the middle of images of another aspect instead of distorting them.
        pad_to_aspect_ratio: show images of another aspect whole, on black.
        data_format: "channels_last" or "channels_first"; by default that of `config.image_data_format()`.
        format: "tf" or "grain": in Keras the library of the result, which here is an `oxiconv.data.Dataset` for both.
        verbose: print the numbers of files and classes.

    Returns:
        An `oxiconv.data.Dataset` with the attributes `class_names` and `file_paths`, or a list of two. Its elements are
        images float32 `[n, height, width, channels]` in [0, 255] (uint8 for "nearest"), or pairs with labels: int32
        `[n]`, float32 `[n, 1]` for "binary", float32 `[n, classes]` for "categorical".

    Raises:
        FileNotFoundError: no such folder.
        ValueError: arguments that are not as above, or no images. Damaged files raise when they are read.

    >>> import tempfile, pathlib, oxiconv
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat", "dog"):
    ...         pathlib.Path(folder, name).mkdir()
    ...         oxiconv.utils.save_img(f"{folder}/{name}/1.png", np.zeros((4, 6, 3)))
    ...     dataset = oxiconv.utils.image_dataset_from_directory(folder, image_size=(8, 8), shuffle=False)
    ...     images, labels = next(iter(dataset))
    Found 2 files belonging to 2 classes.
    >>> images.shape, labels.numpy().tolist(), dataset.class_names
    ((2, 8, 8, 3), [0, 1], ['cat', 'dog'])
    """
    name = "image_dataset_from_directory"
    if labels is not None and not isinstance(labels, list | tuple | np.ndarray) and labels != "inferred":
        raise ValueError(f'{name}: labels must be "inferred", None or a list, got {labels!r}.')
    if label_mode not in ("int", "categorical", "binary", None):
        raise ValueError(f'{name}: label_mode must be "int", "categorical", "binary" or None, got {label_mode!r}.')
    if color_mode not in _CHANNELS:
        raise ValueError(f'{name}: color_mode must be "rgb", "rgba" or "grayscale", got {color_mode!r}.')
    if interpolation.lower() not in INTERPOLATIONS:
        raise ValueError(f"{name}: interpolation must be one of {', '.join(INTERPOLATIONS)}, got {interpolation!r}.")
    if format not in ("tf", "grain"):
        raise ValueError(f'{name}: format must be "tf" or "grain", got {format!r}.')
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(f"{name}: only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True.")
    if batch_size is not None and not is_whole(batch_size):
        raise ValueError(f"{name}: batch_size must be a positive integer or None, got {batch_size!r}.")
    sides: tuple[Any, ...] = tuple(image_size) if isinstance(image_size, list | tuple) else (image_size, image_size)
    if len(sides) != 2 or not all(is_whole(n) for n in sides):
        raise ValueError(f"{name}: image_size must be two positive integers, got {image_size!r}.")
    size = (int(sides[0]), int(sides[1]))
    data_format = data_format or image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f'{name}: data_format must be "channels_last" or "channels_first", got {data_format!r}.')
    check_validation_split(validation_split, subset, shuffle, seed)
    if label_mode is None or labels is None:
        label_mode = labels = None
    if seed is None:
        seed = int(np.random.randint(1_000_000))
    index = index_directory(directory, labels, FORMATS, class_names, shuffle, seed, follow_links, verbose)
    if label_mode == "binary" and len(index.class_names or ()) != 2:
        raise ValueError(f'{name}: label_mode="binary" needs two classes, got {index.class_names}.')

    def load(paths: list[str]) -> NDArray[Any]:
        fit = "crop" if crop_to_aspect_ratio else "pad" if pad_to_aspect_ratio else "stretch"
        first = data_format == "channels_first"
        images = load_batch(paths, size, _CHANNELS[color_mode], interpolation.lower(), fit, first)
        return images.astype(np.uint8) if interpolation.lower() == "nearest" else images

    def dataset(part: Index, what: str, shuffled: bool) -> Dataset:
        if not part.paths:
            raise ValueError(f"{name}: no {what}images in {os.fspath(directory)}; read are {', '.join(FORMATS)}.")
        targets = _targets(part, label_mode)
        paths = np.array(part.paths, object)

        def fetch(numbers: NDArray[np.intp]) -> Any:
            images = load(list(paths[numbers]))
            return images if targets is None else (images, targets[numbers])

        made = Dataset.from_rows(len(paths), fetch, _AHEAD)
        if shuffled:
            made = made.shuffle(len(paths), seed)
        made = made if batch_size is None else made.batch(batch_size)
        made.class_names, made.file_paths = part.class_names, part.paths
        return made

    if subset is None or validation_split is None:
        return dataset(index, "", shuffle)
    training, validation = index.split(validation_split, subset)
    if subset == "both":
        return [dataset(training, "training ", shuffle), dataset(validation, "validation ", False)]
    return dataset(training if subset == "training" else validation, f"{subset} ", shuffle)


def _targets(index: Index, label_mode: str | None) -> NDArray[Any] | None:
    labels = index.labels
    if labels is None or label_mode is None:
        return None
    if label_mode == "binary":
        return labels.astype(np.float32)[:, None]
    if label_mode == "categorical":
        # Labels out of range give rows of zeros, as one-hot encodings do.
        return np.asarray(labels[:, None] == np.arange(len(index.class_names or ())), np.float32)
    return labels
