//! Files of git-crypt: as Git stores them where a clone is locked, else in plaintext in the working tree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use memchr::memmem;

use super::documents::{self, Documents, Encryption, Opened};
use super::{CopyArgs, FileArgs, Origin};
use crate::batch::Source;
use crate::cli::context::Context;
use crate::cli::copies::real;
use crate::encrypted_file;
use crate::error::{Error, Kind, Result};
use crate::foreign::git_crypt::{self, Key};
use crate::fs;
use crate::repo::copies::Foreign;
use crate::repo::git::{Git, attributes};
use crate::shown::typed;
use crate::sops::Nature;

const PROGRAM: &str = "git-crypt";

/// What holds keys is no longer than this.
const MOST_BYTES: u64 = 1 << 20;

/// Convert files of git-crypt to sops files
///
/// Takes the files that .gitattributes gives to git-crypt, in a clone that is unlocked, or in any clone with --key, and
/// encrypts each in its place as `sealant encrypt -i` does: for the recipients of its creation rule, or of flags. A file is
/// replaced only after what was written opened to the same values, and if no value of it would be in plaintext. What cannot
/// be migrated is named, and left as it is.
///
/// Afterwards the names of values can be read, as in any file of sops, and the files are encrypted in the working tree, too. At
/// the end it says which lines have to go from .gitattributes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant migrate git-crypt --dry-run .
  sealant migrate git-crypt secrets/
  sealant migrate git-crypt --key ~/git-crypt.key .")]
pub struct Args {
    #[command(flatten)]
    files: FileArgs,

    #[command(flatten)]
    copies: CopyArgs,

    /// A key that git-crypt exported; may be repeated [default: those of this clone]
    #[arg(long, value_name = "FILE", help_heading = "What opens them")]
    key: Vec<PathBuf>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let git = Git::needed(context.host, &context.lookup()?.working_dir)?;
    let keys = keys(&git, &args.key)?;
    let files = git.paths_of(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
    let names: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let said = attributes::said(&git, &["filter"], &names)?;
    let filtered = said.iter().filter(|said| git_crypt::is_filter(&said.value));
    let filtered = filtered.map(|said| real(&git.top().join(&said.file))).collect();
    let attributes = files.into_iter().filter(|file| file.ends_with(".gitattributes"));
    let mut attributes: Vec<PathBuf> = attributes.map(|file| git.top().join(file)).collect();
    attributes.push(git.path_of(["rev-parse", "--git-path", "info/attributes"])?);
    let origin = GitCrypt { keys, filtered, attributes, given: args.key };
    documents::run(&origin, &args.files, args.copies, context)
}

struct GitCrypt {
    keys: Vec<Key>,
    /// The files that git-crypt encrypts when Git stores them.
    filtered: BTreeSet<PathBuf>,
    /// What may say so.
    attributes: Vec<PathBuf>,
    given: Vec<PathBuf>,
}

impl Origin for GitCrypt {
    fn named(&self) -> &'static str {
        "content that git-crypt encrypts"
    }

    fn command(&self) -> String {
        let keys = self.given.iter().map(|file| format!(" --key {}", typed(file)));
        format!("sealant migrate git-crypt{}", keys.collect::<String>())
    }
}

impl Documents for GitCrypt {
    fn open(&self, source: &Source) -> Result<Option<Opened>> {
        let (plaintext, contents) = match git_crypt::content(&source.bytes) {
            Some(content) => {
                let opened = self.keys.iter().find_map(|key| key.open(content)).ok_or_else(|| {
                    Error::new(Kind::Decrypt, "no key of git-crypt opens it, or somebody has changed it")
                        .advise("Name the key with --key: `git-crypt export-key FILE`, in a clone that is unlocked.")
                })?;
                (opened, vec![content.to_vec()])
            }
            None => {
                let nature = || encrypted_file::nature(source.format, &source.bytes);
                let is_left = source.bytes.is_empty()
                    || !self.filtered.contains(&real(&source.path))
                    || matches!(nature(), Ok(Nature::Encrypted));
                if is_left {
                    return Ok(None);
                }
                let contents = self.keys.iter().filter_map(|key| key.content_of(&source.bytes));
                (source.bytes.clone(), contents.collect())
            }
        };
        let ciphertexts = Foreign::of_program(PROGRAM, contents.into_iter().map(|content| (1, content)));
        Ok(Some(Opened { plaintext, was: Encryption::Whole, ciphertexts }))
    }

    fn tell(&self, context: &Context) {
        let lines: Vec<String> = self.attributes.iter().flat_map(|file| lines_of(file, context)).collect();
        if !lines.is_empty() {
            context.ui.warning_list(
                "take git-crypt out of these lines before you commit, or Git encrypts the files once more:",
                lines,
            );
        }
        context.ui.note(
            "then commit everything at once: `git add -A`; the history of Git keeps the old files: whoever has git-crypt's key can \
             read them, until the values are changed",
        );
    }
}

/// The lines of a file of attributes that give files to git-crypt.
fn lines_of(file: &Path, context: &Context) -> Vec<String> {
    let text = fs::read_found(file, MOST_BYTES).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let below = context
        .lookup()
        .ok()
        .and_then(|lookup| Some(file.strip_prefix(real(&lookup.working_dir)).ok()?.to_path_buf()));
    let shown = below.unwrap_or_else(|| file.to_path_buf());
    let is_meant = |line: &str| {
        let is_comment = line.trim_start().starts_with('#');
        !is_comment && memmem::find(line.as_bytes(), b"filter=git-crypt").is_some()
    };
    let found = text.lines().zip(1..).filter(|(line, _)| is_meant(line));
    found.map(|(line, number)| format!("  {}:{number}: {}", shown.display(), line.trim())).collect()
}

/// Those that were named, or else those of the clone.
fn keys(git: &Git, given: &[PathBuf]) -> Result<Vec<Key>> {
    let files = match given.is_empty() {
        false => given.to_vec(),
        true => {
            let folder = git.path_of(["rev-parse", "--git-path", "git-crypt/keys"])?;
            if folder.is_dir() { fs::files_below(&folder, false)? } else { Vec::new() }
        }
    };
    let mut keys = Vec::new();
    for file in files {
        let found = fs::read(&file, MOST_BYTES).and_then(|bytes| Key::all(&bytes));
        keys.extend(found.map_err(|error| error.in_file(&file))?);
    }
    match keys.is_empty() {
        false => Ok(keys),
        true => Err(Error::new(Kind::Usage, "this clone has no key of git-crypt")
            .advise("`git-crypt unlock` first; or name a key with --key, which `git-crypt export-key FILE` writes in a clone that is \
                     unlocked.")),
    }
}
