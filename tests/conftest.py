"""Settings of the whole suite, and what several test modules share."""

import os
import subprocess
import sys
import zipfile

import pytest
from hypothesis import settings

# No time limit per example, which a busy machine would break; the same examples on every run.
settings.register_profile("oxiconv", deadline=None, derandomize=True)
settings.load_profile("oxiconv")


@pytest.fixture(params=["scalar", "avx2", "neon"])
def isa_environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment of a process that uses a narrower instruction set, one after another those that are present.

    It is chosen once per process, so what is tested must run in one of its own.
    """
    environment = os.environ | {"OXICONV_ISA": str(request.param)}
    command = [sys.executable, "-c", "import oxiconv; print(oxiconv.config.isa())"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        assert "OXICONV_ISA" in done.stderr, done.stderr
        pytest.skip(f"this machine has no {request.param}")
    assert done.stdout.strip() == request.param
    return environment


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The parts of an honest `.keras` file."""
    # Here rather than above: tests that start processes of their own need not load the package.
    from small_files import network

    path = tmp_path_factory.mktemp("honest") / "m.keras"
    network().save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
