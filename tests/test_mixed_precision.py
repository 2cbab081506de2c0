"""Dtype policies: what layers compute in, what they keep, and what a model trained so does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import oxiconv
from oxiconv import dtype_policies, layers, mixed_precision
from oxiconv.trainer.step import CompiledStep
from oxiconv.variable import AutocastScope, Variable

HALVES = ("float16", "bfloat16")
LAYERS: list[tuple[Any, tuple[int, ...]]] = [
    (lambda: layers.Dense(3), (4,)),
    (lambda: layers.Conv2D(3, 2), (5, 5, 2)),
    (lambda: layers.Conv2DTranspose(2, 3), (4, 4, 2)),
    (lambda: layers.SeparableConv2D(2, 3), (4, 4, 2)),
    (lambda: layers.BatchNormalization(), (5,)),
    (lambda: layers.LayerNormalization(), (5,)),
    (lambda: layers.Dropout(0.5), (4,)),
    (lambda: layers.MaxPooling2D(2), (4, 4, 1)),
    (lambda: layers.AveragePooling2D(2), (4, 4, 1)),
    (lambda: layers.GlobalAveragePooling2D(), (4, 4, 2)),
    (lambda: layers.Softmax(), (3,)),
    (lambda: layers.PReLU(), (3,)),
    (lambda: layers.Rescaling(0.5, 1.0), (3,)),
    (lambda: layers.UpSampling2D(2, interpolation="bilinear"), (4, 4, 2)),
    (lambda: layers.Flatten(), (2, 2)),
]


@pytest.fixture(autouse=True)
def _float32_afterwards() -> Iterator[None]:
    yield
    oxiconv.config.set_dtype_policy("float32")


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_layers_compute_in_the_half_type_and_keep_float32_weights(
    make: Any, shape: tuple[int, ...], training: bool, half: str
) -> None:
    mixed_precision.set_global_policy(f"mixed_{half}")
    layer = make()
    oxiconv.config.set_dtype_policy("float32")
    assert (layer.compute_dtype, layer.variable_dtype, layer.dtype) == (half, "float32", "float32")
    x = np.random.default_rng(0).standard_normal((4, *shape)).astype(np.float32)
    y = layer(x, training=training)
    assert y.dtype == half
    assert layer(oxiconv.Input(shape)).dtype == half
    assert {w.dtype for w in layer.weights} <= {"float32"}
    wide = type(layer).from_config({**layer.get_config(), "dtype": "float32"})
    if not isinstance(layer, layers.Dropout):
        wide.build((None, *shape))
        wide.set_weights(layer.get_weights())
        # A few roundings to the half type, of values up to the largest.
        bound = 8 * 2.0 ** (-11 if half == "float16" else -8) * max(1.0, float(np.abs(wide(x)).max()))
        np.testing.assert_allclose(oxiconv.ops.cast(layer(x), "float32"), wide(x), atol=bound)


def test_own_layers_read_their_weights_in_the_compute_type() -> None:
    class Scale(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.a = self.add_weight((1,), "ones", name="a")
            self.b = self.add_weight((1,), "ones", autocast=False, name="b")

        def call(self, x: Any) -> Any:
            self.seen = [x.dtype, self.a.dtype, self.a.value.dtype, self.b.value.dtype]
            return x * self.a

    layer = Scale(dtype="mixed_bfloat16")
    assert layer(np.ones((2, 1))).dtype == "bfloat16"
    assert layer.seen == ["bfloat16", "bfloat16", "bfloat16", "float32"]
    plain = Scale(dtype="mixed_bfloat16", autocast=False)
    plain(np.ones((2, 1)))
    assert plain.seen == ["float32", "float32", "float32", "float32"]
    whole = Scale(dtype="bfloat16")
    whole(np.ones((2, 1)))
    assert [w.dtype for w in whole.weights] == ["bfloat16", "bfloat16"]


@pytest.mark.parametrize("half", HALVES)
def test_training(half: str) -> None:
    """The loss falls, by nearly what it falls in float32, and predictions of a float32 head are float32."""
    losses: dict[str, list[float]] = {}
    x = np.random.default_rng(0).standard_normal((64, 8)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int32)
    for policy in ("float32", f"mixed_{half}"):
        oxiconv.utils.set_random_seed(1)
        oxiconv.config.set_dtype_policy(policy)
        inputs = oxiconv.Input((8,))
        h = layers.BatchNormalization()(layers.Dense(16, activation="relu")(inputs))
        model = oxiconv.Model(inputs, layers.Dense(2, activation="softmax", dtype="float32")(h))
        model.compile(oxiconv.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        losses[policy] = model.fit(x, y, epochs=10, verbose=0, shuffle=False).history["loss"]
        assert model.predict(x, verbose=0).dtype == np.float32
        assert model.layers[2].output.dtype == (half if policy != "float32" else "float32")
    wide, narrow = losses.values()
    assert narrow[-1] < 0.6 * narrow[0]
    # Twenty steps, whose gradients differ by a few roundings to the half type each.
    np.testing.assert_allclose(narrow, wide, rtol=20 * 4 * 2.0 ** (-11 if half == "float16" else -8))


def small_resnet(policy: str) -> oxiconv.Model:
    """A residual network under a policy, with a float32 head and weights that do not depend on the policy."""
    oxiconv.utils.set_random_seed(1)
    oxiconv.config.set_dtype_policy(policy)
    inputs = oxiconv.Input((16, 16, 3))

    def convolution(x: Any) -> Any:
        x = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
        return layers.BatchNormalization(momentum=0.9)(x)

    x = layers.ReLU()(convolution(layers.Rescaling(1 / 255)(inputs)))
    for _ in range(3):
        x = layers.ReLU()(layers.add([x, convolution(layers.ReLU()(convolution(x)))]))
    x = layers.GlobalAveragePooling2D()(x)
    model = oxiconv.Model(inputs, layers.Dense(2, dtype="float32")(x))
    loss = oxiconv.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(oxiconv.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


def stripes(count: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Pictures of bytes with stripes, upright or level, under noise."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, count).astype(np.int32)
    wave = np.where(np.arange(16) // 2 % 2, 60.0, -60.0)
    level = np.broadcast_to(wave[:, None, None], (16, 16, 3))
    pictures = np.where(y[:, None, None, None] == 1, level, level.transpose(1, 0, 2))
    return (128 + pictures + rng.normal(0, 20, pictures.shape)).clip(0, 255).astype(np.uint8), y


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The programs of steps compiled from now on, as they print themselves."""
    found: list[str] = []
    plain = CompiledStep.__init__

    def init(self: CompiledStep, *args: Any) -> None:
        plain(self, *args)
        found.append(f"{self.title}\n{self.step}")

    monkeypatch.setattr(CompiledStep, "__init__", init)
    return found


