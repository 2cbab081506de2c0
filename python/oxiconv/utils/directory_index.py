"""Files in folders of classes, in the order and with the splits that Keras has for a seed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Index:
    """Files, their labels, and the classes' names; without labels, the latter are None."""

    paths: list[str]
    labels: NDArray[np.int32] | None
    class_names: list[str] | None

    def part(self, start: int, stop: int) -> Index:
        """Files `start` to `stop`."""
        labels = None if self.labels is None else self.labels[start:stop]
        return Index(self.paths[start:stop], labels, self.class_names)

    def split(self, fraction: float, subset: str) -> tuple[Index, Index]:
        """All but the last `fraction` of the files, and those; says how many those of `subset` are."""
        held = int(fraction * len(self.paths))
        cut = len(self.paths) - held
        for name, count in (("training", cut), ("validation", held)):
            if subset in (name, "both"):
                print(f"Using {count} files for {name}.", flush=True)
        return self.part(0, cut), self.part(cut, len(self.paths))


def index_directory(
    directory: str | os.PathLike[str],
    labels: Any,
    formats: tuple[str, ...],
    class_names: Sequence[str] | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Index:
    """The files below a folder whose names end in one of `formats`.

    Args:
        directory: the folder.
        labels: "inferred" from the names of its subfolders, a sequence with a label per file, or None.
        formats: endings, lower case.
        class_names: subfolders to read, in the order of their labels; by default all, sorted.
        shuffle: shuffle as `numpy.random.RandomState(seed)` does; otherwise by folder and name.
        seed: of the order.
        follow_links: enter folders that are links.
        verbose: print how many files there are.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: `class_names` are not subfolders, or `labels` are not as many as files.
    """
    root = os.fspath(directory)
    if not os.path.isdir(root):
        raise FileNotFoundError(f"No such folder: {root!r}.")
    inferred = isinstance(labels, str) and labels == "inferred"
    folders = [""]
    if inferred:
        folders = sorted(f for f in os.listdir(root) if os.path.isdir(os.path.join(root, f)) and f[0] != ".")
        if class_names is not None:
            if not set(class_names) <= set(folders):
                raise ValueError(f"class_names: expected some of the subfolders {folders}, got {list(class_names)}.")
            folders = list(class_names)
    elif class_names is not None:
        raise ValueError('class_names can only be given with labels="inferred".')
    paths: list[str] = []
    counts: list[int] = []
    for folder in folders:
        found = list(_files(os.path.join(root, folder) if folder else root, formats, follow_links))
        paths += found
        counts.append(len(found))
    names: list[str] | None = folders
    numbers: NDArray[np.int32] | None
    if inferred:
        numbers = np.repeat(np.arange(len(folders), dtype=np.int32), counts)
    elif labels is None:
        numbers, names = None, None
    else:
        if len(labels) != len(paths):
            raise ValueError(
                f"labels: expected one per file, got {len(labels)} labels for {len(paths)} files in {root}."
            )
        numbers = np.asarray(labels, np.int32)
        names = [str(label) for label in sorted(set(labels))]
    if verbose:
        print(
            f"Found {len(paths)} files" + ("." if names is None else f" belonging to {len(names)} classes."), flush=True
        )
    if shuffle:
        order = np.arange(len(paths))
        np.random.RandomState(seed).shuffle(order)
        paths = [paths[i] for i in order]
        numbers = None if numbers is None else numbers[order]
    return Index(paths, numbers, names)


def _files(folder: str, formats: tuple[str, ...], follow_links: bool) -> Iterator[str]:
    for root, _, names in sorted(os.walk(folder, followlinks=follow_links), key=lambda step: step[0]):
        for name in sorted(names):
            if name.lower().endswith(formats):
                yield os.path.join(root, name)


def check_validation_split(validation_split: float | None, subset: str | None, shuffle: bool, seed: int | None) -> None:
    """Raises ValueError where the arguments do not make a split."""
    if validation_split and not 0 < validation_split < 1:
        raise ValueError(f"validation_split: expected a fraction between 0 and 1, got {validation_split!r}.")
    if bool(validation_split) != bool(subset):
        raise ValueError(
            f"validation_split and subset must be given together, got {validation_split!r} and {subset!r}."
        )
    if subset not in ("training", "validation", "both", None):
        raise ValueError(f'subset: expected "training", "validation" or "both", got {subset!r}.')
    if validation_split and shuffle and seed is None:
        raise ValueError("validation_split with shuffle needs a seed: without it the two subsets would overlap.")
