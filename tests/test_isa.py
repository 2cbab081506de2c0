"""The numerical tests pass on every instruction set that this machine has, not only on the best one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
NUMERICAL = sorted(
    str(path) for pattern in ("test_core.py", "test_core_steps.py", "test_ops*.py") for path in TESTS.glob(pattern)
)


def test_an_unknown_name_is_refused() -> None:
    environment = os.environ | {"OXICONV_ISA": "mmx"}
    command = [sys.executable, "-c", "import oxiconv; oxiconv.ops.add(oxiconv.ops.ones(3), 1.0)"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "OXICONV_ISA" in done.stderr
    assert "mmx" in done.stderr
    assert "panicked" not in done.stderr


@pytest.mark.timeout(900)
def test_numerical_tests_pass(isa_environment: dict[str, str]) -> None:
    assert NUMERICAL
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=600", *NUMERICAL]
    done = subprocess.run(command, cwd=TESTS.parent, env=isa_environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
