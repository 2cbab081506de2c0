"""Gradients of functions, and losses that go backward: two more ways to say what a `GradientTape` does."""

from __future__ import annotations

import functools
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from oxiconv import _core, tape, tree
from oxiconv._core import Tensor
from oxiconv.tensor import convert
from oxiconv.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


def value_and_grad(
    fn: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """A function that gives the value of `fn` and its gradient with respect to an argument.

    Args:
        fn: gives a scalar; with `has_aux` a pair of a scalar and anything else, which is passed on.
        argnums: which positional argument, a tensor, array, variable or structure of these; or several.
        has_aux: whether there is more than the scalar.

    Returns:
        A function of the arguments of `fn` that returns `(value, gradient)`, or `((value, aux), gradient)`. The
        gradient has the structure of the argument; zeros where the value does not depend on it.

    Example:
        >>> value, gradient = value_and_grad(lambda p: p["a"] * p["b"])({"a": 2.0, "b": 5.0})
        >>> float(value), {name: float(g) for name, g in gradient.items()}
        (10.0, {'a': 5.0, 'b': 2.0})
    """
    several = not isinstance(argnums, int)
    places = tuple(argnums) if isinstance(argnums, (list, tuple)) else (argnums,)

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        given = list(args)
        for i in places:
            given[i] = tree.map_structure(_source, given[i])
        sources = [given[i] for i in places]
        with tape.GradientTape() as recording:
            recording.watch(sources)
            result = fn(*given, **kwargs)
        value = convert(result[0] if has_aux else result)
        if value.shape != ():
            raise ValueError(f"grad: expected a function with a scalar result, got shape {value.shape}")
        found = recording.gradient(value, sources, unconnected_gradients="zero")
        return result, tuple(found) if several else found[0]

    return call


def grad(fn: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient function of `fn`: as `value_and_grad`, without the value; with `has_aux`, `(gradient, aux)`.

    >>> from oxiconv import ops
    >>> cube = lambda x: x * x * x
    >>> float(grad(cube)(2.0)), float(grad(grad(cube))(2.0))
    (12.0, 12.0)
    """
    both = value_and_grad(fn, argnums, has_aux)

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        result, gradient = both(*args, **kwargs)
        return (gradient, result[1]) if has_aux else gradient

    return call


def _source(x: Any) -> Any:
    # A tensor of its own, so that other uses of the same one do not count.
    return x if isinstance(x, Variable) else _core.reshape(value := convert(x), value.shape)


class _Backward(threading.local):
    def __init__(self) -> None:
        # What `backward` differentiates, and whether a context holds it open.
        self.tape: tape.GradientTape | None = None
        self.held = False
        # The variables that were given gradients.
        self.given: list[Variable] = []


_backward = _Backward()


@contextmanager
def enable_grad() -> Iterator[None]:
    """A context in which computations are recorded, so that `backward` can be called on their results.

    >>> from oxiconv import Variable
    >>> v = Variable(3.0)
    >>> with enable_grad():
    ...     (v * v).backward()
    >>> float(v.grad)
    6.0
    """
    outer, held = _backward.tape, _backward.held
    _backward.held = True
    try:
        with tape.GradientTape(persistent=True) as _backward.tape:
            yield
    finally:
        _backward.tape, _backward.held = outer, held


@contextmanager
def no_grad() -> Iterator[None]:
    """A context in which nothing is recorded, by tapes or for `backward`."""
    with tape.Pause(tape.recording(), "no_grad"):
        yield


def zero_grad(variables: Iterable[Variable]) -> None:
    """Forgets the gradients of variables, and records from now on, until `backward`."""
    for variable in variables:
        variable.grad = None
    if not _backward.held:
        end_recording()
        _backward.tape = tape.GradientTape(persistent=True)
        _backward.tape._start()


def end_recording() -> None:
    """Ends what `zero_grad` began."""
    if _backward.tape is not None and not _backward.held:
        if _backward.tape._recording:
            _backward.tape._stop()
        _backward.tape = None


def end_step() -> None:
    """Ends recording, and takes away gradients that have no values, being those of a step that was traced."""
    end_recording()
    for variable in _backward.given:
        if variable.grad is not None and variable.grad.traced:
            variable.grad = None
    _backward.given.clear()


def backward(self: Tensor, gradient: Any = None, retain_graph: bool = False) -> None:
    """Adds the gradients of a loss to the `grad` of each trainable variable that it was computed from.

    It differentiates what was computed since `model.zero_grad()`, and ends that recording unless `retain_graph`; or
    what was computed in a context of `enable_grad()`.

    Args:
        self: the loss: a scalar, or any tensor with `gradient`.
        gradient: weights of the loss's elements.
        retain_graph: whether `backward` can be called again.

    Raises:
        RuntimeError: nothing was recorded.
    """
    recorded = _backward.tape
    if recorded is None:
        raise RuntimeError(
            "backward: nothing was recorded; call model.zero_grad() before the computation, or do it within "
            "`with oxiconv.enable_grad():`, or use GradientTape"
        )
    if gradient is None and self.size != 1:
        raise ValueError(f"backward: expected a scalar, or weights as `gradient`, got shape {self.shape}")
    variables = recorded.watched_variables()
    with no_recording(recorded):
        for variable, found in zip(variables, recorded.gradient(self, list(variables), gradient), strict=True):
            if found is not None:
                _backward.given.append(variable)
                variable.grad = found if variable.grad is None else variable.grad + found
    if not retain_graph:
        end_recording()


@contextmanager
def no_recording(recorded: tape.GradientTape) -> Iterator[None]:
    """Within, a tape does not record the computation of its own gradients."""
    running = recorded._recording
    if running:
        recorded._stop()
    try:
        yield
    finally:
        if running:
            recorded._start()


def install() -> None:
    """Gives tensors `backward` and `grad`."""
    setattr(Tensor, "backward", backward)  # noqa: B010
    setattr(Tensor, "grad", property(tape.gradient_of_value))  # noqa: B010


install()
