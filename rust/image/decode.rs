//! From the bytes of a file to a picture.

use crate::{Error, Picture, Samples};
use image::error::{ImageError, LimitErrorKind};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// Most pixels of any picture: beyond it even an honest file is better cut up first. Pillow stops at the same number.
const MOST_PIXELS: u64 = 178_956_970;
/// A picture of up to this many pixels may come from a file of any size,
const FREE_PIXELS: u64 = 1 << 24;
/// a larger one only from a file with a byte for each so many pixels. Blank pictures in the formats read here stay
/// below (PNG's deflate reaches 1032 bytes for one, at eight pixels a byte), but for lossless WebP.
const PIXELS_PER_BYTE: u64 = 8192;

/// Decodes a JPEG, PNG, GIF (the first picture of it), BMP or WebP file, told apart by content.
///
/// `channels` is what the caller will convert the picture to, 0 for as stored: grey is taken from a JPEG file as it is
/// there, instead of by way of colours. An orientation noted by a camera is ignored, as by TensorFlow and Pillow.
///
/// Errors: another format, a damaged or truncated file, or more pixels than a file of that size may ask memory for.
pub fn decode(bytes: &[u8], channels: usize) -> Result<Picture, Error> {
    let bad = |message: String| Error::Format(message);
    let format = image::guess_format(bytes).map_err(|_| {
        bad(format!("expected a JPEG, PNG, GIF, BMP or WebP file, got {} bytes of another kind", bytes.len()))
    })?;
    // The decoders are fuzzed, yet a panic in one must not end a training run: it is the file's fault.
    let decoded = catch_unwind(AssertUnwindSafe(|| match format {
        ImageFormat::Jpeg => jpeg(bytes, channels),
        ImageFormat::Png | ImageFormat::Gif | ImageFormat::Bmp | ImageFormat::WebP => other(bytes, format),
        _ => Err(format!("expected a JPEG, PNG, GIF, BMP or WebP file, got {format:?}")),
    }));
    let picture = decoded.unwrap_or_else(|_| Err(format!("damaged {format:?} file"))).map_err(bad)?;
    if picture.width == 0 || picture.height == 0 {
        return Err(bad(format!("{format:?} file without a pixel")));
    }
    Ok(picture)
}

/// Whether memory may be asked for: by the pixels that a file claims to have, and its size.
fn check_size(width: u64, height: u64, bytes: usize) -> Result<(), String> {
    let pixels = width.saturating_mul(height);
    let most = MOST_PIXELS.min(FREE_PIXELS.max(PIXELS_PER_BYTE.saturating_mul(bytes as u64)));
    if pixels > most {
        return Err(format!("claims {width} x {height} pixels; from {bytes} bytes at most {most} are read"));
    }
    Ok(())
}

fn jpeg(bytes: &[u8], channels: usize) -> Result<Picture, String> {
    let told = |e: zune_jpeg::errors::DecodeErrors| format!("damaged JPEG file: {e}");
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(65535).set_max_height(65535);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(told)?;
    let (width, height) = decoder.dimensions().ok_or("damaged JPEG file: no size")?;
    check_size(width as u64, height as u64, bytes.len())?;
    // The decoder fills what is missing with grey.
    if !has_end(bytes) {
        return Err("truncated JPEG file".into());
    }
    let stored = decoder.input_colorspace().ok_or("damaged JPEG file: no colour space")?;
    let grey = stored == ColorSpace::Luma || (stored == ColorSpace::YCbCr && matches!(channels, 1 | 2));
    let wanted = if grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let data = decoder.decode().map_err(told)?;
    let channels = if grey { 1 } else { 3 };
    if data.len() != width * height * channels {
        return Err(format!("damaged JPEG file: {} samples for {width} x {height} pixels", data.len()));
    }
    Ok(Picture { height, width, channels, samples: Samples::U8(data) })
}

/// Whether the last scan of a JPEG file is followed by the end marker. In a scan, 0xFF is followed by 0 or by the
/// number of a restart.
fn has_end(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    match (last(0xda), last(0xd9)) {
        (Some(scan), Some(end)) => scan < end,
        _ => false,
    }
}

fn other(bytes: &[u8], format: ImageFormat) -> Result<Picture, String> {
    let told = |e: ImageError| match e {
        ImageError::Limits(e) if e.kind() == LimitErrorKind::InsufficientMemory => {
            format!("{format:?} file that asks for too much memory")
        }
        e => format!("damaged {format:?} file: {e}"),
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.no_limits();
    let mut decoder = reader.into_decoder().map_err(told)?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into(), bytes.len())?;
    let mut limits = Limits::default();
    // The picture itself, and as much again for the decoder's own buffers.
    limits.max_alloc = Some(2 * decoder.total_bytes() + (64 << 20));
    decoder.set_limits(limits).map_err(told)?;
    let image = DynamicImage::from_decoder(decoder).map_err(told)?;
    let (width, height) = (width as usize, height as usize);
    let (channels, samples) = match image {
        DynamicImage::ImageLuma8(p) => (1, Samples::U8(p.into_raw())),
        DynamicImage::ImageLumaA8(p) => (2, Samples::U8(p.into_raw())),
        DynamicImage::ImageRgb8(p) => (3, Samples::U8(p.into_raw())),
        DynamicImage::ImageRgba8(p) => (4, Samples::U8(p.into_raw())),
        DynamicImage::ImageLuma16(p) => (1, Samples::U16(p.into_raw())),
        DynamicImage::ImageLumaA16(p) => (2, Samples::U16(p.into_raw())),
        DynamicImage::ImageRgb16(p) => (3, Samples::U16(p.into_raw())),
        DynamicImage::ImageRgba16(p) => (4, Samples::U16(p.into_raw())),
        _ => return Err(format!("{format:?} file with samples other than of 8 or 16 bits")),
    };
    Ok(Picture { height, width, channels, samples })
}
