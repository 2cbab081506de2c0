"""Writes `files.zip`: files of models, and what these predict and learn, under real Keras.

    python tests/reference/record_files.py

needs `keras` and `tensorflow`; with `tf_keras` it also writes files of Keras 2. oxiconv is not imported.
"""

import importlib.util
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

STEPS = 3


def main() -> None:
    """Writes all files."""
    sys.path[0] = str(Path(__file__).parents[1])
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np

    from reference.file_models import MODELS, UNTRAINED, data, fill, observe

    folder = Path(tempfile.mkdtemp())
    expected: dict[str, Any] = {}

    def trained(library: Any, name: str) -> Any:
        library.utils.set_random_seed(0)
        library.backend.clear_session()
        model = MODELS[name](library)
        fill(model)
        for _ in range(0 if name in UNTRAINED else 2):
            model.train_on_batch(*data(name))
        return model

    def keep(key: str, name: str, model: Any) -> None:
        expected.update({f"{key}/{part}": value for part, value in observe(model, name, STEPS).items()})

    for name in MODELS:
        model = trained(keras, name)
        model.save(folder / f"{name}.keras")
        model.save_weights(folder / f"{name}.weights.h5")
        if name in ("sequential", "functional"):
            model.save(folder / f"{name}_keras3.h5")
        keep(name, name, model)
    if importlib.util.find_spec("tf_keras") is not None:
        tf_keras = importlib.import_module("tf_keras")
        model = trained(tf_keras, "sequential")
        model.save(folder / "sequential_keras2.h5")
        model.save_weights(folder / "sequential_keras2_weights.h5")
        keep("sequential_keras2", "sequential", model)
    np.savez_compressed(folder / "expected.npz", allow_pickle=False, **expected)
    with zipfile.ZipFile(Path(__file__).parent / "files.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
            print(f"{file.name}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
