"""What a profile says of programs and of their steps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class StepProfile:
    """A fused step of a program. Numbers are those of one run of the program; times are means over all runs.

    Attributes:
        index: its stage and its place there, as in `model.explain_plan()`.
        operation: what it computes.
        kernel: what computes it.
        calls: of the kernel: one for each shard of the batch, or for each piece of a step that sees the whole batch.
        seconds: in these calls, added up over all threads.
        least_seconds: the same if each call took the least time that it took in any run, which other work on the
            machine hardly changes. None where not all calls were kept.
        packing_seconds: spent on bringing its kernel operand into the order that the kernel reads.
        share: of the time that its program spends in kernels and packing, what its calls take.
        flops: operations, counted from the program: two for each multiply-add of the direct form of a product, whatever
            algorithm computes it; one for each element and function of an elementwise expression.
        bytes: of all operands and results, each counted once, wherever they are.
        peak: operations a second that one core can do.
    """

    index: tuple[int, int]
    operation: str
    kernel: str
    calls: float
    seconds: float
    least_seconds: float | None
    packing_seconds: float
    share: float
    flops: int
    bytes: int
    peak: float

    @property
    def flops_per_second(self) -> float:
        """Operations per second of one thread, from `least_seconds` where known; 0 where no time was measured."""
        return self._per_second(self.flops)

    @property
    def bytes_per_second(self) -> float:
        """Bytes per second of one thread, as `flops_per_second`; more than memory gives where they stay in a cache."""
        return self._per_second(self.bytes)

    @property
    def peak_share(self) -> float:
        """The share of `peak`; above 1 where an algorithm needs fewer operations than the direct form."""
        return self.flops_per_second / self.peak

    def _per_second(self, amount: int) -> float:
        seconds = self.least_seconds or self.seconds
        return amount / seconds if seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Attributes and properties by name."""
        names = ("flops_per_second", "bytes_per_second", "peak_share")
        return asdict(self) | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class ProgramProfile:
    """A compiled step of a model, or an op that ran on its own. Times are means over all runs.

    Attributes:
        title: what it is.
        samples: in its batch.
        tasks: that the batch is cut into, for threads to share.
        runs: how often it ran.
        seconds: of a run, on the clock.
        threads: that a run could use.
        steps: in the order in which they run.
    """

    title: str
    samples: int
    tasks: int
    runs: int
    seconds: float
    threads: int
    steps: tuple[StepProfile, ...]

    @property
    def total_seconds(self) -> float:
        """Of all runs."""
        return self.seconds * self.runs

    @property
    def packing_seconds(self) -> float:
        """Of a run, spent on packing kernel operands."""
        return sum(step.packing_seconds for step in self.steps)

    @property
    def busy_seconds(self) -> float:
        """Of a run, in kernels and packing, added up over all threads: at most `seconds * threads`."""
        return sum(step.seconds for step in self.steps) + self.packing_seconds

    @property
    def flops(self) -> int:
        """Operations of a run."""
        return sum(step.flops for step in self.steps)

    @property
    def bytes(self) -> int:
        """Bytes of a run."""
        return sum(step.bytes for step in self.steps)

    def to_dict(self) -> dict[str, Any]:
        """Attributes and properties by name, steps as dicts."""
        own = {name: getattr(self, name) for name in ("title", "samples", "tasks", "runs", "seconds", "threads")}
        names = ("total_seconds", "busy_seconds", "packing_seconds", "flops", "bytes")
        sums = {name: getattr(self, name) for name in names}
        return {**own, **sums, "steps": [step.to_dict() for step in self.steps]}


def report(programs: tuple[ProgramProfile, ...], sort: str, limit: int | None) -> str:
    """Tables of the programs, the longest first; ops that ran on their own share one."""
    ordered = sorted(programs, key=lambda p: -p.total_seconds)
    ops = [p for p in ordered if _is_op(p)]
    parts = [_table(p, sort, limit) for p in ordered if not _is_op(p)] + ([_table_of_ops(ops, limit)] if ops else [])
    return "\n\n".join(parts) or "Nothing was run."


def _is_op(program: ProgramProfile) -> bool:
    return program.title.startswith("op ")


