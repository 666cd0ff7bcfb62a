//! A SealedSecret as people see it: the Secret that it makes.

use super::binding::Binding;
use super::data_keys::OpenedKeys;
use super::secret::Secret;
use super::types::{SealedSecret, TemplateMetadata};
use crate::error::Result;

/// The Secret that a SealedSecret makes, with its values.
pub fn unseal(sealed: &SealedSecret, keys: &OpenedKeys) -> Result<Secret> {
    let items = keys.items(&sealed.spec, &Binding::of(sealed)?)?;
    Ok(Secret { items, ..shell(sealed) })
}

/// The Secret that a SealedSecret makes, without its values.
pub fn shell(sealed: &SealedSecret) -> Secret {
    let template = sealed.spec.template.clone().unwrap_or_default();
    let TemplateMetadata { labels, annotations } = template.metadata.unwrap_or_default();
    Secret {
        name: sealed.metadata.name.clone(),
        namespace: sealed.metadata.namespace.clone(),
        labels,
        annotations,
        kind: template.kind,
        immutable: template.immutable,
        ..Secret::default()
    }
}
