"""HDF5 files through h5py, an optional package: read with every link, shape and size checked before data is."""

from __future__ import annotations

import contextlib
import io
import math
import mmap
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oxiconv._core import FileFormatError, OxiconvError

# What one attribute may hold in HDF5; longer lists of names are split.
_ATTRIBUTE_LIMIT = 64512


def require_h5py(what: str) -> Any:
    """The module h5py.

    Raises:
        ImportError: it is not installed; says how to get it.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{what} needs h5py. Install it with: pip install 'oxiconv[h5]'") from error
    return h5py


class Group:
    """A group of a file that is read: its members by name, none of them by a link that leaves the file."""

    def __init__(self, group: Any, label: str, path: str, size: int) -> None:
        self._group = group
        self.label = label
        self.path = path
        self._size = size

    def _fail(self, name: str, problem: str) -> FileFormatError:
        return FileFormatError(f"{self.label}: {f'{self.path}/{name}'.strip('/')}: {problem}.")

    def __contains__(self, name: str) -> bool:
        return self._group.get(name, getlink=True) is not None

    def names(self) -> list[str]:
        """The names of the members.

        Raises:
            FileFormatError: a name is not UTF-8.
        """
        names = list(self._group.keys())
        for name in names:
            self._check_name(name)
        return names

    def _check_name(self, name: Any) -> None:
        """h5py gives names that are not UTF-8 as bytes, or with surrogates."""
        try:
            name.encode("utf-8")
        except (AttributeError, UnicodeEncodeError):
            raise self._fail(ascii(name), "expected a name in UTF-8") from None

    def _member(self, name: str) -> Any:
        import h5py

        self._check_name(name)
        link = self._group.get(name, getlink=True)
        if link is None:
            raise self._fail(name, "is missing")
        if not isinstance(link, h5py.HardLink):
            raise self._fail(name, f"links to elsewhere ({type(link).__name__}), which is not followed")
        return self._group[name]

    def group(self, path: str) -> Group:
        """The group at a path below this one."""
        import h5py

        found = self
        for name in path.split("/"):
            member = found._member(name)
            if not isinstance(member, h5py.Group):
                raise found._fail(name, f"expected a group, got {type(member).__name__}")
            found = Group(member, self.label, f"{found.path}/{name}".strip("/"), self._size)
        return found

    def find(self, path: str) -> Group | None:
        """The group at a path below this one, or None."""
        found: Group = self
        for name in path.split("/"):
            if name not in found:
                return None
            found = found.group(name)
        return found

    def dataset(self, path: str) -> Dataset:
        """The dataset at a path below this group, checked: it is whole, plain, and within this file."""
        import h5py

        parent, _, name = path.rpartition("/")
        home = self.group(parent) if parent else self
        data = home._member(name)
        if not isinstance(data, h5py.Dataset):
            raise home._fail(name, f"expected a dataset, got {type(data).__name__}")
        if data.external or data.is_virtual:
            raise home._fail(name, "is stored in another file, which is not followed")
        if data.shape is None:
            raise home._fail(name, "is empty")
        marked = str(data.attrs.get("dtype", "")) == "bfloat16"
        if not (data.dtype.kind in "biuf" or (marked and data.dtype.itemsize == 2)):
            raise home._fail(name, f"expected numbers, got {data.dtype}")
        if data.id.get_create_plist().get_nfilters():
            raise home._fail(name, "is compressed or filtered; Keras writes plain data. Save it anew without filters")
        stored, wanted = data.id.get_storage_size(), math.prod(data.shape) * data.dtype.itemsize
        if wanted > stored or wanted > self._size:
            raise home._fail(name, f"declares {wanted} bytes (shape {data.shape}), the file has {stored} of them")
        return Dataset(data, f"{home.path}/{name}".strip("/"), marked)

    def text(self, name: str) -> str | None:
        """A text attribute, or None."""
        value = self._attribute(name)
        if value is None or isinstance(value, str):
            return value
        if not isinstance(value, bytes):
            raise self._fail(f"@{name}", f"expected text, got {type(value).__name__}")
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._fail(f"@{name}", f"expected UTF-8: {error}") from None

    def number(self, name: str) -> int | None:
        """An integer attribute, or None."""
        value = self._attribute(name)
        if value is not None and not isinstance(value, int | np.integer):
            raise self._fail(f"@{name}", f"expected an integer, got {type(value).__name__}")
        return None if value is None else int(value)

    def texts(self, name: str) -> list[str]:
        """A list of names in an attribute, or in several that are numbered."""
        if name in self._group.attrs:
            parts = [name]
        else:
            parts = []
            while f"{name}{len(parts)}" in self._group.attrs:
                parts.append(f"{name}{len(parts)}")
        found: list[str] = []
        for part in parts:
            value = self._attribute(part)
            if not isinstance(value, np.ndarray) or value.ndim != 1:
                raise self._fail(f"@{part}", "expected a list of names")
            for item in value:
                text = item.decode("utf-8", "strict") if isinstance(item, bytes) else item
                if not isinstance(text, str):
                    if value.dtype.kind == "f" and not value.size:
                        continue
                    raise self._fail(f"@{part}", f"expected names, got {item!r}")
                found.append(text)
        return found

    def _attribute(self, name: str) -> Any:
        if name not in self._group.attrs:
            return None
        import h5py

        described = self._group.attrs.get_id(name)
        # Other types, converted by HDF5's library, are where damage makes it crash.
        plain = h5py.h5t.TypeStringID | h5py.h5t.TypeIntegerID | h5py.h5t.TypeFloatID
        if not isinstance(described.get_type(), plain):
            raise self._fail(f"@{name}", f"expected text or numbers, got {described.dtype}")
        if math.prod(described.shape or ()) * described.dtype.itemsize > self._size:
            raise self._fail(f"@{name}", f"declares more than the file has (shape {described.shape})")
        return self._group.attrs[name]


class Dataset:
    """Numbers in a file, read on demand."""

    def __init__(self, data: Any, path: str, bfloat16: bool) -> None:
        self._data = data
        self._bfloat16 = bfloat16
        self.path = path
        self.shape: tuple[int, ...] = tuple(data.shape)
        self.kind = "f" if bfloat16 else str(data.dtype.kind)

    def read(self) -> NDArray[Any]:
        """The values; bfloat16 as float32."""
        values = np.empty(self.shape, self._data.dtype)
        if values.size:
            self._data.read_direct(values)
        if self._bfloat16:
            return (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        return values.astype(values.dtype.newbyteorder("="), copy=False)


@contextlib.contextmanager
def reading(source: str | bytes, label: str) -> Iterator[Group]:
    """The root of an HDF5 file, at a path or in memory, for the time of the block.

    Raises:
        FileFormatError: damaged contents, met here or within the block; names `label`.
    """
    h5py = require_h5py("Reading an HDF5 file (.keras, .h5)")
    size = len(source) if isinstance(source, bytes) else os.path.getsize(source)
    _check_heaps(source, label)
    try:
        with h5py.File(io.BytesIO(source) if isinstance(source, bytes) else source, "r") as file:
            yield Group(file, label, "", size)
    except (OxiconvError, FileNotFoundError, PermissionError):
        raise
    except (OSError, KeyError, RuntimeError, UnicodeError, MemoryError, OverflowError) as error:
        raise FileFormatError(f"{label}: damaged or not an HDF5 file: {error}") from error


def _check_heaps(source: str | bytes, label: str) -> None:
    """Walks the heaps of texts: HDF5's library never returns from one whose free space has no size.

    A collection is `GCOL`, a version, its size, then objects: number, count, size, data up to a multiple of 8. Number 0
    is the free space at the end, whose size includes its head (HDF5 File Format Specification, III.E).
    """
    with contextlib.ExitStack() as stack:
        if isinstance(source, str):
            file = stack.enter_context(open(source, "rb"))
            empty = os.fstat(file.fileno()).st_size == 0
            data: Any = b"" if empty else stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        else:
            data = source
        start = data.find(b"GCOL\x01")
        while start >= 0:
            at, end = start + 16, start + int.from_bytes(data[start + 8 : start + 16], "little")
            while at + 16 <= end and start % 8 == 0:
                number, size = (
                    int.from_bytes(data[at : at + 2], "little"),
                    int.from_bytes(data[at + 8 : at + 16], "little"),
                )
                if end > len(data) or size > end - at or (number == 0 and size < 16):
                    raise FileFormatError(
                        f"{label}: damaged: a heap of texts at {start} has an object of {size} bytes."
                    )
                at += size if number == 0 else 16 + -(-size // 8) * 8
            start = data.find(b"GCOL\x01", start + 1)


@contextlib.contextmanager
def writing(path: str) -> Iterator[Any]:
    """A new HDF5 file at a path, as h5py's `File`; equal contents give equal bytes."""
    h5py = require_h5py("Writing an HDF5 file (.keras, .h5)")
    with h5py.File(path, "w", track_times=False) as file:
        yield file


def write_names(group: Any, name: str, names: Sequence[str]) -> None:
    """Writes a list of names as an attribute, as several numbered ones if it is too long for one."""
    data = np.asarray([text.encode("utf-8") for text in names])
    parts = 1
    while any(part.nbytes > _ATTRIBUTE_LIMIT for part in np.array_split(data, parts)):
        if parts > len(names):
            raise ValueError(f"A name is too long for an HDF5 file: {max(names, key=len)[:100]!r}…")
        parts += 1
    if parts == 1:
        group.attrs[name] = data
    else:
        for i, part in enumerate(np.array_split(data, parts)):
            group.attrs[f"{name}{i}"] = part
