//! What somebody has to know before they let others in: the whole key, who brought it, and what it will read.

use super::Plan;
use crate::cli::context::Context;
use crate::cli::ui::counted;
use crate::config::Policy;
use crate::keys::MasterKey;
use crate::policy;

/// A key that comes in by a rule.
struct Newcomer<'p> {
    key: &'p MasterKey,
    policy: &'p Policy,
    files: usize,
    values: usize,
}

/// Tells of each key that comes into files.
pub fn tell(work: &[Plan], context: &Context) {
    for Newcomer { key, policy, files, values } in newcomers(work) {
        let named = policy.names.beside(key.id(), key.to_string());
        let line = line_of(key, policy).map(|line| context.source_of_line(&policy.rule.file, line, key));
        let reads = format!("will read {} in {}", counted(values, "value"), counted(files, "file"));
        let lines = line.into_iter().chain([reads]).map(|line| format!("  {line}"));
        context.ui.say_list(format!("{named} gets access:"), lines);
    }
}

fn newcomers(work: &[Plan]) -> Vec<Newcomer<'_>> {
    let mut found: Vec<Newcomer> = Vec::new();
    for plan in work {
        let (policy, values) = (&plan.policy, plan.values);
        for key in plan.change.groups.iter().flat_map(|group| &group.added) {
            match found.iter_mut().find(|known| known.key == key && known.policy.rule == policy.rule) {
                Some(known) => {
                    known.files += 1;
                    known.values += values;
                }
                None => found.push(Newcomer { key, policy, files: 1, values }),
            }
        }
    }
    found
}

/// The line of the config that names a key.
fn line_of(wanted: &MasterKey, policy: &Policy) -> Option<usize> {
    let mut keys = policy.key_groups.iter().flatten();
    let is_it = |key: &MasterKey| key == wanted;
    keys.find(|key| policy::master_key(&key.spec).is_ok_and(|key| is_it(&key))).map(|key| key.line)
}
