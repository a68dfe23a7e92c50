//! What this process has used: time by the clock and on a core, memory.

use std::ops::AddAssign;
use std::time::{Duration, Instant};

/// Time spent: by the clock, and by this thread on a core.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    /// Wall time.
    pub wall: Duration,
    /// CPU time of the thread that measured.
    pub cpu: Duration,
}

impl AddAssign for Spent {
    fn add_assign(&mut self, more: Self) {
        self.wall += more.wall;
        self.cpu += more.cpu;
    }
}

/// Measures time spent.
pub(super) struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

impl Stopwatch {
    /// Begins now, in this thread.
    pub(super) fn start() -> Self {
        Self { wall: Instant::now(), cpu: thread_cpu() }
    }

    /// What was spent since, in the same thread.
    pub(super) fn stop(self) -> Spent {
        Spent { wall: self.wall.elapsed(), cpu: thread_cpu().saturating_sub(self.cpu) }
    }
}

/// CPU time of this thread so far.
pub fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// CPU time of this process so far, in milliseconds, from /proc; 0 where there is none.
pub fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|t| t.parse::<u64>().ok()).unwrap_or(0);
    // Fields 14 and 15 of the whole line, in hundredths of a second.
    (ticks(11) + ticks(12)) * 10
}

/// Memory resident now, in KiB, from /proc; 0 where there is none.
pub fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    of_status(&status, "VmRSS:")
}

/// The most memory resident so far, in KiB, from /proc; 0 where there is none.
pub(super) fn peak_rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    of_status(&status, "VmHWM:")
}

fn of_status(status: &str, name: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}
