//! Lossless documents: the original text plus the byte ranges of its leaves and comments.
//!
//! A document is read once and never re-emitted. What changes is said as [`Edits`], ranges of the source and the text
//! that takes their place, so that all else (blank lines, comments, quotes, indents, order, line ends) stays byte for
//! byte. This module knows nothing of encryption: a ciphertext is a text to put in a leaf's place.

mod binary;
mod content;
mod convert;
mod dotenv;
mod edit;
mod example;
mod flat;
mod ini;
mod json;
mod path;
mod raw;
mod reconcile;
#[cfg(test)]
mod testing;
mod tree;
mod utf16;
mod value;
mod yaml;

use std::fmt;
use std::path::Path;

use serde_json::Value as Data;

pub use binary::{BinaryDocument, binary_content};
pub use content::format_of_plaintext;
pub use convert::{Losses, convert, emit_value, variables};
pub use dotenv::DotenvDocument;
pub use edit::Edits;
pub use example::{KUBERNETES_EXAMPLE, example};
pub use ini::IniDocument;
pub use json::{JsonDocument, data_from_json};
pub use path::{Paths, Spelled, TreePath, WithCopies};
pub use raw::to_bytes;
pub use reconcile::{reconcile, scalar_to_data, to_data};
pub use tree::{Node, NodeId, NodeKind, Repeated, Span, Step, Style, Text, Tree, TreeBuilder};
pub use utf16::{is_utf16, of_utf16, utf16};
pub use value::{Value, ValueKind};
pub use yaml::{
    BREAKS_OF_OTHERS, Bound, Copies, Lenient, LenientKind, WrittenAlias, WrittenOut, YamlDocument,
    check_merge_keys, check_start, put_back, write_out, yaml_entry, yaml_of,
};

use crate::error::{Error, Kind, Result};
use crate::hints::conflict_line;
use crate::secret::{SecretBytes, SecretString};

/// The largest document that is read as a tree, in bytes (binary documents are bounded by [`MAX_BINARY`]).
pub const MAX_SOURCE: usize = 256 << 20;

/// The largest file that is encrypted as binary, in bytes.
pub const MAX_BINARY: usize = 1 << 30;

/// How deep the collections of a document may nest.
pub const MAX_DEPTH: usize = 200;

/// How many nodes the aliases of one YAML file may add to it when they are expanded.
pub const MAX_ALIAS_NODES: usize = 100_000;

/// How many bytes of keys and values the aliases of one YAML file may add to it when they are expanded.
pub const MAX_ALIAS_BYTES: usize = 16 << 20;

/// The name of the map that holds the metadata of an encrypted document, and the prefix of its flattened keys.
pub const METADATA_KEY: &str = "sops";

/// The formats of documents, named as in sops's `--input-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Yaml,
    Json,
    Dotenv,
    Ini,
    Binary,
}

impl Format {
    /// The format that a file's extension says; binary for all that is not known (`formats.go` of sops, case sensitive).
    pub fn of_path(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json") => Self::Json,
            Some("env") => Self::Dotenv,
            Some("ini") => Self::Ini,
            _ => Self::Binary,
        }
    }

    /// The format that a part of a file's name says where its extension says none: `.env.production`, `app.yaml.enc`.
    pub fn within_name(path: &Path) -> Option<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut parts = name.rsplit('.').skip(1);
        let format = |part: &str| Self::of_path(Path::new(&format!("a.{part}")));
        parts.find_map(|part| Some(format(part)).filter(|format| *format != Self::Binary))
    }

    /// The most bytes of a file that are read as this format.
    pub fn most_bytes(self) -> usize {
        if self == Self::Binary { MAX_BINARY } else { MAX_SOURCE }
    }

    /// The format with this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Yaml, Self::Json, Self::Dotenv, Self::Ini, Self::Binary].into_iter().find(|f| f.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
            Self::Dotenv => "dotenv",
            Self::Ini => "ini",
            Self::Binary => "binary",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A parsed file whose leaves can be replaced without touching anything else.
///
/// All methods that change something return [`Edits`] of [`Document::source`]; several may be merged and are applied
/// in one pass.
pub trait Document: Send + Sync {
    fn format(&self) -> Format;

    /// The text that the spans of the tree and all edits refer to.
    fn source(&self) -> &str;

    /// The source, without a copy of it.
    fn into_source(self: Box<Self>) -> SecretString;

    /// The nodes in document order.
    fn tree(&self) -> &Tree;

    /// The typed value of a scalar. An error when the format has no such value, such as an integer above 64 bits.
    fn value(&self, leaf: NodeId) -> Result<Value>;

