//! What a run of the worker pool costs beside its tasks: with workers still spinning, and asleep. Prints the least and
//! the median of many (of one, with `--smoke`), since whoever else uses the machine can only add to it.
#![allow(clippy::print_stdout, reason = "printing is what a bench is for")]

use oxiconv_cpu::pool::Pool;
use std::hint::black_box;
use std::time::{Duration, Instant};

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let micros = |t: Duration| t.as_secs_f64() * 1e6;
    println!("{name:<40} least {:8.2} µs, median {:8.2} µs", micros(times[0]), micros(times[times.len() / 2]));
}

fn timed(runs: usize, pause: Duration, run: impl Fn()) -> Vec<Duration> {
    let smoke = std::env::args().any(|a| a == "--smoke");
    (0..if smoke { 1 } else { runs })
        .map(|_| {
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect()
}

/// Busy for about as long as asked.
fn work(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        black_box(());
    }
}

fn main() {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pool = Pool::global();
    let none = Duration::ZERO;
    for n in [2, threads].into_iter().filter(|&n| n <= threads).collect::<std::collections::BTreeSet<_>>() {
        report(&format!("{n} empty tasks, spinning"), timed(10_000, none, || pool.run_with(n, n, &|_, _| ())));
        let asleep = Duration::from_micros(300);
        report(&format!("{n} empty tasks, asleep"), timed(1_000, asleep, || pool.run_with(n, n, &|_, _| ())));
        let each = Duration::from_micros(50);
        let halves = || pool.run_with(n, n, &|_, _| work(each));
        report(&format!("{n} tasks of 50 µs, spinning"), timed(2_000, none, halves));
        report(&format!("{n} tasks of 50 µs, asleep"), timed(1_000, asleep, halves));
    }
}
