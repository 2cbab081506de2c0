"""Files from URLs and archives, hostile ones too."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from oxiconv.utils import file_utils, get_file
from oxiconv.utils.file_utils import extract_archive


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    (tmp_path / "web").mkdir()
    path = tmp_path / "web" / "a b.txt"
    path.write_text("content")
    return path


SHA256, MD5 = (hashlib.new(name, b"content").hexdigest() for name in ("sha256", "md5"))


def test_downloads_once(origin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = tmp_path / "cache"
    path = get_file(origin=origin.as_uri(), cache_dir=cache)
    assert path == str(cache / "datasets" / "a b.txt")
    assert Path(path).read_text() == "content"
    assert capsys.readouterr().out == f"Downloading data from {origin.as_uri()}\n"
    origin.write_text("newer")
    assert get_file(origin=origin.as_uri(), cache_dir=cache) == path
    assert (Path(path).read_text(), capsys.readouterr().out) == ("content", "")
    get_file(origin=origin.as_uri(), cache_dir=cache, force_download=True)
    assert Path(path).read_text() == "newer"
    assert get_file("b", origin.as_uri(), cache_subdir="more", cache_dir=cache) == str(cache / "more" / "b")


@pytest.mark.parametrize("given", [{"file_hash": SHA256}, {"md5_hash": MD5}, {"file_hash": MD5.upper()}])
def test_checksums(origin: Path, tmp_path: Path, given: dict[str, Any]) -> None:
    cache = tmp_path / "cache"
    path = Path(get_file("a", origin.as_uri(), cache_dir=cache, **given))
    path.write_text("damaged")
    get_file("a", origin.as_uri(), cache_dir=cache, **given)
    assert path.read_text() == "content"
    origin.write_text("altered")
    path.unlink()
    with pytest.raises(ValueError, match=r"a%20b\.txt has another .* checksum than"):
        get_file("a", origin.as_uri(), cache_dir=cache, **given)
    assert list(path.parent.iterdir()) == []


def test_the_cache_folder(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("OXICONV_HOME", str(tmp_path / "ours"))
    assert get_file("a", origin.as_uri()) == str(tmp_path / "ours" / "datasets" / "a")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    assert get_file("a", origin.as_uri()) == str(tmp_path / "keras" / "datasets" / "a")


def test_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"could not be downloaded: .* Without a network, place the file at .*datasets/x"):
        get_file("x", (tmp_path / "absent").as_uri(), cache_dir=tmp_path)
    assert list((tmp_path / "datasets").iterdir()) == []
    with pytest.raises(OSError, match="could not be downloaded"):
        get_file("x", "http://127.0.0.1:9/x", cache_dir=tmp_path)


@pytest.mark.parametrize("name", ["../a", "a/b", ".."])
def test_names_have_no_folders(origin: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="expected a file name without folders"):
        get_file(name, origin.as_uri(), cache_dir=tmp_path)
    with pytest.raises(ValueError, match="expected a file name"):
        get_file(origin="http://host/", cache_dir=tmp_path)
    with pytest.raises(ValueError, match="expected the URL"):
        get_file(name)


def tar(members: dict[str, bytes | str], mode: str = "w:gz") -> bytes:
    """An archive of files; text is the target of a link."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize("pack", [tar, zipped])
def test_archives_are_extracted(tmp_path: Path, pack: Any) -> None:
    origin = tmp_path / "set.archive"
    origin.write_bytes(pack({"set/a.txt": b"1", "set/deep/b.txt": b"2"}))
    cache = tmp_path / "cache"
    places = {None: "set.archive", "mine": "mine", "mine.tgz": "mine_extracted"}
    for name, place in places.items():
        folder = Path(get_file(name, origin.as_uri(), extract=True, cache_dir=cache))
        assert folder == cache / "datasets" / place
        assert (folder / "set" / "deep" / "b.txt").read_bytes() == b"2"
    # What was unpacked is not unpacked again.
    (folder / "set" / "a.txt").write_text("edited")
    get_file("mine.tgz", origin.as_uri(), extract=True, cache_dir=cache)
    assert (folder / "set" / "a.txt").read_text() == "edited"


@pytest.mark.parametrize(
    "content",
    [
        tar({"good": b"", "../evil": b"x"}),
        tar({"/tmp/oxiconv-evil": b"x", "../evil": b""}),
        tar({"link": "../..", "link/evil": b"x"}),
        zipped({"good": b"", "../evil": b"x"}),
        zipped({"a/../../evil": b"x"}),
        tar({"a": b"x" * 9999}, "w")[:2000],
    ],
)
def test_hostile_archives(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(content)
    with pytest.raises(ValueError, match="archive: "):
        extract_archive(archive, tmp_path / "deep" / "folder")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["archive", "deep"]


def test_what_is_no_archive(origin: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="is no archive of the format 'auto'"):
        get_file("a", origin.as_uri(), extract=True, cache_dir=tmp_path)
    assert not extract_archive(origin, tmp_path / "x", None)
    with pytest.raises(ValueError, match=r"archive_format: expected .* got \['rar'\]"):
        extract_archive(origin, tmp_path / "x", "rar")
    with pytest.raises(ValueError, match='expected "sha256" or "md5"'):
        file_utils.hash_file(origin, "crc")
