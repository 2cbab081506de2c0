"""Policies by the paths of layers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Self

from oxiconv.dtype_policies.dtype_policy import DTypePolicy, dtype_policy


class DTypePolicyMap(DTypePolicy, MutableMapping[str, DTypePolicy]):
    """Policies for layers by their path, with a default for the others.

    Args:
        default_policy: for paths that nothing fits; None is the global policy.
        policy_map: policies by path. A key also fits as a regular expression of the whole path.

    Example:
        >>> policies = DTypePolicyMap("float32", {".*/head": DTypePolicy("mixed_bfloat16")})
        >>> policies["model/head"].name, policies["model/body"].name
        ('mixed_bfloat16', 'float32')
    """

    def __init__(self, default_policy: Any = None, policy_map: Mapping[str, DTypePolicy] | None = None) -> None:
        from oxiconv import dtype_policies

        self._given = default_policy is not None
        self._default = dtype_policies.get(default_policy)
        self._policies = dict(policy_map or {})
        super().__init__(self._default.name)
        self._name = f"map_{self._default.name}"

    @property
    def default_policy(self) -> DTypePolicy:
        """The policy of paths that nothing fits."""
        return self._default if self._given else dtype_policy()

    def __getitem__(self, key: str) -> DTypePolicy:
        if key in self._policies:
            return self._policies[key]
        fitting = [pattern for pattern in self._policies if re.fullmatch(pattern, key)]
        if len(fitting) > 1:
            raise ValueError(f"DTypePolicyMap: expected one policy for {key!r}, got those of {', '.join(fitting)}")
        return self._policies[fitting[0]] if fitting else self.default_policy

    def __setitem__(self, key: str, policy: Any) -> None:
        if key in self._policies:
            raise ValueError(f"DTypePolicyMap: expected a new key, got {key!r}, which has a policy; delete it first")
        if not isinstance(policy, DTypePolicy):
            raise ValueError(f"DTypePolicyMap: expected a DTypePolicy, got {policy!r}")
        self._policies[key] = policy

    def __delitem__(self, key: str) -> None:
        del self._policies[key]

    def __len__(self) -> int:
        return len(self._policies)

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __contains__(self, key: object) -> bool:
        return key in self._policies

    def __hash__(self) -> int:
        return id(self)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal map."""
        from oxiconv.saving import serialize_keras_object

        default = serialize_keras_object(self._default) if self._given else None
        return {"default_policy": default, "policy_map": serialize_keras_object(self._policies)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A map of a configuration."""
        from oxiconv import dtype_policies

        policies = {key: dtype_policies.get(value) for key, value in (config.get("policy_map") or {}).items()}
        return cls(config.get("default_policy"), policies)
