//! CNN training, fine-tuning and inference on any machine.

pub use oxiconv_ir as ir;
