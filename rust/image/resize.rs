//! Resizing as `tf.image.resize` does it without antialiasing, to the accuracy of float32.
//!
//! Each method is a table of taps per axis: the weights of consecutive source samples for each target sample. Centres of
//! pixels are at halves, but for `Area`, which measures pixels as intervals.

use std::f32::consts::PI;

/// How a target pixel is made from source pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The nearest one.
    Nearest,
    /// Two by two, by distance.
    Bilinear,
    /// Four by four, Keys' cubic with a = -1/2.
    Bicubic,
    /// The mean over the area of the target pixel.
    Area,
    /// Sinc with a window of 3 pixels each way.
    Lanczos3,
    /// Sinc with a window of 5 pixels each way.
    Lanczos5,
    /// A bell of radius 1.5 and a deviation of a third of it.
    Gaussian,
    /// Mitchell and Netravali's cubic with B = C = 1/3.
    MitchellCubic,
}

/// A part of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// For each target sample, the weights of `span` source samples from `first`. They sum to 1.
struct Taps {
    span: usize,
    first: Vec<usize>,
    weights: Vec<f32>,
}

impl Taps {
    /// Packs each target sample's list of source samples (perhaps outside, or the same one twice) and weights.
    fn new(from: usize, to: usize, taps: impl Fn(usize) -> Vec<(isize, f32)>) -> Self {
        let inside = |i: isize| i.clamp(0, from as isize - 1) as usize;
        let all: Vec<Vec<(usize, f32)>> =
            (0..to).map(|t| taps(t).into_iter().map(|(i, w)| (inside(i), w)).collect()).collect();
        let ends = |t: &[(usize, f32)]| {
            let (low, high) = t.iter().fold((from - 1, 0), |(a, b), &(i, _)| (a.min(i), b.max(i)));
            (low, high + 1 - low)
        };
        let span = all.iter().map(|t| ends(t).1).max().unwrap_or(1);
        let first: Vec<usize> = all.iter().map(|t| ends(t).0.min(from - span)).collect();
        let mut weights = vec![0.0; to * span];
        for ((taps, first), row) in all.iter().zip(&first).zip(weights.chunks_exact_mut(span)) {
            let total: f32 = taps.iter().map(|&(_, w)| w).sum();
            for &(i, w) in taps {
                row[i - first] += w / total;
            }
        }
        Self { span, first, weights }
    }

    fn of(method: Method, from: usize, to: usize) -> Self {
        let scale = from as f32 / to as f32;
        let centre = move |t: usize| (t as f32 + 0.5) * scale;
        match method {
            Method::Nearest => Self::new(from, to, |t| vec![(centre(t).floor() as isize, 1.0)]),
            Method::Bilinear => Self::new(from, to, |t| {
                let at = centre(t) - 0.5;
                let low = at.floor();
                vec![(low as isize, 1.0 - (at - low)), (low as isize + 1, at - low)]
            }),
            Method::Bicubic => Self::new(from, to, |t| {
                let at = centre(t) - 0.5;
                let low = at.floor();
                // TensorFlow looks the weights up in a table of 1024 steps.
                let part = ((at - low) * 1024.0).round_ties_even() / 1024.0;
                let taps = (-1..=2).map(|k: i32| (low as isize + k as isize, keys((k as f32 - part).abs())));
                taps.filter(|&(i, _)| (0..from as isize).contains(&i)).collect()
            }),
            Method::Area => Self::new(from, to, |t| {
                let (start, end) = (t as f32 * scale, (t + 1) as f32 * scale);
                let overlap = |i: isize| (i as f32 + 1.0).min(end) - (i as f32).max(start);
                (start.floor() as isize..end.ceil() as isize).map(|i| (i, overlap(i))).collect()
            }),
            Method::Lanczos3 => Self::kernel(from, to, 3.0, |x| lanczos(x, 3.0)),
            Method::Lanczos5 => Self::kernel(from, to, 5.0, |x| lanczos(x, 5.0)),
            Method::Gaussian => Self::kernel(from, to, 1.5, |x| if x < 1.5 { (-2.0 * x * x).exp() } else { 0.0 }),
            Method::MitchellCubic => Self::kernel(from, to, 2.0, mitchell),
        }
    }

    fn kernel(from: usize, to: usize, radius: f32, kernel: impl Fn(f32) -> f32) -> Self {
        // Rounded twice, as there.
        let scale = 1.0 / (to as f32 / from as f32);
        Self::new(from, to, |t| {
            let at = (t as f32 + 0.5) * scale;
            let start = ((at - radius - 0.5).ceil() as isize).max(0);
            let end = ((at + radius - 0.5).floor() as isize).min(from as isize - 1);
            (start..=end).map(|i| (i, kernel((i as f32 + 0.5 - at).abs()))).collect()
        })
    }

    fn each(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.first.iter().copied().zip(self.weights.chunks_exact(self.span))
    }
}

/// R. G. Keys, "Cubic convolution interpolation for digital image processing" (1981), a = -1/2.
fn keys(x: f32) -> f32 {
    if x <= 1.0 { ((1.5 * x - 2.5) * x) * x + 1.0 } else { ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0 }
}

fn lanczos(x: f32, radius: f32) -> f32 {
    if x > radius {
        0.0
    } else if x <= 1e-3 {
        1.0
    } else {
        radius * (PI * x).sin() * (PI * x / radius).sin() / (PI * PI * x * x)
    }
}

