"""Counter-based random numbers: the same bits eager or compiled, for any number of threads."""

from oxiconv.random.distributions import (
    categorical,
    dropout,
    normal,
    randint,
    shuffle,
    truncated_normal,
    uniform,
)
from oxiconv.random.gamma import beta, binomial, gamma
from oxiconv.random.seed import (
    SeedGenerator,
    draw_seed,
    global_seed,
    global_state,
    next_seed,
    restore_global_state,
    set_global_seed,
)

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "draw_seed",
    "dropout",
    "gamma",
    "global_seed",
    "global_state",
    "next_seed",
    "normal",
    "randint",
    "restore_global_state",
    "set_global_seed",
    "shuffle",
    "truncated_normal",
    "uniform",
]
