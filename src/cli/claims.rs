//! Compares a file with its creation rule, at the edge: what we refuse, what we only report, and in which words.
//!
//! Owns the messages of [`crate::claims`], and that they are only warnings when we are called as `sops`.

use std::path::Path;

use crate::batch;
use crate::claims::{self, Comment, Difference, Edit, Exposed, Form, Pin, PlaceDifference, Says, Written};
use crate::cli::args::IdentityArgs;
use crate::cli::context::{Context, block_on};
use crate::config::{Configs, Policy};
use crate::document::Document;
use crate::encrypted_file::EncryptedFile;
use crate::error::{Error, Kind, Result};
use crate::keys::StartedBy;
use crate::rekey::SharingChange;
use crate::sealed_secret::{Binding, Scope, SealedSecret, items_of};
use crate::shown::typed;
use crate::sops::Encrypted;

/// How many paths a message names.
const SHOWN: usize = 5;

/// What to do about a change that writes something in plaintext that a rule says is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// One value is set. If a new file would encrypt it, it is written in plaintext only on request.
    Set { plaintext: bool },
    /// Somebody edited the whole file: new values are refused, changed ones are reported. Where comments decide, the
    /// comments that they added themselves count.
    Edit { plaintext: bool },
}

/// The creation rules that files are compared with.
pub struct Claims<'a> {
    context: &'a Context<'a>,
    configs: Configs,
}

impl<'a> Claims<'a> {
    pub fn new(context: &'a Context<'a>) -> Result<Self> {
        Ok(Self { context, configs: context.configs()? })
    }

    /// The rule of a file. sops needs none to change a file, so when we are called as `sops`, a broken one is no
    /// obstacle.
    fn rule(&self, file: &Path) -> Result<Option<Policy>> {
        match self.configs.matching_policy(file) {
            Err(_) if self.context.is_sops() => Ok(None),
            found => found,
        }
    }

    /// Refuses a document whose data key takes fewer groups than its rule says: somebody with too few shares by the
    /// rule could read what is written into it.
    pub fn refuse_shared_out_to_fewer(&self, path: &Path, file: &Encrypted) -> Result<()> {
        let Some(policy) = self.rule(path)? else { return Ok(()) };
        let found = claims::settings(&file.metadata, file.document(), Form::Encrypted, &policy)?;
        let is_fewer = |found: &&Difference| matches!(found, Difference::Sharing(_)) && found.is_weaker();
        match found.iter().find(is_fewer) {
            Some(difference) => self.refuse(conflict(path, difference, &policy)),
            None => Ok(()),
        }
    }

    /// Refuses or reports a change that writes something in plaintext that should be encrypted.
    pub fn review(&self, path: &Path, edit: &Edit<'_>, strictness: Strictness) -> Result<()> {
        let policy = self.rule(path)?;
        let (mut told, mut by_rule, mut by_default) = (Vec::new(), Vec::new(), Vec::new());
        let mut by_comments = Vec::new();
        for Written { leaf, is_new, says } in claims::written(edit, policy.as_ref())? {
            match (says, strictness) {
                (Says::Rule, Strictness::Set { .. }) => by_rule.push(leaf),
                (Says::Rule, Strictness::Edit { .. }) if is_new => by_rule.push(leaf),
                (Says::Default, Strictness::Set { plaintext: false }) if is_new => by_default.push(leaf),
                (Says::Comments(_), Strictness::Set { plaintext: false })
                | (Says::Comments(Comment::Old), Strictness::Edit { plaintext: false })
                    if is_new =>
                {
                    by_comments.push(leaf);
                }
                (Says::Comments(Comment::New), _) => {}
                _ => told.push(leaf),
            }
        }
        if let (false, Some(policy)) = (by_rule.is_empty(), &policy) {
            self.refuse(in_plaintext(path, edit, &by_rule, policy))?;
        }
        // sops writes in plaintext whatever the file says, and whoever calls us as sops expects that.
        if self.context.is_sops() {
            return Ok(());
        }
        if !by_default.is_empty() {
            return Err(not_asked_for(path, edit, &by_default));
        }
        if !by_comments.is_empty() {
            return Err(only_by_comments(path, edit, &by_comments));
        }
        if !told.is_empty() {
            self.context.ui.warning(format!(
                "{}: in plaintext, as the file's `{}` says: {}",
                path.display(),
                edit.selection,
                paths(&told, edit.after)
            ));
        }
        Ok(())
    }

    /// Refuses to write new values into a SealedSecret for a place other than the one that its rule pins.
    pub fn refuse_other_place(&self, path: &Path, sealed: &SealedSecret) -> Result<()> {
        let Some(policy) = self.rule(path)? else { return Ok(()) };
        let found = claims::place_of_sealed(sealed, &policy)?;
        match found.iter().find(|difference| difference.is_weaker()) {
            Some(difference) => self.refuse(conflict(path, difference, &policy)),
            None => Ok(()),
        }
    }

