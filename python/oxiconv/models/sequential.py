"""Models that are a plain stack of layers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Self

from oxiconv import dtype_policies, naming, ops, tree
from oxiconv.layers.call_signature import CallSignature
from oxiconv.layers.input_layer import Input, InputLayer
from oxiconv.layers.layer import Layer
from oxiconv.models.graph import FunctionGraph
from oxiconv.models.model import Model
from oxiconv.symbolic import KerasTensor
from oxiconv.tensor import ShapeError


class Sequential(Model):
    """Layers one after another. With an `Input` first, weights exist at once; else they are made by the first call.

    As in Keras, the sizes of the input are no more than an example: others go through where the layers take them.

    Args:
        layers: to add.
        trainable: whether training changes the weights.
        name: of the model.

    Example:
        >>> import oxiconv
        >>> from oxiconv import layers
        >>> model = Sequential([oxiconv.Input((28, 28, 1)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(10)])
        >>> model.output_shape, model.count_params()
        ((None, 10), 27090)
    """

    _is_chain = True

    def __init__(self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(trainable=trainable, name=name)
        self._stack: list[Layer] = []
        self._input_layer: InputLayer | None = None
        # The symbolic tensors between the layers; the first is the input.
        self._tensors: list[Any] = []
        for layer in layers or ():
            self.add(layer)

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts a layer, an `Input`, or a function at the end. `rebuild` changes nothing: no work is repeated."""
        if isinstance(layer, KerasTensor):
            layer = layer.node.operation if layer.node is not None else layer
        if isinstance(layer, InputLayer):
            if self._stack or self._input_layer is not None:
                raise ValueError(f"{self._label}: add: expected an input as the first layer only")
            self._input_layer = layer
            self._tensors = [layer.output]
            return
        if not isinstance(layer, Layer):
            if not callable(layer):
                raise TypeError(f"{self._label}: add: expected a layer, got {type(layer).__name__}")
            from oxiconv.layers.core import Lambda

            layer = Lambda(layer)
        if any(other.name == layer.name for other in self._stack):
            raise ValueError(f"{self._label}: add: expected unique layer names, got {layer.name!r} twice")
        declared = getattr(layer, "_declared_shape", None)
        if not self._stack and not self._tensors:
            if declared is not None:
                self.add(Input(declared, name=f"{layer.name}_input"))
            elif isinstance(layer, Model) and layer._graph is not None and not tree.is_nested(layer.input):
                self.add(Input(batch_shape=layer.input_shape, dtype=layer.inputs[0].dtype))
        self._stack.append(layer)
        if self._tensors:
            try:
                self._extend([layer])
            except Exception:
                self._stack.pop()
                raise

    def pop(self, rebuild: bool = True) -> Layer:
        """Takes the last layer away and returns it."""
        if not self._stack:
            raise ValueError(f"{self._label}: pop: expected at least one layer, got none")
        layer = self._stack.pop()
        if len(self._tensors) > 1:
            del self._tensors[-1]
            self._finish()
        return layer

    def _extend(self, layers: Sequence[Layer]) -> None:
        with naming.name_scope(self.name, caller=self):
            for layer in layers:
                self._tensors.append(layer(self._tensors[-1]))
        self._finish()

    def _finish(self) -> None:
        built = len(self._tensors) > 1
        self._graph = FunctionGraph(self._tensors[0], self._tensors[-1], fixed=False) if built else None
        self.built = built
        self._build_shapes = {"input_shape": self._tensors[0].shape} if built else None

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights for inputs of a shape, batch axis included."""
        if input_shape is None:
            if self._tensors:
                return
            raise ValueError(f"{self._label}: build: expected an input_shape, since the first layer is no Input")
        if not self._stack:
            raise ValueError(f"{self._label}: build: expected at least one layer, got none")
        if not self._tensors:
            if not isinstance(input_shape, (list, tuple)) or any(isinstance(n, (list, tuple)) for n in input_shape):
                raise ShapeError(f"{self._label}: build: expected one shape, got {input_shape}")
            self._input_layer = InputLayer(batch_shape=input_shape, dtype=self._stack[0].compute_dtype)
            self._tensors = [self._input_layer.output]
            try:
                self._extend(self._stack)
            except Exception:
                self._input_layer, self._tensors = None, []
                raise

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs for the inputs: `call(inputs, training=None, mask=None)`."""
        if not self._stack:
            raise ValueError(f"{self._label}: expected at least one layer, got none")
        if self._graph is not None:
            return super().call(*args, **kwargs)
        x = args[0] if args else kwargs["inputs"]
        for layer in self._stack:  # several inputs have no symbolic counterpart: there is no graph
            x = layer(x)
        return x

    setattr(call, "__signature__", inspect.signature(Model.call))  # noqa: B010

    def _prepare(self, call: CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self.built:
            inputs = args[0] if args else kwargs["inputs"]
            if tree.is_nested(inputs):
                return
            shape = ops.shape(inputs)
            if len(shape) == 0:
                raise ShapeError(f"{self._label}: expected inputs with a batch axis, got a scalar")
            self.build((None, *shape[1:]))

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the input."""
        return list(self._stack)

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError(f"{self._label}: layers cannot be assigned; use add and pop")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal model."""
        from oxiconv.saving.serialization import serialize_keras_object

        first = [] if self._input_layer is None else [self._input_layer]
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_policies.serialize(self.dtype_policy),
        }
        config["layers"] = [serialize_keras_object(layer) for layer in (*first, *self._stack)]
        if self._graph is not None:
            config["build_input_shape"] = self.input_shape
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """A model of a configuration."""
        from oxiconv.saving.serialization import deserialize_keras_object

        if "layers" not in config:
            return cls(**config)
        model = cls(name=config.get("name"), trainable=config.get("trainable", True))
        for layer in config["layers"]:
            model.add(deserialize_keras_object(layer, custom_objects))
        if config.get("build_input_shape") and not model.built and model._stack:
            model.build(tuple(config["build_input_shape"]))
        if not config.get("trainable", True):
            model.trainable = False
        return model
