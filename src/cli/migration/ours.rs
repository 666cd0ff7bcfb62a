//! What an object becomes: a SealedSecret of ours, before its values are encrypted.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::sealed_secret::{
    self, DeletionPolicy, NewDataKey, OpenedKeys, Options, Routed, Scope, SealedSecret, Secret, Template,
    TemplateMetadata,
};
use crate::secret::SecretBytes;

/// One SealedSecret.
#[derive(Default)]
pub struct Ours {
    /// Name, namespace, type and values. Labels and annotations are those below.
    pub secret: Secret,
    pub scope: Scope,
    /// Of the SealedSecret itself.
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// Of the Secret.
    pub metadata: TemplateMetadata,
    /// Items that are made of others.
    pub templates: BTreeMap<String, String>,
    pub deletion_policy: Option<DeletionPolicy>,
    /// All values that the Secret has in the end.
    pub makes: BTreeMap<String, SecretBytes>,
}

impl Ours {
    /// What a Secret becomes.
    pub fn of(secret: Secret, scope: Scope) -> Result<Self> {
        let Routed { template, labels, annotations } = sealed_secret::route(&secret)?;
        let metadata = template.and_then(|template| template.metadata).unwrap_or_default();
        let makes = secret.items.clone();
        Ok(Self { secret, scope, labels, annotations, metadata, makes, ..Self::default() })
    }

    /// Encrypts its values under a data key that was made for it.
    pub fn seal(&self, key: NewDataKey) -> Result<SealedSecret> {
        let options = Options { scope: Some(self.scope), namespace: None, allow_empty: true };
        let mut sealed = sealed_secret::seal(&self.secret, &options, key)?;
        let mut template = sealed.spec.template.take().unwrap_or_default();
        template.metadata = (self.metadata != TemplateMetadata::default()).then(|| self.metadata.clone());
        template.data.clone_from(&self.templates);
        template.check()?;
        sealed.spec.template = (template != Template::default()).then_some(template);
        sealed.spec.deletion_policy = self.deletion_policy;
        sealed.metadata.labels.clone_from(&self.labels);
        sealed.metadata.annotations.clone_from(&self.annotations);
        Ok(sealed)
    }

    /// Whether a SealedSecret opens to these values, and makes these.
    pub fn is_made_by(&self, sealed: &SealedSecret, keys: &OpenedKeys) -> bool {
        let items = |secret: Result<Secret>| secret.ok().map(|secret| secret.items);
        items(sealed_secret::opened(sealed, keys)).as_ref() == Some(&self.secret.items)
            && items(sealed_secret::unseal(sealed, keys)).as_ref() == Some(&self.makes)
    }
}
