//! What must not move: programs that leave a trace when they run, a server that remembers who has called, and what files
//! and outputs must not hold afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sealant_test_support::{Output, Sandbox};
use tempfile::TempDir;

use super::super::IDENTITY;
use super::repository::{
    ENCRYPTED, FORGED, HIDDEN, IN_PLAINTEXT, NEW, PROD, Repository, SILENT, TOKEN, files, script,
};

/// A program that leaves a trace when it runs.
pub struct Trap {
    folder: TempDir,
}

impl Trap {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("sealant-test-trap-").tempdir().expect("a folder");
        let trap = Self { folder };
        let trace = trap.trace().display().to_string();
        script(&trap.program(), &format!("#!/bin/sh\necho \"$1, in $PWD\" >> '{trace}'\n"));
        for hook in ["pre-commit", "post-index-change", "reference-transaction", "post-checkout"] {
            trap.write(&trap.hooks().join(hook), hook);
        }
        trap.write(&trap.plugins().join("age-plugin-evil"), "the plugin on the PATH");
        trap
    }

    /// A command for a shell.
    pub fn command(&self, name: &str) -> String {
        format!("\"{} '{name}'; false\"", self.program().display())
    }

    /// A program, somewhere else, that is the trap.
    pub fn write(&self, path: &Path, name: &str) {
        script(path, &format!("#!/bin/sh\nexec '{}' '{name}'\n", self.program().display()));
    }

    pub fn hooks(&self) -> PathBuf {
        self.folder.path().join("hooks")
    }

    /// A folder for the `PATH`, in which a plugin of age is.
    pub fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// What has run in this place.
    pub fn traces_in(&self, place: &Path) -> Vec<String> {
        let place = place.canonicalize().expect("the place is there").display().to_string();
        self.traces().into_iter().filter(|trace| trace.contains(&place)).collect()
    }

    pub fn traces(&self) -> Vec<String> {
        let trace = fs::read_to_string(self.trace()).unwrap_or_default();
        trace.lines().map(str::to_owned).collect()
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("trap")
    }

    fn trace(&self) -> PathBuf {
        self.folder.path().join("trace")
    }
}

/// A server on loopback that nobody has named but the repository.
pub struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("a listener has an address").port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        // It ends with the test process, and waits for nobody.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let request = answer(stream);
                log.lock().expect("nobody panics with it").push(request);
            }
        });
        Self { port, requests }
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Who has called with the token of this case.
    pub fn requests_with(&self, token: &str) -> Vec<String> {
        self.requests().into_iter().filter(|request| request.contains(token)).collect()
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("nobody panics with it").clone()
    }
}

/// The head of a request, which is refused.
fn answer(mut stream: TcpStream) -> String {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(length) => head.extend_from_slice(&buffer[..length]),
        }
    }
    let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
    String::from_utf8_lossy(&head).replace("\r\n", " | ")
}

/// What a command is asked for, that would be a fault of any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// Print values that it has decrypted or found in plaintext.
    Print,
    /// Write values in plaintext into files.
    Write,
    /// Leave in plaintext, and name, what was typed into a file whose rule says nothing of it.
    Name,
    /// Start plugins of age: it encrypts or decrypts what a person has named.
    StartPlugins,
    /// Call a server that a file names, as sops does.
    Call,
    /// Wrap data keys for whom a rule or a file names, without more ado, as sops does.
    Wrap,
    /// Change files at home: an identity, settings.
    ChangeHome,
}

/// What is wrong with what a command has printed.
pub fn printed(output: &Output, may: &[May]) -> Vec<String> {
    let mut wrong = Vec::new();
    let streams = [("standard output", &output.stdout[..]), ("standard error", output.stderr.as_bytes())];
    for (stream, bytes) in streams {
        for value in [IDENTITY, TOKEN, FORGED] {
            if holds(bytes, value) {
                wrong.push(format!("{value} is on {stream}"));
            }
        }
        let asked = may.contains(&May::Print) && stream == "standard output";
        for value in [IN_PLAINTEXT, ENCRYPTED, PROD, NEW].iter().filter(|value| !asked && holds(bytes, value))
        {
            wrong.push(format!("{value} is on {stream}"));
        }
        let controls = ["\x1b", "\x07", "\u{202e}", "\n::stop-commands"];
        for control in controls.iter().filter(|control| !asked && holds(bytes, control)) {
            wrong.push(format!("{control:?} is on {stream}"));
        }
    }
    wrong
}

/// What is wrong with the files after a case. A rebase marks its data keys with a secret of the user, made when there is
/// none yet.
pub fn changed(original: &Repository, copy: &Sandbox, may: &[May]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (folder, allowed) in [("outside", false), ("home", may.contains(&May::ChangeHome))] {
        let [before, after] = [&original.test, copy].map(|test| test.path("..").join(folder));
        let names: BTreeSet<_> = [&before, &after]
            .into_iter()
            .flat_map(|top| files(top).into_iter().map(|file| relative(&file, top)))
            .filter(|name| folder != "home" || !name.ends_with(".config/sealant/sequence.key"))
            .filter(|name| fs::read(before.join(name)).ok() != fs::read(after.join(name)).ok())
            .collect();
        wrong.extend(
            names.iter().filter(|_| !allowed).map(|name| format!("{folder}/{} has changed", name.display())),
        );
    }
    let changed = changed_files(original, copy);
    if !may.contains(&May::Write) {
        let is_named = |name: &Path| may.contains(&May::Name) && name == Path::new(SILENT);
        for (name, bytes) in changed.iter().filter(|(name, _)| !is_named(name)) {
            let spilt = [ENCRYPTED, PROD, NEW, FORGED].into_iter().filter(|value| holds(bytes, value));
            wrong.extend(spilt.map(|value| format!("{value} is in plaintext in {}", name.display())));
        }
    }
    if !may.contains(&May::Wrap) {
        wrong.extend(gained(original, copy, &changed));
    }
    wrong
}

