"""The hand-written stub of the compiled core says what the core has, no more and no less."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(300)  # mypy type-checks NumPy's stubs first
def test_core_stub_agrees_with_the_module(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed: pip install '.[test]'")
    command = [sys.executable, "-m", "mypy.stubtest", "oxiconv._core", "--ignore-disjoint-bases"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # A module that stubtest does not find is no error to it.
    assert "Success: no issues found in 1 module" in done.stdout, done.stdout + done.stderr
