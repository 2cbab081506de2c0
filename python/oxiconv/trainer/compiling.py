"""`compile`: how a model is trained."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from oxiconv.trainer.running import Running
from oxiconv.trainer.state import CompiledState
from oxiconv.utils.argument_validation import is_whole


class Compiling(Running):
    """The part of a model that knows optimizer, losses and metrics."""

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Sets how the model is trained.

        Args:
            optimizer: an `Optimizer`, a name or a configuration.
            loss: a loss, function or name; for several outputs also a list or a dict by output name.
            loss_weights: a factor per output, as a list or dict.
            metrics: a list of metrics, functions or names; for several outputs a list of lists or a dict.
            weighted_metrics: like `metrics`, but updated with sample weights.
            run_eagerly: run step by step in Python, for debugging. The results are equal up to rounding.
            steps_per_execution: batches from one call of the callbacks' batch hooks to the next. Each step is one call
                of a compiled program already, so that this saves no more than the hooks.
            jit_compile: 'auto' to trace and compile each step, and to run one eagerly, with a warning, whose Python
                code needs values of tensors; True for an error there; False to run overridden steps eagerly.
            auto_scale_loss: whether under the dtype policy 'mixed_float16' the optimizer is wrapped in a
                `LossScaleOptimizer`.

        Raises:
            ValueError: an unknown name, or a wrong type.

        What is trainable at the first step of training stays so until the next `compile`.
        """
        if not is_whole(steps_per_execution):
            raise ValueError(f"compile: steps_per_execution must be a positive integer, got {steps_per_execution!r}.")
        if jit_compile not in (True, False, "auto"):
            raise ValueError(f"compile: jit_compile must be True, False or 'auto', got {jit_compile!r}.")
        config = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
            "auto_scale_loss": auto_scale_loss,
        }
        if run_eagerly and jit_compile is True:
            warnings.warn("compile: jit_compile=True has no effect beside run_eagerly=True.", stacklevel=2)
        state = CompiledState(config, self)
        # Past the attribute tracking of layers: the state's variables are no weights of the model.
        self.__dict__["_compiled"] = state
        self.optimizer = state.optimizer
        self.loss = loss
        self.steps_per_execution = int(steps_per_execution)
        self.stop_training = False

    @property
    def compiled(self) -> bool:
        """Whether `compile` has been called."""
        return self._compiled_state is not None

    @property
    def run_eagerly(self) -> bool:
        """Whether steps run op by op in Python."""
        return self._compiled_state is not None and self._compiled_state.run_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        self._require_compiled("run_eagerly").run_eagerly = bool(value)

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile`, serialized; None if it has not been called."""
        from oxiconv.saving.serialization import serialize_keras_object

        state = self._compiled_state
        if state is None:
            return None
        return {
            key: serialize_keras_object(value) for key, value in {**state.config, "optimizer": state.optimizer}.items()
        }

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compiles with what `get_compile_config` gave."""
        from oxiconv.saving.serialization import deserialize_keras_object

        self.compile(**{str(key): deserialize_keras_object(value) for key, value in config.items()})
