//! An expression compiled to steps over numbered slots.

use super::chain::{Code, LONGEST, Operation};
use super::pattern::{Kind, Operand, Pattern};
use crate::kernels::element::Word;
use oxiconv_ir::DType;
use oxiconv_ir::expr::{Binary, Expr, Node, Unary};

/// Where a value is. The kinds differ in how often they are computed, which is the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// One value, in all lanes of a vector: computed once per run.
    Uniform(usize),
    /// A tile of whole periods: computed once per run.
    Periodic(usize),
    /// The memory of input `i`, element for element.
    Direct(usize),
    /// The memory of input `i`, repeated with a period too long for a tile.
    Wrapped(usize),
    /// A block that is free again after its last reader.
    Register(usize),
    /// The block of result `k`: a register of its own, or the result's memory itself.
    Result(usize),
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Copy,
    Unary(Unary),
    Binary(Binary),
    Select,
}

/// A pass over a block.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// One function: of integers, or of many instructions. Unused operands repeat the first.
    Apply { function: Function, args: [Place; 3], to: Place },
    /// Functions of few instructions of `f32`, each of the value before unless that is loaded anew.
    Chain(Vec<Operation<Place>>),
}

/// An input that is brought into a slot, converted, rather than read in place.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) input: usize,
    pub(super) dtype: DType,
    pub(super) pattern: Pattern,
    pub(super) to: Place,
}

/// When a result's block may be the result's memory, which may be an input's.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResultPlan {
    pub(super) dtype: DType,
    /// The operation that writes it.
    pub(super) written: usize,
}

/// A compiled expression.
#[derive(Debug, Clone, Default)]
pub(super) struct Program {
    /// Values of uniform slots.
    pub(super) constants: Vec<(usize, f64)>,
    /// Once per run: uniform, then periodic.
    pub(super) once_loads: Vec<Load>,
    pub(super) uniform: Vec<Step>,
    pub(super) periodic: Vec<Step>,
    /// Once per block.
    pub(super) loads: Vec<Load>,
    pub(super) body: Vec<Step>,
    pub(super) results: Vec<ResultPlan>,
    /// The last operation that reads input `i` in place, if any does.
    pub(super) last_read: Vec<Option<usize>>,
    /// Wrapped inputs and their periods.
    pub(super) wrapped: Vec<(usize, usize)>,
    /// Length of the longest period in a tile; tiles and blocks hold a whole number of them.
    pub(super) period: usize,
    pub(super) uniforms: usize,
    pub(super) periodics: usize,
    pub(super) registers: usize,
    /// Inputs read in place, for the choice of block length.
    pub(super) direct: usize,
}

/// Longest period that is repeated into a tile: beyond, a block within one period is long enough to be fast.
const LONGEST_TILE: usize = 512;

impl Program {
    pub(super) fn new<W: Word>(expr: &Expr, inputs: &[Operand], outputs: &[DType], dims: &[usize]) -> Self {
        let nodes = expr.nodes();
        let mut program = Self { last_read: vec![None; inputs.len()], period: 1, ..Self::default() };
        program.results = outputs.iter().map(|&dtype| ResultPlan { dtype, written: 0 }).collect();
        let mut place = vec![None; nodes.len()];
        let mut frequency = vec![0; nodes.len()];
        let mut readers = vec![0; nodes.len()];
        // Loads happen before the first step, so their registers are taken before any other.
        for (i, node) in nodes.iter().enumerate() {
            place[i] = match *node {
                Node::In(input) => Some(program.place_input::<W>(input as usize, &inputs[input as usize], dims)),
                Node::Const(bits) => {
                    program.constants.push((program.uniforms, f64::from_bits(bits)));
                    Some(program.new_uniform())
                }
                Node::Unary(..) | Node::Binary(..) | Node::Select(..) => None,
            };
            node.operands().for_each(|o| readers[o as usize] += 1);
            let own = place[i].map_or(0, Place::frequency);
            frequency[i] = node.operands().map(|o| frequency[o as usize]).fold(own, u8::max);
        }
        let mut result_of = vec![None; nodes.len()];
        for (k, &id) in expr.outs().iter().enumerate().rev() {
            // Results keep their block to the end.
            readers[id as usize] += 1;
            if place[id as usize].is_none() && frequency[id as usize] == 2 {
                result_of[id as usize] = Some(k);
            }
        }
        let order = evaluation_order(expr);
        let chains = W::DTYPE == DType::F32;
        let mut compiler = Compiler { nodes, chains, program, place, readers, result_of, free: vec![], clock: 0 };
        for stage in 0..3 {
            let list: Vec<usize> = order.iter().copied().filter(|&i| frequency[i] == stage).collect();
            let steps = compiler.stage(&list, stage);
            match stage {
                0 => compiler.program.uniform = steps,
                1 => compiler.program.periodic = steps,
                _ => compiler.program.body = steps,
            }
        }
        for (k, &id) in expr.outs().iter().enumerate() {
            let from = compiler.at(id);
            if from != Place::Result(k) {
                let copy = compiler.copy(from, Place::Result(k));
                compiler.program.body.push(copy);
            }
        }
        compiler.program
    }

