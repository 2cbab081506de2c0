"""Data sets: `mnist` and `fashion_mnist` from their original files, `glyphs` drawn on the spot."""

from oxiconv.absent import getter
from oxiconv.datasets import fashion_mnist, glyphs, mnist

__all__ = ["fashion_mnist", "glyphs", "mnist"]

__getattr__ = getter(__name__)
