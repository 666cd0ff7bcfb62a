//! The page that a table goes into, and the machine that it was measured on.

use std::fmt::Write;
use std::path::Path;

/// Puts a table into docs/performance.md, between the marks of its section. `how` is the command, up to its end, and what
/// else there is to say of it.
pub fn publish(section: &str, how: &str, programs: &[String], table: &str) {
    let mut text = String::new();
    let today = jiff::Zoned::now().date();
    writeln!(text, "Measured on {today} by `{how}, on {}.", machine()).unwrap();
    writeln!(text, "Programs: sealant {}, {}.\n\n{table}", sealant_version(), programs.join(", ")).unwrap();
    print!("{text}");

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.ancestors().map(|folder| folder.join("docs/performance.md")).find(|path| path.is_file());
    let path = path.expect("docs/performance.md is there");
    let page = std::fs::read_to_string(&path).expect("docs/performance.md can be read");
    let (begin, end) = (format!("<!-- {section}: begin -->\n"), format!("<!-- {section}: end -->"));
    let (before, rest) = page.split_once(&begin).expect("the page has the mark where the section begins");
    let (_, after) = rest.split_once(&end).expect("the page has the mark where the section ends");
    let page = format!("{before}{begin}{text}{end}{after}");
    std::fs::write(&path, page).expect("docs/performance.md can be written");
    println!("Written to {}", path.display());
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
