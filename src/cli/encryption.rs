//! How plaintext files become encrypted ones: by flags, or else by their creation rules.
//!
//! Shared by the commands that encrypt whole files; owns what they refuse to encrypt.

use std::path::{Path, PathBuf};

use crate::batch::{self, OpenedDocument, Plain, Source};
use rayon::prelude::*;

use crate::cli::args::plain_path;
use crate::cli::args::{Destination, Formats, Input, Inputs, KeyArgs, RuleArgs};
use crate::cli::context::{Context, block_on};
use crate::cli::copies::{self, Neighbours, ToEncrypt};
use crate::cli::pipeline::{Item, Output, Passed, Taken, read};
use crate::cli::unnamed::{Unnamed, elsewhere, is_named_by};
use crate::config::{Configs, Policy, Selection};
use crate::document::{self, Document, Format, Losses};
use crate::encrypted_file::{self, EncryptedFile, KeyedPart, no_answer};
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Snapshot};
use crate::host::Host;
use crate::keys::{self, KeySet, Rekey};
use crate::policy::{self, Overrides, Recipe};
use crate::rekey::{self, Wish};
use crate::repo::check::{Finding, Rule, check};
use crate::repo::copies::lets_others_in;
use crate::sealed_secret;
use crate::secret::{DataKey, SecretBytes};
use crate::shown::typed;
use crate::sops::{self, Encrypted, MacCheck, Nature, kubernetes};

/// How plaintext files are encrypted: by flags, or else by their creation rules.
pub struct Encrypt<'a> {
    context: &'a Context<'a>,
    formats: Formats,
    configs: Configs,
    pub wanted: Overrides,
    /// Remove the annotation in which kubectl keeps a Secret's plaintext.
    pub strip_last_applied: bool,
    /// What happens to files that no rule names.
    pub unnamed: Unnamed,
    /// Where results go.
    pub destination: Destination,
}

/// What this command sees in a file that it found in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Encrypted,
    Empty,
    /// Identities: if they are a person's only ones, that person could not decrypt them again.
    Identities,
    Plaintext,
    /// It may be encrypted, and nobody can open it.
    Damaged,
}

impl<'a> Encrypt<'a> {
    pub fn new(context: &'a Context<'a>, formats: Formats, keys: &KeyArgs, rules: &RuleArgs) -> Result<Self> {
        if !context.is_sops() {
            keys.warn_of_empty(context.ui);
        }
        let wanted = Overrides {
            keys: keys.key_set(context.host)?,
            selection: rules.selection()?,
            mac_only_encrypted: rules.mac_only_encrypted,
            threshold: rules.shamir_secret_sharing_threshold,
            all_of_kubernetes: context.is_sops(),
        };
        let (configs, unnamed) = (context.configs()?, Unnamed::left());
        let destination = Destination::InPlace;
        Ok(Self { context, formats, configs, wanted, strip_last_applied: false, unnamed, destination })
    }

    /// Only by the creation rules of these configs, whatever flags and variables say.
    pub fn by_rules(context: &'a Context<'a>, formats: Formats, configs: Configs) -> Self {
        let (wanted, unnamed) = (Overrides::default(), Unnamed::left());
        let destination = Destination::InPlace;
        Self { context, formats, configs, wanted, strip_last_applied: false, unnamed, destination }
    }

    /// The rules by which it encrypts.
    pub fn configs(&self) -> &Configs {
        &self.configs
    }

    /// Those of the inputs that were only found, are in plaintext, and match no rule that names them.
    pub fn unnamed_among(&self, inputs: &Inputs) -> Vec<PathBuf> {
        let found = inputs.inputs.par_iter().filter(|input| !input.named);
        let is_unnamed = |input: &Input| {
            let rule = self.rule_of(input).ok()?;
            if is_named_by(rule.as_ref()) || (rule.is_none() && self.wanted.keys.is_none()) {
                return None;
            }
            let source = read(input, self.formats).ok()?;
            (found_as(&source) == Found::Plaintext).then_some(source.path)
        };
        found.filter_map(is_unnamed).collect()
    }

