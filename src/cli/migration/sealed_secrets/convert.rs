//! A SealedSecret of theirs as one of ours: what goes where, and what has no equal.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Data};

use super::super::objects::Opened;
use super::super::ours::Ours;
use super::opener::Opener;
use crate::bitnami::{self, PATCH, PREFIX, SKIP_OWNER, SealedSecret};
use crate::cli::kubeseal::manifest::Sealed;
use crate::document::{Document, NodeId};
use crate::error::{Error, Kind, Result};
use crate::sealed_secret::{DeletionPolicy, OF_CLUSTER, Scope, Secret, TemplateMetadata, WITH_OLD_VALUES};
use crate::template;

/// Opens an object of a file. `again` is the command, with a flag more.
pub fn opened(
    document: &dyn Document,
    node: NodeId,
    namespace: Option<&str>,
    opener: &Opener,
    again: &dyn Fn(&str) -> String,
) -> Result<Opened> {
    let mut sealed = Sealed::read(document, node)?;
    if sealed.namespace.is_empty() {
        namespace.unwrap_or_default().clone_into(&mut sealed.namespace);
    }
    let name = match (&*sealed.namespace, &*sealed.name) {
        (_, "") => "without a name".to_owned(),
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    };
    converted(&sealed, opener, again).map_err(|error| error.about(format!("SealedSecret {name}")))
}

fn converted(sealed: &Sealed, opener: &Opener, again: &dyn Fn(&str) -> String) -> Result<Opened> {
    let Sealed { name, namespace, annotations, data } = sealed;
    let spec = &data["spec"];
    let object = SealedSecret::read(namespace, name, annotations, spec);
    refuse(&object, again)?;
    let template = &spec["template"];
    let mut left_out = Vec::new();
    left_out.extend(others("metadata", &data["metadata"], &["name", "namespace", "labels", "annotations"]));
    left_out.extend(others("spec", spec, &["template", "encryptedData", "data"]));
    left_out.extend(others("spec.template", template, &["metadata", "type", "immutable", "data"]));
    let metadata = &template["metadata"];
    left_out.extend(others(
        "spec.template.metadata",
        metadata,
        &["name", "namespace", "labels", "annotations"],
    ));
    let of_secret = texts(metadata, "annotations")?;
    let deletion_policy =
        (of_secret.get(SKIP_OWNER).is_some_and(|value| value == "true")).then_some(DeletionPolicy::Retain);
    let own = |labels: BTreeMap<String, String>| -> BTreeMap<String, String> {
        let is_kept = |key: &String| {
            let has_old_values =
                key.ends_with("/last-applied-configuration") || WITH_OLD_VALUES.contains(&key.as_str());
            !key.starts_with(PREFIX) && !has_old_values
        };
        labels.into_iter().filter(|(key, _)| is_kept(key)).collect()
    };
    let items = opener.open(&object)?;
    let makes = template::render_all(&object.template.data, items.clone())
        .map_err(|why| Error::new(Kind::Emit, format!("template.data: {why}")))?;
    let of_secret = TemplateMetadata { labels: texts(metadata, "labels")?, annotations: own(of_secret) };
    let texts_of_templates = object.template.data.into_iter();
    let ours = Ours {
        secret: Secret {
            name: name.clone(),
            namespace: Some(namespace.clone()).filter(|namespace| !namespace.is_empty()),
            kind: Some(object.template.kind).filter(|kind| !kind.is_empty()),
            immutable: template["immutable"].as_bool(),
            items,
            ..Secret::default()
        },
        scope: match object.scope {
            bitnami::Scope::Strict => Scope::Strict,
            bitnami::Scope::Namespace => Scope::Namespace,
            bitnami::Scope::Cluster => Scope::Cluster,
        },
        labels: texts(&data["metadata"], "labels")?,
        annotations: own(texts(&data["metadata"], "annotations")?),
        metadata: of_secret,
        templates: texts_of_templates.filter_map(|(key, text)| Some((key, text?))).collect(),
        deletion_policy,
        makes,
    };
    Ok(Opened { ours, left_out })
}

/// Refuses what has no equal, or cannot be known.
fn refuse(object: &SealedSecret, again: &dyn Fn(&str) -> String) -> Result<()> {
    let refuse = |why: String, advice: String| Err(Error::new(Kind::Other, why).advise(advice));
    let annotation = |key: &str| object.template.annotations.get(key).is_some_and(|value| value == "true");
    let null = object.template.data.iter().find(|(_, text)| text.is_none());
    if object.name.is_empty() {
        return refuse("it has no name".to_owned(), "Set metadata.name.".to_owned());
    }
    if object.namespace.is_empty() && object.scope != bitnami::Scope::Cluster {
        let advice = format!("Set metadata.namespace, or name it: `{}`.", again("--namespace NAME"));
        return refuse("it has no namespace, and its values are bound to one".to_owned(), advice);
    }
    if object.has_blob {
        return refuse(
            "its values are in the field `data`, as the first versions of kubeseal wrote them".to_owned(),
            format!(
                "Seal the Secret of the cluster: `kubectl get secret {} -n {} -o yaml | sealant seal --output NEW.yaml`.",
                object.name, object.namespace
            ),
        );
    }
    if let Some(key) = object.template.no_texts.first() {
        return refuse(format!("template.data.{key} is not a string"), "Put it in quotes.".to_owned());
    }
    if let Some((key, _)) = null {
        return refuse(
            format!(
                "template.data.{key} is null, which leaves the item out of the Secret, and ours cannot do that"
            ),
            "Remove the line, if the Secret may have this item.".to_owned(),
        );
    }
    if annotation(PATCH) {
        return refuse(
            format!(
                "its template has the annotation {PATCH}, which lets others write to its Secret; Sealant does not allow that"
            ),
            "Remove the annotation, if nobody else does; or keep this object for the controller's --bitnami."
                .to_owned(),
        );
    }
    Ok(())
}

/// What a map has besides these fields, and what a cluster writes.
fn others(path: &str, map: &Data, known: &[&str]) -> Vec<String> {
    let keys = map.as_object().into_iter().flat_map(Map::iter);
    let is_other = |key: &str| !known.contains(&key) && !OF_CLUSTER.contains(&key);
    keys.filter(|(key, data)| is_other(key) && !data.is_null())
        .map(|(key, _)| format!("{path}.{key}"))
        .collect()
}

/// Labels or annotations.
fn texts(metadata: &Data, field: &str) -> Result<BTreeMap<String, String>> {
    let entries = metadata[field].as_object().into_iter().flat_map(Map::iter);
    let text = |(key, value): (&String, &Data)| {
        let value = value.as_str().ok_or_else(|| {
            let message = format!("the value of {key} in {field} is not a string");
            Error::new(Kind::Read, message).advise("Put it in quotes.")
        })?;
        Ok((key.clone(), value.to_owned()))
    };
    entries.map(text).collect()
}
