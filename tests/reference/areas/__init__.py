"""The recorded computations by area: each module registers functions with `@case`."""
