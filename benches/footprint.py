"""Start-up and memory: import time over NumPy's, import to ten training steps, page faults and growth in steady state.

python benches/footprint.py              # 10,000 steps, about a minute
python benches/footprint.py --smoke
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time

TEN_STEPS = """
import numpy as np
import oxiconv as keras
from oxiconv import layers
rng = np.random.default_rng(0)
x, y = rng.random((1280, 28, 28, 1), dtype="float32"), rng.integers(0, 10, 1280)
model = keras.Sequential([keras.Input(shape=(28, 28, 1)), layers.Conv2D(32, 3, activation="relu"),
    layers.MaxPooling2D(2), layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2), layers.Flatten(),
    layers.Dropout(0.5), layers.Dense(10, activation="softmax")])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=128, epochs=1, verbose=0)
"""


def wall(code: str) -> float:
    """Seconds of a fresh interpreter that runs `code`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def resident_mb() -> float:
    """Memory in use now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def startup(runs: int) -> None:
    rows = [("interpreter alone", "pass"), ("import numpy", "import numpy"), ("import oxiconv", "import oxiconv")]
    rows.append(("import, build mnist_convnet, 10 steps of batch 128", TEN_STEPS))
    for _, code in rows:
        wall(code)
    # In turn, so that a disturbance hits all alike.
    times = [[wall(code) for _, code in rows] for _ in range(runs)]
    medians = [statistics.median(t[i] for t in times) for i in range(len(rows))]
    print("| start-up | median, ms |\n|---|---|")
    for (name, _), median in zip(rows, medians, strict=True):
        print(f"| {name} | {median * 1e3:.0f} |")
    over = statistics.median(t[2] - t[1] for t in times)
    print(f"| import oxiconv over import numpy | {over * 1e3:.0f} |")


def steady_state(steps: int) -> None:
    scope: dict[str, object] = {}
    exec(TEN_STEPS, scope)
    model, x, y = scope["model"], scope["x"], scope["y"]
    model.fit(x, y, batch_size=128, epochs=5, verbose=0)  # type: ignore[attr-defined]
    parts = 10
    print("\n| after steps of batch 128 | page faults per step | resident MB |\n|---|---|---|")
    print(f"| 60 | | {resident_mb():.1f} |")
    for part in range(parts):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        model.fit(x, y, batch_size=128, epochs=max(1, steps // 10 // parts), verbose=0)  # type: ignore[attr-defined]
        done = max(1, steps // 10 // parts) * 10
        faults = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / done
        print(f"| {60 + (part + 1) * done} | {faults:.3f} | {resident_mb():.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--smoke", action="store_true", help="once each, briefly")
    args = parser.parse_args()
    startup(1 if args.smoke else args.runs)
    steady_state(200 if args.smoke else args.steps)


if __name__ == "__main__":
    main()
