//! One identity: the private half of an age recipient, and the forms in which it is written.
//!
//! Owns the formats: lines of age identities, age files encrypted with a passphrase that hold such lines, and SSH
//! private keys. A passphrase is asked for when its key is wanted, and asked for once. No message ever quotes what was
//! to be an identity.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::OnceLock;

use ::age::armor::ArmoredReader;
use ::age::plugin::IdentityPluginV1;
use ::age::secrecy::SecretString;
use ::age::ssh::{EncryptedKey, UnsupportedKey};
use ::age::{DecryptError, Decryptor, scrypt, ssh, x25519};
use age_core::format::{FileKey, Stanza};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::recipient::{Recipient, plain_text, shorten};
use super::ssh_pem::{self, LockedPem, Pem};
use super::{plugin, pq};
use crate::host::Host;
use crate::secret::SecretBytes;

/// The work that a passphrase-protected identity file may ask for: 2^20 takes seconds and a gigabyte of memory. age
/// itself writes 2^18.
const MAX_WORK_FACTOR: u8 = 20;

/// A file that is no identity file at all is bad in each of its lines: so many are told.
const PROBLEMS_SHOWN: usize = 5;

/// An identity file is small; more plaintext than this is not one.
const LONGEST_FILE: u64 = 16 << 20;

/// Whether a text is an identity file: lines of age identities and comments, and nothing else.
pub fn holds_only_identities(file: &[u8]) -> bool {
    let is_identity =
        |line: &&[u8]| [&b"AGE-SECRET-KEY-"[..], b"AGE-PLUGIN-"].iter().any(|begin| line.starts_with(begin));
    let lines = file.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).peekable();
    lines.peek().is_some() && lines.all(|line| is_identity(&line))
}

/// Reads identities in any of their forms: lines of age identities, an age file encrypted with a passphrase that holds
/// such lines, or an SSH private key. Beside them: what is wrong with lines that are not.
/// `file` is where they are, if that is a file: a key in PEM with a passphrase has its public half beside it.
pub(super) fn parse(
    content: &[u8],
    place: &str,
    file: Option<&Path>,
    host: &dyn Host,
) -> Result<(Vec<Identity>, Vec<String>), Unread> {
    let text = content.trim_ascii_start();
    if text.starts_with(b"age-encryption") || text.starts_with(b"-----BEGIN AGE") {
        let lines = decrypt_file(text, place, host)?;
        return Ok(parse_lines(&lines, place)?);
    }
    if text.starts_with(b"-----BEGIN") {
        return Ok((vec![parse_ssh(text, place, file, host)?], Vec::new()));
    }
    Ok(parse_lines(content, place)?)
}

/// What is wrong where the person typed another passphrase, each time that they were asked.
pub(super) const WRONG_PASSPHRASE: &str = "wrong passphrase";

/// Why no identities could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unread {
    WrongPassphrase,
    Other(String),
}

impl From<String> for Unread {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongPassphrase => WRONG_PASSPHRASE,
            Self::Other(why) => why,
        })
    }
}

/// A line may hold several identities, with blanks between them (sops since 3.13, in `SOPS_AGE_KEY`).
fn parse_lines(content: &[u8], place: &str) -> Result<(Vec<Identity>, Vec<String>), String> {
    let text = std::str::from_utf8(content).map_err(|_| "not a list of age identities".to_owned())?;
    let mut identities = Vec::new();
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for word in line.split_whitespace().take_while(|word| !word.starts_with('#')) {
            match parse_identity(word, place) {
                Ok(identity) => identities.push(identity),
                Err(why) => {
                    problems.push(format!("line {} {why}", index + 1));
                    break;
                }
            }
        }
    }
    let more = problems.len().saturating_sub(PROBLEMS_SHOWN);
    if more > 0 {
        problems.truncate(PROBLEMS_SHOWN);
        problems.push(format!("and {more} more"));
    }
    Ok((identities, problems))
}

/// What is said of a line that was an identity once.
pub(super) const DAMAGED: &str = "holds a damaged identity: a character was mistyped or lost";

