//! Pooling over `[n, spatial.., c]`: one walk over the windows, a loop over channels at each of their positions.

#![allow(clippy::cast_ptr_alignment, reason = "pointers are aligned to their elements by contract")]

mod bytes;

pub use bytes::max_pool_bytes;

use crate::math::MAX_LANES;
use crate::simd::{Isa, Kernel, Simd, dispatch};
use oxiconv_ir::{DType, Window};
use std::ops::Range;

/// Type of a position within a window; see [`Window::index_dtype`].
trait Index: Copy + PartialEq {
    fn new(position: usize) -> Self;
}

impl Index for u8 {
    fn new(position: usize) -> Self {
        position as u8
    }
}

impl Index for i32 {
    fn new(position: usize) -> Self {
        position as i32
    }
}

/// Three spatial axes; missing ones are leading axes of size 1.
#[derive(Clone, Copy)]
struct Walk {
    input: [usize; 3],
    output: [usize; 3],
    size: [usize; 3],
    stride: [usize; 3],
    low: [usize; 3],
}

impl Walk {
    fn new(w: &Window) -> Self {
        let three = |v: &[usize], fill: usize| {
            let mut all = [fill; 3];
            all[3 - v.len()..].copy_from_slice(v);
            all
        };
        let (input, size, stride) = (three(&w.input, 1), three(&w.size, 1), three(&w.stride, 1));
        let (low, high) = (three(&w.low, 0), three(&w.high, 0));
        let output = [0, 1, 2].map(|a| (input[a] + low[a] + high[a] - size[a]) / stride[a] + 1);
        Self { input, output, size, stride, low }
    }

    fn inputs(&self) -> usize {
        self.input.iter().product()
    }

    fn outputs(&self) -> usize {
        self.output.iter().product()
    }

    /// The part of window `o` along an axis that lies inside: positions within the window.
    #[inline(always)]
    fn inside(&self, axis: usize, o: usize) -> Range<usize> {
        let start = o * self.stride[axis];
        let low = self.low[axis];
        low.saturating_sub(start)..self.size[axis].min(self.input[axis] + low - start)
    }

    /// Where position `k` of window `o` lies along an axis.
    #[inline(always)]
    fn position(&self, axis: usize, o: usize, k: usize) -> usize {
        o * self.stride[axis] + k - self.low[axis]
    }

    /// Calls `f(window, input position, position within the window)`, windows in
    /// order, positions in row-major order within each.
    #[inline(always)]
    fn visit(&self, mut f: impl FnMut(usize, usize, usize)) {
        let at = |axis: usize, o: usize, k: usize| self.position(axis, o, k);
        let mut window = 0;
        for o0 in 0..self.output[0] {
            for o1 in 0..self.output[1] {
                for o2 in 0..self.output[2] {
                    for k0 in self.inside(0, o0) {
                        for k1 in self.inside(1, o1) {
                            for k2 in self.inside(2, o2) {
                                let row = at(0, o0, k0) * self.input[1] + at(1, o1, k1);
                                let k = (k0 * self.size[1] + k1) * self.size[2] + k2;
                                f(window, row * self.input[2] + at(2, o2, k2), k);
                            }
                        }
                    }
                    window += 1;
                }
            }
        }
    }
}

/// The channels at a position.
#[inline(always)]
fn at<T>(x: &[T], position: usize, c: usize) -> &[T] {
    &x[position * c..(position + 1) * c]
}

#[inline(always)]
fn at_mut<T>(x: &mut [T], position: usize, c: usize) -> &mut [T] {
    &mut x[position * c..(position + 1) * c]
}

/// Work on one sample, compiled for each instruction set: plain loops over channels, which the compiler vectorizes.
struct Each<F>(F);

impl<F: FnOnce()> Kernel for Each<F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        (self.0)();
    }
}

