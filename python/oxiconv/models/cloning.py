"""Copies of models: new layers, called as those of the original."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from oxiconv import tree
from oxiconv.layers.input_layer import Input
from oxiconv.layers.layer import Layer
from oxiconv.models.model import Model
from oxiconv.models.sequential import Sequential
from oxiconv.symbolic import FunctionOperation, KerasTensor, Operation


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Any:
    """A model of new layers with the same configuration and new weights; compiled as `model` is.

    Args:
        model: functional, sequential, or a subclass with `get_config`.
        input_tensors: symbolic tensors to build upon, in the structure of `model.input`; by default new inputs.
        clone_function: makes the new layer of each, by default one of the same configuration.
        call_function: calls a new layer, `call_function(layer, *args, **kwargs)`; functional models only.
        recursive: whether layers that are models are cloned in this way, too, rather than by `clone_function`.
        **kwargs: none.

    Example:
        >>> import oxiconv
        >>> model = oxiconv.Sequential([oxiconv.Input((4,)), oxiconv.layers.Dense(2)])
        >>> clone_model(model).count_params()
        10

    Raises:
        ValueError: a subclass with any of the other arguments, or a sequential model with `call_function`.
    """
    cache = kwargs.pop("cache", {})
    if kwargs:
        raise TypeError(f"clone_model: unexpected arguments {', '.join(kwargs)}")
    own_config = type(model).get_config is Model.get_config or isinstance(model, Sequential)
    asked = clone_function is not None or input_tensors is not None or call_function is not None
    if model._graph is None and not isinstance(model, Sequential) and asked:
        raise ValueError(
            f"clone_model: expected a functional or sequential model for input_tensors, clone_function and "
            f"call_function, got a {type(model).__name__}"
        )
    if isinstance(model, Sequential) and call_function is not None:
        raise ValueError("clone_model: expected a functional model for call_function, got a sequential one")
    from oxiconv.saving import CustomObjectScope

    classes = {type(layer).__name__: type(layer) for layer in model._flatten_layers()}
    with CustomObjectScope({name: cls for name, cls in classes.items() if not cls.__module__.startswith("oxiconv.")}):
        if not isinstance(model, Sequential) and (model._graph is None or not (own_config or asked)):
            return type(model).from_config(model.get_config())
        clone = functools.partial(_clone, clone_function, call_function, recursive, cache)
        if isinstance(model, Sequential):
            cloned: Model = _clone_chain(model, input_tensors, clone)
        else:
            cloned = _clone_graph(model, input_tensors, clone, call_function)
        if model.compiled:
            cloned.compile_from_config(model.get_compile_config() or {})
    return cloned


def _clone(
    clone_function: Callable[[Layer], Layer] | None,
    call_function: Callable[..., Any] | None,
    recursive: bool,
    cache: dict[int, Operation],
    operation: Operation,
) -> Operation:
    """The counterpart of an operation: one for all its calls."""
    if id(operation) not in cache:
        if isinstance(operation, FunctionOperation):
            made: Operation = FunctionOperation(operation.function, operation.name)
        elif recursive and isinstance(operation, Model) and operation._graph is not None:
            of_graph = None if isinstance(operation, Sequential) else call_function
            made = clone_model(operation, None, clone_function, of_graph, True, cache=cache)
        elif isinstance(operation, Layer) and clone_function is not None:
            made = clone_function(operation)
        else:
            made = type(operation).from_config(operation.get_config())
        cache[id(operation)] = made
    return cache[id(operation)]


def _clone_chain(model: Sequential, input_tensors: Any, clone: Callable[[Operation], Operation]) -> Sequential:
    layers: list[Any] = [clone(layer) for layer in model.layers]
    if input_tensors is not None:
        given = tree.flatten(input_tensors)
        if len(given) != 1 or not isinstance(given[0], KerasTensor):
            raise ValueError(f"clone_model: expected one symbolic tensor as input_tensors, got {input_tensors!r}")
        layers.insert(0, Input(tensor=given[0]))
    elif model._input_layer is not None:
        layers.insert(0, type(model._input_layer).from_config(model._input_layer.get_config()))
    return Sequential(layers, name=model.name, trainable=model.trainable)


def _clone_graph(
    model: Model, input_tensors: Any, clone: Callable[[Operation], Operation], call_function: Callable[..., Any] | None
) -> Model:
    graph = model._require_graph("clone_model")
    if input_tensors is None:
        input_tensors = tree.map_structure(
            lambda t: Input(batch_shape=t.shape, dtype=t.dtype, name=t.name), graph.inputs_structure
        )
    flat = tree.flatten(input_tensors)
    if len(flat) != len(graph.inputs) or not all(isinstance(t, KerasTensor) for t in flat):
        raise ValueError(f"clone_model: expected {len(graph.inputs)} symbolic tensors, got {input_tensors!r}")
    values = dict(zip(map(id, graph.inputs), flat, strict=True))
    for node in graph.computed:
        operation = clone(node.operation)
        node.run(values, operation if call_function is None else functools.partial(call_function, operation))
    outputs = tree.map_structure(lambda t: values[id(t)], graph.outputs_structure)
    made = type(model) if type(model).__init__ is Model.__init__ else Model
    return made(input_tensors, outputs, name=model.name)
