//! Where the inputs of windows, window positions and taps lie in a sample.

use crate::kernels::direct::cover;
use crate::kernels::direct::geometry::Halo;
use oxiconv_ir::{Conv, Window};

/// A convolution followed by pooling, on three spatial axes. The input of window `w`, position `i`, and element `e` of
/// line `l` is at `windows[w] + positions[i] + lines[l] + e` of the haloed sample, for every `w`, `i`, `l` and `e`: the
/// halo reaches as far as windows do that stand over the edge.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) halo: Halo,
    pub(super) windows: Vec<u32>,
    /// Positions of a window, row-major. A byte beyond them finds zero, so that no index reads outside.
    pub(super) positions: [u32; 256],
    pub(super) volume: usize,
    pub(super) lines: Vec<usize>,
    pub(super) line_len: usize,
    pub(super) cout: usize,
}

/// One axis: halo, and steps in input positions.
#[derive(Clone, Copy)]
struct Axis {
    input: usize,
    low: usize,
    read: usize,
    /// Windows, positions of a window, and taps: how many, and how far apart.
    windows: (usize, usize),
    positions: (usize, usize),
    taps: (usize, usize),
}

impl Layout {
    /// None if a sample is too large for 32-bit offsets.
    pub(super) fn new(conv: &Conv, window: &Window) -> Option<Self> {
        let rank = conv.input.len();
        assert!((1..=3).contains(&rank), "convolution: expected 1 to 3 spatial axes, got {rank}");
        let pooled = window.output();
        let axes: [Axis; 3] = std::array::from_fn(|a| {
            let Some(a) = (a + rank).checked_sub(3) else {
                return Axis { input: 1, low: 0, read: 1, windows: (1, 1), positions: (1, 1), taps: (1, 1) };
            };
            let stride = conv.stride[a];
            let windows = (pooled[a], window.stride[a] * stride);
            let positions = (window.size[a], stride);
            let taps = (conv.kernel[a], conv.dilation[a]);
            let last = |(count, step)| (count - 1) * step;
            let read = last(windows) + last(positions) + last(taps) + 1;
            let low = conv.low[a] + window.low[a] * stride;
            Axis { input: conv.input[a], low, read, windows, positions, taps }
        });
        let (sample, low) = (axes.map(|a| a.input), axes.map(|a| a.low));
        // Without a border the sample itself is read, with its own row lengths.
        let inside = axes.iter().all(|a| a.low == 0 && a.read <= a.input);
        let size = if inside { sample } else { axes.map(|a| a.read) };
        let halo = Halo { sample, size, low, channels: conv.cin };
        u32::try_from(halo.len()).ok()?;

        let grid = |axes: [(usize, usize); 3]| {
            let mut offsets = Vec::new();
            for d in 0..axes[0].0 {
                for h in 0..axes[1].0 {
                    for w in 0..axes[2].0 {
                        offsets.push(halo.offset([d * axes[0].1, h * axes[1].1, w * axes[2].1]));
                    }
                }
            }
            offsets
        };
        let windows = grid(axes.map(|a| a.windows)).into_iter().map(|o| o as u32).collect();
        let mut positions = [0; 256];
        for (to, offset) in positions.iter_mut().zip(grid(axes.map(|a| a.positions))) {
            *to = offset as u32;
        }
        let (lines, line_len) = cover::lines(&grid(axes.map(|a| a.taps)), conv.cin);
        Some(Self { halo, windows, positions, volume: window.volume(), lines, line_len, cout: conv.cout })
    }

    /// Rows of the kernel: taps by input channels.
    pub(super) fn rows(&self) -> usize {
        self.lines.len() * self.line_len
    }

    pub(super) fn kernel_len(&self) -> usize {
        self.rows() * self.cout
    }
}
