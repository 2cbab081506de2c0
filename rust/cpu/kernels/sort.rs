//! Sorting rows by position.

/// Values in an order that unsigned integers have too.
pub trait Ranked: Copy {
    /// Orders as the value does. NaNs are equal and last, zeros of either sign are equal.
    fn rank(self) -> u32;
}

impl Ranked for f32 {
    fn rank(self) -> u32 {
        const NEGATIVE: u32 = 1 << 31;
        // From the bits alone: flushing subnormals must not make different values equal.
        match self.to_bits() {
            _ if self.is_nan() => u32::MAX,
            NEGATIVE => NEGATIVE,
            bits if bits & NEGATIVE == 0 => bits | NEGATIVE,
            bits => !bits,
        }
    }
}

impl Ranked for i32 {
    fn rank(self) -> u32 {
        self as u32 ^ 1 << 31
    }
}

impl Ranked for u8 {
    fn rank(self) -> u32 {
        self.into()
    }
}

/// For each row of `n` elements, their positions in ascending order, equal ones in their own. `keys` is scratch for
/// one row.
///
/// # Panics
/// If the lengths do not fit.
pub fn argsort<T: Ranked>(n: usize, x: &[T], keys: &mut [u64], out: &mut [i32]) {
    assert!(x.len() == out.len() && keys.len() == n, "argsort of {} in rows of {n}", x.len());
    if n == 0 {
        return;
    }
    for (row, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
        // With the position in the lower half no two keys are equal, and a sort that need not be stable will do.
        for (i, (key, v)) in keys.iter_mut().zip(row).enumerate() {
            *key = u64::from(v.rank()) << 32 | i as u64;
        }
        keys.sort_unstable();
        for (place, key) in out.iter_mut().zip(&*keys) {
            *place = *key as i32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted<T: Ranked>(n: usize, x: &[T]) -> Vec<i32> {
        let mut out = vec![-1; x.len()];
        argsort(n, x, &mut vec![0; n], &mut out);
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
        assert_eq!(sorted::<f32>(0, &[]), [0; 0]);
    }
}
