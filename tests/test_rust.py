"""Runs the Rust crates' own tests, so that `pytest` alone tests everything."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.timeout(1800)  # may have to compile the workspace
def test_cargo_test_workspace() -> None:
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("cargo is not on the PATH: the Rust tests need a Rust toolchain (https://rustup.rs)")
    # The profile and PyO3's settings of an editable install, whose compiled crates are thus used again.
    environment = os.environ | {"PYO3_PYTHON": sys.executable, "PYO3_BUILD_EXTENSION_MODULE": "1"}
    command = [cargo, "test", "--workspace", "--locked", "--profile", "devopt", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)} failed:\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}", pytrace=False)
