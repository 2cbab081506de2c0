"""Files from the network: downloaded once, checked, and unpacked."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any, Final

from oxiconv.cache import cache_folder
from oxiconv.utils.progbar import Progbar

_TIMEOUT: Final = 30.0  # seconds without a byte from the server
_BLOCK: Final = 1 << 16


def get_file(
    fname: str | os.PathLike[str] | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | list[str] | None = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """The path of a file from a URL, downloaded unless it is in the cache already.

    Args:
        fname: name in the cache, without folders; by default that of the URL. Where an archive is extracted, the name
            of its folder.
        origin: the URL.
        untar: `extract` with `archive_format="tar"`.
        md5_hash: `file_hash` with `hash_algorithm="md5"`.
        file_hash: hexadecimal checksum of the file; a file in the cache that has another is downloaded anew.
        cache_subdir: folder in the cache; an absolute path is taken as it is.
        hash_algorithm: "sha256", "md5", or "auto" to tell by the length.
        extract: unpack the archive.
        archive_format: "tar" (also compressed), "zip", a list of them, "auto" for both, None for neither.
        cache_dir: the cache; by default what the environment variable `KERAS_HOME` names, or `cache.cache_folder()`.
        force_download: download in any case.

    Returns:
        The path of the file; with `extract`, that of the folder with what was in it.

    Raises:
        OSError: the file cannot be downloaded; the message says where it may be placed instead.
        ValueError: no name or URL, another checksum, or an archive with a path out of its folder.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pathlib.Path(folder, "a.txt").write_text("hello") and None
    ...     path = get_file("b.txt", pathlib.Path(folder, "a.txt").as_uri(), cache_dir=folder)  # doctest: +ELLIPSIS
    ...     pathlib.Path(path).read_text()
    Downloading data from file:///...a.txt
    'hello'
    """
    if origin is None:
        raise ValueError("get_file: expected the URL of the file as origin.")
    name = _name(fname, origin)
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    base = Path(cache_dir) if cache_dir is not None else Path(os.environ.get("KERAS_HOME") or cache_folder())
    folder = base.expanduser() / cache_subdir
    extract = extract or untar
    target = folder / name
    unpacked = folder / name
    if extract and fname and "." in name:
        unpacked = folder / f"{name[: name.find('.')]}_extracted"
    elif extract:
        target = folder / f"{name}_archive"
    download = force_download or not target.exists()
    if not download and file_hash is not None and not validate_file(target, file_hash, hash_algorithm):
        print(f"{target} has another {hash_algorithm} checksum than {file_hash}: it is downloaded anew.", flush=True)
        download = True
    if download:
        folder.mkdir(parents=True, exist_ok=True)
        _download(origin, target, file_hash, hash_algorithm)
    if not extract:
        return str(target)
    if (download or not unpacked.exists()) and not extract_archive(
        target, unpacked, "tar" if untar else archive_format
    ):
        warnings.warn(f"get_file: {target} is no archive of the format {archive_format!r}.", stacklevel=2)
    return str(unpacked)


def _name(fname: str | os.PathLike[str] | None, origin: str) -> str:
    from urllib.parse import unquote, urlsplit

    name = os.fspath(fname) if fname else unquote(urlsplit(origin).path).rsplit("/", 1)[-1]
    if not name or name in (".", "..") or "/" in name or os.sep in name:
        raise ValueError(f"get_file: expected a file name without folders, got {name!r}; the folder is cache_dir's.")
    return name


def _download(origin: str, target: Path, file_hash: str | None, algorithm: str) -> None:
    """Downloads to a file beside the target, which it becomes when it is whole and its checksum right."""
    from urllib.request import urlopen

    print(f"Downloading data from {origin}", flush=True)
    handle, temporary = tempfile.mkstemp(prefix=target.name, suffix=".part", dir=target.parent)
    try:
        try:
            with urlopen(origin, timeout=_TIMEOUT) as answer, os.fdopen(handle, "wb") as file:
                size = answer.headers.get("Content-Length")
                expected = int(size) if size and size.isdigit() else None
                progress = Progbar(expected) if expected and expected > _BLOCK else None
                done = 0
                while block := answer.read(_BLOCK):
                    file.write(block)
                    done += len(block)
                    if progress is not None:
                        progress.update(min(done, expected or done))
        except OSError as error:
            raise OSError(
                f"get_file: {origin} could not be downloaded: {error}. Without a network, place the file at {target}."
            ) from error
        if expected is not None and done != expected:
            raise OSError(f"get_file: {origin} ended after {done} of {expected} bytes.")
        if file_hash is not None and not validate_file(temporary, file_hash, algorithm):
            raise ValueError(f"get_file: {origin} has another {algorithm} checksum than {file_hash}.")
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def hash_file(fpath: str | os.PathLike[str], algorithm: str = "sha256", chunk_size: int = _BLOCK) -> str:
    """The hexadecimal checksum of a file: "sha256" or "md5"."""
    if algorithm not in ("sha256", "md5"):
        raise ValueError(f'Checksum: expected "sha256" or "md5", got {algorithm!r}.')
    digest = hashlib.new(algorithm)
    with open(fpath, "rb") as file:
        while block := file.read(chunk_size):
            digest.update(block)
    return digest.hexdigest()


def validate_file(
    fpath: str | os.PathLike[str], file_hash: str, algorithm: str = "auto", chunk_size: int = _BLOCK
) -> bool:
    """Whether a file has a checksum; "auto" tells sha256 and md5 by their lengths."""
    if algorithm == "auto":
        algorithm = "sha256" if len(file_hash) == 64 else "md5"
    return hash_file(fpath, algorithm, chunk_size) == file_hash.lower()


def extract_archive(
    file_path: str | os.PathLike[str], path: str | os.PathLike[str] = ".", archive_format: Any = "auto"
) -> bool:
    """Unpacks a tar archive (also compressed) or a zip archive.

    What would land outside of the folder is an error, as are links out of it and special files.

    Args:
        file_path: the archive.
        path: the folder, made if absent. What an archive that fails has left there is removed.
        archive_format: "tar", "zip", a list of them, "auto" for both, None for neither.

    Returns:
        Whether it is such an archive.

    Raises:
        ValueError: a path that leads out of the folder, or a damaged archive.
    """
    formats = {"auto": ["tar", "zip"], None: []}.get(
        archive_format if isinstance(archive_format, str | None) else "", archive_format
    )
    formats = [formats] if isinstance(formats, str) else formats
    if unknown := set(formats) - {"tar", "zip"}:
        raise ValueError(f'archive_format: expected "tar", "zip", "auto" or None, got {sorted(unknown)}.')
    if "tar" in formats and tarfile.is_tarfile(file_path):
        unpack = _unpack_tar
    elif "zip" in formats and zipfile.is_zipfile(file_path):
        unpack = _unpack_zip
    else:
        return False
    folder = Path(path)
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        unpack(Path(file_path), folder)
    except BaseException as error:
        if new:
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, tarfile.TarError | zipfile.BadZipFile | EOFError):
            raise ValueError(f"{file_path}: {error}") from error
        raise
    return True


def _unpack_tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as file:
        # The filter refuses paths and links out of the folder, absolute ones, and devices.
        file.extractall(folder, filter="data")


def _unpack_zip(archive: Path, folder: Path) -> None:
    root = folder.resolve()
    with zipfile.ZipFile(archive) as file:
        for name in file.namelist():
            # `extractall` would quietly rename such a member.
            if Path(name).is_absolute() or not (root / name).resolve().is_relative_to(root):
                raise ValueError(f"{archive}: the member {name!r} would land outside of {folder}.")
        file.extractall(folder)
