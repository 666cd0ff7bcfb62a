//! What is seen in the bytes of a file before anybody parses it: private keys, and whether parsing it is worth the
//! while. Most files of a repository are looked at here and no further.

use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::secret::SecretBytes;

/// One pass over a file: all that anything is decided by begins with one of these.
static SIGNS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"ENC\[AES256_GCM|Secret|sops|(?i:age-secret-key-)|hv[sbr]\.|\bs\.").ok());

/// As gitleaks knows them; a root token of Vault is shorter than others.
static PRIVATE_KEYS: LazyLock<Vec<(Regex, PrivateKey)>> = LazyLock::new(|| {
    [
        (r"(?i-u)AGE-SECRET-KEY-(?:PQ-)?1[02-9AC-HJ-NP-Z]{58}", PrivateKey::Age),
        (r"(?-u)\bhvs\.[A-Za-z0-9_-]{24,}", PrivateKey::Vault),
        (r"(?-u)\bhvb\.[A-Za-z0-9_-]{90,}", PrivateKey::Vault),
        (r"(?-u)\bhvr\.[A-Za-z0-9_-]{24,}", PrivateKey::Vault),
        // So short a form is a method's call in any program: what stands before it has to say what it is.
        (r"(?i-u)token\W[^\n]{0,80}?\bs\.(?-i:[A-Za-z0-9]{24})\b", PrivateKey::OldVault),
    ]
    .into_iter()
    .filter_map(|(pattern, kind)| Some((Regex::new(pattern).ok()?, kind)))
    .collect()
});

/// Keys in examples are one letter many times; random ones of this length have more different ones.
const FEWEST_DIFFERENT: usize = 8;

/// How Git LFS begins what it leaves in the place of a file.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivateKey {
    Age,
    Vault,
    /// A token as Vault made them before 1.10, and OpenBao makes them still.
    OldVault,
}

/// What a file's bytes speak of.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// Something that only parsing can tell.
    pub may_matter: bool,
    /// A ciphertext of sops.
    pub ciphertext: bool,
    private_key: bool,
}

impl Signs {
    pub fn of(file: &[u8]) -> Self {
        let mut signs = Self::default();
        let Some(regex) = &*SIGNS else {
            return Self { may_matter: true, ciphertext: true, private_key: true };
        };
        for found in regex.find_iter(file) {
            match found.as_bytes() {
                b"Secret" | b"sops" => signs.may_matter = true,
                sign if sign.starts_with(b"ENC[") => (signs.may_matter, signs.ciphertext) = (true, true),
                _ => signs.private_key = true,
            }
        }
        signs
    }

    /// The private keys in a file, with the lines on which they stand.
    pub fn private_keys(&self, file: &[u8]) -> Vec<(usize, PrivateKey)> {
        let mut found = Vec::new();
        if self.private_key {
            for (regex, kind) in &*PRIVATE_KEYS {
                let keys = regex.find_iter(file).filter(|key| is_random(key.as_bytes(), *kind));
                found.extend(keys.map(|key| (line_of(file, key.end()), *kind)));
            }
        }
        found.sort_by_key(|(line, _)| *line);
        found
    }
}

fn is_random(key: &[u8], kind: PrivateKey) -> bool {
    // What follows the prefix, whose last letter has no place in it.
    let mark = if kind == PrivateKey::Age { b'1' } else { b'.' };
    let key = key.rsplit(|&byte| byte == mark).next().unwrap_or_default();
    let mut seen = [false; 256];
    key.iter().for_each(|&byte| seen[usize::from(byte)] = true);
    let count = |is: fn(&u8) -> bool| key.iter().filter(|byte| is(byte)).count();
    let is_no_name = || {
        count(u8::is_ascii_digit) >= 2
            && count(u8::is_ascii_uppercase) > 0
            && count(u8::is_ascii_lowercase) > 0
    };
    seen.iter().filter(|&&seen| seen).count() >= FEWEST_DIFFERENT
        && (kind != PrivateKey::OldVault || is_no_name())
}

fn line_of(file: &[u8], offset: usize) -> usize {
    1 + file[..offset].iter().filter(|&&byte| byte == b'\n').count()
}

/// Whether this only says where the content of a file is kept.
pub fn is_lfs_pointer(file: &[u8]) -> bool {
    file.len() < 1024 && file.starts_with(LFS)
}

