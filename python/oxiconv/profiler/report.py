"""What a profile says of programs and of their steps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class StepProfile:
    """A fused step of a program, over all runs.

    Attributes:
        index: its stage and its place there, as in `model.explain_plan()`.
        operation: what it computes.
        kernel: what computes it.
        calls: of the kernel: one for each shard of the batch, or for each piece of a step that sees the whole batch.
        seconds: in these calls, added up over all threads.
        packing_seconds: spent on bringing its kernel operand into the order that the kernel reads.
        share: of the kernels' and packings' time of its program that its calls take.
        flops: operations, counted from the program: two for each multiply-add of the direct form of a product, whatever
            algorithm computes it; one for each element and function of an elementwise expression.
        bytes: of all operands and results, each counted once a run, wherever they are.
        peak: operations a second that one core can do.
    """

    index: tuple[int, int]
    operation: str
    kernel: str
    calls: int
    seconds: float
    packing_seconds: float
    share: float
    flops: int
    bytes: int
    peak: float

    @property
    def flops_per_second(self) -> float:
        """Operations per second of one thread; 0 where no time was measured."""
        return self.flops / self.seconds if self.seconds else 0.0

    @property
    def bytes_per_second(self) -> float:
        """Bytes per second of one thread; more than memory gives where they stay in a cache."""
        return self.bytes / self.seconds if self.seconds else 0.0

    @property
    def peak_share(self) -> float:
        """The share of `peak`; above 1 where an algorithm needs fewer operations than the direct form."""
        return self.flops_per_second / self.peak

    def to_dict(self) -> dict[str, Any]:
        """Attributes and properties by name."""
        return {
            **asdict(self),
            "flops_per_second": self.flops_per_second,
            "bytes_per_second": self.bytes_per_second,
            "peak_share": self.peak_share,
        }


@dataclass(frozen=True)
class ProgramProfile:
    """A compiled step of a model, or an op that ran on its own, over all runs.

    Attributes:
        title: what it is.
        samples: in its batch.
        tasks: that the batch is cut into, for threads to share.
        runs: how often it ran.
        seconds: of these runs, on the clock.
        threads: that runs could use.
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
    def packing_seconds(self) -> float:
        """Spent on packing kernel operands."""
        return sum(step.packing_seconds for step in self.steps)

    @property
    def busy_seconds(self) -> float:
        """In kernels and packing, added up over all threads: at most `seconds * threads`."""
        return sum(step.seconds for step in self.steps) + self.packing_seconds

    @property
    def flops(self) -> int:
        """Operations of all steps."""
        return sum(step.flops for step in self.steps)

    @property
    def bytes(self) -> int:
        """Bytes of all steps."""
        return sum(step.bytes for step in self.steps)

    def to_dict(self) -> dict[str, Any]:
        """Attributes and properties by name, steps as dicts."""
        own = {name: getattr(self, name) for name in ("title", "samples", "tasks", "runs", "seconds", "threads")}
        sums = {name: getattr(self, name) for name in ("busy_seconds", "packing_seconds", "flops", "bytes")}
        return {**own, **sums, "steps": [step.to_dict() for step in self.steps]}


def report(programs: tuple[ProgramProfile, ...], sort: str, limit: int | None) -> str:
    """Tables of the programs, the longest first; ops that ran on their own share one."""
    ordered = sorted(programs, key=lambda p: -p.seconds)
    ops = [p for p in ordered if _is_op(p)]
    parts = [_table(p, sort, limit) for p in ordered if not _is_op(p)] + ([_table_of_ops(ops, limit)] if ops else [])
    return "\n\n".join(parts) or "Nothing was run."


def _is_op(program: ProgramProfile) -> bool:
    return program.title.startswith("op ")


def _table(program: ProgramProfile, sort: str, limit: int | None) -> str:
    """A line on the whole, then one for each step: times, operations and bytes are those of one run."""
    rows = sorted(program.steps, key=lambda s: -s.seconds) if sort == "time" else list(program.steps)
    left = [] if limit is None else rows[limit:]
    lines = [_title(program), _HEADER, *(_line(step, program.runs) for step in rows[: len(rows) - len(left)])]
    if left:
        lines.append(_sum(program, sum(s.seconds for s in left), f"{len(left)} more steps"))
    if program.packing_seconds:
        lines.append(_sum(program, program.packing_seconds, "packing of kernel operands"))
    return "\n".join(lines)


def _table_of_ops(ops: list[ProgramProfile], limit: int | None) -> str:
    """A line for each op, with the time of all its runs."""
    shown = ops if limit is None else ops[:limit]
    lines = [f"{len(ops)} ops on their own: {1e3 * sum(p.seconds for p in ops):.3f} ms in all", f"{'ms':>9}   runs  op"]
    lines += [_shortened(f"{1e3 * p.seconds:9.3f} {p.runs:6}  {p.title.removeprefix('op ')}", _WIDTH) for p in shown]
    if len(shown) < len(ops):
        lines.append(f"{1e3 * sum(p.seconds for p in ops[len(shown) :]):9.3f}         {len(ops) - len(shown)} more ops")
    return "\n".join(lines)


def _title(program: ProgramProfile) -> str:
    runs, threads = max(program.runs, 1), program.threads
    peak = program.steps[0].peak * threads if program.steps else 0.0
    speed = program.flops / program.seconds if program.seconds else 0.0
    busy = program.busy_seconds / (program.seconds * threads) if program.seconds else 0.0
    return (
        f"{program.title or 'program'}: {program.runs} run{'s' * (program.runs != 1)} "
        f"of {1e3 * program.seconds / runs:.3f} ms on {threads} thread{'s' * (threads != 1)}, {busy:.0%} of it in "
        f"kernels; {_short(program.flops / runs)}FLOP, {_short(speed)}FLOP/s of {_short(peak)}"
    )


_WIDTH = 170
_HEADER = f"{'ms':>9} {'share':>6} {'calls':>6} {'FLOP':>7} {'FLOP/s':>7} {'peak':>5} {'bytes':>7} {'bytes/s':>7}  step"


def _line(step: StepProfile, runs: int) -> str:
    runs = max(runs, 1)
    same = step.operation.split()[0] == step.kernel.split()[0]
    # Elementwise kernels are named after the operation.
    what = step.operation if same else f"{_shortened(step.operation, 56)} [{step.kernel}]"
    text = (
        f"{1e3 * step.seconds / runs:9.3f} {step.share:6.1%} {step.calls / runs:6.4g} {_short(step.flops / runs):>7} "
        f"{_short(step.flops_per_second):>7} {step.peak_share:5.0%} {_short(step.bytes / runs):>7} "
        f"{_short(step.bytes_per_second):>7}  {f'{step.index[0]}.{step.index[1]}':<5} {what}"
    )
    return _shortened(text, _WIDTH)


def _sum(program: ProgramProfile, seconds: float, what: str) -> str:
    share = seconds / program.busy_seconds if program.busy_seconds else 0.0
    return f"{1e3 * seconds / max(program.runs, 1):9.3f} {share:6.1%} {'':46} {what}"


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
