"""Records the values of areas under real Keras 3 with TensorFlow.

    python tests/reference/record.py [AREA ...]

writes `values/AREA.npz`, all areas if none is named. It needs `keras` and `tensorflow`; oxiconv is not imported.
"""

import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Runs the cases of the areas that the command line names, and writes their results."""
    sys.path[0] = str(Path(__file__).parents[1])
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np
    import tensorflow as tf

    from reference.case import Library, areas, cases, flatten, values_file

    for area in sys.argv[1:] or areas():
        arrays: dict[str, Any] = {}
        for case in cases(area):
            keras.backend.clear_session()
            keras.utils.set_random_seed(0)
            for key, array in flatten(case.run(Library(keras, tf.GradientTape))).items():
                arrays[f"{case.name}/{key}"] = array.astype(np.float32) if array.dtype == np.float64 else array
        file = values_file(area)
        file.parent.mkdir(exist_ok=True)
        np.savez_compressed(file, allow_pickle=False, **arrays)
        print(f"{area}: {len(arrays)} arrays, {file.stat().st_size} bytes, Keras {keras.__version__}")


if __name__ == "__main__":
    main()