    /// Refuses to seal new values for a place that only the file names: `asked` (what the person says) does not confirm
    /// it, nor does the rule, nor the fact that all of the file opens there. `command` with the flags that it asks for
    /// seals them there.
    pub fn refuse_unnamed_place(
        &self,
        path: &Path,
        sealed: &SealedSecret,
        asked: Pin,
        is_known: bool,
        command: &dyn Fn(&str) -> String,
    ) -> Result<()> {
        let pinned = self.rule(path)?.map(|policy| Pin::of(&policy)).transpose()?.flatten();
        if is_known || asked.or(pinned.unwrap_or_default()).names_place_of(sealed) {
            return Ok(());
        }
        let place = Binding::of(sealed)?.place();
        let message = format!(
            "only the file itself says that it belongs to {place}: no rule pins it, and your identities do not open \
             everything in it"
        );
        Err(Error::new(Kind::Conflict, message).in_file(path).advise(format!(
            "If it belongs there, say so: `{}`. To say so permanently, pin it in the creation rule with \
             `sealant: {{{}}}`.",
            command(&flags(sealed)),
            pin_of(sealed)
        )))
    }

    /// Reports where a file is weaker than its rule, for a command that removes or repairs something, and goes on: if
    /// the comparison fails, that is not this command's concern.
    pub fn tell_weaker(&self, path: &Path, file: &EncryptedFile) {
        self.tell(path, file, Difference::is_weaker);
    }

    /// Like [`Claims::tell_weaker`], but only about which values are encrypted.
    pub fn tell_settings(&self, path: &Path, file: &EncryptedFile) {
        let is_told = |found: &Difference| found.is_weaker() && matches!(found, Difference::Selection { .. });
        self.tell(path, file, is_told);
    }

    fn tell(&self, path: &Path, file: &EncryptedFile, is_told: impl Fn(&Difference) -> bool) {
        // Programs read the output of sops commands, which print nothing when all went well.
        let Ok(Some(policy)) = self.rule(path).map(|rule| rule.filter(|_| !self.context.is_sops())) else {
            return;
        };
        let Ok(found) = claims::of_file(file, &policy) else { return };
        for difference in found.iter().flatten().filter(|difference| is_told(difference)) {
            let error = conflict(path, difference, &policy);
            let advice = error.advice().unwrap_or_default();
            self.context.ui.note(format!("{}: {}. {advice}", path.display(), error.message()));
        }
    }

    /// An error; a warning when we are called as `sops`.
    fn refuse(&self, error: Error) -> Result<()> {
        if !self.context.is_sops() {
            return Err(error);
        }
        self.context.ui.warning(error);
        Ok(())
    }

    /// Whether a SealedSecret belongs where it says, as far as the person's identities can tell: each of its data keys
    /// opens an item there. An error if one opens something sealed for another place. Never prompts.
    pub fn is_known_place(
        &self,
        path: &Path,
        sealed: &SealedSecret,
        identities: &IdentityArgs,
    ) -> Result<bool> {
        let host = self.context.host.asking_nobody();
        let service = identities.key_service_of(&host, StartedBy::Program)?;
        let spec = &sealed.spec;
        // One item of each data key: whoever moved the file may have added one of their own that opens there.
        let first = |id: &'_ str| items_of(spec, id).next();
        let wanted: Vec<_> =
            spec.data_keys.iter().filter_map(|entry| Some((path, sealed, Some(first(&entry.id)?)))).collect();
        let binding = Binding::of(sealed)?;
        let opened = block_on(batch::open_sealed(&service, &wanted));
        let mut is_known = !wanted.is_empty();
        for ((.., item), opened) in wanted.iter().zip(opened) {
            let (Ok(keys), Some(item)) = (opened, item) else {
                is_known = false;
                continue;
            };
            if keys.item(spec, &binding, item).is_err() {
                return Err(Error::new(
                    Kind::Conflict,
                    format!("its item `{item}` does not open as sealed for {}, which is what the file says", binding.place()),
                )
                .in_file(path)
                .advise(format!(
                    "Somebody changed its scope, namespace or name, or the item. Look at the change, and revert it: \
                     `git log -p -- {}`",
                    path.display()
                )));
            }
        }
        Ok(is_known)
    }
}

/// The flags for the place that a SealedSecret names.
fn flags(sealed: &SealedSecret) -> String {
    let quoted = |text: &str| typed(Path::new(text));
    let namespace = quoted(sealed.metadata.namespace.as_deref().unwrap_or_default());
    match sealed.spec.scope.unwrap_or_default() {
        Scope::Strict => format!("--namespace {namespace} --name {}", quoted(&sealed.metadata.name)),
        Scope::Namespace => format!("--namespace {namespace}"),
        Scope::Cluster => "--scope cluster".to_owned(),
    }
}

/// The same in the form of a rule.
fn pin_of(sealed: &SealedSecret) -> String {
    match (sealed.spec.scope.unwrap_or_default(), &sealed.metadata.namespace) {
        (Scope::Cluster, _) | (_, None) => "scope: cluster".to_owned(),
        (_, Some(namespace)) => format!("namespace: {namespace}"),
    }
}

