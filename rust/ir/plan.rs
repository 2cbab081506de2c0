//! Memory: lifetimes become offsets, fused steps become a [`Program`].

use crate::factor::factor;
use crate::fold::{fixed_nodes, fold};
use crate::fuse::{Fused, Target, fuse};
use crate::graph::{Graph, NodeId};
use crate::narrow::narrow;
use crate::program::{ALIGN, Kind, Operand, Place, Program, Sharding, Stage, Step, Value, ValueId};
use crate::recompute::recompute;
use crate::rewrite::rewrite;
use crate::split::{Class, Split};
use crate::sums::join;
use crate::widen::widen;
use crate::{Op, Result, Seat, Type};
use rustc_hash::{FxHashMap, FxHashSet};

/// What to compute, of which arguments.
#[derive(Debug, Clone)]
pub struct Request {
    /// The nodes whose values the caller wants.
    pub results: Vec<NodeId>,
    /// Per graph argument: whether its axis 0 is the batch.
    pub batched: Vec<bool>,
    /// (result, argument) pairs that share memory: the result replaces the argument, after all reads of it.
    pub updates: Vec<(usize, usize)>,
    /// Per graph argument: whether it seldom changes from run to run, as weights in inference. What depends on such
    /// arguments alone is computed once and kept. Those past the end are not fixed.
    pub fixed: Vec<bool>,
}

/// Bytes of activations that a shard may keep alive: three quarters of a second-level cache of 1 MiB, the rest is for
/// weights and tiles. A constant, because the cut of the batch decides the order of sums.
const SHARD_BYTES: usize = 768 << 10;
/// Most tasks a batch is cut into: enough for 16 workers, few enough that their partial sums stay small.
const MAX_TASKS: usize = 16;
/// Samples per task that a batch is cut down to while they fit the cache: kernels need some rows.
const MIN_TASK: usize = 4;
/// Samples per shard up to which reading kernels again, for each shard, may cost as much as activations that leave the
/// cache and return. A recursion reads its kernel at each step, and then a few more samples at a time are better than
/// activations that fit.
const MAX_ROWS: usize = 8;
/// Most bytes of partial sums; beyond it there are fewer tasks.
const PARTIAL_BYTES: usize = 256 << 20;

/// The time of what depends on fixed arguments alone: before all other stages, and a whole stage as odd times are.
const PROLOGUE: i32 = -3;

/// Plans a graph for a target.
pub fn plan(graph: &Graph, request: &Request, target: &dyn Target) -> Result<Program> {
    let (mut graph, mut roots) = join(graph, &request.results)?;
    let wide = widen(&graph, &roots)?;
    let rounds = wide.is_some();
    if let Some((to, ends)) = wide {
        (graph, roots) = (to, ends);
    }
    let (mut graph, mut roots) = rewrite(&graph, &roots)?;
    if request.fixed.contains(&true)
        && let Some((folded, to)) = fold(&graph, &roots, &request.fixed)?
    {
        // Once more: the folded coefficients are small graphs of their own.
        (graph, roots) = rewrite(&folded, &to)?;
    }
    let (graph, roots) = factor(&graph, &roots)?;
    let split = Split::new(&graph, &request.batched);
    let (mut graph, mut split, mut roots) = recompute(&graph, &split, &roots);
    if rounds {
        (graph, split, roots) = narrow(&graph, &split, &roots);
    }
    let mut steps = fuse(&graph, &split, &roots, target);
    if request.fixed.contains(&true) {
        let fixed = fixed_nodes(&graph, &request.fixed);
        let keeps =
            |s: &Fused| split.class[s.makes[0].index()] == Class::Whole && s.makes.iter().all(|n| fixed[n.index()]);
        steps.iter_mut().filter(|s| keeps(s)).for_each(|s| s.time = PROLOGUE);
    }
    Ok(Planner::new(&graph, &split, steps, request, &roots).finish())
}

/// When a piece of memory is in use: positions `first..=last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// First position.
    pub first: usize,
    /// Last position, inclusive.
    pub last: usize,
    /// Bytes.
    pub bytes: usize,
}

