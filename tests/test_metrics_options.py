"""Metrics and losses within compiled steps, their configurations, and wrong arguments."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import oxiconv
from oxiconv import losses, metrics
from oxiconv.dtype import standardize_dtype
from oxiconv.trace import Trace
from reference.areas.losses import LOSSES, data
from reference.areas.metrics import METRICS, batch, own_metric
from reference.case import Library

EPS = float(np.finfo(np.float32).eps)
KERAS = Library(oxiconv, oxiconv.GradientTape)


def compiled(metric: metrics.Metric, first: tuple[Any, Any]) -> Any:
    """A step that updates the metric with targets and predictions like the first ones."""
    with Trace() as trace:
        inputs = [trace.graph.input(x.shape, standardize_dtype(x.dtype)) for x in first]
        metric.update_state(*inputs)
        return trace.compile([])


@pytest.mark.parametrize("name", METRICS)
def test_compiled_updates_equal_eager_ones(name: str) -> None:
    cls, kind, arguments = METRICS[name]
    eager, other = (getattr(metrics, cls)(**arguments) for _ in range(2))
    batches = [batch(KERAS, kind, number) for number in range(3)]
    step = compiled(other, batches[0])
    for targets, predictions in batches:
        eager.update_state(targets, predictions)
        step.run([targets, predictions])
    # Sums of a few hundred terms of size 1 in another order; a score of determination divides by a difference.
    tolerance = 300 * EPS * (10 if cls == "R2Score" else 1)
    for a, b in zip(eager.variables, other.variables, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=tolerance, atol=tolerance, err_msg=a.name)
    np.testing.assert_allclose(other.result().numpy(), eager.result().numpy(), rtol=tolerance, atol=tolerance)


def test_an_own_metric_in_a_compiled_step() -> None:
    eager, other = own_metric(KERAS), own_metric(KERAS)
    targets, predictions = batch(KERAS, "real", 0)
    eager.update_state(targets, predictions)
    compiled(other, (targets, predictions)).run([targets, predictions])
    assert [v.name for v in eager.variables] == ["low", "high", "total", "count"]
    for a, b in zip(eager.variables, other.variables, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=64 * EPS)


def test_variables_that_a_metric_makes_itself_are_its_state() -> None:
    class Counting(metrics.Metric):
        def __init__(self) -> None:
            super().__init__()
            self.seen = oxiconv.Variable(0.0, trainable=False, name="seen")

        def update_state(self, values: Any) -> None:
            self.seen.assign_add(1.0)

        def result(self) -> Any:
            return self.seen.value

    metric = Counting()
    assert metric.variables == [metric.seen]
    assert float(metric(0.0)) == 1.0
    metric.reset_state()
    assert float(metric.result()) == 0.0


@pytest.mark.parametrize("name", METRICS)
def test_configurations_of_metrics(name: str) -> None:
    cls, kind, arguments = METRICS[name]
    metric = getattr(metrics, cls)(**arguments)
    again = metrics.deserialize(metrics.serialize(metric))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    assert metric.get_config()["name"] == metric.name
    first = batch(KERAS, kind, 0)
    np.testing.assert_array_equal(metric(*first).numpy(), again(*first).numpy())


@pytest.mark.parametrize("name", LOSSES)
def test_configurations_of_losses(name: str) -> None:
    cls, kind, arguments = LOSSES[name]
    loss = getattr(losses, cls)(**arguments)
    again = losses.deserialize(losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    assert float(again(*data(KERAS, kind, 4))) == float(loss(*data(KERAS, kind, 4)))
    plain = losses.deserialize({"class_name": cls, "config": {"reduction": "sum"}})
    assert plain.reduction == "sum"


@pytest.mark.parametrize("name", LOSSES)
def test_compiled_losses_equal_eager_ones(name: str) -> None:
    cls, kind, arguments = LOSSES[name]
    loss = getattr(losses, cls)(**arguments)
    y_true, y_pred = data(KERAS, kind, 4)
    with Trace() as trace:
        inputs = [trace.graph.input(x.shape, standardize_dtype(x.dtype), batched=False) for x in (y_true, y_pred)]
        step = trace.compile([loss(*inputs)])
    (found,) = step.run([y_true, y_pred])
    # A dozen terms of a dozen operations on values of size 10, in another order.
    np.testing.assert_allclose(found.numpy(), loss(y_true, y_pred).numpy(), rtol=144 * EPS, atol=144 * EPS)


@pytest.mark.parametrize("name", [n for n in metrics.__all__ if n[0].isupper() and n != "Metric"])
def test_metrics_by_name(name: str) -> None:
    needed: dict[str, Any] = {
        "IoU": (2, [0]),
        "MeanIoU": (2,),
        "OneHotIoU": (2, [0]),
        "OneHotMeanIoU": (2,),
        "MeanMetricWrapper": (losses.mean_squared_error,),
        **dict.fromkeys(("PrecisionAtRecall", "RecallAtPrecision"), (0.5,)),
        **dict.fromkeys(("SensitivityAtSpecificity", "SpecificityAtSensitivity"), (0.5,)),
    }
    if name in needed:
        assert isinstance(getattr(metrics, name)(*needed[name]), metrics.Metric)
    else:
        assert type(metrics.get(name)).__name__ == name


def test_the_adjusted_score_of_too_few_samples_is_the_plain_one() -> None:
    y, p = [[1.0], [2.0], [4.0]], [[1.5], [2.0], [3.0]]
    plain = float(metrics.R2Score()(y, p))
    with pytest.warns(UserWarning, match="too few samples"):
        assert float(metrics.R2Score(num_regressors=2)(y, p)) == plain
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # 1 - (1 - r2) (n - 1) / (n - p - 1), n = 3, p = 1
        assert float(metrics.R2Score(num_regressors=1)(y, p)) == pytest.approx(1 - (1 - plain) * 2, rel=8 * EPS)


def test_predictions_that_are_not_numbers_are_above_no_threshold() -> None:
    metric = metrics.AUC(num_thresholds=5)
    metric.update_state([1.0, 0.0], [np.nan, np.nan])
    # The first threshold is below 0, where all but NaN are positive.
    assert metric.true_positives.numpy().tolist() == [0.0] * 5
    assert metric.false_negatives.numpy().tolist() == [1.0] * 5


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: losses.CategoricalGeneralizedCrossEntropy(q=1.0), r"q must be in \(0, 1\)"),
        (lambda: losses.BinaryFocalCrossentropy(label_smoothing=2.0), "label_smoothing"),
        (lambda: losses.MeanSquaredError(dtype="int32"), "floating type, got 'int32'"),
        (lambda: losses.binary_focal_crossentropy([[1.0, 0.0]], [[0.5]]), "targets of the predictions' shape"),
        (lambda: losses.mean_squared_error([[1.0, 0.0]], [[0.5, 1.0, 2.0]]), "targets of the predictions' shape"),
        (lambda: metrics.FBetaScore(average="mean"), "average must be"),
        (lambda: metrics.FBetaScore(beta=0.0), "beta must be above 0"),
        (lambda: metrics.F1Score(threshold=2.0), "threshold must be in"),
        (lambda: metrics.F1Score()([1.0], [1.0]), "2 axes"),
        (lambda: metrics.R2Score(class_aggregation="mean"), "class_aggregation"),
        (lambda: metrics.R2Score(num_regressors=-1), "num_regressors"),
        (lambda: metrics.R2Score()([1.0], [1.0]), "2 axes"),
        (lambda: metrics.PrecisionAtRecall(2.0), r"recall must be in \[0, 1\]"),
        (lambda: metrics.SensitivityAtSpecificity(0.5, num_thresholds=0), "num_thresholds"),
        (lambda: metrics.AUC(num_labels=3), "multi_label=True only"),
        (lambda: metrics.AUC(multi_label=True)([1.0], [0.5]), "2 axes with multi_label"),
        (lambda: metrics.Precision(class_id=3)([[1.0, 0.0]], [[0.5, 0.1]]), "class_id=3"),
        (lambda: metrics.IoU(2, [2]), "target_class_ids"),
        (lambda: metrics.Mean().stateless_result([]), "expected 2 values of variables"),
    ],
)
def test_wrong_arguments(use: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        use()
