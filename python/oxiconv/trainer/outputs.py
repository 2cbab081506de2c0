"""A model's outputs by name, and arguments of `compile` and `fit` brought into their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oxiconv import tree


class Outputs:
    """The outputs of a model as a flat list with names: one, several, or a nested structure of them.

    Args:
        y_pred: what the model returned.
        model_names: the names of a functional model's outputs; None or another number where there are none.
    """

    def __init__(self, y_pred: Any, model_names: Sequence[str] | None) -> None:
        given = list(model_names or ())
        self._structure = tree.map_structure(lambda _: None, y_pred)
        # A functional model lists its outputs in an order of its own; other dicts have none but that of their keys.
        keys = list(y_pred) if isinstance(y_pred, dict) else []
        self._keys = given if set(given) == set(keys) else sorted(keys)
        paths = self._paths(self._structure)
        self.named = isinstance(y_pred, dict) or len(given) == len(paths)
        if isinstance(y_pred, dict):
            self.names = ["/".join(map(str, path)) for path in paths]
        else:
            self.names = given if self.named else [f"output_{i + 1}" for i in range(len(paths))]

    def __len__(self) -> int:
        return len(self.names)

    def flatten(self, structure: Any, what: str, wanted: Sequence[bool] | None = None) -> list[Any]:
        """Predictions, targets or weights in the order of the names; None for those that a dict leaves out.

        `wanted` tells which outputs are used: a list may then have entries for these alone.
        """
        if structure is None:
            return [None] * len(self)
        if wanted is not None and len(self) > 1 and not isinstance(structure, dict):
            given = list(structure) if isinstance(structure, list | tuple) else [structure]
            if len(given) == sum(wanted) != len(self):
                rest = iter(given)
                return [next(rest) if used else None for used in wanted]
        return self._align(self._structure, structure, what, spread=False)

    def weights(self, sample_weight: Any, wanted: Sequence[bool] | None = None) -> list[Any]:
        """Sample weights per output; one array serves all, and then has one weight per sample."""
        if sample_weight is None or isinstance(sample_weight, dict | list | tuple):
            return self.flatten(sample_weight, "sample_weight", wanted)
        shape = tuple(sample_weight.shape)
        if len(self) > 1 and len(shape) > 1 and shape != (shape[0], 1):
            raise ValueError(
                f"sample_weight: for the outputs {self.names}, one array must have one weight per sample, got shape "
                f"{shape}; pass a list or dict with an array per output."
            )
        return [sample_weight] * len(self)

    def assign(self, spec: Any, what: str, broadcast: bool) -> list[Any]:
        """An argument of `compile` per output: a dict by name, a list by position, or one (for all, if `broadcast`)."""
        if spec is None:
            return [None] * len(self)
        return self._align(self._structure, spec, what, spread=broadcast)

    def require(self, given: dict[str, Any], what: str) -> None:
        """Raises ValueError unless a dict names every output of a model that returns a list."""
        missing = [name for name in self.names if name not in given]
        if len(self) > 1 and missing and all(name in self.names for name in given):
            raise ValueError(
                f"{what}: expected an entry for each of the outputs {self.names}, got none for {missing}; None is for "
                "an output that has no loss."
            )

    def _align(self, structure: Any, given: Any, what: str, spread: bool) -> list[Any]:
        if not tree.is_nested(structure):
            if structure is self._structure and isinstance(given, dict):
                if self.named:
                    self._known(given, self.names, what)
                elif len(given) != 1:
                    raise ValueError(f"{what}: expected one entry for the model's one output, got {sorted(given)}.")
                return list(given.values())
            if structure is self._structure and isinstance(given, list | tuple):
                self._counted(given, 1, what)
                return list(given)
            return [given]
        parts = self._children(structure)
        if isinstance(given, dict):
            keys = self.names if not isinstance(structure, dict) else [key for key, _ in parts]
            self._known(given, keys, what)
            entries = [given.get(key) for key in keys]
        elif isinstance(given, list | tuple):
            self._counted(given, len(parts), what)
            entries = list(given)
        elif given is None or spread or len(parts) == 1:
            entries = [given] * len(parts)
        else:
            raise ValueError(f"{what}: expected a list or dict for the outputs {self.names}, got one.")
        return [
            leaf
            for (_, part), entry in zip(parts, entries, strict=True)
            for leaf in self._align(part, entry, what, spread)
        ]

    def _paths(self, structure: Any) -> list[tuple[Any, ...]]:
        if not tree.is_nested(structure):
            return [()]
        return [(key, *path) for key, part in self._children(structure) for path in self._paths(part)]

    def _children(self, structure: Any) -> list[tuple[Any, Any]]:
        if isinstance(structure, dict):
            keys = self._keys if structure is self._structure else sorted(structure)
            return [(key, structure[key]) for key in keys]
        return list(enumerate(structure))

    def _known(self, given: dict[str, Any], names: Sequence[Any], what: str) -> None:
        unknown = [key for key in given if key not in names]
        if unknown:
            raise ValueError(f"{what}: the model has no outputs {unknown}; its outputs are {list(names)}.")

    def _counted(self, given: Sequence[Any], count: int, what: str) -> None:
        if len(given) != count:
            raise ValueError(f"{what}: expected {count} entries for the outputs {self.names}, got {len(given)}.")
