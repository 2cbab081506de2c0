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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import oxiconv as keras
from oxiconv import FileFormatError, layers, saving

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)


def network() -> keras.Sequential:
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, name="body"), layers.Dense(2, name="head")], name="net"
    )
    model.compile("adam", "mse")
    model.fit(X, X[:, :2], verbose=0)
    return model


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The parts of an honest `.keras` file."""
    path = tmp_path_factory.mktemp("honest") / "m.keras"
    network().save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)


def refused(path: Path, match: str) -> None:
    with pytest.raises(FileFormatError, match=match) as caught:
        saving.load_model(path)
    assert path.name in str(caught.value)


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


# Mutations.


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("legacy") / "m.h5"
    network().save(path)
    return path.read_bytes()


def survives(path: Path) -> None:
    """Loading either gives a model or raises the one error."""
    try:
        model = saving.load_model(path)
    except FileFormatError as error:
        told = str(error)
    else:
        model.predict(X, verbose=0)
        return
    assert path.name in told


FUZZ = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BYTES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8)


def mutate(contents: bytes, changes: list[tuple[float, int]]) -> bytes:
    changed = bytearray(contents)
    for place, value in changes:
        changed[int(place * len(changed))] = value
    return bytes(changed)


@pytest.mark.filterwarnings("ignore")
@FUZZ
@given(BYTES)
def test_mutated_archives(tmp_path: Path, members: dict[str, bytes], changes: list[tuple[float, int]]) -> None:
    path = tmp_path / "m.keras"
    write(path, members)
    path.write_bytes(mutate(path.read_bytes(), changes))
    survives(path)


@pytest.mark.filterwarnings("ignore")
@FUZZ
@given(BYTES)
def test_mutated_weights(tmp_path: Path, members: dict[str, bytes], changes: list[tuple[float, int]]) -> None:
    """Past the checksum of the archive."""
    weights = mutate(members["model.weights.h5"], changes)
    write(tmp_path / "m.keras", {**members, "model.weights.h5": weights})
    survives(tmp_path / "m.keras")


@pytest.mark.filterwarnings("ignore")
@FUZZ
@given(BYTES)
def test_mutated_legacy_files(tmp_path: Path, legacy: bytes, changes: list[tuple[float, int]]) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(mutate(legacy, changes))
    survives(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["class_name", "config", "x"]), inner),
    max_leaves=5,
)


@pytest.mark.filterwarnings("ignore")
@FUZZ
@given(st.randoms(use_true_random=False), VALUES)
def test_mutated_configurations(tmp_path: Path, members: dict[str, bytes], random: Any, value: Any) -> None:
    """Any value anywhere in the configuration."""
    config = json.loads(members["config.json"])
    places: list[tuple[Any, Any]] = []

    def collect(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, key))
            collect(node[key])

    collect(config)
    node, key = random.choice(places)
    node[key] = value
    write(tmp_path / "m.keras", {**members, "config.json": json.dumps(config).encode()})
    survives(tmp_path / "m.keras")


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
