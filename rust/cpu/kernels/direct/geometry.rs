//! Where a convolution reads and writes, in either direction, on three spatial axes.
//!
//! Both directions are a gather: each result position sums `source · kernel` over taps. Forward is one [`Pass`] whose
//! source step is the stride. Backward data (the transposed convolution) with stride `s` is one pass per phase of the
//! result, `s` per axis: each reads `dy` at step 1 through the taps of that phase, and writes every `s`-th position,
//! so no zeros are inserted. Padding lives in a [`Halo`]: passes never test an edge.

use oxiconv_ir::{Conv, Seat};

/// A convolution on exactly three spatial axes; missing leading axes have size 1.
#[derive(Debug, Clone)]
pub(crate) struct Geometry {
    /// Source with its halo: `x` forward, `dy` backward.
    pub(crate) halo: Halo,
    /// Spatial sizes of the result: `y` forward, `dx` backward.
    pub(crate) result: [usize; 3],
    /// Together they write each result position once.
    pub(crate) passes: Vec<Pass>,
    /// Groups.
    pub(crate) groups: usize,
    /// Source channels per group.
    pub(crate) source_channels: usize,
    /// Result channels per group.
    pub(crate) result_channels: usize,
}

/// Result positions `origin + stride·i` for `i` in `0..size`; each sums over all taps, reading the haloed source at
/// `tap.at + step·i`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pass {
    /// None: no kernel tap reaches these positions, and the result there is zero.
    pub(crate) taps: Vec<Tap>,
    /// Result positions per axis, all at least 1.
    pub(crate) size: [usize; 3],
    /// Source positions between neighbours.
    pub(crate) step: [usize; 3],
    /// First result position.
    pub(crate) origin: [usize; 3],
    /// Result positions between neighbours.
    pub(crate) stride: [usize; 3],
}

/// One kernel position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tap {
    /// Row-major position in the kernel's spatial axes.
    pub(crate) kernel: usize,
    /// Haloed source position that it reads for the pass's first result.
    pub(crate) at: [usize; 3],
}

/// A sample inside a border of zeros, channels last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Halo {
    /// Spatial sizes of the sample.
    pub(crate) sample: [usize; 3],
    /// Spatial sizes with the border. An axis can be smaller than the sample's: no tap reads the rest.
    pub(crate) size: [usize; 3],
    /// Border before each axis.
    pub(crate) low: [usize; 3],
    /// All channels, of every group.
    pub(crate) channels: usize,
}

/// One axis of the passes before they are multiplied out.
struct Phase {
    taps: Vec<(usize, usize)>,
    size: usize,
    step: usize,
    origin: usize,
    stride: usize,
}

/// Sizes of a convolution along one axis.
struct Axis {
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    low: usize,
}

impl Axis {
    /// Border before, length with the border, and phases, for the forward direction.
    fn forward(&self) -> (usize, usize, Vec<Phase>) {
        let taps = (0..self.kernel).map(|t| (t, t * self.dilation)).collect();
        let read = (self.output - 1) * self.stride + (self.kernel - 1) * self.dilation + 1;
        (self.low, read, vec![Phase { taps, size: self.output, step: self.stride, origin: 0, stride: 1 }])
    }

    /// The same for backward data. With `i` an input, `o` an output position and `t` a tap, `i + low = o·s + t·d`:
    /// inputs of phase `p = (i + low) mod s` meet the taps with `t·d mod s = p`, at `o = (i + low − t·d) / s`.
    fn backward(&self) -> (usize, usize, Vec<Phase>) {
        let s = self.stride;
        let mut found = Vec::new();
        let (mut low, mut end) = (0, 1);
        for p in 0..s {
            let origin = (p + s - self.low % s) % s;
            if origin >= self.input {
                continue;
            }
            let size = (self.input - origin).div_ceil(s);
            // Output position of the first input of the phase for a tap of distance zero, and each tap's distance.
            let first = (origin + self.low - p) / s;
            let taps: Vec<_> = (0..self.kernel)
                .filter(|t| t * self.dilation % s == p)
                .map(|t| (t, (t * self.dilation - p) / s))
                .collect();
            if let (Some(&(_, near)), Some(&(_, far))) = (taps.first(), taps.last()) {
                low = low.max(far.saturating_sub(first));
                end = end.max((first + size).saturating_sub(near));
            }
            found.push((origin, size, first, taps));
        }
        let phases = found
            .into_iter()
            .map(|(origin, size, first, taps)| {
                let taps = taps.into_iter().map(|(t, distance)| (t, first + low - distance)).collect();
                Phase { taps, size, step: 1, origin, stride: s }
            })
            .collect();
        (low, low + end, phases)
    }
}

