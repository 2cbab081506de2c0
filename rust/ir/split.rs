//! Where the batch may be cut: which nodes work sample by sample, which add up over the batch, which need all of it,
//! and so at which time each can run.
//!
//! Time 2k is the k-th sharded stage, time 2k + 1 the whole stage after it; time −1 is before the first. The rule that
//! makes cutting legal: a value made by adding up over the batch, or from the whole batch, is read by a sharded stage
//! only after the shards that it was made from have all run.
//!
//! A sample is a part of axis 0, whoever made it: a product of complete tensors that is heavy enough, and whose axis 0
//! can be cut into as many parts, starts sharded work of its own (the halves of a GAN's joined batch, images made from
//! noise).
//!
//! Batched values are *sample-major*: axis 0 has `n · rows` entries for `n` samples, those of one sample together.
//! `rows` is 1 until a reshape merges further axes into axis 0.

use crate::graph::{Graph, NodeId};
use crate::plan::{MAX_TASKS, MIN_TASK};
use crate::{Batch, Form, Op, Seat, Type};

/// Multiply-adds from which a product of complete tensors is shared: about 20 µs of work, more than a barrier costs.
const HEAVY: usize = 1 << 20;

/// How many times larger than its operands the terms of a matrix's gradient may be.
const OPERANDS: usize = 4;

/// How a node meets the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Independent of the batch, or needs all of it: computed once, on complete tensors.
    Whole,
    /// Computed shard by shard; axis 0 is sample-major.
    Shard,
    /// Computed shard by shard; the shards' results add up.
    Sum,
}

/// The cut of a graph.
#[derive(Debug, Clone)]
pub struct Split {
    /// Samples in the batch; 1 if no argument is batched.
    pub samples: usize,
    /// Per node.
    pub class: Vec<Class>,
    /// Per node: when it runs. Arguments and constants have −1.
    pub time: Vec<i32>,
}

impl Split {
    /// Cuts a graph whose argument `i` is batched if `batched[i]`.
    pub fn new(graph: &Graph, batched: &[bool]) -> Self {
        let mut split = Self {
            samples: samples(graph, batched),
            class: vec![Class::Whole; graph.nodes().len()],
            time: vec![-1; graph.nodes().len()],
        };
        split.classify(graph, batched);
        split.schedule(graph);
        split
    }

    /// Whether a node's value is sample-major along axis 0.
    pub fn is_batched(&self, id: NodeId) -> bool {
        self.class[id.index()] == Class::Shard
    }

    /// When `reader`'s class of node can read `id` at the earliest.
    fn available(&self, id: NodeId, sharded_reader: bool) -> i32 {
        let time = self.time[id.index()];
        match (self.class[id.index()], sharded_reader) {
            (Class::Shard, true) | (Class::Whole, false) => time,
            (Class::Shard | Class::Sum, false) | (Class::Whole, true) => time + 1,
            (Class::Sum, true) => time + 2,
        }
    }

    fn classify(&mut self, graph: &Graph, batched: &[bool]) {
        for id in graph.ids() {
            let node = graph.node(id);
            if let Op::Arg { index, ty } = &node.op {
                // A batch of one is not cut: its steps are whole, and shared one by one.
                let cut = self.samples > 1 && ty.dims.first() == Some(&self.samples);
                let shard = cut && batched.get(*index).copied().unwrap_or(false);
                self.class[id.index()] = if shard { Class::Shard } else { Class::Whole };
                continue;
            }
            let mut flags: Vec<bool> = node.args.iter().map(|a| self.is_batched(*a)).collect();
            if !flags.contains(&true) {
                match self.starts(graph, id) {
                    Some(starts) => flags = starts,
                    None => continue,
                }
                for (&a, _) in node.args.iter().zip(&flags).filter(|(_, flag)| **flag) {
                    self.adopt(graph, a);
                }
            }
            // Values that depend on no batch but stand beside one (noise, a repeated scalar, what is computed of these)
            // are made shard by shard.
            for (i, &a) in node.args.iter().enumerate() {
                if !flags[i] && lines_up(&node.op, i) {
                    flags[i] = self.adopt(graph, a);
                }
            }
            let types: Vec<_> = node.args.iter().map(|a| graph.node(*a).ty.clone()).collect();
            self.class[id.index()] = match node.op.batch(self.samples, &flags, &types) {
                Batch::Each if node.ty.dims.first().is_some_and(|d| d % self.samples == 0) => Class::Shard,
                Batch::Sum if self.is_outer_product(&node.op, &types, &node.ty) => Class::Whole,
                Batch::Sum => Class::Sum,
                Batch::Each | Batch::Whole => Class::Whole,
            };
        }
    }

