"""A progress bar on a terminal or in a notebook; a line at the end elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any


class Progbar:
    """Shows how far a loop is, and values beside it.

    On a terminal or in a notebook the bar is redrawn in place. Elsewhere (a pipe, a file) only its last state is
    written, as one line.

    Args:
        target: number of steps; None where unknown.
        width: of the bar, in characters.
        verbose: 1 for a bar, 2 for one line at the end, 0 for silence.
        interval: least seconds from one redraw to the next.
        stateful_metrics: names of values that are shown as they are; others are averaged over the steps.
        stateless_metrics: or names of the values that are averaged, others being shown as they are.
        unit_name: what a step is called.

    Example:
        >>> from oxiconv.utils import Progbar
        >>> bar = Progbar(2, verbose=0)
        >>> for i in range(2):
        ...     bar.update(i + 1, [("loss", 0.5)])
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Progbar: expected stateful_metrics or stateless_metrics, got both.")
        self._stateful = set(stateful_metrics or ())
        self._stateless = None if stateless_metrics is None else set(stateless_metrics)
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        # Values that are shown: sums over steps, and over how many.
        self._values: dict[str, tuple[Any, int]] = {}
        self._seen = 0
        self._start = time.monotonic()
        self._drawn = -math.inf
        self._length = 0

    def due(self) -> bool:
        """Whether an update would be shown now."""
        return self.verbose == 1 and _interactive() and time.monotonic() - self._drawn >= self.interval

    def add(self, n: int, values: Sequence[tuple[str, Any]] | None = None) -> None:
        """Moves on by `n` steps."""
        self.update(self._seen + n, values)

    def update(
        self, current: int, values: Sequence[tuple[str, Any]] | None = None, finalize: bool | None = None
    ) -> None:
        """Shows step `current` with (name, value) pairs.

        Args:
            current: steps done.
            values: pairs to show; those given before stay. At the end they are shown as they are.
            finalize: whether this is the end; by default, if `current` has reached the target.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        steps = max(current - self._seen, 1)
        for name, value in values or ():
            averaged = name not in self._stateful if self._stateless is None else name in self._stateless
            if averaged and not finalize:
                total, count = self._values.get(name, (0.0, 0))
                self._values[name] = total + value * steps, count + steps
            else:
                self._values[name] = value, 1
        self._seen = current
        if not self.verbose or not (finalize or self.due()):
            return
        bar = self.verbose == 1
        text = self._text(finalize, bar)
        if bar and _interactive():
            # Spaces cover what is left of a longer line before.
            sys.stdout.write("\r" + text + " " * (self._length - len(text)) + ("\n" if finalize else ""))
            self._length = len(text)
        elif finalize:
            sys.stdout.write(text + "\n")
        sys.stdout.flush()
        self._drawn = time.monotonic()

    def _text(self, finalize: bool, bar: bool) -> str:
        elapsed = time.monotonic() - self._start
        per_step = elapsed / max(self._seen, 1)
        pace = f"{_short(per_step)}/{self.unit_name}"
        count = f"{self._seen}/{'Unknown' if self.target is None else self.target}"
        values = [f"{name}: {_value(total, count)}" for name, (total, count) in self._values.items()]
        if not bar:
            return " - ".join([count, _duration(elapsed), pace, *values])
        share = 1.0 if self.target is None else min(self._seen / max(self.target, 1), 1.0)
        done = int(self.width * share)
        spent = _duration(elapsed)
        if self.target is not None and not finalize:
            spent = f"{_duration(per_step * (self.target - self._seen))} left,"
        return " - ".join([f"{count} {'━' * done}{' ' * (self.width - done)} {spent} {pace}", *values])


def _interactive() -> bool:
    return bool(getattr(sys.stdout, "isatty", lambda: False)()) or "ipykernel" in sys.modules


def _duration(seconds: float) -> str:
    seconds = round(seconds)
    if seconds >= 3600:
        return f"{seconds // 3600}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
    return f"{seconds // 60}:{seconds % 60:02d}" if seconds >= 60 else f"{seconds}s"


def _short(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def _value(total: Any, count: int) -> str:
    try:
        number = float(total) / count
    except (TypeError, ValueError):
        return str(total)
    return f"{number:.4f}" if number == 0 or abs(number) > 1e-3 else f"{number:.4e}"
