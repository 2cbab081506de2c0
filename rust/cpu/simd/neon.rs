//! The NEON token. Every aarch64 target has NEON in its baseline, so its arithmetic needs no proof.

#![allow(clippy::wildcard_imports, reason = "dozens of intrinsics, all of one module")]

use super::Simd;
use std::arch::aarch64::*;

/// Part of every aarch64 machine.
#[derive(Clone, Copy)]
pub(super) struct Neon(());

impl Neon {
    pub(super) fn new() -> Self {
        Self(())
    }
}

/// Methods that are one intrinsic each.
macro_rules! direct {
    ($($name:ident($($arg:ident),+) = $intrinsic:ident;)+) => {$(
        #[inline(always)]
        fn $name(self, $($arg: float32x4_t),+) -> float32x4_t {
            // SAFETY: NEON is in the target's baseline.
            unsafe { $intrinsic($($arg),+) }
        }
    )+};
}

/// Bitwise methods.
macro_rules! bitwise {
    ($($name:ident = $intrinsic:ident;)+) => {$(
        #[inline(always)]
        fn $name(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: NEON is in the target's baseline.
            unsafe {
                vreinterpretq_f32_u32($intrinsic(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b)))
            }
        }
    )+};
}

/// Comparisons; the instructions are false for NaN.
macro_rules! compare {
    ($($name:ident = $intrinsic:ident;)+) => {$(
        #[inline(always)]
        fn $name(self, a: float32x4_t, b: float32x4_t) -> uint32x4_t {
            // SAFETY: NEON is in the target's baseline.
            unsafe { $intrinsic(a, b) }
        }
    )+};
}

impl Simd for Neon {
    const LANES: usize = 4;
    const REGISTERS: usize = 32;
    type F = float32x4_t;
    type M = uint32x4_t;
    type I = uint32x4_t;

    direct! {
        add(a, b) = vaddq_f32;
        sub(a, b) = vsubq_f32;
        mul(a, b) = vmulq_f32;
        div(a, b) = vdivq_f32;
        sqrt(a) = vsqrtq_f32;
        floor(a) = vrndmq_f32;
        ceil(a) = vrndpq_f32;
        round(a) = vrndnq_f32;
        abs(a) = vabsq_f32;
    }

    bitwise! {
        and = vandq_u32;
        or = vorrq_u32;
        xor = veorq_u32;
    }

