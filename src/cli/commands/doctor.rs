use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

use crate::cli::args::{IdentityArgs, ReportArgs};
use crate::cli::commands::git::install;
use crate::cli::commands::status;
use crate::cli::context::{Context, block_on};
use crate::cli::editor;
use crate::cli::repository::config_outside;
use crate::cli::ui::advice_of;
use crate::config::{Config, Policy, SOPS_NAME};
use crate::error::{Error, Result};
use crate::fs::{self, PrivateDir};
use crate::host::{Command, Host};
use crate::keys::pgp::{self, Halves};
use crate::keys::vault::{Access, Vault};
use crate::keys::{
    Credentials, Fingerprint, Identities, KeyKind, MasterKey, SourceReport, StartedBy, TransitKey,
};
use crate::names::Names;
use crate::os;
use crate::policy;
use crate::programs;
use crate::repo::git::install::{Setup, Step};
use crate::repo::git::{Git, NoGit};
use crate::shown::typed;

/// Check your set-up: config, identities, editor, Git
///
/// It looks for identities like `decrypt`, so it may ask for a passphrase.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant doctor
  sealant doctor --format json | jq '.checks[] | select(.status != \"ok\")'

The exit code is 1 when something is broken.")]
pub struct Args {
    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    identities: IdentityArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let identities = args.identities.identities(context.host)?;
    let sources = identities.survey(context.host);

    let mut checks = vec![Check::ok("version", format!("sealant {}", env!("CARGO_PKG_VERSION")))];
    let (check, config) = check_config(context);
    checks.push(check);
    let (vault_checks, access) = check_vault(config.as_deref(), context);
    let (pgp_checks, pgp) = check_pgp(config.as_deref(), context);
    let (cloud_checks, clouds) = check_clouds(config.as_deref(), context);
    let needs_identities = !access.values().any(|access| access.encrypt || access.decrypt)
        && !pgp.values().any(|halves| *halves == Halves::Both)
        && clouds.is_empty();
    checks.extend(check_sources(&sources, needs_identities, &context.names()));
    checks.extend(vault_checks);
    checks.extend(pgp_checks);
    checks.extend(cloud_checks);
    let reach = Reach { identities: &identities, vault: access, pgp, clouds };
    checks.extend(config.iter().flat_map(|config| check_rules(config, &reach)));
    checks.push(check_editor(context));
    checks.extend(check_path(context));
    checks.push(check_private_folder(context));
    checks.extend(check_git(context));

    print(&checks, args.report, context)?;
    let is_broken = checks.iter().any(|check| check.status == Status::Broken);
    Ok(if is_broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warning,
    Broken,
}

/// What was looked at, and how it was found.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Status,
    detail: String,
    advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, detail: detail.into(), advice: None }
    }

    fn warning(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, status: Status::Warning, detail: detail.into(), advice: Some(advice.into()) }
    }

    fn broken(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, status: Status::Broken, detail: detail.into(), advice: Some(advice.into()) }
    }

    fn failed(name: &'static str, error: &Error) -> Self {
        let advice = advice_of(error);
        Self { name, status: Status::Broken, detail: error.to_string(), advice }
    }
}

fn check_config(context: &Context) -> (Check, Option<std::sync::Arc<Config>>) {
    let found = context.lookup().and_then(|lookup| {
        let here = lookup.working_dir.join(SOPS_NAME);
        let configs = context.configs()?;
        Ok((configs.explain(&here)?.search, configs.config_for(&here)?))
    });
    let (search, config) = match found {
        Ok(found) => found,
        Err(error) => return (Check::failed("config", &error), None),
    };
    let check = match (&config, search.warning()) {
        (Some(config), _) if let Some(outside) = outside(config, context) => outside,
        (Some(config), _) => {
            let shown = config.path().display();
            match config.policies().len() {
                0 => Check::warning(
                    "config",
                    format!("{shown}: it has no creation rules, so no file gets recipients from it"),
                    "Add a rule, as `sealant init` writes one.",
                ),
                1 => Check::ok("config", format!("{shown}, 1 rule")),
                rules => Check::ok("config", format!("{shown}, {rules} rules")),
            }
        }
        (None, Some(warning)) => Check::warning("config", warning, format!("Rename it to {SOPS_NAME}.")),
        (None, None) => Check::warning(
            "config",
            "there is no config here or above",
            "Run `sealant init`, or name recipients with --age.",
        ),
    };
    (check, config)
}

