//! The oracle of tests: every op in `f64`, by loops written from its definition, with no thought of speed. Kernels of
//! any device are compared with it; nothing else uses it (cargo feature `reference`).
//!
//! Floats are not rounded to `f32` anywhere, halves when they are stored. Integers up to 2^53 and truth values are exact.

mod array;
mod random;
mod window;

pub use array::Array;
pub use random::philox;

use crate::expr::Arithmetic;
use crate::{Conv, DType, Error, Expr, Form, Graph, NodeId, Op, Result, Seat};
use array::{convert, coords, offset};

/// Results of some nodes of a graph, for its arguments by index.
pub fn run(graph: &Graph, args: &[Array], outs: &[NodeId]) -> Result<Vec<Array>> {
    let live = graph.live(outs);
    let mut values: Vec<Option<Array>> = vec![None; graph.nodes().len()];
    for id in graph.ids().filter(|id| live[id.index()]) {
        let node = graph.node(id);
        let value = if let Op::Arg { index, ty } = &node.op {
            match args.get(*index) {
                Some(arg) if arg.ty == *ty => arg.clone(),
                given => {
                    let given = given.map_or_else(|| "nothing".to_string(), |a| a.ty.to_string());
                    return Err(Error::shape("arg", format!("argument {index} {ty}"), given));
                }
            }
        } else {
            let inputs: Vec<&Array> = node.args.iter().filter_map(|a| values[a.index()].as_ref()).collect();
            apply(&node.op, &inputs)?
        };
        values[id.index()] = Some(value);
    }
    Ok(outs.iter().filter_map(|o| values[o.index()].clone()).collect())
}

/// Result of one op.
pub fn apply(op: &Op, args: &[&Array]) -> Result<Array> {
    let types: Vec<_> = args.iter().map(|a| a.ty.clone()).collect();
    let ty = op.infer(&types)?;
    let mut out = Array::zeros(ty);
    match op {
        Op::Arg { .. } => return Err(Error::Graph("an argument has no value of its own".into())),
        Op::Const { bits, .. } => out.data[0] = convert(f64::from_bits(*bits), DType::F32, out.ty.dtype),
        Op::Random { dist, .. } => random::fill(*dist, &args[0].data, &mut out.data),
        Op::Cast(dtype) => {
            let from = args[0].ty.dtype;
            out.data = args[0].data.iter().map(|&v| convert(v, from, *dtype)).collect();
        }
        Op::Map { expr, .. } => map(expr, args, &mut out),
        Op::Product { form: Form::Conv(c), solve } => conv(c, *solve, args, &mut out),
        Op::Product { form: Form::MatMul, solve } => matmul(*solve, args, &mut out),
        Op::Sum(axes) => reduce(axes, args[0], &mut out, |sum, v| sum + v),
        Op::Max(axes) => {
            out.data.fill(f64::NEG_INFINITY);
            reduce(axes, args[0], &mut out, |best, v| if v > best || v.is_nan() { v } else { best });
        }
        Op::ArgSort => argsort(args[0], &mut out),
        Op::Broadcast { dims, axes } => {
            for at in coords(dims) {
                let kept: Vec<usize> = (0..dims.len()).filter(|a| !axes.contains(a)).map(|a| at[a]).collect();
                out.set(&at, args[0].get(&kept));
            }
        }
        Op::Detach | Op::Reshape(_) => out.data.clone_from(&args[0].data),
        Op::Permute(perm) => {
            for at in coords(&out.ty.dims) {
                let mut from = vec![0; at.len()];
                perm.iter().zip(&at).for_each(|(&p, &i)| from[p] = i);
                out.set(&at, args[0].get(&from));
            }
        }
        Op::Slice { start, step, .. } => {
            for at in coords(&out.ty.dims) {
                let from: Vec<usize> = (0..at.len()).map(|a| start[a] + at[a] * step[a]).collect();
                out.set(&at, args[0].get(&from));
            }
        }
        Op::Pad { low, interior, .. } => {
            for at in coords(&args[0].ty.dims) {
                let into: Vec<usize> = (0..at.len()).map(|a| low[a] + at[a] * (interior[a] + 1)).collect();
                out.set(&into, args[0].get(&at));
            }
        }
        Op::Concat(axis) => {
            let mut start = 0;
            for arg in args {
                for mut at in coords(&arg.ty.dims) {
                    let v = arg.get(&at);
                    at[*axis] += start;
                    out.set(&at, v);
                }
                start += arg.ty.dims[*axis];
            }
        }
        Op::WindowSum(w) => window::sum(w, args[0], &mut out),
        Op::WindowSpread(w) => window::spread(w, args[0], &mut out),
        Op::WindowArgMax(w) => window::argmax(w, args[0], &mut out),
        Op::WindowTake(w) => window::take(w, args[0], args[1], &mut out)?,
        Op::WindowPut(w) => window::put(w, args[0], args[1], &mut out)?,
        Op::Gather { axis } => {
            let shape = args[0].ty.dims.clone();
            for at in coords(&out.ty.dims) {
                let from = indexed(op, *axis, &at, args[1], shape[*axis])?;
                out.set(&at, args[0].get(&from));
            }
        }
        Op::GatherEach { axis } => {
            let size = args[0].ty.dims[*axis];
            for at in coords(&out.ty.dims) {
                let from = indexed_each(op, *axis, &at, args[1], size)?;
                out.set(&at, args[0].get(&from));
            }
        }
        Op::ScatterEach { axis, size } => {
            for at in coords(&args[0].ty.dims) {
                let into = indexed_each(op, *axis, &at, args[1], *size)?;
                out.add(&into, args[0].get(&at));
            }
        }
        Op::ScatterAdd { axis, size } => {
            for at in coords(&args[0].ty.dims) {
                let into = indexed(op, *axis, &at, args[1], *size)?;
                out.add(&into, args[0].get(&at));
            }
        }
    }
    if out.ty.dtype == DType::I32 {
        // Sums of int32 wrap; they are exact in f64 up to 2^21 terms.
        out.data.iter_mut().for_each(|v| *v = f64::from(*v as i64 as i32));
    }
    Ok(out)
}

