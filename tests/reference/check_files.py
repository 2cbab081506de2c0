"""Loads under real Keras the files that oxiconv wrote, and writes what their models predict and learn.

    python tests/reference/check_files.py FOLDER STEPS

reads the models' files in FOLDER and writes `keras.npz` there. oxiconv is not imported.
"""

import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Loads every file of the folder."""
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    sys.path[0] = str(Path(__file__).parents[1])
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np

    from reference.file_models import MODELS, fill, observe

    seen: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        name = path.name.partition(".")[0]
        if name not in MODELS:
            continue
        model = MODELS[name](keras)
        if path.name.endswith(".weights.h5"):
            fill(model)
            model.load_weights(path)
        else:
            model = keras.models.load_model(path)
        # Keras 3 builds the optimizer of an .h5 file for the model's own variables alone: it cannot train on.
        learned = observe(model, name, steps if path.suffix != ".h5" else 0)
        seen.update({f"{path.name}/{key}": value for key, value in learned.items()})
    np.savez(folder / "keras.npz", allow_pickle=False, **seen)


if __name__ == "__main__":
    main()
