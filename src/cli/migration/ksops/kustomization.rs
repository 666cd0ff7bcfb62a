//! The kustomization that lists a generator: what it does to all objects, and the same with the file among its resources.

use std::path::{Path, PathBuf};

use serde_json::Value as Data;

use crate::cli::copies::real;
use crate::document::{self, Document, Edits, Format, MAX_SOURCE, NodeId, NodeKind, reconcile, to_data};
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Snapshot};
use crate::secret::SecretBytes;

/// What kustomize takes for one.
pub const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

const GENERATORS: &str = "generators";
const RESOURCES: &str = "resources";

/// A kustomization, and the place of a file among its generators.
pub struct Kustomization {
    pub path: PathBuf,
    pub snapshot: Snapshot,
    document: Box<dyn Document>,
    root: NodeId,
    at: usize,
}

impl Kustomization {
    /// That which lists a file: in its folder, or in one above it, up to `top`.
    pub fn listing(file: &Path, top: &Path) -> Result<Option<Self>> {
        let file = real(file);
        let folders = file.ancestors().skip(1).take_while(|folder| folder.starts_with(top));
        for folder in folders {
            for path in NAMES.iter().map(|name| folder.join(name)).filter(|path| path.is_file()) {
                if let Some(found) = Self::read(&path, &file).map_err(|error| error.in_file(&path))? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    fn read(path: &Path, file: &Path) -> Result<Option<Self>> {
        let bytes = fs::read_found(path, MAX_SOURCE as u64)?;
        let snapshot = Snapshot::of(&bytes);
        let document = document::parse(Format::Yaml, bytes, false)?;
        let Some(&root) = document.tree().documents().first() else { return Ok(None) };
        let folder = path.parent().unwrap_or(Path::new(""));
        let at = {
            let (tree, source) = (document.tree(), document.source());
            let list = tree.entry(source, root, GENERATORS).map(|list| tree.resolve(list));
            let mut entries = list.into_iter().flat_map(|list| tree.entries(list));
            entries.position(|entry| {
                let entry = tree.resolve(entry);
                let name = tree[entry].text.get(source);
                tree[entry].kind == NodeKind::Scalar && real(&folder.join(name)) == file
            })
        };
        let Some(at) = at else { return Ok(None) };
        Ok(Some(Self { path: path.to_path_buf(), snapshot, root, at, document }))
    }

    /// A text that it has at its top.
    pub fn text(&self, key: &str) -> Option<String> {
        let (tree, source) = (self.document.tree(), self.document.source());
        let entry = tree.resolve(tree.entry(source, self.root, key)?);
        let text = tree[entry].text.get(source);
        (tree[entry].kind == NodeKind::Scalar && !text.is_empty()).then(|| text.to_owned())
    }

    pub fn has(&self, key: &str) -> bool {
        self.document.tree().entry(self.document.source(), self.root, key).is_some()
    }

    /// It, with the file among its resources instead. Everything else keeps its bytes.
    pub fn moved(&self) -> Result<SecretBytes> {
        let cannot = || {
            Error::new(
                Kind::Write,
                "its file cannot be listed under `resources` without changing something else",
            )
            .advise("Move its line from `generators` to `resources` in an editor.")
        };
        let (tree, source) = (self.document.tree(), self.document.source());
        let mut data = to_data(&*self.document, self.root)?;
        let map = data.as_object_mut().ok_or_else(cannot)?;
        let generators = map.get_mut(GENERATORS).and_then(Data::as_array_mut).ok_or_else(cannot)?;
        let entry = generators.remove(self.at);
        let is_renamed = generators.is_empty() && !map.contains_key(RESOURCES);
        if map.get(GENERATORS).and_then(Data::as_array).is_some_and(Vec::is_empty) {
            map.shift_remove(GENERATORS);
        }
        let resources = map.entry(RESOURCES).or_insert_with(|| Data::Array(Vec::new()));
        if resources.is_null() {
            *resources = Data::Array(Vec::new());
        }
        resources.as_array_mut().ok_or_else(cannot)?.push(entry);
        let edits = match tree.entry(source, self.root, GENERATORS).filter(|_| is_renamed) {
            // The list is the same, under another name.
            Some(list) => Edits::replace(tree[list].key_span, RESOURCES),
            None => reconcile(&*self.document, self.root, &data)?,
        };
        let text = edits.apply(self.document.source());
        let bytes = SecretBytes::new(text.as_bytes().to_vec());
        let written = document::parse(Format::Yaml, bytes.clone(), false)?;
        let is_meant = match written.tree().documents().first() {
            Some(root) => to_data(&*written, *root)? == data,
            None => false,
        };
        if is_meant { Ok(bytes) } else { Err(cannot()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "tests make the files that they look at")]

    use super::*;

    fn moved(text: &str, file: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let top = real(folder.path());
        std::fs::write(top.join("kustomization.yaml"), text).unwrap();
        std::fs::create_dir(top.join("sub")).unwrap();
        ["gen.yaml", "sub/gen.yaml"].iter().for_each(|file| std::fs::write(top.join(file), "").unwrap());
        let found = Kustomization::listing(&top.join(file), &top).unwrap()?;
        Some(String::from_utf8(found.moved().unwrap().to_vec()).unwrap())
    }

    #[test]
    fn a_generator_moves_and_all_else_stays() {
        let text = "# c\nresources:\n  - a.yaml   # one\ngenerators:\n  - other.yaml\n  - ./gen.yaml\nnamespace: shop\n";
        let expected = "# c\nresources:\n  - a.yaml   # one\n  - ./gen.yaml\ngenerators:\n  - other.yaml\nnamespace: shop\n";
        assert_eq!(moved(text, "gen.yaml").unwrap(), expected);
        for (text, expected) in [
            ("generators: [sub/gen.yaml] # x\n", "resources: [sub/gen.yaml] # x\n"),
            ("a: 1\ngenerators:\n# why\n- sub/gen.yaml\n", "a: 1\nresources:\n# why\n- sub/gen.yaml\n"),
            (
                "resources: [a.yaml]\ngenerators: [sub/gen.yaml]\nb: 1\n",
                "resources: [a.yaml, sub/gen.yaml]\nb: 1\n",
            ),
        ] {
            assert_eq!(moved(text, "sub/gen.yaml").unwrap(), expected);
        }
        assert_eq!(moved("generators: [other.yaml]\n", "gen.yaml"), None);
        assert_eq!(moved("resources: [gen.yaml]\n", "gen.yaml"), None);
    }
}