impl Geometry {
    /// The forward convolution for `Seat::Output`, backward data for `Seat::Input`.
    ///
    /// # Panics
    /// If `solve` is `Seat::Kernel`, or for more than three spatial axes.
    pub(crate) fn new(conv: &Conv, solve: Seat) -> Self {
        let rank = conv.input.len();
        assert!((1..=3).contains(&rank), "convolution: expected 1 to 3 spatial axes, got {rank}");
        assert!(solve != Seat::Kernel, "a kernel gradient is no gather over taps");
        let output = conv.output();
        let (cin, cout) = (conv.cin / conv.groups, conv.cout / conv.groups);
        let axes: [Axis; 3] = std::array::from_fn(|a| match (a + rank).checked_sub(3) {
            None => Axis { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, low: 0 },
            Some(a) => Axis {
                input: conv.input[a],
                output: output[a],
                kernel: conv.kernel[a],
                stride: conv.stride[a],
                dilation: conv.dilation[a],
                low: conv.low[a],
            },
        });
        let inputs = axes.each_ref().map(|a| a.input);
        let outputs = axes.each_ref().map(|a| a.output);
        let kernel = axes.each_ref().map(|a| a.kernel);
        let forward = solve == Seat::Output;
        let [d, h, w] = axes.map(|a| if forward { a.forward() } else { a.backward() });

        let (sample, result) = if forward { (inputs, outputs) } else { (outputs, inputs) };
        let (source_channels, result_channels) = if forward { (cin, cout) } else { (cout, cin) };
        let (low, read) = ([d.0, h.0, w.0], [d.1, h.1, w.1]);
        // Without a border the sample itself is read, with its own row lengths.
        let inside = low == [0; 3] && (0..3).all(|a| read[a] <= sample[a]);
        let size = if inside { sample } else { read };
        let halo = Halo { sample, size, low, channels: source_channels * conv.groups };

        let mut passes = Vec::with_capacity(d.2.len() * h.2.len() * w.2.len());
        for pd in &d.2 {
            for ph in &h.2 {
                for pw in &w.2 {
                    passes.push(Pass::multiply([pd, ph, pw], kernel));
                }
            }
        }
        Self { halo, result, passes, groups: conv.groups, source_channels, result_channels }
    }

    /// Whether each result channel sums the source channel of its number alone.
    pub(crate) fn is_depthwise(&self) -> bool {
        self.source_channels == 1 && self.result_channels == 1 && self.groups > 1
    }

    /// Floats in one sample of the result.
    pub(crate) fn result_len(&self) -> usize {
        self.result.iter().product::<usize>() * self.groups * self.result_channels
    }

    /// Whether each result position is one source position times a matrix, so that samples and positions are rows of
    /// one matrix product.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.groups == 1
            && !self.halo.is_copied()
            && self.halo.sample == self.result
            && matches!(&self.passes[..], [p] if p.taps.len() == 1 && p.step == [1; 3] && p.stride == [1; 3])
    }
}

impl Pass {
    fn multiply(axes: [&Phase; 3], kernel: [usize; 3]) -> Self {
        let mut taps = Vec::new();
        for &(td, d) in &axes[0].taps {
            for &(th, h) in &axes[1].taps {
                for &(tw, w) in &axes[2].taps {
                    taps.push(Tap { kernel: (td * kernel[1] + th) * kernel[2] + tw, at: [d, h, w] });
                }
            }
        }
        Self {
            taps,
            size: axes.map(|a| a.size),
            step: axes.map(|a| a.step),
            origin: axes.map(|a| a.origin),
            stride: axes.map(|a| a.stride),
        }
    }
}

impl Halo {
    /// Whether samples must be copied to gain a border; otherwise they are read in place.
    pub(crate) fn is_copied(&self) -> bool {
        self.low != [0; 3] || self.size != self.sample
    }

    /// Floats before a row of the sample, from its haloed position on the first two axes, if it is not in the border.
    pub(crate) fn row(&self, at: [usize; 2]) -> Option<usize> {
        let inside = |a: usize| at[a].checked_sub(self.low[a]).filter(|i| *i < self.sample[a]);
        Some((inside(0)? * self.sample[1] + inside(1)?) * self.sample[2] * self.channels)
    }

    /// Floats in one sample without border.
    pub(crate) fn sample_len(&self) -> usize {
        self.sample.iter().product::<usize>() * self.channels
    }

    /// Floats in one sample with border.
    pub(crate) fn len(&self) -> usize {
        self.size.iter().product::<usize>() * self.channels
    }

    /// Offset of channel 0 at a position of the bordered sample.
    pub(crate) fn offset(&self, at: [usize; 3]) -> usize {
        ((at[0] * self.size[1] + at[1]) * self.size[2] + at[2]) * self.channels
    }

    /// Writes the zeros of the border. Once is enough for any number of [`Halo::fill`] on the same scratch.
    pub(crate) fn clear(&self, scratch: &mut [f32]) {
        scratch[..self.len()].fill(0.0);
    }

