"""Models: functional, nested, shared and subclassed; outputs, gradients and trajectories."""

from collections.abc import Mapping
from typing import Any

from reference.case import Array, Library, case


def _train(k: Library, model: Any, x: Any, y: Any, steps: int = 3, **compile_arguments: Any) -> Mapping[str, Any]:
    """Losses and weights of some steps of training, and outputs before and after."""
    k.fill(model)
    arguments: dict[str, Any] = {"optimizer": k.keras.optimizers.SGD(0.05, momentum=0.9), "loss": "mse"}
    model.compile(**{**arguments, **compile_arguments})
    before = model.predict(x, verbose=0)
    losses = [model.train_on_batch(x, y, return_dict=True)["loss"] for _ in range(steps)]
    after = model.predict(x, verbose=0)
    weights = {f"w{i}": w for i, w in enumerate(model.get_weights())}
    return {"before": before, "losses": losses, "after": after, **weights}


@case
def several_inputs_and_outputs(k: Library) -> Mapping[str, Array]:
    layers, ops = k.keras.layers, k.keras.ops
    a, b = k.keras.Input((4,), name="a"), k.keras.Input((4,), name="b")
    shared = layers.Dense(3, activation="tanh")
    x = layers.concatenate([shared(a), shared(b)])
    y = layers.Dense(2, name="y")(x)
    z = ops.mean(x * 2.0 - 1.0, axis=-1, keepdims=True)[:, 0:1]
    model = k.keras.Model({"a": a, "b": b}, {"y": y, "z": layers.Dense(1, name="z")(z)})
    data = {"a": k.normal((6, 4), 1), "b": k.normal((6, 4), 2)}
    targets = {"y": k.normal((6, 2), 3), "z": k.normal((6, 1), 4)}
    return _train(k, model, data, targets, loss={"y": "mse", "z": "mae"}, loss_weights={"y": 1.0, "z": 0.5})


@case(each=[True, False])
def nested_model_with_normalization(k: Library, trainable: bool) -> Mapping[str, Array]:
    """A frozen base runs in inference mode, and keeps its weights."""
    layers = k.keras.layers
    base = k.keras.Sequential([k.keras.Input((5,)), layers.Dense(4), layers.BatchNormalization(momentum=0.5)])
    inputs = k.keras.Input((5,))
    model = k.keras.Model(inputs, layers.Dense(2)(layers.ReLU()(base(inputs))))
    base.trainable = trainable
    return _train(k, model, k.normal((8, 5)), k.normal((8, 2), 1))


@case
def frozen_then_thawed(k: Library) -> Mapping[str, Array]:
    """The two phases of transfer learning: the weights of both, and how many are trained in each."""
    layers = k.keras.layers
    base = k.keras.Sequential([k.keras.Input((5,)), layers.Dense(4), layers.BatchNormalization()], name="base")
    inputs = k.keras.Input((5,))
    model = k.keras.Model(inputs, layers.Dense(2)(base(inputs)))
    base.trainable = False
    first = _train(k, model, k.normal((8, 5)), k.normal((8, 2), 1), steps=2)
    counts = [len(model.trainable_weights), len(model.non_trainable_weights)]
    base.trainable = True
    base.layers[1].trainable = False
    counts += [len(model.trainable_weights), len(model.non_trainable_weights)]
    model.compile(k.keras.optimizers.SGD(0.01), "mse")
    losses = [model.train_on_batch(k.normal((8, 5)), k.normal((8, 2), 1)) for _ in range(2)]
    weights = {f"thawed{i}": w for i, w in enumerate(model.get_weights())}
    return {**first, "counts": counts, "second": losses, **weights}


@case
def sub_graph(k: Library) -> Mapping[str, Array]:
    """Models from the middle of another, which share its weights."""
    layers = k.keras.layers
    inputs = k.keras.Input((6, 6, 1))
    x = layers.Conv2D(2, 3, activation="relu", name="first")(inputs)
    x = layers.MaxPooling2D(2, name="pool")(x)
    model = k.keras.Model(inputs, layers.Dense(3, name="last")(layers.Flatten()(x)))
    k.fill(model)
    features = k.keras.Model(model.input, [model.get_layer("first").output, model.get_layer(index=2).output])
    head = k.keras.Model(model.get_layer("pool").output, model.output)
    x = k.normal((2, 6, 6, 1))
    first, pooled = features(x)
    return {"first": first, "pooled": pooled, "head": head(pooled), "whole": model(x)}


