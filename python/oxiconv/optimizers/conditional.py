"""Updates that happen only on a condition: a branch in eager code, a choice of values in a compiled step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from oxiconv import ops
from oxiconv.variable import StatelessScope, stateless_scope

if TYPE_CHECKING:
    from oxiconv._core import Tensor


def conditionally(condition: Tensor, update: Callable[[], None]) -> None:
    """Runs `update`; what it assigned to variables holds where the scalar `condition` is true.

    Example:
        >>> from oxiconv import Variable
        >>> v = Variable(1.0)
        >>> for condition in (False, True):
        ...     conditionally(ops.convert_to_tensor(condition), lambda: v.assign(2.0))
        ...     print(float(v))
        1.0
        2.0
    """
    if not condition.traced:
        if bool(condition):
            update()
        return
    outer = stateless_scope()
    with StatelessScope(None if outer is None else list(outer.values.items())) as scope:
        update()
    for variable, value in scope.values.items():
        variable.assign(ops.where(condition, value, variable.value))
