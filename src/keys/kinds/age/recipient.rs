//! age recipients: parsing them, and wrapping a data key for one of them as a complete age file.
//!
//! Owns what sops stores as `recipient` and `enc` of an age entry (`age/keysource.go` of getsops/sops). Private keys
//! are the identities' business.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::str::FromStr;
use std::sync::Arc;

use ::age::armor::{ArmoredReader, ArmoredWriter, Format};
use ::age::plugin::RecipientPluginV1;
use ::age::ssh::ParseRecipientKeyError;
use ::age::{DecryptError, Decryptor, EncryptError, Encryptor};
use zeroize::Zeroizing;

use super::{plugin, pq};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::secret::SecretBytes;

/// A data key has 32 bytes and a share 33: whatever is longer is not ours, and not worth reading to its end.
const LONGEST_PAYLOAD: u64 = 64;

/// The public half of an age master key: `age1...`, `age1pq1...`, `age1NAME1...` of a plugin, `ssh-ed25519 ...` or
/// `ssh-rsa ...`. It is kept and compared as it is written, an SSH key's comment included, without outer blanks, as
/// sops does.
#[derive(Clone)]
pub struct Recipient {
    text: Arc<str>,
    /// `None` for one that came from a file and does not parse.
    key: Option<Arc<Key>>,
}

enum Key {
    Native(Box<dyn ::age::Recipient + Send + Sync>),
    Plugin(::age::plugin::Recipient),
}

impl Recipient {
    /// A recipient as it is in an encrypted file: taken as it is, since opening a file does not depend on it.
    /// One that does not parse can't be wrapped for.
    pub fn as_written(text: &str) -> Self {
        let text = text.trim();
        Self { text: text.into(), key: parse(text).ok().map(Arc::new) }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The recipient, cut to a length that fits into a line of text.
    pub fn short(&self) -> String {
        shorten(&self.text)
    }

    /// Wraps `payload` into an age file for this recipient alone, ASCII-armored with 64 columns and a final newline,
    /// as sops stores it. Asks the host when the recipient is a plugin's.
    pub(super) fn wrap(&self, host: &dyn Host, payload: &[u8]) -> Result<String> {
        let Some(key) = &self.key else {
            return self.text.parse::<Self>()?.wrap(host, payload);
        };
        let wrapped = match &**key {
            Key::Native(recipient) => encrypt(&**recipient, payload),
            Key::Plugin(recipient) => plugin::run(host, recipient.plugin(), |callbacks| {
                RecipientPluginV1::new(recipient.plugin(), std::slice::from_ref(recipient), &[], callbacks)
                    .map_err(EncryptError::PluginResolve)
                    .and_then(|plugin| encrypt(&plugin, payload))
            })
            .unwrap_or_else(|refused| Err(io::Error::other(refused).into())),
        };
        wrapped.map_err(|error| {
            Error::new(Kind::Other, format!("cannot wrap the data key for {}", self.short()))
                .caused_by(plain_text(&error))
        })
    }
}

impl FromStr for Recipient {
    type Err = Error;

