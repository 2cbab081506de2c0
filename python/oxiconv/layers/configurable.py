"""A layer's configuration: the arguments that make an equal one, and the shapes it was built for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np

from oxiconv import dtype_policies, regularizers, tree
from oxiconv.layers.state import State


class Configurable(State):
    """`get_config`, `from_config` and their counterparts for building."""

    # Constructor arguments that are attributes of the same name, for `get_config`.
    config_fields: ClassVar[tuple[str, ...]] = ()

    _build_shapes: dict[str, Any] | None
    _dtype_policy: dtype_policies.DTypePolicy
    activity_regularizer: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Remembers the arguments, for `get_config` of subclasses that define none."""
        instance = super().__new__(cls)
        instance.__dict__["_arguments"] = (args, kwargs)
        return instance

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer.

        Raises:
            NotImplementedError: the class has constructor arguments that are no plain values, and no `get_config`.
        """
        dtype = dtype_policies.serialize(self._dtype_policy)
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": dtype}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        for cls in reversed(type(self).__mro__):
            for field in cls.__dict__.get("config_fields", ()):
                config[field] = _serialized(getattr(self, field))
        owner = next(cls for cls in type(self).__mro__ if "__init__" in cls.__dict__)
        ours = [f.__module__.startswith("oxiconv.") for f in (type(self).get_config, owner)]
        return self._recorded_config(config, owner) if ours == [True, False] else config

    def _recorded_config(self, base: dict[str, Any], owner: type) -> dict[str, Any]:
        """The arguments the layer was made with, and what else of `base` its constructor takes."""
        args, kwargs = self.__dict__["_arguments"]
        bound = inspect.signature(owner.__init__).bind(self, *args, **kwargs)  # type: ignore[misc]
        parameters = list(bound.signature.parameters.values())[1:]
        names = {p.name for p in parameters}
        open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
        config = {name: value for name, value in base.items() if open_ended or name in names}
        for parameter in parameters:
            if parameter.name in bound.arguments:
                value = bound.arguments[parameter.name]
                config.update(value if parameter.kind is parameter.VAR_KEYWORD else {parameter.name: value})
        plain = (bool, int, float, str, type(None))
        if any(not isinstance(leaf, plain) for leaf in tree.flatten(list(config.values()))):
            raise NotImplementedError(
                f"{self._label}: expected a class that defines get_config, for arguments {config}"
            )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A layer of a configuration."""
        return cls(**config)

    def get_build_config(self) -> dict[str, Any] | None:
        """What `build_from_config` needs: the shapes the layer was built for, None if there are none."""
        shapes = self._build_shapes
        if shapes is None:
            return None
        return {"input_shape": next(iter(shapes.values()))} if len(shapes) == 1 else {"shapes_dict": dict(shapes)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the layer for the shapes of a configuration."""
        if not config or self.built:
            return
        if "input_shape" in config:
            shape = map_shapes(tuple, config["input_shape"])
            self.build(shape)
            self._build_shapes = self._build_shapes or {"input_shape": shape}
        elif "shapes_dict" in config:
            self.build(**{name: map_shapes(tuple, shape) for name, shape in config["shapes_dict"].items()})

    def build(self, *shapes: Any, **named_shapes: Any) -> None:
        """Makes the weights for inputs of a shape (None where unknown)."""
        raise NotImplementedError(f"{self._label}: expected a class that defines build")


def is_shape(x: Any) -> bool:
    """Whether `x` is a sequence of sizes, each an integer or None."""
    return isinstance(x, (list, tuple)) and all(n is None or isinstance(n, (int, np.integer)) for n in x)


def map_shapes(function: Callable[[Any], Any], shapes: Any) -> Any:
    """`function` of each shape in a structure of shapes."""
    if shapes is None:
        return None
    if isinstance(shapes, dict):
        return {key: map_shapes(function, value) for key, value in shapes.items()}
    return function(shapes) if is_shape(shapes) else [map_shapes(function, value) for value in shapes]


def _serialized(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str, list, tuple, dict)):
        return value
    from oxiconv import activations

    return activations.serialize(value)
