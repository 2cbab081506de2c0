"""What training needs beside weights and the optimizer's variables to go on as if it had not stopped."""

from __future__ import annotations

from typing import Any

from oxiconv._core import FileFormatError


def generators(model: Any) -> list[Any]:
    """The states of the model's random generators."""
    weights = {id(v) for v in model.weights}
    return [v for v in model.variables if id(v) not in weights and v.name == "seed_generator_state"]


def shuffling_state(model: Any) -> dict[str, int]:
    """The seed, if one has been drawn, and the count of the shuffling of a compiled model."""
    state = model._compiled_state
    if state is None:
        return {}
    seed = state.shuffling.seed
    return {"shuffle_count": state.shuffling.count} | ({} if seed is None else {"shuffle_seed": seed})


def restore_shuffling(path: str, model: Any, seed: Any, count: Any) -> None:
    """Sets what `shuffling_state` gave, for a compiled model."""
    if model._compiled_state is None or count is None:
        return
    if not (seed is None or _natural(seed)) or not _natural(count):
        raise FileFormatError(f"{path}: training: expected a seed and a count, got {seed!r} and {count!r}.")
    shuffling = model._compiled_state.shuffling
    shuffling.seed, shuffling.count = seed, count


def _natural(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
