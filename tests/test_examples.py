"""The scripts in examples/ run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 12


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: str(script.stem))
def test_example_runs(script: Path, tmp_path: Path) -> None:
    # An empty data folder: the example must come to terms with absent data, and nothing is downloaded.
    environment = os.environ | {"OXICONV_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "error", str(script), "--quick"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"^(?:Test|Final|Generator's) [^:]+: ([\d.]+)$", done.stdout, re.MULTILINE)
    assert found, done.stdout
    assert float(found[1]) >= 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: str(script.stem))
def test_one_line_names_the_library(script: Path) -> None:
    lines = [line for line in script.read_text().splitlines() if re.search(r"^\s*(import|from) ", line)]
    assert [line for line in lines if "oxiconv" in line] == ["import oxiconv as keras"]
