"""Names that Keras has and this package knowingly has not: asking for one tells why, and what to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable


class AbsentError(NotImplementedError):
    """A name of Keras that is absent here. The message says why and what to use instead.

    It is no `AttributeError`, which `from oxiconv.layers import Name` would replace by one without the reason.
    """


_TEXT = "text is outside of this package; prepare integer ids with NumPy and use layers.Embedding"
_TABLES = "tables are outside of this package; prepare the columns with NumPy and use layers.Normalization"
_AUDIO = "audio is outside of this package; compute spectrograms with NumPy or SciPy"
_FOREIGN = "models of other frameworks are outside of this package; write the layer with oxiconv.ops"
_QUANTIZED = "models are quantized as a whole, after training: see Model.quantize"
_DEVICES = "one machine computes, with all its cores: there is nothing to distribute"
_SCIKIT = "wrappers for scikit-learn are absent; call fit and predict in an estimator class of your own"
_OLD = "Keras 2's own objects are absent; use those of oxiconv.optimizers and oxiconv.saving"
_FILES = "files of Keras 2's configuration format are read by saving.load_model, not by parts"
_REMAT = "recomputing activations is absent; a step runs a few samples at a time, so that activations stay small"
_COMPLEX = "complex numbers are absent; keep real and imaginary parts as two real tensors"
_DATASET = "data sets of text and tables are outside of this package; pass NumPy arrays"

_STEPS = "training steps are traced by fit itself; override train_step, test_step or predict_step"
_REPLACED = "it belongs to Keras 2; use compute_loss and metrics"

# By module (the top is ""), or class, reason to names. "*" is every name there.
ABSENT: dict[str, dict[str, str]] = {
    "": {
        _QUANTIZED: "Quantizer",
        _REMAT: "RematScope remat",
        "tracing is internal; symbolic results come from calling layers on an Input": "SymbolicScope",
    },
    "Operation": {_QUANTIZED: "quantized_call", _REMAT: "rematerialized_call"},
    "Layer": {
        _QUANTIZED: "quantize quantized_build quantized_call",
        "pass metrics to compile(), or make a metric an attribute and update it in call": "add_metric",
    },
    "Model": {
        _QUANTIZED: "get_quantization_layer_structure",
        _STEPS: "make_train_function make_test_function make_predict_function",
        _REPLACED: "compiled_loss compiled_metrics",
        _DEVICES: "distribute_strategy distribute_reduction_method",
        "exporting is absent; save with model.save and load with models.load_model": "export",
    },
    "Variable": {"a variable is no object of another framework; use its value": "handle"},
    "layers": {
        _TEXT: "TextVectorization StringLookup IntegerLookup",
        _TABLES: "Hashing HashedCrossing Discretization",
        _AUDIO: "MelSpectrogram STFTSpectrogram",
        _FOREIGN: "TorchModuleWrapper JaxLayer FlaxLayer TFSMLayer",
        "use layers.Embedding, and ops.matmul with its embeddings transposed": "ReversibleEmbedding",
    },
    "initializers": {_AUDIO: "STFT STFTInitializer stft"},
    "utils": {
        _TABLES: "FeatureSpace",
        _TEXT: "text_dataset_from_directory pad_sequences",
        _AUDIO: "audio_dataset_from_directory",
        "windows over time series are outside of this package; slice the array with NumPy": (
            "timeseries_dataset_from_array"
        ),
        "it is a dict with attributes; use a dataclass": "Config",
        _FILES: "legacy",
    },
    "preprocessing": {
        _TEXT: "text_dataset_from_directory",
        "windows over time series are outside of this package; slice the array with NumPy": (
            "timeseries_dataset_from_array"
        ),
    },
    "preprocessing.sequence": {_TEXT: "*"},
    "dtype_policies": {
        _QUANTIZED: ("AWQDTypePolicy GPTQDTypePolicy Int4DTypePolicy QuantizedDTypePolicy QuantizedFloat8DTypePolicy"),
    },
    "callbacks": {
        "Orbax belongs to JAX; use callbacks.ModelCheckpoint or BackupAndRestore": "OrbaxCheckpoint",
    },
    "saving": {"files are plain zip and HDF5: open them with zipfile and h5py": "KerasFileEditor"},
    "export": {"exporting is absent; save with model.save and load with models.load_model": "*"},
    "quantizers": {_QUANTIZED: "*"},
    "distribution": {_DEVICES: "*"},
    "distillation": {
        "override compute_loss: the student's loss plus the distance of its outputs from the teacher's": "*",
    },
    "wrappers": {_SCIKIT: "*"},
    "legacy": {_OLD: "*"},
    "legacy.saving": {_FILES: "*"},
    "optimizers": {_OLD: "legacy"},
    "datasets": {_DATASET: "imdb reuters boston_housing california_housing"},
    "ops": {
        "forward derivatives are absent; use GradientTape": "jvp",
        "it is absent; use ops.vectorized_map": "vectorize",
        "it is absent; use NumPy's function on an array": "nextafter view",
        _COMPLEX: ("eig fft fft2 ifft2 irfft istft polar rfft stft view_as_complex view_as_real"),
    },
}


def reason(module: str, name: str) -> str | None:
    """Why `oxiconv.module.name` is absent; None if nothing is known of the name."""
    for why, names in ABSENT.get(module, {}).items():
        if names == "*" or name in names.split():
            return why
    return None


def refuse(module: str, name: str) -> NoReturn:
    """Raises the error for a name that a module does not have.

    Raises:
        AbsentError: Keras has it.
        AttributeError: Keras has it not either.
    """
    known = module.removeprefix("oxiconv").removeprefix(".")
    # Python and pytest look for names of theirs in every module.
    why = None if name.startswith(("__", "pytest")) else reason(known, name) or reason(known.rpartition(".")[0], name)
    if why is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    raise AbsentError(f"{module}.{name}: {why}.")


def refuse_member(cls: type, name: str) -> NoReturn:
    """Raises the error for an attribute that an object does not have.

    Raises:
        AbsentError: Keras's class has it.
        AttributeError: Keras's class has it not either.
    """
    for base in cls.__mro__ if not name.startswith("_") else ():
        why = reason(base.__name__, name)
        if why is not None:
            raise AbsentError(f"{cls.__name__}.{name}: {why}.")
    raise AttributeError(f"{cls.__name__!r} object has no attribute {name!r}")


def getter(module: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module, which is asked for names that the module does not have."""

    def missing(name: str) -> Any:
        refuse(module, name)

    return missing
