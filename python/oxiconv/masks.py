"""Masks that travel with tensors: truth values, false where a step of a sequence is to be ignored."""

from __future__ import annotations

from typing import Any

from oxiconv import tree


def get_keras_mask(x: Any) -> Any:
    """The mask of a tensor; None if it has none."""
    return getattr(x, "_keras_mask", None)


def set_keras_mask(x: Any, mask: Any) -> None:
    """Hangs a mask on a tensor; None takes it away."""
    x._keras_mask = mask


def masks_of(structure: Any) -> Any:
    """The masks of a structure of tensors, in its shape."""
    return tree.map_structure(get_keras_mask, structure) if tree.is_nested(structure) else get_keras_mask(structure)


def any_mask(masks: Any) -> bool:
    """Whether a structure of masks has one that is not None."""
    return any(mask is not None for mask in tree.flatten(masks)) if tree.is_nested(masks) else masks is not None


def hang(outputs: Any, masks: Any) -> None:
    """Hangs masks on outputs that have none."""
    for tensor, mask in zip(tree.flatten(outputs), tree.flatten(masks), strict=False):
        if tensor is not None and mask is not None and get_keras_mask(tensor) is None:
            set_keras_mask(tensor, mask)
