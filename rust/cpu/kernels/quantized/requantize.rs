//! From sums to the bytes that the next layer reads: scale and shift per channel, a second operand scaled likewise, as a
//! residual connection adds it, bounds, and a scale for the result. Each operation is rounded on its own, as in a map,
//! so that the result has the same bits as the expression's.

use crate::simd::dot::Dot;
use oxiconv_ir::DType;

/// A factor or a summand; pointers are to memory that outlives the call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Coefficient {
    /// There is none.
    None,
    /// One for all.
    Scalar(f32),
    /// One for each channel.
    Channels(*const f32),
}

/// Another operand, of the result's sizes.
#[derive(Debug, Clone, Copy)]
pub struct Dense {
    /// float32, int32, uint8 or int8.
    pub dtype: DType,
    /// The first element of the first sample.
    pub first: *const u8,
}

/// `scale · y + shift`.
#[derive(Debug, Clone, Copy)]
pub struct Term {
    /// Factor.
    pub scale: Coefficient,
    /// Summand.
    pub shift: Coefficient,
}

/// What to compute of the sums, and where to.
#[derive(Debug, Clone, Copy)]
pub struct Requantize {
    /// Of the sums.
    pub own: Term,
    /// Of another operand, added.
    pub other: Option<(Dense, Term)>,
    /// The least value: 0 behind a ReLU.
    pub low: Option<f32>,
    /// The greatest value.
    pub high: Option<f32>,
    /// Factor of the result.
    pub scale: Coefficient,
    /// uint8 or int8, rounded and saturated; or float32.
    pub dtype: DType,
    /// The first element of the first sample of the result.
    pub out: *mut u8,
}

impl Requantize {
    /// Finishes a vector of sums, of which `lanes` exist: those of `channel` and the next, elements `at` and the next.
    ///
    /// # Safety
    /// Operands and result have these elements, coefficients these channels.
    #[inline(always)]
    pub(super) unsafe fn put<D: Dot>(&self, d: D, sums: D::N, at: usize, channel: usize, lanes: usize) {
        // SAFETY: by contract.
        unsafe {
            let mut y = self.own.apply(d, d.float(sums), channel, lanes);
            if let Some((dense, term)) = self.other {
                y = d.add(y, term.apply(d, dense.read(d, at, lanes), channel, lanes));
            }
            // NaN stays: it is the second operand.
            if let Some(low) = self.low {
                y = d.max(d.splat(low), y);
            }
            if let Some(high) = self.high {
                y = d.min(d.splat(high), y);
            }
            if let Some(scale) = self.scale.read(d, channel, lanes) {
                y = d.mul(y, scale);
            }
            let (low, high) = match self.dtype {
                DType::U8 => (0.0, 255.0),
                DType::I8 => (-128.0, 127.0),
                _ => {
                    let out = self.out.cast::<f32>().add(at);
                    if lanes == D::LANES {
                        d.store(out, y);
                    } else {
                        let mut whole = [0.0; 16];
                        d.store(whole.as_mut_ptr(), y);
                        out.copy_from_nonoverlapping(whole.as_ptr(), lanes);
                    }
                    return;
                }
            };
            // Bounded first, rounding cannot leave the range.
            let y = d.min(d.splat(high), d.max(d.splat(low), y));
            let out = self.out.add(at);
            if lanes == D::LANES {
                d.store_bytes(out, y);
            } else {
                let mut whole = [0; 16];
                d.store_bytes(whole.as_mut_ptr(), y);
                out.copy_from_nonoverlapping(whole.as_ptr(), lanes);
            }
        }
    }
}

impl Term {
    /// # Safety
    /// Coefficients have these channels.
    #[inline(always)]
    unsafe fn apply<D: Dot>(&self, d: D, mut y: D::F, channel: usize, lanes: usize) -> D::F {
        // SAFETY: by contract.
        unsafe {
            if let Some(scale) = self.scale.read(d, channel, lanes) {
                y = d.mul(y, scale);
            }
            if let Some(shift) = self.shift.read(d, channel, lanes) {
                y = d.add(y, shift);
            }
        }
        y
    }
}

impl Coefficient {
    /// # Safety
    /// There are these channels.
    #[inline(always)]
    unsafe fn read<D: Dot>(self, d: D, channel: usize, lanes: usize) -> Option<D::F> {
        match self {
            Self::None => None,
            Self::Scalar(x) => Some(d.splat(x)),
            // SAFETY: by contract.
            Self::Channels(p) => Some(unsafe { read_floats(d, p.add(channel), lanes) }),
        }
    }
}

impl Dense {
    /// # Safety
    /// There are these elements.
    #[inline(always)]
    unsafe fn read<D: Dot>(self, d: D, at: usize, lanes: usize) -> D::F {
        // SAFETY: by contract; the copies have a whole vector.
        unsafe {
            match self.dtype {
                DType::U8 | DType::I8 => {
                    let mut whole = [0u8; 16];
                    let mut from = self.first.add(at);
                    if lanes < D::LANES {
                        whole.as_mut_ptr().copy_from_nonoverlapping(from, lanes);
                        from = whole.as_ptr();
                    }
                    if self.dtype == DType::U8 { d.load_u8(from) } else { d.load_i8(from.cast()) }
                }
                DType::I32 => {
                    let mut whole = [0i32; 16];
                    let mut from = self.first.cast::<i32>().add(at);
                    if lanes < D::LANES {
                        whole.as_mut_ptr().copy_from_nonoverlapping(from, lanes);
                        from = whole.as_ptr();
                    }
                    d.float(d.load_sums(from))
                }
                _ => read_floats(d, self.first.cast::<f32>().add(at), lanes),
            }
        }
    }
}

/// # Safety
/// `p..p + lanes` is readable.
#[inline(always)]
unsafe fn read_floats<D: Dot>(d: D, p: *const f32, lanes: usize) -> D::F {
    let mut whole = [0.0; 16];
    // SAFETY: by contract; the copy has a whole vector.
    unsafe {
        if lanes == D::LANES {
            d.load(p)
        } else {
            whole.as_mut_ptr().copy_from_nonoverlapping(p, lanes);
            d.load(whole.as_ptr())
        }
    }
}
