//! The closed set of primitives: what exists, what type it makes, how it meets the batch axis. Layers, losses,
//! normalizations and optimizers are compositions of these.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::{DType, Expr, Form, Seat, Type, Window};

/// Distributions that [`Op::Random`] draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dist {
    /// Uniform on `[0, 1)`, 24 bits.
    Uniform,
    /// Normal, mean 0, deviation 1 (Box–Muller).
    Normal,
}

/// A primitive. Axis lists are ascending and in range; [`Op::infer`] checks them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Op {
    /// Argument `index` of the graph, or a captured tensor.
    Arg {
        /// Position among the graph's arguments.
        index: usize,
        /// Its type.
        ty: Type,
    },
    /// A scalar (rank 0); `bits` are those of an `f64`.
    Const {
        /// Element type.
        dtype: DType,
        /// The value, as the bits of an `f64`.
        bits: u64,
    },
    /// Counter-based random numbers; the argument is the state `int32[2]` = (seed, counter). Element `i` depends on
    /// the state and `i` alone.
    Random {
        /// Distribution.
        dist: Dist,
        /// Sizes of the result.
        dims: Vec<usize>,
    },
    /// Another element type (floats truncate toward zero and saturate; to bool: non-zero).
    Cast(DType),
    /// The argument, with gradient zero.
    Detach,
    /// Elementwise expression of arguments of equal dims. Integer arithmetic (wrapping) if all arguments and the
    /// result are integers, else float arithmetic.
    Map {
        /// The expression, with one result.
        expr: Expr,
        /// Element type of the result.
        dtype: DType,
    },
    /// Convolution or matrix product, solved for one seat; arguments are the other two in seat order.
    Product {
        /// The index set.
        form: Form,
        /// The seat that is the result.
        solve: Seat,
    },
    /// Sum over axes, which vanish.
    Sum(Vec<usize>),
    /// Maximum over axes, which vanish. NaN wins.
    Max(Vec<usize>),
    /// Repetition along new axes: `axes` are those of `dims` that the argument lacks.
    Broadcast {
        /// Sizes of the result.
        dims: Vec<usize>,
        /// Axes of the result that are new.
        axes: Vec<usize>,
    },
    /// Same elements, other sizes.
    Reshape(Vec<usize>),
    /// Axis `i` of the result is axis `perm[i]` of the argument.
    Permute(Vec<usize>),
    /// Elements `start, start+step, ..` below `stop` of each axis; steps are at least 1.
    Slice {
        /// First index per axis.
        start: Vec<usize>,
        /// End per axis, exclusive.
        stop: Vec<usize>,
        /// Step per axis.
        step: Vec<usize>,
    },
    /// Zeros around, and `interior` zeros between elements: the transpose of [`Op::Slice`].
    Pad {
        /// Zeros before, per axis.
        low: Vec<usize>,
        /// Zeros after, per axis.
        high: Vec<usize>,
        /// Zeros between neighbours, per axis.
        interior: Vec<usize>,
    },
    /// Arguments one after another along an axis.
    Concat(usize),
    /// Sum of each window: `[n, in.., c]` to `[n, out.., c]`.
    WindowSum(Window),
    /// Each value added to all positions of its window: the transpose of [`Op::WindowSum`].
    WindowSpread(Window),
    /// Position within each window of its first maximum; NaN wins.
    WindowArgMax(Window),
    /// The value at a position of each window: arguments `x`, index.
    WindowTake(Window),
    /// Each value added at its position, the rest zero: arguments `g`, index. The transpose of [`Op::WindowTake`].
    WindowPut(Window),
    /// Slices of the first argument along `axis` at the indices (int32, any dims) of the second:
    /// `[a.., axis, b..]`, `[i..]` to `[a.., i.., b..]`.
    Gather {
        /// Indexed axis.
        axis: usize,
    },
    /// Slices of the first argument added at the indices of the second into zeros of `size` along `axis`: the
    /// transpose of [`Op::Gather`].
    ScatterAdd {
        /// Indexed axis.
        axis: usize,
        /// Its size in the result.
        size: usize,
    },
}

/// How an op meets the batch axis (axis 0 of its batched arguments).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Batch {
    /// Samples are independent: a slice of the arguments gives that slice of the result.
    Each,
    /// Slices of the arguments give terms whose sum is the result.
    Sum,
    /// The full batch is needed at once.
    Whole,
}
