"""float16, bfloat16 and int64: what operations give, exactly, and that gradients keep the type of their source."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oxiconv
from oxiconv import ops
from oxiconv.tensor import DTypeError, Tensor

HALVES = ["float16", "bfloat16"]
# Significant bits, the hidden one included.
BITS = {"float16": 11, "bfloat16": 8}


def rounded(x: np.ndarray, dtype: str) -> np.ndarray:
    """float32 values rounded to nearest even of a half's significant bits, within its normal range."""
    drop = 24 - BITS[dtype]
    bits = x.astype(np.float32).view(np.uint32)
    half = np.uint32((1 << (drop - 1)) - 1) + ((bits >> np.uint32(drop)) & np.uint32(1))
    return ((bits + half) & ~np.uint32((1 << drop) - 1)).view(np.float32)


def values(x: Tensor) -> np.ndarray:
    return x.numpy().astype(np.float32)


@pytest.mark.parametrize("dtype", HALVES)
def test_each_operation_computes_in_float32_and_rounds_once(dtype: str) -> None:
    draw = np.random.default_rng(1)
    a, b = (rounded(draw.uniform(0.5, 2.0, (40, 7)).astype(np.float32), dtype) for _ in range(2))
    x, y = ops.convert_to_tensor(a, dtype), ops.convert_to_tensor(b, dtype)
    assert (x.dtype, values(x).tolist()) == (dtype, a.tolist())
    for ours, exact in [
        (x + y, a + b),
        (x * y, a * b),
        (x / y, a / b),
        (ops.sqrt(x), np.sqrt(a)),
        (x - 0.75, a - 0.75),
    ]:
        assert ours.dtype == dtype
        np.testing.assert_array_equal(values(ours), rounded(exact, dtype))
    # Sums add in float32: the same bits as the float32 operation, rounded.
    np.testing.assert_array_equal(
        values(ops.sum(x, axis=0)), rounded(values(ops.sum(ops.cast(x, "float32"), axis=0)), dtype)
    )
    product = ops.matmul(x, ops.transpose(y))
    exact = values(ops.matmul(ops.cast(x, "float32"), ops.transpose(ops.cast(y, "float32"))))
    assert product.dtype == dtype
    np.testing.assert_array_equal(values(product), rounded(exact, dtype))


@pytest.mark.parametrize("dtype", HALVES)
def test_gradients_have_the_type_of_their_source(dtype: str) -> None:
    x = ops.convert_to_tensor([[0.5, -1.0], [2.0, 0.25]], dtype)
    w = oxiconv.Variable([[1.0, 2.0], [3.0, -1.0]])
    with oxiconv.GradientTape() as tape:
        tape.watch(x)
        y = ops.sum(ops.tanh(ops.matmul(x, ops.cast(w, dtype))))
    for_x, for_w = tape.gradient(y, [x, w])
    assert (y.dtype, for_x.dtype, for_w.dtype) == (dtype, dtype, "float32")
    with oxiconv.GradientTape() as tape:
        z = ops.sum(ops.tanh(ops.matmul(ops.cast(x, "float32"), w)))
    exact = tape.gradient(z, w).numpy()
    # A rounded tanh y has the slope 1 - y² wrong by up to 2 half units, and the product and sum round once each; the
    # absolute values of a column of x add up to 2.5.
    np.testing.assert_allclose(values(for_w), exact, rtol=0, atol=2.5 * 4 * 2.0 ** -BITS[dtype])


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20), st.integers(1, 2**40))
def test_int64_is_exact(numbers: list[int], by: int) -> None:
    array = np.array(numbers, np.int64)
    x = ops.convert_to_tensor(array)
    assert x.dtype == "int64"
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal((x + x).numpy(), array + array)
        np.testing.assert_array_equal((x * by).numpy(), array * by)
        np.testing.assert_array_equal((x // by).numpy(), array // by)
        np.testing.assert_array_equal(ops.sum(x).numpy(), array.sum())
    np.testing.assert_array_equal(ops.max(x).numpy(), array.max())
    np.testing.assert_array_equal(ops.argsort(x).numpy(), np.argsort(array, kind="stable"))
    np.testing.assert_array_equal((x < by).numpy(), array < by)


def test_promotion() -> None:
    def of(a: str, b: str) -> str:
        return str((ops.ones(2, a) + ops.ones(2, b)).dtype)

    assert of("int32", "int64") == of("int64", "uint8") == "int64"
    assert of("float16", "int64") == of("float16", "bool") == "float16"
    assert of("bfloat16", "float32") == of("float16", "bfloat16") == "float32"
    assert str((ops.ones(2, "bfloat16") * 2.5).dtype) == "bfloat16"


def test_what_cannot_be_converted() -> None:
    with pytest.raises(DTypeError, match=r"float32, got .complex128"):
        ops.cast(ops.ones(2), "complex128")
    big = np.array([2**63], np.uint64)
    with pytest.raises(oxiconv.tensor.IndexValueError, match="int64"):
        ops.convert_to_tensor(big)
    np.testing.assert_array_equal(
        ops.cast(ops.convert_to_tensor(np.array([2**40 + 1])), "int32").numpy(), [1]
    )  # integers wrap, as NumPy's do
