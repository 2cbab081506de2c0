//! The type that an op makes of its arguments' types. All checks of sizes and element types are here, in
//! [`Form::infer`](crate::Form::infer) and in [`Window::check`].
#![deny(clippy::wildcard_enum_match_arm)]

use crate::expr::Arithmetic;
use crate::{DType, Error, Expr, Op, Result, Type, Window};

impl Op {
    /// Type of the result for arguments of these types; an error that says what does not fit.
    pub fn infer(&self, args: &[Type]) -> Result<Type> {
        let name = self.name();
        let fits = self.arity().map_or(!args.is_empty(), |n| n == args.len());
        if !fits {
            let expected = match self.arity() {
                None => "at least 1 argument".to_string(),
                Some(1) => "1 argument".to_string(),
                Some(n) => format!("{n} arguments"),
            };
            return Err(Error::shape(name, expected, format!("{}", args.len())));
        }
        let ty = self.result(args)?;
        let bytes = ty.dims.iter().try_fold(ty.dtype.size(), |n, &d| n.checked_mul(d));
        if bytes.is_none_or(|n| n > isize::MAX as usize) {
            return Err(Error::shape(name, "a result that can be addressed", format!("{ty}")));
        }
        Ok(ty)
    }

    fn result(&self, args: &[Type]) -> Result<Type> {
        let name = self.name();
        match self {
            Self::Arg { ty, .. } => Ok(ty.clone()),
            Self::Const { dtype, .. } => Ok(Type::new(*dtype, [])),
            Self::Random { dims, .. } => {
                if args[0] == Type::new(DType::I32, [2]) {
                    Ok(Type::f32(dims.clone()))
                } else {
                    Err(Error::dtype(name, "a state int32[2]", args[0].to_string()))
                }
            }
            Self::Cast(dtype) => Ok(Type::new(*dtype, args[0].dims.clone())),
            Self::Detach => Ok(args[0].clone()),
            Self::Map { expr, dtype } => map(expr, *dtype, args),
            Self::Product { form, solve } => form.infer(*solve, [&args[0], &args[1]]),
            Self::Sum(axes) => {
                if !matches!(args[0].dtype, DType::F32 | DType::I32 | DType::I64) {
                    return Err(Error::dtype(name, "float32, int32 or int64 (cast first)", args[0].to_string()));
                }
                reduce(name, axes, &args[0])
            }
            Self::Max(axes) => {
                let ty = reduce(name, axes, &args[0])?;
                if axes.iter().any(|&a| args[0].dims[a] == 0) {
                    return Err(Error::shape(name, "at least one element to take the maximum of", args[0].to_string()));
                }
                Ok(ty)
            }
            Self::ArgSort if args[0].dtype.is_half() => {
                Err(Error::dtype(name, "float32 or integers (cast first)", args[0].to_string()))
            }
            Self::ArgSort => match args[0].dims.last() {
                Some(n) if i32::try_from(*n).is_ok() => Ok(Type::new(DType::I32, args[0].dims.clone())),
                _ => Err(Error::shape(name, "a last axis whose positions int32 holds", args[0].to_string())),
            },
            Self::Broadcast { dims, axes } => broadcast(dims, axes, &args[0]),
            Self::Reshape(dims) => {
                let len = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
                if len == Some(args[0].len()) {
                    Ok(Type::new(args[0].dtype, dims.clone()))
                } else {
                    let given = format!("{:?} from {:?}", dims, args[0].dims);
                    Err(Error::shape(name, format!("sizes of {} elements in all", args[0].len()), given))
                }
            }
            Self::Permute(perm) => permute(perm, &args[0]),
            Self::Slice { start, stop, step } => slice(start, stop, step, &args[0]),
            Self::Pad { low, high, interior } => pad(low, high, interior, &args[0]),
            Self::Concat(axis) => concat(*axis, args),
            Self::WindowSum(w) => {
                let [n, c] = window(name, w, &w.input, &args[0])?;
                Ok(Type::f32([&[n], &w.output()[..], &[c]].concat()))
            }
            Self::WindowSpread(w) => {
                w.check(name)?;
                let [n, c] = window(name, w, &w.output(), &args[0])?;
                Ok(Type::f32([&[n], &w.input[..], &[c]].concat()))
            }
            Self::WindowArgMax(w) => {
                let [n, c] = ordered(name, w, &args[0])?;
                Ok(Type::new(w.index_dtype(), [&[n], &w.output()[..], &[c]].concat()))
            }
            Self::WindowTake(w) => {
                let [n, c] = ordered(name, w, &args[0])?;
                let ty = Type::new(args[0].dtype, [&[n], &w.output()[..], &[c]].concat());
                window_index(name, w, &ty, &args[1])?;
                Ok(ty)
            }
            Self::WindowPut(w) => {
                w.check(name)?;
                let [n, c] = window(name, w, &w.output(), &args[0])?;
                window_index(name, w, &args[0], &args[1])?;
                Ok(Type::f32([&[n], &w.input[..], &[c]].concat()))
            }
            Self::Gather { axis } => {
                index(name, &args[1])?;
                let dims = &args[0].dims;
                if *axis >= dims.len() {
                    return Err(Error::shape(name, format!("a tensor with an axis {axis}"), args[0].to_string()));
                }
                Ok(Type::new(args[0].dtype, [&dims[..*axis], &args[1].dims, &dims[axis + 1..]].concat()))
            }
            Self::ScatterAdd { axis, size } => scatter_add(name, *axis, *size, &args[0], &args[1]),
            Self::GatherEach { axis } => {
                let (x, at) = (entry(name, *axis, &args[0])?, entry(name, 1, &args[1])?);
                same_entries(name, &args[0], &args[1])?;
                let each = Self::Gather { axis: axis - 1 }.infer(&[x, at])?;
                Ok(Type::new(each.dtype, [&args[0].dims[..1], &each.dims].concat()))
            }
            Self::ScatterEach { axis, size } => {
                let (g, at) = (entry(name, *axis, &args[0])?, entry(name, 1, &args[1])?);
                same_entries(name, &args[0], &args[1])?;
                let each = scatter_add(name, axis - 1, *size, &g, &at)?;
                Ok(Type::new(each.dtype, [&args[0].dims[..1], &each.dims].concat()))
            }
        }
    }
}