    /// The text of a scalar that holds a string and is no copy of the source; `None` where only [`Document::value`] knows.
    fn borrowed(&self, _leaf: NodeId) -> Option<&str> {
        None
    }

    /// The text of a comment, as a value; of dotenv and INI files it may be bytes that are not UTF-8.
    fn comment(&self, comment: NodeId) -> Value {
        let text = self.tree()[comment].text.get(self.source());
        if raw::is_taken_by(self.format()) { Value::Str(raw::of_text(text)) } else { Value::str(text) }
    }

    /// The bytes of a plain binary document, which are the plaintext of its one leaf; [`Document::value`] copies them.
    fn payload(&self) -> Option<&[u8]> {
        None
    }

    /// Puts an opaque one-line text (a ciphertext, without quotes or backslashes) in the place of a scalar, an alias or a comment. The style of a
    /// scalar is kept around it.
    fn put_token(&self, leaf: NodeId, token: &str) -> Edits;

    /// How [`Document::put_value`] would spell `value` if `leaf` held a token, or [`Document::put_comment`] if it is a
    /// comment: equal to [`Document::spelling`] when nothing has to be remembered.
    fn spelling_after_token(&self, leaf: NodeId, value: &Value) -> SecretString;

    /// The present spelling of a leaf: exactly the bytes that [`Document::put_token`] replaces.
    fn spelling(&self, leaf: NodeId) -> &str;

    /// Puts a value in the place of a scalar, in the scalar's present style as far as the value allows it.
    fn put_value(&self, leaf: NodeId, value: &Value) -> Result<Edits>;

    /// Puts a text that was taken by [`Document::spelling`] back in the place of a scalar.
    fn put_spelling(&self, leaf: NodeId, spelling: &str) -> Edits;

    /// Puts the text of a comment in the place of a comment, or of a list item that stands for one.
    fn put_comment(&self, leaf: NodeId, text: &str) -> Result<Edits>;

    /// Says that a list is empty, all of whose items have become comments: else it would be no value at all.
    fn put_empty(&self, _list: NodeId) -> Edits {
        Edits::default()
    }

    /// Replaces the value of `node` (scalar or collection) by `data`.
    fn replace(&self, node: NodeId, data: &Data) -> Result<Edits>;

    /// Adds an entry to a map (`key` given) or an item to a list: before the sibling `before`, else at the end, but
    /// before metadata.
    ///
    /// Several insertions into a collection may be merged with one another and with one [`Document::remove`], as long
    /// as an entry stays and `before` is one that stays.
    fn insert(
        &self,
        container: NodeId,
        key: Option<&str>,
        before: Option<NodeId>,
        data: &Data,
    ) -> Result<Edits>;

    /// Removes entries of one map or items of one list, with their lines. All that go are named in one call, since
    /// neighbours share a comma.
    fn remove(&self, nodes: &[NodeId]) -> Result<Edits>;

    /// The metadata of an encrypted document, as nested data whatever its layout in the file; `None` when there is
    /// none. Strings stay strings, in flattened formats all values are strings.
    fn metadata(&self) -> Result<Option<Data>>;

    /// Writes the metadata: in place where there is some, else at the end of the document; `None` removes it.
    fn put_metadata(&self, metadata: Option<&Data>) -> Result<Edits>;

    /// Puts the metadata of `from`, a document of the same format, at the end of this one: where a block of it can be
    /// copied as it is there, byte for byte.
    fn carry_metadata(&self, from: &dyn Document) -> Result<Edits> {
        self.put_metadata(from.metadata()?.as_ref())
    }

    /// The last entry of a collection behind which a new one goes: in a root, metadata stay at the end.
    fn last_entry(&self, container: NodeId) -> Option<NodeId> {
        let root = self.tree().parent(container).is_none();
        self.tree().entries(container).filter(|&entry| !(root && self.is_metadata(entry))).last()
    }

    /// The leaf whose value would be another one if anything were written behind the end of the file.
    fn open_end(&self) -> Option<NodeId> {
        None
    }

    /// Whether a leaf belongs to the metadata and so is not data of the document.
    fn is_metadata(&self, node: NodeId) -> bool;

    /// The file that this document stands for, without metadata: the source, but for binary documents.
    fn plaintext_file(&self) -> Result<SecretBytes> {
        Ok(to_bytes(self.format(), self.put_metadata(None)?.apply(self.source())))
    }

