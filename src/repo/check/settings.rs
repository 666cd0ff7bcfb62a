//! What a file says of its settings or its place, where its creation rule says otherwise.

use std::collections::HashSet;

use super::{Check, Lines, Rule, is_about_secrets, line_of_metadata_in, others, shown};
use crate::claims::{self, Difference, Exposed, Exposure, Form};
use crate::config::{Policy, Selection};
use crate::document::{Document, NodeId};
use crate::encrypted_file::EncryptedFile;
use crate::error::Result;
use crate::sops::{Encrypted, kubernetes};

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
            let message = format!("the SealedSecret has {place}, as {} pins it", shown(policy));
            self.add(line, Rule::Binding, message);
        }
    }

    fn settings(&mut self, file: &Encrypted, difference: &Difference, policy: &Policy, at: &Lines) {
        let Difference::Selection { file: own, rule, exposed } = difference else { return };
        let what = match exposed {
            Exposure::NeedsKey => "what that leaves in plaintext is not known without a key".to_owned(),
            Exposure::Leaves(leaves) => match count_meant(file.document(), rule, leaves) {
                0 => return,
                1 => "which leaves a value in plaintext".to_owned(),
                count => format!("which leaves {count} values in plaintext"),
            },
        };
        let message = format!("encrypts by `{own}`, and {} says `{rule}`: {what}", shown(policy));
        self.add(line_of_metadata_in(file.document(), at), Rule::Settings, message);
    }
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
