"""Activation functions by name; their values and gradients are rows of the op table."""

from typing import Any

import pytest

from oxiconv import activations

NAMES = sorted(set(activations.__all__) - {"get", "serialize", "deserialize"})


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stands_for_its_function_and_back(name: str) -> None:
    function = activations.get(name)
    assert function is getattr(activations, name)
    assert activations.deserialize(name) is function
    # Aliases share a function, and so a name.
    assert activations.get(activations.serialize(function)) is function


def test_none_is_linear_and_a_function_is_itself() -> None:
    assert activations.get(None) is activations.linear

    def own(x: Any) -> Any:
        return x * 2.0

    assert activations.get(own) is own


@pytest.mark.parametrize("name", ["rleu", "", "get", "deserialize"])
def test_an_unknown_name_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"activation.*'{name}'"):
        activations.get(name)


@pytest.mark.parametrize("identifier", [3, 2.5, ["relu"]])
def test_what_is_no_name_is_refused(identifier: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="activation"):
        activations.get(identifier)
