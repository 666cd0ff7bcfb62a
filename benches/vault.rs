//! Encrypt, update the keys of, and decrypt 500 files with a transit key: sealant, which takes the folder, beside sops,
//! which takes one file at a time. Requests are counted in the audit log of the real server.
//!
//! `cargo bench --bench vault`, or `make bench`. Writes its table into docs/performance.md, into one of two sections: the
//! files are in `TMPDIR`, which is on a disk or in memory.

// A benchmark is the outside for the programs that it measures.
#![allow(clippy::disallowed_methods)]

mod common;

use std::collections::HashMap;
use std::time::Instant;

use common::{is_in_memory, megabytes, publish, seconds, times, version};
use sealant_test_support::{Bao, Sandbox, Usage};

const FILES: usize = 500;

/// Sealant is done within a blink, in which much can come between; sops is measured over 500 starts anyway.
const RUNS: usize = 5;

const POLICY: &str = r#"
path "transit/encrypt/+" { capabilities = ["update"] }
path "transit/decrypt/+" { capabilities = ["update"] }
"#;

fn main() {
    let bench = Bench::new();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut columns = vec![("sealant, one process".to_owned(), bench.sealant())];
    columns.push(("sops, one process per file".to_owned(), bench.sops(1)));
    if cores > 1 {
        columns.push((format!("sops, {cores} processes at a time"), bench.sops(cores)));
    }
    // Only now, for reading the log takes memory: see `Usage::peak_bytes`.
    let requests = bench.requests();

    let mut table = format!(
        "| {FILES} files | | requests | seconds | | CPU seconds | peak memory |\n|---|---|---|---|---|---|---|\n"
    );
    for (index, step) in Step::ALL.into_iter().enumerate() {
        let fastest = columns[0].1[index].usage.wall;
        for (column, (who, figures)) in columns.iter().enumerate() {
            let Figures { token, usage } = &figures[index];
            let (name, ratio) = match column {
                0 => (step.name(), String::new()),
                _ => ("", times(fastest, usage.wall)),
            };
            table += &format!(
                "| {name} | {who} | {} | {} | {ratio} | {} | {} |\n",
                requests.get(token).copied().unwrap_or_default(),
                seconds(usage.wall),
                seconds(usage.cpu),
                megabytes(usage),
            );
        }
    }
    let bao = version(&bench.bao.bao(&["version"]).run().ok());
    let section = if is_in_memory() { "vault in memory" } else { "vault on a disk" };
    publish(section, &[version(&bench.test.sops(&["--version"]).run().ok()), bao], &table);
}

#[derive(Clone, Copy)]
enum Step {
    Encrypt,
    UpdateKeys,
    Decrypt,
}

impl Step {
    const ALL: [Self; 3] = [Self::Encrypt, Self::UpdateKeys, Self::Decrypt];

    fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::UpdateKeys => "updatekeys, to add a second transit key",
            Self::Decrypt => "decrypt",
        }
    }

    /// The same for both programs.
    fn args(self) -> &'static [&'static str] {
        match self {
            Self::Encrypt => &["encrypt", "-i"],
            Self::UpdateKeys => &["updatekeys", "--yes"],
            Self::Decrypt => &["decrypt", "-i"],
        }
    }
}

struct Figures {
    usage: Usage,
    /// By whose name the server's audit log knows the requests.
    token: String,
}

struct Bench {
    bao: Bao,
    test: Sandbox,
}

impl Bench {
    fn new() -> Self {
        let bao = Bao::start();
        for key in ["shop", "platform"] {
            bao.transit_key("transit", key);
        }
        bao.policy("bench", POLICY);
        Self { bao, test: Sandbox::new(env!("CARGO_BIN_EXE_sealant")) }
    }

