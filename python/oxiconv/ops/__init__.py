"""Functions of tensors: of eager ones, of values being traced, of symbolic ones and of arrays.

The names are listed once, in `numpy`, `nn`, `math` and `linalg` as Keras groups them; here are the rest.
"""

from oxiconv.absent import getter
from oxiconv.ops import image as image
from oxiconv.ops import linalg as linalg
from oxiconv.ops import math as math
from oxiconv.ops import nn as nn
from oxiconv.ops import numpy as numpy
from oxiconv.ops.arrangement import unstack
from oxiconv.ops.autograd import custom_gradient
from oxiconv.ops.control_flow import associative_scan, cond, fori_loop, map, scan, switch, vectorized_map, while_loop
from oxiconv.ops.core import (
    cast,
    convert_to_numpy,
    convert_to_tensor,
    dtype,
    is_tensor,
    saturate_cast,
    shape,
    slice,
    stop_gradient,
)
from oxiconv.ops.linalg import *  # noqa: F403
from oxiconv.ops.math import *  # noqa: F403
from oxiconv.ops.nn import *  # noqa: F403
from oxiconv.ops.numpy import *  # noqa: F403
from oxiconv.ops.scattering import scatter, scatter_update, slice_update
from oxiconv.ops.sequences import rearrange

__all__ = [
    "associative_scan",
    "cast",
    "cond",
    "convert_to_numpy",
    "convert_to_tensor",
    "custom_gradient",
    "dtype",
    "fori_loop",
    "is_tensor",
    "map",
    "rearrange",
    "saturate_cast",
    "scan",
    "scatter",
    "scatter_update",
    "shape",
    "slice",
    "slice_update",
    "stop_gradient",
    "switch",
    "unstack",
    "vectorized_map",
    "while_loop",
]
__all__ += linalg.__all__
__all__ += math.__all__
__all__ += nn.__all__
__all__ += numpy.__all__

__getattr__ = getter(__name__)
