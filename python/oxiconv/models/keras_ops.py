"""Functions of `ops` in a functional model, as the operation classes that Keras writes for them, and back.

Keras splits a function's arguments in two: tensors are given to the operation's call, all else to its constructor.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from oxiconv.naming import to_snake_case
from oxiconv.symbolic import KerasTensor, functions

# By module below `keras.src.ops`, then by the names of the arguments of the call: the classes (`=function` where the
# function's name is not the class's in snake case).
_CLASSES = {
    "numpy": {
        "x": """
            Absolute All Amax Amin Angle Any Arccos Arccosh Arcsin Arcsinh Arctan Arctanh Argmax Argmin Argpartition
            Argsort Array ArraySplit Bincount BitwiseInvert BitwiseNot BroadcastTo Cbrt Ceil Clip Conjugate Copy
            Corrcoef Cos Cosh CountNonzero Cumprod Cumsum Deg2rad Diag Diagflat Diagonal Dsplit EmptyLike Exp Exp2
            ExpandDims Expm1 Fabs Flip Fliplr Flipud Floor Histogram Hsplit Imag Isfinite Isinf Isnan Isneginf Isposinf
            Isreal Log Log10 Log1p Log2 LogicalNot Max Mean Median Meshgrid Min Moveaxis NanToNum Nanargmax Nanargmin
            Nancumprod Nancumsum Nanmax Nanmean Nanmedian Nanmin Nanprod Nanstd Nansum Nanvar Ndim Negative Nonzero
            OnesLike Prod Ptp Rad2deg Ravel Real Reciprocal Repeat Reshape Roll Round Sign Signbit Sin Sinc Sinh Size
            Slogdet Sort Split Sqrt Square Squeeze Stack Std Sum Swapaxes Tan Tanh Tile Trace Transpose Tril Triu Trunc
            Unique Vander Var View Vsplit ZerosLike
        """,
        "x1 x2": """
            Add AllClose=allclose Append Arctan2 Correlate Cross Divide DivideNoNan Dot Equal FloorDivide Fmax Fmin Fmod
            Gcd Greater GreaterEqual Heaviside Hypot Inner IsIn=isin Kron Lcm Ldexp Less LessEqual Logaddexp Logaddexp2
            LogicalAnd LogicalOr LogicalXor Matmul Maximum Minimum Mod Multiply Nextafter NotEqual Outer Power Subtract
            Tensordot TrueDivide Vdot
        """,
        "x y": "BitwiseAnd BitwiseLeftShift BitwiseOr BitwiseRightShift BitwiseXor LeftShift RightShift",
        "xs": "Concatenate Dstack Hstack Vstack",
        "x q": "Nanpercentile Nanquantile Percentile Quantile",
        "x indices": "Take TakeAlongAxis",
        "x weights": "Average",
        "a": "Diff",
        "x bins": "Digitize",
        "operands": "Einsum",
        "x fill_value": "FullLike",
        "x key": "GetItem",
        "x1 x2 rtol atol": "Isclose",
        "x constant_values": "Pad",
        "array": "Rot90",
        "sorted_sequence values": "SearchSorted=searchsorted",
        "condlist choicelist default": "Select",
        "y": "Trapezoid",
        "indices": "UnravelIndex",
        "condition x1 x2": "Where",
    },
    "nn": {
        "x": """
            Celu DepthToSpace Elu Fold Gelu Glu HardShrink HardSigmoid HardSilu HardTanh LeakyRelu LogSigmoid LogSoftmax
            Moments Normalize OneHot Relu Relu6 Selu Sigmoid Silu SoftShrink Softmax Softplus Softsign SpaceToDepth
            SparsePlus SparseSigmoid Sparsemax Squareplus TanhShrink Threshold Unfold
        """,
        "inputs": "AdaptiveAveragePool AdaptiveMaxPool AveragePool MaxPool MultiHot",
        "target output": "BinaryCrossentropy CategoricalCrossentropy SparseCategoricalCrossentropy",
        "inputs kernel": "Conv ConvTranspose DepthwiseConv",
        "x mean variance offset scale": "BatchNorm=batch_normalization",
        "query key value bias mask scale": "DotProductAttention",
        "x gamma beta": "LayerNorm=layer_normalization",
        "x1 x2": "PSNR",
        "x scale": "RMSNorm=rms_normalization",
        "inputs depthwise_kernel pointwise_kernel": "SeparableConv",
    },
    "core": {
        "x": "Cast ConvertToTensor SaturateCast Unstack",
        "indices values": "Scatter",
        "inputs indices updates": "ScatterUpdate",
        "inputs start_indices": "Slice",
        "inputs start_indices updates": "SliceUpdate",
        "variable": "StopGradient",
    },
    "image": {
        "images": """
            CropImages ElasticTransform ExtractPatches GaussianBlur HSVToRGB PadImages RGBToGrayscale RGBToHSV Resize
            SobelEdges
        """,
        "images transform": "AffineTransform",
        "inputs coordinates": "MapCoordinates",
        "images start_points end_points": "PerspectiveTransform",
        "image1 image2": "SSIM",
        "images output_shape scale translation": "ScaleAndTranslate",
    },
    "linalg": {
        "x": "Cholesky CholeskyInverse Det Eig Eigh Inv LuFactor MatrixRank Norm Pinv Qr SVD",
        "a b": "Lstsq Solve SolveTriangular",
    },
    "math": {
        "x": """
            Erf Erfc Erfinv ExtractSequences FFT FFT2 IFFT2 IRFFT ISTFT Logdet Logsumexp RFFT Rsqrt STFT TopK
        """,
        "data segment_ids": "SegmentMax SegmentMin SegmentProd SegmentSum",
        "x y": "CDist=cdist",
        "targets predictions": "InTopK",
    },
}
_ALIASES = {"abs": "absolute", "conj": "conjugate", "bitwise_invert": "bitwise_not"}


class KerasOp(NamedTuple):
    """A class of operations in Keras: where it is defined, its name, and the arguments of its call."""

    module: str
    class_name: str
    function: str
    call: tuple[str, ...]


@functools.cache
def _table() -> dict[str, KerasOp]:
    """By the name of the function."""
    rows: dict[str, KerasOp] = {}
    for module, groups in _CLASSES.items():
        for call, names in groups.items():
            for entry in names.split():
                name, _, function = entry.partition("=")
                function = function or to_snake_case(name)
                rows[function] = KerasOp(f"keras.src.ops.{module}", name, function, tuple(call.split()))
    return rows


def keras_call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[KerasOp, dict[str, Any], list[Any]] | None:
    """The class, the constructor's arguments and the call's arguments for a call of a function of `ops`.

    None where Keras has no class for it, or the class takes no tensor where one is given.
    """
    name = function.__name__
    row = _table().get(_ALIASES.get(name, name))
    if row is None or not function.__module__.startswith("oxiconv.ops"):
        return None
    bound = inspect.signature(function).bind(*args, **kwargs)
    config: dict[str, Any] = {}
    call: dict[str, Any] = {}
    for parameter in bound.signature.parameters.values():
        if parameter.name in bound.arguments:
            (call if parameter.name in row.call else config)[parameter.name] = bound.arguments[parameter.name]
    ordered: list[Any] = []
    for name in row.call:
        value = call.get(name)
        if bound.signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
            ordered.extend(value or ())
        else:
            ordered.append(value)
    optional = [bound.signature.parameters[name].default is not inspect.Parameter.empty for name in row.call]
    while ordered and ordered[-1] is None and len(ordered) == len(optional) and optional[-1]:
        ordered.pop()
        optional.pop()
    return None if any(isinstance(value, KerasTensor) for value in config.values()) else (row, config, ordered)


def find_function(module: str, class_name: str) -> tuple[KerasOp, Callable[..., Any]] | None:
    """The row and our function for a class that Keras wrote, `module` or the start of it; None if there is none."""
    rows = [row for row in _table().values() if row.class_name == class_name and row.module.startswith(module)]
    if len(rows) != 1:
        return None
    row = rows[0]
    wanted = {row.function} | {alias for alias, name in _ALIASES.items() if name == row.function}
    for path, function in functions.items():
        if path.startswith("oxiconv.ops") and path.rpartition(".")[2] in wanted:
            return row, function
    return None


def call_function(
    row: KerasOp,
    function: Callable[..., Any],
    config: Mapping[str, Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of our function for a Keras operation of this config, called on `args` and `kwargs`."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        return (*(config[name] for name in parameters if name in config), *args), dict(kwargs)
    if len(args) > len(row.call):
        raise ValueError(f"{row.class_name}: expected at most {len(row.call)} arguments, got {len(args)}")
    given = dict(zip(row.call, args, strict=False))
    if row.class_name == "GetItem" and isinstance(given.get("key"), list):
        given["key"] = tuple(given["key"])  # JSON knows no tuples
    return (), {**config, **given, **kwargs}
