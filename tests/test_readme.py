"""README's code runs, and its shell commands are those that continuous integration runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str, pages: list[Path]) -> list[ParameterSet]:
    return [
        pytest.param(code, id=f"{page.name}-{number}")
        for page in pages
        for number, (found, code) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
        if found == language
    ]


def test_readme_has_the_two_commands_and_an_example() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "```sh\npip install . && oxiconv demo\n```" in readme
    assert "```sh\npip install -e '.[test]' && pytest\n```" in readme
    example = next(code for language, code in BLOCK.findall(readme) if language == "python")
    assert example.startswith("import oxiconv as keras\n")


@pytest.mark.parametrize("code", blocks("python", PAGES))
def test_python_block_runs(code: str, tmp_path: Path) -> None:
    environment = os.environ | {"OXICONV_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("code", blocks("sh", [ROOT / "README.md"]))
def test_shell_block_is_run_by_continuous_integration(code: str) -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    starts = [start for _, start in re.findall(r"""^readme (['"])(.+?)\1""", script, re.MULTILINE)]
    for line in code.splitlines():
        assert any(line.startswith(start) for start in starts), f".ci/run does not run README's {line!r}"
