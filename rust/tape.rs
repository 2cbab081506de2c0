//! Gradient tapes: what was computed eagerly, for going back over it.

use crate::trace::Value;
use crate::{Eager, Tensor};
use oxiconv_ir::grad::{Record, pullback};
use oxiconv_ir::{Compose, Error, Op, Result};
use rustc_hash::FxHashSet;
use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Records eager ops of this thread between [`start`](Tape::start) and [`stop`](Tape::stop), as far as they depend on
/// watched tensors. Tapes nest: taking a gradient is recorded by the other active tapes, and can be differentiated
/// again. Clones are the same tape.
#[derive(Clone, Default)]
pub struct Tape(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// Watched tensors, and what depends on them.
    connected: FxHashSet<u64>,
    records: Vec<Arc<Record<Tensor>>>,
}

thread_local! {
    static ACTIVE: RefCell<Vec<Tape>> = const { RefCell::new(Vec::new()) };
}

impl Tape {
    /// A tape that is not active.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the tape active on this thread.
    pub fn start(&self) -> Result<()> {
        ACTIVE.with_borrow_mut(|active| {
            if active.iter().any(|t| t.is(self)) {
                return Err(Error::Graph("tape: started twice".into()));
            }
            active.push(self.clone());
            Ok(())
        })
    }

    /// Ends what [`Tape::start`] began.
    pub fn stop(&self) -> Result<()> {
        ACTIVE.with_borrow_mut(|active| match active.iter().rposition(|t| t.is(self)) {
            Some(i) => {
                active.remove(i);
                Ok(())
            }
            None => Err(Error::Graph("tape: not active on this thread".into())),
        })
    }

    /// Records what is computed from `x`. Values of a graph need no watching: their graph is the record.
    pub fn watch(&self, x: &Value) {
        if let Value::Tensor(x) = x {
            self.lock().connected.insert(x.id());
        }
    }

    /// Cotangents of `sources`, given that of `target` (ones if there is none); none where `target` does not depend
    /// on the source. The tape stays as it is, so there can be more gradients.
    pub fn gradient(&self, target: &Value, sources: &[&Value], seed: Option<&Value>) -> Result<Vec<Option<Value>>> {
        let target = match target {
            Value::Traced(t) => return t.trace().grad_from(target, sources, seed),
            Value::Tensor(t) => t,
        };
        let sources = sources.iter().map(|s| s.tensor("gradient source").cloned()).collect::<Result<Vec<_>>>()?;
        let seed = match seed {
            Some(seed) => seed.tensor("gradient seed")?.clone(),
            None if target.ty().dtype.is_float() => Eager.full(1.0, target.ty())?,
            None => return Err(Error::dtype("gradient", "a floating target", target.ty().to_string())),
        };
        // The walk emits ops, which an active tape (this one too) records: work on a copy of the list.
        let records: Vec<Record<Tensor>> = self.lock().records.iter().map(|r| Record::clone(r)).collect();
        let grads = pullback(&mut Eager, &records, &[(target.clone(), seed)], &sources)?;
        Ok(grads.into_iter().map(|g| g.map(Value::Tensor)).collect())
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows an op that was run to the active tapes of this thread.
pub(crate) fn record(op: &Op, args: &[Tensor], out: &Tensor) {
    ACTIVE.with_borrow(|active| {
        if active.is_empty() || !op.is_differentiable() || !out.ty().dtype.is_float() {
            return;
        }
        let mut record = None;
        for tape in active {
            let mut tape = tape.lock();
            if args.iter().any(|a| a.ty().dtype.is_float() && tape.connected.contains(&a.id())) {
                let record = record
                    .get_or_insert_with(|| Arc::new(Record { op: op.clone(), args: args.to_vec(), out: out.clone() }));
                tape.records.push(Arc::clone(record));
                tape.connected.insert(out.id());
            }
        }
    });
}
