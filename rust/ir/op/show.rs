//! Ops as text, one line each.
#![deny(clippy::wildcard_enum_match_arm)]

use super::{Dist, Op};
use crate::{Conv, Form, Seat, Window};
use std::fmt;

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Arg { index, .. } => write!(f, " {index}"),
            Self::Const { bits, .. } => write!(f, " {}", f64::from_bits(*bits)),
            Self::Random { dist: Dist::Uniform, .. } => f.write_str(" uniform"),
            Self::Random { dist: Dist::Normal, .. } => f.write_str(" normal"),
            Self::Cast(dtype) => write!(f, " {dtype}"),
            Self::Map { expr, .. } => write!(f, " `{expr}`"),
            Self::Product { form, solve } => {
                let solved = match solve {
                    Seat::Output => "",
                    Seat::Input => " for x",
                    Seat::Kernel => " for kernel",
                };
                match form {
                    Form::MatMul => f.write_str(solved),
                    Form::Conv(conv) => write!(f, "{solved} {conv}"),
                }
            }
            Self::Sum(axes) | Self::Max(axes) | Self::Broadcast { axes, .. } => write!(f, " axes {axes:?}"),
            Self::Permute(perm) => write!(f, " {perm:?}"),
            Self::Slice { start, stop, step } => write!(f, " {start:?} to {stop:?} step {step:?}"),
            Self::Pad { low, high, interior } => write!(f, " {low:?}/{high:?} interior {interior:?}"),
            Self::Concat(axis)
            | Self::Gather { axis }
            | Self::ScatterAdd { axis, .. }
            | Self::GatherEach { axis }
            | Self::ScatterEach { axis, .. } => write!(f, " axis {axis}"),
            Self::WindowSum(w)
            | Self::WindowSpread(w)
            | Self::WindowArgMax(w)
            | Self::WindowTake(w)
            | Self::WindowPut(w) => write!(f, " {w}"),
            Self::Detach | Self::ArgSort | Self::Reshape(_) => Ok(()),
        }
    }
}

/// A list of sizes and what it is called, unless all are `usual`.
fn unusual(f: &mut fmt::Formatter<'_>, name: &str, list: &[usize], usual: usize) -> fmt::Result {
    if list.iter().all(|&v| v == usual) { Ok(()) } else { write!(f, " {name} {list:?}") }
}

fn padding(f: &mut fmt::Formatter<'_>, low: &[usize], high: &[usize]) -> fmt::Result {
    if [low, high].concat().iter().all(|&p| p == 0) { Ok(()) } else { write!(f, " padding {low:?}/{high:?}") }
}

impl fmt::Display for Conv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel {:?}", self.kernel)?;
        unusual(f, "stride", &self.stride, 1)?;
        unusual(f, "dilation", &self.dilation, 1)?;
        unusual(f, "groups", &[self.groups], 1)?;
        padding(f, &self.low, &self.high)?;
        f.write_str(self.precision.suffix())
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "size {:?} stride {:?}", self.size, self.stride)?;
        padding(f, &self.low, &self.high)
    }
}
