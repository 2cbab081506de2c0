//! Image files: decoding, encoding, resizing; many at a time on several threads.
//!
//! A file is data by a stranger: whatever it holds, the answer is a picture or an [`Error`] that says what is wrong, and
//! memory is asked for in proportion to the file ([`decode`]).
#![forbid(unsafe_code)]

mod batch;
mod convert;
mod decode;
mod encode;
mod resample;
mod resize;

pub use batch::{Fit, Loading, load_batch};
pub use convert::Conventions;
pub use decode::decode;
pub use encode::{Format, encode};
pub use resample::{Filter, resample};
pub use resize::{Method, resize};

use std::io;

/// What can go wrong with an image file.
#[derive(Debug)]
pub enum Error {
    /// The system's answer.
    Io(io::Error),
    /// The content of the file, or what is asked of it.
    Format(String),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A decoded picture: rows from the top, pixels from the left, the channels of a pixel together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 grey, 2 grey and alpha, 3 red, green and blue, 4 with alpha.
    pub channels: usize,
    /// The samples, as deep as the file has them.
    pub samples: Samples,
}

/// Samples of 8 or 16 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Samples {
    /// 0 to 255.
    U8(Vec<u8>),
    /// 0 to 65535.
    U16(Vec<u16>),
}
