//! What one file costs, small and large: sealant beside sops, and beside the floor ([`common::floor`]).
//!
//! `cargo bench --bench documents`, or `make bench`. Writes its table into docs/performance.md.

// A benchmark is the outside for the programs that it measures.
#![allow(clippy::disallowed_methods)]

mod common;

use std::fs::File;
use std::io::{self, BufWriter, Write};

use common::floor;
use common::{megabytes, publish, seconds, times, version};
use sealant_test_support::{Run, Sandbox, Usage};

const SIZES: [usize; 4] = [1_000, 10_000, MANY, 250_000];

/// From here on sops is measured once; JSON with more values takes it ten minutes and more.
const MANY: usize = 50_000;

const BINARY_BYTES: usize = 100_000_000;

const GROUP: usize = 10;

const RUNS: usize = 3;

fn main() {
    if floor::ran() {
        return;
    }
    let bench = Bench::new();
    let mut rows = vec![
        bench.row("3 values, for age", "decrypt", &Task::of("small.yaml").for_age(&bench), Step::Decrypt),
        bench.row("3 values, for ssh-rsa", "decrypt", &Task::of("small.yaml").for_rsa(&bench), Step::Decrypt),
    ];
    for (shape, size) in documents() {
        let name = format!("{}-{size}.{}", shape.name, shape.extension);
        bench.write(&name, |file| shape.write(file, size));
        let sops_runs = match size {
            ..MANY => RUNS,
            MANY => 1,
            _ => usize::from(shape.extension == "yaml"),
        };
        let task = Task { path: shape.path(), sops_runs, ..Task::of(&name).for_age(&bench) };
        let title = format!("{size} values, {} {}", shape.name, shape.extension);
        for step in [Step::Encrypt, Step::Decrypt, Step::Set] {
            let title = if matches!(step, Step::Encrypt) { title.as_str() } else { "" };
            rows.push(bench.row(title, step.name(), &task, step));
        }
    }
    bench.write("large.bin", |file| {
        let block = b"\x7fELF and what else is no text\n".repeat(1000);
        (0..BINARY_BYTES / block.len()).try_for_each(|_| file.write_all(&block))
    });
    let task = Task::of("large.bin").for_age(&bench);
    rows.push(bench.row("100 MB, binary", "encrypt", &task, Step::Encrypt));
    rows.push(bench.row("", "decrypt", &task, Step::Decrypt));

    let head = "| file | | sealant: s | CPU s | memory | sops: s | CPU s | memory | sops / sealant | sealant / floor |\n\
                |---|---|---|---|---|---|---|---|---|---|\n";
    let table: String = std::iter::once(head.to_owned()).chain(rows).collect();
    publish("documents", &[version(&bench.test.sops(&["--version"]).run().ok())], &table);
}

#[derive(Clone, Copy)]
enum Step {
    Encrypt,
    Decrypt,
    Set,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Set => "set one value",
        }
    }
}

/// A file, and who may read it.
struct Task {
    plain: String,
    encrypted: String,
    recipient: String,
    /// The variable that names the file, and the file.
    identity: (&'static str, &'static str),
    /// The path of a value, as sops spells it.
    path: &'static str,
    sops_runs: usize,
}

impl Task {
    fn of(name: &str) -> Self {
        let (stem, extension) = name.split_once('.').expect("a name with a type");
        Self {
            plain: name.to_owned(),
            encrypted: format!("{stem}.encrypted.{extension}"),
            recipient: String::new(),
            identity: ("", ""),
            path: "[\"data\"][\"password\"]",
            sops_runs: RUNS,
        }
    }

    fn for_age(self, bench: &Bench) -> Self {
        Self { recipient: bench.age.clone(), identity: ("SOPS_AGE_KEY_FILE", "key.agekey"), ..self }
    }

