"""Event files, read back by a small parser of records and protocol buffers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv.callbacks import TensorBoard
from oxiconv.callbacks.event_file import crc32c
from small_models import X, Y, classifier


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and values of a message: varints, doubles, floats and bytes."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(kind) or varint()
        raw = data[at : at + size]
        at += size
        assert len(raw) == size
        yield key >> 3, struct.unpack("<d", raw)[0] if kind == 1 else struct.unpack("<f", raw)[0] if kind == 5 else raw


def events(folder: Path) -> list[dict[int, Any]]:
    (file,) = folder.iterdir()
    data, found = file.read_bytes(), []
    assert file.name.startswith("events.out.tfevents.")
    while data:
        length, check = data[:8], data[8:12]
        size = struct.unpack("<Q", length)[0]
        body, check_of_body = data[12 : 12 + size], data[12 + size : 16 + size]
        for part, mask in ((length, check), (body, check_of_body)):
            crc = crc32c(part)
            rotated = (crc >> 15) | (crc << 17) & 0xFFFFFFFF
            assert struct.unpack("<I", mask)[0] == (rotated + 0xA282EAD8) % 2**32
        found.append(dict(fields(body)))
        data = data[16 + size :]
    assert found[0][3] == b"brain.Event:2"
    return found[1:]


def scalars(folder: Path) -> dict[tuple[str, int], float]:
    values = {}
    for event in events(folder):
        value = dict(fields(dict(fields(event[5]))[1]))
        if 2 in value:
            values[value[1].decode(), event.get(2, 0)] = value[2]
    return values


def test_crc32c() -> None:
    """RFC 3720, B.4."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(bytes([0xFF] * 32)) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_results_of_epochs_batches_and_evaluations(tmp_path: Path) -> None:
    model = classifier()
    board = TensorBoard(tmp_path, update_freq=2, write_steps_per_second=True)
    history = model.fit(X, Y, batch_size=10, epochs=3, validation_data=(X, Y), verbose=0, callbacks=[board]).history
    train, validation = scalars(tmp_path / "train"), scalars(tmp_path / "validation")
    for epoch in range(3):
        for name in ("loss", "accuracy"):
            assert train[f"epoch_{name}", epoch] == pytest.approx(history[name][epoch], rel=1e-7)
            assert validation[f"epoch_{name}", epoch] == pytest.approx(history[f"val_{name}"][epoch], rel=1e-7)
            steps = 5 * (epoch + 1)
            assert validation[f"evaluation_{name}_vs_iterations", steps] == validation[f"epoch_{name}", epoch]
        assert train["epoch_learning_rate", epoch] == pytest.approx(0.001)
        assert train["epoch_steps_per_second", epoch] > 0
    assert sorted(step for name, step in train if name == "batch_loss") == [2, 4, 6, 8, 10, 12, 14]


def test_histograms_and_the_graph(tmp_path: Path) -> None:
    model = classifier()
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[TensorBoard(tmp_path, histogram_freq=2)])
    found: dict[str, dict[int, Any]] = {}
    counted = 0
    for event in events(tmp_path / "train"):
        value = dict(fields(dict(fields(event[5]))[1]))
        if 5 in value:
            counted += 1
            found[value[1].decode()] = dict(fields(value[5]))
        if 8 in value:
            metadata = dict(fields(dict(fields(value[9]))[1]))
            assert (value[1], metadata[1]) == (b"keras", b"graph_keras_model")
            assert b"sequential" in dict(fields(value[8]))[8]
    assert counted == 2 * len(model.weights)  # after epochs 0 and 2
    for weight in model.weights:
        histogram, values = found[f"{weight.path}/histogram"], np.asarray(weight, np.float64)
        assert histogram[1] == values.min()
        assert histogram[2] == values.max()
        assert histogram[3] == values.size == np.frombuffer(histogram[7], "<f8").sum()
        assert histogram[5] == pytest.approx((values**2).sum())
        assert len(np.frombuffer(histogram[6], "<f8")) == 30


def test_what_is_absent(tmp_path: Path) -> None:
    for kwargs in ({"write_images": True}, {"embeddings_freq": 1}, {"profile_batch": (2, 4)}):
        with pytest.raises(NotImplementedError, match="TensorBoard: "):
            TensorBoard(tmp_path, **kwargs)
    with pytest.raises(ValueError, match="update_freq"):
        TensorBoard(tmp_path, update_freq="often")
    with pytest.raises(keras.AbsentError, match="ModelCheckpoint or BackupAndRestore"):
        _ = keras.callbacks.OrbaxCheckpoint
