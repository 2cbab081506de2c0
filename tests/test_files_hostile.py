"""Files that are damaged or meant to harm: each gets a clear error that names the file, and nothing else happens."""

import io
import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from oxiconv import FileFormatError, saving
from small_files import X, network, refused, write

# Archives.


def add(name: str, mode: int = 0o644) -> Callable[[zipfile.ZipFile], None]:
    def apply(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, b"/etc/passwd")

    return apply


def bomb(archive: zipfile.ZipFile) -> None:
    archive.writestr("assets/zeros", bytes(1 << 25), zipfile.ZIP_DEFLATED)


def twice(archive: zipfile.ZipFile) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", b"{}")


ARCHIVES: dict[str, tuple[Callable[[zipfile.ZipFile], None], str]] = {
    "zip slip": (add("../../evil"), "leaves the archive"),
    "zip slip inside": (add("assets/../../evil"), "leaves the archive"),
    "absolute": (add("/etc/evil"), "leaves the archive"),
    "backslashes": (add("..\\..\\evil"), "leaves the archive"),
    "drive": (add("C:/evil"), "leaves the archive"),
    "link": (add("assets/link", stat.S_IFLNK | 0o777), "is a link"),
    "bomb": (bomb, "would expand from .* to 33554432 bytes"),
    "twice the same name": (twice, "each name once"),
    "other compression": (lambda a: a.writestr("x", b"x" * 100, zipfile.ZIP_BZIP2), "neither stored nor deflated"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives(tmp_path: Path, members: dict[str, bytes], kind: str) -> None:
    path = tmp_path / "m.keras"
    write(path, members)
    damage, message = ARCHIVES[kind]
    with zipfile.ZipFile(path, "a") as archive:
        damage(archive)
    refused(path, message)
    assert [p.name for p in tmp_path.iterdir()] == ["m.keras"]


@pytest.mark.parametrize("missing", ["config.json", "model.weights.h5"])
def test_missing_members(tmp_path: Path, members: dict[str, bytes], missing: str) -> None:
    write(tmp_path / "m.keras", {name: data for name, data in members.items() if name != missing})
    refused(tmp_path / "m.keras", f"{missing} is missing")


@pytest.mark.parametrize("keep", [0, 0.01, 0.5, 0.9, 0.999])
def test_truncated_archives(tmp_path: Path, members: dict[str, bytes], keep: float) -> None:
    path = tmp_path / "m.keras"
    write(path, members)
    contents = path.read_bytes()
    path.write_bytes(contents[: int(keep * len(contents))])
    refused(path, "damaged or not a zip archive")


def test_declared_sizes_are_not_believed(tmp_path: Path, members: dict[str, bytes]) -> None:
    """A member that claims to be larger or smaller than it is fails its checksum or its end."""
    path = tmp_path / "m.keras"
    for size in (10, 1 << 23):
        write(path, members)
        contents = bytearray(path.read_bytes())
        entry = contents.rindex(b"model.weights.h5") - 46  # in the central directory
        assert contents[entry : entry + 4] == b"PK\x01\x02"
        contents[entry + 20 : entry + 28] = size.to_bytes(4, "little") * 2
        path.write_bytes(bytes(contents))
        refused(path, r"m\.keras")


# Configurations.

Edit = Callable[[dict[str, Any]], Any]


def layer(index: int, **changes: Any) -> Edit:
    def apply(config: dict[str, Any]) -> None:
        config["config"]["layers"][index]["config"].update(changes)

    return apply


def entry(index: int, **changes: Any) -> Edit:
    return lambda config: config["config"]["layers"][index].update(changes)


LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAA", "defaults": None, "closure": None}}
MORE = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1, "name": "more"}}
CONFIGS: dict[str, tuple[Edit | bytes, str]] = {
    "no json": (b"{", "config.json"),
    "no object": (b"[]", "expected a JSON object"),
    "not UTF-8": (b'{"class_name": "\xff"}', "config.json"),
    "deep": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "config.json"),
    "deep within a layer": (layer(1, units=json.loads("[" * 900 + "]" * 900)), "architecture"),
    "a huge layer": (layer(1, units=10**9), "larger than the file could fill"),
    "a huge layer, unbuilt": (lambda c: (layer(1, units=10**9)(c), c.pop("build_config")), "larger than the file"),
    "an impossible layer": (layer(1, units=10**30), "architecture"),
    "a negative layer": (layer(1, units=-1), "architecture"),
    "a huge input": (layer(0, batch_shape=[None, 10**12]), "architecture"),
    "a huge build shape": (entry(1, build_config={"input_shape": [None, 10**12]}), "larger than the file could fill"),
    "NaN as a name": (layer(1, name=float("nan")), "architecture"),
    "a number as a name": (layer(1, name=3), "architecture"),
    "a path as a name": (layer(1, name="a/b"), "without '/'"),
    "NaN as a class": (entry(1, class_name=float("nan")), "string as class_name"),
    "an unknown class": (entry(1, class_name="Popen", module="subprocess"), "Unknown object 'Popen'"),
    "a function of the system": (
        layer(
            1, activation={"class_name": "function", "config": "system", "module": "os", "registered_name": "system"}
        ),
        "Unknown object 'system'",
    ),
    "a file function as activation": (
        layer(1, activation={"class_name": "function", "config": "load_model", "module": "keras.saving"}),
        "Unknown object 'load_model'",
    ),
    "a private module": (entry(1, class_name="Layer", module="keras.src.saving"), "Unknown object 'Layer'"),
    "bytecode": (
        entry(1, class_name="Lambda", config={"name": "f", "function": LAMBDA}),
        r"Lambda 'f': .*bytecode.*never run.*custom_objects",
    ),
    "bytecode as activation": (layer(1, activation=LAMBDA), "bytecode"),
    "bytecode as initializer": (layer(1, kernel_initializer=LAMBDA), "bytecode"),
    "an array of objects": (
        layer(1, kernel_initializer={"class_name": "__numpy__", "config": {"value": [1], "dtype": "object"}}),
        "array",
    ),
    "layers is a number": (lambda c: c["config"].update(layers=3), "architecture"),
    "layers are numbers": (lambda c: c["config"].update(layers=[1, None]), "architecture"),
    "a layer twice": (lambda c: c["config"]["layers"].append(c["config"]["layers"][1]), "architecture"),
    "no model": (
        lambda c: c.update(class_name="Dense", module="keras.layers", config={"units": 1}),
        "expected a model",
    ),
    "compile is a list": (lambda c: c.update(compile_config=[1]), "compile"),
    "an unknown loss": (lambda c: c["compile_config"].update(loss="malice"), "compile: .*malice.*compile=False"),
    "an optimizer of numbers": (lambda c: c["compile_config"].update(optimizer=7), "compile"),
    "a huge metric": (
        lambda c: c["compile_config"].update(
            metrics=[{"module": "keras.metrics", "class_name": "MeanIoU", "config": {"num_classes": 10**6}}]
        ),
        "compile",
    ),
    "another width": (layer(2, units=3), r"shape \(4, 2\) in the file, \(4, 3\) in the model"),
    "a layer more": (lambda c: c["config"]["layers"].append(MORE), "'more' .* has 2 variables, the file has 0"),
}


