//! The one heavy primitive: a three-seat product sum. `T(x, k, y) = Σ x·k·y` over one index set; filling two seats
//! and solving for the third gives the forward pass, the input gradient and the kernel gradient alike.

use crate::{DType, Error, Result, Type};

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
    /// Where this seat stands among the arguments of a product solved for `solve`; none for `solve` itself.
    pub fn position(self, solve: Self) -> Option<usize> {
        solve.others().into_iter().position(|s| s == self)
    }

    /// Name in messages: `x`, `kernel`, `y`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "x",
            Self::Kernel => "kernel",
            Self::Output => "y",
        }
    }

    /// The other two seats, in the order Input, Kernel, Output: the order of a `Product`'s arguments.
    pub const fn others(self) -> [Self; 2] {
        match self {
            Self::Input => [Self::Kernel, Self::Output],
            Self::Kernel => [Self::Input, Self::Output],
            Self::Output => [Self::Input, Self::Kernel],
        }
    }
}

/// How exactly a product is computed. Float32 either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// By any method whose error is a small multiple of a plain sum's, such as Winograd's.
    #[default]
    Fast,
    /// As plain sums of products.
    Exact,
}

impl Precision {
    /// What descriptions of a product end with.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Fast => "",
            Self::Exact => " exact",
        }
    }
}

/// The index set of a product of float32; or, solved for the output, of uint8 or int8 with an int8 kernel: exact sums in
/// int32.
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
    /// What its kernels may do, in all three seats.
    pub precision: Precision,
}

impl Form {
    /// Name in messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MatMul => "matmul",
            Self::Conv(_) => "conv",
        }
    }

    /// Multiply-adds, for operands and result of these types.
    pub fn macs(&self, solve: Seat, args: &[Type], out: &Type) -> usize {
        match self {
            Self::Conv(c) => args[usize::from(solve == Seat::Input)].dims[0].saturating_mul(c.macs()),
            // Rows times columns times what they share; each in two of the three matrices, and a stack in all.
            Self::MatMul => {
                let stack: usize = out.dims[..out.rank() - 2].iter().product::<usize>().max(1);
                let sizes = args.iter().chain([out]).map(|t| (t.len() / stack) as f64);
                (sizes.product::<f64>().sqrt() as usize).saturating_mul(stack)
            }
        }
    }

    /// Type of the result: `args` are the types of the other two seats, in the order Input, Kernel, Output.
    pub fn infer(&self, solve: Seat, args: [&Type; 2]) -> Result<Type> {
        let dtype = match args.map(|t| t.dtype) {
            [DType::F32, DType::F32] => DType::F32,
            [DType::U8 | DType::I8, DType::I8] => DType::I32,
            _ => {
                let expected = "float32 and float32, or uint8 or int8 and int8";
                return Err(Error::dtype(self.name(), expected, format!("{} and {}", args[0], args[1])));
            }
        };
        let ty = match self {
            Self::MatMul => matmul(solve, args)?,
            Self::Conv(conv) => conv.infer(solve, args)?,
        };
        if dtype == DType::I32 {
            self.check_bytes(solve, args)?;
        }
        Ok(Type::new(dtype, ty.dims))
    }

    /// Whether a product of bytes exists: for the output, with one kernel for all samples, without groups, and with sums
    /// that int32 holds.
    fn check_bytes(&self, solve: Seat, [x, kernel]: [&Type; 2]) -> Result<()> {
        let name = self.name();
        if solve != Seat::Output {
            let given = format!("{} and {}, solved for {}", x, kernel, solve.name());
            return Err(Error::dtype(
                name,
                "float32: products of bytes exist for y alone and have no gradients",
                given,
            ));
        }
        let (terms, groups) = match self {
            Self::Conv(c) => (kernel.len() / c.cout.max(1), c.groups),
            Self::MatMul => (kernel.dims[0], 1),
        };
        if groups != 1 || (*self == Self::MatMul && kernel.rank() != 2) {
            return Err(Error::shape(
                name,
                "one group and a kernel of rank 2 for a matrix product of bytes",
                format!("{self:?} of {kernel}"),
            ));
        }
        if terms > MAX_BYTE_TERMS {
            let expected =
                format!("at most {MAX_BYTE_TERMS} terms in each sum of products of bytes, which int32 holds");
            return Err(Error::shape(name, expected, format!("{terms} (kernel {kernel})")));
        }
        Ok(())
    }
}

