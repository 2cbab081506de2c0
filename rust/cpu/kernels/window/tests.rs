//! Pooling against its definition, window by window and element by element.

use super::*;
use proptest::prelude::*;

/// The input positions of each window, with their positions within it.
fn windows(w: &Window) -> Vec<Vec<(usize, usize)>> {
    let unflatten = |mut i: usize, dims: &[usize]| {
        let mut at = vec![0; dims.len()];
        for a in (0..dims.len()).rev() {
            at[a] = i % dims[a];
            i /= dims[a];
        }
        at
    };
    let out = w.output();
    (0..out.iter().product())
        .map(|o| {
            let o = unflatten(o, &out);
            (0..w.volume())
                .filter_map(|k| {
                    let tap = unflatten(k, &w.size);
                    let mut position = 0;
                    for a in 0..tap.len() {
                        let i = (o[a] * w.stride[a] + tap[a]).checked_sub(w.low[a]).filter(|i| *i < w.input[a])?;
                        position = position * w.input[a] + i;
                    }
                    Some((position, k))
                })
                .collect()
        })
        .collect()
}

/// Small whole numbers, many equal, so that sums are exact and maxima tie; some NaN if asked.
fn values(len: usize, seed: u64, nans: bool) -> Vec<f32> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let x = (state >> 40) % 9;
            if nans && (state >> 20).is_multiple_of(11) { f32::NAN } else { x as f32 - 4.0 }
        })
        .collect()
}

fn read(w: &Window, bytes: &[u32], i: usize) -> usize {
    match w.index_dtype() {
        DType::U8 => bytes[i / 4].to_ne_bytes()[i % 4] as usize,
        _ => bytes[i] as usize,
    }
}

fn check_all(w: &Window, c: usize, n: usize) {
    w.check("pooling").unwrap();
    let (ins, windows) = (w.input.iter().product::<usize>(), windows(w));
    let outs = windows.len();
    let (x, g) = (values(n * ins * c, 3, true), values(n * outs * c, 5, false));
    let finite = values(n * ins * c, 7, false);
    // Windows visited in order: sample, window, channel. Where the result is, where the sample starts, the channel.
    type Visit<'a> = &'a mut dyn FnMut(usize, usize, usize, &[(usize, usize)]);
    let each = |f: Visit<'_>| {
        for s in 0..n {
            for (o, window) in windows.iter().enumerate() {
                for ch in 0..c {
                    f((s * outs + o) * c + ch, s * ins, ch, window);
                }
            }
        }
    };
    for isa in Isa::all_present() {
        let mut y = vec![f32::NAN; n * outs * c];
        sum(isa, w, c, n, &finite, &mut y);
        each(&mut |at, base, ch, window| {
            let want: f32 = window.iter().map(|(i, _)| finite[(base + i) * c + ch]).sum();
            assert_eq!(y[at], want, "sum, {w:?}");
        });

        let mut back = vec![f32::NAN; n * ins * c];
        spread(isa, w, c, n, &g, &mut back);
        let mut want = vec![0.0; n * ins * c];
        each(&mut |at, base, ch, window| window.iter().for_each(|(i, _)| want[(base + i) * c + ch] += g[at]));
        assert_eq!(back, want, "spread, {w:?}");

        let mut index = vec![0xffff_ffffu32; n * outs * c];
        let pointer: *mut u8 = index.as_mut_ptr().cast();
        // SAFETY: a word per result, which either type of position fits.
        unsafe { max_pool(isa, w, c, n, &x, &mut y, pointer) };
        each(&mut |at, base, ch, window| {
            let x = |i: usize| x[(base + i) * c + ch];
            let best = window.iter().find(|(i, _)| x(*i).is_nan()).copied().unwrap_or_else(|| {
                let largest = window.iter().map(|(i, _)| x(*i)).fold(f32::NEG_INFINITY, f32::max);
                *window.iter().find(|(i, _)| x(*i) == largest).unwrap()
            });
            assert_eq!(read(w, &index, at), best.1, "position, {w:?}");
            assert!(y[at] == x(best.0) || y[at].is_nan() && x(best.0).is_nan(), "maximum, {w:?}");
        });

        let mut taken = vec![f32::NAN; n * outs * c];
        // SAFETY: as above.
        unsafe { take(isa, w, c, n, &x, pointer, &mut taken) };
        assert!(taken.iter().zip(&y).all(|(a, b)| a.to_bits() == b.to_bits()), "take, {w:?}");

        check_bytes(isa, w, c, n, &finite.iter().map(|v| *v as i8).collect::<Vec<_>>());
        check_bytes(isa, w, c, n, &finite.iter().map(|v| (v + 4.0) as u8).collect::<Vec<_>>());

        let mut placed = vec![f32::NAN; n * ins * c];
        // SAFETY: as above.
        unsafe { put(isa, w, c, n, &g, pointer, &mut placed) };
        let mut want = vec![0.0; n * ins * c];
        each(&mut |at, base, ch, window| {
            let (i, _) = window.iter().find(|(_, k)| *k == read(w, &index, at)).unwrap();
            want[(base + i) * c + ch] += g[at];
        });
        assert_eq!(placed, want, "put, {w:?}");
    }
}

