"""The global dtype policy under its older name, and the optimizer that mixed precision needs."""

from typing import Any

from oxiconv.dtype_policies import DTypePolicy, dtype_policy, set_dtype_policy

__all__ = [
    "DTypePolicy",
    "LossScaleOptimizer",
    "Policy",
    "dtype_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
]

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy


def __getattr__(name: str) -> Any:
    if name == "LossScaleOptimizer":
        from oxiconv import optimizers

        return getattr(optimizers, name)
    raise AttributeError(f"module 'oxiconv.mixed_precision' has no attribute {name!r}")
