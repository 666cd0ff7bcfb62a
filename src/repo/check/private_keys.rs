//! Private keys and tokens, found by their form in the bytes of any file: nothing is parsed.
//!
//! Looks at each byte a bounded number of times, whatever the file contains.

use std::sync::LazyLock;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memmem;
use regex::bytes::Regex;
use zeroize::Zeroizing;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PrivateKey {
    Age,
    Vault,
    /// A token as Vault made them before 1.10, and OpenBao makes them still.
    OldVault,
    /// In PEM, as OpenSSH and TLS keep them.
    Pem,
    /// The same, behind a passphrase.
    EncryptedPem,
    Pgp,
    /// As PuTTY keeps them, in `.ppk` files.
    Putty,
    EncryptedPutty,
}

impl PrivateKey {
    pub fn description(self) -> &'static str {
        match self {
            Self::Age => "an age identity, which is a private key",
            Self::Vault | Self::OldVault => "a token of Vault or OpenBao",
            Self::Pem => "a private key in PEM",
            Self::EncryptedPem => "a private key in PEM, which only a passphrase protects",
            Self::Pgp => "a private key of OpenPGP",
            Self::Putty => "a private key of PuTTY",
            Self::EncryptedPutty => "a private key of PuTTY, which only a passphrase protects",
        }
    }
}

/// As in gitleaks; a root token of Vault is shorter than others.
static TOKENS: LazyLock<Vec<(Regex, PrivateKey)>> = LazyLock::new(|| {
    [
        (r"(?i-u)AGE-SECRET-KEY-(?:PQ-)?1[02-9AC-HJ-NP-Z]{58}", PrivateKey::Age),
        (r"(?-u)\bhvs\.[A-Za-z0-9_-]{24,}", PrivateKey::Vault),
        (r"(?-u)\bhvb\.[A-Za-z0-9_-]{90,}", PrivateKey::Vault),
        (r"(?-u)\bhvr\.[A-Za-z0-9_-]{24,}", PrivateKey::Vault),
        // Such a short form could be a method call in any program, so the text before it has to say what it is.
        (r"(?i-u)token\W[^\n]{0,80}?\bs\.(?-i:[A-Za-z0-9]{24})\b", PrivateKey::OldVault),
    ]
    .into_iter()
    .filter_map(|(pattern, kind)| Some((Regex::new(pattern).ok()?, kind)))
    .collect()
});

/// The first line of a block of PEM, or of SSH2's, with a private key.
static HEADER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?-u)-{4,5} ?BEGIN ((?:[A-Z0-9]{1,20} ){0,4})PRIVATE KEY( BLOCK)? ?-{4,5}").ok()
});

/// The first line of a key of PuTTY: its manual, "PPK file format".
static PUTTY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?-u)PuTTY-User-Key-File-[0-9]:[^\n]{0,80}").ok());

/// How texts with keys begin that are kept in base64, as the values of a Secret are and `client-key-data` of a kubeconfig. What
/// is before them need not be a multiple of three bytes.
const BEGINS: [&[u8]; 3] = [b"-----BEGIN", b"AGE-SECRET-KEY-", b"PuTTY-User-Key-File-"];

/// What of such a beginning is the same in every text in base64 that has it at some distance from its start.
struct EncodedSign {
    /// Stands for what is in the same group of characters before it.
    lead: Vec<u8>,
    text: Vec<u8>,
}

static ENCODED_SIGNS: LazyLock<Vec<EncodedSign>> = LazyLock::new(|| {
    let places = BEGINS.iter().flat_map(|begin| (0..3).map(move |before| (before, begin)));
    let sign = |(before, begin): (usize, &&[u8])| {
        let text = LENIENT.encode([&[0; 2][..before], *begin].concat()).into_bytes();
        let (from, to) = ((before * 8).div_ceil(6), (before + begin.len()) * 8 / 6);
        EncodedSign { lead: text[..from].to_vec(), text: text[from..to].to_vec() }
    };
    places.map(sign).collect()
});

