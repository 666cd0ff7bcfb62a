//! Sealing into a SealedSecret that is there: `--merge-into`, which opens nothing, and `--onto`, which keeps what did
//! not change.

use std::path::Path;
use std::process::ExitCode;

use super::values::one;
use super::{Prepared, Seal, format, named, written};
use crate::batch;
use crate::claims::Pin;
use crate::cli::args::{Formats, Input, by_name};
use crate::cli::claims::{refuse_other_than_asked, tell_place};
use crate::cli::context::block_on;
use crate::cli::manifests;
use crate::cli::pipeline::{self, Output};
use crate::encrypted_file::{KeyedPart, write_sealed};
use crate::error::{Error, Kind, Result};
use crate::fs::{Lock, Snapshot};
use crate::keys::{KeySet, MasterKey};
use crate::policy;
use crate::rekey::{self, Wish};
use crate::sealed_secret::{self, NewDataKey, OpenedKeys, SealedFile, SealedSecret, Secret};
use crate::shown::typed;
use crate::sops::Ciphertext;

impl Seal<'_> {
    /// Puts Secrets into the SealedSecrets of a file, in place.
    pub(super) fn merge_into(&self, path: &Path) -> Result<ExitCode> {
        let secrets = self.given()?;
        // From reading to writing: of two runs at once, the second one builds on the first. That there is no such file
        // is for reading to tell.
        let lock = Lock::exclusive(path);
        let (file, snapshot) = read(path)?;
        let _lock = lock?;
        let in_file = |error: Error| error.in_file(path);
        let mut new: Vec<Option<SealedSecret>> = file.objects.iter().map(|_| None).collect();
        let mut merged = 0;
        for secret in &secrets {
            let at = self.place_of(secret, secrets.len(), &file).map_err(in_file)?;
            let old = new[at].as_ref().unwrap_or(&file.objects[at].1);
            refuse_other_than_asked(&self.asked(), old).map_err(in_file)?;
            refuse_other_secret(secret, old).map_err(in_file)?;
            self.claims.refuse_other_place(path, old)?;
            let is_known = self.claims.is_known_place(path, old, &self.args.identities)?;
            self.refuse_unnamed_place(path, old, secret, is_known)?;
            let keys = self.keys_of(old, path).map_err(in_file)?;
            let key = one(block_on(NewDataKey::make(&self.service, &[&keys]))).map_err(in_file)?;
            new[at] = Some(sealed_secret::merge_into(old, secret, key).map_err(in_file)?);
            merged += secret.items.len();
        }
        let Ciphertext { bytes, warnings } = write_sealed(&file, &new).map_err(in_file)?;
        for warning in warnings {
            self.context.ui.warning(format!("{}: {warning}", path.display()));
        }
        if self.args.outputs.dry_run {
            self.context.ui.line(format!("would write {}", path.display()))?;
            return Ok(ExitCode::SUCCESS);
        }
        pipeline::replace(path, &bytes, &snapshot, self.context)?;
        let values = if merged == 1 { "value" } else { "values" };
        self.context.ui.say(format!("{}: {merged} {values} sealed into it", path.display()));
        new.iter().flatten().for_each(|sealed| tell_place(self.context, path, sealed));
        Ok(ExitCode::SUCCESS)
    }

    /// The Secrets that are to go into a file: those of one manifest, or one that is made of values.
    fn given(&self) -> Result<Vec<Secret>> {
        if !self.args.from_file.is_empty() {
            return Ok(vec![Secret { items: self.items()?, ..Secret::default() }]);
        }
        let inputs = self.args.inputs.inputs()?;
        let [input] = &inputs.inputs[..] else {
            return Err(match inputs.errors.into_iter().next() {
                Some(error) => error,
                None => Error::new(Kind::Conflict, "--merge-into takes one manifest, and several were given"),
            });
        };
        let in_file = |error: Error| error.in_file(input.shown());
        let mut source = pipeline::read(input, Formats::default())?;
        let format = format(&source).map_err(in_file)?;
        let documents = manifests::parse(format, std::mem::take(&mut source.bytes)).map_err(in_file)?;
        let secrets = self.secrets(&documents).map_err(in_file)?;
        match secrets.iter().find(|secret| secret.items.is_empty()) {
            Some(empty) if !self.args.allow_empty_data => {
                let message = format!("{} has neither data nor stringData", named(empty));
                Err(in_file(
                    Error::new(Kind::Other, message).advise("To merge it anyway, add --allow-empty-data."),
                ))
            }
            _ => Ok(secrets),
        }
    }

    /// Into which object of a file a Secret goes: the only one, or the one that is called as it is.
    fn place_of(&self, secret: &Secret, count: usize, file: &SealedFile) -> Result<usize> {
        match (&file.objects[..], count) {
            ([_], 1) => Ok(0),
            _ => self.same(secret, file)?.ok_or_else(|| {
                let message = match secret.name.as_str() {
                    "" => "it holds several SealedSecrets, and no name says which one to use".to_owned(),
                    name => format!("it has no SealedSecret `{name}`"),
                };
                let name = |(_, sealed): &(_, SealedSecret)| sealed.metadata.name.clone();
                let names: Vec<String> = file.objects.iter().map(name).collect();
                Error::new(Kind::Conflict, message).advise(format!("The file has {}.", names.join(", ")))
            }),
        }
    }

    /// The object of a file that has the name of a Secret, and its namespace where both say one. An error where several do:
    /// anybody can have put one before the other.
    fn same(&self, secret: &Secret, file: &SealedFile) -> Result<Option<usize>> {
        let name = self.args.place.name.as_ref().unwrap_or(&secret.name);
        let namespace = secret.namespace.as_ref().or(self.args.place.namespace.as_ref());
        let is_same = |sealed: &SealedSecret| {
            let other = sealed.metadata.namespace.as_ref();
            sealed.metadata.name == *name && (namespace.is_none() || other.is_none() || namespace == other)
        };
        let found: Vec<usize> = (0..file.objects.len()).filter(|&at| is_same(&file.objects[at].1)).collect();
        let is_exact =
            |at: &usize| namespace.is_some() && file.objects[*at].1.metadata.namespace.as_ref() == namespace;
        let exact: Vec<usize> = found.iter().copied().filter(is_exact).collect();
        match if exact.is_empty() { &found[..] } else { &exact[..] } {
            [] => Ok(None),
            [only] => Ok(Some(*only)),
            several => {
                let namespaces: Vec<String> = several
                    .iter()
                    .map(|&at| file.objects[at].1.metadata.namespace.clone().unwrap_or_default())
                    .collect();
                let message = format!(
                    "it holds several SealedSecrets `{name}`, and no namespace says which one to use"
                );
                Err(Error::new(Kind::Conflict, message).advise(format!(
                    "Add --namespace, or name it in the Secret. The namespaces are {}.",
                    namespaces.join(", ")
                )))
            }
        }
    }

    /// The place that flags name.
    fn asked(&self) -> Pin {
        let place = &self.args.place;
        Pin { scope: place.scope, namespace: place.namespace.clone(), name: place.name.clone() }
    }

    /// Refuses a place that neither flags nor the Secret name.
    fn refuse_unnamed_place(
        &self,
        path: &Path,
        old: &SealedSecret,
        secret: &Secret,
        is_known: bool,
    ) -> Result<()> {
        // Its name is compared with the file's as it is: where the scope does not bind to names, it says nothing.
        let namespace = secret.namespace.clone().filter(|namespace| !namespace.is_empty());
        let of_secret = Pin { namespace, ..Pin::default() };
        let again = |flags: &str| self.again(path, flags);
        self.claims.refuse_unnamed_place(path, old, self.asked().or(of_secret), is_known, &again)
    }

    /// This command with flags more.
    fn again(&self, path: &Path, flags: &str) -> String {
        let how = if self.args.onto.is_some() { "--onto" } else { "--merge-into" };
        let mut line = format!("sealant seal {how} {} {flags}", typed(path));
        for from in &self.args.from_file {
            line += &format!(" --from-file {}", typed(Path::new(from)));
        }
        for file in &self.args.inputs.files {
            line += &format!(" {}", typed(file));
        }
        line
    }

    /// For whom a new data key of an object is: whom flags name, else whom the creation rule of its file names, else
    /// those who can read all of it now.
    fn keys_of(&self, sealed: &SealedSecret, path: &Path) -> Result<KeySet> {
        if let Some(keys) = &self.wanted.keys {
            return sealed_secret::refuse_foreign(keys).map(|()| keys.clone());
        }
        let rule = self.rule(Some(path))?;
        let named = rule.as_ref().map(|rule| policy::keys(&self.wanted, Some(rule))).transpose()?;
        let wish =
            Wish { allow: by_name(&self.args.allow_recipient, &self.context.names()), ..Wish::default() };
        let keys = rekey::recipients(KeyedPart::Sealed(sealed), named.as_ref(), &wish)?;
        if named.is_none() {
            let list = keys.groups.iter().flatten().map(|key| format!("  {key}")).collect();
            let message =
                "no creation rule names recipients, so new values are encrypted for those of the file:";
            self.tell_once(format!("{}: {message}", path.display()), list);
        }
        sealed_secret::refuse_foreign(&keys).map(|()| keys)
    }

    /// Seals Secrets whose older states are in a file, and keeps the ciphertexts of what did not change.
    pub(super) fn onto(&self, path: &Path, prepared: Prepared) -> Result<Output> {
        let Prepared { secrets, format, shown, .. } = prepared;
        let (file, _) = read(path)?;
        let in_old = |error: Error| error.in_file(path);
        let olds = secrets.iter().map(|secret| self.same(secret, &file)).collect::<Result<Vec<_>>>();
        let olds: Vec<Option<usize>> = olds.map_err(in_old)?;
        if olds.iter().all(Option::is_none) {
            let names: Vec<&str> =
                file.objects.iter().map(|(_, sealed)| sealed.metadata.name.as_str()).collect();
            let error = Error::new(
                Kind::Conflict,
                format!("it has no SealedSecret of the same name: there are {}", names.join(", ")),
            );
            return Err(in_old(error.advise("Remove --onto to seal it as a new one.")));
        }
        let wanted: Vec<_> = olds.iter().flatten().map(|at| (path, &file.objects[*at].1, None)).collect();
        let mut opened = block_on(batch::open_sealed(&self.service, &wanted)).into_iter();
        let mut sealed = Vec::new();
        for (secret, old) in secrets.iter().zip(&olds) {
            let result = match old {
                Some(at) => {
                    let (node, old) = &file.objects[*at];
                    let keys = opened.next().unwrap_or_else(|| one(Vec::new()));
                    keys.and_then(|keys| self.sealed_onto(old, &keys, secret, path))
                        .map_err(|error| in_old(error.on_line(file.document.line(*node))))
                }
                None => self.sealed_new(secret, path).map_err(|error| error.in_file(&shown)),
            };
            sealed.push(result?);
        }
        // Of a file that holds the same objects, all else stays.
        if olds.iter().flatten().count() == file.objects.len() && file.document.format() == format {
            let mut new: Vec<Option<SealedSecret>> = file.objects.iter().map(|_| None).collect();
            for (sealed, at) in sealed.iter().zip(olds.iter().flatten()) {
                new[*at] = Some(sealed.clone());
            }
            if olds.len() == file.objects.len() && new.iter().all(Option::is_some) {
                return write_sealed(&file, &new).map(Output::from).map_err(in_old);
            }
        }
        written(&sealed, format)
    }

    fn sealed_new(&self, secret: &Secret, path: &Path) -> Result<SealedSecret> {
        let keys = self.keys(Some(path), self.rule(Some(path))?.as_ref())?;
        let key = one(block_on(NewDataKey::make(&self.service, &[&keys])))?;
        let sealed = sealed_secret::seal(secret, &self.args.options(), key)?;
        self.claims.refuse_other_place(path, &sealed).map(|()| sealed)
    }

    fn sealed_onto(
        &self,
        old: &SealedSecret,
        opened: &OpenedKeys,
        secret: &Secret,
        path: &Path,
    ) -> Result<SealedSecret> {
        refuse_other_than_asked(&self.asked(), old)?;
        if secret.items.is_empty() && !self.args.allow_empty_data {
            let error = Error::new(Kind::Other, "the Secret has neither data nor stringData");
            return Err(error.advise("To seal it anyway, add --allow-empty-data."));
        }
        let namespace = secret.namespace.clone().or_else(|| old.metadata.namespace.clone());
        let given = secret;
        let secret = Secret { namespace, ..secret.clone() };
        let changes = sealed_secret::difference(old, opened, &secret)?;
        if !changes.values().any(Option::is_some) {
            return sealed_secret::adopt(old, &secret, &changes, None);
        }
        self.claims.refuse_other_place(path, old)?;
        // All that is in it was opened; where nothing is, nothing shows where it belongs.
        self.refuse_unnamed_place(path, old, given, !old.spec.encrypted_data.is_empty())?;
        let keys = self.keys_of(old, path)?;
        let key = one(block_on(NewDataKey::make(&self.service, &[&keys])))?;
        let sealed = sealed_secret::adopt(old, &secret, &changes, Some(key))?;
        self.tell_who_is_left_out(&sealed, &keys, path);
        tell_place(self.context, path, &sealed);
        Ok(sealed)
    }

    /// What did not change is still for those who could read it before.
    fn tell_who_is_left_out(&self, sealed: &SealedSecret, keys: &KeySet, path: &Path) {
        let readers = match sealed_secret::recipients(&sealed.spec) {
            Ok(Some(readers)) => readers.groups.concat(),
            Ok(None) => return,
            Err(_) => Vec::new(),
        };
        let is_left_out = |key: &&MasterKey| !readers.contains(key);
        let left_out: Vec<String> =
            keys.groups.iter().flatten().filter(is_left_out).map(|key| format!("  {key}")).collect();
        if !left_out.is_empty() {
            let message = format!(
                "{}: these cannot read the unchanged values (`sealant updatekeys {}` gives them access):",
                path.display(),
                typed(path)
            );
            self.context.ui.warning_list(message, left_out);
        }
    }
}

