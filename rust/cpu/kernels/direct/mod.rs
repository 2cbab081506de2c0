//! Direct convolution: a register tile of result positions by channels, summed over kernel taps and source channels.
//! Forward and backward data are the same gather ([`geometry`]), matrix products its pointwise case. The kernel
//! gradient sums over positions instead ([`weights`]).

mod across;
mod cover;
mod forward;
mod gather;
pub(crate) mod geometry;
mod overlap;
mod pack;
pub(super) mod pooled;
mod sparse;
pub(super) mod tile;
mod weights;

use crate::kernels::depthwise::{self, Depthwise};
use crate::simd::Isa;
use across::Across;
use gather::Gather;
use geometry::{Geometry, Pass};
use overlap::Overlap;
use oxiconv_ir::{Conv, Precision, Seat, Window};
use pack::Block;
use pooled::Pool;
pub use sparse::SparsePlan;
use weights::Weights;

/// What becomes of negative results, and of large ones.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Relu {
    /// They stay.
    #[default]
    No,
    /// Negative ones become zero; NaN stays NaN.
    Yes,
    /// And those above this become it.
    UpTo(f32),
}

/// What happens to a result element before it is stored: `gate(relu(sum + bias + added))`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// One value per result channel.
    pub bias: Option<&'a [f32]>,
    /// One value per result.
    pub added: Option<&'a [f32]>,
    /// Whether the result is bounded.
    pub relu: Relu,
    /// Which results stay.
    pub gate: Option<Gate<'a>>,
}

/// Results stay where a value of their own is above zero, and become zero elsewhere: the gradient of a ReLU.
#[derive(Debug, Clone, Copy)]
pub struct Gate<'a> {
    /// One value per result.
    pub values: &'a [f32],
    /// Values from this on are closed too.
    pub below: Option<f32>,
}

impl Epilogue<'_> {
    /// # Panics
    /// If there are not `channels` biases, or not one value for each of `results` results.
    pub(super) fn check(&self, channels: usize, results: usize) {
        if let Some(bias) = self.bias {
            assert_eq!(bias.len(), channels, "bias of an epilogue");
        }
        if let Some(added) = self.added {
            assert_eq!(added.len(), results, "addends of an epilogue");
        }
        if let Some(gate) = self.gate {
            assert_eq!(gate.values.len(), results, "gate of an epilogue");
        }
    }

    /// Whether results are stored as they are.
    pub(super) fn is_none(&self) -> bool {
        self.bias.is_none() && self.added.is_none() && self.relu == Relu::No && self.gate.is_none()
    }

    /// Whether each result meets values of its own.
    pub(super) fn is_elementwise(&self) -> bool {
        self.added.is_some() || self.gate.is_some()
    }
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
    /// In place of tiles, with their weights, where an epilogue allows it.
    across: Option<Across>,
    pool: Option<Pool>,
    packed: usize,
    method: Method,
}

