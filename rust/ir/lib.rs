//! What is to be computed: types, the closed set of primitive ops, their gradients, and the passes that turn a
//! traced graph into a [`Program`](program::Program) a device can run. No threads, no device, no `unsafe`.
#![forbid(unsafe_code)]

pub mod dtype;
pub mod emit;
pub mod error;
pub mod expr;
pub mod factor;
pub mod fold;
pub mod fuse;
pub mod grad;
pub mod graph;
pub mod narrow;
pub mod op;
pub mod plan;
pub mod product;
pub mod program;
pub mod recompute;
#[cfg(feature = "reference")]
pub mod reference;
pub mod rewrite;
pub mod split;
pub mod sums;
pub mod widen;
pub mod window;
pub mod work;

pub use dtype::{DType, Type};
pub use emit::{Compose, Emit};
pub use error::{Error, Result};
pub use expr::{Arithmetic, Binary, Expr, ExprBuilder, Unary};
pub use grad::{Record, pullback, vjp};
pub use graph::{Graph, GraphNode, NodeId};
pub use op::{Batch, Op};
pub use product::{Conv, Form, Precision, Seat};
pub use window::Window;
