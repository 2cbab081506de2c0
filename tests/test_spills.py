"""The inner loops of products keep their sums and operands in registers."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

import disassembly
from oxiconv import _core

GOOD = """
  10:	vmovups zmm2,ZMMWORD PTR [rsi]
  16:	vfmadd231ps zmm0,zmm2,DWORD BCST [rdi]
  1c:	vfmadd231ps zmm1,zmm2,DWORD BCST [rdi+0x4]
  22:	vfmadd231ps zmm3,zmm2,DWORD BCST [rdi+0x8]
  28:	vfmadd231ps zmm4,zmm2,DWORD BCST [rdi+0xc]
  2e:	mov    rax,QWORD PTR [rsp+0x10]
  30:	dec    rax
  32:	jne    10 <kernel+0x10>
  34:	vmovups ZMMWORD PTR [rdx],zmm0
  3a:	dec    rcx
  3c:	jne    8 <kernel+0x8>
"""
SPILLED = GOOD.replace("vfmadd231ps zmm4,zmm2,DWORD BCST [rdi+0xc]", "vmovups ZMMWORD PTR [rsp+0x40],zmm0").replace(
    "  2e:", "  2c:	vfmadd231ps zmm4,zmm2,ZMMWORD PTR [rsp+0x80]\n  2e:"
)


def spills(code: list[disassembly.Instruction]) -> list[str]:
    """Loops with whole vectors on the stack: address, multiply-adds, accesses to the stack."""
    found = []
    for loop in disassembly.sums_of_products(code):
        stack, products = sum(i.on_stack for i in loop), sum(i.is_multiply_add for i in loop)
        if stack:
            found.append(f"{loop[0].address:#x}: {products} multiply-adds, {stack} vectors to or from the stack")
    return found


def test_a_spill_is_seen() -> None:
    good, spilled = (disassembly.parse(text.splitlines()) for text in (GOOD, SPILLED))
    assert [len(loop) for loop in disassembly.innermost_loops(good)] == [8]
    assert len(list(disassembly.sums_of_products(good))) == 1
    assert not spills(good)
    assert spills(spilled) == ["0x10: 4 multiply-adds, 2 vectors to or from the stack"]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the listing is of x86-64")
@pytest.mark.skipif(shutil.which("objdump") is None, reason="objdump (binutils) is not installed")
def test_no_product_spills() -> None:
    code = disassembly.disassemble(Path(str(_core.__file__)))
    widths = {"ymm": 0, "zmm": 0}
    for loop in disassembly.sums_of_products(code):
        for width in widths:
            widths[width] += any(width in i.operands for i in loop)
    assert min(widths.values()) >= 50, f"the loops of AVX2 and AVX-512 were not found: {widths}"
    assert not "\n".join(spills(code))
