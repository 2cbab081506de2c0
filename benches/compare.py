"""Whole training steps beside PyTorch and Keras, where installed: images/s, peak memory and start-up, as ratios.

One process per library, case and round; libraries take turns within a round, so that what else the machine does
disturbs all alike. Every process times blocks of steps after a warm-up and reports the median block.

    python benches/compare.py                          # whatever this interpreter can import
    python benches/compare.py --python torch=/path/to/python --python keras=/path/to/other/python --rounds 3
    python benches/compare.py --smoke                  # once each, briefly: that it runs, not how fast
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

BATCH = 128
LIBRARIES = {
    "oxiconv": "oxiconv",
    "torch": "PyTorch eager, channels last",
    "keras": "Keras on its default backend (TensorFlow)",
}
CASES = {
    "mnist_convnet": "Keras's mnist_convnet: two convolutions with max-pooling, dropout, dense; Adam",
    "lenet5": "LeNet-5 with average pooling; SGD",
}
# glibc told to keep freed memory: what a caching allocator would bring to PyTorch.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "20000000000", "MALLOC_TOP_PAD_": "268435456"}


def data(batches: int) -> tuple[np.ndarray, np.ndarray]:
    """Class templates with noise, so that the loss falls: float32 [n, 28, 28, 1], int32 [n]."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, batches * BATCH)
    x = 0.7 * rng.standard_normal((len(y), 28, 28, 1)) + 0.7 * rng.standard_normal((10, 28, 28, 1))[y]
    return x.astype("float32"), y.astype("int32")


def keras_trainer(module: str, case: str, batches: int) -> Callable[[], float]:
    """A function that trains one epoch and gives its loss, through Keras's API."""
    keras: Any = __import__(module)
    layers = keras.layers
    if case == "mnist_convnet":
        body = [
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
        ]
        optimizer = keras.optimizers.Adam(1e-3)
    else:
        body = [
            layers.Conv2D(6, 5, padding="same", activation="relu"),
            layers.AveragePooling2D(2),
            layers.Conv2D(16, 5, activation="relu"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
        ]
        optimizer = keras.optimizers.SGD(0.05)
    model = keras.Sequential([keras.Input(shape=(28, 28, 1)), *body, layers.Dense(10)])
    model.compile(optimizer=optimizer, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = data(batches)

    def epoch() -> float:
        history = model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)
        return float(history.history["loss"][-1])

    return epoch


def torch_trainer(case: str, batches: int) -> Callable[[], float]:
    """The same in PyTorch's own words."""
    import torch
    from torch import nn

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    if case == "mnist_convnet":
        body = [
            nn.Conv2d(1, 32, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(1600, 10),
        ]
    else:
        body = [
            nn.Conv2d(1, 6, 5, padding=2),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, 10),
        ]
    model = nn.Sequential(*body).to(memory_format=torch.channels_last)
    optimizer: Any = (
        torch.optim.Adam(model.parameters(), 1e-3, fused=True)
        if case == "mnist_convnet"
        else torch.optim.SGD(model.parameters(), 0.05)
    )
    criterion = nn.CrossEntropyLoss()
    x_all, y_all = data(batches)
    x = torch.from_numpy(x_all).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    y = torch.from_numpy(y_all.astype("int64"))

    def epoch() -> float:
        total = 0.0
        for i in range(0, len(x), BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(model(x[i : i + BATCH]), y[i : i + BATCH])
            loss.backward()
            optimizer.step()
            total += loss.item()
        return total / batches

    return epoch


def measure(library: str, case: str, seconds: float) -> dict[str, Any]:
    """Runs in a process of its own."""
    start = time.perf_counter()
    batches = 40 if seconds > 1 else 10
    epoch = torch_trainer(case, batches) if library == "torch" else keras_trainer(library, case, batches)
    losses = [epoch()]
    first = time.perf_counter() - start
    warm = time.perf_counter()
    while time.perf_counter() - warm < min(1.5, seconds / 2):
        epoch()
    blocks: list[float] = []
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds or len(blocks) < 3:
        t = time.perf_counter()
        losses.append(epoch())
        blocks.append(time.perf_counter() - t)
    if not losses[-1] < losses[0]:
        raise SystemExit(f"{library}: the loss did not fall: {losses[0]} to {losses[-1]}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rate": batches * BATCH / statistics.median(blocks), "peak": peak, "first": first, "loss": losses[-1]}


def spawn(python: str, library: str, case: str, seconds: float, threads: int) -> dict[str, Any]:
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), OXICONV_NUM_THREADS=str(threads), TF_CPP_MIN_LOG_LEVEL="3")
    env.update(TF_NUM_INTRAOP_THREADS=str(threads), TF_NUM_INTEROP_THREADS=str(threads), CUDA_VISIBLE_DEVICES="")
    if library == "torch":
        env.update(KEEP_MEMORY)
    command = [python, os.path.abspath(__file__), "--child", library, case, str(seconds)]
    start = time.perf_counter()
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise SystemExit(f"{library} on {case} failed:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1]) | {"wall": time.perf_counter() - start}


def available(python: str, library: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({library!r}) is None)"
    return subprocess.run([python, "-c", code], check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", default=[], metavar="LIBRARY=PATH", help="interpreter that has it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="timed seconds per process")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="once each, briefly")
    parser.add_argument("--child", nargs=3, metavar=("LIBRARY", "CASE", "SECONDS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print("\n" + json.dumps(measure(args.child[0], args.child[1], float(args.child[2]))))
        return
    rounds, seconds = (1, 0.2) if args.smoke else (args.rounds, args.seconds)
    pythons = dict.fromkeys(LIBRARIES, sys.executable) | dict(p.split("=", 1) for p in args.python)
    libraries = [library for library in LIBRARIES if available(pythons[library], library)]
    for library in LIBRARIES:
        print(f"{LIBRARIES[library]}: {'measured' if library in libraries else 'not installed, left out'}")
    for case, text in CASES.items():
        results: dict[str, list[dict[str, Any]]] = {library: [] for library in libraries}
        for _ in range(rounds):
            for library in libraries:
                results[library].append(spawn(pythons[library], library, case, seconds, args.threads))
        print(f"\n{text}; batch {BATCH}, {args.threads} threads, medians of {rounds} rounds\n")
        print("| library | images/s | oxiconv is | peak MB | import to end of first epoch, s |\n|---|---|---|---|---|")
        median = {k: {key: statistics.median(r[key] for r in v) for key in v[0]} for k, v in results.items()}
        for library in libraries:
            m = median[library]
            ratio = median["oxiconv"]["rate"] / m["rate"] if "oxiconv" in median else float("nan")
            print(f"| {library} | {m['rate']:.0f} | {ratio:.2f}x | {m['peak']:.0f} | {m['first']:.2f} |")


if __name__ == "__main__":
    main()
