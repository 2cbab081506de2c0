"""Operations that need known values: their results, and what they say when a computation is being traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from oxiconv import GradientTape, GraphError, KerasTensor, ShapeError, ops
from oxiconv.trace import Trace

RNG = np.random.default_rng(3)
INTEGERS = RNG.integers(0, 5, (3, 4)).astype(np.int32)
MATRIX = RNG.standard_normal((4, 3)).astype(np.float32)
SYMMETRIC = MATRIX @ MATRIX.T

# Each on an argument that it takes.
CALLS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "nonzero": (ops.nonzero, INTEGERS),
    "where": (ops.where, INTEGERS),
    "unique": (ops.unique, INTEGERS),
    "bincount": (ops.bincount, INTEGERS),
    "mask": (lambda x: ops.get_item(x, x > 2), INTEGERS),
    "arange": (lambda n: ops.arange(n[0, 0]), INTEGERS),
    "quantile": (lambda q: ops.quantile(np.ones(3, np.float32), q[0, 0]), MATRIX),
    "eigh": (ops.eigh, SYMMETRIC),
    "svd": (ops.svd, MATRIX),
    "lstsq": (lambda a: ops.lstsq(a, np.ones(4, np.float32)), MATRIX),
    "pinv": (ops.pinv, MATRIX),
    "matrix_rank": (ops.matrix_rank, MATRIX),
}


@pytest.mark.parametrize("name", CALLS)
def test_traced_values_are_refused_with_a_reason(name: str) -> None:
    call, example = CALLS[name]
    with Trace() as trace:
        x = trace.graph.input(example.shape, example.dtype.name, batched=False)
        with pytest.raises(GraphError, match=r"must be known.*run_eagerly=True"):
            call(x)


@pytest.mark.parametrize("name", ["nonzero", "unique", "bincount", "eigh", "svd"])
def test_symbolic_values_are_refused_with_a_reason(name: str) -> None:
    call, example = CALLS[name]
    with pytest.raises(GraphError, match="must be known"):
        call(KerasTensor(example.shape, example.dtype.name))


@pytest.mark.parametrize("name", ["eigh", "svd", "lstsq", "pinv", "matrix_rank"])
def test_no_gradient_is_missed_under_a_tape(name: str) -> None:
    call, example = CALLS[name]
    with GradientTape() as tape:
        with pytest.raises(GraphError, match=f"{name}: its gradient is not available"):
            call(example)
        with tape.stop_recording():
            call(example)


def test_nonzero() -> None:
    for got, wanted in zip(ops.nonzero(INTEGERS), INTEGERS.nonzero(), strict=True):
        assert got.dtype == "int32"
        np.testing.assert_array_equal(got.numpy(), wanted)
    (places,) = ops.where([0.0, 2.0, 0.0, 3.0])
    np.testing.assert_array_equal(places.numpy(), [1, 3])
    with pytest.raises(ValueError, match="both x1 and x2"):
        ops.where([True], [1.0])


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_unique(axis: int | None) -> None:
    x = np.array([[1, 0, 1], [0, 2, 0], [1, 0, 1]], np.int32)
    results = ops.unique(x, return_index=True, return_inverse=True, return_counts=True, axis=axis)
    wanted: Any = np.unique(x, return_index=True, return_inverse=True, return_counts=True, axis=axis)
    for got, expected in zip(results, wanted, strict=True):
        np.testing.assert_array_equal(
            got.numpy(), np.ravel(expected) if expected.ndim == 1 else expected.reshape(got.shape)
        )
    np.testing.assert_array_equal(ops.unique(x, axis=axis).numpy(), wanted[0])


def test_unique_in_order_of_occurrence_and_of_fixed_size() -> None:
    x = [3, 1, 3, 2, 1]
    found, inverse, counts = ops.unique(x, sorted=False, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(found.numpy(), [3, 1, 2])
    np.testing.assert_array_equal(found.numpy()[inverse.numpy()], x)
    np.testing.assert_array_equal(counts.numpy(), [2, 2, 1])
    found, counts = ops.unique(x, return_counts=True, size=5, fill_value=9)
    np.testing.assert_array_equal(found.numpy(), [1, 2, 3, 9, 9])
    np.testing.assert_array_equal(counts.numpy(), [2, 1, 2, 0, 0])
    np.testing.assert_array_equal(ops.unique(x, size=2).numpy(), [1, 2])
    with pytest.raises(ValueError, match="expected an axis"):
        ops.unique(x, axis=1)


def test_bincount() -> None:
    x = np.array([1, 4, 1, 0], np.int32)
    weights = np.array([0.5, 1.0, 2.0, -1.0], np.float32)
    np.testing.assert_array_equal(ops.bincount(x, minlength=7).numpy(), np.bincount(x, minlength=7))
    rows = ops.bincount(np.stack([x, x[::-1] // 2])).numpy()
    np.testing.assert_array_equal(rows, [[1, 2, 0, 0, 1], [3, 0, 1, 0, 0]])
    with GradientTape() as tape:
        w = ops.convert_to_tensor(weights)
        tape.watch(w)
        counts = ops.bincount(x, weights=w)
        total = ops.sum(counts * np.array([1.0, 2.0, 3.0, 4.0, 5.0], np.float32))
    np.testing.assert_array_equal(counts.numpy(), np.bincount(x, weights))
    np.testing.assert_array_equal(tape.gradient(total, w).numpy(), [2.0, 5.0, 2.0, 1.0])
    for bad in ([-1, 0], [[[0]]], [0.5]):
        with pytest.raises(ValueError, match="whole numbers from 0"):
            ops.bincount(bad)
    with pytest.raises(ValueError, match="weights of shape"):
        ops.bincount(x, weights=[1.0])


def test_spectra() -> None:
    # Computed in float64 and rounded once; vectors are defined up to sign, so products are compared.
    values, vectors = (part.numpy().astype(np.float64) for part in ops.eigh(SYMMETRIC))
    np.testing.assert_allclose(values, np.linalg.eigvalsh(SYMMETRIC.astype(np.float64)), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(vectors * values @ vectors.T, SYMMETRIC, atol=1e-5)
    for full in (False, True):
        u, s, v = (part.numpy() for part in ops.svd(MATRIX, full_matrices=full))
        assert u.shape == ((4, 4) if full else (4, 3))
        np.testing.assert_allclose(u[:, :3] * s @ v, MATRIX, atol=1e-5)
    np.testing.assert_allclose(ops.svd(MATRIX, compute_uv=False).numpy(), s, rtol=1e-6)
    np.testing.assert_allclose(
        ops.pinv(MATRIX).numpy(), np.linalg.pinv(MATRIX.astype(np.float64)), rtol=1e-5, atol=1e-6
    )
    right = np.arange(4, dtype=np.float32)
    wanted = np.linalg.lstsq(MATRIX.astype(np.float64), right, rcond=None)[0]
    np.testing.assert_allclose(ops.lstsq(MATRIX, right).numpy(), wanted, rtol=1e-5, atol=1e-6)
    assert int(ops.matrix_rank(SYMMETRIC)) == 3
    assert ops.matrix_rank(np.stack([SYMMETRIC, 0 * SYMMETRIC])).numpy().tolist() == [3, 0]
    with pytest.raises(ValueError, match="square matrices"):
        ops.eigh(MATRIX)


@pytest.mark.parametrize(
    ("subscripts", "shapes", "message"),
    [
        ("ij,jk->ik", [(2, 1), (3, 4)], "expected one size of 'j', got 1 and 3"),
        ("ij,ij->ij", [(2, 3), (2, 1)], "expected one size of 'j', got 3 and 1"),
        ("i,i->", [(1,), (3,)], "expected one size of 'i', got 1 and 3"),
        ("bij,bjk->bik", [(1, 2, 3), (4, 3, 5)], "expected one size of 'b', got 1 and 4"),
        ("i,j,i->j", [(1,), (2,), (3,)], "expected one size of 'i', got 1 and 3"),
        ("...i,...i->...i", [(2, 1), (2, 3)], "expected one size of 'i', got 1 and 3"),
        ("ii->i", [(1, 3)], "expected one size of 'i', got 1 and 3"),
    ],
)
def test_letters_of_einsum_do_not_broadcast(subscripts: str, shapes: list[Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        ops.einsum(subscripts, *map(ops.ones, shapes))


def test_dots_of_einsum_broadcast() -> None:
    a, b = RNG.random((1, 4, 2, 3)), RNG.random((5, 1, 3, 2))
    found = ops.einsum("...ij,...jk->...ik", a, b)
    # Sums of three products of numbers below 1.
    np.testing.assert_allclose(found, np.einsum("...ij,...jk->...ik", a, b), atol=3 * 2**-22)


def test_a_step_of_zero() -> None:
    for arguments in ((0, 3, 0), (0.0, 3.0, 0.0)):
        with pytest.raises(ValueError, match=r"arange: expected a step other than 0, got arange\(0"):
            ops.arange(*arguments)


def test_singular_matrices_are_an_error() -> None:
    singular = np.ones((2, 2), np.float32)
    for call in (ops.inv, lambda x: ops.solve(x, [1.0, 2.0]), lambda x: ops.cholesky(-x)):
        with pytest.raises(ValueError, match="expected"):
            call(singular)
    assert float(ops.det(singular)) == 0.0
    assert [float(part) for part in ops.slogdet(singular)] == [0.0, -np.inf]


def test_real_labels_are_whole_numbers_to_one_hot() -> None:
    # As `fit` gives them, and as Keras takes them.
    np.testing.assert_array_equal(ops.one_hot(np.array([2.0, 0.0], np.float32), 3).numpy(), [[0, 0, 1], [1, 0, 0]])
