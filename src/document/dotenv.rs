//! Dotenv documents, read as sops reads them (`stores/dotenv/store.go`), which is simpler than any shell: a line is
//! empty, a comment (`#` in column 0), or split at its first `=`. Blanks, quotes and `export ` belong to key and value,
//! as does the `\r` of a CRLF file. The two characters `\n` stand for a newline; there is no other escape.
//!
//! Metadata are the keys under `sops_`. Their lines end in LF in a CRLF file too: sops cannot read a time with a `\r`.

use std::collections::HashMap;

use super::flat::{append_line, flatten, remove_lines, text_of, unflatten};
use super::reconcile::{reconcile_entries, to_value};
use super::*;

const PREFIX: &str = "sops_";
const LINE_END: &str = "\n";

/// A dotenv document.
pub struct DotenvDocument {
    source: SecretString,
    tree: Tree,
}

impl DotenvDocument {
    pub fn parse(source: SecretString) -> Result<Self> {
        let mut builder = TreeBuilder::default();
        let mut keys = HashMap::new();
        let mut end = 0;
        builder.add(NodeKind::Map, Style::Plain, None, Span::new(0, 0), Text::default());
        for (line, number) in source.split('\n').zip(1..) {
            let start = end;
            end = start + line.len() + 1;
            if line.is_empty() {
                continue;
            }
            if line.starts_with('#') {
                let span = Span::new(start + 1, start + line.len());
                builder.add(NodeKind::Comment, Style::Plain, None, span, Text::Source(span));
                continue;
            }
            let (key, value) = line.split_once('=').ok_or_else(|| no_equals_sign(line).on_line(number))?;
            match keys.insert(key, start) {
                Some(_) if key.starts_with(PREFIX) => {
                    let message = format!("the metadata key {key:?} appears twice");
                    return Err(Error::new(Kind::Read, message).on_line(number));
                }
                Some(first) => builder.repeat(key, first, start),
                None => {}
            }
            let key = Span::new(start, start + key.len());
            let span = Span::new(key.end() + 1, start + line.len());
            let text = Text::new(&source, span, &SecretString::new(value.replace("\\n", "\n")));
            builder.add(NodeKind::Scalar, Style::Plain, Some((Text::Source(key), key)), span, text);
        }
        let tree = builder.finish(source.len());
        Ok(Self { source, tree })
    }

    fn root(&self) -> NodeId {
        self.tree.documents()[0]
    }

    /// The entries of the metadata, with their whole keys.
    fn metadata_entries(&self) -> Vec<(&str, NodeId)> {
        let entries = self.tree.entries(self.root());
        entries
            .filter(|&entry| self.is_metadata(entry))
            .map(|entry| (self.tree[entry].key.get(&self.source), entry))
            .collect()
    }
}

/// The line of a new key.
fn line_of_data(key: &str, data: &Data) -> Result<String> {
    if data.is_array() || data.is_object() {
        return Err(nested(key));
    }
    line(key, &to_value(data))
}

pub(super) fn line(key: &str, value: &Value) -> Result<String> {
    if key.starts_with('#') || key.contains(['=', '\n']) {
        return Err(Error::new(Kind::Emit, format!("{key:?} cannot be a key of a dotenv file")));
    }
    Ok(format!("{key}={}", spelled(value)?))
}

pub(super) fn nested(key: &str) -> Error {
    Error::new(Kind::Emit, format!("a dotenv file cannot hold a nested value, as that of {key:?} is"))
}

fn no_equals_sign(line: &str) -> Error {
    let error = Error::new(Kind::Read, "a line that is neither empty nor a comment and has no \"=\"");
    match line {
        "\r" => error.advise("sops cannot read empty lines that end in CRLF: remove them, or use LF"),
        _ => error.advise("write KEY=VALUE, a newline in a value as \\n, and \"#\" only in the first column"),
    }
}

/// The text of a value as it is in a line.
fn spelled(value: &Value) -> Result<String> {
    Ok(text_of(value)?.replace('\n', "\\n"))
}

impl Document for DotenvDocument {
    fn format(&self) -> Format {
        Format::Dotenv
    }

    fn source(&self) -> &str {
        &self.source
    }