fn parse_identity(word: &str, place: &str) -> Result<Identity, &'static str> {
    let identity = |recipient: String, secret| Identity { recipient, secret, place: place.to_owned() };
    if word.starts_with("AGE-SECRET-KEY-PQ-1") {
        let key: pq::Identity = word.parse().map_err(|_| DAMAGED)?;
        Ok(identity(key.to_public().to_string(), Secret::Native(Box::new(key))))
    } else if word.starts_with("AGE-SECRET-KEY-1") {
        let key: x25519::Identity = word.parse().map_err(|_| DAMAGED)?;
        Ok(identity(key.to_public().to_string(), Secret::Native(Box::new(key))))
    } else if word.starts_with("AGE-PLUGIN-") {
        let key: ::age::plugin::Identity = word.parse().map_err(|_| DAMAGED)?;
        Ok(identity(format!("age1{}1", key.plugin()), Secret::Plugin(key)))
    } else if word.starts_with("age1") || word.starts_with("ssh-") {
        Err("holds a recipient, the public half: an identity begins with AGE-SECRET-KEY-1")
    } else {
        Err("is not an age identity")
    }
}

fn parse_ssh(content: &[u8], place: &str, file: Option<&Path>, host: &dyn Host) -> Result<Identity, String> {
    let place = place.to_owned();
    let key = match ssh_pem::read(content) {
        Some(Pem::Open(key)) => key,
        Some(Pem::Unusable(why)) => return Err(why.to_owned()),
        Some(Pem::Locked(key)) => {
            let recipient = public_half(file, host)?;
            return Ok(Identity { recipient, secret: Secret::locked(LockedKey::Pem(key)), place });
        }
        None => ssh::Identity::from_buffer(content, None).map_err(
            |_| "not a private key that age can use: it reads OpenSSH's format, PKCS#8 and PEM with RSA keys",
        )?,
    };
    let recipient = ssh::Recipient::try_from(key.clone()).map(|recipient| recipient.to_string());
    let secret = match key {
        ssh::Identity::Encrypted(key) => Secret::locked(LockedKey::OpenSsh(key)),
        ssh::Identity::Unsupported(key) => return Err(unsupported(&key)),
        key @ ssh::Identity::Unencrypted(_) => Secret::Native(Box::new(key)),
    };
    let recipient = recipient.map_err(|_| "a private key of a type that age cannot use".to_owned())?;
    Ok(Identity { recipient, secret, place })
}

/// The public half of a key that does not tell it: what is beside its file, as sops has it.
fn public_half(file: Option<&Path>, host: &dyn Host) -> Result<String, String> {
    const WHAT: &str = "a passphrase-protected key in the old PEM format, which does not say whose it is";
    let Some(file) = file else {
        return Err(format!("{WHAT}: `ssh-keygen -o -p -f FILE` changes the format"));
    };
    let mut public = file.as_os_str().to_owned();
    public.push(".pub");
    let (key, public) = (file.display(), Path::new(&public));
    let text = host.read_secret(public).ok().and_then(|text| String::from_utf8(text.to_vec()).ok());
    // Without its comment.
    let recipient =
        text.and_then(|text| text.trim().parse::<ssh::Recipient>().ok()).map(|key| key.to_string());
    recipient.ok_or_else(|| {
        let public = public.display();
        format!("{WHAT}, and {public} does not either: `ssh-keygen -y -f {key} > {public}` writes it")
    })
}

fn unsupported(key: &UnsupportedKey) -> String {
    match key {
        UnsupportedKey::EncryptedPem => {
            "a private key that is encrypted in a way that is not supported".to_owned()
        }
        UnsupportedKey::EncryptedSsh(cipher) => {
            format!("a private key encrypted with {cipher}, which is not supported")
        }
        UnsupportedKey::Hardware(_) => "a key on a security key, which age cannot use".to_owned(),
        UnsupportedKey::Type(_) => "an SSH key of another type than ssh-ed25519 and ssh-rsa".to_owned(),
    }
}

/// How often a passphrase is asked for, as `ssh` does it.
const TRIES: usize = 3;