/// Sum of each window.
///
/// # Panics
/// As all here: if a length is not that of `n` samples.
pub fn sum(isa: Isa, w: &Window, c: usize, n: usize, x: &[f32], y: &mut [f32]) {
    let walk = Walk::new(w);
    check(&walk, c, n, x.len(), y.len());
    dispatch(isa.holding(c), Sums { walk: &walk, c, x, y });
}

/// Each value added to all positions of its window.
pub fn spread(isa: Isa, w: &Window, c: usize, n: usize, g: &[f32], y: &mut [f32]) {
    let walk = Walk::new(w);
    check(&walk, c, n, y.len(), g.len());
    if (0..3)
        .all(|a| walk.low[a] == 0 && walk.stride[a] == walk.size[a] && walk.input[a] == walk.output[a] * walk.size[a])
    {
        dispatch(isa.holding(c), Copies { walk: &walk, c, g, y });
        return;
    }
    for (y, g) in y.chunks_exact_mut((walk.inputs() * c).max(1)).zip(g.chunks_exact((walk.outputs() * c).max(1))) {
        dispatch(
            isa,
            Each(
                #[inline(always)]
                || {
                    y.fill(0.0);
                    walk.visit(
                        #[inline(always)]
                        |o, i, _| at_mut(y, i, c).iter_mut().zip(at(g, o, c)).for_each(|(y, g)| *y += g),
                    );
                },
            ),
        );
    }
}

/// The start of `x` as a vector; its lanes past the end of `x` are zero.
#[inline(always)]
fn load<S: Simd>(s: S, x: &[f32]) -> S::F {
    // SAFETY: the slice has as many values.
    unsafe { if x.len() >= S::LANES { s.load(x.as_ptr()) } else { s.load_partial(x.as_ptr(), x.len()) } }
}

/// Writes as much of a vector as `y` holds. Callers go through `y` in order, so that what lanes without a channel
/// overwrite is written after.
#[inline(always)]
fn store<S: Simd>(s: S, y: &mut [f32], v: S::F) {
    // SAFETY: the slice has as many values.
    unsafe {
        if y.len() >= S::LANES { s.store(y.as_mut_ptr(), v) } else { s.store_partial(y.as_mut_ptr(), v, y.len()) }
    }
}

/// Window sums: window by window, a vector of channels at a time.
struct Sums<'a> {
    walk: &'a Walk,
    c: usize,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Sums<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { walk, c, x, y } = self;
        let [_, in1, in2] = walk.input;
        let [out0, out1, out2] = walk.output;
        let mut to = 0;
        for sample in 0..y.len() / (walk.outputs() * c).max(1) {
            let x = &x[sample * walk.inputs() * c..];
            for (o0, o1) in (0..out0).flat_map(|o0| (0..out1).map(move |o1| (o0, o1))) {
                let [r0, r1] = [walk.inside(0, o0), walk.inside(1, o1)];
                for o2 in 0..out2 {
                    let r2 = walk.inside(2, o2);
                    let first = walk.position(2, o2, r2.start);
                    for ch in (0..c).step_by(S::LANES) {
                        let mut sum = s.splat(0.0);
                        for k0 in r0.clone() {
                            for k1 in r1.clone() {
                                let row = walk.position(0, o0, k0) * in1 + walk.position(1, o1, k1);
                                for position in row * in2 + first..row * in2 + first + r2.len() {
                                    sum = s.add(sum, load(s, &x[position * c + ch..]));
                                }
                            }
                        }
                        store(s, &mut y[to + ch..], sum);
                    }
                    to += c;
                }
            }
        }
    }
}

/// Copies to all positions of windows that tile their input: position by position, a vector of channels at a time.
struct Copies<'a> {
    walk: &'a Walk,
    c: usize,
    g: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Copies<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { walk, c, g, y } = self;
        let ([in0, in1, _], [_, out1, out2], [size0, size1, size2]) = (walk.input, walk.output, walk.size);
        let mut to = 0;
        for sample in 0..y.len() / (walk.inputs() * c).max(1) {
            let g = &g[sample * walk.outputs() * c..];
            for (i0, i1) in (0..in0).flat_map(|i0| (0..in1).map(move |i1| (i0, i1))) {
                let row = (i0 / size0 * out1 + i1 / size1) * out2;
                for window in row..row + out2 {
                    for _ in 0..size2 {
                        for ch in (0..c).step_by(S::LANES) {
                            store(s, &mut y[to + ch..], load(s, &g[window * c + ch..]));
                        }
                        to += c;
                    }
                }
            }
        }
    }
}

