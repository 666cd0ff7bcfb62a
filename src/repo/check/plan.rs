//! Which rule a file is checked against, and whether it is checked at all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::config::{Configs, Hidden, Located, Policy, is_config};
use crate::document::Format;
use crate::encrypted_file;
use crate::error::Result;
use crate::repo::check::{Checked, Finding, Rule, check, claimed, covers, shown};
use crate::repo::git;
use crate::secret::SecretBytes;

/// Files of no known type above this size are skipped, unless a rule says that they are encrypted: they are no text
/// that a key was left in.
const LARGE: u64 = 32 << 20;

/// How a file is looked at.
pub struct Plan {
    format: Format,
    /// The one in which the file would be encrypted.
    own_format: Format,
    policy: Option<Policy>,
    /// The rule that it would have, if a config without rules did not hide it.
    hidden: Option<Hidden>,
    /// Git reads it itself.
    is_of_git: bool,
    /// The most that it may hold.
    pub limit: usize,
}

impl Plan {
    /// The plan for a file of this name and size, in bytes; `None` for one that is skipped.
    pub fn of(name: Option<&Path>, format: Format, size: u64, configs: &Configs) -> Result<Option<Self>> {
        let located = name.map(|name| configs.locate(name)).transpose()?;
        if located.as_ref().is_some_and(Located::is_excluded_from_check) {
            return Ok(None);
        }
        let is_own = |name: &Path| is_config(name) || git::reads(name);
        let is_own = |located: &&Located| is_own(located.spelled()) || is_own(located.real());
        let (policy, hidden) = match located.as_ref().filter(|located| !is_own(located)) {
            Some(located) => (located.policy()?, located.hidden()?),
            None => (None, None),
        };
        let is_named = policy.as_ref().is_some_and(|policy| policy.rule.path_regex.is_some());
        let own_format = format;
        // Kubernetes takes `a.YAML`. To sops it is binary, so what a rule says of its path is of the whole file.
        let folded = name.filter(|_| format == Format::Binary && !is_named).map(folded);
        let format = folded.unwrap_or(format);
        if format == Format::Binary && size > LARGE && !is_named {
            return Ok(None);
        }
        let limit = format.most_bytes();
        let is_of_git = located.as_ref().is_some_and(|located| git::reads(located.spelled()));
        Ok(Some(Self { format, own_format, policy, hidden, is_of_git, limit }))
    }

    /// Whether values are looked for in it, and not only private keys.
    pub fn is_about_values(&self) -> bool {
        self.format != Format::Binary
            || self.policy.as_ref().is_some_and(|policy| covers(policy, self.format))
    }

    /// Whether Git reads it itself, as it is here.
    pub fn is_read_by_git(&self) -> bool {
        self.is_of_git
    }

    /// What is wrong with the config of the file, with its path: it hides the rule that says that the file is secret, or for
    /// whom it is encrypted.
    pub fn hidden(&self, is_encrypted: bool) -> Option<(PathBuf, Finding)> {
        let hidden = self.hidden.as_ref().filter(|hidden| is_encrypted || hidden.policy.names_secrets())?;
        Some((hidden.config.clone(), Finding::new(1, Rule::HiddenRule, hidden.to_string())))
    }

    /// What is wrong with the file, and the file itself if it was read as what it is by its name.
    pub fn check(&self, bytes: SecretBytes) -> Result<Checked> {
        let Checked { findings, file } = check(self.format_of(&bytes), bytes, self.policy.as_ref())?;
        Ok(Checked { findings, file: file.filter(|_| self.format == self.own_format) })
    }

    /// The values in the file that its rule says are secret, encrypted or not.
    pub fn secrets(&self, bytes: &SecretBytes) -> BTreeSet<claimed::Claimed> {
        claimed::values(self.format_of(bytes), bytes, self.policy.as_ref())
    }

    /// Its rule, as messages name it.
    pub fn rule(&self) -> Option<String> {
        self.policy.as_ref().map(shown)
    }

    fn format_of(&self, bytes: &SecretBytes) -> Format {
        let is_binary =
            self.format != self.own_format && encrypted_file::meant(self.own_format, bytes).is_some();
        encrypted_file::format_in(if is_binary { self.own_format } else { self.format }, bytes)
    }
}

/// The format of a file whose extension may be in capitals.
fn folded(name: &Path) -> Format {
    Format::of_path(Path::new(&name.as_os_str().to_ascii_lowercase()))
}
