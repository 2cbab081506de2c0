//! How an input meets the elements of a result, and how its values are brought together block by block.

use crate::kernels::element::{Element, Word};

/// How an input meets the result: `repeat[a]` says that the input has no axis `a` but is repeated along it; it is
/// contiguous over its remaining axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operand {
    /// Element type.
    pub dtype: oxiconv_ir::DType,
    /// One entry per axis of the result.
    pub repeat: Vec<bool>,
}

impl Operand {
    /// An input of the result's own dims.
    pub fn dense(dtype: oxiconv_ir::DType, rank: usize) -> Self {
        Self { dtype, repeat: vec![false; rank] }
    }

    /// A scalar.
    pub fn scalar(dtype: oxiconv_ir::DType, rank: usize) -> Self {
        Self { dtype, repeat: vec![true; rank] }
    }
}

/// Neighbouring axes of the result that an input treats alike.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Group {
    /// Elements; without meaning for the outermost group, which nothing wraps around.
    size: usize,
    /// Step in the input per step along the group; 0 where the input is repeated.
    stride: usize,
}

/// Groups of axes of alternating kind, outermost first; at least one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern(Vec<Group>);

/// Kinds of pattern with ways of their own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// One value.
    Uniform,
    /// The input in the result's order.
    Dense,
    /// The whole input, of this length, over and over.
    Periodic(usize),
    /// Anything else.
    Mixed,
}

impl Pattern {
    /// The pattern of an input; axis 0 may have another size at run time, so it is never left out.
    pub(super) fn new(repeat: &[bool], dims: &[usize]) -> Self {
        assert_eq!(repeat.len(), dims.len(), "one repeat flag per axis");
        let mut groups: Vec<Group> = Vec::new();
        let mut stride = 1;
        for a in (0..dims.len()).rev() {
            if a > 0 && dims[a] == 1 {
                continue;
            }
            match groups.last_mut() {
                Some(g) if (g.stride == 0) == repeat[a] => g.size *= dims[a],
                _ => groups.push(Group { size: dims[a], stride: if repeat[a] { 0 } else { stride } }),
            }
            if !repeat[a] {
                stride *= dims[a];
            }
        }
        if groups.is_empty() {
            groups.push(Group { size: 1, stride: 1 });
        }
        groups.reverse();
        Self(groups)
    }

    pub(super) fn kind(&self) -> Kind {
        match self.0[..] {
            [Group { stride: 0, .. }] => Kind::Uniform,
            [_] => Kind::Dense,
            [Group { stride: 0, .. }, Group { size, .. }] => Kind::Periodic(size),
            _ => Kind::Mixed,
        }
    }

    /// Writes the input's values for elements `start..start + len` of the result.
    ///
    /// # Safety
    /// `from` is the input, readable where those elements need it; `to..to+len` is writable and apart from it.
    #[inline(always)]
    pub(super) unsafe fn expand<T: Element, W: Word>(&self, from: *const T, start: usize, len: usize, to: *mut W) {
        let (outer, inner) = self.0.split_at(self.0.len() - 1);
        let inner = inner[0];
        let (mut row, mut at) = if outer.is_empty() { (0, start) } else { (start / inner.size, start % inner.size) };
        let mut done = 0;
        while done < len {
            let mut offset = at * inner.stride;
            let mut rest = row;
            for (i, g) in outer.iter().enumerate().rev() {
                let index = if i == 0 { rest } else { rest % g.size };
                rest /= g.size.max(1);
                offset += index * g.stride;
            }
            let run = if outer.is_empty() { len } else { (inner.size - at).min(len - done) };
            // SAFETY: `offset` is the place of element `start + done`, and the `run` elements from it on are one row
            // of the pattern's innermost group; `done + run <= len`.
            unsafe {
                let (from, to) = (from.add(offset), to.add(done));
                if inner.stride == 0 {
                    let x = W::load(*from);
                    for i in 0..run {
                        *to.add(i) = x;
                    }
                } else {
                    for i in 0..run {
                        *to.add(i) = W::load(*from.add(i));
                    }
                }
            }
            done += run;
            row += 1;
            at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kinds() {
        let kind = |repeat: &[bool], dims: &[usize]| Pattern::new(repeat, dims).kind();
        assert_eq!(kind(&[], &[]), Kind::Dense);
        assert_eq!(kind(&[false, false], &[3, 4]), Kind::Dense);
        assert_eq!(kind(&[true, true], &[3, 4]), Kind::Uniform);
        assert_eq!(kind(&[true, true, false], &[3, 4, 5]), Kind::Periodic(5));
        assert_eq!(kind(&[true, false, false], &[3, 4, 5]), Kind::Periodic(20));
        assert_eq!(kind(&[false, true], &[3, 4]), Kind::Mixed);
        // Axes of one element are of either kind, but the first may be longer at run time.
        assert_eq!(kind(&[false, true], &[3, 1]), Kind::Dense);
        assert_eq!(kind(&[true, false], &[3, 1]), Kind::Uniform);
        assert_eq!(kind(&[true, false], &[1, 4]), Kind::Periodic(4));
    }

    proptest! {
        #[test]
        fn expansion_is_the_strided_walk(
            axes in prop::collection::vec((1usize..5, any::<bool>()), 0..5),
            skip in 0.0..1.0f64,
        ) {
            let (dims, repeat): (Vec<usize>, Vec<bool>) = axes.into_iter().unzip();
            let total: usize = dims.iter().product();
            let start = (total as f64 * skip) as usize;
            let mut got = vec![0.0f32; total - start];
            let source: Vec<i32> = (0..total as i32).collect();
            // SAFETY: no pattern reaches past the number of elements of the result.
            unsafe { Pattern::new(&repeat, &dims).expand(source.as_ptr(), start, total - start, got.as_mut_ptr()) };
            for (i, &g) in got.iter().enumerate() {
                let (mut rest, mut want, mut stride) = (start + i, 0, 1);
                for a in (0..dims.len()).rev() {
                    if !repeat[a] {
                        want += rest % dims[a] * stride;
                        stride *= dims[a];
                    }
                    rest /= dims[a];
                }
                prop_assert_eq!(g, want as f32);
            }
        }
    }
}