/// Any of these, whatever a program has around its lines.
static ENCODED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let within = r#"(?:\\[nrt]|[\s\\"',#*>|])*"#;
    let spread = |sign: &EncodedSign| {
        sign.text
            .iter()
            .map(|&byte| regex::escape(&char::from(byte).to_string()))
            .collect::<Vec<_>>()
            .join(within)
    };
    Regex::new(&format!("(?-u){}", ENCODED_SIGNS.iter().map(spread).collect::<Vec<_>>().join("|"))).ok()
});

/// Without one of these there is no key in base64: a line break is in one half of a sign at most.
pub(super) fn signs_of_encoded() -> Vec<String> {
    let halves = |sign: &EncodedSign| {
        let (first, second) = sign.text.split_at(sign.text.len() / 2);
        [first, second].map(|half| String::from_utf8_lossy(half).into_owned())
    };
    ENCODED_SIGNS.iter().flat_map(halves).collect()
}

/// Keys in examples are one letter many times; random ones of this length have more different ones.
const FEWEST_DIFFERENT: usize = 8;

/// The shortest private key, one of Ed25519 in PKCS#8, has 64 characters; of a longer one this much is looked at.
const MATERIAL: usize = 60;

/// How many different ones are among these, at least.
const DIFFERENT_IN_MATERIAL: usize = 18;

/// The same of a key of PuTTY, which has its public half elsewhere: one of Ed25519 has 48.
const PUTTY_MATERIAL: usize = 40;

/// How far behind a first line key material is looked for: headers of PEM may be between.
const REACH: usize = 4 << 10;

/// How much of a file in base64 is decoded: certificates may be before the key.
const ENCODED_REACH: usize = 64 << 10;

/// As OpenSSH's own files begin: the name of the cipher follows.
const OPENSSH: &[u8] = b"openssh-key-v1\0";

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The private keys in a file, with the lines on which they are.
pub fn private_keys(file: &[u8]) -> Vec<(usize, PrivateKey)> {
    let mut found = spelled_out(file);
    found.extend(encoded(file));
    found.sort_unstable();
    with_lines(file, found)
}

/// Those that nobody has encoded, with their offsets.
fn spelled_out(file: &[u8]) -> Vec<(usize, PrivateKey)> {
    let mut found = Vec::new();
    for (regex, kind) in &*TOKENS {
        let keys = regex.find_iter(file).filter(|key| is_random(key.as_bytes(), *kind));
        found.extend(keys.map(|key| (key.end(), *kind)));
    }
    found.extend(blocks(file));
    found.extend(of_putty(file));
    found
}

/// The lines of offsets that are in order.
fn with_lines(file: &[u8], offsets: Vec<(usize, PrivateKey)>) -> Vec<(usize, PrivateKey)> {
    let (mut line, mut counted) = (1, 0);
    let line_of = |(offset, kind)| {
        line += file[counted..offset].iter().filter(|&&byte| byte == b'\n').count();
        counted = offset;
        (line, kind)
    };
    offsets.into_iter().map(line_of).collect()
}

fn is_random(key: &[u8], kind: PrivateKey) -> bool {
    // What follows the prefix, whose last letter has no place in it.
    let mark = if kind == PrivateKey::Age { b'1' } else { b'.' };
    let key = key.rsplit(|&byte| byte == mark).next().unwrap_or_default();
    let count = |is: fn(&u8) -> bool| key.iter().filter(|byte| is(byte)).count();
    let is_no_name = || {
        count(u8::is_ascii_digit) >= 2
            && count(u8::is_ascii_uppercase) > 0
            && count(u8::is_ascii_lowercase) > 0
    };
    different(key) >= FEWEST_DIFFERENT && (kind != PrivateKey::OldVault || is_no_name())
}

fn different(text: &[u8]) -> usize {
    let mut seen = [false; 256];
    text.iter().for_each(|&byte| seen[usize::from(byte)] = true);
    seen.iter().filter(|&&seen| seen).count()
}

