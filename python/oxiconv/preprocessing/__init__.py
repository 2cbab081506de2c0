"""Keras's older names for functions of `utils`."""

from oxiconv.absent import getter
from oxiconv.preprocessing import image
from oxiconv.utils import image_dataset_from_directory

__all__ = ["image", "image_dataset_from_directory"]

__getattr__ = getter(__name__)
