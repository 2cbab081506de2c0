"""The recurrent layer over any cell."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, ClassVar, Self

from oxiconv import ops, tree
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.layer import Layer
from oxiconv.layers.rnn.cell import RecurrentCell
from oxiconv.layers.rnn.recurrence import recur
from oxiconv.layers.rnn.stacked_rnn_cells import StackedRNNCells, call_cell, initial_state_of, output_size_of
from oxiconv.naming import to_snake_case
from oxiconv.tensor import ShapeError
from oxiconv.variable import Variable


class RNN(Layer):
    """Applies a cell to the steps `inputs[:, t]` of a sequence, one after another.

    A cell is a layer, or any object, with `call(inputs, states)` that gives the output and the new states, and
    `state_size`, an integer or a list of them. It may have `output_size` (default: the first state's size) and
    `get_initial_state(batch_size)` (default: zeros). Several cells in a list are stacked.

    Args:
        cell: the cell, or a list of cells.
        return_sequences: whether to return all outputs `[n, time, ..]` rather than the last.
        return_state: whether to return the last states, too.
        go_backwards: whether to go from the last step to the first.
        stateful: whether a batch begins with the states that the one before ended with; `reset_state` clears them.
        unroll: accepted for Keras compatibility: steps are always written out.
        zero_output_for_mask: whether outputs of masked steps are zeros rather than the outputs before.
        **kwargs: those of `Layer`.

    Call arguments: `sequences` `[n, time, ..]`, `initial_state` (a list), `mask` `[n, time]`, `training`. Where the
    mask is false, a step changes nothing.

    Example:
        >>> import numpy as np
        >>> class Decay(Layer):
        ...     state_size = 2
        ...
        ...     def call(self, inputs, states):
        ...         output = inputs + 0.5 * states[0]
        ...         return output, [output]
        >>> RNN(Decay())(np.ones((1, 3, 2))).numpy().tolist()
        [[1.75, 1.75]]
    """

    supports_masking = True
    config_fields: ClassVar[tuple[str, ...]] = (
        "return_sequences",
        "return_state",
        "go_backwards",
        "stateful",
        "unroll",
        "zero_output_for_mask",
    )

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cell: Any = StackedRNNCells(cell) if isinstance(cell, (list, tuple)) else cell
        if not callable(getattr(self.cell, "call", None)) or not hasattr(self.cell, "state_size"):
            raise ValueError(f"{self._label}: expected a cell with call and state_size, got {cell!r}")
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self._carried = _Carried()

    @property
    def state_size(self) -> list[Any]:
        """The sizes of the states."""
        size = self.cell.state_size
        return [size] if isinstance(size, int) else list(size)

    @property
    def states(self) -> Any:
        """The states that a stateful layer carries to the next batch; None before it is built."""
        return self._carried.states

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Builds the cell for one step, and makes the states that are carried on."""
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
        if isinstance(self.cell, RecurrentCell) and self.cell.input_spec is not None:
            ndim = None if self.input_spec is None else self.input_spec.ndim
            self.input_spec = InputSpec(ndim=ndim, axes=self.cell.input_spec.axes)
        if self.stateful:
            batch = sequences_shape[0]
            if batch is None:
                raise ValueError(
                    f"{self._label}: stateful=True expects a known batch size (Input(batch_shape=..)), got shape "
                    f"{tuple(sequences_shape)}"
                )
            self._carried.states = tree.map_structure(
                lambda x: Variable(x, trainable=False, name="rnn_state"), self.get_initial_state(batch)
            )

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """The states that a sequence begins with, as a list."""
        return initial_state_of(self.cell, batch_size, self.compute_dtype)

    def reset_state(self) -> None:
        """Sets the states that are carried on to zeros."""
        for state in tree.flatten(self.states) if self.states is not None else []:
            state.assign(ops.zeros(state.shape, state.dtype))

    reset_states = reset_state

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """The outputs, and the last states if asked for."""
        cells = [c for c in _layers_of(self.cell) if isinstance(c, RecurrentCell)]
        states = self._first_states(sequences, initial_state)
        if tree.is_nested(mask):
            mask = mask[0]
        cell = self.cell
        with ExitStack() as stack:
            for c in cells:
                stack.enter_context(c.one_sequence())
            if isinstance(cell, RecurrentCell) and type(cell).call is RecurrentCell.call:
                inputs = cell.project(sequences, training, time=True)
                step: Any = lambda x, s: cell.step(x, s, training)  # noqa: E731
            else:
                inputs = sequences
                step = lambda x, s: call_cell(cell, x, s, training)  # noqa: E731
            last, outputs, states = recur(
                step,
                inputs,
                states,
                mask=mask,
                go_backwards=self.go_backwards,
                zero_output_for_mask=self.zero_output_for_mask,
                return_sequences=self.return_sequences,
            )
        if self.stateful:
            for variable, state in zip(tree.flatten(self.states), tree.flatten(states), strict=True):
                variable.assign(state)
        result = outputs if self.return_sequences else last
        return (result, *states) if self.return_state else result

    def _first_states(self, sequences: Any, given: Any) -> list[Any]:
        batch = sequences.shape[0]
        if given is None:
            given = self.states if self.stateful else self.get_initial_state(batch)
        states = list(given) if tree.is_nested(given) else [given]
        if len(states) != len(self.state_size):
            raise ValueError(f"{self._label}: expected {len(self.state_size)} states, got {len(states)}")
        states = [tree.map_structure(self._as_state, state) for state in states]
        for state in tree.flatten(states):
            if state.shape[:1] != (batch,):
                raise ShapeError(
                    f"{self._label}: expected states of {batch} samples, as the inputs have, got {state.shape}"
                )
        for size, state in zip(self.state_size, states, strict=True):
            if isinstance(size, int) and not tree.is_nested(state) and state.ndim == 2 and state.shape[1] != size:
                raise ShapeError(f"{self._label}: expected states of shape {(batch, size)}, got {state.shape}")
        return states

    def _as_state(self, x: Any) -> Any:
        return ops.convert_to_tensor(x, dtype=self.compute_dtype)

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        """The shape of the outputs, and of the states if they are returned."""
        batch, time = sequences_shape[:2]
        output = output_size_of(self.cell)
        shape = (batch, time, output) if self.return_sequences else (batch, output)
        states = tree.map_structure(lambda size: (batch, size), self.state_size)
        return (shape, *states) if self.return_state else shape

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        """The mask, where there is an output for each step."""
        mask = tree.flatten(mask)[0]
        outputs = mask if self.return_sequences else None
        return [outputs, *[None for _ in tree.flatten(self.state_size)]] if self.return_state else outputs

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        from oxiconv.saving.serialization import serialize_keras_object

        return {**super().get_config(), "cell": serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """A layer of a configuration."""
        from oxiconv.saving.serialization import deserialize_keras_object

        config = dict(config)
        return cls(deserialize_keras_object(config.pop("cell"), custom_objects), **config)


class _Carried:
    """States from one batch to the next. Not attributes of the layer: as in Keras, they are no weights of it."""

    states: Any = None


def _layers_of(cell: Any) -> list[Any]:
    return cell._flatten_layers() if isinstance(cell, Layer) else []


class CellRNN(RNN):
    """A recurrent layer over one kind of cell, whose arguments are its own, too."""

    cell_class: ClassVar[type[RecurrentCell]]
    # Axes of the inputs.
    input_axes: ClassVar[int] = 3

    def __init__(self, arguments: dict[str, Any]) -> None:
        """Takes the `locals()` of the constructor of a layer: arguments of its cell, of `RNN`, and `kwargs`."""
        own = {name: value for name, value in arguments.items() if name not in ("self", "kwargs", "__class__")}
        own |= arguments["kwargs"]
        use_cudnn = own.pop("use_cudnn", "auto")
        if use_cudnn not in ("auto", True, False):
            raise ValueError(f"{type(self).__name__}: expected use_cudnn 'auto', True or False, got {use_cudnn!r}")
        of_cell = {name: own.pop(name) for name in self.cell_fields()}
        both = {name: own[name] for name in ("dtype", "trainable") if name in own}
        name = to_snake_case(self.cell_class.__name__)
        implementation = own.pop("implementation", 2)
        super().__init__(self._make_cell(**of_cell, **both, name=name, implementation=implementation), **own)
        self.input_spec = InputSpec(ndim=self.input_axes)

    def _make_cell(self, **arguments: Any) -> RecurrentCell:
        return self.cell_class(**arguments)

    @classmethod
    def cell_fields(cls) -> list[str]:
        """The arguments that are the cell's."""
        return [field for c in cls.cell_class.__mro__ for field in c.__dict__.get("config_fields", ())]

    def __getattr__(self, name: str) -> Any:
        # Found here only if the layer itself has no such attribute.
        if name in type(self).cell_fields() and "cell" in self.__dict__:
            return getattr(self.cell, name)
        return super().__getattr__(name)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        config = super().get_config()
        del config["cell"]
        config.setdefault("activity_regularizer", None)
        own = self.cell.get_config()
        return {**config, **{field: own[field] for field in self.cell_fields()}}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """A layer of a configuration."""
        return cls(**config)
