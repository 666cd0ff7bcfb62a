//! What one version of a file gives away: values, for whom they are, and what of it is in plaintext.

use memchr::memmem;

use crate::config::Selection;
use crate::document::{self, Document, Format, NodeId, Paths};
use crate::encrypted_file::{EncryptedFile, format_in, meant};
use crate::error::{Error, Result};
use crate::keys::MasterKey;
use crate::repo::check;
use crate::repo::git::history::Content;
use crate::repo::values::Values;
use crate::repo::who_can_decrypt::{Share, share};
use crate::secret::SecretBytes;
use crate::sops::kubernetes::{Secret, Seen, secrets};
use crate::sops::{self, Exempt, Nature};

/// What a content is.
pub(super) enum Look {
    /// Nothing that is encrypted; the values of Kubernetes Secrets that are in it.
    Other(Vec<String>),
    Encrypted {
        values: Values,
        shares: Vec<Option<Share>>,
        selection: Option<Selection>,
        clear: Vec<String>,
    },
    Unread(Error),
}

/// Looks at a content: whether it is encrypted, and for whom.
pub(super) fn look(format: Format, content: Content, is_it: &impl Fn(&MasterKey) -> bool) -> Look {
    let bytes = match content {
        Content::Bytes(bytes) => bytes,
        // Nothing of that size is encrypted: it could not be opened.
        Content::TooLarge => return Look::Other(Vec::new()),
        Content::Unread(error) => return Look::Unread(error),
    };
    let format = format_in(format, &bytes);
    if meant(format, &bytes).is_none() {
        let utf8 = document::of_utf16(&bytes);
        return Look::Other(secrets_of(format, utf8.unwrap_or(bytes)));
    }
    let read = || {
        let file = EncryptedFile::parse(format, bytes)?;
        let values = Values::of(&file)?;
        let shares = values.data_keys.iter().map(|key| share(&key.wrapped, is_it)).collect();
        let (selection, clear) = match &file {
            EncryptedFile::Document(file) => {
                let selection = file.metadata.selection.clone();
                let clear = paths_in_clear(file.document(), &selection, Exempt::KnownMetadata)?;
                (Some(selection), clear)
            }
            EncryptedFile::Sealed(_) => (None, Vec::new()),
        };
        Ok(Look::Encrypted { values, shares, selection, clear })
    };
    read().unwrap_or_else(Look::Unread)
}

/// The values of a file in plaintext that are encrypted in other versions of it.
pub(super) fn clear_values(
    format: Format,
    bytes: &SecretBytes,
    selections: &[Option<Selection>],
) -> Vec<String> {
    // A pointer of Git LFS holds nothing.
    if bytes.starts_with(b"version https://git-lfs") || bytes.trim_ascii().is_empty() {
        return Vec::new();
    }
    if format == Format::Binary {
        // The one value of the JSON that it is encrypted into.
        return vec!["[\"data\"]".to_owned()];
    }
    let Ok(document) = document::parse(format, bytes.clone(), true) else { return Vec::new() };
    let mut found: Vec<String> = Vec::new();
    let mut tried: Vec<&Option<Selection>> = Vec::new();
    for selection in selections {
        if !tried.contains(&selection) {
            tried.push(selection);
            found.extend(match selection {
                Some(selection) => {
                    let exempt = Nature::of(&*document).exempt();
                    paths_in_clear(&*document, selection, exempt).unwrap_or_default()
                }
                // Where a SealedSecret appears today, the Secret may have appeared before.
                None => secrets_in_clear(&*document),
            });
        }
    }
    found.sort();
    found.dedup();
    found
}

fn paths_in_clear(document: &dyn Document, selection: &Selection, exempt: Exempt) -> Result<Vec<String>> {
    let paths = Paths::of(document);
    let found = sops::in_plaintext(document, selection, exempt)?;
    Ok(found.values.into_iter().map(|node| paths.to(node)).collect())
}

/// The values of Kubernetes Secrets in plaintext, whatever else the file has.
fn secrets_of(format: Format, bytes: SecretBytes) -> Vec<String> {
    const KIND: &[u8] = b"Secret";
    let may_be = matches!(format, Format::Yaml | Format::Json) && memmem::find(&bytes, KIND).is_some();
    match may_be.then(|| document::parse(format, bytes, true)) {
        Some(Ok(document)) => secrets_in_clear(&*document),
        _ => Vec::new(),
    }
}

/// Named as the items of SealedSecrets are: many a Secret became one.
fn secrets_in_clear(document: &dyn Document) -> Vec<String> {
    let (tree, source) = (document.tree(), document.source());
    let entry = |map: NodeId, key: &str| tree.entry(source, tree.resolve(map), key);
    let text = |map: NodeId, key: &str| entry(map, key).map(|node| tree[tree.resolve(node)].text.get(source));
    let mut seen = Seen::default();
    let named = |secret: Secret| {
        let metadata = entry(secret.node, "metadata");
        let of = |key: &str| metadata.and_then(|metadata| text(metadata, key));
        let namespace = of("namespace").map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let place = namespace + of("name").unwrap_or_default();
        let values = check::clear_values(document, &secret, &mut seen).into_iter();
        values.map(move |value| format!("{place}: {}", tree[value].key.get(source)))
    };
    secrets(document).into_iter().flat_map(named).collect()
}