/// Blocks of PEM with the offsets at which they begin. One ends where the next one begins, if not before.
fn blocks(file: &[u8]) -> Vec<(usize, PrivateKey)> {
    let Some(header) = &*HEADER else { return Vec::new() };
    let mut headers = header.captures_iter(file).peekable();
    let mut found = Vec::new();
    while let Some(words) = headers.next() {
        let Some(whole) = words.get(0) else { continue };
        let next = headers.peek().and_then(|next| next.get(0)).map_or(file.len(), |next| next.start());
        let body = Body::read(&file[whole.end()..next.min(whole.end() + REACH)]);
        if !body.holds_key() {
            continue;
        }
        let says = |word: &[u8]| words.get(1).is_some_and(|words| holds(words.as_bytes(), word));
        let kind = match () {
            () if says(b"PGP ") => PrivateKey::Pgp,
            () if says(b"ENCRYPTED ") || body.is_encrypted() => PrivateKey::EncryptedPem,
            () => PrivateKey::Pem,
        };
        found.push((whole.start(), kind));
    }
    found
}

/// Keys of PuTTY with the offsets at which they begin.
fn of_putty(file: &[u8]) -> Vec<(usize, PrivateKey)> {
    let Some(first_line) = &*PUTTY else { return Vec::new() };
    let mut lines = first_line.find_iter(file).peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let next = lines.peek().map_or(file.len(), |next| next.start());
        let behind = &file[line.end()..next.min(line.end() + REACH)];
        let Some(at) = memmem::find(behind, b"Private-Lines:") else { continue };
        let (headers, behind) = behind.split_at(at);
        let key = end_of_line(behind).map(|end| base64_run(&behind[end..], PUTTY_MATERIAL, &[]).0);
        if !key.is_some_and(|key| key.len() == PUTTY_MATERIAL && different(&key) >= FEWEST_DIFFERENT) {
            continue;
        }
        let is_encrypted = !holds(headers, b"Encryption: none");
        found.push((line.start(), if is_encrypted { PrivateKey::EncryptedPutty } else { PrivateKey::Putty }));
    }
    found
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    memmem::find(text, part).is_some()
}

/// Keys in texts that are base64, with the offsets at which they begin to be known as such.
fn encoded(file: &[u8]) -> Vec<(usize, PrivateKey)> {
    let Some(signs) = &*ENCODED else { return Vec::new() };
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(spread) = signs.find_at(file, at) {
        let start = spread.start();
        let (sign, _) = base64_run(spread.as_bytes(), usize::MAX, &[]);
        let lead =
            ENCODED_SIGNS.iter().find(|known| known.text == *sign).map_or(&[][..], |known| &known.lead);
        let (mut text, length) = base64_run(&file[start..], ENCODED_REACH, lead);
        if text.len() % 4 == 1 {
            text.pop();
        }
        let decoded = Zeroizing::new(LENIENT.decode(&*text).unwrap_or_default());
        found.extend(spelled_out(&decoded).iter().min().map(|(_, kind)| (start, *kind)));
        at = start + length.max(1);
    }
    found
}

/// What follows the first line of a block.
struct Body {
    /// Headers that PEM and OpenPGP may have before the key.
    headers: Vec<u8>,
    /// The beginning of the key, in base64.
    material: Zeroizing<Vec<u8>>,
}

impl Body {
    fn read(mut behind: &[u8]) -> Self {
        let mut headers = Vec::new();
        loop {
            let (material, length) = base64_run(behind, MATERIAL, &[]);
            let rest = &behind[length..];
            // `Proc-Type: 4,ENCRYPTED`: a name in a line of its own, a colon, and what belongs to it up to its end.
            let is_name = material.len() < MATERIAL && matches!(rest.first(), Some(b':' | b'-'));
            let end = is_name.then(|| end_of_line(rest)).flatten();
            let Some(end) = end.filter(|&end| rest[..end].contains(&b':')) else {
                return Self { headers, material };
            };
            headers.extend_from_slice(&rest[..end]);
            behind = &rest[end..];
        }
    }

