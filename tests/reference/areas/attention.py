"""Attention layers, `EinsumDense`, and the operation below them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reference.case import Library, case

Layers = Any

HEADED: dict[str, Callable[[Layers], Any]] = {
    "plain": lambda m: m.MultiHeadAttention(2, 3),
    "sizes": lambda m: m.MultiHeadAttention(2, 3, value_dim=2, output_shape=5, use_bias=False),
    "shape": lambda m: m.MultiHeadAttention(2, 2, output_shape=(2, 3)),
    "gate": lambda m: m.MultiHeadAttention(2, 3, use_gate=True),
    "window": lambda m: m.MultiHeadAttention(2, 3, sliding_window=2),
    "grouped": lambda m: m.GroupQueryAttention(3, 4, 2),
    "grouped_gate": lambda m: m.GroupQueryAttention(2, 2, 1, use_gate=True, use_bias=False, sliding_window=3),
}
PLAIN: dict[str, Callable[[Layers], Any]] = {
    "dot": lambda m: m.Attention(),
    "scale": lambda m: m.Attention(use_scale=True, dropout=0.5),
    "concat": lambda m: m.Attention(score_mode="concat"),
    "concat_scale": lambda m: m.Attention(score_mode="concat", use_scale=True),
    "additive": lambda m: m.AdditiveAttention(),
    "additive_no_scale": lambda m: m.AdditiveAttention(use_scale=False),
}
EINSUM: dict[str, tuple[Callable[[Layers], Any], tuple[int, ...]]] = {
    "rows": (lambda m: m.EinsumDense("ab,bc->ac", output_shape=4, bias_axes="c"), (2, 3)),
    "sequence": (lambda m: m.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d"), (2, 5, 3)),
    "left": (lambda m: m.EinsumDense("...x,xy->...y", output_shape=4, bias_axes="y", activation="relu"), (2, 3, 2, 3)),
    "right": (lambda m: m.EinsumDense("abc...,cd->abd...", output_shape=(None, 4)), (2, 3, 2, 3)),
    "heads": (lambda m: m.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de"), (2, 4, 3)),
    "bias": (lambda m: m.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="d"), (2, 4, 3)),
}


# The gradient of a key's bias is exactly 0, since a softmax does not change when all its scores do. What both sides
# give is the rounding of a sum of terms near 1, a few times 2^-24, and not small beside the 1e-2 it is compared with.
CANCELLED = 1e-4


@case(each=HEADED, tolerance=CANCELLED)
def headed(k: Library, make: Callable[[Layers], Any]) -> Mapping[str, Any]:
    layer = make(k.keras.layers)
    found = k.layer(layer, k.normal((2, 4, 3)), k.normal((2, 3, 2), seed=1))
    return {**found, "kernel": np.array(np.shape(layer.get_weights()[-1]))}


@case(tolerance=CANCELLED)
def calls(k: Library) -> Mapping[str, Any]:
    m = k.keras.layers
    query, value = k.normal((2, 4, 3)), k.normal((2, 3, 2), seed=1)
    seen = np.array([[[True, False, True]] * 4, [[False, True, True]] * 4])
    return {
        "key": k.layer(m.MultiHeadAttention(2, 3), query, value, k.normal((2, 3, 2), seed=2)),
        "causal": k.layer(m.MultiHeadAttention(2, 3), query, query, use_causal_mask=True),
        "mask": k.layer(m.MultiHeadAttention(2, 3), query, value, attention_mask=k.tensor(seen)),
        "value_mask": k.layer(m.MultiHeadAttention(2, 3), query, value, value_mask=k.tensor(seen[:, 0])),
    }


@case(each={name: HEADED[name] for name in ("plain", "grouped")}, tolerance=CANCELLED)
def scores(k: Library, make: Callable[[Layers], Any]) -> Mapping[str, Any]:
    seen = np.array([[[True, False, True]] * 4, [[False, False, False]] * 4])
    query, value = k.normal((2, 4, 3)), k.normal((2, 3, 2), seed=1)
    found = k.layer(make(k.keras.layers), query, value, attention_mask=k.tensor(seen), return_attention_scores=True)
    return {name: array for name, array in found.items() if name[:6] == "output"}


@case(each=[(1,), (2,), (1, 2), (-2,)], tolerance=CANCELLED)
def axes(k: Library, over: tuple[int, ...]) -> Mapping[str, Any]:
    layer = k.keras.layers.MultiHeadAttention(2, 2, attention_axes=over)
    return k.layer(layer, k.normal((1, 2, 3, 2)), k.normal((1, 2, 3, 3), seed=1), return_attention_scores=True)


# Scales have gradients that cancel likewise, but for what the scores differ by.
@case(each=PLAIN, tolerance=3e-5)
def plain(k: Library, make: Callable[[Layers], Any]) -> Mapping[str, Any]:
    query, value, key = k.normal((2, 3, 2)), k.normal((2, 4, 2), seed=1), k.normal((2, 4, 2), seed=2)
    masks = [np.array([[True, False, True]] * 2), np.array([[True, False, True, False]] * 2)]

    def run(*tensors: Any, **arguments: Any) -> Mapping[str, Any]:
        layer = make(k.keras.layers)
        layer([k.tensor(t) for t in tensors])
        k.fill(layer)
        return k.gradients(lambda *x: layer(list(x), **arguments), *tensors, variables=layer.trainable_variables)

    return {
        "two": run(query, value),
        "three": run(query, value, key, return_attention_scores=True),
        "masks": run(query, value, key, mask=[k.tensor(m) for m in masks]),
        "causal": run(query, value, mask=[None, k.tensor(masks[1])], use_causal_mask=True),
    }


@case(each=EINSUM)
def einsum_dense(k: Library, made: tuple[Callable[[Layers], Any], tuple[int, ...]]) -> Mapping[str, Any]:
    make, shape = made
    return k.layer(make(k.keras.layers), k.normal(shape))


@case
def dot_product_attention(k: Library) -> Mapping[str, Any]:
    ops = k.keras.ops
    query, key, value = (k.normal((1, n, 4, 2), seed=i) for i, n in enumerate((3, 4, 4)))
    few = (k.normal((1, 4, 2, 2), seed=i) for i in range(3, 5))
    mask = k.uniform((1, 1, 3, 4), seed=5) > 0.4
    mask[0, 0, 1] = False
    bias = k.normal((4, 3, 4), seed=6)
    attend = ops.dot_product_attention
    return {
        "plain": k.gradients(attend, query, key, value),
        "groups": k.gradients(attend, query, *few),
        "causal": k.gradients(lambda *x: attend(*x, is_causal=True), query, key, value),
        "scale": k.gradients(lambda q, h, v, b: attend(q, h, v, bias=b, scale=0.2), query, key, value, bias),
        "mask": k.gradients(lambda *x: attend(*x, mask=k.tensor(mask), is_causal=True), query, key, value),
    }


@case
def masks_that_travel(k: Library) -> Mapping[str, Any]:
    m = k.keras.layers
    words = k.integers((2, 5), 4)
    words[:, 3:] = 0
    tokens = m.Input((5,), dtype="int32")
    embedded = m.Embedding(4, 3, mask_zero=True)(tokens)
    attended = m.MultiHeadAttention(2, 2)(embedded, embedded)
    model = k.keras.Model(tokens, m.GRU(2)(attended))
    k.fill(model)
    return {"output": k.array(model(k.tensor(words)))}
