//! Which config and which of its rules somebody means.

use std::path::Path;
use std::sync::Arc;

use super::RuleArgs;
use crate::cli::context::Context;
use crate::config::{Config, Configs, Dialect, Policy, RuleRef};
use crate::error::{Error, Kind, Result};
use crate::names::Names;
use crate::rule_edit::{self, Place};

/// Numbers of rules, from 0.
pub(super) type Chosen = Vec<usize>;

/// A config that is to be changed, as it is.
pub(super) struct Target {
    pub config: Arc<Config>,
    pub text: String,
    pub policies: Vec<Policy>,
    pub names: Names,
    /// The rule of the path that was named.
    of_path: Option<RuleRef>,
}

impl Target {
    /// The config of a path, or of the working directory.
    pub fn of(path: Option<&Path>, context: &Context) -> Result<Self> {
        let configs = context.configs()?;
        let file = path.map_or_else(
            || context.lookup().map(|here| here.working_dir.join("file")),
            |path| Ok(path.to_path_buf()),
        )?;
        let config = configs.config_for(&file)?.ok_or_else(|| {
            Error::new(Kind::ConfigNotFound, "there is no config here").advise("Make one: `sealant init`")
        })?;
        let of_path = match path {
            Some(path) => configs.policy_for(path)?.map(|policy| policy.rule),
            None => None,
        };
        let text = text(&configs, &config)?;
        let policies = config.policies().into_iter().collect::<Result<_>>()?;
        Ok(Self { text, policies, names: config.names().clone(), of_path, config })
    }

    pub fn rule_of_path(&self) -> Result<usize> {
        self.of_path.as_ref().map(|rule| rule.index).ok_or_else(|| self.without_rules())
    }

    pub fn numbered(&self, number: usize) -> Result<usize> {
        let at = number.checked_sub(1).filter(|at| *at < self.policies.len());
        at.ok_or_else(|| {
            let count = self.policies.len();
            Error::new(Kind::Usage, format!("there is no rule {number}: the config has {count}"))
                .in_file(self.config.path())
                .advise("`sealant recipient list` shows them.")
        })
    }

    /// The rules that are meant, of those that can be.
    pub fn choose(
        &self,
        args: &RuleArgs,
        can_be: impl Fn(&Policy) -> bool,
        context: &Context,
    ) -> Result<Chosen> {
        if self.policies.is_empty() {
            return Err(self.without_rules());
        }
        let possible: Chosen = (0..self.policies.len()).filter(|at| can_be(&self.policies[*at])).collect();
        let chosen = match (&args.path, args.rule) {
            (Some(_), _) => vec![self.rule_of_path()?],
            (None, Some(number)) => vec![self.numbered(number)?],
            (None, None) if args.all_rules || possible.len() == 1 => possible.clone(),
            (None, None) if possible.is_empty() => possible.clone(),
            (None, None) => return Err(self.which(&possible, context)),
        };
        match chosen.iter().all(|at| possible.contains(at)) && !chosen.is_empty() {
            true => Ok(chosen),
            false => Err(Error::new(Kind::Other, "no such rule names this key")
                .in_file(self.config.path())
                .advise("`sealant recipient list` shows the recipients of each rule.")),
        }
    }

    fn which(&self, possible: &[usize], context: &Context) -> Error {
        let rules = possible
            .iter()
            .map(|at| format!("  --rule {}  {}", at + 1, self.shown(&self.policies[*at], context)));
        Error::new(Kind::Usage, "which rule do you mean? There are several:")
            .listing(rules)
            .advise("Name one with --rule N or --for PATH, or all of them with --all-rules")
    }

    fn without_rules(&self) -> Error {
        Error::new(Kind::Config, "the config has no creation rules")
            .in_file(self.config.path())
            .advise("Add a rule, such as `creation_rules: [{age: age1...}]`")
    }

    /// A rule for people.
    pub fn shown(&self, policy: &Policy, context: &Context) -> String {
        let RuleRef { file, line, index, path_regex } = &policy.rule;
        let here = context.lookup().ok();
        let relative = here.as_ref().and_then(|here| file.strip_prefix(&here.working_dir).ok());
        let what = match path_regex {
            Some(regex) => format!("path_regex `{regex}`"),
            None => "all files".to_owned(),
        };
        format!("{}:{line} (rule {}, {what})", relative.unwrap_or(file).display(), index + 1)
    }

    pub fn has_groups(&self, at: usize) -> Result<bool> {
        rule_edit::has_groups(&self.text, at)
    }

    /// Where in a rule keys go.
    pub fn place(&self, at: usize, group: Option<usize>) -> Result<Place> {
        let groups = self.policies[at].key_groups.len();
        let usage = |message: String| {
            Error::new(Kind::Usage, message).in_file(self.config.path()).on_line(self.policies[at].rule.line)
        };
        if !self.has_groups(at)? {
            return match group {
                None => Ok(Place { rule: at, group: None }),
                Some(_) => Err(usage(format!("rule {} has no key groups", at + 1))),
            };
        }
        match group {
            Some(number) if (1..=groups).contains(&number) => Ok(Place { rule: at, group: Some(number - 1) }),
            None if groups == 1 => Ok(Place { rule: at, group: Some(0) }),
            _ => Err(usage(format!("rule {} has {groups} key groups: say which one", at + 1))
                .advise(format!("Add --group N, from 1 to {groups}. `sealant recipient list` shows them."))),
        }
    }

    /// The config with another text.
    pub fn parsed(&self, text: &str) -> Result<Config> {
        Config::parse(text, self.config.path(), Dialect::Sealant).map_err(|error| {
            error.advise("Sealant cannot edit this config: change it by hand, and run `sealant updatekeys .`")
        })
    }

    /// The rules that are for others in a new config. An error where anything else differs.
    pub fn changed(&self, after: &Config) -> Result<Chosen> {
        let policies = after.policies().into_iter().collect::<Result<Vec<_>>>()?;
        let specs = |policy: &Policy| -> Vec<Vec<_>> {
            let specs =
                |group: &Vec<crate::config::RuleKey>| group.iter().map(|key| key.spec.clone()).collect();
            policy.key_groups.iter().map(specs).collect()
        };
        let is_same = |(one, other): (&Policy, &Policy)| {
            one.rule.path_regex == other.rule.path_regex
                && one.selection == other.selection
                && one.shamir_threshold == other.shamir_threshold
                && one.key_groups.len() == other.key_groups.len()
        };
        if policies.len() != self.policies.len() || !self.policies.iter().zip(&policies).all(is_same) {
            return Err(Error::new(
                Kind::Config,
                "Sealant cannot make this change to the config without changing something else",
            )
            .in_file(self.config.path())
            .advise("Change it by hand, and run `sealant updatekeys .`"));
        }
        let pairs = self.policies.iter().zip(&policies).enumerate();
        Ok(pairs.filter(|(_, (one, other))| specs(one) != specs(other)).map(|(at, _)| at).collect())
    }
}

fn text(configs: &Configs, config: &Config) -> Result<String> {
    configs.text_of(config)
}
