"""Quantization of a trained model: which layers, with which scales."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from oxiconv import tree
from oxiconv.layers.layer import Layer
from oxiconv.layers.quantizable import Quantizable
from oxiconv.layers.ranges import METHODS, Ranges
from oxiconv.tensor import Tensor, convert
from oxiconv.trainer.arrays import as_arrays, count_samples, is_data, leaves
from oxiconv.utils.sample_tuples import unpack_x_y_sample_weight

if TYPE_CHECKING:
    from oxiconv.models.model import Model


class Quantization(NamedTuple):
    """What `Model.quantize` did: the layers that compute with bytes now, and why others with kernels do not."""

    quantized: list[str]
    kept: dict[str, str]


def quantize(
    model: Model,
    mode: Any,
    calibration_data: Any,
    config: Any,
    filters: Any,
    method: str,
    percentile: float,
    batch_size: int,
) -> Quantization:
    """See `Model.quantize`."""
    label = f"{model.name}: quantize"
    if mode != "int8" or config is not None:
        raise ValueError(f"{label}: expected the mode 'int8' and no config, got {mode!r} and {config!r}")
    if method not in METHODS:
        raise ValueError(f"{label}: expected a method of {', '.join(map(repr, METHODS))}, got {method!r}")
    if not 0 < percentile <= 100:
        raise ValueError(f"{label}: expected a percentile above 0, up to 100, got {percentile!r}")
    if calibration_data is None:
        raise ValueError(
            f"{label}: expected calibration_data: some hundred inputs as the model will meet them, an array as predict "
            "takes it or an iterable of batches; they tell which values the layers' inputs have"
        )
    if not model.built:
        raise ValueError(f"{label}: expected a built model, got one without weights: call it on a batch first")
    wanted = _filter(filters, label)
    layers, kept = _choose(model, wanted)
    if not layers:
        raise ValueError(f"{label}: expected at least one layer that can be quantized, got {kept or 'none'}")
    ranges = _calibrate(model, layers, _batches(calibration_data, batch_size, label))
    unmet = [layer for layer in layers if not ranges[layer].met]
    kept.update((layer.name, "the calibration data did not reach it") for layer in unmet)
    quantized = [layer for layer in layers if layer not in unmet]
    scales = {layer: ranges[layer].scale(method, percentile) for layer in quantized}
    for layer in quantized:
        layer._quantize(ranges[layer].unsigned, scales[layer])
    _forget_training(model)
    if kept:
        reasons = "; ".join(f"{name}: {why}" for name, why in kept.items())
        warnings.warn(f"{label}: {len(kept)} layers with kernels stay float32: {reasons}.", stacklevel=3)
    return Quantization([layer.name for layer in quantized], kept)


def _forget_training(model: Model) -> None:
    """Takes a new optimizer: the slots of the old one are those of kernels that are no more."""
    state = model._compiled_state
    if state is not None:
        model.optimizer = state.renew_optimizer()


def _filter(filters: Any, label: str) -> Callable[[Layer], bool]:
    """Whether a layer is to be quantized: by a pattern of names, several, or a function."""
    if filters is None:
        return lambda _: True
    if callable(filters):
        return lambda layer: bool(filters(layer))
    patterns = [filters] if isinstance(filters, str) else filters
    if not isinstance(patterns, Sequence) or not all(isinstance(p, str) for p in patterns):
        raise ValueError(f"{label}: expected filters as a pattern, patterns or a function of a layer, got {filters!r}")
    return lambda layer: any(re.search(p, layer.name) for p in patterns)


def _choose(model: Model, wanted: Callable[[Layer], bool]) -> tuple[list[Quantizable], dict[str, str]]:
    """The layers to quantize, and why others that have kernels are not."""
    chosen: list[Quantizable] = []
    kept: dict[str, str] = {}
    for layer in model._flatten_layers():
        if isinstance(layer, Quantizable) and layer.built:
            if not wanted(layer):
                continue
            why = layer._why_not_quantized()
            if why is None:
                chosen.append(layer)
            else:
                kept[layer.name] = why
        elif any(v.name.endswith("kernel") for v in layer._own_variables()) and wanted(layer):
            kept[layer.name] = f"{type(layer).__name__} has no integer kernels"
    return chosen, kept


def _batches(data: Any, batch_size: int, label: str) -> Iterator[Any]:
    """The inputs of batches of the data."""
    if batch_size < 1:
        raise ValueError(f"{label}: expected a batch_size of at least 1, got {batch_size!r}")
    if is_data(data):
        arrays = as_arrays("calibration_data", data)
        count = count_samples(arrays)
        for start in range(0, count, int(batch_size)):
            yield tree.map_structure(lambda a: a[start : start + int(batch_size)], arrays)  # noqa: B023
        return
    if not hasattr(data, "__iter__"):
        raise ValueError(f"{label}: expected an array or an iterable of batches, got {type(data).__name__}")
    for item in data:
        yield as_arrays(
            "calibration_data", unpack_x_y_sample_weight(tuple(item) if isinstance(item, list) else item)[0]
        )


class _Observed(Ranges):
    """Ranges of a layer's inputs, and whether there were any."""

    met = False

    def __call__(self, x: Tensor) -> None:
        self.met = True
        self.add(x.numpy())


def _calibrate(model: Model, layers: list[Quantizable], batches: Iterator[Any]) -> dict[Quantizable, _Observed]:
    """The ranges of the layers' inputs over all batches."""
    ranges = {layer: _Observed(layer.name) for layer in layers}
    samples = 0
    try:
        for layer, observed in ranges.items():
            layer._observer = observed
        for batch in batches:
            samples += sum(len(a) for a in leaves(batch)[:1])
            model(model._as_input(tree.map_structure(_as_tensor, batch)), training=False)
    finally:
        for layer in layers:
            del layer._observer
    if not samples:
        raise ValueError(f"{model.name}: quantize: expected at least one sample of calibration_data, got none")
    return ranges


def _as_tensor(x: Any) -> Any:
    return None if x is None else convert(x)
