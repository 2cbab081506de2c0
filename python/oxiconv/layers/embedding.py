"""Vectors for integers."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from oxiconv import constraints, initializers, ops, regularizers
from oxiconv.layers.layer import Layer
from oxiconv.ops.convolution import positive
from oxiconv.tensor import Tensor


class Embedding(Layer):
    """The rows of a table at integer inputs: `[..]` to `[.., output_dim]`.

    Args:
        input_dim: number of rows; inputs are from 0 to `input_dim - 1`.
        output_dim: size of a row.
        embeddings_initializer: of the table.
        embeddings_regularizer: penalty on the table.
        embeddings_constraint: applied to the table after each step.
        mask_zero: whether 0 stands for no value, and is masked for later layers.
        weights: first value of the table.
        lora_rank: rank of a low-rank update that is trained instead of the table.
        lora_alpha: scale of that update, times the rank; by default the rank.
        **kwargs: those of `Layer`.

    Example:
        >>> layer = Embedding(10, 3, mask_zero=True)
        >>> layer([[1, 2, 0]]).shape
        (1, 3, 3)
    """

    config_fields: ClassVar[tuple[str, ...]] = (
        "input_dim",
        "output_dim",
        "embeddings_initializer",
        "embeddings_regularizer",
        "embeddings_constraint",
        "mask_zero",
    )

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.pop("input_length", None) is not None:
            warnings.warn("Embedding: input_length is not needed, and ignored.", stacklevel=2)
        if quantization_config is not None:
            raise NotImplementedError("Embedding: quantized tables are absent; leave quantization_config=None")
        super().__init__(**kwargs)
        self.input_dim = positive(input_dim, self._label, "input_dim")
        self.output_dim = positive(output_dim, self._label, "output_dim")
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self.autocast = False  # integers in a float32 tensor stay exact in a mixed-precision model, too
        self.lora_rank: Any = lora_rank
        self.lora_alpha: Any = lora_alpha if lora_alpha is not None else lora_rank
        self.lora_enabled = False
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1 else [weights])

    def build(self, input_shape: Any = None) -> None:
        """Makes the table `[input_dim, output_dim]`."""
        if self.built:
            return
        self._embeddings = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
            name="embeddings",
        )
        self.built = True
        if self.lora_rank:
            self.enable_lora(self.lora_rank)

    @property
    def embeddings(self) -> Any:
        """The table, with its low-rank update."""
        if not self.built:
            raise AttributeError(f"{self._label}: embeddings: expected a built layer, got one without weights yet")
        if not self.lora_enabled:
            return self._embeddings
        update = ops.matmul(self.lora_embeddings_a, self.lora_embeddings_b)
        return ops.add(self._embeddings, ops.multiply(update, self.lora_alpha / self.lora_rank))

    def call(self, inputs: Any) -> Tensor:
        """The rows."""
        return ops.take(self.embeddings, ops.cast(inputs, "int32"), axis=0)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Which inputs are not 0; None unless `mask_zero`."""
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the inputs, and `output_dim`."""
        return (*input_shape, self.output_dim)

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freezes the table and trains `alpha / rank * a @ b`, added to it (Hu et al. 2021)."""
        if self.embeddings_constraint is not None:
            raise ValueError(f"{self._label}: enable_lora: expected no embeddings_constraint")
        if not self.built or self.lora_enabled:
            raise ValueError(f"{self._label}: enable_lora: expected a built layer without a low-rank update")
        regularizer = self.embeddings_regularizer
        self.lora_embeddings_a = self.add_weight(
            (self.input_dim, rank), a_initializer, regularizer=regularizer, name="lora_embeddings_a"
        )
        self.lora_embeddings_b = self.add_weight(
            (rank, self.output_dim), b_initializer, regularizer=regularizer, name="lora_embeddings_b"
        )
        self._embeddings.trainable = False
        self.lora_enabled = True
        self.lora_rank = rank
        self.lora_alpha = lora_alpha if lora_alpha is not None else rank

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        config = {"activity_regularizer": None, **super().get_config(), "quantization_config": None}
        if self.lora_rank:
            config.update(lora_rank=self.lora_rank, lora_alpha=self.lora_alpha)
        return config
