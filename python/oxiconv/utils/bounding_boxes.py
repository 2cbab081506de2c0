"""Bounding boxes: Keras's `utils.bounding_boxes`."""

from oxiconv.bounding_boxes.anchors import decode_deltas_to_boxes, encode_box_to_deltas
from oxiconv.bounding_boxes.formats import convert_format
from oxiconv.bounding_boxes.overlap import compute_ciou, compute_iou
from oxiconv.bounding_boxes.plane import affine_transform, clip_to_image_size, crop, pad

__all__ = [
    "affine_transform",
    "clip_to_image_size",
    "compute_ciou",
    "compute_iou",
    "convert_format",
    "crop",
    "decode_deltas_to_boxes",
    "encode_box_to_deltas",
    "pad",
]