    fn into_source(self: Box<Self>) -> SecretString {
        self.source
    }

    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn value(&self, leaf: NodeId) -> Result<Value> {
        Ok(Value::Str(raw::of_text(self.tree[leaf].text.get(&self.source))))
    }

    fn put_token(&self, leaf: NodeId, token: &str) -> Edits {
        Edits::replace(self.tree[leaf].span, token)
    }

    fn spelling_after_token(&self, leaf: NodeId, value: &Value) -> SecretString {
        SecretString::new(match self.tree[leaf].kind {
            NodeKind::Comment => text_of(value).unwrap_or_default(),
            _ => spelled(value).unwrap_or_default(),
        })
    }

    fn spelling(&self, leaf: NodeId) -> &str {
        &self.source[self.tree[leaf].span.range()]
    }

    fn put_value(&self, leaf: NodeId, value: &Value) -> Result<Edits> {
        Ok(Edits::replace(self.tree[leaf].span, spelled(value)?))
    }

    fn put_spelling(&self, leaf: NodeId, spelling: &str) -> Edits {
        Edits::replace(self.tree[leaf].span, spelling)
    }

    fn put_comment(&self, leaf: NodeId, text: &str) -> Result<Edits> {
        if text.contains('\n') {
            let error = Error::new(Kind::Emit, "a comment in a dotenv file cannot span several lines");
            return Err(error.on_line(self.line(leaf)));
        }
        Ok(Edits::replace(self.tree[leaf].span, text))
    }

    fn replace(&self, node: NodeId, data: &Data) -> Result<Edits> {
        let line = line_of_data(self.tree[node].key.get(&self.source), data)?;
        let span = self.tree[node].span;
        Ok(Edits::replace(Span::new(self.tree[node].key_span.start(), span.end()), line))
    }

    fn insert(&self, _: NodeId, key: Option<&str>, before: Option<NodeId>, data: &Data) -> Result<Edits> {
        let key = key.unwrap_or_default();
        let line = line_of_data(key, data)?;
        let metadata = || self.tree.entries(self.root()).find(|&entry| self.is_metadata(entry));
        Ok(match before.or_else(|| metadata().filter(|_| !key.starts_with(PREFIX))) {
            Some(sibling) => Edits::insert(self.tree[sibling].key_span.start(), line + LINE_END),
            None => append_line(&self.source, &line, LINE_END),
        })
    }

    fn remove(&self, nodes: &[NodeId]) -> Result<Edits> {
        let line = |&node: &NodeId| Span::new(self.tree[node].key_span.start(), self.tree[node].span.end());
        Ok(remove_lines(&self.source, nodes.iter().map(line).collect(), LINE_END))
    }

    fn metadata(&self) -> Result<Option<Data>> {
        let entries = self.metadata_entries();
        let flat = entries
            .iter()
            .map(|(key, entry)| (&key[PREFIX.len()..], self.tree[*entry].text.get(&self.source).to_owned()));
        if entries.is_empty() { Ok(None) } else { unflatten(flat).map(Some) }
    }

    fn put_metadata(&self, metadata: Option<&Data>) -> Result<Edits> {
        let present = self.metadata_entries();
        let wanted = metadata.map(flatten).transpose()?.unwrap_or_default();
        let wanted: Vec<_> = wanted.iter().map(|(key, data)| (format!("{PREFIX}{key}"), data)).collect();
        let wanted: Vec<_> = wanted.iter().map(|(key, data)| (key.as_str(), *data)).collect();
        reconcile_entries(self, self.root(), &present, &wanted)
    }

    fn is_metadata(&self, node: NodeId) -> bool {
        self.tree[node].key.get(&self.source).starts_with(PREFIX)
    }

