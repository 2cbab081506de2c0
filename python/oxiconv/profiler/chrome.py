"""Profiles in the trace format of Chrome and Perfetto."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oxiconv.profiler.report import ProgramProfile

# What a row of an event's numbers says; times are nanoseconds.
ACTIVITY, PROGRAM, STEP, TASK, THREAD, START, END = range(7)
RUN, CALL, PACK = range(3)
# The two groups of tracks.
_PROGRAMS, _KERNELS = 0, 1


def trace(programs: tuple[ProgramProfile, ...], threads: list[str], events: NDArray[np.int64]) -> str:
    """JSON: a track for each thread, a slice for each call of a kernel; tracks of their own for runs of programs."""
    found = [
        _name("process_name", _PROGRAMS, 0, "programs"),
        _name("process_name", _KERNELS, 0, "kernels"),
        *(_name("thread_name", group, i, name) for group in (_PROGRAMS, _KERNELS) for i, name in enumerate(threads)),
    ]
    found += [
        _slice(programs, [int(v) for v in event]) for event in events[np.argsort(events[:, START], kind="stable")]
    ]
    return json.dumps({"traceEvents": found, "displayTimeUnit": "ms"}, ensure_ascii=False)


def _name(what: str, group: int, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": group, "tid": thread, "args": {"name": name}}


def _slice(programs: tuple[ProgramProfile, ...], event: list[int]) -> dict[str, Any]:
    program = programs[event[PROGRAM]]
    # Microseconds are the format's unit.
    times = {"ts": event[START] / 1e3, "dur": (event[END] - event[START]) / 1e3}
    if event[ACTIVITY] == RUN:
        return {"ph": "X", "cat": "run", "name": program.title, "pid": _PROGRAMS, "tid": event[THREAD], **times}
    step = program.steps[event[STEP]]
    packs = event[ACTIVITY] == PACK
    return {
        "ph": "X",
        "cat": "packing" if packs else "kernel",
        "name": f"packing for {step.operation}" if packs else step.operation,
        "pid": _KERNELS,
        "tid": event[THREAD],
        **times,
        "args": {
            "kernel": step.kernel,
            "program": program.title,
            "stage": step.index[0],
            "step": step.index[1],
            "task": event[TASK],
        },
    }
