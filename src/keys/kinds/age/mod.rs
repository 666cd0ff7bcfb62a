//! age recipients and identities, SSH keys and plugins among them.
//!
//! Owns what sops stores for an age recipient (`age/keysource.go` of getsops/sops), where identities are looked for, and
//! the forms in which they are written.

mod identities;
mod identity;
mod keygen;
mod plugin;
mod pq;
mod recipient;
mod sealed;
mod ssh_pem;

use rayon::prelude::*;

use self::identities::AgeWrap;
use self::identities::TYPE_AGAIN;
pub use self::identities::{Identities, SourceReport};
pub use self::identity::holds_only_identities;
pub use self::keygen::{NewIdentity, generate_identity, lock_identity, recipients_of};
pub use self::recipient::{Recipient, looks_secret, stanzas, takes_passphrase};
pub use self::sealed::AgeEntry;
use super::Searched;
use crate::error::Result;
use crate::host::Host;
use crate::keys::WrappedKey;
use crate::keys::entry::{Fields, text_or_empty};
use crate::keys::kind::{self, Answers, MasterKey, Names, Try, Worker, Wrapped};
use crate::keys::unopened::Failure;
use crate::secret::SecretBytes;
use crate::shown;

pub(crate) struct Room;

impl kind::Room for Room {
    fn names(&self) -> &'static Names {
        &Names {
            name: "age",
            flag: "age",
            variable: "SOPS_AGE_RECIPIENTS",
            a_key: "an age recipient",
            is_supported: true,
            fields: &["recipient", "enc"],
        }
    }

    fn read(&self, entry: &Fields) -> Result<WrappedKey> {
        let recipient = Recipient::as_written(&text_or_empty(entry, "recipient")?);
        let enc = text_or_empty(entry, "enc")?;
        Ok(WrappedKey { key: MasterKey::Age(recipient), enc, entry: Fields::new() })
    }

    fn write(&self, wrapped: &WrappedKey) -> Fields {
        let fields = [("enc", wrapped.enc.as_str()), ("recipient", wrapped.key.id())];
        fields.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect()
    }

    /// One search through the identities serves all recipients.
    fn is_tried_together(&self) -> bool {
        true
    }

    fn is_dated(&self) -> bool {
        false
    }
}

impl Identities {
    /// Where they were looked for, and what helps when none fits.
    pub(in crate::keys) fn searched(&self) -> Searched {
        let (mistyped, own) = (self.mistyped(), self.own_recipient());
        let advice = if mistyped.is_some() {
            TYPE_AGAIN.to_owned()
        } else if let Some(damaged) = self.damaged() {
            format!(
                "first bring your identity back: {damaged} is damaged, and a copy of it opens what it opened. Without one, only \
                 the owner of another recipient can let you in"
            )
        } else if let Some(own) = &own {
            format!(
                "use an identity of one of the recipients, or ask for access: `sealant recipient add {} --for FILE`, commit \
                 the config, and open a pull request",
                shown::typed(own.as_ref())
            )
        } else if self.found_any() {
            "use an identity of one of the recipients, or have one of them run `sealant recipient add KEY --for FILE` with \
             your recipient"
                .to_owned()
        } else if self.any_failed() {
            "fix what is listed under the sources above".to_owned()
        } else {
            "name your identity file with --identity or SOPS_AGE_KEY_FILE. If you have lost it, get it back from a backup: a \
             new one opens nothing that it opened. If you never had one, `sealant init` makes one, and says how to ask for \
             access"
                .to_owned()
        };
        let mistake = mistyped.map(|place| format!("wrong passphrase for {place}"));
        Searched { title: "looked for identities in:", places: self.report(), mistake, advice, own }
    }
}

impl Worker for Identities {
    type Key = Recipient;

    fn own(key: &MasterKey) -> Option<&Recipient> {
        key.recipient()
    }

    fn wrap_many<'a>(
        &'a self,
        host: &'a dyn Host,
        tasks: &'a [(&'a Recipient, &'a [u8])],
    ) -> Answers<'a, Result<Wrapped>> {
        let wrap =
            |(recipient, payload): &(&Recipient, &[u8])| recipient.wrap(host, payload).map(Wrapped::from);
        Box::pin(async move { tasks.par_iter().map(wrap).collect() })
    }

    fn open_many<'a>(
        &'a self,
        host: &'a dyn Host,
        tries: &'a [Try<'a, Recipient>],
    ) -> Answers<'a, Result<(usize, SecretBytes), Vec<Failure>>> {
        let open = |Try { keys, length }: &Try<'_, Recipient>| {
            let wanted: Vec<AgeWrap> =
                keys.iter().map(|(recipient, wrapped)| AgeWrap { recipient, enc: &wrapped.enc }).collect();
            self.open(host, &wanted, *length)
        };
        Box::pin(async move { tries.par_iter().map(open).collect() })
    }
}
