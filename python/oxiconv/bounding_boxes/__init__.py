"""Bounding boxes: formats, maps of the plane, overlaps. Users find them in `oxiconv.utils.bounding_boxes`."""
