"""Quantized models: integer products that are exact, calibration, what is kept in files, errors, accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
import published_resnets
from oxiconv import datasets, layers, ops
from oxiconv.layers.ranges import Ranges


def _noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def _expected(layer: Any, x: Any, sums: Any) -> Any:
    """A layer's result by its definition: bytes, exact sums in float64, one rounding each for scale, bias."""
    low, high = (0, 255) if layer.quantization_config["input"] == "uint8" else (-128, 127)
    inverse = np.float32(1) / np.float32(layer.input_scale.numpy())
    q = np.clip(np.rint(x * inverse), low, high)
    scale = layer.kernel_scale.numpy() * layer.input_scale.numpy()
    y = sums(q.astype("float64"), layer.kernel.numpy().astype("float64")).astype("float32") * scale
    return y + layer.bias.numpy() if layer.bias is not None else y


def _conv(q: np.ndarray, k: np.ndarray, stride: int = 1) -> np.ndarray:
    """A valid convolution of two axes."""
    rows, columns = ((q.shape[a] - k.shape[a - 1]) // stride + 1 for a in (1, 2))
    y = np.zeros((len(q), rows, columns, k.shape[-1]))
    for i in range(k.shape[0]):
        for j in range(k.shape[1]):
            part = q[:, i : i + (rows - 1) * stride + 1 : stride, j : j + (columns - 1) * stride + 1 : stride]
            y += part @ k[i, j]
    return y


@pytest.mark.parametrize("sign", ["uint8", "int8"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_is_the_scaled_sum_of_integers(sign: str, stride: int) -> None:
    x = _noise(3, 9, 7, 5)
    x = np.abs(x) if sign == "uint8" else x
    layer = layers.Conv2D(19, 3, strides=stride, bias_initializer=keras.initializers.RandomNormal(seed=1))
    model = keras.Sequential([keras.Input((9, 7, 5)), layer])
    model.quantize("int8", x)
    assert layer.quantization_config == {"mode": "int8", "input": sign}
    assert layer.kernel.dtype == "int8"
    expected = _expected(layer, x, lambda q, k: _conv(q, k, stride))
    # Scale and shift are two roundings, or the product of two scales is rounded first.
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=3e-6, atol=3e-6)
    np.testing.assert_allclose(model(x), expected, rtol=3e-6, atol=3e-6)


@pytest.mark.parametrize("shape", [(12,), (3, 12)])
def test_a_dense_layer_is_the_scaled_sum_of_integers(shape: tuple[int, ...]) -> None:
    x = _noise(7, *shape)
    layer = layers.Dense(5)
    model = keras.Sequential([keras.Input(shape), layer])
    model.quantize("int8", x, method="minmax")
    expected = _expected(layer, x, np.matmul)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=3e-6, atol=3e-6)
    np.testing.assert_allclose(model(x), expected, rtol=3e-6, atol=3e-6)


@pytest.mark.parametrize(("kind", "shape"), [(layers.Conv1D, (20, 6)), (layers.Conv3D, (5, 6, 7, 3))])
def test_convolutions_of_other_ranks(kind: type, shape: tuple[int, ...]) -> None:
    x = _noise(4, *shape)
    model = keras.Sequential([keras.Input(shape), kind(10, 3, padding="same", activation="relu")])
    before = model.predict(x, verbose=0)
    model.quantize("int8", x)
    assert np.abs(model.predict(x, verbose=0) - before).max() < 0.03 * before.max()


def test_channels_first() -> None:
    last, first = layers.Conv2D(6, 3), layers.Conv2D(6, 3, data_format="channels_first")
    x = _noise(2, 8, 9, 4)
    one, other = keras.Sequential([keras.Input((8, 9, 4)), last]), keras.Sequential([keras.Input((4, 8, 9)), first])
    first.set_weights(last.get_weights())
    one.quantize("int8", x)
    other.quantize("int8", x.transpose(0, 3, 1, 2))
    got = other.predict(x.transpose(0, 3, 1, 2), verbose=0).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(got, one.predict(x, verbose=0), rtol=1e-6, atol=1e-6)


def _residual() -> keras.Model:
    """Two blocks, one of them with a projection: every way in which bytes pass from layer to layer."""
    keras.utils.set_random_seed(3)
    i = keras.Input((12, 12, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(i)))
    for filters, stride in ((16, 1), (24, 2)):
        y = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
        s = layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x) if stride > 1 else x
        x = layers.ReLU()(layers.Add()([y, s]))
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(8, 3, activation="tanh")(x)
    model = keras.Model(i, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            c = layer.gamma.shape[0]
            moments = [rng.normal(0, 0.3, c), rng.uniform(0.5, 2, c)]
            layer.set_weights([rng.uniform(0.5, 1.5, c), rng.normal(0, 0.3, c), *moments])
    return model


def test_a_residual_network_agrees_with_itself() -> None:
    model = _residual()
    x = _noise(40, 12, 12, 3)
    before = model.predict(x, verbose=0)
    done = model.quantize("int8", x)
    assert len(done.quantized) == 8
    assert not done.kept
    after = model.predict(x, verbose=0)
    assert np.abs(after - before).max() < 0.05
    # Compiled, with everything fused, and op by op: rounding to bytes may fall to the other side.
    np.testing.assert_allclose(model(x), after, atol=0.01)
    # The same bits in every batch, and again.
    np.testing.assert_array_equal(model.predict(x, batch_size=7, verbose=0), after)
    np.testing.assert_array_equal(model.predict(x, batch_size=1, verbose=0), after)


def test_moved_elements_stay_bytes() -> None:
    i = keras.Input((10, 10, 3))
    x = layers.ReLU()(layers.Conv2D(8, 3, padding="same")(i))
    y = layers.Conv2D(8, 3, strides=2)(layers.ZeroPadding2D(1)(x))
    z = ops.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (2, 2)))[..., 2:-2]
    model = keras.Model(i, layers.Dense(3)(layers.Flatten()(ops.relu(y + z))))
    x = _noise(8, 10, 10, 3)
    before = model.predict(x, verbose=0)
    model.quantize("int8", x)
    after = model.predict(x, verbose=0)
    assert np.abs(after - before).max() < 0.02 * np.abs(before).max()
    program = str(model._prediction_steps()).split("(sharded)")[-1].split("stage 0 step")[0]
    made = [line.split(" = ")[0].split(": ")[1].split("[")[0] for line in program.splitlines() if " = " in line]
    # All but the result; images are rounded first.
    assert sorted(set(made[:-1])) == ["int8", "uint8"]
    assert made[-1] == "float32"


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("sign", ["uint8", "int8"])
def test_maxima_are_those_of_the_bytes(sign: str, padding: str) -> None:
    """Rounding keeps the order: before or after pooling, the same bits."""
    i = keras.Input((11, 9, 4))
    pooled = layers.MaxPooling2D(3, 2, padding=padding)(i)
    first = layers.Conv2D(6, 3, name="first")
    x = _noise(5, 11, 9, 4)
    x = np.abs(x) if sign == "uint8" else x
    model = keras.Model(i, first(pooled))
    model.quantize("int8", x)
    assert first.quantization_config is not None
    assert first.quantization_config["input"] == sign
    expected = model.predict(x, verbose=0)
    values = keras.Model(i, pooled).predict(x, verbose=0)
    j = keras.Input(values.shape[1:])
    np.testing.assert_array_equal(keras.Model(j, first(j)).predict(values, verbose=0), expected)
    np.testing.assert_allclose(model(x), expected, rtol=1e-6, atol=1e-6)
    assert f"{sign}{list(values.shape)} in" in str(model._prediction_steps())


