//! Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11) and the distributions of
//! [`Op::Random`](crate::Op::Random).

use crate::op::Dist;
use std::f64::consts::TAU;

/// One block of four words.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let p = u64::from(counter[0]) * 0xD251_1F53;
        let q = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [(q >> 32) as u32 ^ counter[1] ^ key[0], q as u32, (p >> 32) as u32 ^ counter[3] ^ key[1], p as u32];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

pub(super) fn fill(dist: Dist, state: &[f64], out: &mut [f64]) {
    let (seed, count) = (state[0] as i32 as u32, state[1] as i32 as u32);
    for (i, v) in out.iter_mut().enumerate() {
        let block = (i / 4) as u64;
        let words = philox([block as u32, (block >> 32) as u32, count, 0], [seed, 0]);
        let unit = |word: u32| f64::from(word >> 8) / f64::from(1 << 24);
        *v = match dist {
            Dist::Uniform => unit(words[i % 4]),
            Dist::Normal => {
                let pair = &words[i % 4 / 2 * 2..][..2];
                let radius = (-2.0 * (unit(pair[0]) + 1.0 / f64::from(1 << 24)).ln()).sqrt();
                let angle = TAU * unit(pair[1]);
                radius * if i % 2 == 0 { angle.cos() } else { angle.sin() }
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
    #[test]
    fn known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        assert_eq!(
            philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }

    /// Means of 100 000 draws: within five standard errors of the distribution's.
    #[test]
    fn moments() {
        let mut draws = vec![0.0; 100_000];
        let mean = |draws: &[f64], f: fn(f64) -> f64| draws.iter().map(|&v| f(v)).sum::<f64>() / draws.len() as f64;
        fill(Dist::Uniform, &[7.0, 1.0], &mut draws);
        assert!((mean(&draws, |v| v) - 0.5).abs() < 5.0 * (1.0f64 / 12.0 / 1e5).sqrt());
        assert!(draws.iter().all(|v| (0.0..1.0).contains(v)));
        fill(Dist::Normal, &[7.0, 2.0], &mut draws);
        assert!(mean(&draws, |v| v).abs() < 5.0 * (1.0f64 / 1e5).sqrt());
        // The variance of a squared normal is 2.
        assert!((mean(&draws, |v| v * v) - 1.0).abs() < 5.0 * (2.0f64 / 1e5).sqrt());
    }
}
