//! Copies of the output gradient in panels: the channels of one block, pixel after pixel, in whole vectors.

use crate::simd::{Isa, Kernel, Simd, dispatch};

struct Pack<'a> {
    y: &'a [f32],
    y_pixel: usize,
    channels: usize,
    width: usize,
    panel: &'a mut [f32],
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let pixels = self.panel.len() / self.width;
        assert!(pixels == 0 || self.y.len() >= (pixels - 1) * self.y_pixel + self.channels);
        assert!(self.width.is_multiple_of(S::LANES) && self.channels <= self.width);
        for p in 0..pixels {
            for c in (0..self.width).step_by(S::LANES) {
                // SAFETY: pixel `p` has `channels` values in `y` and `width` in the panel, by the assertions.
                unsafe {
                    let from = self.y.as_ptr().add(p * self.y_pixel);
                    let v = match self.channels.saturating_sub(c) {
                        0 => s.splat(0.0),
                        n if n >= S::LANES => s.load(from.add(c)),
                        n => s.load_partial(from.add(c), n),
                    };
                    s.store(self.panel.as_mut_ptr().add(p * self.width + c), v);
                }
            }
        }
    }
}

/// Fills `panel` with `channels` values of each pixel, `y_pixel` apart in `y`, and zeros up to `width`.
pub(super) fn pack(isa: Isa, y: &[f32], y_pixel: usize, channels: usize, width: usize, panel: &mut [f32]) {
    dispatch(isa, Pack { y, y_pixel, channels, width, panel });
}