/// A config that only this machine has.
fn outside(config: &Config, context: &Context) -> Option<Check> {
    let git = Git::find(context.host, &context.lookup().ok()?.working_dir).ok()??;
    let error = config_outside(config.path(), &git, context).ok()??;
    Some(Check { status: Status::Warning, ..Check::failed("config", &error) })
}

fn check_sources(sources: &[SourceReport], are_needed: bool, names: &Names) -> Vec<Check> {
    let mut checks: Vec<_> = sources
        .iter()
        .filter(|source| source.exists)
        .flat_map(|source| check_source(source, names))
        .collect();
    if are_needed && sources.iter().all(|source| source.recipients.is_empty()) {
        // What is damaged is no reason to make another one.
        let is_damaged = sources.iter().any(|source| !source.problems.is_empty());
        let advice = match is_damaged {
            true => "Bring the damaged identity back from a backup: see above.",
            false => "Run `sealant init`, or name a file of identities in SOPS_AGE_KEY_FILE.",
        };
        checks.push(Check::broken(
            "identities",
            "no identities were found: nothing can be decrypted",
            advice,
        ));
    }
    checks
}

fn check_source(source: &SourceReport, names: &Names) -> Vec<Check> {
    let shown = match &source.path {
        Some(path) if path != Path::new(&source.name) => format!("{} ({})", source.name, path.display()),
        _ => source.name.clone(),
    };
    let mut checks = Vec::new();
    if !source.recipients.is_empty() {
        let recipients: Vec<String> = source.recipients.iter().map(|key| names.whole(key)).collect();
        checks.push(Check::ok("identities", format!("{shown}: {}", recipients.join(", "))));
    }
    for problem in &source.problems {
        let advice = "Bring it back from a backup, or remove it. Identities from other places still work.";
        checks.push(Check::warning("identities", format!("{shown}: {problem}"), advice));
    }
    if let Some(path) = source.path.as_deref().filter(|path| is_open_to_others(path)) {
        checks.push(Check::warning(
            "identities",
            format!("{shown}: others on this machine can read it"),
            format!("Run `{}`.", os::how_to_keep(&typed(path))),
        ));
    }
    checks
}

fn is_open_to_others(path: &Path) -> bool {
    path.is_file() && fs::open_named(path).is_ok_and(|file| os::is_open_to_others(&file).unwrap_or_default())
}

/// Who we are to the servers of the transit keys of the repository, and what we may do with these keys, as far as the
/// servers tell. Only servers are asked that the user has named: a diagnosis is the first thing to be run in a clone of
/// somebody's repository.
fn check_vault(config: Option<&Config>, context: &Context) -> (Vec<Check>, HashMap<TransitKey, Access>) {
    let mut keys: BTreeMap<String, BTreeSet<TransitKey>> = BTreeMap::new();
    for key in transit_keys(config, context) {
        keys.entry(key.address().to_owned()).or_default().insert(key);
    }
    let vault = Vault::of_user(StartedBy::Program);
    let (mut checks, mut known) = (Vec::new(), HashMap::new());
    if !keys.is_empty()
        && let Err(error) = vault.settings(context.host)
    {
        return (vec![Check::failed("vault", &error)], known);
    }
    for (address, keys) in keys {
        let knows = |key: &TransitKey| vault.knows(context.host, key).unwrap_or_default();
        let (keys, unknown): (Vec<TransitKey>, Vec<_>) = keys.into_iter().partition(knows);
        checks.extend(unknown.iter().map(not_asked));
        if keys.is_empty() {
            continue;
        }
        let keys: Vec<&TransitKey> = keys.iter().collect();
        let (who, access) = block_on(async {
            let who = vault.who_am_i(context.host, &address).await;
            let access = if who.is_ok() { vault.access(context.host, &keys).await } else { Ok(Vec::new()) };
            (who, access)
        });
        match who {
            Ok(who) => checks.push(Check::ok("vault", format!("{address}: you are {}", who.described()))),
            Err(error) => checks.push(Check { status: Status::Warning, ..Check::failed("vault", &error) }),
        }
        match access {
            Ok(access) => {
                for (key, access) in keys.iter().zip(access) {
                    checks.push(check_access(key, access));
                    known.insert((*key).clone(), access);
                }
            }
            Err(error) => checks.push(Check { status: Status::Warning, ..Check::failed("vault", &error) }),
        }
    }
    (checks, known)
}

