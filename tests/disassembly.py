"""Inner loops of compiled kernels, and what they move to and from the stack."""

from __future__ import annotations

import bisect
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# `  1f2a0:\tvfmadd231ps (%rax),%zmm1,%zmm2`, as objdump prints it in AT&T syntax without the bytes.
_INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(?:(?:lock|rep|repz|repnz|notrack|bnd|\{\w+\})\s+)*(\S+)\s*(.*)$")
_FUNCTION = re.compile(r"^([0-9a-f]+) <(.*)>:$")
_TARGET = re.compile(r"^([0-9a-f]+)(?:\s|$)")
_HASH = re.compile(r"::h[0-9a-f]{16}$")
# 16 multiply-adds or 8 of them at once; scalar ones have the suffix `ss` or `sd`.
_MULTIPLY_ADD = re.compile(r"^vf(?:n)?m(?:add|sub)\d+p[sd]$")
_STACK = re.compile(r"\(%(rsp|rbp)[,)]")


@dataclass(frozen=True)
class Instruction:
    """One line of the disassembly."""

    address: int
    mnemonic: str
    operands: str

    @property
    def target(self) -> int | None:
        """Where a jump goes; None for other instructions, and for jumps through a register."""
        if not self.mnemonic.startswith("j"):
            return None
        found = _TARGET.match(self.operands)
        return int(found[1], 16) if found else None

    def is_multiply_add(self, register: str) -> bool:
        """Whether it multiplies and adds whole registers of this kind."""
        return bool(_MULTIPLY_ADD.match(self.mnemonic)) and register in self.operands

    def touches_stack(self, register: str, frame_pointer: bool) -> bool:
        """Whether it moves a whole vector register from or to the stack, or computes with one that lies there."""
        found = _STACK.search(self.operands)
        if not found or (found[1] == "rbp" and not frame_pointer):
            return False
        # One number that is repeated in all lanes is an argument, not a register that did not fit.
        repeated = "{1to" in self.operands or self.mnemonic.startswith("vbroadcast")
        return register in self.operands and not repeated


@dataclass(frozen=True)
class Loop:
    """An innermost loop with vector multiply-adds."""

    function: str
    register: str
    multiply_adds: int
    spills: tuple[Instruction, ...]

    def __str__(self) -> str:
        moved = "; ".join(f"{i.address:x}: {i.mnemonic} {i.operands}" for i in self.spills[:3])
        return f"{self.function} ({self.register}, {self.multiply_adds} multiply-adds): {len(self.spills)} x {moved}"


def functions(lines: Iterable[str]) -> Iterator[tuple[str, list[Instruction]]]:
    """The functions of a disassembly."""
    name, body = "", list[Instruction]()
    for line in lines:
        if found := _FUNCTION.match(line):
            if body:
                yield name, body
            name, body = _HASH.sub("", found[2]), []
        elif found := _INSTRUCTION.match(line):
            body.append(Instruction(int(found[1], 16), found[2], found[3].split("#")[0].strip()))
    if body:
        yield name, body


def inner_loops(name: str, body: list[Instruction]) -> Iterator[Loop]:
    """The loops of a function that hold no other loop, as far as they multiply and add vectors.

    A loop is what lies between a jump backward and its target: compilers lay an inner loop out in one piece.
    """
    at = [i.address for i in body]
    frame_pointer = any(i.mnemonic == "mov" and i.operands == "%rsp,%rbp" for i in body)
    spans = set[tuple[int, int]]()
    for end, instruction in enumerate(body):
        target = instruction.target
        if target is None or not at[0] <= target <= instruction.address:
            continue
        start = bisect.bisect_left(at, target)
        if at[start] == target:
            spans.add((start, end))
    for start, end in sorted(spans):
        if any((s, e) != (start, end) and start <= s and e <= end for s, e in spans):
            continue
        loop = body[start : end + 1]
        for register in ("%zmm", "%ymm"):
            if count := sum(i.is_multiply_add(register) for i in loop):
                spills = tuple(i for i in loop if i.touches_stack(register, frame_pointer))
                yield Loop(name, register, count, spills)
                break


def loops_of(lines: Iterable[str]) -> list[Loop]:
    """All inner loops of a disassembly."""
    return [loop for name, body in functions(lines) for loop in inner_loops(name, body)]


def disassemble(library: Path) -> Iterator[str]:
    """The lines that `objdump` prints for a library."""
    command = ["objdump", "--disassemble", "--no-show-raw-insn", "--demangle", "--section=.text", str(library)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield from process.stdout
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
