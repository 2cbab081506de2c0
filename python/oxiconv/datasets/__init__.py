"""Data sets: `mnist`, `fashion_mnist`, `cifar10`, `cifar100` from their original files, `glyphs` drawn on the spot."""

from oxiconv.absent import getter
from oxiconv.datasets import cifar10, cifar100, fashion_mnist, glyphs, mnist

__all__ = ["cifar10", "cifar100", "fashion_mnist", "glyphs", "mnist"]

__getattr__ = getter(__name__)
