"""Datasets of image folders: decoding, resizing, splits, labels."""

from __future__ import annotations

import contextlib
import io
import struct
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reference.case import Array, Library, case
from reference.jpeg_files import JPEG_FILES
from reference.png_files import PALETTE, png

SIZES = [(17, 23), (40, 11), (5, 5), (3, 18), (1, 1), (48, 64)]


@contextlib.contextmanager
def folder(files: Mapping[str, bytes]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        for path, content in files.items():
            (Path(name) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(name) / path).write_bytes(content)
        yield Path(name)


def dataset(k: Library, path: Path, **options: Any) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return k.keras.utils.image_dataset_from_directory(str(path), verbose=False, **options)


def pictures(k: Library, files: Mapping[str, bytes], **options: Any) -> dict[str, Array]:
    """The images of files, by name."""
    with folder(files) as path:
        options = {"labels": None, "shuffle": False, "batch_size": None, **options}
        made = dataset(k, path, **options)
        names = [Path(file).stem for file in made.file_paths]
        return dict(zip(names, (np.asarray(image) for image in made), strict=True))


def noise(k: Library, shape: tuple[int, ...], high: int = 256) -> Array:
    return k.integers(shape, high, seed=shape)


@case(each=["rgb", "grayscale", "rgba"])
def png_kinds(k: Library, color_mode: str) -> Mapping[str, Array]:
    colours = [(200, 0, 10), (0, 190, 20), (30, 0, 180), (5, 90, 250)]
    files = {
        "grey1.png": png(noise(k, (5, 7), 2), depth=1),
        "grey2.png": png(noise(k, (5, 7), 4), depth=2),
        "grey4.png": png(noise(k, (5, 7), 16), depth=4),
        "grey8.png": png(noise(k, (5, 7))),
        "grey16.png": png(noise(k, (5, 7), 65536), depth=16),
        "grey_alpha.png": png(noise(k, (5, 7, 2))),
        "rgb8.png": png(noise(k, (5, 7, 3))),
        "rgb16.png": png(noise(k, (5, 7, 3), 65536), depth=16),
        "rgba8.png": png(noise(k, (5, 7, 4))),
        "rgba16.png": png(noise(k, (5, 7, 4), 65536), depth=16),
        "palette.png": png(noise(k, (5, 7), 4), PALETTE, palette=colours),
        "palette_alpha.png": png(noise(k, (5, 7), 4), PALETTE, palette=colours, transparent=bytes([0, 128, 255])),
    }
    if color_mode == "rgba":
        shallow = {"grey1.png", "grey2.png", "grey4.png"}
        # There TensorFlow's alpha is 1, 3 or 15, which is next to nothing, instead of full.
        files = {name: content for name, content in files.items() if name not in shallow}
    return pictures(k, files, color_mode=color_mode, image_size=(5, 7), interpolation="nearest")


@case(each=["rgb", "rgba"])
def bmp(k: Library, color_mode: str) -> Mapping[str, Array]:
    rows = noise(k, (3, 8))
    rows[:, 6:] = 0
    header = struct.pack("<IiiHHIIiiII", 40, 2, 3, 1, 24, 0, rows.size, 0, 0, 0, 0)
    content = b"BM" + struct.pack("<IHHI", 54 + rows.size, 0, 0, 54) + header + rows.astype(np.uint8).tobytes()
    return pictures(k, {"a.bmp": content}, color_mode=color_mode, image_size=(3, 2), interpolation="nearest")


# Of 230 levels, 8: TensorFlow decodes by libjpeg's fast transform, up to 4 levels from the accurate one; and halved
# colours are interpolated with other roundings (2 levels), in the last column from what the file holds beyond it (4).
@case(each=["rgb", "grayscale"], tolerance=8 / 230)
def jpeg(k: Library, color_mode: str) -> Mapping[str, Array]:
    files = {f"{name}.jpg": content for name, content in JPEG_FILES.items()}
    if color_mode == "grayscale":
        del files["cmyk.jpg"]  # TensorFlow refuses it
    return pictures(k, files, color_mode=color_mode, image_size=(24, 20))


METHODS = ["bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"]


# Hundreds of terms for the largest reductions, and positions that are rounded before kernels with steep slopes.
@case(each=METHODS, tolerance=3e-5)
def resizing(k: Library, interpolation: str) -> Mapping[str, Array]:
    files = {f"{h}x{w}.png": png(noise(k, (h, w, 1))) for h, w in SIZES}
    found: dict[str, Array] = {}
    for fit in ("", "crop", "pad"):
        if fit == "crop" and interpolation in ("gaussian", "mitchellcubic"):
            continue  # Keras refuses these
        options: dict[str, Any] = {f"{fit}_to_aspect_ratio": True} if fit else {}
        options |= {"color_mode": "grayscale", "image_size": (6, 9), "interpolation": interpolation}
        found |= {f"{fit}{name}": image for name, image in pictures(k, files, **options).items()}
    return found


@case(each=["crop", "pad"])
def channels_first(k: Library, fit: str) -> Mapping[str, Array]:
    files = {f"{h}x{w}.png": png(noise(k, (h, w, 3))) for h, w in SIZES[:2]}
    options: dict[str, Any] = {f"{fit}_to_aspect_ratio": True}
    return pictures(k, files, data_format="channels_first", image_size=(6, 4), **options)


def classes(k: Library, count: int = 23) -> dict[str, bytes]:
    """One pixel each, in three classes and a folder below; the pixel is the file's number."""
    names = ["a", "b/inner", "b", "c"]
    return {f"{names[i % 4]}/{i:02}.png": png(np.full((1, 1), i)) for i in range(count)}


def numbers(made: Any) -> Array:
    return np.array([int(Path(path).stem) for path in made.file_paths], np.int32)


@case(each=["training", "validation", "both", "all"])
def splits(k: Library, subset: str) -> Mapping[str, Array]:
    found = {}
    with folder(classes(k)) as path:
        for seed in (0, 1337):
            options: dict[str, Any] = {"seed": seed, "image_size": (1, 1)}
            if subset != "all":
                options |= {"validation_split": 0.3, "subset": subset}
            made = dataset(k, path, **options)
            for i, part in enumerate(made if subset == "both" else [made]):
                found[f"{seed}.{i}"] = numbers(part)
                # The order of batches differs; what belongs together does not.
                pairs = [(np.asarray(x)[:, 0, 0, 0], np.asarray(y)) for x, y in part]
                images, labels = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
                found[f"{seed}.{i}.labels"] = labels[np.argsort(images)]
    return found


@case(each=["int", "categorical", "binary"])
def labels(k: Library, label_mode: str) -> Mapping[str, Array]:
    names = ["c", "a"] if label_mode == "binary" else ["c", "a", "b"]
    with folder(classes(k)) as path:
        made = dataset(
            k, path, label_mode=label_mode, class_names=names, shuffle=False, image_size=(1, 1), batch_size=5
        )
        batches = [(np.asarray(x), np.asarray(y)) for x, y in made]
    found = {f"images{i}": x for i, (x, _) in enumerate(batches)}
    return found | {f"labels{i}": y for i, (_, y) in enumerate(batches)} | {"files": numbers(made)}


@case
def listed_labels(k: Library) -> Mapping[str, Array]:
    with folder(classes(k, 8)) as path:
        made = dataset(k, path, labels=[3, 1, 4, 1, 5, 9, 2, 6], shuffle=False, image_size=(1, 1), batch_size=None)
        found = [(np.asarray(x)[0, 0, 0], np.asarray(y)) for x, y in made]
    return {"pairs": np.array(found, np.float32), "names": np.array([int(n) for n in made.class_names], np.int32)}


@case(each=[False, True])
def split_dataset(k: Library, shuffle: bool) -> Mapping[str, Array]:
    x, y = k.normal((13, 2)), k.integers((13,), 5)
    found = {}
    ways: dict[str, dict[str, Any]] = {
        "left": {"left_size": 0.7},
        "right": {"right_size": 4},
        "both": {"left_size": 5, "right_size": 0.3},
    }
    for name, sizes in ways.items():
        parts = k.keras.utils.split_dataset((x, y), shuffle=shuffle, seed=3, **sizes)
        for i, part in enumerate(parts):
            pairs = [(np.asarray(a), np.asarray(b)) for a, b in part]
            found[f"{name}{i}.x"] = np.stack([a for a, _ in pairs])
            found[f"{name}{i}.y"] = np.stack([b for _, b in pairs])
    return found


@case
def one_hot_and_norms(k: Library) -> Mapping[str, Array]:
    utils = k.keras.utils
    x = k.normal((3, 4))
    return {
        "to_categorical": utils.to_categorical(k.integers((5, 1), 4), 6),
        "normalize": utils.normalize(x),
        "normalize1": utils.normalize(x, axis=1, order=1),
        "image": utils.img_to_array(k.integers((2, 3), 255)),
        "planes": utils.img_to_array(k.integers((2, 3, 4), 255), data_format="channels_first"),
    }
