//! Winograd's minimal filtering, F(4x4, 3x3): convolutions of 3x3 kernels at stride 1 with a quarter of the
//! multiplications. Tiles of 4x4 results are computed as 36 products per pair of channels, where a direct sum has 144;
//! the transforms before and after are additions that all channels share.

mod forward;
mod product;
mod transform;
mod weights;

use crate::simd::{Isa, Kernel, Simd, dispatch};
use oxiconv_ir::{Conv, Seat, Window};
use product::HEIGHT;
use transform::{POINTS, SPAN, TILE, kernel_points};

/// Floats of transformed tiles, before and after the products, that a block should take: 256 KiB, half of the smallest
/// L2 among current cores. Three times as much where a block reads a kernel from beyond the L2, or sums up a gradient of
/// one: more tiles share that.
const BLOCK: usize = 64 << 10;

/// Floats of a kernel that stay in the L2.
const RESIDENT: usize = 256 << 10;

/// What the transforms of a tile cost, in channels: as much as its products would with so many more.
const TRANSFORMS: usize = 18;

/// What the last transform of a kernel's gradient costs, in tiles.
const LAST: usize = 6;

/// Fewest channels, of source and result in the mean. The sums over taps of fewer are fast at partial vectors.
const LEAST: usize = 12;

/// Floats of a kernel at the 36 points, four times as many as it has, that are too many to read for a block of tiles.
const LARGE: usize = 4 << 20;

/// How to compute a convolution of 3x3 kernels at stride 1, or the gradient of its input, by tiles. Planned once, run
/// for any number of samples.
#[derive(Debug)]
pub struct WinogradPlan {
    isa: Isa,
    solve: Seat,
    /// Spatial sizes of a sample of the source, and of the result before pooling.
    source: [usize; 2],
    result: [usize; 2],
    /// Channels of the source and of the result.
    channels: (usize, usize),
    /// Padding before the source.
    low: [usize; 2],
    /// Whether 2x2 windows of the result are pooled.
    pools: bool,
    /// Results that are needed, pooled or not, and rows and columns of tiles that hold them.
    needed: [usize; 2],
    tiles: [usize; 2],
    /// Most tiles that go through together.
    block: usize,
}

impl WinogradPlan {
    /// Plans the convolution (`Seat::Output`), also with 2x2 max-pooling after it, or backward data (`Seat::Input`)
    /// or the kernel's gradient (`Seat::Kernel`); none if it is not of this kind.
    pub fn new(isa: Isa, conv: &Conv, solve: Seat, window: Option<&Window>) -> Option<Self> {
        let two = |v: &[usize]| [v[0], v[1]];
        let is = |v: &[usize], x: usize| v.iter().all(|&v| v == x);
        if conv.input.len() != 2 || !is(&conv.kernel, 3) || !is(&conv.stride, 1) || !is(&conv.dilation, 1) {
            return None;
        }
        let pooled = |w: &Window| is(&w.size, 2) && is(&w.stride, 2) && is(&w.low, 0) && is(&w.high, 0);
        if conv.groups != 1 || !window.is_none_or(pooled) {
            return None;
        }
        let (input, output) = (two(&conv.input), two(&conv.output()));
        let (source, result, channels, low) = match solve {
            Seat::Output => (input, output, (conv.cin, conv.cout), two(&conv.low)),
            // The convolution of the output's gradient with the kernel turned by half a turn; what was padded by 0
            // is padded by 2. Padding beyond 2 would be a source that begins before the gradient.
            Seat::Input if conv.low.iter().chain(&conv.high).all(|p| *p <= 2) => {
                (output, input, (conv.cout, conv.cin), [2 - conv.low[0], 2 - conv.low[1]])
            }
            Seat::Kernel if window.is_none() => (input, output, (conv.cin, conv.cout), two(&conv.low)),
            _ => return None,
        };
        // Windows that do not fit are dropped, and what only they would read.
        let pools = window.is_some();
        let needed = result.map(|r| if pools { r / 2 * 2 } else { r });
        let tiles = needed.map(|r| r.div_ceil(TILE));
        let mut plan = Self { isa, solve, source, result, channels, low, pools, needed, tiles, block: HEIGHT };
        let (from, to) = plan.padded();
        let budget = if solve == Seat::Kernel || POINTS * from * to > RESIDENT { 3 * BLOCK } else { BLOCK };
        let height = plan.height();
        let (least, most) = if solve == Seat::Kernel { (16, 64) } else { (height, 32) };
        plan.block = (budget / (POINTS * (from + to))).clamp(least, most) / height * height;
        Some(plan)
    }

