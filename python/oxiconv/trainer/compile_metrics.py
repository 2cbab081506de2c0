"""The metrics of `compile`: `metrics` without sample weights, `weighted_metrics` with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from oxiconv import metrics as metrics_module
from oxiconv import tree
from oxiconv.metrics.accuracy_metrics import is_binary_or_sparse_categorical
from oxiconv.metrics.metric import Metric
from oxiconv.trainer.outputs import Outputs
from oxiconv.variable import Variable

# Names that mean a metric for the shapes of targets and predictions.
BY_SHAPE = ("accuracy", "acc")


class CompileMetrics(Metric):
    """The metrics of all outputs as one. Built at the first update, when the shapes tell what 'accuracy' means."""

    def __init__(
        self, metrics: Any, weighted_metrics: Any, output_names: Callable[[], Sequence[str] | None] = lambda: None
    ) -> None:
        super().__init__(name="compile_metrics")
        for name, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if given is not None and not isinstance(given, list | tuple | dict):
                raise ValueError(f"{name}: expected a list, tuple or dict, got {given!r}.")
            for metric in tree.flatten(given):
                if isinstance(metric, str) and metric.lower() not in BY_SHAPE:
                    metrics_module.get(metric)
        self._specs = (metrics, weighted_metrics)
        self._output_names = output_names
        self._outputs: Outputs | None = None
        # Per kind (unweighted, weighted) and output: the metrics, and their names in the results.
        self._plain: list[list[Metric]] = []
        self._weighted: list[list[Metric]] = []
        self._names: list[str] = []

    @property
    def metrics(self) -> list[Metric]:
        """All metrics: the unweighted ones, then the weighted."""
        return [m for kind in (self._plain, self._weighted) for group in kind for m in group]

    @property
    def variables(self) -> list[Variable]:
        """The variables of all metrics."""
        return [v for metric in self.metrics for v in metric.variables]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch."""
        outputs = self._outputs or self._build(y_true, y_pred)
        wanted = [bool(plain or weighted) for plain, weighted in zip(self._plain, self._weighted, strict=True)]
        preds, targets = outputs.flatten(y_pred, "y_pred"), outputs.flatten(y_true, "y", wanted)
        weights = outputs.weights(sample_weight, wanted)
        for plain, weighted, y, p, w in zip(self._plain, self._weighted, targets, preds, weights, strict=True):
            for metric in plain:
                metric.update_state(y, p)
            for metric in weighted:
                metric.update_state(y, p, sample_weight=w)

    def reset_state(self) -> None:
        """Resets all metrics."""
        for metric in self.metrics:
            metric.reset_state()

    def result(self) -> dict[str, Any]:
        """Each metric's result by name."""
        results: dict[str, Any] = {}
        for name, metric in zip(self._names, self.metrics, strict=True):
            value = metric.result()
            results.update(value if isinstance(value, dict) else {name: value})
        return results

    def get_config(self) -> dict[str, Any]:
        """None of its own: `compile` makes it."""
        raise NotImplementedError("CompileMetrics has no configuration: model.get_compile_config() has the metrics'.")

    def _build(self, y_true: Any, y_pred: Any) -> Outputs:
        outputs = Outputs(y_pred, self._output_names())
        groups = [
            _groups(spec, what, outputs)
            for spec, what in zip(self._specs, ("metrics", "weighted_metrics"), strict=True)
        ]
        wanted = [any(group) for group in zip(*groups, strict=True)]
        preds, targets = outputs.flatten(y_pred, "y_pred"), outputs.flatten(y_true, "y", wanted)
        for name, used, y in zip(outputs.names, wanted, targets, strict=True):
            if used and y is None:
                raise ValueError(f"Output {name!r} has metrics, but no targets: y is missing.")
        self._plain, self._weighted = (
            [
                [get_metric(m, y, p) for m in group if m is not None]
                for group, y, p in zip(kind, targets, preds, strict=True)
            ]
            for kind in groups
        )
        self._names = self._result_names(outputs)
        self._outputs = outputs
        return outputs

    def _result_names(self, outputs: Outputs) -> list[str]:
        prefixes = [f"{name}_" if len(outputs) > 1 and outputs.named else "" for name in outputs.names]
        taken: dict[str, int] = {}
        names = []
        for kind, extra in ((self._plain, ""), (self._weighted, "weighted_")):
            for prefix, group in zip(prefixes, kind, strict=True):
                for metric in group:
                    name = f"{prefix}{metric.name}"
                    if name in taken and extra:
                        name = f"{prefix}{extra}{metric.name}"
                    # As Keras numbers them: the first has no number.
                    count = taken.get(name, 0)
                    taken[name] = count + 1
                    names.append(f"{name}_{count}" if count else name)
        return names


def get_metric(identifier: Any, y_true: Any, y_pred: Any) -> Metric:
    """A `Metric` for one output, named as asked for; 'accuracy' is resolved by the shapes."""
    if isinstance(identifier, str) and identifier.lower() in BY_SHAPE:
        if y_true is None:
            raise ValueError(f"metric {identifier!r} needs targets to be resolved, and y is missing.")
        binary, sparse = is_binary_or_sparse_categorical(y_true, y_pred)
        kind = "Binary" if binary else "SparseCategorical" if sparse else "Categorical"
        metric: Any = getattr(metrics_module, f"{kind}Accuracy")(name=identifier)
    else:
        metric = metrics_module.get(identifier)
    if not isinstance(metric, Metric):
        metric = metrics_module.MeanMetricWrapper(metric)
    if isinstance(identifier, str):
        metric.name = identifier
    found: Metric = metric
    return found


def _groups(spec: Any, what: str, outputs: Outputs) -> list[list[Any]]:
    """A list of metrics per output."""
    if not spec:
        return [[] for _ in outputs.names]
    if len(outputs) == 1:
        # `[metric, ..]` or, as for several outputs, `[[metric, ..]]`, or a dict, whose keys then tell nothing.
        return [tree.flatten(spec)]
    entries = outputs.assign(spec, what, broadcast=False)
    return [list(e) if isinstance(e, list | tuple) else [] if e is None else [e] for e in entries]
