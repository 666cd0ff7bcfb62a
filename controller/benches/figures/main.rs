//! What the controller costs, beside the sealed-secrets controller and a client that makes the same writes, on the same
//! real API server and cores.
//!
//! `cargo bench -p sealant-controller --bench figures`, or `make bench-controller`; with names of rows behind `--`, those
//! alone are run and printed. It writes its table into docs/performance.md. Smaller or larger by `SEALANT_BENCH_OBJECTS`
//! (1000), `SEALANT_BENCH_MANY` (5000) and `SEALANT_BENCH_HUGE` (20000,100000).

// A benchmark is the outside for the programs that it measures.
#![allow(clippy::disallowed_methods)]

#[path = "../../tests/common/mod.rs"]
mod common;
mod fake;
#[path = "../../../benches/common/page.rs"]
mod page;
mod peer;
mod rows;
mod world;

use rows::{ROWS, Row};

fn main() {
    // cargo adds `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if let Some(unknown) = asked.iter().find(|name| ROWS.iter().all(|(known, _)| known != name)) {
        let known: Vec<_> = ROWS.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no {unknown}, but {}", known.join(", "));
        std::process::exit(2);
    }
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    let mut table = Row::HEAD.to_owned();
    for (name, run) in ROWS.iter().filter(|(name, _)| is_asked(name)) {
        eprintln!("--- {name}");
        for row in run() {
            eprintln!("{row}");
            table += &row.to_string();
        }
    }
    let programs = ["kube-apiserver 1.36.3".to_owned(), "sealed-secrets 0.40.0".to_owned()];
    match asked.is_empty() {
        true => page::publish("controller", "make bench-controller`", &programs, &table),
        false => print!("{table}"),
    }
}
