"""The recursion over time that all recurrent layers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oxiconv import ops, tree
from oxiconv.tensor import ShapeError

# Of the input of one step and the states: the output, and the new states in the same structure.
Step = Callable[[Any, Any], tuple[Any, Any]]


def recur(
    step: Step,
    sequences: Any,
    states: Any,
    *,
    mask: Any = None,
    go_backwards: bool = False,
    zero_output_for_mask: bool = False,
    return_sequences: bool = True,
) -> tuple[Any, Any, Any]:
    """Applies `step` to `sequences[:, t]` for each t: the last output, all outputs along axis 1, and the last states.

    The steps are written out one after another, so that a compiled step knows all of them. Where `mask` (`[n, time]`)
    is false the states stay, and the output is the one before (zeros at first), or zeros with `zero_output_for_mask`.
    All outputs are None unless `return_sequences`.
    """
    steps = sequences.shape[1]
    if not steps:
        raise ShapeError(f"rnn: expected at least one step along axis 1, got shape {tuple(sequences.shape)}")
    if mask is not None:
        mask = _time_mask(mask, sequences.shape)
    outputs: list[Any] = []
    output: Any = None
    for t in reversed(range(steps)) if go_backwards else range(steps):
        new, after = step(sequences[:, t], states)
        if mask is None:
            output, states = new, after
        else:
            keep = mask[:, t]
            before = ops.zeros_like(new) if output is None or zero_output_for_mask else output
            output = _choose(keep, new, before)
            states = tree.map_structure(lambda a, b, keep=keep: _choose(keep, a, b), after, states)
        if return_sequences:
            outputs.append(output)
    return output, ops.stack(outputs, axis=1) if return_sequences else None, states


def _time_mask(mask: Any, shape: Any) -> Any:
    """The mask as truth values `[n, time]`; Keras also takes `[n, time, 1]`."""
    mask = ops.cast(mask, "bool")
    if mask.ndim == 3 and mask.shape[-1] == 1:
        mask = mask[:, :, 0]
    if mask.shape != tuple(shape[:2]):
        raise ShapeError(f"rnn: expected a mask of shape {tuple(shape[:2])}, got {mask.shape}")
    return mask


def _choose(keep: Any, new: Any, old: Any) -> Any:
    return ops.where(ops.reshape(keep, (keep.shape[0], *[1] * (new.ndim - 1))), new, old)