    /// Whether a file that was only found is skipped.
    fn passed_by(&self, source: &Source, rule: Option<&Policy>) -> Result<Option<Passed>> {
        match found_as(source) {
            Found::Encrypted => {
                self.unnamed.note(rule);
                refuse_plaintext_inside(source, rule)?;
                Ok(Some(Passed::Already))
            }
            Found::Empty => Ok(Some(Passed::Other)),
            Found::Identities if is_named_by(rule) => Err(identities_named(&source.path)),
            Found::Identities => {
                let path = plain_path(&source.path);
                self.context.ui.note(format!("{}: it holds identities, and was left alone", path.display()));
                Ok(Some(Passed::Other))
            }
            Found::Plaintext => Ok(self.unnamed.passes_by(rule, self.wanted.keys.is_some())),
            Found::Damaged => Ok(None),
        }
    }

    /// Reads a file and decides how it is encrypted, unless it was only found, and is not meant.
    pub fn prepare(&self, item: Item) -> Result<Taken<Plain>> {
        let rule = self.rule_of(&item.input)?;
        if !item.input.named
            && let Some(why) = self
                .passed_by(&item.source, rule.as_ref())
                .map_err(|error| error.in_file(item.input.shown()))?
        {
            return Ok(Taken::Passed(why));
        }
        self.plain_by(item, rule).map(Taken::On)
    }

    /// Reads a file and decides how it is encrypted.
    pub fn plain(&self, item: Item) -> Result<Plain> {
        let rule = self.rule_of(&item.input)?;
        self.plain_by(item, rule)
    }

    fn plain_by(&self, Item { input, mut source }: Item, rule: Option<Policy>) -> Result<Plain> {
        let name = input.name.as_deref();
        let in_file = |error: Error| error.in_file(input.shown());
        if name.is_none() && self.wanted.keys.is_none() {
            return Err(Error::new(Kind::Conflict, "has no name to choose a creation rule by")
                .in_file(input.shown())
                .advise(
                    "Say which file it becomes (--output FILE, or --filename-override FILE), or name recipients with --age.",
                ));
        }
        match name {
            Some(name) => self.tell_type(&source, name),
            None => self.find_type(&mut source),
        }
        let document = self.parse(&mut source, name).map_err(in_file)?;
        let document = if self.context.is_sops() {
            document
        } else {
            self.without_last_applied(document).map_err(in_file)?
        };
        if self.context.is_sops() {
            refuse_two_selections(&*document, &self.wanted, rule.as_ref()).map_err(in_file)?;
        }
        let recipe = policy::recipe(&*document, &self.wanted, rule.as_ref());
        let recipe = recipe.map_err(|error| match (&rule, name) {
            (None, Some(name)) => {
                let advice = self.configs.advice_for(name);
                in_file(error.advise(format!("{advice}, or name recipients with --age.")))
            }
            _ => in_file(error),
        })?;
        if self.context.is_sops() && recipe.selection != Selection::default() {
            self.warn_of_last_applied(&*document, input.shown());
        }
        if recipe.is_preset {
            self.context.ui.note(format!(
                "{}: a Kubernetes Secret, so only data and stringData are encrypted",
                input.shown().display()
            ));
        }
        let place = self.destination.path_for(&input);
        if self.wanted.keys.is_none() {
            let to = place.as_deref();
            refuse_for_others(self.context, &self.configs, "encrypt", &input, to, &recipe.keys)?;
        }
        Ok(Plain { path: source.path, name: input.name, place, document, recipe })
    }

    fn rule_of(&self, input: &Input) -> Result<Option<Policy>> {
        input.name.as_deref().map_or(Ok(None), |name| self.rule(name, input.named))
    }

    /// The creation rule of a file. That none matches matters for what was named alone, and not if flags say for whom;
    /// to sops it always does.
    fn rule(&self, name: &Path, named: bool) -> Result<Option<Policy>> {
        let may_be_missing = !self.context.is_sops() && (!named || self.wanted.keys.is_some());
        self.context.tell_misled(&self.configs, name);
        match self.configs.policy_for(&absolute(self.context, name)?) {
            Err(error) if error.kind() == Kind::Other && may_be_missing => Ok(None),
            Err(error) if error.kind() == Kind::Other && !self.context.is_sops() => {
                Err(match elsewhere(&self.configs, name, "encrypt -i", self.context) {
                    Some(advice) => {
                        let explain = format!(
                            "`sealant explain {}` says how they are matched",
                            typed(&plain_path(name))
                        );
                        error.advise(format!("{advice}. Or add a rule for it: {explain}."))
                    }
                    None => error,
                })
            }
            found => found,
        }
    }

