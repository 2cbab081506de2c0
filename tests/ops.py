"""The op table: every op with its definition in float64.

Rows are in `op_table`, by kind. `test_ops.py` runs each, and fails for an op without one.
"""

from __future__ import annotations

from op_table import (
    arrangement,
    elementary,
    elementwise,
    image,
    layout,
    logic,
    nn,
    pooling,
    primitives,
    products,
    reduction,
    sequence,
    spatial,
    statistics,
    systems,
    writing,
)
from op_table.case import Case

CASES: list[Case] = [
    *elementwise.CASES,
    *elementary.CASES,
    *logic.CASES,
    *reduction.CASES,
    *statistics.CASES,
    *arrangement.CASES,
    *layout.CASES,
    *writing.CASES,
    *products.CASES,
    *systems.CASES,
    *pooling.CASES,
    *spatial.CASES,
    *nn.CASES,
    *image.CASES,
    *sequence.CASES,
    *primitives.CASES,
]

# Functions without a row, and why.
NOT_IN_TABLE: dict[str, str] = {
    **dict.fromkeys(
        ["ops.convert_to_numpy", "ops.dtype", "ops.is_tensor", "ops.ndim", "ops.shape", "ops.size"],
        "tells of a tensor rather than making one: test_what_tells_of_a_tensor",
    ),
    **dict.fromkeys(
        ["activations.deserialize", "activations.get", "activations.serialize"],
        "names of functions: test_activations.py",
    ),
    **dict.fromkeys(
        [
            "ops.bincount",
            "ops.eigh",
            "ops.lstsq",
            "ops.matrix_rank",
            "ops.nonzero",
            "ops.pinv",
            "ops.svd",
            "ops.unique",
        ],
        "needs known values, so it cannot be compiled: test_ops_concrete.py",
    ),
    "ops.custom_gradient": "makes functions: test_gradients.py",
    "_core.tensor": "makes every row's inputs",
    **dict.fromkeys(
        ["_core.peak_gigaflops", "_core.profile_start", "_core.profile_stop"], "tells of programs: test_profiler.py"
    ),
    **dict.fromkeys(["_core.isa", "_core.num_threads", "_core.set_num_threads"], "a setting: test_core_steps.py"),
    **dict.fromkeys(
        [f"_core.{name}_image" for name in ("convert", "decode", "encode", "resample")] + ["_core.load_images"],
        "image files: test_image_files.py",
    ),
    **dict.fromkeys(["_core.load_safetensors", "_core.save_safetensors"], "files: test_core.py"),
}
