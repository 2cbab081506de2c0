//! AVX2+FMA and AVX-512 tokens. All x86 float intrinsics of the crate are in this file.

#![allow(clippy::wildcard_imports, reason = "dozens of intrinsics, all of one module")]

use super::{Kernel, Simd};
use std::arch::x86_64::*;

/// Runs a kernel compiled for AVX2 and FMA.
///
/// # Safety
/// The CPU has both.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

/// Runs a kernel compiled for AVX-512 F, BW, DQ and VL.
///
/// # Safety
/// The CPU has them.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512(()))
}

/// Proof of AVX2 and FMA: made only by [`run_avx2`].
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

/// Proof of AVX-512: made only by [`run_avx512`].
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

/// Methods that are one intrinsic each.
macro_rules! direct {
    ($($name:ident($($arg:ident),+) = $intrinsic:ident;)+) => {$(
        #[inline(always)]
        fn $name(self, $($arg: Self::F),+) -> Self::F {
            // SAFETY: the token proves the instruction set.
            unsafe { $intrinsic($($arg),+) }
        }
    )+};
}

/// Mask of the first `n` of eight lanes.
#[inline(always)]
fn first8(n: usize) -> __m256i {
    // SAFETY: called with the `Avx2` token in hand only.
    unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) }
}

/// Positions of the set bits of each byte, lowest first, one per byte; those past the last set bit are zero.
static SET_BITS: [u64; 256] = {
    let mut table = [0; 256];
    let mut bits = 0;
    while bits < 256 {
        let (mut n, mut i) = (0, 0);
        while i < 8 {
            if bits >> i & 1 == 1 {
                table[bits] |= i << (8 * n);
                n += 1;
            }
            i += 1;
        }
        bits += 1;
    }
    table
};

impl Simd for Avx2 {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;
    type F = __m256;
    type M = __m256;
    type I = __m256i;

