//! What other programs have encrypted in a file: it is for nobody whom a list of ours names.

use std::borrow::Cow;
use std::collections::HashSet;

use super::held::{Held, SHORTEST_KEY, Values};
use super::prints::Print;
use super::readers::Readers;
#[cfg(feature = "bitnami")]
use crate::bitnami;
use crate::document;
use crate::document::Format;
#[cfg(feature = "bitnami")]
use crate::document::{Document, NodeId};
use crate::foreign::{ansible_vault, dotenvx, git_crypt};
use crate::keys::KeySet;
#[cfg(feature = "bitnami")]
use crate::sealed_secret;
use crate::secret::SecretBytes;

/// What other programs encrypted in a file, SealedSecrets of sealed-secrets and ciphertexts of ansible-vault, git-crypt and dotenvx:
/// each with the line that it begins on, and its ciphertexts with their items. Turning one into ours gives its values to the readers of
/// its place.
#[derive(Default)]
pub struct Foreign {
    found: Vec<(usize, Values)>,
    /// Which program has encrypted it, of several one.
    program: Option<&'static str>,
}

#[cfg(feature = "bitnami")]
const SEALED_SECRETS: &str = "sealed-secrets";

impl Foreign {
    /// Those of a file of this type; none where it cannot be read.
    pub fn of(format: Format, bytes: &SecretBytes) -> Self {
        let utf8 = document::of_utf16(bytes);
        let text = without_escapes(utf8.as_ref().unwrap_or(bytes));
        let mut found = Self::of_sealed_secrets(format, bytes, &text);
        let vaulted =
            ansible_vault::found_in(&text).into_iter().map(|(line, vaulted)| (line, vaulted.content()));
        let whole = git_crypt::content(bytes).map(|content| (1, content.to_vec()));
        let others = [
            Self::of_program("ansible-vault", vaulted),
            Self::of_program("git-crypt", whole),
            Self::of_program("dotenvx", dotenvx::found_in(&text)),
        ];
        for other in others {
            found.program = found.program.or(other.program);
            found.found.extend(other.found);
        }
        found
    }

    /// What a program wrote: the bytes of each ciphertext, however it was spelled, and its line.
    pub fn of_program(program: &'static str, found: impl IntoIterator<Item = (usize, Vec<u8>)>) -> Self {
        let values = |bytes: Vec<u8>| vec![(Print::of(program, &bytes), "a value".into())];
        Self::found_of(program, found.into_iter().map(|(line, bytes)| (line, values(bytes))).collect())
    }

    fn found_of(program: &'static str, found: Vec<(usize, Values)>) -> Self {
        let program = Some(program).filter(|_| !found.is_empty());
        Self { found, program }
    }

    /// The program that has encrypted it, as `sealant migrate` calls it.
    pub fn program(&self) -> Option<&'static str> {
        self.program
    }

    /// Those of a document, or of a text that does not parse, such as a template.
    #[cfg(feature = "bitnami")]
    fn of_sealed_secrets(format: Format, bytes: &SecretBytes, text: &[u8]) -> Self {
        let found = match memchr::memmem::find(text, bitnami::GROUP.as_bytes()) {
            Some(_) => document::parse(format, bytes.clone(), true).ok(),
            None => None,
        };
        let found = found.map(|document| Self::in_document(&*document)).unwrap_or_default();
        let known: HashSet<Print> =
            found.found.iter().flat_map(|(_, values)| values).map(|(print, _)| *print).collect();
        let prints = bitnami::starts_in(text).into_iter().map(|start| Print::of(SEALED_SECRETS, &start));
        let others: Values =
            prints.filter(|print| !known.contains(print)).map(|print| (print, "a value".into())).collect();
        let others = (!others.is_empty()).then_some((1, others));
        Self::found_of(SEALED_SECRETS, found.found.into_iter().chain(others).collect())
    }

    #[cfg(not(feature = "bitnami"))]
    fn of_sealed_secrets(_: Format, _: &SecretBytes, _: &[u8]) -> Self {
        Self::default()
    }

    /// Those of a document.
    #[cfg(feature = "bitnami")]
    pub fn in_document(document: &dyn Document) -> Self {
        let (tree, source) = (document.tree(), document.source());
        let below = |node: NodeId, key: &str| tree.entry(source, tree.resolve(node), key);
        let of_object = |node: NodeId| {
            let field = |field: &str| below(node, "spec").and_then(|spec| below(spec, field));
            let items =
                field("encryptedData").into_iter().flat_map(|items| tree.entries(tree.resolve(items)));
            // In the first versions all values were one, under `data`.
            let ciphertexts = items.chain(field("data")).filter_map(|item| {
                let bytes = bitnami::decode_base64(tree[tree.resolve(item)].text.get(source)).ok()?;
                let print = Print::of(SEALED_SECRETS, bitnami::start_of(&bytes).unwrap_or(&bytes));
                (bytes.len() >= SHORTEST_KEY).then(|| (print, tree[item].key.get(source).into()))
            });
            (document.line(node), ciphertexts.collect())
        };
        let found = sealed_secret::objects_where(document, &bitnami::is_theirs);
        Self::found_of(SEALED_SECRETS, found.into_iter().map(of_object).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// What of them may be elsewhere, too. `rule` is whom the creation rule of the place names; they name nobody themselves.
    pub fn held(&self, rule: Option<&KeySet>) -> Vec<(usize, Held)> {
        let held = |(line, values): &(usize, Values)| {
            let (readers, by_rule) = Readers::of_place(rule, Readers::nobody);
            let held = Held {
                readers,
                by_rule,
                keys: Vec::new(),
                proofs: Vec::new(),
                values: values.clone(),
                samples: Vec::new(),
                is_foreign: true,
            };
            (*line, held)
        };
        self.found.iter().map(held).collect()
    }
}

/// A text without what a string of YAML or JSON in double quotes writes otherwise.
fn without_escapes(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let (mut plain, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (before, escape) = rest.split_at(at);
        let code = |digits: usize| {
            let digits = std::str::from_utf8(escape.get(2..2 + digits)?).ok()?;
            u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii)
        };
        let (byte, length) = match escape.get(1) {
            Some(b'n') => (b'\n', 2),
            Some(b'r') => (b'\r', 2),
            Some(b't') => (b'\t', 2),
            Some(plain @ (b'\n' | b'/' | b'"' | b'\\')) => (*plain, 2),
            Some(b'x') if code(2).is_some() => (code(2).unwrap_or_default(), 4),
            Some(b'u') if code(4).is_some() => (code(4).unwrap_or_default(), 6),
            _ => (b'\\', 1),
        };
        plain.extend_from_slice(before);
        plain.push(byte);
        rest = &escape[length..];
    }
    plain.extend_from_slice(rest);
    Cow::Owned(plain)
}
