//! Compiled graphs, and the cells that they read and update.

use crate::interrupt::interrupted;
use crate::tensor::{Recycled, uninit};
use crate::trace::Source;
use crate::turn::{Held, Turn};
use crate::{Cell, Tensor};
use oxiconv_cpu::exec::Executable;
use oxiconv_ir::plan::Request;
use oxiconv_ir::{Error, Graph, NodeId, Op, Result, Type};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A compiled graph: a program, and where its arguments come from and its results go.
pub struct Step {
    arguments: Vec<Argument>,
    results: Vec<Destination>,
    outputs: Vec<Origin>,
    stores: Vec<(Cell, Origin)>,
    /// Every cell that is read or updated, in the one order in which all steps hold cells, and whether it is updated.
    cells: Vec<(Cell, bool)>,
    turn: Turn,
    /// Locked by whoever has the turn.
    program: Mutex<Kept>,
    memory: usize,
    listing: String,
}

/// A program, and the versions of the fixed arguments that it keeps results of: see [`Tensor::version`].
struct Kept {
    program: Executable,
    versions: Vec<Option<u64>>,
}

/// An argument of the program.
struct Argument {
    source: Source,
    /// Whether it is itself an output, or stored into a cell.
    passed_on: bool,
    /// Whether a result overwrites it.
    overwritten: bool,
    /// Whether this step never changes it: what depends on such arguments alone is kept until their versions change.
    fixed: bool,
}

/// A result of the program.
struct Destination {
    ty: Type,
    /// The argument whose memory it overwrites: that of the cell it updates.
    in_place: Option<usize>,
}

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Argument(usize),
    Result(usize),
}

/// A value for an input of a step.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A tensor.
    Tensor(&'a Tensor),
    /// Elements in someone's memory, row-major; read in place where they are aligned.
    Bytes {
        /// Element type and sizes.
        ty: &'a Type,
        /// The elements.
        bytes: &'a [u8],
    },
}

impl Input<'_> {
    fn ty(&self) -> &Type {
        match self {
            Self::Tensor(t) => t.ty(),
            Self::Bytes { ty, .. } => ty,
        }
    }

    fn to_tensor(self) -> Result<Tensor> {
        match self {
            Self::Tensor(t) => Ok(t.clone()),
            Self::Bytes { ty, bytes } => Tensor::from_bytes(ty.clone(), bytes),
        }
    }
}

impl Step {
    pub(crate) fn new(
        graph: &Graph,
        sources: Vec<Source>,
        outputs: Vec<NodeId>,
        stores: Vec<(Cell, NodeId)>,
    ) -> Result<Self> {
        let mut nodes: Vec<NodeId> = Vec::new();
        let mut origin = |node: NodeId| match graph.node(node).op {
            Op::Arg { index, .. } => Origin::Argument(index),
            _ => Origin::Result(nodes.iter().position(|n| *n == node).unwrap_or_else(|| {
                nodes.push(node);
                nodes.len() - 1
            })),
        };
        let outputs: Vec<Origin> = outputs.into_iter().map(&mut origin).collect();
        let stores: Vec<(Cell, Origin)> = stores.into_iter().map(|(cell, node)| (cell, origin(node))).collect();
        let mut results: Vec<Destination> =
            nodes.iter().map(|n| Destination { ty: graph.node(*n).ty.clone(), in_place: None }).collect();
        for (cell, origin) in &stores {
            if let Origin::Result(r) = *origin
                && results[r].in_place.is_none()
            {
                results[r].in_place = sources.iter().position(|s| matches!(s, Source::State(c) if c == cell));
            }
        }
        let updates = results.iter().enumerate().filter_map(|(r, d)| d.in_place.map(|a| (r, a))).collect();
        let batched = sources.iter().map(|s| matches!(s, Source::Input { batched: true, .. })).collect();
        let fixed: Vec<bool> = sources
            .iter()
            .map(|source| match source {
                Source::Input { .. } => false,
                Source::State(cell) => stores.iter().all(|(stored, _)| stored != cell),
                Source::Captured(tensor) => tensor.version().is_some(),
            })
            .collect();
        let program = Executable::new(graph, &Request { results: nodes, batched, updates, fixed: fixed.clone() })?;
        let read = sources.iter().filter_map(|s| match s {
            Source::State(cell) => Some((cell.clone(), false)),
            Source::Input { .. } | Source::Captured(_) => None,
        });
        let mut cells: Vec<(Cell, bool)> = stores.iter().map(|(cell, _)| (cell.clone(), true)).chain(read).collect();
        // Stable: of two mentions of a cell, the update stays.
        cells.sort_by_key(|(cell, _)| cell.id());
        cells.dedup_by(|a, b| a.0 == b.0);
        let passed =
            |index: usize| outputs.iter().chain(stores.iter().map(|(_, o)| o)).any(|o| *o == Origin::Argument(index));
        let arguments = sources
            .into_iter()
            .enumerate()
            .map(|(index, source)| Argument {
                source,
                passed_on: passed(index),
                overwritten: results.iter().any(|r| r.in_place == Some(index)),
                fixed: fixed[index],
            })
            .collect();
        let (memory, listing) = (program.memory(), program.to_string());
        let program = Mutex::new(Kept { program, versions: Vec::new() });
        Ok(Self { arguments, results, outputs, stores, cells, turn: Turn::default(), program, memory, listing })
    }

