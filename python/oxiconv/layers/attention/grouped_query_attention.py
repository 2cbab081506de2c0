"""Attention whose heads share keys and values."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from oxiconv import ops
from oxiconv.layers.attention.multi_head_attention import HeadedAttention
from oxiconv.ops.convolution import positive


class GroupedQueryAttention(HeadedAttention):
    """Attention with several heads, of which groups share the keys and values (Ainslie et al. 2023).

    Args:
        head_dim: size of queries, keys and values in each head.
        num_query_heads: number of heads.
        num_key_value_heads: number of groups, which divides the number of heads.
        dropout: share of the weights set to 0 in training.
        use_bias: whether projections have a bias.
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

    Call arguments: see `MultiHeadAttention`; tensors are `[n, time, features]`.

    Example:
        >>> import numpy as np
        >>> x = np.zeros((2, 5, 8))
        >>> GroupedQueryAttention(head_dim=4, num_query_heads=4, num_key_value_heads=2)(x, x).shape
        (2, 5, 8)
    """

    config_fields: ClassVar[tuple[str, ...]] = ("head_dim", "num_query_heads", "num_key_value_heads")

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
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
        self.head_dim = positive(head_dim, self._label, "head_dim")
        self.num_query_heads = positive(num_query_heads, self._label, "num_query_heads")
        self.num_key_value_heads = positive(num_key_value_heads, self._label, "num_key_value_heads")
        if self.num_query_heads % self.num_key_value_heads:
            raise ValueError(
                f"{self._label}: expected num_query_heads to be a multiple of {num_key_value_heads}, got "
                f"{num_query_heads}"
            )
        self._scale = 1.0 / math.sqrt(self.head_dim)

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        """Makes the projections of query, key and value `[features, heads, size]`, and of the result."""
        queries = (self.num_query_heads, self.head_dim)
        keys = (self.num_key_value_heads, self.head_dim)
        self._query_dense = self._project("query", "bqm,muh->bquh", queries, query_shape)
        self._key_dense = self._project("key", "bkm,mvh->bkvh", keys, value_shape if key_shape is None else key_shape)
        if self.use_gate:
            self._gate_dense = self._project("gate", "bqm,muh->bquh", queries, query_shape, "sigmoid")
        self._value_dense = self._project("value", "bkm,mvh->bkvh", keys, value_shape)
        last = query_shape[-1]
        self._output_dense = self._project("attention_output", "bquh,uhm->bqm", (last,), (None, None, *queries))

    def _compute_attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        training: Any = None,
        return_attention_scores: bool = False,
    ) -> tuple[Any, Any]:
        if self.dropout == 0 and not return_attention_scores:
            return self._fused(query, key, value, attention_mask, self._scale), None
        repeats = self.num_query_heads // self.num_key_value_heads
        key, value = ops.repeat(key, repeats, axis=2), ops.repeat(value, repeats, axis=2)
        scaled = ops.multiply(query, self._scale)
        equations = ("bquh,bkuh->buqk", "buqk,bkuh->bquh")
        return self._attend(scaled, key, value, attention_mask, training, equations, 1)

    def compute_output_shape(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> Any:
        """The shape of the query."""
        return tuple(query_shape)