/// Offsets (multiples of [`ALIGN`]) at which pieces that are alive together do not overlap, and the bytes in all.
/// Largest first, each at the lowest offset that is free throughout its life.
pub fn pack(lifetimes: &[Lifetime]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..lifetimes.len()).collect();
    order.sort_by_key(|&i| (usize::MAX - lifetimes[i].bytes, lifetimes[i].first, i));
    let mut offsets = vec![0; lifetimes.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut total = 0;
    for i in order {
        let life = lifetimes[i];
        let mut busy: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&j| lifetimes[j].first <= life.last && life.first <= lifetimes[j].last)
            .map(|&j| (offsets[j], offsets[j] + lifetimes[j].bytes.next_multiple_of(ALIGN)))
            .collect();
        busy.sort_unstable();
        let mut at = 0;
        for (start, end) in busy {
            if start >= at + life.bytes.next_multiple_of(ALIGN) {
                break;
            }
            at = at.max(end);
        }
        offsets[i] = at;
        total = total.max(at + life.bytes.next_multiple_of(ALIGN));
        placed.push(i);
    }
    (offsets, total)
}

struct Planner<'a> {
    graph: &'a Graph,
    request: &'a Request,
    roots: &'a [NodeId],
    samples: usize,
    /// Times that have steps, ascending; stage `i` runs at `times[i]`.
    times: Vec<i32>,
    stages: Vec<Vec<Fused>>,
    values: Vec<Value>,
    /// Per node: its value.
    value: Vec<Option<ValueId>>,
    /// Per value: where it is made and last read, as (stage, step).
    made: Vec<(usize, usize)>,
    last: Vec<(usize, usize)>,
    /// Values made by a sum over the batch, and their per-task terms.
    partials: Vec<(ValueId, ValueId)>,
}

impl<'a> Planner<'a> {
    fn new(graph: &'a Graph, split: &Split, steps: Vec<Fused>, request: &'a Request, roots: &'a [NodeId]) -> Self {
        let mut times: Vec<i32> = steps.iter().map(|s| s.time).collect();
        // Sums over the batch are added up in the whole stage that follows.
        times.extend(steps.iter().filter(|s| s.term).map(|s| s.time + 1));
        times.sort_unstable();
        times.dedup();
        let mut stages: Vec<Vec<Fused>> = vec![Vec::new(); times.len()];
        for s in steps {
            let stage = times.binary_search(&s.time).expect("every time has a stage");
            stages[stage].push(s);
        }
        let mut planner = Self {
            graph,
            request,
            roots,
            samples: split.samples,
            times,
            stages,
            values: Vec::new(),
            value: vec![None; graph.nodes().len()],
            made: Vec::new(),
            last: Vec::new(),
            partials: Vec::new(),
        };
        planner.collect(split);
        planner
    }

    fn is_sharded(&self, stage: usize) -> bool {
        self.times[stage].rem_euclid(2) == 0
    }

    /// Whether a stage is the one whose values are kept from run to run.
    fn is_prologue(&self, stage: usize) -> bool {
        self.times.get(stage) == Some(&PROLOGUE)
    }

    fn add(&mut self, ty: Type, made: (usize, usize)) -> ValueId {
        // The place is decided in `finish`.
        self.values.push(Value { ty, place: Place::Arena(0) });
        self.made.push(made);
        self.last.push(made);
        self.values.len() - 1
    }

    /// The node that holds the bytes of a root.
    fn base(&self, id: NodeId) -> NodeId {
        let node = self.graph.node(id);
        if let Op::Reshape(_) = node.op { self.base(node.args[0]) } else { id }
    }

    /// One value per argument and per result of a step, with where it is made and last read.
    fn collect(&mut self, split: &Split) {
        for id in self.graph.ids() {
            if let Op::Arg { index, .. } = self.graph.node(id).op {
                let v = self.add(self.graph.node(id).ty.clone(), (0, 0));
                self.values[v].place = Place::Arg(index);
                self.value[id.index()] = Some(v);
            }
        }
        for stage in 0..self.stages.len() {
            for step in 0..self.stages[stage].len() {
                for node in self.stages[stage][step].makes.clone() {
                    let v = self.add(self.graph.node(node).ty.clone(), (stage, step));
                    self.value[node.index()] = Some(v);
                    if split.class[node.index()] == Class::Sum {
                        let partial = self.add(self.graph.node(node).ty.clone(), (stage, step));
                        self.last[partial] = (stage + 1, 0);
                        self.made[v] = (stage + 1, 0);
                        self.last[v] = (stage + 1, 0);
                        self.partials.push((v, partial));
                    }
                }
            }
        }
        for stage in 0..self.stages.len() {
            for step in 0..self.stages[stage].len() {
                let packed = self.stages[stage][step].packed;
                for (i, read) in self.stages[stage][step].reads.iter().enumerate() {
                    let v = self.value[read.node.index()].expect("made before it is read");
                    // A kept kernel is packed as soon as it is made.
                    if packed != Some(i) || !self.is_prologue(self.made[v].0) {
                        self.last[v] = self.last[v].max((stage, step));
                    }
                }
            }
        }
    }