    /// One process for the folder. Of each step, the run in the middle.
    fn sealant(&self) -> Vec<Figures> {
        let mut runs: Vec<Vec<Figures>> = Vec::new();
        for run in 0..RUNS {
            runs.push(self.all_steps(&format!("sealant-{run}"), |step, token| {
                self.test
                    .sealant(step.args())
                    .arg("secrets")
                    .env("VAULT_ADDR", self.bao.address())
                    .env("VAULT_TOKEN", token)
                    .measure()
            }));
            // What was measured has done its work.
            (0..FILES).for_each(|index| assert_eq!(self.test.read_text(path(index)), manifest(index)));
        }
        let middle = |_| {
            let mut figures: Vec<Figures> = runs.iter_mut().map(|run| run.remove(0)).collect();
            figures.sort_by_key(|figures| figures.usage.wall);
            figures.remove(RUNS / 2)
        };
        (0..Step::ALL.len()).map(middle).collect()
    }

    /// A process for each file, and so many at a time.
    fn sops(&self, at_once: usize) -> Vec<Figures> {
        self.all_steps(&format!("sops-{at_once}"), |step, token| {
            let measure = |index| {
                self.test
                    .sops(step.args())
                    .arg(path(index))
                    .env("VAULT_ADDR", self.bao.address())
                    .env("VAULT_TOKEN", token)
                    .measure()
            };
            let start = Instant::now();
            let usages: Vec<Usage> = std::thread::scope(|scope| {
                let worker = |first| (first..FILES).step_by(at_once).map(measure).collect::<Vec<_>>();
                let workers: Vec<_> = (0..at_once).map(|first| scope.spawn(move || worker(first))).collect();
                workers.into_iter().flat_map(|worker| worker.join().expect("each run succeeds")).collect()
            });
            Usage {
                wall: start.elapsed(),
                cpu: usages.iter().map(|usage| usage.cpu).sum(),
                peak_bytes: usages.iter().map(|usage| usage.peak_bytes).max().unwrap_or_default(),
            }
        })
    }

    /// Starts from plain files, and goes through all steps, each with a token of its own.
    fn all_steps(&self, who: &str, run: impl Fn(Step, &str) -> Usage) -> Vec<Figures> {
        self.write_rule(&["shop"]);
        (0..FILES).for_each(|index| self.test.write(path(index), manifest(index)));
        let measure = |step: Step| {
            if matches!(step, Step::UpdateKeys) {
                self.write_rule(&["shop", "platform"]);
            }
            let name = format!("{who}-{}", step.args()[0]);
            let token = self.bao.token(&["-policy=bench", &format!("-display-name={name}")]);
            let usage = run(step, &token);
            eprintln!("{name}: {:?}", usage.wall);
            Figures { usage, token: format!("token-{name}") }
        };
        Step::ALL.into_iter().map(measure).collect()
    }

    /// How many requests each token has made.
    fn requests(&self) -> HashMap<String, usize> {
        let mut requests = HashMap::new();
        for request in self.bao.requests() {
            *requests.entry(request.display_name).or_default() += 1;
        }
        requests
    }

    fn write_rule(&self, keys: &[&str]) {
        let uris: Vec<String> =
            keys.iter().map(|key| format!("{}/v1/transit/keys/{key}", self.bao.address())).collect();
        let rule = format!(
            "creation_rules:\n  - path_regex: ^secrets/\n    encrypted_regex: ^(data|stringData)$\n    hc_vault_transit_uri: {}\n",
            uris.join(",")
        );
        self.test.write(".sops.yaml", rule);
    }
}

fn path(index: usize) -> String {
    format!("secrets/app-{index:03}.yaml")
}

fn manifest(index: usize) -> String {
    format!(
        "apiVersion: v1
kind: Secret
metadata:
  name: app-{index:03}
  namespace: shop
type: Opaque
stringData:
  # changed every quarter
  username: app-{index:03}
  password: \"correct horse battery staple {index}\"
  url: postgres://db.shop.svc:5432/app-{index:03}
"
    )
}
