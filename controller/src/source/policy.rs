//! What whoever runs the controller has allowed, whatever kind of object asks for it.

use sealant::sealed_secret::FORBIDDEN_TYPES;

use crate::settings::Settings;

/// What is allowed.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Types of Secrets that would be refused.
    pub allowed_types: Vec<String>,
}

impl Policy {
    pub fn of(settings: &Settings) -> Self {
        Self { allowed_types: settings.allow_type.clone() }
    }

    /// Whether a Secret of this type may be made: some are tokens for whoever asks for them.
    pub fn allows_type(&self, kind: &str) -> bool {
        !FORBIDDEN_TYPES.contains(&kind) || self.allowed_types.iter().any(|allowed| allowed == kind)
    }
}
