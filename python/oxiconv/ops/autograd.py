"""Functions with gradients of their own."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from oxiconv import _core, tape, tree
from oxiconv.inference import infer
from oxiconv.keras_tensor import any_symbolic
from oxiconv.pullback import Custom
from oxiconv.symbolic import FunctionOperation
from oxiconv.tensor import ShapeError, Tensor, convert

if TYPE_CHECKING:
    from collections.abc import Callable


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose gradient is what it says, rather than what its operations give.

    `f(*args)` returns its result and a function `grad(*upstream)` from the gradients of a loss by the results to those
    by the arguments: one, or as many as there are arguments, None for none. Works eagerly, under tapes, in traced steps
    and on symbolic tensors. Keyword arguments are passed on, and have no gradient.

    Raises:
        TypeError: `f` does not return two things, or reads a trainable variable, which must be an argument.

    Example:
        >>> from oxiconv import GradientTape, ops
        >>> @ops.custom_gradient
        ... def log1pexp(x):
        ...     e = ops.exp(x)
        ...     def grad(*args, upstream=None):
        ...         (upstream,) = args
        ...         return upstream * (1 - 1 / (1 + e))
        ...     return ops.log(1 + e), grad
        >>> x = ops.convert_to_tensor(0.0)
        >>> with GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = log1pexp(x)
        >>> float(tape.gradient(y, x))
        0.5
    """
    name = getattr(f, "__name__", "custom_gradient")

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any_symbolic(args):
            return FunctionOperation(call, name).record(args, kwargs, infer(call, args, kwargs))
        args = tree.map_structure(lambda x: x if x is None else convert(x), args)
        inputs = [x for x in tree.flatten(args) if x is not None]
        with tape.GradientTape() as reads:
            returned = f(*args, **kwargs)
        if variables := reads.watched_variables():
            raise TypeError(
                f"custom_gradient: {name} reads the variable {variables[0].path!r}, whose gradient it does not give; "
                "pass its value as an argument"
            )
        if not isinstance(returned, tuple) or len(returned) != 2 or not callable(returned[1]):
            raise TypeError(f"custom_gradient: expected {name} to return a result and a gradient function")
        result, gradient = returned
        flat = [_core.detach(convert(t)) for t in tree.flatten(result)]
        tape.record(Custom(inputs, flat, functools.partial(_pulled, name, gradient, inputs)))
        return tree.pack_sequence_as(result, flat)

    return call


def _pulled(name: str, gradient: Callable[..., Any], inputs: list[Tensor], *upstream: Tensor) -> list[Tensor | None]:
    """The gradients by the inputs, checked."""
    wanted = inspect.signature(gradient).parameters.get("upstream")
    if wanted is not None and wanted.kind is wanted.KEYWORD_ONLY and wanted.default is wanted.empty:
        found = gradient(*inputs, upstream=upstream[0])
    else:
        found = gradient(*upstream)
    found = list(found) if isinstance(found, (list, tuple)) else [found]
    if len(found) != len(inputs):
        raise ValueError(
            f"custom_gradient: expected {len(inputs)} gradients of {name}, one by argument, got {len(found)}"
        )
    results = [None if g is None else convert(g, x.dtype) for g, x in zip(found, inputs, strict=True)]
    for g, x in zip(results, inputs, strict=True):
        if g is not None and g.shape != x.shape:
            raise ShapeError(f"custom_gradient: expected a gradient of {name} of shape {x.shape}, got {g.shape}")
    return results
