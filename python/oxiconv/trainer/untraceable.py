"""Why Python code could not be traced."""

from __future__ import annotations

import linecache
import os
import traceback

import oxiconv.trace
from oxiconv.tensor import GraphError

_PACKAGE = os.path.dirname(os.path.abspath(oxiconv.trace.__file__))


def needs_value(error: BaseException) -> bool:
    """Whether an error in tracing came of asking a traced tensor for its value, as `float`, `if` and NumPy do."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        if isinstance(link, GraphError):
            return True
        seen.add(id(link))
        # Also where `raise .. from None` hides it.
        link = link.__cause__ or link.__context__
    return False


def place(error: BaseException) -> str:
    """The innermost line of code that is neither oxiconv's nor NumPy's: the one to change."""
    found = "the step"
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        outside = not os.path.abspath(file).startswith(_PACKAGE) and f"{os.sep}numpy{os.sep}" not in file
        if outside:
            text = linecache.getline(file, line).strip()
            found = f"{os.path.basename(file)}:{line}" + (f" ({text})" if text else "")
    return found