    /// Says what it is, for profiles.
    #[must_use]
    pub fn titled(mut self, title: &str) -> Self {
        let Kept { program, versions } = self.program.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.program = Mutex::new(Kept { program: program.titled(title), versions });
        self
    }

    /// Runs once. On an error no cell is changed.
    pub fn run(&self, inputs: &[Input<'_>]) -> Result<Vec<Tensor>> {
        let inputs = self.check(inputs)?;
        let _turn = self.turn.take("the step")?;
        let held = self.cells.iter().map(|(cell, _)| cell.hold()).collect::<Result<Vec<_>>>()?;
        let mut args = Args { tensors: Vec::new(), pointers: Vec::new() };
        for (argument, input) in self.arguments.iter().zip(&inputs) {
            let (tensor, pointer) = argument.bind(*input)?;
            args.tensors.push(tensor);
            args.pointers.push(pointer);
        }
        let mut fresh: Vec<Option<Recycled>> = Vec::with_capacity(self.results.len());
        let mut pointers: Vec<*mut u8> = Vec::with_capacity(self.results.len());
        for result in &self.results {
            let mut memory = match result.in_place {
                Some(_) => None,
                None => Some(uninit(result.ty.bytes())?),
            };
            pointers.push(match (result.in_place, &mut memory) {
                (Some(a), _) => args.pointers[a].cast_mut(),
                (None, Some(memory)) => memory.0.as_mut_ptr(),
                (None, None) => unreachable!("memory was made for every result that is not in place"),
            });
            fresh.push(memory);
        }
        // What is read is ours by now; others may have those cells.
        let held: Vec<Held<'_>> =
            held.into_iter().zip(&self.cells).filter_map(|(h, (_, updated))| updated.then_some(h)).collect();
        let mut kept = self.program.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { program, versions } = &mut *kept;
        let fixed = self.arguments.iter().zip(&args.tensors).filter(|(argument, _)| argument.fixed);
        let now = fixed.map(|(_, tensor)| tensor.as_ref().and_then(Tensor::version));
        if versions.is_empty() || !now.clone().eq(versions.iter().copied()) || versions.contains(&None) {
            program.forget();
            versions.clear();
            versions.extend(now);
        }
        // SAFETY: `check` and the cells' fixed types make every pointer valid for its type. Arguments are kept alive by
        // `args`, `inputs` and held cells. Fresh results are new memory; a result in place has the memory of a held
        // cell, which `make_unique` found or made unshared, so nothing else refers to it, and each cell is updated once.
        // Tensors of equal version have equal bytes.
        unsafe { program.run(&args.pointers, &pointers, &interrupted) }?;
        drop(kept);
        let outputs = self.finish(fresh, &args.tensors);
        drop(held);
        Ok(outputs)
    }

    /// The inputs by argument of the graph.
    fn check<'a>(&self, inputs: &[Input<'a>]) -> Result<Vec<Option<Input<'a>>>> {
        let expected = self.arguments.iter().filter(|a| matches!(a.source, Source::Input { .. })).count();
        if inputs.len() != expected {
            return Err(Error::shape("step", format!("{expected} inputs"), inputs.len().to_string()));
        }
        let mut given = inputs.iter().enumerate();
        let mut of = |argument: &Argument| {
            let Source::Input { ty, .. } = &argument.source else { return Ok(None) };
            let Some((i, input)) = given.next() else { return Ok(None) };
            let (op, expected, found) = (format!("step input {i}"), ty.to_string(), input.ty().to_string());
            if input.ty().dtype != ty.dtype {
                Err(Error::dtype(op, expected, found))
            } else if input.ty().dims != ty.dims {
                Err(Error::shape(op, expected, found))
            } else if let Input::Bytes { bytes, .. } = input
                && bytes.len() != ty.bytes()
            {
                Err(Error::shape(op, format!("{} bytes", ty.bytes()), bytes.len().to_string()))
            } else {
                Ok(Some(*input))
            }
        };
        self.arguments.iter().map(&mut of).collect()
    }

    /// After the run: values to their cells, outputs to the caller. Nothing here can fail.
    fn finish(&self, fresh: Vec<Option<Recycled>>, args: &[Option<Tensor>]) -> Vec<Tensor> {
        let results: Vec<Tensor> = fresh
            .into_iter()
            .zip(&self.results)
            .map(|(memory, result)| match (memory, result.in_place.map(|a| &self.arguments[a].source)) {
                (Some(memory), _) => Tensor::new(result.ty.clone(), memory),
                (None, Some(Source::State(cell))) => {
                    let mut tensor = cell.lock();
                    tensor.renew();
                    tensor.clone()
                }
                (None, _) => unreachable!("only the memory of a cell is overwritten"),
            })
            .collect();
        let value = |origin: Origin| match origin {
            Origin::Result(r) => results[r].clone(),
            Origin::Argument(a) => match &args[a] {
                Some(tensor) => tensor.clone(),
                None => unreachable!("`bind` keeps arguments that are passed on"),
            },
        };
        self.stores.iter().for_each(|(cell, origin)| cell.put(value(*origin)));
        self.outputs.iter().map(|o| value(*o)).collect()
    }

    /// Bytes of planned memory.
    pub fn memory(&self) -> usize {
        self.memory
    }
}

