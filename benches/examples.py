"""Training speed of the examples under oxiconv and under real Keras: the same scripts, other libraries behind it.

    python benches/examples.py --python tensorflow=VENV1/bin/python --python jax=VENV2/bin/python
    python benches/examples.py --smoke            # oxiconv alone, a few steps

Needs the data sets in OXICONV_DATA_DIR. Each example runs in a process of its own, in turn under each library, for some
rounds; the time counted is that of training steps within `fit`, from the warm end of the fifth batch on. A custom
`train_step` with a tape runs under Keras's TensorFlow backend alone, whose tape it is written for.
"""

from __future__ import annotations

import argparse
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections import defaultdict
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[1] / "examples"
# Which `fit` of a script is timed, counted from 0.
TIMED_FIT = {"distillation": 1}
WARM_BATCHES = 5
DATA_SETS = ("mnist", "fashion_mnist", "cifar10")


class Enough(BaseException):
    """The time is known; nothing after it matters."""


def run_example(name: str, backend: str, cache: str, seconds: float) -> None:
    """Runs one example in this process until its training has been timed; prints samples per second."""
    keras = library(backend, cache)
    fits = iter(range(10))

    class Stopwatch(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_train_begin(self, logs: Any = None) -> None:
            self.batches, self.start, self.work = 0, 0.0, 0.0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.batches += 1
            now = time.perf_counter()
            if self.batches == WARM_BATCHES:
                self.start, self.work = now, time.process_time()
            elif self.start and now - self.start >= seconds:
                batches = self.batches - WARM_BATCHES
                print(f"batches per processor second: {batches / (time.process_time() - self.work):.4f}")
                print(f"batches per second: {batches / (now - self.start):.4f}", flush=True)
                raise Enough

    plain = keras.Model.fit

    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        if next(fits) != TIMED_FIT.get(name, 0):
            history = types.SimpleNamespace(history=defaultdict(lambda: [0.0]))
            return history if name == "distillation" else plain(self, *args, **kwargs)
        if "epochs" in kwargs:
            kwargs["epochs"] = 1000
        else:
            args = (*args[:3], 1000, *args[4:])
        # The example's own callbacks see no epoch end: steps alone are timed.
        kwargs.update(callbacks=[Stopwatch()], verbose=0)
        return plain(self, *args, **kwargs)

    keras.Model.fit = fit
    sys.argv = [f"{name}.py"]
    try:
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    except Enough:
        return


def library(backend: str, cache: str) -> Any:
    """oxiconv, or real Keras under its name."""
    if backend == "oxiconv":
        import oxiconv

        return oxiconv
    import keras

    shim = types.ModuleType("oxiconv")
    shim.__dict__.update({name: getattr(keras, name) for name in dir(keras) if not name.startswith("_")})
    if backend == "tensorflow":
        import tensorflow

        shim.GradientTape = tensorflow.GradientTape  # type: ignore[attr-defined]
    shim.datasets = types.SimpleNamespace(  # type: ignore[attr-defined]
        **{name: types.SimpleNamespace(load_data=lambda name=name: cached(cache, name)) for name in DATA_SETS}
    )
    sys.modules["oxiconv"] = shim
    return shim


def cached(cache: str, name: str) -> Any:
    """What `load_data` gave under oxiconv."""
    import numpy as np

    with np.load(Path(cache) / f"{name}.npz") as file:
        return (file["a"], file["b"]), (file["c"], file["d"])


def save_data_sets(cache: str) -> None:
    """The data sets for the libraries that would download them."""
    import numpy as np

    import oxiconv

    for name in DATA_SETS:
        (a, b), (c, d) = getattr(oxiconv.datasets, name).load_data()
        np.savez(Path(cache) / f"{name}.npz", a=a, b=b, c=c, d=d)


def measure(python: str, name: str, backend: str, cache: str, seconds: float) -> float | None:
    """Batches per second in a fresh process; None where the script does not run under this library."""
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [python, __file__, "--child", name, backend, cache, str(seconds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=900)
    for line in done.stdout.splitlines():
        if line.startswith("batches per second: "):
            return float(line.rpartition(" ")[2])
    last = (done.stderr.strip().splitlines() or ["no output"])[-1]
    print(f"  {name} under {backend}: {last[:150]}", file=sys.stderr)
    return None


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", default=[], help="backend=interpreter that has Keras with it")
    parser.add_argument("--seconds", type=float, default=6.0, help="of training per run")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--examples", nargs="*", default=sorted(p.stem for p in EXAMPLES.glob("*.py")))
    parser.add_argument("--smoke", action="store_true", help="a moment of one example")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, backend, cache, seconds = options.child
        run_example(name, backend, cache, float(seconds))
        return
    pythons = {"oxiconv": sys.executable, **dict(p.split("=", 1) for p in options.python)}
    if options.smoke:
        options.examples, options.rounds, options.seconds = ["video_clips"], 1, 0.1
    with tempfile.TemporaryDirectory() as cache:
        if len(pythons) > 1:
            save_data_sets(cache)
        print("| example | " + " | ".join(f"{b}, steps/s" for b in pythons) + " | oxiconv to the fastest other |")
        print("|---|" + "---|" * (len(pythons) + 1))
        for name in options.examples:
            rates: dict[str, list[float]] = {backend: [] for backend in pythons}
            for _ in range(options.rounds):
                for backend, python in pythons.items():
                    rate = measure(python, name, backend, cache, options.seconds)
                    rates[backend] += [rate] if rate else []
            medians = {backend: statistics.median(r) for backend, r in rates.items() if r}
            others = [rate for backend, rate in medians.items() if backend != "oxiconv"]
            ratio = f"{medians['oxiconv'] / max(others):.2f}" if others and "oxiconv" in medians else ""
            cells = [f"{medians[b]:.2f}" if b in medians else "–" for b in pythons]
            print(f"| {name} | " + " | ".join(cells) + f" | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
