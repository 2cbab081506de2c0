"""Shapes and element types of what a function makes of symbolic tensors, by tracing it; no data is computed."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, TypeAlias

from oxiconv import tree
from oxiconv._core import DTypeError, OxiconvError, ShapeError, Tensor
from oxiconv.keras_tensor import KerasTensor
from oxiconv.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What unknown sizes are replaced by, (batch, others), in the two runs of an inference. The others are multiples of
# the strides that networks apply to them; results whose sizes differ between the runs have an unknown size.
_SAMPLES = ((2, 480), (3, 960))
# How many other choices are tried, for unknown sizes that must equal a known one, before the first error is raised.
_ATTEMPTS = 400

# Which size takes the place of an unknown one: by symbol (its place among the arguments) and axis, in the two runs.
Choice: TypeAlias = "dict[tuple[int, int], tuple[int, int]]"


def infer(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What `function` makes of symbolic tensors: fresh ones, without a node.

    Sizes that are unknown are tried as two different numbers. Where they must equal a known size, as in `x + y` with an
    unknown size of x where y has 32, that size is found by trying those that the arguments name.
    """
    symbols = [t for t in tree.flatten((args, kwargs)) if isinstance(t, KerasTensor)]
    unknown = [(s, axis) for s, t in enumerate(symbols) for axis, n in enumerate(t.shape) if n is None]
    default = {place: _sample(place) for place in unknown}
    try:
        return _infer(function, args, kwargs, default)
    except (OxiconvError, ValueError) as error:
        if not unknown or isinstance(error, DTypeError):
            raise
        for choice in itertools.islice(_choices(symbols, unknown, _numbers(function, args, kwargs)), _ATTEMPTS):
            found = _attempt(function, args, kwargs, default | choice)
            if found is not None:
                return _relax(function, args, kwargs, default, choice, found)
        if isinstance(error, OxiconvError) and "unknown sizes" not in str(error):
            batch, size = _SAMPLES[0]
            error.args = (f"{error} (unknown sizes are tried as {batch} for the batch, {size} elsewhere)",)
        raise


def _attempt(function: Callable[..., Any], args: Any, kwargs: Any, sizes: Choice) -> Any:
    try:
        return _infer(function, args, kwargs, sizes)
    except (OxiconvError, ValueError):
        return None


def _relax(function: Callable[..., Any], args: Any, kwargs: Any, default: Choice, choice: Choice, found: Any) -> Any:
    """The results with as few chosen sizes as it takes."""
    for place in list(choice) if len(choice) > 1 else ():
        fewer = {other: pair for other, pair in choice.items() if other != place}
        more_general = _attempt(function, args, kwargs, default | fewer)
        if more_general is not None:
            choice, found = fewer, more_general
    return found


def _sample(place: tuple[int, int]) -> tuple[int, int]:
    return _SAMPLES[0][place[1] > 0], _SAMPLES[1][place[1] > 0]


def _choices(symbols: list[KerasTensor], unknown: list[tuple[int, int]], numbers: list[int]) -> Iterator[Choice]:
    """Other sizes for unknown ones: what stands on the same axis elsewhere; then multiples of numbers; then those."""
    for from_the_right in (True, False):
        known: dict[int, set[int]] = {}
        for t in symbols:
            for axis, n in enumerate(t.shape):
                if n is not None and n > 1:
                    known.setdefault(axis - len(t.shape) * from_the_right, set()).add(n)
        sizes = {(s, axis): known.get(axis - len(symbols[s].shape) * from_the_right, set()) for s, axis in unknown}
        fitting = {place: (n, n) for place, found in sizes.items() if len(found) == 1 for n in found}
        if fitting:
            yield fitting
    singles = [{place: (n * a, n * b)} for a, b in ((6, 12), (1, 1)) for place in unknown for n in numbers]
    yield from singles
    for one, other in itertools.combinations(singles, 2):
        if one.keys() != other.keys():
            yield one | other


def _numbers(function: Callable[..., Any], args: Any, kwargs: Any) -> list[int]:
    """Sizes that arguments and attributes of the layer that is called name: integers, products of tuples of them."""
    layer = getattr(function, "__self__", None)
    found: dict[int, None] = {}

    def note(x: Any) -> None:
        if isinstance(x, int) and not isinstance(x, bool):
            found[abs(x)] = None
        elif isinstance(x, (list, tuple)):
            if x and all(isinstance(n, int) for n in x):
                found[math.prod(abs(n) for n in x)] = None
            for value in x:
                note(value)
        elif isinstance(x, dict):
            note(list(x.values()))
        elif isinstance(x, KerasTensor) or hasattr(x, "__array__"):
            note([n for n in x.shape if n is not None])

    note((args, kwargs))
    if layer is not None:
        note([value for value in vars(layer).values() if isinstance(value, (int, list, tuple))])
    return [n for n in found if n > 1]


class Spec:
    """Shape and element type of one result of a trace."""

    def __init__(self, shape: tuple[int, ...], dtype: str, mask: Spec | None = None) -> None:
        self.shape = shape
        self.dtype = dtype
        self.mask = mask


def _infer(function: Callable[..., Any], args: Any, kwargs: Any, sizes: Choice) -> Any:
    first = _trace(function, args, kwargs, {place: pair[0] for place, pair in sizes.items()})
    if not sizes:
        return tree.map_structure(_merge, first, first)
    second = _trace(function, args, kwargs, {place: pair[1] for place, pair in sizes.items()})
    return tree.map_structure(_merge, first, second)


def _trace(function: Callable[..., Any], args: Any, kwargs: Any, sizes: dict[tuple[int, int], int]) -> Any:
    with Trace(symbolic=True) as trace:
        places = itertools.count()

        def fill(t: Any) -> Any:
            if not isinstance(t, KerasTensor):
                return t
            place = next(places)
            dims = [sizes[place, axis] if n is None else n for axis, n in enumerate(t.shape)]
            return trace.graph.input(dims, t.dtype, batched=bool(t.shape) and t.shape[0] is None)

        args, kwargs = tree.pack_sequence_as((args, kwargs), [fill(leaf) for leaf in tree.flatten((args, kwargs))])
        return tree.map_structure(_spec, function(*args, **kwargs))


def _spec(x: Any) -> Any:
    value = x if isinstance(x, Tensor) else getattr(x, "value", None)
    if not isinstance(value, Tensor):
        raise TypeError(f"symbolic call: expected tensors as results, got {type(x).__name__}")
    mask = getattr(value, "_keras_mask", None)
    return Spec(value.shape, value.dtype, None if mask is None else _spec(mask))


def _merge(a: Spec, b: Spec) -> KerasTensor:
    if len(a.shape) != len(b.shape):
        raise ShapeError("symbolic call: expected a number of axes that does not depend on the unknown sizes")
    merged = KerasTensor([m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)], a.dtype)
    if a.mask is not None and b.mask is not None:
        merged._keras_mask = _merge(a.mask, b.mask)
    return merged
