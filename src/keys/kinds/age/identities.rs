//! The places where identities are looked for, and the search for one that opens a wrapped key.
//!
//! Owns sops's list of sources and its order (`loadIdentities` in `age/keysource.go` of getsops/sops). Everything is
//! lazy: a source is read when none before it opened the key, and read once. A source that is broken is no
//! error as long as another one opens the key. No message ever quotes the content of a source.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::identity::{self, Identity, Unread};
use super::recipient::{NotOpened, Recipient, unwrap};
use crate::host::{Command, Host};
use crate::keys::unopened::Failure;
use crate::secret::SecretBytes;

/// What helps after a wrong passphrase.
pub(super) const TYPE_AGAIN: &str = "run the command again, with the right passphrase";

/// The places where identities are looked for, in their order.
#[derive(Default)]
pub struct Identities {
    sources: Vec<Source>,
}

impl Identities {
    /// No sources at all: what a program starts from that has its own identities.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a file: age identities, plain or encrypted with a passphrase, or an SSH private key.
    #[must_use]
    pub fn with_file(self, path: impl Into<PathBuf>) -> Self {
        self.with(Origin::File(path.into()))
    }

    /// Adds identities that the program holds itself; `name` stands for them in messages.
    #[must_use]
    pub fn with_text(self, name: impl Into<String>, text: SecretBytes) -> Self {
        self.with(Origin::Text(name.into(), text))
    }

    /// Adds the sources that sops looks into, in its order.
    #[must_use]
    pub fn with_user_sources(self, host: &dyn Host) -> Self {
        let ssh = |name: &str| host.home().map(|home| Origin::File(home.join(".ssh").join(name)));
        let user_file = host.config_dir().map(|dir| Origin::File(dir.join("sops/age/keys.txt")));
        [
            Some(Origin::EnvFile("SOPS_AGE_SSH_PRIVATE_KEY_FILE")),
            Some(Origin::EnvCommand("SOPS_AGE_SSH_PRIVATE_KEY_CMD")),
            ssh("id_ed25519"),
            ssh("id_rsa"),
            Some(Origin::Env("SOPS_AGE_KEY")),
            Some(Origin::EnvFile("SOPS_AGE_KEY_FILE")),
            Some(Origin::EnvCommand("SOPS_AGE_KEY_CMD")),
            user_file,
        ]
        .into_iter()
        .flatten()
        .fold(self, Self::with)
    }

    fn with(mut self, origin: Origin) -> Self {
        self.sources.push(Source { origin, loads: Mutex::default() });
        self
    }

    /// Opens the first of `wanted` that any identity opens, and says which one it was. What it finds has `length`
    /// bytes. When nothing opens: what went wrong on the way, besides keys that just did not fit.
    pub(super) fn open(
        &self,
        host: &dyn Host,
        wanted: &[AgeWrap],
        length: usize,
    ) -> Result<(usize, SecretBytes), Vec<Failure>> {
        let mut search = Search { host, wanted, length, problems: Vec::new() };
        for source in &self.sources {
            if !source.origin.is_command() {
                if let Some(found) = search.in_load(&source.load(host, "")) {
                    return Ok(found);
                }
                continue;
            }
            // A command is told the recipient and may give another identity for each, so it runs once for each; but
            // not when what earlier runs gave will do, nor when it turned out to give the same for everybody.
            for load in source.loads() {
                if let Some(found) = search.in_load(&load) {
                    return Ok(found);
                }
            }
            for key in wanted {
                if source.gives_the_same_for_all() {
                    break;
                }
                if let Some(found) = search.in_load(&source.load(host, key.recipient.as_str())) {
                    return Ok(found);
                }
            }
        }
        Err(search.problems)
    }

    /// Looks into every source at once, also those that would ask for a passphrase, and says what is there.
    pub fn survey(&self, host: &dyn Host) -> Vec<SourceReport> {
        self.sources.iter().map(|source| source.survey(host)).collect()
    }

    /// Whether what was looked into holds an identity for this recipient, or a plugin's that may be for it.
    pub fn has_one_for(&self, recipient: &Recipient) -> bool {
        self.any_load(|load| load.identities.iter().any(|identity| identity.is_for(recipient)))
    }