    /// Whether this is faster than the sum over taps, by measurements of 8 to 512 channels (`docs/kernels.md`), for about
    /// `samples` samples in a call. They matter to a kernel's gradient alone.
    ///
    /// Per pair of channels, a tile costs 36 multiplications and the sum over taps 9 per position. The transforms cost a
    /// constant per channel of the source and of the result: beside the products, [`TRANSFORMS`] over the harmonic mean
    /// of the two. The gradient of a kernel is transformed after each block, for as much as [`LAST`] tiles.
    pub fn pays(&self, samples: usize) -> bool {
        let ((from, to), tiles) = (self.channels, self.tiles[0] * self.tiles[1]);
        let (mean, kernel) = (2 * from * to / (from + to), POINTS * from * to);
        let large = kernel > LARGE || (kernel > RESIDENT && tiles < 4);
        if mean < LEAST || large || tiles == 0 {
            return false;
        }
        let (samples, last) = match self.solve {
            Seat::Kernel => (samples, LAST * (samples * tiles).div_ceil(self.block)),
            Seat::Input | Seat::Output => (1, 0),
        };
        let direct = 9 * samples * self.needed[0] * self.needed[1];
        10 * direct * mean >= 11 * POINTS * (samples * tiles * (mean + TRANSFORMS) + last * mean)
    }

    /// Positions of the result for which reading the transformed kernel takes less time than computing.
    pub fn least_positions(&self) -> usize {
        let resident = POINTS * self.channels.0 * self.channels.1 <= RESIDENT;
        if resident { TILE * TILE } else { 6 * TILE * TILE }
    }

    /// What blocks are a multiple of: the rows of the register tile, for which AVX2 has half of the registers.
    fn height(&self) -> usize {
        match (self.solve, self.isa) {
            (Seat::Output | Seat::Input, Isa::Avx2 | Isa::Scalar) => 6,
            _ => HEIGHT,
        }
    }

    /// Channels of source and result up to whole vectors: floats per tile and point.
    fn padded(&self) -> (usize, usize) {
        let whole = |c: usize| c.next_multiple_of(self.isa.lanes());
        (whole(self.channels.0), whole(self.channels.1))
    }

    /// Floats from one point to the next, of the source and of the result. A cache line more than the tiles take:
    /// points a power of two apart would compete for one set of the cache.
    fn point(&self) -> (usize, usize) {
        let (from, to) = self.padded();
        (self.block * from + 16, self.block * to + 16)
    }

    fn source_len(&self) -> usize {
        self.source[0] * self.source[1] * self.channels.0
    }

    /// Floats of a sample's result, pooled if the plan pools.
    fn out_len(&self) -> usize {
        let shrink = if self.pools { 2 } else { 1 };
        self.result[0] / shrink * (self.result[1] / shrink) * self.channels.1
    }

    /// Zeros that stand for a row of padding in a patch, up to whole cache lines.
    fn zeros_len(&self) -> usize {
        (SPAN * self.channels.0.max(self.channels.1)).next_multiple_of(16)
    }

    /// Blocks of all tiles of `n` samples, as equal as whole register tiles can be: the first tile of each, and how many.
    fn blocks(&self, n: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let count = n * self.tiles[0] * self.tiles[1];
        let block = count.div_ceil(count.div_ceil(self.block).max(1)).max(1).next_multiple_of(self.height());
        (0..count).step_by(block).map(move |first| (first, block.min(count - first)))
    }

