//! Convolutions and matrix products.

use super::epilogue::Simple;
use super::{Call, Kernel};
use crate::kernels::convolution::Convolution;
use crate::kernels::direct::{ConvPlan, Epilogue, Gate, Relu, SparsePlan};
use crate::kernels::element::round_to_bf16;
use crate::kernels::map::{MapKernel, Operand};
use crate::kernels::window;
use crate::simd::Isa;
use oxiconv_ir::{DType, Expr, Form, Result, Seat, Type, Window};

/// A product, with what is fused behind it.
pub(super) struct Product {
    plan: Convolution,
    solve: Seat,
    is_matmul: bool,
    /// Leading axes of a matrix product: how many matrices.
    stack: Option<Stack>,
    /// Elements per entry of axis 0, of both operands and the result.
    entry: [usize; 3],
    /// Size of axis 0 of the seat that has the batch.
    entries: usize,
    /// Elements of the kernel.
    kernel_len: usize,
    /// Channels of the result.
    channels: usize,
    tail: Tail,
}

/// Sizes of one matrix product of a stack.
struct Stack {
    rows: usize,
    /// Elements of the operands' and the result's matrices.
    matrix: [usize; 3],
    /// Matrices per entry of axis 0.
    per_entry: usize,
}

/// What happens to the product.
enum Tail {
    /// In the kernel's registers, then maximum pooling there if `pool`; then rounding to bfloat16, if there is an
    /// instruction set for it. It keeps order, so that it may as well follow ReLU and pooling: the same values, and of
    /// those that rounding makes equal the largest is the maximum.
    Direct { simple: Simple, pool: bool, rounds: Option<Isa> },
    /// An expression over a sample (or a row) that is still in cache, then maybe maximum pooling.
    Map { map: Box<MapKernel>, others: Vec<Other>, pool: Option<(Isa, Window, usize)> },
}

/// An operand of a tail expression.
struct Other {
    /// Bytes per entry of axis 0; 0 if the entries share it.
    bytes: usize,
}

/// Floats of results that an expression reads again: half of an L1 cache.
const IN_FLIGHT: usize = 4 << 10;

/// Rows of a matrix's gradient in a piece: some tiles.
const LEAST_ROWS: usize = 32;

/// Which kernel computes a convolution.
#[derive(Clone, Copy)]
pub(super) enum Choice<'a> {
    /// The one that its sizes ask for, with about so many samples in a call.
    BySize { samples: usize },
    /// One like that of another product.
    Like(&'a Product),
}

impl Product {
    /// None if the choice is to be like a product for which there is no such kernel.
    pub(super) fn new(
        isa: Isa,
        form: &Form,
        solve: Seat,
        operands: &[Type],
        out: &Type,
        epilogue: Option<(&Expr, &[Operand], &[Type])>,
        window: Option<&Window>,
        choice: Choice<'_>,
    ) -> Option<Self> {
        let per_entry = |t: &Type| t.dims.iter().skip(1).product::<usize>();
        let entry = [per_entry(&operands[0]), per_entry(&operands[1]), per_entry(out)];
        // Pooling in registers finds the first maximum before it is bounded. Matrices of a stack run one by one.
        let stacked = *form == Form::MatMul && operands[0].rank() > 2;
        let simple = epilogue
            .map_or(Some(Simple::default()), |(e, others, types)| Simple::of(e, others, types))
            .filter(|s| window.is_none() || !(s.is_elementwise() || matches!(s.relu, Relu::UpTo(_))))
            .filter(|s| !(stacked && s.is_elementwise()));
        let pooled = window.filter(|_| simple.is_some());
        let (plan, stack) = match form {
            Form::Conv(conv) => match choice {
                Choice::Like(product) => (product.plan.alike(isa, conv, solve, pooled)?, None),
                Choice::BySize { samples } => (Convolution::new(isa, conv, solve, pooled, samples), None),
            },
            Form::MatMul => {
                let (plan, stack) = matmul(isa, solve, operands, out);
                (Convolution::Direct(Box::new(plan)), stack)
            }
        };
        let entries = operands[batched(solve)].dims[0];
        let kernel = Seat::Kernel.position(solve).map_or(out, |k| &operands[k]);
        let (kernel_len, channels) = (kernel.len(), out.dims[out.rank() - 1]);
        let tail = match (simple, epilogue) {
            (Some(simple), _) => Tail::Direct { simple, pool: window.is_some(), rounds: simple.rounds.then_some(isa) },
            (None, Some((expr, others, types))) => {
                // The product before pooling.
                let dims = match form {
                    Form::Conv(conv) => conv.dims(solve, entries),
                    Form::MatMul => out.dims.clone(),
                };
                let mut inputs = vec![Operand::dense(DType::F32, dims.len())];
                inputs.extend(others.iter().cloned());
                let map = MapKernel::new(isa, expr, &inputs, &[DType::F32], &dims);
                let others = others
                    .iter()
                    .zip(types)
                    .map(|(o, t)| Other { bytes: if o.repeat[0] { 0 } else { t.bytes() / t.dims[0] } })
                    .collect();
                Tail::Map { map: Box::new(map), others, pool: window.map(|w| (isa, w.clone(), channels)) }
            }
            (None, None) => unreachable!("no epilogue is a direct tail"),
        };
        Some(Self { plan, solve, is_matmul: *form == Form::MatMul, stack, entry, entries, kernel_len, channels, tail })
    }

