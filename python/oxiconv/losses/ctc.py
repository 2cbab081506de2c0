"""Connectionist temporal classification as a loss."""

from __future__ import annotations

from typing import Any

from oxiconv import ops
from oxiconv.losses.loss import Loss, LossFunctionWrapper
from oxiconv.tensor import Tensor


def ctc(y_true: Any, y_pred: Any) -> Tensor:
    """Minus the log probability that outputs spell labels, for each sample; see `ops.ctc_loss`.

    Args:
        y_true: class indices `[n, length]`; 0 is the separator, and fills up short labels.
        y_pred: logits `[n, time, classes]`.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if y_true.ndim != 2 or y_pred.ndim != 3:
        raise ValueError(
            f"ctc: expected y_true [n, length] and y_pred [n, time, classes], got {y_true.shape} and {y_pred.shape}"
        )
    lengths = ops.sum(ops.cast(ops.not_equal(y_true, 0), "int32"), axis=-1)
    times = ops.full((y_pred.shape[0],), y_pred.shape[1], "int32")
    return ops.ctc_loss(y_true, y_pred, lengths, times, mask_index=0)


class CTC(LossFunctionWrapper):
    """Connectionist temporal classification (Graves et al. 2006): sequences without alignment to their labels.

    Args:
        reduction: see `Loss`.
        name: name of the loss.
        dtype: see `Loss`.

    Example:
        >>> import numpy as np
        >>> loss = CTC()
        >>> float(loss(np.array([[1, 0]]), np.zeros((1, 2, 2)))) == float(np.float32(np.log(4 / 3)))
        True
    """

    _integer_targets = True

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "ctc", dtype: str | None = None
    ) -> None:
        super().__init__(ctc, reduction=reduction, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return Loss.get_config(self)
