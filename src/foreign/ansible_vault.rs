//! The format of ansible-vault, 1.1 and 1.2: found in texts, taken apart, opened.
//!
//! A ciphertext is a line that says what it is, and lines of hex: of salt, HMAC and ciphertext, each in hex itself. Salt and password
//! make the keys, so that a changed ciphertext does not open, and one at another place does.

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, Mac};
use memchr::memmem;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::secret::SecretBytes;

/// What a ciphertext begins with.
pub const HEADER: &str = "$ANSIBLE_VAULT;";

const ROUNDS: u32 = 10_000;
const BLOCK: usize = 16;

/// A ciphertext, taken apart.
pub struct Vaulted {
    salt: Vec<u8>,
    mac: Vec<u8>,
    ciphertext: Vec<u8>,
}

impl Vaulted {
    pub fn parse(text: &[u8]) -> Result<Self> {
        let mut lines = text.trim_ascii().split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let mut header = lines.next().unwrap_or_default().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let (_, version, cipher) = (header.next(), header.next(), header.next());
        if !matches!(version, Some(b"1.1" | b"1.2")) || cipher != Some(b"AES256") {
            let message = "it is of a version of ansible-vault other than 1.1 and 1.2";
            return Err(Error::new(Kind::Read, message)
                .advise("Encrypt it again with a newer one: `ansible-vault rekey FILE`."));
        }
        let broken = || {
            Error::new(Kind::Read, "a ciphertext of ansible-vault is cut off or broken")
                .advise("Restore the file from Git.")
        };
        let body: Vec<u8> = lines.flatten().copied().collect();
        Self::of_hex(&body).ok_or_else(broken)
    }

    fn of_hex(body: &[u8]) -> Option<Self> {
        let text = unhex(body)?;
        let mut parts = text.splitn(3, |byte| *byte == b'\n').map(unhex);
        let [salt, mac, ciphertext] = [parts.next()??, parts.next()??, parts.next()??];
        let is_whole = !ciphertext.is_empty() && ciphertext.len() % BLOCK == 0 && mac.len() == 32;
        (is_whole && !salt.is_empty()).then_some(Self { salt, mac, ciphertext })
    }

    /// What it says, however it is spelled.
    pub fn content(&self) -> Vec<u8> {
        [&*self.salt, &*self.mac, &*self.ciphertext].concat()
    }

    /// The plaintext; `None` with another password.
    pub fn open(&self, password: &[u8]) -> Option<SecretBytes> {
        let mut keys = Zeroizing::new([0; 32 + 32 + BLOCK]);
        pbkdf2::pbkdf2::<Hmac<Sha256>>(password, &self.salt, ROUNDS, &mut *keys).ok()?;
        let (key, rest) = keys.split_at(32);
        let (mac_key, nonce) = rest.split_at(32);
        let mac = Hmac::<Sha256>::new_from_slice(mac_key).ok()?;
        mac.chain_update(&self.ciphertext).verify_slice(&self.mac).ok()?;
        let mut plaintext = SecretBytes::new(self.ciphertext.clone());
        Ctr128BE::<Aes256>::new_from_slices(key, nonce).ok()?.apply_keystream(&mut plaintext);
        let padding = usize::from(*plaintext.last()?);
        let end = plaintext.len().checked_sub(padding)?;
        let is_padded = (1..=BLOCK).contains(&padding)
            && plaintext[end..].iter().all(|byte| usize::from(*byte) == padding);
        is_padded.then(|| plaintext.truncate(end))?;
        Some(plaintext)
    }
}

/// Whether there may be a ciphertext in these bytes.
pub fn may_be_in(bytes: &[u8]) -> bool {
    memmem::find(bytes, HEADER.as_bytes()).is_some()
}

