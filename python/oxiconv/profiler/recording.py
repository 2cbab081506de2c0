"""The profile of a piece of code."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from oxiconv import _core
from oxiconv.profiler import chrome
from oxiconv.profiler.report import ProgramProfile, StepProfile, report
from oxiconv.utils.argument_validation import is_whole

_Step: TypeAlias = tuple[int, bool, str, str, int, int, int, int, int, int]
_Program: TypeAlias = tuple[str, int, int, int, int, list[_Step]]


class Profile:
    """Profiles what runs within a `with` block, on all threads of the process.

    Args:
        events: calls of kernels that are kept one by one for `trace`, 32 bytes each; what comes after them is only
            added up. 0 for no trace.

    Results are bit for bit those of code that is not profiled. Profiling costs about 0.1 µs for each call of a kernel;
    what runs outside of a profile does not pay for it.

    Raises:
        ValueError: `events` is not a number of at least 0; another profile is running, in whatever thread.
        RuntimeError: the profile is read before its block has ended, or used for a second block.

    Example:
        >>> import numpy as np, oxiconv
        >>> a = oxiconv.ops.ones((64, 64))
        >>> with oxiconv.profiler.Profile() as profile:
        ...     b = oxiconv.ops.matmul(a, a)
        >>> [(p.title, p.flops) for p in profile.programs]
        [('op matmul of float32[64, 64], float32[64, 64]', 524288)]
    """

    def __init__(self, events: int = 1_000_000) -> None:
        if not is_whole(events, least=0):
            raise ValueError(f"Profile: events must be a number of at least 0, got {events!r}.")
        self._room = events
        self._begun = False
        self._result: tuple[tuple[ProgramProfile, ...], list[str], NDArray[np.int64], int] | None = None

    def __enter__(self) -> Self:
        if self._begun:
            raise RuntimeError("Profile: a profile is of one block; make another for the next.")
        _core.profile_start(self._room)
        self._begun = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        rows, threads, events, dropped = _core.profile_stop()
        peak = _core.peak_gigaflops() * 1e9
        table = np.frombuffer(events, "<u8").reshape(-1, 7).astype(np.int64)
        calls = _calls(table, len(rows))
        programs = tuple(_program(row, of, _core.num_threads(), peak) for row, of in zip(rows, calls, strict=True))
        self._result = programs, threads, table, dropped

    @property
    def _finished(self) -> tuple[tuple[ProgramProfile, ...], list[str], NDArray[np.int64], int]:
        if self._result is None:
            raise RuntimeError("Profile: there are no results before the end of the `with` block.")
        return self._result

    @property
    def programs(self) -> tuple[ProgramProfile, ...]:
        """What ran, in the order of first runs: steps of models, and ops on their own."""
        return self._finished[0]

    @property
    def dropped(self) -> int:
        """Calls of kernels that are in the sums but for which `trace` had no room."""
        return self._finished[3]

    def table(self, sort: str = "time", limit: int | None = None) -> str:
        """A table of each program's steps, the program that took longest first, then one of ops on their own.

        Args:
            sort: 'time' for the longest steps first, 'least' for the longest in their fastest calls, 'program' for the
                order in which they run.
            limit: lines of a table at the most; what is left out is summed up in one more line.

        Raises:
            ValueError: another `sort`, or a `limit` below 1.
        """
        if sort not in ("time", "least", "program"):
            raise ValueError(f"table: sort must be 'time', 'least' or 'program', got {sort!r}.")
        if limit is not None and not is_whole(limit):
            raise ValueError(f"table: limit must be None or a number of at least 1, got {limit!r}.")
        return report(self.programs, sort, limit)

    def __str__(self) -> str:
        return self.table()

    def to_dict(self) -> dict[str, Any]:
        """All numbers, as plain Python values."""
        return {"programs": [p.to_dict() for p in self.programs], "dropped": self.dropped}

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """`to_dict` as JSON; also written to `path`, if given."""
        return _written(json.dumps(self.to_dict(), indent=1, ensure_ascii=False), path)

    def trace(self, path: str | os.PathLike[str] | None = None) -> str:
        """The calls one by one, for https://ui.perfetto.dev or chrome://tracing; also written to `path`, if given.

        Returns:
            JSON: a track for each thread, with a slice for each call of a kernel and each packing of a kernel operand.
            The runs of programs are in tracks of their own.
        """
        programs, threads, events, _ = self._finished
        return _written(chrome.trace(programs, threads, events), path)


def _written(text: str, path: str | os.PathLike[str] | None) -> str:
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


def _calls(events: NDArray[np.int64], programs: int) -> list[NDArray[np.int64]]:
    """The kernel calls of each program, in order of time."""
    calls = events[events[:, chrome.ACTIVITY] == chrome.CALL]
    calls = calls[np.lexsort((calls[:, chrome.START], calls[:, chrome.PROGRAM]))]
    return np.split(calls, np.searchsorted(calls[:, chrome.PROGRAM], np.arange(1, programs)))[:programs]


def _least(calls: NDArray[np.int64], count: int, runs: int) -> float | None:
    """Seconds of one run of a step, each of its calls in the run in which it was fastest."""
    if len(calls) != count or not runs:
        return None
    # A task's shards follow one another, so that the n-th call of each run is the same work.
    tasks = calls[np.argsort(calls[:, chrome.TASK], kind="stable")]
    spent = tasks[:, chrome.END] - tasks[:, chrome.START]
    parts = np.split(spent, np.flatnonzero(np.diff(tasks[:, chrome.TASK])) + 1)
    if any(len(part) % runs for part in parts):
        return None
    return sum(int(part.reshape(runs, -1).min(axis=0).sum()) for part in parts) / 1e9


def _program(row: _Program, events: NDArray[np.int64], threads: int, peak: float) -> ProgramProfile:
    title, samples, tasks, runs, nanoseconds, steps = row
    # A program that was still running when the profile ended has no whole run yet.
    of_all = 1e9 * max(runs, 1)
    busy = sum(step[7] + step[9] for step in steps) or 1
    stages = [step[0] for step in steps]
    found = tuple(
        StepProfile(
            index=(stage, i - stages.index(stage)),
            operation=operation,
            kernel=kernel,
            calls=calls / max(runs, 1),
            seconds=spent / of_all,
            least_seconds=_least(events[events[:, chrome.STEP] == i], calls, runs),
            packing_seconds=packing / of_all,
            share=spent / busy,
            flops=flops,
            bytes=size,
            peak=peak,
        )
        for i, (stage, _, operation, kernel, flops, size, calls, spent, _, packing) in enumerate(steps)
    )
    return ProgramProfile(title, samples, tasks, runs, nanoseconds / of_all, threads, found)
