//! Paths, as on every machine that runs the controller: with `/`.

use super::super::run::Run;
use super::super::value::Value;
use super::{Function, Result, Text, takes, text};

pub const TABLE: &[Function] = &[
    takes("base", &[Text], |run, values| run.copy(base(text(values, 0)))),
    takes("osBase", &[Text], |run, values| run.copy(base(text(values, 0)))),
    takes("dir", &[Text], directory),
    takes("osDir", &[Text], directory),
    takes("clean", &[Text], |run, values| run.copy(&clean(text(values, 0)))),
    takes("osClean", &[Text], |run, values| run.copy(&clean(text(values, 0)))),
    takes("ext", &[Text], |run, values| run.copy(extension(text(values, 0)))),
    takes("osExt", &[Text], |run, values| run.copy(extension(text(values, 0)))),
    takes("isAbs", &[Text], |_, values| Ok(Value::Bool(text(values, 0).starts_with(b"/")))),
    takes("osIsAbs", &[Text], |_, values| Ok(Value::Bool(text(values, 0).starts_with(b"/")))),
];

fn slash(path: &[u8]) -> Option<usize> {
    path.iter().rposition(|byte| *byte == b'/')
}

fn base(path: &[u8]) -> &[u8] {
    if path.is_empty() {
        return b".";
    }
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let path = &path[..end];
    let name = slash(path).map_or(path, |at| &path[at + 1..]);
    if name.is_empty() { b"/" } else { name }
}

fn directory(run: &mut Run, values: &[Value]) -> Result {
    let path = text(values, 0);
    run.copy(&clean(&path[..slash(path).map_or(0, |at| at + 1)]))
}

fn extension(path: &[u8]) -> &[u8] {
    let name = slash(path).map_or(0, |at| at + 1);
    let dot = path[name..].iter().rposition(|byte| *byte == b'.');
    dot.map_or(b"", |dot| &path[name + dot..])
}

/// `path.Clean`
fn clean(path: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        return b".".to_vec();
    }
    let is_rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            b".." if is_rooted => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (is_rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}