/// Most products of a byte with a signed byte whose sum int32 holds, whatever they are.
pub const MAX_BYTE_TERMS: usize = (i32::MAX / (255 * 128)) as usize;

fn matmul(solve: Seat, [a, b]: [&Type; 2]) -> Result<Type> {
    let [name_a, name_b] = solve.others().map(Seat::name);
    let given = || format!("{name_a} {:?}, {name_b} {:?}", a.dims, b.dims);
    let rank = a.rank();
    if rank < 2 || b.rank() != rank {
        return Err(Error::shape("matmul", "two tensors of equal rank, at least 2", given()));
    }
    let (lead, [a0, a1]) = (&a.dims[..rank - 2], [a.dims[rank - 2], a.dims[rank - 1]]);
    let [b0, b1] = [b.dims[rank - 2], b.dims[rank - 1]];
    if b.dims[..rank - 2] != *lead {
        return Err(Error::shape("matmul", format!("equal leading sizes {lead:?}"), given()));
    }
    // x[m, k] · k[k, n] = y[m, n]: which size the two arguments share, and what remains.
    let (shared, equal, rest) = match solve {
        Seat::Output => ("columns of x = rows of kernel", a1 == b0, [a0, b1]),
        Seat::Input => ("columns of kernel = columns of y", a1 == b1, [b0, a0]),
        Seat::Kernel => ("rows of x = rows of y", a0 == b0, [a1, b1]),
    };
    if !equal {
        return Err(Error::shape("matmul", shared, given()));
    }
    Ok(Type::f32([lead, &rest].concat()))
}

impl Conv {
    /// Type of the tensor in seat `solve`, given those of the other two.
    fn infer(&self, solve: Seat, args: [&Type; 2]) -> Result<Type> {
        self.check("conv")?;
        let batch = match solve {
            Seat::Output | Seat::Kernel => args[0],
            Seat::Input => args[1],
        };
        let n = batch.dims.first().copied().unwrap_or(0);
        for (seat, given) in solve.others().into_iter().zip(args) {
            let expected = self.dims(seat, n);
            if given.dims != expected {
                return Err(Error::shape("conv", format!("{} {expected:?}", seat.name()), format!("{:?}", given.dims)));
            }
        }
        Ok(Type::f32(self.dims(solve, n)))
    }

    /// Whether the sizes make sense: 1 to 3 spatial axes, positive sizes and steps, channels in whole groups, a
    /// kernel that fits the padded input. Messages name `op`.
    pub fn check(&self, op: &str) -> Result<()> {
        let rank = self.input.len();
        if !(1..=3).contains(&rank) {
            return Err(Error::shape(op, "1 to 3 spatial axes", format!("{rank}")));
        }
        for (name, list) in [
            ("kernel", &self.kernel),
            ("stride", &self.stride),
            ("dilation", &self.dilation),
            ("padding before", &self.low),
            ("padding after", &self.high),
        ] {
            if list.len() != rank {
                return Err(Error::shape(op, format!("{name} for {rank} spatial axes"), format!("{list:?}")));
            }
        }
        for (name, list) in [("kernel", &self.kernel), ("stride", &self.stride), ("dilation", &self.dilation)] {
            if list.contains(&0) {
                return Err(Error::shape(op, format!("{name} sizes of at least 1"), format!("{list:?}")));
            }
        }
        let (cin, cout, groups) = (self.cin, self.cout, self.groups);
        if groups == 0 || !cin.is_multiple_of(groups) || !cout.is_multiple_of(groups) {
            return Err(Error::shape(
                op,
                "input channels and filters that are multiples of the groups",
                format!("{cin} input channels, {cout} filters, {groups} groups"),
            ));
        }
        for a in 0..rank {
            let span = (self.kernel[a] - 1).checked_mul(self.dilation[a]);
            let padded = self.input[a].checked_add(self.low[a]).and_then(|s| s.checked_add(self.high[a]));
            if !matches!((span, padded), (Some(span), Some(padded)) if span < padded) {
                return Err(Error::shape(
                    op,
                    format!(
                        "padded spatial sizes of at least the kernel {:?} at dilation {:?}",
                        self.kernel, self.dilation
                    ),
                    format!("{:?} with padding {:?}/{:?}", self.input, self.low, self.high),
                ));
            }
        }
        Ok(())
    }

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
