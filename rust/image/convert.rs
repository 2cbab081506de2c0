//! Other numbers of channels, and 16 bits to 8.

use crate::{Picture, Samples};

/// Whose arithmetic a conversion follows, so that a model sees the pixels that it was trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conventions {
    /// `tf.image.decode_image`: libpng's grey, in 15 bits, rounded down; the upper 8 of 16 bits.
    TensorFlow,
    /// `PIL.Image.convert`: grey in 16 bits, rounded; 16-bit grey clipped to 8 bits, colours the upper 8.
    Pillow,
}

/// A sample of a picture.
trait Sample: Copy + Into<u32> {
    const FULL: Self;
    fn from_u32(value: u32) -> Self;
}

impl Sample for u8 {
    const FULL: u8 = u8::MAX;
    fn from_u32(value: u32) -> u8 {
        value as u8
    }
}

impl Sample for u16 {
    const FULL: u16 = u16::MAX;
    fn from_u32(value: u32) -> u16 {
        value as u16
    }
}

impl Picture {
    /// The picture with 1, 3 or 4 channels: alpha is dropped or full, colours become grey (ITU-R 601) or grey colours.
    /// 8 bits a sample.
    #[must_use]
    pub fn converted(self, to: usize, conventions: Conventions) -> Self {
        let from = self.channels;
        let samples = match (self.samples, conventions) {
            (Samples::U16(v), Conventions::Pillow) => {
                let narrow: fn(&u16) -> u8 = if from == 1 { |&v| v.min(255) as u8 } else { |&v| (v >> 8) as u8 };
                Samples::U8(convert(v.iter().map(narrow).collect(), from, to, pillow_grey))
            }
            (Samples::U16(v), Conventions::TensorFlow) => {
                Samples::U8(convert(v, from, to, libpng_grey).iter().map(|v| (v >> 8) as u8).collect())
            }
            (Samples::U8(v), Conventions::Pillow) => Samples::U8(convert(v, from, to, pillow_grey)),
            (Samples::U8(v), Conventions::TensorFlow) => Samples::U8(convert(v, from, to, libpng_grey)),
        };
        Self { channels: to, samples, ..self }
    }
}

fn pillow_grey([r, g, b]: [u32; 3]) -> u32 {
    (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16
}

fn libpng_grey([r, g, b]: [u32; 3]) -> u32 {
    (r * 9797 + g * 19234 + b * 3737) >> 15
}

fn convert<T: Sample>(samples: Vec<T>, from: usize, to: usize, grey: fn([u32; 3]) -> u32) -> Vec<T> {
    if from == to {
        return samples;
    }
    let mut out = Vec::with_capacity(samples.len() / from * to);
    for pixel in samples.chunks_exact(from) {
        let colours = if from < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] };
        let alpha = if from.is_multiple_of(2) { pixel[from - 1] } else { T::FULL };
        match to {
            1 if from < 3 => out.push(pixel[0]),
            1 => out.push(T::from_u32(grey(colours.map(Into::into)))),
            3 => out.extend(colours),
            _ => out.extend([colours[0], colours[1], colours[2], alpha]),
        }
    }
    out
}
