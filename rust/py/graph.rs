//! The classes `Graph`, `Step` and `Tape`.

use crate::array::{Array, copy};
use crate::errors::{call, to_python};
use crate::ops::{Sizes, dtype_named};
use crate::tensor::{PyCell, PyTensor};
use oxiconv::ir::{Result, Type};
use oxiconv::{Input, Step, Tape, Tensor, Trace, Value};
use pyo3::prelude::*;

type Gradients = Vec<Option<PyTensor>>;

fn wrap(grads: Vec<Option<Value>>) -> Gradients {
    grads.into_iter().map(|g| g.map(PyTensor)).collect()
}

/// A computation being traced. Ops on its values append to it.
#[pyclass(frozen, name = "Graph", module = "oxiconv._core")]
pub(crate) struct PyGraph(Trace);

#[pymethods]
impl PyGraph {
    #[new]
    fn new() -> Self {
        Self(Trace::new())
    }

    /// A value given to each `Step.run`, in order of creation. `batched`: axis 0 is the batch.
    #[pyo3(signature = (dims, dtype, batched=true))]
    fn input(&self, py: Python<'_>, dims: Sizes, dtype: &str, batched: bool) -> PyResult<PyTensor> {
        call(py, || self.0.input(Type::new(dtype_named("input", dtype)?, dims.0), batched)).map(PyTensor)
    }

    /// The cell's value when the step starts; the same value for the same cell.
    fn state(&self, py: Python<'_>, cell: &Bound<'_, PyCell>) -> PyResult<PyTensor> {
        let cell = cell.get();
        call(py, || self.0.state(&cell.0)).map(PyTensor)
    }

    /// Cotangents of the sum of `target`; None where unconnected.
    fn grad(&self, py: Python<'_>, target: &Bound<'_, PyTensor>, sources: Vec<Py<PyTensor>>) -> PyResult<Gradients> {
        let target = target.get();
        let sources: Vec<&Value> = sources.iter().map(|s| &s.get().0).collect();
        call(py, || self.0.grad(&target.0, &sources)).map(wrap)
    }

    /// A program that computes `outputs` and stores `updates` into their cells, all after all reads. `title` is what
    /// profiles call it.
    #[pyo3(signature = (outputs, updates, title=""))]
    fn compile(
        &self,
        py: Python<'_>,
        outputs: Vec<Py<PyTensor>>,
        updates: Vec<(Py<PyCell>, Py<PyTensor>)>,
        title: &str,
    ) -> PyResult<PyStep> {
        let outputs: Vec<&Value> = outputs.iter().map(|o| &o.get().0).collect();
        let updates: Vec<_> = updates.iter().map(|(cell, value)| (cell.get().0.clone(), &value.get().0)).collect();
        call(py, || self.0.compile(&outputs, &updates)).map(|step| PyStep(step.titled(title)))
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }
}

/// A compiled graph.
#[pyclass(frozen, name = "Step", module = "oxiconv._core")]
pub(crate) struct PyStep(Step);

/// What was given for an input.
enum Given<'py> {
    Tensor(Bound<'py, PyTensor>),
    Array(Array<'py>),
}

#[pymethods]
impl PyStep {
    /// Runs once, with the GIL released; arrays are read in place. On error or Ctrl-C no cell is changed.
    fn run(&self, py: Python<'_>, inputs: Vec<Bound<'_, PyAny>>) -> PyResult<Vec<PyTensor>> {
        Ok(self.outputs(py, &inputs)?.into_iter().map(PyTensor::from).collect())
    }

    /// `run`, with the outputs as arrays that have memory of their own.
    fn run_to_arrays<'py>(&self, py: Python<'py>, inputs: Vec<Bound<'py, PyAny>>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.outputs(py, &inputs)?.iter().map(|tensor| copy(py, tensor)).collect()
    }

    /// Bytes of planned memory.
    #[getter]
    fn memory(&self) -> usize {
        self.0.memory()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }
}

impl PyStep {
    fn outputs(&self, py: Python<'_>, inputs: &[Bound<'_, PyAny>]) -> PyResult<Vec<Tensor>> {
        let given = inputs
            .iter()
            .enumerate()
            .map(|(i, input)| match input.cast::<PyTensor>() {
                Ok(tensor) => Ok(Given::Tensor(tensor.clone())),
                Err(_) => Array::new(&format!("step input {i}"), input).map(Given::Array),
            })
            .collect::<PyResult<Vec<_>>>()?;
        let inputs = given
            .iter()
            .map(|given| match given {
                Given::Tensor(tensor) => {
                    tensor.get().0.tensor("step input").map(Input::Tensor).map_err(|e| to_python(py, &e))
                }
                Given::Array(array) => Ok(Input::Bytes { ty: array.ty(), bytes: array.bytes()? }),
            })
            .collect::<PyResult<Vec<_>>>()?;
        call(py, || self.0.run(&inputs))
    }
}

/// Records eager ops on this thread between `start` and `stop`, for reverse-mode gradients. Tapes nest.
#[pyclass(frozen, name = "Tape", module = "oxiconv._core")]
pub(crate) struct PyTape(Tape);

#[pymethods]
impl PyTape {
    #[new]
    fn new() -> Self {
        Self(Tape::new())
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        core(py, self.0.start())
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        core(py, self.0.stop())
    }

    fn watch(&self, x: &Bound<'_, PyTensor>) {
        self.0.watch(&x.get().0);
    }

    #[pyo3(signature = (target, sources, seed=None))]
    fn gradient(
        &self,
        py: Python<'_>,
        target: &Bound<'_, PyTensor>,
        sources: Vec<Py<PyTensor>>,
        seed: Option<&Bound<'_, PyTensor>>,
    ) -> PyResult<Gradients> {
        let (target, seed) = (target.get(), seed.map(|s| &s.get().0));
        let sources: Vec<&Value> = sources.iter().map(|s| &s.get().0).collect();
        call(py, || self.0.gradient(&target.0, &sources, seed)).map(wrap)
    }
}

fn core<T>(py: Python<'_>, result: Result<T>) -> PyResult<T> {
    result.map_err(|e| to_python(py, &e))
}
