//! Direct convolution: a register tile of result positions by channels, summed over kernel taps and source channels.
//! Forward and backward data are the same gather ([`geometry`]), matrix products its pointwise case. The kernel
//! gradient sums over positions instead ([`weights`]).

mod cover;
mod forward;
mod gather;
pub(crate) mod geometry;
mod pack;
mod pooled;
mod sparse;
mod tile;
mod weights;

use crate::simd::Isa;
use gather::Gather;
use geometry::{Geometry, Pass};
use oxiconv_ir::{Conv, Seat, Window};
use pack::Block;
use pooled::Pool;
pub use sparse::SparsePlan;
use weights::Weights;

/// Groups of one channel from which they are vectorised over groups: a vector of the narrower x86 kind.
const DEPTHWISE: usize = 8;

/// What happens to a result element before it is stored: `relu(sum + bias)`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// One value per result channel.
    pub bias: Option<&'a [f32]>,
    /// Whether negative results become zero; NaN stays NaN.
    pub relu: bool,
}

/// How to compute one convolution, for any seat, on one instruction set. Planned once, run for any number of samples.
/// Forward and backward data have the same bits however samples are cut into calls; a kernel gradient is a sum over
/// the samples of a call, in an order that depends on their number alone.
#[derive(Debug)]
pub struct ConvPlan {
    isa: Isa,
    conv: Conv,
    solve: Seat,
    geometry: Geometry,
    /// The same for every group.
    blocks: Vec<Block>,
    gathers: Vec<Gather>,
    /// Whether samples are copied into their halo.
    bordered: bool,
    pool: Option<Pool>,
    packed: usize,
    /// For the kernel gradient, in place of blocks and gathers.
    weights: Option<Weights>,
}

impl ConvPlan {
    /// Plans the forward convolution (`Seat::Output`), backward data (`Seat::Input`) or the kernel gradient
    /// (`Seat::Kernel`).
    ///
    /// # Panics
    /// For more than three spatial axes, and for samples of more than 2³² elements.
    pub fn new(isa: Isa, conv: &Conv, solve: Seat) -> Self {
        Self::plan(isa, conv, solve, None)
    }

    /// Plans the forward convolution followed by max-pooling over `window`.
    ///
    /// # Panics
    /// As [`ConvPlan::new`]; if the window is not over the convolution's output, or has more than 256 positions.
    pub fn pooled(isa: Isa, conv: &Conv, window: &Window) -> Self {
        Self::plan(isa, conv, Seat::Output, Some(window))
    }

    /// Plans the product with a matrix `[k, n]`: rows of `k` to rows of `n` for `Seat::Output`, rows of `n` to rows
    /// of `k` through the transposed matrix for `Seat::Input`, rows of both to the matrix for `Seat::Kernel`. A row
    /// is a sample.
    pub fn matmul(isa: Isa, k: usize, n: usize, solve: Seat) -> Self {
        let one = || vec![1];
        let conv = Conv {
            input: one(),
            kernel: one(),
            stride: one(),
            dilation: one(),
            low: vec![0],
            high: vec![0],
            cin: k,
            cout: n,
            groups: 1,
        };
        Self::plan(isa, &conv, solve, None)
    }

