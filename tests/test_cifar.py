"""CIFAR-10 and CIFAR-100 in the forms in which they are kept."""

import hashlib
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxiconv import config
from oxiconv.datasets import cifar10, cifar100
from oxiconv.images import write_image

RNG = np.random.default_rng(0)
COUNT = 6  # pictures of a small batch
PIXELS = {name: RNG.integers(0, 256, (COUNT, 3072), np.uint8) for name in cifar10._SHA256}
LABELS = {name: RNG.integers(0, 10, COUNT).astype(np.uint8) for name in cifar10._SHA256}
BINARY = {name: np.concatenate([LABELS[name][:, None], PIXELS[name]], 1).tobytes() for name in PIXELS}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Batches of a few pictures, with their own checksums."""
    monkeypatch.setattr(cifar10, "_COUNT", COUNT)
    monkeypatch.setattr(cifar10, "_SHA256", {n: hashlib.sha256(b).hexdigest() for n, b in BINARY.items()})
    monkeypatch.setenv("OXICONV_DATA_DIR", str(tmp_path))


def write(folder: Path, form: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in PIXELS.items():
        if form == "binary":
            (folder / f"{name}.bin").write_bytes(BINARY[name])
        elif form == "python":
            batch = {b"data": pixels, b"labels": LABELS[name].tolist(), b"batch_label": b"x"}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
        else:
            sheet = pixels.reshape(2, 3, 3, 32, 32).transpose(0, 3, 1, 4, 2).reshape(64, 96, 3)
            write_image(folder / f"{name}.webp", sheet)
            lines = (f"{label},picture {i}.png\n" for i, label in enumerate(LABELS[name]))
            (folder / f"{name}.csv").write_text("".join(lines).replace(" ", "_"))


@pytest.mark.parametrize("form", ["binary", "python", "sheet"])
def test_cifar10_forms(tmp_path: Path, form: str) -> None:
    write(tmp_path / "cifar10", form)
    (x_train, y_train), (x_test, y_test) = cifar10.load_data()
    assert (x_train.shape, y_train.shape) == ((5 * COUNT, 32, 32, 3), (5 * COUNT, 1))
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    for i in range(5):
        name = f"data_batch_{i + 1}"
        planes = x_train[i * COUNT : (i + 1) * COUNT].transpose(0, 3, 1, 2).reshape(COUNT, -1)
        np.testing.assert_array_equal(planes, PIXELS[name])
        np.testing.assert_array_equal(y_train[i * COUNT : (i + 1) * COUNT, 0], LABELS[name])
    np.testing.assert_array_equal(y_test[:, 0], LABELS["test_batch"])
    np.testing.assert_array_equal(x_test[..., 1].reshape(COUNT, -1), PIXELS["test_batch"][:, 1024:2048])


def test_channels_first(tmp_path: Path) -> None:
    write(tmp_path / "cifar10", "binary")
    config.set_image_data_format("channels_first")
    try:
        (x_train, _), _ = cifar10.load_data()
    finally:
        config.set_image_data_format("channels_last")
    assert x_train.shape == (5 * COUNT, 3, 32, 32)
    np.testing.assert_array_equal(x_train[0].ravel(), PIXELS["data_batch_1"][0])


def test_altered_cut_and_absent_files(tmp_path: Path) -> None:
    folder = tmp_path / "cifar10"
    with pytest.raises(FileNotFoundError, match=r"no file data_batch_1\.bin, data_batch_1\.webp or data_batch_1 in"):
        cifar10.load_data()
    write(folder, "binary")
    (folder / "data_batch_2.bin").write_bytes(BINARY["data_batch_1"])
    with pytest.raises(ValueError, match=r"data_batch_2\.bin has altered content: SHA-256"):
        cifar10.load_data()
    (folder / "data_batch_2.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match=rf"data_batch_2\.bin holds 1 bytes, expected {COUNT * 3073}"):
        cifar10.load_data()


class _Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("evil",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({b"data": _Evil()}),
        pickle.dumps({b"data": np.zeros((2, 5)), b"labels": [1, 2]}),
        pickle.dumps([1]),
        pickle.dumps({b"labels": [1]}),
        pickle.dumps({b"data": PIXELS["test_batch"], b"labels": [1, 2]}),
        pickle.dumps({b"data": PIXELS["test_batch"], b"labels": [-1] * COUNT}),
        b"",
        b"\x80",
    ],
    ids=["code", "shape", "list", "no pictures", "few labels", "negative", "empty", "cut"],
)
def test_pickles_run_no_code(tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "cifar10", "python")
    (tmp_path / "cifar10" / "data_batch_3").write_bytes(content)
    with pytest.raises(ValueError, match=r"data_batch_3 is no batch of CIFAR"):
        cifar10.load_data()
    assert not Path("evil").exists()


def test_the_cache_has_the_folders_of_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "cifar-10-batches-py", "python")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.delenv("OXICONV_DATA_DIR")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(cifar10, "_ARCHIVE", (tmp_path / "a.tar.gz").as_uri())
    with pytest.raises(ValueError, match="has another auto checksum"):
        cifar10.load_data()
    digest = hashlib.sha256((tmp_path / "a.tar.gz").read_bytes()).hexdigest()
    monkeypatch.setattr(cifar10, "_ARCHIVE_SHA256", digest)
    (_, y_train), _ = cifar10.load_data()
    np.testing.assert_array_equal(y_train[:COUNT, 0], LABELS["data_batch_1"])
    unpacked = tmp_path / "keras" / "datasets" / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    assert (unpacked / "test_batch").exists()


@pytest.mark.parametrize("form", ["binary", "python"])
def test_cifar100(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar100, "_COUNTS", {"train": COUNT, "test": COUNT})
    folder = tmp_path / "cifar100"
    folder.mkdir()
    labels = RNG.integers(0, 20, (COUNT, 2)).astype(np.uint8)
    pixels = PIXELS["data_batch_1"]
    for name in ("train", "test"):
        if form == "binary":
            (folder / f"{name}.bin").write_bytes(np.concatenate([labels, pixels], 1).tobytes())
        else:
            batch = {b"data": pixels, b"coarse_labels": labels[:, 0].tolist(), b"fine_labels": labels[:, 1].tolist()}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    for mode, column in (("coarse", 0), ("fine", 1)):
        (x_train, y_train), (_, y_test) = cifar100.load_data(mode)
        np.testing.assert_array_equal(y_train, labels[:, column : column + 1])
        np.testing.assert_array_equal(y_test, y_train)
        np.testing.assert_array_equal(x_train.transpose(0, 3, 1, 2).reshape(COUNT, -1), pixels)
    with pytest.raises(ValueError, match='must be "fine" or "coarse", got \'all\''):
        cifar100.load_data("all")
    (folder / ("train.bin" if form == "binary" else "train")).unlink()
    with pytest.raises(FileNotFoundError, match=r"no file train\.bin or train in"):
        cifar100.load_data()
