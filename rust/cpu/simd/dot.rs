//! Vectors for products of bytes: sums of four products of an unsigned with a signed byte in each int32 lane, exact on
//! every instruction set, and what scales the sums and stores them as bytes. Tokens as those of [`Simd`](super::Simd),
//! but with kinds of their own: AVX-512 has the products since VNNI only.

use super::Isa;
use std::array::from_fn;

/// A vector instruction set for products of bytes, as a token.
pub trait Dot: Copy + Send + Sync + 'static {
    /// int32 or float32 values per vector.
    const LANES: usize;
    /// Positions and vectors of a register tile.
    const TILE: (usize, usize);
    /// Vector of int32.
    type N: Copy;
    /// Vector of float32.
    type F: Copy;
    /// Four unsigned bytes, for all lanes.
    type X: Copy;
    /// Four signed bytes in each lane.
    type W: Copy;

    /// `LANES` sums from memory.
    ///
    /// # Safety
    /// `p..p+LANES` is readable.
    unsafe fn load_sums(self, p: *const i32) -> Self::N;
    /// `LANES` sums to memory.
    ///
    /// # Safety
    /// `p..p+LANES` is writable.
    unsafe fn store_sums(self, p: *mut i32, x: Self::N);
    /// Four bytes from memory.
    ///
    /// # Safety
    /// `p..p+4` is readable.
    unsafe fn bytes(self, p: *const u8) -> Self::X;
    /// Four signed bytes for each lane.
    ///
    /// # Safety
    /// `p..p+4*LANES` is readable.
    unsafe fn weights(self, p: *const i8) -> Self::W;
    /// `sums + x₀w₀ + x₁w₁ + x₂w₂ + x₃w₃`, wrapping.
    fn dot(self, sums: Self::N, x: Self::X, w: Self::W) -> Self::N;

    /// All lanes equal.
    fn splat(self, x: f32) -> Self::F;
    /// Rounded to float32.
    fn float(self, x: Self::N) -> Self::F;
    /// `LANES` values from memory.
    ///
    /// # Safety
    /// `p..p+LANES` is readable.
    unsafe fn load(self, p: *const f32) -> Self::F;
    /// `LANES` values to memory.
    ///
    /// # Safety
    /// `p..p+LANES` is writable.
    unsafe fn store(self, p: *mut f32, x: Self::F);
    /// `LANES` bytes from memory, as floats.
    ///
    /// # Safety
    /// `p..p+LANES` is readable.
    unsafe fn load_u8(self, p: *const u8) -> Self::F;
    /// `LANES` signed bytes from memory, as floats.
    ///
    /// # Safety
    /// `p..p+LANES` is readable.
    unsafe fn load_i8(self, p: *const i8) -> Self::F;
    /// Values to memory, rounded to the nearest integer (ties to even), of which the lowest byte: 0 of NaN.
    ///
    /// # Safety
    /// `p..p+LANES` is writable.
    unsafe fn store_bytes(self, p: *mut u8, x: Self::F);
    /// `a + b`
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a · b`
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// The x86 minimum: `a < b ? a : b`, so `b` where either is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// The x86 maximum: `a > b ? a : b`, so `b` where either is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
}

/// Work that is generic over [`Dot`]. `run` must be `#[inline(always)]`, as must all it calls with `D`.
pub trait DotKernel {
    /// The work.
    fn run<D: Dot>(self, d: D);
}

/// The kinds of vectors for products of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DotIsa {
    /// Plain Rust, eight lanes.
    Scalar,
    /// AVX2: bytes widened to 16 bits, whose products it adds in pairs.
    Avx2,
    /// AVX-512 with VNNI.
    Vnni,
}

impl DotIsa {
    /// The best kind within an instruction set on this machine.
    pub fn of(isa: Isa) -> Self {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if is_x86_feature_detected!("avx512vnni") => Self::Vnni,
            Isa::Avx512 | Isa::Avx2 => Self::Avx2,
            Isa::Scalar | Isa::Neon => Self::Scalar,
        }
    }

    /// int32 values per vector.
    pub const fn lanes(self) -> usize {
        match self {
            Self::Scalar => <Scalar as Dot>::LANES,
            Self::Avx2 => 8,
            Self::Vnni => 16,
        }
    }

    /// Positions and vectors of a register tile.
    pub const fn tile(self) -> (usize, usize) {
        match self {
            Self::Scalar => <Scalar as Dot>::TILE,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => <super::x86_dot::Avx2 as Dot>::TILE,
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => <super::x86_dot::Vnni as Dot>::TILE,
            #[cfg(not(target_arch = "x86_64"))]
            _ => panic!("an instruction set of another architecture"),
        }
    }

    /// Name in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Vnni => "vnni",
        }
    }
}

