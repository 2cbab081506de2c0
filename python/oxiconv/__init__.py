"""CNN training, fine-tuning and inference on any machine, with Keras's API."""

from oxiconv import operators as _operators
from oxiconv import ops
from oxiconv._core import __version__
from oxiconv.symbolic import KerasTensor
from oxiconv.tape import GradientTape
from oxiconv.tensor import Tensor
from oxiconv.variable import Variable

_operators.install()

__all__ = ["GradientTape", "KerasTensor", "Tensor", "Variable", "__version__", "ops"]
