"""What a layer's `call` takes, read once per class."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from oxiconv import tree
from oxiconv.symbolic import KerasTensor
from oxiconv.tensor import Tensor


class CallSignature:
    """The parameters of a `call` method, without self."""

    def __init__(self, call: Callable[..., Any]) -> None:
        parameters = list(inspect.signature(call).parameters.values())[1:]
        self.names = tuple(p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL))
        self.takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        # The place of `training` among positional arguments, and whether it may be passed at all.
        self.training = self.names.index("training") if "training" in self.names else None
        self.takes_training = self.takes_any or self.training is not None
        self.takes_masks = any(name == "mask" or name.endswith("_mask") for name in self.names)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name; those beyond the named ones under their number."""
        given = dict(zip(self.names, args, strict=False))
        given.update({str(i): value for i, value in enumerate(args[len(self.names) :], len(self.names))})
        return {**given, **kwargs}

    def tensors(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that are tensors or structures of tensors, in order, by name."""
        return {name: value for name, value in self.bind(args, kwargs).items() if _is_tensors(value)}


@functools.cache
def signature_of(call: Callable[..., Any]) -> CallSignature:
    """The signature of a class's `call`."""
    return CallSignature(call)


def _is_tensors(x: Any) -> bool:
    if isinstance(x, (Tensor, KerasTensor)):
        return True
    if not tree.is_nested(x) or not x:
        return False
    leaves = tree.flatten(x)
    return any(leaf is not None for leaf in leaves) and all(
        leaf is None or isinstance(leaf, (Tensor, KerasTensor)) for leaf in leaves
    )
