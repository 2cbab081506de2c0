"""How a layer gets its weights: `build`, called with the shapes of the first inputs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from oxiconv import naming, ops, trace, tree
from oxiconv.layers import input_spec
from oxiconv.layers.call_signature import CallSignature
from oxiconv.layers.configurable import Configurable, map_shapes


class Building(Configurable):
    """Checks inputs, builds for them, and remembers their shapes."""

    input_spec: Any
    _path: str | None
    # The inference that built the layer, for sizes that it tried.
    _sampled_in: int | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        build = cls.__dict__.get("build")
        if build is not None:
            cls.build = _marking_built(build)  # type: ignore[method-assign]

    @property
    def path(self) -> str:
        """The names of the layers this one was built within, and its own, joined by '/'."""
        return self._path or self.name

    def build(self, *shapes: Any, **named_shapes: Any) -> None:
        """Makes the weights for inputs of a shape (None where unknown). Subclasses take `input_shape`, or several."""
        self.built = True

    def _prepare(self, call: CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Checks the inputs and builds the layer for them."""
        if self._sampled_in is not None:
            self._widen(call, args, kwargs)
        if self.built and self.input_spec is None:
            return
        first = args[0] if args else next(iter(kwargs.values()), None)
        if self.input_spec is not None:
            input_spec.check(self.input_spec, first, self)
        if not self.built:
            self._build_for(call, args, kwargs)
            if self.input_spec is not None:
                input_spec.check(self.input_spec, first, self)

    def _build_for(self, call: CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if type(self).build is Building.build:
            self._build_by_call(call, args, kwargs)
            return
        self.build(**self._shapes_for(self.build, call, args, kwargs))

    def _build_by_call(self, call: CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Records the shapes. What is to be built within is built by the call that follows, or by tracing it."""
        shapes = self._call_shapes(call, args, kwargs)
        self._path = naming.current_path()
        self._note_shapes({"input_shape": next(iter(shapes.values()))} if shapes else None)

    def _note_shapes(self, shapes: dict[str, Any] | None) -> None:
        self._build_shapes = shapes
        active = trace.current()
        if active is not None and active.symbolic:
            self._sampled_in = active.serial

    def _widen(self, call: CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Sizes that an inference tried when it built the layer, and that are others now, become unknown ones."""
        active = trace.current()
        if active is not None and active.serial == self._sampled_in:
            return
        self._sampled_in = None
        held = tree.flatten(self._build_shapes)
        now = tree.flatten(list(self._call_shapes(call, args, kwargs).values())[: len(self._build_shapes or ())])
        if len(held) == len(now):
            merged = [a if a == b else None for a, b in zip(held, now, strict=True)]
            self._build_shapes = tree.pack_sequence_as(self._build_shapes, merged)

    def _call_shapes(self, call: CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        tensors = {name: value for name, value in call.tensors(args, kwargs).items() if name != "mask"}
        if not tensors and args:
            tensors = {call.names[0] if call.names else "input": args[0]}
        return {f"{name}_shape": _shapes(value) for name, value in tensors.items()}

    def _shapes_for(
        self, method: Callable[..., Any], call: CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """The shapes of the arguments of `call` under the names that `build` or `compute_output_shape` takes."""
        kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        wanted = [p for p in inspect.signature(method).parameters.values() if p.kind not in kinds]
        shapes = self._call_shapes(call, args, kwargs)
        if len(wanted) == 1:
            return {wanted[0].name: next(iter(shapes.values()), None)}
        missing = [p.name for p in wanted if p.name not in shapes and p.default is p.empty]
        if missing:
            raise TypeError(
                f"{self._label}: {method.__name__}: expected the names of call's arguments plus '_shape', got "
                f"{', '.join(missing)}"
            )
        return {p.name: shapes[p.name] for p in wanted if p.name in shapes}


def _marking_built(build: Callable[..., Any]) -> Callable[..., Any]:
    names = [
        p.name for p in list(inspect.signature(build).parameters.values())[1:] if p.kind is p.POSITIONAL_OR_KEYWORD
    ]

    @functools.wraps(build)
    def marked(self: Building, *args: Any, **kwargs: Any) -> Any:
        with naming.name_scope(self.name, caller=self):
            self._path = naming.current_path()
            result = build(self, *args, **kwargs)
        self.built = True
        shapes = {**dict(zip(names, args, strict=False)), **kwargs}
        self._note_shapes({name: map_shapes(tuple, shape) for name, shape in shapes.items()} or None)
        return result

    return marked


def _shapes(x: Any) -> Any:
    return tree.map_structure(lambda t: tuple(ops.shape(t)) if t is not None else None, x)
