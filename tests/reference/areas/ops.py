"""Operations with conventions of their own: values, and gradients where there are any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reference.case import Array, Library, case
from reference.inputs import results, spread

INF, NAN = float("inf"), float("nan")

# Functions of one float tensor `[3, 4]` of different values, with gradients.
SMOOTH: dict[str, Callable[[Any, Any], Any]] = {
    "moments": lambda o, x: o.moments(x, axes=[0], keepdims=True),
    "normalize": lambda o, x: o.normalize(x, axis=0),
    "normalize3": lambda o, x: o.normalize(x, axis=-1, order=3),
    "normalize1": lambda o, x: o.normalize(x, order=1),
    "norm": lambda o, x: o.norm(x),
    "norm_rows": lambda o, x: o.norm(x, axis=1, keepdims=True),
    "norm_one": lambda o, x: o.norm(x, ord=1, axis=0),
    "norm_inf": lambda o, x: o.norm(x, ord=INF, axis=1),
    "norm_minus_inf": lambda o, x: o.norm(x, ord=-INF, axis=1),
    "norm_three": lambda o, x: o.norm(x, ord=3, axis=1),
    "norm_fro": lambda o, x: o.norm(x, ord="fro"),
    "norm_matrix_one": lambda o, x: o.norm(x, ord=1),
    "norm_matrix_minus_one": lambda o, x: o.norm(x, ord=-1, axis=(0, 1)),
    "norm_matrix_inf": lambda o, x: o.norm(x, ord=INF),
    "layer_normalization": lambda o, x: o.layer_normalization(x, axis=0),
    "rms_normalization": lambda o, x: o.rms_normalization(x, axis=(0, 1)),
    "logsumexp": lambda o, x: o.logsumexp(x, axis=1, keepdims=True),
    "softmax": lambda o, x: o.softmax(x, axis=0),
    "log_softmax": lambda o, x: o.log_softmax(x),
    "quantile": lambda o, x: o.quantile(x, [0.1, 0.5, 0.9], axis=1),
    "quantile_lower": lambda o, x: o.quantile(x, 0.3, axis=0, method="lower", keepdims=True),
    "quantile_higher": lambda o, x: o.quantile(x, 0.3, method="higher"),
    "quantile_nearest": lambda o, x: o.quantile(x, 0.55, axis=1, method="nearest"),
    "quantile_midpoint": lambda o, x: o.quantile(x, 0.4, axis=(0, 1), method="midpoint"),
    "percentile": lambda o, x: o.percentile(x, 30, axis=0),
    "median": lambda o, x: o.median(x, axis=1),
    "median_even": lambda o, x: o.median(x),
    "sort": lambda o, x: o.sort(x, axis=0),
    "cumsum": lambda o, x: o.cumsum(x, axis=1),
    "cumprod": lambda o, x: o.cumprod(x, axis=1),
    "diff": lambda o, x: o.diff(x, n=2),
    "var": lambda o, x: o.var(x, axis=0),
    "std": lambda o, x: o.std(x),
    "average": lambda o, x: o.average(x, axis=1, weights=[1.0, 2.0, 3.0, 4.0]),
    "rot90": lambda o, x: o.rot90(x, k=3),
    "diag": lambda o, x: o.diag(x, k=1),
    "diag_vector": lambda o, x: o.diag(x[0], k=-1),
    "diagonal": lambda o, x: o.diagonal(x, offset=-1),
    "trace": lambda o, x: o.trace(x, offset=1),
    "tril": lambda o, x: o.tril(x, k=1),
    "triu": lambda o, x: o.triu(x, k=1),
    "vander": lambda o, x: o.vander(x[0], N=3),
    "get_item": lambda o, x: o.get_item(x, (slice(None, None, -1), None, slice(1, 4, 2))),
    "slice": lambda o, x: o.slice(x, [1, 0], [2, 3]),
    "roll": lambda o, x: o.roll(x, 2, axis=1),
    "repeat": lambda o, x: o.repeat(x, 2, axis=1),
    "pad_reflect": lambda o, x: o.pad(x, [[1, 1], [2, 0]], mode="reflect"),
    "pad_symmetric": lambda o, x: o.pad(x, [[1, 1], [2, 0]], mode="symmetric"),
    "logaddexp": lambda o, x: o.logaddexp(x, x[:1]),
    "arctan2": lambda o, x: o.arctan2(x, x[::-1]),
    "hypot": lambda o, x: o.hypot(x, 2.0),
    "cross": lambda o, x: o.cross(x[:, :3], x[:, 1:]),
    "cdist": lambda o, x: o.cdist(x, x[:2] + 10.0),
    "corrcoef": lambda o, x: o.corrcoef(x),
    "trapezoid": lambda o, x: o.trapezoid(x, dx=0.5, axis=0),
    "ptp": lambda o, x: o.ptp(x, axis=1),
    "nansum": lambda o, x: o.nansum(x, axis=1),
    "nanmean": lambda o, x: o.nanmean(x, axis=1),
    "nanvar": lambda o, x: o.nanvar(x, axis=1),
    "prod": lambda o, x: o.prod(x, axis=1),
    "erf": lambda o, x: o.erf(x),
    "erfc": lambda o, x: o.erfc(x),
    "erfinv": lambda o, x: o.erfinv(x * 0.5),
    "cbrt": lambda o, x: o.cbrt(x),
    "sinc": lambda o, x: o.sinc(x),
    "i0": lambda o, x: o.i0(x),
    "exp2": lambda o, x: o.exp2(x),
    "arcsinh": lambda o, x: o.arcsinh(x),
    "arctanh": lambda o, x: o.arctanh(x * 0.5),
    "sinh": lambda o, x: o.sinh(x),
    "glu": lambda o, x: o.glu(x),
    "inv": lambda o, x: o.inv(x[:3, :3] + 3.0 * o.eye(3)),
    "det": lambda o, x: o.det(x[:3, :3] + o.eye(3)),
    "logdet": lambda o, x: o.logdet(o.matmul(x, o.transpose(x)) + o.eye(3)),
    "cholesky": lambda o, x: o.cholesky(o.matmul(x, o.transpose(x)) + o.eye(3)),
    "solve": lambda o, x: o.solve(x[:3, :3] + 3.0 * o.eye(3), x[:, 3:]),
    "solve_triangular": lambda o, x: o.solve_triangular(x[:3, :3] + 3.0 * o.eye(3), x, lower=True),
    "qr": lambda o, x: o.qr(o.transpose(x)),
    "extract_sequences": lambda o, x: o.extract_sequences(x, 2, 1),
    "rearrange": lambda o, x: o.rearrange(x, "a (b c) -> c (b a)", b=2),
    "correlate": lambda o, x: o.correlate(x[0], x[1, :2], mode="same"),
    "correlate_full": lambda o, x: o.correlate(x[0], x[1, :3], mode="full"),
    "slogdet": lambda o, x: o.slogdet(x[:3, :3] + o.eye(3))[1],
    "unstack": lambda o, x: o.unstack(x, axis=1),
    "array_split": lambda o, x: o.array_split(x, 3, axis=1),
    "kron": lambda o, x: o.kron(x[:2, :2], x[:1]),
    "max_ties": lambda o, x: o.max(o.maximum(x, 0.0), axis=1),
}


@case(each=SMOOTH)
def smooth(k: Library, function: Callable[[Any, Any], Any]) -> Mapping[str, Array]:
    return k.gradients(lambda x: function(k.keras.ops, x), spread(k, (3, 4)))


SPECIAL: dict[str, Callable[[Any, Any], Any]] = {
    "nan_to_num": lambda o, x: o.nan_to_num(x, nan=2.0, posinf=9.0),
    "isnan": lambda o, x: o.isnan(x),
    "isfinite": lambda o, x: o.isfinite(x),
    "isposinf": lambda o, x: o.isposinf(x),
    "sign": lambda o, x: o.sign(x),
    "signbit": lambda o, x: o.signbit(x),
    "maximum": lambda o, x: o.maximum(x, 0.0),
    "nansum": lambda o, x: o.nansum(x[:3]),
    "nanmean": lambda o, x: o.nanmean(x[:3]),
    "nanmax": lambda o, x: o.nanmax(x, axis=0),
    "nanmin": lambda o, x: o.nanmin(x),
    "nanmedian": lambda o, x: o.nanmedian(x[:4]),
    "nanquantile": lambda o, x: o.nanquantile(x[:4], 0.25),
    "nanvar": lambda o, x: o.nanvar(x[:4]),
    "nanargmax": lambda o, x: o.nanargmax(x[:4]),
    "nancumsum": lambda o, x: o.nancumsum(x[:4]),
    "median": lambda o, x: o.median(x),
    "round": lambda o, x: o.round(x * 1.25, 1),
    "heaviside": lambda o, x: o.heaviside(x[2:], 0.5),
    "trunc": lambda o, x: o.trunc(x),
    "fmax": lambda o, x: o.fmax(x, 1.0),
    "relu6": lambda o, x: o.relu6(x),
    "erfinv": lambda o, x: o.erfinv(x[1:]),
}


@case(each=SPECIAL)
def special(k: Library, function: Callable[[Any, Any], Any]) -> Mapping[str, Array]:
    x = np.array([1.0, NAN, -2.5, 0.5, INF, -INF, 0.0], np.float32)
    return results(k, function(k.keras.ops, k.tensor(x)))


@case
def made(k: Library) -> Mapping[str, Array]:
    ops = k.keras.ops
    values = {
        "arange": ops.arange(2, 9, 3),
        "arange_float": ops.arange(1.0, 2.0, 0.25),
        "linspace": ops.linspace(0.0, 1.0, 5, endpoint=False),
        "logspace": ops.logspace(0.0, 2.0, 4),
        "geomspace": ops.geomspace(1.0, 100.0, 4),
        "eye": ops.eye(3, 4, k=1),
        "tri": ops.tri(3, 4, k=-1),
        "full": ops.full((2, 2), 3),
        "identity": ops.identity(2),
        "bartlett": ops.bartlett(5),
        "blackman": ops.blackman(6),
        "hamming": ops.hamming(6),
        "hanning": ops.hanning(5),
        "kaiser": ops.kaiser(6, 3.0),
        "meshgrid": ops.meshgrid(ops.arange(2), ops.arange(3), indexing="ij")[1],
    }
    return {name: k.array(value) for name, value in values.items()}
