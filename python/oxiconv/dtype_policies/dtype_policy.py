"""One policy, and the global one."""

from __future__ import annotations

import re
from typing import Any, Self

from oxiconv import dtype as dtypes
from oxiconv import ops
from oxiconv.symbolic import is_keras_tensor
from oxiconv.tensor import DTypeError, Tensor, convert

_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


class DTypePolicy:
    """The element types of a layer: that of its computations and that of its weights.

    Under "mixed_float16" and "mixed_bfloat16" a layer casts real inputs and weights to the half type and gives such
    outputs, while the weights themselves stay float32. Half types are a way to store numbers, each operation still
    computes in float32. Of bfloat16, compiled steps store 16 bits only where a value leaves the processor's cache,
    which halves the memory of activations and hardly changes the time; chains of elementwise operations are rounded
    once. float16 is rounded and stored by each operation, which takes time. It ends at 65504, so gradients need a
    `LossScaleOptimizer`, which `compile` puts around the optimizer by itself.

    Args:
        name: "float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16", or an integer type for layers that
            compute with integers. None is the global policy's name.

    Example:
        >>> DTypePolicy("mixed_bfloat16")
        <DTypePolicy "mixed_bfloat16">
    """

    quantization_mode: str | None = None

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = dtype_policy().name
        if not isinstance(name, str):
            raise TypeError(f"DTypePolicy: expected a name such as 'mixed_float16', got {name!r}")
        if re.match(r"(int8|int4|float8|gptq|awq)_from_|int4/", name):
            raise ValueError(f"DTypePolicy: quantized policies are absent, got {name!r}; see Model.quantize")
        if name in ("float64", "double"):
            raise ValueError(f"DTypePolicy: expected 'float32', the widest real type, or a narrower one, got {name!r}")
        self._name = name
        self._compute_dtype, self._variable_dtype = (_MIXED[name], "float32") if name in _MIXED else (_known(name),) * 2

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """The element type of inputs and outputs of computations."""
        return self._compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The element type of weights."""
        return self._variable_dtype

    def convert_input(self, x: Any, autocast: bool, dtype: Any) -> Any:
        """`x`, a tensor or array, in `dtype` if it is real and `autocast` is set; other objects as they are."""
        if not isinstance(x, Tensor) and not is_keras_tensor(x):
            if not hasattr(x, "__array__"):
                return x
            x = convert(x)
        return ops.cast(x, dtype) if autocast and dtypes.is_float(x.dtype) and x.dtype != dtype else x

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal policy."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A policy of a configuration."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        same = type(other) is type(self) or {type(self), type(other)} <= {DTypePolicy, FloatDTypePolicy}
        return same and isinstance(other, DTypePolicy) and self._name == other._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self._name}">'


class FloatDTypePolicy(DTypePolicy):
    """Another name of `DTypePolicy`, which Keras keeps."""


def _known(name: str) -> str:
    try:
        dtypes.standardize_dtype(name)
    except DTypeError as error:
        raise ValueError(
            f"DTypePolicy: expected 'mixed_float16', 'mixed_bfloat16' or the name of an element type, got {name!r}"
        ) from error
    return {"float": "float32", "int": "int32"}.get(name, name)


class _Global:
    policy: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given none: `set_dtype_policy`, or that of `config.floatx`."""
    if _Global.policy is None:
        from oxiconv.config import floatx

        _Global.policy = DTypePolicy(floatx())
    return _Global.policy


def set_dtype_policy(policy: Any) -> None:
    """Sets the policy of layers made from now on: a policy or its name.

    Raises:
        ValueError: neither.

    Example:
        >>> from oxiconv import config, layers
        >>> config.set_dtype_policy("mixed_bfloat16")
        >>> layers.Dense(2).compute_dtype
        'bfloat16'
        >>> config.set_dtype_policy("float32")
    """
    if not isinstance(policy, DTypePolicy):
        from oxiconv.dtype_policies import get

        if not isinstance(policy, (str, dict)):
            raise ValueError(f"set_dtype_policy: expected a policy or its name, got {policy!r}")
        policy = get(policy)
    _Global.policy = policy


def forget() -> None:
    """The global policy becomes that of `config.floatx` again."""
    _Global.policy = None
