"""Where the time of compiled steps goes, kernel by kernel: operations, bytes, and the share of the processor's peak.

`model.profile(x, y)` profiles a step of a model; `Profile` is a context manager around any code.

Example:
    >>> import numpy as np, oxiconv
    >>> model = oxiconv.Sequential([oxiconv.Input((8, 8, 3)), oxiconv.layers.Conv2D(16, 3)])
    >>> images = np.zeros((4, 8, 8, 3), "float32")
    >>> with oxiconv.profiler.Profile() as profile:
    ...     outputs = model.predict(images, verbose=0)
    >>> [program] = [p for p in profile.programs if p.title.startswith("predict step")]
    >>> program.runs, [(step.operation, step.flops) for step in program.steps if "conv" in step.operation]
    (1, [('conv [3, 3] stride [1, 1] 3→16 output → in0 + in1', 126720)])
"""

from oxiconv.profiler.recording import Profile
from oxiconv.profiler.report import ProgramProfile, StepProfile

__all__ = ["Profile", "ProgramProfile", "StepProfile"]