    /// How somebody makes a file that is not there; `None` where no rule says plainly where it could be.
    pub fn advice_to_make(&self, file: &Path) -> Option<String> {
        match self.configs.matching_policy(file) {
            Ok(Some(_)) => {
                Some(format!("To make it, encrypted: `sealant edit {}`", typed(&plain_path(file))))
            }
            _ => elsewhere(&self.configs, file, "encrypt -i", self.context),
        }
    }

    /// Whether nothing has told us the file's type yet.
    fn is_of_no_type(&self, source: &Source) -> bool {
        !self.context.is_sops() && self.formats.input.is_none() && source.format == Format::Binary
    }

    /// Takes what has no name as what is in it, and says so: keys stay in plaintext.
    fn find_type(&self, source: &mut Source) {
        if !self.is_of_no_type(source) {
            return;
        }
        source.format = document::format_of_plaintext(&source.bytes);
        let shown = source.path.display();
        self.context.ui.note(match source.format {
            Format::Binary => format!(
                "{shown}: encrypted as a whole, because it is not clearly YAML, JSON, INI or dotenv; --input-type \
                 names another type"
            ),
            format => format!(
                "{shown}: taken as {format}, so its keys stay in plaintext; to encrypt all of it: --input-type binary"
            ),
        });
    }

    /// Says how the values of a file are encrypted whose name says only to us what it is: to sops it is binary.
    fn tell_type(&self, source: &Source, name: &Path) {
        let Some(format) = Format::within_name(name).filter(|_| self.is_of_no_type(source)) else {
            return;
        };
        if document::parse(format, source.bytes.clone(), false).is_ok_and(|parsed| !parsed.tree().is_empty())
        {
            let typed = typed(&plain_path(name));
            // What is encrypted by now is no plaintext of that type.
            let command = match self.destination {
                Destination::InPlace => {
                    format!("sealant decrypt -i {typed} && sealant encrypt -i --input-type {format} {typed}")
                }
                _ => format!("sealant encrypt -i --input-type {format} {typed}"),
            };
            self.context.ui.note(format!(
                "{typed}: encrypted as a whole, because sops treats a file of this name as binary; to encrypt only \
                 its values: `{command}`"
            ));
        }
    }

    fn parse(&self, source: &mut Source, name: Option<&Path>) -> Result<Box<dyn Document>> {
        // Called as sops, an empty JSON file is broken, as the parser says. An empty dotenv or INI file is fine.
        let is_nothing = match source.format {
            Format::Yaml => true,
            Format::Json => !self.context.is_sops(),
            Format::Dotenv | Format::Ini | Format::Binary => false,
        };
        if source.bytes.is_empty() && is_nothing {
            return Err(Error::new(Kind::EmptyFile, "the file is empty: there is nothing to encrypt").advise(
                "If your command ends in `> FILE`, the shell has emptied the file before anything read it: with -i the file \
                 is encrypted in place.",
            ));
        }
        let is_wide = document::is_utf16(&source.bytes);
        if !self.context.is_sops() && (is_wide || source.format == Format::Binary) {
            encrypted_file::nature(source.format, &source.bytes)?.refuse_encryption()?;
            if encrypted_file::may_be_wide(source.format) {
                let shown = source.path.display();
                self.context.ui.warning(format!(
                    "{shown}: is in UTF-16, and will be decrypted to UTF-8, which is what sops \
                                      writes"
                ));
            }
        }
        let document = self.read(source)?;
        match self.context.is_sops() {
            true if sops::is_encrypted(&*document) => return Err(sops::already_encrypted()),
            true => {}
            false => {
                refuse_sealed(&*document)?;
                Nature::of(&*document).refuse_encryption()?;
            }
        }
        let target = self.formats.of_encrypted(source.format, name, self.context.dialect);
        if target == source.format {
            return Ok(document);
        }
        document::parse(target, document::convert(&*document, target, Losses::Refused)?, false)
    }

