"""`fit`, `evaluate`, `predict` and their one-batch forms."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from oxiconv import config, tree
from oxiconv.callbacks import CallbackList, History
from oxiconv.profiler import Profile
from oxiconv.trainer.arrays import Batch, as_arrays, class_weights, count_samples, is_data, split
from oxiconv.trainer.batches import ArrayBatches, Batches, Permutation, SourceBatches
from oxiconv.trainer.compile_metrics import CompileMetrics
from oxiconv.trainer.compiling import Compiling
from oxiconv.trainer.epochs import Epochs
from oxiconv.trainer.predictions import Predictions
from oxiconv.trainer.profiling import profile_step
from oxiconv.trainer.progress import Progress
from oxiconv.trainer.running import Runner
from oxiconv.utils.argument_validation import is_whole
from oxiconv.utils.python_utils import pythonify_logs


class Trainer(Compiling):
    """The training methods of `Model`."""

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Mapping[Any, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Trains the model.

        Args:
            x: inputs `[n, ..]` as an array, or a list or dict of arrays; or a generator, iterable or dataset of batches
                `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
            y: targets, if x is arrays.
            batch_size: samples per step; by default 32, or what makes `steps_per_epoch` steps. The last step of an
                epoch has the rest.
            epochs: number of the last epoch; training runs from `initial_epoch` to it.
            verbose: 'auto' or 1 for a progress bar, 2 for a line per epoch, 0 for silence.
            callbacks: a list of `Callback`, or a `CallbackList`.
            validation_split: the last fraction of the samples, before shuffling, that is only evaluated.
            validation_data: `(x, y)`, `(x, y, sample_weight)`, or a source of batches, evaluated after epochs.
            shuffle: True for samples in a new random order each epoch, 'batch' for batches so. A `PyDataset` is drawn
                by batches; other sources come as they are.
            class_weight: weight per class number; not together with sample weights.
            sample_weight: weights `[n]`, or of the leading axes of the targets.
            initial_epoch: where to start, in a resumed training.
            steps_per_epoch: batches per epoch, which go on where the last epoch stopped; by default one pass over the
                data. An epoch ends early, with a warning, where the data does.
            validation_steps: batches per evaluation; by default one pass.
            validation_batch_size: samples per evaluation batch; by default `batch_size`.
            validation_freq: epochs from one evaluation to the next, or a list of the epochs (from 1) to evaluate after.

        Returns:
            The `History`, whose `history` maps names to lists of the epochs' values.

        Raises:
            ValueError: arrays that do not fit each other, the model or the loss; labels out of range.

        The whole step is compiled once per batch shape; one whose Python code needs values of tensors runs eagerly,
        after a warning. Ctrl-C raises `KeyboardInterrupt` within a step's time; the
        weights are then those of the last whole step, and `on_train_end` of callbacks is not called, as in Keras.

        Example:
            >>> import numpy as np, oxiconv
            >>> model = oxiconv.Sequential([oxiconv.Input((2,)), oxiconv.layers.Dense(1)])
            >>> model.compile("sgd", "mse")
            >>> history = model.fit(np.ones((8, 2)), np.ones((8, 1)), epochs=2, verbose=0)
            >>> sorted(history.history), len(history.history["loss"])
            (['loss'], 2)
        """
        state = self._require_compiled("fit")
        bound = config.max_epochs()
        if bound is not None and bound < epochs:
            warnings.warn(f"config.max_epochs: {bound} of {epochs} epochs are run.", stacklevel=2)
            epochs = bound
        if validation_split and validation_data is not None:
            raise ValueError("fit: expected validation_split or validation_data, got both.")
        if shuffle not in (True, False, "batch"):
            raise ValueError(f"fit: shuffle must be True, False or 'batch', got {shuffle!r}.")
        _due(0, validation_freq)
        permutation = state.shuffling.permutation if shuffle else None
        if is_data(x):
            data = self._arrays(x, y, sample_weight, class_weight)
            if validation_split:
                data, validation_data = split(data, validation_split)
            source: Batches = ArrayBatches(
                data, _batch_size(batch_size, data, steps_per_epoch), shuffle, state.shuffling.permutation
            )
        else:
            if validation_split:
                raise ValueError("fit: validation_split needs arrays; pass validation_data with a source of batches.")
            source = self._source("fit", x, y, sample_weight, class_weight, permutation)
        epochs_of_training = Epochs(source, steps_per_epoch, lambda: state.shuffling.count)
        validation = None
        if validation_data is not None:
            validation = self._validation(validation_data, validation_batch_size or batch_size, validation_steps)
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(
                callbacks,
                add_history=True,
                add_progbar=verbose != 0,
                model=self,
                epochs=epochs,
                steps=epochs_of_training.steps,
                verbose=_verbosity(verbose),
            )
        self.stop_training = False
        run = self._runner("train", source)
        progress = Progress(self, state, epochs_of_training, callbacks, initial_epoch)
        self.__dict__["_progress"] = progress
        try:
            logs = self._train(progress, run, callbacks, epochs, validation, validation_freq)
        finally:
            del self.__dict__["_progress"]
        if state.optimizer is not None and state.optimizer.built and epochs > 0:
            state.optimizer.finalize_variable_values(state.optimizer.trainable_variables)
        callbacks.on_train_end(logs)
        history: History = self.history
        return history

    def _train(
        self,
        progress: Progress,
        run: Runner,
        callbacks: CallbackList,
        epochs: int,
        validation: tuple[Epochs, Runner] | None,
        validation_freq: int | Sequence[int],
    ) -> dict[str, Any]:
        """The epochs of `fit`; returns the logs of the last."""
        logs: dict[str, Any] = {}
        callbacks.on_train_begin()
        resumed = progress.resume(run.prepare)
        start = progress.initial_epoch
        for epoch in range(start, epochs):
            progress.epoch = epoch
            if not (resumed and progress.batch):
                self.reset_metrics()
            resumed = False
            callbacks.on_epoch_begin(epoch)
            results = self._run_epoch(progress.batches(), run, callbacks, "train", progress)
            if results is None:
                if epoch == start:
                    raise ValueError("fit: expected at least one batch, got none.")
                warnings.warn(f"fit: the data ran out before epoch {epoch + 1}; training ends.", stacklevel=3)
                break
            logs = results
            if validation is not None and _due(epoch, validation_freq):
                results = self._evaluate(*validation, callbacks)
                if results is None:
                    warnings.warn(
                        f"fit: validation_data had no batch left in epoch {epoch + 1}: no validation results. "
                        "Pass arrays, or an iterable that can start over.",
                        stacklevel=3,
                    )
                logs.update({f"val_{name}": value for name, value in (results or {}).items()})
            progress.epoch, progress.batch = epoch + 1, 0
            callbacks.on_epoch_end(epoch, logs)
            progress.settle()
            if self.stop_training:
                break
            if progress.exhausted and epoch + 1 < epochs:
                warnings.warn(
                    f"fit: the data ran out in epoch {epoch + 1} of {epochs}; training ends. A generator must yield "
                    "steps_per_epoch * epochs batches; arrays and iterables that can start over need not.",
                    stacklevel=3,
                )
                break
        return logs

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and metrics of the model on data.

        Args:
            x: inputs, or a source of batches, as in `fit`.
            y: targets.
            batch_size: samples per step, 32 by default.
            verbose: as in `fit`.
            sample_weight: as in `fit`.
            steps: batches to evaluate; by default one pass.
            callbacks: as in `fit`.
            return_dict: whether to return a dict by name.

        Returns:
            The loss if there is nothing else, or a list: the loss, then the metrics; or a dict.
        """
        self._require_compiled("evaluate")
        if is_data(x):
            data = self._arrays(x, y, sample_weight)
            source: Batches = ArrayBatches(data, _batch_size(batch_size, data, steps), False, None)
        else:
            source = self._source("evaluate", x, y, sample_weight)
        epochs = Epochs(source, steps)
        callbacks = self._callbacks(callbacks, verbose, epochs)
        logs = self._evaluate(epochs, self._runner("test", source), callbacks)
        if logs is None:
            raise ValueError("evaluate: expected at least one batch, got none.")
        return logs if return_dict else self._in_order(logs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The model's outputs, as arrays.

        Args:
            x: inputs `[n, ..]`, or a source of batches, of which targets are ignored.
            batch_size: samples per step, 32 by default.
            verbose: as in `fit`.
            steps: batches to predict; by default one pass.
            callbacks: as in `fit`.

        Returns:
            An array `[n, ..]` per output, in the structure of the model's outputs.
        """
        if verbose == 0 and callbacks is None and steps is None and _is_one_batch(x, batch_size):
            return self.predict_on_batch(x)
        if is_data(x):
            data = (as_arrays("x", x), None, None)
            source: Batches = ArrayBatches(data, _batch_size(batch_size, data, steps), False, None)
        else:
            source = self._source("predict", x)
        epochs = Epochs(source, steps)
        callbacks = self._callbacks(callbacks, verbose, epochs)
        run = self._runner("predict", source)
        whole = source.whole
        predictions = Predictions(None if whole is None or epochs.partial else count_samples(*whole))
        self.stop_predicting = False
        callbacks.on_predict_begin()
        batches = epochs.epoch()
        for begin in itertools.count(0, self.steps_per_execution):
            taken = list(itertools.islice(batches, self.steps_per_execution))
            if not taken or self.stop_predicting:
                break
            callbacks.on_predict_batch_begin(begin)
            part = Predictions(None)
            for batch in taken:
                outputs = run(batch if self._overrides("predict_step") else (batch[0], None, None))
                predictions.add(outputs)
                part.add(outputs)
            callbacks.on_predict_batch_end(begin + self.steps_per_execution - 1, {"outputs": part.result()})
        callbacks.on_predict_end()
        return predictions.result()

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[Any, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step of training on a batch of arrays.

        Returns:
            As `evaluate`, for this batch alone: metrics are reset before it.
        """
        self._require_compiled("train_on_batch")
        return self._on_batch("train", self._arrays(x, y, sample_weight, class_weight), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """One step of evaluation on a batch of arrays; returns as `train_on_batch`."""
        self._require_compiled("test_on_batch")
        return self._on_batch("test", self._arrays(x, y, sample_weight), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The model's outputs for a batch of arrays, as arrays.

        This is the fastest way to predict. From the second batch of a shape on, a call with one array costs a few
        microseconds beside the computation, in which batch normalization is part of the kernels that it follows, and
        what depends on weights alone is computed once and kept until a weight changes.

        Args:
            x: an array `[n, ..]`, or a structure of them.

        Returns:
            An array `[n, ..]` per output, in the structure of the model's outputs.

        Example:
            >>> import numpy as np, oxiconv
            >>> model = oxiconv.Sequential([oxiconv.Input((4,)), oxiconv.layers.Dense(3)])
            >>> model.predict_on_batch(np.ones((1, 4), "float32")).shape
            (1, 3)
        """
        step = self._recent(x)
        if step is not None:
            return step.arrays([x])
        batch = (_contiguous(as_arrays("x", x)), None, None)
        run = self._runner("predict", None)
        outputs = run(batch)
        self._keep_recent(batch[0], run.prepare(batch))
        return tree.map_structure(lambda t: np.array(t), outputs)

    def explain_plan(self, print_fn: Callable[[str], Any] = print) -> None:
        """Prints the compiled steps: what runs, by which kernels, with how many operations, and in how much memory.

        Args:
            print_fn: called with the text.

        Raises:
            ValueError: nothing has been compiled yet: that happens at the first batch of each shape.
        """
        steps = self._prediction_steps()
        if not len(steps):
            raise ValueError("explain_plan: no step has been compiled yet; call fit, evaluate or predict first.")
        print_fn(str(steps))

    def profile(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        steps: int = 10,
        mode: str | None = None,
    ) -> Profile:
        """Where the time of a step goes, kernel by kernel.

        Args:
            x: inputs `[n, ..]`, or a source of batches, as in `fit`.
            y: targets.
            batch_size: samples of the batch, 32 by default. The first batch of the data is used.
            steps: how often it runs, after once to compile and to warm up.
            mode: 'train', 'test' or 'predict'; by default 'train' if there are targets, else 'predict'.

        Returns:
            A `Profile`: print it for a table; `table`, `to_json` and `trace` give more.

        Raises:
            ValueError: `steps` is not a positive integer; another `mode`; training or testing a model that is not
                compiled.

        The model is left as it was: weights, optimizer, metrics and random numbers are put back. To profile a whole
        `fit` or anything else, use `oxiconv.profiler.Profile`.

        Example:
            >>> import numpy as np, oxiconv
            >>> model = oxiconv.Sequential([oxiconv.Input((2,)), oxiconv.layers.Dense(1)])
            >>> model.compile("sgd", "mse")
            >>> profile = model.profile(np.ones((8, 2)), np.ones((8, 1)), batch_size=4, steps=5)
            >>> [(p.title, p.runs) for p in profile.programs]
            [('train step for batches of float32[4, 2], float32[4, 1]', 5)]
        """
        if not is_whole(steps):
            raise ValueError(f"profile: steps must be a positive integer, got {steps!r}.")
        if mode not in (None, "train", "test", "predict"):
            raise ValueError(f"profile: mode must be 'train', 'test' or 'predict', got {mode!r}.")
        if is_data(x):
            data = self._arrays(x, y, None)
            source: Batches = ArrayBatches(data, _batch_size(batch_size, data, None), False, None)
        else:
            source = self._source("profile", x, y)
        batch = source.sample()
        if batch is None:
            raise ValueError("profile: expected at least one batch, got none.")
        kind = mode or ("predict" if batch[1] is None else "train")
        if kind == "predict":
            batch = (batch[0], None, None)
        else:
            self._require_compiled("profile")
        return profile_step(self, self._runner(kind, source), batch, steps)

    def _on_batch(self, kind: str, batch: Batch, return_dict: bool) -> Any:
        batch = _contiguous(batch)
        self.reset_metrics()
        logs = dict(self._logs(self._runner(kind, None)(batch)))
        return logs if return_dict else self._in_order(logs)

    def _evaluate(self, epochs: Epochs, run: Runner, callbacks: CallbackList) -> dict[str, Any] | None:
        self.stop_evaluating = False
        callbacks.on_test_begin()
        self.reset_metrics()
        epochs.restart()
        results = self._run_epoch(epochs.epoch(), run, callbacks, "test")
        logs = None if results is None else pythonify_logs(results)
        callbacks.on_test_end(logs)
        return logs

    def _in_order(self, logs: dict[str, Any]) -> Any:
        """Results as a list: in the order of the metrics, then those of other names by name, as Keras does."""
        inner = (m.metrics if isinstance(m, CompileMetrics) else [m] for m in self.metrics)
        names = [m.name for group in inner for m in group]
        values = [logs[name] for name in names if name in logs]
        values += [logs[name] for name in sorted(logs) if name not in names]
        return values[0] if len(values) == 1 else values

    def _arrays(self, x: Any, y: Any, sample_weight: Any, class_weight: Mapping[Any, float] | None = None) -> Batch:
        data = (as_arrays("x", x), as_arrays("y", y), as_arrays("sample_weight", sample_weight))
        count_samples(*data)
        if class_weight is not None:
            data = (data[0], data[1], class_weights(data[1], class_weight, data[2]))
        return data

    def _source(
        self,
        what: str,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[Any, float] | None = None,
        permutation: Permutation | None = None,
    ) -> SourceBatches:
        if x is None:
            raise ValueError(f"{what}: expected x, got None.")
        if y is not None or sample_weight is not None:
            raise ValueError(
                f"{what}: y and sample_weight must be part of the batches that x gives, got them as arguments."
            )
        kind = {"fit": "train", "predict": "predict"}.get(what, "test")
        return SourceBatches(x, class_weight, permutation, free=self._overrides(f"{kind}_step"))

    def _validation(self, data: Any, batch_size: int | None, steps: int | None) -> tuple[Epochs, Runner]:
        if isinstance(data, tuple | list):
            if not 2 <= len(data) <= 3:
                raise ValueError(f"validation_data: expected (x, y) or (x, y, sample_weight), got {len(data)} entries.")
            arrays = self._arrays(*(*data, None)[:3])
            source: Batches = ArrayBatches(arrays, _batch_size(batch_size, arrays, steps), False, None)
        else:
            source = self._source("validation_data", data)
        return Epochs(source, steps), self._runner("test", source)

    def _callbacks(self, callbacks: Any, verbose: int | str, epochs: Epochs) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            return callbacks
        verbose = _verbosity(verbose)
        return CallbackList(
            callbacks, add_progbar=verbose != 0, model=self, epochs=1, steps=epochs.steps, verbose=verbose
        )


def _contiguous(data: Any) -> Any:
    return tree.map_structure(lambda a: None if a is None else np.ascontiguousarray(a), data)


def _is_one_batch(x: Any, batch_size: int | None) -> bool:
    """Whether x is an array of samples that are a batch at most."""
    size = 32 if batch_size is None else batch_size
    return type(x) is np.ndarray and x.ndim > 0 and is_whole(size) and 0 < len(x) <= size


def _batch_size(batch_size: int | None, data: Batch, steps: int | None) -> int:
    if batch_size is None:
        # Without either, Keras's 32.
        return -(-count_samples(*data) // steps) if steps and is_whole(steps) else 32
    if not is_whole(batch_size):
        raise ValueError(f"batch_size: expected a positive integer, got {batch_size!r}.")
    return int(batch_size)


def _verbosity(verbose: int | str) -> Any:
    """A number: 'auto' is a bar where the terminal is read, else a line per epoch."""
    if verbose == "auto":
        return 1 if config.is_interactive_logging_enabled() else 2
    if not isinstance(verbose, int):
        raise ValueError(f"verbose: expected 'auto', 0, 1 or 2, got {verbose!r}.")
    return verbose


def _due(epoch: int, validation_freq: int | Sequence[int]) -> bool:
    if isinstance(validation_freq, list | tuple | set):
        return epoch + 1 in validation_freq
    if not isinstance(validation_freq, int) or validation_freq < 1:
        raise ValueError(f"validation_freq: expected a positive integer or a list of epochs, got {validation_freq!r}.")
    return (epoch + 1) % validation_freq == 0
