"""Settings of the whole process."""

from __future__ import annotations

import warnings
from typing import Any

from oxiconv import _core


class _Settings:
    def __init__(self) -> None:
        self.floatx = "float32"
        self.epsilon = 1e-7
        self.image_data_format = "channels_last"
        self.precision = "fast"
        self.max_epochs: int | None = None
        self.max_steps_per_epoch: int | None = None
        self.interactive_logging = True
        self.traceback_filtering = True


_settings = _Settings()


def floatx() -> str:
    """The element type of layers and inputs that are given none: "float32" unless `set_floatx` was called."""
    return _settings.floatx


def set_floatx(value: str) -> None:
    """Sets `floatx` to "float32", "float16" or "bfloat16". Mixed precision keeps float32 weights: `set_dtype_policy`.

    Raises:
        ValueError: another type; float64 is absent.
    """
    if value not in ("float32", "float16", "bfloat16"):
        raise ValueError(f"set_floatx: expected 'float32', 'float16' or 'bfloat16', got {value!r}")
    from oxiconv.dtype_policies.dtype_policy import forget

    forget()
    _settings.floatx = value


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite (default 1e-7)."""
    return _settings.epsilon


def set_epsilon(value: float) -> None:
    """Sets `epsilon`."""
    _settings.epsilon = float(value)


def image_data_format() -> str:
    """Where image layers expect channels by default: "channels_last" or "channels_first"."""
    return _settings.image_data_format


def set_image_data_format(data_format: Any) -> None:
    """Sets `image_data_format`."""
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"set_image_data_format: expected 'channels_last' or 'channels_first', got {data_format!r}")
    _settings.image_data_format = data_format


def dtype_policy() -> Any:
    """The `DTypePolicy` of layers that are given no dtype."""
    from oxiconv import dtype_policies

    return dtype_policies.dtype_policy()


def set_dtype_policy(policy: Any) -> None:
    """Sets `dtype_policy`: a `DTypePolicy` or its name, such as "mixed_bfloat16"."""
    from oxiconv import dtype_policies

    dtype_policies.set_dtype_policy(policy)


def backend() -> str:
    """The name of the engine."""
    return "oxiconv"


def set_backend(backend: str) -> None:
    """Accepts "oxiconv", the one engine.

    Raises:
        ValueError: another one.
    """
    if backend != "oxiconv":
        raise ValueError(f"set_backend: expected 'oxiconv', the one engine here, got {backend!r}; Keras has others")


def max_epochs() -> int | None:
    """The most epochs that `fit` runs; None for no bound."""
    return _settings.max_epochs


def set_max_epochs(max_epochs: int | None) -> None:
    """Sets `max_epochs`, for short trials of long trainings."""
    _settings.max_epochs = _bound("set_max_epochs", max_epochs)


def max_steps_per_epoch() -> int | None:
    """The most steps per epoch of `fit`, `evaluate` and `predict`; None for no bound."""
    return _settings.max_steps_per_epoch


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Sets `max_steps_per_epoch`, for short trials of long trainings."""
    _settings.max_steps_per_epoch = _bound("set_max_steps_per_epoch", max_steps_per_epoch)


def _bound(what: str, value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"{what}: expected a positive integer or None, got {value!r}")
    bound: int | None = value
    return bound


def enable_interactive_logging() -> None:
    """`verbose='auto'` is a progress bar: so it is by default."""
    _settings.interactive_logging = True


def disable_interactive_logging() -> None:
    """`verbose='auto'` then is a line per epoch rather than a progress bar."""
    _settings.interactive_logging = False


def is_interactive_logging_enabled() -> bool:
    """What `enable_interactive_logging` and `disable_interactive_logging` said last."""
    return _settings.interactive_logging


def enable_traceback_filtering() -> None:
    """Accepted for Keras compatibility: tracebacks are short, and always whole."""
    _settings.traceback_filtering = True


def disable_traceback_filtering() -> None:
    """Accepted for Keras compatibility: tracebacks are short, and always whole."""
    _settings.traceback_filtering = False


def is_traceback_filtering_enabled() -> bool:
    """What `enable_traceback_filtering` and `disable_traceback_filtering` said last."""
    return _settings.traceback_filtering


def enable_flash_attention() -> None:
    """Warns: there is one attention kernel."""
    warnings.warn("enable_flash_attention: there is one attention kernel here, this changes nothing.", stacklevel=2)


def disable_flash_attention() -> None:
    """Accepted for Keras compatibility: there is one attention kernel."""


def is_flash_attention_enabled() -> bool:
    """False: there is one attention kernel."""
    return False


def is_nnx_enabled() -> bool:
    """False: NNX belongs to Keras's JAX backend."""
    return False


def enable_unsafe_deserialization() -> None:
    """Absent: raises NotImplementedError, since loading never runs code from a file."""
    raise NotImplementedError(
        "enable_unsafe_deserialization: loading never runs code from a file; pass your classes and functions as "
        "custom_objects, or register them with saving.register_keras_serializable"
    )


def precision() -> str:
    """How convolutions are computed: "fast" unless `set_precision` was called.

    "fast" may compute convolutions of 3x3 kernels at stride 1 by Winograd's method, in tiles, with a quarter of the
    multiplications: two to three times as fast from 16 channels up. It is float32 throughout; errors are about twice
    those of a plain sum, at most five times: 1e-6 to 4e-6 of the largest result, growing with the channels. An infinity
    in the input makes NaN of the tiles that read it. "exact" computes every convolution as a plain sum of products.

    >>> precision()
    'fast'
    """
    return _settings.precision


def set_precision(value: str) -> None:
    """Sets `precision` to "fast" or "exact", for what is computed or compiled from now on, gradients included.

    A layer's own attribute `precision`, of `Conv1D`, `Conv2D`, `Conv3D` and their transposes, goes before it:
    `layer.precision = "exact"`, set before the model runs first. `model.explain_plan()` marks what is exact.

    Raises:
        ValueError: another value.

    >>> set_precision("exact")
    >>> precision()
    'exact'
    >>> set_precision("fast")
    """
    _settings.precision = _precision("set_precision", value)


def _precision(what: str, value: Any) -> str:
    if value not in ("fast", "exact"):
        raise ValueError(f"{what}: expected 'fast' or 'exact', got {value!r}")
    chosen: str = value
    return chosen


def is_exact(chosen: str | None) -> bool:
    """Whether a convolution with this precision, or None for `precision()`, sums its products as they are."""
    return (_settings.precision if chosen is None else _precision("precision", chosen)) == "exact"


def isa() -> str:
    """The instruction set of the kernels in use: "avx512", "avx2", "neon" or "scalar".

    It is the best that the machine has, or what the environment variable `OXICONV_ISA` names.
    """
    return _core.isa()


def num_threads() -> int:
    """How many threads computations use: `set_num_threads`, or `OXICONV_NUM_THREADS`, or one per core."""
    return _core.num_threads()


def set_num_threads(n: int) -> None:
    """Sets how many threads computations use from now on. Results do not depend on it.

    Raises:
        ValueError: `n` is less than 1.

    >>> before = num_threads()
    >>> set_num_threads(1)
    >>> num_threads()
    1
    >>> set_num_threads(before)
    """
    if n < 1:
        raise ValueError(f"set_num_threads: expected at least 1, got {n}")
    _core.set_num_threads(n)