def _blocks(k: Library) -> Any:
    layers = k.keras.layers

    class Block(k.keras.layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, units: int, rate: float = 0.1) -> None:
            super().__init__()
            self.dense = layers.Dense(units, kernel_regularizer="l2")
            self.rate = rate

        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
            self.steps = self.add_weight(shape=(), initializer="zeros", trainable=False, name="steps")
            self.dense.build(input_shape)

        def call(self, inputs: Any, training: bool = False) -> Any:
            self.add_loss(self.rate * k.keras.ops.mean(k.keras.ops.square(inputs)))
            if training:
                self.steps.assign_add(1.0)
            return self.dense(inputs * self.scale)

    class Net(k.keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.blocks = [Block(4), Block(3, 0.2)]
            self.heads = {"one": layers.Dense(1), "two": layers.Dense(1)}

        def call(self, inputs: Any, training: bool = False) -> Any:
            x = inputs
            for block in self.blocks:
                x = k.keras.ops.relu(block(x, training=training))
            return self.heads["one"](x) - self.heads["two"](x)

    return Net


@case
def subclass(k: Library) -> Mapping[str, Array]:
    """Layers in lists and dicts, `add_loss`, a state that a step changes, and a regularizer."""
    model = _blocks(k)()
    model(k.normal((2, 4)))
    result = _train(k, model, k.normal((8, 4)), k.normal((8, 1), 1))
    model(k.normal((3, 4), 2))
    return {**result, "count": model.count_params(), "own_losses": k.keras.ops.stack(model.losses)}


@case
def gradients_of_a_subclass(k: Library) -> Mapping[str, Array]:
    model = _blocks(k)()
    model(k.normal((2, 4)))
    k.fill(model)
    with k.tape() as tape:
        y = model(k.normal((5, 4)), training=True)
        loss = k.keras.ops.mean(k.keras.ops.square(y)) + sum(model.losses)
    gradients = tape.gradient(loss, [k.watched(w) for w in model.trainable_weights])
    return {"loss": loss, **{f"g{i}": g for i, g in enumerate(gradients)}}


@case
def functional_in_a_subclass(k: Library) -> Mapping[str, Array]:
    """`super().__init__(inputs, outputs)`, with a `train_step` that Keras's own calls."""

    class Net(k.keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self, units: int) -> None:
            inputs = k.keras.Input((3,))
            hidden = k.keras.layers.Dense(units, activation="tanh", name="hidden")(inputs)
            super().__init__(inputs, k.keras.layers.Dense(1)(hidden))
            self.units = units

    return _train(k, Net(4), k.normal((6, 3)), k.normal((6, 1), 1))


@case
def chain(k: Library) -> Mapping[str, Array]:
    """A chain that is built by its first call, loses its last layer, and gets another."""
    layers = k.keras.layers
    model = k.keras.Sequential([layers.Dense(4, activation="tanh"), layers.Dense(3)])
    x = k.normal((5, 3))
    model(x)
    model.pop()
    model.add(layers.LayerNormalization())
    model.add(layers.Dense(2))
    return _train(k, model, x, k.normal((5, 2), 1))


# bfloat16 rounds to 2^-9 of a value; convolution, normalization and product each do, on values up to the largest.
@case(each=["float16", "bfloat16"], tolerance=6 * 2**-9)
def mixed_precision(k: Library, half: str) -> Mapping[str, Array]:
    """A model whose layers compute in a half type: the types are equal, the outputs nearly."""
    layers = k.keras.layers
    k.keras.config.set_dtype_policy(f"mixed_{half}")
    inputs = k.keras.Input((6, 6, 1))
    x = layers.BatchNormalization()(layers.Conv2D(2, 3, activation="relu")(inputs))
    model = k.keras.Model(inputs, layers.Dense(2, dtype="float32")(layers.Flatten()(x)))
    k.keras.config.set_dtype_policy("float32")
    k.fill(model)
    kinds = [str(t.dtype) == half for t in (inputs, *(layer.output for layer in model.layers[1:]))]
    weights = [str(w.dtype) == "float32" for w in model.weights]
    return {"half": kinds, "weights": weights, "outputs": model(k.normal((3, 6, 6, 1)))}


@case
def masks(k: Library) -> Mapping[str, Array]:
    """A mask from the input to the loss and the metrics, through a nested model, a merge and a recurrent layer."""
    layers = k.keras.layers
    inner_in = k.keras.Input((None, 3))
    inner = k.keras.Model(inner_in, layers.Dense(3, activation="tanh")(inner_in))
    a, b = k.keras.Input((None,), dtype="int32"), k.keras.Input((None, 3))
    x = layers.Add()([layers.Embedding(7, 3, mask_zero=True)(a), inner(layers.Masking(0.0)(b))])
    x = layers.GRU(4, return_sequences=True)(x)
    model = k.keras.Model([a, b], layers.Dense(1)(x))
    ids, values = k.integers((6, 5), 7, 1), k.normal((6, 5, 3), 2)
    ids[0, 2:] = ids[1, 4:] = 0
    values[2, 3:] = 0.0
    result = _train(k, model, [ids, values], k.normal((6, 5, 1), 3), weighted_metrics=["mae"], metrics=["mse"])
    logs = model.test_on_batch([ids, values], k.normal((6, 5, 1), 3), return_dict=True)
    return {**result, **{f"log_{name}": value for name, value in logs.items()}}
