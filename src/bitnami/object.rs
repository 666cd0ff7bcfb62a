//! A SealedSecret as it is in a manifest or in a cluster.
//!
//! Their CustomResourceDefinition lets values of any type in where texts should be, and their controller takes what has another
//! type for empty: so does this.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{CLUSTER_WIDE, NAMESPACE_WIDE};
use crate::template::Templates;

/// Where else an item opens, the fewest places first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Nowhere but under its namespace and name.
    #[default]
    Strict,
    Namespace,
    Cluster,
}

impl Scope {
    /// By the annotations of the SealedSecret; those of its template say nothing.
    pub fn of(annotations: &BTreeMap<String, String>) -> Self {
        let is_true = |key: &str| annotations.get(key).is_some_and(|value| value == "true");
        match (is_true(CLUSTER_WIDE), is_true(NAMESPACE_WIDE)) {
            (true, _) => Self::Cluster,
            (false, true) => Self::Namespace,
            (false, false) => Self::Strict,
        }
    }

    /// The annotation that asks for it; none asks for the strict one.
    pub fn annotation(self) -> Option<&'static str> {
        match self {
            Self::Strict => None,
            Self::Namespace => Some(NAMESPACE_WIDE),
            Self::Cluster => Some(CLUSTER_WIDE),
        }
    }

    /// What an item is bound to.
    pub fn label(self, namespace: &str, name: &str) -> String {
        match self {
            Self::Strict => format!("{namespace}/{name}"),
            Self::Namespace => namespace.to_owned(),
            Self::Cluster => String::new(),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Namespace => "namespace-wide",
            Self::Cluster => "cluster-wide",
        }
    }
}

/// What a SealedSecret asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SealedSecret {
    pub name: String,
    pub namespace: String,
    pub scope: Scope,
    pub items: BTreeMap<String, String>,
    /// Whether it has the field `data`, in which the first versions sealed a whole Secret at once.
    pub has_blob: bool,
    pub template: Template,
}

/// The Secret without its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// Its type; empty for the default.
    pub kind: String,
    pub immutable: bool,
    /// The items that are made of the others, by Go's templates. One that is null leaves the item of its name out.
    pub data: Templates,
    /// Items whose templates are no texts, which no cluster takes today.
    pub no_texts: Vec<String>,
}

impl SealedSecret {
    /// One with this spec; `annotations` are its own.
    pub fn read(namespace: &str, name: &str, annotations: &BTreeMap<String, String>, spec: &Value) -> Self {
        let text = |(key, value): (&String, &Value)| (key.clone(), text(value));
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            scope: Scope::of(annotations),
            items: map(&spec["encryptedData"]).map(text).collect(),
            has_blob: spec["data"].as_str().is_some_and(|blob| !blob.is_empty()),
            template: Template::read(&spec["template"]),
        }
    }

    /// What its items are bound to.
    pub fn label(&self) -> String {
        self.scope.label(&self.namespace, &self.name)
    }
}

impl Template {
    fn read(template: &Value) -> Self {
        let texts = |value: &Value| map(value).map(|(key, value)| (key.clone(), text(value))).collect();
        let metadata = &template["metadata"];
        let (templates, no_texts): (Vec<_>, Vec<_>) =
            map(&template["data"]).partition(|(_, value)| value.is_string() || value.is_null());
        let text_of = |(key, value): (&String, &Value)| (key.clone(), value.as_str().map(str::to_owned));
        Self {
            labels: texts(&metadata["labels"]),
            annotations: texts(&metadata["annotations"]),
            kind: text(&template["type"]),
            immutable: template["immutable"].as_bool().unwrap_or_default(),
            data: templates.into_iter().map(text_of).collect(),
            no_texts: no_texts.into_iter().map(|(key, _)| key.clone()).collect(),
        }
    }
}

fn map(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
