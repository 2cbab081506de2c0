"""Tolerances, derived: of linear functions from their matrix, of others from their derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from op_table.case import Array, Oracle, U

# Step of the differences in float64. A fourth-order difference is off by h^4/30 f''''' = 3e-14 f''''' from truncation
# and 1.5 * 2^-53 / h |f| = 2e-13 |f| from rounding: far below U = 6e-8.
STEP = 2.0**-10


def differences(f: Callable[[float], Array]) -> tuple[Array, Array]:
    """Derivative of `f` at 0 by fourth-order central differences, and a bound on its error.

    The same with twice the step is 16 times as far off, so the distance of the two exceeds the error. It is checked to
    be small: otherwise `f` has a kink nearby, and the row's inputs are badly chosen.
    """
    h = STEP
    d1, d2, d4 = (f(k * h) - f(-k * h) for k in (1, 2, 4))
    fine, coarse = (8 * d1 - d2) / (12 * h), (8 * d2 - d4) / (24 * h)
    error = np.abs(fine - coarse)
    assert np.all(error <= U * (1 + np.abs(fine) + np.abs(f(0.0)))), "the oracle is not smooth at the row's inputs"
    return fine, error


def summation(count: Array) -> Array:
    """Error of a sum of `count` terms relative to the sum of their magnitudes, in units of U.

    A term goes through at most `count - 1` additions, and through no more than 48 + log2(count) in the core's tree:
    16 in a lane or 32 + 2 in a chunk of rows, 6 across lanes or copies, 2 for rests, and the tree over chunks and
    tasks.
    """
    terms = np.maximum(count, 1)
    return np.minimum(terms - 1, 48 + np.log2(terms))


def floats(arrays: Sequence[Array]) -> list[int]:
    """Places of the float arrays."""
    return [i for i, a in enumerate(arrays) if a.dtype == np.float64]


class Flat:
    """An oracle as a function from one vector, all float inputs, to one vector, all float outputs."""

    def __init__(self, oracle: Oracle, inputs: Sequence[Array]) -> None:
        self.oracle, self.inputs, self.places = oracle, list(inputs), floats(inputs)
        self.x = np.concatenate([np.ravel(inputs[i]) for i in self.places] or [np.zeros(0)])

    def __call__(self, x: Array) -> Array:
        inputs = list(self.inputs)
        for i, part in zip(self.places, self.split(x), strict=True):
            inputs[i] = part
        outputs = self.oracle(inputs)
        return np.concatenate([np.ravel(y) for y in outputs if y.dtype == np.float64] or [np.zeros(0)])

    def split(self, x: Array) -> list[Array]:
        """A vector in the shapes of the inputs."""
        parts, at = [], 0
        for i in self.places:
            a = self.inputs[i]
            parts.append(x[at : at + a.size].reshape(a.shape))
            at += a.size
        return parts

    def jacobian(self, x: Array) -> tuple[Array, Array]:
        """`d output / d input` and its error, by differences."""
        columns = [differences(lambda t, e=e: self(x + t * e)) for e in np.eye(x.size)]  # type: ignore[misc]
        if not columns:
            empty = np.zeros((self(x).size, 0))
            return empty, empty
        return np.stack([c[0] for c in columns], 1), np.stack([c[1] for c in columns], 1)


def _apart(outputs: Sequence[Array], flat: Array) -> list[Array]:
    parts, at = [], 0
    for y in outputs:
        size = y.size if y.dtype == np.float64 else 0
        parts.append(flat[at : at + size].reshape(y.shape) if size else np.zeros(y.shape))
        at += size
    return parts


@dataclass(frozen=True)
class Linear:
    """For functions that are affine in all float inputs together: moves, sums and weighted sums.

    The matrix follows from unit vectors; sums have the error of `summation`, and elements that are only moved are
    exact. `roundings` counts the products that scale each term or the sum. `local`: only near the row's inputs, as for
    a maximum.
    """

    roundings: int = 0
    local: bool = False

    def _matrix(self, flat: Flat) -> Array:
        if self.local:
            columns = [differences(lambda t, e=e: flat(flat.x + t * e))[0] for e in np.eye(flat.x.size)]  # type: ignore[misc]
            # Free of the differences' own errors, so that zeros are zeros.
            return np.round(np.stack(columns, 1), 9)
        zero = flat(np.zeros_like(flat.x))
        columns = [flat(e) - zero for e in np.eye(flat.x.size)]
        return np.stack(columns, 1) if columns else np.zeros((zero.size, 0))

    def _error(self, matrix: Array) -> Array:
        return U * (self.roundings + summation(np.count_nonzero(matrix, 1)))

    def forward(self, oracle: Oracle, inputs: Sequence[Array], outputs: Sequence[Array]) -> list[Array]:
        flat = Flat(oracle, inputs)
        if not np.all(np.isfinite(flat.x)):
            return [np.zeros(y.shape) for y in outputs]
        matrix = self._matrix(flat)
        return _apart(outputs, self._error(matrix) * (np.abs(matrix) @ np.abs(flat.x)))

    def gradients(
        self, oracle: Oracle, inputs: Sequence[Array], cotangents: Sequence[Array]
    ) -> list[tuple[Array, Array]]:
        flat = Flat(oracle, inputs)
        matrix = self._matrix(flat).T
        g = np.concatenate([np.ravel(c) for c in cotangents] or [np.zeros(0)])
        tolerance = self._error(matrix) * (np.abs(matrix) @ np.abs(g))
        return list(zip(flat.split(matrix @ g), flat.split(tolerance), strict=True))


def _unbroadcast(x: Array, like: Array) -> Array:
    """The sum over what broadcasting repeated: the gradient of broadcasting."""
    x = x.sum(tuple(range(x.ndim - like.ndim)))
    return x.sum(tuple(a for a, n in enumerate(like.shape) if n == 1), keepdims=True)


Terms = Callable[..., Any]


@dataclass(frozen=True)
class Elementwise:
    """For functions of one element of each (broadcast) input.

    `ulps` is the stated bound of a function of the core. A composition of `roundings` operations is off by the error of
    its intermediate values `v`, `|dy/dv| |v| U` each: with those that are made of inputs without cancellation no more
    than `|dy/dx| |x|`, and for others `terms` gives their sum from the inputs.

    The derivative of a function of the core is a composition of at most four such functions and eight operations, that
    of a composition goes there and back again; `gradient_terms` are the intermediate values that cancel, per unit of
    the cotangent.
    """

    ulps: int = 0
    roundings: int = 0
    terms: Terms | None = None
    gradient_terms: Terms | None = None

    def _partials(self, f: Callable[..., Array], inputs: Sequence[Array]) -> list[tuple[Array, Array]]:
        def moved(place: int, t: float) -> Array:
            return f(*[a + t if i == place else a for i, a in enumerate(inputs)])

        return [differences(lambda t, i=i: moved(i, t)) for i in floats(inputs)]  # type: ignore[misc]

    def forward(self, oracle: Oracle, inputs: Sequence[Array], outputs: Sequence[Array]) -> list[Array]:
        (y,) = outputs
        if y.dtype != np.float64:
            return [np.zeros(y.shape)]
        tolerance = 2 * self.ulps * U * np.abs(y)
        if self.roundings:
            size = np.abs(y)
            for i, (d, _) in zip(floats(inputs), self._partials(lambda *x: oracle(x)[0], inputs), strict=True):
                size = size + np.abs(d * inputs[i])
            if self.terms is not None:
                size = size + np.abs(self.terms(*inputs))
            tolerance = tolerance + self.roundings * U * size
        return [tolerance]

    def gradients(
        self, oracle: Oracle, inputs: Sequence[Array], cotangents: Sequence[Array]
    ) -> list[tuple[Array, Array]]:
        ((g,), results) = cotangents, []

        def value(*x: Array) -> Array:
            return oracle(x)[0]

        partials = self._partials(value, inputs)
        for place, (i, (d, error)) in enumerate(zip(floats(inputs), partials, strict=True)):
            size = np.abs(d)
            for j in floats(inputs):
                # Only a magnitude is wanted, so differences of second order do.
                up, down = (
                    self._partials(value, [a + t if b == j else a for b, a in enumerate(inputs)])[place][0]
                    for t in (4 * STEP, -4 * STEP)
                )
                size = size + np.abs((up - down) / (8 * STEP) * inputs[j])
            if self.gradient_terms is not None:
                size = size + np.abs(self.gradient_terms(*inputs))
            x = inputs[i]
            count = g.size / max(x.size, 1)
            roundings = 8 * self.ulps + 2 * self.roundings + 8 + summation(np.asarray(count))
            tolerance = _unbroadcast(np.abs(g) * (roundings * U * size + error), x)
            results.append((_unbroadcast(g * d, x), tolerance))
        return results


@dataclass(frozen=True)
class Smooth:
    """For any differentiable function of few inputs, as `Elementwise` for compositions, from all partial derivatives.

    `roundings` counts the operations on the longest way from an input to a result, sums with all their additions;
    there and back again is the way of a gradient, hence twice as many.
    """

    roundings: int
    terms: Terms | None = None
    gradient_terms: Terms | None = None

    def forward(self, oracle: Oracle, inputs: Sequence[Array], outputs: Sequence[Array]) -> list[Array]:
        flat = Flat(oracle, inputs)
        matrix, _ = flat.jacobian(flat.x)
        size = _apart(outputs, np.abs(matrix) @ np.abs(flat.x))
        extra = 0.0 if self.terms is None else np.abs(self.terms(*inputs))
        return [self.roundings * U * (np.abs(y) + s + extra) for y, s in zip(outputs, size, strict=True)]

    def gradients(
        self, oracle: Oracle, inputs: Sequence[Array], cotangents: Sequence[Array]
    ) -> list[tuple[Array, Array]]:
        flat = Flat(oracle, inputs)
        g = np.concatenate([np.ravel(c) for c in cotangents])
        matrix, error = flat.jacobian(flat.x)
        size = np.abs(matrix.T) @ np.abs(g)
        for x, e in zip(flat.x, np.eye(flat.x.size), strict=True):
            # Only a magnitude is wanted, so differences of second order do.
            up, down = (self._pullback(flat, flat.x + t * e, g) for t in (4 * STEP, -4 * STEP))
            size = size + np.abs((up - down) / (8 * STEP) * x)
        if self.gradient_terms is not None:
            size = size + np.abs(self.gradient_terms(*inputs)) * np.abs(g).max(initial=0.0)
        tolerance = 2 * self.roundings * U * size + error.T @ np.abs(g)
        return list(zip(flat.split(matrix.T @ g), flat.split(tolerance), strict=True))

    def _pullback(self, flat: Flat, x: Array, g: Array) -> Array:
        h = STEP
        return np.array([(flat(x + h * e) - flat(x - h * e)) @ g / (2 * h) for e in np.eye(x.size)])


EXACT = Linear()
SELECTION = Linear(local=True)
