mod encodings;
pub mod fix;
mod in_git;
pub mod links;
pub mod mend;
pub mod report;
mod requests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use rayon::prelude::*;

use crate::batch::{self, Source};
use crate::cli::args::plain_path;
use crate::cli::args::{FormatArgs, Formats, IdentityArgs, Input, InputArgs, Inputs};
use crate::cli::context::{Context, block_on};
use crate::cli::copies::{self, Beside, real};
use crate::cli::encryption::Encrypt;
use crate::cli::pipeline::{chunks, read};
use crate::cli::repository::{self, Purpose};
use crate::cli::ui;
use crate::config::{Configs, absolute};
use crate::document::Format;
use crate::encrypted_file::{OpenedFile, meant};
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Mode};
use crate::keys::StartedBy;
use crate::repo::altered::Earlier;
use crate::repo::before::{Before, Plans};
use crate::repo::check::{Checked, Encoding, Finding, Rule, check_link};
use crate::repo::copies::{Copies, Held, Named};
use crate::repo::git::blobs::Blobs;
use crate::repo::git::changes::Changed;
use crate::repo::git::tree::Tree;
use crate::repo::git::updated::Updated;
use crate::repo::git::{Git, changes, named_top, root_of};
use crate::repo::outside::refuse_links;
use crate::sops::MacCheck;
use report::{Found, Looked};

/// Find secrets in plaintext and stale recipients; needs no key
///
/// Finds plaintext values that a creation rule says are encrypted, Kubernetes Secrets in plaintext, files whose
/// recipients differ from their creation rule, private keys, tokens of Vault and OpenBao, and broken encrypted files.
/// It knows no other secrets: a password in a file that no rule is for, such as `.env`, is not found. It never prints a
/// value. Without FILE it checks the current folder. In folders it skips what Git ignores. A creation rule without a
/// path_regex matches every file, so it does not say which are secret, unless it selects values by name.
///
/// To skip test keys and fixtures, name them in the config: `sealant: {check: {exclude: ['tests/**']}}`, as path
/// patterns below the config's folder.
///
/// The exit code is 0 if nothing was found, or only warnings, 1 if something was found, and another if something could
/// not be checked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant check
  sealant check deploy/ secrets/db.enc.yaml
  sealant check --verify    # with a key: MACs, too
  sealant check --fix       # encrypts what it finds in plaintext
  sealant check --base origin/main    # in CI: what a branch changes
  sealant check --sarif sealant.sarif    # for code scanning in CI")]
pub struct Args {
    #[command(flatten)]
    inputs: InputArgs,

    /// Print the findings for people, as JSON, or as SARIF for code scanning
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Report,

    /// Also write the findings to a file, as SARIF for code scanning in CI
    ///
    /// Nothing is written through a link of the repository, which anybody may have committed.
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,

    /// Check only what changed since HEAD left this branch or commit, in commits and in the working tree
    ///
    /// If a config changed, all files that it covers are checked, and anything that it protects less than before is
    /// reported, even if no file is affected yet.
    #[arg(long, value_name = "REV")]
    base: Option<String>,

    /// Encrypt the files found in plaintext, in place, as their creation rules say
    ///
    /// The exit code reflects what was found before that, so that you review the result.
    #[arg(long)]
    fix: bool,

    #[command(flatten)]
    formats: FormatArgs,

    /// Also verify the MAC of each encrypted file that one of your identities opens
    ///
    /// It asks for no passphrase, starts no plugin, and contacts only Vault servers that you have named. Files that
    /// none of your identities opens are skipped, and counted.
    #[arg(long)]
    verify: bool,

