"""Which element types layers compute in and keep their weights in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oxiconv.absent import getter
from oxiconv.dtype_policies.dtype_policy import DTypePolicy, FloatDTypePolicy, dtype_policy, set_dtype_policy
from oxiconv.dtype_policies.dtype_policy_map import DTypePolicyMap

__all__ = [
    "DTypePolicy",
    "DTypePolicyMap",
    "FloatDTypePolicy",
    "deserialize",
    "dtype_policy",
    "get",
    "serialize",
    "set_dtype_policy",
]

_KNOWN = {cls.__name__: cls for cls in (DTypePolicy, FloatDTypePolicy, DTypePolicyMap)}


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """The configuration of a policy."""
    from oxiconv.saving import serialize_keras_object

    config: dict[str, Any] = serialize_keras_object(dtype_policy)
    return config


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> DTypePolicy:
    """The policy of a configuration."""
    name = str(config.get("class_name"))
    if name in (custom_objects or {}):
        policy: DTypePolicy = (custom_objects or {})[name].from_config(config["config"])
        return policy
    if name not in _KNOWN:
        raise ValueError(
            f"dtype policy: expected one of {', '.join(_KNOWN)}, got {name!r}; quantized policies are absent: layers "
            "compute in float32, float16 or bfloat16"
        )
    return _KNOWN[name].from_config(dict(config["config"]))


def get(identifier: Any) -> DTypePolicy:
    """The policy that a name, a configuration, an element type or a policy stands for; None is the global one.

    Example:
        >>> get("mixed_float16").compute_dtype, get("mixed_float16").variable_dtype
        ('float16', 'float32')

    Raises:
        ValueError: none of these.
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    name = identifier if isinstance(identifier, str) else getattr(identifier, "__name__", None) or str(identifier)
    return DTypePolicy(name)


__getattr__ = getter(__name__)
