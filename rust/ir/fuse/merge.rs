//! Steps that read the same become one step with several results: the results of an optimizer, the sums of a
//! normalization.

use super::{Fused, Fuser, MAX_INPUTS, MAX_NODES, MAX_SUMS, Read};
use crate::program::Kind;
use crate::split::Class;
use crate::{DType, Expr, NodeId};

impl Fuser<'_> {
    /// Whole-stage maps of equal dims that share an input and that no step reads (the results of an optimizer) become
    /// one map with several results.
    pub(super) fn merge_maps(&self, steps: &mut Vec<Fused>) {
        let mut read = vec![false; self.graph.nodes().len()];
        for r in steps.iter().flat_map(|s| &s.reads) {
            read[r.node.index()] = true;
        }
        let mergeable = |s: &Fused| {
            matches!(s.kind, Kind::Map { .. })
                && self.class(s.makes[0]) == Class::Whole
                && s.makes.iter().all(|n| !read[n.index()] && self.ty(*n).dtype == DType::F32)
        };
        let mut merged: Vec<Fused> = Vec::new();
        for step in steps.drain(..) {
            let partner = if mergeable(&step) {
                merged.iter_mut().find(|m| mergeable(m) && m.time == step.time && share_input(m, &step))
            } else {
                None
            };
            match partner {
                Some(m) => {
                    join(m, &step);
                    m.order = m.order.max(step.order);
                }
                None => merged.push(step),
            }
        }
        *steps = merged;
    }

    /// Sums of one stage over the same axes that share an input become one step with several results: the moments of
    /// a normalization, the gradients of its scale and shift. What they share is read once.
    pub(super) fn merge_sums(&self, steps: &mut Vec<Fused>) {
        let sums = |s: &Fused| {
            matches!(s.kind, Kind::Reduce { max: false, .. }) && s.makes.iter().all(|n| self.ty(*n).dtype == DType::F32)
        };
        steps.sort_by_key(|s| (s.time, s.order));
        let mut i = 0;
        while i < steps.len() {
            let partner = (0..i).rev().take_while(|&j| steps[j].time == steps[i].time).find(|&j| {
                let (a, b) = (&steps[j], &steps[i]);
                sums(a) && sums(b) && a.term == b.term && share_input(a, b) && fits(a, b)
            });
            match partner.and_then(|j| Some((j, meeting(steps, j, i)?))) {
                Some((j, order)) => {
                    let other = steps.remove(i);
                    join(&mut steps[j], &other);
                    steps[j].order = order;
                    steps.sort_by_key(|s| (s.time, s.order));
                }
                None => i += 1,
            }
        }
    }
}

/// Where steps `j < i` of one stage can be one: at `j` if what `i` reads is made by then, at `i` if nothing in between
/// reads what `j` makes.
fn meeting(steps: &[Fused], j: usize, i: usize) -> Option<usize> {
    let reads = |s: &Fused, made: &[NodeId]| s.reads.iter().any(|r| made.contains(&r.node));
    if (j..i).all(|k| !reads(&steps[i], &steps[k].makes)) {
        return Some(steps[j].order);
    }
    (j + 1..=i).all(|k| !reads(&steps[k], &steps[j].makes)).then_some(steps[i].order)
}

fn is_same(x: &Read, y: &Read) -> bool {
    x.node == y.node && x.ty == y.ty && x.repeat == y.repeat
}

/// Whether both have the same index space, and read the same value element by element.
fn share_input(a: &Fused, b: &Fused) -> bool {
    let space = match (&a.kind, &b.kind) {
        (Kind::Map { dims: a, .. }, Kind::Map { dims: b, .. }) => a == b,
        (Kind::Reduce { dims: a, axes: x, .. }, Kind::Reduce { dims: b, axes: y, .. }) => a == b && x == y,
        _ => false,
    };
    space && a.reads.iter().any(|x| x.repeat.is_empty() && b.reads.iter().any(|y| is_same(x, y)))
}

/// Whether a kernel can be expected to hold both.
fn fits(a: &Fused, b: &Fused) -> bool {
    let (Kind::Reduce { expr: ea, .. }, Kind::Reduce { expr: eb, .. }) = (&a.kind, &b.kind) else { return false };
    let fresh = b.reads.iter().filter(|y| !a.reads.iter().any(|x| is_same(x, y))).count();
    a.makes.len() + b.makes.len() <= MAX_SUMS
        && ea.nodes().len() + eb.nodes().len() <= MAX_NODES
        && a.reads.len() + fresh <= MAX_INPUTS
}

/// Adds the results of `other` to those of `into`.
fn join(into: &mut Fused, other: &Fused) {
    let (Kind::Map { expr: b, .. } | Kind::Reduce { expr: b, .. }) = &other.kind else { return };
    let (Kind::Map { expr: a, .. } | Kind::Reduce { expr: a, .. }) = &mut into.kind else { return };
    let reads = &mut into.reads;
    let own: Vec<usize> = (0..reads.len()).collect();
    let to: Vec<usize> = other
        .reads
        .iter()
        .map(|r| {
            reads.iter().position(|x| is_same(x, r)).unwrap_or_else(|| {
                reads.push(r.clone());
                reads.len() - 1
            })
        })
        .collect();
    let n = reads.len();
    *a = Expr::merge(n, &[&a.remap_inputs(n, &own), &b.remap_inputs(n, &to)]);
    into.makes.extend(&other.makes);
}
