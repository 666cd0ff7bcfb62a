//! Why a data key was not opened, as data, and as the error that people read.
//!
//! What whoever may see the file may read (which keys were wanted) is kept apart from what is for whoever runs the
//! program alone (which identities, files and servers there are).

use super::kinds::Searched;
use super::{WrappedDataKey, WrappedKey};
use crate::error::{Error, Kind};
use crate::names::Names;
use crate::shown::typed;

/// Why a try with one key or one identity failed, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub problem: String,
    pub advice: Option<String>,
    /// It may go away by itself: a server is down, sealed or busy.
    pub may_pass: bool,
    /// The user's settings keep us from the server.
    pub is_refused: bool,
    /// It is what people have to hear first: the file is damaged, or a passphrase was wrong.
    pub leads: bool,
}

impl From<String> for Failure {
    fn from(problem: String) -> Self {
        Self { problem, advice: None, may_pass: false, is_refused: false, leads: false }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            problem: error.message().to_owned(),
            advice: error.advice().map(str::to_owned),
            may_pass: error.may_pass(),
            is_refused: error.is_refused(),
            leads: false,
        }
    }
}

/// A data key that was not opened.
pub(super) struct NotOpened<'a> {
    pub wrapped: &'a WrappedDataKey,
    /// How many groups were opened, and how many it takes.
    pub opened: usize,
    pub needed: usize,
    /// The numbers of the closed groups, from 0, each with what went wrong.
    pub closed: Vec<(usize, Vec<Failure>)>,
    /// Where the kinds of its keys looked for what opens them.
    pub searched: Vec<Searched>,
    /// What people call keys.
    pub names: &'a Names,
}

impl NotOpened<'_> {
    /// It as people read it.
    pub fn into_error(self) -> Error {
        let failures = self.failures();
        let (may_pass, is_refused) = (
            failures.iter().any(|failure| failure.may_pass),
            failures.iter().any(|failure| failure.is_refused),
        );
        let advice = self.advice(&failures);
        let details = self.details(&failures);
        let error = Error::new(Kind::NoDataKey, self.headline(&failures))
            .listing(self.wanted())
            .detailing(details)
            .advise(advice)
            .passing(may_pass)
            .refused(is_refused);
        match self.asked() {
            Some((own, advice)) if !failures.iter().any(|failure| failure.advice.is_some()) => {
                error.advise_where_named(own, advice)
            }
            _ => error,
        }
    }

    fn is_shared(&self) -> bool {
        self.wrapped.groups.len() > 1
    }

    fn headline(&self, failures: &[Failure]) -> String {
        let (groups, opened, needed) = (self.wrapped.groups.len(), self.opened, self.needed);
        match self.is_shared() {
            true => format!("{opened} of {groups} key groups could be opened, and {needed} are needed"),
            false => {
                let leading = failures.iter().find(|failure| failure.leads).map(|failure| &failure.problem);
                let mistake = self.searched.iter().find_map(|searched| searched.mistake.as_ref());
                match leading.or(mistake) {
                    Some(why) => format!("{why}, and nothing else opens the data key"),
                    None => "no identity opens the data key".to_owned(),
                }
            }
        }
    }

    /// Which keys would have opened it.
    fn wanted(&self) -> Vec<String> {
        let section = |index: usize| {
            let title = match self.is_shared() {
                true => format!("group {} wants any of:", index + 1),
                false => "wanted, any of:".to_owned(),
            };
            let shown = |wrapped: &WrappedKey| self.names.beside(wrapped.key.id(), wrapped.key.wanted());
            titled(&title, self.wrapped.groups[index].iter().map(shown))
        };
        self.closed.iter().flat_map(|(index, _)| section(*index)).collect()
    }

    /// What went wrong in the closed groups, each thing once.
    fn failures(&self) -> Vec<Failure> {
        let mut failures: Vec<Failure> = Vec::new();
        for failure in self.closed.iter().flat_map(|(_, failures)| failures) {
            if !failures.contains(failure) {
                failures.push(failure.clone());
            }
        }
        failures
    }

    /// Those who could open it, as people know them.
    fn helpers(&self) -> String {
        let keys = self.closed.iter().flat_map(|(index, _)| &self.wrapped.groups[*index]);
        let mut helpers: Vec<String> = Vec::new();
        for name in keys.filter_map(|wrapped| self.names.short(wrapped.key.id())) {
            if !helpers.contains(&name) {
                helpers.push(name);
            }
        }
        helpers.join(", ")
    }

    /// What to do for a reader whom the file's rule names already, though the file does not.
    fn asked(&self) -> Option<(String, String)> {
        let searched = self.searched.first().filter(|searched| searched.mistake.is_none())?;
        let own = searched.own.clone()?;
        let who = match self.helpers() {
            helpers if helpers.is_empty() => "Somebody who can open the file".to_owned(),
            helpers => format!("Whoever has one of these keys ({helpers})"),
        };
        let command = format!("sealant updatekeys --add {} FILE", typed(own.as_ref()));
        let advice = format!(
            "Its creation rule names you already, so you have asked for access. {who} has to let you in: `{command}`"
        );
        Some((own, advice))
    }

    fn details(&self, failures: &[Failure]) -> Vec<String> {
        let problems = titled("what went wrong:", failures.iter().map(|failure| failure.problem.clone()));
        let searched =
            self.searched.iter().flat_map(|searched| titled(searched.title, searched.places.iter().cloned()));
        problems.into_iter().chain(searched).collect()
    }

    fn advice(&self, failures: &[Failure]) -> String {
        if let Some(advice) = failures.iter().find_map(|failure| failure.advice.clone()) {
            return advice;
        }
        if let Some(searched) = self.searched.first() {
            return match self.helpers() {
                helpers if helpers.is_empty() || searched.mistake.is_some() => searched.advice.clone(),
                helpers => {
                    format!("{}. Whoever has one of these keys can let you in: {helpers}", searched.advice)
                }
            };
        }
        match self.wrapped.groups.iter().flatten().any(|wrapped| wrapped.key.is_supported()) {
            true => "fix what is listed above".to_owned(),
            false => "use sops for this file, or have sops add an age recipient to it with `sops updatekeys`"
                .to_owned(),
        }
    }
}

/// A title with lines below it; nothing where there are none.
fn titled(title: &str, lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines = lines.map(|line| format!("  {line}")).peekable();
    let title = lines.peek().is_some().then(|| title.to_owned());
    title.into_iter().chain(lines).collect()
}
