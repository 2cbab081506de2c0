//! The transforms of F(4x4, 3x3) along one axis, and tiles through them in both.
//!
//! A tile of 4x4 results reads 6x6 source positions. Along an axis, polynomials of degree 3 (the cotangent's four
//! values) and 2 (the kernel's three) are multiplied by their values at six points: 0, ±[`P`], ±[`Q`] and infinity
//! (Toom-Cook). With `V` of the source, `U` of the kernel and `Y` of the result, `Y = result(source(V) · kernel(U))`.
//!
//! The points decide the error. At the customary 0, ±1, ±2 the largest entry of the transforms is 8 and the error of a
//! product five to ten times that of a plain sum; 5/8 and 3/2 have a geometric mean near 1, so that powers neither grow
//! nor shrink much, and the error is about twice that of a plain sum. The constants of source and result are exact in float32.

use crate::kernels::direct::Relu;
use crate::kernels::direct::tile::{Sink, load_channels};
use crate::simd::Simd;

/// Results of a tile along an axis.
pub(super) const TILE: usize = 4;
/// Source positions of a tile along an axis, and points of evaluation.
pub(super) const SPAN: usize = 6;
/// Products of a tile, per pair of channels.
pub(super) const POINTS: usize = SPAN * SPAN;

/// The points: 0, ±`P`, ±`Q`, infinity.
const P: f32 = 0.625;
const Q: f32 = 1.5;
const P2: f32 = P * P;
const Q2: f32 = Q * Q;
/// `x⁴ − SUM·x² + PRODUCT` vanishes at ±`P` and ±`Q`.
const SUM: f32 = P2 + Q2;
const PRODUCT: f32 = P2 * Q2;

/// Six source values to the six points.
#[inline(always)]
fn source<S: Simd>(s: S, d: [S::F; SPAN]) -> [S::F; SPAN] {
    let c = |x: f32| s.splat(x);
    // Each row is the polynomial that vanishes at all points but one, split into even and odd powers.
    let (even_p, odd_p) = (s.fma(c(-Q2), d[2], d[4]), s.fma(c(-Q2), d[1], d[3]));
    let (even_q, odd_q) = (s.fma(c(-P2), d[2], d[4]), s.fma(c(-P2), d[1], d[3]));
    [
        s.fma(c(PRODUCT), d[0], s.fma(c(-SUM), d[2], d[4])),
        s.fma(c(P), odd_p, even_p),
        s.fma(c(-P), odd_p, even_p),
        s.fma(c(Q), odd_q, even_q),
        s.fma(c(-Q), odd_q, even_q),
        s.fma(c(PRODUCT), d[1], s.fma(c(-SUM), d[3], d[5])),
    ]
}

/// The six points to four results.
#[inline(always)]
fn result<S: Simd>(s: S, m: [S::F; SPAN]) -> [S::F; TILE] {
    let c = |x: f32| s.splat(x);
    let (sum_p, difference_p) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
    let (sum_q, difference_q) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
    [
        s.add(s.add(m[0], sum_p), sum_q),
        s.fma(c(P), difference_p, s.mul(c(Q), difference_q)),
        s.fma(c(P2), sum_p, s.mul(c(Q2), sum_q)),
        s.fma(c(P * P2), difference_p, s.fma(c(Q * Q2), difference_q, m[5])),
    ]
}

/// Four values of the result's gradient to the six points: the transpose of [`result`].
#[inline(always)]
fn cotangent<S: Simd>(s: S, y: [S::F; TILE]) -> [S::F; SPAN] {
    let c = |x: f32| s.splat(x);
    let (even_p, odd_p) = (s.fma(c(P2), y[2], y[0]), s.fma(c(P2), y[3], y[1]));
    let (even_q, odd_q) = (s.fma(c(Q2), y[2], y[0]), s.fma(c(Q2), y[3], y[1]));
    [
        y[0],
        s.fma(c(P), odd_p, even_p),
        s.fma(c(-P), odd_p, even_p),
        s.fma(c(Q), odd_q, even_q),
        s.fma(c(-Q), odd_q, even_q),
        y[3],
    ]
}

