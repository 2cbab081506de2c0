"""Labels, seeds, progress bars, data sets, and the registry of classes that files may name."""

from oxiconv.absent import getter
from oxiconv.backend import clear_session, is_keras_tensor, standardize_dtype
from oxiconv.config import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from oxiconv.keras_tensor import get_source_inputs
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
from oxiconv.utils.dataset_utils import split_dataset
from oxiconv.utils.file_utils import get_file
from oxiconv.utils.image_dataset_utils import image_dataset_from_directory
from oxiconv.utils.image_utils import array_to_img, img_to_array, load_img, save_img
from oxiconv.utils.model_visualization import model_to_dot, plot_model
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
    "array_to_img",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "get_source_inputs",
    "image_dataset_from_directory",
    "img_to_array",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "load_img",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

__getattr__ = getter(__name__)