    /// Whether shards can keep the value to themselves: made and read within one sharded stage.
    fn is_local(&self, v: ValueId) -> bool {
        matches!(self.values[v].place, Place::Arena(_))
            && self.is_sharded(self.made[v].0)
            && self.made[v].0 == self.last[v].0
            && !self.partials.iter().any(|(whole, partial)| *whole == v || *partial == v)
            && self.values[v].ty.dims.first().is_some_and(|d| d % self.samples == 0)
    }

    fn finish(mut self) -> Program {
        let copies = self.place_results();
        let local: Vec<ValueId> = (0..self.values.len()).filter(|&v| self.is_local(v)).collect();
        let (sharding, shards) = self.cut(&local);
        let scratch = self.place_scratch(&local, sharding, &shards);
        let arena = self.place_arena(&local, sharding);
        let stages = self.emit(&shards, &copies);
        let prologue = self.is_prologue(0);
        Program { values: self.values, stages, prologue, sharding, arena, scratch }
    }

    /// Results are written where the caller wants them, or copied there at the very end. Gives the copies.
    fn place_results(&mut self) -> Vec<(ValueId, ValueId)> {
        let mut copies = Vec::new();
        let end = (self.stages.len(), 0);
        for (r, root) in self.roots.iter().enumerate() {
            let v = self.value[self.base(*root).index()].expect("roots are computed");
            let taken = !matches!(self.values[v].place, Place::Arena(_)) || self.is_prologue(self.made[v].0);
            let late = self.request.updates.iter().any(|&(result, arg)| result == r && !self.may_replace(v, arg));
            if taken || late {
                self.last[v] = end;
                let out = self.add(self.values[v].ty.clone(), end);
                self.values[out].place = Place::Result(r);
                copies.push((v, out));
            } else {
                self.values[v].place = Place::Result(r);
            }
        }
        copies
    }

    /// Whether a result can be written over argument `arg` as soon as it is made. It must be made in the last stage,
    /// which is not interrupted and cannot fail, by the last step that reads the argument, element by element.
    fn may_replace(&self, v: ValueId, arg: usize) -> bool {
        let last_stage = self.stages.len() - 1;
        let made = self.made[v];
        let can_fail = |s: &Fused| matches!(&s.kind, Kind::Op(op) if op.checks_indices());
        if made.0 != last_stage || self.is_sharded(last_stage) || self.stages[last_stage].iter().any(can_fail) {
            return false;
        }
        let Some(old) = self.values.iter().position(|x| x.place == Place::Arg(arg)) else { return true };
        let reads_old = |s: &Fused| s.reads.iter().any(|r| self.value[r.node.index()] == Some(old));
        let combined = self.partials.iter().any(|(whole, _)| *whole == v);
        self.stages[last_stage].iter().enumerate().filter(|(_, s)| reads_old(s)).all(|(i, s)| {
            if combined {
                return false;
            }
            let elementwise = matches!(s.kind, Kind::Map { .. })
                && s.reads.iter().all(|r| self.value[r.node.index()] != Some(old) || r.repeat.is_empty());
            i < made.1 || (i == made.1 && elementwise)
        })
    }