    /// Sample and first result of `count` tiles from the `first`.
    fn tiles(&self, first: usize, count: usize) -> impl Iterator<Item = (usize, [usize; 2])> + use<> {
        let [rows, columns] = self.tiles;
        let (mut column, mut row, mut sample) = (first % columns, first / columns % rows, first / columns / rows);
        // Counted rather than divided: with few channels, quotients would take as long as a transform.
        (0..count).map(move |_| {
            let tile = (sample, [row * TILE, column * TILE]);
            column += 1;
            if column == columns {
                (column, row) = (0, row + 1);
            }
            if row == rows {
                (row, sample) = (0, sample + 1);
            }
            tile
        })
    }

    /// Floats in the packed kernel; none for its gradient.
    pub fn packed_len(&self) -> usize {
        if self.solve == Seat::Kernel {
            return 0;
        }
        POINTS * self.channels.0 * self.padded().1
    }

    /// Floats of scratch that one call needs, for any number of samples.
    pub fn scratch_len(&self) -> usize {
        let sums = if self.solve == Seat::Kernel { self.sums_len() } else { 0 };
        self.zeros_len() + POINTS * (self.point().0 + self.point().1) + sums
    }

    /// Transforms `kernel` (`[3, 3, cin, cout]`) for [`WinogradPlan::run`]: for each point a matrix from source to
    /// result channels, in blocks of two vectors of result channels (the last may be one), with zeros for channels
    /// that do not exist.
    ///
    /// # Panics
    /// If a length is not that of the plan.
    pub fn pack(&self, kernel: &[f32], packed: &mut [f32]) {
        let (depth, channels) = self.channels;
        assert_eq!(kernel.len(), 9 * depth * channels, "kernel of {self:?}");
        assert_eq!(packed.len(), self.packed_len(), "packed kernel of {self:?}");
        dispatch(self.isa, Pack { plan: self, kernel, packed });
    }

    /// The kernel and its blocks, for people.
    pub fn describe(&self) -> String {
        let form = match (self.solve, self.pools) {
            (Seat::Kernel, _) => " kernel gradient,",
            (_, true) => ", pooled in registers,",
            _ => "",
        };
        format!("winograd 4x4{form} {} tiles {}", self.block, self.isa.name())
    }
}

/// One call of [`WinogradPlan::pack`]. Lengths were asserted.
struct Pack<'a> {
    plan: &'a WinogradPlan,
    kernel: &'a [f32],
    packed: &'a mut [f32],
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { plan, kernel, packed } = self;
        let ((depth, channels), (_, width)) = (plan.channels, plan.padded());
        let pairs = width / (2 * S::LANES) * (2 * S::LANES);
        for c in (0..width).step_by(S::LANES) {
            let (first, block) = if c < pairs { (c - c % (2 * S::LANES), 2 * S::LANES) } else { (pairs, S::LANES) };
            let here = S::LANES.min(channels - c);
            for d in 0..depth {
                const { assert!(S::LANES <= 16) };
                let mut taps = [[0.0f32; 16]; 9];
                let mut g = [s.splat(0.0); 9];
                for tap in 0..9 {
                    if plan.solve == Seat::Output {
                        let row = &kernel[(tap * depth + d) * channels + c..][..here];
                        taps[tap][..here].copy_from_slice(row);
                    } else {
                        // Turned by half a turn, and transposed.
                        let rows = kernel[((8 - tap) * channels + c) * depth..].chunks_exact(depth);
                        taps[tap][..here].iter_mut().zip(rows).for_each(|(to, row)| *to = row[d]);
                    }
                    // SAFETY: the array holds a vector.
                    g[tap] = unsafe { s.load(taps[tap].as_ptr()) };
                }
                for (p, value) in kernel_points(s, g).into_iter().enumerate() {
                    let to = &mut packed[p * depth * width + first * depth + d * block + c - first..][..S::LANES];
                    // SAFETY: just sliced.
                    unsafe { s.store(to.as_mut_ptr(), value) };
                }
            }
        }
    }
}