fn map(expr: &Expr, dtype: DType, args: &[Type]) -> Result<Type> {
    let Some(first) = args.first() else {
        return Err(Error::shape("map", "at least 1 argument", "0"));
    };
    if expr.outs().len() != 1 {
        return Err(Error::shape("map", "an expression with 1 result", format!("{}", expr.outs().len())));
    }
    if args.iter().any(|t| t.dims != first.dims) {
        return Err(Error::shape("map", format!("arguments of equal sizes (`{expr}`)"), list(args)));
    }
    let types = || args.iter().map(|t| t.dtype).chain([dtype]);
    if types().all(DType::is_integer) && expr.arithmetic(types()) == Arithmetic::F32 {
        let expected = format!("a float32 argument or result for `{expr}`");
        return Err(Error::dtype("map", expected, format!("{} -> {dtype}", list(args))));
    }
    Ok(Type::new(dtype, first.dims.clone()))
}

fn list(types: &[Type]) -> String {
    types.iter().map(Type::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether axes ascend strictly and lie below `rank`.
fn check_axes(op: &str, axes: &[usize], rank: usize) -> Result<()> {
    if axes.windows(2).all(|w| w[0] < w[1]) && axes.last().is_none_or(|&a| a < rank) {
        Ok(())
    } else {
        Err(Error::shape(op, format!("distinct ascending axes below {rank}"), format!("{axes:?}")))
    }
}

fn reduce(op: &str, axes: &[usize], x: &Type) -> Result<Type> {
    check_axes(op, axes, x.rank())?;
    Ok(Type::new(x.dtype, without(&x.dims, axes)))
}

/// The sizes but those of some axes.
fn without(dims: &[usize], axes: &[usize]) -> Vec<usize> {
    dims.iter().enumerate().filter(|(a, _)| !axes.contains(a)).map(|(_, &d)| d).collect()
}

fn broadcast(dims: &[usize], axes: &[usize], x: &Type) -> Result<Type> {
    check_axes("broadcast", axes, dims.len())?;
    let kept = without(dims, axes);
    if kept != x.dims {
        let expected = format!("{kept:?} ({dims:?} without the new axes {axes:?})");
        return Err(Error::shape("broadcast", expected, format!("{:?}", x.dims)));
    }
    Ok(Type::new(x.dtype, dims))
}

fn permute(perm: &[usize], x: &Type) -> Result<Type> {
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..x.rank()) {
        let expected = format!("an order of the {} axes of {:?}", x.rank(), x.dims);
        return Err(Error::shape("permute", expected, format!("{perm:?}")));
    }
    Ok(Type::new(x.dtype, perm.iter().map(|&a| x.dims[a]).collect::<Vec<_>>()))
}

fn slice(start: &[usize], stop: &[usize], step: &[usize], x: &Type) -> Result<Type> {
    let given = || format!("start {start:?}, stop {stop:?}, step {step:?} of {:?}", x.dims);
    if [start, stop, step].iter().any(|l| l.len() != x.rank()) {
        return Err(Error::shape("slice", format!("bounds and steps for {} axes", x.rank()), given()));
    }
    let fits = |a: usize| start[a] <= stop[a] && stop[a] <= x.dims[a] && step[a] >= 1;
    if !(0..x.rank()).all(fits) {
        return Err(Error::shape("slice", "start <= stop <= size and steps of at least 1", given()));
    }
    let dims: Vec<usize> = (0..x.rank()).map(|a| (stop[a] - start[a]).div_ceil(step[a])).collect();
    Ok(Type::new(x.dtype, dims))
}

fn pad(low: &[usize], high: &[usize], interior: &[usize], x: &Type) -> Result<Type> {
    let given = || format!("low {low:?}, high {high:?}, interior {interior:?} of {:?}", x.dims);
    if [low, high, interior].iter().any(|l| l.len() != x.rank()) {
        return Err(Error::shape("pad", format!("padding for {} axes", x.rank()), given()));
    }
    let padded = |a: usize| {
        let gaps = x.dims[a].saturating_sub(1).checked_mul(interior[a])?;
        x.dims[a].checked_add(gaps)?.checked_add(low[a])?.checked_add(high[a])
    };
    let dims: Option<Vec<usize>> = (0..x.rank()).map(padded).collect();
    let dims = dims.ok_or_else(|| Error::shape("pad", "a result that can be addressed", given()))?;
    Ok(Type::new(x.dtype, dims))
}

fn concat(axis: usize, args: &[Type]) -> Result<Type> {
    let first = &args[0];
    if axis >= first.rank() {
        return Err(Error::shape("concat", format!("tensors with an axis {axis}"), list(args)));
    }
    if args.iter().any(|t| t.dtype != first.dtype) {
        return Err(Error::dtype("concat", format!("{} throughout", first.dtype), list(args)));
    }
    let rest = without(&first.dims, &[axis]);
    if args.iter().any(|t| t.rank() != first.rank() || without(&t.dims, &[axis]) != rest) {
        return Err(Error::shape("concat", format!("sizes equal but along axis {axis}"), list(args)));
    }
    let mut dims = first.dims.clone();
    let size = args.iter().try_fold(0usize, |n, t| n.checked_add(t.dims[axis]));
    dims[axis] = size.ok_or_else(|| Error::shape("concat", "a result that can be addressed", list(args)))?;
    Ok(Type::new(first.dtype, dims))
}

/// Checks that `x` is a tensor `[n, spatial.., c]` of floats or bytes, which have maxima; gives `n` and `c`.
fn ordered(op: &str, w: &Window, x: &Type) -> Result<[usize; 2]> {
    if matches!(x.dtype, DType::U8 | DType::I8) {
        window(op, w, &w.input, &Type::f32(x.dims.clone()))
    } else {
        window(op, w, &w.input, x)
    }
}

/// Checks that `x` is a float tensor `[n, spatial.., c]`; gives `n` and `c`.
fn window(op: &str, w: &Window, spatial: &[usize], x: &Type) -> Result<[usize; 2]> {
    w.check(op)?;
    if x.dtype != DType::F32 {
        return Err(Error::dtype(op, "float32", x.to_string()));
    }
    let rank = spatial.len();
    if x.rank() != rank + 2 || x.dims[1..=rank] != *spatial {
        return Err(Error::shape(op, format!("[batch, {}, channels]", sizes(spatial)), format!("{:?}", x.dims)));
    }
    Ok([x.dims[0], x.dims[rank + 1]])
}

fn sizes(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

fn window_index(op: &str, w: &Window, values: &Type, given: &Type) -> Result<()> {
    let expected = Type::new(w.index_dtype(), values.dims.clone());
    if *given == expected {
        return Ok(());
    }
    let (expected, shown) = (format!("index {expected}"), given.to_string());
    Err(if given.dims == values.dims { Error::dtype(op, expected, shown) } else { Error::shape(op, expected, shown) })
}

fn index(op: &str, given: &Type) -> Result<()> {
    if given.dtype == DType::I32 { Ok(()) } else { Err(Error::dtype(op, "an int32 index", given.to_string())) }
}

/// The type of one entry of axis 0, for an op along another `axis`.
fn entry(op: &str, axis: usize, ty: &Type) -> Result<Type> {
    if axis == 0 || ty.rank() == 0 {
        return Err(Error::shape(op, "an axis 0 of entries and an axis after it", format!("{ty} and axis {axis}")));
    }
    Ok(Type::new(ty.dtype, ty.dims[1..].to_vec()))
}

fn same_entries(op: &str, x: &Type, at: &Type) -> Result<()> {
    if x.dims[0] == at.dims[0] {
        return Ok(());
    }
    Err(Error::shape(op, format!("indices for {} entries", x.dims[0]), at.to_string()))
}

fn scatter_add(op: &str, axis: usize, size: usize, g: &Type, at: &Type) -> Result<Type> {
    index(op, at)?;
    if !matches!(g.dtype, DType::F32 | DType::I32 | DType::I64) {
        return Err(Error::dtype(op, "float32, int32 or int64 (cast first)", g.to_string()));
    }
    let end = axis.saturating_add(at.rank());
    if end > g.rank() || g.dims[axis..end] != at.dims {
        let expected = format!("the sizes {:?} of the index from axis {axis} on", at.dims);
        return Err(Error::shape(op, expected, format!("{:?}", g.dims)));
    }
    Ok(Type::new(g.dtype, [&g.dims[..axis], &[size], &g.dims[end..]].concat()))
}