def test_calibration_is_deterministic() -> None:
    x = _noise(30, 12, 12, 3)
    one, other = _residual(), _residual()
    one.quantize("int8", x)
    other.quantize("int8", (x[i : i + 32] for i in range(0, 30, 32)))
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_file_keeps_it(tmp_path: Path) -> None:
    model = _residual()
    x = _noise(8, 12, 12, 3)
    model.quantize("int8", x)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert [w.dtype for w in loaded.weights] == [w.dtype for w in model.weights]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    # Weights alone go into a model that is quantized, too.
    for name in ("w.weights.h5", "w.safetensors"):
        model.save_weights(tmp_path / name)
        other = _residual()
        other.quantize("int8", 2 * x)
        other.load_weights(tmp_path / name)
        np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_compiled_model_is_evaluated_but_not_trained(tmp_path: Path) -> None:
    x, y = _noise(16, 6), np.arange(16) % 3
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.fit(x, y, verbose=0)
    before = model.evaluate(x, y, verbose=0)
    model.quantize("int8", x)
    after = model.evaluate(x, y, verbose=0)
    assert abs(after[0] - before[0]) < 0.05
    weights = model.get_weights()
    with pytest.raises(ValueError, match="a quantized model cannot be trained"):
        model.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="a quantized layer cannot be trained"):
        model(x, training=True)
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.save(tmp_path / "m.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "m.keras").evaluate(x, y, verbose=0), after)


def test_what_cannot_be_quantized_stays_and_is_named() -> None:
    class Own(layers.Conv2D):
        def call(self, inputs: Any) -> Any:
            return super().call(inputs) * 2.0

    parts = [
        layers.Conv2D(8, 3, name="plain"),
        layers.Conv2D(8, 3, groups=2, name="grouped"),
        layers.DepthwiseConv2D(3, name="depthwise"),
        layers.Conv2DTranspose(4, 2, name="transposed"),
        Own(4, 1, name="own"),
    ]
    model = keras.Sequential([keras.Input((12, 12, 3)), *parts])
    x = _noise(4, 12, 12, 3)
    with pytest.warns(UserWarning, match="4 layers with kernels stay float32"):
        done = model.quantize("int8", x)
    assert done.quantized == ["plain"]
    assert sorted(done.kept) == ["depthwise", "grouped", "own", "transposed"]
    assert "groups" in done.kept["grouped"]
    assert [layer.quantization_mode for layer in model.layers] == ["int8", None, None, None, None]


def test_filters_choose_layers() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, name="a"), layers.Dense(6, name="b")])
    assert model.quantize("int8", _noise(5, 4), filters="^a").quantized == ["a"]
    with pytest.warns(UserWarning, match="a: it is quantized already"):
        assert model.quantize("int8", _noise(5, 4), filters=lambda _: True).quantized == ["b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "expected the mode 'int8'"),
        ({"calibration_data": None}, "expected calibration_data"),
        ({"mode": "int4"}, "expected the mode 'int8'"),
        ({"config": object()}, "no config"),
        ({"calibration_data": np.zeros((0, 4))}, "at least one"),
        ({"calibration_data": np.full((2, 4), np.nan)}, "infinity or NaN"),
        ({"calibration_data": np.ones((2, 4)), "method": "best"}, "expected a method"),
        ({"calibration_data": np.ones((2, 4)), "percentile": 0}, "expected a percentile"),
        ({"calibration_data": np.ones((2, 4)), "batch_size": 0}, "expected a batch_size"),
        ({"calibration_data": np.ones((2, 4)), "filters": 3}, "expected filters"),
        ({"calibration_data": np.ones((2, 4)), "filters": "none of these"}, "at least one layer"),
        ({"calibration_data": 3}, "got int"),
    ],
)
def test_errors_change_nothing(arguments: dict[str, Any], message: str) -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5)])
    before = model.get_weights()
    with pytest.raises((ValueError, TypeError), match=message):
        model.quantize(**({"mode": "int8"} | arguments if arguments else {}))
    assert model.layers[0].quantization_mode is None
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.layers[0]._observer is None


