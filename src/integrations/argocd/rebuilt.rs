//! An encrypted object that kustomize has rebuilt: it sorts keys and sets namespaces, and the MAC of the whole does
//! not match any more.
//!
//! The file that it comes from is in the repository, and known by its MAC, which is text to kustomize. That file is
//! verified instead, and nothing is decrypted that is not a value of it, in the place that it has there.

use std::collections::HashSet;
use std::path::PathBuf;

use memchr::memmem;

use super::{Place, source};
use crate::batch;
use crate::document::{Format, MAX_SOURCE};
use crate::encrypted_file::format_in;
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::keys::KeyService;
use crate::secret::SecretBytes;
use crate::sops::{self, Encrypted, MacCheck, Plaintext, TOKEN};

/// Opens a document that was built of a file of the repository; `None` when there is no such file.
pub(super) async fn open(
    service: &KeyService<'_>,
    place: &Place,
    document: SecretBytes,
) -> Result<Option<Plaintext>> {
    let built = Encrypted::parse(Format::Yaml, document)?;
    let Some(mac) = built.metadata.mac.as_deref().filter(|mac| !mac.is_empty()) else { return Ok(None) };
    let is_manifest = |file: &PathBuf| matches!(Format::of_path(file), Format::Yaml | Format::Json);
    // kustomize reads files of any name.
    let files = fs::walk(&[place.root().to_path_buf()]).files;
    let (manifests, others): (Vec<_>, Vec<_>) = files.into_iter().partition(is_manifest);
    for file in manifests.into_iter().chain(others) {
        let Ok(bytes) = fs::read_found(&file, MAX_SOURCE as u64) else { continue };
        if memmem::find(&bytes, mac.as_bytes()).is_none() {
            continue;
        }
        let format = format_in(Format::of_path(&file), &bytes);
        let shown = file.strip_prefix(place.root()).unwrap_or(&file);
        // A copy of the text elsewhere, in a patch perhaps, is not the file.
        let Ok(parsed) = Encrypted::parse(format, bytes.clone()) else { continue };
        if parsed.metadata.mac.as_deref() != Some(mac) {
            continue;
        }
        let original = batch::open_document(service, source(shown, format, bytes)).await?;
        original.file.decrypt(&original.key, MacCheck::Verify).map_err(|error| error.in_file(shown))?;
        if !tokens(&built)?.is_subset(&tokens(&original.file)?) {
            let message = format!("a value in it differs from the one in {}", shown.display());
            return Err(Error::new(Kind::MacMismatch, message));
        }
        return built.decrypt(&original.key, MacCheck::Ignore).map(Some);
    }
    Ok(None)
}

/// The ciphertexts of a document, each with the path that it is bound to.
fn tokens(file: &Encrypted) -> Result<HashSet<(String, String)>> {
    let document = file.document();
    let mut tokens = HashSet::new();
    sops::for_each_leaf(document, &file.metadata.selection, &mut |leaf| {
        let text = document.tree()[leaf.node].text.get(document.source()).trim_end();
        if text.starts_with(TOKEN) && !leaf.is_comment {
            tokens.insert((leaf.path.to_owned(), text.to_owned()));
        }
        Ok(())
    })?;
    Ok(tokens)
}
