"""Zip archives that are read in place: nothing is extracted, and what could surprise is refused first."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import PurePosixPath

from oxiconv._core import FileFormatError

# Keras stores without compression. Deflate reaches 1032:1; honest data that someone compressed again stays far below
# this, and small members may expand as they like.
_MAX_EXPANSION = 100
_SMALL = 1 << 24
# What reading damaged archives raises.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, ValueError, EOFError, OSError, OverflowError)


def read_members(path: str, names: Iterable[str]) -> dict[str, bytes]:
    """The contents of those members of an archive that are there.

    Raises:
        FileFormatError: no archive, or one with names that leave it, twice the same name, links, encrypted members, or
            members that would expand beyond reason.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = _checked(path, archive.infolist())
            return {name: archive.read(infos[name]) for name in names if name in infos}
    except (FileFormatError, FileNotFoundError):
        raise
    except _DAMAGE as error:
        raise FileFormatError(f"{path}: damaged or not a zip archive: {error}") from error


def _checked(path: str, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if name != info.orig_filename or name in found:
            raise FileFormatError(
                f"{path}: expected each name once and plain, got {info.orig_filename!r} again or altered."
            )
        if not parts or parts[0] == "/" or ".." in parts or ":" in parts[0]:
            raise FileFormatError(f"{path}: the member {name!r} leaves the archive.")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise FileFormatError(f"{path}: the member {name!r} is a link.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FileFormatError(f"{path}: the member {name!r} is neither stored nor deflated.")
        if info.flag_bits & 1:
            raise FileFormatError(f"{path}: the member {name!r} is encrypted.")
        if info.file_size > max(_SMALL, _MAX_EXPANSION * info.compress_size):
            raise FileFormatError(
                f"{path}: the member {name!r} would expand from {info.compress_size} to {info.file_size} bytes."
            )
        found[name] = info
    return found
