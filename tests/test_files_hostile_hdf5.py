"""HDF5 files that are damaged or meant to harm: weights, and the whole models of Keras 2."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from oxiconv import FileFormatError, saving
from small_files import network, refused, write

# HDF5.


def at(path: str, make: Callable[[h5py.Group, str], Any]) -> Callable[[h5py.File], None]:
    def apply(file: h5py.File) -> None:
        parent, _, name = path.rpartition("/")
        del file[path]
        make(file[parent], name)

    return apply


KERNEL = "layers/dense/vars/0"


def virtual(group: h5py.Group, name: str) -> None:
    layout = h5py.VirtualLayout((3, 4), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3, 4))
    group.create_virtual_dataset(name, layout)


def bad_name(group: h5py.Group, name: str) -> None:
    group.create_dataset(b"\xff\xfe", data=1.0)


HDF5: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "external link": (at(KERNEL, lambda g, n: g.__setitem__(n, h5py.ExternalLink("/etc/x.h5", "/x"))), "ExternalLink"),
    "external group": (
        at("layers/dense", lambda g, n: g.__setitem__(n, h5py.ExternalLink("/etc/x.h5", "/x"))),
        "ExternalLink",
    ),
    "soft link": (at(KERNEL, lambda g, n: g.__setitem__(n, h5py.SoftLink("/layers/dense_1/vars/0"))), "SoftLink"),
    "external storage": (
        at(KERNEL, lambda g, n: g.create_dataset(n, (3, 4), "f4", external=[("/etc/passwd", 0, 48)])),
        "another file",
    ),
    "virtual": (at(KERNEL, virtual), "another file"),
    "compressed": (at(KERNEL, lambda g, n: g.create_dataset(n, data=np.ones((3, 4), "f4"), compression=9)), "filtered"),
    "huge and empty": (at(KERNEL, lambda g, n: g.create_dataset(n, (3, 1 << 40), "f4", chunks=(1, 4))), "declares"),
    "unwritten": (at(KERNEL, lambda g, n: g.create_dataset(n, (3, 4), "f4")), "declares 48 bytes"),
    "text": (at(KERNEL, lambda g, n: g.create_dataset(n, data=np.array([b"x"]))), "expected numbers"),
    "objects": (
        at(KERNEL, lambda g, n: g.create_dataset(n, data=["x"], dtype=h5py.string_dtype())),
        "expected numbers",
    ),
    "null": (at(KERNEL, lambda g, n: g.create_dataset(n, data=h5py.Empty("f4"))), "is empty"),
    "complex": (at(KERNEL, lambda g, n: g.create_dataset(n, data=np.ones((3, 4), "c8"))), "expected numbers"),
    "integers": (at(KERNEL, lambda g, n: g.create_dataset(n, data=np.ones((3, 4), "i4"))), "another type"),
    "a group": (at(KERNEL, lambda g, n: g.create_group(n)), "expected a dataset, got Group"),
    "a dataset as group": (at("layers/dense", lambda g, n: g.create_dataset(n, data=1.0)), "expected a group"),
    "another shape": (
        at(KERNEL, lambda g, n: g.create_dataset(n, data=np.ones((4, 3), "f4"))),
        r"'body' .*'kernel' has shape \(4, 3\) in the file, \(3, 4\) in the model",
    ),
    "missing": (at(KERNEL, lambda g, n: None), "has 2 variables, the file has 1"),
    "too many": (lambda f: f.create_dataset("layers/dense/vars/2", data=1.0), "has 2 variables, the file has 3"),
    "other numbers": (at(KERNEL, lambda g, n: g.create_dataset("7", data=np.ones((3, 4), "f4"))), "variables 0 to 1"),
    "no UTF-8 as a name": (at(KERNEL, bad_name), "UTF-8"),
    "no layers": (lambda f: f.__delitem__("layers"), "variables"),
    "a bad generator": (lambda f: f["_oxiconv"].attrs.__setitem__("shuffle_count", -1), "seed and a count"),
    "a text as count": (lambda f: f["_oxiconv"].attrs.__setitem__("shuffle_count", "x"), "expected an integer"),
}


@pytest.mark.parametrize("kind", HDF5)
def test_weights(tmp_path: Path, members: dict[str, bytes], kind: str) -> None:
    damage, message = HDF5[kind]
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        damage(file)
    write(tmp_path / "m.keras", {**members, "model.weights.h5": buffer.getvalue()})
    refused(tmp_path / "m.keras", message)


def test_weights_files_change_nothing_unless_all_fits(tmp_path: Path) -> None:
    model = network()
    path = tmp_path / "m.weights.h5"
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        at("layers/dense_1/vars/1", lambda g, n: g.create_dataset(n, data=np.ones(3, "f4")))(file)
        file["layers/dense/vars/0"][...] = 9.0
    before = [w.copy() for w in model.get_weights()]
    with pytest.raises(FileFormatError, match=r"'head' .*'bias' has shape \(3,\) in the file"):
        model.load_weights(path)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match=r"'bias' has shape \(3,\).*skipped"):
        model.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(model.get_weights()[0], np.full((3, 4), 9.0, np.float32))
    np.testing.assert_array_equal(model.get_weights()[3], before[3])


@pytest.mark.parametrize("keep", [0, 0.001, 0.01, 0.5, 0.95])
@pytest.mark.parametrize("ending", ["h5", "weights.h5"])
def test_truncated_hdf5(tmp_path: Path, keep: float, ending: str) -> None:
    model = network()
    path = tmp_path / f"m.{ending}"
    (model.save if ending == "h5" else model.save_weights)(path)
    contents = path.read_bytes()
    path.write_bytes(contents[: int(keep * len(contents))])
    with pytest.raises(FileFormatError, match=f"m.{ending}"):
        saving.load_model(path) if ending == "h5" else model.load_weights(path)


# Legacy files.

LEGACY: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "no model": (lambda f: f.attrs.__delitem__("model_config"), "whole model"),
    "no json": (lambda f: f.attrs.__setitem__("model_config", b"{"), "model_config"),
    "a number": (lambda f: f.attrs.__setitem__("model_config", 3), "expected text"),
    "not UTF-8": (lambda f: f.attrs.__setitem__("model_config", np.bytes_(b"\xff\xfe")), "UTF-8"),
    "an empty object": (lambda f: f.attrs.__setitem__("model_config", b"{}"), "class_name"),
    "a list": (lambda f: f.attrs.__setitem__("model_config", b'{"class_name": "Sequential", "config": 3}'), "dict"),
    "no layers": (lambda f: f.attrs.__setitem__("model_config", b'{"class_name": "Functional", "config": {}}'), "m.h5"),
    "another class": (
        lambda f: f.attrs.__setitem__("model_config", b'{"class_name": "Dense", "config": {"units": 1}}'),
        "expected a model",
    ),
    "no names": (lambda f: f["model_weights"].attrs.__delitem__("layer_names"), "layer_names"),
    "names are numbers": (lambda f: f["model_weights"].attrs.__setitem__("layer_names", [1, 2]), "expected names"),
    "a name that leaves": (
        lambda f: f["model_weights"].attrs.__setitem__("layer_names", [b"../optimizer_weights"]),
        "is missing",
    ),
    "an unknown layer": (lambda f: f["model_weights"].attrs.__setitem__("layer_names", [b"x"]), "is missing"),
    "a layer less": (lambda f: f["model_weights"].attrs.__setitem__("layer_names", [b"body"]), "2 layers .* has 1"),
    "a weight less": (
        lambda f: f["model_weights/body"].attrs.__setitem__(
            "weight_names", f["model_weights/body"].attrs["weight_names"][:1]
        ),
        "the file has 1",
    ),
    "no training": (lambda f: f.attrs.__setitem__("training_config", b"[]"), "training_config"),
    "no optimizer": (lambda f: f.attrs.__setitem__("training_config", b"{}"), "training_config"),
}


def test_damage_that_stops_or_crashes_the_library(tmp_path: Path) -> None:
    """HDF5's own code never returns from a heap whose free space has no size, and crashes on texts of another type."""
    path = tmp_path / "m.h5"
    network().save(path)
    contents = path.read_bytes()
    heap = contents.index(b"GCOL")
    at = heap + 16
    while int.from_bytes(contents[at : at + 2], "little"):
        at += 16 + -(-int.from_bytes(contents[at + 8 : at + 16], "little") // 8) * 8
    path.write_bytes(contents[: at + 8] + bytes(8) + contents[at + 16 :])
    refused(path, "heap of texts")
    text = bytes.fromhex("1901000010000000")  # the type of a text of any length, 16 bytes long
    place = contents.index(text)
    path.write_bytes(contents[:place] + bytes.fromhex("190f000010000000") + contents[place + 8 :])
    refused(path, "expected text or numbers|damaged")


@pytest.mark.parametrize("kind", LEGACY)
def test_legacy_files(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "m.h5"
    network().save(path)
    damage, message = LEGACY[kind]
    with h5py.File(path, "r+") as file:
        damage(file)
    refused(path, message)