    /// Whether it is random enough for a key: words are not, and neither is a repeated letter.
    fn holds_key(&self) -> bool {
        let has = |is: fn(&u8) -> bool| self.material.iter().any(is);
        self.material.len() >= MATERIAL
            && different(&self.material) >= DIFFERENT_IN_MATERIAL
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_uppercase)
    }

    fn is_encrypted(&self) -> bool {
        if holds(&self.headers, b"ENCRYPTED") {
            return true;
        }
        let start = LENIENT.decode(&self.material[..self.material.len() / 4 * 4]).map(Zeroizing::new);
        start.is_ok_and(|start| {
            let cipher = start.strip_prefix(OPENSSH).and_then(|rest| rest.get(4..));
            cipher.is_some_and(|cipher| !cipher.starts_with(b"none"))
        })
    }
}

/// Where a line ends, which may be said by an escape.
fn end_of_line(text: &[u8]) -> Option<usize> {
    text.windows(2).position(|pair| pair[0] == b'\n' || pair == b"\\n")
}

/// `lead` and up to `most` characters of base64, and how far these go: line breaks, also escaped, and what a program or a
/// comment has around its lines do not count. It ends at its padding.
fn base64_run(text: &[u8], most: usize, lead: &[u8]) -> (Zeroizing<Vec<u8>>, usize) {
    let mut count = 0;
    let length = for_each_in_run(text, most, |_| count += 1);
    // With room for all of it, and no more: whoever repeats the beginning of a key does not have us wipe it all each time.
    let mut run = Zeroizing::new(Vec::with_capacity(lead.len() + count));
    run.extend_from_slice(lead);
    for_each_in_run(&text[..length], most, |byte| run.push(byte));
    (run, length)
}

