//! Writing the values of a document in another format, laid out as sops does.
//!
//! Unlike all else here this keeps no bytes: aliases are written out, comments go where the target has none, and types
//! become text in dotenv and INI. What the target cannot hold is an error of [`Kind::Emit`].

use super::*;

/// What becomes of what a format cannot hold, where sops passes over it: further documents of a stream, and in JSON bytes
/// that are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Losses {
    AsSops,
    Refused,
}

/// The values of `document` as a file of another format; metadata are left out.
pub fn convert(document: &dyn Document, to: Format, losses: Losses) -> Result<SecretBytes> {
    if to == document.format() {
        return document.plaintext_file();
    }
    let tree = document.tree();
    let has_values = |&root: &NodeId| tree.entries(root).any(|entry| !document.is_metadata(entry));
    let (root, others) = match tree.documents().split_first() {
        Some((root, others)) => (*root, others),
        None => return Err(Error::new(Kind::Emit, "the file holds no document")),
    };
    // A binary file is never the first of several documents to sops.
    let may_pass_by = losses == Losses::AsSops && to != Format::Binary;
    if !may_pass_by && others.iter().any(has_values) {
        let message = format!("a stream of several documents cannot become one of {to}");
        return Err(Error::new(Kind::Emit, message).advise("split the file first"));
    }
    let text = match to {
        Format::Yaml => yaml::emit_node(document, root)?,
        Format::Json => json(document, root, losses)?,
        Format::Dotenv => dotenv(document, root)?,
        Format::Ini => ini(document, root)?,
        Format::Binary => return Ok(document.value(binary::data_of(document)?)?.into_plaintext()),
    };
    Ok(to_bytes(to, text))
}

/// One value of a document, as `sops decrypt --extract` prints it: a map as a file of the format `to`, a string as it
/// is, all else in that format, which is JSON for INI. dotenv and binary files have no other values than strings.
pub fn emit_value(document: &dyn Document, node: NodeId, to: Format) -> Result<SecretBytes> {
    let tree = document.tree();
    let text = match (tree[node].kind, to) {
        (NodeKind::Map | NodeKind::List, Format::Yaml) => yaml::emit_node(document, node)?,
        (NodeKind::Map, Format::Json) => json(document, node, Losses::Refused)?,
        (NodeKind::Map, Format::Dotenv) => dotenv(document, node)?,
        (NodeKind::Map, Format::Ini) => ini(document, node)?,
        (NodeKind::List, Format::Json) => {
            let mut text = json(document, node, Losses::Refused)?;
            let end = text.trim_end().len();
            text.truncate(end);
            text
        }
        (NodeKind::List, Format::Ini) => SecretString::new(reconcile::to_data(document, node)?.to_string()),
        (NodeKind::Map | NodeKind::List, _) => {
            return Err(Error::new(Kind::Emit, format!("a collection cannot be written as {to}"))
                .advise("Add --output-type yaml or json."));
        }
        _ => match (document.value(node)?, to) {
            (Value::Str(bytes), _) => return Ok(bytes),
            (_, Format::Yaml) => yaml::emit_node(document, node)?,
            (value, Format::Json | Format::Ini) => json::spelled(&value)?,
            (_, Format::Dotenv | Format::Binary) => {
                return Err(Error::new(Kind::Emit, format!("only a string can be written as {to}"))
                    .advise("Add --output-type yaml or json."));
            }
        },
    };
    Ok(to_bytes(to, text))
}

/// What to do with a file that does not fit into variables.
const WHOLE: &str = "Pass the whole file: `sealant exec-file FILE 'COMMAND {}'`";

