//! Elements to other places: every layout op is a copy between two strided views of one index space.

#![allow(clippy::cast_ptr_alignment, reason = "pointers are aligned to their elements by contract")]

/// One side of a copy: steps per axis of the index space, in elements.
pub type Strides = Vec<usize>;

/// Row-major steps of these dims.
pub fn row_major(dims: &[usize]) -> Strides {
    let mut strides = vec![1; dims.len()];
    for a in (1..dims.len()).rev() {
        strides[a - 1] = strides[a] * dims[a];
    }
    strides
}

/// Copies the elements of an index space from one strided view to another. Planned once per step; axis 0 may have
/// another size at run time.
#[derive(Debug, Clone)]
pub struct CopyPlan {
    /// Bytes per element: 8, 4, 2 or 1.
    size: usize,
    /// Merged axes, outermost first: size, and steps at the source and the destination.
    axes: Vec<Axis>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    len: usize,
    from: usize,
    to: usize,
}

impl CopyPlan {
    /// A copy over `dims`. Axis 0 stays an axis of its own.
    ///
    /// # Panics
    /// If there is not one step per axis on both sides, or an element has none of these sizes.
    pub fn new(size: usize, dims: &[usize], from: &[usize], to: &[usize]) -> Self {
        assert!(dims.len() == from.len() && dims.len() == to.len(), "one step per axis");
        assert!(matches!(size, 8 | 4 | 2 | 1), "elements of 8, 4, 2 bytes or 1");
        let mut axes: Vec<Axis> = Vec::new();
        for a in (0..dims.len()).rev() {
            let axis = Axis { len: dims[a], from: from[a], to: to[a] };
            match axes.last_mut() {
                _ if a > 0 && axis.len == 1 => {}
                // An axis that goes on where its inner neighbour ends, on both sides, is part of it.
                Some(inner) if a > 0 && axis.from == inner.from * inner.len && axis.to == inner.to * inner.len => {
                    inner.len *= axis.len;
                }
                _ => axes.push(axis),
            }
        }
        axes.reverse();
        if axes.is_empty() {
            axes.push(Axis { len: 1, from: 0, to: 0 });
        }
        Self { size, axes }
    }

    /// Copies; axis 0 has `n` entries.
    ///
    /// # Safety
    /// `from` and `to` are aligned to the element and valid for all positions that the steps reach; they do not
    /// overlap.
    pub unsafe fn run(&self, n: usize, from: *const u8, to: *mut u8) {
        let axis = Axis { len: n, ..self.axes[0] };
        // SAFETY: by contract; the element size was checked when planning.
        unsafe {
            match self.size {
                8 => copy::<u64>(axis, &self.axes[1..], from.cast(), to.cast()),
                4 => copy::<u32>(axis, &self.axes[1..], from.cast(), to.cast()),
                2 => copy::<u16>(axis, &self.axes[1..], from.cast(), to.cast()),
                _ => copy::<u8>(axis, &self.axes[1..], from, to),
            }
        }
    }
}

/// Positions of a tile of a transposition: 16 of 4 bytes are a cache line.
const TILE: usize = 16;

unsafe fn copy<T: Copy>(axis: Axis, inner: &[Axis], from: *const T, to: *mut T) {
    match inner {
        [] => {
            // SAFETY: by the contract of `run`.
            unsafe { line(axis, from, to) }
        }
        // The inner axis is contiguous on one side only and this one on the other: tiles keep both in cache.
        [last] if last.from != 1 && axis.from == 1 && last.to == 1 => {
            for i in (0..axis.len).step_by(TILE) {
                for j in (0..last.len).step_by(TILE) {
                    for ii in i..(i + TILE).min(axis.len) {
                        for jj in j..(j + TILE).min(last.len) {
                            // SAFETY: by the contract of `run`.
                            unsafe {
                                let x = *from.add(ii * axis.from + jj * last.from);
                                *to.add(ii * axis.to + jj * last.to) = x;
                            }
                        }
                    }
                }
            }
        }
        [next, rest @ ..] => {
            for i in 0..axis.len {
                // SAFETY: by the contract of `run`.
                unsafe { copy(*next, rest, from.add(i * axis.from), to.add(i * axis.to)) };
            }
        }
    }
}

