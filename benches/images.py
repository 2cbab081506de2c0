"""Reading a folder of JPEG files beside Keras on tf.data, where installed: images/s, decoded, resized and batched.

One process per library and round; they take turns, so that what else the machine does disturbs both alike. A process
goes through the folder several times and reports the fastest pass, and the least processor time of a pass: the others
were disturbed.

    python benches/images.py                                   # oxiconv alone, on 256 drawn pictures of 640 x 480
    python benches/images.py --folder PHOTOS --python keras=/path/to/python
    python benches/images.py --smoke                           # briefly: that it runs, not how fast
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LIBRARIES = {"oxiconv": "oxiconv", "keras": "Keras's dataset, on tf.data"}
SIZES = {"224 x 224": (224, 224), "decoding alone (to 8 x 8)": (8, 8)}


def draw(folder: Path, count: int) -> None:
    """Pictures with edges and grain, about 60 KB each."""
    import numpy as np

    from oxiconv.images import write_image

    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:480, 0:640]
    for i in range(count):
        waves = [120 + 80 * np.sin(x / rng.uniform(5, 90)) * np.cos(y / rng.uniform(5, 90)) for _ in range(3)]
        grain = rng.normal(0, 4, (480, 640, 3))
        pixels = (np.stack(waves, -1) + grain).clip(0, 255).astype(np.uint8)
        write_image(folder / f"{i:04}.jpg", pixels)


def limit_threads(library: str, threads: int) -> Any:
    """The library, told to use so many threads."""
    if library == "oxiconv":
        import oxiconv

        oxiconv.config.set_num_threads(threads)
        return oxiconv
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    return keras


def one(library: str, folder: str, size: tuple[int, int], threads: int, passes: int) -> tuple[float, float]:
    """Images per second of the fastest pass, and the least milliseconds of processor time per image."""
    keras = limit_threads(library, threads)
    dataset = keras.utils.image_dataset_from_directory(
        folder, labels=None, image_size=size, batch_size=32, verbose=False
    )
    rate, cost = 0.0, float("inf")
    for _ in range(passes):
        start, spent, count = time.perf_counter(), time.process_time(), 0
        for batch in dataset:
            count += batch.shape[0]
        rate = max(rate, count / (time.perf_counter() - start))
        cost = min(cost, (time.process_time() - spent) / count * 1e3)
    return rate, cost


def main() -> None:
    """Compares, or measures one library where the command line says so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", help="of images; by default they are drawn")
    parser.add_argument("--python", action="append", default=[], metavar="LIBRARY=PATH")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--one", nargs=3, metavar=("LIBRARY", "HEIGHT", "WIDTH"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        library, height, width = given.one
        print(*one(library, given.folder, (int(height), int(width)), given.threads, given.passes))
        return
    rounds, passes, pictures = (1, 1, 8) if given.smoke else (given.rounds, given.passes, 256)
    pythons = {"oxiconv": sys.executable} | dict(pair.split("=", 1) for pair in given.python)
    with tempfile.TemporaryDirectory() as drawn:
        folder = given.folder or drawn
        if given.folder is None:
            draw(Path(drawn), pictures)
        for name, size in SIZES.items():
            found: dict[str, list[tuple[float, float]]] = {library: [] for library in pythons}
            for _ in range(rounds):
                for library, python in pythons.items():
                    options = ["--folder", folder, "--threads", str(given.threads), "--passes", str(passes)]
                    command = [python, __file__, *options, "--one", library, *map(str, size)]
                    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
                    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
                    rate, cost = map(float, done.stdout.split()[-2:])
                    found[library].append((rate, cost))
            for library, measured in found.items():
                rate, cost = (statistics.median(column) for column in zip(*measured, strict=True))
                print(f"{name}: {LIBRARIES[library]}: {rate:,.0f} images/s, {cost:.2f} ms of a core each", flush=True)


if __name__ == "__main__":
    main()
