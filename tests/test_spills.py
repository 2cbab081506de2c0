"""The inner loops of convolutions keep their sums in registers: nothing whole is moved to or from the stack."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from disassembly import Loop, disassemble, loops_of
from oxiconv import _core

# What spills with the 16 registers of AVX2, and why: each an instance to shrink or to drop.
SPILLS = {
    ("%ymm", "direct/tile.rs", "4, 3"): "12 sums and 3 vectors of the kernel leave one register for inputs",
    ("%ymm", "direct/weights/tile.rs", "2, 7, 1"): "14 sums and 2 cotangents leave none for inputs",
    ("%ymm", "direct/weights/tile.rs", "1, 14, 1"): "14 sums and a cotangent leave one for inputs",
    ("%ymm", "direct/sparse/lookup.rs", "5, 2, 1"): "10 sums beside what is looked up",
    ("%ymm", "direct/sparse/lookup.rs", "5, 1, 2"): "10 sums beside what is looked up",
    ("%ymm", "depthwise/tile.rs", "7, 1"): "seven taps of a row beside four results",
}

# Transforms are not among them: a tile of 6x6 vectors is larger than any register file.
PRODUCTS = re.compile(r"kernels/((?:direct|depthwise)/.*|winograd/product\.rs|depthwise\.rs):")

SPILLING = """
0000000000001000 <kernel::{kind}::h0123456789abcdef>:
    1000:\tpush   %rbp
    1001:\tvxorps %xmm0,%xmm0,%xmm0
    1008:\tvmovups 0x40(%rsp),%zmm3
    1010:\tvbroadcastss 0x8(%rsp),%zmm1
    1018:\t{inside}
    1020:\tvfmadd231ps (%rax){{1to16}},%zmm1,%zmm0
    1028:\tvfmadd231ps 0x40(%rbp),%zmm1,%zmm2
    1030:\tdec    %rcx
    1033:\tjne    1010 <kernel+0x10>
    1035:\tvmovups %zmm0,0x40(%rsp)
    103d:\tjne    1000 <kernel>
    103f:\tret
"""


@pytest.mark.parametrize(
    ("inside", "spills"),
    [
        ("vmovups 0x80(%rdx),%zmm5", 0),
        ("vmovups 0x80(%rsp),%zmm5", 1),
        ("vmovups %zmm5,0x80(%rsp)", 1),
        ("vaddps 0x80(%rsp,%rcx,1),%zmm5,%zmm6", 1),
        # One number, and half of a register: an argument, or a pair of pointers.
        ("vmovss 0x80(%rsp),%xmm5", 0),
        ("mov    0x80(%rsp),%rdx", 0),
    ],
)
def test_spills_of_inner_loops_are_seen(inside: str, spills: int) -> None:
    """What lies outside of the inner loop does not count, nor does `rbp` where it is a pointer like others."""
    (loop,) = loops_of(SPILLING.format(kind="a", inside=inside).splitlines())
    assert (loop.function, loop.register, loop.multiply_adds) == ("kernel::a", "%zmm", 2)
    assert [i.address for i in loop.spills] == [0x1018] * spills


def test_a_frame_pointer_is_the_stack() -> None:
    lines = SPILLING.format(kind="a", inside="nop").replace("vxorps %xmm0,%xmm0,%xmm0", "mov    %rsp,%rbp")
    (loop,) = loops_of(lines.splitlines())
    assert [i.address for i in loop.spills] == [0x1028]


def kernel_of(library: Path, loop: Loop) -> tuple[str, str] | None:
    """File and tile sizes of the convolution that the first spill belongs to, if it is one."""
    command = ["addr2line", "-Cfie", str(library), hex(loop.spills[0].address)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    if any("kernels/winograd/transform.rs" in line for line in lines):
        return None
    # Innermost first: the kernel is the first function named `run`, into which all others were inlined.
    frames = list(zip(lines[::2], lines[1::2], strict=True))
    frames = [frame for frame in frames if PRODUCTS.search(frame[1])]
    if not frames:
        return None
    function, place = next((frame for frame in frames if frame[0].startswith("run<")), frames[-1])
    return PRODUCTS.search(place)[1], ", ".join(re.findall(r"(?<=[<\s])\d+(?=[,>])", function))  # type: ignore[index]


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="reads the code of AVX-512 and AVX2 in ELF files"
)
def test_convolutions_do_not_spill() -> None:
    missing = [tool for tool in ("objdump", "addr2line") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)} of binutils")
    library = Path(_core.__file__)
    sections = subprocess.run(["objdump", "-h", str(library)], capture_output=True, text=True, check=True).stdout
    if ".debug_line" not in sections:
        pytest.skip("needs a core with line tables, as the profile devopt makes it")
    loops = loops_of(disassemble(library))
    # Hundreds of instances; so the search has not missed the kernels.
    for register in ("%zmm", "%ymm"):
        assert sum(loop.register == register for loop in loops) > 100
    found = {(loop.register, *kernel): loop for loop in loops if loop.spills and (kernel := kernel_of(library, loop))}
    unexpected = {key: str(loop) for key, loop in found.items() if key not in SPILLS}
    assert not unexpected, "these inner loops spill"
