"""A recorded computation, and the library it runs under."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FOLDER = Path(__file__).parent
# Relative to the largest value of an array. Both sides sum in float32, a few dozen terms at the sizes used here, in
# different orders: each is within about 64 × 2^-24 = 4e-6 of the exact value, by elementary functions of some ulp.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Case:
    """One computation: the same code for both libraries, its results compared by name."""

    name: str
    run: Callable[[Library], Mapping[str, Any]]
    tolerance: float


_registered: dict[str, list[Case]] = {}


Computation = Callable[..., Mapping[str, Any]]


@overload
def case(function: Computation, /) -> Computation: ...
@overload
def case(
    *, each: Sequence[Any] | Mapping[str, Any] | None = None, tolerance: float = TOLERANCE
) -> Callable[[Computation], Computation]: ...
def case(
    function: Computation | None = None,
    /,
    *,
    each: Sequence[Any] | Mapping[str, Any] | None = None,
    tolerance: float = TOLERANCE,
) -> Any:
    """Registers `function(k)` as a case of its module; with `each`, one case `function(k, value)` per value.

    A tolerance above the default needs a reason beside it.
    """

    def register(run: Computation) -> Computation:
        found = _registered.setdefault(run.__module__.rpartition(".")[2], [])
        if each is None:
            found.append(Case(run.__name__, run, tolerance))
        else:
            values = each if isinstance(each, Mapping) else {str(value): value for value in each}
            for key, value in values.items():
                found.append(Case(f"{run.__name__}[{key}]", partial(_with, run, value), tolerance))
        return run

    return register if function is None else register(function)


def _with(run: Computation, value: Any, k: Library) -> Mapping[str, Any]:
    return run(k, value)


def areas() -> list[str]:
    """The names of all areas."""
    return sorted(file.stem for file in (FOLDER / "areas").glob("[a-z]*.py"))


def cases(area: str) -> list[Case]:
    """The cases of an area, in order of definition."""
    importlib.import_module(f"reference.areas.{area}")
    found = _registered.get(area, [])
    names = [one.name for one in found]
    if len(set(names)) != len(names):
        raise ValueError(f"area {area}: two cases of one name in {names}")
    return found


def values_file(area: str) -> Path:
    """Where the recorded values of an area are."""
    return FOLDER / "values" / f"{area}.npz"


class Library:
    """Real Keras or oxiconv, and what the cases need besides: tapes, inputs, weights.

    Args:
        keras: the module.
        tape: the class of gradient tapes that goes with it.
    """

    def __init__(self, keras: ModuleType, tape: Callable[..., Any]) -> None:
        self.keras: Any = keras
        self.tape = tape

    # Inputs: NumPy's legacy generator, whose stream is frozen.

    def normal(self, shape: Sequence[int], seed: Any = 0, scale: float = 1.0) -> Array:
        """Normal float32 values."""
        return (_stream(seed).standard_normal(tuple(shape)) * scale).astype(np.float32)

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0, seed: Any = 0) -> Array:
        """Uniform float32 values."""
        return _stream(seed).uniform(low, high, tuple(shape)).astype(np.float32)

    def integers(self, shape: Sequence[int], high: int, seed: Any = 0) -> Array:
        """Uniform int32 values in [0, high)."""
        return _stream(seed).randint(0, high, tuple(shape)).astype(np.int32)

    def tensor(self, x: Any) -> Any:
        """The library's tensor of an array."""
        return self.keras.ops.convert_to_tensor(x)

    def array(self, x: Any) -> Array:
        """The array of a tensor."""
        return np.asarray(self.keras.ops.convert_to_numpy(x))

    def fill(self, layer: Any, seed: Any = 0) -> Any:
        """Gives the floating weights of a built layer or model values that depend on their order alone."""
        values = []
        for index, weight in enumerate(layer.weights):
            held = self.array(weight.value)
            if held.dtype.kind == "f":
                positive = weight.name.endswith(("variance", "gamma", "scale"))
                low, high = (0.5, 1.5) if positive else (-0.5, 0.5)
                held = self.uniform(held.shape, low, high, seed=(seed, index))
            values.append(held)
        layer.set_weights(values)
        return layer

    # Computations.

    def watched(self, variable: Any) -> Any:
        """What a tape takes as the source for a variable: itself, or the TensorFlow variable within."""
        return getattr(variable, "value", variable) if self.keras.__name__ == "keras" else variable

    def gradients(
        self, function: Callable[..., Any], *inputs: Array, variables: Sequence[Any] = ()
    ) -> dict[str, Array]:
        """Outputs of `function(*inputs)` and the gradients of a fixed random weighting of them.

        The gradients are with respect to the floating inputs and to `variables`.
        """
        tensors = [self.tensor(x) for x in inputs]
        sources = [t for t, x in zip(tensors, inputs, strict=True) if np.asarray(x).dtype.kind == "f"]
        with self.tape() as tape:
            for source in sources:
                tape.watch(source)
            outputs = function(*tensors)
            leaves = self.keras.tree.flatten(outputs)
            total: Any = 0.0
            for index, leaf in enumerate(leaves):
                weighting = self.normal(tuple(leaf.shape), seed=("cotangent", index))
                total = total + self.keras.ops.sum(leaf * self.tensor(weighting))
        found = tape.gradient(total, [*sources, *(self.watched(v) for v in variables)])
        results = {f"output{i}": self.array(leaf) for i, leaf in enumerate(leaves)}
        for index, gradient in enumerate(found):
            if gradient is not None:
                results[f"gradient{index}"] = self.array(self.keras.ops.convert_to_tensor(gradient))
        return results

    def layer(self, layer: Any, *inputs: Array, seed: Any = 0, **arguments: Any) -> dict[str, Array]:
        """A layer with filled weights: outputs, gradients of inputs and weights, and the state it leaves behind."""
        layer(*[self.tensor(x) for x in inputs], **arguments)
        self.fill(layer, seed)
        results = self.gradients(lambda *x: layer(*x, **arguments), *inputs, variables=layer.trainable_variables)
        for index, weight in enumerate(layer.non_trainable_weights):
            results[f"state{index}"] = self.array(weight.value)
        return results


def flatten(results: Mapping[str, Any], prefix: str = "") -> dict[str, Array]:
    """Nested results by path."""
    found: dict[str, Array] = {}
    for key, value in results.items():
        if isinstance(value, Mapping):
            found |= flatten(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = np.asarray(value)
    return found


def difference(ours: Array, theirs: Array, tolerance: float) -> str | None:
    """What is wrong with `ours`; None if it agrees with the recorded array."""
    if ours.shape != theirs.shape:
        return f"shape {ours.shape}, Keras {theirs.shape}"
    if (ours.dtype.kind in "iu") != (theirs.dtype.kind in "iu") or (ours.dtype == bool) != (theirs.dtype == bool):
        return f"dtype {ours.dtype}, Keras {theirs.dtype}"
    if theirs.dtype.kind not in "fc":
        return None if np.array_equal(ours, theirs) else f"values {ours.tolist()}, Keras {theirs.tolist()}"
    finite = np.isfinite(theirs)
    if not np.array_equal(np.where(finite, 0, ours), np.where(finite, 0, theirs), equal_nan=True):
        return "other infinities or NaNs than Keras"
    if not finite.any():
        return None
    scale = max(float(np.abs(theirs[finite]).max()), 1e-2)
    worst = float(np.abs(ours[finite].astype(np.float64) - theirs[finite]).max())
    return None if worst <= tolerance * scale else f"deviates by {worst:.3g}, {worst / scale:.3g} of the largest value"


def _stream(seed: Any) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(repr(seed).encode()))