    fn place_input<W: Word>(&mut self, input: usize, operand: &Operand, dims: &[usize]) -> Place {
        let pattern = Pattern::new(&operand.repeat, dims);
        let dtype = operand.dtype;
        let in_place = dtype == W::DTYPE;
        match pattern.kind() {
            Kind::Uniform => {
                let to = self.new_uniform();
                self.once_loads.push(Load { input, dtype, pattern, to });
                to
            }
            Kind::Periodic(period) if period <= LONGEST_TILE => {
                // Periods are products of trailing sizes: the longest is a multiple of all.
                self.period = self.period.max(period);
                let to = self.new_periodic();
                self.once_loads.push(Load { input, dtype, pattern, to });
                to
            }
            Kind::Periodic(period) if in_place => {
                self.wrapped.push((input, period));
                Place::Wrapped(input)
            }
            Kind::Dense if in_place => {
                self.direct += 1;
                Place::Direct(input)
            }
            _ => {
                let to = self.new_register();
                self.loads.push(Load { input, dtype, pattern, to });
                to
            }
        }
    }

    fn new_uniform(&mut self) -> Place {
        self.uniforms += 1;
        Place::Uniform(self.uniforms - 1)
    }

    fn new_periodic(&mut self) -> Place {
        self.periodics += 1;
        Place::Periodic(self.periodics - 1)
    }

    fn new_register(&mut self) -> Place {
        self.registers += 1;
        Place::Register(self.registers - 1)
    }
}

/// The nodes that are computed, in the order of a walk from the results that ends at each node's first operand: a value
/// is often made just before it is used.
fn evaluation_order(expr: &Expr) -> Vec<usize> {
    let nodes = expr.nodes();
    let mut order = Vec::new();
    let mut seen = vec![false; nodes.len()];
    let mut rest: Vec<(usize, bool)> = expr.outs().iter().rev().map(|&o| (o as usize, false)).collect();
    while let Some((i, ready)) = rest.pop() {
        if ready {
            order.push(i);
        } else if !std::mem::replace(&mut seen[i], true) && nodes[i].operands().next().is_some() {
            rest.push((i, true));
            rest.extend(nodes[i].operands().map(|o| (o as usize, false)));
        }
    }
    order
}

/// A program in the making.
struct Compiler<'a> {
    nodes: &'a [Node],
    /// Whether functions of few instructions form chains.
    chains: bool,
    program: Program,
    /// Where a node's value is, once it is anywhere.
    place: Vec<Option<Place>>,
    /// Operands yet to be read that are this node, and results.
    readers: Vec<usize>,
    result_of: Vec<Option<usize>>,
    /// Registers.
    free: Vec<usize>,
    /// Operations of the body so far.
    clock: usize,
}

