//! Traces, steps, cells, tapes and weights files, as a Rust user meets them.

use oxiconv::compose::{Function2, Operand, Scalar, binary_named, unary_named};
use oxiconv::ir::{Binary, DType, Error, Type, Unary};
use oxiconv::weights::{self, Entry, FileError};
use oxiconv::{Cell, Input, Tape, Tensor, Trace, Value, ops};
use std::collections::HashMap;

fn tensor(values: &[f32]) -> Tensor {
    Tensor::from_f32(&[values.len()], values).unwrap()
}

fn value(values: &[f32]) -> Value {
    tensor(values).into()
}

fn binary(f: Binary, a: &Value, b: &Value) -> Value {
    ops::binary(Function2::Plain(f), &Operand::Value(a.clone()), &Operand::Value(b.clone())).unwrap()
}

fn floats(v: &Value) -> Vec<f32> {
    v.tensor("test").unwrap().to_f32().unwrap()
}

#[test]
fn a_step_reads_everything_before_it_stores_anything() {
    let (a, b) = (Cell::new(tensor(&[1.0])), Cell::new(tensor(&[2.0])));
    let trace = Trace::new();
    let (x, y) = (trace.state(&a).unwrap(), trace.state(&b).unwrap());
    let sum = binary(Binary::Add, &x, &y);
    let step = trace.compile(&[&x, &sum], &[(a.clone(), &y), (b.clone(), &sum)]).unwrap();
    let out = step.run(&[]).unwrap();
    assert_eq!(out.iter().map(|t| t.to_f32().unwrap()[0]).collect::<Vec<_>>(), [1.0, 3.0]);
    assert_eq!([&a, &b].map(|c| c.get().unwrap().to_f32().unwrap()[0]), [2.0, 3.0]);
}

#[test]
fn a_tensor_taken_from_a_cell_stays() {
    let cell = Cell::new(tensor(&[1.0, 2.0]));
    let trace = Trace::new();
    let x = trace.state(&cell).unwrap();
    let step = trace.compile(&[], &[(cell.clone(), &binary(Binary::Mul, &x, &x))]).unwrap();
    let kept = cell.get().unwrap();
    step.run(&[]).unwrap();
    assert_eq!(kept.to_f32().unwrap(), [1.0, 2.0]);
    let (id, address) = (cell.get().unwrap().id(), cell.get().unwrap().bytes().as_ptr());
    step.run(&[]).unwrap();
    let last = cell.get().unwrap();
    assert_eq!(last.to_f32().unwrap(), [1.0, 16.0]);
    assert_eq!(last.bytes().as_ptr(), address, "unshared memory is updated in place");
    assert_ne!(last.id(), id, "but it is another value");
}

#[test]
fn inputs_from_memory_of_any_alignment() {
    let trace = Trace::new();
    let ty = Type::f32([3]);
    let x = trace.input(ty.clone(), false).unwrap();
    let step = trace.compile(&[&ops::unary(Unary::Neg, &x).unwrap()], &[]).unwrap();
    let mut bytes = [0u8; 16];
    for shift in 0..4 {
        for (i, v) in [1f32, 2.0, 3.0].into_iter().enumerate() {
            bytes[shift + 4 * i..][..4].copy_from_slice(&v.to_ne_bytes());
        }
        let out = step.run(&[Input::Bytes { ty: &ty, bytes: &bytes[shift..shift + 12] }]).unwrap();
        assert_eq!(out[0].to_f32().unwrap(), [-1.0, -2.0, -3.0]);
    }
    assert!(matches!(step.run(&[Input::Bytes { ty: &ty, bytes: &bytes[..8] }]), Err(Error::Shape { .. })));
    assert!(matches!(step.run(&[Input::Tensor(&tensor(&[1.0]))]), Err(Error::Shape { .. })));
    assert!(matches!(step.run(&[]), Err(Error::Shape { .. })));
}