    /// A plaintext. Keys that appear twice are common in dotenv files, and sops accepts them in others.
    fn read(&self, source: &mut Source) -> Result<Box<dyn Document>> {
        let bytes = std::mem::take(&mut source.bytes);
        if source.format != Format::Dotenv && !self.context.is_sops() {
            return document::parse(source.format, bytes, false);
        }
        let document = document::parse_any(source.format, bytes, false)?;
        if let Some((what, _)) = document::repeated(&*document) {
            let shown = source.path.display();
            self.context.ui.warning(format!("{shown}: {what}: most programs take the last"));
        }
        Ok(document)
    }

    fn without_last_applied(&self, document: Box<dyn Document>) -> Result<Box<dyn Document>> {
        let found = kubernetes::last_applied(&*document);
        let Some(&first) = found.first() else { return Ok(document) };
        if !self.strip_last_applied {
            return Err(Error::new(
                Kind::Encrypt,
                format!("the annotation {} holds the Secret in plaintext", kubernetes::LAST_APPLIED),
            )
            .on_line(document.line(first))
            .advise("Add --strip-last-applied to take it out."));
        }
        let mut edits = document::Edits::default();
        for node in found {
            edits.merge(document.remove(&[node])?);
        }
        let text = edits.apply(document.source());
        document::parse(document.format(), SecretBytes::new(text.as_bytes().to_vec()), false)
    }

    /// Something that sops would accept may still deserve a warning.
    fn warn_of_last_applied(&self, document: &dyn Document, shown: &Path) {
        let Some(&first) = kubernetes::last_applied(document).first() else { return };
        let (shown, line) = (shown.display(), document.line(first));
        self.context.ui.warning(format!(
            "{shown}:{line}: the annotation {} holds the Secret in plaintext, and stays that way",
            kubernetes::LAST_APPLIED
        ));
    }

    /// Encrypts files by `encrypt`, but for those that were encrypted for fewer readers when Git got them.
    pub fn all(
        &self,
        files: Vec<Plain>,
        encrypt: impl FnOnce(&[Plain]) -> Vec<Result<sops::Ciphertext>>,
    ) -> Vec<Result<Option<Output>>> {
        let done = copies::encrypt_allowed(self.context, false, files, to_encrypt, |files| encrypt(&files));
        done.into_iter().map(|file| Ok(Some(Output::from(file?)))).collect()
    }

    /// Encrypts one file beside an older state of it, which stays as it is where nothing differs. Anybody can make a
    /// file, and know its data key: so that key stays only if nothing comes under it that was not under it before, and if
    /// nobody else has it.
    pub fn onto(
        &self,
        old: &Path,
        files: &[Plain],
        service: &crate::keys::KeyService<'_>,
    ) -> Result<sops::Ciphertext> {
        let Some(Plain { document, recipe, path, .. }) = files.first() else {
            return Err(Error::new(Kind::NoFile, "no file was given"));
        };
        let old_file = open_old(old, document.format(), service)?;
        let why_new = match self.why_not_kept(path, &old_file, &**document, recipe)? {
            None if old_file.is_already(&**document, recipe)? => {
                let bytes = old_file.file.document().source().as_bytes().to_vec();
                return Ok(sops::Ciphertext { bytes, warnings: Vec::new() });
            }
            why => why,
        };
        if let Some(why) = &why_new {
            self.context.ui.note(format!(
                "{}: a new data key, and a new ciphertext for each value: {} {why}. `sealant edit` and `sealant set` keep a file's data key",
                path.display(),
                old.display()
            ));
        }
        let Old { file, key: old_key, .. } = &old_file;
        let (key, keys) = match why_new {
            Some(_) => {
                let new = block_on(service.new_data_keys(&[&recipe.keys])).pop();
                new.unwrap_or_else(|| Err(no_answer()))?
            }
            None => {
                let wrapped = &file.metadata.keys;
                let request = Rekey { data_key: old_key, content: file, wrapped, keys: &recipe.keys };
                let keys = block_on(service.rekey_many(&[request])).pop();
                (old_key.clone(), keys.unwrap_or_else(|| Err(no_answer()))?)
            }
        };
        let metadata = sops::Metadata::new(keys, recipe.selection.clone(), recipe.mac_only_encrypted);
        let onto = Some(&old_file.file).filter(|_| key == old_file.key);
        sops::encrypt(&**document, metadata, &key, self.context.host.now(), onto)
    }

