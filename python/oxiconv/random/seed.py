"""Seeds: the global one, and generators whose whole state is (seed, counter)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from oxiconv import naming
from oxiconv.tensor import Tensor, convert
from oxiconv.variable import Variable


class _Global:
    def __init__(self) -> None:
        self.seed = int.from_bytes(os.urandom(4), "little") >> 1
        self.drawn = 0
        self.generator: SeedGenerator | None = None


_global = _Global()


def global_seed() -> int:
    """The seed that everything without a seed of its own derives from; random until `set_global_seed`."""
    return _global.seed


def set_global_seed(seed: int) -> None:
    """Sets the global seed: what is created and drawn afterwards repeats."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"set_random_seed: expected an integer, got {seed!r}")
    _global.seed, _global.drawn = int(seed), 0
    if _global.generator is not None:  # assigned, not replaced: compiled steps hold its state
        _global.generator.state.assign(_state(_global.seed))


def global_state() -> list[Any]:
    """All that what is created and drawn from now on depends on, as plain numbers."""
    generator = _global.generator
    return [_global.seed, _global.drawn, None if generator is None else generator.state.numpy().tolist()]


def restore_global_state(state: Sequence[Any]) -> None:
    """Goes back to a `global_state`."""
    seed, drawn, drawing = state
    set_global_seed(seed)
    _global.drawn = int(drawn)
    if drawing is not None:
        _global.generator = _global.generator or SeedGenerator(seed)
        _global.generator.state.assign(np.array(drawing, np.int32))


def next_seed() -> int:
    """A new seed, derived from the global one and how many were drawn since it was set."""
    _global.drawn += 1
    # One output of SplitMix64 (Steele, Lea, Flood 2014).
    z = (_global.seed + _global.drawn * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return (z ^ z >> 31) >> 33


def _state(seed: int) -> Any:
    """(seed, counter 0): the seed folded into 32 bits, of which int32 holds the pattern."""
    folded = (seed ^ seed >> 32) & 0xFFFFFFFF
    return np.array([folded, 0], np.uint32).view(np.int32)


class SeedGenerator:
    """A stream of random states. Each draw advances its counter, eager or within a compiled step.

    Args:
        seed: an integer; None derives one from the global seed.

    Example:
        >>> from oxiconv import random
        >>> generator = random.SeedGenerator(seed=1)
        >>> first, second = random.uniform((), seed=generator), random.uniform((), seed=generator)
        >>> bool(first == second), float(first) == float(random.uniform((), seed=random.SeedGenerator(1)))
        (False, True)
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        if seed is None:
            seed = next_seed()
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise ValueError(f"SeedGenerator: expected an integer seed, got {seed!r}")
        self.seed = int(seed)
        self.name = name or naming.auto_name("SeedGenerator")
        with naming.name_scope(self.name, caller=self):
            self.state = Variable(_state(self.seed), dtype="int32", trainable=False, name="seed_generator_state")

    def next(self, ordered: bool = True) -> Tensor:
        """The state to draw from now; afterwards the counter is one higher."""
        state = self.state.value
        self.state.assign(state + convert(np.array([0, 1], np.int32)))
        return state

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal generator."""
        return {"seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """A generator of a configuration."""
        return cls(**config)


def draw_seed(seed: int | SeedGenerator | None) -> Tensor:
    """The state for one draw: of a generator, of an integer (always the same), or of the global generator."""
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if seed is None:
        if _global.generator is None:
            _global.generator = SeedGenerator(_global.seed)
        return _global.generator.next()
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"seed: expected None, an integer or a SeedGenerator, got {seed!r}")
    return convert(_state(int(seed)))
