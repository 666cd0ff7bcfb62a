//! Where a typed path leads, and how a value is written there.

use std::collections::HashSet;
use std::path::Path;

use crate::document::{Document, Format, NodeId, Spelled, TreePath};
use crate::error::{Error, Kind, Result};
use crate::shown::typed;
use crate::sops::kubernetes;

/// The path in a document. What is flat is not split at dots: dotenv files, the sections of INI, `data` and `stringData` of a
/// Secret.
pub fn within(spelled: &Spelled, document: &dyn Document) -> Result<TreePath> {
    let tree = document.tree();
    let roots: HashSet<NodeId> = tree.documents().iter().copied().collect();
    let secrets = kubernetes::secrets(document);
    let is_flat = |node: NodeId| match document.format() {
        Format::Dotenv => roots.contains(&node),
        Format::Ini => tree.parent(node).is_some_and(|parent| roots.contains(&parent)),
        _ => secrets
            .iter()
            .any(|secret| [secret.data(document), secret.string_data(document)].contains(&Some(node))),
    };
    spelled.within(document, &is_flat)
}

/// Refuses a path where the file should be, and a file where the path should be.
pub fn refuse_swapped(command: &str, file: &Path, path: &str) -> Result<()> {
    if file.exists() || !Path::new(path).is_file() {
        return Ok(());
    }
    // Behind `=` is a value.
    let name = file.to_str().and_then(|word| word.split_once('=')).map_or(file, |(name, _)| Path::new(name));
    let message =
        format!("there is no file `{}`, but there is a file `{path}`: FILE goes before PATH", name.display());
    let (file, path) = (typed(Path::new(path)), typed(name));
    Err(Error::new(Kind::Usage, message).advise(format!("`sealant {command} {file} {path}`")))
}

/// What a value is at a place where all values are texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    Plain,
    /// In `data` of a Secret.
    Base64,
}

/// What values are at a place, if they are all texts there.
pub fn text_at(path: &TreePath, document: &dyn Document) -> Option<Text> {
    if matches!(document.format(), Format::Dotenv | Format::Ini) {
        return Some(Text::Plain);
    }
    let map = Some(path.parent()?.find(document).ok()?);
    kubernetes::secrets(document).iter().find_map(|secret| match () {
        () if secret.data(document) == map => Some(Text::Base64),
        () if secret.string_data(document) == map => Some(Text::Plain),
        () => None,
    })
}