/// The entries of a file's first document as environment variables, as sops's `exec-env` makes them, with the values
/// that `value_of` knows. What is no flat map of values is an error, and so are names and values that no environment
/// can hold.
pub fn variables(
    document: &dyn Document,
    value_of: &dyn Fn(NodeId) -> Option<Value>,
) -> Result<Vec<(String, SecretBytes)>> {
    let (tree, source) = (document.tree(), document.source());
    let Some(&root) = tree.documents().first() else { return Ok(Vec::new()) };
    let mut variables = Vec::new();
    tree.walk(source, root, &mut |path, step| {
        let node = match step {
            Step::Comment(_) => return Ok(()),
            Step::Enter(node) | Step::Leave(node) if node == root => return Ok(()),
            Step::Enter(node) | Step::Leave(node) => node,
            Step::Leaf { at, .. } => at,
        };
        if document.is_metadata(node) {
            return Ok(());
        }
        let name = path.last().copied().unwrap_or_default();
        let cannot = |what: &str| {
            Error::new(Kind::Other, format!("{name:?} cannot become an environment variable: {what}"))
                .on_line(document.line(node))
        };
        let Some(value) = value_of(node) else {
            return Err(cannot("its value is nested").advise(WHOLE));
        };
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(cannot("the name is empty, or contains `=` or a zero byte").advise("Rename the key."));
        }
        let bytes = match value {
            Value::Str(bytes) => bytes,
            value => SecretBytes::new(flat::text_of(&value)?.into_bytes()),
        };
        if bytes.contains(&0) {
            return Err(cannot("its value contains a zero byte").advise(WHOLE));
        }
        variables.push((name.to_owned(), bytes));
        Ok(())
    })?;
    Ok(variables)
}

/// The largest file that is written in another format, in bytes: what is larger could not be read again.
const MAX_OUTPUT: usize = if cfg!(test) { 1 << 20 } else { MAX_SOURCE };

/// Indentation makes many bytes of few.
pub(super) fn refuse_too_large(out: &str, to: Format) -> Result<()> {
    if out.len() <= MAX_OUTPUT {
        return Ok(());
    }
    let limit = MAX_OUTPUT >> 20;
    Err(Error::new(Kind::Emit, format!("as {to} it would be larger than {limit} MiB, the most that is read")))
}

/// A text for what a document holds, with room enough that it is not moved while it grows.
fn room_for(document: &dyn Document) -> SecretString {
    let size = document.payload().map_or(document.source().len(), <[u8]>::len);
    SecretString::new(String::with_capacity(2 * size + 64))
}

fn json(document: &dyn Document, root: NodeId, losses: Losses) -> Result<SecretString> {
    let tree = document.tree();
    let mut out = room_for(document);
    let lacks_default = lacks_default(document, root);
    // The open collections: whether each is a map, and whether it is empty so far.
    let mut open: Vec<(bool, bool)> = Vec::new();
    tree.walk(document.source(), root, &mut |path, step| {
        let (Step::Enter(node) | Step::Leave(node) | Step::Leaf { node, .. } | Step::Comment(node)) = step;
        if document.is_metadata(node) || matches!(step, Step::Comment(_)) {
            return Ok(());
        }
        let map = tree[node].kind == NodeKind::Map;
        if let Step::Leave(_) = step {
            if let Some((_, false)) = open.pop() {
                break_line(&mut out, open.len());
            }
            out.push(if map { '}' } else { ']' });
            return Ok(());
        }
        let depth = open.len();
        if let Some((keyed, empty)) = open.last_mut() {
            if !std::mem::take(empty) {
                out.push(',');
            }
            refuse_too_large(&out, Format::Json)?;
            break_line(&mut out, depth);
            if let Some(key) = path.last().filter(|_| *keyed) {
                out.extend([json::quoted_for_web(key.as_bytes()).as_str(), ": "]);
            }
        }
        if let Step::Enter(_) = step {
            out.push(if map { '{' } else { '[' });
            let has_default = lacks_default && node == root;
            if has_default {
                break_line(&mut out, open.len() + 1);
                out.push_str(&format!("\"{}\": {{}}", ini::DEFAULT));
            }
            open.push((map, !has_default));
        } else {
            out.push_str(&match document.value(node)? {
                Value::Str(bytes) if losses == Losses::AsSops || std::str::from_utf8(&bytes).is_ok() => {
                    json::quoted_for_web(&bytes)
                }
                value => json::spelled(&value)?,
            });
        }
        Ok(())
    })?;
    out.push('\n');
    Ok(out)
}

/// Whether a file has no default section, which to sops every INI file has.
pub(super) fn lacks_default(document: &dyn Document, root: NodeId) -> bool {
    let tree = document.tree();
    document.format() == Format::Ini
        && tree.documents().contains(&root)
        && tree.entry(document.source(), root, ini::DEFAULT).is_none()
}

