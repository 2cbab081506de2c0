"""Data sets: glyphs are drawn the same everywhere and are hard enough; IDX files are read, fetched and refused."""

import gzip
import hashlib
import io
import os
import struct
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
from numpy.typing import NDArray

from oxiconv.cache import cache_folder
from oxiconv.datasets import _idx, fashion_mnist, glyphs, mnist
from oxiconv.datasets._idx import IdxSet

Bytes = NDArray[np.uint8]

# Glyphs


def test_glyphs_have_the_form_of_mnist() -> None:
    (x_train, y_train), (x_test, y_test) = glyphs.load_data(train=300, test=40)
    assert x_train.shape == (300, 28, 28)
    assert y_train.shape == (300,)
    assert x_test.shape == (40, 28, 28)
    assert y_test.shape == (40,)
    assert {x_train.dtype, y_train.dtype, x_test.dtype, y_test.dtype} == {np.dtype(np.uint8)}
    assert set(y_train.tolist()) == set(range(10))
    # Paper is dark, ink is bright, and every picture has both.
    assert (np.median(x_train, axis=(1, 2)) < 32).all()
    assert (x_train.max(axis=(1, 2)) > 150).all()


def test_glyphs_are_the_same_bytes_on_every_platform() -> None:
    (x_train, y_train), (x_test, y_test) = glyphs.load_data(train=500, test=100, seed=7)
    content = b"".join(part.tobytes() for part in (x_train, y_train, x_test, y_test))
    assert hashlib.sha256(content).hexdigest() == "971a82aa60114791af71997c134ad19caba7e816065ce2c139e46d17db183e24"


def test_a_longer_set_begins_with_a_shorter_one(monkeypatch: pytest.MonkeyPatch) -> None:
    (short, short_labels), _ = glyphs.load_data(train=90, test=0, seed=3)
    monkeypatch.setattr(glyphs, "_CHUNK", 64)
    (long, long_labels), (none, no_labels) = glyphs.load_data(train=130, test=0, seed=3)
    np.testing.assert_array_equal(long[:90], short)
    np.testing.assert_array_equal(long_labels[:90], short_labels)
    assert none.shape == (0, 28, 28)
    assert no_labels.shape == (0,)


def test_seeds_and_splits_differ() -> None:
    (a, _), (b, _) = glyphs.load_data(train=50, test=50, seed=0)
    (c, _), _ = glyphs.load_data(train=50, test=0, seed=1)
    assert not any(np.array_equal(p, q) for p in a for q in b)
    assert not any(np.array_equal(p, q) for p in a for q in c)


def test_labels_are_balanced() -> None:
    (_, labels), _ = glyphs.load_data(train=4000, test=0)
    # Binomial(4000, 1/10) has a standard deviation of 19: five of them.
    assert np.abs(np.bincount(labels, minlength=10) - 400).max() < 95


def test_a_linear_model_stays_below_90_percent() -> None:
    (x_train, y_train), (x_test, y_test) = glyphs.load_data()
    weights = _softmax_regression(_rows(x_train), y_train)
    # The training accuracy shows that the weights are well fitted: it is the model that is too weak.
    assert np.mean(np.argmax(_rows(x_train) @ weights, axis=1) == y_train) > 0.85
    assert 0.70 < np.mean(np.argmax(_rows(x_test) @ weights, axis=1) == y_test) < 0.90


def _rows(pictures: Bytes) -> NDArray[np.float32]:
    flat = pictures.reshape(len(pictures), -1).astype(np.float32) / np.float32(255)
    return np.concatenate([flat, np.ones((len(flat), 1), np.float32)], axis=1)


