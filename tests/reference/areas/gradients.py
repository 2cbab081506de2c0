"""Gradients as TensorFlow's tapes give them: of gradients, of intermediates, by parts, and of one's own making."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reference.case import Library, case

# Layers of critics, in whose gradients gradient penalties differentiate. Normalizations are not among them: variances
# of TensorFlow take the mean for a constant, right in a gradient but not in a gradient of it; see test_gradients.py.
PARTS: dict[str, Callable[[Any], list[Any]]] = {
    "dense": lambda L: [L.Flatten(), L.Dense(4), L.LeakyReLU(negative_slope=0.2)],
    "convolution": lambda L: [L.Conv2D(3, 3, strides=2, padding="same"), L.LeakyReLU(negative_slope=0.2), L.Flatten()],
    "transposed": lambda L: [L.Conv2DTranspose(2, 3, strides=2), L.Activation("tanh"), L.Flatten()],
    "depthwise": lambda L: [L.DepthwiseConv2D(3), L.Activation("softplus"), L.Flatten()],
    "max_pooling": lambda L: [L.Conv2D(3, 3), L.Activation("sigmoid"), L.MaxPooling2D(2), L.Flatten()],
    "average_pooling": lambda L: [L.Conv2D(3, 3, activation="tanh"), L.AveragePooling2D(2), L.Flatten()],
    "softmax": lambda L: [L.Flatten(), L.Dense(3, activation="softmax")],
}


@case(each=list(PARTS), tolerance=1e-4)  # a root of a sum of squares of gradients, itself differentiated
def gradient_penalty(k: Library, name: str) -> Mapping[str, Any]:
    keras, ops = k.keras, k.keras.ops
    model = keras.Sequential([keras.Input((6, 6, 2)), *PARTS[name](keras.layers), keras.layers.Dense(1)])
    k.fill(model)
    x = k.tensor(k.normal((3, 6, 6, 2)))
    variables = [k.watched(v) for v in model.trainable_variables]
    with k.tape() as outer:
        with k.tape() as inner:
            inner.watch(x)
            score = model(x, training=True)
        slope = inner.gradient(score, x)
        norm = ops.sqrt(ops.sum(ops.square(slope), axis=(1, 2, 3)) + 1e-6)
        penalty = ops.mean(ops.square(norm - 1.0))
    found = outer.gradient(penalty, variables, unconnected_gradients="zero")
    return {"penalty": k.array(penalty), "slope": k.array(slope)} | {
        f"gradient{i}": k.array(g) for i, g in enumerate(found)
    }


@case
def intermediates(k: Library) -> Mapping[str, Any]:
    """Class activation: a score by the activations of a layer within, and by the input, with one tape."""
    keras = k.keras
    inputs = keras.Input((6, 6, 2))
    features = keras.layers.Conv2D(4, 3, activation="relu", name="features")(inputs)
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(features))
    model = k.fill(keras.Model(inputs, [features, outputs]))
    x = k.tensor(k.normal((2, 6, 6, 2)))
    with k.tape(persistent=True) as tape:
        tape.watch(x)
        activations, scores = model(x)
        score = scores[:, 1]
    by_input, missing = tape.gradient(score, [x, k.tensor(k.normal((2,)))])
    return {
        "activations": k.array(tape.gradient(score, activations)),
        "input": k.array(by_input),
        "weighed": k.array(tape.gradient(score, x, output_gradients=k.tensor(k.normal((2,))))),
        "missing": k.array(k.tensor([float(missing is None)])),
    }


@case
def jacobians(k: Library) -> Mapping[str, Any]:
    ops = k.keras.ops
    x, w = k.tensor(k.normal((3, 4))), k.tensor(k.normal((4, 2), seed=1))
    with k.tape(persistent=True) as tape:
        tape.watch([x, w])
        y = ops.tanh(ops.matmul(x, w))
    by_x, by_w = tape.jacobian(y, [x, w])
    return {"x": k.array(by_x), "w": k.array(by_w), "batch": k.array(tape.batch_jacobian(y, x))}


@case
def pauses(k: Library) -> Mapping[str, Any]:
    """What is computed while a tape pauses is a constant."""
    ops = k.keras.ops
    x = k.tensor(k.normal((5,)))
    with k.tape() as tape:
        tape.watch(x)
        y = ops.square(x)
        with tape.stop_recording():
            z = ops.sin(y) * x
        total = ops.sum(y * z)
    return {"x": k.array(tape.gradient(total, x))}


@case
def custom_gradients(k: Library) -> Mapping[str, Any]:
    ops = k.keras.ops

    @ops.custom_gradient  # type: ignore[untyped-decorator]
    def log1pexp(x: Any) -> Any:
        e = ops.exp(x)

        def grad(*args: Any, upstream: Any = None) -> Any:
            if upstream is None:
                (upstream,) = args
            return ops.multiply(upstream, 1.0 - 1.0 / ops.add(1, e))

        return ops.log(1 + e), grad

    @ops.custom_gradient  # type: ignore[untyped-decorator]
    def clipped(x: Any) -> Any:
        """A gradient that is no linear function of the one that arrives."""

        def grad(upstream: Any) -> Any:
            return ops.clip(upstream, -0.5, 0.5)

        return x * 1.0, grad

    @ops.custom_gradient  # type: ignore[untyped-decorator]
    def pair(x: Any, y: Any) -> Any:
        def grad(upstream: Any) -> Any:
            return upstream * y * 10.0, upstream * 3.0

        return x * y, grad

    x, y = k.tensor(k.normal((6,))), k.tensor(k.normal((6,), seed=1))
    with k.tape() as outer:
        outer.watch(x)
        with k.tape(persistent=True) as tape:
            tape.watch([x, y])
            a = log1pexp(ops.square(x))
            b = clipped(ops.sin(a) * 3.0)
            c = pair(b, ops.tanh(clipped(a) + y))
            total = ops.sum(ops.square(c)) + ops.sum(a)
        slope = tape.gradient(total, x)
        first = ops.sum(ops.square(tape.gradient(a, x)))
    found = {"a": a, "c": c, "x": slope, "y": tape.gradient(total, y), "inner": tape.gradient(total, a)}
    return {name: k.array(value) for name, value in found.items()} | {"second": k.array(outer.gradient(first, x))}
