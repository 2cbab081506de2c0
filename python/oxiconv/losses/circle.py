"""The circle loss of embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.losses.loss import LossFunctionWrapper
from oxiconv.masks import set_keras_mask

if TYPE_CHECKING:
    from oxiconv._core import Tensor

# Far below all exponents: its exponential is 0, and unlike infinity it has gradients.
_ABSENT = -1e30


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Tensor:
    """Draws embeddings of one label together and others apart, those most that are farthest from where they should be.

    Sun et al., 2020; a value per embedding.

    Args:
        y_true: integer labels `[n]` or `[n, 1]`.
        y_pred: embeddings `[n, d]` of length 1.
        ref_labels: labels of `ref_embeddings`; by default `y_true`.
        ref_embeddings: what the embeddings are compared with; by default themselves.
        remove_diagonal: whether pairs of equal index do not count.
        gamma: scale of the exponents.
        margin: how far apart the labels should be.
    """
    embeddings = ops.convert_to_tensor(y_pred, dtype="float32")
    labels = ops.cast(ops.convert_to_tensor(y_true), "int32")
    others = embeddings if ref_embeddings is None else ops.convert_to_tensor(ref_embeddings, dtype="float32")
    other_labels = labels if ref_labels is None else ops.cast(ops.convert_to_tensor(ref_labels), "int32")
    distance = ops.maximum(1.0 - ops.matmul(embeddings, ops.transpose(others)), 0.0)
    same = ops.equal(ops.reshape(labels, (-1, 1)), ops.reshape(other_labels, (1, -1)))
    different = ops.logical_not(same)
    if remove_diagonal:
        same = ops.logical_and(same, ops.logical_not(ops.eye(distance.shape[0], distance.shape[1], dtype="bool")))
    drawn = (distance + margin) * (distance - margin) * gamma
    apart = ops.maximum(1.0 + margin - distance, 0.0) * (1.0 - margin - distance) * gamma
    exponents = [
        ops.logsumexp(ops.where(pairs, values, _ABSENT), axis=1)
        for pairs, values in ((same, drawn), (different, apart))
    ]
    losses = ops.softplus(exponents[0] + exponents[1])
    set_keras_mask(losses, ops.greater(losses, 0.0))
    return losses


class Circle(LossFunctionWrapper):
    """`circle`, reduced; a mean is over the embeddings of positive loss."""

    _integer_targets = True

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "circle",
        dtype: Any = None,
    ) -> None:
        super().__init__(circle, reduction, name, dtype, gamma=gamma, margin=margin, remove_diagonal=remove_diagonal)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each embedding."""
        return self.fn(y_true, y_pred, **self._fn_kwargs)
