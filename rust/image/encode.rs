//! From pixels to the bytes of a file.

use crate::{Error, Picture, Samples};
use image::codecs::bmp::BmpEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};

/// The formats that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lossless.
    Png,
    /// With a quality of 1 to 100; colours are not subsampled.
    Jpeg(u8),
    /// Uncompressed.
    Bmp,
    /// Lossless.
    WebP,
}

/// Encodes a picture of 1 to 4 channels; 16-bit samples only as PNG. Errors: the format has no such pictures.
pub fn encode(picture: &Picture, format: Format) -> Result<Vec<u8>, Error> {
    let Picture { height, width, channels, ref samples } = *picture;
    let refused = |what: &dyn std::fmt::Display| {
        let bits = if matches!(samples, Samples::U8(_)) { 8 } else { 16 };
        Error::Format(format!("{width} x {height} pixels of {channels} x {bits} bits as {format:?}: {what}"))
    };
    let side = |n: usize| u32::try_from(n).ok().filter(|&n| n > 0).ok_or_else(|| refused(&"no such size"));
    let (bytes, colour) = match (samples, channels) {
        (Samples::U8(v), 1) => (v.as_slice(), ExtendedColorType::L8),
        // The encoder would drop the alpha.
        (Samples::U8(v), 2) if format != Format::Bmp => (v.as_slice(), ExtendedColorType::La8),
        (Samples::U8(v), 3) => (v.as_slice(), ExtendedColorType::Rgb8),
        (Samples::U8(v), 4) => (v.as_slice(), ExtendedColorType::Rgba8),
        (Samples::U16(v), 1) => (bytemuck::cast_slice(v), ExtendedColorType::L16),
        (Samples::U16(v), 3) => (bytemuck::cast_slice(v), ExtendedColorType::Rgb16),
        (Samples::U16(v), 4) => (bytemuck::cast_slice(v), ExtendedColorType::Rgba16),
        _ => return Err(refused(&"no such pixels")),
    };
    let (w, h) = (side(width)?, side(height)?);
    let mut out = Vec::new();
    match format {
        Format::Png => PngEncoder::new(&mut out).write_image(bytes, w, h, colour),
        Format::Jpeg(quality) => JpegEncoder::new_with_quality(&mut out, quality).write_image(bytes, w, h, colour),
        Format::Bmp => BmpEncoder::new(&mut out).write_image(bytes, w, h, colour),
        Format::WebP => WebPEncoder::new_lossless(&mut out).write_image(bytes, w, h, colour),
    }
    .map_err(|e| refused(&e))?;
    Ok(out)
}