/// Runs `kernel` with the token of the best kind within `isa`.
///
/// # Panics
/// If the machine lacks `isa`.
pub fn dispatch_dot<K: DotKernel>(isa: Isa, kernel: K) {
    assert!(isa.is_present(), "{} is not present", isa.name());
    match DotIsa::of(isa) {
        DotIsa::Scalar => kernel.run(Scalar),
        // SAFETY: `isa` is present, and it is AVX2 or includes it.
        #[cfg(target_arch = "x86_64")]
        DotIsa::Avx2 => unsafe { super::x86_dot::run_avx2(kernel) },
        // SAFETY: AVX-512 is present, and VNNI was detected.
        #[cfg(target_arch = "x86_64")]
        DotIsa::Vnni => unsafe { super::x86_dot::run_vnni(kernel) },
        #[cfg(not(target_arch = "x86_64"))]
        _ => unreachable!("an instruction set of another architecture"),
    }
}

/// Plain Rust: the definition.
#[derive(Clone, Copy)]
struct Scalar;

impl Dot for Scalar {
    const LANES: usize = 8;
    const TILE: (usize, usize) = (2, 1);
    type N = [i32; 8];
    type F = [f32; 8];
    type X = [u8; 4];
    type W = [[i8; 4]; 8];

    #[inline(always)]
    unsafe fn load_sums(self, p: *const i32) -> [i32; 8] {
        // SAFETY: eight values are readable by contract.
        unsafe { p.cast::<[i32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store_sums(self, p: *mut i32, x: [i32; 8]) {
        // SAFETY: eight values are writable by contract.
        unsafe { p.cast::<[i32; 8]>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn bytes(self, p: *const u8) -> [u8; 4] {
        // SAFETY: four bytes are readable by contract.
        unsafe { p.cast::<[u8; 4]>().read() }
    }
    #[inline(always)]
    unsafe fn weights(self, p: *const i8) -> [[i8; 4]; 8] {
        // SAFETY: 32 bytes are readable by contract.
        unsafe { p.cast::<[[i8; 4]; 8]>().read() }
    }
    #[inline(always)]
    fn dot(self, sums: [i32; 8], x: [u8; 4], w: [[i8; 4]; 8]) -> [i32; 8] {
        from_fn(|l| (0..4).fold(sums[l], |sum, j| sum.wrapping_add(i32::from(x[j]) * i32::from(w[l][j]))))
    }

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; 8] {
        [x; 8]
    }
    #[inline(always)]
    fn float(self, x: [i32; 8]) -> [f32; 8] {
        x.map(|x| x as f32)
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> [f32; 8] {
        // SAFETY: eight values are readable by contract.
        unsafe { p.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: [f32; 8]) {
        // SAFETY: eight values are writable by contract.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8) -> [f32; 8] {
        // SAFETY: eight bytes are readable by contract.
        unsafe { p.cast::<[u8; 8]>().read() }.map(f32::from)
    }
    #[inline(always)]
    unsafe fn load_i8(self, p: *const i8) -> [f32; 8] {
        // SAFETY: eight bytes are readable by contract.
        unsafe { p.cast::<[i8; 8]>().read() }.map(f32::from)
    }
    #[inline(always)]
    unsafe fn store_bytes(self, p: *mut u8, x: [f32; 8]) {
        // SAFETY: eight bytes are writable by contract.
        unsafe { p.cast::<[u8; 8]>().write(x.map(|x| x.round_ties_even() as i32 as u8)) }
    }
    #[inline(always)]
    fn add(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        from_fn(|l| a[l] + b[l])
    }
    #[inline(always)]
    fn mul(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        from_fn(|l| a[l] * b[l])
    }
    #[inline(always)]
    fn min(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        from_fn(|l| if a[l] < b[l] { a[l] } else { b[l] })
    }
    #[inline(always)]
    fn max(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        from_fn(|l| if a[l] > b[l] { a[l] } else { b[l] })
    }
}
