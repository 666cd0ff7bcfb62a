//! What a file says of its settings or its place, where its creation rule says otherwise.

use std::collections::{BTreeSet, HashSet};
use std::iter;

use super::{
    Check, Lines, Rule, View, is_about_secrets, line_of_metadata_in, names, others, path_of, shown, templates,
};
use crate::claims::{self, Difference, Exposed, Exposure, Form};
use crate::config::{Policy, Selection};
use crate::document::{Document, Format, NodeId, NodeKind, Value};
use crate::encrypted_file::EncryptedFile;
use crate::error::Result;
use crate::policy;
use crate::sops::{Encrypted, kubernetes};

/// How many values a message names.
const SHOWN: usize = 5;

impl Check<'_> {
    pub(super) fn claims(&mut self, file: &EncryptedFile, policy: &Policy, at: &Lines) -> Result<()> {
        match file {
            EncryptedFile::Document(file) => {
                let found = claims::settings(&file.metadata, file.document(), Form::Encrypted, policy)?;
                found.iter().for_each(|difference| self.settings(file, difference, policy, at));
            }
            EncryptedFile::Sealed(file) => {
                for (node, sealed) in &file.objects {
                    let line = at.of_offset(file.document.tree()[*node].span.start());
                    for found in claims::place_of_sealed(sealed, policy)? {
                        self.binding(&found, policy, line);
                    }
                }
            }
        }
        Ok(())
    }

    fn binding(&mut self, difference: &Difference, policy: &Policy, line: usize) {
        if let (Difference::Place(place), true) = (difference, difference.is_weaker()) {
            let message = format!("the SealedSecret has {place}, which {} pins", shown(policy));
            self.add(line, Rule::Binding, message);
        }
    }

    /// What an encrypted document leaves in plaintext by its own choice, which no rule asks for, though its name is that of
    /// a secret. What is a Secret's is told as such.
    pub(super) fn unasked(&mut self, view: &View<'_>, own: &Selection, reported: &mut BTreeSet<NodeId>) {
        let document = view.document;
        let (default, _) = policy::selection(document, None);
        if *own == default || document.format() == Format::Binary {
            return;
        }
        let found = self.in_plaintext(view, &default).values.into_iter();
        let secrets: HashSet<NodeId> = view.secrets.iter().map(|secret| secret.node).collect();
        let is_meant = |node: &NodeId| {
            !reported.contains(node)
                && !document.tree().is_below(&secrets, *node)
                && is_secret(document, *node)
        };
        let found: Vec<NodeId> = found.filter(is_meant).collect();
        let Some(line) = found.iter().map(|&node| view.line_of(node)).min() else { return };
        let paths = found.iter().take(SHOWN).map(|&node| path_of(document, node));
        let mut paths = paths.collect::<Vec<_>>().join(", ");
        if found.len() > SHOWN {
            paths += &format!(" and {} more", found.len() - SHOWN);
        }
        self.add(
            line,
            Rule::OwnSettings,
            format!("its own `{own}` leaves these in plaintext, and no rule does: {paths}"),
        );
        reported.extend(found);
    }

    fn settings(&mut self, file: &Encrypted, difference: &Difference, policy: &Policy, at: &Lines) {
        let Difference::Selection { file: own, rule, exposed } = difference else { return };
        let what = match exposed {
            Exposure::NeedsKey => "without a key it is unknown what that leaves in plaintext".to_owned(),
            Exposure::Leaves(leaves) => match count_meant(file.document(), rule, leaves) {
                0 => return,
                1 => "which leaves a value in plaintext".to_owned(),
                count => format!("which leaves {count} values in plaintext"),
            },
        };
        let message = format!("encrypts by `{own}`, but {} says `{rule}`: {what}", shown(policy));
        self.add(line_of_metadata_in(file.document(), at), Rule::Settings, message);
    }
}

/// Whether a value, or one that an alias stands for, is a text or a number that is filled in by nobody, under the name of a
/// secret.
fn is_secret(document: &dyn Document, node: NodeId) -> bool {
    let (tree, source) = (document.tree(), document.source());
    let way = iter::successors(Some(node), |&node| tree.parent(node)).map(|node| tree[node].key.get(source));
    let name = way.filter(|key| !key.is_empty()).find(|key| !names::is_of_content(key));
    holds_value(document, node, name.is_some_and(names::is_of_secret))
}

/// The same of a value, or of what is in a map or a list, under a name that is that of a secret, or not. A walk has come by
/// all of it before, within the bounds for what aliases stand for.
fn holds_value(document: &dyn Document, node: NodeId, is_of_secret: bool) -> bool {
    let (tree, source) = (document.tree(), document.source());
    let node = tree.resolve(node);
    if matches!(tree[node].kind, NodeKind::Map | NodeKind::List) {
        return tree.entries(node).any(|entry| {
            let name = Some(tree[entry].key.get(source)).filter(|key| !names::is_of_content(key));
            holds_value(document, entry, name.map_or(is_of_secret, names::is_of_secret))
        });
    }
    is_of_secret
        && !templates::is_placeholder(tree[node].text.get(source))
        && !is_public_key(tree[node].text.get(source))
        && matches!(document.value(node), Ok(Value::Str(_) | Value::Int(_) | Value::Float(_)))
}

/// Whether a text is a public key of SSH, which is what most call an `ssh_key`.
fn is_public_key(text: &str) -> bool {
    let mut words = text.trim_matches(['"', '\'']).split_whitespace();
    words.next().is_some_and(|kind| kind.starts_with("ssh-") || kind.starts_with("ecdsa-sha2-"))
        && words.next().is_some_and(|key| key.starts_with("AAAA"))
}

/// How many of these a rule means: one about Secrets does not mean the `data` of other objects.
fn count_meant(document: &dyn Document, rule: &Selection, leaves: &[Exposed]) -> usize {
    if leaves.is_empty() || !is_about_secrets(rule) {
        return leaves.len();
    }
    let secrets: HashSet<NodeId> =
        kubernetes::secrets(document).into_iter().map(|secret| secret.node).collect();
    let is_meant = |leaf: &&Exposed| {
        document.tree().is_below(&secrets, leaf.at) || !others::is_of_data(document, rule, leaf.at)
    };
    leaves.iter().filter(is_meant).count()
}
