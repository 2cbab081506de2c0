"""Labels, seeds and progress bars."""

from oxiconv.utils.numerical_utils import normalize, to_categorical
from oxiconv.utils.progbar import Progbar
from oxiconv.utils.rng_utils import set_random_seed

__all__ = ["Progbar", "normalize", "set_random_seed", "to_categorical"]
