"""A model's outputs by name, and arguments of `compile` and `fit` brought into their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oxiconv import tree


class Outputs:
    """The flat outputs of a model: one, or several with names."""

    def __init__(self, y_pred: Any, model_names: Sequence[str] | None) -> None:
        if isinstance(y_pred, dict):
            keys = list(y_pred)
            known = list(model_names or ())
            self.names = known if set(known) == set(keys) else sorted(keys)
        else:
            count = len(tree.flatten(y_pred))
            named = list(model_names or ())
            self.names = named if len(named) == count else [f"output_{i + 1}" for i in range(count)]

    def __len__(self) -> int:
        return len(self.names)

    def flatten(self, structure: Any, what: str) -> list[Any]:
        """Predictions, targets or weights in the order of the names; None for those that a dict leaves out."""
        if isinstance(structure, dict):
            if len(self) == 1 and len(structure) == 1:
                return list(structure.values())
            self._known(structure, what)
            return [structure.get(name) for name in self.names]
        if isinstance(structure, list | tuple):
            flat = tree.flatten(structure)
            if len(flat) != len(self):
                raise ValueError(f"{what}: expected {len(self)} entries for the outputs {self.names}, got {len(flat)}.")
            return flat
        if len(self) == 1:
            return [structure]
        if structure is None:
            return [None] * len(self)
        raise ValueError(f"{what}: expected a list or dict of {len(self)} for the outputs {self.names}, got one.")

    def weights(self, sample_weight: Any) -> list[Any]:
        """Sample weights per output; one array serves all."""
        if sample_weight is None or isinstance(sample_weight, dict | list | tuple):
            return self.flatten(sample_weight, "sample_weight")
        return [sample_weight] * len(self)

    def assign(self, spec: Any, what: str, broadcast: bool) -> list[Any]:
        """An argument of `compile` per output: a dict by name, a list by position, or one (for all, if `broadcast`)."""
        if isinstance(spec, dict):
            self._known(spec, what)
            return [spec.get(name) for name in self.names]
        if isinstance(spec, list | tuple):
            if len(spec) != len(self):
                raise ValueError(f"{what}: expected {len(self)} entries for the outputs {self.names}, got {len(spec)}.")
            return list(spec)
        if spec is None or len(self) == 1 or broadcast:
            return [spec] * len(self)
        raise ValueError(f"{what}: expected a list or dict for the outputs {self.names}, got {spec!r}.")

    def _known(self, given: dict[str, Any], what: str) -> None:
        unknown = [key for key in given if key not in self.names]
        if unknown:
            raise ValueError(f"{what}: the model has no outputs {unknown}; its outputs are {self.names}.")