    /// Parses a recipient that somebody typed. Never echoes what may be a secret key.
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let key = parse(text)?;
        Ok(Self { text: text.into(), key: Some(Arc::new(key)) })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.text)
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Recipient {}

impl std::hash::Hash for Recipient {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// Which kind of recipient a text is follows sops: a second `1` in an `age1` string marks a plugin.
fn parse(text: &str) -> Result<Key> {
    if let Some(what) = looks_secret(text) {
        return Err(Error::new(Kind::Other, format!("{what} was given instead of a recipient")).advise(
            "give the public half, which begins with age1 or ssh- (`sealant keygen -y FILE` prints it). A secret key \
             that was on a command line or in a config is no longer secret: make a new one",
        ));
    }
    if text.starts_with("age1") && text.contains(char::is_whitespace) {
        let message = "a comma is missing: after `age1...` comes a blank or a new line, and something else";
        return Err(Error::new(Kind::Other, message).advise("put commas between recipients: age1...,age1..."));
    }
    if text.starts_with("age1pq1") {
        let parsed = text.parse::<pq::Recipient>();
        return parsed.map(native).map_err(|_| bad_bech32(text, Some(pq::RECIPIENT_LENGTH)));
    }
    if text.starts_with("age1tag1") {
        let parsed = text.parse::<::age::tag::Recipient>();
        return parsed.map(native).map_err(|_| bad_bech32(text, None));
    }
    if text.starts_with("age1tagpq1") {
        let parsed = text.parse::<::age::tagpq::Recipient>();
        return parsed.map(native).map_err(|_| bad_bech32(text, None));
    }
    if text.starts_with("age1") && text.matches('1').count() > 1 {
        let parsed = text.parse::<::age::plugin::Recipient>();
        return parsed.map(Key::Plugin).map_err(|_| bad_bech32(text, None));
    }
    if text.starts_with("age1") {
        let parsed = text.parse::<::age::x25519::Recipient>();
        return parsed.map(native).map_err(|_| bad_bech32(text, Some(62)));
    }
    if text.starts_with("ssh-") {
        return text.parse::<::age::ssh::Recipient>().map(native).map_err(|error| bad_ssh(text, &error));
    }
    Err(unknown(text))
}

fn native(recipient: impl ::age::Recipient + Send + Sync + 'static) -> Key {
    Key::Native(Box::new(recipient))
}

/// Names what kind of secret a text seems to hold: an identity that was pasted for a recipient.
pub fn looks_secret(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_uppercase();
    if text.contains("SECRET-KEY") {
        Some("an age secret key")
    } else if text.contains("AGE-PLUGIN-") {
        Some("an age plugin's identity")
    } else if text.contains("PRIVATE KEY") {
        Some("a private SSH key")
    } else {
        None
    }
}

fn bad_bech32(text: &str, length: Option<usize>) -> Error {
    let given = text.chars().count();
    let error = Error::new(Kind::Other, format!("`{}` is not a valid age recipient", shorten(text)));
    if text.chars().any(char::is_uppercase) {
        return error.advise("age recipients are all lower case");
    }
    match length {
        Some(length) if given < length => {
            error.advise(format!("it has {given} characters instead of {length}: the end is missing, copy it whole"))
        }
        Some(length) if given > length => error.advise(format!(
            "it has {given} characters instead of {length}: there is something after it; separate recipients with \
             commas"
        )),
        _ => error.advise("its checksum is wrong: a character was mistyped or lost, copy it again"),
    }
}

fn bad_ssh(text: &str, error: &ParseRecipientKeyError) -> Error {
    let shown = shorten(text);
    let bad =
        |why: &str| Error::new(Kind::Other, format!("the SSH key `{shown}` cannot be a recipient: {why}"));
    match error {
        ParseRecipientKeyError::RsaModulusTooSmall => bad("it has less than 2048 bits")
            .advise("use an ssh-ed25519 key, or make an age key with `sealant keygen`"),
        ParseRecipientKeyError::RsaModulusTooLarge => bad("it has more than 4096 bits"),
        ParseRecipientKeyError::Unsupported(_) | ParseRecipientKeyError::Ignore => {
            bad("age takes only ssh-ed25519 and ssh-rsa keys")
        }
        _ => bad("it does not parse").advise("copy the whole line of the .pub file: type, key, comment"),
    }
}

fn unknown(text: &str) -> Error {
    let lower = text.to_ascii_lowercase();
    if text.is_empty() {
        Error::new(Kind::Other, "an age recipient is empty").advise("look for an extra comma")
    } else if lower.starts_with("age1") {
        bad_bech32(text, None)
    } else {
        let error = Error::new(Kind::Other, format!("`{}` is not an age recipient", shorten(text)));
        if lower.starts_with("ecdsa-") || lower.starts_with("sk-") {
            error.advise("age takes only ssh-ed25519 and ssh-rsa keys")
        } else {
            error.advise("a recipient begins with age1, ssh-ed25519 or ssh-rsa")
        }
    }
}

/// Post-quantum recipients have two thousand characters, SSH RSA keys several hundred: the ends tell them apart.
pub(super) fn shorten(text: &str) -> String {
    const HEAD: usize = 40;
    const TAIL: usize = 24;
    let length = text.chars().count();
    if length <= HEAD + TAIL + 16 {
        return text.to_owned();
    }
    let head: String = text.chars().take(HEAD).collect();
    let tail: String = text.chars().skip(length - TAIL).collect();
    format!("{head}...{tail}")
}

fn encrypt(recipient: &dyn ::age::Recipient, payload: &[u8]) -> Result<String, EncryptError> {
    let armored = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    let mut writer = Encryptor::with_recipients(std::iter::once(recipient))?.wrap_output(armored)?;
    writer.write_all(payload)?;
    let file = writer.finish()?.finish()?;
    String::from_utf8(file).map(with_line_feeds).map_err(|error| io::Error::other(error).into())
}

/// Armor with the ends of lines that it has everywhere: the library ends them as the system does.
pub(super) fn with_line_feeds(armor: String) -> String {
    if armor.contains('\r') { armor.replace("\r\n", "\n") } else { armor }
}

/// Why an age file could not be opened with an identity.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// The file is not for this identity.
    NotForIt,
    /// The file itself is broken: no identity opens it.
    Damaged(String),
    /// The identity would fit, or might, but could not be used.
    Identity(String),
}

/// Opens an age file, armored or not, with one identity.
pub(super) fn unwrap(enc: &str, identity: &dyn ::age::Identity) -> Result<SecretBytes, NotOpened> {
    let damaged = |error: &dyn fmt::Display| NotOpened::Damaged(plain_text(error));
    let decryptor =
        Decryptor::new_buffered(ArmoredReader::new(enc.as_bytes())).map_err(|error| damaged(&error))?;
    let reader = decryptor.decrypt(std::iter::once(identity)).map_err(|error| match error {
        DecryptError::NoMatchingKeys => NotOpened::NotForIt,
        DecryptError::InvalidMac | DecryptError::InvalidHeader => damaged(&error),
        error => NotOpened::Identity(plain_text(&error)),
    })?;
    // With room for all of it no copy stays behind in a buffer that was outgrown.
    let mut payload = Zeroizing::new(Vec::with_capacity(LONGEST_PAYLOAD as usize));
    reader.take(LONGEST_PAYLOAD).read_to_end(&mut payload).map_err(|error| damaged(&error))?;
    Ok(payload)
}

/// Whether an age file is encrypted with a passphrase, which no recipient can be.
pub fn takes_passphrase(enc: &str) -> bool {
    Decryptor::new_buffered(ArmoredReader::new(enc.as_bytes())).is_ok_and(|file| file.is_scrypt())
}

/// How many stanzas the header of an age file has: each is work for whoever tries to open it.
pub fn stanzas(enc: &str) -> usize {
    let lines = BufReader::new(ArmoredReader::new(enc.as_bytes())).lines().map_while(Result::ok);
    lines.take_while(|line| !line.starts_with("---")).filter(|line| line.starts_with("-> ")).count()
}

/// An error of the age crate in one line, without the marks that isolate text of another direction.
pub(super) fn plain_text(error: &dyn fmt::Display) -> String {
    let text = error.to_string().replace(['\u{2068}', '\u{2069}'], "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Closed;

    const X25519: &str = "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun";
    const SSH: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN alice@rust";
    const SECRET: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

    fn refusal(text: &str) -> (String, String) {
        let error = text.parse::<Recipient>().unwrap_err();
        (error.to_string(), error.advice().unwrap_or_default().to_owned())
    }

    #[test]
    fn recipients_are_kept_as_written() {
        for text in [X25519, SSH] {
            let recipient: Recipient = format!("  {text}\n").parse().unwrap();
            assert_eq!(recipient.to_string(), text);
            assert_eq!(recipient, Recipient::as_written(text));
        }
    }

    #[test]
    fn a_wrapped_key_is_an_armored_age_file_as_sops_stores_it() {
        let identity = ::age::x25519::Identity::generate();
        let recipient: Recipient = identity.to_public().to_string().parse().unwrap();
        let enc = recipient.wrap(&Closed, &[7; 32]).unwrap();
        let lines: Vec<_> = enc.lines().collect();
        assert_eq!(lines[0], "-----BEGIN AGE ENCRYPTED FILE-----");
        assert!(lines[1..lines.len() - 2].iter().all(|line| line.len() == 64));
        assert!(enc.ends_with("-----END AGE ENCRYPTED FILE-----\n"));
        assert_eq!(*unwrap(&enc, &identity).unwrap(), [7; 32]);
        assert_ne!(enc, recipient.wrap(&Closed, &[7; 32]).unwrap());
    }

    #[test]
    fn files_that_do_not_open_say_why() {
        let identity = ::age::x25519::Identity::generate();
        let recipient: Recipient = identity.to_public().to_string().parse().unwrap();
        let enc = recipient.wrap(&Closed, &[7; 32]).unwrap();
        let other = ::age::x25519::Identity::generate();
        assert!(matches!(unwrap(&enc, &other), Err(NotOpened::NotForIt)));
        for broken in ["", "age", &enc[..enc.len() / 2]] {
            assert!(matches!(unwrap(broken, &identity), Err(NotOpened::Damaged(_))));
        }
    }

    #[test]
    fn a_secret_key_given_as_recipient_is_never_echoed() {
        for text in
            [SECRET.to_owned(), SECRET.to_lowercase(), format!("x{SECRET}"), format!("ssh-rsa {SECRET}")]
        {
            let (message, advice) = refusal(&text);
            assert_eq!(message, "an age secret key was given instead of a recipient");
            assert!(advice.contains("keygen -y"));
            assert!(!format!("{message}{advice}").to_uppercase().contains("GFPYYSJZ"));
        }
        assert_eq!(
            refusal("AGE-PLUGIN-YUBIKEY-1QQPSQ").0,
            "an age plugin's identity was given instead of a recipient"
        );
        assert!(!refusal("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz").0.contains("b3Blb"));
    }

    #[test]
    fn likely_mistakes_are_explained() {
        let cases = [
            (X25519[..50].to_owned(), "is not a valid age recipient", "50 characters instead of 62"),
            (format!("{X25519}x"), "is not a valid age recipient", "63 characters instead of 62"),
            (X25519.replace("lzd9", "lzd8"), "is not a valid age recipient", "mistyped"),
            (X25519.to_uppercase(), "is not a valid age recipient", "lower case"),
            (X25519.replace("nvun", "NVUN"), "is not a valid age recipient", "lower case"),
            ("age1pq1qqqq".to_owned(), "`age1pq1qqqq` is not a valid age recipient", "instead of 1959"),
            ("age1yubikey1qqqq".to_owned(), "is not a valid age recipient", "mistyped"),
            (String::new(), "an age recipient is empty", "comma"),
            (format!("{X25519} {X25519}"), "a comma is missing", "put commas"),
            ("alice".to_owned(), "`alice` is not an age recipient", "begins with age1"),
            (
                "ecdsa-sha2-nistp256 AAAA".to_owned(),
                "is not an age recipient",
                "only ssh-ed25519 and ssh-rsa",
            ),
            (SSH[..40].to_owned(), "does not parse", "copy the whole line"),
        ];
        for (text, message, advice) in cases {
            let (is, says) = refusal(&text);
            assert!(is.contains(message), "{is}");
            assert!(says.contains(advice), "{says}");
        }
    }

    #[test]
    fn an_unreadable_recipient_of_a_file_fails_only_when_wrapped_for() {
        let recipient = Recipient::as_written("carrier pigeon");
        assert_eq!(recipient.to_string(), "carrier pigeon");
        let error = recipient.wrap(&Closed, &[7; 32]).unwrap_err();
        assert_eq!(error.to_string(), "`carrier pigeon` is not an age recipient");
    }

    #[test]
    fn a_plugin_recipient_needs_a_host_that_may_run_plugins() {
        // The recipient of age-plugin-yubikey's documentation.
        let recipient: Recipient =
            "age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyfumptt".parse().unwrap();
        let error = recipient.wrap(&Closed, &[7; 32]).unwrap_err();
        assert!(error.to_string().contains("age plugins may not be started here"), "{error}");
    }
}
