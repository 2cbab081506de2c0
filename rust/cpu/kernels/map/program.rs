//! An expression compiled to steps over numbered slots.

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

/// One function applied to a block; unused operands repeat the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) function: Function,
    pub(super) args: [Place; 3],
    pub(super) to: Place,
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
    /// The step that writes it.
    pub(super) step: usize,
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
    /// The last step that reads input `i` in place, if any does.
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
        let mut place: Vec<Option<Place>> = vec![None; nodes.len()];
        let mut last_use = vec![0; nodes.len()];
        for (i, node) in nodes.iter().enumerate() {
            node.operands().for_each(|o| last_use[o as usize] = i);
        }
        let mut result_of: Vec<Option<usize>> = vec![None; nodes.len()];
        for (k, &id) in expr.outs().iter().enumerate().rev() {
            // Results keep their block to the end.
            last_use[id as usize] = usize::MAX;
            if !matches!(nodes[id as usize], Node::In(_) | Node::Const(_)) {
                result_of[id as usize] = Some(k);
            }
        }
        let mut free: Vec<usize> = Vec::new();
        // Loads happen before the first step, so their registers are taken before any other.
        for (i, node) in nodes.iter().enumerate() {
            if let Node::In(input) = *node {
                place[i] = Some(program.place_input::<W>(input as usize, &inputs[input as usize], dims));
            }
        }
        program.results = outputs.iter().map(|&dtype| ResultPlan { dtype, step: 0 }).collect();
        for (i, node) in nodes.iter().enumerate() {
            let function = match *node {
                Node::In(_) => continue,
                Node::Const(bits) => {
                    program.constants.push((program.uniforms, f64::from_bits(bits)));
                    place[i] = Some(program.new_uniform());
                    continue;
                }
                Node::Unary(f, _) => Function::Unary(f),
                Node::Binary(f, _, _) => Function::Binary(f),
                Node::Select(..) => Function::Select,
            };
            let operands: Vec<usize> = node.operands().map(|o| o as usize).collect();
            let at = |j: usize| place[operands[j.min(operands.len() - 1)]].expect("operands precede their node");
            let args = if operands.len() == 3 { [at(0), at(1), at(2)] } else { [at(0), at(1), at(0)] };
            let frequency = args.iter().map(|a| a.frequency()).max().unwrap_or(0);
            let to = match frequency {
                0 => program.new_uniform(),
                1 => program.new_periodic(),
                _ => {
                    // A register may be overwritten in the step that reads it last: loads precede stores.
                    for (j, &o) in operands.iter().enumerate() {
                        if let Some(Place::Register(r)) = place[o]
                            && last_use[o] == i
                            && !operands[..j].contains(&o)
                        {
                            free.push(r);
                        }
                    }
                    match result_of[i] {
                        Some(k) => Place::Result(k),
                        None => free.pop().map_or_else(|| program.new_register(), Place::Register),
                    }
                }
            };
            place[i] = Some(to);
            match frequency {
                0 => program.uniform.push(Step { function, args, to }),
                1 => program.periodic.push(Step { function, args, to }),
                _ => program.push(Step { function, args, to }),
            }
        }
        for (k, &id) in expr.outs().iter().enumerate() {
            let from = place[id as usize].expect("every node has a place");
            if from != Place::Result(k) {
                program.push(Step { function: Function::Copy, args: [from; 3], to: Place::Result(k) });
            }
        }
        program
    }

    /// Adds a step to the body.
    fn push(&mut self, step: Step) {
        let index = self.body.len();
        for a in step.args {
            if let Place::Direct(i) = a {
                self.last_read[i] = Some(index);
            }
        }
        if let Place::Result(k) = step.to {
            self.results[k].step = index;
        }
        self.body.push(step);
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
