//! What whoever runs the controller has allowed, whatever kind of object asks for it.

use sealant::sealed_secret::{FORBIDDEN_PREFIXES, FORBIDDEN_TYPES};

use crate::settings::Settings;
use crate::source::Kind;

/// What is allowed.
#[derive(Debug, Clone)]
pub struct Permitted {
    /// Types of Secrets that would be refused.
    allowed_types: Vec<String>,
    /// How labels and annotations begin that no template may set: a Secret with one would be a key, a token, or one of ours.
    reserved: Vec<&'static str>,
}

impl Permitted {
    pub fn of(settings: &Settings, kinds: &[Kind]) -> Self {
        Self::new(settings.allow_type.clone(), kinds)
    }

    pub fn new(allowed_types: Vec<String>, kinds: &[Kind]) -> Self {
        let reserved = FORBIDDEN_PREFIXES.into_iter().chain(kinds.iter().map(|kind| kind.prefix));
        Self { allowed_types, reserved: reserved.collect() }
    }

    /// Whether a Secret of this type may be made: some are tokens for whoever asks for them.
    pub fn allows_type(&self, kind: &str) -> bool {
        !FORBIDDEN_TYPES.contains(&kind) || self.allowed_types.iter().any(|allowed| allowed == kind)
    }

    /// The first of these labels and annotations that a template may not set, but for those that begin as a kind takes them.
    pub fn reserved<'k>(&self, keys: impl Iterator<Item = &'k String>, but: &[&str]) -> Option<&'k str> {
        let begins = |key: &str, prefixes: &[&str]| prefixes.iter().any(|prefix| key.starts_with(prefix));
        keys.map(String::as_str).find(|key| begins(key, &self.reserved) && !begins(key, but))
    }
}