    #[command(flatten)]
    identities: IdentityArgs,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Report {
    #[default]
    Text,
    Json,
    Sarif,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let formats = args.formats.input_only(context)?;
    if let Some(file) = &args.sarif {
        refuse_links(file, || named_top(context.host))?;
    }
    let is_part = args.base.is_some() || !args.inputs.files.is_empty();
    let asked = args.inputs.files.clone();
    refuse_bare(&asked, &context.lookup()?.working_dir)?;
    let purpose = if args.fix { Purpose::Write } else { Purpose::Look };
    let mut inputs = repository::inputs(args.inputs, purpose, context)?;
    let found = copies::FoundRepositories::in_folders(&inputs, context);
    let mut repositories = links::files_within(&inputs);
    // Another working tree has the rules of its own branch.
    repositories.retain(|top, _| found.other_with(&real(top)).is_none());
    let since = match &args.base {
        Some(base) => leave_out_unchanged(&mut inputs, base, context)?,
        None => Since::default(),
    };
    let (inputs, befores) = (inputs, &since.befores);
    let encodings = encodings::of(&inputs.inputs, context);
    if args.fix && inputs.inputs.iter().any(|input| input.path.is_none()) {
        return Err(Error::new(Kind::Conflict, "standard input cannot be changed in place")
            .advise("Remove --fix, or name a file."));
    }
    let configs = context.configs()?;
    let mut looked = Looked::default();
    for error in &inputs.errors {
        looked.failures.add(context.ui, error);
    }
    // Each working tree of a repository by itself.
    let mut copies: BTreeMap<Option<&Path>, Copies> = BTreeMap::new();
    let (mut hiding, mut folders) = (BTreeMap::new(), RealFolders::default());
    let progress = context.ui.progress("checking", inputs.inputs.len());
    for chunk in chunks(&inputs.inputs) {
        let look = |input: &Input| {
            let encodings = input.path.as_deref().and_then(|path| encodings.get(path));
            let encodings = encodings.map_or(&[][..], Vec::as_slice);
            let seen = look(input, formats, encodings, &configs, befores);
            progress.advance();
            seen
        };
        let seen: Vec<Result<Seen>> = chunk.par_iter().map(look).collect();
        for (input, seen) in chunk.iter().zip(seen) {
            let shown = plain_path(input.shown());
            let findings = seen.map(|Seen { findings, held, hiding: hides }| {
                if let Some((config, finding)) = hides {
                    hiding.entry(config).or_insert(finding);
                }
                if let Some((path, held)) = input.path.as_deref().zip(held) {
                    let path = folders.real(path, input.named);
                    let copies = copies.entry(found.other_with(&path)).or_default();
                    copies.add_looked_at(Named { path, shown: shown.clone() }, held);
                }
                findings
            });
            looked.add(&shown, findings, context);
        }
    }
    drop(progress);
    let working_dir = context.lookup()?.working_dir;
    let top = root_of(&working_dir).unwrap_or(&working_dir);
    let asked = in_git::Asked::new(&asked, &working_dir);
    let (within, changed) = (&inputs.repositories, since.changed.as_ref());
    let rules = (&configs, &befores[..]);
    in_git::look_at_left_out(&asked, within, changed, rules, &mut hiding, &mut looked, context)
        .unwrap_or_else(|error| looked.failures.add(context.ui, &error));
    links::look(&inputs.links, top, &configs, &mut looked, context);
    links::look_at_repositories(&repositories, &configs, &mut looked, context);
    for before in befores {
        looked.add_configs(before.weakened(&configs, &since.names), &working_dir, context);
    }
    let hiding = hiding.into_iter().map(|(config, finding)| (config, Ok(finding)));
    looked.add_configs(hiding.collect(), &working_dir, context);
    for mut copies in copies.into_values().filter(|copies| !copies.is_empty()) {
        let added = Beside::of(&copies, &configs, context).and_then(|beside| {
            match is_part || top != working_dir {
                true => beside.add_all(&mut copies)?,
                false => beside.add_left_out(&mut copies)?,
            }
            beside.add_past(&mut copies, befores)
        });
        // What may have been copied or moved is not said to be clean.
        added.unwrap_or_else(|error| looked.failures.add(context.ui, &error));
        looked.found.extend(copies.found().into_iter().map(|(file, finding)| Found::new(file, finding)));
    }
    look_at_altered(&since.earlier, &inputs.inputs, &mut looked, context)?;
    if args.verify {
        verify(&args.identities, formats, &inputs.inputs, &mut looked, context)?;
    }
    let found_here = looked.found.len();
    let mut versions = in_git::look_at_versions(&asked, &since, &configs, &looked.found, context)
        .unwrap_or_else(|error| {
            looked.failures.add(context.ui, &error);
            in_git::Versions::default()
        });
    looked.found.append(&mut versions.found);
    match args.format {
        Report::Text => report::print(&looked.found, context)?,
        Report::Json => context.ui.json(&looked.found)?,
        Report::Sarif => context.ui.json(&report::sarif(&looked.found))?,
    }
    let count = inputs.inputs.len();
    let encrypt = Encrypt::by_rules(context, formats, configs);
    if args.fix {
        let clear = fix::plaintext_files(&looked.found[..found_here]);
        let inputs =
            inputs.inputs.into_iter().map(|input| Input { path: Some(plain_path(input.shown())), ..input });
        let inputs = inputs.filter(|input| clear.contains(input.shown()));
        let inputs: Vec<Input> = inputs.collect();
        fix::encrypt(inputs, formats, &encrypt, context)?;
    }
    if args.format == Report::Text {
        let place = mend::Place {
            folder: Path::new(""),
            is_staged: false,
            is_fixed: args.fix,
            configs: encrypt.configs(),
        };
        mend::tell(&looked.found[..found_here], &place, context);
        versions.tell(context);
        requests::tell(&looked.found, context);
        looked.tell_count(count, context);
    }
    if let Some(file) = &args.sarif {
        fs::write_atomic(file, &ui::json_text(&report::sarif(&looked.found))?, Mode::Public)?;
    }
    Ok(looked.exit_code())
}

/// What there was where HEAD left another branch.
#[derive(Default)]
pub struct Since {
    /// What has changed; `None` where all is looked at.
    changed: Option<Changed>,
    /// The configs of each commit at which they parted.
    befores: Vec<Before>,
    /// What Git has now.
    now: Tree,
    /// The same with what is in submodules that were taken to another commit.
    names: Tree,
    /// The files that have changed, as they were.
    earlier: Earlier,
}

/// Refuses to call a repository clean that has only commits: `git clone --bare` and `--mirror` check nothing out.
fn refuse_bare(asked: &[PathBuf], working_dir: &Path) -> Result<()> {
    let is_all = asked.iter().all(|path| path == Path::new("."));
    let is_bare = ["HEAD", "objects", "refs"].iter().all(|name| working_dir.join(name).exists());
    if !is_all || !is_bare || root_of(working_dir).is_some() {
        return Ok(());
    }
    let message = "is a Git repository without a working tree: none of its files are here";
    Err(Error::new(Kind::NoFile, message)
        .in_file(working_dir)
        .advise("Check a clone of it, or a working tree."))
}

/// Leaves out what is as it was where HEAD left another branch, unless a config differs that may be about it.
fn leave_out_unchanged(inputs: &mut Inputs, base: &str, context: &Context) -> Result<Since> {
    let mut lookup = context.lookup()?;
    let working_dir = lookup.working_dir.clone();
    lookup.explicit = lookup.explicit.map(|path| real(&absolute(&path, &working_dir)));
    let git = Git::needed(context.host, &working_dir)?;
    let parting = changes::fork(&git, base)?;
    let changed = changes::since(&git, &parting)?;
    let mut blobs = Blobs::open(&git)?;
    let named = lookup.explicit.as_deref().and_then(|path| path.strip_prefix(git.top()).ok());
    let now = Tree::of_index(&git)?;
    let below = changes::folders_of_configs(&changed, &now, named, &mut blobs)?;
    let submodules = now.submodules_among(&changed);
    let befores = Before::read_all(&git, parting.before(), (&submodules, &now), &below, &lookup, &mut blobs)?;
    let mut names = now.clone();
    for before in &befores {
        let updated = Updated::all(&git, &submodules, &before.tree, &now);
        updated.iter().for_each(|updated| updated.add_names(&mut names));
    }
    let earlier = Earlier::in_commits(&git, parting.before(), &changed)?;
    let changed = Changed::new(&git, changed, below);
    let mut folders = RealFolders::default();
    // Standard input is nowhere. Links that were there before may lead to what is changed.
    let mut is_of_change = |path: &Path, named: bool| {
        let path = absolute(path, &working_dir);
        changed.is_about(&path) || changed.is_about(&folders.real(&path, named))
    };
    inputs.links.retain(|link| is_of_change(link, false));
    inputs.inputs.retain(|input| input.path.as_deref().is_none_or(|path| is_of_change(path, input.named)));
    Ok(Since { changed: Some(changed), befores, now, names, earlier })
}

/// Where folders really are.
#[derive(Default)]
struct RealFolders(HashMap<PathBuf, PathBuf>);

impl RealFolders {
    /// Where a file is. One that was found, and not named, is no link: only its folders can be.
    fn real(&mut self, path: &Path, named: bool) -> PathBuf {
        match path.parent().zip(path.file_name()).filter(|_| !named) {
            Some((folder, name)) => {
                let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                self.0.entry(folder.to_path_buf()).or_insert_with(|| real(folder)).join(name)
            }
            None => real(path),
        }
    }
}

/// Finds encrypted files that were changed without a key since then.
fn look_at_altered(
    earlier: &Earlier,
    inputs: &[Input],
    looked: &mut Looked,
    context: &Context,
) -> Result<()> {
    if earlier.is_empty() {
        return Ok(());
    }
    let git = Git::needed(context.host, &context.lookup()?.working_dir)?;
    let mut blobs = Blobs::open(&git)?;
    for input in inputs {
        let Some(real) = input.path.as_deref().map(real) else { continue };
        let Some(name) = real.strip_prefix(git.top()).ok().filter(|name| earlier.has(name)) else { continue };
        let shown = plain_path(input.shown());
        let is_told = |found: &Found| found.file == shown && found.finding.rule.is_of_contents();
        if looked.found.iter().any(is_told) {
            continue;
        }
        let bytes = input.read(Format::of_path(name).most_bytes())?;
        if let Some(finding) = earlier.look(name, &bytes, &mut blobs)? {
            looked.found.push(Found::new(&shown, finding));
        }
    }
    Ok(())
}

/// What is wrong with encrypted files that only those see who have a key.
fn verify(
    identities: &IdentityArgs,
    formats: Formats,
    inputs: &[Input],
    looked: &mut Looked,
    context: &Context,
) -> Result<()> {
    let is_told = |found: &&Found| matches!(found.finding.rule, Rule::Plaintext | Rule::Broken);
    let known: HashSet<PathBuf> =
        looked.found.iter().filter(is_told).map(|found| found.file.clone()).collect();
    let host = context.host.asking_nobody();
    let service = identities.key_service_of(&host, StartedBy::Program)?;
    let (mut closed, mut whole) = (0, 0);
    for chunk in chunks(inputs) {
        // What cannot be read was told before.
        let sources = chunk.par_iter().filter_map(|input| read(input, formats).ok());
        let is_encrypted = |source: &Source| meant(source.format, &source.bytes).is_some();
        let sources: Vec<Source> = sources.filter(is_encrypted).collect();
        let paths: Vec<PathBuf> = sources.iter().map(|source| plain_path(&source.path)).collect();
        let opened = block_on(batch::open(&service, sources));
        for (path, opened) in paths.into_iter().zip(opened) {
            let verified = opened.and_then(|opened| match opened.file {
                OpenedFile::Document(document, key) => {
                    let lost = document.lost_spellings(&key).into_iter();
                    let lost = lost.map(|lost| Finding::new(1, Rule::Broken, lost.to_owned()));
                    looked.found.extend(lost.map(|finding| Found::new(&path, finding)));
                    document.decrypt(&key, MacCheck::Verify).map(drop)
                }
                OpenedFile::Sealed(file, keys) => file.unseal(&keys).map(drop),
            });
            match verified {
                Err(error) if error.kind() == Kind::NoDataKey => closed += 1,
                // What is wrong with it was told already.
                Err(_) if known.contains(&path) => {}
                Err(error)
                    if matches!(error.kind(), Kind::MacMismatch | Kind::DecryptMac | Kind::Decrypt) =>
                {
                    let (rule, line) = (Rule::Broken, error.line().unwrap_or(1));
                    let finding = Finding::new(line, rule, error.message().to_owned());
                    looked.found.push(Found::new(&path, finding));
                }
                Err(error) => looked.failures.add(context.ui, &error.in_file(path)),
                Ok(()) => whole += 1,
            }
        }
    }
    looked.verified = Some(whole);
    if closed > 0 {
        context.ui.note(match closed {
            1 => "1 encrypted file was not verified: no identity opens it".to_owned(),
            _ => format!("{closed} encrypted files were not verified: no identity opens them"),
        });
    }
    Ok(())
}

/// What was seen of a file.
#[derive(Default)]
pub struct Seen {
    pub findings: Vec<Finding>,
    /// What another file may hold as well.
    pub held: Option<Vec<(usize, Held)>>,
    /// Its config, if that hides a rule for it.
    pub hiding: Option<(PathBuf, Finding)>,
}

fn look(
    input: &Input,
    formats: Formats,
    encodings: &[Encoding],
    configs: &Configs,
    befores: &[Before],
) -> Result<Seen> {
    let name = input.name.as_deref();
    let size = input.path.as_deref().and_then(fs::size).unwrap_or(0);
    let format = formats.of_input(name);
    let plans = Plans::of(name, format, size, configs, befores)?;
    let mut seen = Seen::default();
    if let Some(limit) = plans.limit() {
        let held = |bytes: &_, file| copies::held_by(name?, format, bytes, file, configs);
        let bytes = input.read(limit)?;
        for encoding in encodings {
            let read = encoding.read(bytes.clone());
            seen.findings.extend(plans.unseen(encoding, &read));
            // A file need not be in the encoding that is set for it, so it is looked at both ways.
            if *read != *bytes {
                seen.held = seen.held.or_else(|| held(&read, None));
                seen.findings.extend(plans.check(read)?.findings);
            }
        }
        let Checked { findings, file } = plans.check(bytes.clone())?;
        seen.findings.extend(findings);
        seen.held = seen.held.or_else(|| held(&bytes, file));
        seen.hiding = plans.hidden(seen.held.is_some());
        seen.findings.sort();
        seen.findings.dedup();
    }
    // What was found in a folder is no link itself.
    if let Some(name) = name.filter(|name| input.named || configs.is_behind_link(name)) {
        seen.findings.extend(check_link(name, [name.to_path_buf()], configs)?);
    }
    Ok(seen)
}
