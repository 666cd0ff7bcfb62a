//! Which format a plaintext has that comes without a name.
//!
//! Keys stay in plaintext, so what is not surely one of the formats with keys is binary, which is encrypted as a whole: a
//! password in base64 that ends in `=` is not a dotenv line, and a sentence with a colon is not YAML.

use super::*;

/// The format of a plaintext, by what is in it.
pub fn format_of_plaintext(file: &SecretBytes) -> Format {
    let formats = [Format::Json, Format::Yaml, Format::Ini, Format::Dotenv];
    let is_it = |format: &Format| {
        let parsed = parse_any(*format, file.clone(), false);
        parsed.is_ok_and(|document| is_surely(*format, &*document))
    };
    formats.into_iter().find(is_it).unwrap_or(Format::Binary)
}

fn is_surely(format: Format, document: &dyn Document) -> bool {
    let (tree, source) = (document.tree(), document.source());
    let roots = tree.documents();
    let entries: Vec<NodeId> = roots.iter().flat_map(|&root| tree.entries(root)).collect();
    let mut nodes = roots.iter().flat_map(|&root| tree.descendants(root));
    let has_value = nodes.any(|node| tree[node].kind == NodeKind::Scalar);
    if !has_value || roots.iter().any(|&root| tree[root].kind != NodeKind::Map) {
        return false;
    }
    let mut keys = entries.iter().map(|&entry| tree[entry].key.get(source));
    match format {
        Format::Json => true,
        Format::Yaml => keys.all(|key| is_name(key, "_-./")),
        // Else it is a dotenv file, or prose.
        Format::Ini => {
            source.lines().any(|line| line.starts_with('[')) && keys.all(|key| is_name(key, "_-. "))
        }
        Format::Dotenv => {
            keys.all(|key| is_name(key, "_") && !key.starts_with(|first: char| first.is_ascii_digit()))
                && entries
                    .iter()
                    .any(|&entry| !tree[entry].text.get(source).trim_matches('=').trim().is_empty())
        }
        Format::Binary => false,
    }
}

fn is_name(key: &str, marks: &str) -> bool {
    let is_part = |char: char| char.is_ascii_alphanumeric() || marks.contains(char);
    !key.is_empty() && key.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_keys_is_known_by_them_and_all_else_is_binary() {
        let cases = [
            ("{\"a\": \"b c\"}", Format::Json),
            ("a: b\n", Format::Yaml),
            ("# x\n---\napiVersion: v1\ndata: {a: b}\n---\na.b/c-d: 1\n", Format::Yaml),
            ("{a: b}\n", Format::Yaml),
            ("[s]\na = b\n", Format::Ini),
            ("; x\n\n[s one]\na.b = c\n", Format::Ini),
            ("# x\nA=b\nC=\n", Format::Dotenv),
            ("A=b: c\n", Format::Dotenv),
            ("A=aGk=\n", Format::Dotenv),
            ("hunter2", Format::Binary),
            ("hunter2\n", Format::Binary),
            ("aHVudGVyMg==\n", Format::Binary),
            ("aHVudGVyMg=\naHVudGVyMg==\n", Format::Binary),
            ("user:hunter2\n", Format::Binary),
            ("my password is: hunter2\n", Format::Binary),
            ("hunter 2=x\n", Format::Binary),
            ("7hunter=x\n", Format::Binary),
            ("[hunter2]\n", Format::Binary),
            ("[1, 2]", Format::Binary),
            ("- a\n", Format::Binary),
            ("a: 1\na: 2\n", Format::Binary),
            ("\"a\"", Format::Binary),
            ("a: [\n", Format::Binary),
            ("", Format::Binary),
            ("# nothing\n", Format::Binary),
            ("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", Format::Binary),
            ("\u{feff}", Format::Binary),
        ];
        for (text, format) in cases {
            let bytes = SecretBytes::new(text.as_bytes().to_vec());
            assert_eq!(format_of_plaintext(&bytes), format, "{text:?}");
        }
        assert_eq!(format_of_plaintext(&SecretBytes::new(vec![0, 0xff, b'='])), Format::Binary);
    }
}
