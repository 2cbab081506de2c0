"""Metrics over three batches, with and without weights: results, variables, reset."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reference.case import Array, Library, case

BINARY = "binary"  # labels 0 and 1, scores in [0, 1], one per sample
RATED = "rated"  # as BINARY, with scores that are multiples of 1/8, thresholds among them
MULTI = "multi"  # labels 0 and 1 and scores per class
SHARES = "shares"  # one-hot labels, probabilities
CLASSES = "classes"  # integer labels, probabilities
REAL = "real"  # real targets and predictions
POSITIVE = "positive"  # both above 0
MAPS = "maps"  # class numbers of pixels
HOT_MAPS = "hot maps"  # one-hot classes and scores of pixels
IMAGES = "images"  # labels 0 and 1 and scores of pixels

METRICS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "accuracy": ("Accuracy", MAPS, {}),
    "binary_accuracy": ("BinaryAccuracy", BINARY, {"threshold": 0.4}),
    "binary_accuracy_images": ("BinaryAccuracy", IMAGES, {}),
    "categorical_accuracy": ("CategoricalAccuracy", SHARES, {}),
    "categorical_accuracy_maps": ("CategoricalAccuracy", HOT_MAPS, {}),
    "sparse_categorical_accuracy": ("SparseCategoricalAccuracy", CLASSES, {}),
    "top_k": ("TopKCategoricalAccuracy", SHARES, {"k": 2}),
    "sparse_top_k": ("SparseTopKCategoricalAccuracy", CLASSES, {"k": 2}),
    "mse": ("MeanSquaredError", REAL, {}),
    "mae": ("MeanAbsoluteError", REAL, {}),
    "rmse": ("RootMeanSquaredError", REAL, {}),
    "mape": ("MeanAbsolutePercentageError", POSITIVE, {}),
    "msle": ("MeanSquaredLogarithmicError", POSITIVE, {}),
    "cosine": ("CosineSimilarity", REAL, {}),
    "logcosh": ("LogCoshError", REAL, {}),
    "r2": ("R2Score", REAL, {}),
    "r2_each": ("R2Score", REAL, {"class_aggregation": None}),
    "r2_weighted": ("R2Score", REAL, {"class_aggregation": "variance_weighted_average", "num_regressors": 2}),
    "pearson": ("PearsonCorrelation", REAL, {}),
    "concordance": ("ConcordanceCorrelation", REAL, {}),
    "hinge": ("Hinge", MULTI, {}),
    "squared_hinge": ("SquaredHinge", MULTI, {}),
    "categorical_hinge": ("CategoricalHinge", SHARES, {}),
    "kl": ("KLDivergence", SHARES, {}),
    "poisson": ("Poisson", POSITIVE, {}),
    "bce": ("BinaryCrossentropy", MULTI, {"label_smoothing": 0.1}),
    "cce": ("CategoricalCrossentropy", SHARES, {"label_smoothing": 0.1}),
    "scce": ("SparseCategoricalCrossentropy", CLASSES, {}),
    "scce_ignore": ("SparseCategoricalCrossentropy", CLASSES, {"ignore_class": 1}),
    "f1": ("F1Score", SHARES, {}),
    "f1_macro": ("F1Score", MULTI, {"average": "macro", "threshold": 0.5}),
    "f1_micro": ("F1Score", MULTI, {"average": "micro", "threshold": 0.5}),
    "fbeta_weighted": ("FBetaScore", MULTI, {"average": "weighted", "beta": 2.0, "threshold": 0.3}),
    "true_positives": ("TruePositives", BINARY, {}),
    "false_positives": ("FalsePositives", BINARY, {"thresholds": [0.3, 0.6]}),
    "true_negatives": ("TrueNegatives", RATED, {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}),
    "false_negatives": ("FalseNegatives", MULTI, {"thresholds": [0.5]}),
    "precision": ("Precision", BINARY, {}),
    "precision_thresholds": ("Precision", MULTI, {"thresholds": [0.2, 0.5, 0.6]}),
    "precision_top_k": ("Precision", MULTI, {"top_k": 2}),
    "precision_top_k_threshold": ("Precision", MULTI, {"top_k": 1, "thresholds": [0.6]}),
    "recall_class": ("Recall", MULTI, {"class_id": 1}),
    "recall_even": ("Recall", RATED, {"thresholds": [0.0, 0.5, 1.0]}),
    "recall_images": ("Recall", IMAGES, {}),
    "precision_at_recall": ("PrecisionAtRecall", BINARY, {"recall": 0.6}),
    "recall_at_precision": ("RecallAtPrecision", BINARY, {"precision": 0.5}),
    "recall_at_unreachable_precision": ("RecallAtPrecision", RATED, {"precision": 1.0, "num_thresholds": 3}),
    "sensitivity_at_specificity": ("SensitivityAtSpecificity", BINARY, {"specificity": 0.6, "num_thresholds": 50}),
    "specificity_at_sensitivity": ("SpecificityAtSensitivity", MULTI, {"sensitivity": 0.6, "class_id": 2}),
    "specificity_at_one_threshold": ("SpecificityAtSensitivity", BINARY, {"sensitivity": 0.1, "num_thresholds": 1}),
    "auc": ("AUC", BINARY, {}),
    "auc_rated": ("AUC", RATED, {"num_thresholds": 9}),
    "auc_images": ("AUC", IMAGES, {}),
    "auc_thresholds": ("AUC", BINARY, {"thresholds": [0.2, 0.3, 0.7]}),
    "auc_logits": ("AUC", REAL, {"from_logits": True, "num_thresholds": 20}),
    "auc_label_weights": ("AUC", MULTI, {"label_weights": [1.0, 2.0, 0.5]}),
    "auc_labels": ("AUC", MULTI, {"multi_label": True}),
    "auc_labels_weights": ("AUC", MULTI, {"multi_label": True, "num_labels": 3, "label_weights": [1.0, 2.0, 0.5]}),
    "auc_labels_thresholds": ("AUC", MULTI, {"multi_label": True, "thresholds": [0.2, 0.3, 0.7]}),
    "auc_labels_pr": ("AUC", MULTI, {"multi_label": True, "curve": "PR"}),
    **{
        f"auc_{curve}_{method}": ("AUC", BINARY, {"num_thresholds": 12, "curve": curve, "summation_method": method})
        for curve in ("ROC", "PR", "PRGAIN")
        for method in ("interpolation", "minoring", "majoring")
    },
    "iou": ("IoU", MAPS, {"num_classes": 4, "target_class_ids": [1, 2]}),
    "iou_ignore": ("IoU", MAPS, {"num_classes": 4, "target_class_ids": [0, 2], "ignore_class": 0}),
    "mean_iou": ("MeanIoU", MAPS, {"num_classes": 4}),
    "mean_iou_beyond": ("MeanIoU", MAPS, {"num_classes": 3}),
    "mean_iou_float": ("MeanIoU", MAPS, {"num_classes": 5, "dtype": "float32"}),
    "mean_iou_hot": ("MeanIoU", HOT_MAPS, {"num_classes": 3, "sparse_y_true": False, "sparse_y_pred": False}),
    "binary_iou": ("BinaryIoU", IMAGES, {"target_class_ids": [1], "threshold": 0.4}),
    "one_hot_iou": ("OneHotIoU", HOT_MAPS, {"num_classes": 3, "target_class_ids": [0, 2]}),
    "one_hot_mean_iou": ("OneHotMeanIoU", HOT_MAPS, {"num_classes": 3, "ignore_class": 1}),
}


def batch(k: Library, kind: str, number: int, size: int = 5) -> tuple[Array, Array]:
    """Targets and predictions of a batch."""
    seed = (kind, number)
    scores, labels = k.uniform((size, 3), 0.05, 1.0, seed=seed), k.integers((size,), 3, seed=seed)
    maps, pixels = (size, 2, 3), k.uniform((size, 2, 3, 3), seed=seed)
    return {
        BINARY: (k.integers((size,), 2, seed=seed), scores[:, 0]),
        RATED: (
            k.integers((size, 4), 2, seed=seed),
            (k.integers((size, 4), 9, seed=("rated", number)) / 8).astype(np.float32),
        ),
        MULTI: (k.integers((size, 3), 2, seed=seed).astype(np.float32), scores),
        SHARES: (np.eye(3, dtype=np.float32)[labels], scores / scores.sum(1, keepdims=True)),
        CLASSES: (labels, scores / scores.sum(1, keepdims=True)),
        REAL: (k.normal((size, 3), seed=seed), k.normal((size, 3), seed=("predictions", number))),
        POSITIVE: (k.uniform((size, 3), 0.1, 2.0, seed=seed), scores),
        MAPS: (k.integers(maps, 4, seed=seed), k.integers(maps, 4, seed=("predictions", number))),
        HOT_MAPS: (np.eye(3, dtype=np.float32)[k.integers(maps, 3, seed=seed)], pixels),
        IMAGES: (k.integers((*maps, 1), 2, seed=seed).astype(np.float32), pixels[..., :1]),
    }[kind]


@case(each=METRICS)
def metrics(k: Library, setup: tuple[str, str, dict[str, Any]]) -> Mapping[str, Array]:
    cls, kind, arguments = setup
    plain, weighted = (getattr(k.keras.metrics, cls)(**arguments) for _ in range(2))
    after = []
    for number, size in enumerate((5, 4, 5)):
        y_true, y_pred = batch(k, kind, number, size)
        # What kind allows per element, Keras wants for confusion matrices; all others take a weight per sample.
        weight: Any = k.integers((size,), 3, seed=("weight", number)).astype(np.float32)
        if kind in (MAPS, HOT_MAPS) and "IoU" in cls:
            weight = k.integers((size, 2, 3), 3, seed=("weight", number))
        elif kind == IMAGES or cls in ("BinaryIoU", "Accuracy", "CategoricalAccuracy"):
            weight = None
        elif kind == RATED:
            weight = weight[:, None] * np.ones((1, 4), np.float32)
        after.append(k.array(plain(y_true, y_pred)))
        weighted.update_state(y_true, y_pred, weight)
    held = [k.array(v.value).astype(np.float32) for v in plain.variables]
    state = [np.array([len(held)], np.float32), *(value.ravel() for value in held if value.size <= 20)]
    plain.reset_state()
    after.append(k.array(plain(*batch(k, kind, 3))))
    return {"results": np.stack([*after, k.array(weighted.result())]), "state": np.concatenate(state)}


@case
def means_and_sums(k: Library) -> Mapping[str, Array]:
    total, mean = k.keras.metrics.Sum(), k.keras.metrics.Mean()
    values = k.normal((4, 3))
    results: dict[str, Any] = {}
    for name, weight in (("plain", None), ("sample", k.uniform((4,))), ("each", k.uniform((4, 3)))):
        total.update_state(values, weight)
        mean.update_state(values, weight)
        results |= {f"{name}_sum": k.array(total.result()), f"{name}_mean": k.array(mean.result())}
    mean.update_state(5.0)
    mean.update_state(2.0, sample_weight=3.0)
    return {**results, "scalar": k.array(mean.result())}


@case
def masked_predictions(k: Library) -> Mapping[str, Array]:
    mask = np.array([[1, 0], [1, 1], [0, 0]], bool)
    y_true, y_pred = k.normal((3, 2, 4), seed=1), k.tensor(k.normal((3, 2, 4), seed=2))
    y_pred._keras_mask = k.tensor(mask)
    metric = k.keras.metrics.MeanSquaredError()
    plain = k.array(metric(y_true, y_pred))
    return {"plain": plain, "weighted": k.array(metric(y_true, y_pred, k.uniform((3, 2))))}


def own_metric(k: Library) -> Any:
    """The library's subclass of `Metric`, with variables made in three ways and a metric within."""

    class Range(k.keras.metrics.Metric):  # type: ignore[name-defined, misc]
        def __init__(self, name: str = "range", **kwargs: Any) -> None:
            super().__init__(name=name, **kwargs)
            self.low = self.add_variable(shape=(), initializer="zeros", name="low")
            self.high = self.add_weight(shape=(), initializer="zeros", name="high")
            self.inner = k.keras.metrics.Mean()

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            error = k.keras.ops.cast(y_pred, "float32") - k.keras.ops.cast(y_true, "float32")
            self.low.assign(k.keras.ops.minimum(self.low, k.keras.ops.min(error)))
            self.high.assign(k.keras.ops.maximum(self.high, k.keras.ops.max(error)))
            self.inner.update_state(error, sample_weight)

        def result(self) -> Any:
            return {"width": self.high - self.low, "mean": self.inner.result()}

    return Range()


@case
def own_metrics(k: Library) -> Mapping[str, Array]:
    metric = own_metric(k)
    results: dict[str, Any] = {}
    for number in range(2):
        found = metric(*batch(k, REAL, number))
        results |= {f"{name}{number}": k.array(value) for name, value in found.items()}
    results["variables"] = np.stack([k.array(v.value) for v in metric.variables])
    metric.reset_state()
    results["reset"] = np.stack([k.array(v.value) for v in metric.variables])
    return results


@case
def stateless(k: Library) -> Mapping[str, Array]:
    metric = k.keras.metrics.MeanAbsoluteError()
    state = metric.stateless_reset_state()
    for number in range(2):
        state = metric.stateless_update_state(state, *batch(k, REAL, number))
    held = np.stack([k.array(v.value) for v in metric.variables])
    return {
        "result": k.array(metric.stateless_result(state)),
        "state": np.stack([k.array(s) for s in state]),
        "held": held,
    }
