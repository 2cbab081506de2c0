"""Any bytes anywhere in a file, and any value in its configuration: it loads, or raises the one error."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oxiconv import FileFormatError, saving
from small_files import X, network, write


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