    /// Each source that was looked into, a line each, with what was found there.
    pub(super) fn report(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut unset = Vec::new();
        for source in &self.sources {
            if let Some(load) = source.loads().last() {
                match (&load.found, &load.path) {
                    (Found::NotSet, _) => unset.push(source.origin.to_string()),
                    (found, None) => lines.push(format!("{}: {found}", source.origin)),
                    (found, Some(path)) => {
                        lines.push(format!("{} ({}): {found}", source.origin, path.display()))
                    }
                }
            }
        }
        if !unset.is_empty() {
            lines.push(format!("not set: {}", unset.join(", ")));
        }
        lines
    }

    /// The recipient of an identity that was found in what was looked into: of an age identity, if there is one. A plugin's
    /// says only how its recipients begin.
    pub(super) fn own_recipient(&self) -> Option<String> {
        let loads: Vec<_> = self.sources.iter().flat_map(Source::loads).collect();
        let identities = || loads.iter().flat_map(|load| &load.identities).filter(|one| !one.is_plugin());
        let is_age = |identity: &&Identity| identity.public_half().starts_with("age1");
        let own = identities().find(is_age).or_else(|| identities().next())?;
        Some(own.public_half().to_owned())
    }

    /// Whether any identity was found in what was looked into.
    pub(super) fn found_any(&self) -> bool {
        self.any_load(|load| !load.identities.is_empty())
    }

    /// Whether a source that is there could not be used.
    pub(super) fn any_failed(&self) -> bool {
        self.any_load(|load| matches!(load.found, Found::Failed(_)))
    }

    /// The first source with an identity that is there and was damaged.
    pub(super) fn damaged(&self) -> Option<String> {
        self.sources.iter().find_map(|source| {
            let is_it = |load: &Arc<Load>| {
                matches!(&load.found, Found::Identities { problems, .. }
                    if problems.iter().any(|problem| problem.contains(identity::DAMAGED)))
            };
            let load = source.loads().into_iter().find(is_it)?;
            Some(load.shown(&source.origin))
        })
    }

    /// The first source that a wrong passphrase was typed for.
    pub(super) fn mistyped(&self) -> Option<String> {
        self.sources.iter().find_map(|source| {
            let is_it = |load: &Arc<Load>| matches!(load.found, Found::Failed(Unread::WrongPassphrase));
            let load = source.loads().into_iter().find(is_it)?;
            Some(load.shown(&source.origin))
        })
    }

    fn any_load(&self, is_so: impl Fn(&Load) -> bool) -> bool {
        self.sources.iter().flat_map(Source::loads).any(|load| is_so(&load))
    }
}

/// A wrapped key that an identity should open.
#[derive(Clone, Copy)]
pub(super) struct AgeWrap<'a> {
    pub(super) recipient: &'a Recipient,
    pub(super) enc: &'a str,
}

struct Search<'a> {
    host: &'a dyn Host,
    wanted: &'a [AgeWrap<'a>],
    length: usize,
    problems: Vec<Failure>,
}

/// A passphrase that was wrong each time.
fn mistyped(place: &str) -> Failure {
    let problem = format!("{} for {place}", identity::WRONG_PASSPHRASE);
    Failure { advice: Some(TYPE_AGAIN.to_owned()), leads: true, ..problem.into() }
}

/// What is wrong with a file, and not with an identity.
fn in_file(problem: String) -> Failure {
    let advice = "the file is damaged there: restore it, `git restore --source=HEAD FILE`, or an older version that \
         `git log --oneline -- FILE` lists";
    Failure { advice: Some(advice.to_owned()), leads: true, ..problem.into() }
}