def kept(program: str) -> int:
    """Bytes that the planner sets aside for what stages leave to later ones."""
    found = re.search(r"arena (\d+) bytes", program)
    assert found is not None
    return int(found[1])


def test_mixed_bfloat16_halves_what_is_kept_and_learns(programs: list[str]) -> None:
    x, y = stripes(512)
    bytes_kept, accuracies = [], []
    for policy in ("float32", "mixed_bfloat16"):
        model = small_resnet(policy)
        model.fit(x, y, 64, 4, verbose=0)
        (program,) = (p for p in programs if p.startswith("train"))
        bytes_kept.append(kept(program))
        accuracies.append(model.evaluate(x, y, verbose=0)[1])
        programs.clear()
    # Ten activations and more; what else is there is a few kilobytes of weights and partial sums for each task.
    assert bytes_kept[0] >= 10 * 64 * 16 * 16 * 8 * 4
    assert bytes_kept[1] <= 0.56 * bytes_kept[0]
    assert min(accuracies) > 0.95


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_pictures_stay_bytes_until_a_shard_reads_them(programs: list[str], policy: str) -> None:
    x, y = stripes(192)
    model, same = small_resnet(policy), small_resnet(policy)
    model.fit(x, y, 64, 2, verbose=0, shuffle=False)
    assert model.predict(x, 64, verbose=0).shape == (192, 2)
    model.evaluate(x, y, 64, verbose=0)
    model.fit(((x[i : i + 64], y[i : i + 64]) for i in (0, 64, 128)), verbose=0)
    assert [p.split()[0] for p in programs] == ["train", "predict", "test"]
    for program in programs:
        assert "uint8[64, 16, 16, 3]" in program.splitlines()[0]
        assert not re.search(r"float(?:32|16)\[64, 16, 16, 3\] in arena", program), program
    # What the pictures are as float32 gives the same numbers.
    wide = x.astype(np.float32)
    same.fit(wide, y, 64, 2, verbose=0, shuffle=False)
    same.fit(((wide[i : i + 64], y[i : i + 64]) for i in (0, 64, 128)), verbose=0)
    for a, b in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_policies() -> None:
    policy = dtype_policies.get("mixed_float16")
    assert policy == dtype_policies.DTypePolicy("mixed_float16") != dtype_policies.DTypePolicy("float32")
    assert policy == dtype_policies.FloatDTypePolicy("mixed_float16")
    assert dtype_policies.deserialize(dtype_policies.serialize(policy)) == policy
    assert dtype_policies.get(None).name == "float32"
    assert dtype_policies.get(np.int32).compute_dtype == "int32"
    assert repr(policy) == '<DTypePolicy "mixed_float16">'
    x = policy.convert_input(np.ones(2), True, "float16")
    assert x.dtype == "float16"
    assert policy.convert_input(np.ones(2, np.int32), True, "float16").dtype == "int32"
    for name, message in (("float64", "widest real type"), ("int8_from_float32", "absent"), ("double2", "expected")):
        with pytest.raises(ValueError, match=message):
            dtype_policies.DTypePolicy(name)


def test_policies_by_path() -> None:
    policies = dtype_policies.DTypePolicyMap(policy_map={".*head": dtype_policies.DTypePolicy("mixed_bfloat16")})
    assert layers.Dense(1, name="head", dtype=policies).compute_dtype == "bfloat16"
    assert layers.Dense(1, name="body", dtype=policies).compute_dtype == "float32"
    again = dtype_policies.deserialize(dtype_policies.serialize(policies))
    assert isinstance(again, dtype_policies.DTypePolicyMap)
    assert (len(again), again["x/head"].name) == (1, "mixed_bfloat16")
    with pytest.raises(ValueError, match="a new key"):
        policies[".*head"] = dtype_policies.DTypePolicy("float32")


def test_the_global_policy_follows_floatx_and_clear_session() -> None:
    mixed_precision.set_global_policy("mixed_bfloat16")
    assert oxiconv.config.dtype_policy().name == mixed_precision.dtype_policy().name == "mixed_bfloat16"
    oxiconv.backend.clear_session()
    assert oxiconv.config.dtype_policy().name == "float32"
    oxiconv.config.set_floatx("float16")
    assert layers.Dense(1).dtype == "float16"
    oxiconv.config.set_floatx("float32")


def test_autocast_scopes_nest() -> None:
    v = Variable([1.5])
    with AutocastScope("float16"):
        assert (v.dtype, v.value.dtype) == ("float16", "float16")
        with AutocastScope(None):
            assert v.value.dtype == "float32"
        v.assign([2.5])
    assert (v.dtype, float(v[0])) == ("float32", 2.5)