#[test]
fn concrete_tensors_are_captured_once_and_numbers_folded() {
    let trace = Trace::new();
    let x = trace.input(Type::f32([2]), false).unwrap();
    let c = value(&[1.0, 2.0]);
    let two: Value = Tensor::scalar(2.0, DType::F32).unwrap().into();
    let y = binary(Binary::Add, &binary(Binary::Mul, &x, &c), &binary(Binary::Mul, &c, &x));
    let y = binary(Binary::Mul, &y, &two);
    let listing = trace.to_string();
    assert_eq!(listing.matches("= arg").count(), 2, "{listing}");
    assert_eq!(listing.matches("= const").count(), 1, "{listing}");
    let step = trace.compile(&[&y], &[]).unwrap();
    assert_eq!(step.run(&[Input::Tensor(&tensor(&[3.0, 4.0]))]).unwrap()[0].to_f32().unwrap(), [12.0, 32.0]);
}

#[test]
fn eager_traced_and_differentiated_agree() {
    // d/dx Σ c·tanh(x) = c·(1 - tanh²x), three ways.
    let (x, c) = (value(&[-1.5, 0.0, 0.25, 3.0]), value(&[1.0, -2.0, 0.5, 4.0]));
    let f = |x: &Value| binary(Binary::Mul, &ops::unary(Unary::Tanh, x).unwrap(), &c);
    let tape = Tape::new();
    tape.watch(&x);
    tape.start().unwrap();
    let y = f(&x);
    tape.stop().unwrap();
    let eager = tape.gradient(&y, &[&x], None).unwrap()[0].clone().unwrap();
    let trace = Trace::new();
    let input = trace.input(Type::f32([4]), true).unwrap();
    let compiled = trace.grad(&f(&input), &[&input]).unwrap()[0].clone().unwrap();
    let compiled = trace.compile(&[&compiled], &[]).unwrap();
    let compiled = compiled.run(&[Input::Tensor(x.tensor("x").unwrap())]).unwrap()[0].to_f32().unwrap();
    for i in 0..4 {
        let t = f64::from(floats(&x)[i]).tanh();
        let expected = f64::from(floats(&c)[i]) * (1.0 - t * t);
        // tanh is good to 2 ulp of a value up to 1; its square, the difference and the product add 3 roundings; c ≤ 4.
        let bound = 4.0 * 8.0 * 2f64.powi(-24);
        assert!((f64::from(floats(&eager)[i]) - expected).abs() < bound);
        assert!((f64::from(compiled[i]) - expected).abs() < bound);
    }
}

#[test]
fn names_and_numbers_that_do_not_fit() {
    assert_eq!(unary_named("rsqrt").unwrap(), Unary::Rsqrt);
    assert_eq!(binary_named("floordiv").unwrap(), Function2::FloorDiv);
    assert!(unary_named("add").unwrap_err().to_string().contains("rsqrt"));
    let bytes: Value = Tensor::from_bytes(Type::new(DType::U8, [2]), &[1, 2]).unwrap().into();
    let add = |n: i64| {
        let number = Operand::Scalar(Scalar::Int(n));
        ops::binary(Function2::Plain(Binary::Add), &Operand::Value(bytes.clone()), &number)
    };
    assert_eq!(add(253).unwrap().tensor("test").unwrap().bytes(), [254, 255]);
    assert!(matches!(add(256), Err(Error::Value { .. })));
    assert!(matches!(add(-1), Err(Error::Value { .. })));
}

#[test]
fn files_round_trip_and_bad_ones_are_refused() {
    let folder = std::env::temp_dir().join(format!("oxiconv-weights-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("w.safetensors");
    let (a, b) = (tensor(&[1.0, -0.0, f32::MIN_POSITIVE]), Tensor::from_i32(&[2, 0], &[]).unwrap());
    let entry = |t| Entry { ty: Tensor::ty(t), bytes: t.bytes() };
    let metadata = HashMap::from([("k".to_string(), "v".to_string())]);
    weights::save(&path, &[("a", entry(&a)), ("b", entry(&b))], metadata.clone()).unwrap();
    let (tensors, found) = weights::load(&path).unwrap();
    assert_eq!(found, metadata);
    let found: HashMap<_, _> = tensors.iter().map(|(n, t)| (n.as_str(), (t.ty(), t.bytes()))).collect();
    assert_eq!(found, HashMap::from([("a", (a.ty(), a.bytes())), ("b", (b.ty(), b.bytes()))]));
    // Cut anywhere, the file is refused.
    let whole = std::fs::read(&path).unwrap();
    for len in 0..whole.len() {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert!(matches!(weights::load(&path), Err(FileError::Format(_))), "{len} of {} bytes", whole.len());
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(matches!(weights::load(&path), Err(FileError::Io(_))));
}
