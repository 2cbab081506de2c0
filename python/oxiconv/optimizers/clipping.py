"""Gradient clipping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxiconv import ops

if TYPE_CHECKING:
    from oxiconv._core import Tensor


def clip(
    gradients: list[Tensor], clipnorm: float | None, clipvalue: float | None, global_clipnorm: float | None
) -> list[Tensor]:
    """The gradients, clipped by the one argument that is not None. A limit that is not positive does nothing."""
    if clipvalue is not None and clipvalue > 0:
        return [ops.clip(g, -clipvalue, clipvalue) for g in gradients]
    if clipnorm is not None and clipnorm > 0:
        return [g * _factor(_norm([g]), clipnorm) for g in gradients]
    if global_clipnorm is not None and global_clipnorm > 0:
        factor = _factor(_norm(gradients), global_clipnorm)
        return [g * factor for g in gradients]
    return gradients


def _norm(gradients: list[Tensor]) -> Tensor:
    total = ops.sum(ops.square(gradients[0]))
    for g in gradients[1:]:
        total = total + ops.sum(ops.square(g))
    return ops.sqrt(total)


def _factor(norm: Tensor, limit: float) -> Tensor:
    # norm - norm is 0, or NaN where the norm is not finite: then the clipped gradients say so, as Keras's do.
    return limit / ops.maximum(norm, limit) + (norm - norm)
