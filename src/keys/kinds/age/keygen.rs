//! New age identities, and the recipients of existing ones: what `sealant keygen` prints.

use std::io::Write;

use ::age::armor::{ArmoredWriter, Format};
use ::age::secrecy::{ExposeSecret, SecretString as Passphrase};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::recipient::{Recipient, with_line_feeds};
use super::{identity, pq};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::secret::SecretString;

/// An identity that was just made.
pub struct NewIdentity {
    pub recipient: Recipient,
    /// The text of its identity file, as `age-keygen` writes it.
    pub file: SecretString,
}

/// Makes an identity: X25519, or the post-quantum hybrid.
pub fn generate_identity(post_quantum: bool, now: Timestamp) -> NewIdentity {
    let (secret, recipient) = if post_quantum {
        let identity = pq::Identity::generate();
        (identity.to_secret_string(), identity.to_public().to_string())
    } else {
        let identity = ::age::x25519::Identity::generate();
        let secret = Zeroizing::new(identity.to_string().expose_secret().to_owned());
        (secret, identity.to_public().to_string())
    };
    let created = now.strftime("%Y-%m-%dT%H:%M:%SZ");
    let public = format!("# created: {created}\n# public key: {recipient}\n");
    let file = [&public, secret.as_str(), "\n"].concat();
    NewIdentity { recipient: Recipient::as_written(&recipient), file: Zeroizing::new(file) }
}

/// The work of guessing a passphrase: that of `age -p`, which takes about a second.
const WORK_FACTOR: u8 = 18;

/// The text of an identity file, encrypted with a passphrase, as `age -p -a` writes it.
pub fn lock_identity(file: &str, passphrase: &str) -> Result<SecretString> {
    let mut recipient = ::age::scrypt::Recipient::new(Passphrase::from(passphrase.to_owned()));
    recipient.set_work_factor(WORK_FACTOR);
    let write = || -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let encryptor = ::age::Encryptor::with_recipients(std::iter::once(&recipient as _))?;
        let armored = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armored)?;
        writer.write_all(file.as_bytes())?;
        Ok(writer.finish()?.finish()?)
    };
    let text = write().and_then(|bytes| Ok(String::from_utf8(bytes)?));
    text.map(with_line_feeds)
        .map(Zeroizing::new)
        .map_err(|error| Error::new(Kind::Encrypt, "the identity cannot be encrypted").caused_by(error))
}

/// The recipients of the identities in `content`, which came from `place`; what is no identity there is an error.
pub fn recipients_of(content: &[u8], place: &str, host: &dyn Host) -> Result<Vec<Recipient>> {
    let failed = |why: &str| Error::new(Kind::Read, why).in_file(place);
    let (identities, problems) =
        identity::parse(content, place, None, host).map_err(|why| failed(&why.to_string()))?;
    if let Some(problem) = problems.first() {
        return Err(failed(problem));
    }
    if identities.is_empty() {
        return Err(failed("no identities in it"));
    }
    let recipient = |identity: &identity::Identity| {
        let text = identity.recipient().ok_or_else(|| {
            failed("only the plugin itself knows the recipient of its identity")
                .advise("ask the plugin: most print it with --list or -y")
        })?;
        Ok(Recipient::as_written(text))
    };
    identities.iter().map(recipient).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Closed;

    #[test]
    fn a_new_identity_is_a_file_as_age_keygen_writes_it() {
        let now: Timestamp = "2026-11-22T10:11:12.345Z".parse().unwrap();
        for (post_quantum, public, secret) in
            [(false, "age1", "AGE-SECRET-KEY-1"), (true, "age1pq1", "AGE-SECRET-KEY-PQ-1")]
        {
            let made = generate_identity(post_quantum, now);
            let lines: Vec<_> = made.file.lines().collect();
            assert_eq!(lines[0], "# created: 2026-11-22T10:11:12Z");
            assert_eq!(lines[1], format!("# public key: {}", made.recipient));
            assert!(made.recipient.as_str().starts_with(public) && lines[2].starts_with(secret));
            assert_eq!(lines.len(), 3);
            assert_eq!(recipients_of(made.file.as_bytes(), "keys.txt", &Closed).unwrap(), [made.recipient]);
        }
    }

    #[test]
    fn what_is_no_identity_has_no_recipient() {
        let cases = [
            ("", "keys.txt: no identities in it"),
            ("# only\n", "keys.txt: no identities in it"),
            ("\nhunter2\n", "keys.txt: line 2 is not an age identity"),
            (
                "AGE-SECRET-KEY-1HUNTER2",
                "keys.txt: line 1 holds a damaged identity: a character was mistyped or lost",
            ),
        ];
        for (content, message) in cases {
            let error = recipients_of(content.as_bytes(), "keys.txt", &Closed).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