/// 1 over the product of the distances from a finite point `x` to the others, of which `±other` are two.
const fn scale(x: f32, other: f32) -> f64 {
    let (x, other) = (x as f64, other as f64);
    1.0 / (2.0 * x * x * (x * x - other * other))
}

const SCALE_P: f64 = scale(P, Q);
const SCALE_Q: f64 = scale(Q, P);

/// The six points to three values of the kernel's gradient: the transpose of [`kernel`].
#[inline(always)]
fn kernel_cotangent<S: Simd>(s: S, u: [S::F; SPAN]) -> [S::F; 3] {
    let c = |power: i32| {
        let at = |x: f32, scale: f64| s.splat((f64::from(x).powi(power) * scale) as f32);
        (at(P, SCALE_P), at(Q, SCALE_Q))
    };
    let (sum_p, difference_p) = (s.add(u[1], u[2]), s.sub(u[1], u[2]));
    let (sum_q, difference_q) = (s.add(u[3], u[4]), s.sub(u[3], u[4]));
    [
        s.fma(c(0).0, sum_p, s.fma(c(0).1, sum_q, s.mul(s.splat(1.0 / PRODUCT), u[0]))),
        s.fma(c(1).0, difference_p, s.mul(c(1).1, difference_q)),
        s.fma(c(2).0, sum_p, s.fma(c(2).1, sum_q, u[5])),
    ]
}

/// Three kernel values to the six points.
#[inline(always)]
fn kernel<S: Simd>(s: S, g: [S::F; 3]) -> [S::F; SPAN] {
    let at = |x: f32, scale: f64| {
        let c = |power: i32| s.splat((f64::from(x).powi(power) * scale) as f32);
        let even = s.fma(c(2), g[2], s.mul(c(0), g[0]));
        [s.fma(c(1), g[1], even), s.fma(s.sub(s.splat(0.0), c(1)), g[1], even)]
    };
    let ([p, minus_p], [q, minus_q]) = (at(P, SCALE_P), at(Q, SCALE_Q));
    [s.mul(s.splat(1.0 / PRODUCT), g[0]), p, minus_p, q, minus_q, g[2]]
}

/// A 3x3 kernel, row by row, at the 36 points.
#[inline(always)]
pub(super) fn kernel_points<S: Simd>(s: S, g: [S::F; 9]) -> [S::F; POINTS] {
    let mut half = [[s.splat(0.0); SPAN]; 3];
    for r in 0..3 {
        half[r] = kernel(s, [g[3 * r], g[3 * r + 1], g[3 * r + 2]]);
    }
    let mut points = [s.splat(0.0); POINTS];
    for k in 0..SPAN {
        let column = kernel(s, [half[0][k], half[1][k], half[2][k]]);
        for r in 0..SPAN {
            points[r * SPAN + k] = column[r];
        }
    }
    points
}

/// `N` rows of `N` positions of a sample, some of them in the padding.
#[derive(Clone, Copy)]
pub(super) struct Patch<const N: usize> {
    /// Where each row would start: of a row of padding, zeros.
    rows: [*const f32; N],
    /// Columns inside the sample.
    from: usize,
    to: usize,
}

impl<const N: usize> Patch<N> {
    /// The patch whose first position is `at - low` of a sample of `size` positions by `channels`. `zeros` has those of
    /// `N` positions.
    #[inline(always)]
    pub(super) fn new(
        sample: *const f32,
        size: [usize; 2],
        channels: usize,
        at: [usize; 2],
        low: [usize; 2],
        zeros: *const f32,
    ) -> Self {
        // Before the first row or column an address may lie before the sample; it is not read there.
        let first = (at[0].wrapping_sub(low[0]).wrapping_mul(size[1])).wrapping_add(at[1]).wrapping_sub(low[1]);
        let first = sample.wrapping_add(first.wrapping_mul(channels));
        let mut rows = [zeros; N];
        for r in 0..N {
            if (at[0] + r).wrapping_sub(low[0]) < size[0] {
                rows[r] = first.wrapping_add(r * size[1] * channels);
            }
        }
        let from = low[1].saturating_sub(at[1]).min(N);
        let to = (size[1] + low[1]).saturating_sub(at[1]).clamp(from, N);
        Self { rows, from, to }
    }

