//! How a long computation is stopped from outside.

use std::sync::OnceLock;

static POLL: OnceLock<fn() -> bool> = OnceLock::new();

/// Installs the function that computations ask, on the thread that started them and every few milliseconds or more
/// often, whether to stop. The first one installed stays.
pub fn set_interrupt(poll: fn() -> bool) {
    let _ = POLL.set(poll);
}

pub(crate) fn interrupted() -> bool {
    POLL.get().is_some_and(|poll| poll())
}
