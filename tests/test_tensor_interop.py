"""Tensors among NumPy's arrays and Python's numbers: operators, protocols, indexing."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from oxiconv import DTypeError, GraphError, KerasTensor, Tensor, Variable, ops
from oxiconv.trace import Trace

A = np.arange(6, dtype=np.float32).reshape(2, 3)
WHOLE = np.array([5, 2, 7], np.int32)

BINARY: list[Callable[[Any, Any], Any]] = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.lt,
    operator.le, operator.gt, operator.ge, operator.eq, operator.ne,
]  # fmt: skip
BITWISE: list[Callable[[Any, Any], Any]] = [operator.and_, operator.or_, operator.xor]


@pytest.mark.parametrize("function", BINARY, ids=lambda f: f.__name__)
@pytest.mark.parametrize("make", [ops.convert_to_tensor, lambda a: Variable(a)], ids=["tensor", "variable"])
def test_arrays_and_tensors_give_tensors_in_either_order(function: Any, make: Any) -> None:
    b = A[::-1] + 1
    for got in (function(make(A), b), function(A, make(b)), function(make(A), make(b))):
        assert isinstance(got, Tensor)
        np.testing.assert_allclose(got.numpy(), function(A, b), rtol=1e-6)
    for number in (2, 2.5, np.float32(1.5)):
        got, reverse = function(make(A), number), function(number, make(b))
        assert isinstance(got, Tensor)
        assert isinstance(reverse, Tensor)
        np.testing.assert_allclose(got.numpy(), function(A, np.float32(number)), rtol=1e-6)
        np.testing.assert_allclose(reverse.numpy(), function(np.float32(number), b), rtol=1e-6)


@pytest.mark.parametrize("function", [*BITWISE, operator.lshift, operator.rshift], ids=lambda f: f.__name__)
def test_bits_of_integers(function: Any) -> None:
    x = ops.convert_to_tensor(WHOLE)
    for a, b in [(x, 3), (3, x), (x, x % 4), (x, WHOLE % 4)]:
        plain = [np.asarray(v) if not isinstance(v, int) else np.int32(v) for v in (a, b)]
        got = function(a, b)
        assert got.dtype == "int32"
        np.testing.assert_array_equal(got.numpy(), function(*plain))
    small = ops.cast(x, "uint8")
    assert function(small, 1).dtype == "uint8"
    with pytest.raises(DTypeError, match=r"truth values or integers, got float32"):
        function(ops.convert_to_tensor(A), x)


def test_bits_of_truths() -> None:
    x = ops.convert_to_tensor(A)
    for function in BITWISE:
        got = function(x > 1, x < 4)
        assert got.dtype == "bool"
        np.testing.assert_array_equal(got.numpy(), function(A > 1, A < 4))
    np.testing.assert_array_equal((~(x > 1)).numpy(), A <= 1)
    np.testing.assert_array_equal((~ops.convert_to_tensor(WHOLE)).numpy(), ~WHOLE)


def test_python_functions() -> None:
    x = ops.convert_to_tensor(A)
    quotient, rest = divmod(x, 4)
    np.testing.assert_array_equal(quotient.numpy(), A // 4)
    np.testing.assert_array_equal(rest.numpy(), A % 4)
    quotient, rest = divmod(7, ops.convert_to_tensor(WHOLE))
    assert (quotient.numpy().tolist(), rest.numpy().tolist()) == ([1, 3, 1], [2, 1, 0])
    np.testing.assert_array_equal(round(x / 4).numpy(), np.round(A / 4))
    np.testing.assert_allclose(round(x / 3, 2).numpy(), np.round(A / 3, 2), rtol=1e-6)
    assert 4.0 in x
    assert 4.5 not in x
    assert ops.convert_to_tensor(5) in ops.convert_to_tensor(WHOLE)
    assert (math.floor(x[1, 2]), math.sqrt(x[1, 1]), complex(x[0, 1])) == (5, 2.0, 1 + 0j)
    assert [int(v) for v in reversed(ops.convert_to_tensor(WHOLE))] == [7, 2, 5]
    assert int(sum(ops.convert_to_tensor(WHOLE))) == 14
    assert {x: 1}[x] == 1
    y = x
    y += 1  # another tensor under the old name
    np.testing.assert_array_equal(x.numpy(), A)
    np.testing.assert_array_equal(y.numpy(), A + 1)


def test_numpy_functions_take_tensors_as_arrays() -> None:
    x = ops.convert_to_tensor(A)
    np.testing.assert_array_equal(np.sqrt(x), np.sqrt(A))
    np.testing.assert_array_equal(np.stack([x, A]), np.stack([A, A]))
    np.testing.assert_array_equal(np.asarray(x, np.float64), A.astype(np.float64))
    a = A.copy()
    a += x
    np.testing.assert_array_equal(a, 2 * A)
    np.testing.assert_array_equal(np.arange(10)[ops.convert_to_tensor(WHOLE)], WHOLE)
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(x)[0, 0] = 1


def test_indices() -> None:
    x = ops.convert_to_tensor(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    a = x.numpy()
    one = ops.convert_to_tensor(1)
    keys: list[tuple[Any, Any]] = [
        (one, 1),
        ((slice(None), one), (slice(None), 1)),
        (slice(None, one), slice(None, 1)),
        ((one, [0, 2], slice(None, None, -2)), (1, [0, 2], slice(None, None, -2))),
        (([1, 0], slice(None), [3, 0]), ([1, 0], slice(None), [3, 0])),
        ((..., [[0], [1]], [0, 3]), (..., [[0], [1]], [0, 3])),
        (x > 5, a > 5),
        ((slice(None), np.array([True, False, True])), (slice(None), np.array([True, False, True]))),
        ((one, None, ..., np.int64(-1)), (1, None, ..., -1)),
        ([], []),
        (np.zeros((2, 0), np.int32), np.zeros((2, 0), np.int32)),
    ]
    for key, plain in keys:
        got, wanted = x[key], a[np.array(plain, int) if isinstance(plain, list) else plain]
        np.testing.assert_array_equal(got.numpy(), wanted)
    for key, message in [
        (([0, 1], [0, 1, 2]), "index tensors that broadcast"),
        (True, "got True"),
        (1.0, "got float"),
        ((x > 5)[0], "mask of size 2"),
    ]:
        with pytest.raises(ValueError, match=message):
            x[key]


def test_traced_indices() -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    with Trace() as trace:
        t = trace.graph.input((3, 4), "float32", batched=False)
        i = trace.graph.input((), "int32", batched=False)
        rows = trace.graph.input((2,), "int32", batched=False)
        step = trace.compile([t[i], t[:, i], t[rows, rows + 1], t[rows, 1:]])
        with pytest.raises(GraphError, match="must be known"):
            t[t > 3]
        with pytest.raises(ValueError, match=r"use ops\.slice"):
            t[i:]
    results = step.run([x, np.array(-2, np.int32), np.array([2, 0], np.int32)])
    for got, wanted in zip(results, [x[-2], x[:, -2], x[[2, 0], [3, 1]], x[[2, 0], 1:]], strict=True):
        np.testing.assert_array_equal(got.numpy(), wanted)


def test_symbolic_operators_keep_unknown_sizes() -> None:
    k: Any = KerasTensor((None, 3))
    row = np.ones(3, np.float32)
    found: list[Any] = [k + row, row - k, (k > 1) ^ (k < 2), round(k), divmod(k, 2)[1], k[:, ::-1], -k, 2**k]
    assert [t.shape for t in found] == [(None, 3)] * len(found)
    assert k[:, None, 0].shape == (None, 1)
    assert k[..., [0, 2]].shape == (None, 2)
