//! Which rule a file is held against, and whether it is looked at at all.

use std::path::Path;

use crate::config::{Configs, Policy, is_config};
use crate::document::{Format, MAX_BINARY, MAX_SOURCE};
use crate::error::Result;
use crate::repo::check::{Finding, check};
use crate::secret::SecretBytes;

/// Files of no known type above this size are passed by, unless a rule says that they are encrypted: they are no text
/// that a key was left in.
const LARGE: u64 = 32 << 20;

/// How a file is looked at.
pub struct Plan {
    format: Format,
    policy: Option<Policy>,
    /// The most that it may hold.
    pub limit: usize,
}

impl Plan {
    /// The plan for a file of this name and size, in bytes; `None` for one that is passed by.
    pub fn of(name: Option<&Path>, format: Format, size: u64, configs: &Configs) -> Result<Option<Self>> {
        if name.map_or(Ok(false), |name| configs.is_excluded_from_check(name))? {
            return Ok(None);
        }
        let policy = match name.filter(|name| !is_config(name)) {
            Some(name) => configs.matching_policy(name)?,
            None => None,
        };
        let is_named = policy.as_ref().is_some_and(|policy| policy.rule.path_regex.is_some());
        if format == Format::Binary && size > LARGE && !is_named {
            return Ok(None);
        }
        let limit = if format == Format::Binary { MAX_BINARY } else { MAX_SOURCE };
        Ok(Some(Self { format, policy, limit }))
    }

    /// What is wrong with the file.
    pub fn check(&self, bytes: SecretBytes) -> Result<Vec<Finding>> {
        check(self.format, bytes, self.policy.as_ref())
    }
}
