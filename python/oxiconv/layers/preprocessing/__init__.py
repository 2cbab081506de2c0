"""Layers that prepare and vary data. Users find them in `oxiconv.layers`."""