/// The text of a file in UTF-16, as PowerShell writes it; `None` for one that does not say so by its first two bytes.
pub fn of_utf16(file: &[u8]) -> Option<SecretBytes> {
    let (units, unit): (_, fn([u8; 2]) -> u16) = match file {
        [0xff, 0xfe, units @ ..] => (units, u16::from_le_bytes),
        [0xfe, 0xff, units @ ..] => (units, u16::from_be_bytes),
        _ => return None,
    };
    // Nothing takes more than three bytes for two: the text is never moved, which would leave a copy.
    let mut text = String::with_capacity(units.len() / 2 * 3);
    let units = units.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    text.extend(char::decode_utf16(units).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)));
    Some(SecretBytes::new(text.into_bytes()))
}

/// Whether a text is filled in later: nothing but templates' expressions and variables.
pub fn is_placeholder(text: &str) -> bool {
    let mut rest = text.trim();
    let is_any = !rest.is_empty();
    while let Some(after) = after_placeholder(rest) {
        rest = after.trim_start();
    }
    is_any && rest.is_empty()
}

fn after_placeholder(text: &str) -> Option<&str> {
    let (start, end) = if text.starts_with("{{") { ("{{", "}}") } else { ("${", "}") };
    Some(text.strip_prefix(start)?.split_once(end)?.1)
}

/// The first line of a Secret's values that is in clear, in a template that is no YAML before it is filled in.
///
/// Looks at lines and indents alone: what is below `data` or `stringData` in a part of the file that says
/// `kind: Secret`, and is neither a key nor a template's expression.
pub fn clear_line_of_template(text: &str) -> Option<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let mut start = 0;
    for part in lines.split_inclusive(|line| line.starts_with("---")) {
        let found = clear_line_of_part(part);
        if let Some(line) = found {
            return Some(start + line);
        }
        start += part.len();
    }
    None
}

fn clear_line_of_part(lines: &[&str]) -> Option<usize> {
    if !lines
        .iter()
        .any(|line| line.trim().trim_start_matches("- ").replace(['"', '\''], "") == "kind: Secret")
    {
        return None;
    }
    let mut below: Option<usize> = None;
    for (index, line) in lines.iter().enumerate() {
        let (text, indent) = (line.trim(), line.len() - line.trim_start().len());
        if text.is_empty() || text.starts_with('#') || text.contains("{{") {
            continue;
        }
        below = below.filter(|&outer| indent > outer);
        if below.is_some() {
            let value = match text.split_once(": ") {
                Some((_, value)) => value.trim(),
                None => text.strip_suffix(':').map_or(text, |_| ""),
            };
            let is_empty =
                matches!(value.trim_matches(['"', '\'']), "" | "|" | "|-" | ">" | ">-" | "{}" | "null" | "~");
            if !(is_empty || value.trim_matches(['"', '\'']).starts_with("ENC[") || is_placeholder(value)) {
                return Some(index + 1);
            }
        } else if matches!(text, "data:" | "stringData:") {
            below = Some(indent);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: &str = "AGE-SECRET-KEY-1HH3WRGUCZXCVP9K8YU02L8FPZVSW77S3CPH6S4VA0EGEX2VRPAJQ6CFT2G";

    fn keys(text: &str) -> Vec<(usize, PrivateKey)> {
        Signs::of(text.as_bytes()).private_keys(text.as_bytes())
    }

    #[test]
    fn private_keys_are_found_by_their_form() {
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
    fn most_files_are_not_worth_parsing() {
        assert_eq!(Signs::of(b"fn main() {}\n\xff\x00"), Signs::default());
        assert!(Signs::of(b"kind: Secret").may_matter);
        assert!(Signs::of(b"a: ENC[AES256_GCM,").ciphertext);
    }

    #[test]
    fn a_template_may_name_values_and_not_hold_them() {
        let head =
            "{{- if .Values.on }}\napiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ .Release.Name }}\n";
        for (values, expected) in [
            ("data:\n  a: {{ .Values.a | b64enc }}\n  b: ''\n{{- end }}\n", None),
            ("data:\n  a: aHVudGVyMg==\n{{- end }}\n", Some(7)),
            ("stringData:\n  a: |\n    {{ .Values.a }}\n  # note\ntype: Opaque\n", None),
            ("stringData:\n  a: |\n    hunter2\n", Some(8)),
            ("stringData:\n  a: ${PASSWORD}\n", None),
            ("type: Opaque\n", None),
        ] {
            assert_eq!(clear_line_of_template(&format!("{head}{values}")), expected, "{values}");
        }
        assert_eq!(clear_line_of_template("kind: ConfigMap\ndata:\n  a: b\n---\nx: {{ y }}\n"), None);
        let second = format!("a: {{{{ b }}}}\n---\n{head}data:\n  a: aHVudGVyMg==\n");
        assert_eq!(clear_line_of_template(&second), Some(9));
    }
}
