"""Attention with several heads."""

from __future__ import annotations

import math
import string
from typing import Any, ClassVar

from oxiconv import constraints, initializers, ops, regularizers
from oxiconv.layers.einsum_dense import EinsumDense
from oxiconv.layers.layer import Layer
from oxiconv.layers.regularization import Dropout
from oxiconv.ops.attention import causal_mask, masked_softmax, window_mask
from oxiconv.ops.convolution import positive
from oxiconv.symbolic import infer
from oxiconv.tensor import ShapeError


class HeadedAttention(Layer):
    """What layers of attention with heads share: projections, masks and the order of a call."""

    supports_masking = True
    config_fields: ClassVar[tuple[str, ...]] = (
        "dropout",
        "use_bias",
        "use_gate",
        "sliding_window",
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "kernel_constraint",
        "bias_constraint",
        "seed",
    )

    _query_dense: EinsumDense
    _key_dense: EinsumDense
    _gate_dense: EinsumDense
    _value_dense: EinsumDense
    _output_dense: EinsumDense

    def __init__(
        self,
        *,
        dropout: float,
        use_bias: bool,
        sliding_window: int | None,
        flash_attention: bool | None,
        kernel_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        bias_regularizer: Any,
        activity_regularizer: Any,
        kernel_constraint: Any,
        bias_constraint: Any,
        use_gate: bool,
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if flash_attention:
            raise ValueError(f"{self._label}: flash_attention is absent; leave it None")
        self.dropout = dropout
        self.use_bias = use_bias
        self.use_gate = use_gate
        if sliding_window is not None:
            sliding_window = positive(sliding_window, self._label, "sliding_window")
        self.sliding_window = sliding_window
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        # As in Keras, of the projections rather than of this layer.
        self._projection_regularizer = regularizers.get(activity_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.seed = seed
        self._dropout_layer = Dropout(dropout, seed=seed, dtype=self.dtype)

    def _project(
        self, name: str, equation: str, sizes: tuple[int, ...], shape: Any, activation: Any = None
    ) -> EinsumDense:
        """A built projection whose result ends with `sizes`, and begins with the batch and unknown sizes."""
        letters = equation.partition("->")[2]
        dense = EinsumDense(
            equation,
            (None,) * (len(letters) - 1 - len(sizes)) + sizes,
            activation=activation,
            bias_axes=letters[len(letters) - len(sizes) :] if self.use_bias else None,
            # Copies: an initializer object without a seed gives the same values each time.
            kernel_initializer=type(self.kernel_initializer).from_config(self.kernel_initializer.get_config()),
            bias_initializer=type(self.bias_initializer).from_config(self.bias_initializer.get_config()),
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            activity_regularizer=self._projection_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            dtype=self.dtype_policy,
            name=name,
        )
        dense.build(tuple(shape))
        return dense

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """The projected means, and the weights if asked for."""
        # The masks are dealt with here; the projections are given the tensors without.
        query, value, key = (ops.reshape(x, x.shape) for x in (query, value, value if key is None else key))
        mask = self._compute_attention_mask(
            query,
            value,
            query_mask=query_mask,
            value_mask=value_mask,
            key_mask=key_mask,
            attention_mask=attention_mask,
            use_causal_mask=use_causal_mask,
        )
        gate = self._gate_dense(query) if self.use_gate else None
        query, key, value = self._query_dense(query), self._key_dense(key), self._value_dense(value)
        outputs, scores = self._compute_attention(query, key, value, mask, training, return_attention_scores)
        outputs = self._output_dense(outputs if gate is None else ops.multiply(outputs, gate))
        return (outputs, scores) if return_attention_scores else outputs

    def _compute_attention_mask(
        self,
        query: Any,
        value: Any,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """Which keys a query sees, `[n, queries, keys]`, of all that limits it; None if nothing does."""
        parts = []
        if query_mask is not None:
            parts.append(ops.expand_dims(ops.cast(query_mask, "bool"), -1))
        for mask in (value_mask, key_mask):
            if mask is not None:
                parts.append(ops.expand_dims(ops.cast(mask, "bool"), -2))
        queries, keys = query.shape[1], value.shape[1]
        if use_causal_mask:
            parts.append(ops.expand_dims(causal_mask(queries, keys), 0))
        if self.sliding_window is not None:
            parts.append(ops.expand_dims(window_mask(queries, keys, self.sliding_window), 0))
        if attention_mask is not None:
            parts.append(ops.cast(attention_mask, "bool"))
        seen = None
        for part in parts:
            seen = part if seen is None else ops.logical_and(seen, part)
        return seen

    def _compute_attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        training: Any = None,
        return_attention_scores: bool = False,
    ) -> tuple[Any, Any]:
        """The weighted means of projected values for each head, and the weights. Subclasses may override it."""
        raise NotImplementedError(f"{self._label}: expected a class that defines _compute_attention")

    def _attend(
        self, query: Any, key: Any, value: Any, mask: Any, training: Any, equations: tuple[str, str], axes: int
    ) -> tuple[Any, Any]:
        """Scores, softmax over the last `axes` of them, dropout, means."""
        scores = ops.einsum(equations[0], query, key)
        if mask is not None:
            for _ in range(scores.ndim - mask.ndim):  # no axis for heads
                mask = ops.expand_dims(mask, -2 * axes - 1)
        scores = masked_softmax(scores, mask, list(range(-axes, 0)))
        weights = self._dropout_layer(scores, training=training) if self.dropout > 0 else scores
        return ops.einsum(equations[1], weights, value), scores

    def _fused(self, query: Any, key: Any, value: Any, mask: Any, scale: float) -> Any:
        """The means without their weights. In Keras, too, a query that sees no key is treated otherwise here."""
        if mask is not None and mask.ndim == 3:
            mask = ops.expand_dims(mask, 1)
        return ops.dot_product_attention(query, key, value, mask=mask, scale=scale)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        config = super().get_config()
        if self._projection_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self._projection_regularizer)
        return config

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the query."""
        return previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask

    def _symbolic_outputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return infer(self._cast_and_invoke, args, kwargs)  # the weights, too, if they are asked for


class MultiHeadAttention(HeadedAttention):
    """Attention with several heads over any axes (Vaswani et al. 2017).

    Args:
        num_heads: number of heads.
        key_dim: size of queries and keys in each head.
        value_dim: size of values in each head; by default `key_dim`.
        dropout: share of the weights set to 0 in training.
        use_bias: whether projections have a bias.
        output_shape: sizes of the result's last axes; by default the query's last size.
        attention_axes: axes to attend over; by default all between batch and features.
        sliding_window: a query sees keys less than this many places away; None for all.
        flash_attention: None or False: there is one kernel.
        kernel_initializer: of the projections.
        bias_initializer: of their biases.
        kernel_regularizer: penalty on the projections.
        bias_regularizer: penalty on their biases.
        activity_regularizer: penalty on the projections' results.
        kernel_constraint: applied to the projections after each step.
        bias_constraint: applied to their biases after each step.
        use_gate: whether a sigmoid of another projection of the query multiplies the means.
        seed: of the dropout.
        **kwargs: those of `Layer`.

    Call arguments: `query` `[n, .., size]`, `value`, `key` (the value by default), `query_mask`, `value_mask`,
    `key_mask` (`[n, keys]`), `attention_mask` (`[n, queries, keys]`), `return_attention_scores`, `training`,
    `use_causal_mask`.

    Example:
        >>> import numpy as np
        >>> layer = MultiHeadAttention(num_heads=2, key_dim=3)
        >>> x = np.zeros((2, 5, 8))
        >>> layer(x, x, use_causal_mask=True).shape, layer.count_params()
        ((2, 5, 8), 218)
    """

    config_fields: ClassVar[tuple[str, ...]] = ("num_heads", "key_dim", "value_dim", "attention_axes")

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            dropout=dropout,
            use_bias=use_bias,
            sliding_window=sliding_window,
            flash_attention=flash_attention,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            use_gate=use_gate,
            seed=seed,
            **kwargs,
        )
        self.num_heads = positive(num_heads, self._label, "num_heads")
        self.key_dim = positive(key_dim, self._label, "key_dim")
        self.value_dim = self.key_dim if value_dim is None else positive(value_dim, self._label, "value_dim")
        if not output_shape:
            self._output_shape = None
        else:
            self._output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        self.attention_axes = None if axes is None else tuple(axes)
        self._scale = 1.0 / math.sqrt(self.key_dim)

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        """Makes the projections of query, key and value `[features, heads, size]`, and of the result."""
        key_shape = value_shape if key_shape is None else key_shape
        self._check_shapes(value_shape, key_shape)
        size = (self.num_heads, self.key_dim)

        def project(name: str, shape: Any, sizes: tuple[int, ...], activation: Any = None) -> EinsumDense:
            free = string.ascii_lowercase[: len(shape) - 1]
            return self._project(name, f"{free}x,xyz->{free}yz", sizes, shape, activation)

        values = (self.num_heads, self.value_dim)
        self._query_dense = project("query", query_shape, size)
        self._key_dense = project("key", key_shape, size)
        if self.use_gate:
            self._gate_dense = project("gate", query_shape, values, "sigmoid")
        self._value_dense = project("value", value_shape, values)
        rank = len(query_shape)
        if self.attention_axes is None:
            self.attention_axes = tuple(range(1, rank - 1))
        self.attention_axes = tuple(a + rank * (a < 0) for a in self.attention_axes)
        free = string.ascii_lowercase[: rank - 1]
        out = self._output_shape or (query_shape[-1],)
        last = string.ascii_uppercase[: len(out)]
        self._output_dense = self._project(
            "attention_output", f"{free}yz,yz{last}->{free}{last}", out, (*query_shape[:-1], *values)
        )

    def _check_shapes(self, value_shape: Any, key_shape: Any) -> None:
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ShapeError(
                f"{self._label}: expected value and key of one shape but for the last axis, got {tuple(value_shape)} "
                f"and {tuple(key_shape)}"
            )

    def _equations(self, rank: int) -> tuple[str, str]:
        """For projected tensors `[batch, .., heads, size]`: scores from queries and keys, and means from values.

        Scores have the axes that are not attended over, then the attended ones of the query, then those of the key.
        """
        query = string.ascii_lowercase[:rank]
        key = "".join(c.upper() if a in self.attention_axes else c for a, c in enumerate(query))  # type: ignore[operator]
        kept = "".join(c for a, c in enumerate(query[:-1]) if a not in self.attention_axes)  # type: ignore[operator]
        scores = kept + "".join(query[a] for a in self.attention_axes) + "".join(key[a] for a in self.attention_axes)  # type: ignore[union-attr]
        return f"{query},{key}->{scores}", f"{scores},{key}->{query}"

    def _compute_attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        training: Any = None,
        return_attention_scores: bool = False,
    ) -> tuple[Any, Any]:
        if query.ndim == 4 and self.attention_axes == (1,) and self.dropout == 0 and not return_attention_scores:
            return self._fused(query, key, value, attention_mask, self._scale), None
        scaled = ops.multiply(query, self._scale)
        axes = len(self.attention_axes or ())
        return self._attend(scaled, key, value, attention_mask, training, self._equations(query.ndim), axes)

    def compute_output_shape(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> Any:
        """The shape of the query, with `output_shape` for the last size."""
        self._check_shapes(value_shape, value_shape if key_shape is None else key_shape)
        return (*query_shape[:-1], *(self._output_shape or (query_shape[-1],)))

    query_dense = property(lambda self: self._query_dense, doc="The projection of the query.")
    key_dense = property(lambda self: self._key_dense, doc="The projection of the key.")
    value_dense = property(lambda self: self._value_dense, doc="The projection of the value.")
    output_dense = property(lambda self: self._output_dense, doc="The projection of the means.")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {**super().get_config(), "output_shape": self._output_shape}
