"""The loss of `compile`: one loss per output, their weighted sum, and a mean of each where there are several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import losses, ops, tree
from oxiconv.losses.probabilistic import check_labels, sparse_categorical_crossentropy
from oxiconv.metrics.accuracy_metrics import is_binary_or_sparse_categorical
from oxiconv.metrics.metric import Metric
from oxiconv.metrics.reduction_metrics import Mean
from oxiconv.trainer.outputs import Outputs

if TYPE_CHECKING:
    from oxiconv._core import Tensor

# Names that mean a loss for the shapes of targets and predictions.
BY_SHAPE = ("crossentropy", "ce")


class CompileLoss:
    """Computes the loss of all outputs. Built at the first call, when the outputs' shapes are known."""

    def __init__(self, loss: Any, loss_weights: Any, output_names: Callable[[], Sequence[str] | None]) -> None:
        if loss_weights is not None and not isinstance(loss_weights, list | tuple | dict | float | int):
            raise ValueError(f"loss_weights: expected a number, list, tuple or dict, got {loss_weights!r}.")
        for name in tree.flatten(loss):
            if isinstance(name, str) and name.lower() not in BY_SHAPE:
                losses.get(name)
        self._loss = loss
        self._loss_weights = loss_weights
        self._output_names = output_names
        self._losses: list[losses.Loss | None] = []
        self._weights: list[Any] = []
        self._trackers: list[Mean] = []
        self._classes: list[int] = []
        # Which outputs have a loss.
        self._wanted: list[bool] = []
        self._outputs: Outputs | None = None
        self._by_key = False

    @property
    def metrics(self) -> list[Metric]:
        """A mean per loss, where there are several: in the order of the outputs, or of a dict of losses for a dict."""
        order = [f"{key}_loss" for key in self._loss] if self._by_key and isinstance(self._loss, dict) else []
        return sorted(self._trackers, key=lambda t: order.index(t.name) if t.name in order else len(order))

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor | None:
        """The weighted sum of the losses; None if no output has one."""
        outputs = self._outputs or self._build(y_true, y_pred)
        preds, targets = outputs.flatten(y_pred, "y_pred"), outputs.flatten(y_true, "y", self._wanted)
        weights = outputs.weights(sample_weight, self._wanted)
        total: Tensor | None = None
        trackers = iter(self._trackers)
        for name, loss, scale, y, p, w in zip(
            outputs.names, self._losses, self._weights, targets, preds, weights, strict=True
        ):
            if loss is None:
                continue
            if y is None:
                raise ValueError(f"Output {name!r} has the loss {loss.name!r}, but no targets: y is missing.")
            value = loss(y, p, w)
            if value.shape != ():
                raise ValueError(
                    f"Output {name!r}: expected a scalar loss, got shape {value.shape} of {loss.name!r}, reduced by "
                    f"{loss.reduction!r}. For training use 'sum_over_batch_size' or 'sum'."
                )
            if self._trackers:
                next(trackers).update_state(value, sample_weight=float(p.shape[0]))
            value = value if scale is None else ops.multiply(value, float(scale))
            total = value if total is None else ops.add(total, value)
        return total

    def check_labels(self, y_true: Any) -> None:
        """Raises ValueError if the integer labels (arrays) of a sparse loss are out of range."""
        if self._outputs is None or y_true is None:
            return
        targets = self._outputs.flatten(y_true, "y", self._wanted)
        for name, loss, classes, y in zip(self._outputs.names, self._losses, self._classes, targets, strict=True):
            if classes and y is not None and loss is not None:
                check_labels(f"Output {name!r}, {loss.name}", np.asarray(y), classes, _ignored(loss))

    def _build(self, y_true: Any, y_pred: Any) -> Outputs:
        outputs = Outputs(y_pred, self._output_names())
        if isinstance(self._loss, dict) and not isinstance(y_pred, dict):
            outputs.require(self._loss, "loss")
        specs = outputs.assign(self._loss, "loss", broadcast=True)
        self._wanted = [spec is not None for spec in specs]
        preds, targets = outputs.flatten(y_pred, "y_pred"), outputs.flatten(y_true, "y", self._wanted)
        self._losses = [get_loss(spec, y, p) for spec, y, p in zip(specs, targets, preds, strict=True)]
        self._weights = outputs.assign(self._loss_weights, "loss_weights", broadcast=False)
        self._classes = [_classes(loss, p) for loss, p in zip(self._losses, preds, strict=True)]
        if sum(self._wanted) > 1:
            self._trackers = [
                Mean(name=f"{name if outputs.named else loss.name}_loss")
                for name, loss in zip(outputs.names, self._losses, strict=True)
                if loss is not None
            ]
        self._outputs = outputs
        self._by_key = isinstance(y_pred, dict)
        return outputs


def get_loss(identifier: Any, y_true: Any, y_pred: Any) -> losses.Loss | None:
    """A `Loss` for one output; 'crossentropy' and 'ce' are resolved by the shapes."""
    if isinstance(identifier, str) and identifier.lower() in BY_SHAPE:
        if y_true is None:
            raise ValueError(f"loss {identifier!r} needs targets to be resolved, and y is missing.")
        binary, sparse = is_binary_or_sparse_categorical(y_true, y_pred)
        name = "binary" if binary else "sparse_categorical" if sparse else "categorical"
        identifier = f"{name}_crossentropy"
    loss = losses.get(identifier)
    if loss is None or isinstance(loss, losses.Loss):
        return loss
    if loss is sparse_categorical_crossentropy:
        return losses.SparseCategoricalCrossentropy()
    return losses.LossFunctionWrapper(loss, name=identifier if isinstance(identifier, str) else None)


def _classes(loss: losses.Loss | None, y_pred: Any) -> int:
    """How many classes the labels of a sparse loss may name; 0 for other losses."""
    if isinstance(loss, losses.SparseCategoricalCrossentropy):
        return int(y_pred.shape[loss.get_config()["axis"]])
    return 0


def _ignored(loss: losses.Loss) -> int | None:
    ignored = loss.get_config().get("ignore_class")
    return None if ignored is None else int(ignored)