impl Compiler<'_> {
    /// The steps that compute these nodes.
    fn stage(&mut self, list: &[usize], stage: u8) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut chain = Vec::new();
        // The node whose value the next one takes from the chain.
        let mut held = None;
        for (k, &i) in list.iter().enumerate() {
            let node = self.nodes[i];
            let light = self.light(node);
            if light {
                self.extend(&mut chain, node, held);
            }
            // Whether the next node takes the value as it is, and how often; who else reads it finds it in memory.
            let next = list.get(k + 1).map(|&next| self.nodes[next]).filter(|&next| light && self.light(next));
            let taken = next.map_or(0, |next| next.operands().filter(|&o| o as usize == i).count());
            let square = taken == 2 && matches!(next, Some(Node::Binary(Binary::Mul, ..)));
            // Room for this one's store, the next function and its store.
            let flows = (taken == 1 || square) && chain.len() + 3 <= LONGEST;
            let args = if light { None } else { Some(self.args(node)) };
            for o in node.operands() {
                let readers = &mut self.readers[o as usize];
                *readers -= 1;
                // A register may be overwritten in the step that reads it last: loads precede stores.
                if *readers == 0
                    && let Some(Place::Register(r)) = self.place[o as usize]
                {
                    self.free.push(r);
                }
            }
            held = flows.then_some(i);
            if !flows || self.readers[i] > taken || self.result_of[i].is_some() {
                let to = match (stage, self.result_of[i]) {
                    (0, _) => self.program.new_uniform(),
                    (1, _) => self.program.new_periodic(),
                    (_, Some(k)) => Place::Result(k),
                    _ => self.free.pop().map_or_else(|| self.program.new_register(), Place::Register),
                };
                self.place[i] = Some(to);
                if light {
                    self.push(&mut chain, Operation::with(Code::Store, to));
                }
                if let Some(args) = args {
                    for arg in args {
                        self.read(arg);
                    }
                    self.write(to);
                    steps.push(Step::Apply { function: Function::of(node), args, to });
                }
            }
            // The next value joins the pass, so that all memory is read and written in one go: room for its load, function
            // and store.
            let joins = next.is_some() && chain.len() + 3 <= LONGEST;
            if light && !flows && !joins {
                steps.push(Step::Chain(std::mem::take(&mut chain)));
            }
        }
        steps
    }

    /// Whether a node's function has a place in a chain.
    fn light(&self, node: Node) -> bool {
        self.chains
            && match node {
                Node::Unary(f, _) => Code::unary(f).is_some(),
                Node::Binary(f, ..) => Code::binary(f, false).is_some(),
                Node::Select(..) => true,
                Node::In(_) | Node::Const(_) => false,
            }
    }

    /// Adds a light node to a chain that holds the value of `held`, if any that is still needed.
    fn extend(&mut self, chain: &mut Vec<Operation<Place>>, node: Node, held: Option<usize>) {
        let is_held = |o: u32| held == Some(o as usize);
        if held.is_none() {
            let first = node.operands().next().expect("a function has operands");
            self.push(chain, Operation::with(Code::Load, self.at(first)));
        }
        let operation = match node {
            Node::Unary(f, _) => Operation::alone(Code::unary(f).expect("light")),
            Node::Binary(Binary::Mul, a, b) if is_held(a) && is_held(b) => Operation::alone(Code::Square),
            Node::Binary(f, a, b) if is_held(b) => Operation::with(Code::binary(f, true).expect("light"), self.at(a)),
            Node::Binary(f, _, b) => Operation::with(Code::binary(f, false).expect("light"), self.at(b)),
            Node::Select(c, a, b) if is_held(a) => Operation { code: Code::Keep, y: self.at(c), z: self.at(b) },
            Node::Select(c, a, b) if is_held(b) => Operation { code: Code::Replace, y: self.at(c), z: self.at(a) },
            Node::Select(_, a, b) => Operation { code: Code::Choose, y: self.at(a), z: self.at(b) },
            Node::In(_) | Node::Const(_) => unreachable!("not a function"),
        };
        self.push(chain, operation);
    }

    fn push(&mut self, chain: &mut Vec<Operation<Place>>, operation: Operation<Place>) {
        if operation.code == Code::Store {
            self.write(operation.y);
        } else {
            self.read(operation.y);
            self.read(operation.z);
            self.clock += 1;
        }
        chain.push(operation);
    }

    /// The operation in the making reads a place.
    fn read(&mut self, place: Place) {
        if let Place::Direct(i) = place {
            self.program.last_read[i] = Some(self.clock);
        }
    }

    /// The operation in the making, or just made, writes a place.
    fn write(&mut self, place: Place) {
        if let Place::Result(k) = place {
            self.program.results[k].written = self.clock;
        }
        self.clock += 1;
    }

    /// A step that copies a block.
    fn copy(&mut self, from: Place, to: Place) -> Step {
        self.read(from);
        self.write(to);
        if self.chains {
            Step::Chain(vec![Operation::with(Code::Load, from), Operation::with(Code::Store, to)])
        } else {
            Step::Apply { function: Function::Copy, args: [from; 3], to }
        }
    }

    fn args(&self, node: Node) -> [Place; 3] {
        let mut places = node.operands().map(|o| self.at(o));
        let first = places.next().expect("a function has operands");
        [first, places.next().unwrap_or(first), places.next().unwrap_or(first)]
    }

    fn at(&self, node: u32) -> Place {
        self.place[node as usize].expect("operands are in memory, or held")
    }
}

impl Function {
    fn of(node: Node) -> Self {
        match node {
            Node::Unary(f, _) => Self::Unary(f),
            Node::Binary(f, ..) => Self::Binary(f),
            Node::Select(..) => Self::Select,
            Node::In(_) | Node::Const(_) => unreachable!("not a function"),
        }
    }
}

impl Place {
    /// 0 once per run, 1 once per run and period, 2 per block.
    fn frequency(self) -> u8 {
        match self {
            Self::Uniform(_) => 0,
            Self::Periodic(_) => 1,
            Self::Direct(_) | Self::Wrapped(_) | Self::Register(_) | Self::Result(_) => 2,
        }
    }
}