def _softmax_regression(x: NDArray[np.float32], labels: Bytes, epochs: int = 40, batch: int = 100) -> NDArray[Any]:
    """Weights of multinomial logistic regression, by Adam with a falling rate."""
    weights = np.zeros((x.shape[1], 10), np.float32)
    mean, square, step = np.zeros_like(weights), np.zeros_like(weights), 0
    random = np.random.default_rng(0)
    for epoch in range(epochs):
        order = random.permutation(len(x))
        for start in range(0, len(x), batch):
            chosen = order[start : start + batch]
            scores = x[chosen] @ weights
            chance = np.exp(scores - scores.max(axis=1, keepdims=True))
            chance /= chance.sum(axis=1, keepdims=True)
            chance[np.arange(len(chosen)), labels[chosen]] -= 1
            gradient = x[chosen].T @ chance / len(chosen)
            step += 1
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient * gradient - square)
            rate = 3e-3 * (1 - epoch / epochs)
            weights -= rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-7)
    return weights


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"train": -1}, ValueError, "train must not be negative, got -1"),
        ({"test": 1.5}, TypeError, "test must be an integer, got 1.5"),
        ({"seed": True}, TypeError, "seed must be an integer, got True"),
        ({"seed": -2}, ValueError, "seed must not be negative, got -2"),
    ],
)
def test_bad_arguments_of_glyphs(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        glyphs.load_data(**arguments)


# IDX files

NAMES = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


def _idx_bytes(values: Bytes) -> bytes:
    return struct.pack(f">{1 + values.ndim}I", 2048 + values.ndim, *values.shape) + values.tobytes()


class Small:
    """A data set of five training and three test pictures, its arrays, and the content of its files."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.arrays: dict[str, Bytes] = {}
        for part, count in (("train", 5), ("t10k", 3)):
            self.arrays[f"{part}-images-idx3-ubyte.gz"] = random.integers(0, 256, (count, 28, 28), np.uint8)
            self.arrays[f"{part}-labels-idx1-ubyte.gz"] = random.integers(0, 10, count, np.uint8)
        self.content = {name: _idx_bytes(values) for name, values in self.arrays.items()}
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in self.content.items()}
        self.set = IdxSet("small", ("https://one.invalid/", "https://two.invalid/"), sums)

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        for name, content in self.content.items():
            (folder / name).write_bytes(gzip.compress(content))

    def check(self) -> None:
        for split, part in zip(self.set.load(), ("train", "t10k"), strict=True):
            for values, kind in zip(split, ("images-idx3", "labels-idx1"), strict=True):
                expected = self.arrays[f"{part}-{kind}-ubyte.gz"]
                np.testing.assert_array_equal(values, expected)
                assert values.dtype == np.uint8
                assert values.flags.writeable


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Small:
    monkeypatch.setattr(_idx, "COUNTS", {"train": 5, "t10k": 3})
    monkeypatch.delenv("OXICONV_DATA_DIR", raising=False)
    monkeypatch.setenv("OXICONV_HOME", str(tmp_path / "home"))
    return Small()


def _no_network(url: str, timeout: float) -> io.BytesIO:
    raise URLError("no network in this test")


def test_files_are_read_from_the_data_dir(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.write(tmp_path / "data" / "small")
    monkeypatch.setenv("OXICONV_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    small.check()


def test_files_are_read_from_the_cache_folder(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.write(tmp_path / "home" / "datasets" / "small")
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    small.check()


def test_the_data_dir_decides(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.write(tmp_path / "home" / "datasets" / "small")
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("OXICONV_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    with pytest.raises(FileNotFoundError, match=r"no file train-images-idx3-ubyte.gz in .*data.small"):
        small.set.load()


def test_files_are_downloaded_once_and_checked(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def open_url(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        name = url.rsplit("/", 1)[1]
        if url.startswith("https://one."):
            # The first mirror is down, answers with a page, cuts files short, or has other content.
            if name == NAMES[0]:
                raise URLError("host not found")
            if name == NAMES[1]:
                return io.BytesIO(b"<html>moved</html>")
            if name == NAMES[2]:
                return io.BytesIO(gzip.compress(small.content[name])[:-20])
            return io.BytesIO(gzip.compress(small.content[name][:-1] + b"\0\0"))
        return io.BytesIO(gzip.compress(small.content[name]))

    monkeypatch.setattr("urllib.request.urlopen", open_url)
    small.check()
    assert asked == [f"https://{mirror}.invalid/{name}" for name in NAMES for mirror in ("one", "two")]
    assert "Downloading https://one.invalid/train-images-idx3-ubyte.gz" in capsys.readouterr().out
    folder = tmp_path / "home" / "datasets" / "small"
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)

    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    small.check()


def test_without_network_the_error_names_folder_and_files(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    with pytest.raises(FileNotFoundError) as raised:
        small.set.load()
    message = str(raised.value)
    for part in (*NAMES, str(tmp_path / "home" / "datasets" / "small"), "OXICONV_DATA_DIR", "no network in this test"):
        assert part in message
    assert list((tmp_path / "home" / "datasets" / "small").iterdir()) == []


LABELS = struct.pack(">2I", 2049, 5)


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (b"", r"holds 0 bytes, expected 13"),
        (b"\x80\x04pickle", r"not a whole gzip file"),
        (gzip.compress(LABELS + b"12345")[:-9], r"not a whole gzip file"),
        (gzip.compress(LABELS + b"12345")[:-8] + b"\0" * 8, r"not a whole gzip file.*CRC"),
        (gzip.compress(LABELS[:6]), r"holds 6 bytes, expected 13"),
        (gzip.compress(LABELS + b"123"), r"holds 11 bytes, expected 13"),
        (gzip.compress(LABELS + b"1" * 10_000_000), r"holds more than 13 bytes, expected 13"),
        (gzip.compress(struct.pack(">2I", 2051, 5) + b"12345"), r"IDX header \(2051, 5\), expected \(2049, 5\)"),
        (gzip.compress(struct.pack(">2I", 2049, 4_000_000_000) + b"1"), r"header \(2049, 4000000000\), expected"),
        (gzip.compress(LABELS + b"12345"), r"altered content: SHA-256 [0-9a-f]{64}, expected"),
    ],
)
def test_bad_files_are_refused(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bytes, message: str
) -> None:
    folder = tmp_path / "data" / "small"
    small.write(folder)
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(packed)
    monkeypatch.setenv("OXICONV_DATA_DIR", str(tmp_path / "data"))
    with pytest.raises(ValueError, match=message) as raised:
        small.set.load()
    assert "train-labels-idx1-ubyte.gz" in str(raised.value)


@pytest.mark.skipif("OXICONV_DATA_DIR" not in os.environ, reason="OXICONV_DATA_DIR is not set: no full data sets")
@pytest.mark.parametrize(
    ("module", "mean", "counts"),
    [
        # Fashion-MNIST's published mean is 0.2860406, MNIST's 0.1306605.
        (mnist, 0.1306605, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
        (fashion_mnist, 0.2860406, [6000] * 10),
    ],
    ids=["mnist", "fashion_mnist"],
)
def test_real_sets(module: Any, mean: float, counts: list[int]) -> None:
    (x_train, y_train), (x_test, y_test) = module.load_data()
    assert x_train.shape == (60000, 28, 28)
    assert x_test.shape == (10000, 28, 28)
    assert y_test.shape == (10000,)
    assert np.bincount(y_train).tolist() == counts
    assert float(x_train.mean()) / 255 == pytest.approx(mean, abs=1e-7)


# The cache folder


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "~/.cache/oxiconv"),
        ("linux", {"XDG_CACHE_HOME": "/big/cache"}, "/big/cache/oxiconv"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "~/.cache/oxiconv"),
        ("darwin", {"XDG_CACHE_HOME": "/big/cache"}, "~/Library/Caches/oxiconv"),
        ("win32", {}, "~/AppData/Local/oxiconv/Cache"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/oxiconv/Cache"),
        ("linux", {"OXICONV_HOME": "/own"}, "/own"),
        ("win32", {"OXICONV_HOME": "~/own"}, "~/own"),
    ],
)
def test_cache_folder(monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], expected: str) -> None:
    for name in ("OXICONV_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path(expected).expanduser()


def test_mnist_of_a_file_of_keras(tmp_path: Path) -> None:
    """The archive that Keras keeps, by its absolute path."""
    x, y = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28), np.array([3, 7], np.uint8)
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
    (x_train, y_train), (x_test, y_test) = mnist.load_data(str(tmp_path / "mnist.npz"))
    np.testing.assert_array_equal(x_train, x)
    np.testing.assert_array_equal(y_train, y)
    assert (x_test.shape, y_test.tolist()) == ((1, 28, 28), [3])
