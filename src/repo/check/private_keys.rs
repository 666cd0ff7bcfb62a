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
}

impl PrivateKey {
    pub fn description(self) -> &'static str {
        match self {
            Self::Age => "an age identity, which is a private key",
            Self::Vault | Self::OldVault => "a token of Vault or OpenBao",
            Self::Pem => "a private key in PEM",
            Self::EncryptedPem => "a private key in PEM, which only a passphrase protects",
            Self::Pgp => "a private key of OpenPGP",
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

/// A file in base64 that begins as PEM does, as the values of a Secret are and `client-key-data` of a kubeconfig.
static ENCODED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?-u)LS0tLS1CRUdJT").ok());

/// Keys in examples are one letter many times; random ones of this length have more different ones.
const FEWEST_DIFFERENT: usize = 8;

/// The shortest private key, one of Ed25519 in PKCS#8, has 64 characters; of a longer one this much is looked at.
const MATERIAL: usize = 60;

/// How many different ones are among these, at least.
const DIFFERENT_IN_MATERIAL: usize = 18;

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
    let mut found = Vec::new();
    for (regex, kind) in &*TOKENS {
        let keys = regex.find_iter(file).filter(|key| is_random(key.as_bytes(), *kind));
        found.extend(keys.map(|key| (key.end(), *kind)));
    }
    found.extend(blocks(file));
    found.extend(encoded_blocks(file));
    found.sort_unstable();
    with_lines(file, found)
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

/// Blocks of PEM with the offsets at which they begin.
fn blocks(file: &[u8]) -> Vec<(usize, PrivateKey)> {
    let Some(header) = &*HEADER else { return Vec::new() };
    let block = |found: regex::bytes::Captures<'_>| {
        let whole = found.get(0)?;
        let behind = &file[whole.end()..file.len().min(whole.end() + REACH)];
        let body = Body::read(behind);
        if !body.holds_key() {
            return None;
        }
        let says = |word: &[u8]| found.get(1).is_some_and(|words| holds(words.as_bytes(), word));
        Some((
            whole.start(),
            match () {
                () if says(b"PGP ") => PrivateKey::Pgp,
                () if says(b"ENCRYPTED ") || body.is_encrypted() => PrivateKey::EncryptedPem,
                () => PrivateKey::Pem,
            },
        ))
    };
    header.captures_iter(file).filter_map(block).collect()
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    memmem::find(text, part).is_some()
}

/// Blocks of PEM in files that are base64, with the offsets of these.
fn encoded_blocks(file: &[u8]) -> Vec<(usize, PrivateKey)> {
    let Some(encoded) = &*ENCODED else { return Vec::new() };
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(start) = encoded.find_at(file, at).map(|sign| sign.start()) {
        let text = &file[start..file.len().min(start + ENCODED_REACH)];
        let (mut text, length) = base64_run(text, ENCODED_REACH);
        let whole = text.len() / 4 * 4;
        text.truncate(whole);
        let decoded = Zeroizing::new(LENIENT.decode(&*text).unwrap_or_default());
        found.extend(blocks(&decoded).first().map(|(_, kind)| (start, *kind)));
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
            let (material, length) = base64_run(behind, MATERIAL);
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

/// Up to `most` characters of base64, and how far it goes: line breaks, also escaped, and what a program or a comment has
/// around its lines do not count.
fn base64_run(text: &[u8], most: usize) -> (Zeroizing<Vec<u8>>, usize) {
    let mut run = Zeroizing::new(Vec::with_capacity(most.min(text.len())));
    let mut at = 0;
    while let Some(&byte) = text.get(at).filter(|_| run.len() < most) {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' => run.push(byte),
            b'\\' if matches!(text.get(at + 1), Some(b'n' | b'r' | b't')) => at += 1,
            b'\\' | b'"' | b'\'' | b',' | b'#' | b'*' | b'>' | b'|' => {}
            _ if byte.is_ascii_whitespace() => {}
            _ => break,
        }
        at += 1;
    }
    (run, at)
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
    fn many_first_lines_take_no_longer_than_they_are_long() {
        let many = "-----BEGIN RSA PRIVATE KEY-----\n".repeat(20_000) + &"LS0tLS1CRUdJT".repeat(50_000);
        let start = std::time::Instant::now();
        assert_eq!(keys(&many), []);
        assert!(start.elapsed().as_secs() < 10);
    }
}
