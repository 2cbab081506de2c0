"""Published weights give the published answers, with plain sums and with Winograd's tiles."""

from __future__ import annotations

import numpy as np
import pytest

import published_resnets
from oxiconv import config, datasets

FOLDER = published_resnets.folder()
# Of the first 2,000 test pictures, as PyTorch counts on one thread.
RIGHT = {20: 1833, 32: 1854, 44: 1866, 56: 1859}


@pytest.mark.skipif(FOLDER is None, reason="OXICONV_DATA_DIR has no resnet-cifar10")
@pytest.mark.parametrize("precision", ["exact", "fast"])
@pytest.mark.parametrize("depth", RIGHT)
def test_right_answers(depth: int, precision: str) -> None:
    assert FOLDER is not None
    _, (pictures, labels) = datasets.cifar10.load_data()
    model = published_resnets.load(depth, FOLDER)
    before = config.precision()
    config.set_precision(precision)
    try:
        answers = model.predict(pictures[:2000], batch_size=250, verbose=0).argmax(-1)
    finally:
        config.set_precision(before)
    right = int(np.sum(answers == labels[:2000, 0]))
    # Another order of additions may move a picture on the border between two classes.
    assert abs(right - RIGHT[depth]) <= 1
