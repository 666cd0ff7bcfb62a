//! Files of dotenvx, opened with its private keys.

mod lines;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::lines::{Line, Value};
use super::documents::{self, Documents, Encryption, Opened};
use super::{CopyArgs, FileArgs, Origin};
use crate::batch::Source;
use crate::cli::context::Context;
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::foreign::dotenvx::{self, PrivateKey};
use crate::fs;
use crate::host::Host;
use crate::repo::copies::Foreign;
use crate::secret::{SecretBytes, SecretString};
use crate::shown::typed;

const PROGRAM: &str = "dotenvx";

/// Where dotenvx keeps private keys, beside its files.
const KEYS_FILE: &str = ".env.keys";

/// How variables and entries with private keys begin.
const PRIVATE_KEY: &str = "DOTENV_PRIVATE_KEY";

/// What holds keys is no longer than this.
const MOST_BYTES: u64 = 1 << 20;

/// Convert files of dotenvx to sops files
///
/// Opens the values with the private keys in .env.keys, and encrypts each file in its place as `sealant encrypt -i` does: for
/// the recipients of its creation rule, or of flags. Names, order and comments stay; quotes go, since a dotenv file of sops has
/// none, and so does the public key. A file is replaced only after what was written opened to the same values, and if nothing
/// that is encrypted now would be in plaintext. What cannot be migrated is named, and left as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant migrate dotenvx --dry-run .
  sealant migrate dotenvx .env
  sealant migrate dotenvx --env-keys-file ~/keys/.env.keys apps/")]
pub struct Args {
    #[command(flatten)]
    files: FileArgs,

    #[command(flatten)]
    copies: CopyArgs,

    /// A file with private keys; may be repeated [env: DOTENV_PRIVATE_KEY, ...] [default: .env.keys beside each file, and here]
    #[arg(long, value_name = "FILE", help_heading = "What opens them")]
    env_keys_file: Vec<PathBuf>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let mut given = Vec::new();
    for file in &args.env_keys_file {
        let keys = keys_in(&fs::read(file, MOST_BYTES)?);
        if keys.is_empty() {
            return Err(no_key().in_file(file));
        }
        given.extend(keys);
    }
    let origin = Dotenvx { given, host: context.host, files: args.env_keys_file };
    documents::run(&origin, &args.files, args.copies, context)
}

struct Dotenvx<'a> {
    given: Vec<PrivateKey>,
    host: &'a dyn Host,
    files: Vec<PathBuf>,
}

impl Origin for Dotenvx<'_> {
    fn named(&self) -> &'static str {
        "value that dotenvx encrypted"
    }

    fn command(&self) -> String {
        let files = self.files.iter().map(|file| format!(" --env-keys-file {}", typed(file)));
        format!("sealant migrate dotenvx{}", files.collect::<String>())
    }
}

impl Documents for Dotenvx<'_> {
    fn open(&self, source: &Source) -> Result<Option<Opened>> {
        // A name such as `.env.production` says no type.
        let may_be = matches!(source.format, Format::Dotenv | Format::Binary);
        if !may_be || dotenvx::found_in(&source.bytes).is_empty() {
            return Ok(None);
        }
        let text = std::str::from_utf8(&source.bytes)
            .map_err(|_| Error::new(Kind::Read, "it has values of dotenvx, and is no text in UTF-8"))?;
        let lines = lines::read(text)?;
        let keys = self.keys_for(&source.path, text)?;
        let keys: Vec<&PrivateKey> = self.given.iter().chain(&keys).collect();
        let (mut plaintexts, mut paths, mut ciphertexts) = (Vec::new(), HashSet::new(), Vec::new());
        for line in &lines {
            let Line::Value(value) = line else { continue };
            plaintexts.push(match value.ciphertext()? {
                None => value.plaintext(None)?,
                Some(content) => {
                    let opened = open(value, &content, &keys)?;
                    paths.insert(format!("{}:", value.key));
                    ciphertexts.push((value.line, content));
                    opened
                }
            });
        }
        let plaintext = lines::written(&lines, &plaintexts)?;
        let ciphertexts = Foreign::of_program(PROGRAM, ciphertexts);
        Ok(Some(Opened { plaintext, was: Encryption::Values(paths), ciphertexts }))
    }
}

impl Dotenvx<'_> {
    /// The private keys beside a file and here, and in the variables that belong to its public keys.
    fn keys_for(&self, path: &Path, text: &str) -> Result<Vec<PrivateKey>> {
        let mut keys = Vec::new();
        // It looks beside the file, and writes new ones into the folder in which it is called.
        let places = [path.with_file_name(KEYS_FILE), PathBuf::from(KEYS_FILE)];
        for place in places.iter().filter(|place| self.given.is_empty() && place.is_file()) {
            keys.extend(keys_in(&fs::read(place, MOST_BYTES)?));
        }
        for line in text.lines().filter_map(|line| line.trim_start().strip_prefix("DOTENV_PUBLIC_KEY")) {
            let name: String = line.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let variable = self.host.env(&format!("{PRIVATE_KEY}{name}"));
            let variable = variable.map(|value| SecretString::new(value.to_string_lossy().into_owned()));
            keys.extend(variable.iter().flat_map(|value| keys_of(value)));
        }
        match keys.is_empty() && self.given.is_empty() {
            false => Ok(keys),
            true => Err(no_key()),
        }
    }
}

fn no_key() -> Error {
    Error::new(Kind::Usage, "there is no private key of dotenvx").advise(
        "Name the file with --env-keys-file, or set DOTENV_PRIVATE_KEY. Keys that dotenvx keeps elsewhere, it writes into .env.keys: \
         `dotenvx armor down`, `dotenvx native down`.",
    )
}

fn open(value: &Value<'_>, content: &[u8], keys: &[&PrivateKey]) -> Result<SecretString> {
    let opened = keys.iter().find_map(|key| key.open(content)).ok_or_else(|| {
        Error::new(
            Kind::Decrypt,
            format!("no private key opens the value of {}, or somebody has changed it", value.key),
        )
        .on_line(value.line)
        .advise("Name the file with the private key that belongs to DOTENV_PUBLIC_KEY: --env-keys-file FILE.")
    })?;
    value.plaintext(Some(opened))
}

/// The private keys in a file of dotenvx.
fn keys_in(file: &SecretBytes) -> Vec<PrivateKey> {
    let text = std::str::from_utf8(file).unwrap_or_default();
    let entries = text.lines().filter_map(|line| {
        let (name, value) = line.trim_start().split_once('=')?;
        name.trim_start_matches("export ").trim().starts_with(PRIVATE_KEY).then_some(value)
    });
    entries.flat_map(keys_of).collect()
}

/// Those of a value: dotenvx takes several, with commas between them.
fn keys_of(value: &str) -> Vec<PrivateKey> {
    let value = value.trim().trim_matches(['"', '\'', '`']);
    value.split(',').filter_map(PrivateKey::parse).collect()
}
