//! Counter-based random numbers: Philox 4x32 with 10 rounds (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2,
//! 3", SC 2011). Element `i` is a function of the state and of `i`, so any slice can be made by anybody.

use crate::math;
use crate::simd::{Isa, Kernel, Simd, dispatch};
use oxiconv_ir::op::Dist;

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// Key increments: the golden ratio and √3 − 1.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// One round of the cipher.
#[inline(always)]
fn round(c: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let a = u64::from(MULTIPLIERS[0]) * u64::from(c[0]);
    let b = u64::from(MULTIPLIERS[1]) * u64::from(c[2]);
    [(b >> 32) as u32 ^ c[1] ^ key[0], b as u32, (a >> 32) as u32 ^ c[3] ^ key[1], a as u32]
}

#[inline(always)]
fn next_key(key: [u32; 2]) -> [u32; 2] {
    [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])]
}

/// The block cipher: four words of counter and two of key to four words.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        counter = round(counter, key);
        key = next_key(key);
    }
    counter
}

/// Blocks made together: a loop over them is vectorized by the compiler, a shorter one would be unrolled instead.
const BLOCKS: usize = 64;

/// Elements `first..first + out.len()` of the stream of `state` = (seed, counter).
pub fn fill(isa: Isa, dist: Dist, state: [i32; 2], first: u64, out: &mut [f32]) {
    dispatch(isa, Fill { dist, state, first, out });
}

struct Fill<'a> {
    dist: Dist,
    state: [i32; 2],
    first: u64,
    out: &'a mut [f32],
}

impl Kernel for Fill<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        const { assert!(BLOCKS.is_multiple_of(S::LANES)) };
        let mut done = 0;
        while done < self.out.len() {
            let element = self.first + done as u64;
            let words = blocks(element / 4, self.state);
            // Integers below 2^24: exact as floats.
            let mut values = [[0.0; BLOCKS]; 4];
            for w in 0..4 {
                for b in 0..BLOCKS {
                    values[w][b] = (words[w][b] >> 8) as i32 as f32;
                }
            }
            for i in (0..BLOCKS).step_by(S::LANES) {
                let [a, b, c, d] = &mut values;
                match self.dist {
                    Dist::Uniform => {
                        for v in [a, b, c, d] {
                            // SAFETY: whole vectors of the array.
                            unsafe { s.store(v[i..].as_mut_ptr(), s.mul(s.load(v[i..].as_ptr()), s.splat(UNIT))) }
                        }
                    }
                    Dist::Normal => {
                        for (u, v) in [(a, b), (c, d)] {
                            // SAFETY: whole vectors of the arrays.
                            unsafe {
                                let (x, y) = normal(s, s.load(u[i..].as_ptr()), s.load(v[i..].as_ptr()));
                                s.store(u[i..].as_mut_ptr(), x);
                                s.store(v[i..].as_mut_ptr(), y);
                            }
                        }
                    }
                }
            }
            let mut stream = [0.0; 4 * BLOCKS];
            for i in (0..BLOCKS).step_by(S::LANES) {
                // SAFETY: whole vectors of the arrays, and four of them in the stream.
                unsafe {
                    let words = [0, 1, 2, 3].map(|w: usize| s.load(values[w][i..].as_ptr()));
                    s.store_interleaved4(stream[4 * i..].as_mut_ptr(), words);
                }
            }
            let skip = (element % 4) as usize;
            let n = (stream.len() - skip).min(self.out.len() - done);
            self.out[done..done + n].copy_from_slice(&stream[skip..skip + n]);
            done += n;
        }
    }
}

/// The words of blocks `first..first + BLOCKS`: word `w` of block `b` is `[w][b]`. The stream's position is in the low
/// words of the counter, the state's counter in the third.
///
/// Words are the lower halves of 64 bits, as vectors multiply them; what products leave in the upper halves is never
/// read.
#[inline(always)]
fn blocks(first: u64, state: [i32; 2]) -> [[u32; BLOCKS]; 4] {
    let low = |x: u64| x & u64::from(u32::MAX);
    let mut words = [[0; BLOCKS]; 4];
    for b in 0..BLOCKS {
        let at = first + b as u64;
        let mut c = [at, at >> 32, u64::from(state[1] as u32), 0];
        let mut key = [state[0] as u32, 0];
        for _ in 0..10 {
            let x = u64::from(MULTIPLIERS[0]) * low(c[0]);
            let y = u64::from(MULTIPLIERS[1]) * low(c[2]);
            c = [(y >> 32) ^ c[1] ^ u64::from(key[0]), y, (x >> 32) ^ c[3] ^ u64::from(key[1]), x];
            key = next_key(key);
        }
        for w in 0..4 {
            words[w][b] = c[w] as u32;
        }
    }
    words
}