    /// Copies a sample into the border.
    pub(crate) fn fill(&self, sample: &[f32], scratch: &mut [f32]) {
        let inside: [usize; 3] = std::array::from_fn(|a| self.sample[a].min(self.size[a].saturating_sub(self.low[a])));
        let row = inside[2] * self.channels;
        if row == 0 {
            return; // all that is read is padding
        }
        for d in 0..inside[0] {
            for h in 0..inside[1] {
                let from = (d * self.sample[1] + h) * self.sample[2] * self.channels;
                let to = self.offset([self.low[0] + d, self.low[1] + h, self.low[2]]);
                scratch[to..to + row].copy_from_slice(&sample[from..from + row]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxiconv_ir::Precision;

    fn line(input: usize, kernel: usize, stride: usize, dilation: usize, pad: (usize, usize)) -> Conv {
        Conv {
            input: vec![input],
            kernel: vec![kernel],
            stride: vec![stride],
            dilation: vec![dilation],
            low: vec![pad.0],
            high: vec![pad.1],
            cin: 1,
            cout: 1,
            groups: 1,
            precision: Precision::Fast,
        }
    }

    /// Every (result, source, tap) triple that the passes visit inside the sample.
    fn triples(g: &Geometry) -> Vec<(usize, usize, usize)> {
        let mut found = Vec::new();
        for pass in &g.passes {
            for i in 0..pass.size[2] {
                for tap in &pass.taps {
                    let at = tap.at[2] + pass.step[2] * i;
                    assert!(at < g.halo.size[2], "reads past the halo");
                    if let Some(source) = at.checked_sub(g.halo.low[2]).filter(|s| *s < g.halo.sample[2]) {
                        found.push((pass.origin[2] + pass.stride[2] * i, source, tap.kernel));
                    }
                }
            }
        }
        found.sort_unstable();
        found
    }

    #[test]
    fn both_directions_visit_the_same_products() {
        for input in 1..12 {
            for (kernel, stride, dilation) in
                [(1, 1, 1), (3, 1, 1), (3, 2, 1), (2, 3, 1), (3, 2, 2), (4, 3, 2), (1, 4, 1)]
            {
                for pad in [(0, 0), (1, 1), (0, 3), (5, 2), (7, 0)] {
                    let conv = line(input, kernel, stride, dilation, pad);
                    if input + pad.0 + pad.1 < conv.span(0) {
                        continue;
                    }
                    let mut expected = Vec::new();
                    for o in 0..conv.output()[0] {
                        for t in 0..kernel {
                            if let Some(i) = (o * stride + t * dilation).checked_sub(pad.0).filter(|i| *i < input) {
                                expected.push((o, i, t));
                            }
                        }
                    }
                    expected.sort_unstable();
                    assert_eq!(triples(&Geometry::new(&conv, Seat::Output)), expected, "{conv:?}");
                    let g = Geometry::new(&conv, Seat::Input);
                    let mut back: Vec<_> = triples(&g).into_iter().map(|(i, o, t)| (o, i, t)).collect();
                    back.sort_unstable();
                    assert_eq!(back, expected, "{conv:?}");
                    let written: usize = g.passes.iter().map(|p| p.size[2]).sum();
                    assert_eq!(written, input, "each position once: {conv:?}");
                }
            }
        }
    }

    #[test]
    fn a_bordered_sample_is_the_sample_in_zeros() {
        let conv = Conv {
            input: vec![2, 3],
            kernel: vec![3, 2],
            stride: vec![1, 1],
            dilation: vec![1, 1],
            low: vec![1, 0],
            high: vec![1, 1],
            cin: 2,
            cout: 4,
            groups: 2,
            precision: Precision::Fast,
        };
        let halo = Geometry::new(&conv, Seat::Output).halo;
        assert_eq!((halo.size, halo.channels), ([1, 4, 4], 2));
        let sample: Vec<f32> = (1u8..13).map(f32::from).collect();
        let mut scratch = vec![f32::NAN; halo.len()];
        halo.clear(&mut scratch);
        halo.fill(&sample, &mut scratch);
        let zero = [0.0; 8];
        assert_eq!(scratch[..8], zero);
        assert_eq!(scratch[8..16], [1., 2., 3., 4., 5., 6., 0., 0.]);
        assert_eq!(scratch[16..24], [7., 8., 9., 10., 11., 12., 0., 0.]);
        assert_eq!(scratch[24..], zero);
    }

    #[test]
    fn only_unit_kernels_without_border_are_pointwise() {
        for solve in [Seat::Output, Seat::Input] {
            assert!(Geometry::new(&line(5, 1, 1, 1, (0, 0)), solve).is_pointwise());
            assert!(!Geometry::new(&line(5, 1, 1, 1, (1, 0)), solve).is_pointwise());
            assert!(!Geometry::new(&line(5, 1, 2, 1, (0, 0)), solve).is_pointwise());
            assert!(!Geometry::new(&line(5, 3, 1, 1, (1, 1)), solve).is_pointwise());
        }
    }
}
