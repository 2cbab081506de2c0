"""The hand-written stub of the compiled core says what the core has, no more and no less."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(300)  # mypy type-checks NumPy's stubs first
def test_core_stub_agrees_with_the_module(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed: pip install '.[test]'")
    # `__all__` is PyO3's; the two names of types exist for type checkers alone.
    allowed = tmp_path / "allowlist"
    allowed.write_text("\n".join(rf"oxiconv\._core\.{name}" for name in ("__all__", "DTypeName", "Scalar")))
    command = [sys.executable, "-m", "mypy.stubtest", "oxiconv._core", "--ignore-disjoint-bases"]
    done = subprocess.run(
        [*command, "--allowlist", str(allowed)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # A module that stubtest does not find is no error to it.
    assert "Success: no issues found in 1 module" in done.stdout, done.stdout + done.stderr
