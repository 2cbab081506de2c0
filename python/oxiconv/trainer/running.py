"""How steps are run: compiled or eagerly, one after another, with callbacks around them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from oxiconv import autograd, ops, tree
from oxiconv.callbacks import CallbackList
from oxiconv.config import precision
from oxiconv.tensor import GraphError
from oxiconv.trainer.arrays import Batch, take
from oxiconv.trainer.batches import Batches
from oxiconv.trainer.logs import LazyLogs
from oxiconv.trainer.progress import Progress
from oxiconv.trainer.recent import Recent
from oxiconv.trainer.step import CompiledStep, Same, StepCache, signature
from oxiconv.trainer.steps import Steps
from oxiconv.trainer.untraceable import needs_value, place
from oxiconv.utils.python_utils import pythonify_logs
from oxiconv.utils.sample_tuples import pack_x_y_sample_weight


class Runner:
    """Runs one step of a kind on a batch: compiled where it can be, else eagerly.

    Args:
        model: the model.
        kind: 'train', 'test' or 'predict'.
        whole: all the data, where it is known: its labels are then checked once.
    """

    def __init__(self, model: Running, kind: str, whole: Batch | None) -> None:
        self._model = model
        self._kind = kind
        self._whole = whole
        self._step = getattr(model, f"{kind}_step")
        self._state = model._compiled_state
        self._steps = model._prediction_steps()
        self._overridden = model._overrides(f"{kind}_step")
        self._own_results = self._overridden or model._overrides("compute_metrics", "get_metrics_result")
        self._unchecked = not self._overridden and kind != "predict"
        self._key: tuple[Any, ...] | None = None
        self._last: tuple[Hashable, CompiledStep] | None = None

    def __call__(self, batch: Batch) -> Any:
        """Runs the step; returns its results, or None where they are those of the metrics."""
        compiled = self.prepare(batch)
        if compiled is None:
            return self._call(*tree.map_structure(_tensor, batch))
        if self._unchecked and self._state is not None and self._state.loss is not None:
            self._state.loss.check_labels((self._whole or batch)[1])
            self._unchecked = self._whole is None
        return compiled(batch)

    def prepare(self, batch: Batch) -> CompiledStep | None:
        """Creates what the step needs, and compiles it for batches like this; None if it runs eagerly."""
        if self._key is None:
            if not self._overridden:
                self._model._build(batch, self._kind)
            self._key = (self._kind, *self._model._configuration(self._kind))
        if self._kind in self._steps.eager or (self._state and not self._state.compiles(self._overridden)):
            return None
        like = signature(batch)
        if self._last is not None and self._last[0] == like:
            return self._last[1]
        try:
            step = self._steps.get((self._key, like), lambda: CompiledStep(self._kind, self._call, batch))
            self._last = like, step
            return step
        except Exception as error:
            if not needs_value(error):
                raise
            self._refuse_or_warn(error)
        self._steps.eager.add(self._kind)
        return None

    def _call(self, *batch: Any) -> Any:
        try:
            results = self._step(pack_x_y_sample_weight(*batch) if len(batch) == 3 else batch)
        finally:
            autograd.end_step()
        if self._kind == "predict":
            return results
        if not isinstance(results, Mapping):
            raise ValueError(f"{self._kind}_step: expected a dict of results by name, got {type(results).__name__}.")
        return dict(results) if self._own_results else None

    def _refuse_or_warn(self, error: Exception) -> None:
        why = f"{place(error)} needs a value, and there is none while the step is traced"
        if self._state is not None and self._state.config["jit_compile"] is True:
            raise GraphError(
                f"{self._kind}_step cannot be compiled, as jit_compile=True asks: {why}. Use ops on tensors there, or "
                f"compile(run_eagerly=True), which runs it in Python. {error}"
            ) from error
        warnings.warn(
            f"{self._kind}_step runs eagerly, op by op, since it could not be compiled: {why}. Results are the same, "
            "but slower. Use ops on tensors there to have it compiled, or compile(run_eagerly=True) to ask for this.",
            stacklevel=5,
        )


class Running(Steps):
    """The part of a model that finds, compiles and runs its steps."""

    def _run_epoch(
        self,
        batches: Iterator[Batch],
        run: Callable[[Batch], Any],
        callbacks: CallbackList,
        kind: str,
        progress: Progress | None = None,
    ) -> dict[str, Any] | None:
        """Runs the batches of an epoch; returns its logs, None if there was no batch."""
        begin, end = (getattr(callbacks, f"on_{kind}_batch_{when}") for when in ("begin", "end"))
        stop = {"train": "stop_training", "test": "stop_evaluating"}[kind]
        size = self.steps_per_execution
        first = 0 if progress is None else progress.batch
        result: Any = None
        index = first - 1
        for index, batch in enumerate(batches, first):
            done = (index - first) % size + 1
            if done == 1:
                begin(index)
            result = run(batch)
            if done == size:
                if progress is not None:
                    progress.batch = index + 1
                end(index, self._logs(result))
                if progress is not None:
                    progress.settle()
                if getattr(self, stop):
                    break
        else:
            missing = -(index + 1 - first) % size
            if missing:
                # Keras numbers an incomplete execution as if it were complete.
                end(index + missing, self._logs(result))
        return None if index < 0 else self._epoch_logs(result)

    def _logs(self, result: Any) -> Mapping[str, Any]:
        """Logs of a step: what it returned, or the metrics, which are then read only if somebody looks."""
        if result is not None:
            return LazyLogs(lambda: pythonify_logs(result))
        return LazyLogs(lambda: pythonify_logs(self.get_metrics_result()))

    def _epoch_logs(self, result: Any) -> dict[str, Any]:
        """Logs of an epoch: the metrics, unless the last step returned results under other names."""
        metrics = self.get_metrics_result()
        return dict(metrics if result is None or set(result) == set(metrics) else result)

    def _runner(self, kind: str, source: Batches | None) -> Runner:
        return Runner(self, kind, None if source is None else source.whole)

    def _overrides(self, *names: str) -> bool:
        return any(getattr(type(self), name) is not getattr(Steps, name) for name in names)

    def _configuration(self, kind: str) -> tuple[Any, ...]:
        """What is written into a compiled step: a change needs a new one."""
        model: Any = self
        state = self._compiled_state if kind == "train" else None
        layers = model._flatten_layers()
        kinds = tuple((getattr(layer, "precision", None), layer.quantization_mode) for layer in layers)
        return (*map(Same, layers), precision(), kinds, None if state is None else state.configuration())

    def _prediction_steps(self) -> StepCache:
        """Where prediction finds its compiled steps."""
        state = self._compiled_state
        if state is not None:
            return state.steps
        # Of a model that has not been compiled.
        cache: StepCache = self.__dict__.setdefault("_uncompiled_steps", StepCache())
        return cache

    def _recent(self, x: Any) -> CompiledStep | None:
        """The compiled step for a batch like this array, if it can be told from a few comparisons."""
        state, recent = self._compiled_state, self._prediction_steps().recent
        eager = state is not None and state.run_eagerly
        return None if recent is None or eager else recent.find(x)

    def _keep_recent(self, x: Any, step: CompiledStep | None) -> None:
        """Keeps what has just run on a batch for `_recent`."""
        steps = self._prediction_steps()
        if step is not None:
            if steps.recent is None or not steps.recent.holds():
                model: Any = self
                steps.recent = Recent(model)
            steps.recent.add(x, step)

    def _build(self, batch: Batch, kind: str) -> None:
        """Creates what a trace cannot: weights of an unbuilt model, by one sample, and the optimizer's slots."""
        model: Any = self
        if kind == "train":
            quantized = [layer.name for layer in model._flatten_layers() if layer.quantization_mode is not None]
            if quantized:
                raise ValueError(
                    f"{model.name}: a quantized model cannot be trained: train it, then quantize; quantized are "
                    f"{', '.join(quantized)}"
                )
        if not all(layer.built for layer in model._flatten_layers()):
            x = tree.map_structure(_tensor, take(batch[0], 0, 1))
            self._predict(self._as_input(x), training=False)
        if model.get_build_config() is None:
            # What a saved model of this class is built for when it is loaded.
            model._build_shapes = {"input_shape": tree.map_structure(lambda a: (None, *a.shape[1:]), batch[0])}
        state = self._compiled_state
        if kind == "train" and state is not None and state.optimizer is not None:
            variables = state.keep_trainable(model.trainable_variables)
            known = set(map(id, variables))
            late = [v.path for v in model.trainable_variables if id(v) not in known]
            if late:
                warnings.warn(
                    f"Variables {late} became trainable after training began; they are not updated. Call compile() "
                    "again to train them.",
                    stacklevel=2,
                )
            if variables and not state.optimizer.built:
                state.optimizer.build(variables)


def _tensor(array: Any) -> Any:
    return None if array is None else ops.convert_to_tensor(array)
