//! What only a file or a rule names (a role, a profile, a host), and whether it is used.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use crate::host::Host;
use crate::keys::StartedBy;

/// What the user has named, and what they have answered about what they have not.
pub(crate) struct Consent<C> {
    started_by: StartedBy,
    named: Vec<C>,
    answers: Mutex<HashMap<C, bool>>,
}

impl<C: Clone + Eq + Hash> Consent<C> {
    pub fn new(started_by: StartedBy) -> Self {
        Self { started_by, named: Vec::new(), answers: Mutex::default() }
    }

    /// Takes these for something that the user has named.
    pub fn name(&mut self, named: impl IntoIterator<Item = C>) {
        self.named.extend(named);
    }

    /// Whether it may be used. A person is asked once, and a program is not; by the name `sops`, and where a list has decided
    /// before, all is used.
    pub fn allows(&self, host: &dyn Host, chosen: &C, what_it_is: &str) -> bool {
        match self.started_by {
            StartedBy::Sops | StartedBy::Controller => true,
            _ if self.named.contains(chosen) => true,
            StartedBy::Program => false,
            StartedBy::Person => {
                let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
                let ask = || {
                    let answer = host.ask_line(&format!("{what_it_is}. Use it? [y/N]")).unwrap_or_default();
                    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
                };
                *answers.entry(chosen.clone()).or_insert_with(ask)
            }
        }
    }
}