/// Files by path, each with its number, length, and when it was last changed in any way, in seconds and nanoseconds.
pub type Fingerprint = BTreeMap<PathBuf, (u64, u64, i64, i64)>;

/// All that is in a copy but our own programs. Nobody can write to a file, or put another into its place, and leave this as
/// it is.
pub fn fingerprint(copy: &Sandbox) -> Fingerprint {
    let of = |path: PathBuf| {
        let found = path.symlink_metadata().expect("it is there");
        (path, (found.ino(), found.len(), found.ctime(), found.ctime_nsec()))
    };
    let folders = ["home", "outside", "tmp", "work"].map(|folder| files(&copy.path("..").join(folder)));
    folders.into_iter().flatten().map(of).collect()
}

/// Files of the working tree, and temporary ones, that are not as they were.
fn changed_files(original: &Repository, copy: &Sandbox) -> Vec<(PathBuf, Vec<u8>)> {
    let top = copy.path("");
    let is_small =
        |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() < 64 << 20);
    let mut changed = Vec::new();
    for file in files(&top).into_iter().chain(files(&copy.tmp())) {
        let name = relative(&file, &top);
        if is_small(&file) && !name.starts_with(".git") {
            let bytes = fs::read(&file).unwrap_or_default();
            if fs::read(original.test.path(&name)).ok().as_ref() != Some(&bytes) {
                changed.push((name, bytes));
            }
        }
    }
    changed
}

/// What somebody can read now who could not before: with each new file as it is, under the wrap of a data key that they
/// have kept, and with a wrap that was made for them put into another file.
fn gained(original: &Repository, copy: &Sandbox, changed: &[(PathBuf, Vec<u8>)]) -> Vec<String> {
    let attacker = &original.attacker;
    let mut tries = 0;
    let mut attempt = |text: String| {
        tries += 1;
        copy.write(format!("../attack/{tries}.yaml"), text);
    };
    let prod = original.test.read_text("prod/a.yaml");
    let (prod, _) = prod.split_once("\nsops:\n").expect("metadata");
    for (_, bytes) in changed {
        let text = String::from_utf8_lossy(bytes);
        let Some((body, metadata)) = text.split_once("\nsops:\n") else { continue };
        attempt(format!("{body}\nsops:\n{}", attacker.kept_file().1));
        if metadata.contains(&attacker.recipient) {
            attempt(format!("{prod}\nsops:\n{metadata}"));
            attempt(text.clone().into_owned());
        }
    }
    let mut wrong = Vec::new();
    if tries > 0 {
        let stolen = ["decrypt", "--ignore-mac", "--output-dir", "../stolen", "../attack"];
        let theirs = copy.sealant(&stolen).env("SOPS_AGE_KEY", &attacker.identity);
        let _ = theirs.env("HOME", copy.tmp()).env("XDG_CONFIG_HOME", copy.tmp()).run();
        for file in files(&copy.path("../stolen")) {
            let bytes = fs::read(&file).unwrap_or_default();
            let read = [ENCRYPTED, PROD, NEW].into_iter().filter(|value| holds(&bytes, value));
            let text = |value| format!("the attacker reads {value}: {}", String::from_utf8_lossy(&bytes));
            wrong.extend(read.map(text));
        }
    }
    // Whoever runs the place that a forged SealedSecret names opens there what was sealed for it since.
    for (name, bytes) in changed.iter().filter(|(name, _)| name.starts_with("apps")) {
        let text = String::from_utf8_lossy(bytes);
        let items = text.lines().filter(|line| !line.starts_with("    password: "));
        copy.write("../stolen.yaml", items.flat_map(|line| [line, "\n"]).collect::<String>());
        let opened = copy.sealant(&["unseal", "../stolen.yaml"]).run();
        if name.to_string_lossy().contains("forged") && holds(&opened.stdout, NEW) {
            wrong.push(format!("{NEW} was sealed for the place that {} names", name.display()));
        }
    }
    wrong
}

/// The names in [`HIDDEN`] below a folder that a report does not have.
pub fn not_named(output: &Output, folder: &str) -> Vec<String> {
    let expected = HIDDEN.iter().filter(|name| name.starts_with(folder));
    expected.filter(|name| !holds(&output.stdout, name)).map(|name| format!("{name} is not named")).collect()
}

pub fn holds(bytes: &[u8], value: &str) -> bool {
    bytes.windows(value.len()).any(|window| window == value.as_bytes())
}

fn relative(file: &Path, top: &Path) -> PathBuf {
    file.strip_prefix(top).unwrap_or(file).to_owned()
}
