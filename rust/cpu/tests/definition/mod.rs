//! Convolution and max-pooling by their definitions, in f64.

use oxiconv_ir::{Conv, Precision, Seat, Window};

/// Values in [-1, 1) that look random.
pub(crate) fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A product that reads a kernel, and values for it.
pub(crate) struct Case {
    pub(crate) conv: Conv,
    pub(crate) solve: Seat,
    pub(crate) n: usize,
    pub(crate) a: Vec<f32>,
    pub(crate) kernel: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl Case {
    pub(crate) fn new(conv: &Conv, solve: Seat, n: usize) -> Self {
        let from = if solve == Seat::Output { Seat::Input } else { Seat::Output };
        let channels = if solve == Seat::Output { conv.cout } else { conv.cin };
        Self {
            conv: conv.clone(),
            solve,
            n,
            a: values(len(&conv.dims(from, n)), 1),
            kernel: values(len(&conv.dims(Seat::Kernel, n)), 2),
            bias: values(channels, 3),
        }
    }
}

/// Elements.
pub(crate) fn len(dims: &[usize]) -> usize {
    dims.iter().product()
}

/// Row-major coordinates of `flat` in `dims`.
pub(crate) fn coordinates(mut flat: usize, dims: &[usize]) -> Vec<usize> {
    let mut at = vec![0; dims.len()];
    for a in (0..dims.len()).rev() {
        at[a] = flat % dims[a];
        flat /= dims[a];
    }
    at
}

/// The inverse of [`coordinates`].
pub(crate) fn flatten(at: &[usize], dims: &[usize]) -> usize {
    at.iter().zip(dims).fold(0, |flat, (i, d)| flat * d + i)
}

/// Calls `visit(x offset, kernel offset, y offset)` for every product of the convolution of `n` samples.
pub(crate) fn products(conv: &Conv, n: usize, mut visit: impl FnMut(usize, usize, usize)) {
    let output = conv.output();
    let (cin, cout) = (conv.cin / conv.groups, conv.cout / conv.groups);
    for sample in 0..n {
        for o in 0..len(&output) {
            let out = coordinates(o, &output);
            for t in 0..len(&conv.kernel) {
                let tap = coordinates(t, &conv.kernel);
                let at: Option<Vec<usize>> = (0..out.len())
                    .map(|a| {
                        (out[a] * conv.stride[a] + tap[a] * conv.dilation[a])
                            .checked_sub(conv.low[a])
                            .filter(|i| *i < conv.input[a])
                    })
                    .collect();
                let Some(at) = at else { continue };
                let pixel = sample * len(&conv.input) + flatten(&at, &conv.input);
                for g in 0..conv.groups {
                    for ci in 0..cin {
                        for co in 0..cout {
                            visit(
                                pixel * conv.cin + g * cin + ci,
                                (t * cin + ci) * conv.cout + g * cout + co,
                                (sample * len(&output) + o) * conv.cout + g * cout + co,
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Each element of the result of `solve`, the sum of its products' sizes, and their number. `a` is `x`, or `y` for
/// `Seat::Input`; `b` is the kernel, or `y` for `Seat::Kernel`.
pub(crate) fn reference(conv: &Conv, solve: Seat, n: usize, a: &[f32], b: &[f32]) -> Vec<(f64, f64, usize)> {
    let mut result = vec![(0.0, 0.0, 0); len(&conv.dims(solve, n))];
    products(conv, n, |x, k, y| {
        let (left, right, to) = match solve {
            Seat::Output => (x, k, y),
            Seat::Input => (y, k, x),
            Seat::Kernel => (x, y, k),
        };
        let product = f64::from(a[left]) * f64::from(b[right]);
        let r = &mut result[to];
        *r = (r.0 + product, r.1 + product.abs(), r.2 + 1);
    });
    result
}

/// The maximum of each window of `y` (`[n, spatial.., channels]`) and its position: the first of equals, NaN wins.
pub(crate) fn pool(y: &[f32], n: usize, channels: usize, window: &Window) -> (Vec<f32>, Vec<u8>) {
    let (mut values, mut index) = (vec![], vec![]);
    let output = window.output();
    for sample in 0..n {
        for o in 0..len(&output) {
            let out = coordinates(o, &output);
            for c in 0..channels {
                let mut best: Option<(f32, u8)> = None;
                for p in 0..window.volume() {
                    let inside = coordinates(p, &window.size);
                    let at: Option<Vec<usize>> = (0..out.len())
                        .map(|a| {
                            (out[a] * window.stride[a] + inside[a])
                                .checked_sub(window.low[a])
                                .filter(|i| *i < window.input[a])
                        })
                        .collect();
                    let Some(at) = at else { continue };
                    let v = y[(sample * len(&window.input) + flatten(&at, &window.input)) * channels + c];
                    if best.is_none_or(|(b, _)| v > b || (v.is_nan() && !b.is_nan())) {
                        best = Some((v, p as u8));
                    }
                }
                let (v, p) = best.expect("a position in every window");
                values.push(v);
                index.push(p);
            }
        }
    }
    (values, index)
}

/// A square convolution of one group.
pub(crate) fn square(size: usize, kernel: usize, stride: usize, pad: usize, cin: usize, cout: usize) -> Conv {
    Conv {
        input: vec![size; 2],
        kernel: vec![kernel; 2],
        stride: vec![stride; 2],
        dilation: vec![1; 2],
        low: vec![pad; 2],
        high: vec![pad; 2],
        cin,
        cout,
        groups: 1,
        precision: Precision::Fast,
    }
}

/// Square windows over a convolution's output.
pub(crate) fn window2(conv: &Conv, size: usize, stride: usize, pad: usize) -> Window {
    Window { input: conv.output(), size: vec![size; 2], stride: vec![stride; 2], low: vec![pad; 2], high: vec![pad; 2] }
}
