"""Loops of a compiled library, from the text that `objdump` makes of it."""

from __future__ import annotations

import re
import subprocess
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t(\S+) *(.*)$")
_TARGET = re.compile(r"^([0-9a-f]+)\b")
_VECTOR = re.compile(r"\b[xyz]mm\d+\b")


@dataclass(frozen=True)
class Instruction:
    """`operands` in Intel's order: what is written comes first."""

    address: int
    name: str
    operands: str

    @property
    def is_multiply_add(self) -> bool:
        """Of packed float32."""
        return self.name.startswith("vfmadd") and self.name.endswith("ps")

    @property
    def is_vector(self) -> bool:
        return bool(_VECTOR.search(self.operands))

    @property
    def on_stack(self) -> bool:
        """A whole vector is read from the stack or written to it."""
        return self.is_vector and "[rsp" in self.operands

    @property
    def is_store(self) -> bool:
        """A whole vector goes to memory other than the stack."""
        return self.is_vector and "[" in self.operands.split(",")[0] and not self.on_stack


def disassemble(library: Path) -> list[Instruction]:
    """The instructions of a library, in the order of their addresses."""
    command = ["objdump", "-d", "--no-show-raw-insn", "-M", "intel", "-j", ".text", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return parse(done.stdout.splitlines())


def parse(lines: Iterable[str]) -> list[Instruction]:
    """The instructions of a listing."""
    found = map(_INSTRUCTION.match, lines)
    return [Instruction(int(m[1], 16), m[2], m[3]) for m in found if m]


def innermost_loops(code: list[Instruction]) -> Iterator[list[Instruction]]:
    """What is between a jump backwards and its target, where no other such pair is within."""
    addresses = [i.address for i in code]
    loops = []
    for end, instruction in enumerate(code):
        target = _TARGET.match(instruction.operands) if instruction.name.startswith("j") else None
        if target and int(target[1], 16) <= instruction.address:
            start = bisect_left(addresses, int(target[1], 16))
            if addresses[start] == int(target[1], 16):
                loops.append((start, end))
    inner: list[tuple[int, int]] = []
    for start, end in sorted(loops, key=lambda loop: (loop[1], -loop[0])):
        # Of loops in the order of their ends, the last one within is also the last of all that end before.
        if not inner or inner[-1][0] < start:
            inner.append((start, end))
    for start, end in inner:
        yield code[start : end + 1]


def sums_of_products(code: list[Instruction], terms: int = 4) -> Iterator[list[Instruction]]:
    """Innermost loops that do nothing but add up products of vectors: at least `terms` multiply-adds per round.

    Convolutions and matrix products spend their time there. Loops that also store results, or compute anything else
    with vectors, are transforms, epilogues and polynomials.
    """
    for loop in innermost_loops(code):
        vectors = [i for i in loop if i.is_vector]
        if sum(i.is_multiply_add for i in vectors) < terms or any(i.is_store for i in vectors):
            continue
        if all(i.is_multiply_add or re.match(r"v(p?mov|broadcast|p?xor|perm)", i.name) for i in vectors):
            yield loop
