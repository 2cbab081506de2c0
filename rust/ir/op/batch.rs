//! How ops meet the batch axis.
//!
//! A *batched* value of `n` samples is sample-major: axis 0 has `n * rows` entries, and entries `i * rows ..
//! (i + 1) * rows` belong to sample `i` alone (`rows` is 1 but after a reshape such as `[n, h, w, c]` to
//! `[n * h * w, c]`). Since tensors are row-major, a sample is then one contiguous piece of memory.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::{Form, Op, Seat, Type};

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

/// Rows per sample after a reshape of a batched value of `n` samples, if its samples stay apart: a sample is the
/// same contiguous elements before and after as long as axis 0 of both holds whole samples.
///
/// ```
/// use oxiconv_ir::op::reshape_rows;
/// assert_eq!(reshape_rows(&[8, 5, 5, 3], &[200, 3], 8), Some(25));
/// assert_eq!(reshape_rows(&[8, 6], &[4, 12], 8), None);
/// ```
pub fn reshape_rows(from: &[usize], to: &[usize], n: usize) -> Option<usize> {
    let whole = |dims: &[usize]| n > 0 && dims.first().is_some_and(|d| d.is_multiple_of(n));
    (whole(from) && whole(to)).then(|| to[0] / n)
}

impl Op {
    /// How the op meets a batch of `n` samples: `batched` says which arguments carry it on axis 0 (sample-major,
    /// see the module). Unbatched arguments whose axis 0 runs along with a batched one (the other operand of a map)
    /// are sliced with it. An op without batched arguments is `Whole`, but a [`Op::Broadcast`] to a new axis 0 that
    /// holds whole samples can be made slice by slice: `Each`.
    pub fn batch(&self, n: usize, batched: &[bool], args: &[Type]) -> Batch {
        let any = batched.contains(&true);
        let each_if = |yes: bool| if yes { Batch::Each } else { Batch::Whole };
        match self {
            Self::Arg { .. } | Self::Const { .. } | Self::Random { .. } => Batch::Whole,
            Self::Broadcast { dims, axes } if axes.first() == Some(&0) => {
                each_if(!any && n > 0 && dims[0].is_multiple_of(n))
            }
            Self::Cast(_)
            | Self::Detach
            | Self::Map { .. }
            | Self::WindowSum(_)
            | Self::WindowSpread(_)
            | Self::WindowArgMax(_)
            | Self::WindowTake(_)
            | Self::WindowPut(_)
            | Self::GatherEach { .. }
            | Self::ScatterEach { .. }
            | Self::Broadcast { .. } => each_if(any),
            Self::Product { form, solve } => product(form, *solve, batched, args),
            Self::Sum(axes) => match axes.first() {
                Some(0) if any => Batch::Sum,
                _ => each_if(any),
            },
            Self::Max(axes) => each_if(any && axes.first() != Some(&0)),
            Self::ArgSort => each_if(any && args[0].rank() > 1),
            Self::Reshape(dims) => each_if(any && reshape_rows(&args[0].dims, dims, n).is_some()),
            Self::Permute(perm) => each_if(any && perm[0] == 0),
            Self::Slice { start, stop, step } => {
                each_if(any && start[0] == 0 && stop[0] == args[0].dims[0] && step[0] == 1)
            }
            Self::Pad { low, high, interior } => each_if(any && low[0] == 0 && high[0] == 0 && interior[0] == 0),
            Self::Concat(axis) => each_if(any && *axis != 0),
            Self::Gather { axis: 0 } => each_if(batched == [false, true]),
            Self::Gather { .. } => each_if(batched == [true, false]),
            // Along axis 0, values and index share the sliced axis, unless a rank-0 index leaves the values' own.
            Self::ScatterAdd { axis: 0, .. } if any && args[1].rank() > 0 => Batch::Sum,
            Self::ScatterAdd { axis, .. } => each_if(*axis != 0 && batched == [true, false]),
        }
    }
}

fn product(form: &Form, solve: Seat, batched: &[bool], args: &[Type]) -> Batch {
    let any = batched.contains(&true);
    // With leading axes, matrices along axis 0 are independent in every seat.
    if *form == Form::MatMul && args[0].rank() > 2 {
        return if any { Batch::Each } else { Batch::Whole };
    }
    // Otherwise the batch runs along axis 0 of x and y (images, or rows), and the kernel is summed over it.
    match solve {
        Seat::Kernel if any => Batch::Sum,
        Seat::Kernel => Batch::Whole,
        Seat::Input | Seat::Output => {
            let kernel = Seat::Kernel.position(solve).is_some_and(|p| batched[p]);
            if any && !kernel { Batch::Each } else { Batch::Whole }
        }
    }
}