fn map(expr: &Expr, args: &[&Array], out: &mut Array) {
    let dtype = out.ty.dtype;
    let arithmetic = expr.arithmetic(args.iter().map(|a| a.ty.dtype).chain([dtype]));
    for i in 0..out.data.len() {
        let inputs: Vec<f64> = args.iter().map(|a| a.data[i]).collect();
        out.data[i] = match arithmetic {
            Arithmetic::I32 => {
                let inputs: Vec<i32> = inputs.iter().map(|&v| v as i32).collect();
                convert(f64::from(expr.eval_integer(&inputs).expect("checked by infer")[0]), DType::I32, dtype)
            }
            Arithmetic::I64 => {
                let inputs: Vec<i64> = inputs.iter().map(|&v| v as i64).collect();
                convert(expr.eval_integer(&inputs).expect("checked by infer")[0] as f64, DType::I64, dtype)
            }
            Arithmetic::F32 => convert(expr.eval(&inputs)[0], DType::F32, dtype),
        };
    }
}

fn reduce(axes: &[usize], x: &Array, out: &mut Array, f: impl Fn(f64, f64) -> f64) {
    for at in coords(&x.ty.dims) {
        let kept: Vec<usize> = (0..at.len()).filter(|a| !axes.contains(a)).map(|a| at[a]).collect();
        let v = f(out.get(&kept), x.get(&at));
        out.set(&kept, v);
    }
}

