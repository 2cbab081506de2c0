"""The compiled core: tensors and their memory, element types, errors, files."""

import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oxiconv import _core

F32 = NDArray[np.float32]
RNG = np.random.default_rng(7)


def f32(*dims: int) -> F32:
    return RNG.standard_normal(dims).astype(np.float32)


def tensor(values: Any, dtype: Any = np.float32) -> _core.Tensor:
    return _core.tensor(np.array(values, dtype))


# Tensors


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "bool"])
@pytest.mark.parametrize("dims", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_values_come_back(dtype: str, dims: tuple[int, ...]) -> None:
    array = RNG.integers(0, 2, dims).astype(dtype)
    t = _core.tensor(array)
    assert (t.shape, t.dtype, t.ndim, t.size, t.traced) == (dims, dtype, len(dims), array.size, False)
    np.testing.assert_array_equal(t.numpy(), array)
    assert t.numpy().dtype == array.dtype


@pytest.mark.parametrize("array", [np.arange(12, dtype="f4").reshape(3, 4).T, np.arange(9, dtype="i4")[::2]])
def test_arrays_of_any_layout_are_read(array: NDArray[Any]) -> None:
    np.testing.assert_array_equal(_core.tensor(array).numpy(), array)
    np.testing.assert_array_equal(_core.tensor(array, copy=False).numpy(), array)


def test_misaligned_arrays_are_read() -> None:
    array = np.frombuffer(b"\0" + np.arange(5, dtype="f4").tobytes(), "f4", offset=1)
    assert not array.flags.aligned
    np.testing.assert_array_equal(_core.tensor(array, copy=False).numpy(), np.arange(5, dtype="f4"))


def test_a_tensor_is_a_copy_unless_asked_to_share() -> None:
    array = f32(5)
    before = array.copy()
    copied, shared = _core.tensor(array), _core.tensor(array, copy=False)
    array += 1
    np.testing.assert_array_equal(copied.numpy(), before)
    np.testing.assert_array_equal(shared.numpy(), array)
    assert np.shares_memory(shared.numpy(), array)


def test_shared_memory_outlives_its_array() -> None:
    array = np.full(1 << 16, 3, np.float32)
    gone = weakref.ref(array)
    shared = _core.tensor(array, copy=False)
    view = shared.numpy()
    del array, shared
    gc.collect()
    assert gone() is not None
    assert view.sum() == 3 * view.size
    del view
    gc.collect()
    assert gone() is None


def test_views_are_read_only_free_of_copies_and_keep_the_memory() -> None:
    t = tensor(f32(1 << 16))
    view = t.numpy()
    expected = view.copy()
    assert np.shares_memory(view, t.numpy())
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        view.flags.writeable = True
    del t
    for _ in range(8):  # would take the memory over, were it free
        _core.unary("neg", tensor(f32(1 << 16)))
    np.testing.assert_array_equal(view, expected)


def test_array_protocol() -> None:
    t = tensor([1.5, -2])
    assert np.shares_memory(np.asarray(t), t.numpy())
    assert not np.shares_memory(np.array(t), t.numpy())
    assert np.array(t).flags.writeable
    assert np.asarray(t, "f8").dtype == np.float64
    np.testing.assert_array_equal(np.asarray(t, "i4"), [1, -2])
    with pytest.raises(ValueError, match="copy is needed"):
        t.__array__("f8", copy=False)


def test_dlpack() -> None:
    t = tensor(f32(3, 4))
    assert t.__dlpack_device__() == (1, 0)
    array = np.from_dlpack(t)
    np.testing.assert_array_equal(array, t.numpy())
    if np.shares_memory(array, t.numpy()):
        assert not array.flags.writeable
    # A consumer that cannot know of read-only memory gets a copy, or is refused when it forbids one.
    assert "dltensor" in repr(t.__dlpack__())
    if np.lib.NumpyVersion(np.__version__) >= "2.1.0":
        assert np.shares_memory(array, t.numpy())
        with pytest.raises(BufferError):
            t.__dlpack__(copy=False)


def test_attributes_can_be_added_to_the_class() -> None:
    name = "__matmul__"
    assert not hasattr(_core.Tensor, name) or callable(getattr(_core.Tensor, name))
    former = getattr(_core.Tensor, name, None)
    try:
        setattr(_core.Tensor, name, lambda a, b: (a, b))
        a, b = tensor(1), tensor(2)
        operate: Callable[[Any, Any], Any] = lambda x, y: x @ y  # noqa: E731
        assert operate(a, b) == (a, b)
    finally:
        if former is None:
            delattr(_core.Tensor, name)
        else:
            setattr(_core.Tensor, name, former)


# Elementwise: broadcasting and element types


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((2, 3), (2, 3)),
        ((2, 3), (3,)),
        ((2, 1), (1, 3)),
        ((), (2, 3)),
        ((4, 1, 3), (2, 1)),
        ((0, 3), (1, 3)),
        ((1,), (0,)),
    ],
)
def test_broadcasting(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    x, y = f32(*a), f32(*b)
    # One rounding on both sides: equal.
    np.testing.assert_array_equal(_core.binary("sub", tensor(x), tensor(y)).numpy(), x - y)
    chosen = _core.select(tensor(x > 0, bool), tensor(x), tensor(y)).numpy()
    np.testing.assert_array_equal(chosen, np.where(x > 0, x, y))


@pytest.mark.parametrize(
    ("name", "a", "b", "dtype"),
    [
        ("add", "bool", "uint8", "uint8"),
        ("add", "uint8", "int32", "int32"),
        ("add", "int32", "float32", "float32"),
        ("add", "bool", "bool", "bool"),
        ("sub", "bool", "bool", "int32"),
        ("div", "int32", "int32", "float32"),
        ("atan2", "uint8", "uint8", "float32"),
        ("lt", "int32", "uint8", "bool"),
        ("and", "float32", "bool", "bool"),
        ("max", "uint8", "uint8", "uint8"),
        ("add", "int32", 2, "int32"),
        ("add", "int32", 2.0, "float32"),
        ("add", "uint8", True, "uint8"),
        ("add", "bool", 2, "int32"),
        ("add", "float32", 2, "float32"),
        ("mul", 2, "uint8", "uint8"),
        ("gt", "int32", 0.5, "bool"),
        ("pow", "int32", 0.5, "float32"),
    ],
)
def test_promotion(name: str, a: Any, b: Any, dtype: str) -> None:
    operands = [_core.tensor(np.array([1, 0, 1], o)) if isinstance(o, str) else o for o in (a, b)]
    assert _core.binary(name, *operands).dtype == dtype


def test_integers_are_exact_and_floats_compare_as_floats() -> None:
    big = np.array([2**24 + 1, -7, 7, 2**31 - 1], np.int32)
    t = _core.tensor(big)
    np.testing.assert_array_equal(_core.binary("add", t, -1).numpy(), big - 1)
    np.testing.assert_array_equal(_core.binary("floordiv", t, 2).numpy(), big // 2)
    np.testing.assert_array_equal(_core.binary("mod", t, -3).numpy(), big % -3)
    np.testing.assert_array_equal(_core.binary("lt", t, 6.5).numpy(), big < 6.5)
    np.testing.assert_array_equal(_core.select(tensor([1, 0, 1, 0]), t, 5).numpy(), [big[0], 5, big[2], 5])
    np.testing.assert_array_equal(_core.binary("div", t, 2).numpy(), (big / 2).astype("f4"))


def test_floor_division_and_remainder_are_pythons() -> None:
    # Multiples of 1/8, so that quotient and remainder are exact; and 1 // 0.1, which is not floor(1 / 0.1).
    x = np.append(RNG.integers(-80, 80, 50) / 8, 1).astype(np.float32)
    y = np.append(RNG.integers(1, 40, 50) / 8 * RNG.choice([-1, 1], 50), 0.1).astype(np.float32)
    np.testing.assert_array_equal(_core.binary("floordiv", tensor(x), tensor(y)).numpy(), x // y)
    np.testing.assert_allclose(_core.binary("mod", tensor(x), tensor(y)).numpy(), x % y, rtol=0, atol=1e-8)


def test_sums_of_truth_values_count() -> None:
    t = tensor(np.ones((300, 3)), np.bool_)
    np.testing.assert_array_equal(_core.sum(t, [0]).numpy(), [300, 300, 300])
    assert _core.sum(t, [1, 0]).numpy() == 900


def test_numpy_scalars_are_numbers() -> None:
    def number(x: Any) -> Any:  # the stub need not speak of them
        return x

    assert _core.binary("add", tensor([1]), number(np.float32(2))).numpy() == 3
    assert _core.binary("add", tensor([1], np.int32), number(np.int64(2))).dtype == "int32"
    assert _core.binary("and", tensor([1]), number(np.bool_(True))).numpy()


def test_reshaping_shares_the_memory() -> None:
    t = tensor(f32(6))
    assert np.shares_memory(_core.reshape(t, [2, 3]).numpy(), t.numpy())
    assert np.shares_memory(_core.detach(t).numpy(), t.numpy())


# Errors


@pytest.mark.parametrize(
    ("call", "error", "builtin", "words"),
    [
        (lambda: _core.binary("add", tensor([1, 2]), tensor([1, 2, 3])), "ShapeError", ValueError, "add.*[2].*[3]"),
        (lambda: _core.matmul(tensor(f32(2, 3)), tensor(f32(2, 3))), "ShapeError", ValueError, "matmul"),
        (lambda: _core.reshape(tensor([1, 2]), [3]), "ShapeError", ValueError, "reshape"),
        (lambda: _core.reshape(tensor([1, 2]), [-1]), "ShapeError", ValueError, r"\[-1\]"),
        (lambda: _core.broadcast_to(tensor([1, 2]), [3]), "ShapeError", ValueError, "broadcast_to"),
        (lambda: _core.broadcast_to(tensor([1]), [2**40, 2**40]), "ShapeError", ValueError, "addressed"),
        (lambda: _core.window_sum(tensor([1]), [2], [2], [0], [0]), "ShapeError", ValueError, "window_sum.*spatial"),
        (lambda: _core.sum(tensor([1]), [1]), "ShapeError", ValueError, "sum.*axes"),
        (lambda: _core.tensor(np.zeros(2)), "DTypeError", TypeError, "tensor.*float32.*float64"),
        (lambda: _core.tensor(np.zeros(2, ">f4")), "DTypeError", TypeError, "tensor.*>f4"),
        (lambda: _core.tensor([1.0]), "DTypeError", TypeError, "NumPy array.*list"),  # type: ignore[arg-type]
        (lambda: _core.binary("add", tensor([1]), "x"), "DTypeError", TypeError, "add.*str"),  # type: ignore[arg-type]
        (lambda: _core.cast(tensor([1]), "float64"), "DTypeError", TypeError, "cast.*float64"),  # type: ignore[arg-type]
        (lambda: _core.gather(tensor([1]), tensor([0]), 0), "DTypeError", TypeError, "gather.*int32"),
        (lambda: _core.unary("relu6", tensor([1])), "IndexValueError", ValueError, "relu6"),
        (lambda: _core.binary("add", 1, 2), "IndexValueError", ValueError, "add.*tensor"),
        (lambda: _core.binary("add", tensor([1], np.uint8), 300), "IndexValueError", ValueError, "add.*255.*300"),
        (lambda: _core.gather(tensor([1]), tensor([1], np.int32), 0), "IndexValueError", ValueError, "gather"),
        (lambda: _core.Cell(tensor([1])).set(tensor([1, 2])), "ShapeError", ValueError, "cell"),
        (lambda: _core.Graph().input([2], "float32").numpy(), "GraphError", RuntimeError, "numpy.*traced"),
        (lambda: _core.Tape().stop(), "GraphError", RuntimeError, "tape"),
        (lambda: _core.set_num_threads(0), "IndexValueError", ValueError, "set_num_threads"),
        (lambda: _core.Graph().input([], "float32"), "ShapeError", ValueError, "input.*batch"),
    ],
)
def test_errors(call: Callable[[], object], error: str, builtin: type[Exception], words: str) -> None:
    with pytest.raises(builtin, match=words) as raised:
        call()
    assert type(raised.value) is getattr(_core, error)
    assert isinstance(raised.value, _core.OxiconvError)


def test_values_of_two_graphs_do_not_mix() -> None:
    a, b = (_core.Graph().input([2], "float32") for _ in range(2))
    with pytest.raises(_core.GraphError, match="two graphs"):
        _core.binary("add", a, b)
    graph = _core.Graph()
    x = graph.input([2], "float32")
    with pytest.raises(_core.GraphError, match="another graph"):
        graph.grad(x, [a])
    with pytest.raises(_core.GraphError, match="not a value of this graph"):
        graph.grad(x, [tensor([1])])
    with pytest.raises(_core.GraphError, match="another graph"):
        graph.compile([a], [])


def test_memory_that_cannot_be_had() -> None:
    with pytest.raises(MemoryError, match="bytes"):
        _core.broadcast_to(tensor([1]), [2**58])


# Files


def test_safetensors_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    arrays = {
        "a/kernel": f32(3, 4),
        "b": np.array(7, "i4"),
        "c": np.arange(5, dtype="u1"),
        "d": np.array([[True], [False]]),
        "none": np.zeros((0, 3), "f4"),
        "t": f32(4, 3).T,
    }
    _core.save_safetensors(str(path), arrays, {"format": "x", "ключ": "ü"})
    loaded, metadata = _core.load_safetensors(str(path))
    assert metadata == {"format": "x", "ключ": "ü"}
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype
        assert loaded[name].flags.writeable
    assert os.listdir(tmp_path) == ["w.safetensors"]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    _core.save_safetensors(str(path), {"a": f32(2)}, {})
    before = path.read_bytes()
    with pytest.raises(_core.DTypeError, match=r"save \"b\".*float64"):
        _core.save_safetensors(str(path), {"a": f32(2), "b": np.zeros(2)}, {})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["w.safetensors"]
    with pytest.raises(FileNotFoundError):
        _core.save_safetensors(str(tmp_path / "no" / "w.safetensors"), {}, {})


@pytest.mark.parametrize("content", [b"", b"1234567", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0{]", b"\xff\0\0\0\0\0\0\0{}"])
def test_files_that_are_not_safetensors(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(_core.FileFormatError, match="bad: not a safetensors file"):
        _core.load_safetensors(str(path))


@pytest.mark.parametrize(
    ("header", "size", "words"),
    [
        ('{"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}', 8, '"w".*F32.*F64'),
        ('{"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}', 8, '"w".*F64'),
        ('{"w":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}', 1, '"w".*truth'),
        ('{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}', 8, "not a safetensors file"),
        ('{"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}', 8, "not a safetensors file"),
    ],
)
def test_bad_entries_of_a_file(header: str, size: int, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + b"\x07" * size)
    with pytest.raises(_core.FileFormatError, match=words):
        _core.load_safetensors(str(path))
