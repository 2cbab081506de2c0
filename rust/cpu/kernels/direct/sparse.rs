//! Gradients of a convolution through the max-pool that follows it. Only one position of each window and channel
//! carries gradient, so `dy` is mostly zeros: it is never formed. The sums are those of the dense kernels in another
//! order; what is skipped are products with exact zeros.
//!
//! Three methods, by what the lanes of a vector are:
//! - [`input`]: input channels. Each window position has a list of the output channels whose gradient it carries.
//! - [`kernel`]: input channels. Each output channel has a list of the positions that carry its gradient.
//! - [`lookup`]: output channels, for kernels too narrow for the above. Each lane picks its input from the window.

mod input;
mod kernel;
mod layout;
mod lookup;

use super::cover::{At, Pass, cover, registers};
use crate::simd::{Isa, Simd};
use input::InputGrad;
use kernel::KernelGrad;
use layout::Layout;
use lookup::Lookup;
use oxiconv_ir::{Conv, Seat, Window};

/// How to compute the input or kernel gradient of a convolution from the gradient of the max-pool after it.
#[derive(Debug)]
pub struct SparsePlan {
    isa: Isa,
    layout: Layout,
    method: Method,
}

#[derive(Debug)]
enum Method {
    Input(InputGrad),
    Kernel(KernelGrad),
    Lookup(Lookup),
}

impl SparsePlan {
    /// Plans the input gradient (`Seat::Input`) or the kernel gradient (`Seat::Kernel`) of `conv` followed by
    /// max-pooling over `window`. None where the dense kernels are faster or the case is not covered (overlapping
    /// windows, more than 256 positions, groups): then form `dy` and use a [`ConvPlan`](super::ConvPlan).
    ///
    /// # Panics
    /// For `Seat::Output`, and if the window is not over the convolution's output.
    pub fn new(isa: Isa, conv: &Conv, window: &Window, solve: Seat) -> Option<Self> {
        assert!(solve != Seat::Output, "a sparse plan is for gradients");
        assert_eq!(window.input, conv.output(), "windows over the output of {conv:?}");
        if !window.is_disjoint() || window.volume() > 256 || conv.groups != 1 {
            return None;
        }
        let isa = if solve == Seat::Kernel { isa.holding(conv.cout) } else { isa };
        let layout = Layout::new(conv, window)?;
        let sample = layout.windows.len() * conv.cout;
        let (cost, method) = if solve == Seat::Input {
            let (cost, input) = InputGrad::new(isa, &layout)?;
            (cost * sample, Method::Input(input))
        } else {
            let (listed, kernel) = KernelGrad::new(isa, &layout)?;
            match Lookup::new(isa, &layout) {
                Some((cost, lookup)) if cost < listed * sample => (cost, Method::Lookup(lookup)),
                _ => (listed * sample, Method::Kernel(kernel)),
            }
        };
        // Dense kernels have the result's channels in lanes, and reach nine tenths of two multiply-adds a cycle.
        let channels = if solve == Seat::Input { conv.cin } else { conv.cout };
        let dense = conv.macs() / channels * channels.div_ceil(isa.lanes()) * HALF_CYCLE * 10 / 9;
        (cost < dense).then_some(Self { isa, layout, method })
    }

    /// Floats in the packed weights; none for the kernel gradient.
    pub fn packed_len(&self) -> usize {
        match &self.method {
            Method::Input(input) => input.packed_len(),
            Method::Kernel(_) | Method::Lookup(_) => 0,
        }
    }

    /// Packs `kernel` (`[kernel.., cin, cout]`) for [`SparsePlan::run`].
    ///
    /// # Panics
    /// If a length is not that of the plan, or the plan is for the kernel gradient.
    pub fn pack(&self, kernel: &[f32], packed: &mut [f32]) {
        assert_eq!(kernel.len(), self.layout.kernel_len(), "kernel of a sparse gradient");
        assert_eq!(packed.len(), self.packed_len(), "packed weights of a sparse gradient");
        let Method::Input(input) = &self.method else { panic!("a kernel gradient has no packed weights") };
        input.pack(&self.layout, kernel, packed);
    }

    /// Floats of scratch that one call needs, for any number of samples.
    pub fn scratch_len(&self) -> usize {
        match &self.method {
            Method::Input(input) => input.scratch_len(&self.layout),
            Method::Kernel(kernel) => kernel.scratch_len(&self.layout),
            Method::Lookup(lookup) => lookup.scratch_len(&self.layout),
        }
    }

