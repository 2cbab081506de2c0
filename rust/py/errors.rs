//! Errors of the core as Python exceptions, and the one way from Python into the core.

use oxiconv::ir::Error;
use oxiconv::weights::FileError;
use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PyMemoryError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The exception classes, made when the module is.
struct Exceptions {
    shape: Py<PyType>,
    dtype: Py<PyType>,
    value: Py<PyType>,
    graph: Py<PyType>,
    format: Py<PyType>,
    internal: Py<PyType>,
}

static EXCEPTIONS: PyOnceLock<Exceptions> = PyOnceLock::new();

/// Makes the exception classes, each both an `OxiconvError` and the built-in one that a caller may expect.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let base = class(module, "OxiconvError", &[&py.get_type::<PyException>()], "Base of all errors of oxiconv.")?;
    let derived = |name: &str, builtin: &Bound<'_, PyType>, doc: &str| {
        class(module, name, &[&base, builtin], doc).map(Bound::unbind)
    };
    let (value, kind, state) =
        (py.get_type::<PyValueError>(), py.get_type::<PyTypeError>(), py.get_type::<PyRuntimeError>());
    let exceptions = Exceptions {
        shape: derived("ShapeError", &value, "Sizes that do not fit together.")?,
        dtype: derived("DTypeError", &kind, "An element type that an op cannot take.")?,
        value: derived("IndexValueError", &value, "A value outside its domain, such as an index past the end.")?,
        graph: derived("GraphError", &state, "Traced and concrete values, or values of two graphs, were mixed.")?,
        format: derived("FileFormatError", &value, "A file that is not what it should be.")?,
        internal: derived("InternalError", &state, "A bug in oxiconv.")?,
    };
    EXCEPTIONS.get_or_init(py, || exceptions);
    Ok(())
}

fn class<'py>(
    module: &Bound<'py, PyModule>,
    name: &str,
    bases: &[&Bound<'py, PyType>],
    doc: &str,
) -> PyResult<Bound<'py, PyType>> {
    let py = module.py();
    let dict = PyDict::new(py);
    dict.set_item("__doc__", doc)?;
    dict.set_item("__module__", "oxiconv")?;
    let class = py.get_type::<PyType>().call1((name, PyTuple::new(py, bases)?, dict))?.cast_into::<PyType>()?;
    module.add(name, &class)?;
    Ok(class)
}

fn raise(py: Python<'_>, class: impl FnOnce(&Exceptions) -> &Py<PyType>, message: String) -> PyErr {
    match EXCEPTIONS.get(py) {
        Some(exceptions) => PyErr::from_type(class(exceptions).bind(py).clone(), message),
        None => PyRuntimeError::new_err(message),
    }
}

/// The exception for an error.
pub(crate) fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Shape { .. } => raise(py, |e| &e.shape, message),
        Error::DType { .. } => raise(py, |e| &e.dtype, message),
        Error::Value { .. } => raise(py, |e| &e.value, message),
        Error::Graph(_) => raise(py, |e| &e.graph, message),
        Error::Memory { .. } => PyMemoryError::new_err(message),
        Error::Interrupted => PENDING.take().unwrap_or_else(|| PyKeyboardInterrupt::new_err(())),
    }
}

/// The exception for what went wrong with a file.
pub(crate) fn file_to_python(py: Python<'_>, error: FileError) -> PyErr {
    match error {
        FileError::Io(error) => error.into(),
        FileError::Format(message) => raise(py, |e| &e.format, message),
        FileError::Other(error) => to_python(py, &error),
    }
}

/// Calls into the core without holding the interpreter.
pub(crate) fn call<T: Send>(py: Python<'_>, f: impl FnOnce() -> Result<T, Error> + Send) -> PyResult<T> {
    POLLED.set(Some(Instant::now()));
    detached(py, f)?.map_err(|e| to_python(py, &e))
}

/// Calls code that may panic without holding the interpreter; a panic becomes an `InternalError`.
pub(crate) fn detached<T: Send>(py: Python<'_>, f: impl FnOnce() -> T + Send) -> PyResult<T> {
    py.detach(|| catch_unwind(AssertUnwindSafe(f))).map_err(|panic| {
        let message = format!("{} (please report this)", text(&*panic));
        raise(py, |e| &e.internal, message)
    })
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic")
}

/// Longest time that a signal waits for its handler: below what a person notices, far above what asking costs.
const POLL: Duration = Duration::from_millis(50);

thread_local! {
    /// When this thread last let signal handlers run.
    static POLLED: Cell<Option<Instant>> = const { Cell::new(None) };
    /// What the handler raised.
    static PENDING: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Runs the handlers of signals that have arrived, and says whether one raised.
pub(crate) fn poll_signals() -> bool {
    if POLLED.get().is_some_and(|at| at.elapsed() < POLL) {
        return false;
    }
    POLLED.set(Some(Instant::now()));
    let raised = Python::try_attach(|py| py.check_signals().err()).flatten();
    let stop = raised.is_some();
    if stop {
        PENDING.set(raised);
    }
    stop
}
