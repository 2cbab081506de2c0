"""What values a layer's inputs take, and the scale at which bytes hold them best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BINS = 2048
METHODS = ("mse", "minmax", "percentile")


class Ranges:
    """A histogram of absolute values, whose range doubles as larger ones come, so that one pass over the data will do.

    Args:
        name: of whose values these are, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: NDArray[np.int64] = np.zeros(_BINS, np.int64)
        # Where the bins end: a power of 2, 0 before the first value that is not 0.
        self._end = 0.0
        self.least = self.most = 0.0

    def add(self, x: NDArray[Any]) -> None:
        """Counts the values of an array.

        Raises:
            ValueError: an infinity or NaN among them.
        """
        if not np.isfinite(x).all():
            raise ValueError(f"quantize: expected finite inputs of {self._name}, got infinity or NaN in calibration")
        if not x.size:
            return
        self.least, self.most = min(self.least, float(x.min())), max(self.most, float(x.max()))
        size = np.abs(x[x != 0])  # zeros are exact at any scale
        if not size.size:
            return
        largest = float(size.max())
        if self._end == 0.0:
            self._end = float(2.0 ** np.ceil(np.log2(largest)))
        while self._end < largest:
            pairs = self._counts.reshape(-1, 2).sum(axis=1)
            self._counts = np.concatenate([pairs, np.zeros(_BINS // 2, np.int64)])
            self._end *= 2
        place = np.minimum((size * (_BINS / self._end)).astype(np.int64), _BINS - 1)
        self._counts += np.bincount(place.ravel(), minlength=_BINS)

    @property
    def unsigned(self) -> bool:
        """Whether no value was negative."""
        return self.least >= 0

    def scale(self, method: str, percentile: float = 99.99) -> float:
        """The value of one unit of the bytes; values beyond the largest byte become it.

        "minmax" holds all values, "percentile" that share of those that are not zero, and "mse" minimizes the mean
        squared error.
        """
        levels = 255 if self.unsigned else 127
        largest = max(self.most, -self.least)
        if largest == 0.0:
            return 1.0
        if method == "minmax":
            return largest / levels
        width = self._end / _BINS
        if method == "percentile":
            reached = np.searchsorted(np.cumsum(self._counts), self._counts.sum() * percentile / 100)
            return min((int(reached) + 1) * width, largest) / levels
        centres = (np.arange(_BINS) + 0.5) * width
        candidates = np.linspace(0.2, 1.0, 161) * (largest / levels)
        errors = [self._error(centres, scale, levels) for scale in candidates]
        return float(candidates[int(np.argmin(errors))])

    def _error(self, centres: NDArray[Any], scale: float, levels: int) -> float:
        rounded = np.minimum(np.rint(centres / scale), levels) * scale
        return float(((centres - rounded) ** 2 * self._counts).sum())
