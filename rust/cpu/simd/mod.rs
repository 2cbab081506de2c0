//! One small SIMD trait. A token proves that the instruction set is present: only detection makes one, so its methods
//! are safe; loads and stores take pointers and are not. Kernels are generic over [`Simd`], `#[inline(always)]`, and
//! entered through [`dispatch`], whose per-ISA functions carry the `#[target_feature]`.

pub mod dot;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;
#[cfg(target_arch = "x86_64")]
mod x86_dot;

pub(crate) use scalar::round_bf16;
use std::sync::OnceLock;

/// A vector instruction set, as a token.
pub trait Simd: Copy + Send + Sync + 'static {
    /// f32 values per vector.
    const LANES: usize;
    /// Vector registers that a kernel may count on.
    const REGISTERS: usize;
    /// Vector of f32.
    type F: Copy;
    /// One truth value per lane.
    type M: Copy;
    /// One byte per lane, in whatever width the instruction set looks up and compares.
    type I: Copy;

    /// All lanes equal.
    fn splat(self, x: f32) -> Self::F;
    /// `LANES` values from memory, any alignment.
    ///
    /// # Safety
    /// `p..p+LANES` is readable.
    unsafe fn load(self, p: *const f32) -> Self::F;
    /// The first `n < LANES` values from memory, the rest zero; memory past them is not touched.
    ///
    /// # Safety
    /// `p..p+n` is readable.
    unsafe fn load_partial(self, p: *const f32, n: usize) -> Self::F;
    /// `LANES` values to memory, any alignment.
    ///
    /// # Safety
    /// `p..p+LANES` is writable.
    unsafe fn store(self, p: *mut f32, x: Self::F);
    /// The first `n < LANES` values to memory; memory past them is not touched.
    ///
    /// # Safety
    /// `p..p+n` is writable.
    unsafe fn store_partial(self, p: *mut f32, x: Self::F, n: usize);

    /// `a + b`
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a - b`
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b`
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a / b`
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// Square root.
    fn sqrt(self, a: Self::F) -> Self::F;
    /// The x86 minimum: `a < b ? a : b`, so `b` where either is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// The x86 maximum: `a > b ? a : b`, so `b` where either is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// Toward −∞.
    fn floor(self, a: Self::F) -> Self::F;
    /// Toward +∞.
    fn ceil(self, a: Self::F) -> Self::F;
    /// To nearest, ties to even.
    fn round(self, a: Self::F) -> Self::F;
    /// The nearest value with the 8 significant bits of a bfloat16, ties to even; NaN stays NaN, quiet, with the upper
    /// half of its bits.
    fn bf16(self, a: Self::F) -> Self::F;
    /// Sign bit cleared.
    fn abs(self, a: Self::F) -> Self::F;
    /// Bitwise operations on the representation.
    fn and(self, a: Self::F, b: Self::F) -> Self::F;
    /// Bitwise or.
    fn or(self, a: Self::F, b: Self::F) -> Self::F;
    /// Bitwise exclusive or.
    fn xor(self, a: Self::F, b: Self::F) -> Self::F;
    /// `2^k` for whole `k` in −126..=127 (given as floats), by placing the exponent.
    fn exp2i(self, k: Self::F) -> Self::F;
    /// Exponent (as float) and mantissa in `[√½, √2)` of positive normal values.
    fn frexp(self, x: Self::F) -> (Self::F, Self::F);

    /// `a == b`, false for NaN.
    fn eq(self, a: Self::F, b: Self::F) -> Self::M;
    /// `a < b`, false for NaN.
    fn lt(self, a: Self::F, b: Self::F) -> Self::M;
    /// `a <= b`, false for NaN.
    fn le(self, a: Self::F, b: Self::F) -> Self::M;
    /// `a` where the mask is set, else `b`.
    fn select(self, m: Self::M, a: Self::F, b: Self::F) -> Self::F;

    /// Truth values as bits, lane 0 lowest.
    fn bits(self, m: Self::M) -> u32;
    /// `LANES` bytes from memory.
    ///
    /// # Safety
    /// `p..p+LANES` is readable.
    unsafe fn load_bytes(self, p: *const u8) -> Self::I;
    /// The first `n < LANES` bytes from memory, the rest zero; memory past them is not touched.
    ///
    /// # Safety
    /// `p..p+n` is readable.
    unsafe fn load_bytes_partial(self, p: *const u8, n: usize) -> Self::I;
    /// The lowest byte of each lane's bits to memory.
    ///
    /// # Safety
    /// `p..p+LANES` is writable.
    #[inline(always)]
    unsafe fn store_bytes(self, p: *mut u8, x: Self::F) {
        const { assert!(Self::LANES <= 16) };
        let mut lanes = [0.0f32; 16];
        // SAFETY: the array holds a vector; `p` is writable by contract.
        unsafe {
            self.store(lanes.as_mut_ptr(), x);
            for l in 0..Self::LANES {
                *p.add(l) = lanes[l].to_bits() as u8;
            }
        }
    }
    /// Whether a lane's byte is `b`.
    fn bytes_eq(self, a: Self::I, b: u8) -> Self::M;
    /// Writes `first + lane` for each set bit, one after another, and returns how many.
    ///
    /// # Safety
    /// `p..p+LANES` is writable, whatever the number of bits: what follows the values written is overwritten too.
    unsafe fn store_lane_numbers(self, bits: u32, first: u32, p: *mut u32) -> usize;
    /// Four values from memory, repeated in every group of four lanes.
    ///
    /// # Safety
    /// `p..p+4` is readable.
    unsafe fn broadcast4(self, p: *const f32) -> Self::F;
    /// Lane by lane, element `i mod 4` of the lane's group of four.
    fn lookup4(self, table: Self::F, i: Self::I) -> Self::F;
    /// Four vectors element by element: `p[4 i + k] = v[k][i]`.
    ///
    /// # Safety
    /// `p..p+4*LANES` is writable.
    unsafe fn store_interleaved4(self, p: *mut f32, v: [Self::F; 4]);

    /// Sum of all lanes, in one fixed tree: halves added until one value is left.
    fn reduce_add(self, a: Self::F) -> f32;
    /// Largest lane; lanes are not NaN.
    fn reduce_max(self, a: Self::F) -> f32;
}

/// Asks for the cache lines of `len` values from `p`, which will be read or written soon. A hint, of no other effect: nothing
/// where the instruction set has no word for it.
#[inline(always)]
pub(crate) fn prefetch<T>(p: *const T, len: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        const LINE: usize = 64;
        let skew = p.addr() % LINE;
        for line in (0..skew + len * size_of::<T>()).step_by(LINE) {
            // SAFETY: part of every x86-64 processor; no address is invalid for it.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(p.wrapping_byte_sub(skew).wrapping_byte_add(line).cast()) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (p, len);
}

/// Work that is generic over the instruction set. `run` must be `#[inline(always)]`, as must all it calls with `S`.
pub trait Kernel {
    /// What the work returns.
    type Output;
    /// The work.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// The instruction sets this build knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust, four lanes.
    Scalar,
    /// Armv8 NEON.
    Neon,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512 F, BW, DQ, VL.
    Avx512,
}

