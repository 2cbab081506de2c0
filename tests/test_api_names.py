"""Every public name of real Keras 3: here with its parameters, or an error that says it is absent."""

from __future__ import annotations

import importlib
import re

import pytest

import oxiconv
from oxiconv.absent import ABSENT, AbsentError
from reference import names, record_names, report_names
from reference.names import Name

WRITTEN = report_names.states(report_names.FILE.read_text(encoding="utf-8"))


def test_the_report_has_every_name() -> None:
    assert WRITTEN.keys() == names.record().keys()


@pytest.mark.parametrize("owner", sorted({name.owner for name in names.record().values()}))
def test_names_are_here_or_absent_as_the_report_says(owner: str) -> None:
    """`python tests/reference/report_names.py` writes the report anew."""
    for name in names.record().values():
        if name.owner == owner:
            found = names.compare(name)
            assert found.state in ("present", "absent"), f"{name.path}: {found}"
            assert found.state == WRITTEN[name.path], f"{name.path}: {found}, the report says {WRITTEN[name.path]}"


def test_nothing_that_matters_is_absent() -> None:
    """Of the tiers 1 and 2 only methods that belong to another framework or engine are."""
    gone = {path for path, state in WRITTEN.items() if state == "absent" and names.tier(names.record()[path]) in "12"}
    assert {names.record()[path].owner for path in gone} <= {"Layer", "Model", "Variable", "Operation"}


def test_absent_names_raise_what_to_use() -> None:
    with pytest.raises(AbsentError, match=r"oxiconv.layers.TextVectorization: text is outside .* layers.Embedding"):
        importlib.import_module("oxiconv.layers").TextVectorization  # noqa: B018
    with pytest.raises(AbsentError, match=r"oxiconv.distribution.DataParallel: one machine"):
        from oxiconv.distribution import DataParallel  # noqa: F401
    with pytest.raises(AbsentError, match=r"Dense\.quantize: models are quantized as a whole"):
        oxiconv.layers.Dense(1).quantize("int8")
    with pytest.raises(AttributeError, match=r"module 'oxiconv.layers' has no attribute 'Dence'"):
        oxiconv.layers.Dence  # noqa: B018
    with pytest.raises(AttributeError, match="'Dense' object has no attribute 'weigths'"):
        oxiconv.layers.Dense(1).weigths  # noqa: B018
    assert not hasattr(oxiconv, "nothing")


def test_the_table_of_absent_names_has_only_names_of_keras() -> None:
    for owner, reasons in ABSENT.items():
        for listed in reasons.values():
            for own in listed.split():
                path = f"{owner}.{own}".lstrip(".")
                known = own == "*" or path in names.record() or path in {name.owner for name in names.record().values()}
                assert known, f"{path} is no name of Keras"
                if path in names.record():
                    assert names.compare(names.record()[path]).state == "absent", f"{path} is here"


@pytest.mark.parametrize(
    ("theirs", "ours", "difference"),
    [
        ("(x, axis=-1)", "(x, axis=-1, more=0)", ""),
        ("(strides=(1, 1), name=None)", "(strides=1, **kwargs)", ""),
        ("(x, axis=-1)", "(x, axis=0)", "axis=0 for axis=-1"),
        ("(x, axis=-1)", "(x)", "no parameter 'axis'"),
        ("(x, a=1, b=2)", "(x, b=2, a=1)", "'b' in another place"),
        ("(x, range=(0, 255), b='ab')", "(x, range=(0, 255), b='ac')", "b='ac' for b='ab'"),
    ],
)
def test_the_comparison_itself(theirs: str, ours: str, difference: str) -> None:
    found = names.differs(theirs, ours)
    assert found.startswith(difference) if difference else found == ""


def test_the_tiers_name_what_keras_has() -> None:
    for module, levels in names.tiers().items():
        for own in levels:
            path = f"{module}.{own}".lstrip(".")
            assert own == "*" or path in names.record(), f"{path} is no name of Keras"
    assert names.tier(Name("layers.Conv2D", "class", "")) == "1"


def test_versions() -> None:
    assert oxiconv.version() == oxiconv.__version__
    recorded = re.search(r"Keras (\S+),", record_names.FILE.read_text())
    assert recorded is not None
    assert recorded[1] == oxiconv.keras_compat_version