/// What a passphrase opens: it is asked for again when it is the wrong one, for which `open` gives nothing. `None` at last.
fn ask_until<T>(
    host: &dyn Host,
    what: &str,
    locked: &str,
    mut open: impl FnMut(&str) -> Result<Option<T>, String>,
) -> Result<Option<T>, String> {
    for left in (0..TRIES).rev() {
        let prompt = match TRIES - left {
            1 => format!("Enter passphrase for {what}"),
            _ => format!("Wrong passphrase ({} left). Enter passphrase for {what}", counted(left + 1)),
        };
        let passphrase = host.ask_passphrase(&prompt).map_err(|error| format!("{locked}, but {error}"))?;
        if let Some(opened) = open(&passphrase)? {
            return Ok(Some(opened));
        }
    }
    Ok(None)
}

fn counted(tries: usize) -> String {
    format!("{tries} {}", if tries == 1 { "try" } else { "tries" })
}

fn decrypt_file(content: &[u8], place: &str, host: &dyn Host) -> Result<SecretBytes, Unread> {
    let what = format!("identity file {place}");
    let open = |passphrase: &str| decrypt_with(content, passphrase);
    let opened = match is_locked(content)? {
        true => ask_until(host, &what, "encrypted with a passphrase", open)?,
        false => return Err(Unread::Other("an age file that is not encrypted with a passphrase".to_owned())),
    };
    opened.ok_or(Unread::WrongPassphrase)
}

fn damaged(error: &dyn fmt::Display) -> String {
    format!("a damaged age file: {}", plain_text(error))
}

fn is_locked(content: &[u8]) -> Result<bool, String> {
    let file = Decryptor::new_buffered(ArmoredReader::new(content)).map_err(|error| damaged(&error))?;
    Ok(file.is_scrypt())
}

/// The plaintext of an age file; `None` for a wrong passphrase.
fn decrypt_with(content: &[u8], passphrase: &str) -> Result<Option<SecretBytes>, String> {
    let file = Decryptor::new_buffered(ArmoredReader::new(content)).map_err(|error| damaged(&error))?;
    let mut identity = scrypt::Identity::new(SecretString::from(passphrase));
    identity.set_max_work_factor(MAX_WORK_FACTOR);
    let reader = match file.decrypt(std::iter::once(&identity as _)) {
        Ok(reader) => reader,
        Err(DecryptError::DecryptionFailed) => return Ok(None),
        Err(DecryptError::ExcessiveWork { required, .. }) => {
            return Err(format!(
                "its passphrase takes 2^{required} units of work, and 2^{MAX_WORK_FACTOR} are allowed"
            ));
        }
        Err(error) => return Err(damaged(&error)),
    };
    let mut lines = Zeroizing::new(Vec::with_capacity(content.len()));
    reader.take(LONGEST_FILE).read_to_end(&mut lines).map_err(|error| damaged(&error))?;
    Ok(Some(lines))
}

/// One identity.
pub(super) struct Identity {
    /// The public half; of a plugin only how its recipients begin.
    recipient: String,
    secret: Secret,
    place: String,
}

enum Secret {
    Native(Box<dyn ::age::Identity + Send + Sync>),
    LockedSsh(Box<LockedSsh>),
    Plugin(::age::plugin::Identity),
}

impl Identity {
    /// The recipient that belongs to it; `None` for a plugin's, which only the plugin knows.
    pub(super) fn recipient(&self) -> Option<&str> {
        (!matches!(self.secret, Secret::Plugin(_))).then_some(&self.recipient)
    }

    /// The recipient; of a plugin only how its recipients begin.
    pub(super) fn public_half(&self) -> &str {
        &self.recipient
    }

    /// Whether a recipient as written in a file is this identity's.
    pub(super) fn is_for(&self, recipient: &Recipient) -> bool {
        recipient.as_str().starts_with(&self.recipient)
    }

    pub(super) fn is_plugin(&self) -> bool {
        matches!(self.secret, Secret::Plugin(_))
    }

    /// Where it was found.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The identity as the age crate wants it, with the host to ask.
    pub(super) fn with_host<'a>(&'a self, host: &'a dyn Host) -> impl ::age::Identity + 'a {
        Attempt { identity: self, host }
    }

    /// The identity in a message: by its public half.
    pub(super) fn shown(&self) -> String {
        match &self.secret {
            Secret::Plugin(identity) => format!("of age-plugin-{}", identity.plugin()),
            _ => shorten(&self.recipient),
        }
    }
}

