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
    _cargo_test("--workspace", environment=dict(os.environ))


@pytest.mark.timeout(1800)
def test_cargo_test_of_the_facade(isa_environment: dict[str, str]) -> None:
    """The crates below test each kernel on every instruction set themselves; the facade uses one per process."""
    # Of the whole workspace, as above: of one package alone, cargo would compile everything again.
    _cargo_test("--workspace", "--test", "eager", "--test", "steps", environment=isa_environment)


def _cargo_test(*packages: str, environment: dict[str, str]) -> None:
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("cargo is not on the PATH: the Rust tests need a Rust toolchain (https://rustup.rs)")
    # The profile and interpreter of an editable install, whose compiled crates are thus used again.
    command = [cargo, "test", *packages, "--locked", "--profile", "devopt", "--quiet"]
    environment = environment | {"PYO3_PYTHON": sys.executable}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)} failed:\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}", pytrace=False)