/// D. P. Mitchell, A. N. Netravali, "Reconstruction filters in computer graphics" (1988), B = C = 1/3.
fn mitchell(x: f32) -> f32 {
    if x >= 2.0 {
        0.0
    } else if x >= 1.0 {
        ((-7.0 / 18.0 * x + 2.0) * x - 10.0 / 3.0) * x + 16.0 / 9.0
    } else {
        (7.0 / 6.0 * x - 2.0) * x * x + 8.0 / 9.0
    }
}

/// Resizes the window of a picture `[height, width, channels]`, whose rows have `row` samples, to `target`, which is
/// `[to.0, to.1, channels]`.
///
/// # Panics
/// If the window is empty, or not within the picture, or `channels` is not 1 to 4.
pub fn resize(
    picture: &[u8],
    row: usize,
    channels: usize,
    window: Window,
    to: (usize, usize),
    method: Method,
    target: &mut [f32],
) {
    match channels {
        1 => resize_channels::<1>(picture, row, window, to, method, target),
        2 => resize_channels::<2>(picture, row, window, to, method, target),
        3 => resize_channels::<3>(picture, row, window, to, method, target),
        4 => resize_channels::<4>(picture, row, window, to, method, target),
        _ => panic!("{channels} channels"),
    }
}

fn resize_channels<const C: usize>(
    picture: &[u8],
    row: usize,
    window: Window,
    to: (usize, usize),
    method: Method,
    target: &mut [f32],
) {
    let (down, across) = (Taps::of(method, window.height, to.0), Taps::of(method, window.width, to.1));
    let mut blended = vec![0.0f32; window.width * C];
    for ((first, weights), target) in down.each().zip(target.chunks_exact_mut(to.1 * C)) {
        let source = |y: usize| &picture[(window.top + y) * row + window.left * C..][..window.width * C];
        let base = source(first);
        blended.iter_mut().zip(base).for_each(|(sum, &b)| *sum = f32::from(b));
        for (k, &w) in weights.iter().enumerate().skip(1).filter(|&(_, &w)| w != 0.0) {
            // From the first row on, not from 0: exact where all are equal.
            for ((sum, &v), &b) in blended.iter_mut().zip(source(first + k)).zip(base) {
                *sum += w * (f32::from(v) - f32::from(b));
            }
        }
        match across.span {
            // The usual case, with loops of known length.
            2 => narrow::<C, 2>(&blended, &across, target),
            _ => narrow::<C, 0>(&blended, &across, target),
        }
    }
}

/// Resizes one row; `SPAN` is the number of taps, or 0 if it is not known when compiling.
fn narrow<const C: usize, const SPAN: usize>(source: &[f32], across: &Taps, target: &mut [f32]) {
    let span = if SPAN == 0 { across.span } else { SPAN };
    let (source, _) = source.as_chunks::<C>();
    for ((first, weights), pixel) in across.each().zip(target.as_chunks_mut::<C>().0) {
        let (taps, weights) = (&source[first..first + span], &weights[..span]);
        let base = taps[0];
        *pixel = base;
        for (tap, &w) in taps.iter().zip(weights).skip(1) {
            for c in 0..C {
                pixel[c] += w * (tap[c] - base[c]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Method, Taps, Window, resize};

    const METHODS: [Method; 8] = [
        Method::Nearest,
        Method::Bilinear,
        Method::Bicubic,
        Method::Area,
        Method::Lanczos3,
        Method::Lanczos5,
        Method::Gaussian,
        Method::MitchellCubic,
    ];

    #[test]
    fn taps_are_inside_and_sum_to_one() {
        for method in METHODS {
            for (from, to) in [(1, 1), (1, 5), (2, 7), (7, 2), (5, 5), (640, 224), (31, 333)] {
                let taps = Taps::of(method, from, to);
                assert_eq!(taps.first.len(), to);
                for (first, weights) in taps.each() {
                    assert!(first + weights.len() <= from, "{method:?} {from} {to}");
                    // Each weight is rounded once, and their sum a few times.
                    let sum: f32 = weights.iter().sum();
                    assert!((sum - 1.0).abs() < 1e-5, "{method:?} {from} {to}: {sum}");
                }
            }
        }
    }

    #[test]
    fn the_same_size_is_the_same_picture_and_flat_stays_flat() {
        let picture: Vec<u8> = (0..4 * 6 * 3).map(|i| (i * 37 % 256) as u8).collect();
        let all = Window { top: 0, left: 0, height: 4, width: 6 };
        for method in [Method::Nearest, Method::Bilinear, Method::Bicubic, Method::Area] {
            let mut same = [0.0; 4 * 6 * 3];
            resize(&picture, 18, 3, all, (4, 6), method, &mut same);
            assert!(same.iter().zip(&picture).all(|(&a, &b)| a == f32::from(b)), "{method:?}");
        }
        for method in METHODS {
            let mut flat = [0.0; 3 * 8 * 3];
            let part = Window { top: 1, left: 2, height: 5, width: 3 };
            resize(&[201; 35 * 3], 15, 3, part, (3, 8), method, &mut flat);
            assert!(flat.iter().all(|&v| v == 201.0), "{method:?}");
        }
    }
}
