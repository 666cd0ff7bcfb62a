//! A file as configs see it: where it really is, and which rule it has there.
//!
//! Owns how links are treated. Rules are about files, so they are matched against a file's real place. A path that
//! claims a rule other than the file's own is refused, since whoever named it expects something different from what
//! would happen. Called as `sops`, a path is taken as it is spelled.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::schema::Dialect;
use crate::config::{Config, Configs, Policy, RuleRef};
use crate::error::{Error, Kind, Result};

/// A file, where it is, and its config.
pub struct Located<'c> {
    configs: &'c Configs,
    /// Absolute, as it was named.
    spelled: PathBuf,
    /// The links resolved.
    real: PathBuf,
    config: Option<Arc<Config>>,
}

impl<'c> Located<'c> {
    pub(super) fn new(configs: &'c Configs, spelled: PathBuf, real: PathBuf) -> Result<Self> {
        let config = configs.config_at(match configs.dialect() {
            Dialect::Sealant => &real,
            Dialect::Sops => &spelled,
        })?;
        Ok(Self { configs, spelled, real, config })
    }

    /// The path that rules are matched against.
    pub(super) fn path(&self) -> &Path {
        match self.configs.dialect() {
            Dialect::Sealant => &self.real,
            Dialect::Sops => &self.spelled,
        }
    }

    /// The absolute path as it was named.
    pub fn spelled(&self) -> &Path {
        &self.spelled
    }

    /// Where the file really is.
    pub fn real(&self) -> &Path {
        &self.real
    }

    pub fn config(&self) -> Option<&Arc<Config>> {
        self.config.as_ref()
    }

    /// The policy of the first rule that matches, whatever links lead to the file.
    pub fn policy(&self) -> Result<Option<Policy>> {
        self.config.as_ref().map_or(Ok(None), |config| config.matching_policy(self.path()))
    }

    /// The same of the path as it was named.
    pub fn policy_of_name(&self) -> Result<Option<Policy>> {
        let config = self.configs.config_at(&self.spelled)?;
        config.map_or(Ok(None), |config| config.matching_policy(&self.spelled))
    }

    /// Whether its config says that `check` leaves the file out.
    pub fn is_excluded_from_check(&self) -> bool {
        self.config.as_ref().is_some_and(|config| config.is_excluded_from_check(self.path()))
    }

    /// The same of the path as it was named.
    pub fn is_name_excluded_from_check(&self) -> Result<bool> {
        let config = self.configs.config_at(&self.spelled)?;
        Ok(config.is_some_and(|config| config.is_excluded_from_check(&self.spelled)))
    }

    /// The rule that the file would have if its config, which has none for it, were not there.
    pub fn hidden(&self) -> Result<Option<Hidden>> {
        let Some(config) = &self.config else { return Ok(None) };
        if config.matching_rule(self.path()).is_some() {
            return Ok(None);
        }
        let mut above = self.configs.above_with_rules(config)?;
        while let Some(other) = above {
            if let Some(policy) = other.matching_policy(self.path())? {
                let (file, is_without_rules) = (self.path().to_path_buf(), config.is_without_rules());
                return Ok(Some(Hidden { config: config.path.clone(), is_without_rules, file, policy }));
            }
            above = self.configs.above_with_rules(&other)?;
        }
        Ok(None)
    }

    /// An error if the path claims a rule other than the file's own.
    pub(super) fn refuse_misled(&self) -> Result<()> {
        match self.misled()? {
            Some(misled) if self.configs.dialect() == Dialect::Sealant => Err(misled.into_error()),
            _ => Ok(()),
        }
    }

    /// What the path claims, if that is not what the file is.
    pub fn misled(&self) -> Result<Option<Misled>> {
        if self.spelled == self.real {
            return Ok(None);
        }
        let has = self.configs.config_at(&self.real)?;
        let real = self.configs.standing(&self.real, has.as_deref());
        let claims = self.configs.standings_claimed(&self.spelled)?;
        let Some(claimed) = claims.iter().find_map(|claimed| claimed.claim(&real)).cloned() else {
            return Ok(None);
        };
        Ok(Some(Misled {
            working_dir: self.configs.lookup.working_dir.clone(),
            claimed,
            spelled: self.spelled.clone(),
            real: self.real.clone(),
            rule: real.rule,
        }))
    }
}

