//! What kubeseal opens with the private keys of a controller, of which somebody has a copy.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Data, json};

use super::controller::Controller;
use super::flags::Flags;
use super::manifest::{self, Sealed, Secret};
use super::{other, read_named};
use crate::bitnami::{self, API_VERSION, BadKey, Certificate, KIND, SKIP_OWNER, SealedSecret, SealingKey};
use crate::cli::context::block_on;
use crate::document::{Document, Format, NodeId, NodeKind};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::secret::SecretBytes;
use crate::template;

/// The Secret that a SealedSecret makes, as kubeseal prints it.
pub fn unsealed(sealed: &Sealed, keys: &[Key], format: Format) -> Result<SecretBytes> {
    let spec = &sealed.data["spec"];
    let object = SealedSecret::read(&sealed.namespace, &sealed.name, &sealed.annotations, spec);
    if object.has_blob {
        return Err(other("using deprecated 'data' field, use 'encryptedData' or flip the feature flag"));
    }
    let templates = &object.template.data;
    let values =
        template::render_all(templates, opened(&object, keys)?).map_err(|why| other(&why.to_string()))?;
    let values: BTreeMap<&String, String> =
        values.iter().map(|(key, value)| (key, STANDARD.encode(value))).collect();
    let template = &spec["template"];
    let mut secret = Map::from_iter([
        ("kind".to_owned(), json!("Secret")),
        ("apiVersion".to_owned(), json!("v1")),
        ("metadata".to_owned(), metadata(sealed, &template["metadata"])),
    ]);
    for (key, data) in [
        ("immutable", template["immutable"].clone()),
        ("data", json!(values)),
        ("type", template["type"].clone()),
    ] {
        if !data.is_null() && data != json!({}) && data != json!("") {
            secret.insert(key.to_owned(), data);
        }
    }
    Ok(SecretBytes::new(manifest::printed(&Data::Object(secret), format).as_bytes().to_vec()))
}

/// The metadata of the template, for this SealedSecret, which owns the Secret.
fn metadata(sealed: &Sealed, template: &Data) -> Data {
    let mut metadata = Map::from_iter([("name".to_owned(), json!(sealed.name))]);
    if !sealed.namespace.is_empty() {
        metadata.insert("namespace".to_owned(), json!(sealed.namespace));
    }
    let others = template.as_object().into_iter().flatten();
    let others = others.filter(|(key, data)| {
        !["name", "namespace", "ownerReferences"].contains(&key.as_str()) && !data.is_null()
    });
    metadata.extend(others.map(|(key, data)| (key.clone(), data.clone())));
    if template["annotations"][SKIP_OWNER] != "true" {
        let uid = sealed.data["metadata"]["uid"].as_str().unwrap_or_default();
        let owner = json!({
            "apiVersion": API_VERSION, "kind": KIND, "name": sealed.name, "uid": uid, "controller": true,
        });
        metadata.insert("ownerReferences".to_owned(), json!([owner]));
    }
    Data::Object(metadata)
}

fn opened(object: &SealedSecret, keys: &[Key]) -> Result<BTreeMap<String, SecretBytes>> {
    let keys: Vec<&SealingKey> = keys.iter().map(|key| &key.key).collect();
    let opened = bitnami::open(object, &keys, 0).map_err(|faults| other(&faults.to_string()))?;
    Ok(opened.0)
}

/// A private key, with its certificate where one is beside it.
pub struct Key {
    pub key: SealingKey,
    certificate: Option<Certificate>,
}

/// The keys of files: one in PEM, a Secret that holds one, or a List of such Secrets.
pub fn keys(files: &[String]) -> Result<Vec<Key>> {
    let mut found = Vec::new();
    for file in files {
        let bytes = read_named(Path::new(file))?;
        let in_file = |error: Error| error.in_file(file);
        match SealingKey::of_pem(&bytes) {
            Ok(key) => found.push(Key { key, certificate: Certificate::read(&bytes).ok() }),
            Err(_) => {
                for document in manifest::documents(&bytes).map_err(in_file)? {
                    found.extend(keys_of(&*document.map_err(in_file)?).map_err(in_file)?);
                }
            }
        }
    }
    Ok(found)
}

fn keys_of(document: &dyn Document) -> Result<Vec<Key>> {
    let tree = document.tree();
    let Some(&root) = tree.documents().first() else { return Ok(Vec::new()) };
    let items = tree.entry(document.source(), root, "items").map(|items| tree.resolve(items));
    let secrets: Vec<NodeId> = match items.filter(|&items| tree[items].kind == NodeKind::List) {
        Some(items) => tree.entries(items).collect(),
        None => vec![root],
    };
    secrets.into_iter().map(|secret| key_of(Secret::read_at(document, secret)?)).collect()
}

fn key_of(secret: Option<Secret>) -> Result<Key> {
    let values = secret.unwrap_or_default().values;
    let key = values.get("tls.key").ok_or_else(|| other("secret must contain a 'tls.data' key"))?;
    let key = SealingKey::of_pem(key).map_err(|bad: BadKey| other(&bad.to_string()))?;
    Ok(Key { key, certificate: values.get("tls.crt").and_then(|pem| Certificate::read(pem).ok()) })
}

/// Who encrypts items again: whoever has the private keys, else the controller.
pub enum Again {
    Here { keys: Vec<Key>, certificate: Certificate },
    There(Controller),
}

impl Again {
    /// `named` is the certificate of `--cert`; without it, the newest beside a key counts.
    pub fn of(flags: &Flags, named: impl FnOnce() -> Result<Certificate>, host: &dyn Host) -> Result<Self> {
        if flags.list("recovery-private-key").is_empty() {
            return Ok(Self::There(block_on(Controller::of(flags, host))?));
        }
        let mut keys = keys(flags.list("recovery-private-key"))?;
        let newest =
            keys.iter_mut().filter_map(|key| key.certificate.take()).max_by_key(Certificate::not_after);
        let certificate = match (flags.given("cert"), newest) {
            (None, Some(newest)) => newest,
            (Some(_), _) => named()?,
            (None, None) => {
                return Err(other("no certificate is beside the private keys").advise(
                    "Name the controller's certificate with --cert; `kubeseal --fetch-cert` prints it.",
                ));
            }
        };
        Ok(Self::Here { keys, certificate })
    }

    /// The items of a SealedSecret, encrypted again. What a controller makes of templates is not one of them.
    pub fn items(&self, sealed: &Sealed) -> Result<Data> {
        let object =
            SealedSecret::read(&sealed.namespace, &sealed.name, &sealed.annotations, &sealed.data["spec"]);
        match self {
            Self::Here { keys, certificate } => {
                let label = object.label();
                let items = opened(&object, keys)?;
                let items = items
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), bitnami::seal(value, &label, certificate)?.into())));
                Ok(Data::Object(items.collect::<Result<Map<String, Data>>>()?))
            }
            Self::There(controller) => {
                let answer = block_on(controller.rotate(sealed.data.to_string().into_bytes()))?;
                let mut answer: Data = serde_json::from_str(&answer)
                    .map_err(|_| other("the controller's answer is not JSON"))?;
                let items =
                    answer["spec"]["encryptedData"].as_object_mut().map(std::mem::take).unwrap_or_default();
                let items: Map<String, Data> = items
                    .into_iter()
                    .filter(|(key, data)| object.items.contains_key(key) && data.is_string())
                    .collect();
                match items.len() == object.items.len() {
                    true => Ok(Data::Object(items)),
                    false => Err(other("the controller's answer lacks items")),
                }
            }
        }
    }
}