/// An SSH key with a passphrase, which is asked for when a stanza is for this key.
struct LockedSsh {
    key: LockedKey,
    opened: OnceLock<Result<ssh::Identity, String>>,
}

/// The forms of such a key.
enum LockedKey {
    OpenSsh(EncryptedKey),
    Pem(LockedPem),
}

impl LockedKey {
    /// `None` for a wrong passphrase.
    fn open(&self, passphrase: &str) -> Option<ssh::Identity> {
        match self {
            Self::OpenSsh(key) => key.decrypt(SecretString::from(passphrase)).ok().map(Into::into),
            Self::Pem(key) => key.open(passphrase),
        }
    }
}

impl Secret {
    fn locked(key: LockedKey) -> Self {
        Self::LockedSsh(Box::new(LockedSsh { key, opened: OnceLock::new() }))
    }
}

impl LockedSsh {
    fn open(&self, recipient: &str, host: &dyn Host, place: &str) -> &Result<ssh::Identity, String> {
        self.opened.get_or_init(|| {
            let (what, open) = (format!("SSH key {place}"), |text: &str| Ok(self.key.open(text)));
            let key = ask_until(host, &what, "protected by a passphrase", open)?.ok_or(WRONG_PASSPHRASE)?;
            let is_its_own =
                ssh::Recipient::try_from(key.clone()).is_ok_and(|key| key.to_string() == recipient);
            if is_its_own { Ok(key) } else { Err(format!("{place}.pub is of another key")) }
        })
    }
}

/// Whether a stanza is for the SSH key with this public half: such stanzas name their key by the first four bytes of
/// its SHA-256 (age specification, `ssh-ed25519` and `ssh-rsa`).
fn is_for_ssh_key(stanza: &Stanza, recipient: &str) -> bool {
    let mut words = recipient.split(' ');
    let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let Ok(key) = BASE64_STANDARD.decode(key) else {
        return false;
    };
    let tag = BASE64_STANDARD_NO_PAD.encode(&Sha256::digest(key)[..4]);
    stanza.tag == kind && stanza.args.first() == Some(&tag)
}

/// One identity as the age crate wants it, with the host to ask.
struct Attempt<'a> {
    identity: &'a Identity,
    host: &'a dyn Host,
}

