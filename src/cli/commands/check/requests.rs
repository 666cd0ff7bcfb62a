//! Who asks for access in what is checked, and how somebody who has it lets them in.

use std::path::PathBuf;

use super::report::Found;
use crate::cli::context::Context;
use crate::keys::MasterKey;
use crate::repo::check::Pending;
use crate::shown::typed;

/// How many keys are told of, and how many files of each.
const SHOWN: usize = 20;

/// A key that waits, and for what.
struct Request<'f> {
    key: &'f MasterKey,
    line: usize,
    pending: &'f Pending,
    files: Vec<&'f PathBuf>,
}

/// Tells of each key that waits, and of the command that lets it in.
pub fn tell(found: &[Found], context: &Context) {
    let requests = requests(found);
    for request in requests.iter().take(SHOWN) {
        let Request { key, line, pending, files } = request;
        let shown: Vec<String> = files.iter().take(SHOWN).map(|file| typed(file)).collect();
        let more = files.len().saturating_sub(SHOWN);
        let id = typed(key.id().as_ref());
        let mut lines = vec![context.source_of_line(&pending.rule.file, *line, key)];
        if let Some(name) = pending.names.get(key.id()) {
            lines.push(format!("called `{name}` there, a name that its author chose"));
        }
        lines.push(format!("one of these can let it in: {}", pending.helpers()));
        lines
            .push("Verify this key with its owner through another channel. Then, on this branch:".to_owned());
        lines.push(format!("  sealant updatekeys --add {id} {}", shown.join(" ")));
        if more > 0 {
            lines.push(format!("and the same for {more} more files, which are listed above"));
        }
        let lines = lines.into_iter().map(|line| format!("  {line}"));
        context.ui.say_list(format!("{key} asks for access to {} of the files:", files.len()), lines);
    }
    if let Some(more) = requests.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        context.ui.say(format!("and {more} more keys ask for access"));
    }
}

fn requests(found: &[Found]) -> Vec<Request<'_>> {
    let mut requests: Vec<Request> = Vec::new();
    for Found { file, finding, .. } in found {
        let Some(pending) = finding.pending.as_deref() else { continue };
        for (key, line) in &pending.keys {
            let is_it =
                |known: &&mut Request| known.key == key && known.pending.rule.file == pending.rule.file;
            match requests.iter_mut().find(is_it) {
                Some(known) if known.files.contains(&file) => {}
                Some(known) => known.files.push(file),
                None => requests.push(Request { key, line: *line, pending, files: vec![file] }),
            }
        }
    }
    requests
}
