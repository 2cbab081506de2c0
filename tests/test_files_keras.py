"""Files that oxiconv writes load in real Keras 3, predict the same there and train on the same.

`OXICONV_KERAS_PYTHON` names an interpreter that has Keras and a backend. (The other direction is tested with recorded
files in `test_files.py`.)
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import oxiconv as keras
from reference.file_models import MODELS, UNTRAINED, Arrays, data, fill, observe

PYTHON = os.environ.get("OXICONV_KERAS_PYTHON")
STEPS = 3


@pytest.mark.skipif(not PYTHON, reason="OXICONV_KERAS_PYTHON names no interpreter with Keras")
@pytest.mark.timeout(300)
def test_keras_reads_our_files(tmp_path: Path) -> None:
    assert PYTHON is not None
    expected: Arrays = {}
    for name, make in MODELS.items():
        model = make(keras)
        fill(model)
        for _ in range(0 if name in UNTRAINED else 2):
            model.train_on_batch(*data(name))
        files = [f"{name}.keras", f"{name}.weights.h5", name]
        # Keras refuses the others: there is no place for a build shape, and cells and wrappers have no module.
        files += [f"{name}.h5"] if name in ("sequential", "functional") else []
        for file in files:
            if file.endswith(".weights.h5"):
                model.save_weights(tmp_path / file)
            else:
                model.save(tmp_path / file, zipped=False if file == name else None)
        seen = observe(model, name, STEPS)
        expected |= {f"{file}/{key}": value for file in files for key, value in seen.items()}
    script = Path(__file__).parent / "reference" / "check_files.py"
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [PYTHON, str(script), str(tmp_path), str(STEPS)], capture_output=True, text=True, check=False, env=clean
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(tmp_path / "keras.npz") as arrays:
        theirs = dict(arrays)
    assert {key.partition("/")[0] for key in theirs} == {key.partition("/")[0] for key in expected}
    for key, value in theirs.items():
        # float32 in two orders of summation, outputs and losses of order one, a few steps.
        np.testing.assert_allclose(value, expected[key], rtol=1e-5, atol=1e-5, err_msg=key)