    /// How the batch is cut, and the samples per shard of each stage, from the sizes alone. A task is cut by what the
    /// stages keep to themselves, a stage's shards by all that they touch.
    fn cut(&self, local: &[ValueId]) -> (Sharding, Vec<usize>) {
        let n = self.samples;
        let per_sample = |v: ValueId| self.values[v].ty.bytes().div_ceil(n);
        let widest = (0..self.stages.len())
            .map(|stage| {
                let lives: Vec<Lifetime> =
                    local.iter().filter(|&&v| self.made[v].0 == stage).map(|&v| self.life(v, per_sample(v))).collect();
                // Aligning single samples would overstate small ones: a sum of the sizes alive is the better estimate.
                (0..self.stages[stage].len())
                    .map(|at| lives.iter().filter(|l| l.first <= at && at <= l.last).map(|l| l.bytes).sum())
                    .max()
                    .unwrap_or(0)
            })
            .max()
            .unwrap_or(0);
        let rows = (self.repeated_kernels() / (2 * widest.max(1))).min(MAX_ROWS);
        let fits = (SHARD_BYTES / widest.max(1)).max(rows).max(1);
        let partial: usize = self.partials.iter().map(|(_, p)| self.values[*p].ty.bytes()).sum();
        let tasks = MAX_TASKS.min((PARTIAL_BYTES / partial.max(1)).max(1));
        let task = n.div_ceil(tasks).max(fits.min(MIN_TASK.max(rows)).min(n));
        let shards: Vec<usize> = (0..self.stages.len())
            .map(|stage| {
                let fits = (SHARD_BYTES / self.touched(stage).max(1)).max(rows).max(1);
                // Shards of a task are as equal as can be.
                task.div_ceil(task.div_ceil(fits))
            })
            .collect();
        let sharded = (0..self.stages.len()).filter(|&s| self.is_sharded(s));
        let shard = sharded.map(|s| shards[s]).max().unwrap_or(task);
        (Sharding { samples: n, shard, task }, shards)
    }

    /// Most bytes per sample that the steps of a stage have in use, wherever they are: from the first step that makes or
    /// reads a value to the last one that does.
    fn touched(&self, stage: usize) -> usize {
        let mut lives: FxHashMap<ValueId, Lifetime> = FxHashMap::default();
        for (at, step) in self.stages[stage].iter().enumerate() {
            let read = step.reads.iter().filter(|r| r.sliced).map(|r| r.node);
            let made = step.makes.iter().copied().filter(|_| !step.term);
            for v in read.chain(made).map(|n| self.value[n.index()].expect("every value is known")) {
                let bytes = self.values[v].ty.bytes().div_ceil(self.samples);
                lives.entry(v).or_insert(Lifetime { first: at, last: at, bytes }).last = at;
            }
        }
        (0..self.stages[stage].len())
            .map(|at| lives.values().filter(|l| l.first <= at && at <= l.last).map(|l| l.bytes).sum())
            .max()
            .unwrap_or(0)
    }

    /// Bytes of kernels that a shard reads again, as the steps of a recursion do.
    fn repeated_kernels(&self) -> usize {
        let mut read = FxHashSet::default();
        let mut bytes = 0;
        let sharded = (0..self.stages.len()).filter(|&s| self.is_sharded(s));
        for step in sharded.flat_map(|s| &self.stages[s]) {
            let Kind::Product { solve, .. } = &step.kind else { continue };
            let Some(kernel) = Seat::Kernel.position(*solve).map(|p| &step.reads[p]) else { continue };
            if !kernel.sliced && !read.insert((kernel.node, *solve)) {
                bytes += kernel.ty.bytes();
            }
        }
        bytes
    }

    /// Life within a stage, counted in steps.
    fn life(&self, v: ValueId, bytes: usize) -> Lifetime {
        Lifetime { first: self.made[v].1, last: self.last[v].1, bytes }
    }

    fn place_scratch(&mut self, local: &[ValueId], sharding: Sharding, shards: &[usize]) -> usize {
        let mut total = 0;
        for (stage, &shard) in shards.iter().enumerate() {
            let here: Vec<ValueId> = local.iter().copied().filter(|&v| self.made[v].0 == stage).collect();
            let mut lives: Vec<Lifetime> =
                here.iter().map(|&v| self.life(v, self.values[v].ty.bytes() / sharding.samples * shard)).collect();
            // A task of several shards adds each further term up from a copy.
            let terms: Vec<ValueId> =
                self.partials.iter().map(|(_, p)| *p).filter(|&p| self.made[p].0 == stage).collect();
            if sharding.task > shard {
                lives.extend(terms.iter().map(|&p| {
                    let at = self.made[p].1;
                    Lifetime { first: at, last: at, bytes: self.values[p].ty.bytes() }
                }));
            }
            let (offsets, bytes) = pack(&lives);
            for (&v, &offset) in here.iter().zip(&offsets) {
                self.values[v].place = Place::Scratch(offset);
            }
            for (step, &offset) in terms.iter().map(|&p| self.made[p].1).zip(offsets.iter().skip(here.len())) {
                self.stages[stage][step].temps.push(offset);
            }
            total = total.max(bytes);
        }
        total
    }

