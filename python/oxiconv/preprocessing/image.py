"""Keras's older names for the image functions of `utils`."""

from oxiconv.absent import getter
from oxiconv.utils.image_utils import array_to_img, img_to_array, load_img, save_img, smart_resize

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img", "smart_resize"]

__getattr__ = getter(__name__)
