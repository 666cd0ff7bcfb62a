//! What every command has: the terminal, the environment, and where configs are.
//!
//! Knows no command.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tokio::runtime::Runtime;

use crate::cli::audit_log::AuditLog;
use crate::cli::host::{self, Terminal};
use crate::cli::ui::{ColorWhen, Ui};
use crate::config::{Configs, Dialect, Disk, Lookup, Source};
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::host::Host;
use crate::keys::MasterKey;
use crate::keys::remote::{Others, Remote};
use crate::names::Names;
use crate::policy;
use crate::repo::altered::Whole;
use crate::repo::git::Git;
use crate::repo::git::absent::WithAbsent;
use crate::repo::git::blame::{self, Written};

/// What a command has besides its own arguments.
pub struct Context<'a> {
    pub ui: &'a Ui,
    pub host: &'a Terminal<'a>,
    /// The config that was asked for by name.
    pub config: Option<PathBuf>,
    /// Whose manners to follow: called as sops, the program does as sops does.
    pub dialect: Dialect,
    /// The key services that flags name, and whether the keys of this machine are used: `None` leaves it to the environment.
    pub key_services: (Vec<String>, Option<bool>),
    /// A config as it is going to be, by its path.
    changed: Option<(PathBuf, String)>,
}

impl<'a> Context<'a> {
    pub fn new(ui: &'a Ui, host: &'a Terminal<'a>, config: Option<PathBuf>, dialect: Dialect) -> Self {
        // By the name of sops the program says what sops says.
        if dialect == Dialect::Sealant
            && let Ok(lookup) = lookup(host, config.as_deref(), dialect)
        {
            ui.advise_by(move |error| {
                advice_where_named(error, &lookup).or_else(|| advice_where_by_hand(error))
            });
        }
        Self { ui, host, config, dialect, key_services: Default::default(), changed: None }
    }

    /// The same with a config as it is going to be: what is planned is planned by it.
    pub fn with_config_text(&self, path: &Path, text: String) -> Self {
        let changed = Some((path.to_path_buf(), text));
        let (config, key_services) = (self.config.clone(), self.key_services.clone());
        Self { ui: self.ui, host: self.host, config, dialect: self.dialect, key_services, changed }
    }

    /// Whether to do as sops does, where that is not what we would do.
    pub fn is_sops(&self) -> bool {
        self.dialect == Dialect::Sops
    }

    /// The key services that are asked beside the keys of this machine, or instead of them.
    pub fn others(&self) -> Result<Others> {
        let (named, local) = &self.key_services;
        let is_false = |value: &str| ["0", "f", "F", "false", "False", "FALSE"].contains(&value);
        let uses_local = match local {
            Some(local) => *local,
            None => {
                !self.host.env_text("SOPS_ENABLE_LOCAL_KEYSERVICE")?.is_some_and(|value| is_false(&value))
            }
        };
        let of_variable = self.host.env_text("SOPS_KEYSERVICE")?.unwrap_or_default();
        let of_variable = of_variable.split(',').map(str::trim).filter(|address| !address.is_empty());
        let services: Vec<Remote> = match &named[..] {
            [] => of_variable.map(Remote::new).collect::<Result<_>>()?,
            named => named.iter().map(|address| Remote::new(address)).collect::<Result<_>>()?,
        };
        Ok(Others { uses_local, services })
    }

    /// Where configs are looked for.
    pub fn lookup(&self) -> Result<Lookup> {
        lookup(self.host, self.config.as_deref(), self.dialect)
    }

    /// As sops, a path counts as it is spelled: says so where a link makes that another rule than the file's.
    pub fn tell_misled(&self, configs: &Configs, file: &Path) {
        let misled = || configs.locate(file)?.misled();
        if self.is_sops()
            && let Ok(Some(misled)) = misled()
        {
            self.ui.warning(format!("{}: {misled}", file.display()));
        }
    }

    /// The configs of the files that this command works on.
    pub fn configs(&self) -> Result<Configs> {
        let lookup = self.lookup()?;
        let source: Box<dyn Source> = match self.is_sops() {
            true => Box::new(Disk),
            false => Box::new(WithAbsent::new(host::Unattended)),
        };
        Ok(match &self.changed {
            Some((path, text)) => {
                Configs::from_source(lookup, WithText { source, path: path.clone(), text: text.clone() })
            }
            None => Configs::from_boxed(lookup, source),
        })
    }
}

/// A source in which one config has another text.
struct WithText {
    source: Box<dyn Source>,
    path: PathBuf,
    text: String,
}

impl Source for WithText {
    fn exists(&self, path: &Path) -> bool {
        self.source.exists(path)
    }

    fn read(&self, path: &Path) -> Result<String> {
        if path == self.path { Ok(self.text.clone()) } else { self.source.read(path) }
    }