    compare! {
        eq = vceqq_f32;
        lt = vcltq_f32;
        le = vcleq_f32;
    }

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        // SAFETY: NEON is in the target's baseline.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> float32x4_t {
        // SAFETY: readable by contract.
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn load_partial(self, p: *const f32, n: usize) -> float32x4_t {
        let mut lanes = [0.0; 4];
        for (i, lane) in lanes.iter_mut().enumerate().take(n) {
            // SAFETY: only the first `n` are read.
            *lane = unsafe { *p.add(i) };
        }
        // SAFETY: four values of the array.
        unsafe { vld1q_f32(lanes.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> float32x4_t {
        // SAFETY: four values are readable by contract.
        unsafe { vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(p))) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: float32x4_t) {
        // SAFETY: writable by contract.
        unsafe { vst1q_f32(p, x) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, x: float32x4_t, n: usize) {
        let mut lanes = [0.0; 4];
        // SAFETY: four values of the array.
        unsafe { vst1q_f32(lanes.as_mut_ptr(), x) }
        for (i, lane) in lanes.into_iter().enumerate().take(n) {
            // SAFETY: only the first `n` are written.
            unsafe { *p.add(i) = lane }
        }
    }
    #[inline(always)]
    fn fma(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is in the target's baseline. The intrinsic takes the addend first.
        unsafe { vfmaq_f32(c, a, b) }
    }
    // NEON's own minimum and maximum give NaN where either is NaN; the trait gives `b`.
    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.select(self.lt(a, b), a, b)
    }
    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.select(self.lt(b, a), a, b)
    }
    #[inline(always)]
    fn bf16(self, a: float32x4_t) -> float32x4_t {
        // SAFETY: the token proves the instruction set.
        unsafe {
            let bits = vreinterpretq_u32_f32(a);
            let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
            let nearest = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd);
            let quiet = vorrq_u32(bits, vdupq_n_u32(0x40_0000));
            let kept = vbslq_u32(vceqq_f32(a, a), nearest, quiet);
            vreinterpretq_f32_u32(vandq_u32(kept, vdupq_n_u32(0xffff_0000)))
        }
    }
    #[inline(always)]
    fn exp2i(self, k: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is in the target's baseline.
        unsafe {
            let biased = vaddq_s32(vcvtnq_s32_f32(k), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased))
        }
    }
    #[inline(always)]
    fn frexp(self, x: float32x4_t) -> (float32x4_t, float32x4_t) {
        // Subtracting the bits of √½ before the shift rounds the exponent so that the mantissa lands in [√½, √2).
        // SAFETY: NEON is in the target's baseline.
        unsafe {
            let bits = vreinterpretq_s32_f32(x);
            let e = vshrq_n_s32::<23>(vsubq_s32(bits, vdupq_n_s32(0x3f35_04f3)));
            let m = vsubq_s32(bits, vshlq_n_s32::<23>(e));
            (vcvtq_f32_s32(e), vreinterpretq_f32_s32(m))
        }
    }
    #[inline(always)]
    fn select(self, m: uint32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is in the target's baseline.
        unsafe { vbslq_f32(m, a, b) }
    }
    #[inline(always)]
    fn bits(self, m: uint32x4_t) -> u32 {
        // SAFETY: NEON is in the target's baseline.
        unsafe { vaddvq_u32(vandq_u32(m, vld1q_u32([1, 2, 4, 8].as_ptr()))) }
    }
    #[inline(always)]
    unsafe fn load_bytes(self, p: *const u8) -> uint32x4_t {
        // SAFETY: four bytes are readable by contract.
        unsafe {
            let bytes = vreinterpret_u8_u32(vdup_n_u32(p.cast::<u32>().read_unaligned()));
            vmovl_u16(vget_low_u16(vmovl_u8(bytes)))
        }
    }
    #[inline(always)]
    unsafe fn load_bytes_partial(self, p: *const u8, n: usize) -> uint32x4_t {
        let mut bytes = [0u8; 4];
        for (i, byte) in bytes.iter_mut().enumerate().take(n) {
            // SAFETY: only the first `n` are read.
            *byte = unsafe { *p.add(i) };
        }
        // SAFETY: four bytes were just written.
        unsafe { self.load_bytes(bytes.as_ptr()) }
    }
    #[inline(always)]
    fn bytes_eq(self, a: uint32x4_t, b: u8) -> uint32x4_t {
        // SAFETY: NEON is in the target's baseline.
        unsafe { vceqq_u32(a, vdupq_n_u32(u32::from(b))) }
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
    unsafe fn broadcast4(self, p: *const f32) -> float32x4_t {
        // SAFETY: four values are readable by contract.
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    fn lookup4(self, table: float32x4_t, i: uint32x4_t) -> float32x4_t {
        // Element `i` is bytes `4 i` to `4 i + 3`.
        // SAFETY: NEON is in the target's baseline.
        unsafe {
            let first = vmulq_n_u32(vandq_u32(i, vdupq_n_u32(3)), 0x0404_0404);
            let bytes = vreinterpretq_u8_u32(vaddq_u32(first, vdupq_n_u32(0x0302_0100)));
            vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(table), bytes))
        }
    }
    #[inline(always)]
    unsafe fn store_interleaved4(self, p: *mut f32, v: [float32x4_t; 4]) {
        // SAFETY: sixteen values are writable by contract.
        unsafe { vst4q_f32(p, float32x4x4_t(v[0], v[1], v[2], v[3])) }
    }
    #[inline(always)]
    fn reduce_add(self, a: float32x4_t) -> f32 {
        // SAFETY: NEON is in the target's baseline. Lanes 0+2 and 1+3, then those two.
        unsafe {
            let halves = vadd_f32(vget_low_f32(a), vget_high_f32(a));
            vget_lane_f32::<0>(halves) + vget_lane_f32::<1>(halves)
        }
    }
    #[inline(always)]
    fn reduce_max(self, a: float32x4_t) -> f32 {
        // SAFETY: NEON is in the target's baseline.
        unsafe { vmaxvq_f32(a) }
    }
}