    /// The 1-based line of a byte of the source.
    fn line_of(&self, offset: usize) -> usize {
        let source = self.source().as_bytes();
        1 + source[..offset.min(source.len())].iter().filter(|&&byte| byte == b'\n').count()
    }

    /// The 1-based line on which a node begins.
    fn line(&self, node: NodeId) -> usize {
        self.line_of(self.tree()[node].span.start())
    }
}

/// Reads a file of the given format. `encrypted` says whether a binary file is the JSON envelope of one, and whether a key
/// may appear twice, as sops lets it: in plaintext that is an error.
pub fn parse(format: Format, file: SecretBytes, encrypted: bool) -> Result<Box<dyn Document>> {
    let document = parse_any(format, file, encrypted)?;
    match repeated(&*document).filter(|_| !encrypted) {
        Some((message, line)) => {
            Err(Error::new(Kind::Read, message).on_line(line).advise("remove or rename one of the two"))
        }
        None => Ok(document),
    }
}

/// What is said of the first key that appears twice in one map, and the line of the second.
pub fn repeated(document: &dyn Document) -> Option<(String, usize)> {
    let Repeated { key, first, second } = document.tree().repeated()?;
    let [first, second] = [first, second].map(|at| document.line_of(*at));
    Some((format!("the key {key:?} appears twice, on lines {first} and {second}"), second))
}

/// Reads a file as [`parse`] does, also a plaintext in which a key appears twice.
pub fn parse_any(format: Format, file: SecretBytes, encrypted: bool) -> Result<Box<dyn Document>> {
    let limit = format.most_bytes();
    if file.len() > limit {
        return Err(Error::new(
            Kind::Read,
            format!("larger than {} MiB, the most that is read as {format}", limit >> 20),
        ));
    }
    if format == Format::Binary && !encrypted {
        return Ok(Box::new(BinaryDocument::from_bytes(file)?));
    }
    let text = match format {
        format if raw::is_taken_by(format) => raw::to_text(&file)?,
        // What go-yaml reads. All that is written is in UTF-8, as by sops.
        Format::Yaml => into_text(utf16::in_utf8(file)?)?,
        _ => into_text(file)?,
    };
    let conflict = conflict_line(&text);
    let document = match format {
        Format::Yaml => YamlDocument::parse(text).map(|document| Box::new(document) as Box<dyn Document>),
        Format::Json => JsonDocument::parse(text).map(|document| Box::new(document) as _),
        Format::Dotenv => DotenvDocument::parse(text).map(|document| Box::new(document) as _),
        Format::Ini => IniDocument::parse(text).map(|document| Box::new(document) as _),
        Format::Binary => BinaryDocument::parse_envelope(text).map(|document| Box::new(document) as _),
    };
    if let Ok(document) = &document {
        refuse_keys_of_bytes(&**document)?;
    }
    match (document, conflict) {
        (Err(error), Some(line)) => Err(Error::new(error.kind(), "a merge conflict of Git begins here")
            .on_line(line)
            .advise("Finish the merge first: `sealant resolve FILE`.")),
        (document, _) => document,
    }
}

/// The text that [`Document::put_comment`] takes for a comment of a document of this format.
pub fn comment_text(format: Format, comment: &Value) -> Result<SecretString> {
    match comment {
        Value::Str(bytes) if raw::is_taken_by(format) => raw::to_text(bytes),
        comment => Ok(SecretString::new(comment.as_str().unwrap_or_default().to_owned())),
    }
}

/// Keys are bound to values as texts.
fn refuse_keys_of_bytes(document: &dyn Document) -> Result<()> {
    let (tree, source) = (document.tree(), document.source());
    if !raw::is_taken_by(document.format()) || !raw::holds_bytes(source) {
        return Ok(());
    }
    let mut nodes = tree.documents().iter().flat_map(|&root| tree.descendants(root));
    match nodes.find(|&node| raw::holds_bytes(tree[node].key.get(source))) {
        Some(node) => Err(Error::new(Kind::Read, "invalid UTF-8 in a key").on_line(document.line(node))),
        None => Ok(()),
    }
}

/// Checks that a file is UTF-8, without copying it.
fn into_text(mut file: SecretBytes) -> Result<SecretString> {
    match String::from_utf8(std::mem::take(&mut *file)) {
        Ok(text) => Ok(SecretString::new(text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let bytes = SecretBytes::new(error.into_bytes());
            let line = 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
            Err(Error::new(Kind::Read, format!("invalid UTF-8 at byte {at}"))
                .on_line(line)
                .advise("save the file as UTF-8, or encrypt it as binary with --input-type binary"))
        }
    }
}
