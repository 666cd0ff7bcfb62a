//! What the benchmarks share: how a figure is written, and the page that a table goes into.

// Each benchmark uses some of it.
#![allow(dead_code)]

pub mod floor;

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use sealant_test_support::{Output, Usage};

/// Puts a table into docs/performance.md, between the marks of its section, with what it takes to judge it.
pub fn publish(section: &str, programs: &[String], table: &str) {
    let mut text = String::new();
    let today = jiff::Zoned::now().date();
    let bench = env!("CARGO_CRATE_NAME");
    let place = if is_in_memory() { "in memory" } else { "on a disk" };
    writeln!(text, "Measured on {today} by `cargo bench --bench {bench}`, files {place}, on {}.", machine())
        .unwrap();
    writeln!(text, "Programs: sealant {}, {}.\n\n{table}", sealant_version(), programs.join(", ")).unwrap();
    print!("{text}");

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
    let page = std::fs::read_to_string(&path).expect("docs/performance.md can be read");
    let (begin, end) = (format!("<!-- {section}: begin -->\n"), format!("<!-- {section}: end -->"));
    let (before, rest) = page.split_once(&begin).expect("the page has the mark where the section begins");
    let (_, after) = rest.split_once(&end).expect("the page has the mark where the section ends");
    let page = format!("{before}{begin}{text}{end}{after}");
    std::fs::write(&path, page).expect("docs/performance.md can be written");
    println!("Written to {}", path.display());
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

fn sealant_version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let git = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    match git {
        Ok(output) if output.status.success() => {
            format!("{version} (commit {})", String::from_utf8_lossy(&output.stdout).trim())
        }
        _ => version.to_owned(),
    }
}

fn machine() -> String {
    let field = |path: &str, name: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let memory = field("/proc/meminfo", "MemTotal");
    let kib: f64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let system = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{} with {cores} cores and {:.0} GB, Linux {}, load average at the end {}",
        field("/proc/cpuinfo", "model name"),
        kib * 1024.0 / 1e9,
        system.trim(),
        load.split(' ').next().unwrap_or_default()
    )
}
