"""Callbacks: when hooks run, what they see, and what they do."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import callbacks, layers

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = X.sum(-1, keepdims=True)


def model(rate: float = 0.01, **kwargs: Any) -> keras.Sequential:
    keras.utils.set_random_seed(1)
    made = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    made.compile(**{"optimizer": keras.optimizers.SGD(rate), "loss": "mse", **kwargs})
    return made


class Scripted(callbacks.Callback):
    """Replaces results by given ones, before the callbacks after it see them."""

    def __init__(self, name: str, values: list[float]) -> None:
        super().__init__()
        self.name, self.values = name, values

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs[self.name] = self.values[epoch]


def test_order_of_hooks() -> None:
    calls: list[str] = []

    class Recorder(callbacks.Callback):
        pass

    hooks = [n for n in vars(callbacks.Callback) if n.startswith("on_") and n not in ("on_batch_begin", "on_batch_end")]
    for hook in hooks:
        setattr(Recorder, hook, lambda self, *args, _hook=hook: calls.append(_hook[3:]))
    m = model()
    m.fit(X, Y, batch_size=20, validation_data=(X[:20], Y[:20]), verbose=0, callbacks=[Recorder()])
    step = ["train_batch_begin", "train_batch_end"]
    validation = ["test_begin", "test_batch_begin", "test_batch_end", "test_end"]
    assert calls == ["train_begin", "epoch_begin", *step, *step, *validation, "epoch_end", "train_end"]
    calls.clear()
    m.predict(X, batch_size=40, verbose=0, callbacks=[Recorder()])
    assert calls == ["predict_begin", "predict_batch_begin", "predict_batch_end", "predict_end"]


def test_batch_logs_are_running_means() -> None:
    losses: list[float] = []
    show = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: losses.append(logs["loss"]))
    m = model(rate=0.0)
    history = m.fit(X, Y, batch_size=10, shuffle=False, verbose=0, callbacks=show).history
    squares = (m.predict(X, verbose=0).astype(np.float64) - Y) ** 2
    want = [squares[: 10 * i].mean() for i in range(1, 5)]
    # A mean over 10 squares of order 10 and three more means.
    np.testing.assert_allclose(losses, want, rtol=64 * float(np.finfo(np.float32).eps))
    assert history["loss"] == [losses[-1]]


def test_older_batch_hooks_run() -> None:
    seen: list[int] = []

    class Old(callbacks.Callback):
        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(batch)

    model().fit(X, Y, batch_size=20, verbose=0, callbacks=[Old()])
    assert seen == [0, 1]


def test_logs_are_not_read_unless_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    m = model()
    reads = 0
    result = type(m.metrics[0]).result

    def counted(self: Any) -> Any:
        nonlocal reads
        reads += 1
        return result(self)

    monkeypatch.setattr(type(m.metrics[0]), "result", counted)
    m.fit(X, Y, batch_size=20, verbose=0)
    traced = reads
    m.fit(
        X,
        Y,
        batch_size=2,
        epochs=3,
        verbose=0,
        callbacks=callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: 0),
    )
    # Once in each of the traces, then once per epoch.
    assert reads - traced <= 1 + 3


def test_early_stopping_restores_the_best() -> None:
    values = [5.0, 3.0, 4.0, 4.0, 1.0]
    kept: list[Any] = []
    keep = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(m.get_weights()))
    stop = callbacks.EarlyStopping("val_x", patience=2, mode="min", restore_best_weights=True)
    m = model()
    history = m.fit(X, Y, epochs=5, verbose=0, callbacks=[keep, Scripted("val_x", values), stop])
    assert len(history.epoch) == 4
    assert (stop.stopped_epoch, stop.best_epoch, stop.best) == (3, 1, 3.0)
    for a, b in zip(m.get_weights(), kept[1], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("kwargs", "values", "epochs"),
    [
        ({"monitor": "val_accuracy", "patience": 1}, [0.1, 0.2, 0.2, 0.3], 3),
        ({"monitor": "val_x", "mode": "min", "patience": 1}, [2.0, 1.0, 1.5, 0.5], 3),
        ({"monitor": "val_x", "patience": 1, "mode": "max"}, [1.0, 2.0, 3.0, 4.0], 4),
        ({"monitor": "val_x", "mode": "min", "patience": 1, "min_delta": 0.6}, [2.0, 1.5, 1.0, 0.5], 2),
        ({"monitor": "val_x", "mode": "min", "patience": 2, "baseline": 0.1}, [2.0, 1.5, 1.0, 0.9], 4),
        ({"monitor": "val_x", "mode": "min", "patience": 1, "start_from_epoch": 2}, [1.0, 2.0, 3.0, 4.0], 4),
    ],
)
def test_when_early_stopping_stops(kwargs: dict[str, Any], values: list[float], epochs: int) -> None:
    watched = [Scripted(kwargs["monitor"], values), callbacks.EarlyStopping(**kwargs)]
    assert len(model().fit(X, Y, epochs=4, verbose=0, callbacks=watched).epoch) == epochs


def test_a_missing_monitor_is_told() -> None:
    with pytest.warns(UserWarning, match="no result 'val_loss' to monitor; there are"):
        model().fit(X, Y, verbose=0, callbacks=[callbacks.EarlyStopping()])


def test_terminate_on_nan(capsys: pytest.CaptureFixture[str]) -> None:
    y = Y.copy()
    y[0] = np.nan
    history = model().fit(
        X, y, epochs=3, shuffle=False, batch_size=10, verbose=0, callbacks=[callbacks.TerminateOnNaN()]
    )
    assert len(history.epoch) == 1
    assert "Batch 0: Invalid loss" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="NaN or Inf loss"):
        model().fit(X, y, verbose=0, callbacks=[callbacks.TerminateOnNaN(raise_error=True)])


def test_reduce_lr_on_plateau() -> None:
    plateau = callbacks.ReduceLROnPlateau("val_x", mode="min", factor=0.5, patience=2, cooldown=1, min_lr=0.3)
    watched = [Scripted("val_x", [1.0] * 8), plateau]
    history = model(1.0).fit(X, np.zeros_like(Y), epochs=8, verbose=0, callbacks=watched).history
    # Worse for two epochs: halved; one epoch of cooldown, two more: 0.3, the least.
    assert history["learning_rate"] == pytest.approx([1.0, 1.0, 1.0, 0.5, 0.5, 0.3, 0.3, 0.3])
    with pytest.raises(ValueError, match="factor"):
        callbacks.ReduceLROnPlateau(factor=1.0)


def test_learning_rate_scheduler() -> None:
    for schedule in (lambda epoch: 0.01 * 0.5**epoch, lambda epoch, lr: lr if epoch == 0 else lr * 0.5):
        scheduler = callbacks.LearningRateScheduler(schedule)
        history = model(0.01).fit(X, Y, epochs=3, verbose=0, callbacks=[scheduler]).history
        assert history["learning_rate"] == pytest.approx([0.01, 0.005, 0.0025])


def test_model_checkpoint(tmp_path: Path) -> None:
    best = callbacks.ModelCheckpoint(
        tmp_path / "best-{epoch:02d}-{val_x:.1f}.oxiconv", "val_x", save_best_only=True, mode="min"
    )
    weights = callbacks.ModelCheckpoint(tmp_path / "last.safetensors", save_weights_only=True)
    often = callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}.oxiconv", save_freq=3)
    m = model()
    watched = [Scripted("val_x", [2.0, 1.0, 3.0]), best, weights, often]
    m.fit(X, Y, batch_size=20, epochs=3, verbose=0, callbacks=watched)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["2-1.oxiconv", "3-2.oxiconv", "best-01-2.0.oxiconv", "best-02-1.0.oxiconv", "last.safetensors"]
    other = model()
    other.load_weights(tmp_path / "last.safetensors")
    np.testing.assert_array_equal(other.predict(X, verbose=0), m.predict(X, verbose=0))
    with pytest.raises(ValueError, match=r"must end in '.keras', .*, got 'a.ckpt'"):
        callbacks.ModelCheckpoint("a.ckpt")
    with pytest.raises(ValueError, match=r"must end in '.weights.h5' or '.safetensors', got 'a.h5'"):
        callbacks.ModelCheckpoint("a.h5", save_weights_only=True)
    with pytest.raises(ValueError, match="save_freq"):
        callbacks.ModelCheckpoint("a.oxiconv", save_freq=0)


def test_csv_logger(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    model().fit(X, Y, epochs=2, verbose=0, callbacks=[callbacks.CSVLogger(path)])
    model().fit(X, Y, epochs=3, initial_epoch=2, verbose=0, callbacks=[callbacks.CSVLogger(path, append=True)])
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch,loss,val_loss"
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "1", "2"]
    assert all(float(line.split(",")[1]) > 0 for line in lines[1:])
    # As in Keras: there are columns for a validation that comes in a later epoch.
    assert all(line.split(",")[2] == "NA" for line in lines[1:])


def test_lambda_callback_refuses_unknown_hooks() -> None:
    with pytest.raises(ValueError, match="'on_lunch' is no hook"):
        callbacks.LambdaCallback(on_lunch=print)


def test_stop_training_within_an_epoch() -> None:
    def stop(batch: int, logs: Any) -> None:
        m.stop_training = batch == 1

    seen: list[int] = []
    count = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    m = model()
    m.fit(
        X, Y, batch_size=10, epochs=2, verbose=0, callbacks=[callbacks.LambdaCallback(on_train_batch_end=stop), count]
    )
    assert seen == [0, 1]


def test_an_interrupt_keeps_the_last_whole_step() -> None:
    """The weights are those after the steps that ended; `on_train_end` does not run, as in Keras."""
    ended: list[bool] = []

    def interrupt(batch: int, logs: Any) -> None:
        if batch == 2:
            raise KeyboardInterrupt

    watched = callbacks.LambdaCallback(on_train_batch_begin=interrupt, on_train_end=lambda logs: ended.append(True))
    m, other = model(), model()
    with pytest.raises(KeyboardInterrupt):
        m.fit(X, Y, batch_size=10, shuffle=False, verbose=0, callbacks=[watched])
    other.fit(X[:20], Y[:20], batch_size=10, shuffle=False, verbose=0)
    for a, b in zip(m.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not ended


def test_progress_into_a_pipe_is_a_line_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    model().fit(X, Y, epochs=2, batch_size=10, validation_data=(X, Y), verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ")[0] for line in lines] == ["Epoch", "4/4", "Epoch", "4/4"]
    assert " - loss: " in lines[1]
    assert " - val_loss: " in lines[1]
    assert "\r" not in "".join(lines)
    model().evaluate(X, Y, verbose=2)
    assert capsys.readouterr().out.startswith("2/2 - 0s - ")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_is_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    bar = keras.utils.Progbar(4, interval=0.0)
    for i in range(4):
        bar.update(i + 1, [("loss", 2.0 / (i + 1)), ("tiny", 1e-5)])
    frames = terminal.getvalue().split("\r")
    assert len(frames) == 5
    assert "2/4 ━━━━━━━━━━           " in frames[2]
    assert frames[4].startswith("4/4 ━━━━━━━━━━━━━━━━━━━━ ")
    assert frames[4].endswith("\n")
    assert "loss: 0.5000 - tiny: 1.0000e-05" in frames[4]


def test_verbose_zero_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    m = model()
    m.fit(X, Y, verbose=0)
    m.evaluate(X, Y, verbose=0)
    m.predict(X, verbose=0)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_a_bar_averages_over_steps(capsys: pytest.CaptureFixture[str]) -> None:
    """As in Keras: values are averaged over the steps they stand for, unless they are stateful."""
    bar = keras.utils.Progbar(None, verbose=2, stateful_metrics=["rate"])
    bar.update(1, [("loss", 4.0), ("rate", 0.5)])
    bar.update(4, [("loss", 2.0), ("rate", 0.25)])  # stands for three steps
    bar.update(4, finalize=True)
    assert capsys.readouterr().out.endswith("loss: 2.5000 - rate: 0.2500\n")
    bar = keras.utils.Progbar(None, verbose=2, stateless_metrics=["loss"])
    bar.add(1, [("loss", 4.0), ("rate", 0.5)])
    bar.add(1, [("loss", 2.0), ("rate", 0.25)])
    bar.add(0, [])
    bar.update(2, finalize=True)
    assert capsys.readouterr().out.endswith("loss: 3.0000 - rate: 0.2500\n")
    with pytest.raises(ValueError, match="got both"):
        keras.utils.Progbar(1, stateful_metrics=[], stateless_metrics=[])


def test_modes_by_metric_and_name() -> None:
    """`auto` asks the metric, then the words of the name; what it cannot know is an error, as in Keras."""

    class Psi(keras.metrics.Mean):
        _direction = "up"

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
            super().update_state(y_pred)

    for metric, name, upward in ((Psi(name="psi"), "val_psi", True), ("mae", "val_mae", False), ("mae", "loss", False)):
        m = model(metrics=[metric])
        stop = callbacks.EarlyStopping(name, patience=5)
        m.fit(X, Y, validation_data=(X, Y), verbose=0, callbacks=[stop])
        assert stop.improved(2.0, 1.0) == upward
        assert stop.improved(1.0, 2.0) != upward
    watched = [Scripted("oddity", [1.0, 2.0]), callbacks.ReduceLROnPlateau("oddity")]
    with pytest.raises(ValueError, match="'oddity' is better when higher or when lower"):
        model().fit(X, Y, epochs=2, verbose=0, callbacks=watched)
    with pytest.warns(UserWarning, match="mode 'most' is unknown; 'auto'"):
        callbacks.EarlyStopping(mode="most")


def test_checkpoints_tell_what_they_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "{epoch:02d}-{val_loss:.2f}.keras"
    best = callbacks.ModelCheckpoint(path, save_best_only=True, verbose=1)
    model(0.0).fit(X, Y, epochs=2, validation_data=(X, np.zeros_like(Y)), verbose=0, callbacks=[best])
    out = capsys.readouterr().out
    (saved,) = tmp_path.iterdir()
    assert f"Epoch 1: val_loss improved from None to {best.best:.5f}, saving model to {saved}" in out
    assert f"Epoch 1: finished saving model to {saved}" in out
    assert f"Epoch 2: val_loss did not improve from {best.best:.5f}" in out
    assert saved.name == f"01-{best.best:.2f}.keras"
    with pytest.warns(UserWarning, match="no result 'val_loss'"):
        model().fit(X, Y, verbose=0, callbacks=[callbacks.ModelCheckpoint(tmp_path / "a.keras", save_best_only=True)])
    assert (tmp_path / "a.keras").exists()  # rather than none at all
    threshold = callbacks.ModelCheckpoint(
        tmp_path / "b.keras", "loss", save_best_only=True, initial_value_threshold=1e-9
    )
    model().fit(X, Y, verbose=0, callbacks=[threshold])
    assert not (tmp_path / "b.keras").exists()


def test_several_optimizers_have_a_rate_each() -> None:
    by_path = keras.optimizers.OptimizerMap(
        keras.optimizers.SGD(0.1, name="a"), {".*bias": keras.optimizers.SGD(0.2, name="b")}
    )
    halves = keras.optimizers.MultiOptimizer(by_path)
    m = model(optimizer=halves)
    watched = [callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5), callbacks.ReduceLROnPlateau("loss")]
    history = m.fit(X, Y, epochs=2, verbose=0, callbacks=watched).history
    assert history["learning_rate_a"] == pytest.approx([0.05, 0.025])
    assert history["learning_rate_b"] == pytest.approx([0.1, 0.05])


def test_swapped_averages_are_back_for_training() -> None:
    swap = callbacks.SwapEMAWeights()
    m = model(optimizer=keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    m.fit(X, Y, batch_size=10, verbose=0)
    m.fit(X, Y, batch_size=10, verbose=0, callbacks=[callbacks.LambdaCallback()])
    held = m.get_weights()
    before = m.evaluate(X, Y, verbose=0)
    m.optimizer._averages[0].assign(np.zeros((3, 1)))
    m.optimizer._averages[1].assign([0.0])
    assert m.evaluate(X, Y, verbose=0, callbacks=[swap]) == pytest.approx((Y**2).mean(), rel=1e-5)
    assert not m.predict(X, verbose=0, callbacks=[swap]).any()
    for a, b in zip(m.get_weights(), held, strict=True):
        np.testing.assert_array_equal(a, b)
    assert m.evaluate(X, Y, verbose=0) == before
    with pytest.raises(ValueError, match="use_ema=True"):
        model().evaluate(X, Y, verbose=0, callbacks=[callbacks.SwapEMAWeights()])


def test_remote_monitor() -> None:
    import http.server
    import json
    import threading
    import urllib.parse

    bodies: list[tuple[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            bodies.append((self.headers["Content-Type"], self.rfile.read(length).decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}"
        watched = [callbacks.RemoteMonitor(root), callbacks.RemoteMonitor(root, send_as_json=True)]
        history = model().fit(X, Y, verbose=0, callbacks=watched).history
        server.shutdown()
    (form, first), (kind, second) = bodies
    assert (form, kind) == ("application/x-www-form-urlencoded", "application/json")
    sent = json.loads(urllib.parse.parse_qs(first)["data"][0])
    assert sent == json.loads(second) == {"epoch": 0, "loss": history["loss"][0]}
    with pytest.warns(UserWarning, match="could not be reached"):
        model().fit(X, Y, verbose=0, callbacks=[callbacks.RemoteMonitor(root)])
    with pytest.raises(ValueError, match="http://"):
        callbacks.RemoteMonitor("file:///etc")
