//! The operations that kernels combine lane by lane, against plain Rust, on every instruction set present.

use super::{Isa, Kernel, Simd, dispatch};

struct Lanes;

impl Kernel for Lanes {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let bytes: Vec<u8> = (0..S::LANES as u8).map(|i| (i * 7 + 3) % 5).collect();
        let values: Vec<f32> = (0..4 * S::LANES).map(|i| i as f32).collect();
        // SAFETY: all pointers are to the start of arrays of at least the lengths that the operations ask for.
        unsafe {
            let i = s.load_bytes(bytes.as_ptr());
            for b in 0..6 {
                let bits = s.bits(s.bytes_eq(i, b));
                let expected: Vec<u32> = (0..S::LANES as u32).filter(|l| bytes[*l as usize] == b).collect();
                assert_eq!(bits, expected.iter().map(|l| 1 << l).sum::<u32>());
                let mut numbers = vec![0; S::LANES];
                let n = s.store_lane_numbers(bits, 100, numbers.as_mut_ptr());
                assert_eq!(numbers[..n], expected.iter().map(|l| l + 100).collect::<Vec<_>>()[..]);
            }
            let positions: Vec<f32> = bytes.iter().map(|b| f32::from_bits(0x1200 + u32::from(*b))).collect();
            let mut low = vec![255; S::LANES];
            s.store_bytes(low.as_mut_ptr(), s.load(positions.as_ptr()));
            assert_eq!(low, bytes);
            for n in 0..S::LANES {
                let part = s.load_bytes_partial(bytes.as_ptr(), n);
                let expected = (0..S::LANES).filter(|l| *l < n && bytes[*l] == 4).map(|l| 1 << l).sum::<u32>();
                assert_eq!(s.bits(s.bytes_eq(part, 4)), expected);
            }
            for n in 0..S::LANES {
                let mut part = vec![-1.0; S::LANES];
                s.store_partial(part.as_mut_ptr(), s.load(values[1..].as_ptr()), n);
                let expected: Vec<f32> = (0..S::LANES).map(|l| if l < n { values[1 + l] } else { -1.0 }).collect();
                assert_eq!(part, expected);
                s.store(part.as_mut_ptr(), s.load_partial(values[1..].as_ptr(), n));
                let expected: Vec<f32> = (0..S::LANES).map(|l| if l < n { values[1 + l] } else { 0.0 }).collect();
                assert_eq!(part, expected);
            }
            let halves: Vec<u16> = (0..S::LANES as u16).map(|i| 0x3f80 ^ i.wrapping_mul(0x1357)).collect();
            for n in 0..=S::LANES {
                let mut wide = vec![-1.0; S::LANES];
                let part =
                    if n == S::LANES { s.load_bf16(halves.as_ptr()) } else { s.load_bf16_partial(halves.as_ptr(), n) };
                s.store(wide.as_mut_ptr(), part);
                for (l, w) in wide.iter().enumerate() {
                    assert_eq!(w.to_bits(), if l < n { u32::from(halves[l]) << 16 } else { 0 });
                }
            }
            let mut found = vec![0.0; S::LANES];
            s.store(found.as_mut_ptr(), s.lookup4(s.broadcast4(values[1..].as_ptr()), i));
            let expected: Vec<f32> = bytes.iter().map(|b| 1.0 + f32::from(b % 4)).collect();
            assert_eq!(found, expected);

            let v = std::array::from_fn(|k| s.load(values[k * S::LANES..].as_ptr()));
            let mut mixed = vec![0.0; 4 * S::LANES];
            s.store_interleaved4(mixed.as_mut_ptr(), v);
            for i in 0..S::LANES {
                for k in 0..4 {
                    assert_eq!(mixed[4 * i + k], values[k * S::LANES + i]);
                }
            }
        }
    }
}

#[test]
fn lanes() {
    for isa in Isa::all_present() {
        dispatch(isa, Lanes);
    }
}