/// Says which place values were sealed for, since it comes from the file alone.
pub fn tell_place(context: &Context, path: &Path, sealed: &SealedSecret) {
    if let Ok(binding) = Binding::of(sealed) {
        context.ui.say(format!("{}: sealed for {}", path.display(), binding.place()));
    }
}

/// Refuses a SealedSecret for a place other than the one that flags name.
pub fn refuse_other_than_asked(asked: &Pin, sealed: &SealedSecret) -> Result<()> {
    let Some(difference) = asked.differences(sealed).into_iter().next() else { return Ok(()) };
    let message = match difference {
        PlaceDifference::Scope { file, asked } => format!("its scope is {file}, and --scope says {asked}"),
        PlaceDifference::Namespace { file, asked } => {
            format!("its namespace is `{}`, and --namespace says `{asked}`", file.unwrap_or_default())
        }
        PlaceDifference::Name { file, asked } => format!("its name is `{file}`, and --name says `{asked}`"),
    };
    Err(Error::new(Kind::Conflict, message)
        .advise("The values in it are bound to their place: to move them, seal all of them again."))
}

/// The paths of some leaves of a document, as many as people read.
pub fn paths(leaves: &[Exposed], document: &dyn Document) -> String {
    let shown: Vec<String> = leaves.iter().take(SHOWN).map(|leaf| leaf.path(document)).collect();
    match leaves.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A rule, named by its config.
fn named(policy: &Policy) -> String {
    let file = policy.rule.file.file_name().unwrap_or_default().to_string_lossy();
    format!("{file}:{}", policy.rule.line)
}

fn in_plaintext(path: &Path, edit: &Edit<'_>, leaves: &[Exposed], policy: &Policy) -> Error {
    let asked = policy.selection.as_ref().map(ToString::to_string).unwrap_or_default();
    let message = format!(
        "{} would be in plaintext, as the file's `{}` says; {} says to encrypt it (`{asked}`)",
        paths(leaves, edit.after),
        edit.selection,
        named(policy)
    );
    Error::new(Kind::Conflict, message).in_file(path).advise(mending_settings(path))
}

fn mending_settings(path: &Path) -> String {
    format!(
        "Bring the file's settings in line with the rule: `sealant updatekeys --settings {}`",
        path.display()
    )
}

fn not_asked_for(path: &Path, edit: &Edit<'_>, leaves: &[Exposed]) -> Error {
    let message = format!(
        "{} would be in plaintext, as the file's `{}` says, though no rule does",
        paths(leaves, edit.after),
        edit.selection
    );
    Error::new(Kind::Conflict, message).in_file(path).advise(
        "If it is not a secret, add --plaintext. Otherwise choose a path whose values the file encrypts, or say in \
         the creation rule which values are secret, with encrypted_regex for instance, and run \
         `sealant updatekeys --settings`.",
    )
}

fn only_by_comments(path: &Path, edit: &Edit<'_>, leaves: &[Exposed]) -> Error {
    let message = format!(
        "{} would be in plaintext by `{}`, which leaves it to the file's comments, and anybody may have written \
         those",
        paths(leaves, edit.after),
        edit.selection
    );
    Error::new(Kind::Conflict, message).in_file(path).advise(
        "If it is not a secret, add --plaintext. Otherwise look at the comments before it with `sealant edit`, and \
         change them.",
    )
}

/// A difference that makes a file weaker than its rule, as an error.
fn conflict(path: &Path, difference: &Difference, policy: &Policy) -> Error {
    let (message, advice) = match difference {
        Difference::Sharing(SharingChange { before, after }) => (
            format!(
                "the file takes keys from {} of {} groups to decrypt, and {} asks for {} of {}",
                before.required,
                before.groups,
                named(policy),
                after.required,
                after.groups
            ),
            format!(
                "Bring the file in line with the rule, under a new data key: `sealant updatekeys --rotate {}`",
                path.display()
            ),
        ),
        Difference::Place(place) => (
            format!("the SealedSecret says {place}, as {} has it", named(policy)),
            format!(
                "If somebody changed the file, revert that: `git log -p -- {}`. If the rule is wrong, change its \
                 `sealant:` key.",
                path.display()
            ),
        ),
        Difference::Selection { file, exposed: claims::Exposure::Leaves(leaves), .. } => (
            format!(
                "{} in plaintext, as the file's `{file}` says, and {} says otherwise",
                if leaves.len() == 1 {
                    "a value is".to_owned()
                } else {
                    format!("{} values are", leaves.len())
                },
                named(policy)
            ),
            mending_settings(path),
        ),
        Difference::Selection { file, rule, .. } => (
            format!("the file encrypts `{file}`, and {} says `{rule}`", named(policy)),
            mending_settings(path),
        ),
        Difference::Recipients(_) | Difference::MacOnlyEncrypted(_) => (
            format!("the file is not encrypted as {} says", named(policy)),
            format!("See how it differs: `sealant updatekeys --dry-run {}`", path.display()),
        ),
    };
    Error::new(Kind::Conflict, message).in_file(path).advise(advice)
}