/// Which kernels compute a plan.
#[derive(Debug)]
enum Method {
    /// Tiles over its blocks and gathers, of which other methods have none.
    Tiles,
    /// Forward and backward data towards few channels.
    Overlap(Overlap),
    /// The kernel gradient.
    Weights(Weights),
    /// Groups of one channel: forward and backward data, and the kernel gradient.
    Depthwise(Depthwise),
    DepthwiseWeights(depthwise::Gradient),
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
            precision: Precision::Fast,
        };
        Self::plan(isa, &conv, solve, None)
    }

    fn plan(isa: Isa, conv: &Conv, solve: Seat, window: Option<&Window>) -> Self {
        let forward = if solve == Seat::Kernel { Seat::Output } else { solve };
        let geometry = Geometry::new(conv, forward);
        let each_channel = geometry.is_depthwise() && geometry.groups >= depthwise::LEAST;
        let method = match (solve, each_channel) {
            (Seat::Kernel, true) => Method::DepthwiseWeights(depthwise::Gradient::new(isa, &geometry)),
            (Seat::Kernel, false) => Method::Weights(Weights::new(isa, &geometry)),
            (_, true) => Method::Depthwise(Depthwise::new(isa, conv, &geometry)),
            (_, false) => Method::Tiles,
        };
        let method = match method {
            Method::Tiles => overlap(isa, conv, solve, &geometry).map_or(Method::Tiles, Method::Overlap),
            other => other,
        };
        if !matches!(method, Method::Tiles) {
            let packed = match &method {
                Method::Depthwise(depthwise) => depthwise.packed_len(),
                Method::Overlap(overlap) => overlap.packed_len(),
                _ => 0,
            };
            let pool = window.map(|w| Pool::after(&geometry, w));
            let (conv, blocks, gathers) = (conv.clone(), Vec::new(), Vec::new());
            return Self {
                isa,
                conv,
                solve,
                geometry,
                blocks,
                gathers,
                bordered: false,
                across: None,
                pool,
                packed,
                method,
            };
        }
        let pool = window.map(|w| Pool::new(isa, &geometry, w));
        let (mut gathers, blocks, mut bordered) = tiles(isa, &geometry, pool.as_ref());
        let across = if pool.is_none() { Across::new(isa, &geometry) } else { None };
        if across.is_some() {
            gathers = geometry.passes.iter().map(|pass| Gather::whole(&geometry, pass, true)).collect();
            bordered = geometry.halo.is_copied();
        }
        let packed = gathers.iter_mut().fold(0, |end, gather| gather.place(&geometry, &blocks, end));
        Self { isa, conv: conv.clone(), solve, geometry, blocks, gathers, bordered, across, pool, packed, method }
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
        assert!(self.solve != Seat::Kernel, "a kernel gradient has no packed weights: {conv:?}");
        let taps: usize = conv.kernel.iter().product();
        assert_eq!(kernel.len(), taps * conv.cin / conv.groups * conv.cout, "kernel of {conv:?}");
        assert_eq!(packed.len(), self.packed, "packed weights of {conv:?}");
        if let Method::Depthwise(depthwise) = &self.method {
            depthwise.pack(kernel, packed);
        }
        if let Method::Overlap(overlap) = &self.method {
            overlap.pack(kernel, packed);
        }
        for gather in &self.gathers {
            let part = &mut packed[gather.packed..gather.packed + conv.groups * gather.group_len];
            pack::pack(conv, self.solve, &self.blocks, &gather.taps, kernel, part);
        }
    }

    /// Whether both read kernels packed alike.
    pub fn packs_like(&self, other: &Self) -> bool {
        let widths = |plan: &Self| plan.blocks.iter().map(|b| (b.isa, b.nv, b.first, b.channels)).collect::<Vec<_>>();
        let taps = |plan: &Self| plan.gathers.iter().map(|g| (g.packed, g.taps.clone())).collect::<Vec<_>>();
        if let (Method::Overlap(a), Method::Overlap(b)) = (&self.method, &other.method) {
            return a.packs_like(b);
        }
        std::mem::discriminant(&self.method) == std::mem::discriminant(&other.method)
            && self.solve == other.solve
            && self.packed == other.packed
            && widths(self) == widths(other)
            && taps(self) == taps(other)
    }

    /// Floats of scratch that one call needs, for any number of samples.
    pub fn scratch_len(&self) -> usize {
        let pool = self.pool.as_ref().map_or(0, Pool::scratch_len);
        match &self.method {
            Method::Weights(weights) => weights.scratch_len(),
            Method::Overlap(overlap) => overlap.scratch_len() + pool,
            Method::Tiles | Method::Depthwise(_) | Method::DepthwiseWeights(_) => self.halo_len() + pool,
        }
    }

    fn halo_len(&self) -> usize {
        if self.bordered { self.batch() * self.geometry.halo.len() } else { 0 }
    }

    /// The kernel and its tiles, for people.
    pub fn describe(&self) -> String {
        match &self.method {
            Method::Tiles => {}
            Method::Overlap(overlap) => return overlap.describe(),
            Method::Weights(weights) => return weights.describe(),
            Method::Depthwise(depthwise) => return depthwise.describe(),
            Method::DepthwiseWeights(weights) => return weights.describe(),
        }
        if let Some(across) = &self.across {
            return format!("direct, across positions, {}", across.isa().name());
        }
        let mut tiles: Vec<_> = self.blocks.iter().map(|b| format!("{}x{}", b.mr, b.nv)).collect();
        tiles.dedup();
        let form = match (&self.pool, self.geometry.is_pointwise()) {
            (Some(pool), _) if pool.unit() > 1 => "direct, pooled in registers,",
            (Some(_), _) => "direct, pooled by bands,",
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

/// The passes of tiles, their blocks, and whether samples are copied into their halo.
fn tiles(isa: Isa, geometry: &Geometry, pool: Option<&Pool>) -> (Vec<Gather>, Vec<Block>, bool) {
    let unit = pool.map_or(1, Pool::unit);
    let own_positions = pool.is_none() && !geometry.is_pointwise();
    let with_blocks = |gather: &dyn Fn(&Pass) -> Gather| {
        let gathers: Vec<_> = geometry.passes.iter().map(gather).collect();
        // Tile heights suit the largest region; of matrix rows there are many, how many is not known yet.
        let largest = gathers.iter().flat_map(|g| &g.regions).map(|r| r.positions.len()).max().unwrap_or(0);
        let blocks = pack::blocks(isa, geometry.result_channels, largest, unit);
        (gather::cost(&gathers, &blocks), gathers, blocks)
    };
    let whole = with_blocks(&|pass| Gather::whole(geometry, pass, own_positions));
    let bordered = geometry.halo.is_copied();
    if bordered && pool.is_none() {
        let split = with_blocks(&|pass| Gather::split(geometry, pass));
        if split.0 < whole.0 {
            return (split.1, split.2, false);
        }
    }
    (whole.1, whole.2, bordered)
}

/// Overlapping windows, where they take a fifth less than tiles of so few channels that vectors stay partly empty.
/// Whether there is a pool behind does not matter: its maxima are those of the same values.
fn overlap(isa: Isa, conv: &Conv, solve: Seat, geometry: &Geometry) -> Option<Overlap> {
    if geometry.result_channels >= isa.lanes() || geometry.is_pointwise() || Across::new(isa, geometry).is_some() {
        return None;
    }
    let overlap = Overlap::new(isa, conv, solve)?;
    let (gathers, blocks, _) = tiles(isa, geometry, None);
    let tiles = gather::lanes(&gathers.iter().flat_map(|g| &g.regions), &blocks);
    (overlap.cost() * 5 < tiles * 4).then_some(overlap)
}
