"""The layer: an operation with state."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from oxiconv import dtype_policies, masks, naming, ops, regularizers, trace, tree
from oxiconv.dtype import is_float, standardize_dtype
from oxiconv.layers import context
from oxiconv.layers.building import Building
from oxiconv.layers.call_signature import CallSignature, signature_of
from oxiconv.layers.configurable import map_shapes
from oxiconv.symbolic import KerasTensor, any_symbolic, infer
from oxiconv.tensor import OxiconvError, Tensor, convert
from oxiconv.variable import AutocastScope, StatelessScope, Variable


class Layer(Building):
    """A computation with weights. Subclasses define `call`, and `build` if they have weights.

    Weights and sublayers are found in attributes, also within lists, tuples and dicts. Output shapes need no code: they
    come from tracing `call`, unless the class defines `compute_output_shape`.

    Args:
        activity_regularizer: penalty on the outputs, divided by the batch size.
        trainable: whether training changes the weights.
        dtype: element type or `DTypePolicy`, by default `config.dtype_policy()`.
        autocast: whether real inputs are cast to the type the layer computes in.
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

    # Whether a mask of the inputs means something for the outputs; without it a mask ends here, with a warning.
    supports_masking: bool = False
    # Whether the layer is built when it is made, and has no build configuration.
    _nothing_to_build: bool = False
    # The tensor type that real inputs are cast to; None until the constructor has run.
    _input_type: str | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "compute_mask" in cls.__dict__ and "supports_masking" not in cls.__dict__:
            cls.supports_masking = True

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
        input_dim = kwargs.pop("input_dim", None)
        input_shape = kwargs.pop("input_shape", None if input_dim is None else (input_dim,))
        if kwargs:
            raise ValueError(f"{type(self).__name__}: unexpected arguments {', '.join(kwargs)}")
        super().__init__(name)
        if not isinstance(trainable, (bool, np.bool_)):
            raise ValueError(f"{self._label}: expected True or False as trainable, got {trainable!r}")
        self.autocast = bool(autocast)
        self.dtype_policy = dtype_policies.get(dtype)
        self.built = self._nothing_to_build and type(self).build is Layer.build
        self.input_spec: Any = None
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._weights: list[Variable] = []
        self._losses: list[Tensor] = []
        self._trainable = bool(trainable)
        self._build_shapes: dict[str, Any] | None = None
        self._path: str | None = None
        if input_shape is not None:
            self._declared_shape = tuple(input_shape)

    # Element types.

    @property
    def dtype_policy(self) -> dtype_policies.DTypePolicy:
        """The element types of computations and weights."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        self._dtype_policy = dtype_policies.get(value)
        self._input_type = standardize_dtype(self._policy.compute_dtype)

    @property
    def _policy(self) -> dtype_policies.DTypePolicy:
        policy = self._dtype_policy
        if isinstance(policy, dtype_policies.DTypePolicyMap):
            return policy[self.path or self.name] if "_path" in vars(self) else policy.default_policy
        return policy

    @property
    def dtype(self) -> str:
        """The element type of weights."""
        return self.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The element type of computations."""
        return self._policy.compute_dtype

    @property
    def variable_dtype(self) -> str:  # type: ignore[override]
        """The element type of weights."""
        return self._policy.variable_dtype

    @property
    def input_dtype(self) -> str:
        """The element type that real inputs are cast to."""
        return self.compute_dtype

    @property
    def quantization_mode(self) -> str | None:
        """None: the layer is not quantized."""
        return None

    # Losses.

    def add_loss(self, loss: Any) -> None:
        """Adds scalars to the losses of the call that is running."""
        active = trace.current()
        if active is None or not active.symbolic:
            self._losses.extend(convert(value, "float32") for value in tree.flatten(loss) if value is not None)
            context.with_losses.add(self)

    @property
    def losses(self) -> list[Tensor]:
        """Scalars of `add_loss` and activity regularizers in the last call, then of weight regularizers."""
        tracing = trace.current() is not None
        found = [loss for layer in self._flatten_layers() for loss in layer._losses if tracing or not loss.traced]
        weights = self.trainable_weights
        return found + [v.regularizer(v.value) for v in weights if v.regularizer is not None]

    def _clear_losses(self) -> None:
        if context.with_losses:
            for layer in self._flatten_layers():
                layer._losses.clear()
                context.with_losses.discard(layer)

    # Calls.

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation. Subclasses define it."""
        raise NotImplementedError(f"{self._label}: expected a class that defines call")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the layer on tensors or arrays, or on symbolic tensors to make a node of a model."""
        if self._input_type is None:
            raise RuntimeError(
                f"{type(self).__name__}: call super().__init__() in the constructor before the layer is used"
            )
        symbolic = False
        given = args, kwargs
        if kwargs or len(args) != 1 or type(args[0]) is not Tensor or args[0].dtype != self._input_type:
            given = args, kwargs = tree.map_structure(_as_value, (_numbers_as_tensors(args), kwargs))
            symbolic = any_symbolic(args) or any_symbolic(kwargs.values())
            args, kwargs = tree.map_structure(self._cast, (args, kwargs))
        call = signature_of(type(self).call)
        calls, scopes = context.calls, naming.scopes.open
        outer = calls.training
        if calls.depth == 0:
            self._clear_losses()
        calls.depth += 1
        scopes.append(self)
        try:
            self._prepare(call, args, kwargs)
            kwargs = self._with_training(call, args, kwargs)
            first = args[0] if args else next(iter(kwargs.values()), None)
            previous = self._find_masks(call, args, kwargs, first)
            outputs = self._symbolic_outputs(args, kwargs) if symbolic else self._invoke(*args, **kwargs)
            self.built = True
            if previous is not None or self._makes_masks:
                self._hang_masks(first, outputs, previous)
        except OxiconvError as error:
            raise self._named(error) from None
        finally:
            calls.training = outer
            calls.depth -= 1
            scopes.pop()
        return self.record(*given, outputs) if symbolic else outputs

    def _cast(self, x: Any) -> Any:
        """A real tensor in the layer's input type, with its mask; anything else as it is."""
        if not self.autocast or not isinstance(x, Tensor) or x.dtype == self._input_type or not is_float(x.dtype):
            return x
        y = ops.cast(x, self._input_type)
        mask = masks.get_keras_mask(x)
        if mask is not None:
            masks.set_keras_mask(y, mask)
        return y

    def _with_training(self, call: CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The keyword arguments with `training`: as given, else of the enclosing call, else the default of `call`."""
        place = call.training
        value = kwargs.get("training")
        if value is None and place is not None and len(args) > place:
            value = args[place]
        elif value is None:
            value = context.calls.training
            if value is None:
                value = call.defaults.get("training")
            if value is not None and place is not None:
                kwargs = {**kwargs, "training": value}
        if not call.takes_training and "training" in kwargs:
            kwargs = {name: v for name, v in kwargs.items() if name != "training"}
        context.calls.training = value
        return kwargs

    def _invoke(self, *args: Any, **kwargs: Any) -> Any:
        """`call`, with what belongs to it: weights in the type of the computation, and the activity regularizer."""
        policy = self._policy
        if policy.compute_dtype != policy.variable_dtype or AutocastScope.active():
            with AutocastScope(policy.compute_dtype if self.autocast and is_float(policy.compute_dtype) else None):
                outputs = self.call(*args, **kwargs)
        else:
            outputs = self.call(*args, **kwargs)
        if self.activity_regularizer is not None:
            for output in tree.flatten(outputs):
                penalty = self.activity_regularizer(output)
                self.add_loss(penalty / float(max(output.shape[0], 1)) if output.ndim else penalty)
        return outputs

    def _cast_and_invoke(self, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = tree.map_structure(self._cast, (args, kwargs))
        return self._invoke(*args, **kwargs)

    # Masks.

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the outputs, of the inputs and their mask: by default that mask."""
        return previous_mask

    @property
    def _makes_masks(self) -> bool:
        """Whether outputs may have a mask although the inputs have none."""
        return type(self).compute_mask is not Layer.compute_mask

    def _find_masks(self, call: CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any], first: Any) -> Any:
        """Puts the masks of tensors into `kwargs` if `call` takes them; the mask of the first input, None without."""
        if call.takes_masks:
            tensors = call.tensors(args, kwargs)
            given = call.bind(args, kwargs)
            for name, value in tensors.items():
                wanted = "mask" if len(tensors) == 1 else f"{name}_mask"
                if wanted in call.names and given.get(wanted) is None:
                    found = masks.masks_of(value)
                    if masks.any_mask(found):
                        kwargs[wanted] = found
        explicit = kwargs.get("mask")
        previous = masks.masks_of(first) if explicit is None else explicit
        return previous if masks.any_mask(previous) else None

    def _hang_masks(self, inputs: Any, outputs: Any, previous: Any) -> None:
        if not self.supports_masking:
            if previous is not None:
                warnings.warn(
                    f"{self._label}: the inputs have a mask, which this layer does not support: it ends here.",
                    stacklevel=3,
                )
        elif any(masks.get_keras_mask(output) is None for output in tree.flatten(outputs)):
            if previous is None and tree.is_nested(inputs):
                previous = tree.map_structure(lambda _: None, inputs)
            found = self.compute_mask(inputs, previous)
            if found is not None:
                masks.hang(outputs, found)

    # Shapes.

    def _symbolic_outputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        method = type(self).compute_output_shape
        if method is Layer.compute_output_shape:
            return infer(self._cast_and_invoke, args, kwargs)
        call = signature_of(type(self).call)
        shapes = self.compute_output_shape(**self._shapes_for(self.compute_output_shape, call, args, kwargs))
        if any(not layer.built for layer in self._flatten_layers(include_self=False)):
            infer(self._cast_and_invoke, args, kwargs)  # for the weights alone
        if not isinstance(shapes, (list, tuple, dict)):
            raise ValueError(f"{self._label}: compute_output_shape: expected a shape, got {shapes!r}")
        return map_shapes(lambda shape: KerasTensor(shape, self.compute_dtype), shapes)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs for symbolic inputs, without making a node."""
        call = signature_of(type(self).call)
        with naming.name_scope(self.name, caller=self):
            self._prepare(call, args, kwargs)
            outputs = self._symbolic_outputs(args, kwargs)
        self.built = True
        return outputs

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shape of the outputs for inputs of a shape: `compute_output_shape(input_shape)`."""
        call = signature_of(type(self).call)
        given = {call.names[0]: args[0]} if args else {k.removesuffix("_shape"): v for k, v in kwargs.items()}
        if "input_shape" in kwargs and "input" not in call.names:
            given = {call.names[0]: kwargs["input_shape"]}
        inputs = {k: map_shapes(lambda shape: KerasTensor(shape, self.compute_dtype), v) for k, v in given.items()}
        return tree.map_structure(lambda t: t.shape, self.compute_output_spec(**inputs))

    # Purely functional use.

    def stateless_call(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Calls the layer with given values of its variables, changing none.

        Args:
            trainable_variables: values, in the order of the layer's `trainable_variables`.
            non_trainable_variables: values, in the order of the layer's `non_trainable_variables`.
            *args: of the call.
            return_losses: whether to return the losses, too.
            **kwargs: of the call.

        Returns:
            The outputs and the values of the non-trainable variables afterwards, and the losses if asked for.

        Example:
            >>> import oxiconv
            >>> layer = oxiconv.layers.Dense(1, use_bias=False)
            >>> layer.build((None, 2))
            >>> outputs, _ = layer.stateless_call([[[2.0], [3.0]]], [], [[1.0, 1.0]])
            >>> outputs.numpy().tolist()
            [[5.0]]
        """
        if not self.built:
            raise ValueError(f"{self._label}: stateless_call: expected a built layer, got one without weights yet")
        pairs: list[tuple[Variable, Any]] = []
        for what, variables, values in (
            ("trainable_variables", self.trainable_variables, trainable_variables),
            ("non_trainable_variables", self.non_trainable_variables, non_trainable_variables),
        ):
            if len(variables) != len(values):
                raise ValueError(f"{self._label}: stateless_call: expected {len(variables)} {what}, got {len(values)}")
            pairs += zip(variables, values, strict=True)
        with StatelessScope(pairs) as scope:
            outputs = self(*args, **kwargs)
            losses = list(self.losses) if return_losses else []
        after = [scope.get_current_value(v) for v in self.non_trainable_variables]
        return (outputs, after, losses) if return_losses else (outputs, after)

    def _named(self, error: OxiconvError) -> OxiconvError:
        """The error with the layer's name before it, unless a layer within has put its own."""
        if not getattr(error, "layer", None):
            if not str(error).startswith(f"{self._label}: "):
                error.args = (f"{self._label}: {error}",)
            error.layer = self.name  # type: ignore[attr-defined]
        return error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _as_value(x: Any) -> Any:
    """Arrays and variables as tensors, real ones in float32; the rest unchanged."""
    if isinstance(x, Variable):
        return x.value
    return convert(x) if isinstance(x, (np.ndarray, np.generic)) or _is_foreign(x) else x


def _is_foreign(x: Any) -> bool:
    return hasattr(x, "__array__") and not isinstance(x, (Tensor, KerasTensor))


def _numbers_as_tensors(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments, the first as a tensor if it is numbers in lists."""
    if args and isinstance(args[0], (list, tuple)):
        leaves = tree.flatten(args[0])
        if leaves and all(isinstance(leaf, (bool, int, float)) for leaf in leaves):
            return (convert(args[0], "float32"), *args[1:])
    return args