/// Whether this is not a comment, but the place of one behind a flow collection.
fn is_place(document: &dyn Document, comment: NodeId) -> bool {
    document.tree()[comment].span == Span::default()
}

/// The lines of a comment that a document of any format holds; none for the place of one.
pub(super) fn comment_lines(document: &dyn Document, comment: NodeId) -> impl Iterator<Item = &str> {
    let text = document.tree()[comment].text.get(document.source());
    text.split('\n').filter(move |_| !is_place(document, comment))
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n('\t', depth));
}

fn dotenv(document: &dyn Document, root: NodeId) -> Result<SecretString> {
    let mut out = room_for(document);
    if lacks_default(document, root) {
        return Err(dotenv::nested(ini::DEFAULT));
    }
    document.tree().walk(document.source(), root, &mut |path, step| {
        match step {
            Step::Enter(node) | Step::Leave(node) if node == root || document.is_metadata(node) => {}
            Step::Leaf { node, .. } if document.is_metadata(node) => {}
            Step::Enter(_) | Step::Leave(_) => return Err(dotenv::nested(path.last().unwrap_or(&""))),
            Step::Leaf { node, .. } => {
                let line = dotenv::line(path.last().unwrap_or(&""), &document.value(node)?)?;
                out.extend([SecretString::new(line).as_str(), "\n"]);
            }
            Step::Comment(node) => {
                comment_lines(document, node).for_each(|line| out.extend(["#", line, "\n"]));
            }
        }
        Ok(())
    })?;
    Ok(out)
}