impl Search<'_> {
    fn in_load(&mut self, load: &Load) -> Option<(usize, SecretBytes)> {
        let mut pairs: Vec<(&Identity, usize)> = load
            .identities
            .iter()
            .flat_map(|identity| (0..self.wanted.len()).map(move |index| (identity, index)))
            .collect();
        // The recipient in a file is a hint, no more; but it saves a curve operation for each key of somebody else,
        // and the start of a plugin.
        pairs.sort_by_key(|(identity, index)| {
            (!identity.is_for(self.wanted[*index].recipient), identity.is_plugin())
        });

        for (identity, index) in pairs {
            let AgeWrap { recipient, enc } = self.wanted[index];
            let problem = match unwrap(enc, &identity.with_host(self.host)) {
                Ok(payload) if payload.len() == self.length => return Some((index, payload)),
                Ok(payload) => in_file(format!(
                    "the key wrapped for {} has {} bytes instead of {}",
                    recipient.short(),
                    payload.len(),
                    self.length
                )),
                Err(NotOpened::NotForIt) => continue,
                Err(NotOpened::Damaged(why)) => {
                    in_file(format!("the key wrapped for {} is damaged: {why}", recipient.short()))
                }
                Err(NotOpened::Identity(why)) if why == identity::WRONG_PASSPHRASE => {
                    mistyped(identity.place())
                }
                Err(NotOpened::Identity(why)) => format!("{}: {why}", identity.place()).into(),
            };
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
        None
    }
}

/// What a source of identities holds. Names public halves alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReport {
    /// A variable, or the path of a file.
    pub name: String,
    /// The file that it is, or that the variable names.
    pub path: Option<PathBuf>,
    /// Whether the variable is set, or the file is there.
    pub exists: bool,
    /// Of each identity the recipient; of a plugin's only how its recipients begin.
    pub recipients: Vec<String>,
    /// Why it, or a line of it, cannot be used.
    pub problems: Vec<String>,
}

/// Where identities come from.
enum Origin {
    File(PathBuf),
    Text(String, SecretBytes),
    Env(&'static str),
    EnvFile(&'static str),
    EnvCommand(&'static str),
}

impl Origin {
    fn is_command(&self) -> bool {
        matches!(self, Self::EnvCommand(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Text(name, _) => f.write_str(name),
            Self::Env(name) | Self::EnvFile(name) | Self::EnvCommand(name) => f.write_str(name),
        }
    }
}

struct Source {
    origin: Origin,
    /// What was read from it: once, or for a command once for each recipient, which is beside it.
    loads: Mutex<Vec<(String, Arc<Load>)>>,
}

impl Source {
    fn survey(&self, host: &dyn Host) -> SourceReport {
        let load = self.load(host, "");
        let path = match &self.origin {
            Origin::File(path) => Some(path.clone()),
            _ => load.path.clone(),
        };
        let (exists, problems) = match &load.found {
            Found::NotSet => (false, Vec::new()),
            // A variable that names no file is a mistake; a place where there could be one is not.
            Found::NoFile if load.path.is_some() => (true, vec!["no such file".to_owned()]),
            Found::NoFile => (false, Vec::new()),
            Found::Failed(why) => (true, vec![why.to_string()]),
            Found::Identities { problems, .. } => (true, problems.clone()),
        };
        let recipients = load.identities.iter().map(|identity| identity.public_half().to_owned()).collect();
        SourceReport { name: self.origin.to_string(), path, exists, recipients, problems }
    }

    fn loads(&self) -> Vec<Arc<Load>> {
        let loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        loads.iter().map(|(_, load)| load.clone()).collect()
    }

    /// Reads the source for a recipient (empty for what is not a command), if that has not happened yet. Others who
    /// want the same wait meanwhile, so that nobody is asked twice.
    fn load(&self, host: &dyn Host, recipient: &str) -> Arc<Load> {
        let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, load)) = loads.iter().find(|(asked_for, _)| asked_for == recipient) {
            return load.clone();
        }
        let load = Arc::new(read(&self.origin, host, recipient));
        loads.push((recipient.to_owned(), load.clone()));
        load
    }

    /// Whether nothing can come of another run: there is no command, or two recipients got the same identities. (Two
    /// that got none say nothing about a third.)
    fn gives_the_same_for_all(&self) -> bool {
        let loads = self.loads();
        let given: Vec<_> = loads.iter().filter(|load| !load.identities.is_empty()).collect();
        let mut digests: Vec<_> = given.iter().map(|load| load.digest).collect();
        digests.sort_unstable();
        digests.dedup();
        digests.len() < given.len() || loads.iter().any(|load| matches!(load.found, Found::NotSet))
    }
}

/// What one reading of a source gave.
struct Load {
    identities: Vec<Identity>,
    found: Found,
    /// The file that an environment variable named.
    path: Option<PathBuf>,
    digest: [u8; 32],
}

impl Load {
    /// The place that it was read from.
    fn shown(&self, origin: &Origin) -> String {
        self.path.as_ref().map_or_else(|| origin.to_string(), |path| path.display().to_string())
    }

    fn nothing(found: Found) -> Self {
        Self { identities: Vec::new(), found, path: None, digest: [0; 32] }
    }
}

/// What there was, in words for a message.
enum Found {
    NotSet,
    NoFile,
    Failed(Unread),
    Identities { recipients: Vec<String>, problems: Vec<String> },
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSet => f.write_str("not set"),
            Self::NoFile => f.write_str("no such file"),
            Self::Failed(why) => why.fmt(f),
            Self::Identities { recipients, problems } => {
                match recipients.len() {
                    0 => f.write_str("no identities")?,
                    1 => write!(f, "1 identity ({})", recipients[0])?,
                    count => write!(f, "{count} identities ({})", recipients.join(", "))?,
                }
                problems.iter().try_for_each(|problem| write!(f, "; {problem}"))
            }
        }
    }
}

