//! Ops that run at once. An op is compiled, as a graph of one node, the first time it meets arguments of these types;
//! so there is one way of running things.

use crate::interrupt::interrupted;
use crate::tape;
use crate::tensor::{Tensor, uninit};
use oxiconv_cpu::exec::Executable;
use oxiconv_ir::plan::Request;
use oxiconv_ir::{Batch, Emit, Error, Graph, NodeId, Op, Result, Type};
use rustc_hash::FxHashMap;
use std::cell::RefCell;

/// Runs ops on this thread's cache of compiled ops, and shows them to this thread's active [tapes](crate::Tape).
#[derive(Debug, Clone, Copy, Default)]
pub struct Eager;

impl Emit for Eager {
    type Value = Tensor;

    fn emit(&mut self, op: Op, args: &[Tensor]) -> Result<Tensor> {
        let types: Vec<Type> = args.iter().map(|a| a.ty().clone()).collect();
        let ty = op.infer(&types)?;
        if op.is_identity(&types) {
            return Ok(args[0].clone());
        }
        let out = match &op {
            Op::Const { dtype, bits } => Tensor::scalar(f64::from_bits(*bits), *dtype)?,
            Op::Arg { .. } => return Err(Error::Graph("an argument of a graph has no value outside of it".into())),
            Op::Reshape(_) | Op::Detach => args[0].with_dims(&ty.dims),
            _ => run(&op, types, ty, args)?,
        };
        tape::record(&op, args, &out);
        Ok(out)
    }

    fn ty(&self, value: &Tensor) -> Type {
        value.ty().clone()
    }

    fn id(&self, value: &Tensor) -> u64 {
        value.id()
    }
}

fn run(op: &Op, types: Vec<Type>, ty: Type, args: &[Tensor]) -> Result<Tensor> {
    let mut memory = uninit(ty.bytes())?;
    if ty.is_empty() {
        return Ok(Tensor::new(ty, memory));
    }
    // Out of the cache while it runs: a signal handler may apply ops, even this one.
    let key = (op.clone(), types);
    let mut compiled = match CACHE.with_borrow_mut(|cache| cache.take(&key)) {
        Some(compiled) => compiled,
        None => compile(&key.0, &key.1)?,
    };
    let args: Vec<*const u8> = args.iter().map(|a| a.bytes().as_ptr()).collect();
    // SAFETY: the arguments have the types that the op was compiled for and are borrowed; the result's memory is new.
    let done = unsafe { compiled.run(&args, &[memory.0.as_mut_ptr()], &interrupted) };
    CACHE.with_borrow_mut(|cache| cache.put(key, compiled));
    done.map(|()| Tensor::new(ty, memory))
}

fn compile(op: &Op, types: &[Type]) -> Result<Executable> {
    let mut graph = Graph::new();
    let args: Vec<NodeId> =
        types.iter().enumerate().map(|(i, ty)| graph.arg(i, ty.clone())).collect::<Result<Vec<_>>>()?;
    let out = graph.emit(op.clone(), &args)?;
    let request = Request { results: vec![out], batched: batched(op, types), updates: vec![], fixed: vec![] };
    let types: Vec<String> = types.iter().map(Type::to_string).collect();
    Ok(Executable::new(&graph, &request)?.titled(format!("op {op} of {}", types.join(", "))))
}

/// Arguments of fewer bytes are not worth a second worker's attention (about 10 µs of elementwise work).
const SHARED_BYTES: usize = 64 << 10;

/// Which arguments to slice along axis 0, so that the op can be shared among workers: the first choice under which it
/// need not see the whole batch at once.
fn batched(op: &Op, types: &[Type]) -> Vec<bool> {
    let light = types.iter().map(Type::bytes).sum::<usize>() < SHARED_BYTES;
    if light && !matches!(op, Op::Product { .. }) {
        return vec![false; types.len()];
    }
    let all = vec![true; types.len()];
    let only = |i: usize| (0..types.len()).map(|a| a == i).collect::<Vec<_>>();
    let size = |marks: &[bool]| {
        let mut sizes = types.iter().zip(marks).filter(|(_, m)| **m).map(|(ty, _)| ty.dims.first().copied());
        let first = sizes.next()??;
        (first > 0 && sizes.all(|s| s == Some(first))).then_some(first)
    };
    let works = |marks: &Vec<bool>| size(marks).is_some_and(|n| op.batch(n, marks, types) != Batch::Whole);
    [all, only(0), only(1)].into_iter().find(works).unwrap_or_else(|| vec![false; types.len()])
}

type Key = (Op, Vec<Type>);

/// Compiled ops, least recently used first out.
#[derive(Default)]
struct Cache {
    entries: FxHashMap<Key, (Executable, u64)>,
    /// Memory planned for all of them.
    bytes: usize,
    /// Counts uses.
    clock: u64,
}

/// Most compiled ops a thread keeps, and most memory planned for them.
const CACHE_COUNT: usize = 1024;
const CACHE_BYTES: usize = 512 << 20;

thread_local! {
    // One per thread: no lock to wait for, none left locked in a forked child.
    static CACHE: RefCell<Cache> = RefCell::default();
}

impl Cache {
    fn take(&mut self, key: &Key) -> Option<Executable> {
        let (compiled, _) = self.entries.remove(key)?;
        self.bytes -= compiled.memory();
        Some(compiled)
    }

    fn put(&mut self, key: Key, compiled: Executable) {
        self.clock += 1;
        self.bytes += compiled.memory();
        if let Some((replaced, _)) = self.entries.insert(key, (compiled, self.clock)) {
            self.bytes -= replaced.memory();
        }
        while self.entries.len() > CACHE_COUNT || (self.bytes > CACHE_BYTES && self.entries.len() > 1) {
            let oldest = self.entries.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.take(&key));
        }
    }
}