/// The transit keys that the rules name; without any, those of the files in this repository.
fn transit_keys(config: Option<&Config>, context: &Context) -> Vec<TransitKey> {
    let keys: Vec<TransitKey> = keys_of_rules(config).filter_map(|key| key.transit().cloned()).collect();
    let is_repository = || {
        context
            .lookup()
            .is_ok_and(|lookup| matches!(Git::find(context.host, &lookup.working_dir), Ok(Some(_))))
    };
    if keys.is_empty() && is_repository() { status::transit_keys_here(context) } else { keys }
}

/// A key whose server only a rule or a file names.
fn not_asked(key: &TransitKey) -> Check {
    let address = key.address();
    Check::warning(
        "vault",
        format!("{key}: {address} was not asked: a rule or a file names it, but you have not"),
        format!("If you trust this server: `VAULT_ADDR={address} sealant doctor`"),
    )
}

/// What we may do with a key. Who may only encrypt, or only decrypt, may well be meant to: that is no warning.
fn check_access(key: &TransitKey, access: Access) -> Check {
    let path = |operation| format!("{}/{operation}/{}", key.engine(), key.name());
    let missing: Vec<String> =
        [(access.encrypt, "encrypt"), (access.decrypt, "decrypt"), (access.rewrap, "rewrap")]
            .into_iter()
            .filter(|(may, _)| !may)
            .map(|(_, operation)| format!("path \"{}\" {{ capabilities = [\"update\"] }}", path(operation)))
            .collect();
    let status = if access.encrypt || access.decrypt { Status::Ok } else { Status::Warning };
    let advice = (!missing.is_empty()).then(|| format!("For more, a policy needs: {}", missing.join(" ")));
    Check { name: "vault", status, detail: format!("{key}: {}", access.described()), advice }
}

/// What we can open and encrypt for.
struct Reach<'a> {
    identities: &'a Identities,
    vault: HashMap<TransitKey, Access>,
    pgp: HashMap<Fingerprint, Halves>,
    /// Kinds for whose servers credentials were found. They were not asked what these may do.
    clouds: HashSet<KeyKind>,
}

impl Reach<'_> {
    fn decrypts(&self, key: &MasterKey) -> bool {
        key.recipient().is_some_and(|recipient| self.identities.has_one_for(recipient))
            || key.transit().and_then(|key| self.vault.get(key)).is_some_and(|access| access.decrypt)
            || key.pgp().and_then(|key| self.pgp.get(key)) == Some(&Halves::Both)
            || self.clouds.contains(&key.kind())
    }

    /// Whether we may encrypt for a key, and whoever gave us that right did not let us decrypt.
    fn only_encrypts(&self, key: &MasterKey) -> bool {
        let access = key.transit().and_then(|key| self.vault.get(key));
        access.is_some_and(|access| access.encrypt && !access.decrypt)
    }
}

/// The PGP keys that the rules name, and which halves of them gpg has.
fn check_pgp(config: Option<&Config>, context: &Context) -> (Vec<Check>, HashMap<Fingerprint, Halves>) {
    let keys: BTreeSet<Fingerprint> = keys_of_rules(config).filter_map(|key| key.pgp().cloned()).collect();
    let (mut checks, mut known) = (Vec::new(), HashMap::new());
    for key in keys {
        match pgp::halves(context.host, &key) {
            Ok(halves) => {
                checks.push(match halves {
                    Halves::Both => Check::ok("pgp", format!("{key}: gpg has its secret key")),
                    Halves::Public => Check::ok("pgp", format!("{key}: gpg has its public key")),
                    Halves::Neither => Check::warning(
                        "pgp",
                        format!("{key}: gpg does not have this key, so nothing can be encrypted for it"),
                        "Get the public key from its owner, and run: gpg --import FILE",
                    ),
                });
                known.insert(key, halves);
            }
            Err(error) => return (vec![Check::failed("pgp", &error)], known),
        }
    }
    (checks, known)
}