impl Isa {
    /// Names as `OXICONV_ISA` takes them.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// f32 values per vector.
    pub const fn lanes(self) -> usize {
        match self {
            Self::Scalar | Self::Neon => 4,
            Self::Avx2 => 8,
            Self::Avx512 => 16,
        }
    }

    /// The same, or the narrower x86 kind if its vectors hold `values`: as fast, and faster where units are that wide.
    #[must_use]
    pub(crate) fn holding(self, values: usize) -> Self {
        if self == Self::Avx512 && values <= Self::Avx2.lanes() { Self::Avx2 } else { self }
    }

    /// Whether this machine has it.
    pub fn is_present(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => ["avx512f", "avx512bw", "avx512dq", "avx512vl"].iter().all(|f| match *f {
                "avx512f" => is_x86_feature_detected!("avx512f"),
                "avx512bw" => is_x86_feature_detected!("avx512bw"),
                "avx512dq" => is_x86_feature_detected!("avx512dq"),
                _ => is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("fma"),
            }),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            #[allow(unreachable_patterns, reason = "which arms are reachable depends on the target")]
            _ => false,
        }
    }

    /// All that this machine has, best last.
    pub fn all_present() -> Vec<Self> {
        [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512].into_iter().filter(|i| i.is_present()).collect()
    }

    /// The instruction set in use: the best present, or the one named by `OXICONV_ISA`, decided once per process.
    ///
    /// # Panics
    /// If `OXICONV_ISA` names one that is unknown or absent. Front ends call [`Isa::from_env`] first and report it.
    pub fn active() -> Self {
        static ACTIVE: OnceLock<Isa> = OnceLock::new();
        *ACTIVE.get_or_init(|| Self::from_env().unwrap_or_else(|message| panic!("{message}")))
    }

    /// The choice that [`Isa::active`] will make, or what is wrong with `OXICONV_ISA`.
    pub fn from_env() -> Result<Self, String> {
        let present = Self::all_present();
        let best = present[present.len() - 1];
        match std::env::var("OXICONV_ISA") {
            Err(_) => Ok(best),
            Ok(name) if name.is_empty() => Ok(best),
            Ok(name) => present.iter().copied().find(|i| i.name() == name).ok_or_else(|| {
                let names: Vec<_> = present.iter().map(|i| i.name()).collect();
                format!("OXICONV_ISA: expected one of {names:?} (present on this machine), got {name:?}")
            }),
        }
    }
}

/// Runs `kernel` with the token of `isa`.
///
/// # Panics
/// If the machine lacks `isa`.
pub fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    assert!(isa.is_present(), "{} is not present", isa.name());
    match isa {
        Isa::Scalar => kernel.run(scalar::Scalar),
        // SAFETY: presence was asserted.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { x86::run_avx2(kernel) },
        // SAFETY: presence was asserted.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { x86::run_avx512(kernel) },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => kernel.run(neon::Neon::new()),
        #[allow(unreachable_patterns, reason = "which arms are reachable depends on the target")]
        _ => unreachable!("absent instruction set"),
    }
}

#[cfg(test)]
mod tests;
