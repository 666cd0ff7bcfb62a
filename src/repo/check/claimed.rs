//! What of a file a creation rule says is secret, whether it is encrypted or not.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{covers, is_about_secrets, others};
use crate::config::Policy;
use crate::document::{self, Document, Format, NodeId};
use crate::policy;
use crate::sealed_secret;
use crate::secret::SecretBytes;
use crate::sops::{self, kubernetes};

/// A value: its path, and how many of the same path come before it, in other documents of a stream.
pub type Claimed = (String, usize);

/// What is claimed of a file that cannot be taken apart.
pub const WHOLE: Claimed = (String::new(), 0);

/// The values.
pub(super) fn paths(format: Format, file: &SecretBytes, policy: Option<&Policy>) -> BTreeSet<Claimed> {
    let Some(policy) = policy.filter(|policy| covers(policy, format)) else { return BTreeSet::new() };
    if file.is_empty() {
        return BTreeSet::new();
    }
    let whole = || BTreeSet::from([WHOLE]);
    if format == Format::Binary {
        return whole();
    }
    let document = document::parse(format, file.clone(), true);
    document.ok().and_then(|document| paths_in(&*document, policy)).unwrap_or_else(whole)
}

fn paths_in(document: &dyn Document, policy: &Policy) -> Option<BTreeSet<Claimed>> {
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
    let (mut paths, mut seen) = (BTreeSet::new(), HashMap::new());
    let told = sops::for_each_leaf(document, &selection, &mut |leaf| {
        if leaf.selected && !leaf.is_comment && is_counted(leaf.at) {
            let path = document.tree().path_of(document.source(), leaf.at);
            let count: &mut usize = seen.entry(path.clone()).or_default();
            paths.insert((path, *count));
            *count += 1;
        }
        Ok(())
    });
    told.ok().map(|()| paths)
}
