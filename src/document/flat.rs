//! What the flat formats (dotenv, INI) share: metadata spread over flat keys, and values as plain text.
//!
//! The keys are those of sops (`stores/flatten.go`): a step into a map is `__map_KEY`, one into a list `__list_N`.

use std::collections::BTreeMap;

use super::*;

const MAP: &str = "__map_";
const LIST: &str = "__list_";

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step<'k> {
    Item(usize),
    Key(&'k str),
}

/// The scalars of nested metadata, in its order, each as text under its flat key.
pub(super) fn flatten(metadata: &Data) -> Result<Vec<(String, Data)>> {
    let mut flat = Vec::new();
    if let Data::Object(map) = metadata {
        for (key, data) in map {
            flatten_into(key.clone(), data, &mut flat)?;
        }
    }
    Ok(flat)
}

fn flatten_into(key: String, data: &Data, flat: &mut Vec<(String, Data)>) -> Result<()> {
    match data {
        Data::Null => Ok(()),
        Data::Object(map) => {
            let mut entries = map.iter();
            entries.try_for_each(|(name, data)| {
                flatten_into(format!("{key}{MAP}{}", flat_name(name)?), data, flat)
            })
        }
        Data::Array(items) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(n, data)| flatten_into(format!("{key}{LIST}{n}"), data, flat))
        }
        scalar => {
            flat.push((key, text_of(&reconcile::to_value(scalar))?.into()));
            Ok(())
        }
    }
}

/// A name as a part of a flat key. Others are taken apart elsewhere when they are read: sops does not open such a file.
fn flat_name(name: &str) -> Result<&str> {
    if name.contains(['=', '\n', '\r']) || [MAP, LIST].iter().any(|step| name.contains(step)) {
        return Err(Error::new(Kind::Emit, format!("the metadata cannot hold {name:?} in this format"))
            .advise("Give the encryption context another name, or use YAML or JSON."));
    }
    Ok(name)
}

/// The nested metadata of flat keys and their texts; its maps are sorted.
pub(super) fn unflatten<'k>(entries: impl Iterator<Item = (&'k str, String)>) -> Result<Data> {
    nested(entries.map(|(key, text)| Ok((key, steps(key)?, text))).collect::<Result<_>>()?)
}

/// The steps of a flat key, the last one first.
fn steps(key: &str) -> Result<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    let mut rest = key;
    let mut list = false;
    loop {
        let end = [rest.find(MAP), rest.find(LIST)].into_iter().flatten().min();
        let name = &rest[..end.unwrap_or(rest.len())];
        steps.push(if list { Step::Item(name.parse().map_err(|_| broken(key))?) } else { Step::Key(name) });
        let Some(end) = end else { break };
        list = rest[end..].starts_with(LIST);
        rest = &rest[end + if list { LIST.len() } else { MAP.len() }..];
    }
    if steps.len() > MAX_DEPTH {
        return Err(broken(key));
    }
    steps.reverse();
    Ok(steps)
}

fn nested(mut entries: Vec<(&str, Vec<Step<'_>>, String)>) -> Result<Data> {
    let first = entries.first().map_or("", |(key, ..)| *key);
    if let [(_, steps, text)] = &mut entries[..]
        && steps.is_empty()
    {
        return Ok(std::mem::take(text).into());
    }
    let mut children: BTreeMap<Step<'_>, Vec<_>> = BTreeMap::new();
    for (key, mut steps, text) in entries {
        let step = steps.pop().ok_or_else(|| broken(key))?;
        children.entry(step).or_default().push((key, steps, text));
    }
    let count = children.len();
    match children.last_key_value() {
        Some((Step::Item(last), _)) if last.checked_add(1) == Some(count) => {
            Ok(Data::Array(children.into_values().map(nested).collect::<Result<_>>()?))
        }
        Some((Step::Key(_), _)) => {
            let entries = children.into_iter().map(|(step, entries)| match step {
                Step::Key(name) => Ok((name.to_owned(), nested(entries)?)),
                Step::Item(_) => Err(broken(first)),
            });
            Ok(Data::Object(entries.collect::<Result<_>>()?))
        }
        _ => Err(broken(first)),
    }
}

fn broken(key: &str) -> Error {
    Error::new(
        Kind::Read,
        format!("the metadata key {key:?} does not fit the others: one is missing or appears twice"),
    )
}

/// A value as text (`ValToString` of sops): floats keep a `.0` or an exponent, so that they don't look like integers.
pub(super) fn text_of(value: &Value) -> Result<String> {
    Ok(match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(bool) => bool.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Float(float) if !float.is_finite() => {
            String::from_utf8_lossy(&value.to_plaintext()).into_owned()
        }
        Value::Float(float) => {
            let text = value::go_float_short(*float, 6).to_uppercase();
            if text.contains(['.', 'E']) { text } else { format!("{text}.0") }
        }
        Value::Time(text) => text.clone(),
        Value::Str(bytes) => {
            let mut text = raw::to_text(bytes).map_err(|error| error.with_kind(Kind::Emit))?;
            std::mem::take(&mut *text)
        }
    })
}