/// Where credentials for the servers of clouds come from, if a rule names a key of theirs, and the kinds for which there
/// are some. They are sent nowhere: a diagnosis is the first thing to be run in a clone of somebody's repository.
fn check_clouds(config: Option<&Config>, context: &Context) -> (Vec<Check>, HashSet<KeyKind>) {
    let named: BTreeSet<KeyKind> = keys_of_rules(config).map(|key| key.kind()).collect();
    let (mut shown, mut found) = (Vec::new(), HashSet::new());
    for (kind, credentials) in
        named.into_iter().filter_map(|kind| Some((kind, kind.credentials(context.host)?)))
    {
        let check = check_credentials(credentials);
        if check.status == Status::Ok {
            found.insert(kind);
        }
        shown.push(check);
    }
    (shown, found)
}

fn check_credentials(Credentials { cloud, found, none, advice }: Credentials) -> Check {
    match found {
        Ok(Some(found)) => Check::ok(cloud, format!("{found}; their permissions were not checked")),
        Ok(None) => Check::warning(cloud, none, advice),
        Err(error) => Check::failed(cloud, &error),
    }
}

/// The master keys that the rules name.
fn keys_of_rules(config: Option<&Config>) -> impl Iterator<Item = MasterKey> {
    let sets = config.into_iter().flat_map(Config::policies).flatten();
    let sets = sets.filter_map(|policy| policy::key_set(&policy).ok().flatten());
    sets.flat_map(|set| set.groups.concat())
}

fn check_rules(config: &Config, reach: &Reach) -> Vec<Check> {
    let policies = config.policies();
    let mut checks: Vec<_> = policies
        .iter()
        .filter_map(|policy| {
            policy
                .as_ref()
                .map_or_else(|error| Some(Check::failed("rule", error)), |policy| check_rule(policy, reach))
        })
        .collect();
    // One that is closed to us may well be meant so. When all are, something is wrong.
    if !checks.is_empty() && checks.iter().all(|check| check.status != Status::Ok) {
        checks.iter_mut().for_each(|check| check.status = Status::Broken);
    }
    checks
}

/// Whether what a rule encrypts can be decrypted here; `None` for a rule that names no keys.
fn check_rule(policy: &Policy, reach: &Reach) -> Option<Check> {
    let keys = match policy::key_set(policy) {
        Ok(keys) => keys?,
        Err(error) => return Some(Check::failed("rule", &error)),
    };
    let open = keys.groups.iter().filter(|group| group.iter().any(|key| reach.decrypts(key))).count();
    let required = keys.required();
    let rule = &policy.rule;
    Some(match (open >= required, keys.groups.len()) {
        (true, _) => Check::ok("rule", format!("{rule}: you can decrypt what it encrypts")),
        // A role that may only encrypt is meant so.
        (false, _) if keys.groups.iter().flatten().any(|key| reach.only_encrypts(key)) => {
            Check::ok("rule", format!("{rule}: you can encrypt, but not decrypt, the files it covers"))
        }
        (false, 1) => Check::warning(
            "rule",
            format!("{rule}: none of your keys can decrypt what it encrypts"),
            match keys.groups.iter().flatten().any(|key| key.recipient().is_none() && key.pgp().is_none()) {
                true => {
                    "Get access to one of its keys: see above. Or ask somebody who has it to add your recipient and \
                         run `sealant updatekeys .`"
                }
                false => "Ask somebody who can to add your recipient and run `sealant updatekeys .`",
            },
        ),
        (false, _) => Check::warning(
            "rule",
            format!("{rule}: your identities open {open} of the {required} key groups needed"),
            "Somebody with other keys has to help, or add your recipient to more groups.",
        ),
    })
}

fn check_editor(context: &Context) -> Check {
    match editor::find(context.host) {
        Ok(command) => Check::ok("editor", command.program.to_string_lossy()),
        Err(error) => Check { status: Status::Warning, ..Check::failed("editor", &error) },
    }
}

fn check_path(context: &Context) -> Option<Check> {
    let path = context.host.env("PATH").filter(|path| programs::without_relative(path).is_some())?;
    let folders = std::env::split_paths(&path).filter(|folder| !folder.is_absolute());
    let named: Vec<String> =
        folders.map(|folder| format!("`{}`", Path::new(".").join(folder).display())).collect();
    Some(Check::warning(
        "path",
        format!("PATH has relative entries: {}", named.join(", ")),
        "Take them out: in each repository they lead to programs of whoever wrote it. Sealant starts none of these.",
    ))
}