def with_config(members: dict[str, bytes], edit: Edit | bytes) -> dict[str, bytes]:
    if isinstance(edit, bytes):
        return {**members, "config.json": edit}
    config = json.loads(members["config.json"])
    edit(config)
    return {**members, "config.json": json.dumps(config).encode()}


@pytest.mark.parametrize("kind", CONFIGS)
def test_configurations(tmp_path: Path, members: dict[str, bytes], kind: str) -> None:
    edit, message = CONFIGS[kind]
    write(tmp_path / "m.keras", with_config(members, edit))
    refused(tmp_path / "m.keras", message)


def test_lambdas_are_given_by_the_caller(tmp_path: Path, members: dict[str, bytes]) -> None:
    """Bytecode stays where it is: the function for a layer comes from custom_objects, whatever safe_mode says."""
    edit = entry(2, class_name="Lambda", config={"name": "f", "function": LAMBDA}, build_config=None)
    changed = with_config(members, edit)
    config = json.loads(changed["config.json"])
    config["compile_config"] = None
    with h5py.File(io.BytesIO(changed["model.weights.h5"])) as file:
        kernel, bias = (file[f"layers/dense/vars/{i}"][()] for i in (0, 1))
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as other:
            file.copy("layers/dense", other.create_group("layers"))
    write(
        tmp_path / "m.keras",
        {"config.json": json.dumps(config).encode(), "model.weights.h5": buffer.getvalue()},
    )
    with pytest.raises(FileFormatError, match="never run"):
        saving.load_model(tmp_path / "m.keras", safe_mode=False)
    model = saving.load_model(tmp_path / "m.keras", custom_objects={"f": lambda x: x * 2.0})
    np.testing.assert_allclose(model.predict(X, verbose=0), (X @ kernel + bias) * 2, rtol=1e-5, atol=1e-6)