/// The edits that take whole lines out, and their line ends; at the end of a file without a final line end, the line
/// end before them.
pub(super) fn remove_lines(source: &str, mut lines: Vec<Span>, line_end: &str) -> Edits {
    lines.sort_by_key(|line| line.start());
    let mut edits = Edits::default();
    let mut lines = lines.into_iter().peekable();
    while let Some(first) = lines.next() {
        let (mut start, mut end) = (first.start(), end_of_line(source, first.end()));
        while let Some(next) = lines.next_if(|next| next.start() == end) {
            end = end_of_line(source, next.end());
        }
        if end == source.len() && !source.ends_with('\n') {
            let before = &source[..start];
            start = before.strip_suffix(line_end).or(before.strip_suffix('\n')).unwrap_or(before).len();
        }
        edits.push(Span::new(start, end), "");
    }
    edits
}

/// The byte after the line end that follows `at`.
pub(super) fn end_of_line(source: &str, at: usize) -> usize {
    source[at..].find('\n').map_or(source.len(), |end| at + end + 1)
}

/// A line added at the end of a source, which then ends in a line end if and only if it did before.
pub(super) fn append_line(source: &str, line: &str, line_end: &str) -> Edits {
    let text = if source.is_empty() || source.ends_with('\n') { [line, line_end] } else { [line_end, line] };
    Edits::insert(source.len(), text.concat())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unflat(keys: &[&str]) -> Result<Data> {
        unflatten(keys.iter().map(|key| (*key, "v".to_owned())))
    }

    #[test]
    fn nested_metadata_becomes_flat_and_back() {
        let data = json!({"age": [{"enc": "a", "recipient": "b"}, {"enc": "c"}], "key_groups": [{"age": [{"enc": "d"}]}], "mac": "m"});
        let flat = flatten(&data).unwrap();
        let keys: Vec<_> = flat.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "age__list_0__map_enc",
                "age__list_0__map_recipient",
                "age__list_1__map_enc",
                "key_groups__list_0__map_age__list_0__map_enc",
                "mac"
            ]
        );
        let back =
            unflatten(flat.iter().rev().map(|(key, text)| (key.as_str(), text.as_str().unwrap().to_owned())));
        assert_eq!(back.unwrap(), data);
    }

    #[test]
    fn scalars_become_text_and_null_nothing() {
        let flat = flatten(&json!({"a": true, "b": 2, "c": null, "d": [], "e": {}})).unwrap();
        assert_eq!(flat, [("a".to_owned(), json!("true")), ("b".to_owned(), json!("2"))]);
    }

    #[test]
    fn keys_that_contradict_each_other_are_refused() {
        for keys in [
            &["a__list_1"][..],
            &["a__list_0", "a__list_2"],
            &["a__list_99999999999999999999"],
            &["a__list_x"],
            &["a__list_"],
            &["a__list_18446744073709551615"],
            &["a", "a__map_b"],
            &["a__list_0", "a__map_b"],
            &["a__list_0", "a__list_00"],
            &["a", "a"],
        ] {
            assert!(unflat(keys).unwrap_err().to_string().contains("does not fit"), "{keys:?}");
        }
        assert!(unflat(&[&"x__map_".repeat(1000)]).is_err());
    }

    #[test]
    fn floats_as_text_are_those_of_sops() {
        let text = |float| text_of(&Value::Float(float)).unwrap();
        assert_eq!(text(1.0), "1.0");
        assert_eq!(text(2e-10), "2E-10");
        assert_eq!(text(1e6), "1E+06");
        assert_eq!(text(1.5), "1.5");
        assert_eq!(text(f64::NEG_INFINITY), "-Inf");
    }
}