    fn line(&self, node: NodeId) -> usize {
        self.line_of(self.tree[node].span.start())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::document::testing::{TOKEN, assert_round_trip, read, refusal};

    #[test]
    fn documents_come_back_byte_for_byte() {
        for source in [
            "",
            "\n",
            "\n\n",
            "A=1",
            "A=1\n",
            "A=1\n\n\nB=2\n\n",
            "# c\nA=1\nB=\"x y\"",
            "#\n#é\nexport A = 'a=b' # no comment\nB=\n=x\n",
            "A=1\r\n# c\r\nB=2",
            "A=1\r\nB=2\r",
            "A=a\\nb\\\\n\\t\n",
        ] {
            assert_round_trip(Format::Dotenv, source);
        }
    }

    #[test]
    fn the_metadata_stands_at_the_end() {
        let data = json!({"age": [{"enc": "a\nb\n", "recipient": "r"}], "mac": "m"});
        let with = |source: &str| {
            read(Format::Dotenv, source).put_metadata(Some(&data)).unwrap().apply(source).to_string()
        };
        let lines = "sops_age__list_0__map_enc=a\\nb\\n\nsops_age__list_0__map_recipient=r\nsops_mac=m";
        assert_eq!(with("A=1\n"), format!("A=1\n{lines}\n"));
        assert_eq!(with("A=1"), format!("A=1\n{lines}"));
        assert_eq!(with("A=1\r\n"), format!("A=1\r\n{lines}\n"));
        assert_eq!(
            with("sops_mac=x\nA=1"),
            "sops_age__list_0__map_enc=a\\nb\\n\nsops_age__list_0__map_recipient=r\nsops_mac=m\nA=1"
        );
    }

    #[test]
    fn values_are_those_of_sops() {
        let document = read(Format::Dotenv, "A= 'x'\\n \nB=1\r\n");
        let values: Vec<_> = document
            .tree()
            .entries(document.tree().documents()[0])
            .map(|leaf| document.value(leaf).unwrap())
            .collect();
        assert_eq!(values[0].as_str(), Some(" 'x'\n "));
        assert_eq!(values[1].as_str(), Some("1\r"));
    }

    #[test]
    fn what_cannot_be_kept_is_refused_with_its_line() {
        assert!(refusal(Format::Dotenv, "sops_mac=1\nsops_mac=2").contains("twice"));
        assert!(
            refusal(Format::Dotenv, "A=1\n # x")
                .starts_with("line 2: a line that is neither empty nor a comment")
        );
        assert!(refusal(Format::Dotenv, "A=1\r\n\r\nB=2").starts_with("line 2: a line that"));
        let document = read(Format::Dotenv, "# c\nA=1");
        let root = document.tree().documents()[0];
        let comment = document.tree().children(root).next().unwrap();
        assert_eq!(document.put_comment(comment, "a\nSECRET=b").unwrap_err().kind(), Kind::Emit);
        for key in ["a=b", "#a", "a\nb"] {
            assert_eq!(document.insert(root, Some(key), None, &json!("x")).unwrap_err().kind(), Kind::Emit);
        }
        assert_eq!(document.insert(root, Some("k"), None, &json!([])).unwrap_err().kind(), Kind::Emit);
    }

    #[test]
    fn entries_are_inserted_and_removed_with_their_lines() {
        let source = "A=1\n# c\nB=2";
        let document = read(Format::Dotenv, source);
        let root = document.tree().documents()[0];
        let [a, b] = ["A", "B"].map(|key| document.tree().entry(source, root, key).unwrap());
        let apply = |edits: Result<Edits>| edits.unwrap().apply(source).to_string();
        assert_eq!(apply(document.insert(root, Some("C"), None, &json!(1.0))), "A=1\n# c\nB=2\nC=1.0");
        assert_eq!(
            apply(document.insert(root, Some("C"), Some(b), &json!("x\ny"))),
            "A=1\n# c\nC=x\\ny\nB=2"
        );
        assert_eq!(apply(document.remove(&[a])), "# c\nB=2");
        assert_eq!(apply(document.remove(&[b])), "A=1\n# c");
        assert_eq!(apply(document.remove(&[b, a])), "# c");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_document_comes_back(lines in prop::collection::vec("|#[ #a\\\\n\r]{0,4}|[A-C]{1,3}=[a='\"#\\\\n \r]{0,6}", 0..6), end in "\n?") {
            let source = lines.join("\n") + &end;
            if !source.contains("sops_") && DotenvDocument::parse(SecretString::new(source.clone())).is_ok() {
                let encrypted = assert_round_trip(Format::Dotenv, &source);
                prop_assert_eq!(encrypted.ends_with('\n'), source.ends_with('\n') || source.is_empty());
                prop_assert!(encrypted.contains(TOKEN));
            }
        }
    }
}
