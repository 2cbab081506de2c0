"""The command line: help, results, exit statuses, and errors in one line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import oxiconv
from oxiconv import __main__, demo
from oxiconv.datasets import glyphs, mnist

QUICK = ["--samples", "256", "--epochs", "1"]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "oxiconv", *arguments]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], ["demo", "info"]),
        (["demo", "--help"], ["--data", "--epochs", "--samples", "--seed", "--threads", "--out", "fashion_mnist"]),
        (["info", "--help"], ["instruction set"]),
    ],
)
def test_help(arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        __main__.main(arguments)
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["serve"], "invalid choice: 'serve'"),
        (["demo", "--data", "cifar"], "invalid choice: 'cifar'"),
        (["demo", "--epochs", "0"], "must be an integer of at least 1, got '0'"),
        (["demo", "--samples", "many"], "must be an integer of at least 10, got 'many'"),
        (["demo", "--seed", "-1"], "must be an integer of at least 0, got '-1'"),
        (["demo", "--threads", "0"], "must be an integer of at least 1, got '0'"),
    ],
)
def test_bad_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        __main__.main(arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_info() -> None:
    done = run("info", OXICONV_HOME="/somewhere/else")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(rf"^oxiconv +{re.escape(oxiconv.__version__)}$", done.stdout, re.MULTILINE)
    assert re.search(r"^instruction set +(avx512|avx2|neon|scalar)$", done.stdout, re.MULTILINE)
    assert re.search(r"^threads +\d+ of \d+ cores$", done.stdout, re.MULTILINE)
    assert re.search(
        rf"^cache folder +{re.escape(str(Path('/somewhere/else').absolute()))}$", done.stdout, re.MULTILINE
    )


def test_demo_writes_a_model_and_a_sheet(tmp_path: Path) -> None:
    done = run("demo", *QUICK, "--threads", "1", "--out", str(tmp_path / "new" / "folder"))
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^test accuracy: \d+\.\d\d%$", done.stdout, re.MULTILINE)
    folder = tmp_path / "new" / "folder"
    assert sorted(path.name for path in folder.iterdir()) == sorted(["glyphs.png", "glyphs" + demo.MODEL_SUFFIX])
    assert (folder / "glyphs.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_demo_is_reproducible(tmp_path: Path) -> None:
    models, sheets = [], []
    for threads in ("1", "2"):
        folder = tmp_path / threads
        assert run("demo", *QUICK, "--seed", "5", "--threads", threads, "--out", str(folder)).returncode == 0
        sheets.append((folder / "glyphs.png").read_bytes())
        # A safetensors file is a length, a JSON header, whose order means nothing, and the values.
        content = (folder / f"glyphs{demo.MODEL_SUFFIX}").read_bytes()
        end = 8 + int.from_bytes(content[:8], "little")
        models.append((json.loads(content[8:end]), content[end:]))
    assert models[0] == models[1]
    assert sheets[0] == sheets[1]


def test_demo_passes_98_percent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.run(folder=tmp_path) > 0.98


def test_errors_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for arguments, message in [
        (["--out", str(tmp_path / "file")], "file"),
        (["--data", "mnist", "--out", str(tmp_path)], r"no file train-images-idx3-ubyte.gz in .*mnist"),
    ]:
        done = run("demo", *QUICK, *arguments, OXICONV_DATA_DIR=str(tmp_path / "absent"))
        assert done.returncode == 1
        assert re.fullmatch(rf"oxiconv: error: .*{message}.*\n", done.stderr), done.stderr


def test_too_many_samples_of_a_real_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = glyphs.load_data(train=30, test=10)
    monkeypatch.setattr(mnist, "load_data", lambda: small)
    with pytest.raises(ValueError, match="mnist has 30 training pictures, 31 were asked for"):
        demo.run(data="mnist", samples=31, folder=tmp_path)


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(**_: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupted)
    assert __main__.main(["demo"]) == 130
    assert capsys.readouterr().err == "oxiconv: interrupted\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no broken pipes of this kind")
def test_a_reader_that_goes_away() -> None:
    shell = f"{sys.executable} -W error -m oxiconv info | true"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False)
    assert done.stderr == ""
