//! CNN training, fine-tuning and inference on any machine.
//!
//! Ops on [`Tensor`]s run at once; ops on values of a [`Trace`] build a graph, which compiles into a [`Step`]. Both go
//! through the same primitives ([`ir::Op`]), gradients and kernels.

mod cell;
pub mod compose;
pub mod device;
mod eager;
mod interrupt;
#[cfg(feature = "numpy")]
pub mod numpy;
pub mod ops;
mod step;
mod tape;
mod tensor;
mod trace;
mod turn;
pub mod weights;

pub use cell::Cell;
pub use eager::Eager;
pub use interrupt::set_interrupt;
pub use oxiconv_ir as ir;
pub use step::{Input, Step};
pub use tape::Tape;
pub use tensor::Tensor;
pub use trace::{Trace, Traced, Value};
