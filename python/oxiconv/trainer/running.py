"""How steps are run: compiled or eagerly, one after another, with callbacks around them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from oxiconv import ops, tree
from oxiconv.callbacks import CallbackList
from oxiconv.trainer.arrays import Batch, take
from oxiconv.trainer.batches import Batches, Epochs
from oxiconv.trainer.logs import LazyLogs, as_floats
from oxiconv.trainer.step import CompiledStep, Same, StepCache
from oxiconv.trainer.steps import Steps
from oxiconv.utils.sample_tuples import pack_x_y_sample_weight as pack


class Running(Steps):
    """The part of a model that finds, compiles and runs its steps."""

    def _run_epoch(
        self, epochs: Epochs, run: Callable[[Batch], Any], callbacks: CallbackList, kind: str
    ) -> Mapping[str, Any] | None:
        """Runs the batches of an epoch; returns the logs after the last, None if there was no batch."""
        begin, end = (getattr(callbacks, f"on_{kind}_batch_{when}") for when in ("begin", "end"))
        result: Any = None
        index: int | None = None
        for index, batch in enumerate(epochs.epoch()):
            begin(index)
            result = run(batch)
            end(index, self._logs(result))
            if self.stop_training and kind == "train":
                break
        return None if index is None else self._logs(result)

    def _logs(self, result: Any) -> Mapping[str, Any]:
        """Logs of a step: what it returned, or the metrics, which are then read only if somebody looks."""
        if isinstance(result, dict):
            return LazyLogs(lambda: as_floats(result))
        return LazyLogs(lambda: as_floats(self.get_metrics_result()))

    def _runner(self, kind: str, source: Batches | None) -> Callable[[Batch], Any]:
        """A function that runs one step of a kind on a batch: eagerly where asked or overridden, else compiled."""
        step = getattr(self, f"{kind}_step")
        state = self._compiled_state
        overridden = self._overrides(f"{kind}_step")
        own_results = overridden or kind == "predict" or self._overrides("compute_metrics", "get_metrics_result")
        eager = state is not None and not state.compiles(overridden)
        steps = self._prediction_steps() if state is None else state.steps
        whole = None if source is None else source.whole
        checked = overridden or kind == "predict"
        key: tuple[Any, ...] | None = None

        def traced(x: Any, y: Any, sample_weight: Any) -> Any:
            results = step(pack(x, y, sample_weight))
            return results if own_results else None

        def run(batch: Batch) -> Any:
            nonlocal checked, key
            if key is None:
                if not overridden:
                    self._build(batch, kind)
                key = (kind, *self._configuration())
            if eager:
                return step(pack(*tree.map_structure(_tensor, batch)))
            compiled = steps.get(key, batch, lambda: CompiledStep(kind, traced, batch))
            if not checked and state is not None and state.loss is not None:
                state.loss.check_labels(batch[1] if whole is None else whole[1])
                checked = whole is not None
            return compiled(batch)

        return run

    def _overrides(self, *names: str) -> bool:
        return any(getattr(type(self), name) is not getattr(Steps, name) for name in names)

    def _configuration(self) -> tuple[Any, ...]:
        """What is written into a compiled step: a change needs a new one."""
        model: Any = self
        state = self._compiled_state
        return (*map(Same, model._flatten_layers()), None if state is None else state.configuration())

    def _prediction_steps(self) -> StepCache:
        """The compiled steps of a model that predicts without having been compiled."""
        cache: StepCache = self.__dict__.setdefault("_uncompiled_steps", StepCache())
        return cache

    def _build(self, batch: Batch, kind: str) -> None:
        """Creates what a trace cannot: weights of an unbuilt model, by one sample, and the optimizer's slots."""
        model: Any = self
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