# Other formats, and the missing package.


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("resnet20.th", r"pickle.*safetensors\.torch\.save_file"),
        ("m.pt", r"pickle.*safetensors\.torch\.save_file"),
        ("m.pkl", r"[Uu]npickling.*safetensors\.numpy\.save_file"),
        ("m.npy", r"allow_pickle=False"),
        ("m.weights.json", r"\.weights\.h5"),
    ],
)
def test_other_formats_are_refused_with_advice(tmp_path: Path, name: str, advice: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04cposix\nsystem\n")
    with pytest.raises(ValueError, match=advice):
        network().load_weights(tmp_path / name)
    with pytest.raises(ValueError, match=advice):
        saving.load_model(tmp_path / name)


def test_pickles_under_other_names(tmp_path: Path) -> None:
    for name in ("m.keras", "m.h5", "m.weights.h5", "m.safetensors"):
        path = tmp_path / name
        path.write_bytes(b"\x80\x04cposix\nsystem\n(S'touch evil'\ntR.")
        with pytest.raises(FileFormatError, match=name):
            network().load_weights(path)


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    model.save(tmp_path / "m.keras")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    for call in (
        lambda: model.save(tmp_path / "n.keras"),
        lambda: model.save(tmp_path / "n.h5"),
        lambda: model.save_weights(tmp_path / "n.weights.h5"),
        lambda: model.load_weights(tmp_path / "m.keras"),
        lambda: saving.load_model(tmp_path / "m.keras"),
    ):
        with pytest.raises(ImportError, match=r"pip install 'oxiconv\[h5\]'"):
            call()
    assert [p.name for p in tmp_path.iterdir()] == ["m.keras"]
    model.save(tmp_path / "m.safetensors")  # needs no other package
    saving.load_model(tmp_path / "m.safetensors")


def test_a_folder_is_read_like_an_archive(tmp_path: Path, members: dict[str, bytes]) -> None:
    folder = tmp_path / "model"
    model = network()
    model.save(folder, zipped=False)
    np.testing.assert_array_equal(saving.load_model(folder).predict(X, verbose=0), model.predict(X, verbose=0))
    (folder / "model.weights.h5").write_bytes(b"")
    with pytest.raises(FileFormatError, match=r"model\.weights\.h5"):
        saving.load_model(folder)
    (folder / "config.json").unlink()
    with pytest.raises(FileFormatError, match=r"config\.json is missing"):
        saving.load_model(folder)
    shutil.rmtree(folder)
    with pytest.raises(ValueError, match="name of a folder"):
        model.save(tmp_path / "m.keras", zipped=False)
