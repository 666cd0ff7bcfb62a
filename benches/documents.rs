//! Encrypt and decrypt one large document for an age recipient: sealant beside sops.
//!
//! `cargo bench --bench documents`, or `make bench`. Writes its table into docs/performance.md.

// A benchmark is the outside for the programs that it measures.
#![allow(clippy::disallowed_methods)]

mod common;

use std::fs::File;
use std::io::{self, BufWriter, Write};

use common::{megabytes, publish, seconds, times, version};
use sealant_test_support::{Run, Sandbox, Usage};

/// sops needs ten minutes and more for 250,000 keys of JSON.
const SIZES: [usize; 2] = [10_000, 50_000];

const GROUP: usize = 10;

const RUNS: usize = 3;

fn main() {
    let bench = Bench::new();
    let mut table = "| values | | sealant | | sops | | |\n|---|---|---|---|---|---|---|\n".to_owned();
    for format in ["yaml", "json"] {
        for size in SIZES {
            bench.write_document(format, size);
            let (sealant, sops) = (bench.sealant(format), bench.sops(format));
            for (what, (sealant, sops)) in ["encrypt", "decrypt"].into_iter().zip(sealant.iter().zip(&sops)) {
                let document = if what == "encrypt" { format!("{size}, {format}") } else { String::new() };
                table += &format!(
                    "| {document} | {what} | {} s | {} | {} s | {} | {} |\n",
                    seconds(sealant.wall),
                    megabytes(sealant),
                    seconds(sops.wall),
                    megabytes(sops),
                    times(sealant.wall, sops.wall)
                );
            }
        }
    }
    publish("documents", &[version(&bench.test.sops(&["--version"]).run().ok())], &table);
}

struct Bench {
    test: Sandbox,
    recipient: String,
}

impl Bench {
    fn new() -> Self {
        let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
        let _ = test.sealant(&["keygen", "-o", "key.agekey"]).run().ok();
        let recipient = test.sealant(&["keygen", "-y", "key.agekey"]).run().ok().text().trim().to_owned();
        Self { test, recipient }
    }

    fn sealant(&self, format: &str) -> [Usage; 2] {
        let usages = self.both_ways(format, |args| self.test.sealant(args));
        let same =
            self.test.program("cmp", &[&format!("plain.{format}"), &format!("decrypted.{format}")]).run();
        let _ = same.ok();
        usages
    }

    fn sops(&self, format: &str) -> [Usage; 2] {
        self.both_ways(format, |args| self.test.sops(args))
    }

    fn both_ways(&self, format: &str, program: impl Fn(&[&str]) -> Run) -> [Usage; 2] {
        let [plain, encrypted, decrypted] =
            ["plain", "encrypted", "decrypted"].map(|name| format!("{name}.{format}"));
        let encrypt = || program(&["encrypt", "--age", &self.recipient, "--output", &encrypted, &plain]);
        let decrypt = || program(&["decrypt", "--output", &decrypted, &encrypted]);
        let measure = |run: &dyn Fn() -> Run| {
            let key = self.test.path("key.agekey");
            let usage = median((0..RUNS).map(|_| run().env("SOPS_AGE_KEY_FILE", &key).measure()).collect());
            eprintln!("{}: {:?}", run(), usage.wall);
            usage
        };
        [measure(&encrypt), measure(&decrypt)]
    }

    /// Strings, in groups of ten. Line by line, for what this process needs counts as the programs' own.
    fn write_document(&self, format: &str, size: usize) {
        let path = self.test.path(format!("plain.{format}"));
        let file = BufWriter::new(File::create(path).expect("a file in the temporary directory"));
        let written = if format == "json" { write_json(file, size) } else { write_yaml(file, size) };
        written.expect("the document is written");
    }
}

fn write_yaml(mut file: impl Write, size: usize) -> io::Result<()> {
    for index in 0..size {
        if index % GROUP == 0 {
            writeln!(file, "group{:06}:", index / GROUP)?;
        }
        writeln!(file, "  key{}: value number {index}", index % GROUP)?;
    }
    file.flush()
}

fn write_json(mut file: impl Write, size: usize) -> io::Result<()> {
    for index in 0..size {
        let (first, last) = (index % GROUP == 0, index % GROUP == GROUP - 1);
        if first {
            let begin = if index == 0 { "{" } else { "," };
            writeln!(file, "{begin}\n  \"group{:06}\": {{", index / GROUP)?;
        }
        let end = if last { "\n  }" } else { ",\n" };
        write!(file, "    \"key{}\": \"value number {index}\"{end}", index % GROUP)?;
    }
    writeln!(file, "\n}}")?;
    file.flush()
}

/// The one in the middle, by time.
fn median(mut runs: Vec<Usage>) -> Usage {
    runs.sort_by_key(|usage| usage.wall);
    runs[runs.len() / 2]
}
