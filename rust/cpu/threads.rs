//! How many threads to use.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number set by [`set_num_threads`]; 0 until then.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Most threads that can be asked for; beyond any machine, and far below the width of `State::INSIDE_MASK`.
const MAX_THREADS: usize = 4096;

/// Sets how many threads later runs use, the caller included. Results do not depend on it. 0 restores the default.
pub fn set_num_threads(n: usize) {
    THREADS.store(n.min(MAX_THREADS), Ordering::Relaxed);
}

/// How many threads runs use: what was set, or `OXICONV_NUM_THREADS`, or the physical cores this process may use.
///
/// # Panics
/// If `OXICONV_NUM_THREADS` is not a number of at least 1. Front ends call [`threads_from_env`] first and report it.
pub fn num_threads() -> usize {
    static DEFAULT: OnceLock<usize> = OnceLock::new();
    match THREADS.load(Ordering::Relaxed) {
        0 => *DEFAULT.get_or_init(|| match threads_from_env() {
            Ok(n) => n.unwrap_or_else(physical_cores),
            Err(message) => panic!("{message}"),
        }),
        n => n,
    }
}

/// The value of `OXICONV_NUM_THREADS`, if it is set, or what is wrong with it.
pub fn threads_from_env() -> Result<Option<usize>, String> {
    match std::env::var("OXICONV_NUM_THREADS") {
        Err(_) => Ok(None),
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => match text.trim().parse() {
            Ok(n @ 1..=MAX_THREADS) => Ok(Some(n)),
            _ => Err(format!("OXICONV_NUM_THREADS: expected a number from 1 to {MAX_THREADS}, got {text:?}")),
        },
    }
}

/// Logical processors this process may use (affinity and cgroup quota count).
pub(crate) fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

/// Physical cores this process may use: two hardware threads of one core share the units that kernels saturate.
fn physical_cores() -> usize {
    let cores = (0..)
        .map_while(|cpu| {
            std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")).ok()
        })
        .collect::<std::collections::BTreeSet<_>>()
        .len();
    if cores == 0 { processors() } else { processors().min(cores) }
}

#[cfg(test)]
mod tests {
    use super::{num_threads, physical_cores, processors, set_num_threads};

    #[test]
    fn defaults_and_settings() {
        assert!((1..=processors()).contains(&physical_cores()));
        let default = num_threads();
        assert!(default >= 1);
        set_num_threads(3);
        assert_eq!(num_threads(), 3);
        set_num_threads(0);
        assert_eq!(num_threads(), default);
    }
}
