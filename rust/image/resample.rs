//! Resizing as `PIL.Image.resize` does it: the filter grows with the reduction, and each of two passes rounds.

use crate::{Picture, Samples};
use std::f64::consts::PI;

/// Pillow's filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// Mean over the target pixel's area.
    Box,
    /// Triangle.
    Bilinear,
    /// Hamming's window.
    Hamming,
    /// Keys' cubic, a = -1/2.
    Bicubic,
    /// Sinc with a window of 3.
    Lanczos,
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Nearest => 0.0,
            Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let (distance, sinc) = (x.abs(), |x: f64| if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) });
        match self {
            Self::Nearest => 1.0,
            // Half open, so that areas share no pixel.
            Self::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Self::Bilinear => (1.0 - distance).max(0.0),
            Self::Hamming if distance >= 1.0 => 0.0,
            Self::Hamming => sinc(distance) * (0.54 + 0.46 * (PI * distance).cos()),
            Self::Bicubic if distance < 1.0 => (1.5 * distance - 2.5) * distance * distance + 1.0,
            Self::Bicubic if distance < 2.0 => ((distance - 5.0) * distance + 8.0) * distance * -0.5 + 2.0,
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Bicubic | Self::Lanczos => 0.0,
        }
    }

    /// For each of `to` target samples, the first of the source samples it is made of, and their weights; `window` is
    /// the start and length of the part of `from` source samples.
    fn taps(self, from: usize, window: (usize, usize), to: usize) -> Vec<(usize, Vec<f64>)> {
        let scale = window.1 as f64 / to as f64;
        let start = window.0 as f64;
        if self == Self::Nearest {
            let at = |t: usize| (start + (t as f64 + 0.5) * scale).floor() as usize;
            return (0..to).map(|t| (at(t).min(from - 1), vec![1.0])).collect();
        }
        let stretch = scale.max(1.0);
        let support = self.support() * stretch;
        let tap = |t: usize| {
            let centre = start + (t as f64 + 0.5) * scale;
            let low = (centre - support + 0.5).max(0.0) as usize;
            let high = ((centre + support + 0.5) as usize).min(from);
            let raw: Vec<f64> = (low..high).map(|i| self.weight((i as f64 - centre + 0.5) / stretch)).collect();
            let total: f64 = raw.iter().sum();
            (low, raw.into_iter().map(|w| if total == 0.0 { w } else { w / total }).collect())
        };
        (0..to).map(tap).collect()
    }
}

/// Resizes the part `[top, left, height, width]` of a picture. Alpha weighs the colours, except for `Nearest`.
///
/// # Panics
/// If the part is empty or not within the picture, or the target is empty.
#[must_use]
pub fn resample(picture: &Picture, part: [usize; 4], to: (usize, usize), filter: Filter) -> Picture {
    let [top, left, height, width] = part;
    let across = filter.taps(picture.width, (left, width), to.1);
    let down = filter.taps(picture.height, (top, height), to.0);
    let channels = picture.channels;
    let samples = match &picture.samples {
        Samples::U8(v) => {
            let weighted = channels.is_multiple_of(2) && filter != Filter::Nearest;
            let mut v = v.clone();
            if weighted {
                v.chunks_exact_mut(channels).for_each(multiply);
            }
            let mut out = two_passes(&v, channels, picture.width, &across, &down, fixed);
            if weighted {
                out.chunks_exact_mut(channels).for_each(divide);
            }
            Samples::U8(out)
        }
        Samples::U16(v) => Samples::U16(two_passes(v, channels, picture.width, &across, &down, float)),
    };
    Picture { height: to.0, width: to.1, channels, samples }
}

/// A weighted sum of samples that are `step` apart.
type Sum<T> = fn(&[T], usize, &[f64]) -> T;

/// Pillow's 8-bit sums: weights of 22 bits after the point, rounded.
fn fixed(samples: &[u8], step: usize, weights: &[f64]) -> u8 {
    const BITS: u32 = 22;
    let whole = |w: f64| (w * f64::from(1 << BITS)).round() as i64;
    let terms = samples.iter().step_by(step).zip(weights);
    let sum: i64 = (1 << (BITS - 1)) + terms.map(|(&v, &w)| i64::from(v) * whole(w)).sum::<i64>();
    (sum >> BITS).clamp(0, 255) as u8
}

fn float(samples: &[u16], step: usize, weights: &[f64]) -> u16 {
    let terms = samples.iter().step_by(step).zip(weights);
    terms.map(|(&v, &w)| f64::from(v) * w).sum::<f64>().round().clamp(0.0, 65535.0) as u16
}

fn two_passes<T: Copy>(
    samples: &[T],
    channels: usize,
    width: usize,
    across: &[(usize, Vec<f64>)],
    down: &[(usize, Vec<f64>)],
    sum: Sum<T>,
) -> Vec<T> {
    let mut narrow = Vec::with_capacity(samples.len() / width * across.len());
    for row in samples.chunks_exact(width * channels) {
        for (first, weights) in across {
            narrow.extend((0..channels).map(|c| sum(&row[first * channels + c..], channels, weights)));
        }
    }
    let row = across.len() * channels;
    let columns = |(first, weights): &(usize, Vec<f64>)| {
        let (start, weights) = (first * row, weights.clone());
        let narrow = &narrow;
        (0..row).map(move |x| sum(&narrow[start + x..], row, &weights)).collect::<Vec<_>>()
    };
    down.iter().flat_map(columns).collect()
}

/// Colours times alpha, as Pillow's "RGBa".
fn multiply(pixel: &mut [u8]) {
    let Some((&mut alpha, colours)) = pixel.split_last_mut() else { return };
    for v in colours {
        let product = u32::from(*v) * u32::from(alpha) + 128;
        *v = (((product >> 8) + product) >> 8) as u8;
    }
}

/// Back again.
fn divide(pixel: &mut [u8]) {
    let Some((&mut alpha, colours)) = pixel.split_last_mut() else { return };
    if !matches!(alpha, 0 | 255) {
        for v in colours {
            *v = (255 * u32::from(*v) / u32::from(alpha)).min(255) as u8;
        }
    }
}
