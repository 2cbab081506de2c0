"""Mutable state: weights, optimizer slots, metric counters, random state."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from oxiconv import _core, allowance, naming, tape, trace
from oxiconv._core import Cell, GraphError, ShapeError, Tensor
from oxiconv.absent import refuse_member
from oxiconv.dtype import is_float, standardize_dtype
from oxiconv.operators import Values
from oxiconv.tensor import convert

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from oxiconv._core import DTypeName
    from oxiconv.tensor import TensorLike


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.autocast: DTypeName | None = None
        self.stateless: StatelessScope | None = None


_scopes = _Scopes()
_serials = itertools.count()


class Variable(Values):
    """A named tensor that can be assigned.

    `initializer` is the value, or a function `(shape, dtype)` that makes it (then `shape` is needed). Shape and dtype
    never change. Works wherever a tensor does: operators, `ops`, NumPy.

    >>> v = Variable([[1, 2], [3, 4]], dtype="float32", name="w")
    >>> v.assign_add([1, 1]).numpy().tolist()
    [[2.0, 3.0], [4.0, 5.0]]
    >>> v
    <Variable path=w, shape=(2, 2), dtype=float32, value=[[2. 3.]
     [4. 5.]]>
    """

    # What `loss.backward()` found, and the tensor that `value` gave since.
    grad: Tensor | None = None
    _shown: Tensor | None = None

    # It serves float8 training, which is absent.
    overwrite_with_gradient = False

    def __init__(
        self,
        initializer: TensorLike | Callable[..., Any] | str,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str = "none",
        synchronization: str = "auto",
        name: str | None = None,
        layout: Any = None,
    ) -> None:
        if layout is not None:
            raise ValueError("Variable: expected layout=None: one machine computes, there is nothing to distribute")
        self.name = name if name is not None else naming.auto_name("Variable")
        if "/" in self.name:
            raise ValueError(f"Variable: expected a name without '/', got {self.name!r}")
        self.path = naming.scoped(self.name)
        self.autocast = autocast
        self.aggregation = aggregation
        self.synchronization = synchronization
        self.regularizer: Callable[[Tensor], Tensor] | None = None
        self.constraint: Callable[[Tensor], Tensor] | None = None
        self._trainable = self.created_trainable = bool(trainable)
        if isinstance(initializer, str):
            from oxiconv import initializers

            initializer = initializers.get(initializer)
        if callable(initializer):
            if shape is None:
                raise ValueError(f"Variable {self.name!r}: expected a shape beside an initializer function")
            if any(not isinstance(n, int) or n < 0 for n in map(_integer, shape)):
                raise ShapeError(f"Variable {self.name!r}: expected known sizes, got shape {tuple(shape)}")
            allowance.spend(self.name, shape)
            with trace.suspended():
                value = convert(initializer(tuple(shape), dtype=standardize_dtype(dtype)), dtype)
        else:
            value = convert(initializer, dtype)
        if shape is not None and value.shape != tuple(shape):
            raise ShapeError(f"Variable {self.name!r}: expected shape {tuple(shape)}, got a value of {value.shape}")
        if value.traced:
            raise GraphError(f"Variable {self.name!r}: expected a value with data, got one of a graph being traced")
        self.cell = Cell(value)
        # Variables of a layer are listed as they were made.
        self.serial = next(_serials)
        self.shape: tuple[int, ...] = value.shape
        self._dtype: DTypeName = value.dtype

    @property
    def value(self) -> Tensor:
        """The tensor held now; within a trace, the traced value; in an `AutocastScope`, in its element type."""
        given = None if _scopes.stateless is None else _scopes.stateless.values.get(self)
        held = self._held() if given is None else given
        if self._trainable and given is None:
            held = tape.observe(self, held)
        if self.grad is not None:
            self._shown = tape.show(self, held)
        return held if _scopes.autocast is None or self.dtype == held.dtype else _core.cast(held, self.dtype)

    @property
    def dtype(self) -> DTypeName:
        """The element type; in an `AutocastScope`, the one that it is read in."""
        wanted = _scopes.autocast
        return self._dtype if wanted is None or not self.autocast or not is_float(self._dtype) else wanted

    def assign(self, value: TensorLike) -> Tensor:
        """Replaces the value by one of the same shape; returns it."""
        new = convert(value, self._dtype)
        if new.shape != self.shape:
            raise ShapeError(f"Variable {self.path!r}: assign: expected shape {self.shape}, got {new.shape}")
        active = trace.current()
        if new.traced and active is None and _scopes.stateless is None:
            raise GraphError(f"Variable {self.path!r}: assign: {trace.ended(new)}")
        tape.forget(self)
        if _scopes.stateless is not None:
            _scopes.stateless.add_update((self, new))
        elif active is None:
            # As in a trace, no gradient passes through an assignment.
            self.cell.set(_core.detach(new) if tape.recording() else new)
        else:
            active.write(self, new)
        return new

    def assign_add(self, value: TensorLike) -> Tensor:
        """Adds `value`, which may broadcast; returns the new value."""
        return self.assign(self._held() + convert(value, self._dtype))

    def assign_sub(self, value: TensorLike) -> Tensor:
        """Subtracts `value`, which may broadcast; returns the new value."""
        return self.assign(self._held() - convert(value, self._dtype))

    def _held(self) -> Tensor:
        if _scopes.stateless is not None:
            given = _scopes.stateless.values.get(self)
            if given is not None:
                return given
        active = trace.current()
        return self.cell.get() if active is None else active.read(self)

    @property
    def trainable(self) -> bool:
        """Whether optimizers may change it and tapes watch it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._held().size

    def numpy(self) -> NDArray[Any]:
        """The value as a read-only array."""
        return self._held().numpy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self._held().__array__(dtype, copy)

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: the value as an array."""
        state = {key: value for key, value in vars(self).items() if key not in ("grad", "_shown")}
        return {**state, "cell": np.array(self.numpy())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, cell=Cell(convert(state["cell"])))

    def __getattr__(self, name: str) -> Any:
        refuse_member(type(self), name)

    def __repr__(self) -> str:
        held = self._held()
        shown = "traced" if held.traced else str(held.numpy())
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, value={shown}>"


class AutocastScope:
    """A context in which real variables are read in the element type `dtype`; None is their own.

    >>> with AutocastScope("float32"):
    ...     AutocastScope.active()
    True
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = None if dtype is None else standardize_dtype(dtype)

    @staticmethod
    def active() -> bool:
        """Whether one is open."""
        return _scopes.autocast is not None

    def __enter__(self) -> Self:
        self._outer = _scopes.autocast
        _scopes.autocast = self.dtype
        return self

    def __exit__(self, *exc: object) -> None:
        _scopes.autocast = self._outer


