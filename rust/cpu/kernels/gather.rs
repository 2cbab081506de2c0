//! Slices by index. Indices are checked: one past the end is an error, not a read of something else.

use oxiconv_ir::{Error, Result};

/// Sizes of `[outer, axis, inner]`, indexed along the middle.
#[derive(Debug, Clone, Copy)]
pub struct Indexed {
    /// Product of the axes before.
    pub outer: usize,
    /// Size of the indexed axis.
    pub axis: usize,
    /// Product of the axes after.
    pub inner: usize,
}

/// The index as a position, or what is wrong with it.
fn position(op: &str, index: i32, axis: usize) -> Result<usize> {
    usize::try_from(index)
        .ok()
        .filter(|i| *i < axis)
        .ok_or_else(|| Error::value(op, format!("index {index} is out of range for an axis of size {axis}")))
}

/// `out[o, i, ..] = x[o, index[i], ..]`.
///
/// # Panics
/// If a length is not that of the sizes.
pub fn gather<T: Copy>(sizes: Indexed, x: &[T], index: &[i32], out: &mut [T]) -> Result<()> {
    let Indexed { outer, axis, inner } = sizes;
    assert!(x.len() == outer * axis * inner && out.len() == outer * index.len() * inner, "gather over {sizes:?}");
    for o in 0..outer {
        let x = &x[o * axis * inner..(o + 1) * axis * inner];
        let out = &mut out[o * index.len() * inner..(o + 1) * index.len() * inner];
        match inner {
            // A number or a pixel is moved faster by hand than by a call.
            1 => small::<T, 1>(x, index, out)?,
            2 => small::<T, 2>(x, index, out)?,
            3 => small::<T, 3>(x, index, out)?,
            4 => small::<T, 4>(x, index, out)?,
            _ => {
                for (i, &at) in index.iter().enumerate() {
                    let from = position("gather", at, axis)? * inner;
                    out[i * inner..(i + 1) * inner].copy_from_slice(&x[from..from + inner]);
                }
            }
        }
    }
    Ok(())
}

fn small<T: Copy, const N: usize>(x: &[T], index: &[i32], out: &mut [T]) -> Result<()> {
    let x = x.as_chunks::<N>().0;
    for (to, &at) in out.as_chunks_mut::<N>().0.iter_mut().zip(index) {
        // A negative index is a huge one here; what is wrong with it is worked out aside, so that the loop stays small.
        let Some(from) = x.get(at as usize) else { return position("gather", at, x.len()).map(|_| ()) };
        *to = *from;
    }
    Ok(())
}

/// What can be summed: floats, and integers that wrap around.
pub trait Summable: Copy + Default {
    /// The sum of two.
    #[must_use]
    fn plus(self, other: Self) -> Self;
}

impl Summable for f32 {
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

impl Summable for i32 {
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
}

impl Summable for i64 {
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
}

/// `out[o, index[i], ..] += g[o, i, ..]` from zero, in the order of the indices.
///
/// # Panics
/// If a length is not that of the sizes.
pub fn scatter_add<T: Summable>(sizes: Indexed, g: &[T], index: &[i32], out: &mut [T]) -> Result<()> {
    let Indexed { outer, axis, inner } = sizes;
    assert!(out.len() == outer * axis * inner && g.len() == outer * index.len() * inner, "scatter over {sizes:?}");
    out.fill(T::default());
    for o in 0..outer {
        for (i, &at) in index.iter().enumerate() {
            let to = (o * axis + position("scatter_add", at, axis)?) * inner;
            let from = (o * index.len() + i) * inner;
            for (y, g) in out[to..to + inner].iter_mut().zip(&g[from..from + inner]) {
                *y = y.plus(*g);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Indexed = Indexed { outer: 2, axis: 3, inner: 2 };

    #[test]
    fn gather_takes_and_scatter_puts_back() {
        let x: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let index = [2, 0, 2];
        let mut out = [0.0; 12];
        gather(SIZES, &x, &index, &mut out).unwrap();
        assert_eq!(out, [4.0, 5.0, 0.0, 1.0, 4.0, 5.0, 10.0, 11.0, 6.0, 7.0, 10.0, 11.0]);
        let mut back = [f32::NAN; 12];
        scatter_add(SIZES, &out, &index, &mut back).unwrap();
        assert_eq!(back, [0.0, 1.0, 0.0, 0.0, 8.0, 10.0, 6.0, 7.0, 0.0, 0.0, 20.0, 22.0]);
    }

    #[test]
    fn integers_are_added_as_integers() {
        let mut out = [7; 3];
        scatter_add(Indexed { outer: 1, axis: 3, inner: 1 }, &[i32::MAX, 5, 1], &[2, 0, 2], &mut out).unwrap();
        assert_eq!(out, [5, 0, i32::MIN]);
    }

    #[test]
    fn an_index_past_the_end_is_named() {
        for index in [3, -1] {
            let error = gather(SIZES, &[0.0f32; 12], &[index], &mut [0.0; 4]).unwrap_err();
            assert_eq!(error.to_string(), format!("gather: index {index} is out of range for an axis of size 3"));
            let error = scatter_add(SIZES, &[0.0f32; 4], &[index], &mut [0.0; 12]).unwrap_err();
            assert!(error.to_string().starts_with("scatter_add: index"), "{error}");
        }
    }
}
