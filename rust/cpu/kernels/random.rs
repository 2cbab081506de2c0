//! Counter-based random numbers: Philox 4x32 with 10 rounds (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2,
//! 3", SC 2011). Element `i` is a function of the state and of `i`, so any slice can be made by anybody.

use oxiconv_ir::op::Dist;

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// Key increments: the golden ratio and √3 − 1.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// The block cipher: four words of counter and two of key to four words.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let a = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let b = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32];
    }
    counter
}

/// Elements `first..first + out.len()` of the stream of `state` = (seed, counter).
pub fn fill(dist: Dist, state: [i32; 2], first: u64, out: &mut [f32]) {
    let mut i = 0;
    while i < out.len() {
        let element = first + i as u64;
        let block = element / 4;
        // The stream's position in the low words, the state's counter in the third.
        let words = philox([block as u32, (block >> 32) as u32, state[1] as u32, 0], [state[0] as u32, 0]);
        let four = match dist {
            Dist::Uniform => words.map(uniform),
            Dist::Normal => normal(words),
        };
        let skip = (element % 4) as usize;
        let n = (4 - skip).min(out.len() - i);
        out[i..i + n].copy_from_slice(&four[skip..skip + n]);
        i += n;
    }
}

/// The upper 24 bits, as a multiple of 2⁻²⁴ in `[0, 1)`: every value is exact.
fn uniform(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Box–Muller on two pairs of words, as [`Dist::Normal`] defines it.
fn normal(words: [u32; 4]) -> [f32; 4] {
    const UNIT: f64 = 1.0 / 16_777_216.0;
    let pair = |a: u32, b: u32| {
        let u = (f64::from(a >> 8) + 1.0) * UNIT;
        let radius = (-2.0 * u.ln()).sqrt();
        let (sin, cos) = (f64::from(b >> 8) * UNIT * std::f64::consts::TAU).sin_cos();
        ((radius * cos) as f32, (radius * sin) as f32)
    };
    let (a, b) = pair(words[0], words[1]);
    let (c, d) = pair(words[2], words[3]);
    [a, b, c, d]
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
            fill(dist, [7, 3], 0, &mut whole);
            for (start, len) in [(0, 1), (1, 2), (3, 100), (50, 53), (102, 1)] {
                let mut part = vec![0.0; len];
                fill(dist, [7, 3], start as u64, &mut part);
                assert_eq!(part, whole[start..start + len]);
            }
            let mut other = [0.0; 103];
            fill(dist, [7, 4], 0, &mut other);
            assert_ne!(whole, other, "the counter matters");
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
            fill(dist, [42, 0], 0, &mut x);
            let m = x.iter().map(|v| f64::from(*v)).sum::<f64>() / n as f64;
            let v = x.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n as f64;
            assert!((m - mean).abs() < 5.0 * (variance / n as f64).sqrt(), "{dist:?}: mean {m}");
            assert!(
                (v - variance).abs() < 5.0 * ((fourth - variance * variance) / n as f64).sqrt(),
                "{dist:?}: variance {v}"
            );
        }
        let mut x = vec![0.0f32; n];
        fill(Dist::Uniform, [1, 1], 0, &mut x);
        assert!(x.iter().all(|v| (0.0..1.0).contains(v)));
    }
}
