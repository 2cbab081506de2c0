"""The interface of initializers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from oxiconv.tensor import Tensor


class Initializer:
    """A function of shape and dtype that makes the first value of a weight. Subclasses define `__call__`."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """A tensor of `shape`."""
        raise NotImplementedError(f"{type(self).__name__}: expected a subclass that defines __call__")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """An initializer of a configuration."""
        return cls(**config)

    def clone(self) -> Self:
        """An equal initializer."""
        return self.from_config(self.get_config())

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items() if v is not None)
        return f"<{type(self).__name__}{' ' + arguments if arguments else ''}>"