    fn plan(isa: Isa, conv: &Conv, solve: Seat, window: Option<&Window>) -> Self {
        if solve == Seat::Kernel {
            let geometry = Geometry::new(conv, Seat::Output);
            let weights = Some(Weights::new(isa, &geometry));
            let (blocks, gathers) = (Vec::new(), Vec::new());
            return Self {
                isa,
                conv: conv.clone(),
                solve,
                geometry,
                blocks,
                gathers,
                bordered: false,
                pool: None,
                packed: 0,
                weights,
            };
        }
        let geometry = Geometry::new(conv, solve).merge_groups(DEPTHWISE);
        let pool = window.map(|w| Pool::new(isa, &geometry, w));
        let unit = pool.as_ref().map_or(1, Pool::unit);
        let own_positions = pool.is_none() && !geometry.is_pointwise();
        let with_blocks = |gather: &dyn Fn(&Pass) -> Gather| {
            let gathers: Vec<_> = geometry.passes.iter().map(gather).collect();
            // Tile heights suit the largest region; of matrix rows there are many, how many is not known yet.
            let largest = gathers.iter().flat_map(|g| &g.regions).map(|r| r.positions.len()).max().unwrap_or(0);
            let cut = if geometry.depthwise { pack::depthwise_blocks } else { pack::blocks };
            let blocks = cut(isa, geometry.result_channels, largest, unit);
            (gather::cost(&gathers, &blocks), gathers, blocks)
        };
        let (cost, mut gathers, mut blocks) = with_blocks(&|pass| Gather::whole(&geometry, pass, own_positions));
        let mut bordered = geometry.halo.is_copied();
        if bordered && pool.is_none() {
            let split = with_blocks(&|pass| Gather::split(&geometry, pass));
            if split.0 < cost {
                (gathers, blocks, bordered) = (split.1, split.2, false);
            }
        }
        let packed = gathers.iter_mut().fold(0, |end, gather| gather.place(&geometry, &blocks, end));
        Self { isa, conv: conv.clone(), solve, geometry, blocks, gathers, bordered, pool, packed, weights: None }
    }

    /// Floats in the packed weights; none for the kernel gradient.
    pub fn packed_len(&self) -> usize {
        self.packed
    }

    /// Packs `kernel` (`[kernel.., cin / groups, cout]`) for [`ConvPlan::run`].
    ///
    /// # Panics
    /// If a length is not that of the plan, or the plan is for the kernel gradient.
    pub fn pack(&self, kernel: &[f32], packed: &mut [f32]) {
        let conv = &self.conv;
        assert!(self.weights.is_none(), "a kernel gradient has no packed weights: {conv:?}");
        let taps: usize = conv.kernel.iter().product();
        assert_eq!(kernel.len(), taps * conv.cin / conv.groups * conv.cout, "kernel of {conv:?}");
        assert_eq!(packed.len(), self.packed, "packed weights of {conv:?}");
        // Depthwise channels are packed in order either way, as those of one source channel.
        let (conv, solve) = if self.geometry.depthwise {
            (&Conv { cin: 1, groups: 1, ..conv.clone() }, Seat::Output)
        } else {
            (conv, self.solve)
        };
        for gather in &self.gathers {
            let part = &mut packed[gather.packed..gather.packed + conv.groups * gather.group_len];
            pack::pack(conv, solve, &self.blocks, &gather.taps, kernel, part);
        }
    }

    /// Whether both read kernels packed alike.
    pub fn packs_like(&self, other: &Self) -> bool {
        let widths = |plan: &Self| plan.blocks.iter().map(|b| (b.isa, b.nv, b.first, b.channels)).collect::<Vec<_>>();
        let taps = |plan: &Self| plan.gathers.iter().map(|g| (g.packed, g.taps.clone())).collect::<Vec<_>>();
        self.solve == other.solve
            && self.packed == other.packed
            && widths(self) == widths(other)
            && taps(self) == taps(other)
    }

    /// Floats of scratch that one call needs, for any number of samples.
    pub fn scratch_len(&self) -> usize {
        if let Some(weights) = &self.weights {
            return weights.scratch_len();
        }
        self.halo_len() + self.pool.as_ref().map_or(0, Pool::scratch_len)
    }

    fn halo_len(&self) -> usize {
        if self.bordered { self.batch() * self.geometry.halo.len() } else { 0 }
    }

    /// The kernel and its tiles, for people.
    pub fn describe(&self) -> String {
        if let Some(weights) = &self.weights {
            return weights.describe();
        }
        let mut tiles: Vec<_> = self.blocks.iter().map(|b| format!("{}x{}", b.mr, b.nv)).collect();
        tiles.dedup();
        let form = match (&self.pool, self.geometry.is_pointwise()) {
            (Some(pool), _) if pool.unit() > 1 => "direct, pooled in registers,",
            (Some(_), _) => "direct, pooled by bands,",
            (None, _) if self.geometry.depthwise => "depthwise",
            (None, true) => "pointwise",
            (None, false) => "direct",
        };
        let phases = match self.gathers.len() {
            1 => String::new(),
            n => format!(" in {n} phases"),
        };
        format!("{form} {} {}{phases}", tiles.join("+"), self.isa.name())
    }
}