    /// In how many pieces it can work: entries of axis 0 on their own, or rows of a matrix's gradient.
    pub(super) fn pieces(&self) -> usize {
        if self.by_rows() { (self.entry[0] / LEAST_ROWS).max(1) } else { self.entries }
    }

    /// Whether pieces make terms of the result.
    pub(super) fn sums(&self) -> bool {
        self.solve == Seat::Kernel && self.stack.is_none() && !self.is_matmul
    }

    /// Whether pieces make rows of the result, each from all entries: the gradient of a matrix.
    fn by_rows(&self) -> bool {
        self.solve == Seat::Kernel && self.stack.is_none() && self.is_matmul
    }

    /// Positions of the result for which it is worth reading the kernel.
    pub(super) fn least_positions(&self) -> usize {
        self.plan.least_positions()
    }

    /// Elements of one sample of the convolution's result, where it is pooled after an expression.
    fn unpooled(&self) -> usize {
        match &self.tail {
            Tail::Map { pool: Some((_, w, channels)), .. } => w.input.iter().product::<usize>() * channels,
            _ => 0,
        }
    }

    fn tail_scratch(&self) -> usize {
        match &self.tail {
            Tail::Direct { .. } => 0,
            Tail::Map { map, .. } => map.scratch_len(),
        }
    }

    /// Moves operands and results to entry `first` of axis 0: a piece of a step of a whole stage.
    fn skip(&self, first: usize, inputs: &mut [*const u8], outputs: &mut [*mut u8; 2]) {
        for (i, seat) in self.solve.others().into_iter().enumerate() {
            if seat != Seat::Kernel || self.stack.is_some() {
                inputs[i] = inputs[i].wrapping_add(first * self.entry[i] * size_of::<f32>());
            }
        }
        if self.sums() {
            return;
        }
        outputs[0] = outputs[0].wrapping_add(first * self.entry[2] * size_of::<f32>());
        match &self.tail {
            Tail::Direct { simple, .. } => {
                for i in simple.elementwise() {
                    inputs[i + 1] = inputs[i + 1].wrapping_add(first * self.entry[2] * size_of::<f32>());
                }
                // Positions of maxima in small windows are bytes.
                outputs[1] = outputs[1].wrapping_add(first * self.entry[2]);
            }
            Tail::Map { others, pool, .. } => {
                for (input, other) in inputs[2..].iter_mut().zip(others) {
                    *input = input.wrapping_add(first * other.bytes);
                }
                let index = pool.as_ref().map_or(1, |(_, w, _)| w.index_dtype().size());
                outputs[1] = outputs[1].wrapping_add(first * self.entry[2] * index);
            }
        }
    }

