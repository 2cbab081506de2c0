"""Metrics against float64 oracles, and their state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oxiconv import metrics
from oxiconv.trace import Trace
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
    # 2**24 / (2**24 + 9), to the rounding of a float32 quotient: a count that stopped at 2**24 would give 1.
    assert float(mean.result()) == pytest.approx(2**24 / (2**24 + 9), rel=EPS)
    # A total that is assigned, to reset it say, forgets what rounding lost before.
    mean.total.assign(0.0)
    mean.count.assign(0.0)
    mean.update_state(3.0)
    assert float(mean.result()) == 3.0


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
    assert result(metrics.BinaryAccuracy(threshold=0.0), (y, [[1.0], [-1.0], [2.0], [0.0]])) == 1.0  # logits


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


def counts(labels: Any, positive: Any, weights: Any) -> tuple[float, float, float, float]:
    """True and false positives, true and false negatives."""
    a, p = labels.astype(bool), positive.astype(bool)
    return tuple(float((weights * m).sum()) for m in (a & p, ~a & p, ~a & ~p, a & ~p))  # type: ignore[return-value]


BINARY = rng().integers(0, 2, 60)
CHANCES = np.clip(BINARY * 0.3 + rng().random(60) * 0.7, 0, 1).astype(np.float32)
UNEVEN = rng().uniform(size=60).astype(np.float32)
# Sums of 60 positive terms within a batch, and a quotient.
TOLERANCE = 64 * EPS


@pytest.mark.parametrize("threshold", [None, 0.2, 0.9])
def test_confusion_counts_and_ratios(threshold: float | None) -> None:
    tp, fp, tn, fn = counts(BINARY, (0.5 if threshold is None else threshold) < CHANCES, UNEVEN.astype(np.float64))
    batches = [(BINARY[i : i + 25], CHANCES[i : i + 25], UNEVEN[i : i + 25]) for i in (0, 25, 50)]
    for metric, want in (
        (metrics.TruePositives(threshold), tp),
        (metrics.FalsePositives(threshold), fp),
        (metrics.TrueNegatives(threshold), tn),
        (metrics.FalseNegatives(threshold), fn),
        (metrics.Precision(threshold), tp / (tp + fp)),
        (metrics.Recall(threshold), tp / (tp + fn)),
    ):
        assert result(metric, *batches) == pytest.approx(want, rel=TOLERANCE)


def test_several_thresholds_top_k_and_class() -> None:
    recall = metrics.Recall(thresholds=[0.2, 0.9])
    recall.update_state(BINARY, CHANCES)
    want = [(BINARY * (t < CHANCES)).sum() / BINARY.sum() for t in (np.float32(0.2), np.float32(0.9))]
    np.testing.assert_allclose(recall.result().numpy(), want, rtol=TOLERANCE)
    assert result(metrics.Recall(top_k=3), (HOT, SCORES)) == pytest.approx((RANK < 3).mean(), rel=TOLERANCE)
    chosen = SCORES[:, 4] > 0.5
    assert result(metrics.Precision(class_id=4), (HOT, SCORES)) == pytest.approx(
        (chosen & (LABELS == 4)).sum() / chosen.sum(), rel=TOLERANCE
    )
    with pytest.raises(ValueError, match="thresholds"):
        metrics.Precision(thresholds=[2.0])


def test_area_under_roc_is_the_chance_to_rank_a_pair_right() -> None:
    """With a threshold between any two predictions the trapezoids sum to the Mann-Whitney statistic."""
    p = CHANCES[:, None] - CHANCES[None, :]
    pairs = (BINARY[:, None] == 1) & (BINARY[None, :] == 0)
    want = ((p > 0) + 0.5 * (p == 0))[pairs].mean()
    middle = np.sort(CHANCES.astype(np.float64))
    auc = metrics.AUC(thresholds=((middle[1:] + middle[:-1]) / 2).tolist())
    assert result(auc, (BINARY[:25], CHANCES[:25]), (BINARY[25:], CHANCES[25:])) == pytest.approx(want, rel=TOLERANCE)


def test_areas_of_a_curve_by_hand() -> None:
    """Predictions 0, 0.5, 0.3, 0.9 of targets 0, 0, 1, 1 at thresholds below 0, 0.5 and above 1."""
    y, p = [0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]
    assert result(metrics.AUC(num_thresholds=3), (y, p)) == pytest.approx(0.75, rel=TOLERANCE)
    assert result(metrics.AUC(3, summation_method="minoring"), (y, p)) == pytest.approx(0.5, rel=TOLERANCE)
    assert result(metrics.AUC(3, summation_method="majoring"), (y, p)) == pytest.approx(1.0, rel=TOLERANCE)
    # tp 2, 1, 0; fp 2, 0, 0: 1/2 * (1 + slope 1/3 ...) of Davis and Goadrich.
    slope, intercept = 1 / 3, 1 - 1 / 3
    want = (slope * (1 + intercept * np.log(4)) / 2) + 1 * 1 / 2
    assert result(metrics.AUC(3, curve="PR"), (y, p)) == pytest.approx(want, rel=TOLERANCE)
    with pytest.raises(ValueError, match="curve"):
        metrics.AUC(curve="ROCK")


def test_mean_iou() -> None:
    draw, shape = rng(), (2, 5, 6, 6)
    y, p, w = draw.integers(0, 4, shape), draw.integers(0, 5, shape), draw.random(shape)
    hit = [((y == c) & (p == c)) for c in range(5)]
    union = [((y == c) | (p == c)) for c in range(5)]
    want = np.mean([h.sum() / u.sum() for h, u in zip(hit, union, strict=True)])
    got = result(metrics.MeanIoU(num_classes=6), (y[:1], p[:1]), (y[1:], p[1:]))
    assert got == pytest.approx(want, rel=TOLERANCE)
    weighted = np.mean([(w * h).sum() / (w * u).sum() for h, u in zip(hit, union, strict=True)])
    # Sums of 180 positive terms.
    assert result(metrics.MeanIoU(5, dtype="float32"), (y, p, w.astype(np.float32))) == pytest.approx(
        weighted, rel=400 * EPS
    )
    assert result(metrics.IoU(5, [2]), (y, p)) == pytest.approx(hit[2].sum() / union[2].sum(), rel=TOLERANCE)
    kept = y != 3
    ignoring = [(h & kept).sum() / (u & kept).sum() for h, u in zip(hit, union, strict=True)]
    assert result(metrics.MeanIoU(5, ignore_class=3), (y, p)) == pytest.approx(np.mean(ignoring), rel=TOLERANCE)
    one_hot = metrics.MeanIoU(5, sparse_y_true=False, sparse_y_pred=False)
    assert result(one_hot, (np.eye(5)[y], np.eye(5)[p])) == pytest.approx(result(metrics.MeanIoU(5), (y, p)))
    known = (y < 3) & (p < 3)
    inside = [(h & known).sum() / (u & known).sum() for h, u in zip(hit[:3], union[:3], strict=True)]
    assert result(metrics.MeanIoU(3), (y, p)) == pytest.approx(np.mean(inside), rel=TOLERANCE)
    with pytest.raises(ValueError, match="expected predictions of shape"):
        metrics.MeanIoU(3).update_state(y, p[:1])
    whole = metrics.MeanIoU(5)
    with pytest.warns(UserWarning, match="whole numbers"):
        whole.update_state(y, p, 3 * w.astype(np.float32))
    rounded = (3 * w.astype(np.float32)).astype(int)
    shares = [(rounded * h).sum() / (rounded * u).sum() for h, u in zip(hit, union, strict=True)]
    assert float(whole.result()) == pytest.approx(np.mean(shares), rel=TOLERANCE)


def test_a_compiled_iou_counts_as_an_eager_one() -> None:
    metric, eager = metrics.MeanIoU(3, ignore_class=2), metrics.MeanIoU(3, ignore_class=2)
    with Trace() as trace:
        y, p = (trace.graph.input((5,), "int32") for _ in range(2))
        metric.update_state(y, p)
        step = trace.compile([])
    for labels, predicted in (([0, 1, 2, 2, 1], [0, 0, 1, 2, 1]), ([0, 1, 2, 3, -1], [0, 1, 2, 3, 4])):
        step.run([np.array(labels, np.int32), np.array(predicted, np.int32)])
        eager.update_state(labels, predicted)
    assert metric.total_cm.numpy().tolist() == eager.total_cm.numpy().tolist() == [[2, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert float(metric.result()) == float(eager.result())


@pytest.mark.parametrize(
    "metric",
    [
        metrics.AUC(5, curve="PR"),
        metrics.AUC(thresholds=[0.1, 0.4]),
        metrics.Precision([0.1, 0.2], top_k=2),
        metrics.TruePositives(0.3),
        metrics.MeanIoU(4, ignore_class=1),
        metrics.IoU(4, [1, 2], sparse_y_pred=False),
    ],
)
def test_configurations(metric: metrics.Metric) -> None:
    again = metrics.deserialize(metrics.serialize(metric))
    assert again.get_config() == metric.get_config()
    assert [v.shape for v in again.variables] == [v.shape for v in metric.variables]
