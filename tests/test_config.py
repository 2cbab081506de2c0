"""Settings: `config` and `backend`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from oxiconv import DTypeError, backend, config, layers, models, ops


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = config.epsilon(), config.image_data_format(), config.num_threads()
    precision = config.precision()
    yield
    config.set_epsilon(before[0])
    config.set_image_data_format(before[1])
    config.set_num_threads(before[2])
    config.set_precision(precision)


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


def _trained(model: models.Model) -> list[str]:
    """The convolutions of a model's training step, as the plan prints them."""
    rng = np.random.default_rng(0)
    model.compile("sgd", "mse")
    model.fit(rng.normal(size=(4, 8, 8, 16)), rng.normal(size=(4, 8, 8, 16)), verbose=0)
    lines: list[str] = []
    model.explain_plan(lines.append)
    return [line for line in "\n".join(lines).splitlines() if "= conv" in line]


def test_precision_is_of_every_convolution_and_its_gradients() -> None:
    x = np.random.default_rng(1).normal(size=(2, 8, 8, 16)).astype(np.float32)
    model = models.Sequential([layers.Conv2D(16, 3, padding="same", use_bias=False) for _ in range(2)])
    assert config.precision() == "fast"
    assert not any("exact" in line for line in _trained(model))
    fast, kernels = model.predict(x, verbose=0), model.get_weights()
    config.set_precision("exact")
    # Compiled anew, for prediction too.
    exact = model.predict(x, verbose=0)
    assert not np.array_equal(fast, exact)
    np.testing.assert_allclose(fast, exact, atol=5e-6 * np.abs(exact).max())
    np.testing.assert_array_equal(model(x), exact)
    lines = _trained(model)
    assert len([line for line in lines if "exact" in line]) == 5, "two outputs, two kernels and an input"
    config.set_precision("fast")
    model.set_weights(kernels)
    np.testing.assert_array_equal(model.predict(x, verbose=0), fast)


def test_precision_of_a_layer_goes_before_that_of_the_process() -> None:
    first, second = layers.Conv2D(16, 3, padding="same"), layers.Conv2DTranspose(16, 3, padding="same")
    model = models.Sequential([first, second])
    second.precision = "exact"
    assert len([line for line in _trained(model) if "exact" in line]) == 3, "output, kernel and input of the second"
    config.set_precision("exact")
    second.precision = "fast"
    assert len([line for line in _trained(model) if "exact" in line]) == 2, "output and kernel of the first"
    with pytest.raises(ValueError, match="set_precision: expected 'fast' or 'exact', got 'high'"):
        config.set_precision("high")
    first.precision = "float64"
    with pytest.raises(ValueError, match="expected 'fast' or 'exact', got 'float64'"):
        model(np.zeros((1, 8, 8, 16), np.float32))