    /// What the kernel does with `n` entries of results.
    ///
    /// # Safety
    /// A bias has a value per channel, other operands a value for each result.
    unsafe fn epilogue<'a>(&self, simple: &Simple, n: usize, inputs: &[*const u8]) -> Epilogue<'a> {
        // Input 0 of the expression is the product, the step's operands follow from 2 on.
        // SAFETY: by contract.
        let read = |input: usize, len: usize| unsafe { slice(inputs[input + 1], 0, len) };
        let results = n * self.entry[2];
        Epilogue {
            bias: simple.bias.map(|i| read(i, self.channels)),
            added: simple.added.map(|i| read(i, results)),
            relu: simple.relu,
            gate: simple.gate.map(|g| Gate { values: read(g.input, results), below: g.below }),
        }
    }

    /// Matrix products one by one, each with its own kernel, then the tail.
    unsafe fn stacked(&self, stack: &Stack, n: usize, inputs: &[*const u8], out: *mut f32, scratch: &mut [f32]) {
        let count = n * stack.per_entry;
        let (map_scratch, scratch) = scratch.split_at_mut(self.tail_scratch());
        let (packed, scratch) = scratch.split_at_mut(self.plan.packed_len());
        for m in 0..count {
            // SAFETY: matrix `m` lies within this call's entries of axis 0.
            let (a, b, y) = unsafe {
                (
                    slice(inputs[0], m * stack.matrix[0], stack.matrix[0]),
                    slice(inputs[1], m * stack.matrix[1], stack.matrix[1]),
                    std::slice::from_raw_parts_mut(out.add(m * stack.matrix[2]), stack.matrix[2]),
                )
            };
            let epilogue = match &self.tail {
                // SAFETY: a bias has one value per channel, and a stack no other operands.
                Tail::Direct { simple, .. } => unsafe { self.epilogue(simple, 0, inputs) },
                Tail::Map { .. } => Epilogue::default(),
            };
            match self.solve {
                Seat::Kernel => self.plan.run(stack.rows, a, b, y, &epilogue, scratch),
                Seat::Output => {
                    self.plan.pack(b, packed);
                    self.plan.run(stack.rows, a, packed, y, &epilogue, scratch);
                }
                // Arguments are (kernel, y).
                Seat::Input => {
                    self.plan.pack(a, packed);
                    self.plan.run(stack.rows, b, packed, y, &epilogue, scratch);
                }
            }
        }
        match &self.tail {
            Tail::Map { map, .. } => {
                // SAFETY: the others have this call's entries, or are shared by them.
                unsafe { map.run(n, &operands(out, &inputs[2..])[..=inputs.len() - 2], &[out.cast()], map_scratch) };
            }
            Tail::Direct { rounds: Some(isa), .. } => {
                // SAFETY: the result's matrices are one after another.
                round_to_bf16(*isa, unsafe { std::slice::from_raw_parts_mut(out, count * stack.matrix[2]) });
            }
            Tail::Direct { rounds: None, .. } => {}
        }
    }
}

/// What a tail expression reads: the product, then the others.
fn operands(product: *const f32, others: &[*const u8]) -> [*const u8; super::MAX_OPERANDS] {
    let mut all = [std::ptr::null(); super::MAX_OPERANDS];
    all[0] = product.cast();
    all[1..=others.len()].copy_from_slice(others);
    all
}

/// Which operand has the batch.
fn batched(solve: Seat) -> usize {
    usize::from(solve == Seat::Input)
}

fn matmul(isa: Isa, solve: Seat, operands: &[Type], out: &Type) -> (ConvPlan, Option<Stack>) {
    let [a, b] = operands else { unreachable!("a product has two operands") };
    let last = |t: &Type| (t.dims[t.rank() - 2], t.dims[t.rank() - 1]);
    let ((rows, k), n) = match solve {
        Seat::Output | Seat::Kernel => (last(a), last(b).1),
        Seat::Input => ((last(b).0, last(a).0), last(a).1),
    };
    let plan = ConvPlan::matmul(isa, k, n, solve);
    let stack = (a.rank() > 2).then(|| {
        let size = |t: &Type| last(t).0 * last(t).1;
        Stack { rows, matrix: [size(a), size(b), size(out)], per_entry: a.dims[1..a.rank() - 2].iter().product() }
    });
    (plan, stack)
}

