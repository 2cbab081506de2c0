"""Choices and loops: by Python on values that are known, written out into the graph where a computation is traced.

A traced value has no data, so that nothing can depend on it but through a graph: `cond` and `switch` then compute all
branches and select, and loops need a number of steps that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from oxiconv import trace, tree
from oxiconv.ops.arrangement import concatenate, flip, reshape, stack
from oxiconv.ops.comparison import less_equal, logical_and, where
from oxiconv.ops.indexing import get_item
from oxiconv.symbolic import KerasTensor, op
from oxiconv.tensor import GraphError, ShapeError, Tensor, convert

__all__ = ["associative_scan", "cond", "fori_loop", "map", "scan", "switch", "vectorized_map", "while_loop"]


def _is_open(x: Any) -> bool:
    """Whether a value is not known while Python runs."""
    return isinstance(x, KerasTensor) or convert(x).traced


def _scalar(x: Any, name: str, what: str) -> Any:
    shape = tuple(x.shape) if isinstance(x, KerasTensor) else convert(x).shape
    if any(n != 1 for n in shape):
        raise ShapeError(f"{name}: expected {what} to be one value, got shape {shape}")
    return x


def _leaf(x: Any) -> Any:
    return x if x is None or isinstance(x, KerasTensor) else convert(x)


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """`true_fn()` if `pred`, else `false_fn()`; results in the same structure.

    Where `pred` is traced or symbolic, both are computed, and what they return and assign to variables is selected.
    Then they must return tensors of the same shapes; gradients of the branch that is not taken are zeros, unless it
    makes infinities or NaN.

    >>> import numpy as np
    >>> float(cond(np.array(2) > 1, lambda: 1.0, lambda: 0.0))
    1.0
    """
    _scalar(pred, "cond", "pred")
    if not _is_open(pred):
        return tree.map_structure(_leaf, true_fn() if bool(convert(pred)) else false_fn())
    active = trace.current()
    before = None if active is None else dict(active.updates)
    chosen = true_fn()
    if active is None or before is None:
        return _select_structure(pred, chosen, false_fn())
    after, active.updates = active.updates, dict(before)
    other = false_fn()
    for variable in {**after, **active.updates}:
        values = [updates.get(variable, before.get(variable)) for updates in (after, active.updates)]
        first, second = (active.graph.state(variable.cell) if v is None else v for v in values)
        active.updates[variable] = where(pred, first, second)
    return _select_structure(pred, chosen, other)


def _select_structure(pred: Any, chosen: Any, other: Any) -> Any:
    def select(a: Any, b: Any) -> Any:
        if a is None and b is None:
            return None
        a, b = _leaf(a), _leaf(b)
        if tuple(a.shape) != tuple(b.shape):
            raise ShapeError(f"cond: expected branches of the same shapes, got {tuple(a.shape)} and {tuple(b.shape)}")
        return where(pred, a, b)

    try:
        return tree.map_structure(select, chosen, other)
    except ValueError as error:
        if isinstance(error, ShapeError):
            raise
        raise ValueError(f"cond: expected branches that return the same structure: {error}") from None


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """`branches[index](*operands)`, with the index limited to those that there are.

    Where `index` is traced or symbolic, all branches are computed, as `cond` does.

    >>> float(switch(1, [lambda x: x, lambda x: -x], 2.0))
    -2.0
    """
    if not branches:
        raise ValueError("switch: expected at least one branch, got none")
    _scalar(index, "switch", "index")
    if not _is_open(index):
        chosen = min(max(int(convert(index)), 0), len(branches) - 1)
        return tree.map_structure(_leaf, branches[chosen](*operands))

    def choose(first: int) -> Any:
        if first == len(branches) - 1:
            return branches[first](*operands)
        return cond(less_equal(index, first), lambda: branches[first](*operands), lambda: choose(first + 1))

    return choose(0)


@op
def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """Replaces `loop_vars` by `body(*loop_vars)` as long as `cond(*loop_vars)`, at most `maximum_iterations` times.

    `loop_vars` is a tensor, or a structure; the elements of a list or tuple are separate arguments. Where the
    condition depends on traced values, all `maximum_iterations` steps are computed, and each changes the values only
    where the condition has held so far.

    Raises:
        GraphError: the condition depends on traced values, and there is no `maximum_iterations`.

    >>> int(while_loop(lambda i: i < 10, lambda i: i + 1, 0))
    10
    """
    several = isinstance(loop_vars, (list, tuple))
    values = tree.map_structure(convert, loop_vars)

    def call(f: Callable[..., Any]) -> Any:
        return f(*values) if several else f(values)

    going: Tensor | None = None
    steps = 0
    while maximum_iterations is None or steps < maximum_iterations:
        holds = convert(_scalar(call(cond), "while_loop", "the condition"), "bool")
        if not holds.traced and going is None:
            if not bool(holds):
                break
        elif maximum_iterations is None:
            raise GraphError(
                "while_loop: the condition depends on a traced value, so that the number of steps is not known; give "
                "maximum_iterations, or run the step eagerly (run_eagerly=True)"
            )
        else:
            going = holds if going is None else logical_and(going, holds)
        after = call(body)
        if several and not isinstance(after, (list, tuple)):
            after = (after,)
        values = tree.map_structure(lambda new, old, keep=going: _step(new, old, keep), after, values)
        steps += 1
    return values


def _step(new: Any, old: Tensor, keep: Tensor | None) -> Tensor:
    new = convert(new)
    if new.shape != old.shape:
        raise ShapeError(f"while_loop: expected values that keep their shapes, got {old.shape} and then {new.shape}")
    return new if keep is None else where(keep, new, old)


@op
def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """Replaces a value, first `init_val`, by `body_fun(i, value)` for each `i` from `lower` to `upper - 1`.

    Raises:
        GraphError: a bound is a traced value.

    >>> int(fori_loop(0, 10, lambda i, total: total + i, 0))
    45
    """
    bounds = [convert(_scalar(bound, "fori_loop", "a bound")) for bound in (lower, upper)]
    if any(bound.traced for bound in bounds):
        raise GraphError(
            "fori_loop: a bound is a traced value, so that the number of steps is not known; use while_loop with "
            "maximum_iterations, or run the step eagerly (run_eagerly=True)"
        )
    value = tree.map_structure(convert, init_val)
    for i in range(int(bounds[0]), int(bounds[1])):
        value = tree.map_structure(convert, body_fun(convert(i), value))
    return value


@op
def scan(
    f: Callable[[Any, Any], Any],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: Any = 1,
) -> tuple[Any, Any]:
    """Steps `carry, y = f(carry, x)` over the slices `x` of `xs` along axis 0: the last carry, and all y along axis 0.

    Args:
        f: the step. It keeps the shapes and types of the carry.
        init: the first carry, a tensor or a structure.
        xs: a tensor or a structure of them, of one length; None for `length` steps without.
        length: number of steps.
        reverse: whether to go from the last slice to the first; results stay in order.
        unroll: accepted for Keras compatibility: steps are always written out.

    >>> last, sums = scan(lambda c, x: (c + x, c + x), 0, [1, 2, 3])
    >>> int(last), sums.numpy().tolist()
    (6, [1, 3, 6])
    """
    if isinstance(xs, list) and not any(isinstance(x, Tensor) for x in tree.flatten(xs)):
        xs = convert(xs)
    values = None if xs is None else tree.map_structure(convert, xs)
    steps = _length(values, length)
    carry = tree.map_structure(convert, init)
    results: list[Any] = []
    for i in reversed(range(steps)) if reverse else range(steps):
        result = f(carry, None if values is None else tree.map_structure(lambda x, i=i: get_item(x, i), values))
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise ValueError(f"scan: expected a step that returns (carry, y), got {type(result).__name__}")
        after = tree.map_structure(convert, result[0])
        for old, new in zip(tree.flatten(carry), tree.flatten(after), strict=True):
            if (old.shape, old.dtype) != (new.shape, new.dtype):
                raise ShapeError(
                    f"scan: expected a carry that stays {old.dtype} {old.shape}, got {new.dtype} {new.shape}"
                )
        carry = after
        results.append(result[1])
    if reverse:
        results.reverse()
    return carry, _stack_structures(results)


def _length(values: Any, length: int | None) -> int:
    sizes = {x.shape[:1] for x in tree.flatten(values)} if values is not None else set()
    if length is not None:
        sizes.add((int(length),))
    if len(sizes) != 1 or () in sizes:
        raise ShapeError(f"scan: expected one length of axis 0, or `length`, got {sorted(sizes)}")
    (steps,) = sizes.pop()
    if steps == 0:
        raise ShapeError("scan: expected at least one step, got none")
    return int(steps)


def _stack_structures(results: list[Any]) -> Any:
    if results[0] is None:
        return None
    return tree.map_structure(lambda *leaves: None if leaves[0] is None else stack(leaves), *results)


@op
def associative_scan(f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """`[a, f(a, b), f(f(a, b), c), ..]` of the slices a, b, c.. along `axis`, for an associative `f`.

    `f` is applied to many slices at a time, about `2 log2(n)` times in all (Blelloch 1990).

    Args:
        f: of two structures like `elems` with any number of slices.
        elems: a tensor or a structure of them.
        reverse: whether to go from the last slice to the first.
        axis: of the slices.

    >>> associative_scan(lambda a, b: a + b, [1, 2, 3, 4]).numpy().tolist()
    [1, 3, 6, 10]
    """
    if isinstance(elems, list) and not any(isinstance(x, Tensor) for x in tree.flatten(elems)):
        elems = convert(elems)
    values = tree.map_structure(convert, elems)
    sizes = {x.shape[axis] for x in tree.flatten(values) if x.ndim}
    if len(sizes) != 1:
        raise ShapeError(f"associative_scan: expected one size along axis {axis}, got {sorted(sizes)}")
    if reverse:
        values = tree.map_structure(lambda x: flip(x, axis), values)

    def part(structure: Any, chosen: Any) -> Any:
        def slices(x: Tensor) -> Any:
            return get_item(x, (*[slice(None)] * range(x.ndim)[axis], chosen))

        return tree.map_structure(slices, structure)

    def combine(structure: Any, n: int) -> Any:
        if n < 2:
            return structure
        pairs = f(part(structure, slice(0, n - 1, 2)), part(structure, slice(1, n, 2)))
        odd = combine(pairs, n // 2)
        rest = part(structure, slice(2, n, 2))
        if n == 2:
            even = part(structure, slice(0, 1))
        else:
            before = odd if n % 2 else part(odd, slice(0, n // 2 - 1))
            even = _join(part(structure, slice(0, 1)), f(before, rest))
        return tree.map_structure(lambda a, b: _interleave(a, b, range(a.ndim)[axis]), even, odd)

    def _join(first: Any, others: Any) -> Any:
        return tree.map_structure(lambda a, b: concatenate([a, b], axis), first, others)

    result = combine(values, sizes.pop())
    return tree.map_structure(lambda x: flip(x, axis), result) if reverse else result


def _interleave(even: Tensor, odd: Tensor, axis: int) -> Tensor:
    """The slices of two tensors in turn; the first has as many as the second, or one more."""
    n = odd.shape[axis]
    both = stack([get_item(even, (*[slice(None)] * axis, slice(0, n))), odd], axis + 1)
    mixed = reshape(both, (*odd.shape[:axis], 2 * n, *odd.shape[axis + 1 :]))
    if even.shape[axis] == n:
        return mixed
    return concatenate([mixed, get_item(even, (*[slice(None)] * axis, slice(n, n + 1)))], axis)


@op
def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """`f` of each slice of `xs` along axis 0, with the results along axis 0.

    >>> map(lambda x: x * x, [1, 2, 3]).numpy().tolist()
    [1, 4, 9]
    """
    if isinstance(xs, list) and not any(isinstance(x, Tensor) for x in tree.flatten(xs)):
        xs = convert(xs)
    values = tree.map_structure(convert, xs)
    steps = _length(values, None)
    return _stack_structures([f(tree.map_structure(lambda x, i=i: get_item(x, i), values)) for i in range(steps)])


@op
def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """`function` of each slice of `elements` along axis 0; of several tensors it gets a list of their slices.

    >>> import numpy as np
    >>> vectorized_map(lambda x: x + 1, np.array([1, 2])).numpy().tolist()
    [2, 3]
    """
    return map(function, elements)
