"""What a layer holds: variables, sublayers, seed generators and metrics, found in its attributes."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

import numpy as np

from oxiconv import constraints, initializers, naming, regularizers
from oxiconv.dtype import is_float
from oxiconv.random.seed import SeedGenerator
from oxiconv.symbolic import Operation
from oxiconv.tensor import ShapeError
from oxiconv.variable import Variable

# Attributes of a layer that hold nothing of it.
_BOOKKEEPING = frozenset({"nodes", "input_spec", "_losses", "_arguments", "_build_shapes", "_dtype_policy"})
# Types of most attributes, which cannot hold state: they are passed over first.
_PLAIN = frozenset({bool, int, float, str, type(None)})


class State(Operation):
    """The state of a layer. Attributes are searched for it, also within lists, tuples and dicts."""

    _trainable: bool
    _weights: list[Variable]
    built: bool
    name: str
    variable_dtype: str

    @property
    def _label(self) -> str:
        return f"{type(self).__name__} {self.name!r}"

    def add_weight(
        self,
        shape: Sequence[int] | int | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """A new weight: by default glorot_uniform, or zeros for integers and truth values.

        Args:
            shape: sizes; None is a scalar.
            initializer: an initializer, its name, or a function `(shape, dtype)`.
            dtype: element type, by default the layer's `variable_dtype`.
            trainable: whether training changes it.
            autocast: whether a mixed-precision layer reads it in the type it computes in.
            regularizer: penalty added to the loss.
            constraint: function applied after each update.
            aggregation: accepted for Keras compatibility: there is one device.
            layout: must be None: there is one device.
            overwrite_with_gradient: must be false: it serves float8 training, which is absent.
            name: of the weight, without '/'.
        """
        dims = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        if any(n is None for n in dims):
            raise ShapeError(f"{self._label}: add_weight: expected known sizes, got shape {dims}")
        if layout is not None or overwrite_with_gradient:
            raise ValueError(f"{self._label}: add_weight: layout and overwrite_with_gradient are absent")
        dtype = dtype or self.variable_dtype
        if initializer is None:
            initializer = "glorot_uniform" if is_float(dtype) else "zeros"
        with naming.name_scope(self.name, caller=self):
            variable = Variable(initializers.get(initializer), dims, dtype, trainable, autocast, aggregation, name=name)
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        self._weights.append(variable)
        if not self._trainable:
            variable.trainable = False
        return variable

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A new weight, as `add_weight` makes it."""
        return self.add_weight(shape, initializer, dtype, trainable, autocast, regularizer, constraint, name=name)

    def _tracked(self) -> Iterator[Any]:
        """The variables, layers, seed generators and metrics in the attributes, each once."""
        seen: set[int] = set()
        stack = [value for name, value in reversed(vars(self).items()) if name not in _BOOKKEEPING]
        while stack:
            value = stack.pop()
            if type(value) in _PLAIN:
                continue
            if isinstance(value, (list, tuple)):
                stack.extend(reversed(value))
            elif isinstance(value, dict):
                stack.extend(reversed(value.values()))
            elif id(value) not in seen and (isinstance(value, (Variable, State, SeedGenerator)) or _is_metric(value)):
                seen.add(id(value))
                yield value

    @property
    def _layers(self) -> list[Any]:
        """The direct sublayers."""
        return [value for value in self._tracked() if isinstance(value, State)]

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> list[Any]:
        """This layer and all below it, each once."""
        if not recursive:
            return [self, *self._layers] if include_self else self._layers
        found: dict[int, State] = {}
        stack: list[State] = [self]
        while stack:
            layer = stack.pop()
            if id(layer) not in found:
                found[id(layer)] = layer
                stack.extend(reversed(layer._layers))
        return list(found.values())[0 if include_self else 1 :]

    def _own_variables(self) -> list[Variable]:
        """The layer's own weights as they were made, those made trainable first."""
        own = [value for value in self._tracked() if isinstance(value, Variable)]
        return sorted(own, key=lambda v: (not v.created_trainable, v.serial))

    @property
    def weights(self) -> list[Variable]:
        """All weights: the layer's own, then those of its sublayers."""
        return _unique([v for layer in self._flatten_layers() for v in layer._own_variables()])

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training does not change by gradients."""
        return [v for v in self.weights if not v.trainable] if self.trainable else self.weights

    @property
    def variables(self) -> list[Variable]:
        """The weights, and the state of seed generators; that of metrics is in `metrics_variables`."""
        found: list[Variable] = []
        for layer in self._flatten_layers():
            found += layer._own_variables()
            found += [value.state for value in layer._tracked() if isinstance(value, SeedGenerator)]
        return _unique(found)

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that training changes."""
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables that training does not change by gradients."""
        return [v for v in self.variables if not v.trainable] if self.trainable else self.variables

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; setting it sets it for all sublayers."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._flatten_layers():
            layer._trainable = bool(value)
            for variable in layer._own_variables():
                if variable.created_trainable:
                    variable.trainable = bool(value)

    @property
    def metrics(self) -> list[Any]:
        """The metrics of the layer and its sublayers."""
        held = [v for layer in self._flatten_layers() for v in layer._tracked()]
        found = [v for v in held if _is_metric(v) and not isinstance(v, State)]
        return list({id(metric): metric for metric in found}.values())

    @property
    def metrics_variables(self) -> list[Variable]:
        """The variables of `metrics`."""
        return [v for metric in self.metrics for v in metric.variables]

    def count_params(self) -> int:
        """The number of elements of all weights."""
        if not self.built:
            raise ValueError(f"{self._label}: count_params: expected a built layer, got one without weights yet")
        return sum(int(np.prod(v.shape, dtype=np.int64)) for v in self.weights)

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Copies of all weights, in the order of `weights`."""
        return [np.array(v.numpy()) for v in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replaces all weights by arrays of the same shapes, in the order of `weights`."""
        variables = self.weights
        if len(weights) != len(variables):
            raise ValueError(f"{self._label}: set_weights: expected {len(variables)} arrays, got {len(weights)}")
        for variable, array in zip(variables, weights, strict=True):
            given = tuple(np.shape(array))
            if given != variable.shape:
                raise ShapeError(
                    f"{self._label}: set_weights: expected shape {variable.shape} for {variable.path!r}, got {given}"
                )
        for variable, array in zip(variables, weights, strict=True):
            variable.assign(array)

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Puts the layer's own weights into `store` under "0", "1", … Layers with other state override it."""
        for i, variable in enumerate(self._own_variables()):
            store[str(i)] = variable

    def load_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Takes the layer's own weights from a `store` of `save_own_variables`.

        Raises:
            ValueError: another number of weights.
        """
        own = self._own_variables()
        if len(store.keys()) != len(own):
            reason = "" if self.built else "; it is not built: its parent's `build` must build it"
            raise ValueError(
                f"{self._label}: load_own_variables: expected {len(own)} variables ({[v.name for v in own]}), got "
                f"{len(store.keys())}{reason}"
            )
        for i, variable in enumerate(own):
            variable.assign(np.asarray(store[str(i)]))


def _is_metric(x: Any) -> bool:
    return hasattr(x, "update_state") and hasattr(x, "variables")


def _unique(variables: list[Variable]) -> list[Variable]:
    return list({id(v): v for v in variables}.values())