    fn read_named(&self, path: &Path) -> Result<String> {
        if path == self.path { Ok(self.text.clone()) } else { self.source.read_named(path) }
    }

    fn link(&self, path: &Path) -> Option<PathBuf> {
        self.source.link(path)
    }
}

impl Context<'_> {
    /// The line of a config that names a key, and who wrote it, as Git has it. Nobody is named where the key is spelled
    /// in another way there, since somebody else may have written the line that it comes from.
    pub fn source_of_line(&self, config: &Path, line: usize, key: &MasterKey) -> String {
        let here = self.lookup().ok();
        let shown = here.as_ref().and_then(|here| config.strip_prefix(&here.working_dir).ok());
        let named = format!("named by {}:{line}", shown.unwrap_or(config).display());
        if !is_on_line(config, line, key) {
            return named;
        }
        let written =
            Git::of_file(self.host, config).and_then(|(git, name)| blame::of_line(&git, &name, line));
        match written {
            Ok(Written::In { author, commit }) => format!("{named}, which {author} wrote in commit {commit}"),
            Ok(Written::NotCommitted) => format!("{named}, which is in no commit yet"),
            Err(_) => named,
        }
    }

    /// What the config of the working directory calls keys; nothing where it cannot be read.
    pub fn names(&self) -> Names {
        let config = || {
            let file = self.lookup()?.working_dir.join("file");
            self.configs()?.config_for(&file)
        };
        config().ok().flatten().map(|config| config.names().clone()).unwrap_or_default()
    }
}

/// Whether a line of a file, counted from 1, has a key as it is shown.
fn is_on_line(file: &Path, line: usize, key: &MasterKey) -> bool {
    let Ok(text) = Disk.read(file) else { return false };
    let line = text.lines().nth(line - 1).map(str::to_owned);
    line.is_some_and(|line| line.contains(key.id()))
}

fn lookup(host: &Terminal, config: Option<&Path>, dialect: Dialect) -> Result<Lookup> {
    let working_dir = std::env::current_dir()
        .map_err(|error| Error::new(Kind::Read, "the working directory no longer exists").caused_by(error))?;
    let explicit = config.map(Path::to_path_buf).or_else(|| host.env("SOPS_CONFIG").map(PathBuf::from));
    Ok(Lookup { working_dir, explicit, dialect })
}

/// The advice for somebody who cannot open a file whose creation rule names them already.
fn advice_where_named(error: &Error, lookup: &Lookup) -> Option<String> {
    let ((own, advice), file) = (error.where_named()?, error.file()?);
    let policy = Configs::from_source(lookup.clone(), Disk).matching_policy(file).ok()??;
    let keys = policy::key_set(&policy).ok()??;
    keys.groups.iter().flatten().any(|key| key.id() == own).then(|| advice.to_owned())
}

/// The advice for a file that was changed without a key, where Git has it whole.
fn advice_where_by_hand(error: &Error) -> Option<String> {
    let file = error.file().filter(|_| error.is_by_hand())?;
    let ui = Ui::new(ColorWhen::Never, true, true);
    let bytes = fs::read_found(file, Format::of_path(file).most_bytes() as u64).ok()?;
    let back = match Whole::of_replaced(&Terminal::new(&ui).asking_nobody(), file, &bytes).ok()?? {
        Whole::InMerge => "do the merge again: `git checkout -m FILE && sealant resolve FILE`".to_owned(),
        Whole::Commit(commit) => format!(
            "get it back: `git restore --source={commit} FILE`; then change it with `sealant edit FILE`"
        ),
    };
    // A value in plaintext does not open without the MAC either.
    if error.kind() != Kind::MacMismatch {
        return Some(back);
    }
    Some(format!(
        "{back}. To look at it as it is: `sealant decrypt --ignore-mac FILE`; to keep what it says then: \
         `sealant edit --ignore-mac FILE`"
    ))
}

/// The terminal of a command whose work is written down in the audit log.
pub fn logged<'u>(
    host: Terminal<'u>,
    command: &str,
    config: Option<&Path>,
    dialect: Dialect,
) -> Terminal<'u> {
    match lookup(&host, config, dialect) {
        Ok(lookup) => host.logging_to(AuditLog::new(command, lookup)),
        // Without a working directory no command does anything.
        Err(_) => host,
    }
}

/// Waits for the key service. The only place that does. Connections live as long as the runtime that made them, so
/// there is one, made when it is first needed.
#[allow(clippy::panic, reason = "Sealant cannot start")]
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let start = || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        // Not even an event queue can be had: nothing else would work either.
        Err(error) => panic!("the operating system gives no event queue: {error}"),
    };
    RUNTIME.get_or_init(start).block_on(future)
}

pub fn no_color() -> bool {
    host::variable("NO_COLOR").is_some() || host::variable("TERM").is_some_and(|term| term == "dumb")
}