/// The ciphertexts in a file of any type, each with the line that it begins on. What is broken opens nowhere, and is left out.
pub fn found_in(bytes: &[u8]) -> Vec<(usize, Vaulted)> {
    let header = memmem::Finder::new(HEADER);
    // A string of YAML has its lines folded, and ends with a quote.
    let hex = |word: &[u8]| {
        let end = word.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(word.len());
        let is_hex = end > 0 && matches!(word.get(end), None | Some(b'"' | b'\''));
        is_hex.then_some((end, end < word.len()))
    };
    // Each word is looked at once, however many headers a file has: it may be made to take long.
    let mut begun: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut is_within = false;
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let words =
        lines.flat_map(|(line, text)| text.split(u8::is_ascii_whitespace).map(move |word| (line + 1, word)));
    for (line, word) in words.filter(|(_, word)| !word.is_empty()) {
        match (begun.last_mut().filter(|_| is_within), hex(word)) {
            (Some((_, body)), Some((end, is_last))) => {
                body.extend(&word[..end]);
                is_within = !is_last;
            }
            _ => {
                is_within = header.find(word).is_some();
                if is_within {
                    begun.push((line, Vec::new()));
                }
            }
        }
    }
    let taken_apart = |(line, body): (usize, Vec<u8>)| Some((line, Vaulted::of_hex(&body)?));
    begun.into_iter().filter_map(taken_apart).collect()
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ansible-vault encrypt` of ansible-core 2.19, with the password `pw1`.
    const FILE: &str = "$ANSIBLE_VAULT;1.1;AES256
64396464303666313830346139346164656234313363353839396161396164373939663063343631
3832663139613163656233303530326561313038363365300a336530343733386330623532313231
63393232633732336531633239323138666166613632333336306334633236393166373236663833
3265666438653964610a363439313665396430366634633462313962336238643933656331303839
65366435346262323736346631386230643738383661643965303137323863393637
";

    #[test]
    fn what_ansible_wrote_opens_with_its_password_alone() {
        let vaulted = Vaulted::parse(FILE.as_bytes()).unwrap();
        assert_eq!(vaulted.open(b"pw1").unwrap().as_slice(), b"password: hunter2\n");
        assert!(vaulted.open(b"pw2").is_none());
    }

    #[test]
    fn a_changed_or_cut_one_does_not_open() {
        let lines: Vec<&str> = FILE.lines().collect();
        let cut = lines[..4].join("\n");
        assert!(Vaulted::parse(cut.as_bytes()).is_err_and(|error| error.kind() == Kind::Read));
        let changed = FILE.replace("3637\n", "3638\n");
        assert!(Vaulted::parse(changed.as_bytes()).unwrap().open(b"pw1").is_none());
        for other in ["$ANSIBLE_VAULT", "$ANSIBLE_VAULT;1.0;AES\n00", "$ANSIBLE_VAULT;1.1;AES256", ""] {
            assert!(Vaulted::parse(other.as_bytes()).is_err(), "{other}");
        }
    }

    #[test]
    fn a_line_of_many_headers_begins_one_ciphertext() {
        let found = found_in(FILE.replacen(HEADER, &HEADER.repeat(1000), 1).as_bytes());
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1]);
        assert!(found_in(HEADER.repeat(1000).as_bytes()).is_empty());
    }

    #[test]
    fn another_spelling_is_the_same() {
        let inline = format!("a: !vault |\n  {}\nb: 1\n", FILE.trim_end().replace('\n', "\r\n      "));
        let found = found_in(inline.as_bytes());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, 2);
        assert_eq!(found[0].1.content(), Vaulted::parse(FILE.as_bytes()).unwrap().content());
        let lines = FILE.trim_end();
        for text in [
            format!("a: >\n  {}\nb: 1\n", lines.replace('\n', "\n\n  ")),
            format!("a: \"{}\"\nb: 1\n", lines.replace('\n', " ")),
            format!("a: '{}'\nb: 1\n", lines.replace('\n', "\n\n  ")),
        ] {
            let found = found_in(text.as_bytes());
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found[0].1.content(), Vaulted::parse(FILE.as_bytes()).unwrap().content());
        }
    }
}
