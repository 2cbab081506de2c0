"""Masks: where they come from, through which layers they pass, and which get them as arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import oxiconv
from oxiconv import layers, masks, ops

DATA = np.array([[1.0, 2.0, 0.0], [3.0, 0.0, 0.0]], np.float32)
MASK = DATA != 0


class NonZero(layers.Layer):
    """Makes a mask: where the input is not zero."""

    def call(self, x: Any) -> Any:
        return x * 1.0

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0.0)


class MaskedSum(layers.Layer):
    """Takes a mask and adds up where it is true; the mask ends here."""

    def call(self, x: Any, mask: Any = None) -> Any:
        return ops.sum(x if mask is None else ops.where(mask, x, 0.0), axis=-1, keepdims=True)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None


class Pair(layers.Layer):
    """Takes the masks of two arguments."""

    supports_masking = True

    def call(self, a: Any, b: Any, a_mask: Any = None, b_mask: Any = None) -> Any:
        return ops.cast(a_mask, "float32") + 10.0 * (0.0 if b_mask is None else ops.cast(b_mask, "float32"))


def test_a_mask_travels_with_its_tensor() -> None:
    x = NonZero()(DATA)
    np.testing.assert_array_equal(x._keras_mask, MASK)
    # `x + 1` is 1 where the mask is false: a sum that took it in would be larger.
    plain = layers.Activation("relu")(x)
    np.testing.assert_array_equal(masks.get_keras_mask(plain), MASK)
    plus = layers.Rescaling(1.0, 1.0)(plain)
    np.testing.assert_array_equal(MaskedSum()(plus), np.where(MASK, DATA + 1, 0).sum(-1, keepdims=True))
    np.testing.assert_array_equal(MaskedSum()(np.array(plus)), (DATA + 1).sum(-1, keepdims=True))
    assert masks.get_keras_mask(MaskedSum()(plus)) is None


def test_an_argument_wins_over_the_tensors_mask() -> None:
    x = NonZero()(DATA)
    np.testing.assert_array_equal(MaskedSum()(x, mask=np.array([[True, False, False]] * 2)), [[1.0], [3.0]])


@pytest.mark.parametrize("nested", [False, True])
def test_masks_in_functional_models(nested: bool) -> None:
    """Symbolic, eager, and compiled; through a nested model, whose outputs have the mask of its last layer."""
    inputs = oxiconv.Input((3,))
    if nested:
        inner_in = oxiconv.Input((3,))
        inner = oxiconv.Model(inner_in, layers.Rescaling(1.0, 1.0)(NonZero()(inner_in)))
        x = inner(inputs)
    else:
        x = layers.Rescaling(1.0, 1.0)(NonZero()(inputs))
    assert x._keras_mask.shape == (None, 3)
    assert x._keras_mask.dtype == "bool"
    model = oxiconv.Model(inputs, [MaskedSum()(x), x])
    wanted = np.where(MASK, DATA + 1, 0).sum(-1, keepdims=True)
    sums, passed = model(DATA)
    np.testing.assert_array_equal(sums, wanted)
    np.testing.assert_array_equal(passed._keras_mask, MASK)
    np.testing.assert_array_equal(model.predict(DATA, verbose=0)[0], wanted)


def test_a_model_passes_the_mask_of_its_inputs_on() -> None:
    inputs = oxiconv.Input((3,))
    model = oxiconv.Model(inputs, MaskedSum()(layers.Rescaling(1.0, 1.0)(inputs)))
    np.testing.assert_array_equal(model(DATA, mask=MASK), np.where(MASK, DATA + 1, 0).sum(-1, keepdims=True))
    np.testing.assert_array_equal(model(NonZero()(DATA)), np.where(MASK, DATA + 1, 0).sum(-1, keepdims=True))
    np.testing.assert_array_equal(model(DATA), (DATA + 1).sum(-1, keepdims=True))
    chain = oxiconv.Sequential([NonZero(), layers.Rescaling(1.0, 1.0), MaskedSum()])
    np.testing.assert_array_equal(chain(DATA), np.where(MASK, DATA + 1, 0).sum(-1, keepdims=True))


def test_several_arguments_get_their_own_masks() -> None:
    np.testing.assert_array_equal(Pair()(NonZero()(DATA), DATA), MASK * 1.0)
    np.testing.assert_array_equal(Pair()(NonZero()(DATA), b=NonZero()(DATA)), MASK * 11.0)


def test_a_layer_without_masks_says_that_it_ends_them() -> None:
    class Plain(layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2.0

    with pytest.warns(UserWarning, match="a mask, which this layer does not support"):
        assert masks.get_keras_mask(Plain(name="plain")(NonZero()(DATA))) is None
    supporting = Plain()
    supporting.supports_masking = True
    np.testing.assert_array_equal(supporting(NonZero()(DATA))._keras_mask, MASK)
