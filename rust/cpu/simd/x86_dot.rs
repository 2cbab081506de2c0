//! Products of bytes on x86: AVX2, and AVX-512 with VNNI.

#![allow(clippy::wildcard_imports, reason = "dozens of intrinsics, all of one module")]

use super::dot::{Dot, DotKernel};
use std::arch::x86_64::*;

/// Runs a kernel compiled for AVX2.
///
/// # Safety
/// The CPU has it.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_avx2<K: DotKernel>(kernel: K) {
    kernel.run(Avx2(()));
}

/// Runs a kernel compiled for AVX-512 with VNNI.
///
/// # Safety
/// The CPU has AVX-512 F, BW, DQ, VL and VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(super) unsafe fn run_vnni<K: DotKernel>(kernel: K) {
    kernel.run(Vnni(()));
}

/// Proof of AVX2: made only by [`run_avx2`].
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

/// Proof of AVX-512 with VNNI: made only by [`run_vnni`].
#[derive(Clone, Copy)]
pub(super) struct Vnni(());

impl Dot for Avx2 {
    const LANES: usize = 8;
    // Eight sums, four halves of weights, two of the source, in 16 registers.
    const TILE: (usize, usize) = (4, 2);
    type N = __m256i;
    type F = __m256;
    // Bytes 0 and 2, and bytes 1 and 3, each in 16 bits: their products are added in pairs without saturation, as those
    // of bytes are not.
    type X = [__m256i; 2];
    type W = [__m256i; 2];

    #[inline(always)]
    unsafe fn load_sums(self, p: *const i32) -> __m256i {
        // SAFETY: the token proves AVX2; memory by contract.
        unsafe { _mm256_loadu_si256(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store_sums(self, p: *mut i32, x: __m256i) {
        // SAFETY: the token proves AVX2; memory by contract.
        unsafe { _mm256_storeu_si256(p.cast(), x) }
    }
    #[inline(always)]
    unsafe fn bytes(self, p: *const u8) -> [__m256i; 2] {
        // SAFETY: the token proves AVX2; memory by contract.
        unsafe {
            let x = _mm256_set1_epi32(p.cast::<i32>().read_unaligned());
            [_mm256_and_si256(x, _mm256_set1_epi16(255)), _mm256_srli_epi16::<8>(x)]
        }
    }
    #[inline(always)]
    unsafe fn weights(self, p: *const i8) -> [__m256i; 2] {
        // SAFETY: the token proves AVX2; memory by contract.
        unsafe {
            let w = _mm256_loadu_si256(p.cast());
            [_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(w)), _mm256_srai_epi16::<8>(w)]
        }
    }
    #[inline(always)]
    fn dot(self, sums: __m256i, x: [__m256i; 2], w: [__m256i; 2]) -> __m256i {
        // SAFETY: the token proves AVX2.
        unsafe {
            let even = _mm256_add_epi32(sums, _mm256_madd_epi16(x[0], w[0]));
            _mm256_add_epi32(even, _mm256_madd_epi16(x[1], w[1]))
        }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: the token proves AVX2.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    fn float(self, x: __m256i) -> __m256 {
        // SAFETY: the token proves AVX2.
        unsafe { _mm256_cvtepi32_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        // SAFETY: the token proves AVX2; memory by contract.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: __m256) {
        // SAFETY: the token proves AVX2; memory by contract.
        unsafe { _mm256_storeu_ps(p, x) }
    }
    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8) -> __m256 {
        // SAFETY: the token proves AVX2; memory by contract.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(p.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_i8(self, p: *const i8) -> __m256 {
        // SAFETY: the token proves AVX2; memory by contract.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p.cast()))) }
    }
    #[inline(always)]
    unsafe fn store_bytes(self, p: *mut u8, x: __m256) {
        // SAFETY: the token proves AVX2; memory by contract.
        unsafe {
            // The lowest byte of each lane to the first four of its half.
            let n = _mm256_cvtps_epi32(x);
            let first = _mm256_setr_epi8(
                0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, //
                0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
            );
            let n = _mm256_shuffle_epi8(n, first);
            let both = _mm_unpacklo_epi32(_mm256_castsi256_si128(n), _mm256_extracti128_si256::<1>(n));
            _mm_storel_epi64(p.cast(), both);
        }
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token proves AVX2.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token proves AVX2.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token proves AVX2.
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token proves AVX2.
        unsafe { _mm256_max_ps(a, b) }
    }
}

impl Dot for Vnni {
    const LANES: usize = 16;
    const TILE: (usize, usize) = (8, 2);
    type N = __m512i;
    type F = __m512;
    type X = __m512i;
    type W = __m512i;

    #[inline(always)]
    unsafe fn load_sums(self, p: *const i32) -> __m512i {
        // SAFETY: the token proves AVX-512; memory by contract.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store_sums(self, p: *mut i32, x: __m512i) {
        // SAFETY: the token proves AVX-512; memory by contract.
        unsafe { _mm512_storeu_si512(p.cast(), x) }
    }
    #[inline(always)]
    unsafe fn bytes(self, p: *const u8) -> __m512i {
        // SAFETY: the token proves AVX-512; memory by contract.
        unsafe { _mm512_set1_epi32(p.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn weights(self, p: *const i8) -> __m512i {
        // SAFETY: the token proves AVX-512; memory by contract.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }
    #[inline(always)]
    fn dot(self, sums: __m512i, x: __m512i, w: __m512i) -> __m512i {
        // SAFETY: the token proves VNNI.
        unsafe { _mm512_dpbusd_epi32(sums, x, w) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn float(self, x: __m512i) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_cvtepi32_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        // SAFETY: the token proves AVX-512; memory by contract.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: __m512) {
        // SAFETY: the token proves AVX-512; memory by contract.
        unsafe { _mm512_storeu_ps(p, x) }
    }
    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8) -> __m512 {
        // SAFETY: the token proves AVX-512; memory by contract.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(p.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_i8(self, p: *const i8) -> __m512 {
        // SAFETY: the token proves AVX-512; memory by contract.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p.cast()))) }
    }
    #[inline(always)]
    unsafe fn store_bytes(self, p: *mut u8, x: __m512) {
        // SAFETY: the token proves AVX-512; memory by contract.
        unsafe { _mm_storeu_si128(p.cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x))) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_max_ps(a, b) }
    }
}
