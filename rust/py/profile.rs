//! The functions behind `oxiconv.profiler`.

use crate::errors::{call, detached};
use oxiconv::device;
use oxiconv::profile::{self, Event, ProgramReport};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Stage, whether sharded, operation, kernel, operations and bytes of a run; calls and packings, with nanoseconds.
type StepRow = (usize, bool, String, String, u64, u64, u64, u64, u64, u64);
/// Title, samples, tasks, runs with nanoseconds, and the steps.
type ProgramRow = (String, usize, usize, u64, u64, Vec<StepRow>);
/// Programs, names of threads, events, and how many found no room.
type ReportRow<'py> = (Vec<ProgramRow>, Vec<String>, Bound<'py, PyBytes>, usize);

/// Opens the profile of this process, with room for this many events.
#[pyfunction]
pub(crate) fn profile_start(py: Python<'_>, events: usize) -> PyResult<()> {
    call(py, || profile::start(events))
}

/// Closes it. Returns programs, names of threads, events and how many found no room. An event is seven uint64: activity
/// (0 a run, 1 a kernel's call, 2 a packing), program, step, task, thread, start and end in nanoseconds.
#[pyfunction]
pub(crate) fn profile_stop(py: Python<'_>) -> PyResult<ReportRow<'_>> {
    let report = call(py, profile::stop)?;
    let words = |e: &Event| {
        [e.activity as u64, e.program.into(), e.step.into(), e.task.into(), e.thread.into(), e.start, e.end]
    };
    let events: Vec<u8> = report.events.iter().flat_map(words).flat_map(u64::to_le_bytes).collect();
    Ok((report.programs.iter().map(row).collect(), report.threads, PyBytes::new(py, &events), report.dropped))
}

fn row(program: &ProgramReport) -> ProgramRow {
    let facts = &program.facts;
    let step = |i: usize| {
        let (s, c, p) = (&facts.steps[i], program.calls[i], program.packs[i]);
        let (operation, kernel) = (s.operation.clone(), s.kernel.clone());
        let (flops, bytes) = (s.work.flops, s.work.bytes);
        (s.stage, s.sharded, operation, kernel, flops, bytes, c.calls, c.nanoseconds, p.calls, p.nanoseconds)
    };
    let steps = (0..facts.steps.len()).map(step).collect();
    (facts.title.clone(), facts.samples, facts.tasks, program.runs.calls, program.runs.nanoseconds, steps)
}

/// GFLOP/s of multiply-adds in registers on one core, measured at the first call.
#[pyfunction]
pub(crate) fn peak_gigaflops(py: Python<'_>) -> PyResult<f64> {
    detached(py, device::peak_gigaflops)
}
