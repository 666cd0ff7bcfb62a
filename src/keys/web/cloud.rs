//! What asks the servers of one cloud: the worker of each kind whose keys are in one.
//!
//! Owns the one place that holds a key against the list of those that may be used, before anything is sent for it.

use std::fmt;
use std::hash::Hash;

use super::many::{open_each, wrap_each};
use super::problem::{Cause, Operation, Problem};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keys::kind::{Answers, MasterKey, Try, Worker, Wrapped};
use crate::keys::unopened::Failure;
use crate::keys::{Allowed, KeyKind};
use crate::secret::SecretBytes;

/// How the servers of a cloud are asked: one request for each key.
pub(crate) trait Cloud: Send + Sync {
    type Key: fmt::Display + Eq + Hash + 'static;

    const KIND: KeyKind;

    /// This key, if it is of this kind.
    fn own(key: &MasterKey) -> Option<&Self::Key>;

    /// Its name in the cloud, as a list of keys has it.
    fn name_of(key: &Self::Key) -> &str;

    /// Takes what these keys name (roles, servers) for something that the user has named.
    fn name(&mut self, _keys: &[&Self::Key]) {}

    async fn encrypt(&self, host: &dyn Host, key: &Self::Key, payload: &[u8]) -> Result<Wrapped, Problem>;

    async fn decrypt(&self, host: &dyn Host, key: &Self::Key, enc: &str) -> Result<SecretBytes, Problem>;

    /// What an answer means to somebody who wanted this.
    fn about(problem: Problem, _operation: Operation) -> Problem {
        problem
    }

    /// What helps.
    fn advice(cause: Cause, key: &Self::Key, operation: Operation) -> Option<String>;
}

/// The keys of one cloud.
pub(crate) struct InCloud<C> {
    cloud: C,
    /// Those that may be used; all of them where that is for whoever started the program to say.
    allowed: Option<Allowed>,
}

impl<C: Cloud> InCloud<C> {
    pub fn new(cloud: C, allowed: Option<&Allowed>) -> Self {
        Self { cloud, allowed: allowed.cloned() }
    }

    async fn ask<T>(
        &self,
        key: &C::Key,
        operation: Operation,
        ask: impl AsyncFnOnce() -> Result<T, Problem>,
    ) -> Result<T> {
        let is_allowed = |allowed: &Allowed| allowed.holds(C::KIND, C::name_of(key));
        if !self.allowed.as_ref().is_none_or(is_allowed) {
            let message = format!("{key}: it is not on the list of keys that may be used");
            return Err(Error::new(Kind::NoDataKey, message).refused(true));
        }
        ask().await.map_err(|problem| {
            let problem = C::about(problem, operation);
            let advice = C::advice(problem.cause, key, operation);
            problem.error(key, operation, advice)
        })
    }
}

impl<C: Cloud> Worker for InCloud<C> {
    type Key = C::Key;

    fn own(key: &MasterKey) -> Option<&C::Key> {
        C::own(key)
    }

    fn name(&mut self, keys: &[&C::Key]) {
        self.cloud.name(keys);
    }

    fn wrap_many<'a>(
        &'a self,
        host: &'a dyn Host,
        tasks: &'a [(&'a C::Key, &'a [u8])],
    ) -> Answers<'a, Result<Wrapped>> {
        let wrap = async move |key: &'a C::Key, payload: &'a [u8]| {
            self.ask(key, Operation::Encrypt, async || self.cloud.encrypt(host, key, payload).await).await
        };
        Box::pin(wrap_each(tasks, wrap))
    }

    fn open_many<'a>(
        &'a self,
        host: &'a dyn Host,
        tries: &'a [Try<'a, C::Key>],
    ) -> Answers<'a, Result<(usize, SecretBytes), Vec<Failure>>> {
        let open = async move |key: &'a C::Key, enc: &'a str| {
            self.ask(key, Operation::Decrypt, async || self.cloud.decrypt(host, key, enc).await).await
        };
        Box::pin(open_each(tries, open))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use pollster::block_on;

    use super::*;
    use crate::host::Closed;
    use crate::keys::kinds::gcp_kms::Key;
    use crate::keys::{Fields, WrappedKey};

    /// It opens everything, and counts what it was asked.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Cloud for Counting {
        type Key = Key;

        const KIND: KeyKind = KeyKind::GcpKms;

        fn own(_: &MasterKey) -> Option<&Key> {
            None
        }
        fn name_of(key: &Key) -> &str {
            key.resource_id()
        }
        async fn encrypt(&self, _: &dyn Host, _: &Key, _: &[u8]) -> Result<Wrapped, Problem> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(Wrapped::from("enc".to_owned()))
        }
        async fn decrypt(&self, _: &dyn Host, _: &Key, _: &str) -> Result<SecretBytes, Problem> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(SecretBytes::new(vec![7; 32]))
        }
        fn advice(_: Cause, _: &Key, _: Operation) -> Option<String> {
            None
        }
    }

    #[test]
    fn nothing_is_asked_about_a_key_that_is_not_on_the_list() {
        let key =
            |name: &str| Key::parse(&format!("projects/p/locations/l/keyRings/r/cryptoKeys/{name}")).unwrap();
        let (ours, other) = (key("ours"), key("ours2"));
        let asked = |allowed: Option<&Allowed>| {
            let cloud = InCloud::new(Counting::default(), allowed);
            let wrap = |key: &Key| WrappedKey {
                key: MasterKey::GcpKms(key.clone()),
                enc: "enc".to_owned(),
                entry: Fields::new(),
            };
            let wraps = [wrap(&ours), wrap(&other)];
            let tries: Vec<_> = [&ours, &other]
                .into_iter()
                .zip(&wraps)
                .map(|(key, wrap)| Try { keys: vec![(key, wrap)], length: 32 })
                .collect();
            let opened = block_on(cloud.open_many(&Closed, &tries));
            let wrapped = block_on(cloud.wrap_many(&Closed, &[(&ours, b"x"), (&other, b"x")]));
            let refused = opened.iter().filter_map(|opened| opened.as_ref().err()).flatten();
            assert!(refused.clone().all(|failure| failure.is_refused && !failure.may_pass));
            (opened.iter().flatten().count(), wrapped.iter().flatten().count(), cloud.cloud.0.into_inner())
        };
        assert_eq!(asked(None), (2, 2, 4));
        assert_eq!(asked(Some(&Allowed::default())), (0, 0, 0));
        let one = Allowed::parse([ours.resource_id()]).unwrap();
        assert_eq!(asked(Some(&one)), (1, 1, 2));
    }
}