    /// Column `k` of the channels from `c`, lanes beyond `channels` zero. `INSIDE` are patches without columns of padding.
    ///
    /// # Safety
    /// The patch's sample and zeros are readable.
    #[inline(always)]
    unsafe fn column<S: Simd, const WHOLE: bool, const INSIDE: bool>(
        &self,
        s: S,
        k: usize,
        c: usize,
        channels: usize,
    ) -> [S::F; N] {
        let mut column = [s.splat(0.0); N];
        if INSIDE || (self.from..self.to).contains(&k) {
            let at = k * channels + c;
            for r in 0..N {
                let p = self.rows[r].wrapping_add(at);
                // SAFETY: the column is inside the sample, and the row is, or reads zeros.
                column[r] = unsafe { if WHOLE { s.load(p) } else { s.load_partial(p, channels - c) } };
            }
        }
        column
    }
}

/// A patch at the 36 points, each `point` floats from the last: one of the source (`N` is [`SPAN`]) or of the result's
/// gradient (`N` is [`TILE`]). Writes whole vectors.
///
/// # Safety
/// The patch is readable; `to` takes `channels`, up to whole vectors, at each point.
#[inline(always)]
pub(super) unsafe fn spread<S: Simd, const N: usize>(
    s: S,
    patch: &Patch<N>,
    channels: usize,
    to: *mut f32,
    point: usize,
) {
    let whole = channels / S::LANES * S::LANES;
    // SAFETY: by contract.
    unsafe {
        if patch.from == 0 && patch.to == N {
            let mut c = 0;
            while c < whole {
                spread_vector::<S, N, true, true>(s, patch, c, channels, to.add(c), point);
                c += S::LANES;
            }
        } else {
            let mut c = 0;
            while c < whole {
                spread_vector::<S, N, true, false>(s, patch, c, channels, to.add(c), point);
                c += S::LANES;
            }
        }
        if whole < channels {
            spread_vector::<S, N, false, false>(s, patch, whole, channels, to.add(whole), point);
        }
    }
}

/// # Safety
/// As for [`spread`], for the vector of channels from `c`.
#[inline(always)]
unsafe fn spread_vector<S: Simd, const N: usize, const WHOLE: bool, const INSIDE: bool>(
    s: S,
    patch: &Patch<N>,
    c: usize,
    channels: usize,
    to: *mut f32,
    point: usize,
) {
    let mut half = [[s.splat(0.0); N]; SPAN];
    for k in 0..N {
        // SAFETY: by contract.
        let column = along::<S, N>(s, unsafe { patch.column::<S, WHOLE, INSIDE>(s, k, c, channels) });
        for r in 0..SPAN {
            half[r][k] = column[r];
        }
    }
    for r in 0..SPAN {
        let row = along::<S, N>(s, half[r]);
        for k in 0..SPAN {
            // SAFETY: writable by contract.
            unsafe { s.store(to.add((r * SPAN + k) * point), row[k]) };
        }
    }
}

/// The transform of a patch along an axis.
#[inline(always)]
fn along<S: Simd, const N: usize>(s: S, v: [S::F; N]) -> [S::F; SPAN] {
    const { assert!(N == SPAN || N == TILE) };
    if N == SPAN { source(s, std::array::from_fn(|i| v[i])) } else { cotangent(s, std::array::from_fn(|i| v[i])) }
}