    /// What outlives a shard. Steps of a whole stage follow each other; within a sharded stage two values never share
    /// memory, for its shards run in any order. What later stages read of a prologue is kept throughout.
    fn place_arena(&mut self, local: &[ValueId], sharding: Sharding) -> usize {
        let whole: Vec<ValueId> = (0..self.values.len())
            .filter(|v| matches!(self.values[*v].place, Place::Arena(_)) && !local.contains(v))
            .collect();
        let stride = |ty: &Type| ty.bytes().next_multiple_of(ALIGN);
        let is_partial = |v: ValueId| self.partials.iter().any(|(_, p)| *p == v);
        // Where each stage begins, in the order of what runs one after another.
        let mut begin = vec![0];
        for (i, steps) in self.stages.iter().enumerate() {
            begin.push(begin[i] + if self.is_sharded(i) { 1 } else { steps.len().max(1) });
        }
        let end = begin[self.stages.len()];
        let moment = |(stage, step): (usize, usize)| {
            begin[stage] + if stage < self.stages.len() && !self.is_sharded(stage) { step } else { 0 }
        };
        let last = |v: ValueId| match (self.is_prologue(self.made[v].0), self.is_prologue(self.last[v].0)) {
            (true, false) => end,
            _ => moment(self.last[v]),
        };
        let lives: Vec<Lifetime> = whole
            .iter()
            .map(|&v| {
                let ty = &self.values[v].ty;
                let bytes = if is_partial(v) { stride(ty) * sharding.tasks() } else { ty.bytes() };
                Lifetime { first: moment(self.made[v]), last: last(v), bytes }
            })
            .collect();
        let (offsets, total) = pack(&lives);
        let partial: Vec<bool> = whole.iter().map(|&v| is_partial(v)).collect();
        for ((v, offset), partial) in whole.into_iter().zip(offsets).zip(partial) {
            let stride = stride(&self.values[v].ty);
            self.values[v].place = if partial { Place::Partial { offset, stride } } else { Place::Arena(offset) };
        }
        total
    }

    fn emit(&mut self, shards: &[usize], copies: &[(ValueId, ValueId)]) -> Vec<Stage> {
        let mut stages = Vec::with_capacity(self.stages.len());
        for (i, fused) in std::mem::take(&mut self.stages).into_iter().enumerate() {
            let sharded = self.is_sharded(i);
            let combines =
                self.partials.iter().filter(|(whole, _)| self.made[*whole].0 == i).map(|&(whole, partial)| Step {
                    kind: Kind::Combine,
                    inputs: vec![self.whole(partial)],
                    outputs: vec![whole],
                    term: false,
                    temps: vec![],
                });
            let mut steps: Vec<Step> = combines.collect();
            steps.extend(fused.into_iter().map(|f| self.step(f)));
            stages.push(Stage { sharded, shard: shards[i], steps });
        }
        let copies = copies.iter().map(|&(from, to)| Step {
            kind: Kind::Copy,
            inputs: vec![self.whole(from)],
            outputs: vec![to],
            term: false,
            temps: vec![],
        });
        stages.push(Stage { sharded: false, shard: 1, steps: copies.collect() });
        stages.retain(|s| !s.steps.is_empty());
        stages
    }

    fn whole(&self, value: ValueId) -> Operand {
        Operand { value, ty: self.values[value].ty.clone(), sliced: false, repeat: vec![] }
    }

    fn step(&self, fused: Fused) -> Step {
        let value = |n: NodeId| self.value[n.index()].expect("made before it is read");
        let inputs = fused
            .reads
            .into_iter()
            .map(|r| Operand { value: value(r.node), ty: r.ty, sliced: r.sliced, repeat: r.repeat })
            .collect();
        let partial = |v: ValueId| self.partials.iter().find(|(whole, _)| *whole == v).map_or(v, |(_, p)| *p);
        let outputs = fused.makes.iter().map(|n| partial(value(*n))).collect();
        Step { kind: fused.kind, inputs, outputs, term: fused.term, temps: fused.temps }
    }
}