/// A rule that a path claims, but that does not count there: a nested repository has its own config.
#[derive(Debug, Clone)]
pub struct TakenOver {
    pub by: PathBuf,
    pub rule: RuleRef,
}

/// A rule that does not count for a file, since a config closer to the file has no rule for it.
#[derive(Debug, Clone)]
pub struct Hidden {
    /// The config that hides it.
    pub config: PathBuf,
    /// It has no rules at all.
    is_without_rules: bool,
    file: PathBuf,
    pub policy: Policy,
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = |path: &'_ Path| path.parent().unwrap_or(Path::new("")).to_path_buf();
        let (here, rule) = (folder(&self.config), &self.policy.rule);
        let levels = here.strip_prefix(folder(&rule.file)).map_or(0, |below| below.components().count());
        let up = "../".repeat(levels);
        let name = rule.file.file_name().unwrap_or_default().display();
        let file = self.file.strip_prefix(&here).unwrap_or(&self.file).display();
        let line = rule.line;
        if self.is_without_rules {
            write!(
                f,
                "has no creation rules, and keeps {up}{name}:{line} from applying to files such as `{file}`"
            )
        } else {
            write!(
                f,
                "has no creation rule for files such as `{file}`, and keeps {up}{name}:{line} from applying to them"
            )
        }
    }
}

/// Where configs see a path.
pub(super) struct Standing {
    /// With the real path of its config: two names of one config are one.
    pub rule: Option<RuleRef>,
    /// Below the folder of its config, to which rules are relative.
    pub is_below: bool,
    /// The config was asked for by name, and is for all files.
    pub is_explicit: bool,
}

impl Standing {
    /// The rule that a path with this standing claims for a file that has another one.
    ///
    /// A path outside of all that its config is about claims nothing: `~/secrets` may lead into a repository. One below
    /// it that leads out does, for the file there is not one of the repository's.
    fn claim(&self, real: &Self) -> Option<&RuleRef> {
        let rule = self.rule.as_ref()?;
        let counts = self.is_below || (self.is_explicit && !real.is_below);
        let is_same = real.rule.as_ref() == Some(rule) && self.is_below == real.is_below;
        (counts && !is_same).then_some(rule)
    }
}

/// A path that claims a rule other than that of the file it leads to.
#[derive(Debug, Clone)]
pub struct Misled {
    working_dir: PathBuf,
    pub spelled: PathBuf,
    pub claimed: RuleRef,
    pub real: PathBuf,
    /// The rule of the file.
    pub rule: Option<RuleRef>,
}

impl Misled {
    /// Whether a rule calls one of the two secret, or both have one. A rule without a path_regex is for every path, and
    /// so a link to somewhere else says nothing.
    pub fn is_worth_telling(&self) -> bool {
        self.claimed.path_regex.is_some() || self.rule.as_ref().is_some_and(|rule| *rule != self.claimed)
    }

    fn into_error(self) -> Error {
        let real = self.shown(&self.real).display();
        Error::new(Kind::Conflict, self.to_string()).in_file(self.shown(&self.spelled)).advise(format!(
            "If you mean the file itself, name it: {real}. `sealant explain {real}` shows its rule."
        ))
    }

    fn shown<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.working_dir).unwrap_or(path)
    }
}

impl fmt::Display for Misled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = |rule: &RuleRef| {
            format!("{}:{} (rule {})", self.shown(&rule.file).display(), rule.line, rule.index + 1)
        };
        write!(f, "leads to {}, ", self.shown(&self.real).display())?;
        match &self.rule {
            Some(real) if *real == self.claimed => {
                write!(f, "which is outside of the folder that {} is for", rule(real))
            }
            Some(real) => {
                write!(f, "which is under {}, and this path is under {}", rule(real), rule(&self.claimed))
            }
            None => {
                write!(f, "which no creation rule matches, and this path is under {}", rule(&self.claimed))
            }
        }
    }
}
