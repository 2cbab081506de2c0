//! The one heavy primitive: a three-seat product sum. `T(x, k, y) = Σ x·k·y` over one index set; filling two seats
//! and solving for the third gives the forward pass, the input gradient and the kernel gradient alike.

use crate::{Error, Result, Type};

/// Which of the three tensors of a product is the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seat {
    /// `x`: convolution input `[n, in.., cin]`, or left matrix `[.., m, k]`.
    Input,
    /// `k`: convolution kernel `[kernel.., cin / groups, cout]`, or right matrix `[.., k, n]`.
    Kernel,
    /// `y`: convolution output `[n, out.., cout]`, or product `[.., m, n]`.
    Output,
}

impl Seat {
    /// The other two seats, in the order Input, Kernel, Output: the order of a `Product`'s arguments.
    pub const fn others(self) -> [Self; 2] {
        match self {
            Self::Input => [Self::Kernel, Self::Output],
            Self::Kernel => [Self::Input, Self::Output],
            Self::Output => [Self::Input, Self::Kernel],
        }
    }
}

/// The index set of a product.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Form {
    /// `y[.., m, n] = Σ_k x[.., m, k] · k[.., k, n]`; equal leading axes, any number of them.
    MatMul,
    /// Convolution (cross-correlation) of any rank.
    Conv(Conv),
}

/// Sizes of a convolution; the batch size is that of the arguments. Vectors have one entry per spatial axis.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Conv {
    /// Spatial sizes of the input.
    pub input: Vec<usize>,
    /// Spatial sizes of the kernel.
    pub kernel: Vec<usize>,
    /// Step between kernel applications.
    pub stride: Vec<usize>,
    /// Step between kernel taps.
    pub dilation: Vec<usize>,
    /// Zero padding before each spatial axis.
    pub low: Vec<usize>,
    /// Zero padding after each spatial axis.
    pub high: Vec<usize>,
    /// Input channels.
    pub cin: usize,
    /// Output channels.
    pub cout: usize,
    /// Groups; `cin` and `cout` are multiples.
    pub groups: usize,
}

impl Conv {
    /// Spatial sizes of the output.
    pub fn output(&self) -> Vec<usize> {
        (0..self.input.len())
            .map(|a| (self.input[a] + self.low[a] + self.high[a] - self.span(a)) / self.stride[a] + 1)
            .collect()
    }

    /// Input positions that a kernel covers along an axis, dilation included.
    pub fn span(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// Multiply-adds for one sample.
    pub fn macs(&self) -> usize {
        let taps: usize = self.kernel.iter().product();
        let out: usize = self.output().iter().product();
        taps * out * (self.cin / self.groups) * self.cout
    }

    /// Dims of the tensor in a seat, for `n` samples.
    pub fn dims(&self, seat: Seat, n: usize) -> Vec<usize> {
        let (first, spatial, last) = match seat {
            Seat::Input => (vec![n], self.input.clone(), vec![self.cin]),
            Seat::Kernel => (vec![], self.kernel.clone(), vec![self.cin / self.groups, self.cout]),
            Seat::Output => (vec![n], self.output(), vec![self.cout]),
        };
        [first, spatial, last].concat()
    }
}