    /// Computes `n` samples from `g` (`[n, pooled.., cout]`) and `index`, the position in the window that each value
    /// of `g` belongs to, as `WindowArgMax` gives it. For the input gradient, `a` is the packed weights and `out`
    /// receives `dx`; for the kernel gradient, `a` is `x` and `out` is overwritten with the sum over the samples.
    ///
    /// # Panics
    /// If a length is not that of the plan.
    pub fn run(&self, n: usize, a: &[f32], g: &[f32], index: &[u8], out: &mut [f32], scratch: &mut [f32]) {
        let layout = &self.layout;
        let pooled = n * layout.windows.len() * layout.cout;
        assert_eq!(g.len(), pooled, "g of a sparse gradient");
        assert_eq!(index.len(), pooled, "index of a sparse gradient");
        assert!(scratch.len() >= self.scratch_len(), "scratch: {} of {}", scratch.len(), self.scratch_len());
        let x_len = n * layout.halo.sample_len();
        if let Method::Input(input) = &self.method {
            assert_eq!(a.len(), input.packed_len(), "packed weights of a sparse gradient");
            assert_eq!(out.len(), x_len, "dx of a sparse gradient");
            return input.run(self.isa, layout, a, g, index, out, scratch);
        }
        assert_eq!(a.len(), x_len, "x of a sparse gradient");
        assert_eq!(out.len(), layout.kernel_len(), "dk of a sparse gradient");
        match &self.method {
            Method::Input(_) => {}
            Method::Kernel(kernel) => kernel.run(self.isa, layout, n, a, g, index, out, scratch),
            Method::Lookup(lookup) => lookup.run(self.isa, layout, n, a, g, index, out, scratch),
        }
    }

    /// The method and its tiles, for people.
    pub fn describe(&self) -> String {
        let (method, passes, nv) = match &self.method {
            Method::Input(input) => ("input gradient by channel lists", &input.passes, None),
            Method::Kernel(kernel) => ("kernel gradient by position lists", &kernel.passes, None),
            Method::Lookup(lookup) => ("kernel gradient by lookup", &lookup.passes, Some(lookup.nv)),
        };
        let nv = nv.map(|nv| format!("x{nv}")).unwrap_or_default();
        let tiles: Vec<_> = passes.iter().map(|p| format!("{}x{}{nv}", p.lines, p.c)).collect();
        format!("sparse {method}, tiles {} ({})", tiles.join(" "), self.isa.name())
    }
}

/// The unit of costs: a cycle has two of these, and does one multiply-add and one load in each.
const HALF_CYCLE: usize = 8;

/// Covers `vectors` vectors of each line with tiles of which `exists` says whether there is one.
fn cover_lines(
    isa: Isa,
    layout: &Layout,
    exists: impl Fn(usize, usize) -> bool,
    cost: impl Fn(usize) -> usize,
) -> Option<(usize, Vec<Pass>)> {
    let vectors = layout.line_len.div_ceil(isa.lanes());
    // One register for the broadcast gradient, one for a load that is not folded.
    let most = registers(isa) - 2;
    cover(layout.lines.len(), vectors, |lines, nv| (exists(lines, nv) && lines * nv <= most).then(|| cost(lines * nv)))
}

/// Elements of a tile's lines that are beyond the line's end, in its last vector, are not part of it.
fn valid(layout: &Layout, lanes: usize, at: At, v: usize) -> usize {
    (layout.line_len - (at.c + v) * lanes).min(lanes)
}

/// `p[..n] += x`.
///
/// # Safety
/// `p..p + n` is readable and writable, `n <= LANES`.
#[inline(always)]
unsafe fn add_to<S: Simd>(s: S, p: *mut f32, x: S::F, n: usize) {
    // SAFETY: by contract.
    unsafe {
        if n == S::LANES {
            s.store(p, s.add(s.load(p), x));
        } else {
            s.store_partial(p, s.add(s.load_partial(p, n), x), n);
        }
    }
}

/// Tiles of lines by vectors: whether there is one, and `enter`, which runs it on a job.
macro_rules! line_tiles {
    ($kernel:ident, $($lines:literal x [$($nv:literal)+];)+) => {
        fn exists(lines: usize, nv: usize) -> bool {
            [$($([$lines, $nv]),+),+].contains(&[lines, nv])
        }

        /// # Safety
        /// That of the tile.
        unsafe fn enter(isa: Isa, lines: usize, nv: usize, job: &Job<'_>) {
            match (lines, nv) {
                $($(($lines, $nv) => dispatch(isa, $kernel::<$lines, $nv>(job)),)+)+
                _ => unreachable!("no tile of {lines} lines by {nv} vectors"),
            }
        }
    };
}
use line_tiles;

#[cfg(test)]
mod tests;
