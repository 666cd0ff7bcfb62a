//! What of a file a creation rule says is secret, whether it is encrypted or not.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{covers, is_about_secrets, others};
use crate::config::Policy;
use crate::document::{self, Document, Format, NodeId};
use crate::policy;
use crate::sealed_secret;
use crate::secret::SecretBytes;
use crate::sops::{self, kubernetes};

/// A value, by its place in the file, and how often it was met before, by aliases. Not by its path: a key may be above many
/// values, and longer than all of them.
pub type Claimed = (Option<NodeId>, usize);

/// What is claimed of a file that cannot be taken apart.
pub const WHOLE: Claimed = (None, 0);

/// The values.
pub(super) fn values(format: Format, file: &SecretBytes, policy: Option<&Policy>) -> BTreeSet<Claimed> {
    let Some(policy) = policy.filter(|policy| covers(policy, format)) else { return BTreeSet::new() };
    if file.is_empty() {
        return BTreeSet::new();
    }
    let whole = || BTreeSet::from([WHOLE]);
    if format == Format::Binary {
        return whole();
    }
    let document = document::parse(format, file.clone(), true);
    document.ok().and_then(|document| values_in(&*document, policy)).unwrap_or_else(whole)
}

fn values_in(document: &dyn Document, policy: &Policy) -> Option<BTreeSet<Claimed>> {
    let sealed = sealed_secret::objects(document);
    let (selection, _) = policy::selection_beside(document, policy.selection.clone(), &sealed);
    let sealed: HashSet<NodeId> = sealed.into_iter().collect();
    let secrets: HashSet<NodeId> =
        kubernetes::secrets(document).into_iter().map(|secret| secret.node).collect();
    let is_counted = |leaf| {
        let is_of_others = is_about_secrets(&selection) && others::is_of_data(document, &selection, leaf);
        !sealed_secret::is_own(document, &sealed, leaf)
            && (!is_of_others || document.tree().is_below(&secrets, leaf))
    };
    let (mut values, mut seen) = (BTreeSet::new(), HashMap::new());
    let told = sops::for_each_leaf(document, &selection, &mut |leaf| {
        if leaf.selected && !leaf.is_comment && is_counted(leaf.at) {
            let count: &mut usize = seen.entry(leaf.at).or_default();
            values.insert((Some(leaf.at), *count));
            *count += 1;
        }
        Ok(())
    });
    told.ok().map(|()| values)
}
