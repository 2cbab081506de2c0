"""Choices and loops on traced values: variables, structures, and what cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import ops, random
from oxiconv.tensor import GraphError, ShapeError
from oxiconv.trace import Trace


def traced(function: Callable[..., Any], *arrays: Any) -> Any:
    """What `function` gives for arrays, compiled, and its assignments done."""
    arrays = tuple(np.asarray(a) for a in arrays)
    with Trace() as trace:
        outputs = function(*[trace.graph.input(a.shape, a.dtype.name, batched=False) for a in arrays])
        step = trace.compile(keras.tree.flatten(outputs))
    return [y.numpy() for y in step.run(arrays)]


@pytest.mark.parametrize("pred", [True, False])
def test_a_traced_cond_assigns_what_the_branch_taken_does(pred: bool) -> None:
    both, one, other = (keras.Variable(1.0, trainable=False) for _ in range(3))

    def first() -> Any:
        both.assign(2.0)
        one.assign_add(both * 10.0)
        return ops.stack([both.value, one.value])

    def second() -> Any:
        both.assign(3.0)
        other.assign_sub(both)
        return ops.stack([both.value, other.value])

    def run(p: Any) -> Any:
        return ops.cond(p, first, second)

    (found,) = traced(run, np.bool_(pred))
    assert found.tolist() == ([2.0, 21.0] if pred else [3.0, -2.0])
    held = [float(v.numpy()) for v in (both, one, other)]
    assert held == ([2.0, 21.0, 1.0] if pred else [3.0, 1.0, -2.0])


def test_a_traced_cond_leaves_the_other_branchs_random_numbers_undrawn() -> None:
    generator, twin = random.SeedGenerator(1), random.SeedGenerator(1)

    def run(p: Any) -> Any:
        return ops.cond(p, lambda: random.uniform((2,), seed=generator), lambda: ops.zeros((2,)))

    traced(run, np.bool_(False))
    assert np.array_equal(random.uniform((2,), seed=generator).numpy(), random.uniform((2,), seed=twin).numpy())


def test_branches_of_structures() -> None:
    def run(p: Any, x: Any) -> Any:
        chosen = ops.cond(p, lambda: {"a": x, "b": (x + 1.0, None)}, lambda: {"a": x * 2.0, "b": (x, None)})
        assert chosen["b"][1] is None
        return chosen["a"], chosen["b"][0]

    assert [y.tolist() for y in traced(run, np.bool_(False), np.float32(3.0))] == [6.0, 3.0]
    with pytest.raises(ShapeError, match=r"cond: expected branches of the same shapes, got \(2,\) and \(3,\)"):
        traced(lambda p: ops.cond(p, lambda: ops.zeros((2,)), lambda: ops.zeros((3,))), np.bool_(True))
    with pytest.raises(ValueError, match="cond: expected branches that return the same structure"):
        traced(lambda p: ops.cond(p, lambda: [ops.zeros(())], lambda: {"a": ops.zeros(())}), np.bool_(True))
    with pytest.raises(ShapeError, match="cond: expected pred to be one value"):
        ops.cond(np.array([True, False]), lambda: 1.0, lambda: 0.0)


def test_a_symbolic_cond_is_a_node() -> None:
    x = keras.Input((3,))
    y = ops.cond(ops.sum(x) > 0.0, lambda: x * 2.0, lambda: -x)
    model = keras.Model(x, y)
    assert model(np.ones((1, 3), np.float32)).numpy().tolist() == [[2.0, 2.0, 2.0]]
    assert model(-np.ones((1, 3), np.float32)).numpy().tolist() == [[1.0, 1.0, 1.0]]


def test_a_choice_that_is_known_runs_one_branch() -> None:
    def never() -> Any:
        raise AssertionError("the other branch ran")

    assert float(ops.cond(True, lambda: 1.0, never)) == 1.0
    assert float(ops.switch(np.int32(5), [lambda: never(), lambda: 2.0])) == 2.0
    with pytest.raises(ValueError, match="switch: expected at least one branch"):
        ops.switch(0, [])


def test_loops_whose_length_is_in_a_traced_value() -> None:
    with pytest.raises(GraphError, match="while_loop: the condition depends on a traced value"):
        traced(lambda n: ops.while_loop(lambda i: i < n, lambda i: i + 1, 0), np.int32(3))
    with pytest.raises(GraphError, match="fori_loop: a bound is a traced value"):
        traced(lambda n: ops.fori_loop(0, n, lambda i, v: v + i, 0), np.int32(3))
    limited = [
        traced(lambda n: ops.while_loop(lambda i: i < n, lambda i: i + 1, 0, maximum_iterations=5), np.int32(n))[0]
        for n in (0, 3, 9)
    ]
    assert limited == [0, 3, 5]
    assert traced(lambda x: ops.fori_loop(0, 3, lambda i, v: v + i, x), np.int32(1))[0] == 4


def test_a_loop_with_variables_in_its_body() -> None:
    total = keras.Variable(0.0, trainable=False)

    def body(i: Any, x: Any) -> Any:
        total.assign_add(x)
        return i + 1, x * 2.0

    def run(x: Any) -> Any:
        return ops.while_loop(lambda i, _: i < 3, body, (0, x))[1]

    assert traced(run, np.float32(1.0))[0] == 8.0
    assert float(total.numpy()) == 7.0


def test_scans_say_what_is_wrong() -> None:
    x = np.zeros((3, 2), np.float32)
    with pytest.raises(ShapeError, match=r"scan: expected a carry that stays float32 \(2,\), got float32 \(3, 2\)"):
        ops.scan(lambda c, _: (x, c), ops.zeros((2,)), x)
    with pytest.raises(ShapeError, match="scan: expected one length"):
        ops.scan(lambda c, _: (c, c), ops.zeros((2,)), (x, x[:2]))
    with pytest.raises(ValueError, match=r"scan: expected a step that returns \(carry, y\)"):
        ops.scan(lambda c, _: c, ops.zeros(()), x)
    with pytest.raises(ShapeError, match="at least one step"):
        ops.scan(lambda c, _: (c, c), ops.zeros((2,)), x[:0])
    carry, nothing = ops.scan(lambda c, v: ({"sum": c["sum"] + v["a"]}, None), {"sum": ops.zeros((2,))}, {"a": x + 1.0})
    assert carry["sum"].numpy().tolist() == [3.0, 3.0]
    assert nothing is None


def test_a_step_of_training_with_a_scan_is_compiled() -> None:
    keras.utils.set_random_seed(0)

    class Decay(keras.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.rate = self.add_weight((input_shape[-1],), "ones", name="rate")

        def call(self, inputs: Any) -> Any:
            parts = ops.moveaxis(inputs, 1, 0)
            return ops.scan(lambda c, x: (c * self.rate + x, c), ops.zeros_like(parts[0]), parts)[0]

    model = keras.Sequential([keras.Input((4, 3)), Decay(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).standard_normal((16, 4, 3)).astype(np.float32)
    losses = model.fit(x, x.sum((1, 2), keepdims=True)[:, 0], epochs=8, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


def test_segments_of_traced_indices_need_their_number() -> None:
    x, ids = np.arange(4, dtype=np.float32), np.array([0, 1, 1, 9], np.int32)
    with pytest.raises(GraphError, match="segment_sum: segment_ids are traced"):
        traced(lambda v, i: ops.segment_sum(v, i), x, ids)
    assert traced(lambda v, i: ops.segment_max(v, i, 2), x, ids)[0].tolist() == [0.0, 2.0]
    assert ops.segment_sum(x, ids).shape == (10,)
    assert ops.segment_sum(x, np.array([-1, 0, 0, 5], np.int32), 2).numpy().tolist() == [3.0, 0.0]
    with pytest.raises(ShapeError, match="segment_max: expected segment_ids"):
        ops.segment_max(x, ids[:2])


def test_beam_search_follows_the_data() -> None:
    x = np.zeros((1, 3, 3), np.float32)
    with pytest.raises(GraphError, match="ctc_decode: strategy 'beam_search' follows the data"):
        traced(lambda v: ops.ctc_decode(v, np.array([3]), "beam_search")[1], x)
    with pytest.raises(ValueError, match="expected strategy 'greedy' or 'beam_search'"):
        ops.ctc_decode(x, [3], "widest")
    with pytest.raises(ValueError, match="expected top_paths from 1 to beam_width 2"):
        ops.ctc_decode(x, [3], "beam_search", beam_width=2, top_paths=3)
    paths, _ = traced(lambda v: ops.ctc_decode(v, np.array([3])), np.eye(3, dtype=np.float32)[None, [1, 1, 2]])
    assert paths.tolist() == [[[1, 2, -1]]]
