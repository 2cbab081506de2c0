"""Settings: `config` and `backend`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from oxiconv import DTypeError, backend, config, layers, ops


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = config.epsilon(), config.image_data_format(), config.num_threads()
    yield
    config.set_epsilon(before[0])
    config.set_image_data_format(before[1])
    config.set_num_threads(before[2])


def test_image_data_format_is_the_default_of_layers() -> None:
    assert layers.Conv2D(1, 1).data_format == "channels_last"
    backend.set_image_data_format("channels_first")
    assert config.image_data_format() == "channels_first"
    assert layers.Conv2D(5, 3)(np.zeros((1, 3, 8, 8))).shape == (1, 5, 6, 6)
    assert layers.MaxPooling2D()(np.zeros((1, 3, 8, 8))).shape == (1, 3, 4, 4)
    with pytest.raises(ValueError, match="channels_last"):
        config.set_image_data_format("NHWC")


def test_epsilon_keeps_logarithms_finite() -> None:
    assert config.epsilon() == 1e-7
    config.set_epsilon(0.5)
    assert float(ops.binary_crossentropy([1.0], [0.0])[0]) == pytest.approx(np.log(2))


def test_real_numbers_are_float32() -> None:
    assert config.floatx() == backend.floatx() == "float32"
    backend.set_floatx("float32")
    with pytest.raises(ValueError, match="expected 'float32', 'float16' or 'bfloat16', got 'float64'"):
        backend.set_floatx("float64")
    assert config.backend() == "oxiconv"


def test_threads() -> None:
    config.set_num_threads(1)
    assert config.num_threads() == 1
    with pytest.raises(ValueError, match="set_num_threads"):
        config.set_num_threads(0)
    assert config.isa()


def test_types() -> None:
    assert backend.result_type("bool", "uint8") == "uint8"
    assert backend.result_type("int64", "float64") == "float32"
    assert backend.standardize_dtype(np.int16) == "int32"
    assert backend.standardize_dtype(None) == "float32"
    with pytest.raises(DTypeError, match=r"expected one of bool, .*, float32, got 'complex64'"):
        backend.standardize_dtype("complex64")


def test_clear_session_restarts_names() -> None:
    backend.clear_session()
    assert layers.Dense(1).name == "dense"
    backend.clear_session()
    assert layers.Dense(1).name == "dense"
    assert backend.is_keras_tensor(layers.Input((1,)))
    assert not backend.is_keras_tensor(np.zeros(1))
