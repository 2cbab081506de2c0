"""What one step of training, evaluation and prediction does, and the hooks that models may override."""

from __future__ import annotations

import inspect
import warnings
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from oxiconv import autograd, ops, trace, tree
from oxiconv.metrics.metric import Metric
from oxiconv.pullback import graph_gradient
from oxiconv.tape import GradientTape
from oxiconv.trainer.state import CompiledState
from oxiconv.utils.sample_tuples import unpack_x_y_sample_weight
from oxiconv.variable import Variable

if TYPE_CHECKING:
    from oxiconv._core import Tensor


class Steps:
    """The part of a model that a step runs: the same code is traced by `fit` and run eagerly."""

    # None before `compile`; typed for what is done with it afterwards.
    optimizer: Any = None
    history: Any = None
    loss: Any = None
    stop_training: bool = False
    stop_evaluating: bool = False
    stop_predicting: bool = False
    steps_per_execution: int = 1

    @property
    def _compiled_state(self) -> CompiledState | None:
        return self.__dict__.get("_compiled")

    def _require_compiled(self, what: str) -> CompiledState:
        state = self._compiled_state
        if state is None:
            raise ValueError(f"{what}: the model has not been compiled. Call model.compile(optimizer, loss, …) first.")
        return state

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of training on a batch; override it for a training loop of your own.

        Args:
            data: x, `(x, y)` or `(x, y, sample_weight)`, as given to `fit`.

        Returns:
            Results by name: tensors or numbers.

        An overridden step may use `GradientTape`, several optimizers, random numbers and variables. Its Python code
        runs once for each shape of batches, to be traced and compiled; counters in Python, prints and NumPy's random
        numbers are then those of that one run, and what must change from step to step is kept in a `Variable`. A step
        that needs the value of a tensor in Python (`float(t)`, `if t:`, NumPy) runs eagerly instead, after a warning
        that names the line. `compile(jit_compile=True)` makes that an error; `jit_compile=False` or `run_eagerly=True`
        runs the Python code at each step.
        """
        state = self._require_compiled("train_step")
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        x = self._as_input(x)
        model: Any = self
        variables = state.keep_trainable(model.trainable_variables)
        with _Gradients() as gradients:
            y_pred = self._predict(x, training=True)
            loss = self._compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = loss if state.optimizer is None else state.optimizer.scale_loss(loss)
        state.loss_tracker.update_state(loss, sample_weight=float(tree.flatten(x)[0].shape[0]))
        if not variables:
            warnings.warn("The model has no trainable weights: fit changes nothing but metrics.", stacklevel=2)
        elif state.optimizer is None:
            raise ValueError("fit: the model was compiled with optimizer=None.")
        else:
            state.optimizer.apply(gradients.of(scaled, variables), variables)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """One step of evaluation; arguments and result as in `train_step`."""
        state = self._require_compiled("test_step")
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        x = self._as_input(x)
        y_pred = self._predict(x, training=False)
        loss = self._compute_loss(x, y, y_pred, sample_weight, training=False)
        state.loss_tracker.update_state(loss, sample_weight=float(tree.flatten(x)[0].shape[0]))
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The model's outputs for a batch."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self._predict(self._as_input(x), training=False)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """The loss of a batch: that of `compile`, plus the model's own `losses` (regularization, `add_loss`).

        Raises:
            ValueError: there is neither.
        """
        state = self._require_compiled("compute_loss")
        parts = []
        if state.loss is not None:
            value = state.loss(y, y_pred, sample_weight)
            parts += [] if value is None else [value]
        model: Any = self
        parts += [ops.sum(ops.cast(loss, "float32")) for loss in model.losses]
        if not parts:
            raise ValueError("There is no loss: pass `loss` to compile(), or use add_loss() in a layer.")
        total = parts[0]
        for part in parts[1:]:
            total = ops.add(total, part)
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Updates the metrics of `compile` with a batch; returns all results."""
        state = self._require_compiled("compute_metrics")
        if state.metrics is not None:
            state.metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    @property
    def metrics(self) -> list[Metric]:
        """The loss tracker, the metrics of `compile` as one, losses of several outputs, and metrics held by layers."""
        state = self._compiled_state
        found = [] if state is None else state.all_metrics()
        model: Any = self
        # Models within this one are not trained by their own metrics.
        holders: list[Any] = [x for x in model._flatten_layers() if x is self or not isinstance(x, Steps)]
        tracked = (value for layer in holders for value in layer._tracked())
        found += [value for value in tracked if isinstance(value, Metric) and not any(value is m for m in found)]
        return found

    @property
    def metrics_names(self) -> list[str]:
        """The names of `metrics`; those of `compile` are one, 'compile_metrics', as in Keras."""
        return [m.name for m in self.metrics]

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of `metrics` by name."""
        results: dict[str, Any] = {}
        for metric in self.metrics:
            value = metric.result()
            results.update(value if isinstance(value, dict) else {metric.name: value})
        return results

    def zero_grad(self) -> None:
        """Forgets the gradients that `loss.backward()` has left, and records from now on what the next one needs."""
        model: Any = self
        autograd.zero_grad(model.variables)

    def reset_metrics(self) -> None:
        """Resets all `metrics`."""
        for metric in self.metrics:
            metric.reset_state()

    def _as_input(self, x: Any) -> Any:
        """Images of bytes become float32 on the device, unless the model declares inputs of bytes."""
        declared = {getattr(t, "dtype", None) for t in tree.flatten(getattr(self, "inputs", None) or [])}
        if declared & {"uint8", "bool"}:
            return x
        return tree.map_structure(lambda t: ops.cast(t, "float32") if t.dtype in ("uint8", "bool") else t, x)

    def _predict(self, x: Any, training: bool) -> Any:
        model: Any = self
        return model(x, training=training)

    def _compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        known = {"training": training} if accepts(self.compute_loss, "training") else {}
        return self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **known)


class _Gradients:
    """Gradients of a loss: by a tape where code runs eagerly, from the graph where it is traced."""

    def __init__(self) -> None:
        self._trace = trace.current()
        self._tape = GradientTape() if self._trace is None else None

    def __enter__(self) -> Self:
        if self._tape is not None:
            self._tape.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._tape is not None:
            self._tape.__exit__(kind, error, traceback)

    def of(self, loss: Tensor, variables: list[Variable]) -> list[Tensor | None]:
        if self._tape is not None:
            gradients: list[Tensor | None] = self._tape.gradient(loss, variables)
            return gradients
        assert self._trace is not None
        # A variable that the loss assigned was read before and after: those are two sources.
        assigned = [v for v in variables if v in self._trace.updates]
        sources = [self._trace.graph.state(v.cell) for v in variables] + [self._trace.read(v) for v in assigned]
        found = graph_gradient(self._trace, loss, sources)
        later = {id(v): g for v, g in zip(assigned, found[len(variables) :], strict=True) if g is not None}
        first = zip(variables, found, strict=False)
        return [g if id(v) not in later else later[id(v)] if g is None else g + later[id(v)] for v, g in first]


def accepts(function: Any, name: str) -> bool:
    """Whether a function takes the keyword `name`."""
    parameters = inspect.signature(function).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