    /// Why a file cannot have the data key of an older version; `None` if it can.
    fn why_not_kept(
        &self,
        path: &Path,
        old: &Old,
        document: &dyn Document,
        recipe: &Recipe,
    ) -> Result<Option<&'static str>> {
        if let Some(why) = old.why_not_kept(document, recipe)? {
            return Ok(Some(why));
        }
        let bytes = SecretBytes::new(old.file.document().source().as_bytes().to_vec());
        let file = EncryptedFile::parse(document.format(), bytes)?;
        let mut neighbours = Neighbours::with_versions(self.context, [path])?;
        neighbours.ask_about(path, [&file]);
        let refused = neighbours
            .refuse(path, &file, &recipe.keys)
            .and_then(|()| neighbours.refuse_key(path, &old.key, &recipe.keys));
        match refused {
            Err(error) if error.kind() == Kind::Conflict => {
                Ok(Some("shares its data key or a value with a file that is for other readers"))
            }
            other => other.map(|()| None),
        }
    }
}

/// What a file counts as, and where it goes.
pub fn to_encrypt(file: &Plain) -> ToEncrypt<'_> {
    let mut places: Vec<&Path> = file.name.iter().chain(&file.place).map(PathBuf::as_path).collect();
    places.dedup();
    ToEncrypt { places, keys: &file.recipe.keys }
}

/// Refuses to write what is for the readers of the input's rule to a place whose own rule does not name them all: by the name
/// `command` has. Whoever names a rule or recipients means them.
pub fn refuse_for_others(
    context: &Context,
    configs: &Configs,
    command: &str,
    input: &Input,
    place: Option<&Path>,
    keys: &KeySet,
) -> Result<()> {
    let (Some(path), Some(place)) = (&input.path, place) else { return Ok(()) };
    if context.is_sops() || input.name.as_ref() != Some(path) || place == path {
        return Ok(());
    }
    let located = configs.locate(place)?;
    let folder = located.config().and_then(|config| config.path().parent());
    if !folder.is_some_and(|folder| located.real().starts_with(folder)) {
        return Ok(());
    }
    let Some(rule) = policy::keys_of_file(configs, place)?.filter(|rule| lets_others_in(keys, rule)) else {
        return Ok(());
    };
    let known: Vec<_> = rule.groups.iter().flatten().collect();
    let strangers = keys.groups.iter().flatten().filter(|key| !known.contains(key));
    let strangers: Vec<String> = strangers.map(|key| format!("  {key}")).collect();
    let what = match strangers.is_empty() {
        true => "takes keys from more groups",
        false => "does not name:",
    };
    let message =
        format!("the rule of {} names readers for it, and the rule of this place {what}", path.display());
    let (path, place) = (typed(path), plain_path(place));
    let advice = format!(
        "For the readers of this place: `sealant {command} --filename-override {0} --output {0} {path}`",
        typed(&place)
    );
    Err(Error::new(Kind::Conflict, message).listing(strangers).in_file(place).advise(advice))
}

/// What a file that was only found is. One that cannot be read as its type is in plaintext, as far as that can be told.
fn found_as(Source { format, bytes, .. }: &Source) -> Found {
    match encrypted_file::nature(*format, bytes) {
        Ok(Nature::Encrypted) => Found::Encrypted,
        Ok(Nature::Damaged(_)) => Found::Damaged,
        _ if bytes.trim_ascii().is_empty() => Found::Empty,
        _ if keys::holds_only_identities(bytes) => Found::Identities,
        _ => Found::Plaintext,
    }
}

fn identities_named(path: &Path) -> Error {
    let message = "it holds identities, and without them nobody could decrypt it again: left alone";
    Error::new(Kind::Conflict, message).advise(format!(
        "Move it somewhere else; or, if others can decrypt it, name the file: `sealant encrypt -i {}`.",
        typed(&plain_path(path))
    ))
}

/// To sops a flag takes the place of the rule's own way to select values only where it is the same way.
fn refuse_two_selections(document: &dyn Document, wanted: &Overrides, rule: Option<&Policy>) -> Result<()> {
    let asked = (&wanted.selection, rule.and_then(|rule| rule.selection.as_ref()));
    match asked {
        (Some(flag), Some(rule))
            if flag.field_name() != rule.field_name() && document.format() != Format::Binary =>
        {
            Err(Error::new(
                Kind::Conflict,
                format!(
                    "a flag asks for {}, but the creation rule for {}",
                    flag.field_name(),
                    rule.field_name()
                ),
            )
            .advise("Remove the flag, or change the rule."))
        }
        _ => Ok(()),
    }
}

