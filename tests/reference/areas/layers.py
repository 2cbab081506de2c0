"""Layers without windows in their options: outputs, gradients of inputs and weights, and the state they leave behind.

Recurrent, attention and preprocessing layers have areas of their own.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reference.case import Array, Library, case

FIRST = {"data_format": "channels_first"}
Setup = tuple[str, tuple[int, ...], dict[str, Any]]

NORMALIZATIONS: dict[str, Setup] = {
    "layer": ("LayerNormalization", (2, 3, 4), {}),
    "layer_axes": ("LayerNormalization", (2, 3, 4), {"axis": [1, 2], "epsilon": 1e-2}),
    "layer_first": ("LayerNormalization", (2, 3, 4), {"axis": 1, "center": False}),
    "layer_plain": ("LayerNormalization", (2, 3, 4), {"scale": False}),
    "group": ("GroupNormalization", (2, 3, 2, 4), {"groups": 2}),
    "group_instance": ("GroupNormalization", (2, 3, 4, 2), {"groups": -1, "epsilon": 1e-2}),
    "group_first": ("GroupNormalization", (2, 4, 3, 2), {"groups": 2, "axis": 1}),
    "group_vector": ("GroupNormalization", (3, 8), {"groups": 2, "center": False}),
    "group_plain": ("GroupNormalization", (3, 2, 4), {"groups": 1, "scale": False}),
    "rms": ("RMSNormalization", (2, 3, 4), {}),
    "rms_epsilon": ("RMSNormalization", (3, 4), {"epsilon": 0.5}),
    "unit": ("UnitNormalization", (2, 3, 4), {}),
    "unit_axes": ("UnitNormalization", (2, 3, 4), {"axis": [1, 2]}),
    "batch_inference": ("BatchNormalization", (4, 3, 2), {"epsilon": 1e-2}),
}


@case(each=NORMALIZATIONS)
def normalizations(k: Library, setup: Setup) -> Mapping[str, Array]:
    cls, shape, arguments = setup
    return k.layer(getattr(k.keras.layers, cls)(**arguments), k.normal(shape, scale=2.0) + 0.5)


BATCHES: dict[str, dict[str, Any]] = {
    "plain": {"momentum": 0.8},
    "first": {"axis": 1, "momentum": 0.8},
    "without_scale": {"scale": False, "momentum": 0.5},
    "without_center": {"center": False, "momentum": 0.5},
    "renorm": {"renorm": True, "momentum": 0.8, "renorm_momentum": 0.6},
    "renorm_clipping": {
        "renorm": True,
        "renorm_clipping": {"rmin": 0.8, "rmax": 1.2, "dmax": 0.1},
        "scale": False,
        "momentum": 0.8,
    },
}


@case(each=BATCHES)
def batch_normalization(k: Library, arguments: dict[str, Any]) -> Mapping[str, Any]:
    layer = k.keras.layers.BatchNormalization(**arguments)
    results = {"first": k.layer(layer, k.normal((4, 3, 3), seed=1, scale=2.0), training=True)}
    for number in range(2):
        layer(k.tensor(k.normal((4, 3, 3), seed=(2, number)) + 1.0), training=True)
    results["then"] = {f"weight{i}": k.array(w.value) for i, w in enumerate(layer.weights)}
    return results


@case
def masked(k: Library) -> Mapping[str, Array]:
    mask = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1]], bool)
    x, scores = k.normal((3, 3, 2)), k.normal((3, 3), seed=1)
    batch = k.keras.layers.BatchNormalization(momentum=0.5)
    outputs = batch(k.tensor(x), training=True, mask=k.tensor(mask))
    pool, softmax = k.keras.layers.GlobalAveragePooling1D(), k.keras.layers.Softmax()
    return {
        "batch": k.array(outputs),
        "mean": k.array(batch.moving_mean.value),
        "variance": k.array(batch.moving_variance.value),
        "pooled": k.array(pool(k.tensor(x), mask=k.tensor(mask))),
        "softmax": k.array(softmax(k.tensor(scores), mask=k.tensor(mask))),
    }


@case
def spectral_normalization(k: Library) -> Mapping[str, Array]:
    layers = k.keras.layers
    results = {}
    for name, inner, shape, iterations in (
        ("dense", layers.Dense(3), (2, 4), 1),
        ("conv", layers.Conv2D(2, 2), (1, 4, 4, 3), 3),
    ):
        layer = layers.SpectralNormalization(inner, power_iterations=iterations)
        x = k.tensor(k.normal(shape))
        layer(x)
        inner.kernel.assign(k.normal(inner.kernel.shape, seed=name))
        layer.vector_u.assign(k.normal(layer.vector_u.shape, seed=(name, "u")))
        inner.bias.assign(k.normal(inner.bias.shape, seed=(name, "bias")))
        for step in range(3):
            results[f"{name}{step}"] = k.array(layer(x, training=True))
        results |= {f"{name}_kernel": k.array(inner.kernel.value), f"{name}_u": k.array(layer.vector_u.value)}
        results[f"{name}_inference"] = k.array(layer(x))
    return results


SHAPES: dict[str, Setup] = {
    "flatten": ("Flatten", (2, 3, 4), {}),
    "flatten_first": ("Flatten", (2, 3, 2, 2), FIRST),
    "reshape": ("Reshape", (2, 3, 4), {"target_shape": (-1, 2)}),
    "permute": ("Permute", (2, 3, 4, 2), {"dims": (3, 1, 2)}),
    "repeat": ("RepeatVector", (2, 3), {"n": 4}),
    "padding1d": ("ZeroPadding1D", (2, 3, 2), {"padding": (1, 2)}),
    "padding2d": ("ZeroPadding2D", (1, 2, 3, 2), {"padding": ((1, 0), (0, 2))}),
    "padding2d_first": ("ZeroPadding2D", (1, 2, 3, 2), {"padding": (1, 2), **FIRST}),
    "padding3d": ("ZeroPadding3D", (1, 2, 2, 2, 1), {"padding": (1, 0, 2)}),
    "cropping1d": ("Cropping1D", (2, 5, 2), {"cropping": (1, 0)}),
    "cropping2d": ("Cropping2D", (1, 5, 4, 2), {"cropping": ((1, 2), (0, 1))}),
    "cropping2d_first": ("Cropping2D", (1, 2, 5, 4), {"cropping": 1, **FIRST}),
    "cropping3d": ("Cropping3D", (1, 4, 5, 3, 2), {"cropping": ((1, 0), (2, 1), (0, 0))}),
    "cropping3d_first": ("Cropping3D", (1, 2, 4, 5, 3), FIRST),
    "upsampling1d": ("UpSampling1D", (2, 3, 2), {"size": 3}),
    "upsampling2d": ("UpSampling2D", (1, 2, 3, 2), {"size": (3, 2)}),
    "upsampling2d_first": ("UpSampling2D", (1, 2, 2, 3), FIRST),
    "upsampling2d_bilinear": ("UpSampling2D", (1, 3, 2, 2), {"size": (2, 3), "interpolation": "bilinear"}),
    "upsampling2d_bicubic": ("UpSampling2D", (1, 3, 4, 2), {"interpolation": "bicubic"}),
    "upsampling3d": ("UpSampling3D", (1, 2, 2, 2, 1), {"size": (1, 2, 3)}),
    "upsampling3d_first": ("UpSampling3D", (1, 2, 2, 2, 2), FIRST),
}


@case(each=SHAPES)
def shapes(k: Library, setup: Setup) -> Mapping[str, Array]:
    cls, shape, arguments = setup
    return k.layer(getattr(k.keras.layers, cls)(**arguments), k.normal(shape))


ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "activation": ("Activation", {"activation": "silu"}),
    "relu": ("ReLU", {}),
    "relu_options": ("ReLU", {"max_value": 1.0, "negative_slope": 0.2, "threshold": 0.3}),
    "leaky_relu": ("LeakyReLU", {}),
    "leaky_relu_slope": ("LeakyReLU", {"negative_slope": 0.1}),
    "elu": ("ELU", {"alpha": 0.7}),
    "prelu": ("PReLU", {}),
    "prelu_shared": ("PReLU", {"shared_axes": [1]}),
    "softmax": ("Softmax", {}),
    "softmax_axis": ("Softmax", {"axis": 1}),
    "softmax_axes": ("Softmax", {"axis": (1, 2)}),
}


@case(each=ACTIVATIONS)
def activations(k: Library, setup: tuple[str, dict[str, Any]]) -> Mapping[str, Array]:
    cls, arguments = setup
    return k.layer(getattr(k.keras.layers, cls)(**arguments), k.normal((2, 3, 4)))


MERGES: dict[str, tuple[str, dict[str, Any], tuple[tuple[int, ...], ...]]] = {
    "add": ("Add", {}, ((2, 3, 4), (2, 1, 4), (2, 3, 4))),
    "add_fewer_axes": ("Add", {}, ((2, 3, 4), (2, 4))),
    "subtract": ("Subtract", {}, ((2, 3), (2, 3))),
    "multiply": ("Multiply", {}, ((2, 3), (2, 1), (2, 3))),
    "average": ("Average", {}, ((2, 3), (2, 3), (2, 3))),
    "maximum": ("Maximum", {}, ((2, 3), (2, 3))),
    "minimum": ("Minimum", {}, ((2, 3), (2, 3))),
    "concatenate": ("Concatenate", {}, ((2, 3, 4), (2, 3, 1))),
    "concatenate_axis": ("Concatenate", {"axis": 1}, ((2, 3, 2), (2, 1, 2), (2, 2, 2))),
    "dot": ("Dot", {"axes": 1}, ((2, 3), (2, 3))),
    "dot_normalized": ("Dot", {"axes": -1, "normalize": True}, ((2, 3), (2, 3))),
    "dot_axes": ("Dot", {"axes": (1, 2)}, ((2, 3, 4), (2, 5, 3))),
    "dot_of_vectors": ("Dot", {"axes": (2, 1)}, ((2, 3, 4), (2, 4))),
    "dot_vector_first": ("Dot", {"axes": (1, 1)}, ((2, 3), (2, 3, 4))),
    "dot_more_axes": ("Dot", {"axes": (-2, -1)}, ((1, 3, 2), (1, 2, 2, 3))),
}


@case(each=MERGES)
def merges(k: Library, setup: tuple[str, dict[str, Any], tuple[tuple[int, ...], ...]]) -> Mapping[str, Array]:
    cls, arguments, sizes = setup
    layer = getattr(k.keras.layers, cls)(**arguments)
    inputs = [k.normal(shape, seed=i) for i, shape in enumerate(sizes)]
    return k.gradients(lambda *xs: layer(list(xs)), *inputs)


@case(each=["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"])
def masked_merges(k: Library, cls: str) -> Mapping[str, Array]:
    inputs = [k.normal((2, 3, 2), seed=i) for i in range(2)]
    both = [np.array([[1, 0, 1], [0, 0, 1]], bool), np.array([[0, 0, 1], [1, 0, 1]], bool)]
    results = {}
    for name, given in (("both", both), ("one", [both[0], None])):
        tensors = [k.tensor(x) for x in inputs]
        for tensor, mask in zip(tensors, given, strict=True):
            if mask is not None:
                tensor._keras_mask = k.tensor(mask)
        outputs = getattr(k.keras.layers, cls)()(tensors)
        mask = getattr(outputs, "_keras_mask", None)
        results[name] = k.array(outputs)
        results[f"{name}_mask"] = np.zeros((), np.int32) if mask is None else k.array(mask)
    return results


@case
def functions_that_merge(k: Library) -> Mapping[str, Array]:
    layers = k.keras.layers
    a, b = (k.tensor(k.normal((2, 3), seed=i)) for i in range(2))
    names = ("add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate", "dot")
    return {name: k.array(getattr(layers, name)([a, b])) for name in names}


@case
def functions_as_layers(k: Library) -> Mapping[str, Array]:
    layers, x = k.keras.layers, k.normal((2, 3))

    def scaled(values: Any, factor: float = 1.0, training: bool | None = None) -> Any:
        return values * (factor if training else -factor)

    layer = layers.Lambda(scaled, arguments={"factor": 3.0})
    return {"inference": k.array(layer(x)), "training": k.array(layer(x, training=True))}


@case
def activity(k: Library) -> Mapping[str, Array]:
    layer = k.keras.layers.ActivityRegularization(l1=0.3, l2=0.2)
    outputs = layer(k.tensor(k.normal((4, 3))))
    return {"outputs": k.array(outputs), "loss": k.array(layer.losses[0])}


RANDOM: dict[str, tuple[str, dict[str, Any]]] = {
    "dropout": ("Dropout", {"rate": 0.5}),
    "spatial_dropout1d": ("SpatialDropout1D", {"rate": 0.5}),
    "gaussian_noise": ("GaussianNoise", {"stddev": 0.5}),
    "gaussian_dropout": ("GaussianDropout", {"rate": 0.5}),
    "alpha_dropout": ("AlphaDropout", {"rate": 0.5}),
}


@case(each=RANDOM)
def random_layers_at_inference(k: Library, setup: tuple[str, dict[str, Any]]) -> Mapping[str, Array]:
    cls, arguments = setup
    return k.gradients(getattr(k.keras.layers, cls)(**arguments), k.normal((2, 3, 4)))
