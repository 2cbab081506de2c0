//! Sorting rows by position.

/// Values in an order that keys have too.
pub trait Ranked: Copy {
    /// The value's rank, and its position in the lower 32 bits: no two keys of a row are equal, so that a sort which
    /// need not be stable will do.
    type Key: Copy + Ord;
    /// Orders as the value does, then by position. NaNs are equal and last, zeros of either sign are equal.
    fn key(self, position: u32) -> Self::Key;
    /// The position in a key.
    fn position(key: Self::Key) -> i32;
}

/// A key of a rank of 32 bits.
macro_rules! narrow_key {
    ($t:ident, $value:ident => $rank:expr) => {
        impl Ranked for $t {
            type Key = u64;
            fn key(self, position: u32) -> u64 {
                let $value = self;
                let rank: u32 = $rank;
                u64::from(rank) << 32 | u64::from(position)
            }
            fn position(key: u64) -> i32 {
                key as i32
            }
        }
    };
}

const NEGATIVE: u32 = 1 << 31;

narrow_key!(f32, x => {
    // From the bits alone: flushing subnormals must not make different values equal.
    match x.to_bits() {
        _ if x.is_nan() => u32::MAX,
        NEGATIVE => NEGATIVE,
        bits if bits & NEGATIVE == 0 => bits | NEGATIVE,
        bits => !bits,
    }
});
narrow_key!(i32, x => x as u32 ^ NEGATIVE);
narrow_key!(i8, x => i32::from(x) as u32 ^ NEGATIVE);
narrow_key!(u8, x => x.into());

impl Ranked for i64 {
    type Key = u128;
    fn key(self, position: u32) -> u128 {
        u128::from(self as u64 ^ 1 << 63) << 32 | u128::from(position)
    }
    fn position(key: u128) -> i32 {
        key as i32
    }
}

/// For each row of `n` elements, their positions in ascending order, equal ones in their own. `keys` is scratch for
/// one row.
///
/// # Panics
/// If the lengths do not fit.
pub fn argsort<T: Ranked>(n: usize, x: &[T], keys: &mut [T::Key], out: &mut [i32]) {
    assert!(x.len() == out.len() && keys.len() == n, "argsort of {} in rows of {n}", x.len());
    if n == 0 {
        return;
    }
    for (row, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
        for (i, (key, v)) in keys.iter_mut().zip(row).enumerate() {
            *key = v.key(i as u32);
        }
        keys.sort_unstable();
        for (place, key) in out.iter_mut().zip(&*keys) {
            *place = T::position(*key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted<T: Ranked>(n: usize, x: &[T]) -> Vec<i32> {
        let mut out = vec![-1; x.len()];
        let key = x.first().map(|v| v.key(0));
        argsort(n, x, &mut key.map_or_else(Vec::new, |k| vec![k; n]), &mut out);
        out
    }

    #[test]
    fn floats_in_order_of_value() {
        let tiny = f32::from_bits(1);
        let x = [f32::NAN, 1.0, 0.0, -tiny, f32::INFINITY, -0.0, tiny, f32::NEG_INFINITY, -1.0, -f32::NAN, 1.0];
        assert_eq!(sorted(x.len(), &x), [7, 8, 3, 2, 5, 6, 1, 10, 4, 0, 9]);
    }

    #[test]
    fn integers_and_rows() {
        assert_eq!(sorted(3, &[5, i32::MIN, -1, i32::MAX, 0, 0]), [1, 2, 0, 1, 2, 0]);
        assert_eq!(sorted(4, &[200u8, 3, 255, 3]), [1, 3, 0, 2]);
        assert_eq!(sorted(4, &[i64::MAX, -1, i64::MIN, -1]), [2, 1, 3, 0]);
        assert_eq!(sorted::<f32>(0, &[]), [0; 0]);
    }
}