/// Comments stay before what they stood before, also in front of sections (where sops drops or moves them).
fn ini(document: &dyn Document, root: NodeId) -> Result<SecretString> {
    let tree = document.tree();
    let mut out = room_for(document);
    let mut width = 0;
    tree.walk(document.source(), root, &mut |path, step| {
        let (Step::Enter(node) | Step::Leave(node) | Step::Leaf { node, .. } | Step::Comment(node)) = step;
        if node == root || document.is_metadata(node) {
            return Ok(());
        }
        match (step, path) {
            (Step::Enter(_), [name]) if tree[node].kind == NodeKind::Map => {
                let keys =
                    tree.entries(node).map(|entry| ini::key_width(tree[entry].key.get(document.source())));
                width = keys.max().unwrap_or(0);
                if !(out.is_empty() && *name == ini::DEFAULT) {
                    let blank = if out.is_empty() || out.ends_with("\n\n") { "" } else { "\n" };
                    out.extend([blank, &ini::header(name)?, "\n"]);
                }
            }
            (Step::Leave(_), _) => {}
            (Step::Leaf { .. }, [_, key]) => {
                let text = SecretString::new(flat::text_of(&document.value(node)?)?);
                out.extend([SecretString::new(ini::entry_line(key, &text, width, " = ")?).as_str(), "\n"]);
            }
            (Step::Comment(_), _) if is_place(document, node) => {}
            (Step::Comment(_), _) => {
                let text = ini::comment_lines(tree[node].text.get(document.source()).trim());
                let blank = if path.is_empty() && !out.is_empty() { "\n" } else { "" };
                out.extend([blank, "; ", &text, "\n"]);
            }
            (_, [name]) => return Err(ini::no_section(name)),
            (_, path) => return Err(ini::nested(path.last().unwrap_or(&""))),
        }
        Ok(())
    })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::testing::read;

    fn converted(from: Format, source: &str, to: Format) -> Result<String> {
        convert(&*read(from, source), to, Losses::Refused)
            .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn json_is_written_as_sops_writes_it() {
        assert_eq!(
            converted(Format::Ini, "; c\na = 1\n[s]\n[t]\nk = \"x\\y\"\n[sops]\nmac = m\n", Format::Json)
                .unwrap(),
            "{\n\t\"DEFAULT\": {\n\t\t\"a\": \"1\"\n\t},\n\t\"s\": {},\n\t\"t\": {\n\t\t\"k\": \"x\\\\y\"\n\t}\n}\n"
        );
        assert_eq!(converted(Format::Dotenv, "# c\nA=1\n", Format::Json).unwrap(), "{\n\t\"A\": \"1\"\n}\n");
        let binary = parse(Format::Binary, SecretBytes::new(b"a\n\"".to_vec()), false).unwrap();
        assert_eq!(
            convert(&*binary, Format::Json, Losses::Refused).unwrap().as_slice(),
            b"{\n\t\"data\": \"a\\n\\\"\"\n}\n"
        );
        let binary = parse(Format::Binary, SecretBytes::new(vec![b'a', 0xc3, 0xff]), false).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&convert(&*binary, Format::Json, Losses::AsSops).unwrap()),
            "{\n\t\"data\": \"a\\ufffd\\ufffd\"\n}\n"
        );
        assert_eq!(convert(&*binary, Format::Json, Losses::Refused).unwrap_err().kind(), Kind::Emit);
        assert_eq!(
            converted(Format::Yaml, "<a&>: {b: \"<\\L\"}\n", Format::Json).unwrap(),
            "{\n\t\"\\u003ca\\u0026\\u003e\": {\n\t\t\"b\": \"\\u003c\\u2028\"\n\t}\n}\n"
        );
        assert_eq!(
            converted(Format::Ini, "[s]\na = 1\n", Format::Json).unwrap(),
            "{\n\t\"DEFAULT\": {},\n\t\"s\": {\n\t\t\"a\": \"1\"\n\t}\n}\n"
        );
        assert_eq!(converted(Format::Ini, "", Format::Json).unwrap(), "{\n\t\"DEFAULT\": {}\n}\n");
    }

    #[test]
    fn a_stream_becomes_its_first_document_or_nothing() {
        for (text, first, whole) in [
            ("a: 1\n---\n", true, true),
            ("a: 1\n---\n# c\n---\n{}\n", true, true),
            ("a: 1\n---\nb: 2\n", true, false),
            ("---\n---\nb: 2\n", true, false),
            ("", false, false),
        ] {
            for (losses, is_written) in [(Losses::AsSops, first), (Losses::Refused, whole)] {
                for to in [Format::Json, Format::Dotenv] {
                    let written = convert(&*read(Format::Yaml, text), to, losses);
                    assert_eq!(written.is_ok(), is_written, "{text:?} {losses:?}");
                }
            }
        }
    }

    #[test]
    fn comments_go_where_sops_puts_them() {
        assert_eq!(
            converted(Format::Dotenv, "# c\n#d\nA=1\n# e\n\nB=x\n# f\n", Format::Yaml).unwrap(),
            "# c\n#d\nA: \"1\"\n# e\nB: x\n# f\n"
        );
        assert_eq!(converted(Format::Dotenv, "# c\n", Format::Yaml).unwrap(), "# c\n{}\n");
        assert_eq!(
            converted(Format::Ini, "; sec\n[s]\n; k\nb = 2\n[e]\n", Format::Yaml).unwrap(),
            "DEFAULT: {}\ns:\n    #sec\n    b: \"2\"\n    #k\ne: {}\n"
        );
        let text =
            "m:\n  # h\n  a: 1 # i\n  b:\n    # x\n    - 1\n    - # y\n      c: 2 # z\n  d: {} # e\n  # f\n";
        let document = read(Format::Yaml, text);
        let node = TreePath::parse("[\"m\"]").unwrap().find(&*document).unwrap();
        let written = emit_value(&*document, node, Format::Yaml).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&written),
            "# h\n# i\na: 1\nb:\n    # x\n    - 1\n    # y\n    # z\n    - c: 2\nd:\n    # e\n    {}\n# f\n"
        );
        assert_eq!(converted(Format::Yaml, "a: x # c\nb: y\n", Format::Dotenv).unwrap(), "# c\na=x\nb=y\n");
        assert_eq!(converted(Format::Yaml, "{a: x}\n", Format::Dotenv).unwrap(), "a=x\n");
        assert_eq!(converted(Format::Yaml, "s: {a: b}\n", Format::Ini).unwrap(), "[s]\na = b\n");
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let nested = |items: usize| {
            let depth = MAX_DEPTH - 2;
            format!("{{\"a\":{}{}1{}}}", "[".repeat(depth), "1,".repeat(items), "]".repeat(depth))
        };
        for (from, to) in [(Format::Yaml, Format::Json), (Format::Json, Format::Yaml)] {
            assert!(converted(from, &nested(100), to).is_ok());
            let error = converted(from, &nested(10_000), to).unwrap_err();
            assert_eq!(error.kind(), Kind::Emit);
            assert_eq!(
                error.message(),
                format!("as {to} it would be larger than 1 MiB, the most that is read")
            );
        }
    }

    #[test]
    fn dotenv_is_written_as_sops_writes_it() {
        let source = "{\"a\": \"x\\ny\", \"b\": 1.0, \"c\": 1e6, \"d\": true, \"e\": \"\", \"sops\": {\"mac\": \"m\"}}";
        assert_eq!(
            converted(Format::Json, source, Format::Dotenv).unwrap(),
            "a=x\\ny\nb=1.0\nc=1E+06\nd=true\ne=\n"
        );
        let error = converted(Format::Json, "{\"a\": {\"b\": [1]}}", Format::Dotenv).unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (Kind::Emit, "a dotenv file cannot hold a nested value, as that of \"a\" is")
        );
    }

    #[test]
    fn ini_is_written_as_sops_writes_it() {
        let source = "{\"DEFAULT\": {\"a\": 1}, \"s\": {\"key\": \"x;y\", \"k\": true}, \"sops\": {\"mac\": \"m\"}, \"t\": {}}";
        assert_eq!(
            converted(Format::Json, source, Format::Ini).unwrap(),
            "a = 1\n\n[s]\nkey = `x;y`\nk   = true\n\n[t]\n"
        );
        assert_eq!(
            converted(Format::Json, "{\"s\": {\"a\": \"x\\ny\", \"b\": \"`\"}}", Format::Ini).unwrap(),
            "[s]\na = \"\"\"x\ny\"\"\"\nb = \"\"\"`\"\"\"\n"
        );
        for source in ["{\"a\": 1}", "{\"a\": []}", "{\"a\": {\"b\": {}}}", "{\"a\": {\"b\": [1]}}"] {
            assert_eq!(
                converted(Format::Json, source, Format::Ini).unwrap_err().kind(),
                Kind::Emit,
                "{source}"
            );
        }
    }

    #[test]
    fn one_value_is_written_as_sops_extracts_it() {
        let source = "{\"m\": {\"a\": 1, \"b\": \"p w\"}, \"l\": [1, \"x\"], \"n\": null, \"s\": \"t\", \"f\": {\"d\": {\"k\": 2}}}";
        let document = read(Format::Json, source);
        let emit = |key: &str, to| {
            let node = TreePath::parse(&format!("[\"{key}\"]")).unwrap().find(&*document).unwrap();
            emit_value(&*document, node, to).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        };
        assert_eq!(emit("m", Format::Json).unwrap(), "{\n\t\"a\": 1,\n\t\"b\": \"p w\"\n}\n");
        assert_eq!(emit("m", Format::Dotenv).unwrap(), "a=1\nb=p w\n");
        assert_eq!(emit("f", Format::Ini).unwrap(), "[d]\nk = 2\n");
        assert_eq!(emit("l", Format::Ini).unwrap(), "[1,\"x\"]");
        assert_eq!(emit("n", Format::Ini).unwrap(), "null");
        assert_eq!(emit("s", Format::Dotenv).unwrap(), "t");
        for (key, to) in
            [("n", Format::Dotenv), ("n", Format::Binary), ("l", Format::Dotenv), ("f", Format::Dotenv)]
        {
            assert_eq!(emit(key, to).unwrap_err().kind(), Kind::Emit, "{key} {to}");
        }
    }

    #[test]
    fn a_binary_file_is_the_string_under_data() {
        assert_eq!(
            converted(Format::Json, "{\"data\": \"a\\nb\", \"x\": 1}", Format::Binary).unwrap(),
            "a\nb"
        );
        assert_eq!(converted(Format::Json, "{\"x\": 1}", Format::Binary).unwrap_err().kind(), Kind::Emit);
    }
}