impl ::age::Identity for Attempt<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let failed = |why: &str| Some(Err(DecryptError::Io(io::Error::other(why))));
        let Identity { recipient, secret, place } = self.identity;
        match secret {
            Secret::Native(identity) => identity.unwrap_stanzas(stanzas),
            Secret::LockedSsh(key) => {
                if !stanzas.iter().any(|stanza| is_for_ssh_key(stanza, recipient)) {
                    return None;
                }
                match key.open(recipient, self.host, place) {
                    Ok(identity) => ::age::Identity::unwrap_stanzas(identity, stanzas),
                    Err(why) => failed(why),
                }
            }
            Secret::Plugin(identity) => plugin::run(self.host, identity.plugin(), |callbacks| {
                match IdentityPluginV1::new(identity.plugin(), std::slice::from_ref(identity), callbacks) {
                    Ok(plugin) => ::age::Identity::unwrap_stanzas(&plugin, stanzas),
                    Err(error) => Some(Err(DecryptError::PluginResolve(error))),
                }
            })
            .unwrap_or_else(failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::fake_host::{FakeHost, pair, with_passphrase};

    const PLUGIN: &str = "AGE-PLUGIN-FOOBAR-1QVHULF";

    /// The recipients of the identities in a text, then what is wrong with it.
    fn parsed(content: impl AsRef<[u8]>, host: &FakeHost) -> Result<(Vec<String>, Vec<String>), String> {
        let (identities, problems) =
            parse(content.as_ref(), "keys.txt", None, host).map_err(|why| why.to_string())?;
        Ok((identities.iter().map(Identity::shown).collect(), problems))
    }

    #[test]
    fn several_identities_stand_on_a_line_or_on_lines() {
        let (one, two, three, commented) = (pair(), pair(), pair(), pair());
        let text = format!(
            "{} {}\n# {}\r\n\n  {}\t{PLUGIN}  # three",
            one.secret, two.secret, commented.secret, three.secret
        );
        let recipients = [one, two, three].map(|pair| pair.recipient.to_string());
        let (found, problems) = parsed(text, &FakeHost::default()).unwrap();
        assert_eq!(found[..3], recipients);
        assert_eq!(found[3], "of age-plugin-foobar");
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_and_hides_no_good_one() {
        let key = pair();
        let mut mistyped = key.secret.clone();
        mistyped.replace_range(30..31, if &mistyped[30..31] == "Q" { "P" } else { "Q" });
        let text = format!("hunter2\n{mistyped}\n{}\n{}\nssh-rsa AAAA\n", key.recipient, key.secret);
        let (found, problems) = parsed(text, &FakeHost::default()).unwrap();
        assert_eq!(found, [key.recipient.to_string()]);
        let recipient = "holds a recipient, the public half: an identity begins with AGE-SECRET-KEY-1";
        assert_eq!(
            problems,
            [
                "line 1 is not an age identity".to_owned(),
                "line 2 holds a damaged identity: a character was mistyped or lost".to_owned(),
                format!("line 3 {recipient}"),
                format!("line 5 {recipient}"),
            ]
        );
    }

    #[test]
    fn of_many_bad_lines_the_first_are_named() {
        let key = pair();
        let text = format!("{}{}\n", "not a key\n".repeat(8), key.secret);
        let (found, problems) = parsed(text, &FakeHost::default()).unwrap();
        assert_eq!(found, [key.recipient.to_string()]);
        assert_eq!(problems.len(), 6);
        assert_eq!(problems[4..], ["line 5 is not an age identity", "and 3 more"]);
        let (_, problems) = parsed("not a key\n".repeat(5), &FakeHost::default()).unwrap();
        assert_eq!(problems.len(), 5);
    }

    #[test]
    fn what_cannot_be_read_at_all_says_why() {
        let key = pair();
        let mut costly = with_passphrase(&key.secret, "correct horse", 4);
        let at = costly.windows(3).position(|bytes| bytes == b" 4\n").unwrap();
        costly.splice(at + 1..at + 2, *b"23");
        let file = || with_passphrase(&key.secret, "correct horse", 4);
        let for_a_recipient = key.recipient.wrap(&FakeHost::default(), &[7; 32]).unwrap().into_bytes();
        let old_pem = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n\
                       -----END RSA PRIVATE KEY-----\n";
        let cases = [
            (file(), FakeHost::default().passphrase("wrong"), "wrong passphrase"),
            (file(), FakeHost::default(), "encrypted with a passphrase, but there is no terminal to ask at"),
            (costly, FakeHost::default().passphrase("x"), "takes 2^23 units of work, and 2^20 are allowed"),
            (for_a_recipient, FakeHost::default(), "an age file that is not encrypted with a passphrase"),
            (b"age-encryption.org/v1\n".to_vec(), FakeHost::default(), "a damaged age file"),
            (vec![0xff, 0xfe], FakeHost::default(), "not a list of age identities"),
            (
                b"-----BEGIN PRIVATE KEY-----\n".to_vec(),
                FakeHost::default(),
                "not a private key that age can use",
            ),
            (old_pem.into(), FakeHost::default(), "ssh-keygen -o -p -f FILE"),
        ];
        for (content, host, why) in cases {
            let error = parsed(content, &host).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn an_identity_knows_which_recipients_are_its_own() {
        let ssh = include_bytes!("../../../../fixtures/age/ssh/open");
        let (identities, _) = parse(ssh, "id", None, &FakeHost::default()).unwrap();
        let recipient = Recipient::as_written(include_str!("../../../../fixtures/age/ssh/open.pub"));
        assert!(recipient.as_str().ends_with(" open"), "it has a comment");
        assert!(identities[0].is_for(&recipient));
        assert!(!identities[0].is_for(&pair().recipient));

        let (identities, _) = parse(PLUGIN.as_bytes(), "id", None, &FakeHost::default()).unwrap();
        assert!(identities[0].is_for(&Recipient::as_written("age1foobar1qqqq")));
        assert!(!identities[0].is_for(&Recipient::as_written("age1foobarbaz1qqqq")));
        assert_eq!(identities[0].recipient(), None);
    }
}
