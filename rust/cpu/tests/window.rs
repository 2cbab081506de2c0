//! Pooling against the f64 reference interpreter, on every instruction set: the same values to the last bit where
//! nothing is rounded, within the bound of a sum where something is.

use oxiconv_cpu::kernels::window;
use oxiconv_cpu::simd::Isa;
use oxiconv_ir::reference::{Array, apply};
use oxiconv_ir::{DType, Op, Type, Window};
use proptest::prelude::*;

/// Windows over one to three axes, with padding, overlap and gaps.
fn windows() -> impl Strategy<Value = Window> {
    let axis = (1usize..8, 1usize..5, 1usize..4, 0usize..4, 0usize..4);
    prop::collection::vec(axis, 1..4).prop_filter_map("every window must hold a position", |axes| {
        let w = Window {
            input: axes.iter().map(|a| a.0).collect(),
            size: axes.iter().map(|a| a.1).collect(),
            stride: axes.iter().map(|a| a.2).collect(),
            low: axes.iter().map(|a| a.3.min(a.1 - 1)).collect(),
            high: axes.iter().map(|a| a.4.min(a.1 - 1)).collect(),
        };
        w.check("test").is_ok().then_some(w)
    })
}

/// Few distinct values, so that there are ties; a NaN now and then.
fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let v = (state >> 40) % 32;
            if v == 31 { f32::NAN } else { v as f32 / 4.0 - 3.0 }
        })
        .collect()
}

fn array(dtype: DType, dims: &[usize], x: impl IntoIterator<Item = f32>) -> Array {
    Array::new(Type::new(dtype, dims), x.into_iter().map(f64::from).collect()).expect("sizes agree")
}

fn same(got: &[f32], want: &[f64]) -> bool {
    got.iter().zip(want).all(|(g, w)| f64::from(*g) == *w || (g.is_nan() && w.is_nan()))
}

proptest! {
    #[test]
    fn all_window_ops(w in windows(), c in 1usize..20, n in 0usize..3, seed: u64) {
        let dims = |spatial: &[usize]| [&[n], spatial, &[c]].concat();
        let (inside, outside) = (dims(&w.input), dims(&w.output()));
        let x = values(inside.iter().product(), seed);
        let count = outside.iter().product::<usize>();
        // Sums of these values are exact in f32: multiples of 1/4 below 2^20.
        let g: Vec<f32> = values(count, !seed).into_iter().map(|v| if v.is_nan() { 0.5 } else { v }).collect();
        let x_array = array(DType::F32, &inside, x.iter().copied());
        let g_array = array(DType::F32, &outside, g.iter().copied());
        let index_array = apply(&Op::WindowArgMax(w.clone()), &[&x_array]).unwrap();
        for isa in Isa::all_present() {
            let (mut best, mut index) = (vec![0.0; count], vec![0u8; count]);
            // SAFETY: windows here have at most 64 positions, so an index is one byte.
            unsafe { window::max_pool(isa, &w, c, n, &x, &mut best, index.as_mut_ptr()) };
            prop_assert!(index.iter().zip(&index_array.data).all(|(i, want)| f64::from(*i) == *want));
            let want = apply(&Op::WindowTake(w.clone()), &[&x_array, &index_array]).unwrap();
            prop_assert!(same(&best, &want.data));
            let mut taken = vec![f32::NAN; count];
            // SAFETY: one byte per element.
            unsafe { window::take(isa, &w, c, n, &x, index.as_ptr(), &mut taken) };
            prop_assert!(same(&taken, &want.data));
            let mut put = vec![f32::NAN; x.len()];
            // SAFETY: one byte per element.
            unsafe { window::put(isa, &w, c, n, &g, index.as_ptr(), &mut put) };
            prop_assert!(same(&put, &apply(&Op::WindowPut(w.clone()), &[&g_array, &index_array]).unwrap().data));
            let mut spread = vec![f32::NAN; x.len()];
            window::spread(isa, &w, c, n, &g, &mut spread);
            prop_assert!(same(&spread, &apply(&Op::WindowSpread(w.clone()), &[&g_array]).unwrap().data));
            let mut sum = vec![f32::NAN; count];
            window::sum(isa, &w, c, n, &spread, &mut sum);
            let spread = array(DType::F32, &inside, spread.iter().copied());
            prop_assert!(same(&sum, &apply(&Op::WindowSum(w.clone()), &[&spread]).unwrap().data));
        }
    }
}
