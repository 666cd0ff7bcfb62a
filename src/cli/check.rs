use std::collections::{BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use rayon::prelude::*;
use serde::{Serialize, Serializer};
use serde_json::{Value as Data, json};

use crate::batch::{self, Source};
use crate::cli::args::{FormatArgs, Formats, IdentityArgs, Input, InputArgs};
use crate::cli::host::Terminal;
use crate::cli::pipeline::{chunks, is_config, read};
use crate::cli::{Context, Failures, block_on};
use crate::config::Configs;
use crate::document::{Format, MAX_BINARY, MAX_SOURCE};
use crate::encrypted_file::{OpenedFile, is_meant_to_be_encrypted};
use crate::error::{Kind, Result};
use crate::fs;
use crate::host::{Command, Host};
use crate::keys::vault::StartedBy;
use crate::repo::check::{self, Finding, Rule};
use crate::secret::SecretBytes;
use crate::sops::MacCheck;

/// Look for secrets in clear, stale recipients and private keys; no key is needed
///
/// Finds values in clear that a creation rule says are encrypted, Kubernetes Secrets in clear, files whose recipients
/// are not those of their creation rule, private keys and tokens, and encrypted files that are broken. No value is
/// quoted. Without FILE it looks through the folder that you are in. In folders, what Git ignores is left out: nobody
/// commits it. A creation rule without a path_regex matches every file, and so does not say which are secret, unless it
/// picks values by their names.
///
/// Test keys and fixtures are passed by when the config names them: `sealant: {check: {exclude: ['tests/**']}}`, as
/// patterns of paths below the config's folder.
///
/// The exit code is 0 when nothing was found, 1 when something was, and another when something could not be looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant check
  sealant check deploy/ secrets/db.enc.yaml
  sealant check --verify    # with a key at hand: MACs, too
  sealant check --format sarif > sealant.sarif    # for code scanning in CI")]
pub struct Args {
    #[command(flatten)]
    inputs: InputArgs,

    /// Print the findings for people, as JSON, or as SARIF for code scanning
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Report,

    #[command(flatten)]
    formats: FormatArgs,

    /// Also verify the MAC of each encrypted file that one of your identities opens
    ///
    /// Nobody is asked for a passphrase and no plugin is started; of Vault servers only those are asked that you have
    /// named. Files that none of your identities opens are passed by.
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

/// Files of no known type above this size are passed by, unless a rule says that they are encrypted: they are no text
/// that a key was left in.
const LARGE: u64 = 32 << 20;

/// A finding and where it is.
#[derive(Serialize)]
struct Found {
    #[serde(serialize_with = "as_text")]
    file: PathBuf,
    #[serde(flatten)]
    finding: Finding,
    advice: &'static str,
}

pub fn run(mut args: Args, context: &Context) -> Result<ExitCode> {
    if args.inputs.files.is_empty() {
        args.inputs.files.push(PathBuf::from("."));
    }
    let formats = args.formats.input_only(context.ui)?;
    let mut inputs = args.inputs.inputs()?;
    leave_out_ignored(&mut inputs.inputs, &args.inputs.files, context)?;
    let configs = context.configs()?;
    let mut failures = Failures::default();
    for error in &inputs.errors {
        failures.add(context.ui, error);
    }
    let (mut found, mut told) = (Vec::new(), BTreeSet::new());
    let progress = context.ui.progress("checking", inputs.inputs.len());
    for chunk in chunks(&inputs.inputs) {
        let look = |input: &Input| {
            let findings = look(input, formats, &configs);
            progress.advance();
            findings
        };
        let looked: Vec<Result<Vec<Finding>>> = chunk.par_iter().map(look).collect();
        for (input, result) in chunk.iter().zip(looked) {
            let file = plain_path(input.shown());
            match result {
                Ok(findings) => {
                    found.extend(findings.into_iter().map(|finding| {
                        let advice = finding.rule.advice();
                        Found { file: file.clone(), finding, advice }
                    }));
                }
                // What is wrong with a config is told once, not for each of its files.
                Err(error) => {
                    let error = error.in_file(file);
                    if told.insert(error.to_string()) {
                        failures.add(context.ui, &error);
                    }
                }
            }
        }
    }
    drop(progress);
    if args.verify {
        let more = verify(&args.identities, formats, &inputs.inputs, &found, context, &mut failures)?;
        found.extend(more);
    }
    match args.format {
        Report::Text => print(&found, inputs.inputs.len(), context)?,
        Report::Json => context.ui.json(&found)?,
        Report::Sarif => context.ui.json(&sarif(&found))?,
    }
    Ok(match (failures.is_empty(), found.is_empty()) {
        (true, true) => ExitCode::SUCCESS,
        (true, false) => Kind::Other.exit_code().into(),
        // Not the code that says that something was found.
        (false, _) if failures.code() == Kind::Other.exit_code() => Kind::Read.exit_code().into(),
        (false, _) => failures.code().into(),
    })
}

/// What is wrong with encrypted files that only those see who have a key.
fn verify(
    identities: &IdentityArgs,
    formats: Formats,
    inputs: &[Input],
    told: &[Found],
    context: &Context,
    failures: &mut Failures,
) -> Result<Vec<Found>> {
    let is_told = |found: &&Found| matches!(found.finding.rule, Rule::Plaintext | Rule::Broken);
    let known: HashSet<&Path> = told.iter().filter(is_told).map(|found| found.file.as_path()).collect();
    let host = Terminal::new(context.ui, false);
    let service = identities.key_service_of(&host, StartedBy::Program)?;
    let (mut found, mut closed) = (Vec::new(), 0);
    for chunk in chunks(inputs) {
        // What cannot be read was told before.
        let sources = chunk.par_iter().filter_map(|input| read(input, formats).ok());
        let is_encrypted = |source: &Source| is_meant_to_be_encrypted(source.format, &source.bytes);
        let sources: Vec<Source> = sources.filter(is_encrypted).collect();
        let paths: Vec<PathBuf> = sources.iter().map(|source| plain_path(&source.path)).collect();
        let opened = block_on(batch::open(&service, sources));
        for (file, opened) in paths.into_iter().zip(opened) {
            let verified = opened.and_then(|opened| match opened.file {
                OpenedFile::Document(file, key) => file.decrypt(&key, MacCheck::Verify).map(drop),
                OpenedFile::Sealed(file, keys) => file.unseal(&keys).map(drop),
            });
            match verified {
                Err(error) if error.kind() == Kind::NoDataKey => closed += 1,
                // What is wrong with it was told already.
                Err(_) if known.contains(file.as_path()) => {}
                Err(error)
                    if matches!(error.kind(), Kind::MacMismatch | Kind::DecryptMac | Kind::Decrypt) =>
                {
                    let (rule, line) = (Rule::Broken, error.line().unwrap_or(1));
                    let finding = Finding { line, rule, message: error.message().to_owned() };
                    found.push(Found { file, finding, advice: rule.advice() });
                }
                Err(error) => failures.add(context.ui, &error.in_file(file)),
                Ok(()) => {}
            }
        }
    }
    if closed > 0 {
        context
            .ui
            .note(format!("{closed} encrypted files were not verified: no identity at hand opens them"));
    }
    Ok(found)
}

/// A path need not be valid UTF-8, and JSON has to be.
fn as_text<S: Serializer>(path: &Path, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// Leaves out what Git ignores of what was found in folders: results of builds, a plaintext beside its ciphertext. What
/// is in the index stays, ignored or not. Where there is no repository, nothing is ignored.
fn leave_out_ignored(inputs: &mut Vec<Input>, paths: &[PathBuf], context: &Context) -> Result<()> {
    let working_dir = context.lookup()?.working_dir;
    let is_in_repository =
        |folder: &Path| working_dir.join(folder).ancestors().any(|above| above.join(".git").exists());
    let mut ignored = HashSet::new();
    for folder in paths.iter().filter(|path| path.is_dir() && is_in_repository(path)) {
        let args =
            ["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory", "--", "."];
        let args = [OsStr::new("-C"), folder.as_os_str()].into_iter().chain(args.map(OsStr::new));
        let command =
            Command { program: "git".into(), args: args.map(OsString::from).collect(), ..Command::default() };
        let names = context.host.output_of(&command).unwrap_or_else(|error| {
            context
                .ui
                .warning(format!("Git does not tell what it ignores, so that is checked, too: {error}"));
            SecretBytes::default()
        });
        // A folder that is ignored as a whole was named all the same.
        let names = names.split(|byte| *byte == 0).filter(|name| !matches!(*name, [] | [b'.', b'/']));
        ignored.extend(names.map(|name| folder.join(OsStr::from_bytes(name))));
    }
    let is_ignored = |path: &Path| path.ancestors().any(|above| ignored.contains(above));
    inputs.retain(|input| input.named || !input.path.as_deref().is_some_and(is_ignored));
    Ok(())
}

fn look(input: &Input, formats: Formats, configs: &Configs) -> Result<Vec<Finding>> {
    let name = input.name.as_deref();
    let format = formats.of_input(name);
    if name.map_or(Ok(false), |name| configs.is_excluded_from_check(name))? {
        return Ok(Vec::new());
    }
    let policy = match name.filter(|name| !is_config(name)) {
        Some(name) => configs.matching_policy(name)?,
        None => None,
    };
    let size = input.path.as_deref().and_then(fs::size).unwrap_or(0);
    if format == Format::Binary
        && size > LARGE
        && policy.as_ref().is_none_or(|policy| policy.rule.path_regex.is_none())
    {
        return Ok(Vec::new());
    }
    let bytes = input.read(if format == Format::Binary { MAX_BINARY } else { MAX_SOURCE })?;
    check::check(format, bytes, policy.as_ref())
}

/// The path without the `./` that comes from looking through the folder that one is in.
fn plain_path(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_path_buf()
}

fn print(found: &[Found], files: usize, context: &Context) -> Result<()> {
    let mut text = String::new();
    for Found { file, finding: Finding { line, rule, message }, .. } in found {
        let file = file.display().to_string();
        text += &format!("{}:{line}: {message} [{}]\n", file.escape_debug(), rule.id());
    }
    context.ui.out(text.as_bytes())?;
    let rules: BTreeSet<Rule> = found.iter().map(|found| found.finding.rule).collect();
    for rule in rules {
        context.ui.say(format!("{}: {}", rule.id(), rule.advice()));
    }
    let in_files = found.iter().map(|found| &found.file).collect::<BTreeSet<_>>().len();
    match found.len() {
        0 => context.ui.say(format!("{files} files checked, nothing found")),
        count => context.ui.say(format!("{files} files checked, {count} findings in {in_files}")),
    }
    Ok(())
}

/// The findings as SARIF 2.1.0, as GitHub and GitLab read it.
fn sarif(found: &[Found]) -> Data {
    let rules = Rule::ALL.map(|rule| {
        json!({
            "id": rule.id(),
            "shortDescription": {"text": rule.description()},
            "help": {"text": rule.advice()},
            "defaultConfiguration": {"level": "error"},
        })
    });
    let results: Vec<Data> = found
        .iter()
        .map(|Found { file, finding: Finding { line, rule, message }, .. }| {
            json!({
                "ruleId": rule.id(),
                "ruleIndex": Rule::ALL.iter().position(|known| known == rule),
                "level": "error",
                "message": {"text": message},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": uri(file)},
                    "region": {"startLine": line},
                }}],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "sealant",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "results": results,
        }],
    })
}

/// A path as a reference of RFC 3986, whatever bytes it has.
fn uri(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let uri = bytes.iter().map(|&byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    });
    let uri: String = uri.collect();
    if path.is_absolute() { format!("file://{uri}") } else { uri }
}
