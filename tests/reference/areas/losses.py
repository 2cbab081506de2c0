"""Losses with their gradients, in their options, reductions and masks."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reference.case import Array, Library, case

REAL = "real"  # targets and predictions of any size
POSITIVE = "positive"  # both above 0
BINARY = "binary"  # targets 0 and 1, probabilities
LOGITS = "logits"  # targets 0 and 1, real predictions
HOT = "hot"  # one-hot targets, probabilities that sum to 1
HOT_LOGITS = "hot logits"
LABELS = "labels"  # integer targets, probabilities that sum to 1
LABEL_LOGITS = "label logits"

LOSSES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "mse": ("MeanSquaredError", REAL, {}),
    "mae": ("MeanAbsoluteError", REAL, {}),
    "mape": ("MeanAbsolutePercentageError", POSITIVE, {}),
    "msle": ("MeanSquaredLogarithmicError", POSITIVE, {}),
    "cosine": ("CosineSimilarity", REAL, {}),
    "cosine_axis": ("CosineSimilarity", REAL, {"axis": 0}),
    "huber": ("Huber", REAL, {}),
    "huber_delta": ("Huber", REAL, {"delta": 0.5}),
    "log_cosh": ("LogCosh", REAL, {}),
    "hinge": ("Hinge", LOGITS, {}),
    "squared_hinge": ("SquaredHinge", LOGITS, {}),
    "hinge_of_signs": ("Hinge", REAL, {}),
    "categorical_hinge": ("CategoricalHinge", HOT_LOGITS, {}),
    "kl": ("KLDivergence", HOT, {}),
    "poisson": ("Poisson", POSITIVE, {}),
    "bce": ("BinaryCrossentropy", BINARY, {}),
    "bce_logits": ("BinaryCrossentropy", LOGITS, {"from_logits": True, "label_smoothing": 0.2}),
    "bce_axis": ("BinaryCrossentropy", BINARY, {"axis": 0}),
    "focal": ("BinaryFocalCrossentropy", BINARY, {}),
    "focal_options": (
        "BinaryFocalCrossentropy",
        LOGITS,
        {"from_logits": True, "apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5, "label_smoothing": 0.1},
    ),
    "cce": ("CategoricalCrossentropy", HOT, {}),
    "cce_logits": ("CategoricalCrossentropy", HOT_LOGITS, {"from_logits": True, "label_smoothing": 0.2}),
    "cce_axis": ("CategoricalCrossentropy", HOT, {"axis": 0}),
    "categorical_focal": ("CategoricalFocalCrossentropy", HOT, {}),
    "categorical_focal_options": (
        "CategoricalFocalCrossentropy",
        HOT_LOGITS,
        {"from_logits": True, "alpha": [0.1, 0.2, 0.3], "gamma": 1.5, "label_smoothing": 0.1},
    ),
    "scce": ("SparseCategoricalCrossentropy", LABELS, {}),
    "scce_logits": ("SparseCategoricalCrossentropy", LABEL_LOGITS, {"from_logits": True}),
    "scce_ignore": ("SparseCategoricalCrossentropy", LABEL_LOGITS, {"from_logits": True, "ignore_class": 1}),
    "gce": ("CategoricalGeneralizedCrossEntropy", LABELS, {"q": 0.7}),
    "dice": ("Dice", BINARY, {}),
    "dice_axis": ("Dice", BINARY, {"axis": (1,)}),
    "tversky": ("Tversky", BINARY, {"alpha": 0.3, "beta": 0.6}),
    "tversky_axis": ("Tversky", BINARY, {"alpha": 0.3, "axis": -1}),
}
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")


def data(k: Library, kind: str, *lead: int) -> tuple[Array, Array]:
    """Targets and predictions `[*lead, 3]`; labels `[*lead]`."""
    shape = (*lead, 3)
    labels = k.integers(lead, 3, seed="labels")
    logits = k.normal(shape, seed="logits", scale=1.5)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return {
        REAL: (k.normal(shape, seed="targets"), logits),
        POSITIVE: (k.uniform(shape, 0.1, 2.0, seed="targets"), k.uniform(shape, 0.1, 2.0, seed="predictions")),
        BINARY: (k.integers(shape, 2, seed="targets").astype(np.float32), k.uniform(shape, 0.02, 0.98)),
        LOGITS: (k.integers(shape, 2, seed="targets").astype(np.float32), logits),
        HOT: (np.eye(3, dtype=np.float32)[labels], p),
        HOT_LOGITS: (np.eye(3, dtype=np.float32)[labels], logits),
        LABELS: (labels, p),
        LABEL_LOGITS: (labels, logits),
    }[kind]


@case(each=LOSSES)
def losses(k: Library, setup: tuple[str, str, dict[str, Any]]) -> Mapping[str, Array]:
    cls, kind, arguments = setup
    y_true, y_pred = data(k, kind, 4)
    loss = getattr(k.keras.losses, cls)(**arguments)
    separate = getattr(k.keras.losses, cls)(reduction="none", **arguments)
    plain = k.gradients(lambda p: loss(y_true, p), y_pred)
    return {**plain, "each": k.array(separate(y_true, y_pred))}


@case(each=REDUCTIONS)
def reductions(k: Library, reduction: str) -> Mapping[str, Any]:
    y_true, y_pred = data(k, REAL, 4, 2)
    loss = k.keras.losses.MeanSquaredError(reduction=reduction)
    weights = {
        "scalar": np.float32(0.5),
        "each": k.uniform((4, 2), 0.5, 2.0),
        "zero": np.zeros((4, 2), np.float32),
        "step": k.uniform((4, 1), 0.5, 2.0),
        "trailing": k.uniform((4, 2, 1), 0.5, 2.0),
    }
    results = {name: k.gradients(lambda p, w=w: loss(y_true, p, w), y_pred) for name, w in weights.items()}
    return {"none": k.gradients(lambda p: loss(y_true, p), y_pred), **results}


@case(each=["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"])
def masks(k: Library, reduction: str) -> Mapping[str, Array]:
    y_true, y_pred = data(k, REAL, 4, 2)
    mask = np.array([[1, 0], [1, 1], [0, 0], [1, 1]], bool)
    loss = k.keras.losses.MeanAbsoluteError(reduction=reduction)

    def masked(weight: Any) -> Array:
        prediction = k.tensor(y_pred)
        prediction._keras_mask = k.tensor(mask)
        return k.array(loss(y_true, prediction, weight))

    return {"plain": masked(None), "weighted": masked(k.uniform((4, 2), 0.5, 2.0))}


@case(each=[(1,), (1, 4)])
def targets_that_broadcast(k: Library, lead: tuple[int, ...]) -> Mapping[str, Array]:
    y_pred = k.normal((5, 4), seed="predictions")
    y_true = k.normal((5, 1) if lead == (1,) else (1, 4), seed="targets")
    return k.gradients(lambda p: k.keras.losses.MeanSquaredError()(y_true, p), y_pred)


@case
def targets_without_the_last_axis(k: Library) -> Mapping[str, Array]:
    y_true, y_pred = k.normal((5,), seed="targets"), k.normal((5, 1), seed="predictions")
    image = k.integers((2, 3, 3), 2).astype(np.float32)
    p = k.uniform((2, 3, 3, 1), 0.1, 0.9)
    return {
        "vector": k.array(k.keras.losses.MeanSquaredError()(y_true, y_pred)),
        "image": k.array(k.keras.losses.BinaryCrossentropy()(image, p)),
        "labels": k.array(k.keras.losses.SparseCategoricalCrossentropy()(*labelled_images(k))),
    }


def labelled_images(k: Library) -> tuple[Array, Array]:
    labels, p = data(k, LABELS, 2, 3, 3)
    return labels[..., None], p


@case
def ignored_class_of_images(k: Library) -> Mapping[str, Array]:
    labels, p = labelled_images(k)
    loss = k.keras.losses.SparseCategoricalCrossentropy(ignore_class=2)
    weighted = k.array(loss(labels, p, k.uniform((2, 3, 3), 0.5, 2.0)))
    return {**k.gradients(lambda x: loss(labels, x), p), "weighted": weighted}


@case
def circle(k: Library) -> Mapping[str, Array]:
    labels = np.array([0, 1, 0, 2, 1, 0], np.int32)
    x = k.normal((6, 4))
    x = x / np.sqrt((x**2).sum(1, keepdims=True))
    loss = k.keras.losses.Circle(gamma=8.0, margin=0.3)
    # The last sample's label occurs once: there TensorFlow's gradient of a maximum over nothing is undefined.
    separate = k.keras.losses.Circle(gamma=8.0, reduction="none", remove_diagonal=False)
    return {"loss": k.array(loss(labels, x)), **k.gradients(lambda p: separate(labels, p), x)}


class Cubed:
    """Makes the library's subclass of `Loss`."""

    @staticmethod
    def of(k: Library) -> Any:
        class Cube(k.keras.losses.Loss):  # type: ignore[name-defined, misc]
            def call(self, y_true: Any, y_pred: Any) -> Any:
                return k.keras.ops.mean(k.keras.ops.abs(y_true - y_pred) ** 3, axis=-1)

        return Cube


@case
def own_losses(k: Library) -> Mapping[str, Array]:
    y_true, y_pred = data(k, REAL, 4)
    own = Cubed.of(k)
    results = {r: k.array(own(reduction=r)(y_true, y_pred, k.uniform((4,), 0.5, 2.0))) for r in REDUCTIONS}
    return {**results, "integers": k.array(own()(k.integers((4, 3), 5), y_pred))}


@case
def functions_by_name(k: Library) -> Mapping[str, Array]:
    names = ("mse", "mae", "mape", "msle", "bce", "kld", "MSE", "BCE", "huber", "log_cosh", "poisson", "hinge")
    y_true, y_pred = data(k, POSITIVE, 4)
    p = y_pred / 2.5
    return {name: k.array(k.keras.losses.get(name)(y_true, p)) for name in names}
