//! Errors are data: which op, what was expected, what was given.

/// Everything that can go wrong while describing or running a computation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Sizes do not fit together. Python: `oxiconv.ShapeError(ValueError)`.
    #[error("{op}: expected {expected}, got {given}")]
    Shape {
        /// The op, in Keras's words (`conv`, `matmul`, `reshape`).
        op: String,
        /// What would have been right, with sizes.
        expected: String,
        /// What was given, with sizes.
        given: String,
    },
    /// An element type an op cannot take. Python: `oxiconv.DTypeError(TypeError)`.
    #[error("{op}: expected {expected}, got {given}")]
    DType {
        /// The op.
        op: String,
        /// The element types it takes.
        expected: String,
        /// The element types it was given.
        given: String,
    },
    /// A value outside its domain (an index past the end). Python: `oxiconv.ValueError`.
    #[error("{op}: {message}")]
    Value {
        /// The op.
        op: String,
        /// What is wrong with which value.
        message: String,
    },
    /// Traced and concrete values, or values of two graphs, were mixed. Python: `oxiconv.GraphError(RuntimeError)`.
    #[error("{0}")]
    Graph(String),
    /// Memory that could not be had. Python: `MemoryError`.
    #[error("{op}: could not allocate {bytes} bytes")]
    Memory {
        /// What the memory was for.
        op: String,
        /// How much was asked for.
        bytes: usize,
    },
    /// The run was stopped from outside (Ctrl-C). Python: `KeyboardInterrupt`.
    #[error("interrupted")]
    Interrupted,
}

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A shape error; arguments in the order of the message.
    pub fn shape(op: impl Into<String>, expected: impl Into<String>, given: impl Into<String>) -> Self {
        Self::Shape { op: op.into(), expected: expected.into(), given: given.into() }
    }

    /// A dtype error; arguments in the order of the message.
    pub fn dtype(op: impl Into<String>, expected: impl Into<String>, given: impl Into<String>) -> Self {
        Self::DType { op: op.into(), expected: expected.into(), given: given.into() }
    }

    /// A value error.
    pub fn value(op: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Value { op: op.into(), message: message.into() }
    }
}
