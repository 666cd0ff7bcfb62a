//! PGP keys, used through the `gpg` program: whatever it opens (agents, smart cards) opens here.
//!
//! Owns what sops stores for such a key (`pgp/keysource.go` of getsops/sops) and how a key is named. sops looks into
//! the keyrings of GnuPG 1 itself before it asks gpg; here gpg is asked for those, too.

mod gpg;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::thread;

use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keys::WrappedKey;
use crate::keys::entry::{Fields, set, text_or_empty};
use crate::keys::kind::{self, Answers, Complaint, KeyKind, MasterKey, Names, Try, Worker, Wrapped};
use crate::keys::unopened::Failure;
use crate::secret::SecretBytes;

pub use self::gpg::{Halves, halves};

/// How many gpg processes run at the same time. They all talk to one agent.
const AT_ONCE: usize = 4;

const FORM: &str = "`gpg --list-keys` shows fingerprints: 40 hexadecimal digits.";

/// The name of a PGP key: the hexadecimal digits of its fingerprint, or its long id. Capital and small letters are the same.
#[derive(Debug, Clone)]
pub struct Fingerprint {
    /// As files and rules have it.
    written: String,
    /// Without `0x`, in capital letters.
    digits: String,
}

impl Fingerprint {
    /// A fingerprint as people write it, spaces included. A `!` at its end means this very subkey. An error for what
    /// gpg would not take as the id of a key that may be trusted: an address, a name, a short id.
    pub fn parse(text: &str) -> Result<Self> {
        let name = text.replace(' ', "");
        let key = name.strip_prefix("0x").unwrap_or(&name);
        let digits = key.strip_suffix('!').unwrap_or(key);
        // Of any other length, gpg looks for the digits in the names of people.
        let is_long = matches!(digits.len(), 16 | 32 | 40 | 64);
        if !is_long || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(
                Error::new(Kind::Other, format!("`{text}` is not the fingerprint of a PGP key")).advise(FORM)
            );
        }
        Ok(Self { digits: key.to_ascii_uppercase(), written: name })
    }

    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.digits == other.digits
    }
}

impl Eq for Fingerprint {}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digits.hash(state);
    }
}

impl PartialOrd for Fingerprint {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fingerprint {
    fn cmp(&self, other: &Self) -> Ordering {
        self.digits.cmp(&other.digits)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pgp {}", self.digits)
    }
}

pub(crate) struct Room;

impl kind::Room for Room {
    fn names(&self) -> &'static Names {
        &Names {
            name: "pgp",
            flag: "pgp",
            variable: "SOPS_PGP_FP",
            a_key: "a PGP key",
            fields: &["created_at", "enc", "fp"],
            is_supported: true,
        }
    }

    fn read(&self, entry: &Fields) -> Result<WrappedKey> {
        let name = text_or_empty(entry, "fp")?;
        match Fingerprint::parse(&name) {
            Ok(key) => {
                let enc = text_or_empty(entry, "enc")?;
                Ok(WrappedKey { key: MasterKey::Pgp(key), enc, entry: entry.clone() })
            }
            Err(_) => WrappedKey::foreign(KeyKind::Pgp, name, entry),
        }
    }

    fn complaint(&self, id: &str) -> Option<Complaint> {
        Fingerprint::parse(id).is_err().then_some(Complaint { why: None, form: FORM })
    }

    fn write(&self, wrapped: &WrappedKey) -> Fields {
        let mut entry = wrapped.entry.clone();
        set(&mut entry, "enc", Some(wrapped.enc.clone().into()));
        set(&mut entry, "fp", Some(wrapped.key.id().into()));
        entry
    }
}

/// What asks gpg.
pub(in crate::keys) struct Gpg;

impl Worker for Gpg {
    type Key = Fingerprint;

    fn own(key: &MasterKey) -> Option<&Fingerprint> {
        key.pgp()
    }

    fn wrap_many<'a>(
        &'a self,
        host: &'a dyn Host,
        tasks: &'a [(&'a Fingerprint, &'a [u8])],
    ) -> Answers<'a, Result<Wrapped>> {
        Box::pin(async move {
            few_at_a_time(tasks, |(key, payload)| gpg::encrypt(host, key, payload).map(Wrapped::from))
        })
    }

    fn open_many<'a>(
        &'a self,
        host: &'a dyn Host,
        tries: &'a [Try<'a, Fingerprint>],
    ) -> Answers<'a, Result<(usize, SecretBytes), Vec<Failure>>> {
        let open = move |one: &Try<'_, Fingerprint>| {
            let mut failures = Vec::new();
            for (index, (key, wrapped)) in one.keys.iter().enumerate() {
                match gpg::decrypt(host, key, &wrapped.enc) {
                    Ok(payload) => return Ok((index, payload)),
                    Err(error) => failures.push(Failure::from(&error)),
                }
            }
            Err(failures)
        };
        // The first may ask a person, and what it was told serves the others.
        Box::pin(async move {
            let (first, others) = tries.split_at(tries.len().min(1));
            first.iter().map(open).chain(few_at_a_time(others, open)).collect()
        })
    }
}

/// Does the same for each, [`AT_ONCE`] at the same time, each on a thread that waits for a process.
fn few_at_a_time<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let work = &work;
    let share = items.len().div_ceil(AT_ONCE).max(1);
    thread::scope(|scope| {
        let threads: Vec<_> = items
            .chunks(share)
            .map(|share| scope.spawn(move || share.iter().map(work).collect::<Vec<R>>()))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_digits() {
        for name in ["85D77543B3D624B63CEA9E6DBC17301B491B3F21", "BC17301B491B3F21", "0xBC17301B491B3F21!"] {
            assert_eq!(Fingerprint::parse(name).unwrap().as_str(), name);
        }
        let spaced = Fingerprint::parse("85D7 7543 B3D6 24B6 3CEA  9E6D BC17 301B 491B 3F21").unwrap();
        assert_eq!(spaced.as_str(), "85D77543B3D624B63CEA9E6DBC17301B491B3F21");
        let small = Fingerprint::parse("0xbc17301b491b3f21").unwrap();
        assert_eq!(small, Fingerprint::parse("BC17301B491B3F21").unwrap());
        assert_ne!(small, Fingerprint::parse("BC17301B491B3F21!").unwrap());
        assert_eq!((small.as_str(), &*small.to_string()), ("0xbc17301b491b3f21", "pgp BC17301B491B3F21"));
        for name in [
            "",
            "491B3F21",
            "ann@example.org",
            "--output=x-BC17301B491B3F21",
            "BC17301B491B3F2G",
            "85D77543B3D624B63CEA9E6DBC17301B491B3F2",
        ] {
            assert!(Fingerprint::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_order_stays() {
        let numbers: Vec<usize> = (0..11).collect();
        assert_eq!(few_at_a_time(&numbers, |number| number * 2), (0..11).map(|n| n * 2).collect::<Vec<_>>());
        assert!(few_at_a_time(&[], |(): &()| ()).is_empty());
    }
}