def test_a_model_must_be_built() -> None:
    with pytest.raises(ValueError, match="expected a built model"):
        keras.Sequential([layers.Dense(3)]).quantize("int8", np.ones((2, 4)))


def test_ranges_do_not_depend_on_batches() -> None:
    x = _noise(4000) * np.float32(0.01) ** _noise(4000, seed=1)
    one, other = Ranges("x"), Ranges("x")
    one.add(x)
    for part in np.array_split(np.sort(x), 37):
        other.add(part)
    for method in ("mse", "minmax", "percentile"):
        assert one.scale(method) == other.scale(method)
    assert one.scale("minmax") == np.abs(x).max() / 127


def test_mean_squared_error_is_least() -> None:
    x = _noise(100000)
    x[0] = 12  # far from the others, the largest of which is about 4
    ranges = Ranges("x")
    ranges.add(x)

    def error(scale: float) -> float:
        return float(((np.clip(np.rint(x / scale), -127, 127) * scale - x) ** 2).mean())

    best = error(ranges.scale("mse"))
    # The histogram's bins blur the errors by a few percent.
    assert all(best < 1.05 * error(x.max() / 127 * share) for share in np.linspace(0.2, 1, 30))
    assert best < 0.9 * error(ranges.scale("minmax"))


def test_scales_hold_zeros_alone() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, kernel_initializer="zeros")])
    model.quantize("int8", np.zeros((3, 4)))
    assert not np.asarray(model.predict(np.ones((2, 4)), verbose=0)).any()


def test_int8_tensors() -> None:
    x = ops.cast([300.0, -3.7, -300.0], "int8")
    assert x.dtype == "int8"
    assert x.numpy().tolist() == [127, -3, -128]
    assert ops.add(x, ops.ones((3,), dtype="uint8")).dtype == "int32"
    assert ops.sum(x).numpy() == -4


def test_accuracy_of_a_trained_network() -> None:
    keras.utils.set_random_seed(0)
    (train, y), (test, ty) = datasets.glyphs.load_data(3000, 1000)
    x, tx = (a[..., None].astype("float32") / 255 for a in (train, test))
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(12, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(24, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(len(np.unique(y))),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.fit(x, y, epochs=3, verbose=0)
    before = model.evaluate(tx, ty, verbose=0)[1]
    assert before > 0.8
    model.quantize("int8", x[:300])
    assert model.evaluate(tx, ty, verbose=0)[1] > before - 0.005


FOLDER = published_resnets.folder()


@pytest.mark.skipif(FOLDER is None, reason="OXICONV_DATA_DIR has no resnet-cifar10")
def test_accuracy_of_a_published_network() -> None:
    assert FOLDER is not None
    (calibration, _), (pictures, labels) = datasets.cifar10.load_data()
    model = published_resnets.load(20, FOLDER)

    def accuracy() -> float:
        answers = model.predict(pictures[:2000], batch_size=250, verbose=0).argmax(-1)
        return float((answers == labels[:2000, 0]).mean())

    before = accuracy()
    assert abs(before - 1833 / 2000) < 0.001
    assert len(model.quantize("int8", calibration[:512]).quantized) == 20
    assert accuracy() > before - 0.005
