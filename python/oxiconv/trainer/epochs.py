"""Epochs: whole passes over the data, or parts of them."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator

from oxiconv import config
from oxiconv.trainer.arrays import Batch
from oxiconv.trainer.batches import Batches
from oxiconv.utils.argument_validation import is_whole


class Epochs:
    """Cuts a source into epochs: whole passes, or `steps` batches each, going on where the last epoch stopped."""

    def __init__(self, batches: Batches, steps: int | None, count: Callable[[], int] = lambda: 0) -> None:
        if steps is not None and not is_whole(steps):
            raise ValueError(f"Expected a positive number of steps, got {steps!r}.")
        bound, known = config.max_steps_per_epoch(), steps or batches.steps
        if known is None and bound is None and batches.endless:
            raise ValueError(
                "The dataset is endless: expected a number of steps for an epoch (steps_per_epoch, validation_steps or "
                "steps), got none."
            )
        if bound is not None and (known is None or bound < known):
            warnings.warn(f"config.max_steps_per_epoch: {bound} steps per epoch are run.", stacklevel=3)
            steps = bound
        self._batches = batches
        self._steps = steps
        self._running: Iterator[Batch] | None = None
        self._peeked: list[Batch] = []
        # Where the running pass is, how many there were before, and how often was shuffled before it: what a resumed
        # training goes back to.
        self._passes, self._position, self._count = 0, 0, count
        self._counted: int | None = None
        self.exhausted = False

    @property
    def partial(self) -> bool:
        """Whether an epoch is a number of steps rather than a pass."""
        return self._steps is not None

    @property
    def steps(self) -> int | None:
        """Batches per epoch, where known."""
        return self._steps or self._batches.steps

    @property
    def position(self) -> tuple[int, int, int]:
        """Finished passes over the data, batches taken in the running one, and the count of shufflings before it."""
        counted = self._count() if self._counted is None else self._counted
        return self._passes, self._position, counted

    def resume(self, passes: int, position: int) -> None:
        """Goes on after `position` batches of the pass that follows `passes` others."""
        self._batches.replay(passes)
        self._passes, self._position = passes, position
        if position:
            self._start(position)

    def sample(self) -> Batch | None:
        """The batch that comes next in the running pass, which is not taken, or else any."""
        if self._running is not None:
            self._peeked = list(itertools.islice(self._running, 1))
        return self._peeked[0] if self._peeked else self._batches.sample()

    def restart(self) -> None:
        """Lets the next epoch begin with a new pass, if the source can start over."""
        if not self._batches.once:
            self._running, self._position, self._counted = None, 0, None

    def epoch(self, taken: int = 0) -> Iterator[Batch]:
        """The batches of the next epoch, `taken` of which are done; fewer than `steps` if the data runs out."""
        count = self._steps
        for _ in itertools.count() if count is None else range(taken, count):
            batch = self._next()
            if batch is None:
                self.exhausted = self._batches.once
                self._end_pass()
                if count is not None and not self.exhausted:
                    warnings.warn(
                        f"The data ran out before {count} steps: the epoch ends early. Pass fewer steps, or data that "
                        "gives more batches.",
                        stacklevel=5,
                    )
                return
            self._position += 1
            yield batch
        # A pass of known length ends with its last batch, so that the next epoch begins with a new one.
        if self._position == self._batches.steps and self._running is not None:
            next(self._running, None)
            self._end_pass()

    def _start(self, position: int = 0) -> None:
        self._counted = self._count()
        self._running = self._batches.run(position)

    def _next(self) -> Batch | None:
        if self._peeked:
            return self._peeked.pop()
        if self._running is None:
            self._start()
        assert self._running is not None
        return next(self._running, None)

    def _end_pass(self) -> None:
        self._passes += 1
        self._running, self._position, self._counted = None, 0, None
