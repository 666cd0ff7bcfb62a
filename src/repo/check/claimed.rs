//! How much of a file a creation rule says is secret, whether it is encrypted or not.

use super::{covers, is_about_secrets, others};
use crate::config::Policy;
use crate::document::{self, Document, Format};
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
    let (selection, _) = policy::selection(document, policy.selection.clone());
    let (tree, sealed, secrets) =
        (document.tree(), sealed_secret::objects(document), kubernetes::secrets(document));
    let is_counted = |leaf| {
        let is_within = |nodes: &[_]| nodes.iter().any(|&node| tree.contains(node, leaf));
        let is_of_others = is_about_secrets(&selection) && others::is_of_data(document, &selection, leaf);
        !is_within(&sealed) && (is_within(&secrets) || !is_of_others)
    };
    let mut count = 0;
    let counted = sops::for_each_leaf(document, &selection, &mut |leaf| {
        count += usize::from(leaf.selected && !leaf.is_comment && is_counted(leaf.at));
        Ok(())
    });
    counted.map_or(1, |()| count)
}
