//! Pooling windows by their definition.

use super::Array;
use super::array::coords;
use crate::{Error, Result, Window};

/// Position in the padded-away input of entry `tap` of window `at` (spatial), where it is a real one.
fn place(w: &Window, at: &[usize], tap: &[usize]) -> Option<Vec<usize>> {
    (0..at.len()).map(|a| (at[a] * w.stride[a] + tap[a]).checked_sub(w.low[a]).filter(|&i| i < w.input[a])).collect()
}

/// Calls `f(window, number of the tap, position)` for every real position of every window, taps in row-major order;
/// window and position are full coordinates `[n, spatial.., c]`.
fn each(w: &Window, samples: usize, channels: usize, mut f: impl FnMut(&[usize], usize, &[usize])) {
    let rank = w.input.len();
    for at in coords(&[&[samples], &w.output()[..], &[channels]].concat()) {
        for (number, tap) in coords(&w.size).enumerate() {
            if let Some(spatial) = place(w, &at[1..=rank], &tap) {
                f(&at, number, &[&at[..1], &spatial[..], &at[rank + 1..]].concat());
            }
        }
    }
}

fn outer(x: &Array) -> (usize, usize) {
    (x.ty.dims[0], x.ty.dims[x.ty.rank() - 1])
}

pub(super) fn sum(w: &Window, x: &Array, out: &mut Array) {
    let (n, c) = outer(x);
    each(w, n, c, |window, _, position| out.add(window, x.get(position)));
}

pub(super) fn spread(w: &Window, g: &Array, out: &mut Array) {
    let (n, c) = outer(g);
    each(w, n, c, |window, _, position| out.add(position, g.get(window)));
}

pub(super) fn argmax(w: &Window, x: &Array, out: &mut Array) {
    let (n, c) = outer(x);
    let mut best = Array::zeros(out.ty.clone());
    best.data.fill(f64::NEG_INFINITY);
    let mut seen = Array::zeros(out.ty.clone());
    each(w, n, c, |window, number, position| {
        let (v, b) = (x.get(position), best.get(window));
        if seen.get(window) == 0.0 || v > b || (v.is_nan() && !b.is_nan()) {
            seen.set(window, 1.0);
            best.set(window, v);
            out.set(window, number as f64);
        }
    });
}

/// The position that each index names; an error where it names none.
fn named(w: &Window, index: &Array, op: &str, mut f: impl FnMut(&[usize], &[usize])) -> Result<()> {
    let rank = w.input.len();
    let taps: Vec<Vec<usize>> = coords(&w.size).collect();
    for at in coords(&index.ty.dims) {
        let i = index.get(&at);
        let tap = if i < 0.0 { None } else { taps.get(i as usize) };
        let Some(spatial) = tap.and_then(|tap| place(w, &at[1..=rank], tap)) else {
            return Err(Error::value(op, format!("index {i} names no position of the window at {at:?}")));
        };
        f(&at, &[&at[..1], &spatial[..], &at[rank + 1..]].concat());
    }
    Ok(())
}

pub(super) fn take(w: &Window, x: &Array, index: &Array, out: &mut Array) -> Result<()> {
    named(w, index, "window_take", |window, position| out.set(window, x.get(position)))
}

pub(super) fn put(w: &Window, g: &Array, index: &Array, out: &mut Array) -> Result<()> {
    named(w, index, "window_put", |window, position| out.add(position, g.get(window)))
}
