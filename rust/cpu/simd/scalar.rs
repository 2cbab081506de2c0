//! Plain Rust in four lanes: the reference for the other instruction sets, and every machine's fallback. Products
//! are fused (`mul_add`), so it computes what FMA hardware computes.

use super::Simd;
use std::array::from_fn;

/// Needs no proof.
#[derive(Clone, Copy)]
pub(super) struct Scalar;

type V = [f32; 4];

#[inline(always)]
fn lanes(f: impl Fn(usize) -> f32) -> V {
    from_fn(f)
}

#[inline(always)]
fn bits(a: V, b: V, f: impl Fn(u32, u32) -> u32) -> V {
    lanes(|i| f32::from_bits(f(a[i].to_bits(), b[i].to_bits())))
}

/// See [`Simd::bf16`]. Half of the last place that stays is added, less one where that place is even: what is cut off
/// then rounds to nearest, and a carry out of the mantissa is the next exponent, infinity after the largest.
#[inline(always)]
pub(crate) fn round_bf16(x: f32) -> f32 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    f32::from_bits(if x.is_nan() { bits | 0x40_0000 } else { nearest } & 0xffff_0000)
}

impl Simd for Scalar {
    const LANES: usize = 4;
    const REGISTERS: usize = 16;
    type F = V;
    type M = [bool; 4];
    type I = [u8; 4];

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> V {
        // SAFETY: four values are readable by contract.
        unsafe { p.cast::<V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_partial(self, p: *const f32, n: usize) -> V {
        // SAFETY: only the first `n` are read.
        lanes(|i| if i < n { unsafe { *p.add(i) } } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> V {
        // SAFETY: four values are readable by contract.
        lanes(|i| f32::from_bits(u32::from(unsafe { *p.add(i) }) << 16))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: V) {
        // SAFETY: four values are writable by contract.
        unsafe { p.cast::<V>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, x: V, n: usize) {
        for (i, v) in x.into_iter().enumerate().take(n) {
            // SAFETY: only the first `n` are written.
            unsafe { *p.add(i) = v }
        }
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        lanes(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        lanes(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        lanes(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        lanes(|i| a[i] / b[i])
    }
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        lanes(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    fn sqrt(self, a: V) -> V {
        lanes(|i| a[i].sqrt())
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        lanes(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        lanes(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn floor(self, a: V) -> V {
        lanes(|i| a[i].floor())
    }
    #[inline(always)]
    fn ceil(self, a: V) -> V {
        lanes(|i| a[i].ceil())
    }
    #[inline(always)]
    fn round(self, a: V) -> V {
        lanes(|i| a[i].round_ties_even())
    }
    #[inline(always)]
    fn bf16(self, a: V) -> V {
        lanes(|i| round_bf16(a[i]))
    }
    #[inline(always)]
    fn abs(self, a: V) -> V {
        lanes(|i| a[i].abs())
    }
    #[inline(always)]
    fn and(self, a: V, b: V) -> V {
        bits(a, b, |x, y| x & y)
    }
    #[inline(always)]
    fn or(self, a: V, b: V) -> V {
        bits(a, b, |x, y| x | y)
    }
    #[inline(always)]
    fn xor(self, a: V, b: V) -> V {
        bits(a, b, |x, y| x ^ y)
    }
    #[inline(always)]
    fn exp2i(self, k: V) -> V {
        lanes(|i| f32::from_bits(((k[i] as i32 + 127) << 23) as u32))
    }
    #[inline(always)]
    fn frexp(self, x: V) -> (V, V) {
        let e = |i: usize| (x[i].to_bits() as i32).wrapping_sub(0x3f35_04f3) >> 23;
        (lanes(|i| e(i) as f32), lanes(|i| f32::from_bits((x[i].to_bits() as i32).wrapping_sub(e(i) << 23) as u32)))
    }
    #[inline(always)]
    fn eq(self, a: V, b: V) -> [bool; 4] {
        from_fn(|i| a[i] == b[i])
    }
    #[inline(always)]
    fn lt(self, a: V, b: V) -> [bool; 4] {
        from_fn(|i| a[i] < b[i])
    }
    #[inline(always)]
    fn le(self, a: V, b: V) -> [bool; 4] {
        from_fn(|i| a[i] <= b[i])
    }
    #[inline(always)]
    fn select(self, m: [bool; 4], a: V, b: V) -> V {
        lanes(|i| if m[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn bits(self, m: [bool; 4]) -> u32 {
        m.into_iter().rev().fold(0, |bits, set| bits << 1 | u32::from(set))
    }
    #[inline(always)]
    unsafe fn load_bytes(self, p: *const u8) -> [u8; 4] {
        // SAFETY: four bytes are readable by contract.
        unsafe { p.cast::<[u8; 4]>().read() }
    }
    #[inline(always)]
    unsafe fn load_bytes_partial(self, p: *const u8, n: usize) -> [u8; 4] {
        // SAFETY: only the first `n` are read.
        from_fn(|i| if i < n { unsafe { *p.add(i) } } else { 0 })
    }
    #[inline(always)]
    fn bytes_eq(self, a: [u8; 4], b: u8) -> [bool; 4] {
        a.map(|a| a == b)
    }
    #[inline(always)]
    unsafe fn store_lane_numbers(self, bits: u32, first: u32, p: *mut u32) -> usize {
        let mut n = 0;
        for i in 0..4 {
            // SAFETY: `n <= i < 4`, writable by contract.
            unsafe { *p.add(n) = first + i }
            n += (bits >> i & 1) as usize;
        }
        n
    }
    #[inline(always)]
    unsafe fn broadcast4(self, p: *const f32) -> V {
        // SAFETY: four values are readable by contract.
        unsafe { self.load(p) }
    }
    #[inline(always)]
    fn lookup4(self, table: V, i: [u8; 4]) -> V {
        i.map(|i| table[usize::from(i % 4)])
    }
    #[inline(always)]
    unsafe fn store_interleaved4(self, p: *mut f32, v: [V; 4]) {
        for i in 0..4 {
            // SAFETY: sixteen values are writable by contract.
            unsafe { self.store(p.add(4 * i), [v[0][i], v[1][i], v[2][i], v[3][i]]) }
        }
    }
    #[inline(always)]
    fn reduce_add(self, a: V) -> f32 {
        (a[0] + a[2]) + (a[1] + a[3])
    }
    #[inline(always)]
    fn reduce_max(self, a: V) -> f32 {
        a[0].max(a[2]).max(a[1].max(a[3]))
    }
}
