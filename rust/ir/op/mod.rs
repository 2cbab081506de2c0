//! The closed set of primitives: what exists, what type it makes, how it meets the batch axis. Layers, losses,
//! normalizations and optimizers are compositions of these.
#![deny(clippy::wildcard_enum_match_arm)]

mod batch;
mod infer;
mod show;

use crate::{Conv, DType, Error, Expr, Form, Precision, Result, Seat, Type, Window};
pub use batch::{Batch, reshape_rows};

/// Distributions that [`Op::Random`] draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dist {
    /// Uniform on `[0, 1)`: the upper 24 bits of a word `w`, `(w >> 8) · 2⁻²⁴`.
    Uniform,
    /// Normal, mean 0, deviation 1 (Box–Muller): with `u = ((w0 >> 8) + 1) · 2⁻²⁴` and `v = (w1 >> 8) · 2⁻²⁴`, words 0
    /// and 1 of a block become `√(-2 ln u) · cos 2πv` and `√(-2 ln u) · sin 2πv`; words 2 and 3 likewise.
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
    /// the state and `i` alone: it comes from word `i % 4` of block `j = i / 4`, which is Philox 4x32-10 with key
    /// `(seed, 0)` of the counter `(j low, j high, counter, 0)`, 32 bits each, low word first.
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
    /// Positions (int32) along the last axis in ascending order of what is there: equal elements in their own order,
    /// NaNs last.
    ArgSort,
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
    /// [`Op::Gather`] with indices of its own for each entry of axis 0, which both arguments have:
    /// `[n, a.., axis, b..]`, `[n, i..]` to `[n, a.., i.., b..]`.
    GatherEach {
        /// Indexed axis, at least 1.
        axis: usize,
    },
    /// [`Op::ScatterAdd`] with indices of its own for each entry of axis 0: the transpose of [`Op::GatherEach`].
    ScatterEach {
        /// Indexed axis, at least 1.
        axis: usize,
        /// Its size in the result.
        size: usize,
    },
}

