"""Labels, seeds, progress bars, data sets, and the registry of classes that files may name."""

from oxiconv.absent import getter
from oxiconv.saving.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from oxiconv.saving.serialization import deserialize_keras_object, serialize_keras_object
from oxiconv.utils import bounding_boxes as bounding_boxes
from oxiconv.utils.numerical_utils import normalize, to_categorical
from oxiconv.utils.progbar import Progbar
from oxiconv.utils.py_dataset import PyDataset
from oxiconv.utils.rng_utils import set_random_seed
from oxiconv.utils.sample_tuples import pack_x_y_sample_weight, unpack_x_y_sample_weight

Sequence = PyDataset

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "normalize",
    "pack_x_y_sample_weight",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

__getattr__ = getter(__name__)
