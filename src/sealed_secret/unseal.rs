//! A SealedSecret as people see it: the Secret that it makes.

use super::binding::Binding;
use super::check::{check_size, not_rendered};
use super::data_keys::OpenedKeys;
use super::secret::Secret;
use super::types::{SealedSecret, TemplateMetadata};
use crate::error::Result;
use crate::template::render_all;

/// The Secret that a SealedSecret makes, with its values and those that its templates make.
pub fn unseal(sealed: &SealedSecret, keys: &OpenedKeys) -> Result<Secret> {
    let opened = opened(sealed, keys)?;
    let Some(template) = sealed.spec.template.as_ref().filter(|template| !template.data.is_empty()) else {
        return Ok(opened);
    };
    let items = render_all(&template.templates(), opened.items).map_err(|why| not_rendered(&why))?;
    check_size(items.values().map(|value| value.len()).sum())?;
    Ok(Secret { items, ..shell(sealed) })
}

/// The Secret as it was sealed: with the values that are encrypted, and no others.
pub fn opened(sealed: &SealedSecret, keys: &OpenedKeys) -> Result<Secret> {
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