/// The step of the upper 24 bits of a word, as a fraction.
const UNIT: f32 = 1.0 / 16_777_216.0;

/// Box–Muller on two words' upper 24 bits, as [`Dist::Normal`] defines it, each within 4 ULP.
#[inline(always)]
fn normal<S: Simd>(s: S, a: S::F, b: S::F) -> (S::F, S::F) {
    let u = s.mul(s.add(a, s.splat(1.0)), s.splat(UNIT));
    let radius = s.sqrt(s.mul(math::log(s, u), s.splat(-2.0)));
    let (sin, cos) = math::sin_cos_of_turns(s, s.mul(b, s.splat(UNIT)));
    (s.mul(radius, cos), s.mul(radius, sin))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that are published with the reference implementation (Random123, `kat_vectors`).
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox([!0; 4], [!0; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        assert_eq!(
            philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }

    #[test]
    fn slices_are_those_of_the_whole() {
        for dist in [Dist::Uniform, Dist::Normal] {
            let mut whole = [0.0; 103];
            fill(Isa::active(), dist, [7, 3], 0, &mut whole);
            for (start, len) in [(0, 1), (1, 2), (3, 100), (50, 53), (102, 1)] {
                let mut part = vec![0.0; len];
                fill(Isa::active(), dist, [7, 3], start as u64, &mut part);
                assert_eq!(part, whole[start..start + len]);
            }
            let mut other = [0.0; 103];
            fill(Isa::active(), dist, [7, 4], 0, &mut other);
            assert_ne!(whole, other, "the counter matters");
        }
    }

    /// The definition of the distributions in f64, on the cipher's words one by one; the same bits everywhere.
    #[test]
    fn elements_are_those_of_the_definition() {
        let first = (1u64 << 34) - 100;
        for dist in [Dist::Uniform, Dist::Normal] {
            let mut reference = vec![0.0f32; 5000];
            fill(Isa::Scalar, dist, [-5, 77], first, &mut reference);
            for (i, &got) in reference.iter().enumerate() {
                let element = first + i as u64;
                let block = element / 4;
                let words = philox([block as u32, (block >> 32) as u32, 77, 0], [-5i32 as u32, 0]);
                let fraction = |w: usize, plus: u32| f64::from((words[w] >> 8) + plus) / 16_777_216.0;
                let w = (element % 4) as usize;
                if dist == Dist::Uniform {
                    assert_eq!(f64::from(got), fraction(w, 0));
                    continue;
                }
                let radius = (-2.0 * fraction(w & 2, 1).ln()).sqrt();
                let (sin, cos) = (fraction(w | 1, 0) * std::f64::consts::TAU).sin_cos();
                let want = radius * if w.is_multiple_of(2) { cos } else { sin };
                // 2 ULP of log halved by the root, 1/2 for the root, 2 of the sine, 1/2 for the product: below 4
                // units of the wanted value, each at most 2^-23 of it.
                assert!((f64::from(got) - want).abs() <= 4.0 * 2f64.powi(-23) * want.abs(), "{got}, want {want}");
            }
            for isa in Isa::all_present() {
                let mut other = vec![0.0f32; 5000];
                fill(isa, dist, [-5, 77], first, &mut other);
                assert!(other.iter().zip(&reference).all(|(a, b)| a.to_bits() == b.to_bits()), "{}", isa.name());
            }
        }
    }

    /// Mean and variance of 2²⁰ draws within five standard errors of the distributions'.
    #[test]
    fn moments() {
        let n = 1 << 20;
        for (dist, mean, variance, fourth) in
            [(Dist::Uniform, 0.5, 1.0 / 12.0, 1.0 / 80.0), (Dist::Normal, 0.0, 1.0, 3.0)]
        {
            let mut x = vec![0.0f32; n];
            fill(Isa::active(), dist, [42, 0], 0, &mut x);
            let m = x.iter().map(|v| f64::from(*v)).sum::<f64>() / n as f64;
            let v = x.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n as f64;
            assert!((m - mean).abs() < 5.0 * (variance / n as f64).sqrt(), "{dist:?}: mean {m}");
            assert!(
                (v - variance).abs() < 5.0 * ((fourth - variance * variance) / n as f64).sqrt(),
                "{dist:?}: variance {v}"
            );
        }
        let mut x = vec![0.0f32; n];
        fill(Isa::active(), Dist::Uniform, [1, 1], 0, &mut x);
        assert!(x.iter().all(|v| (0.0..1.0).contains(v)));
    }
}