unsafe fn line<T: Copy>(axis: Axis, from: *const T, to: *mut T) {
    // SAFETY: by the contract of `run`.
    unsafe {
        match (axis.from, axis.to) {
            (1, 1) => to.copy_from_nonoverlapping(from, axis.len),
            (0, 1) => std::slice::from_raw_parts_mut(to, axis.len).fill(if axis.len > 0 { *from } else { return }),
            _ => (0..axis.len).for_each(|i| *to.add(i * axis.to) = *from.add(i * axis.from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition: every position of the index space, one by one.
    fn naive(dims: &[usize], from: &[usize], to: &[usize], x: &[u32], y: &mut [u32]) {
        for flat in 0..dims.iter().product::<usize>() {
            let (mut rest, mut s, mut d) = (flat, 0, 0);
            for a in (0..dims.len()).rev() {
                s += rest % dims[a] * from[a];
                d += rest % dims[a] * to[a];
                rest /= dims[a];
            }
            y[d] = x[s];
        }
    }

    proptest! {
        #[test]
        fn any_permutation_of_any_dims(
            dims in prop::collection::vec(0usize..20, 1..5),
            seed in prop::collection::vec(0u32..1000, 4),
        ) {
            let rank = dims.len();
            let mut perm: Vec<usize> = (0..rank).collect();
            perm.sort_by_key(|&a| seed[a]);
            let strides = row_major(&dims);
            let (out, from): (Vec<usize>, Vec<usize>) = perm.iter().map(|&a| (dims[a], strides[a])).unzip();
            let to = row_major(&out);
            let len = dims.iter().product::<usize>();
            let x: Vec<u32> = (0..len as u32).collect();
            let (mut got, mut want) = (vec![0; len], vec![0; len]);
            naive(&out, &from, &to, &x, &mut want);
            // SAFETY: both sides have `len` elements, which is what the strides reach.
            unsafe { CopyPlan::new(4, &out, &from, &to).run(out[0], x.as_ptr().cast(), got.as_mut_ptr().cast()) };
            prop_assert_eq!(&got, &want);
            let bytes: Vec<u8> = x.iter().map(|v| *v as u8).collect();
            let mut narrow = vec![0u8; len];
            // SAFETY: as above.
            unsafe { CopyPlan::new(1, &out, &from, &to).run(out[0], bytes.as_ptr(), narrow.as_mut_ptr()) };
            prop_assert_eq!(narrow, want.iter().map(|v| *v as u8).collect::<Vec<_>>());
        }

        #[test]
        fn repetition_and_steps(
            dims in prop::collection::vec(1usize..7, 1..5),
            repeat in prop::collection::vec(any::<bool>(), 4),
            step in 1usize..4,
        ) {
            let kept: Vec<usize> = dims.iter().zip(&repeat).map(|(&d, &r)| if r { 1 } else { d }).collect();
            let from: Vec<usize> =
                row_major(&kept).iter().zip(&repeat).map(|(&s, &r)| if r { 0 } else { s * step }).collect();
            let to = row_major(&dims);
            let len = dims.iter().product::<usize>();
            let x: Vec<u32> = (0..(kept.iter().product::<usize>() * step) as u32).collect();
            let (mut got, mut want) = (vec![0; len], vec![0; len]);
            naive(&dims, &from, &to, &x, &mut want);
            // SAFETY: the source has `step` times the elements that are kept.
            unsafe { CopyPlan::new(4, &dims, &from, &to).run(dims[0], x.as_ptr().cast(), got.as_mut_ptr().cast()) };
            prop_assert_eq!(got, want);
        }
    }
}