def _table(program: ProgramProfile, sort: str, limit: int | None) -> str:
    """A line on the whole, then one for each step."""
    rows = list(program.steps)
    if sort != "program":
        rows.sort(key=lambda s: -((s.least_seconds if sort == "least" else None) or s.seconds))
    left = [] if limit is None else rows[limit:]
    lines = [_title(program), _HEADER, *map(_line, rows[: len(rows) - len(left)])]
    if left:
        lines.append(_sum(program, sum(s.seconds for s in left), f"{len(left)} more steps"))
    if program.packing_seconds:
        lines.append(_sum(program, program.packing_seconds, "packing of kernel operands"))
    return "\n".join(lines)


def _table_of_ops(ops: list[ProgramProfile], limit: int | None) -> str:
    """A line for each op, with the time of all its runs."""

    def total(programs: list[ProgramProfile]) -> str:
        return f"{1e3 * sum(p.total_seconds for p in programs):.3f}"

    shown = ops if limit is None else ops[:limit]
    lines = [f"{len(ops)} ops on their own: {total(ops)} ms in all", f"{'ms':>9}   runs  op"]
    lines += [_shortened(f"{total([p]):>9} {p.runs:6}  {p.title.removeprefix('op ')}", _WIDTH) for p in shown]
    if len(shown) < len(ops):
        lines.append(f"{total(ops[len(shown) :]):>9}         {len(ops) - len(shown)} more ops")
    return "\n".join(lines)


def _title(program: ProgramProfile) -> str:
    runs, threads = program.runs, program.threads
    peak = program.steps[0].peak * threads if program.steps else 0.0
    speed = program.flops / program.seconds if program.seconds else 0.0
    busy = program.busy_seconds / (program.seconds * threads) if program.seconds else 0.0
    return (
        f"{program.title or 'program'}: {runs} run{'s' * (runs != 1)} of {1e3 * program.seconds:.3f} ms on {threads} "
        f"thread{'s' * (threads != 1)}, {busy:.0%} of it in kernels; {_short(program.flops)}FLOP, "
        f"{_short(speed)}FLOP/s of {_short(peak)}"
    ).rstrip()


_WIDTH = 180
_COLUMNS = ("ms", 9), ("least", 9), ("share", 6), ("calls", 6), ("FLOP", 7), ("FLOP/s", 7), ("peak", 5), ("bytes", 7)
_HEADER = " ".join(f"{name:>{width}}" for name, width in (*_COLUMNS, ("bytes/s", 7))) + "  step"


def _line(step: StepProfile) -> str:
    same = step.operation.split()[0] == step.kernel.split()[0]
    # Elementwise kernels are named after the operation.
    what = step.operation if same else f"{_shortened(step.operation, 56)} [{step.kernel}]"
    cells = [
        f"{1e3 * step.seconds:9.3f}",
        " " * 9 if step.least_seconds is None else f"{1e3 * step.least_seconds:9.3f}",
        f"{step.share:6.1%}",
        f"{step.calls:6.4g}",
        f"{_short(step.flops):>7}",
        f"{_short(step.flops_per_second):>7}",
        f"{step.peak_share:5.0%}",
        f"{_short(step.bytes):>7}",
        f"{_short(step.bytes_per_second):>7}",
        "",
        f"{'.'.join(map(str, step.index)):<5}",
        what,
    ]
    return _shortened(" ".join(cells), _WIDTH)


def _sum(program: ProgramProfile, seconds: float, what: str) -> str:
    share = seconds / program.busy_seconds if program.busy_seconds else 0.0
    return f"{1e3 * seconds:9.3f} {'':9} {share:6.1%} {'':46} {what}"


def _short(value: float) -> str:
    """Three digits and a prefix: 287 M.

    >>> _short(0), _short(287_000_000), _short(999_999), _short(42.0)
    ('0 ', '287 M', '1 M', '42 ')
    """
    for prefix in ("", "k", "M", "G", "T"):
        if float(f"{value:.3g}") < 1000 or prefix == "T":
            return f"{value:.3g} {prefix}"
        value /= 1000
    raise AssertionError("the loop returns at its last prefix")


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
