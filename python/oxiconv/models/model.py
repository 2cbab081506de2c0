"""The model: a layer that can be trained and saved."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from oxiconv import naming
from oxiconv.layers.call_signature import CallSignature
from oxiconv.layers.configurable import map_shapes
from oxiconv.layers.layer import Layer
from oxiconv.models.configuration import graph_config, graph_from_config
from oxiconv.models.graph import FunctionGraph
from oxiconv.models.state_tree import assign_state_tree, state_tree
from oxiconv.models.summary import print_summary
from oxiconv.symbolic import KerasTensor
from oxiconv.trainer import Trainer
from oxiconv.variable import StatelessScope

if TYPE_CHECKING:
    from pathlib import Path

    from oxiconv.models.quantization import Quantization


class Model(Trainer, Layer):
    """A network with `compile`, `fit`, `evaluate`, `predict`, `save`.

    Made of symbolic tensors, `Model(inputs, outputs)`: a tensor, a list or a dict each; layers may be shared, and
    models are layers. Or subclassed, with `call`.

    Args:
        inputs: symbolic tensors from `Input`, or any within another model.
        outputs: symbolic tensors made of them.
        trainable: whether training changes the weights.
        name: of the model.

    Example:
        >>> import oxiconv
        >>> x = oxiconv.Input((4,))
        >>> model = Model(x, oxiconv.layers.Dense(2)(x) * 2.0)
        >>> model.output_shape, model.count_params()
        ((None, 2), 10)
    """

    # Whether the layers are one chain by construction.
    _is_chain = False

    def __init__(
        self,
        *args: Any,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        ends = dict(zip(("inputs", "outputs", "name"), args, strict=False))
        ends.update({key: kwargs.pop(key) for key in ("inputs", "outputs") if key in kwargs})
        name = ends.pop("name", name)
        functional = set(ends) == {"inputs", "outputs"}
        if (ends and not functional) or len(args) > 3:
            raise TypeError(f"{type(self).__name__}: expected inputs and outputs, got {', '.join(ends) or args}")
        graph = FunctionGraph(**ends) if functional else None
        if name is None and functional and type(self) is Model:
            name = naming.auto_name("Functional")
        Layer.__init__(self, trainable=trainable, name=name, **kwargs)
        self._graph = graph
        self._graph_layers = [] if graph is None else graph.layers
        if graph is not None:
            self.built = True
            self._build_shapes = {"input_shape": None}
            if not trainable:
                self.trainable = False

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs for the inputs: `call(inputs, training=None, mask=None)`. Subclasses define others."""
        if self._graph is None:
            raise NotImplementedError(f"{self._label}: expected a subclass that defines call")
        return self._graph.run(args[0] if args else kwargs["inputs"], self._label, kwargs.get("mask"))

    def _hang_masks(self, inputs: Any, outputs: Any, previous: Any) -> None:
        # The layers of a graph have given the outputs the masks they have.
        if self._graph is None:
            super()._hang_masks(inputs, outputs, previous)

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights for inputs of a shape, by tracing the call."""
        if input_shape is not None and self._graph is None and type(self).call is not Model.call:
            inputs = map_shapes(lambda shape: KerasTensor(shape, self.compute_dtype), input_shape)
            self._symbolic_outputs((inputs,), {})

    def _build_for(self, call: CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        # The default build would call the model: its layers build themselves in the call that follows.
        if type(self).build is Model.build:
            self._build_by_call(call, args, kwargs)
        else:
            super()._build_for(call, args, kwargs)

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """Builds the model for the shapes of a configuration."""
        if not config or self.built:
            return
        if type(self).build is Model.build and "shapes_dict" in config:
            shapes = {name.removesuffix("_shape"): shape for name, shape in config["shapes_dict"].items()}
            self.compute_output_spec(**map_shapes(lambda shape: KerasTensor(shape, self.compute_dtype), shapes))
            self._build_shapes = dict(config["shapes_dict"])
        else:
            super().build_from_config(dict(config))

    @property
    def layers(self) -> list[Layer]:
        """The layers: in topological order, or as attributes of a subclass."""
        return list(self._graph.layers) if self._graph is not None else self._layers

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError(f"{self._label}: layers cannot be assigned; choose another attribute name")

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of a name, or at a place in `layers`."""
        if (name is None) == (index is None):
            raise ValueError(f"{self._label}: get_layer: expected a name or an index, got {name!r} and {index!r}")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"{self._label}: get_layer: expected an index below {len(layers)}, got {index}")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(f"{self._label}: get_layer: expected one of {[x.name for x in layers]}, got {name!r}")

    def _require_graph(self, what: str) -> FunctionGraph:
        if self._graph is None:
            raise AttributeError(f"{self._label}: {what} is known for functional and built sequential models only")
        return self._graph

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, in order."""
        return self._require_graph("inputs").inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, in order."""
        return self._require_graph("outputs").outputs

    @property
    def input(self) -> Any:
        """The symbolic inputs, as the model was made of them."""
        return self._require_graph("input").inputs_structure

    @property
    def output(self) -> Any:
        """The symbolic outputs, as the model was made of them."""
        return self._require_graph("output").outputs_structure

    @property
    def input_shape(self) -> Any:
        """The shape of the input, or a list of them."""
        shapes = [t.shape for t in self.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Any:
        """The shape of the output, or a list of them."""
        shapes = [t.shape for t in self.outputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        graph = self._require_graph("input_names")
        return graph.names(graph.inputs)

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that make the outputs."""
        graph = self._require_graph("output_names")
        return graph.names(graph.outputs)

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Prints a table of the layers, their output shapes and parameters.

        Args:
            line_length: width of the table.
            positions: ends of the columns, as fractions of the width.
            print_fn: called with the text instead of `print`.
            expand_nested: whether to list the layers of nested models.
            show_trainable: whether to say which layers are trainable.
            layer_range: names, or patterns of them, of the first and last layer to list.
        """
        print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    def save(self, filepath: str | Path, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Writes architecture, weights and optimizer state to a file: see `saving.save_model`."""
        from oxiconv.saving import save_model

        save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(
        self, filepath: str | Path, overwrite: bool = True, max_shard_size: float | None = None, **kwargs: Any
    ) -> None:
        """Writes the weights to a file: see `saving.save_weights`."""
        from oxiconv.saving import save_weights

        save_weights(self, filepath, overwrite=overwrite, max_shard_size=max_shard_size, **kwargs)

    def load_weights(self, filepath: str | Path, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Reads the weights from a file: see `saving.load_weights`."""
        from oxiconv.saving import load_weights

        load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def quantize(
        self,
        mode: Any = None,
        calibration_data: Any = None,
        *,
        config: Any = None,
        filters: Any = None,
        method: str = "mse",
        percentile: float = 99.99,
        batch_size: int = 32,
    ) -> Quantization:
        """Makes the products of `Dense` and `Conv1D` to `Conv3D` layers integer ones, in place, for faster serving.

        Kernels become int8 with a scale for each channel, the inputs of these layers uint8 or int8 with one scale, as
        the values ask for that the inputs have in `calibration_data`. `predict`, `evaluate`, calls and `save` work as
        before; training is refused. Layers that cannot be quantized stay float32, after a warning.

        Args:
            mode: "int8".
            calibration_data: inputs as the model will meet them, some hundred: an array, or a structure of them, as
                `predict` takes it, or an iterable of batches, of which x counts.
            config: must be None.
            filters: which layers: a regular expression searched for in their names, a list of them, or a function of
                the layer.
            method: how inputs are scaled: "mse" minimizes the mean squared error, "minmax" keeps the largest value,
                "percentile" this share of the values.
            percentile: of "percentile", up to 100.
            batch_size: samples of calibration at a time.

        Returns:
            The names of the quantized layers, and why others with kernels are not: `quantized`, `kept`.

        Raises:
            ValueError: no calibration data, a model that is not built, or nothing to quantize.

        Example:
            >>> import numpy as np
            >>> import oxiconv
            >>> model = oxiconv.Sequential([oxiconv.Input((4,)), oxiconv.layers.Dense(2, name="d")])
            >>> x = np.linspace(-1, 1, 400, dtype="float32").reshape(100, 4)
            >>> before = model.predict(x, verbose=0)
            >>> model.quantize("int8", x).quantized
            ['d']
            >>> bool(np.abs(model.predict(x, verbose=0) - before).max() < 0.05)
            True
        """
        from oxiconv.models.quantization import quantize

        return quantize(self, mode, calibration_data, config, filters, method, percentile, batch_size)

    @property
    def jit_compile(self) -> bool:
        """Whether steps are compiled: unless `compile` said `run_eagerly=True` or `jit_compile=False`."""
        state = self._compiled_state
        return state is not None and not state.run_eagerly and state.config["jit_compile"] is not False

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """The values of trainable, non-trainable, optimizer and metric variables, as dicts nested by their paths.

        Args:
            value_format: "backend_tensor", or "numpy_array" for arrays.

        Example:
            >>> import oxiconv
            >>> model = oxiconv.Sequential([oxiconv.Input((1,)), oxiconv.layers.Dense(1, name="d")], name="m")
            >>> model.get_state_tree()["trainable_variables"]["m"]["d"]["bias"].shape
            (1,)
        """
        return state_tree(self, value_format)

    def set_state_tree(self, state_tree: Mapping[str, Any]) -> None:
        """Assigns values as `get_state_tree` gives them, all or some."""
        assign_state_tree(self, state_tree)

    def stateless_compute_loss(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        metrics_variables: Sequence[Any],
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """`compute_loss` with given values of the variables; returns the loss and the values afterwards.

        Returns:
            The loss, and a tuple of lists of trainable, non-trainable and metric values.
        """
        groups = (self.trainable_variables, self.non_trainable_variables, self.metrics_variables)
        values = (trainable_variables, non_trainable_variables, metrics_variables)
        pairs = [pair for group, given in zip(groups, values, strict=True) for pair in zip(group, given, strict=True)]
        with StatelessScope(pairs) as scope:
            loss = self.compute_loss(x, y, y_pred, sample_weight=sample_weight, training=training)
        after = [[scope.get_current_value(v) for v in group] for group in groups]
        return loss, tuple(after)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal model.

        Raises:
            NotImplementedError: a subclass without `get_config`, whose constructor takes more than plain values.
        """
        if self._graph is None:
            return super().get_config()
        return {"name": self.name, "trainable": self.trainable, **graph_config(self._graph)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """A model of a configuration."""
        if not {"layers", "input_layers", "output_layers"} <= set(config):
            return cls(**config)
        inputs, outputs = graph_from_config(config, custom_objects)
        accepted = inspect.signature(cls.__init__).parameters
        open_ended = any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in accepted.values())
        if not open_ended and not {"inputs", "outputs"} <= set(accepted):
            raise ValueError(f"{cls.__name__}: from_config: expected a constructor that takes inputs and outputs")
        return cls(inputs=inputs, outputs=outputs, name=config["name"], trainable=config.get("trainable", True))

    def to_json(self, **kwargs: Any) -> str:
        """The architecture, without weights, as JSON."""
        import json

        from oxiconv.saving.serialization import serialize_keras_object

        return json.dumps(serialize_keras_object(self), **kwargs)


def _functional_call(self: Model, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any) -> Any:
    """What a functional model takes; the method is open, so that subclasses may take other things."""


setattr(Model.call, "__signature__", inspect.signature(_functional_call))  # noqa: B010


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model that `to_json` described, with new weights.

    Only classes of oxiconv, registered ones and those of `custom_objects` are made.
    """
    import json

    from oxiconv.saving.serialization import deserialize_keras_object

    return deserialize_keras_object(json.loads(json_string), custom_objects)
