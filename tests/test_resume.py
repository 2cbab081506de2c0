"""Trainings that are interrupted and resumed end with the bits of those that were not."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import callbacks, layers, ops
from small_models import digest

RNG = np.random.default_rng(0)
X = RNG.normal(size=(44, 8, 8, 1)).astype(np.float32)
Y = RNG.integers(0, 3, 44)


def network() -> keras.Model:
    """Random numbers, moving averages, and an optimizer with slots: all there is to lose."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.4),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 5, 0.9)
    model.compile(
        keras.optimizers.Adam(rate, use_ema=True, gradient_accumulation_steps=2),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


class Killed(Exception):
    pass


class Kill(callbacks.Callback):
    """Ends the training after so many batches in all."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


def train(source: Any, folder: Path, kill: int | None, freq: Any, **kwargs: Any) -> tuple[str, dict[str, Any]]:
    model = network()
    backup = callbacks.BackupAndRestore(folder, save_freq=freq)
    watched = [backup, *([] if kill is None else [Kill(kill)])]
    x, y = source() if callable(source) else source
    if y is not None:
        kwargs |= {"y": y, "batch_size": 5}
    history = model.fit(x, epochs=4, verbose=0, callbacks=watched, **kwargs).history
    return digest(model), history


class Dataset(keras.utils.PyDataset):
    """Reorders itself after each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.order = np.random.default_rng(5)
        self.rows = np.arange(44)

    def __len__(self) -> int:
        return 9

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        rows = self.rows[i * 5 : i * 5 + 5]
        return X[rows], Y[rows]

    def on_epoch_end(self) -> None:
        self.order.shuffle(self.rows)


def generator() -> Iterator[tuple[Any, Any]]:
    while True:
        for i in range(0, 40, 5):
            yield X[i : i + 5], Y[i : i + 5]


SOURCES: dict[str, tuple[Any, dict[str, Any]]] = {
    "arrays": ((X, Y), {"validation_split": 0.1}),
    "batches": ((X, Y), {"shuffle": "batch"}),
    "dataset": (lambda: (Dataset(), None), {}),
    "generator": (lambda: (generator(), None), {"steps_per_epoch": 7}),
    "across passes": ((X, Y), {"steps_per_epoch": 4}),
}


@pytest.mark.filterwarnings("ignore:The data ran out before 4 steps")
@pytest.mark.parametrize(
    ("name", "kill", "freq"),
    [("arrays", 12, 1), ("arrays", 12, "epoch"), ("arrays", 18, 3), *((name, 13, 4) for name in SOURCES)],
)
def test_the_same_bits(tmp_path: Path, name: str, kill: int, freq: Any) -> None:
    source, kwargs = SOURCES[name]
    whole, wanted = train(source, tmp_path / "a", None, freq, **kwargs)
    with pytest.raises(Killed):
        train(source, tmp_path / "b", kill, freq, **kwargs)
    assert (tmp_path / "b").exists() or freq == 4
    keras.utils.set_random_seed(99)
    resumed, history = train(source, tmp_path / "b", None, freq, **kwargs)
    assert resumed == whole
    # The epochs since the restart, the first of them whole.
    assert history.keys() == wanted.keys()
    for key, values in history.items():
        assert values == wanted[key][-len(values) :]
    assert not (tmp_path / "b").exists()


def test_a_killed_process(tmp_path: Path) -> None:
    """SIGKILL in the middle of an epoch, then the same script again."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, signal, sys
            sys.path.insert(0, sys.argv[3])
            from test_resume import X, Y, callbacks, digest, network
            class Kill(callbacks.Callback):
                seen = 0
                def on_train_batch_end(self, batch, logs=None):
                    Kill.seen += 1
                    if Kill.seen == int(sys.argv[2]):
                        os.kill(os.getpid(), signal.SIGKILL)
            model = network()
            backup = callbacks.BackupAndRestore(sys.argv[1], save_freq=2, double_checkpoint=True)
            model.fit(X, Y, batch_size=5, epochs=3, verbose=0, callbacks=[backup, Kill()])
            print(digest(model))
            """
        )
    )

    def run(folder: str, kill: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), str(tmp_path / folder), str(kill), str(Path(__file__).parent)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)

    whole = run("a", 0)
    assert whole.returncode == 0, whole.stderr
    assert run("b", 15).returncode == -9
    assert (tmp_path / "b" / "previous.npz").exists()
    resumed = run("b", 0)
    assert resumed.stdout == whole.stdout != ""