/// An older state of a file, of which nothing was changed by somebody without its data key.
struct Old {
    file: Encrypted,
    key: DataKey,
    plaintext: SecretBytes,
}

fn open_old(path: &Path, format: Format, service: &crate::keys::KeyService<'_>) -> Result<Old> {
    let bytes = fs::read(path, format.most_bytes() as u64)?;
    let source = Source { path: path.to_path_buf(), format, snapshot: Snapshot::of(&bytes), bytes };
    let OpenedDocument { file, key, .. } = block_on(batch::open_document(service, source))?;
    let plaintext = file.decrypt(&key, MacCheck::Verify).map_err(|error| {
        let advice = "restore the file from Git, or remove --onto: then the file gets a new data key, and every \
                      value a new ciphertext";
        error.advise(advice).in_file(path)
    })?;
    Ok(Old { file, key, plaintext: plaintext.bytes })
}

impl Old {
    /// The same, as far as the two themselves show.
    fn why_not_kept(&self, document: &dyn Document, recipe: &Recipe) -> Result<Option<&'static str>> {
        let holder = KeyedPart::Document(&self.file.metadata.keys);
        if rekey::recipients(holder, Some(&recipe.keys), &Wish::default()).is_err() {
            return Ok(Some("is for other recipients"));
        }
        let known =
            sops::all_contents(&*document::parse_any(document.format(), self.plaintext.clone(), false)?)?;
        let is_known = sops::encrypted_contents(document, &recipe.selection)?.is_subset(&known);
        Ok((!is_known).then_some(
            "does not contain all of them, so the person who made its data key could read the others",
        ))
    }

    /// Whether a file is this one already, in plaintext and settings.
    fn is_already(&self, document: &dyn Document, recipe: &Recipe) -> Result<bool> {
        let metadata = &self.file.metadata;
        Ok(document.plaintext_file()? == self.plaintext
            && metadata.keys.is_shared_as(&recipe.keys)
            && rekey::names(&metadata.keys) == recipe.keys.groups
            && metadata.selection == recipe.selection
            && metadata.mac_only_encrypted == recipe.mac_only_encrypted)
    }
}

/// Refuses a file that is encrypted, and not all of it: what was found in a folder is skipped only if it is safe.
fn refuse_plaintext_inside(source: &Source, rule: Option<&Policy>) -> Result<()> {
    let is_plaintext =
        |finding: &Finding| matches!(finding.rule, Rule::Plaintext | Rule::Comment | Rule::Secret);
    let findings =
        check(source.format, source.bytes.clone(), rule)?.findings.into_iter().filter(is_plaintext);
    let findings: Vec<Finding> = findings.collect();
    let Some(first) = findings.first() else { return Ok(()) };
    let more = match findings.len() {
        1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    let message = format!("the file is encrypted already, but not all of it: {}{more}", first.message);
    Err(Error::new(Kind::AlreadyEncrypted, message)
        .on_line(first.line)
        .advise("remove these, and add them with `sealant edit`"))
}

/// SealedSecrets are not encrypted again, even if they are in a folder that is encrypted.
fn refuse_sealed(document: &dyn Document) -> Result<()> {
    let sealed = sealed_secret::objects(document);
    let Some(&first) = sealed.first() else { return Ok(()) };
    let is_nothing_else = document.tree().documents().len() <= sealed.len();
    let (kind, message, advice) = match is_nothing_else {
        true => (
            Kind::AlreadyEncrypted,
            "this is a SealedSecret: its values are encrypted already",
            "Change it with `sealant edit FILE`, its recipients with `sealant updatekeys FILE`.",
        ),
        false => (
            Kind::Conflict,
            "a SealedSecret, whose values are encrypted already, is in one file with other objects",
            "Move it to a file of its own.",
        ),
    };
    Err(Error::new(kind, message).on_line(document.line(first)).advise(advice))
}

/// The path as creation rules see it.
fn absolute(context: &Context, path: &Path) -> Result<PathBuf> {
    Ok(context.lookup()?.working_dir.join(path))
}
