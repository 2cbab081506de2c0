"""What the constructors of all networks have in common: their arguments, the input, the top and the weights."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from oxiconv import activations, layers
from oxiconv.applications.pretrained import Pretrained
from oxiconv.config import image_data_format
from oxiconv.models import Model
from oxiconv.symbolic import KerasTensor, Node


class Wanted(NamedTuple):
    """The arguments that all constructors take."""

    include_top: bool
    weights: Any
    input_tensor: Any
    input_shape: Any
    pooling: str | None
    classes: int
    classifier_activation: Any
    name: str


def wanted(arguments: dict[str, Any]) -> Wanted:
    """The common ones among the arguments of a constructor."""
    return Wanted(**{field: arguments[field] for field in Wanted._fields})


def assemble(
    request: Wanted,
    body: Callable[[Any], Any],
    top: Callable[[Any, Wanted], Any],
    pretrained: Pretrained,
    size: int = 224,
    smallest: int = 32,
    fixed: bool = True,
) -> Model:
    """The network of a body and a top, with the weights that are asked for.

    Args:
        request: the constructor's arguments.
        body: from images to features.
        top: from features to the classification, or to pooled features.
        pretrained: where weights trained on ImageNet are.
        size: of images, by default.
        smallest: size that the body can take.
        fixed: whether the top needs to know the size.

    Raises:
        ValueError: arguments that do not fit each other or the network.
    """
    check(request)
    given = request.input_tensor
    inputs: Any
    if given is None:
        x = inputs = layers.Input(image_shape(request, size, smallest, fixed))
    elif isinstance(given, KerasTensor):
        x, inputs = given, _sources(given)
    else:
        x = inputs = layers.Input(tensor=given)
    if request.include_top and request.weights is not None:
        allowed = (activations.get("softmax"), activations.get(None))
        if activations.get(request.classifier_activation) not in allowed:
            raise ValueError(
                f"{request.name}: with weights, classifier_activation must be 'softmax' or None, got "
                f"{request.classifier_activation!r}."
            )
    model = Model(inputs, top(body(x), request), name=request.name)
    if request.weights == "imagenet":
        model.load_weights(pretrained.find(request.include_top))
    elif request.weights is not None:
        model.load_weights(request.weights)
    return model


def check(request: Wanted) -> None:
    """Raises ValueError where the weights are no file, or their classes are not the ones asked for."""
    weights = request.weights
    if weights is not None and weights != "imagenet" and not os.path.exists(weights):
        raise ValueError(
            f"{request.name}: weights must be None, 'imagenet' or the path of a weights file, got {weights!r}."
        )
    if weights == "imagenet" and request.include_top and request.classes != 1000:
        raise ValueError(
            f"{request.name}: with weights='imagenet' and include_top=True, classes must be 1000, "
            f"got {request.classes}."
        )


def image_shape(request: Wanted, size: int, smallest: int, fixed: bool = True) -> tuple[int | None, ...]:
    """The shape of one image: as asked for, or the usual one where the top needs to know it."""
    first = image_data_format() == "channels_first"

    def shape(rows: int | None, columns: int | None, count: int) -> tuple[int | None, ...]:
        return (count, rows, columns) if first else (rows, columns, count)

    given = None if request.input_shape is None else tuple(request.input_shape)
    imagenet, whole = request.weights == "imagenet", request.include_top and fixed
    if given is None:
        return shape(size, size, 3) if whole else shape(None, None, 3)
    if len(given) != 3:
        raise ValueError(f"{request.name}: input_shape must have three entries, got {given}.")
    count, rows, columns = given if first else (given[2], *given[:2])
    if imagenet and whole and given != shape(size, size, 3):
        raise ValueError(
            f"{request.name}: with weights='imagenet' and include_top=True, input_shape must be "
            f"{shape(size, size, 3)}, got {given}."
        )
    if imagenet and count != 3:
        raise ValueError(f"{request.name}: with weights='imagenet', images must have 3 channels, got {given}.")
    if count not in (1, 3):
        warnings.warn(f"{request.name} usually takes images of 1 or 3 channels, got {given}.", stacklevel=5)
    if any(n is not None and n < smallest for n in (rows, columns)):
        raise ValueError(f"{request.name}: images must have at least {smallest}x{smallest} pixels, got {given}.")
    if whole and None in given:
        raise ValueError(f"{request.name}: with include_top=True, input_shape must be known, got {given}.")
    return given


def usual_size(input_shape: Any, sizes: Sequence[int], input_tensor: Any = None) -> int:
    """The size of square images, if it is one of those that weights have been published for, else 224."""
    if input_shape is None and isinstance(input_tensor, KerasTensor):
        input_shape = input_tensor.shape[1:]
    if input_shape is None:
        return 224
    rows, columns = input_shape[1:3] if image_data_format() == "channels_first" else input_shape[:2]
    return int(rows) if rows == columns and rows in sizes else 224


def published_size(request: Wanted, size: int, sizes: Sequence[int]) -> int | None:
    """The rows of an image, by which the network is named; with weights of ImageNet, the size of theirs."""
    check(request)
    shape = image_shape(request, size, 32)
    rows, columns = shape[1:3] if image_data_format() == "channels_first" else shape[:2]
    if request.weights == "imagenet" and (rows != columns or rows not in sizes):
        warnings.warn(f"{request.name}: weights for images of 224x224 are loaded: {shape} has none.", stacklevel=4)
        return 224
    return rows


def classifier(
    x: Any, request: Wanted, pool: str | None = "avg_pool", named: bool = False, dropout: float = 0.0, **kwargs: Any
) -> Any:
    """The usual top: the mean over the image, and a dense layer; or only pooled features.

    Args:
        x: features.
        request: the constructor's arguments.
        pool: name of the pooling before the dense layer.
        named: whether pooling without a top has a name of its own too.
        dropout: rate before the dense layer.
        **kwargs: of the dense layer.
    """
    if not request.include_top:
        return pooled(x, request, named)
    x = layers.GlobalAveragePooling2D(name=pool)(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="top_dropout")(x)
    return layers.Dense(request.classes, activation=request.classifier_activation, name="predictions", **kwargs)(x)


def pooled(x: Any, request: Wanted, named: bool = False) -> Any:
    """Features as they are, or their mean or maximum over the image."""
    if request.pooling == "avg":
        return layers.GlobalAveragePooling2D(name="avg_pool" if named else None)(x)
    if request.pooling == "max":
        return layers.GlobalMaxPooling2D(name="max_pool" if named else None)(x)
    return x


def _sources(tensor: KerasTensor) -> list[KerasTensor] | KerasTensor:
    """The inputs that a symbolic tensor is made of."""
    found: dict[int, KerasTensor] = {}
    seen: set[int] = set()
    stack: list[KerasTensor] = [tensor]
    while stack:
        t = stack.pop()
        node: Node | None = t.node
        if node is None or not node.inputs:
            found[id(t)] = t
        elif id(node) not in seen:
            seen.add(id(node))
            stack.extend(reversed(node.inputs))
    sources = list(found.values())
    return sources[0] if len(sources) == 1 else sources
