"""Attention without heads, multiplicative and additive."""

from __future__ import annotations

from typing import Any, ClassVar

from oxiconv import ops, random
from oxiconv.layers.layer import Layer
from oxiconv.ops.attention import causal_mask
from oxiconv.random.seed import SeedGenerator
from oxiconv.symbolic import infer
from oxiconv.tensor import ShapeError

# Subtracted from the scores that a mask hides.
_HIDDEN = 1e9


class Attention(Layer):
    """Means of values, weighted by the softmax of query-key products (Luong et al. 2015).

    Args:
        use_scale: whether a learned number multiplies the scores.
        score_mode: "dot", or "concat": the sum of `tanh(query + key)`.
        dropout: share of the weights set to 0 in training.
        seed: of the dropout.
        **kwargs: those of `Layer`.

    Call arguments: `inputs`, `[query, value]` or `[query, value, key]` of shapes `[n, queries, size]` and
    `[n, keys, size]` (key: the value by default); `mask`, a list of masks of query and value; `training`;
    `return_attention_scores`; `use_causal_mask`.

    Example:
        >>> import numpy as np
        >>> query, value = np.zeros((2, 4, 3)), np.zeros((2, 6, 3))
        >>> outputs, scores = Attention()([query, value], return_attention_scores=True)
        >>> outputs.shape, scores.shape
        ((2, 4, 3), (2, 4, 6))
    """

    supports_masking = True
    config_fields: ClassVar[tuple[str, ...]] = ("use_scale", "score_mode", "dropout", "seed")

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(f"{self._label}: expected score_mode 'dot' or 'concat', got {score_mode!r}")
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = dropout
        self.seed = seed
        if dropout > 0:
            self.seed_generator = SeedGenerator(seed)
        self.scale: Any = None
        self.concat_score_weight: Any = None

    def build(self, input_shape: Any) -> None:
        """Makes the scale, and the weight of concatenated scores."""
        self._check(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def _check(self, inputs: Any, mask: Any = None) -> None:
        for what, given in (("inputs", inputs), ("mask", mask)):
            if given is not None and (not isinstance(given, (list, tuple)) or len(given) not in (2, 3)):
                raise ShapeError(f"{self._label}: expected {what} in a list [query, value] or [query, value, key]")

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.swapaxes(key, -2, -1))
            return scores if self.scale is None else ops.multiply(scores, self.scale)
        both = ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3))
        scaled = both if self.scale is None else ops.multiply(both, self.scale)
        return ops.multiply(self.concat_score_weight, ops.sum(ops.tanh(scaled), axis=-1))

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """The weighted means, and the weights if asked for."""
        self._check(inputs, mask)
        query, value = inputs[0], inputs[1]
        key = inputs[2] if len(inputs) > 2 else value
        query_mask, value_mask = (mask[0], mask[1]) if mask is not None else (None, None)
        scores = self._calculate_scores(query, key)
        seen = None
        if value_mask is not None:
            seen = ops.expand_dims(ops.cast(value_mask, "bool"), -2)
        if use_causal_mask:
            causal = causal_mask(*scores.shape[-2:])
            seen = causal if seen is None else ops.logical_and(seen, causal)
        if seen is not None:
            scores = ops.where(seen, scores, ops.subtract(scores, _HIDDEN))
        weights = ops.softmax(scores)
        if training and self.dropout > 0:
            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        outputs = ops.matmul(weights, value)
        if query_mask is not None:
            outputs = ops.where(ops.expand_dims(ops.cast(query_mask, "bool"), -1), outputs, 0)
        return (outputs, weights) if return_attention_scores else outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the query."""
        return None if mask is None else mask[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The query's shape with the value's last size."""
        return (*input_shape[0][:-1], input_shape[1][-1])

    def _symbolic_outputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return infer(self._cast_and_invoke, args, kwargs)  # the weights, too, if they are asked for


class AdditiveAttention(Attention):
    """Means of values, weighted by the softmax of `sum(scale * tanh(query + key))` (Bahdanau et al. 2015).

    Args:
        use_scale: whether there is a learned scale for each feature.
        dropout: share of the weights set to 0 in training.
        **kwargs: those of `Attention` and `Layer`.

    Call arguments: see `Attention`.

    Example:
        >>> import numpy as np
        >>> AdditiveAttention()([np.zeros((2, 4, 3)), np.zeros((2, 6, 3))]).shape
        (2, 4, 3)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        """Makes the scale `[size]`."""
        self._check(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((input_shape[0][-1],), "glorot_uniform", name="scale")

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        both = ops.tanh(ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3)))
        return ops.sum(both if self.scale is None else ops.multiply(self.scale, both), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        config = super().get_config()
        del config["score_mode"]
        return config