impl Argument {
    /// The memory for a run, and the tensor that keeps it, where that is not a held cell or the caller. Arguments that
    /// are passed on always come with their tensor.
    fn bind(&self, input: Option<Input<'_>>) -> Result<(Option<Tensor>, *const u8)> {
        let tensor = match (&self.source, input) {
            (Source::Input { ty, .. }, Some(Input::Bytes { bytes, .. }))
                if !self.passed_on && bytes.as_ptr().addr().is_multiple_of(ty.dtype.size()) =>
            {
                return Ok((None, bytes.as_ptr()));
            }
            (Source::Input { .. }, Some(input)) => input.to_tensor()?,
            (Source::Input { .. }, None) => unreachable!("`check` found a value for every input"),
            (Source::Captured(tensor), _) => tensor.clone(),
            (Source::State(cell), _) if self.overwritten => {
                let mut tensor = cell.lock();
                // Where the old value is asked for too, this second owner makes the update work on a copy.
                let kept = self.passed_on.then(|| tensor.clone());
                return Ok((kept, tensor.make_unique()?));
            }
            (Source::State(cell), _) => cell.lock().clone(),
        };
        let pointer = tensor.bytes().as_ptr();
        Ok((Some(tensor), pointer))
    }
}

/// Memory of the arguments of a run.
struct Args {
    /// Those that must be kept alive or passed on.
    tensors: Vec<Option<Tensor>>,
    pointers: Vec<*const u8>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.listing)
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Step({} arguments, {} results)", self.arguments.len(), self.results.len())
    }
}
