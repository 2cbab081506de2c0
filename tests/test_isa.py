"""The numerical tests pass on every instruction set that this machine has, not only on the best one.

The instruction set is chosen once per process, so each runs in a process of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
NUMERICAL = ["test_ops.py"]


def test_an_unknown_name_is_refused() -> None:
    done = _python("-c", "import oxiconv; oxiconv.ops.add(oxiconv.ops.ones(3), 1.0)", isa="mmx")
    assert done.returncode != 0
    assert "OXICONV_ISA" in done.stderr
    assert "mmx" in done.stderr
    assert "panicked" not in done.stderr


@pytest.mark.timeout(900)
@pytest.mark.parametrize("isa", ["scalar", "avx2", "neon"])
def test_numerical_tests_pass_on(isa: str) -> None:
    probe = _python("-c", "import oxiconv; print(oxiconv.config.isa())", isa=isa)
    if probe.returncode != 0:
        assert "OXICONV_ISA" in probe.stderr
        pytest.skip(f"this machine has no {isa}")
    assert probe.stdout.strip() == isa
    files = [str(TESTS / name) for name in NUMERICAL]
    done = _python("-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=600", *files, isa=isa)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def _python(*arguments: str, isa: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OXICONV_ISA": isa}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False)
