//! Many files at once.

use crate::resize::Window;
use crate::{Conventions, Error, Method, Samples, decode, resize};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// What becomes of a picture of another aspect than the target's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It is stretched.
    Stretch,
    /// Its middle is taken (Keras's `crop_to_aspect_ratio`).
    Crop,
    /// It is shown whole, on black (Keras's `pad_to_aspect_ratio`).
    Pad,
}

/// How files become arrays.
#[derive(Debug, Clone, Copy)]
pub struct Loading {
    /// Rows of each result.
    pub height: usize,
    /// Columns of each result.
    pub width: usize,
    /// 1 grey, 3 red, green and blue, 4 with alpha.
    pub channels: usize,
    /// Of resizing.
    pub method: Method,
    /// Of other aspects.
    pub fit: Fit,
    /// Whether each result is `[channels, height, width]` instead of `[height, width, channels]`.
    pub channels_first: bool,
}

impl Loading {
    /// Samples of one picture.
    pub fn size(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Decodes and resizes one file into `target`.
    fn load(&self, path: &Path, target: &mut [f32]) -> Result<(), Error> {
        let picture = decode(&read(path)?, self.channels)?.converted(self.channels, Conventions::TensorFlow);
        let Samples::U8(samples) = &picture.samples else { unreachable!("TensorFlow's pictures have 8 bits") };
        let (source, to, at) = self.windows(picture.height, picture.width);
        let (row, channels) = (picture.width * self.channels, self.channels);
        if to == (self.height, self.width) && !self.channels_first {
            resize(samples, row, channels, source, to, self.method, target);
            return Ok(());
        }
        let mut resized = vec![0.0; to.0 * to.1 * channels];
        resize(samples, row, channels, source, to, self.method, &mut resized);
        let plane = self.height * self.width;
        target.fill(0.0);
        for (y, row) in resized.chunks_exact(to.1 * channels).enumerate() {
            for (x, pixel) in row.chunks_exact(channels).enumerate() {
                let place = (at.0 + y) * self.width + at.1 + x;
                for (c, &sample) in pixel.iter().enumerate() {
                    target[if self.channels_first { c * plane + place } else { place * channels + c }] = sample;
                }
            }
        }
        Ok(())
    }

    /// The part of the source to resize, the size to resize it to, and where that goes. Rounded as Keras and
    /// TensorFlow round, in float32.
    fn windows(&self, height: usize, width: usize) -> (Window, (usize, usize), (usize, usize)) {
        let (h, w, th, tw) = (height as f32, width as f32, self.height as f32, self.width as f32);
        let all = Window { top: 0, left: 0, height, width };
        match self.fit {
            Fit::Stretch => (all, (self.height, self.width), (0, 0)),
            Fit::Crop => {
                let crop = |have: usize, fitting: f32| (fitting as usize).clamp(1, have);
                let (rows, columns) = (crop(height, w * th / tw), crop(width, h * tw / th));
                let window =
                    Window { top: (height - rows) / 2, left: (width - columns) / 2, height: rows, width: columns };
                (window, (self.height, self.width), (0, 0))
            }
            Fit::Pad => {
                let ratio = (w / tw).max(h / th);
                let (rows, columns) = (h / ratio, w / ratio);
                let to = ((rows as usize).clamp(1, self.height), (columns as usize).clamp(1, self.width));
                let at = (((th - rows) / 2.0) as usize, ((tw - columns) / 2.0) as usize);
                (all, to, (at.0.min(self.height - to.0), at.1.min(self.width - to.1)))
            }
        }
    }
}

/// Largest file that is read.
const MOST_BYTES: u64 = 1 << 30;

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    if len > MOST_BYTES {
        return Err(Error::Format(format!("file of {len} bytes; at most {MOST_BYTES} are read")));
    }
    let mut bytes = Vec::with_capacity(len as usize);
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Decodes and resizes files on `threads` threads, this one included; the results follow one another in `target`.
///
/// Errors: the first file, in the order given, that cannot be read or is no picture, among those that were tried.
pub fn load_batch(
    paths: &[PathBuf],
    how: &Loading,
    threads: usize,
    target: &mut [f32],
) -> Result<(), (PathBuf, Error)> {
    let jobs = Mutex::new(paths.iter().zip(target.chunks_exact_mut(how.size())).enumerate());
    let (failed, failures) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((i, (path, part))) = job.filter(|_| !failed.load(Ordering::Relaxed)) else { return };
            if let Err(error) = how.load(path, part) {
                failed.store(true, Ordering::Relaxed);
                failures.lock().unwrap_or_else(PoisonError::into_inner).push((i, path.clone(), error));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(paths.len()) {
            // Where no thread can be had, the others do its work.
            let _ = std::thread::Builder::new().name("oxiconv-image".into()).spawn_scoped(scope, work);
        }
        work();
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.into_iter().min_by_key(|f| f.0).map_or(Ok(()), |(_, path, error)| Err((path, error)))
}