    direct! {
        add(a, b) = _mm256_add_ps;
        sub(a, b) = _mm256_sub_ps;
        mul(a, b) = _mm256_mul_ps;
        div(a, b) = _mm256_div_ps;
        fma(a, b, c) = _mm256_fmadd_ps;
        sqrt(a) = _mm256_sqrt_ps;
        min(a, b) = _mm256_min_ps;
        max(a, b) = _mm256_max_ps;
        floor(a) = _mm256_floor_ps;
        ceil(a) = _mm256_ceil_ps;
        and(a, b) = _mm256_and_ps;
        or(a, b) = _mm256_or_ps;
        xor(a, b) = _mm256_xor_ps;
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        // SAFETY: readable by contract.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_partial(self, p: *const f32, n: usize) -> __m256 {
        // SAFETY: masked lanes are not read; the others are readable by contract.
        unsafe { _mm256_maskload_ps(p, first8(n)) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> __m256 {
        // SAFETY: eight values are readable by contract.
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast())))) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: __m256) {
        // SAFETY: writable by contract.
        unsafe { _mm256_storeu_ps(p, x) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, x: __m256, n: usize) {
        // Not a masked store: with AMD it takes as long as a dozen others.
        // SAFETY: the parts have `n` lanes together, writable by contract.
        unsafe {
            let mut p = p;
            let mut x4 = _mm256_castps256_ps128(x);
            if n & 4 != 0 {
                _mm_storeu_ps(p, x4);
                x4 = _mm256_extractf128_ps::<1>(x);
                p = p.add(4);
            }
            if n & 2 != 0 {
                _mm_storel_pd(p.cast(), _mm_castps_pd(x4));
                x4 = _mm_movehl_ps(x4, x4);
                p = p.add(2);
            }
            if n & 1 != 0 {
                _mm_store_ss(p, x4);
            }
        }
    }
    #[inline(always)]
    unsafe fn store_bytes(self, p: *mut u8, x: __m256) {
        // SAFETY: eight bytes are writable by contract.
        unsafe {
            let low = _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0xff));
            let words = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256::<1>(low));
            _mm_storel_epi64(p.cast(), _mm_packus_epi16(words, words));
        }
    }
    #[inline(always)]
    fn round(self, a: __m256) -> __m256 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    fn bf16(self, a: __m256) -> __m256 {
        // SAFETY: the token proves the instruction set.
        unsafe {
            let bits = _mm256_castps_si256(a);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            let nearest = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
            let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x40_0000));
            let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(a, a));
            let kept = _mm256_blendv_epi8(nearest, quiet, nan);
            _mm256_castsi256_ps(_mm256_and_si256(kept, _mm256_set1_epi32(0xffff_0000u32 as i32)))
        }
    }
    #[inline(always)]
    fn abs(self, a: __m256) -> __m256 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
    }
    #[inline(always)]
    fn exp2i(self, k: __m256) -> __m256 {
        // SAFETY: the token proves the instruction set.
        unsafe {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(k), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
        }
    }
    #[inline(always)]
    fn frexp(self, x: __m256) -> (__m256, __m256) {
        // Subtracting the bits of √½ before the shift rounds the exponent so that the mantissa lands in [√½, √2).
        // SAFETY: the token proves the instruction set.
        unsafe {
            let bits = _mm256_castps_si256(x);
            let e = _mm256_srai_epi32::<23>(_mm256_sub_epi32(bits, _mm256_set1_epi32(0x3f35_04f3)));
            let m = _mm256_sub_epi32(bits, _mm256_slli_epi32::<23>(e));
            (_mm256_cvtepi32_ps(e), _mm256_castsi256_ps(m))
        }
    }
    #[inline(always)]
    fn eq(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b) }
    }
    #[inline(always)]
    fn lt(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_cmp_ps::<_CMP_LT_OQ>(a, b) }
    }
    #[inline(always)]
    fn le(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_cmp_ps::<_CMP_LE_OQ>(a, b) }
    }
    #[inline(always)]
    fn select(self, m: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_blendv_ps(b, a, m) }
    }
    #[inline(always)]
    fn bits(self, m: __m256) -> u32 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_movemask_ps(m) as u32 }
    }
    #[inline(always)]
    unsafe fn load_bytes(self, p: *const u8) -> __m256i {
        // SAFETY: eight bytes are readable by contract.
        unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(p.cast())) }
    }
    #[inline(always)]
    unsafe fn load_bytes_partial(self, p: *const u8, n: usize) -> __m256i {
        let mut bytes = [0u8; 8];
        for (i, byte) in bytes.iter_mut().enumerate().take(n) {
            // SAFETY: only the first `n` are read.
            *byte = unsafe { *p.add(i) };
        }
        // SAFETY: eight bytes were just written.
        unsafe { self.load_bytes(bytes.as_ptr()) }
    }
    #[inline(always)]
    fn bytes_eq(self, a: __m256i, b: u8) -> __m256 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, _mm256_set1_epi32(i32::from(b)))) }
    }
    #[inline(always)]
    unsafe fn store_lane_numbers(self, bits: u32, first: u32, p: *mut u32) -> usize {
        // SAFETY: eight values are writable by contract; eight lanes give a byte of bits.
        unsafe {
            let lanes = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(SET_BITS[bits as usize & 255] as i64));
            _mm256_storeu_si256(p.cast(), _mm256_add_epi32(lanes, _mm256_set1_epi32(first as i32)));
        }
        bits.count_ones() as usize
    }
    #[inline(always)]
    unsafe fn broadcast4(self, p: *const f32) -> __m256 {
        // SAFETY: four values are readable by contract.
        unsafe {
            let four = _mm_loadu_ps(p);
            _mm256_set_m128(four, four)
        }
    }
    #[inline(always)]
    fn lookup4(self, table: __m256, i: __m256i) -> __m256 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_permutevar_ps(table, i) }
    }
    #[inline(always)]
    unsafe fn store_interleaved4(self, p: *mut f32, v: [__m256; 4]) {
        // SAFETY: 32 values are writable by contract.
        unsafe {
            let (a, b) = (_mm256_unpacklo_ps(v[0], v[1]), _mm256_unpackhi_ps(v[0], v[1]));
            let (c, d) = (_mm256_unpacklo_ps(v[2], v[3]), _mm256_unpackhi_ps(v[2], v[3]));
            // Elements 0 and 4, 1 and 5, 2 and 6, 3 and 7 of the four vectors, in their 128-bit halves.
            let e04 = _mm256_shuffle_ps::<0x44>(a, c);
            let e15 = _mm256_shuffle_ps::<0xee>(a, c);
            let e26 = _mm256_shuffle_ps::<0x44>(b, d);
            let e37 = _mm256_shuffle_ps::<0xee>(b, d);
            self.store(p, _mm256_permute2f128_ps::<0x20>(e04, e15));
            self.store(p.add(8), _mm256_permute2f128_ps::<0x20>(e26, e37));
            self.store(p.add(16), _mm256_permute2f128_ps::<0x31>(e04, e15));
            self.store(p.add(24), _mm256_permute2f128_ps::<0x31>(e26, e37));
        }
    }
    #[inline(always)]
    fn reduce_add(self, a: __m256) -> f32 {
        // SAFETY: the token proves the instruction set.
        unsafe {
            let q = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let d = _mm_add_ps(q, _mm_movehl_ps(q, q));
            _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps::<1>(d, d)))
        }
    }
    #[inline(always)]
    fn reduce_max(self, a: __m256) -> f32 {
        // SAFETY: the token proves the instruction set.
        unsafe {
            let q = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let d = _mm_max_ps(q, _mm_movehl_ps(q, q));
            _mm_cvtss_f32(_mm_max_ss(d, _mm_shuffle_ps::<1>(d, d)))
        }
    }
}