/// Maxima and their positions: the first of equals, NaN before all numbers.
///
/// # Safety
/// `index` has room for one [`Window::index_dtype`] per element of `values`.
pub unsafe fn max_pool(isa: Isa, w: &Window, c: usize, n: usize, x: &[f32], values: &mut [f32], index: *mut u8) {
    // SAFETY: by contract.
    unsafe {
        match w.index_dtype() {
            DType::U8 => maxima(isa, w, c, n, x, values, std::slice::from_raw_parts_mut(index, values.len())),
            _ => maxima(isa, w, c, n, x, values, std::slice::from_raw_parts_mut(index.cast::<i32>(), values.len())),
        }
    }
}

fn maxima<I: Index>(isa: Isa, w: &Window, c: usize, n: usize, x: &[f32], values: &mut [f32], index: &mut [I]) {
    let walk = Walk::new(w);
    check(&walk, c, n, x.len(), values.len());
    let outputs = (walk.outputs() * c).max(1);
    for ((x, values), index) in samples(&walk, c, x, values).zip(index.chunks_exact_mut(outputs)) {
        dispatch(isa, Maxima { walk: &walk, c, x, values, index });
    }
}

/// Maxima of one sample: window by window, a vector of channels at a time.
struct Maxima<'a, I> {
    walk: &'a Walk,
    c: usize,
    x: &'a [f32],
    values: &'a mut [f32],
    index: &'a mut [I],
}

impl<I: Index> Kernel for Maxima<'_, I> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { walk, c, x, values, index } = self;
        let [_, in1, in2] = walk.input;
        let [_, size1, size2] = walk.size;
        let mut window = 0;
        for o0 in 0..walk.output[0] {
            for o1 in 0..walk.output[1] {
                for o2 in 0..walk.output[2] {
                    let [r0, r1, r2] = [walk.inside(0, o0), walk.inside(1, o1), walk.inside(2, o2)];
                    let first = (r0.start * size1 + r1.start) * size2 + r2.start;
                    for ch in (0..c).step_by(S::LANES) {
                        let m = S::LANES.min(c - ch);
                        let (mut best, mut place) = (s.splat(f32::NEG_INFINITY), s.splat(first as f32));
                        for k0 in r0.clone() {
                            for k1 in r1.clone() {
                                for k2 in r2.clone() {
                                    let row = walk.position(0, o0, k0) * in1 + walk.position(1, o1, k1);
                                    let position = row * in2 + walk.position(2, o2, k2);
                                    let x = &x[position * c + ch..][..m];
                                    // SAFETY: the slice has `m` values.
                                    let x = unsafe {
                                        if m == S::LANES { s.load(x.as_ptr()) } else { s.load_partial(x.as_ptr(), m) }
                                    };
                                    let k = s.splat(((k0 * size1 + k1) * size2 + k2) as f32);
                                    // "Not at most" lets NaN win; then it stays.
                                    let (keep, number) = (s.le(x, best), s.eq(best, best));
                                    place = s.select(number, s.select(keep, place, k), place);
                                    best = s.select(number, s.select(keep, best, x), best);
                                }
                            }
                        }
                        let (to, mut places) = (window * c + ch, [0.0; MAX_LANES]);
                        let values = &mut values[to..][..m];
                        // SAFETY: the slice has `m` values, the array those of the widest vector.
                        unsafe {
                            s.store(places.as_mut_ptr(), place);
                            if m == S::LANES {
                                s.store(values.as_mut_ptr(), best);
                            } else {
                                s.store_partial(values.as_mut_ptr(), best, m);
                            }
                        }
                        for (to, place) in index[to..][..m].iter_mut().zip(places) {
                            *to = I::new(place as i32 as usize);
                        }
                    }
                    window += 1;
                }
            }
        }
    }
}

