//! The worker pool. Work arrives as a few dozen independent tasks (shards) that are claimed one by one, so a core that
//! a neighbour slows down delays only the task it holds. Nothing starts before the first parallel run.
//!
//! A run opens a *generation*. A worker that notices in time enters it, claims tasks until none is left, and leaves;
//! the caller, who works too, closes the generation when the tasks are gone and waits only for those inside. A worker
//! that the system did not schedule in time is never waited for.

use crate::float_mode::FlushSubnormals;
use crate::threads::{num_threads, processors};
use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// What a run executes: a function of the task and of the worker that runs it.
pub type Task<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// A [`Task`] whose lifetime is kept by protocol: it is called only within a generation.
type Erased = *const (dyn Fn(usize, usize) + Sync + 'static);

/// A waiting thread spins this long, then sleeps: about the cost of putting it to sleep and waking it, twice over.
const SPIN: Duration = Duration::from_micros(50);

/// Worker threads, shared by all programs of the process.
pub struct Pool {
    /// A forked child inherits this struct but not the threads; the process id tells.
    pid: u32,
    shared: Arc<Shared>,
    /// The threads besides the caller. Whoever holds the lock is the caller of the current run.
    crew: Mutex<Vec<Worker>>,
}

struct Worker {
    thread: Thread,
    asleep: Arc<AtomicBool>,
}

struct Shared {
    /// Generation, and who is inside: see [`State`].
    state: Line<AtomicU64>,
    /// The next task to claim.
    next: Line<AtomicUsize>,
    /// Written by the caller while nobody is inside; read by workers inside.
    job: UnsafeCell<Job>,
    /// The caller, while it sleeps until the last worker leaves.
    sleeper: Mutex<Option<Thread>>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// A cache-line pair of its own: adjacent lines are fetched together.
#[repr(align(128))]
struct Line<T>(T);

#[derive(Clone, Copy)]
struct Job {
    /// Lifetime erased; alive while the generation is open or anyone is inside.
    task: Erased,
    tasks: usize,
    /// Workers below this take part.
    workers: usize,
}

// SAFETY: `job` is the only part that is not `Sync` by itself. It is written only by the holder of `crew` while no
// worker is inside, and read only inside; entering (acquire) and leaving (release) `state` order the two. The function
// it points to is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: as above; nothing in it belongs to one thread.
unsafe impl Send for Shared {}

/// The bits of `Shared::state`.
struct State;

impl State {
    /// One worker inside.
    const INSIDE: u64 = 1;
    const INSIDE_MASK: u64 = (1 << 16) - 1;
    /// Workers may enter.
    const OPEN: u64 = 1 << 16;
    /// The caller sleeps until the last one leaves.
    const SLEEPER: u64 = 1 << 17;
    /// One generation.
    const GENERATION: u64 = 1 << 18;

    fn generation(state: u64) -> u64 {
        state / Self::GENERATION
    }
}

thread_local! {
    /// The worker that this thread is, while it runs tasks.
    static CURRENT: Cell<Option<usize>> = const { Cell::new(None) };
}

impl Pool {
    /// The pool of this process. After a fork the child gets a new one; what it inherited is left behind untouched.
    pub fn global() -> &'static Self {
        static GLOBAL: AtomicPtr<Pool> = AtomicPtr::new(std::ptr::null_mut());
        let pid = std::process::id();
        let mut seen = GLOBAL.load(Ordering::Acquire);
        loop {
            // SAFETY: the pointer is null or came from `Box::into_raw` below, and a published pool is never freed.
            if let Some(pool) = unsafe { seen.as_ref() }
                && pool.pid == pid
            {
                return pool;
            }
            let fresh = Box::into_raw(Box::new(Self::new()));
            match GLOBAL.compare_exchange(seen, fresh, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: just made, published, and never freed.
                Ok(_) => return unsafe { &*fresh },
                Err(other) => {
                    // SAFETY: `fresh` came from `Box::into_raw` and was not published.
                    drop(unsafe { Box::from_raw(fresh) });
                    seen = other;
                }
            }
        }
    }

    fn new() -> Self {
        fn nothing(_: usize, _: usize) {}
        let shared = Shared {
            state: Line(AtomicU64::new(0)),
            next: Line(AtomicUsize::new(0)),
            job: UnsafeCell::new(Job { task: &nothing, tasks: 0, workers: 0 }),
            sleeper: Mutex::new(None),
            panic: Mutex::new(None),
        };
        Self { pid: std::process::id(), shared: Arc::new(shared), crew: Mutex::new(Vec::new()) }
    }

    /// Runs tasks `0..tasks`, each exactly once, and returns when all are done. The second argument of the function
    /// is the worker, below [`num_threads`]; no two tasks run at once with the same one (calls from within a task, and
    /// runs started elsewhere at the same time, apart). Subnormals are flushed meanwhile.
    ///
    /// Runs on the calling thread alone if there is one task or one thread, if called from within a task, or if
    /// another thread is using the pool.
    ///
    /// # Panics
    /// If a task panics: the rest is skipped, and the panic continues here once no task runs any more.
    pub fn run(&self, tasks: usize, task: Task<'_>) {
        self.run_with(num_threads(), tasks, task);
    }

    /// [`Self::run`] on this many threads: worker numbers stay below it, whatever [`num_threads`] is by then.
    pub fn run_with(&self, threads: usize, tasks: usize, task: Task<'_>) {
        let _mode = FlushSubnormals::new();
        if let Some(worker) = CURRENT.get() {
            return (0..tasks).for_each(|i| task(i, worker));
        }
        let _current = Current::enter(0);
        let workers = threads.min(tasks);
        let crew = match self.crew.try_lock() {
            _ if workers <= 1 => None,
            Ok(crew) => Some(crew),
            // The lock only marks the pool as taken; a panic leaves nothing half done behind it.
            Err(TryLockError::Poisoned(e)) => Some(e.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        match crew {
            None => (0..tasks).for_each(|i| task(i, 0)),
            Some(crew) => self.run_parallel(crew, workers, tasks, task),
        }
    }

    fn run_parallel(&self, mut crew: MutexGuard<'_, Vec<Worker>>, workers: usize, tasks: usize, task: Task<'_>) {
        while crew.len() + 1 < workers {
            let Some(worker) = self.spawn(crew.len() + 1) else { break };
            crew.push(worker);
        }
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes; `finish` below returns after the last use, and `task` outlives this call.
        #[allow(clippy::transmute_ptr_to_ptr, reason = "a cast may not extend the lifetime of a trait object")]
        let erased = unsafe { std::mem::transmute::<*const (dyn Fn(usize, usize) + Sync + '_), Erased>(task) };
        // SAFETY: this thread holds `crew`, the former generation is closed and nobody is inside.
        unsafe { *shared.job.get() = Job { task: erased, tasks, workers } };
        shared.next.0.store(0, Ordering::Relaxed);
        let generation = State::generation(shared.state.0.load(Ordering::Relaxed)) + 1;
        // Sequentially consistent with `asleep`: either the worker sees the new generation before it sleeps, or this
        // thread sees it asleep.
        shared.state.0.store((generation * State::GENERATION) | State::OPEN, Ordering::SeqCst);
        for worker in crew.iter().take(workers - 1) {
            if worker.asleep.load(Ordering::SeqCst) && worker.asleep.swap(false, Ordering::SeqCst) {
                worker.thread.unpark();
            }
        }
        shared.claim(task, tasks, 0);
        shared.finish();
        let panic = lock(&shared.panic).take();
        drop(crew);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Starts worker `index`. `None` if the system refuses another thread: then fewer do the same work.
    fn spawn(&self, index: usize) -> Option<Worker> {
        let asleep = Arc::new(AtomicBool::new(false));
        let (shared, flag) = (Arc::clone(&self.shared), Arc::clone(&asleep));
        // The generation after this one will be its first.
        let seen = State::generation(shared.state.0.load(Ordering::Relaxed));
        let builder = std::thread::Builder::new().name(format!("oxiconv-{index}"));
        let handle = builder.spawn(move || shared.work(index, seen, &flag)).ok()?;
        Some(Worker { thread: handle.thread().clone(), asleep })
    }
}

impl Shared {
    /// The life of a worker.
    fn work(&self, index: usize, mut seen: u64, asleep: &AtomicBool) {
        let _mode = FlushSubnormals::new();
        let _current = Current::enter(index);
        loop {
            seen = self.wait_for_generation(seen, asleep);
            if !self.enter(seen) {
                continue;
            }
            // SAFETY: inside an open generation the caller does not write the job.
            let job = unsafe { *self.job.get() };
            if index < job.workers {
                // SAFETY: the caller keeps the function alive until everybody who entered has left.
                self.claim(unsafe { &*job.task }, job.tasks, index);
            }
            self.leave();
        }
    }

    /// The first generation after `seen`; spins, then sleeps.
    fn wait_for_generation(&self, seen: u64, asleep: &AtomicBool) -> u64 {
        let current = || State::generation(self.state.0.load(Ordering::SeqCst));
        if !spin_until(|| current() != seen) {
            asleep.store(true, Ordering::SeqCst);
            while current() == seen {
                std::thread::park();
            }
            asleep.store(false, Ordering::SeqCst);
        }
        current()
    }

    /// Enters a generation, unless it has been closed.
    fn enter(&self, generation: u64) -> bool {
        self.state
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |s| {
                (State::generation(s) == generation && s & State::OPEN != 0).then_some(s + State::INSIDE)
            })
            .is_ok()
    }

    fn leave(&self) {
        let before = self.state.0.fetch_sub(State::INSIDE, Ordering::AcqRel);
        if before & State::INSIDE_MASK == 1
            && before & State::SLEEPER != 0
            && let Some(caller) = &*lock(&self.sleeper)
        {
            caller.unpark();
        }
    }

    /// Claims and runs tasks until none is left. A panic is kept for the caller, and ends the claiming of all.
    fn claim(&self, task: Task<'_>, tasks: usize, worker: usize) {
        let work = || {
            loop {
                let i = self.next.0.fetch_add(1, Ordering::Relaxed);
                if i >= tasks {
                    break;
                }
                task(i, worker);
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            self.next.0.store(tasks, Ordering::Relaxed);
            lock(&self.panic).get_or_insert(panic);
        }
    }

    /// Closes the generation and waits for the workers inside.
    fn finish(&self) {
        let empty = |state: u64| state & State::INSIDE_MASK == 0;
        if empty(self.state.0.fetch_and(!State::OPEN, Ordering::AcqRel))
            || spin_until(|| empty(self.state.0.load(Ordering::Acquire)))
        {
            return;
        }
        *lock(&self.sleeper) = Some(std::thread::current());
        let mut state = self.state.0.fetch_or(State::SLEEPER, Ordering::AcqRel);
        while !empty(state) {
            std::thread::park();
            state = self.state.0.load(Ordering::Acquire);
        }
        *lock(&self.sleeper) = None;
    }
}

/// Marks the thread as a worker for the lifetime of the value.
struct Current;

impl Current {
    fn enter(worker: usize) -> Self {
        CURRENT.set(Some(worker));
        Self
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

/// Spins until `done`, for at most [`SPIN`]; not at all with more threads than processors, where whoever is waited for
/// may need this one. Says whether it was done.
fn spin_until(done: impl Fn() -> bool) -> bool {
    if num_threads() > processors() {
        return done();
    }
    let start = Instant::now();
    loop {
        for _ in 0..32 {
            if done() {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.elapsed() > SPIN {
            return false;
        }
    }
}

/// A panic while one of these short locks is held leaves the value whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Pool;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn counters(n: usize) -> Vec<AtomicUsize> {
        (0..n).map(|_| AtomicUsize::new(0)).collect()
    }

    #[test]
    fn every_task_runs_exactly_once_on_a_valid_worker() {
        let pool = Pool::new();
        for threads in 1..=5 {
            for tasks in [0, 1, 2, 3, 7, 64, 1000] {
                let ran = counters(tasks);
                pool.run_with(threads, tasks, &|i, worker| {
                    assert!(worker < threads.min(tasks).max(1));
                    ran[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(ran.iter().all(|c| c.load(Ordering::Relaxed) == 1), "{threads} threads, {tasks} tasks");
            }
        }
    }

    #[test]
    fn runs_tasks_at_the_same_time_on_distinct_workers() {
        let pool = Pool::new();
        let (together, busy) = (Barrier::new(3), counters(3));
        // Would hang if fewer than three threads took part.
        pool.run_with(3, 3, &|_, worker| {
            busy[worker].fetch_add(1, Ordering::Relaxed);
            together.wait();
        });
        assert!(busy.iter().all(|c| c.load(Ordering::Relaxed) == 1));
    }

    #[test]
    fn many_short_runs_from_spinning_and_sleeping_workers() {
        let pool = Pool::new();
        let sum = AtomicUsize::new(0);
        for run in 0..3000 {
            pool.run_with(3, 4, &|i, _| {
                sum.fetch_add(i + 1, Ordering::Relaxed);
            });
            if run % 100 == 0 {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        assert_eq!(sum.into_inner(), 3000 * (1 + 2 + 3 + 4));
    }

    #[test]
    fn waits_for_a_slow_worker() {
        let pool = Pool::new();
        let together = Barrier::new(2);
        let done = AtomicUsize::new(0);
        pool.run_with(2, 2, &|_, worker| {
            together.wait();
            if worker == 1 {
                std::thread::sleep(Duration::from_millis(5));
            }
            done.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(done.into_inner(), 2);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_leaves_the_pool_usable() {
        let pool = Pool::new();
        for guilty in [0, 5, 99] {
            let run = || pool.run_with(3, 100, &|i, _| assert!(i != guilty, "task {i}"));
            let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
            assert_eq!(panic.downcast_ref::<String>().unwrap(), &format!("task {guilty}"));
            let ran = counters(50);
            pool.run_with(3, 50, &|i, _| {
                ran[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(ran.iter().all(|c| c.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn a_nested_run_stays_on_its_worker() {
        let pool = Pool::new();
        let inner = AtomicUsize::new(0);
        pool.run_with(3, 8, &|_, worker| {
            pool.run_with(3, 10, &|_, same| {
                assert_eq!(same, worker);
                inner.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!(inner.into_inner(), 80);
    }

    #[test]
    fn callers_on_several_threads() {
        let pool = Pool::new();
        let sum = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        pool.run_with(2, 3, &|i, _| {
                            sum.fetch_add(i, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), 4 * 500 * 3);
    }

    #[cfg(unix)]
    #[test]
    fn works_in_a_forked_child() {
        // Other tests may hold the global pool of this process, so only the child can insist on two threads.
        let sum = || {
            let sum = AtomicUsize::new(0);
            Pool::global().run_with(2, 100, &|i, _| {
                sum.fetch_add(i, Ordering::Relaxed);
            });
            sum.into_inner()
        };
        let meet = || {
            let together = Barrier::new(2);
            Pool::global().run_with(2, 2, &|_, _| {
                together.wait();
            });
        };
        assert_eq!(sum(), 4950);
        // SAFETY: the child uses the pool, atomics and the allocator (which the C library keeps usable after a fork),
        // and leaves by `_exit` without unwinding into the test harness.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::alarm(10);
                meet();
                libc::_exit(i32::from(sum() != 4950));
            }
            let mut status = -1;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "child ended with {status:#x}");
        }
        assert_eq!(sum(), 4950);
    }
}
