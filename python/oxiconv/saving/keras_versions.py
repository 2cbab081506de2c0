"""Arguments that configurations of some versions of Keras have and our classes do not.

Each is listed with the values at which it changes nothing; there it is dropped. Any other value is an error: what it
asks for is absent.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

_ANY = object()

# Argument: the values without effect (`_ANY`: all of them).
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "autocast": (True,),
    "batch_size": (None,),
    "implementation": (_ANY,),  # how, not what, an RNN computes
    "input_axes": (None,),
    "output_axes": (None,),
    "input_length": (None,),
    "is_legacy_optimizer": (False,),
    "jit_compile": (_ANY,),
    "lora_alpha": (None,),
    "lora_rank": (None,),
    "optional": (False,),
    "quantization_config": (None,),
    "ragged": (False, None),
    "renorm": (False,),
    "renorm_clipping": (None,),
    "renorm_momentum": (_ANY,),  # without renorm
    "rms_scaling": (False,),
    "sparse": (False, None),
    "synchronized": (False,),
    "time_major": (False,),
    "virtual_batch_size": (None,),
    "zero_output_for_mask": (_ANY,),  # matters with masks only
}


def accepted(cls: type, class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without the arguments that `cls` lacks and that change nothing."""
    known = _parameters(cls)
    return {key: value for key, value in config.items() if key in known or not _neutral(key, value)}


def _neutral(key: str, value: Any) -> bool:
    values = _NEUTRAL.get(key, ())
    return any(v is _ANY or (type(v) is type(value) and v == value) for v in values)


@functools.cache
def _parameters(cls: type) -> frozenset[str]:
    """The arguments of the constructor, and of those that it passes the rest to."""
    names: set[str] = set()
    for owner in cls.__mro__:
        init = owner.__dict__.get("__init__")
        if init is None or owner is object:
            continue
        parameters = inspect.signature(init).parameters.values()
        names |= {p.name for p in parameters}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return frozenset(names)