impl Simd for Avx512 {
    const LANES: usize = 16;
    const REGISTERS: usize = 32;
    type F = __m512;
    type M = __mmask16;
    type I = __m512i;

    direct! {
        add(a, b) = _mm512_add_ps;
        sub(a, b) = _mm512_sub_ps;
        mul(a, b) = _mm512_mul_ps;
        div(a, b) = _mm512_div_ps;
        fma(a, b, c) = _mm512_fmadd_ps;
        sqrt(a) = _mm512_sqrt_ps;
        min(a, b) = _mm512_min_ps;
        max(a, b) = _mm512_max_ps;
        and(a, b) = _mm512_and_ps;
        or(a, b) = _mm512_or_ps;
        xor(a, b) = _mm512_xor_ps;
        abs(a) = _mm512_abs_ps;
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        // SAFETY: readable by contract.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_partial(self, p: *const f32, n: usize) -> __m512 {
        // SAFETY: masked lanes are not read; the others are readable by contract.
        unsafe { _mm512_maskz_loadu_ps(((1u32 << n) - 1) as __mmask16, p) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> __m512 {
        // SAFETY: sixteen values are readable by contract.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast())))) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: __m512) {
        // SAFETY: writable by contract.
        unsafe { _mm512_storeu_ps(p, x) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, x: __m512, n: usize) {
        // SAFETY: masked lanes are not written; the others are writable by contract.
        unsafe { _mm512_mask_storeu_ps(p, ((1u32 << n) - 1) as __mmask16, x) }
    }
    #[inline(always)]
    unsafe fn store_bytes(self, p: *mut u8, x: __m512) {
        // SAFETY: sixteen bytes are writable by contract.
        unsafe { _mm_storeu_si128(p.cast(), _mm512_cvtepi32_epi8(_mm512_castps_si512(x))) }
    }
    #[inline(always)]
    fn bf16(self, a: __m512) -> __m512 {
        // SAFETY: the token proves the instruction set.
        unsafe {
            let bits = _mm512_castps_si512(a);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let nearest = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a);
            let kept = _mm512_mask_or_epi32(nearest, nan, bits, _mm512_set1_epi32(0x40_0000));
            _mm512_castsi512_ps(_mm512_and_si512(kept, _mm512_set1_epi32(0xffff_0000u32 as i32)))
        }
    }
    #[inline(always)]
    fn floor(self, a: __m512) -> __m512 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    fn ceil(self, a: __m512) -> __m512 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    fn exp2i(self, k: __m512) -> __m512 {
        // SAFETY: the token proves the instruction set.
        unsafe {
            let biased = _mm512_add_epi32(_mm512_cvtps_epi32(k), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased))
        }
    }
    #[inline(always)]
    fn frexp(self, x: __m512) -> (__m512, __m512) {
        // Subtracting the bits of √½ before the shift rounds the exponent so that the mantissa lands in [√½, √2).
        // SAFETY: the token proves the instruction set.
        unsafe {
            let bits = _mm512_castps_si512(x);
            let e = _mm512_srai_epi32::<23>(_mm512_sub_epi32(bits, _mm512_set1_epi32(0x3f35_04f3)));
            let m = _mm512_sub_epi32(bits, _mm512_slli_epi32::<23>(e));
            (_mm512_cvtepi32_ps(e), _mm512_castsi512_ps(m))
        }
    }
    #[inline(always)]
    fn eq(self, a: __m512, b: __m512) -> __mmask16 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b) }
    }
    #[inline(always)]
    fn lt(self, a: __m512, b: __m512) -> __mmask16 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b) }
    }
    #[inline(always)]
    fn le(self, a: __m512, b: __m512) -> __mmask16 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b) }
    }
    #[inline(always)]
    fn select(self, m: __mmask16, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_mask_blend_ps(m, b, a) }
    }
    #[inline(always)]
    fn bits(self, m: __mmask16) -> u32 {
        u32::from(m)
    }
    #[inline(always)]
    unsafe fn load_bytes(self, p: *const u8) -> __m512i {
        // SAFETY: sixteen bytes are readable by contract.
        unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(p.cast())) }
    }
    #[inline(always)]
    unsafe fn load_bytes_partial(self, p: *const u8, n: usize) -> __m512i {
        // SAFETY: masked bytes are not read; the others are readable by contract.
        unsafe { _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(((1u32 << n) - 1) as __mmask16, p.cast())) }
    }
    #[inline(always)]
    fn bytes_eq(self, a: __m512i, b: u8) -> __mmask16 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_cmpeq_epi32_mask(a, _mm512_set1_epi32(i32::from(b))) }
    }
    #[inline(always)]
    unsafe fn store_lane_numbers(self, bits: u32, first: u32, p: *mut u32) -> usize {
        // Compressing to memory directly is many times slower on Zen 4 than to a register.
        // SAFETY: sixteen values are writable by contract.
        unsafe {
            let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let numbers = _mm512_add_epi32(lanes, _mm512_set1_epi32(first as i32));
            _mm512_storeu_si512(p.cast(), _mm512_maskz_compress_epi32(bits as __mmask16, numbers));
        }
        bits.count_ones() as usize
    }
    #[inline(always)]
    unsafe fn broadcast4(self, p: *const f32) -> __m512 {
        // SAFETY: four values are readable by contract.
        unsafe { _mm512_broadcast_f32x4(_mm_loadu_ps(p)) }
    }
    #[inline(always)]
    fn lookup4(self, table: __m512, i: __m512i) -> __m512 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_permutevar_ps(table, i) }
    }
    #[inline(always)]
    unsafe fn store_interleaved4(self, p: *mut f32, v: [__m512; 4]) {
        // SAFETY: 64 values are writable by contract.
        unsafe {
            let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
            let pairs = |a, b| {
                let pair = |half| _mm512_castps_pd(_mm512_permutex2var_ps(a, half, b));
                [pair(low), pair(high)]
            };
            let (ab, cd) = (pairs(v[0], v[1]), pairs(v[2], v[3]));
            let low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
            let high = _mm512_add_epi64(low, _mm512_set1_epi64(4));
            for half in 0..2 {
                let quads = |which| _mm512_castpd_ps(_mm512_permutex2var_pd(ab[half], which, cd[half]));
                self.store(p.add(32 * half), quads(low));
                self.store(p.add(32 * half + 16), quads(high));
            }
        }
    }
    #[inline(always)]
    fn reduce_add(self, a: __m512) -> f32 {
        // SAFETY: the token proves the instruction set.
        unsafe {
            let h = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a));
            let q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps::<1>(h));
            let d = _mm_add_ps(q, _mm_movehl_ps(q, q));
            _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps::<1>(d, d)))
        }
    }
    #[inline(always)]
    fn reduce_max(self, a: __m512) -> f32 {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_reduce_max_ps(a) }
    }
}
