//! The object as it is in a cluster, and the Secret that it asks for.

use std::sync::Arc;

use sealant::bitnami::{CLUSTER_WIDE, MANAGED, NAMESPACE_WIDE, PATCH, SKIP_OWNER, SealedSecret, Template};
use serde::Deserialize;

use crate::engine::object::{Meta, Shallow, or_absent};
use crate::engine::watch::Object;
use crate::managed::decide::{Adoption, Desired, Gives, Others, Verdict};
use crate::managed::secret::OPAQUE;
use crate::source::bitnami::Bitnami;
use crate::source::bitnami::reason::{self, WORDS};
use crate::source::bitnami::status::Status;
use crate::source::permitted::Permitted;
use crate::source::{SUCCESSION, Source};

/// As whom their controller writes: what its program is called.
const EARLIER: &[&str] = &["controller", "sealed-secrets-controller"];

/// What a template may set nevertheless, as theirs may: how a Secret is treated, and what kubectl has left in old ones.
const TAKEN: &[&str] = &[MANAGED, PATCH, SKIP_OWNER, NAMESPACE_WIDE, CLUSTER_WIDE, "kubectl.kubernetes.io/"];

/// A SealedSecret as the API server has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Stored")]
pub struct Found {
    pub meta: Meta,
    pub sealed: Arc<SealedSecret>,
    pub status: Status,
}

#[derive(Deserialize)]
struct Stored {
    metadata: Meta,
    #[serde(default)]
    spec: Shallow,
    #[serde(default)]
    status: Shallow,
}

impl From<Stored> for Found {
    fn from(Stored { metadata: meta, spec, status }: Stored) -> Self {
        let sealed = SealedSecret::read(&meta.namespace, &meta.name, &meta.annotations, &spec.0);
        Self { sealed: Arc::new(sealed), status: or_absent(status.0), meta }
    }
}

impl Object for Found {
    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl Found {
    /// About how many bytes it has.
    pub fn weight(&self) -> u32 {
        let items = self.sealed.items.iter().map(|(name, text)| name.len() + text.len());
        let templates = self.sealed.template.data.iter();
        let templates = templates.map(|(name, text)| name.len() + text.as_ref().map_or(0, String::len));
        u32::try_from(items.chain(templates).sum::<usize>()).unwrap_or(u32::MAX)
    }
}

/// The Secret that it asks for, or why there will be none.
pub fn desired(found: &Found, permitted: &Permitted) -> Result<Desired, Verdict> {
    let SealedSecret { items, has_blob, template, .. } = &*found.sealed;
    if *has_blob {
        return Err(reason::refused(if items.is_empty() { reason::BLOB } else { reason::BLOB_AND_ITEMS }));
    }
    check(template, permitted)?;
    let Template { labels, annotations, kind, immutable, .. } = template.clone();
    let is_owned = annotations.get(SKIP_OWNER).is_none_or(|value| value != "true");
    Ok(Desired {
        labels,
        annotations,
        claim: Bitnami::claim(&found.meta),
        made_by: None,
        adopted_by: &[
            Adoption { key: MANAGED, value: "true", gives: Gives::All },
            Adoption { key: PATCH, value: "true", gives: Gives::Room },
        ],
        comes_after: None,
        comes_before: Some(SUCCESSION.1),
        taken_from: None,
        earlier_managers: EARLIER,
        others: Others::Stay,
        owned: is_owned,
        kind: if kind.is_empty() { OPAQUE.to_owned() } else { kind },
        immutable,
        remake: false,
        words: &WORDS,
    })
}

/// Whether a template asks for nothing by which its author would get more than a Secret.
fn check(template: &Template, permitted: &Permitted) -> Result<(), Verdict> {
    if !template.no_texts.is_empty() {
        let items = template.no_texts.join(", ");
        return Err(reason::refused(&format!("a template is not a text ({items})")));
    }
    if !permitted.allows_type(&template.kind) {
        let kind = &template.kind;
        return Err(reason::refused(&format!(
            "a Secret of type {kind} would be a token, and --allow-type does not name it"
        )));
    }
    match permitted.reserved(template.labels.keys().chain(template.annotations.keys()), TAKEN) {
        None => Ok(()),
        Some(key) => Err(reason::refused(&format!("a template may not set {key}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_that_is_nested_deeper_than_is_read_is_a_template() {
        let deep = format!("{}{}", "[".repeat(9000), "]".repeat(9000));
        let object = format!(
            r#"{{"metadata": {{"name": "db"}}, "spec": {{"encryptedData": {{}}, "template": {{"data": {{"a": {deep}}}}}}}}}"#
        );
        let found: Found = serde_json::from_str(&object).unwrap();
        let refused = desired(&found, &Permitted::new(Vec::new(), &[])).unwrap_err();
        assert!(refused.message.contains("a template is not a text (a)"), "{}", refused.message);
    }
}
