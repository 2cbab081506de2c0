//! Where the time goes: each call of each kernel, while somebody asks.
//!
//! A session is one for the process, since its programs share one pool of workers. While none is open, a run of a
//! program costs one relaxed load. While one is open, times are added up for each step, and each call is also kept as an
//! event until the memory reserved for events is full. Only a program's first run in a session, and a thread's first
//! event, allocate.

use oxiconv_ir::work::Work;
use oxiconv_ir::{Error, Result};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

static OPEN: AtomicBool = AtomicBool::new(false);
static SESSION: Mutex<Option<Arc<Session>>> = Mutex::new(None);

/// A step of a program, as it is planned.
#[derive(Debug, Clone)]
pub struct StepFacts {
    /// The stage it belongs to.
    pub stage: usize,
    /// Whether it runs shard by shard.
    pub sharded: bool,
    /// What it computes.
    pub operation: String,
    /// What computes it.
    pub kernel: String,
    /// What one run of the program takes for it.
    pub work: Work,
}

/// A program, as it is planned.
#[derive(Debug, Clone)]
pub struct ProgramFacts {
    /// What it is, in the words of whoever compiled it.
    pub title: String,
    /// Samples in the batch.
    pub samples: usize,
    /// How many tasks they are cut into.
    pub tasks: usize,
    /// In the order in which they run.
    pub steps: Vec<StepFacts>,
}

/// Times of an activity, added up over all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// How often.
    pub calls: u64,
    /// How long.
    pub nanoseconds: u64,
}

/// A program that ran in a session.
#[derive(Debug, Clone)]
pub struct ProgramReport {
    /// What it is.
    pub facts: Arc<ProgramFacts>,
    /// Whole runs, on the clock.
    pub runs: Total,
    /// Calls of each step's kernel.
    pub calls: Vec<Total>,
    /// Packing of each step's kernel operand.
    pub packs: Vec<Total>,
}

/// What a thread did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Ran a program: from the first stage to the end of the last.
    Run,
    /// Called a step's kernel.
    Call,
    /// Packed a step's kernel operand.
    Pack,
}

/// One activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// What it was.
    pub activity: Activity,
    /// Index into [`Report::programs`].
    pub program: u32,
    /// Index into its steps; 0 for a run.
    pub step: u32,
    /// The task, or the piece of a step of a whole stage.
    pub task: u32,
    /// Index into [`Report::threads`].
    pub thread: u32,
    /// Nanoseconds since the session began.
    pub start: u64,
    /// Nanoseconds since the session began.
    pub end: u64,
}

/// What a session saw.
#[derive(Debug, Clone)]
pub struct Report {
    /// In the order of their first runs.
    pub programs: Vec<ProgramReport>,
    /// Names of the threads that ran anything.
    pub threads: Vec<String>,
    /// In the order in which they ended; on a thread, calls and packings do not overlap.
    pub events: Vec<Event>,
    /// Events that found no room.
    pub dropped: usize,
}

/// Opens the session of this process, with room for this many events.
pub fn start(events: usize) -> Result<()> {
    let mut open = lock(&SESSION);
    if open.is_some() {
        return Err(Error::value("profile", "the profiler is already running; it is one for the whole process"));
    }
    let mut slots = Vec::new();
    let bytes = events.saturating_mul(size_of::<Slot>());
    slots.try_reserve_exact(events).map_err(|_| Error::Memory { op: "events of the profiler".into(), bytes })?;
    slots.resize_with(events, Slot::default);
    static SERIAL: AtomicU64 = AtomicU64::new(1);
    *open = Some(Arc::new(Session {
        serial: SERIAL.fetch_add(1, Ordering::Relaxed),
        start: Instant::now(),
        slots,
        next: AtomicUsize::new(0),
        programs: Mutex::default(),
        threads: Mutex::default(),
    }));
    OPEN.store(true, Ordering::Release);
    Ok(())
}

/// Closes the session. Runs that are under way on other threads count as far as they have come.
pub fn stop() -> Result<Report> {
    let mut open = lock(&SESSION);
    let session = open.take().ok_or_else(|| Error::value("profile", "the profiler is not running"))?;
    OPEN.store(false, Ordering::Release);
    drop(open);
    let claimed = session.next.load(Ordering::Relaxed);
    let kept = claimed.min(session.slots.len());
    let programs = lock(&session.programs).iter().map(|program| program.report()).collect();
    let threads = lock(&session.threads).clone();
    let events = session.slots[..kept].iter().filter_map(Slot::get).collect();
    Ok(Report { programs, threads, events, dropped: claimed - kept })
}

/// Whether a session is open.
pub(crate) fn is_open() -> bool {
    OPEN.load(Ordering::Relaxed)
}

struct Session {
    /// Tells sessions apart.
    serial: u64,
    start: Instant,
    slots: Vec<Slot>,
    /// The next slot to claim; goes on beyond their number.
    next: AtomicUsize,
    programs: Mutex<Vec<Arc<Recorded>>>,
    threads: Mutex<Vec<String>>,
}

/// A program that runs in a session.
struct Recorded {
    index: u32,
    facts: Arc<ProgramFacts>,
    runs: Tally,
    calls: Vec<Tally>,
    packs: Vec<Tally>,
}