    fn for_rsa(self, bench: &Bench) -> Self {
        Self { recipient: bench.rsa.clone(), identity: ("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "id_rsa"), ..self }
    }
}

struct Bench {
    test: Sandbox,
    age: String,
    rsa: String,
}

impl Bench {
    fn new() -> Self {
        let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
        let _ = test.sealant(&["keygen", "-o", "key.agekey"]).run().ok();
        let age = test.sealant(&["keygen", "-y", "key.agekey"]).run().ok().text().trim().to_owned();
        let _ = test.program("ssh-keygen", &["-q", "-t", "rsa", "-N", "", "-f", "id_rsa"]).run().ok();
        let rsa = std::fs::read_to_string(test.path("id_rsa.pub")).expect("a public key").trim().to_owned();
        let small = "apiVersion: v1\nkind: Secret\ndata:\n  password: aHVudGVyMg==\n";
        test.write("small.yaml", small);
        Self { test, age, rsa }
    }

    /// A row of the table. Ratios are of CPU time.
    fn row(&self, title: &str, what: &str, task: &Task, step: Step) -> String {
        let sealant = self.measure(task, step, RUNS, |args| self.test.sealant(args));
        let floor = self.floor(task, step);
        let times_floor = times(floor.cpu, sealant.cpu);
        let own = format!("{} | {} | {}", seconds(sealant.wall), seconds(sealant.cpu), megabytes(&sealant));
        let (sops, ratio) = match task.sops_runs {
            0 => (" | | ".to_owned(), String::new()),
            runs => {
                let sops = self.measure(task, step, runs, |args| self.test.sops(args));
                let figures =
                    format!("{} | {} | {}", seconds(sops.wall), seconds(sops.cpu), megabytes(&sops));
                (figures, times(sealant.cpu, sops.cpu))
            }
        };
        format!("| {title} | {what} | {own} | {sops} | {ratio} | {times_floor} |\n")
    }

    /// The run in the middle. What is decrypted or changed was encrypted by sealant, whichever program is measured.
    fn measure(&self, task: &Task, step: Step, runs: usize, program: impl Fn(&[&str]) -> Run) -> Usage {
        let (plain, encrypted, age) = (&task.plain, &task.encrypted, &task.recipient);
        let run = |step, program: &dyn Fn(&[&str]) -> Run| match step {
            Step::Encrypt => program(&["encrypt", "--age", age, "--output", encrypted, plain]),
            Step::Decrypt => program(&["decrypt", "--output", &format!("decrypted-{plain}"), encrypted]),
            Step::Set => program(&["set", encrypted, task.path, "\"new\""]),
        };
        let (name, file) = task.identity;
        let key = self.test.path(file);
        let measure = |step, program: &dyn Fn(&[&str]) -> Run| run(step, program).env(name, &key).measure();
        let usages = (0..runs).map(|_| {
            if !matches!(step, Step::Encrypt) {
                let _ = measure(Step::Encrypt, &|args| self.test.sealant(args));
            }
            measure(step, &program)
        });
        let usage = median(usages.collect());
        eprintln!("{}: {:?} of CPU", run(step, &program), usage.cpu);
        usage
    }

    fn floor(&self, task: &Task, step: Step) -> Usage {
        let file = if matches!(step, Step::Encrypt) { &task.plain } else { &task.encrypted };
        let own = std::env::current_exe().expect("the path of this program");
        let own = own.to_str().expect("a path of letters");
        let run = || self.test.program(own, &[floor::FLOOR, file]).measure();
        median((0..RUNS).map(|_| run()).collect())
    }

    /// Line by line, for what this process needs counts as the programs' own.
    fn write(&self, name: &str, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        let mut file =
            BufWriter::new(File::create(self.test.path(name)).expect("a file in the temporary directory"));
        write(&mut file).and_then(|()| file.flush()).expect("the document is written");
    }
}

/// Documents of strings.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    extension: &'static str,
}

/// Nested ones of every size, and flat ones of one.
fn documents() -> impl Iterator<Item = (Shape, usize)> {
    ["yaml", "json"].into_iter().flat_map(|extension| {
        let nested = SIZES.map(|size| (Shape { name: "nested", extension }, size));
        nested.into_iter().chain([(Shape { name: "flat", extension }, MANY)])
    })
}

impl Shape {
    /// The path of the first value.
    fn path(self) -> &'static str {
        if self.is_nested() { "[\"group000000\"][\"key0\"]" } else { "[\"key0\"]" }
    }

    fn is_nested(self) -> bool {
        self.name == "nested"
    }

    fn write(self, file: impl Write, size: usize) -> io::Result<()> {
        match self.extension {
            "json" => write_json(file, size, self.is_nested()),
            _ => write_yaml(file, size, self.is_nested()),
        }
    }
}

fn write_yaml(mut file: impl Write, size: usize, nested: bool) -> io::Result<()> {
    for index in 0..size {
        if nested && index % GROUP == 0 {
            writeln!(file, "group{:06}:", index / GROUP)?;
        }
        let (indent, key) = if nested { ("  ", index % GROUP) } else { ("", index) };
        writeln!(file, "{indent}key{key}: value number {index}")?;
    }
    Ok(())
}

fn write_json(mut file: impl Write, size: usize, nested: bool) -> io::Result<()> {
    write!(file, "{{")?;
    for index in 0..size {
        let comma = if index == 0 { "" } else { "," };
        let (first, last) = (nested && index % GROUP == 0, nested && index % GROUP == GROUP - 1);
        if first {
            write!(file, "{comma}\n  \"group{:06}\": {{", index / GROUP)?;
        }
        let (comma, indent, key) =
            if nested { (if first { "" } else { "," }, "    ", index % GROUP) } else { (comma, "  ", index) };
        write!(file, "{comma}\n{indent}\"key{key}\": \"value number {index}\"")?;
        if last {
            write!(file, "\n  }}")?;
        }
    }
    writeln!(file, "\n}}")
}

/// The one in the middle, by time.
fn median(mut runs: Vec<Usage>) -> Usage {
    runs.sort_by_key(|usage| usage.cpu);
    runs.swap_remove(runs.len() / 2)
}