impl Op {
    /// Name in messages and listings.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Arg { .. } => "arg",
            Self::Const { .. } => "const",
            Self::Random { .. } => "random",
            Self::Cast(_) => "cast",
            Self::Detach => "detach",
            Self::Map { .. } => "map",
            Self::Product { form, .. } => form.name(),
            Self::Sum(_) => "sum",
            Self::Max(_) => "max",
            Self::ArgSort => "argsort",
            Self::Broadcast { .. } => "broadcast",
            Self::Reshape(_) => "reshape",
            Self::Permute(_) => "permute",
            Self::Slice { .. } => "slice",
            Self::Pad { .. } => "pad",
            Self::Concat(_) => "concat",
            Self::WindowSum(_) => "window_sum",
            Self::WindowSpread(_) => "window_spread",
            Self::WindowArgMax(_) => "window_argmax",
            Self::WindowTake(_) => "window_take",
            Self::WindowPut(_) => "window_put",
            Self::Gather { .. } => "gather",
            Self::ScatterAdd { .. } => "scatter_add",
            Self::GatherEach { .. } => "gather_each",
            Self::ScatterEach { .. } => "scatter_each",
        }
    }

    /// Number of arguments; none for [`Op::Concat`], which takes any number from 1.
    pub fn arity(&self) -> Option<usize> {
        Some(match self {
            Self::Arg { .. } | Self::Const { .. } => 0,
            Self::Random { .. }
            | Self::Cast(_)
            | Self::Detach
            | Self::Sum(_)
            | Self::Max(_)
            | Self::ArgSort
            | Self::Broadcast { .. }
            | Self::Reshape(_)
            | Self::Permute(_)
            | Self::Slice { .. }
            | Self::Pad { .. }
            | Self::WindowSum(_)
            | Self::WindowSpread(_)
            | Self::WindowArgMax(_) => 1,
            Self::Product { .. }
            | Self::WindowTake(_)
            | Self::WindowPut(_)
            | Self::Gather { .. }
            | Self::ScatterAdd { .. }
            | Self::GatherEach { .. }
            | Self::ScatterEach { .. } => 2,
            Self::Map { expr, .. } => expr.arity(),
            Self::Concat(_) => return None,
        })
    }

    /// Whether the op does not exist for halves: their values are to be widened to float32 and its result rounded back.
    /// The others move elements, or compute elementwise in float32 whatever the storage.
    pub fn needs_float32(&self) -> bool {
        match self {
            Self::Product { .. }
            | Self::Sum(_)
            | Self::WindowSum(_)
            | Self::WindowSpread(_)
            | Self::WindowArgMax(_)
            | Self::WindowTake(_)
            | Self::WindowPut(_)
            | Self::ArgSort
            | Self::ScatterAdd { .. }
            | Self::ScatterEach { .. } => true,
            Self::Arg { .. }
            | Self::Const { .. }
            | Self::Random { .. }
            | Self::Cast(_)
            | Self::Detach
            | Self::Map { .. }
            | Self::Max(_)
            | Self::Broadcast { .. }
            | Self::Reshape(_)
            | Self::Permute(_)
            | Self::Slice { .. }
            | Self::Pad { .. }
            | Self::Concat(_)
            | Self::Gather { .. }
            | Self::GatherEach { .. } => false,
        }
    }

    /// Whether the op gives its argument unchanged, and its gradient unchanged too (so not [`Op::Detach`]).
    pub fn is_identity(&self, args: &[Type]) -> bool {
        let [x] = args else { return false };
        match self {
            Self::Cast(dtype) => *dtype == x.dtype,
            Self::Map { expr, dtype } => *dtype == x.dtype && expr.is_input(0),
            Self::Sum(axes) | Self::Max(axes) | Self::Broadcast { axes, .. } => axes.is_empty(),
            Self::Reshape(dims) => *dims == x.dims,
            Self::Permute(perm) => perm.is_sorted(),
            Self::Slice { start, stop, step } => {
                start.iter().all(|&s| s == 0) && *stop == x.dims && step.iter().all(|&s| s == 1)
            }
            Self::Pad { low, high, interior } => [low, high, interior].into_iter().flatten().all(|&p| p == 0),
            Self::Concat(_) => true,
            Self::Arg { .. }
            | Self::Const { .. }
            | Self::Random { .. }
            | Self::Detach
            | Self::Product { .. }
            | Self::ArgSort
            | Self::WindowSum(_)
            | Self::WindowSpread(_)
            | Self::WindowArgMax(_)
            | Self::WindowTake(_)
            | Self::WindowPut(_)
            | Self::Gather { .. }
            | Self::ScatterAdd { .. }
            | Self::GatherEach { .. }
            | Self::ScatterEach { .. } => false,
        }
    }

    /// Whether running the op can fail, since it has indices to check.
    pub const fn checks_indices(&self) -> bool {
        matches!(
            self,
            Self::Gather { .. } | Self::ScatterAdd { .. } | Self::GatherEach { .. } | Self::ScatterEach { .. }
        )
    }

    /// A convolution of `x: [n, in.., cin]` with `kernel: [kernel.., cin / groups, cout]`, checked. `low` and `high`
    /// are the zeros around each spatial axis.
    pub fn conv(
        x: &Type,
        kernel: &Type,
        stride: &[usize],
        dilation: &[usize],
        low: &[usize],
        high: &[usize],
        groups: usize,
    ) -> Result<Self> {
        let rank = conv_rank("conv", "x", x, kernel)?;
        let cin = x.dims[rank + 1];
        let expected = kernel.dims[rank].saturating_mul(groups);
        if cin != expected {
            return Err(Error::shape(
                "conv",
                format!("{expected} input channels (kernel {:?}{})", kernel.dims, grouped(groups)),
                format!("{cin} (x {:?})", x.dims),
            ));
        }
        let form = Form::Conv(Conv {
            input: x.dims[1..=rank].to_vec(),
            kernel: kernel.dims[..rank].to_vec(),
            stride: stride.to_vec(),
            dilation: dilation.to_vec(),
            low: low.to_vec(),
            high: high.to_vec(),
            cin,
            cout: kernel.dims[rank + 1],
            groups,
            precision: Precision::default(),
        });
        form.infer(Seat::Output, [x, kernel])?;
        Ok(Self::Product { form, solve: Seat::Output })
    }

    /// The op, computed with this precision if it is a convolution; others have none.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        if let Self::Product { form: Form::Conv(conv), .. } = &mut self {
            conv.precision = precision;
        }
        self
    }

    /// A transposed convolution of `y: [n, out.., cout]` with `kernel: [kernel.., cin / groups, cout]` (the kernel of
    /// the convolution it transposes), checked. `input` are the spatial sizes of the result `[n, input.., cin]`;
    /// stride, dilation and padding are those of the convolution that takes the result back to `y`.
    pub fn conv_transpose(
        y: &Type,
        kernel: &Type,
        input: &[usize],
        stride: &[usize],
        dilation: &[usize],
        low: &[usize],
        high: &[usize],
        groups: usize,
    ) -> Result<Self> {
        let op = "conv_transpose";
        let rank = conv_rank(op, "x", y, kernel)?;
        let cout = kernel.dims[rank + 1];
        if y.dims[rank + 1] != cout {
            return Err(Error::shape(
                op,
                format!("{cout} input channels (kernel {:?})", kernel.dims),
                format!("{} (x {:?})", y.dims[rank + 1], y.dims),
            ));
        }
        let conv = Conv {
            input: input.to_vec(),
            kernel: kernel.dims[..rank].to_vec(),
            stride: stride.to_vec(),
            dilation: dilation.to_vec(),
            low: low.to_vec(),
            high: high.to_vec(),
            cin: kernel.dims[rank].saturating_mul(groups),
            cout,
            groups,
            precision: Precision::default(),
        };
        if input.len() != rank {
            return Err(Error::shape(op, format!("{rank} spatial sizes of the result"), format!("{input:?}")));
        }
        conv.check(op)?;
        if y.dims[1..=rank] != conv.output() {
            return Err(Error::shape(
                op,
                format!("x with spatial sizes {:?} for a result of {input:?}", conv.output()),
                format!("{:?}", y.dims),
            ));
        }
        let form = Form::Conv(conv);
        form.infer(Seat::Input, [kernel, y])?;
        Ok(Self::Product { form, solve: Seat::Input })
    }
}

/// Number of spatial axes of a data tensor and a kernel that go together.
fn conv_rank(op: &str, name: &str, data: &Type, kernel: &Type) -> Result<usize> {
    match data.rank().checked_sub(2) {
        Some(rank @ 1..=3) if kernel.rank() == data.rank() => Ok(rank),
        _ => Err(Error::shape(
            op,
            format!("{name} [batch, spatial.., channels] and kernel [spatial.., input channels / groups, filters]"),
            format!("{name} {:?}, kernel {:?}", data.dims, kernel.dims),
        )),
    }
}

fn grouped(groups: usize) -> String {
    if groups == 1 { String::new() } else { format!(", {groups} groups") }
}