/// The value at a position of each window.
///
/// # Safety
/// `index` has one [`Window::index_dtype`] per element of `y`.
pub unsafe fn take<T: Copy + Default>(
    isa: Isa,
    w: &Window,
    c: usize,
    n: usize,
    x: &[T],
    index: *const u8,
    y: &mut [T],
) {
    // SAFETY: by contract.
    unsafe {
        match w.index_dtype() {
            DType::U8 => taken(isa, w, c, n, x, std::slice::from_raw_parts(index, y.len()), y),
            _ => taken(isa, w, c, n, x, std::slice::from_raw_parts(index.cast::<i32>(), y.len()), y),
        }
    }
}

fn taken<T: Copy + Default, I: Index>(isa: Isa, w: &Window, c: usize, n: usize, x: &[T], index: &[I], y: &mut [T]) {
    let walk = Walk::new(w);
    check(&walk, c, n, x.len(), y.len());
    let outputs = (walk.outputs() * c).max(1);
    for ((x, y), index) in samples(&walk, c, x, y).zip(index.chunks_exact(outputs)) {
        dispatch(
            isa,
            Each(
                #[inline(always)]
                || {
                    y.fill(T::default());
                    walk.visit(
                        #[inline(always)]
                        |o, i, k| {
                            for ((y, at_k), &x) in at_mut(y, o, c).iter_mut().zip(at(index, o, c)).zip(at(x, i, c)) {
                                *y = if *at_k == I::new(k) { x } else { *y };
                            }
                        },
                    );
                },
            ),
        );
    }
}

/// Each value added at its position, the rest zero.
///
/// # Safety
/// `index` has one [`Window::index_dtype`] per element of `g`.
pub unsafe fn put(isa: Isa, w: &Window, c: usize, n: usize, g: &[f32], index: *const u8, y: &mut [f32]) {
    // SAFETY: by contract.
    unsafe {
        match w.index_dtype() {
            DType::U8 => placed(isa, w, c, n, g, std::slice::from_raw_parts(index, g.len()), y),
            _ => placed(isa, w, c, n, g, std::slice::from_raw_parts(index.cast::<i32>(), g.len()), y),
        }
    }
}

fn placed<I: Index>(isa: Isa, w: &Window, c: usize, n: usize, g: &[f32], index: &[I], y: &mut [f32]) {
    let walk = Walk::new(w);
    check(&walk, c, n, y.len(), g.len());
    let outputs = (walk.outputs() * c).max(1);
    let inputs = (walk.inputs() * c).max(1);
    for ((y, g), index) in y.chunks_exact_mut(inputs).zip(g.chunks_exact(outputs)).zip(index.chunks_exact(outputs)) {
        dispatch(
            isa,
            Each(
                #[inline(always)]
                || {
                    y.fill(0.0);
                    walk.visit(
                        #[inline(always)]
                        |o, i, k| {
                            for ((y, at_k), &g) in at_mut(y, i, c).iter_mut().zip(at(index, o, c)).zip(at(g, o, c)) {
                                *y += if *at_k == I::new(k) { g } else { 0.0 };
                            }
                        },
                    );
                },
            ),
        );
    }
}

fn check(walk: &Walk, c: usize, n: usize, inputs: usize, outputs: usize) {
    assert_eq!(inputs, n * walk.inputs() * c, "elements before pooling");
    assert_eq!(outputs, n * walk.outputs() * c, "elements after pooling");
}

/// Sample by sample: before and after pooling.
fn samples<'a, T>(walk: &Walk, c: usize, x: &'a [T], y: &'a mut [T]) -> impl Iterator<Item = (&'a [T], &'a mut [T])> {
    x.chunks_exact((walk.inputs() * c).max(1)).zip(y.chunks_exact_mut((walk.outputs() * c).max(1)))
}

#[cfg(test)]
mod tests;
