"""Image files and pictures, without Pillow."""

from oxiconv.images.files import load_batch, read_image, write_image
from oxiconv.images.image import Image

__all__ = ["Image", "load_batch", "read_image", "write_image"]