fn for_each_in_run(text: &[u8], most: usize, mut visit: impl FnMut(u8)) -> usize {
    let (mut at, mut count) = (0, 0);
    while let Some(&byte) = text.get(at).filter(|_| count < most) {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => {
                visit(byte);
                count += 1;
            }
            b'\\' if matches!(text.get(at + 1), Some(b'n' | b'r' | b't')) => at += 1,
            b'\\' | b'"' | b'\'' | b',' | b'#' | b'*' | b'>' | b'|' => {}
            _ if byte.is_ascii_whitespace() => {}
            _ => break,
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: &str = "AGE-SECRET-KEY-1HH3WRGUCZXCVP9K8YU02L8FPZVSW77S3CPH6S4VA0EGEX2VRPAJQ6CFT2G";

    /// As random as a key, and none.
    const RANDOM: &str = "MIIEpAIBAAKCAQEA3Tz2mr7SZiAMfQyuvBjM9Oi68Z8mDQFa1fYGk0m7bXcW\nq5LrVhPznU4eKJx2sHoYdgR8wTtEvBaNiCl6GkFyS1pMZjQuXcObV7Iq0fWnLhDe\n";

    fn keys(text: &str) -> Vec<(usize, PrivateKey)> {
        private_keys(text.as_bytes())
    }

    fn block(words: &str) -> String {
        format!("-----BEGIN {words}-----\n{RANDOM}-----END {words}-----\n")
    }

    #[test]
    fn age_identities_and_tokens_are_found_by_their_form() {
        let pq = AGE.replace("KEY-1", "KEY-PQ-1");
        for (text, expected) in [
            (format!("# a key\n{AGE}\n"), vec![(2, PrivateKey::Age)]),
            (format!("x={}", AGE.to_lowercase()), vec![(1, PrivateKey::Age)]),
            (pq, vec![(1, PrivateKey::Age)]),
            (
                format!("a\n\u{e9} token: hvs.6j4cuewowBGit65rheNoceI7\n{AGE}"),
                vec![(2, PrivateKey::Vault), (3, PrivateKey::Age)],
            ),
            (format!("hvb.{}", "AbCd01239_".repeat(12)), vec![(1, PrivateKey::Vault)]),
            ("VAULT_TOKEN=s.6j4cuewowBGit65rheNoceI7\n".to_owned(), vec![(1, PrivateKey::OldVault)]),
            // None of these is one.
            ("AGE-SECRET-KEY-1...".to_owned(), vec![]),
            (format!("AGE-SECRET-KEY-1{}", "Q".repeat(58)), vec![]),
            ("hvs.XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX hvs.short".to_owned(), vec![]),
            ("let token = s.someMethodWithSuchAName1();".to_owned(), vec![]),
            ("x = s.6j4cuewowBGit65rheNoceI7".to_owned(), vec![]),
        ] {
            assert_eq!(keys(&text), expected, "{text}");
        }
    }

    #[test]
    fn blocks_of_pem_are_found_however_they_are_written() {
        for words in
            ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY", "OPENSSH PRIVATE KEY"]
        {
            assert_eq!(keys(&format!("a\n{}", block(words))), [(2, PrivateKey::Pem)], "{words}");
        }
        assert_eq!(keys(&block("ENCRYPTED PRIVATE KEY")), [(1, PrivateKey::EncryptedPem)]);
        let pgp = block("PGP PRIVATE KEY BLOCK").replacen(
            "-----\n",
            "-----\nVersion: GnuPG v2\nComment: a-b\n\n",
            1,
        );
        assert_eq!(keys(&pgp), [(1, PrivateKey::Pgp)]);
        let old = "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,D3B58A0B\n\n";
        assert_eq!(
            keys(&block("RSA PRIVATE KEY").replacen("-----\n", old, 1)),
            [(1, PrivateKey::EncryptedPem)]
        );
        let ssh2 = block("SSH2 ENCRYPTED PRIVATE KEY")
            .replace("-----", "----")
            .replace("----B", "---- B")
            .replace("Y----", "Y ----");
        assert_eq!(keys(&ssh2), [(1, PrivateKey::EncryptedPem)]);

        let pem = block("RSA PRIVATE KEY");
        let lines = |before: &str, after: &str| {
            pem.lines().map(|line| format!("{before}{line}{after}\n")).collect::<String>()
        };
        for text in [
            format!("key: |\n{}", lines("  ", "")),
            format!("{{\"key\": \"{}\"}}", pem.replace('\n', "\\n")),
            format!("{{\"a\": \"{{\\\"key\\\": \\\"{}\\\"}}\"}}", pem.replace('\n', "\\\\n")),
            pem.replace('\n', "\r\n"),
            lines("// ", "").replace("// ", "# "),
            lines("    \"", "\\n\""),
            lines("> ", ""),
            format!("KEY=\"{}\"", pem.replace('\n', " ")),
        ] {
            let found = keys(&text);
            assert!(matches!(found[..], [(_, PrivateKey::Pem)]), "{found:?}: {text}");
        }
    }

    #[test]
    fn what_openssh_protects_by_a_passphrase_is_told() {
        for (cipher, expected) in [("none", PrivateKey::Pem), ("aes256-ctr", PrivateKey::EncryptedPem)] {
            let mut key = OPENSSH.to_vec();
            key.extend([0, 0, 0, cipher.len() as u8]);
            key.extend(cipher.as_bytes());
            key.extend((0..120_u8).map(|byte| byte.wrapping_mul(37)));
            let text = LENIENT.encode(key);
            let text =
                format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{text}\n-----END OPENSSH PRIVATE KEY-----\n");
            assert_eq!(keys(&text), [(1, expected)]);
        }
    }

    #[test]
    fn a_key_in_base64_is_found() {
        let certificate = format!("-----BEGIN CERTIFICATE-----\n{RANDOM}-----END CERTIFICATE-----\n");
        for (pem, expected) in [
            (block("PRIVATE KEY"), vec![(2, PrivateKey::Pem)]),
            (format!("{certificate}{}", block("EC PRIVATE KEY")), vec![(2, PrivateKey::Pem)]),
            (certificate, vec![]),
        ] {
            let text = LENIENT.encode(pem);
            assert_eq!(keys(&format!("data:\n  tls.key: {text}\n  other: x\n")), expected);
            let wrapped: String = text
                .as_bytes()
                .chunks(76)
                .map(|line| format!("    {}\n", str::from_utf8(line).unwrap()))
                .collect();
            let expected: Vec<_> = expected.into_iter().map(|(_, kind)| (3, kind)).collect();
            assert_eq!(keys(&format!("data:\n  tls.key: |\n{wrapped}")), expected);
        }
    }

    #[test]
    fn a_key_anywhere_in_a_text_in_base64_is_found() {
        let keys_txt = format!("# created: 2026-01-01\n# public key: age1x\n{AGE}\n");
        for (key, kind) in [
            (block("EC PRIVATE KEY"), PrivateKey::Pem),
            (keys_txt, PrivateKey::Age),
            (AGE.to_owned(), PrivateKey::Age),
            (putty("none"), PrivateKey::Putty),
        ] {
            for before in 0..60 {
                let text = LENIENT.encode(format!("{}{key}", "x".repeat(before)));
                assert_eq!(keys(&format!("a: {text}\n")), [(1, kind)], "{before}: {key}");
                // As `base64` wraps it, in whatever quotes.
                let lines: Vec<&str> =
                    text.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect();
                for (between, after) in [("\n", ""), ("\\n", ""), ("\",\n  \"", "\"")] {
                    let wrapped = format!("a: \"{}{after}\n", lines.join(between));
                    assert!(
                        matches!(keys(&wrapped)[..], [(_, found)] if found == kind),
                        "{before}: {wrapped}"
                    );
                }
            }
        }
        // One text ends where it is padded.
        let certificate = LENIENT.encode(format!("-----BEGIN CERTIFICATE-----\n{RANDOM}"));
        assert!(certificate.ends_with('='));
        let list = format!("[\"{certificate}\",\"{}\"]", LENIENT.encode(block("PRIVATE KEY")));
        assert_eq!(keys(&list), [(1, PrivateKey::Pem)]);
    }

    fn putty(cipher: &str) -> String {
        format!(
            "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: {cipher}\nComment: x\nPublic-Lines: 2\n{}\nAAAA\nPrivate-Lines: 1\n{}\nPrivate-MAC: 00\n",
            &RANDOM[..64],
            &RANDOM[8..56]
        )
    }

    #[test]
    fn keys_of_putty_are_found() {
        assert_eq!(keys(&format!("a\n{}", putty("none"))), [(2, PrivateKey::Putty)]);
        assert_eq!(keys(&putty("aes256-cbc")), [(1, PrivateKey::EncryptedPutty)]);
        assert_eq!(keys(&putty("none").replace('\n', "\r\n")), [(1, PrivateKey::Putty)]);
        for text in [
            "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\n...\n".to_owned(),
            "begins with `PuTTY-User-Key-File-2: `\n".to_owned(),
            putty("none").replace("Private-Lines", "Lines"),
        ] {
            assert_eq!(keys(&text), [], "{text}");
        }
    }

    #[test]
    fn what_only_speaks_of_keys_is_passed_by() {
        for text in [
            "begins with -----BEGIN RSA PRIVATE KEY----- and a line break\n",
            "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----\n",
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA...\n-----END RSA PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\n<your key>\n-----END PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\nYOUR PRIVATE KEY GOES HERE AND IT IS SOME LINES LONG AS YOU WILL SEE\n-----END PRIVATE KEY-----\n",
            "const HEADER: &str = \"-----BEGIN PRIVATE KEY-----\";\nif text.starts_with(HEADER) {\n",
            &format!("-----BEGIN PRIVATE KEY-----\n{}\n", "x".repeat(200)),
            &format!("-----BEGIN PUBLIC KEY-----\n{RANDOM}"),
            "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQo=\n",
        ] {
            assert_eq!(keys(text), [], "{text}");
        }
    }

    #[test]
    fn many_beginnings_take_no_longer_than_they_are_long() {
        let start = std::time::Instant::now();
        for text in [
            "-----BEGIN RSA PRIVATE KEY-----\n".repeat(20_000) + &"LS0tLS1CRUdJT".repeat(50_000),
            "LS0tLS1CRUdJT!".repeat(75_000),
            "QUdFLVNFQ1JFVC1LRVkt!".repeat(50_000),
            "-----BEGIN PRIVATE KEY-----A:".repeat(36_000),
            "-----BEGIN PRIVATE KEY-----A:\nA:\nA:\nA:\n".repeat(28_000),
            "PuTTY-User-Key-File-3: a".repeat(40_000),
            "PuTTY-User-Key-File-3: a\nPrivate-Lines: 1\n".repeat(25_000),
        ] {
            assert_eq!(keys(&text), []);
        }
        assert!(start.elapsed().as_secs() < 10);
    }
}
