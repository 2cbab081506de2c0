//! Which kernel computes a convolution: a rule on its shape.

use super::direct::{ConvPlan, Epilogue};
use super::winograd::WinogradPlan;
use crate::simd::Isa;
use oxiconv_ir::{Conv, Precision, Seat, Window};

/// A convolution or matrix product on its kernel.
#[derive(Debug)]
pub enum Convolution {
    /// Sums over taps.
    Direct(Box<ConvPlan>),
    /// Tiles of 4x4 results.
    Winograd(WinogradPlan),
}

impl Convolution {
    /// Plans the convolution solved for any seat, or, for `Seat::Output`, followed by max-pooling over `window`. A call
    /// has about `samples` samples, which only the choice for a kernel's gradient depends on: a sample's result has the
    /// same bits in every batch.
    pub fn new(isa: Isa, conv: &Conv, solve: Seat, window: Option<&Window>, samples: usize) -> Self {
        let tiles = match conv.precision {
            Precision::Fast => WinogradPlan::new(isa, conv, solve, window).filter(|plan| plan.pays(samples)),
            Precision::Exact => None,
        };
        match (tiles, window) {
            (Some(plan), _) => Self::Winograd(plan),
            (None, Some(window)) => Self::Direct(Box::new(ConvPlan::pooled(isa, conv, window))),
            (None, None) => Self::Direct(Box::new(ConvPlan::new(isa, conv, solve))),
        }
    }

    /// Plans another convolution, of the same kernel, on the same kind of kernel: for a part of an image, whose bits are
    /// then those of the whole. None if that does not exist, or would read its kernel packed in another way.
    pub fn alike(&self, isa: Isa, conv: &Conv, solve: Seat, window: Option<&Window>) -> Option<Self> {
        match self {
            Self::Winograd(_) => WinogradPlan::new(isa, conv, solve, window).map(Self::Winograd),
            Self::Direct(plan) => {
                let part = window.map_or_else(|| ConvPlan::new(isa, conv, solve), |w| ConvPlan::pooled(isa, conv, w));
                part.packs_like(plan).then(|| Self::Direct(Box::new(part)))
            }
        }
    }

    /// Positions of the result for which reading the kernel takes less time than computing.
    pub fn least_positions(&self) -> usize {
        match self {
            Self::Direct(_) => 24,
            // Four times the kernel for fewer products.
            Self::Winograd(plan) => plan.least_positions(),
        }
    }

    /// Floats in the packed kernel; none for the kernel gradient.
    pub fn packed_len(&self) -> usize {
        match self {
            Self::Direct(plan) => plan.packed_len(),
            Self::Winograd(plan) => plan.packed_len(),
        }
    }

    /// Packs a kernel for [`Convolution::run`].
    pub fn pack(&self, kernel: &[f32], packed: &mut [f32]) {
        match self {
            Self::Direct(plan) => plan.pack(kernel, packed),
            Self::Winograd(plan) => plan.pack(kernel, packed),
        }
    }

    /// Floats of scratch that one call needs, for any number of samples.
    pub fn scratch_len(&self) -> usize {
        match self {
            Self::Direct(plan) => plan.scratch_len(),
            Self::Winograd(plan) => plan.scratch_len(),
        }
    }

    /// Computes `n` samples, as [`ConvPlan::run`].
    pub fn run(&self, n: usize, a: &[f32], b: &[f32], out: &mut [f32], epilogue: &Epilogue, scratch: &mut [f32]) {
        match self {
            Self::Direct(plan) => plan.run(n, a, b, out, epilogue, scratch),
            Self::Winograd(plan) => plan.run(n, a, b, out, epilogue, scratch),
        }
    }

    /// Computes `n` samples and pools them, as [`ConvPlan::run_pooled`].
    pub fn run_pooled(
        &self,
        n: usize,
        x: &[f32],
        packed: &[f32],
        values: &mut [f32],
        index: &mut [u8],
        epilogue: &Epilogue,
        scratch: &mut [f32],
    ) {
        match self {
            Self::Direct(plan) => plan.run_pooled(n, x, packed, values, index, epilogue, scratch),
            Self::Winograd(plan) => plan.run_pooled(n, x, packed, values, index, epilogue, scratch),
        }
    }

    /// The kernel and its tiles, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Direct(plan) => plan.describe(),
            Self::Winograd(plan) => plan.describe(),
        }
    }
}
