//! Cells: the mutable storage of variables.

use crate::Tensor;
use crate::turn::{Held, Turn};
use oxiconv_ir::{Error, Result, Type};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A place for tensors of one type. Tensors taken out never change: a step that updates the cell works in place when
/// nobody else has the memory, and on a copy otherwise. Memory of someone else is copied when it comes in: then steps can
/// update it in place, and can tell that it has not changed. Clones are the same cell.
#[derive(Clone, Debug)]
pub struct Cell(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ty: Type,
    /// Held by a step from before it runs until its updates are in.
    turn: Turn,
    /// Locked for a moment at a time, by whoever has the turn.
    tensor: Mutex<Tensor>,
}

impl Cell {
    /// A cell that holds `value`.
    pub fn new(value: Tensor) -> Self {
        Self(Arc::new(Inner { ty: value.ty().clone(), turn: Turn::default(), tensor: Mutex::new(value.owned()) }))
    }

    /// Type of all its values.
    pub fn ty(&self) -> &Type {
        &self.0.ty
    }

    /// The value. Waits while a step on another thread updates the cell. In a signal handler that interrupted such a
    /// step on this thread: a copy of the value before the step.
    pub fn get(&self) -> Result<Tensor> {
        if self.0.turn.is_mine() {
            // The step keeps only a pointer to the memory, and does not write while it polls for signals.
            return self.lock().deep_copy();
        }
        let _held = self.hold()?;
        Ok(self.lock().clone())
    }

    /// Replaces the value by one of the same type.
    pub fn set(&self, value: Tensor) -> Result<()> {
        self.check(value.ty())?;
        let value = value.owned();
        let _held = self.hold()?;
        self.put(value);
        Ok(())
    }

    /// Whether a value of this type can be stored.
    pub(crate) fn check(&self, given: &Type) -> Result<()> {
        let ty = &self.0.ty;
        if given.dtype != ty.dtype {
            Err(Error::dtype("cell", format!("a value {ty}"), given.to_string()))
        } else if given.dims != ty.dims {
            Err(Error::shape("cell", format!("a value {ty}"), given.to_string()))
        } else {
            Ok(())
        }
    }

    /// Keeps all others from the cell.
    pub(crate) fn hold(&self) -> Result<Held<'_>> {
        self.0.turn.take("the cell")
    }

    /// The current tensor, for the holder.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Tensor> {
        self.0.tensor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a value of the right type, for the holder.
    pub(crate) fn put(&self, value: Tensor) {
        *self.lock() = value;
    }

    /// A number that clones share and other living cells do not: the order in which steps hold cells.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Cell {}

#[cfg(test)]
mod tests {
    use super::Cell;
    use crate::Tensor;
    use oxiconv_ir::Error;

    #[test]
    fn keeps_its_type_and_gives_what_was_set() {
        let cell = Cell::new(Tensor::from_f32(&[2], &[1.0, 2.0]).unwrap());
        let before = cell.get().unwrap();
        cell.set(Tensor::from_f32(&[2], &[3.0, 4.0]).unwrap()).unwrap();
        assert_eq!(before.to_f32().unwrap(), [1.0, 2.0]);
        assert_eq!(cell.get().unwrap().to_f32().unwrap(), [3.0, 4.0]);
        assert!(matches!(cell.set(Tensor::from_f32(&[1], &[0.0]).unwrap()), Err(Error::Shape { .. })));
        assert!(matches!(cell.set(Tensor::from_i32(&[2], &[0, 0]).unwrap()), Err(Error::DType { .. })));
    }

    #[test]
    fn the_holder_reads_a_copy_and_cannot_set() {
        let cell = Cell::new(Tensor::from_f32(&[1], &[5.0]).unwrap());
        let held = cell.hold().unwrap();
        let copy = cell.get().unwrap();
        assert_eq!(copy.to_f32().unwrap(), [5.0]);
        assert_ne!(copy.bytes().as_ptr(), cell.lock().bytes().as_ptr());
        assert!(matches!(cell.set(copy), Err(Error::Graph(_))));
        drop(held);
    }
}