    /// Whether terms of a matrix's gradient would cost more than its operands: each task's term has all of the matrix, of
    /// a few rows. The operands then better go through memory, once, and the matrix is made row by row.
    fn is_outer_product(&self, op: &Op, types: &[Type], made: &Type) -> bool {
        let Op::Product { form: Form::MatMul, solve: Seat::Kernel } = op else { return false };
        let terms = (self.samples / MIN_TASK).clamp(1, MAX_TASKS) * made.len();
        made.rank() == 2 && terms > OPERANDS * types.iter().map(Type::len).sum::<usize>()
    }

    /// Whether a product of complete tensors is worth sharing among workers, and can be: which of its arguments are read
    /// shard by shard.
    fn starts(&self, graph: &Graph, id: NodeId) -> Option<Vec<bool>> {
        let node = graph.node(id);
        let Op::Product { form, solve } = &node.op else { return None };
        let types: Vec<_> = node.args.iter().map(|a| graph.node(*a).ty.clone()).collect();
        let stack = *form == Form::MatMul && node.ty.rank() > 2;
        let flags: Vec<bool> = solve.others().iter().map(|seat| stack || *seat != Seat::Kernel).collect();
        let cut = |ty: &Type| ty.dims[0] > 0 && ty.dims[0].is_multiple_of(self.samples);
        let can = types.iter().zip(&flags).all(|(ty, flag)| !flag || cut(ty));
        (self.samples > 1 && can && form.macs(*solve, &types, &node.ty) >= HEAVY).then_some(flags)
    }

    /// Makes a batch-independent node, and what it is made of, a shard's work, if slices of axis 0 can be computed alone.
    fn adopt(&mut self, graph: &Graph, id: NodeId) -> bool {
        let mut found = vec![];
        let adopted = self.is_adoptable(graph, id, &mut found);
        if adopted {
            for a in found {
                self.class[a.index()] = Class::Shard;
            }
        }
        adopted
    }

    /// Whether a node is such; `found` gets those that would be adopted.
    fn is_adoptable(&self, graph: &Graph, id: NodeId, found: &mut Vec<NodeId>) -> bool {
        let node = graph.node(id);
        if self.is_batched(id) || found.contains(&id) {
            return true;
        }
        if self.class[id.index()] != Class::Whole || node.ty.dims.first().is_none_or(|d| d % self.samples != 0) {
            return false;
        }
        let adoptable = match &node.op {
            Op::Random { .. } => true,
            // What is repeated along axis 0 must not itself be cut: each sample reads all of it.
            Op::Broadcast { axes, .. } if axes.contains(&0) => !self.is_batched(node.args[0]),
            Op::Map { .. }
            | Op::Cast(_)
            | Op::Broadcast { .. }
            | Op::Reshape(_)
            | Op::Permute(_)
            | Op::Slice { .. }
            | Op::Pad { .. }
            | Op::Concat(_) => {
                let types: Vec<_> = node.args.iter().map(|a| graph.node(*a).ty.clone()).collect();
                node.op.batch(self.samples, &vec![true; types.len()], &types) == Batch::Each
                    && node.args.iter().all(|a| self.is_adoptable(graph, *a, found))
            }
            _ => false,
        };
        if adoptable {
            found.push(id);
        }
        adoptable
    }

    fn schedule(&mut self, graph: &Graph) {
        for id in graph.ids() {
            let node = graph.node(id);
            if matches!(node.op, Op::Arg { .. } | Op::Const { .. }) {
                continue;
            }
            let sharded = self.class[id.index()] != Class::Whole;
            let earliest = node.args.iter().map(|a| self.read_time(graph, *a, sharded)).max().unwrap_or(-1);
            // Sharded times are even, whole ones odd.
            let parity = i32::from(!sharded);
            self.time[id.index()] = if earliest.rem_euclid(2) == parity { earliest } else { earliest + 1 };
        }
    }

    /// Arguments and constants are there from the start, whoever reads them.
    fn read_time(&self, graph: &Graph, id: NodeId, sharded_reader: bool) -> i32 {
        match graph.node(id).op {
            Op::Arg { .. } | Op::Const { .. } => -1,
            _ => self.available(id, sharded_reader),
        }
    }
}

/// Axis 0 of the first batched argument.
fn samples(graph: &Graph, batched: &[bool]) -> usize {
    graph
        .ids()
        .find_map(|id| match &graph.node(id).op {
            Op::Arg { index, ty } if batched.get(*index) == Some(&true) => ty.dims.first().copied(),
            _ => None,
        })
        .unwrap_or(1)
        .max(1)
}

/// Whether argument `i` of the op has its axis 0 beside that of the batched arguments.
fn lines_up(op: &Op, i: usize) -> bool {
    match op {
        Op::Map { .. } | Op::Concat(_) | Op::GatherEach { .. } | Op::ScatterEach { .. } => true,
        Op::Product { .. } => i == 0,
        _ => false,
    }
}
