//! Secrets that are made of files instead of a manifest: `--from-file`, and `--raw`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Seal, refuse_plaintext, written};
use crate::cli::args::{Destination, Input};
use crate::cli::context::block_on;
use crate::cli::copies::{self, ToEncrypt};
use crate::cli::pipeline::{self, Output};
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Mode};
use crate::sealed_secret::{self, Binding, MAX_DATA, NewDataKey, Scope, Secret};
use crate::secret::SecretBytes;

impl Seal<'_> {
    /// Seals what `--from-file` names.
    pub(super) fn values(&self) -> Result<ExitCode> {
        let args = self.args;
        let destination = args.outputs.output.clone().map_or(Destination::Stdout, Destination::File);
        let secret = self.secret_of_values()?;
        let output = args.outputs.output.as_deref();
        let name = args.inputs.filename_override.as_deref().or(output);
        let keys = self.keys(name, self.rule(name)?.as_ref())?;
        let places = [name, output].into_iter().flatten().collect();
        copies::refuse_earlier(self.context, ToEncrypt { places, keys: &keys })?;
        let key = one(block_on(NewDataKey::make(&self.service, &[&keys])))?;
        let sealed = sealed_secret::seal(&secret, &args.options(), key)?;
        let format = args.manifest.of(&destination, Format::Yaml);
        let Output { bytes, warnings } = match args.raw {
            false => written(&[sealed], format)?,
            true => {
                let text = sealed_secret::fragment(&sealed, format)?;
                let place = Binding::of(&sealed)?;
                let head =
                    format!("# To be put into spec of a SealedSecret of scope {} ({place})\n", place.scope());
                let text = if format == Format::Json { text } else { head + &text };
                Output { bytes: SecretBytes::new(text.into_bytes()), warnings: Vec::new() }
            }
        };
        for warning in warnings {
            self.context.ui.warning(warning);
        }
        match output {
            None if args.outputs.dry_run => {}
            None => self.context.ui.out(&bytes)?,
            Some(path) => {
                refuse_plaintext(path)?;
                if args.outputs.dry_run {
                    self.context.ui.line(format!("would write {}", path.display()))?;
                } else {
                    pipeline::refuse_outside(path, self.context)?;
                    fs::write_atomic(path, &bytes, Mode::Public)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn secret_of_values(&self) -> Result<Secret> {
        let args = self.args;
        if args.from_file.is_empty() {
            let error = Error::new(Kind::Other, "--raw seals the values of --from-file, and there are none");
            return Err(error.advise("A value from standard input is --from-file KEY=-."));
        }
        let strict = args.place.scope.unwrap_or_default() == Scope::Strict;
        let name = match &args.place.name {
            Some(name) => name.clone(),
            // What is not bound to a name goes into an object of any.
            None if args.raw && !strict => "any".to_owned(),
            None => {
                let error = Error::new(Kind::Other, "the Secret has no name");
                return Err(error.advise("Give it a name with --name NAME."));
            }
        };
        Ok(Secret { name, items: self.items()?, ..Secret::default() })
    }

    /// The values that `--from-file` names.
    pub(super) fn items(&self) -> Result<std::collections::BTreeMap<String, SecretBytes>> {
        let mut items = std::collections::BTreeMap::new();
        let mut reads_stdin = false;
        for given in &self.args.from_file {
            let (key, path) = key_and_path(given)?;
            let is_stdin = path == Path::new("-");
            if is_stdin && std::mem::replace(&mut reads_stdin, true) {
                return Err(Error::new(Kind::Conflict, "standard input is one value, but was named for two"));
            }
            let input = Input::of(&path);
            let value = input.read(MAX_DATA).map_err(|error| error.in_file(input.shown()))?;
            sealed_secret::check_item_name(&key)?;
            if items.insert(key.clone(), value).is_some() {
                return Err(Error::new(Kind::Conflict, format!("two values have the name `{key}`")));
            }
        }
        Ok(items)
    }
}

/// `KEY=PATH`, or a path whose name is the key, as kubectl has it.
fn key_and_path(given: &str) -> Result<(String, PathBuf)> {
    let no_key = || {
        Error::new(Kind::Other, format!("--from-file {given}: the key is not known"))
            .advise("Name it before the path: --from-file KEY=PATH.")
    };
    let (key, path) = match given.split_once('=') {
        Some((key, path)) => (key.to_owned(), PathBuf::from(path)),
        None if given == "-" => return Err(no_key()),
        None => {
            let path = PathBuf::from(given);
            let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            (name.ok_or_else(no_key)?, path)
        }
    };
    if key.is_empty() || path.as_os_str().is_empty() { Err(no_key()) } else { Ok((key, path)) }
}

/// The one answer to one question.
pub(super) fn one<T>(mut answers: Vec<Result<T>>) -> Result<T> {
    answers.pop().unwrap_or_else(|| Err(Error::new(Kind::Other, "the key service gave no answer")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_before_the_path_or_is_its_name() {
        let of = |given| key_and_path(given).map(|(key, path)| (key, path.display().to_string()));
        let pair = |key: &str, path: &str| (key.to_owned(), path.to_owned());
        assert_eq!(of("a/tls.crt").unwrap(), pair("tls.crt", "a/tls.crt"));
        assert_eq!(of("k=a/b=c").unwrap(), pair("k", "a/b=c"));
        assert_eq!(of("k=-").unwrap(), pair("k", "-"));
        for given in ["-", "=a", "k=", "/"] {
            assert!(
                of(given).unwrap_err().advice().is_some_and(|advice| advice.contains("KEY=PATH")),
                "{given}"
            );
        }
    }
}
