//! Who a file's new data key is for, and what we tell people about it, for all commands that make one.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cli::context::Context;
use crate::config::Configs;
use crate::encrypted_file::KeyedPart;
use crate::error::{Error, Kind, Result};
use crate::keys::{KeySet, MasterKey};
use crate::policy;
use crate::rekey::{self, Wish};
use crate::shown::typed;

pub struct Recipients<'a> {
    context: &'a Context<'a>,
    configs: Configs,
    wish: Wish,
    /// Master keys to remove that no file has named so far.
    missing: Mutex<BTreeSet<String>>,
}

impl<'a> Recipients<'a> {
    pub fn new(context: &'a Context<'a>, wish: Wish) -> Result<Self> {
        let missing = wish.remove.iter().map(ToString::to_string).collect();
        Ok(Self { context, configs: context.configs()?, wish, missing: Mutex::new(missing) })
    }

    /// Who a file, or a SealedSecret in it, is encrypted for from now on. `name` selects the creation rule, `shown` is
    /// the file's name in messages.
    pub fn of(&self, holder: KeyedPart<'_>, name: Option<&Path>, shown: &Path) -> Result<KeySet> {
        let rule = name.map(|name| self.rule(name)).transpose()?.flatten();
        for wrapped in holder.data_keys()?.iter().flat_map(|wrapped| wrapped.groups.iter().flatten()) {
            self.missing().remove(&wrapped.key.to_string());
        }
        let keys = match rekey::recipients(holder, rule.as_ref(), &self.wish) {
            Err(error) if self.context.is_sops() => {
                // sops keeps the recipients that the file names. Where we do not refuse that, we say so.
                let keys = rekey::recipients(holder, None, &self.wish)?;
                self.context.ui.warning_of(&error.in_file(shown));
                keys
            }
            keys => keys?,
        };
        self.tell(&keys, rule.as_ref(), shown);
        Ok(keys)
    }

    /// The same for a file that is to be for the readers of its place, whoever could read it where it came from: whom its rule names,
    /// unless somebody says who comes or goes.
    pub fn of_place(&self, holder: KeyedPart<'_>, name: Option<&Path>, shown: &Path) -> Result<KeySet> {
        let rule = name.map(|name| self.rule(name)).transpose()?.flatten();
        let is_said = !self.wish.add.is_empty() || !self.wish.remove.is_empty();
        let Some(rule) = rule.filter(|_| !is_said && !self.context.is_sops()) else {
            return self.of(holder, name, shown);
        };
        let is_listed = |key: &MasterKey| {
            let mut all = holder.data_keys().into_iter().flatten();
            all.all(|wrapped| wrapped.groups.iter().flatten().any(|wrapped| wrapped.key == *key))
        };
        let new: Vec<&MasterKey> = rule.groups.iter().flatten().filter(|key| !is_listed(key)).collect();
        if !new.is_empty() {
            let message =
                format!("{}: as its creation rule says, these can read it now, too:", shown.display());
            self.context.ui.note_list(message, list(new));
        }
        Ok(rule)
    }

    /// Refuses a file that was only found in a folder, if there is a config but no rule names its recipients: anybody
    /// could move a file out of its rule and add themselves to it.
    pub fn refuse_named_by_file_alone(&self, holder: KeyedPart<'_>, path: &Path) -> Result<()> {
        let is_free = self.context.is_sops() || self.configs.config_for(path)?.is_none();
        if is_free || policy::keys_of_file(&self.configs, path)?.is_some() {
            return Ok(());
        }
        let mut listed: Vec<String> = Vec::new();
        for wrapped in holder.data_keys()?.iter().flat_map(|wrapped| wrapped.groups.iter().flatten()) {
            let name = format!("  {}", wrapped.key);
            if !listed.contains(&name) {
                listed.push(name);
            }
        }
        let message = "no creation rule matches the file, and only the file itself names these recipients:";
        Err(Error::new(Kind::Conflict, message).listing(listed).advise(format!(
            "If they are right, name the file: `sealant rotate -i {}`. Otherwise see where it comes from: \
             `git log --follow -- {}`",
            typed(path),
            typed(path)
        )))
    }

    fn tell(&self, keys: &KeySet, rule: Option<&KeySet>, shown: &Path) {
        let (ui, shown) = (self.context.ui, shown.display());
        let Some(rule) = rule else {
            return ui.say_list(
                format!("{shown}: no creation rule names recipients, so the file keeps these:"),
                list(keys.groups.iter().flatten()),
            );
        };
        let known = |key: &&MasterKey| rule.groups.iter().flatten().any(|named| named == *key);
        let new: Vec<_> = self.wish.add.iter().filter(|key| !known(key)).collect();
        if !new.is_empty() {
            ui.note_list(
                format!("{shown}: add these to the creation rule, or the next rotation will reject them:"),
                list(new),
            );
        }
    }

    /// Names recipients that should be removed but that no file has.
    pub fn tell_missing(&self) {
        for key in &*self.missing() {
            self.context.ui.warning(format!("no file names {key}, which was to be removed"));
        }
    }

    fn rule(&self, name: &Path) -> Result<Option<KeySet>> {
        self.context.tell_misled(&self.configs, name);
        policy::keys_of_file(&self.configs, name)
    }

    fn missing(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list<'k>(keys: impl IntoIterator<Item = &'k MasterKey>) -> Vec<String> {
    keys.into_iter().map(|key| format!("  {key}")).collect()
}