fn read(origin: &Origin, host: &dyn Host, recipient: &str) -> Load {
    match origin {
        Origin::Text(name, text) => parse_load(text, name, None, host),
        Origin::File(path) => read_file(path, host),
        Origin::Env(name) => match host.env_text(name) {
            Ok(Some(text)) => parse_load(Zeroizing::new(text).as_bytes(), name, None, host),
            Ok(None) => Load::nothing(Found::NotSet),
            Err(error) => Load::nothing(Found::Failed(error.to_string().into())),
        },
        Origin::EnvFile(name) => match host.env(name).map(PathBuf::from) {
            Some(path) => Load { path: Some(path.clone()), ..read_file(&path, host) },
            None => Load::nothing(Found::NotSet),
        },
        Origin::EnvCommand(name) => match host.env_text(name) {
            Ok(Some(line)) => run_command(name, &line, host, recipient),
            Ok(None) => Load::nothing(Found::NotSet),
            Err(error) => Load::nothing(Found::Failed(error.to_string().into())),
        },
    }
}

fn read_file(path: &Path, host: &dyn Host) -> Load {
    match host.read_secret(path) {
        Ok(content) => parse_load(&content, &path.display().to_string(), Some(path), host),
        Err(error) if error.kind() == ErrorKind::NotFound => Load::nothing(Found::NoFile),
        Err(error) => Load::nothing(Found::Failed(error.to_string().into())),
    }
}

fn run_command(name: &str, line: &str, host: &dyn Host, recipient: &str) -> Load {
    // The error of `Command::parse` quotes the line, and a line may hold a key.
    let Ok(mut command) = Command::parse(line) else {
        let why = "its value is not a command line: look for an unclosed quote".to_owned();
        return Load::nothing(Found::Failed(why.into()));
    };
    command.env.push(("SOPS_AGE_RECIPIENT".into(), recipient.into()));
    match host.output_of(&command) {
        Ok(output) => parse_load(&output, name, None, host),
        Err(error) => Load::nothing(Found::Failed(error.to_string().into())),
    }
}