class Pair(keras.Model):
    """Two optimizers that the model knows as attributes, built in the first step."""

    def __init__(self) -> None:
        super().__init__()
        keras.utils.set_random_seed(1)
        self.maker = keras.Sequential([keras.Input((2,)), layers.Dense(4, activation="tanh"), layers.Dense(3)])
        self.judge = keras.Sequential([keras.Input((3,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])
        self.noise = keras.random.SeedGenerator(1)
        self.seen = keras.metrics.Mean(name="seen")

    def compile(self, a: Any, b: Any, **kwargs: Any) -> None:  # type: ignore[override]
        super().compile(**kwargs)
        self.a, self.b = a, b

    def train_step(self, real: Any) -> dict[str, Any]:
        seeds = keras.random.normal((real.shape[0], 2), seed=self.noise)
        with keras.GradientTape() as tape:
            loss = ops.mean(self.judge(self.maker(seeds))) - ops.mean(self.judge(real))
        weights = self.judge.trainable_weights
        self.a.apply(tape.gradient(loss, weights), weights)
        with keras.GradientTape() as tape:
            fooled = -ops.mean(self.judge(self.maker(seeds)))
        weights = self.maker.trainable_weights
        self.b.apply(tape.gradient(fooled, weights), weights)
        self.seen.update_state(loss)
        return {"seen": self.seen.result()}


@pytest.mark.parametrize("eagerly", [False, True])
def test_two_optimizers(tmp_path: Path, eagerly: bool) -> None:
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    results = []
    for folder, kill in (("a", None), ("b", 7), ("b", None)):
        model = Pair()
        model.compile(keras.optimizers.Adam(0.01), keras.optimizers.RMSprop(0.01), run_eagerly=eagerly)
        watched = [callbacks.BackupAndRestore(tmp_path / folder, 2), *([] if kill is None else [Kill(kill)])]
        try:
            history = model.fit(x, batch_size=4, epochs=3, verbose=0, callbacks=watched).history
            results.append((digest(model), history["seen"][-1]))
        except Killed:
            assert kill is not None
    assert results[0] == results[1]


def test_other_callbacks_go_on(tmp_path: Path) -> None:
    """Patience that was used up before the interruption stays used up."""

    def run(folder: str, kill: int | None) -> tuple[str, int]:
        model = network()
        stop = callbacks.EarlyStopping("val_loss", patience=3, min_delta=10.0, restore_best_weights=True)
        watched = [callbacks.BackupAndRestore(tmp_path / folder, 2), stop, *([] if kill is None else [Kill(kill)])]
        model.fit(X, Y, batch_size=11, epochs=9, validation_data=(X, Y), verbose=0, callbacks=watched)
        return digest(model), stop.stopped_epoch

    whole = run("a", None)
    with pytest.raises(Killed):
        run("b", 10)
    assert run("b", None) == whole
    assert whole[1] == 3


def test_what_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train((X, Y), tmp_path, 5, 2)
    other = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, activation="softmax")])
    other.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="Use the same model"):
        other.fit(X, Y, verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path)])
    file = tmp_path / "latest.npz"
    whole = file.read_bytes()
    for damaged in (
        whole[:100],
        whole[:-200],
        whole.replace(b"about", b"abaft"),
        whole[:500] + b"\0" * 80 + whole[580:],
    ):
        file.write_bytes(damaged)
        with pytest.raises(keras.FileFormatError, match="no saved training"):
            network().fit(X, Y, verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path)])
    with pytest.raises(ValueError, match="backup_dir"):
        callbacks.BackupAndRestore("")
    with pytest.raises(ValueError, match="save_freq"):
        callbacks.BackupAndRestore(tmp_path, save_freq="often")
    with pytest.raises(RuntimeError, match="callback of fit"):
        network().evaluate(X, Y, verbose=0, callbacks=[_Saving(tmp_path)])


class _Saving(callbacks.BackupAndRestore):
    def on_test_end(self, logs: Any = None) -> None:
        self.on_epoch_end(0)


def test_a_damaged_file_gives_way_to_the_one_before(tmp_path: Path) -> None:
    whole, _ = train((X, Y), tmp_path / "a", None, 2)
    model = network()
    backup = callbacks.BackupAndRestore(tmp_path / "b", save_freq=2, double_checkpoint=True)
    with pytest.raises(Killed):
        model.fit(X, Y, batch_size=5, epochs=4, verbose=0, callbacks=[backup, Kill(11)])
    (tmp_path / "b" / "latest.npz").write_bytes(b"PK")
    resumed, _ = train((X, Y), tmp_path / "b", None, 2)
    assert resumed == whole
