//! Takes a list of objects apart without reading them: what is in one, however deep, decides nothing about the others.
//!
//! serde_json reads nothing that is nested deeper than 128, and passes over what is, as long as nobody wants it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Deserializer;

/// The items of a list, each as it was written; `None` if it is no list.
pub fn items(list: &[u8]) -> Option<Vec<&[u8]>> {
    elements(field(list, "items")?)
}

/// A field of an object, as it was written.
pub fn field<'t>(object: &'t [u8], name: &str) -> Option<&'t [u8]> {
    let mut rest = after(object, b'{')?;
    loop {
        let (found, value) = first::<String>(rest)?;
        let value = after(value, b':')?;
        let (_, left) = first::<IgnoredAny>(value)?;
        if found == name {
            return value.get(..value.len() - left.len());
        }
        rest = after(left, b',')?;
    }
}

fn elements(array: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut elements, mut rest) = (Vec::new(), after(array, b'[')?);
    if after(rest, b']').is_some() {
        return Some(elements);
    }
    loop {
        let (_, left) = first::<IgnoredAny>(rest)?;
        elements.push(rest.get(..rest.len() - left.len())?);
        match after(left, b',') {
            Some(next) => rest = next,
            None => return after(left, b']').map(|_| elements),
        }
    }
}

/// The value that a text begins with, and what is left.
fn first<'t, T: Deserialize<'t>>(text: &'t [u8]) -> Option<(T, &'t [u8])> {
    let mut values = Deserializer::from_slice(text).into_iter::<T>();
    let value = values.next()?.ok()?;
    Some((value, text.get(values.byte_offset()..)?))
}

fn after(text: &[u8], byte: u8) -> Option<&[u8]> {
    text.trim_ascii_start().strip_prefix(&[byte])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_taken_apart_however_deep_its_items_are() {
        let deep = format!("{{\"x\": {}{}}}", "[".repeat(9000), "]".repeat(9000));
        let list =
            |items: &str| format!("{{\"metadata\": {{\"a\": [1]}}, \"items\" : [{items}], \"kind\":5}}\n");
        let found = |text: &str| {
            let texts = |items: Vec<&[u8]>| {
                items.into_iter().map(|one| String::from_utf8_lossy(one).trim().to_owned()).collect()
            };
            items(text.as_bytes()).map(|items| -> Vec<String> { texts(items) })
        };
        let odd = r#"{"]": "\"]}"}"#;
        assert_eq!(found(&list(&format!("{odd}, {deep} ,5"))).unwrap(), [odd, &deep, "5"]);
        assert_eq!(found(&list(" ")).unwrap(), [""; 0]);
        for broken in [
            "",
            "[]",
            "{}",
            "{\"items\": {}}",
            "{\"items\": null}",
            "{\"items\": [1",
            "{\"items\": [1 2]}",
            "{\"items\": [1,]}",
        ] {
            assert_eq!(found(broken), None, "{broken}");
        }
    }
}
