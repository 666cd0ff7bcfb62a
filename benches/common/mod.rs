//! What the benchmarks share: how a figure is written, and the page that a table goes into.

// Each benchmark uses some of it.
#![allow(dead_code)]

pub mod floor;
pub mod page;

use std::time::Duration;

use sealant_test_support::{Output, Usage};

/// Puts a table into docs/performance.md, between the marks of its section, with what it takes to judge it.
pub fn publish(section: &str, programs: &[String], table: &str) {
    let place = if is_in_memory() { "in memory" } else { "on a disk" };
    let how = format!("cargo bench --bench {}`, files {place}", env!("CARGO_CRATE_NAME"));
    page::publish(section, &how, programs, table);
}

/// Whether temporary files, which is all that is measured, stay in memory: then no time goes into waiting for a disk.
pub fn is_in_memory() -> bool {
    const TMPFS: i64 = 0x0102_1994;
    rustix::fs::statfs(std::env::temp_dir()).is_ok_and(|found| found.f_type == TMPFS)
}

/// Seconds, with as many digits as mean something.
pub fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        10.0.. => format!("{seconds:.0}"),
        1.0.. => format!("{seconds:.1}"),
        _ => format!("{seconds:.2}"),
    }
}

/// Peak memory.
pub fn megabytes(usage: &Usage) -> String {
    format!("{} MB", (usage.peak_bytes as f64 / 1e6).round())
}

/// How many times as long `other` takes.
pub fn times(own: Duration, other: Duration) -> String {
    let ratio = other.as_secs_f64() / own.as_secs_f64();
    if ratio < 10.0 { format!("{ratio:.1} x") } else { format!("{ratio:.0} x") }
}

/// The first line of what a program says about its version, without what follows a comma or bracket.
pub fn version(output: &Output) -> String {
    let line = output.text().lines().next().unwrap_or_default();
    line.split([',', '(']).next().unwrap_or_default().trim().to_owned()
}
