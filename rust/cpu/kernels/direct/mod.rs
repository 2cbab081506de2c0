//! Direct convolution: a register tile of result positions by channels, summed over kernel taps and source channels.

pub(crate) mod geometry;
