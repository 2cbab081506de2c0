"""Control flow, reductions over segments, and connectionist temporal classification."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reference.case import Array, Library, case


@case
def choices(k: Library) -> Mapping[str, Any]:
    ops = k.keras.ops
    x = k.normal((3,))
    found: dict[str, Any] = {}
    for name, pred in (("true", True), ("false", False)):
        branches = (lambda v: v * v, lambda v: ops.exp(v))
        run = lambda v, p=pred, b=branches: ops.cond(k.tensor(p), lambda: b[0](v), lambda: b[1](v))  # noqa: E731
        found[f"cond_{name}"] = k.gradients(run, x)
    for index in (-1, 0, 1, 2, 7):
        steps = [lambda v: v, lambda v: v * v, lambda v: v * v * v]
        found[f"switch{index}"] = k.gradients(lambda v, i=index, s=steps: ops.switch(i, s, v), x)
    return found


@case
def loops(k: Library) -> Mapping[str, Any]:
    ops = k.keras.ops
    x = k.normal((3,), scale=0.3)
    i, doubled = ops.while_loop(lambda i, v: i < 5, lambda i, v: (i + 1, v * 1.5), (0, k.tensor(x)))
    _, few = ops.while_loop(lambda i, v: i < 5, lambda i, v: (i + 1, v * 1.5), (0, k.tensor(x)), maximum_iterations=2)
    return {
        "while": k.array(doubled),
        "steps": k.array(ops.cast(i, "int32")),
        "few": k.array(few),
        "fori": k.gradients(lambda v: ops.fori_loop(0, 4, lambda i, c: ops.tanh(c) + 0.5, v), x),
    }


@case
def scans(k: Library) -> Mapping[str, Any]:
    ops = k.keras.ops
    c, x = k.normal((2,), scale=0.3), k.normal((4, 2), seed=1)

    def step(carry: Any, part: Any) -> Any:
        after = ops.tanh(carry * part) + part
        return after, after * 2.0

    def product(a: Any, b: Any) -> Any:
        return a * b

    def scanned(x: Any) -> Any:
        return ops.associative_scan(product, x)

    return {
        "scan": k.gradients(lambda c, x: ops.scan(step, c, x), c, x),
        "reverse": k.gradients(lambda c, x: ops.scan(step, c, x, reverse=True), c, x),
        "length": k.gradients(lambda c: ops.scan(lambda a, _: (a * 0.5, a), c, None, length=3), c),
        "associative": {
            n: k.gradients(lambda x: ops.associative_scan(product, x), k.normal((n, 2))) for n in (2, 5, 8)
        },
        "associative_reverse": k.gradients(lambda x: ops.associative_scan(product, x, reverse=True, axis=1), x),
        "map": k.gradients(lambda x: ops.map(lambda v: ops.sum(v * v), x), x),
        "vectorized_map": k.gradients(lambda x: ops.vectorized_map(lambda v: ops.exp(v), x), x),
    }


@case(each=["sum", "max", "min", "prod"])
def segments(k: Library, name: str) -> Mapping[str, Any]:
    reduce = getattr(k.keras.ops, f"segment_{name}")
    ids = np.array([2, 0, 0, 3, 2, 0], np.int32)
    ties = np.array([1.0, 2.0, 2.0, -3.0, 1.0, 2.0], np.float32)
    whole = np.array([3, 1, 5, 2, 2, 7], np.int32)
    return {
        "rows": k.gradients(lambda x: reduce(x, k.tensor(ids), 4), k.normal((6, 2))),
        "ties": k.gradients(lambda x: reduce(x, k.tensor(ids), 4), ties),
        "integers": k.array(reduce(k.tensor(whole), k.tensor(ids), num_segments=4)),
        "sorted": k.array(reduce(k.tensor(whole), k.tensor(np.sort(ids // 2)), sorted=True)),
    }


@case
def ctc(k: Library) -> Mapping[str, Any]:
    labels = np.array([[1, 2, 2], [3, 1, 0], [2, 2, 2], [1, 0, 0]], np.int32)
    logits = k.normal((4, 7, 4), scale=2.0)
    lengths, times = np.array([3, 2, 3, 0], np.int32), np.array([7, 4, 5, 3], np.int32)
    loss = k.keras.ops.ctc_loss
    last = np.array([[1, 2, 2], [0, 1, 0], [2, 2, 2], [1, 0, 0]], np.int32)
    y = k.tensor(labels)
    return {
        "loss": k.gradients(lambda x: loss(y, x, k.tensor(lengths), k.tensor(times)), logits),
        "blank": k.gradients(lambda x: loss(k.tensor(last), x, k.tensor(lengths), k.tensor(times), 3), logits),
        "class": k.gradients(lambda x: k.keras.losses.CTC()(y, x), logits),
        "sum": k.array(k.keras.losses.CTC(reduction="sum")(y, k.tensor(logits))),
        "function": k.array(k.keras.losses.ctc(y, k.tensor(logits))),
    }


@case
def impossible(k: Library) -> Mapping[str, Array]:
    """Too few outputs for a target, and none at all. TensorFlow's gradients are then not those of its losses."""
    labels = k.tensor(np.array([[1, 1, 2], [1, 2, 1], [1, 1, 1], [2, 1, 2]], np.int32))
    lengths, times = (k.tensor(np.array(v, np.int32)) for v in ([3, 3, 0, 2], [3, 2, 0, 0]))
    return {"loss": k.array(k.keras.ops.ctc_loss(labels, k.tensor(k.normal((4, 3, 3))), lengths, times))}


@case
def decoding(k: Library) -> Mapping[str, Array]:
    logits = k.normal((3, 6, 4), scale=3.0)
    logits[0, 1] = logits[0, 0]
    lengths = np.array([6, 4, 5], np.int32)
    decode = k.keras.ops.ctc_decode
    ways: dict[str, dict[str, Any]] = {
        "greedy": {},
        "repeated": {"merge_repeated": False},
        "blank": {"mask_index": 2},
        "beam": {"strategy": "beam_search", "top_paths": 3},
        "narrow": {"strategy": "beam_search", "beam_width": 4, "top_paths": 2},
        "beam_blank": {"strategy": "beam_search", "beam_width": 20, "mask_index": 3},
    }
    found = {}
    for name, arguments in ways.items():
        paths, scores = decode(k.tensor(logits), k.tensor(lengths), **arguments)
        found[f"{name}_paths"] = k.array(paths)
        if name != "narrow":  # which improbable beginnings a narrow search drops, and so what they add, is its own
            found[f"{name}_scores"] = k.array(scores)
    return found