/// Sums of products at the 36 points, each `point` floats from the last, to the nine taps of the kernel's gradient.
///
/// # Safety
/// A vector is readable at each point.
#[inline(always)]
pub(super) unsafe fn kernel_taps<S: Simd>(s: S, from: *const f32, point: usize) -> [S::F; 9] {
    let mut half = [[s.splat(0.0); SPAN]; 3];
    for k in 0..SPAN {
        let mut column = [s.splat(0.0); SPAN];
        for r in 0..SPAN {
            // SAFETY: readable by contract.
            column[r] = unsafe { s.load(from.add((r * SPAN + k) * point)) };
        }
        let column = kernel_cotangent(s, column);
        for r in 0..3 {
            half[r][k] = column[r];
        }
    }
    let mut taps = [s.splat(0.0); 9];
    for r in 0..3 {
        let row = kernel_cotangent(s, half[r]);
        for k in 0..3 {
            taps[3 * r + k] = row[k];
        }
    }
    taps
}

/// Where the results of a tile go: offsets of its positions in the order of [`place`], and which of them exist.
#[derive(Clone, Copy)]
pub(super) struct Target {
    at: [usize; TILE * TILE],
    exists: [bool; TILE * TILE],
    /// Whether all exist.
    whole: bool,
}

impl Target {
    /// Results in steps of `step` from offset `first`, of which `left` exist along each axis. With `shrink` 2, the four of
    /// a window go to one.
    #[inline(always)]
    pub(super) fn new(first: usize, step: [usize; 2], left: [usize; 2], shrink: usize) -> Self {
        let mut target = Self { at: [first; 16], exists: [true; 16], whole: left.iter().all(|l| *l >= TILE / shrink) };
        for r in 0..TILE {
            for k in 0..TILE {
                let (row, column) = (r / shrink, k / shrink);
                target.at[place(r, k)] += row * step[0] + column * step[1];
                target.exists[place(r, k)] = row < left[0] && column < left[1];
            }
        }
        target
    }
}

/// Number of a tile's position: the four of each 2x2 window follow each other.
pub(super) const fn place(r: usize, k: usize) -> usize {
    (r / 2 * 2 + k / 2) * 4 + r % 2 * 2 + k % 2
}

/// The sums at the 36 points to a tile of results.
///
/// # Safety
/// `from` has `channels`, up to whole vectors, at each point; the target's offsets that exist leave `channels`
/// writable elements in the sink's result.
#[inline(always)]
pub(super) unsafe fn result_tile<S: Simd, K: Sink>(
    s: S,
    from: *const f32,
    point: usize,
    channels: usize,
    bias: Option<&[f32]>,
    relu: Relu,
    sink: K,
    target: &Target,
) {
    for c in (0..channels).step_by(S::LANES) {
        let mut half = [[s.splat(0.0); SPAN]; TILE];
        for k in 0..SPAN {
            let mut column = [s.splat(0.0); SPAN];
            for r in 0..SPAN {
                // SAFETY: readable by contract.
                column[r] = unsafe { s.load(from.add((r * SPAN + k) * point + c)) };
            }
            let column = result(s, column);
            for r in 0..TILE {
                half[r][k] = column[r];
            }
        }
        // SAFETY: loads stay inside the bias, which has a value per channel.
        let start = bias.map_or(s.splat(0.0), |b| unsafe { load_channels(s, b.as_ptr(), c, b.len()) });
        let mut tile = [[s.splat(0.0)]; TILE * TILE];
        for r in 0..TILE {
            let row = result(s, half[r]);
            for k in 0..TILE {
                tile[place(r, k)][0] = s.add(row[k], start);
            }
        }
        let here = (channels - c).min(S::LANES);
        let mut at = target.at;
        for offset in &mut at {
            *offset += c;
        }
        // SAFETY: offsets that exist are in range by contract.
        unsafe {
            if target.whole {
                sink.put::<S, 16, 1>(s, tile, at, here, relu);
            } else if K::UNIT == 1 {
                for i in 0..TILE * TILE {
                    if target.exists[i] {
                        sink.put::<S, 1, 1>(s, [tile[i]], [at[i]], here, relu);
                    }
                }
            } else {
                for i in (0..TILE * TILE).step_by(4) {
                    if target.exists[i] {
                        let window = [tile[i], tile[i + 1], tile[i + 2], tile[i + 3]];
                        sink.put::<S, 4, 1>(s, window, [at[i]; 4], here, relu);
                    }
                }
            }
        }
    }
}