fn parse_load(content: &[u8], place: &str, file: Option<&Path>, host: &dyn Host) -> Load {
    let (identities, found) = match identity::parse(content, place, file, host) {
        Ok((identities, problems)) => {
            let recipients = identities.iter().map(Identity::shown).collect();
            (identities, Found::Identities { recipients, problems })
        }
        Err(why) => (Vec::new(), Found::Failed(why)),
    };
    Load { identities, digest: Sha256::digest(content).into(), ..Load::nothing(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::fake_host::{FakeHost, pair, with_passphrase};

    const KEYS_TXT: &str = "/home/u/.config/sops/age/keys.txt";
    const LOCKED_SSH: &str = include_str!("../../../../fixtures/age/ssh/locked");
    const LOCKED_SSH_PUB: &str = include_str!("../../../../fixtures/age/ssh/locked.pub");
    const OPEN_SSH: &str = include_str!("../../../../fixtures/age/ssh/open");
    const OPEN_SSH_PUB: &str = include_str!("../../../../fixtures/age/ssh/open.pub");
    const PLUGIN: &str = "AGE-PLUGIN-FOOBAR-1QVHULF";

    /// Opens a data key that is wrapped for these recipients.
    fn open(identities: &Identities, host: &FakeHost, recipients: &[&Recipient]) -> Result<(), Vec<String>> {
        let encs: Vec<_> =
            recipients.iter().map(|recipient| recipient.wrap(host, &[7; 32]).unwrap()).collect();
        let wanted: Vec<_> =
            recipients.iter().zip(&encs).map(|(recipient, enc)| AgeWrap { recipient, enc }).collect();
        let opened = identities.open(host, &wanted, 32);
        let (_, payload) =
            opened.map_err(|failures| failures.into_iter().map(|one| one.problem).collect::<Vec<_>>())?;
        assert_eq!(*payload, [7; 32]);
        Ok(())
    }

    fn report(identities: &Identities) -> String {
        identities.report().join("\n")
    }

    #[test]
    fn every_source_of_sops_opens() {
        let key = pair();
        let hosts = [
            FakeHost::default().env("SOPS_AGE_KEY", &key.secret),
            FakeHost::default()
                .env("SOPS_AGE_KEY_FILE", "/k")
                .file("/k", format!("# mine\n\n{}\n", key.secret)),
            FakeHost::default().env("SOPS_AGE_KEY_CMD", "get 'the key'").program("get", "*", &key.secret),
            FakeHost::default().file(KEYS_TXT, &key.secret),
        ];
        for host in hosts {
            let identities = Identities::none().with_user_sources(&host);
            assert_eq!(open(&identities, &host, &[&key.recipient]), Ok(()));
        }
        let ssh: Recipient = OPEN_SSH_PUB.parse().unwrap();
        let hosts = [
            FakeHost::default().env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "/k").file("/k", OPEN_SSH),
            FakeHost::default().env("SOPS_AGE_SSH_PRIVATE_KEY_CMD", "get").program("get", "*", OPEN_SSH),
            FakeHost::default().file("/home/u/.ssh/id_ed25519", OPEN_SSH),
            FakeHost::default().file("/home/u/.ssh/id_rsa", OPEN_SSH),
        ];
        for host in hosts {
            let identities = Identities::none().with_user_sources(&host);
            assert_eq!(open(&identities, &host, &[&ssh]), Ok(()));
        }
    }

    #[test]
    fn sources_are_read_in_order_once_and_no_further_than_needed() {
        let (key, mine) = (pair(), pair());
        let host = FakeHost::default()
            .file("/mine", &mine.secret)
            .env("SOPS_AGE_KEY_FILE", "/k")
            .file("/k", &key.secret)
            .env("SOPS_AGE_KEY_CMD", "get")
            .file(KEYS_TXT, &key.secret);
        let identities = Identities::none().with_file("/mine").with_user_sources(&host);
        open(&identities, &host, &[&mine.recipient]).unwrap();
        assert_eq!(host.calls(), ["read /mine"]);
        for _ in 0..3 {
            open(&identities, &host, &[&key.recipient]).unwrap();
        }
        let ssh = ["read /home/u/.ssh/id_ed25519", "read /home/u/.ssh/id_rsa"];
        assert_eq!(host.calls(), ["read /mine", ssh[0], ssh[1], "read /k"]);
    }

    #[test]
    fn a_post_quantum_identity_opens() {
        let made = crate::keys::generate_identity(true, jiff::Timestamp::UNIX_EPOCH);
        let host = FakeHost::default().file(KEYS_TXT, made.file.as_bytes());
        let identities = Identities::none().with_user_sources(&host);
        open(&identities, &host, &[&pair().recipient, &made.recipient]).unwrap();
    }

    #[test]
    fn broken_sources_hide_no_good_one() {
        let key = pair();
        let host = FakeHost::default()
            .env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "/nowhere")
            .env("SOPS_AGE_SSH_PRIVATE_KEY_CMD", "unclosed '")
            .file("/home/u/.ssh/id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\nbroken")
            .file("/home/u/.ssh/id_rsa", [0xff, 0xfe])
            .env("SOPS_AGE_KEY", format!("{PLUGIN} nonsense"))
            .env("SOPS_AGE_KEY_FILE", "/k")
            .file("/k", "age-encryption.org/v1\nbroken")
            .env("SOPS_AGE_KEY_CMD", "fails")
            .file(KEYS_TXT, format!("nonsense\n{}", key.secret));
        let identities = Identities::none().with_user_sources(&host);
        open(&identities, &host, &[&key.recipient]).unwrap();
    }

    #[test]
    fn when_nothing_opens_the_report_says_what_was_found_where() {
        let (key, other) = (pair(), pair());
        let host = FakeHost::default()
            .env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "/nowhere")
            .env("SOPS_AGE_SSH_PRIVATE_KEY_CMD", "unclosed '")
            .file("/home/u/.ssh/id_ed25519", LOCKED_SSH)
            .env("SOPS_AGE_KEY", PLUGIN)
            .env("SOPS_AGE_KEY_FILE", "/k")
            .file("/k", format!("{}\n{}\nnonsense", other.secret, key.recipient))
            .env("SOPS_AGE_KEY_CMD", "fails");
        let identities = Identities::none().with_file("/mine").with_user_sources(&host);
        let problems = open(&identities, &host, &[&key.recipient]).unwrap_err();
        assert_eq!(problems, ["SOPS_AGE_KEY: age plugins may not be started here"]);
        let locked = LOCKED_SSH_PUB.trim().trim_end_matches(" locked");
        let expected = format!(
            "/mine: no such file\n\
             SOPS_AGE_SSH_PRIVATE_KEY_FILE (/nowhere): no such file\n\
             SOPS_AGE_SSH_PRIVATE_KEY_CMD: its value is not a command line: look for an unclosed quote\n\
             /home/u/.ssh/id_ed25519: 1 identity ({locked})\n\
             /home/u/.ssh/id_rsa: no such file\n\
             SOPS_AGE_KEY: 1 identity (of age-plugin-foobar)\n\
             SOPS_AGE_KEY_FILE (/k): 1 identity ({}); line 2 holds a recipient, the public half: an \
             identity begins with AGE-SECRET-KEY-1; line 3 is not an age identity\n\
             SOPS_AGE_KEY_CMD: fails exited with 1\n\
             {KEYS_TXT}: no such file",
            other.recipient
        );
        assert_eq!(report(&identities), expected);
        let unset = Identities::none().with_user_sources(&host);
        assert_eq!(report(&unset), "", "nothing was looked into yet");
    }

    #[test]
    fn a_survey_names_what_is_there_and_only_public_halves() {
        let (key, other) = (pair(), pair());
        let host = FakeHost::default()
            .env("SOPS_AGE_KEY_FILE", "/nowhere")
            .env("SOPS_AGE_KEY", PLUGIN)
            .env("SOPS_AGE_KEY_CMD", "fails")
            .file(KEYS_TXT, format!("{}\nnonsense", key.secret));
        let identities = Identities::none().with_user_sources(&host);
        let there: Vec<_> = identities.survey(&host).into_iter().filter(|source| source.exists).collect();
        let named: Vec<_> =
            there.iter().map(|source| (source.name.as_str(), source.recipients.clone())).collect();
        assert_eq!(
            named,
            [
                ("SOPS_AGE_KEY", vec!["age1foobar1".to_owned()]),
                ("SOPS_AGE_KEY_FILE", vec![]),
                ("SOPS_AGE_KEY_CMD", vec![]),
                (KEYS_TXT, vec![key.recipient.to_string()]),
            ]
        );
        assert_eq!(
            (&there[1].path, &there[1].problems[..]),
            (&Some("/nowhere".into()), &["no such file".to_owned()][..])
        );
        assert_eq!(there[2].problems, ["fails exited with 1"]);
        assert_eq!(there[3].problems, ["line 2 is not an age identity"]);
        assert!(identities.has_one_for(&key.recipient) && !identities.has_one_for(&other.recipient));
        assert!(identities.has_one_for(&Recipient::as_written("age1foobar1qqqq")));
    }

    #[test]
    fn a_command_is_asked_once_for_each_recipient() {
        let (one, two, three, four) = (pair(), pair(), pair(), pair());
        let (r1, r2, r3, r4) = (&one.recipient, &two.recipient, &three.recipient, &four.recipient);
        let host = FakeHost::default()
            .env("SOPS_AGE_KEY_CMD", "get")
            .program("get", r1.as_str(), &one.secret)
            .program("get", r2.as_str(), &two.secret);
        let identities = Identities::none().with_user_sources(&host);
        for wanted in [&[r1][..], &[r1], &[r3, r4, r2], &[r2], &[r1, r3]] {
            open(&identities, &host, wanted).unwrap();
        }
        let runs: Vec<_> = host.calls().into_iter().filter(|call| call.starts_with("run")).collect();
        assert_eq!(runs, [r1, r3, r4, r2].map(|recipient| format!("run get for {recipient}")));
    }

    #[test]
    fn a_command_that_gives_the_same_for_all_is_not_asked_again() {
        let (key, a, b, c) = (pair(), pair(), pair(), pair());
        let host = FakeHost::default().env("SOPS_AGE_KEY_CMD", "get").program("get", "*", &key.secret);
        let identities = Identities::none().with_user_sources(&host);
        open(&identities, &host, &[&a.recipient, &b.recipient, &c.recipient]).unwrap_err();
        open(&identities, &host, &[&c.recipient, &key.recipient]).unwrap();
        assert_eq!(host.calls().iter().filter(|call| call.starts_with("run")).count(), 2);
    }

    #[test]
    fn an_encrypted_identity_file_asks_once_and_only_when_it_is_needed() {
        let (key, plain) = (pair(), pair());
        let host = FakeHost::default()
            .env("SOPS_AGE_KEY", &plain.secret)
            .file(KEYS_TXT, with_passphrase(&key.secret, "correct horse", 4))
            .passphrase("correct horse");
        let identities = Identities::none().with_user_sources(&host);
        let asked = || host.calls().iter().filter(|call| call.starts_with("ask")).count();
        open(&identities, &host, &[&key.recipient, &plain.recipient]).unwrap();
        assert_eq!(asked(), 0);
        open(&identities, &host, &[&key.recipient]).unwrap();
        open(&identities, &host, &[&key.recipient]).unwrap();
        assert_eq!(asked(), 1);
    }

    #[test]
    fn a_locked_ssh_key_asks_only_for_its_own_stanza_and_once() {
        let key = pair();
        let ssh: Recipient = LOCKED_SSH_PUB.parse().unwrap();
        let other_ssh: Recipient = OPEN_SSH_PUB.parse().unwrap();
        let asked = |host: &FakeHost| host.calls().iter().filter(|call| call.starts_with("ask")).count();
        let host =
            FakeHost::default().file("/home/u/.ssh/id_ed25519", LOCKED_SSH).passphrase("correct horse");
        let identities = Identities::none().with_user_sources(&host);
        open(&identities, &host, &[&key.recipient, &other_ssh]).unwrap_err();
        assert_eq!(asked(&host), 0);
        open(&identities, &host, &[&key.recipient, &ssh]).unwrap();
        open(&identities, &host, &[&ssh]).unwrap();
        assert_eq!(asked(&host), 1);

        let host = FakeHost::default().file("/home/u/.ssh/id_ed25519", LOCKED_SSH).passphrase("wrong");
        let identities = Identities::none().with_user_sources(&host);
        for _ in 0..2 {
            let problems = open(&identities, &host, &[&ssh]).unwrap_err();
            assert_eq!(problems, ["wrong passphrase for /home/u/.ssh/id_ed25519"]);
        }
        assert_eq!(asked(&host), 3);
    }

    #[test]
    fn damage_and_wrong_lengths_are_named() {
        let key = pair();
        let host = FakeHost::default().env("SOPS_AGE_KEY", &key.secret);
        let identities = Identities::none().with_user_sources(&host);
        let short = key.recipient.wrap(&host, &[7; 16]).unwrap();
        let wanted = |enc| [AgeWrap { recipient: &key.recipient, enc }];
        let failures = identities.open(&host, &wanted(short.as_str()), 32).unwrap_err();
        let wrong = format!("the key wrapped for {} has 16 bytes instead of 32", key.recipient);
        assert!(
            failures.len() == 1 && failures[0].problem == wrong && failures[0].advice.is_some(),
            "{failures:?}"
        );
        let failures = identities.open(&host, &wanted("ENC"), 32).unwrap_err();
        let damaged = format!("the key wrapped for {} is damaged: ", key.recipient);
        assert!(failures[0].problem.starts_with(&damaged) && failures[0].advice.is_some(), "{failures:?}");
    }
}