fn check_private_folder(context: &Context) -> Check {
    let folder = match PrivateDir::new(context.host) {
        Ok(folder) => folder,
        Err(error) => return Check::failed("edit", &error),
    };
    let place = folder.path().parent().unwrap_or(folder.path()).display().to_string();
    match folder.is_in_memory() {
        true => Check::ok("edit", format!("plaintext stays in memory, in {place}")),
        false => Check::warning(
            "edit",
            format!("while you edit, the plaintext is in {place}, on disk"),
            os::HOW_TO_STAY_IN_MEMORY,
        ),
    }
}

/// What Git has been told in this clone; nothing outside of a repository, nor where nobody has told it anything.
fn check_git(context: &Context) -> Vec<Check> {
    let survey = || -> Result<_> {
        let git = Git::find(context.host, &context.lookup()?.working_dir).map_err(NoGit::into_error)?;
        git.map(|git| Setup::of(&git)?.survey()).transpose()
    };
    let survey = match survey() {
        Ok(Some(survey)) => survey,
        Ok(None) => return Vec::new(),
        Err(error) => {
            let advice = error.advice().unwrap_or("`git status` says what is wrong.").to_owned();
            return vec![Check::warning("git", error.to_string(), advice)];
        }
    };
    let mut checks = Vec::new();
    let install = "Run `sealant git install`.";
    // Where others own the hooks, that changes nothing about them.
    let left: Vec<String> = survey.left.iter().filter_map(to_do).collect();
    if survey.caches {
        let detail = "diff.sealant.cachetextconv is true: Git stores the plaintext that it shows";
        checks.push(Check::broken("git", detail, install));
    }
    let programs = survey.drivers.iter().flatten().filter_map(|line| Command::parse(line).ok());
    let programs: BTreeSet<_> = programs.map(|command| command.program).collect();
    for program in programs.iter().filter(|program| !install::is_found(program, context.host)) {
        let detail = format!("{}, which Git runs for secrets, does not exist", program.display());
        checks.push(Check::broken("git", detail, format!("Install it there, or on the PATH. {install}")));
    }
    match &survey.drivers {
        [None, _] | [_, None] if survey.attributes => {
            let detail = ".gitattributes calls Sealant, but this clone has no drivers for it";
            checks.push(Check::warning("git", detail, install));
        }
        [None, None] => {
            if !survey.unseen.is_empty() {
                let detail =
                    "no hook keeps plaintext out of commits, and Git neither shows nor merges secrets";
                let advice = [&[install.to_owned()][..], &left].concat().join("\n");
                checks.push(Check::warning("git", detail, advice));
            }
            return checks;
        }
        _ if survey.outdated => {
            checks.push(Check::warning("git", "the drivers are those of another version", install));
        }
        _ => {}
    }
    let unseen: Vec<_> = survey.unseen.iter().map(|event| event.what()).collect();
    if !unseen.is_empty() {
        let detail = format!("no hook looks at {}", unseen.join(", nor at "));
        let advice = if left.is_empty() { install.to_owned() } else { left.join("\n") };
        checks.push(Check::warning("git", detail, advice));
    }
    if checks.is_empty() {
        checks
            .push(Check::ok("git", "Git shows and merges secrets with Sealant, and its hook checks commits"));
    }
    checks
}

/// What only a person can do.
fn to_do(step: &Step) -> Option<String> {
    match step {
        Step::Left { what, advice } => Some(format!("{what}. {advice}")),
        _ => None,
    }
}

fn print(checks: &[Check], report: ReportArgs, context: &Context) -> Result<()> {
    if report.is_json() {
        return context.ui.json(&serde_json::json!({ "checks": checks }));
    }
    for check in checks {
        let (style, word) = match check.status {
            Status::Ok => (AnsiColor::Green.on_default(), "ok"),
            Status::Warning => (AnsiColor::Yellow.on_default(), "warning"),
            Status::Broken => (AnsiColor::Red.on_default().bold(), "broken"),
        };
        let rest = format!(" {:<10} {}", check.name, check.detail);
        context.ui.styled_line(&[(style, &format!("{word:<8}")), (Style::new(), &rest)])?;
        if let Some(advice) = &check.advice {
            context.ui.lines(advice.lines().map(|line| format!("{:19} {line}", "")))?;
        }
    }
    Ok(())
}