class StatelessScope:
    """A context in which variables have given values, and assignments are noted here instead of made.

    Args:
        state_mapping: pairs of a variable and its value.
        collect_losses: accepted for Keras compatibility: layers keep their losses.
        initialize_variables: accepted for Keras compatibility: variables are initialized when made.

    >>> v = Variable(1.0)
    >>> with StatelessScope([(v, 5.0)]) as scope:
    ...     float(v.assign_add(1.0))
    6.0
    >>> float(v), float(scope.get_current_value(v))
    (1.0, 6.0)
    """

    def __init__(
        self,
        state_mapping: Sequence[tuple[Variable, Any]] | None = None,
        collect_losses: bool = False,
        initialize_variables: bool = True,
    ) -> None:
        self.collect_losses = collect_losses
        self.initialize_variables = initialize_variables
        self.values: dict[Variable, Tensor] = {}
        self.losses: list[Any] = []
        for variable, value in state_mapping or ():
            self.add_update((variable, value))

    def add_update(self, update: tuple[Variable, Any]) -> None:
        """Notes a value of a variable."""
        variable, value = update
        if not isinstance(variable, Variable):
            raise ValueError(f"StatelessScope: expected pairs of a variable and a value, got {variable!r}")
        new = convert(value, variable._dtype)
        if new.shape != variable.shape:
            raise ShapeError(f"StatelessScope: expected shape {variable.shape} for {variable.path!r}, got {new.shape}")
        self.values[variable] = new

    def add_loss(self, loss: Any) -> None:
        """Notes a loss of a call in this scope."""
        self.losses.append(loss)

    def get_current_value(self, variable: Variable) -> Tensor:
        """The value of a variable: what was given or assigned here, else what it holds."""
        found = self.values.get(variable)
        return variable.value if found is None else found

    def __enter__(self) -> Self:
        self._outer = _scopes.stateless
        _scopes.stateless = self
        return self

    def __exit__(self, *exc: object) -> None:
        _scopes.stateless = self._outer


def stateless_scope() -> StatelessScope | None:
    """The innermost active `StatelessScope` of this thread."""
    return _scopes.stateless


def _integer(n: Any) -> Any:
    return n.__index__() if hasattr(n, "__index__") else n