fn argsort(x: &Array, out: &mut Array) {
    let n = x.ty.dims[x.ty.rank() - 1].max(1);
    for (row, places) in x.data.chunks(n).zip(out.data.chunks_mut(n)) {
        let mut order: Vec<usize> = (0..row.len()).collect();
        // `sort_by` is stable; of the NaNs none is before another.
        order.sort_by(|&a, &b| row[a].partial_cmp(&row[b]).unwrap_or_else(|| row[a].is_nan().cmp(&row[b].is_nan())));
        places.iter_mut().zip(order).for_each(|(p, i)| *p = i as f64);
    }
}

/// Where position `at` of a gathered tensor comes from: the index's axes replaced by the index it holds.
fn indexed(op: &Op, axis: usize, at: &[usize], index: &Array, size: usize) -> Result<Vec<usize>> {
    let end = axis + index.ty.rank();
    replaced(op, axis, at, end, index.get(&at[axis..end]), size)
}

/// The same where entry 0 of `at` says which indices count.
fn indexed_each(op: &Op, axis: usize, at: &[usize], index: &Array, size: usize) -> Result<Vec<usize>> {
    let end = axis + index.ty.rank() - 1;
    replaced(op, axis, at, end, index.get(&[&at[..1], &at[axis..end]].concat()), size)
}

fn replaced(op: &Op, axis: usize, at: &[usize], end: usize, i: f64, size: usize) -> Result<Vec<usize>> {
    if i < 0.0 || i >= size as f64 {
        let message = format!("index {i} is out of range for axis {axis} of size {size}");
        return Err(Error::value(op.name(), message));
    }
    Ok([&at[..axis], &[i as usize], &at[end..]].concat())
}

/// Adds `a · b` to the result for one index of the product sum; `places` are offsets in the seats x, k, y.
fn term(solve: Seat, args: &[&Array], places: [usize; 3], out: &mut Array) {
    let place = |seat: Seat| places[seat as usize];
    let [a, b] = solve.others();
    out.data[place(solve)] += args[0].data[place(a)] * args[1].data[place(b)];
}

fn matmul(solve: Seat, args: &[&Array], out: &mut Array) {
    let dims = |seat: Seat| seat.position(solve).map_or_else(|| out.ty.dims.clone(), |p| args[p].ty.dims.clone());
    let (x, k, y) = (dims(Seat::Input), dims(Seat::Kernel), dims(Seat::Output));
    let lead = x.len() - 2;
    let index_set = [&x[..], &y[lead + 1..]].concat();
    for at in coords(&index_set) {
        let (b, [i, j, l]) = (&at[..lead], [at[lead], at[lead + 1], at[lead + 2]]);
        let places = [(&x, i, j), (&k, j, l), (&y, i, l)].map(|(dims, r, c)| offset(dims, &[b, &[r, c]].concat()));
        term(solve, args, places, out);
    }
}

fn conv(c: &Conv, solve: Seat, args: &[&Array], out: &mut Array) {
    let rank = c.input.len();
    let n = if solve == Seat::Input { args[1].ty.dims[0] } else { args[0].ty.dims[0] };
    let (cin, cout, output) = (c.cin / c.groups, c.cout / c.groups, c.output());
    let [inputs, outputs]: [usize; 2] = [&c.input, &output].map(|dims| dims.iter().product());
    for position in coords(&output) {
        for tap in coords(&c.kernel) {
            let padded = |a: usize| position[a] * c.stride[a] + tap[a] * c.dilation[a];
            if (0..rank).any(|a| padded(a) < c.low[a] || padded(a) - c.low[a] >= c.input[a]) {
                continue;
            }
            let from: Vec<usize> = (0..rank).map(|a| padded(a) - c.low[a]).collect();
            let [x, k, y] = [offset(&c.input, &from), offset(&c.kernel, &tap), offset(&output, &position)];
            for sample in 0..n {
                for o in 0..c.cout {
                    for i in 0..cin {
                        let places = [
                            (sample * inputs + x) * c.cin + o / cout * cin + i,
                            (k * cin + i) * c.cout + o,
                            (sample * outputs + y) * c.cout + o,
                        ];
                        term(solve, args, places, out);
                    }
                }
            }
        }
    }
}
