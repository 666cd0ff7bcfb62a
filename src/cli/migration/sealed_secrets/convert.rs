//! A SealedSecret of theirs as one of ours: what goes where, and what has no equal.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Data};

use super::super::ours::Ours;
use super::super::sealing::Opened;
use super::opener::Opener;
use crate::bitnami::{self, PATCH, PREFIX, SKIP_OWNER, SealedSecret};
use crate::cli::kubeseal::manifest::Sealed;
use crate::document::{self, Document, Format, NodeId};
use crate::error::{Error, Kind, Result};
use crate::sealed_secret::{DeletionPolicy, OF_CLUSTER, Scope, Secret, TemplateMetadata, WITH_OLD_VALUES};
use crate::secret::SecretBytes;
use crate::template::{self, Templates};

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
    let theirs = match spec["data"].as_str().filter(|_| object.has_blob) {
        Some(blob) => of_blob(blob, &object, opener)?,
        None => Secret { items: opener.open(&object)?, ..Secret::default() },
    };
    let makes = rendered(&object.template.data, theirs.items.clone())?;
    let items = without_nulls(&object.template.data, theirs.items, &makes, &mut left_out)?;
    let mut of_secret = TemplateMetadata { labels: texts(metadata, "labels")?, annotations: of_secret };
    of_secret.labels.extend(theirs.labels);
    of_secret.annotations.extend(theirs.annotations);
    of_secret.annotations = own(of_secret.annotations);
    let texts_of_templates = object.template.data.into_iter();
    let ours = Ours {
        secret: Secret {
            name: name.clone(),
            namespace: Some(namespace.clone()).filter(|namespace| !namespace.is_empty()),
            kind: theirs.kind.or(Some(object.template.kind)).filter(|kind| !kind.is_empty()),
            immutable: theirs.immutable.or(template["immutable"].as_bool()),
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

/// The Secret in the field `data`, in which the first versions of kubeseal sealed one as a whole, as JSON. Its name and
/// namespace are those of the object, whatever it says.
fn of_blob(blob: &str, object: &SealedSecret, opener: &Opener) -> Result<Secret> {
    if matches!(opener, Opener::Live(_)) {
        return Err(Error::new(
            Kind::Other,
            "its values are in the field `data`, which only private keys open",
        )
        .advise("Get the keys with --cluster-keys, or name their file with --key."));
    }
    let blob = SealedSecret { items: [("data".to_owned(), blob.to_owned())].into(), ..object.clone() };
    let json = opener.open(&blob)?.remove("data").unwrap_or_default();
    let no_secret = |_| Error::new(Kind::Read, "its field `data` holds no Secret in JSON");
    let document = document::parse(Format::Json, json, false).map_err(no_secret)?;
    let root = document.tree().documents().first().copied();
    let root = root.ok_or_else(|| no_secret(Error::new(Kind::Read, "it is empty")))?;
    Secret::read(&*document, root).map_err(|error| error.about("its field `data`"))
}

fn rendered(
    templates: &Templates,
    items: BTreeMap<String, SecretBytes>,
) -> Result<BTreeMap<String, SecretBytes>> {
    template::render_all(templates, items)
        .map_err(|why| Error::new(Kind::Emit, format!("template.data: {why}")))
}

/// The values without those that are null in `template.data`, which `makes` does not have: ours has no way to leave one out, so no
/// other template may read them.
fn without_nulls(
    templates: &Templates,
    items: BTreeMap<String, SecretBytes>,
    makes: &BTreeMap<String, SecretBytes>,
    left_out: &mut Vec<String>,
) -> Result<BTreeMap<String, SecretBytes>> {
    let is_null = |item: &String| matches!(templates.get(item), Some(None));
    let (nulls, kept): (BTreeMap<_, _>, BTreeMap<_, _>) =
        items.into_iter().partition(|(item, _)| is_null(item));
    let others = templates.iter().filter(|(_, text)| text.is_some());
    let others: Templates = others.map(|(item, text)| (item.clone(), text.clone())).collect();
    let is_named = |item: &&String| others.values().flatten().any(|text| text.contains(item.as_str()));
    let named = nulls.keys().find(is_named);
    let is_read = named.is_some() || rendered(&others, kept.clone()).ok().as_ref() != Some(makes);
    if let Some(item) = named.or(nulls.keys().next()).filter(|_| is_read) {
        return Err(Error::new(
            Kind::Other,
            format!("template.data.{item} is null, which leaves the item out of the Secret, and another template reads it: ours cannot do both"),
        )
        .advise("Remove the line, if the Secret may have this item."));
    }
    left_out.extend(nulls.keys().map(|item| format!("the item {item}, which is null in template.data,")));
    Ok(kept)
}

/// Refuses what has no equal, or cannot be known.
fn refuse(object: &SealedSecret, again: &dyn Fn(&str) -> String) -> Result<()> {
    let refuse = |why: String, advice: String| Err(Error::new(Kind::Other, why).advise(advice));
    let annotation = |key: &str| object.template.annotations.get(key).is_some_and(|value| value == "true");
    if object.name.is_empty() {
        return refuse("it has no name".to_owned(), "Set metadata.name.".to_owned());
    }
    if object.namespace.is_empty() && object.scope != bitnami::Scope::Cluster {
        let advice = format!("Set metadata.namespace, or name it: `{}`.", again("--namespace NAME"));
        return refuse("it has no namespace, and its values are bound to one".to_owned(), advice);
    }
    if object.has_blob && !(object.items.is_empty() && object.template.data.is_empty()) {
        return refuse(
            "it has the old field `data` beside `encryptedData` or `template.data`, so it is unclear which counts".to_owned(),
            "Remove the one that is not meant.".to_owned(),
        );
    }
    if let Some(key) = object.template.no_texts.first() {
        return refuse(format!("template.data.{key} is not a string"), "Put it in quotes.".to_owned());
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