/// Refuses a Secret that says it is for another place than the SealedSecret that it is to go into: one of them may have been
/// changed by somebody who wants its values there.
fn refuse_other_secret(secret: &Secret, sealed: &SealedSecret) -> Result<()> {
    let namespace = sealed.metadata.namespace.as_deref().unwrap_or_default();
    let message = if !secret.name.is_empty() && secret.name != sealed.metadata.name {
        format!("its name is `{}`, and the Secret's is `{}`", sealed.metadata.name, secret.name)
    } else if secret.namespace.as_deref().is_some_and(|own| !own.is_empty() && own != namespace) {
        let own = secret.namespace.as_deref().unwrap_or_default();
        format!("its namespace is `{namespace}`, and the Secret's is `{own}`")
    } else {
        return Ok(());
    };
    Err(Error::new(Kind::Conflict, message).advise(
        "If the file is right, give the Secret the same name and namespace, or pass its values with --from-file.",
    ))
}

/// Reads a file with SealedSecrets in it.
fn read(path: &Path) -> Result<(SealedFile, Snapshot)> {
    let input = Input::of(path);
    if input.path.is_none() {
        return Err(Error::new(Kind::Conflict, "the SealedSecret has to be a file, not standard input"));
    }
    let mut source = pipeline::read(&input, Formats::default())?;
    let in_file = |error: Error| error.in_file(path);
    let format = format(&source).map_err(in_file)?;
    let file = SealedFile::parse(format, std::mem::take(&mut source.bytes)).map_err(in_file)?;
    if file.objects.is_empty() {
        let error = Error::new(Kind::Read, "there is no SealedSecret in it");
        return Err(in_file(error.advise("To make one, remove the flag: `sealant seal --output FILE`.")));
    }
    Ok((file, source.snapshot))
}