/// Maxima of bytes are those of the same floats, at the same positions.
fn check_bytes<T: Ord + Copy + Default + Into<f32> + std::fmt::Debug>(
    isa: Isa,
    w: &Window,
    c: usize,
    n: usize,
    x: &[T],
) {
    let outs = n * w.output().iter().product::<usize>() * c;
    let floats: Vec<f32> = x.iter().map(|v| (*v).into()).collect();
    let (mut places, mut expected_places) = (vec![u32::MAX; outs], vec![u32::MAX; outs]);
    let (mut best, mut taken, mut expected) =
        (vec![T::default(); outs], vec![T::default(); outs], vec![f32::NAN; outs]);
    // SAFETY: a word per result, which either type of position fits.
    unsafe {
        max_pool(isa, w, c, n, &floats, &mut expected, expected_places.as_mut_ptr().cast());
        max_pool_bytes(isa, w, c, n, x, &mut best, places.as_mut_ptr().cast());
        take(isa, w, c, n, x, places.as_ptr().cast(), &mut taken);
    }
    assert_eq!(best.iter().map(|v| (*v).into()).collect::<Vec<f32>>(), expected, "maxima of bytes, {w:?}");
    assert_eq!(places, expected_places, "positions of bytes, {w:?}");
    assert_eq!(taken, best, "bytes taken, {w:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn pooling_is_its_definition(
        axes in prop::collection::vec((1usize..9, 1usize..4, 1usize..4, 0usize..3, 0usize..3), 1..4),
        c in prop::sample::select(vec![1usize, 3, 4, 16, 19]),
        n in 0usize..3,
    ) {
        let w = Window {
            input: axes.iter().map(|a| a.0.max(a.1)).collect(),
            size: axes.iter().map(|a| a.1).collect(),
            stride: axes.iter().map(|a| a.2).collect(),
            low: axes.iter().map(|a| a.3.min(a.1 - 1)).collect(),
            high: axes.iter().map(|a| a.4.min(a.1 - 1)).collect(),
        };
        check_all(&w, c, n);
    }
}

/// More positions than a byte counts.
#[test]
fn positions_of_large_windows_are_words() {
    let w = Window { input: vec![700], size: vec![300], stride: vec![90], low: vec![20], high: vec![5] };
    assert_eq!(w.index_dtype(), DType::I32);
    check_all(&w, 3, 2);
}

/// Windows that tile their input, of which a sum and a spread write vectors over the ends of positions.
#[test]
fn tiles_of_few_channels() {
    for c in [1, 2, 6, 8, 9, 16, 19, 33] {
        for (input, size) in [(vec![6, 4], vec![2, 2]), (vec![3, 8], vec![3, 1]), (vec![2, 3, 4], vec![2, 1, 2])] {
            let none = vec![0; size.len()];
            check_all(&Window { input, stride: size.clone(), size, low: none.clone(), high: none }, c, 3);
        }
    }
}