impl Recorded {
    fn report(&self) -> ProgramReport {
        let totals = |tallies: &[Tally]| tallies.iter().map(Tally::get).collect();
        ProgramReport {
            facts: Arc::clone(&self.facts),
            runs: self.runs.get(),
            calls: totals(&self.calls),
            packs: totals(&self.packs),
        }
    }
}

/// A [`Total`] that several threads add to.
#[derive(Default)]
struct Tally {
    calls: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Tally {
    fn add(&self, nanoseconds: u64) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    fn get(&self) -> Total {
        Total { calls: self.calls.load(Ordering::Relaxed), nanoseconds: self.nanoseconds.load(Ordering::Relaxed) }
    }
}

/// Room for an event. Atomics, so that a session may end while a thread is still writing.
#[derive(Default)]
struct Slot {
    /// Program, then step.
    what: AtomicU64,
    /// Activity, thread, then task.
    who: AtomicU64,
    start: AtomicU64,
    /// One more than the event's, so that 0 is no event; written last.
    end: AtomicU64,
}

impl Slot {
    fn set(&self, e: &Event) {
        self.what.store((u64::from(e.program) << 32) | u64::from(e.step), Ordering::Relaxed);
        // Far more than the 2^24 tasks that there is room for would not be worth a profile.
        let task = u64::from(e.task) & 0xff_ffff;
        self.who.store(((e.activity as u64) << 56) | (u64::from(e.thread) << 24) | task, Ordering::Relaxed);
        self.start.store(e.start, Ordering::Relaxed);
        self.end.store(e.end + 1, Ordering::Release);
    }

    fn get(&self) -> Option<Event> {
        let end = self.end.load(Ordering::Acquire).checked_sub(1)?;
        let (what, who) = (self.what.load(Ordering::Relaxed), self.who.load(Ordering::Relaxed));
        Some(Event {
            activity: [Activity::Run, Activity::Call, Activity::Pack][(who >> 56) as usize],
            program: (what >> 32) as u32,
            step: what as u32,
            task: (who & 0xff_ffff) as u32,
            thread: (who >> 24) as u32,
            start: self.start.load(Ordering::Relaxed),
            end,
        })
    }
}

/// A program's place in the latest session that it ran in.
#[derive(Default)]
pub(crate) struct Place(Option<(u64, Arc<Recorded>)>);

impl Place {
    /// What records a run, if a session is open. `facts` is asked at the first run in a session.
    pub(crate) fn recorder(&mut self, facts: impl FnOnce() -> ProgramFacts) -> Option<Recorder> {
        let session = lock(&SESSION).clone()?;
        let known = self.0.take().filter(|(serial, _)| *serial == session.serial);
        let (_, program) = self.0.insert(known.unwrap_or_else(|| (session.serial, session.register(facts()))));
        let program = Arc::clone(program);
        Some(Recorder { session, program })
    }
}

impl Session {
    fn register(&self, facts: ProgramFacts) -> Arc<Recorded> {
        let tallies = || facts.steps.iter().map(|_| Tally::default()).collect();
        let (calls, packs) = (tallies(), tallies());
        let mut programs = lock(&self.programs);
        let index = programs.len() as u32;
        let program = Arc::new(Recorded { index, facts: Arc::new(facts), runs: Tally::default(), calls, packs });
        programs.push(Arc::clone(&program));
        program
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// This thread's index in this session.
    fn thread(&self) -> u32 {
        thread_local! {
            static KNOWN: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
        }
        let (serial, index) = KNOWN.get();
        if serial == self.serial {
            return index;
        }
        let mut threads = lock(&self.threads);
        let index = threads.len() as u32;
        let thread = std::thread::current();
        // The pool names its threads; others are those that called.
        let worker = thread.name().and_then(|name| name.strip_prefix("oxiconv-"));
        threads.push(worker.map_or_else(|| format!("calling thread {index}"), |n| format!("worker {n}")));
        KNOWN.set((self.serial, index));
        index
    }
}

/// Records a run of a program.
pub(crate) struct Recorder {
    session: Arc<Session>,
    program: Arc<Recorded>,
}

impl Recorder {
    /// Records an activity from now until the value is dropped.
    pub(crate) fn span(&self, activity: Activity, step: usize, task: usize) -> Span<'_> {
        Span { recorder: self, activity, step, task, start: self.session.now() }
    }
}

/// An activity under way.
pub(crate) struct Span<'a> {
    recorder: &'a Recorder,
    activity: Activity,
    step: usize,
    task: usize,
    start: u64,
}

impl Drop for Span<'_> {
    fn drop(&mut self) {
        let Recorder { session, program } = self.recorder;
        let (start, end) = (self.start, session.now());
        let tally = match self.activity {
            Activity::Run => &program.runs,
            Activity::Call => &program.calls[self.step],
            Activity::Pack => &program.packs[self.step],
        };
        tally.add(end - start);
        let Some(slot) = session.slots.get(session.next.fetch_add(1, Ordering::Relaxed)) else { return };
        slot.set(&Event {
            activity: self.activity,
            program: program.index,
            step: self.step as u32,
            task: self.task as u32,
            thread: session.thread(),
            start,
            end,
        });
    }
}

/// A panic while one of these short locks is held leaves the value whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
