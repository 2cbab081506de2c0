"""Results equal to those of real Keras: the cases of `reference.areas`, against the values recorded under Keras."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest

import oxiconv
from reference.case import Array, Case, Library, areas, cases, difference, flatten, values_file


@cache
def recorded(area: str) -> Mapping[str, Array]:
    with np.load(values_file(area)) as file:
        return dict(file)


@pytest.mark.parametrize("area", areas())
def test_the_record_is_of_these_cases(area: str) -> None:
    assert {key.partition("/")[0] for key in recorded(area)} == {case.name for case in cases(area)}


@pytest.mark.parametrize(
    ("area", "case"), [pytest.param(area, case, id=f"{area}-{case.name}") for area in areas() for case in cases(area)]
)
def test_case(area: str, case: Case) -> None:
    oxiconv.backend.clear_session()
    oxiconv.utils.set_random_seed(0)
    ours = flatten(case.run(Library(oxiconv, oxiconv.GradientTape)))
    theirs = {key.partition("/")[2]: array for key, array in recorded(area).items() if key.startswith(f"{case.name}/")}
    assert ours.keys() == theirs.keys()
    wrong = {key: difference(ours[key], theirs[key], case.tolerance) for key in theirs}
    assert not any(wrong.values()), "\n".join(f"{key}: {text}" for key, text in wrong.items() if text)
