"""Functions of images: Keras's `ops.image`."""

from oxiconv.ops.image.color import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from oxiconv.ops.image.filtering import gaussian_blur, sobel_edges, ssim
from oxiconv.ops.image.patches import crop_images, extract_patches, extract_patches_3d, pad_images
from oxiconv.ops.image.resizing import resize, scale_and_translate
from oxiconv.ops.image.sampling import map_coordinates
from oxiconv.ops.image.warping import affine_transform, elastic_transform, perspective_transform

__all__ = [
    "affine_transform",
    "crop_images",
    "elastic_transform",
    "extract_patches",
    "extract_patches_3d",
    "gaussian_blur",
    "hsv_to_rgb",
    "map_coordinates",
    "pad_images",
    "perspective_transform",
    "resize",
    "rgb_to_grayscale",
    "rgb_to_hsv",
    "scale_and_translate",
    "sobel_edges",
    "ssim",
]
