//! A lock that knows when its holder asks again, instead of waiting for itself. A signal handler runs on the thread
//! whose step it interrupts, and may well save the weights that this step is about to change.

use oxiconv_ir::{Error, Result};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{ThreadId, current};

/// Whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    holder: Mutex<Option<ThreadId>>,
    over: Condvar,
}

/// The turn of the thread that took it.
#[derive(Debug)]
pub(crate) struct Held<'a>(&'a Turn);

impl Turn {
    /// Waits for the turn. An error, which names `what` is asked for, if this thread has it already.
    pub(crate) fn take(&self, what: &str) -> Result<Held<'_>> {
        let mut holder = self.lock();
        while let Some(thread) = *holder {
            if thread == current().id() {
                return Err(Error::Graph(format!("{what} is in use by a step that this thread is running")));
            }
            holder = self.over.wait(holder).unwrap_or_else(PoisonError::into_inner);
        }
        *holder = Some(current().id());
        Ok(Held(self))
    }

    /// Whether this thread has the turn.
    pub(crate) fn is_mine(&self) -> bool {
        *self.lock() == Some(current().id())
    }

    /// The holder is set whole or not at all, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
        self.0.over.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::Turn;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn excludes_other_threads() {
        let (turn, inside, total) = (Turn::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _held = turn.take("it").unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        total.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(total.into_inner(), 800);
    }

    #[test]
    fn the_holder_is_told_and_may_take_it_again_later() {
        let turn = Turn::default();
        let held = turn.take("it").unwrap();
        assert!(turn.is_mine());
        assert!(turn.take("the cell").unwrap_err().to_string().contains("the cell is in use"));
        std::thread::scope(|scope| assert!(!scope.spawn(|| turn.is_mine()).join().unwrap()));
        drop(held);
        assert!(!turn.is_mine());
        drop(turn.take("it").unwrap());
    }
}
