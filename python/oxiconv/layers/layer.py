"""The layer: an operation with state."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from oxiconv import constraints, initializers, ops, regularizers, trace, tree
from oxiconv.dtype import standardize_dtype
from oxiconv.layers import context, input_spec
from oxiconv.random.seed import SeedGenerator
from oxiconv.symbolic import KerasTensor, Operation, any_symbolic, infer
from oxiconv.tensor import OxiconvError, ShapeError, Tensor, convert
from oxiconv.variable import Variable

# Attributes of a layer that hold no weights of it.
_BOOKKEEPING = frozenset({"nodes", "input_spec", "_losses", "_arguments", "_build_shapes"})
# Types of most attributes, which cannot hold state: they are passed over first, since every call looks for losses.
_PLAIN = frozenset({bool, int, float, str, type(None)})


class Layer(Operation):
    """A computation with weights. Subclasses define `call`, and `build` if they have weights.

    Weights and sublayers are found in attributes, also within lists, tuples and dicts. Output shapes need no code: they
    come from tracing `call`.

    Args:
        activity_regularizer: penalty on the outputs, divided by the batch size.
        trainable: whether training changes the weights.
        dtype: "float32", the one type of weights.
        autocast: accepted for Keras compatibility.
        name: unique name; by default made of the class name.

    Example:
        >>> import oxiconv
        >>> class Scale(Layer):
        ...     def build(self, input_shape):
        ...         self.factor = self.add_weight((input_shape[-1],), initializer="ones", name="factor")
        ...
        ...     def call(self, x):
        ...         return x * self.factor
        >>> layer = Scale(name="scale")
        >>> layer([[1.0, 2.0]]).numpy().tolist(), [w.path for w in layer.weights]
        ([[1.0, 2.0]], ['scale/factor'])
    """

    # Constructor arguments that are attributes of the same name, for `get_config`.
    config_fields: ClassVar[tuple[str, ...]] = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Remembers the arguments, for `get_config` of subclasses that define none."""
        instance = super().__new__(cls)
        instance.__dict__["_arguments"] = (args, kwargs)
        return instance

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        build = cls.__dict__.get("build")
        if build is not None:
            cls.build = _marking_built(build)  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        input_shape = kwargs.pop("input_shape", None)
        if kwargs:
            raise TypeError(f"{type(self).__name__}: unexpected arguments {', '.join(kwargs)}")
        super().__init__(name)
        if isinstance(dtype, Mapping):  # Keras writes a policy
            dtype = dtype.get("config", {}).get("name")
        if str(dtype) in ("float16", "bfloat16", "float64"):
            raise ValueError(f"{self._label}: expected dtype 'float32', the only real type supported, got {dtype!r}")
        self.dtype = standardize_dtype(dtype)
        self.autocast = autocast
        self.built = False
        self.input_spec: Any = None
        self.supports_masking = True
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._weights: list[Variable] = []
        self._losses: list[Tensor] = []
        self._trainable = bool(trainable)
        self._build_shapes: Any = None
        if input_shape is not None:
            self._declared_shape = tuple(input_shape)

    # State.

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
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """A new weight: by default glorot_uniform, or zeros for integers and truth values."""
        dims = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        if any(n is None for n in dims):
            raise ShapeError(f"{self._label}: add_weight: expected known sizes, got shape {dims}")
        if initializer is None:
            initializer = "glorot_uniform" if standardize_dtype(dtype) == "float32" else "zeros"
        variable = Variable(initializers.get(initializer), dims, dtype, trainable, name=name)
        variable.path = f"{self.name}/{variable.name}"
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        self._weights.append(variable)
        if not self._trainable:
            variable.trainable = False
        return variable

    def add_loss(self, loss: Any) -> None:
        """Adds scalars to the losses of the call that is running."""
        active = trace.current()
        if active is None or not active.symbolic:
            self._losses.extend(convert(value, "float32") for value in tree.flatten(loss) if value is not None)

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
            elif id(value) not in seen and (isinstance(value, (Variable, Layer, SeedGenerator)) or _is_metric(value)):
                seen.add(id(value))
                yield value

    @property
    def _layers(self) -> list[Layer]:
        """The direct sublayers."""
        return [value for value in self._tracked() if isinstance(value, Layer)]

    def _flatten_layers(self) -> list[Layer]:
        """This layer and all below it, each once."""
        found: dict[int, Layer] = {}
        stack: list[Layer] = [self]
        while stack:
            layer = stack.pop()
            if id(layer) not in found:
                found[id(layer)] = layer
                stack.extend(reversed(layer._layers))
        return list(found.values())

    def _own_variables(self) -> list[Variable]:
        """The layer's own weights, those made trainable first."""
        own = [value for value in self._tracked() if isinstance(value, Variable)]
        return sorted(own, key=lambda v: not v.created_trainable)

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
        """The weights, and the state of seed generators and metrics."""
        found: list[Variable] = []
        for layer in self._flatten_layers():
            found += layer._own_variables()
            others = [value for value in layer._tracked() if not isinstance(value, Variable | Layer)]
            for value in others:
                found += [value.state] if isinstance(value, SeedGenerator) else value.variables
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
    def losses(self) -> list[Tensor]:
        """Scalars of `add_loss` and activity regularizers in the last call, then of weight regularizers."""
        layers = self._flatten_layers()
        tracing = trace.current() is not None
        found = [loss for layer in layers for loss in layer._losses if tracing or not loss.traced]
        weights = _unique([v for layer in layers for v in layer._own_variables()])
        return found + [v.regularizer(v.value) for v in weights if v.regularizer is not None and v.trainable]

    def _clear_losses(self) -> None:
        for layer in self._flatten_layers():
            layer._losses.clear()

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

    @property
    def compute_dtype(self) -> str:
        """The element type of computations."""
        return self.dtype

    @property
    def variable_dtype(self) -> str:
        """The element type of weights."""
        return self.dtype

    @property
    def path(self) -> str:
        """The name, under which the weights' paths stand."""
        return self.name

    # Calls.

    def build(self, *shapes: Any, **named_shapes: Any) -> None:
        """Makes the weights for inputs of a shape (None where unknown). Subclasses take `input_shape`, or several."""
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation. Subclasses define it."""
        raise NotImplementedError(f"{self._label}: expected a class that defines call")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the layer on tensors or arrays, or on symbolic tensors to make a node of a model."""
        args, kwargs = tree.map_structure(_as_value, (args, kwargs))
        if args and isinstance(args[0], (list, tuple)) and _is_numbers(args[0]):
            args = (convert(args[0], "float32"), *args[1:])
        if any_symbolic(args) or any_symbolic(kwargs.values()):
            self._prepare(args, kwargs)
            return self.record(args, kwargs, infer(self._run, args, kwargs))
        return self._run(*args, **kwargs)

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        names = _call_parameters(type(self).call)
        training = kwargs.get("training")
        if training is None and "training" in names and len(args) > names.index("training"):
            training = args[names.index("training")]
        elif training is None:
            training = context.training()
            if training is not None and "training" in names:
                kwargs = {**kwargs, "training": training}
        if "training" not in names and "**" not in names:
            kwargs.pop("training", None)
        if not context.nested():
            self._clear_losses()
        with context.entered(training):
            self._prepare(args, kwargs)
            try:
                outputs = self.call(*args, **kwargs)
            except OxiconvError as error:
                raise self._named(error) from None
            self.built = True
            if self.activity_regularizer is not None:
                self._regularize(outputs)
        return outputs

    def _regularize(self, outputs: Any) -> None:
        for output in tree.flatten(outputs):
            penalty = self.activity_regularizer(output)
            self.add_loss(penalty / float(max(output.shape[0], 1)) if output.ndim else penalty)

    def _prepare(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Checks the inputs and builds the layer for them."""
        if self.input_spec is not None:
            input_spec.check(self.input_spec, args[0] if args else next(iter(kwargs.values()), None), self._label)
        if self.built:
            return
        try:
            self._build_for(args, kwargs)
        except OxiconvError as error:
            raise self._named(error) from None
        self.built = True
        if self.input_spec is not None:
            input_spec.check(self.input_spec, args[0] if args else next(iter(kwargs.values()), None), self._label)

    def _build_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if type(self).build is Layer.build:
            return
        wanted = [p for p in inspect.signature(self.build).parameters.values() if p.kind is not p.VAR_KEYWORD]
        if len(wanted) == 1:
            self.build(_shapes(args[0] if args else next(iter(kwargs.values()))))
            return
        given = {**dict(zip(_call_parameters(type(self).call), args, strict=False)), **kwargs}
        shapes = {f"{name}_shape": _shapes(value) for name, value in given.items()}
        missing = [p.name for p in wanted if p.name not in shapes and p.default is p.empty]
        if missing:
            raise TypeError(
                f"{self._label}: build: expected the names of call's arguments plus '_shape', got {', '.join(missing)}"
            )
        self.build(**{p.name: shapes[p.name] for p in wanted if p.name in shapes})

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs for symbolic inputs, without making a node."""
        self._prepare(args, kwargs)
        return infer(self._run, args, kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the outputs for inputs of a shape."""
        inputs = _map_shapes(lambda shape: KerasTensor(shape, self.dtype), input_shape)
        return tree.map_structure(lambda t: t.shape, self.compute_output_spec(inputs))

    @property
    def _label(self) -> str:
        return f"{type(self).__name__} {self.name!r}"

    def _named(self, error: OxiconvError) -> OxiconvError:
        """The error with the layer's name before it, unless a layer within has put its own."""
        if not getattr(error, "layer", None):
            error.args = (f"{self._label}: {error}",)
            error.layer = self.name  # type: ignore[attr-defined]
        return error

    # Configuration.

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer.

        Raises:
            NotImplementedError: the class has constructor arguments that are no plain values, and no `get_config`.
        """
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        for cls in reversed(type(self).__mro__):
            for field in cls.__dict__.get("config_fields", ()):
                config[field] = _serialized(getattr(self, field))
        owner = next(cls for cls in type(self).__mro__ if "__init__" in cls.__dict__)
        ours = [f.__module__.startswith("oxiconv.") for f in (type(self).get_config, owner)]
        return self._recorded_config(config, owner) if ours == [True, False] else config

    def _recorded_config(self, base: dict[str, Any], owner: type) -> dict[str, Any]:
        """The arguments the layer was made with, and what else of `base` its constructor takes."""
        args, kwargs = self.__dict__["_arguments"]
        bound = inspect.signature(owner.__init__).bind(self, *args, **kwargs)  # type: ignore[misc]
        parameters = list(bound.signature.parameters.values())[1:]
        names = {p.name for p in parameters}
        open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
        config = {name: value for name, value in base.items() if open_ended or name in names}
        for parameter in parameters:
            if parameter.name in bound.arguments:
                value = bound.arguments[parameter.name]
                config.update(value if parameter.kind is parameter.VAR_KEYWORD else {parameter.name: value})
        plain = (bool, int, float, str, type(None))
        if any(not isinstance(leaf, plain) for leaf in tree.flatten(list(config.values()))):
            raise NotImplementedError(
                f"{self._label}: expected a class that defines get_config, for arguments {config}"
            )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A layer of a configuration."""
        return cls(**config)

    def get_build_config(self) -> dict[str, Any] | None:
        """What `build_from_config` needs: the shapes the layer was built for."""
        return None if self._build_shapes is None else {"input_shape": self._build_shapes}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the layer for the shapes of a configuration."""
        if config and not self.built:
            self.build(_map_shapes(tuple, config["input_shape"]))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _marking_built(build: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(build)
    def marked(self: Layer, *args: Any, **kwargs: Any) -> Any:
        result = build(self, *args, **kwargs)
        self.built = True
        if len(args) == 1 and not kwargs:
            self._build_shapes = args[0]
        elif kwargs and not args:
            self._build_shapes = kwargs.get("input_shape")
        return result

    return marked


@functools.cache
def _call_parameters(call: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the parameters of `call` after self; "**" if it takes any keyword."""
    parameters = list(inspect.signature(call).parameters.values())[1:]
    return tuple("**" if p.kind is p.VAR_KEYWORD else p.name for p in parameters)


def _as_value(x: Any) -> Any:
    """Arrays as tensors, real ones in float32; the rest unchanged."""
    return convert(x) if isinstance(x, (np.ndarray, np.generic)) or _is_foreign(x) else x


def _is_foreign(x: Any) -> bool:
    return hasattr(x, "__array__") and not isinstance(x, (Tensor, KerasTensor, Variable))


def _is_numbers(x: Any) -> bool:
    leaves = tree.flatten(x)
    return bool(leaves) and all(isinstance(leaf, (bool, int, float)) for leaf in leaves)


def _is_metric(x: Any) -> bool:
    return hasattr(x, "update_state") and hasattr(x, "variables")


def _shapes(x: Any) -> Any:
    return tree.map_structure(lambda t: tuple(ops.shape(t)) if t is not None else None, x)


def _map_shapes(function: Callable[[Any], Any], shapes: Any) -> Any:
    """`function` of each shape in a structure of shapes."""
    if isinstance(shapes, dict):
        return {key: _map_shapes(function, value) for key, value in shapes.items()}
    if all(n is None or isinstance(n, (int, np.integer)) for n in shapes):
        return function(shapes)
    return [_map_shapes(function, value) for value in shapes]


def _serialized(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str, list, tuple, dict)):
        return value
    from oxiconv import activations

    return activations.serialize(value)


def _unique(variables: list[Variable]) -> list[Variable]:
    return list({id(v): v for v in variables}.values())
