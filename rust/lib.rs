//! CNN training, fine-tuning and inference on any machine.
//!
//! Ops on [`Tensor`]s run at once; ops on values of a [`Trace`] build a graph, which compiles into a [`Step`]. Both go
//! through the same primitives ([`ir::Op`]), gradients and kernels.
//!
//! One step of gradient descent on `|x · w - y|²`, compiled:
//!
//! ```
//! use oxiconv::compose::{Function2, Operand, Scalar};
//! use oxiconv::ir::{Binary, Type};
//! use oxiconv::{Cell, Input, Tensor, Trace, ops};
//!
//! let weights = Cell::new(Tensor::from_f32(&[2, 1], &[0.0, 0.0])?);
//! let trace = Trace::new();
//! let (x, y) = (trace.input(Type::f32([4, 2]), true)?, trace.input(Type::f32([4, 1]), true)?);
//! let w = trace.state(&weights)?;
//!
//! let binary = |f, a: &_, b: &Operand<_>| ops::binary(Function2::Plain(f), &Operand::Value(Clone::clone(a)), b);
//! let error = binary(Binary::Sub, &ops::matmul(&x, &w)?, &Operand::Value(y))?;
//! let loss = ops::sum(&binary(Binary::Mul, &error, &Operand::Value(error.clone()))?, &[0, 1])?;
//! let slope = trace.grad(&loss, &[&w])?[0].clone().expect("the loss depends on the weights");
//! let change = binary(Binary::Mul, &slope, &Operand::Scalar(Scalar::Float(0.1)))?;
//! let step = trace.compile(&[&loss], &[(weights.clone(), &binary(Binary::Sub, &w, &Operand::Value(change))?)])?;
//!
//! // y = 2 x₀ - x₁
//! let x = Tensor::from_f32(&[4, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0])?;
//! let y = Tensor::from_f32(&[4, 1], &[2.0, -1.0, 1.0, 0.0])?;
//! for _ in 0..50 {
//!     step.run(&[Input::Tensor(&x), Input::Tensor(&y)])?;
//! }
//! let w = weights.get()?.to_f32()?;
//! assert!((w[0] - 2.0).abs() < 1e-3 && (w[1] + 1.0).abs() < 1e-3);
//! # Ok::<(), oxiconv::ir::Error>(())
//! ```

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
pub use oxiconv_cpu::profile;
pub use oxiconv_image as image;
pub use oxiconv_ir as ir;
pub use step::{Input, Step};
pub use tape::Tape;
pub use tensor::Tensor;
pub use trace::{Trace, Traced, Value};
