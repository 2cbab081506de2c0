"""Losses against float64 oracles written from their definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from oxiconv import losses

# The oracles compute in float64; NumPy types much of that as Any.
Array = Any
EPS = float(np.finfo(np.float32).eps)
N, D = 7, 5


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def clip(p: Array) -> Array:
    return np.clip(p, 1e-7, 1 - 1e-7)


def one_hot(n: int, classes: int) -> Array:
    return np.eye(classes)[rng().integers(0, classes, n)]


def bce(t: Array, p: Array) -> Array:
    return -(t * np.log(clip(p)) + (1 - t) * np.log(1 - clip(p))).mean(-1)


def bce_logits(t: Array, z: Array) -> Array:
    return (np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))).mean(-1)


def huber(t: Array, p: Array, delta: float) -> Array:
    e = np.abs(t - p)
    return np.where(e <= delta, e**2 / 2, delta * e - delta**2 / 2).mean(-1)


def cosine(t: Array, p: Array) -> Array:
    return -(t * p).sum(-1) / np.linalg.norm(t, axis=-1) / np.linalg.norm(p, axis=-1)


def probabilities() -> Array:
    return softmax(rng().normal(size=(N, D)) * 2)


def reals() -> tuple[Array, Array]:
    return rng().normal(size=(N, D)) * 3, rng().normal(size=(N, D)) + 1


HOT, P, Z = one_hot(N, D), probabilities(), rng().normal(size=(N, D)) * 4
T, Y = reals()
LABELS = HOT.argmax(-1)

CASES: list[tuple[str, Callable[..., Any], dict[str, Any], Any, Array, Array]] = [
    ("mse", losses.mean_squared_error, {}, T, Y, ((T - Y) ** 2).mean(-1)),
    ("mae", losses.mean_absolute_error, {}, T, Y, np.abs(T - Y).mean(-1)),
    ("mape", losses.mean_absolute_percentage_error, {}, T, Y, 100 * np.abs((T - Y) / np.abs(T)).mean(-1)),
    (
        "msle",
        losses.mean_squared_logarithmic_error,
        {},
        P,
        HOT,
        ((np.log1p(np.maximum(P, 1e-7)) - np.log1p(np.maximum(HOT, 1e-7))) ** 2).mean(-1),
    ),
    ("huber", losses.huber, {"delta": 1.5}, T, Y, huber(T, Y, 1.5)),
    ("log_cosh", losses.log_cosh, {}, T, Y, np.log(np.cosh(T - Y)).mean(-1)),
    ("cosine", losses.cosine_similarity, {}, T, Y, cosine(T, Y)),
    ("bce", losses.binary_crossentropy, {}, HOT, P, bce(HOT, P)),
    ("bce logits", losses.binary_crossentropy, {"from_logits": True}, HOT, Z, bce_logits(HOT, Z)),
    ("bce smooth", losses.binary_crossentropy, {"label_smoothing": 0.2}, HOT, P, bce(HOT * 0.8 + 0.1, P)),
    ("cce", losses.categorical_crossentropy, {}, HOT, P, -(HOT * np.log(clip(P))).sum(-1)),
    (
        "cce unnormalized",
        losses.categorical_crossentropy,
        {},
        HOT,
        P * 3,
        -(HOT * np.log(clip(P))).sum(-1),
    ),
    (
        "cce logits",
        losses.categorical_crossentropy,
        {"from_logits": True},
        HOT,
        Z,
        -(HOT * np.log(softmax(Z))).sum(-1),
    ),
    (
        "cce smooth",
        losses.categorical_crossentropy,
        {"label_smoothing": 0.1},
        HOT,
        P,
        -((HOT * 0.9 + 0.1 / D) * np.log(clip(P))).sum(-1),
    ),
    ("scce", losses.sparse_categorical_crossentropy, {}, LABELS, P, -np.log(clip(P))[np.arange(N), LABELS]),
    (
        "scce logits",
        losses.sparse_categorical_crossentropy,
        {"from_logits": True},
        LABELS[:, None],
        Z,
        -np.log(softmax(Z))[np.arange(N), LABELS],
    ),
    (
        "kld",
        losses.kl_divergence,
        {},
        P,
        softmax(Z),
        (P * np.log(P / np.clip(softmax(Z), 1e-7, 1))).sum(-1),
    ),
    ("poisson", losses.poisson, {}, HOT, P, (P - HOT * np.log(P + 1e-7)).mean(-1)),
    ("hinge", losses.hinge, {}, HOT, Y, np.maximum(1 - (2 * HOT - 1) * Y, 0).mean(-1)),
    ("squared_hinge", losses.squared_hinge, {}, HOT, Y, (np.maximum(1 - (2 * HOT - 1) * Y, 0) ** 2).mean(-1)),
    (
        "categorical_hinge",
        losses.categorical_hinge,
        {},
        HOT,
        Y,
        np.maximum(((1 - HOT) * Y).max(-1) - (HOT * Y).sum(-1) + 1, 0),
    ),
]


@pytest.mark.parametrize(("name", "fn", "kwargs", "y_true", "y_pred", "expected"), CASES, ids=[c[0] for c in CASES])
def test_function_against_oracle(
    name: str, fn: Callable[..., Any], kwargs: dict[str, Any], y_true: Any, y_pred: Array, expected: Array
) -> None:
    given = y_true if y_true.dtype.kind == "i" else y_true.astype(np.float32)
    got = fn(given, y_pred.astype(np.float32), **kwargs).numpy()
    assert got.shape == expected.shape
    # Rounding the inputs, and at most 4 roundings per term of D sums, logarithms and products, each relative to the
    # largest term; mape divides by targets down to 0.1, and log magnifies by 1/p <= 1e3 here before cancelling in t.
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(got, expected, rtol=0, atol=32 * D * EPS * scale)


def test_clipping_is_keras() -> None:
    """A certain and wrong prediction costs -log(1e-7); a certain and right one -log(1 - 1e-7), rounded to float32."""
    y = losses.categorical_crossentropy([[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]).numpy()
    assert y[0] == pytest.approx(-np.log(1e-7), rel=4 * EPS)
    assert y[1] == pytest.approx(-np.log(np.float64(np.float32(1 - 1e-7))), rel=1e-6)


def test_large_logits_stay_finite() -> None:
    big = np.array([[1e4, -1e4]], np.float32)
    assert losses.binary_crossentropy([[1.0, 0.0]], big, from_logits=True).numpy()[0] == 0.0
    assert losses.categorical_crossentropy([[0.0, 1.0]], big, from_logits=True).numpy()[0] == pytest.approx(2e4)


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        ("sum_over_batch_size", lambda v, w: (v * w).sum() / v.size),
        ("mean", lambda v, w: (v * w).sum() / v.size),
        ("sum", lambda v, w: (v * w).sum()),
        ("mean_with_sample_weight", lambda v, w: (v * w).sum() / w.sum()),
        ("none", lambda v, w: v * w),
        (None, lambda v, w: v * w),
    ],
)
def test_reductions_with_sample_weights(reduction: str | None, expected: Callable[[Array, Array], Any]) -> None:
    w = rng().uniform(0.1, 2, N)
    want = expected(((T - Y) ** 2).mean(-1), w)
    loss = losses.MeanSquaredError(reduction=reduction)
    for weights in (w, w[:, None]):
        got = loss(T.astype(np.float32), Y.astype(np.float32), weights.astype(np.float32)).numpy()
        np.testing.assert_allclose(np.squeeze(got), want, rtol=4 * (D + N) * EPS)


def test_weights_of_leading_axes() -> None:
    """A loss per pixel `[n, h, w]` takes a weight per sample or per pixel."""
    t, y = rng().normal(size=(2, 2, 3, 4, 1)).astype(np.float32)
    per_sample = np.array([1.0, 3.0], np.float32)
    got = float(losses.MeanSquaredError()(t, y, per_sample))
    want = ((t - y).astype(np.float64) ** 2)[..., 0] * per_sample[:, None, None]
    assert got == pytest.approx(want.mean(), rel=40 * EPS)


def test_ignored_class_leaves_the_mean() -> None:
    labels = LABELS.copy()
    labels[::2] = 255
    got = float(losses.SparseCategoricalCrossentropy(ignore_class=255)(labels, P.astype(np.float32)))
    want = -np.log(clip(P))[np.arange(N), LABELS][1::2].mean()
    assert got == pytest.approx(want, rel=16 * D * EPS)


def test_squeezes_a_trailing_one() -> None:
    assert float(losses.MeanSquaredError()([1.0, 2.0], [[1.0], [4.0]])) == 2.0


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"mean_squared_error: .*\(4, 10\).*\(4, 3\)"):
        losses.MeanSquaredError()(np.zeros((4, 3)), np.zeros((4, 10)))
    with pytest.raises(ValueError, match=r"expected integer labels of shape \(4,\).*one-hot"):
        losses.SparseCategoricalCrossentropy()(np.zeros((4, 10)), np.zeros((4, 10)))
    with pytest.raises(ValueError, match="sample_weight"):
        losses.MeanSquaredError()(np.zeros((4, 3)), np.zeros((4, 3)), np.ones(3))


@pytest.mark.parametrize("label", [-1, 10, 255])
def test_labels_out_of_range(label: int) -> None:
    with pytest.raises(ValueError, match=rf"labels in \[0, 10\), got {label} at position 1"):
        losses.SparseCategoricalCrossentropy()(np.array([3, label]), np.full((2, 10), 0.1))


def test_get_and_configurations() -> None:
    assert losses.get("mse") is losses.mean_squared_error
    assert losses.get("MSE") is losses.mean_squared_error
    assert isinstance(losses.get("CategoricalCrossentropy"), losses.CategoricalCrossentropy)
    assert losses.get(None) is None
    with pytest.raises(ValueError, match="Unknown loss 'nope'"):
        losses.get("nope")
    smooth = losses.CategoricalCrossentropy(label_smoothing=0.1, from_logits=True)
    again = losses.deserialize(losses.serialize(smooth))
    assert again.get_config() == smooth.get_config()
    assert losses.deserialize(losses.serialize(losses.huber)) is losses.huber
    with pytest.raises(ValueError, match="reduction"):
        losses.MeanSquaredError(reduction="average")


def test_own_loss_gets_float_targets() -> None:
    class Own(losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            assert y_true.dtype == "float32"
            return losses.mean_squared_error(y_true, y_pred)

    assert float(Own()(np.array([[1], [2]], np.uint8), np.zeros((2, 1)))) == 2.5