unsafe fn slice<'a>(p: *const u8, from: usize, len: usize) -> &'a [f32] {
    // SAFETY: by the caller's contract.
    unsafe { std::slice::from_raw_parts(p.cast::<f32>().add(from), len) }
}

impl Kernel for Product {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        let entries = call.rows(self.entries);
        let rows = if self.by_rows() { 0..entries } else { call.piece(entries) };
        let (first, n) = (rows.start, rows.len());
        let Call { inputs, outputs, packed, scratch, piece, .. } = call;
        let (mut given, mut made) = ([std::ptr::null(); super::MAX_OPERANDS], [std::ptr::null_mut(); 2]);
        given[..inputs.len()].copy_from_slice(inputs);
        made[..outputs.len()].copy_from_slice(outputs);
        if first > 0 {
            self.skip(first, &mut given, &mut made);
        }
        let (inputs, outputs) = (&given[..inputs.len()], &made[..outputs.len()]);
        let out = outputs[0].cast::<f32>();
        if let Some(stack) = &self.stack {
            // SAFETY: forwarded.
            unsafe { self.stacked(stack, n, inputs, out, scratch) };
            return Ok(());
        }
        if self.solve == Seat::Kernel {
            // SAFETY: the operands have `n` entries, the result is complete, or its rows are this piece's.
            unsafe {
                let (x, y) = (slice(inputs[0], 0, n * self.entry[0]), slice(inputs[1], 0, n * self.entry[1]));
                match &self.plan {
                    Convolution::Direct(plan) if piece.1 > 1 && self.by_rows() => {
                        plan.run_piece(n, x, y, out, scratch, piece);
                    }
                    plan => {
                        let k = std::slice::from_raw_parts_mut(out, self.kernel_len);
                        plan.run(n, x, y, k, &Epilogue::default(), scratch);
                    }
                }
            }
            return Ok(());
        }
        let batched = batched(self.solve);
        let entry = self.entry[batched];
        match &self.tail {
            Tail::Direct { simple, pool, rounds } => {
                // SAFETY: `n` entries of the batched operand, of the results, and of what they meet.
                unsafe {
                    let x = slice(inputs[batched], 0, n * entry);
                    let epilogue = self.epilogue(simple, n, inputs);
                    let y = std::slice::from_raw_parts_mut(out, n * self.entry[2]);
                    if *pool {
                        let index = std::slice::from_raw_parts_mut(outputs[1], n * self.entry[2]);
                        self.plan.run_pooled(n, x, packed, y, index, &epilogue, scratch);
                    } else {
                        self.plan.run(n, x, packed, y, &epilogue, scratch);
                    }
                    if let Some(isa) = rounds {
                        round_to_bf16(*isa, y);
                    }
                }
            }
            Tail::Map { map, others, pool } => {
                let (unpooled, scratch) = scratch.split_at_mut(self.unpooled());
                let (map_scratch, scratch) = scratch.split_at_mut(map.scratch_len());
                // Rows of a matrix product go through together, of images as many as stay in cache.
                let step = match pool {
                    _ if self.is_matmul => n.max(1),
                    Some(_) => 1,
                    None => (IN_FLIGHT / self.entry[2].max(1)).clamp(1, n.max(1)),
                };
                for i in (0..n).step_by(step) {
                    let step = step.min(n - i);
                    // SAFETY: entries `i..i + step` of the batched operands and results.
                    unsafe {
                        let x = slice(inputs[batched], i * entry, step * entry);
                        let y = match pool {
                            Some(_) => &mut *unpooled,
                            None => std::slice::from_raw_parts_mut(out.add(i * self.entry[2]), step * self.entry[2]),
                        };
                        self.plan.run(step, x, packed, y, &Epilogue::default(), scratch);
                        let mut operands = [std::ptr::null::<u8>(); super::MAX_OPERANDS];
                        operands[0] = y.as_ptr().cast();
                        for (k, other) in others.iter().enumerate() {
                            operands[k + 1] = inputs[k + 2].add(i * other.bytes);
                        }
                        map.run(step, &operands[..=others.len()], &[y.as_mut_ptr().cast()], map_scratch);
                        if let Some((isa, window, channels)) = pool {
                            let size = self.entry[2];
                            let values = std::slice::from_raw_parts_mut(out.add(i * size), size);
                            let index = outputs[1].add(i * size * window.index_dtype().size());
                            window::max_pool(*isa, window, *channels, 1, y, values, index);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn scratch_len(&self) -> usize {
        let packed = if self.stack.is_some() { self.plan.packed_len() } else { 0 };
        packed + self.unpooled() + self.tail_scratch() + self.plan.scratch_len()
    }

    fn packed_len(&self) -> usize {
        if self.stack.is_some() { 0 } else { self.plan.packed_len() }
    }

    unsafe fn pack(&self, kernel: *const u8, packed: &mut [f32]) {
        // SAFETY: valid for the kernel's type by the caller's contract.
        self.plan.pack(unsafe { slice(kernel, 0, self.kernel_len) }, packed);
    }

    fn packed_operand(&self) -> Option<usize> {
        // Packed even where it has no values: where all that a convolution reads is padding.
        Seat::Kernel.position(self.solve).filter(|_| self.stack.is_none())
    }

    fn describe(&self) -> String {
        let tail = match &self.tail {
            Tail::Direct { simple, pool, rounds } => {
                let told = |given: bool, name| if given { name } else { "" };
                format!("{}{}{}", simple.describe(), told(*pool, " + pool"), told(rounds.is_some(), " + bfloat16"))
            }
            Tail::Map { .. } => " + expression".to_owned(),
        };
        self.plan.describe() + &tail
    }
}

/// A gradient of a max-pooled convolution, from the gradient of the maxima.
pub(super) struct Sparse {
    plan: SparsePlan,
    solve: Seat,
    samples: usize,
    /// Elements per sample: of `x` or `dx`, and of the maxima.
    input: usize,
    pooled: usize,
    kernel_len: usize,
}

impl Sparse {
    pub(super) fn new(isa: Isa, form: &Form, window: &Window, solve: Seat) -> Option<Self> {
        let Form::Conv(conv) = form else { return None };
        let len = |seat| conv.dims(seat, 1).iter().product();
        Some(Self {
            plan: SparsePlan::new(isa, conv, window, solve)?,
            solve,
            samples: 0,
            input: len(Seat::Input),
            pooled: window.output().iter().product::<usize>() * conv.cout,
            kernel_len: len(Seat::Kernel),
        })
    }

    pub(super) fn bind(isa: Isa, form: &Form, window: &Window, solve: Seat, samples: usize) -> Self {
        let new = Self::new(isa, form, window, solve);
        Self { samples, ..new.expect("the target accepts only what can be planned") }
    }
}

impl Kernel for Sparse {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        let n = call.rows(self.samples);
        let Call { inputs, outputs, packed, scratch, .. } = call;
        let out = outputs[0].cast::<f32>();
        // SAFETY: `n` samples of the batched operands, one byte of position per maximum, a complete kernel.
        unsafe {
            let g = slice(inputs[1], 0, n * self.pooled);
            let index = std::slice::from_raw_parts(inputs[2], n * self.pooled);
            if self.solve == Seat::Input {
                let dx = std::slice::from_raw_parts_mut(out, n * self.input);
                self.plan.run(n, packed, g, index, dx, scratch);
            } else {
                let dk = std::slice::from_raw_parts_mut(out, self.kernel_len);
                self.plan.run(n, slice(inputs[0], 0, n * self.input), g, index, dk, scratch);
            }
        }
        Ok(())
    }

    fn scratch_len(&self) -> usize {
        self.plan.scratch_len()
    }

    fn packed_len(&self) -> usize {
        self.plan.packed_len()
    }

    unsafe fn pack(&self, kernel: *const u8, packed: &mut [f32]) {
        // SAFETY: valid for the kernel's type by the caller's contract.
        self.plan.pack(unsafe { slice(kernel, 0, self.kernel_len) }, packed);
    }

    fn packed_operand(&self) -> Option<usize> {
        (self.solve == Seat::Input).then_some(0)
    }

    fn describe(&self) -> String {
        self.plan.describe()
    }
}
