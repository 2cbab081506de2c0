"""Metrics against float64 oracles, and their state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oxiconv import metrics
from oxiconv.trainer.compile_metrics import get_metric

EPS = float(np.finfo(np.float32).eps)


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def result(metric: metrics.Metric, *batches: tuple[Any, ...]) -> float:
    metric.reset_state()
    for batch in batches:
        metric.update_state(*batch)
    return float(metric.result())


def test_weighted_mean_over_batches() -> None:
    values, weights = rng().normal(size=(2, 50)).astype(np.float32)
    weights = np.abs(weights)
    got = result(metrics.Mean(), *[(values[i : i + 7], weights[i : i + 7]) for i in range(0, 50, 7)])
    v, w = values.astype(np.float64), weights.astype(np.float64)
    # Products and the sums within a batch round; sums over batches do not.
    assert got == pytest.approx((v * w).sum() / w.sum(), abs=10 * EPS * np.abs(v).max())


def test_mean_without_values_is_zero() -> None:
    assert float(metrics.Mean().result()) == 0.0


def test_counts_beyond_the_integers_of_float32() -> None:
    """After 2**24 samples a float32 count would no longer grow by ones."""
    mean = metrics.Mean()
    mean.update_state(np.ones(2**24, np.float32))
    for _ in range(9):
        mean.update_state(np.zeros(1, np.float32))
    count = np.float64(mean.count.numpy()) + np.float64(mean._count.low.numpy())
    assert count == 2**24 + 9
    # 2**24 / (2**24 + 9), to the rounding of a float32 quotient.
    assert float(mean.result()) == pytest.approx(2**24 / (2**24 + 9), rel=EPS)


def test_sum_of_many_small_terms_is_exact() -> None:
    total = metrics.Sum()
    for _ in range(1000):
        total.update_state(np.float32(0.1))
    assert float(total.result()) == pytest.approx(1000 * np.float64(np.float32(0.1)), rel=EPS)


LABELS = rng().integers(0, 10, 40)
SCORES = rng().normal(size=(40, 10)).astype(np.float32)
HOT = np.eye(10, dtype=np.float32)[LABELS]
HITS = SCORES.argmax(-1) == LABELS
RANK = (SCORES[np.arange(40), LABELS][:, None] < SCORES).sum(-1)
WEIGHTS = rng().uniform(size=40).astype(np.float32)


@pytest.mark.parametrize(
    ("metric", "y_true", "hits"),
    [
        (metrics.SparseCategoricalAccuracy(), LABELS, HITS),
        (metrics.SparseCategoricalAccuracy(), LABELS[:, None], HITS),
        (metrics.CategoricalAccuracy(), HOT, HITS),
        (metrics.TopKCategoricalAccuracy(k=3), HOT, RANK < 3),
        (metrics.SparseTopKCategoricalAccuracy(k=3), LABELS, RANK < 3),
    ],
    ids=["sparse", "sparse column", "categorical", "top 3", "sparse top 3"],
)
def test_accuracies(metric: metrics.Metric, y_true: Any, hits: Any) -> None:
    got = result(metric, (y_true[:30], SCORES[:30]), (y_true[30:], SCORES[30:]))
    assert got == pytest.approx(hits.mean(), rel=EPS)
    weighted = result(metric, (y_true[:30], SCORES[:30], WEIGHTS[:30]), (y_true[30:], SCORES[30:], WEIGHTS[30:]))
    # Sums of 30 positive weights.
    assert weighted == pytest.approx((hits * WEIGHTS).sum() / WEIGHTS.sum(), rel=32 * EPS)


def test_the_first_of_equal_scores_wins() -> None:
    assert result(metrics.SparseCategoricalAccuracy(), ([0, 1], [[1.0, 1.0], [1.0, 1.0]])) == 0.5


def test_binary_accuracy_and_threshold() -> None:
    y, p = [[1.0], [0.0], [1.0], [0.0]], [[0.6], [0.6], [0.4], [0.5]]
    assert result(metrics.BinaryAccuracy(), (y, p)) == 0.5
    assert result(metrics.BinaryAccuracy(threshold=0.55), (y, p)) == 0.5
    assert result(metrics.BinaryAccuracy(threshold=0.3), (y, p)) == 0.5
    with pytest.raises(ValueError, match="threshold"):
        metrics.BinaryAccuracy(threshold=1.0)


def test_accuracy_of_masks_is_a_mean_over_pixels() -> None:
    y = rng().integers(0, 3, (4, 6, 6))
    p = rng().normal(size=(4, 6, 6, 3)).astype(np.float32)
    got = result(metrics.SparseCategoricalAccuracy(), (y, p))
    assert got == pytest.approx((p.argmax(-1) == y).mean(), rel=8 * EPS)


def test_regression_metrics() -> None:
    t, y = rng().normal(size=(2, 20, 3)).astype(np.float32)
    e = t.astype(np.float64) - y
    for metric, want in (
        (metrics.MeanSquaredError(), (e**2).mean()),
        (metrics.MeanAbsoluteError(), np.abs(e).mean()),
        (metrics.RootMeanSquaredError(), np.sqrt((e**2).mean())),
    ):
        # Sums of 60 positive terms.
        assert result(metric, (t[:9], y[:9]), (t[9:], y[9:])) == pytest.approx(want, rel=64 * EPS)


@pytest.mark.parametrize(
    ("y_shape", "p_shape", "kind"),
    [
        ((8, 1), (8, 1), metrics.BinaryAccuracy),
        ((8,), (8, 1), metrics.BinaryAccuracy),
        ((8,), (8, 5), metrics.SparseCategoricalAccuracy),
        ((8, 1), (8, 5), metrics.SparseCategoricalAccuracy),
        ((8, 5), (8, 5), metrics.CategoricalAccuracy),
        ((8, 4, 4), (8, 4, 4, 5), metrics.SparseCategoricalAccuracy),
    ],
)
@pytest.mark.parametrize("word", ["accuracy", "acc"])
def test_accuracy_is_resolved_by_shapes(y_shape: Any, p_shape: Any, kind: type, word: str) -> None:
    metric = get_metric(word, np.zeros(y_shape), np.zeros(p_shape))
    assert isinstance(metric, kind)
    assert metric.name == word


def test_names_and_configurations() -> None:
    assert get_metric("mse", np.zeros((2, 1)), np.zeros((2, 1))).name == "mse"
    with pytest.raises(ValueError, match="Unknown metric 'nope'"):
        metrics.get("nope")
    top = metrics.SparseTopKCategoricalAccuracy(k=2, name="top")
    assert metrics.deserialize(metrics.serialize(top)).get_config() == top.get_config()


def test_reset_and_variables() -> None:
    metric = metrics.SparseCategoricalAccuracy()
    assert result(metric, ([1], [[0.0, 1.0]])) == 1.0
    metric.reset_state()
    assert all(float(v) == 0.0 for v in metric.variables)
    assert float(metric([0, 0], [[0.0, 1.0], [1.0, 0.0]])) == 0.5
