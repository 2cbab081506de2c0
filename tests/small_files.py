"""Saved models that the tests of files damage."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import FileFormatError, layers, saving

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)


def network() -> keras.Sequential:
    """A trained model with layers 'body' and 'head'."""
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, name="body"), layers.Dense(2, name="head")], name="net"
    )
    model.compile("adam", "mse")
    model.fit(X, X[:, :2], verbose=0)
    return model


def write(path: Path, members: dict[str, bytes]) -> None:
    """Makes an archive."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)


def refused(path: Path, match: str) -> None:
    """Loading raises the error of files, which names the file."""
    with pytest.raises(FileFormatError, match=match) as caught:
        saving.load_model(path)
    assert path.name in str(caught.value)
