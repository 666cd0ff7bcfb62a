//! How much of a file a creation rule says is secret, whether it is encrypted or not.

use std::collections::HashSet;

use super::{covers, is_about_secrets, others};
use crate::config::Policy;
use crate::document::{self, Document, Format, NodeId};
use crate::policy;
use crate::sealed_secret;
use crate::secret::SecretBytes;
use crate::sops::{self, kubernetes};

/// The number of values. What cannot be taken apart counts as one.
pub(super) fn count(format: Format, file: &SecretBytes, policy: Option<&Policy>) -> usize {
    let Some(policy) = policy.filter(|policy| covers(policy, format)) else { return 0 };
    if file.is_empty() {
        return 0;
    }
    if format == Format::Binary {
        return 1;
    }
    let document = document::parse(format, file.clone(), true);
    document.map_or(1, |document| count_in(&*document, policy))
}

fn count_in(document: &dyn Document, policy: &Policy) -> usize {
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
    let mut count = 0;
    let counted = sops::for_each_leaf(document, &selection, &mut |leaf| {
        count += usize::from(leaf.selected && !leaf.is_comment && is_counted(leaf.at));
        Ok(())
    });
    counted.map_or(1, |()| count)
}
