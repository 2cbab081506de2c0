"""The profile of a model's step."""

from __future__ import annotations

from typing import Any

import numpy as np

from oxiconv.profiler import Profile
from oxiconv.random import global_state, restore_global_state
from oxiconv.trainer.arrays import Batch
from oxiconv.trainer.progress import variable_groups
from oxiconv.trainer.running import Runner


def profile_step(model: Any, run: Runner, batch: Batch, steps: int) -> Profile:
    """Profiles `steps` runs on one batch, after one that compiles and warms up, and puts all variables back."""
    run.prepare(batch)
    variables = [v for group in variable_groups(model).values() for v in group]
    values, numbers = [np.array(v.numpy()) for v in variables], global_state()
    try:
        run(batch)
        with Profile() as profile:
            for _ in range(steps):
                run(batch)
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        restore_global_state(numbers)
    return profile
