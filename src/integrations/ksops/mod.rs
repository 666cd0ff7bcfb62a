//! The contract of KSOPS: a generator of kustomize that reads encrypted files, as KRM function and as legacy plugin.
//!
//! Owns the format of the generator, and what becomes of the files that it names. With `output: sealedsecret` no key
//! is asked for: SealedSecrets pass, and nothing else does. They are never made here: each build would make others,
//! and whoever compares builds, as Argo CD does, would never see the end of it.

mod env;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value as Data, json};
use zeroize::Zeroizing;

use super::{Objects, Place, objects};
use crate::batch::{self, Opened, Source};
use crate::document::{self, Document, Format, NodeId};
use crate::encrypted_file::{EncryptedFile, OpenedFile, format_in, no_answer};
use crate::error::{Error, Kind, Result};
use crate::fs::Snapshot;
use crate::keys::KeyService;
use crate::sealed_secret::{Secret, check_item_name};
use crate::secret::{DataKey, SecretBytes, SecretString};
use crate::sops::MacCheck;

/// What a generator asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Generator {
    #[serde(rename = "apiVersion")]
    _api_version: Option<IgnoredAny>,
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    #[serde(rename = "metadata")]
    _metadata: Option<IgnoredAny>,
    /// Manifests.
    files: Option<Vec<String>>,
    /// Secrets made of files.
    secret_from: Option<Vec<SecretFrom>>,
    #[serde(default)]
    output: Output,
}

/// A Secret and the encrypted files that it is made of.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct SecretFrom {
    metadata: Metadata,
    #[serde(rename = "type")]
    kind: Option<String>,
    files: Vec<String>,
    binary_files: Vec<String>,
    envs: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Metadata {
    name: String,
    namespace: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// What comes out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Output {
    /// What the files hold, decrypted.
    #[default]
    Secret,
    /// SealedSecrets as they are in the files.
    SealedSecret,
}

/// What came of a generator: manifests of one document each, and what people should know.
#[derive(Default)]
pub struct Generated {
    pub manifests: Vec<SecretString>,
    pub warnings: Vec<String>,
    /// The data keys of the files that it names.
    pub keys: Vec<DataKey>,
}

impl Generator {
    /// Reads a generator.
    pub fn parse(bytes: SecretBytes) -> Result<Self> {
        let document = document::parse(Format::Yaml, bytes, false)?;
        match document.tree().documents() {
            [root] => Self::of(&*document, *root),
            several => {
                let message = format!("exactly one generator is expected, and there are {}", several.len());
                Err(Error::new(Kind::Read, message))
            }
        }
    }

    fn of(document: &dyn Document, node: NodeId) -> Result<Self> {
        let refuse = |message: String| Error::new(Kind::Read, message).on_line(document.line(node));
        let generator: Self = serde_json::from_value(document::to_data(document, node)?)
            .map_err(|error| refuse(format!("this is not a KSOPS generator: {error}")))?;
        if generator.files.is_none() && generator.secret_from.is_none() {
            let error = refuse("the generator has neither `files` nor `secretFrom`".to_owned());
            return Err(
                error.advise("`files` lists encrypted manifests, `secretFrom` Secrets made from files.")
            );
        }
        if generator.output == Output::SealedSecret && generator.secret_from.is_some() {
            let error = refuse(
                "`secretFrom` makes plaintext Secrets, which `output: sealedsecret` does not allow"
                    .to_owned(),
            );
            return Err(error.advise(
                "Seal it once, and commit the result: `sealant seal -n NAMESPACE --name NAME --from-file KEY=FILE \
                 --output FILE`. Then list it under `files`.",
            ));
        }
        Ok(generator)
    }

    /// The files that it names, manifests first.
    pub fn paths(&self) -> Vec<&str> {
        let manifests = self.files.iter().flatten().map(String::as_str);
        manifests.chain(self.secret_from.iter().flatten().flat_map(SecretFrom::paths)).collect()
    }

    /// Reads all files that are named, opens them with one request, and makes of them what is asked for. A file may be
    /// named that is in the repository of `place`.
    pub async fn generate(&self, place: &Place, service: &KeyService<'_>) -> Result<Generated> {
        let mut generated = Generated::default();
        let opened = self.open(&self.paths(), place, service, &mut generated).await?;
        let mut opened = opened.into_iter();
        for path in self.files.iter().flatten() {
            let (format, bytes) = opened.next().ok_or_else(no_answer)?;
            let format = if format == Format::Json { format } else { Format::Yaml };
            let texts = || -> Result<Vec<SecretString>> {
                let found = Objects::parse(format, bytes)?;
                found.refuse_encrypted()?;
                Ok(found.texts()?.into_iter().map(|text| Zeroizing::new(text.to_owned())).collect())
            };
            generated.manifests.extend(texts().map_err(|error| error.in_file(path))?);
        }
        for secret in self.secret_from.iter().flatten() {
            let binary: Vec<&str> = secret.binary_files.iter().map(|file| key_and_path(file).0).collect();
            let text = secret.made_of(&mut opened)?.to_yaml_with(&|key| binary.contains(&key));
            Objects::parse(Format::Yaml, Zeroizing::new(text.as_bytes().to_vec()))?.refuse_encrypted()?;
            generated.manifests.push(text);
        }
        Ok(generated)
    }

    /// What files hold, in their order: decrypted, or SealedSecrets as they are. Warnings and data keys are added to what is known.
    async fn open(
        &self,
        paths: &[&str],
        place: &Place,
        service: &KeyService<'_>,
        Generated { warnings, keys, .. }: &mut Generated,
    ) -> Result<Vec<(Format, SecretBytes)>> {
        let read = |path: &&str| -> Result<Source> {
            let bytes = place.read(path)?;
            let format = format_in(Format::of_path(Path::new(path)), &bytes);
            Ok(Source { path: path.into(), format, snapshot: Snapshot::of(&bytes), bytes })
        };
        let sources = paths.iter().map(read).collect::<Result<Vec<_>>>()?;
        let (mut contents, mut closed) = (Vec::new(), Vec::new());
        for (at, parsed) in batch::parse(sources).into_iter().enumerate() {
            let parsed = parsed?;
            contents.push(match &parsed.file {
                EncryptedFile::Sealed(file) => {
                    let document = &file.document;
                    Some((document.format(), Zeroizing::new(document.source().as_bytes().to_vec())))
                }
                EncryptedFile::Document(_) if self.output == Output::SealedSecret => {
                    return Err(not_sealed(&parsed.path));
                }
                EncryptedFile::Document(_) => {
                    closed.push(Ok((parsed, at)));
                    None
                }
            });
        }
        for opened in batch::unwrap::<usize>(service, closed).await {
            let (Opened { path, file, .. }, at) = opened?;
            let OpenedFile::Document(file, key) = file else { return Err(no_answer()) };
            let plain = file.decrypt(&key, MacCheck::Verify).map_err(|error| error.in_file(&path))?;
            warnings.extend(plain.warnings.iter().map(|warning| format!("{}: {warning}", path.display())));
            if let Some(content) = contents.get_mut(at) {
                *content = Some((file.format(), plain.bytes));
            }
            keys.push(key);
        }
        contents.into_iter().collect::<Option<Vec<_>>>().ok_or_else(no_answer)
    }
}

impl SecretFrom {
    /// The files that it is made of, in the order in which [`SecretFrom::made_of`] takes them.
    fn paths(&self) -> impl Iterator<Item = &str> {
        let files = self.files.iter().chain(&self.binary_files);
        files.map(|file| key_and_path(file).1).chain(self.envs.iter().map(String::as_str))
    }

    fn made_of(&self, opened: &mut impl Iterator<Item = (Format, SecretBytes)>) -> Result<Secret> {
        let Metadata { name, namespace, labels, annotations } = &self.metadata;
        let mut secret = Secret {
            name: name.clone(),
            namespace: namespace.clone(),
            labels: labels.clone(),
            annotations: annotations.clone(),
            kind: self.kind.clone(),
            ..Secret::default()
        };
        let mut put = |key: &str, value: SecretBytes, path: &str| {
            check_item_name(key).map_err(|error| error.in_file(path))?;
            match secret.items.insert(key.to_owned(), value) {
                None => Ok(()),
                Some(_) => {
                    let message = format!("the Secret `{name}` has the key `{key}` already");
                    Err(Error::new(Kind::Read, message).in_file(path))
                }
            }
        };
        for (at, file) in self.files.iter().chain(&self.binary_files).enumerate() {
            let (_, bytes) = opened.next().ok_or_else(no_answer)?;
            let (key, path) = key_and_path(file);
            if at < self.files.len() && std::str::from_utf8(&bytes).is_err() {
                let error = Error::new(Kind::Read, "this is not text").in_file(path);
                return Err(error.advise("List it under `binaryFiles`."));
            }
            put(key, bytes, path)?;
        }
        for path in &self.envs {
            let (_, bytes) = opened.next().ok_or_else(no_answer)?;
            for (key, value) in env::values(&bytes).map_err(|error| error.in_file(path))? {
                put(&key, value, path)?;
            }
        }
        Ok(secret)
    }
}

/// `KEY=PATH`, or a path whose last part is the key.
fn key_and_path(file: &str) -> (&str, &str) {
    file.split_once('=').unwrap_or_else(|| (file.rsplit('/').next().unwrap_or(file), file))
}

fn not_sealed(path: &Path) -> Error {
    let shown = path.display();
    Error::new(Kind::Other, "this is encrypted with sops, but `output: sealedsecret` decrypts nothing")
        .in_file(path)
        .advise(format!(
            "Seal it, and list the result: `sealant decrypt {shown} | sealant seal --output sealed.yaml`."
        ))
}

/// What kustomize hands to a function.
pub struct Request {
    generators: Vec<Generator>,
    /// Objects of others, which pass.
    passing: Vec<SecretString>,
}

impl Request {
    /// Reads a ResourceList. kustomize writes a generator's own config to `functionConfig` and to `items`; those who
    /// know KSOPS alone, only to `items`.
    pub fn parse(bytes: SecretBytes) -> Result<Self> {
        let document = document::parse(Format::Yaml, bytes, false)?;
        let (tree, source) = (document.tree(), document.source());
        let refuse = |message: &str| Err(Error::new(Kind::Read, message));
        let [root] = tree.documents() else { return refuse("one ResourceList is expected") };
        let entry =
            |node: NodeId, key: &str| tree.entry(source, tree.resolve(node), key).map(|e| tree.resolve(e));
        let text =
            |node: NodeId, key: &str| entry(node, key).map_or("", |found| tree[found].text.get(source));
        if text(*root, "kind") != "ResourceList" {
            return refuse("standard input is not a ResourceList, which is what kustomize passes");
        }
        let id = |node: NodeId| {
            let metadata = |key: &str| entry(node, "metadata").map_or("", |found| text(found, key));
            [text(node, "apiVersion"), text(node, "kind"), metadata("namespace"), metadata("name")]
        };
        let config = entry(*root, "functionConfig").filter(|&config| tree.entries(config).next().is_some());
        let items = entry(*root, "items").into_iter().flat_map(|items| tree.entries(items));
        let (mut generators, mut passing) = (Vec::new(), Vec::new());
        if let Some(config) = config {
            generators.push(Generator::of(&*document, config)?);
        }
        for item in items.map(|item| tree.resolve(item)) {
            match config {
                None => generators.push(Generator::of(&*document, item)?),
                Some(config) if id(config) == id(item) => {}
                Some(_) => {
                    let text = document::emit_value(&*document, item, Format::Yaml)?;
                    passing.push(Zeroizing::new(String::from_utf8_lossy(&text).into_owned()));
                }
            }
        }
        match generators.is_empty() {
            true => refuse("there is no generator in the ResourceList"),
            false => Ok(Self { generators, passing }),
        }
    }

    /// The ResourceList that answers it.
    pub async fn answer(
        &self,
        place: &Place,
        service: &KeyService<'_>,
    ) -> Result<(SecretBytes, Vec<String>)> {
        let (mut made, mut warnings) = (Vec::new(), Vec::new());
        for generator in &self.generators {
            let generated = generator.generate(place, service).await?;
            made.extend(generated.manifests);
            warnings.extend(generated.warnings);
        }
        let items = self.passing.iter().chain(&made).map(|text| objects::indented(text, "  "));
        Ok((resource_list(&items.collect::<Vec<_>>()), warnings))
    }
}

/// A ResourceList with these items, each moved to the right already.
fn resource_list(items: &[SecretString]) -> SecretBytes {
    let mut parts = vec!["apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n"];
    parts.push(if items.is_empty() { "items: []\n" } else { "items:\n" });
    items.iter().for_each(|item| parts.extend(["-\n", item]));
    let mut out = SecretBytes::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    out
}

/// The ResourceList that says why there is none.
pub fn failure(error: &Error) -> String {
    let mut result = json!({"message": error.to_string(), "severity": "error"});
    if let Some(file) = error.file() {
        result["file"] = json!({"path": file.to_string_lossy()});
    }
    let list = json!({
        "apiVersion": "config.kubernetes.io/v1",
        "kind": "ResourceList",
        "items": Data::Array(Vec::new()),
        "results": [result],
    });
    document::yaml_of(&list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretBytes {
        Zeroizing::new(text.as_bytes().to_vec())
    }

    fn refusal(text: &str) -> String {
        Generator::parse(secret(text)).map_or_else(|error| error.to_string(), |_| "none".to_owned())
    }

    #[test]
    fn a_generator_is_read_as_ksops_reads_it_and_misspelt_ones_are_refused() {
        let head = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: x, annotations: {a: b}}\n";
        for body in [
            "files: [a.yaml]\n",
            "secretFrom:\n- metadata: {name: x, labels: {a: b}}\n  type: Opaque\n  files: [a=b.txt]\n  binaryFiles: [c]\n  envs: [d.env]\n",
            "files: [a.yaml]\noutput: sealedsecret\n",
            "files: []\n",
        ] {
            assert_eq!(refusal(&format!("{head}{body}")), "none");
        }
        assert!(refusal(head).contains("neither `files` nor `secretFrom`"));
        assert!(refusal(&format!("{head}filse: [a]\n")).contains("unknown field `filse`"));
        assert!(refusal(&format!("{head}files: [a]\noutput: plain\n")).contains("unknown variant `plain`"));
        assert!(
            refusal(&format!("{head}secretFrom: []\noutput: sealedsecret\n"))
                .contains("makes plaintext Secrets")
        );
        assert!(refusal(&format!("{head}---\n{head}")).contains("there are 2"));
    }

    #[test]
    fn the_config_is_taken_from_where_it_stands_and_dropped() {
        let config = "{kind: ksops, metadata: {name: x}, files: [a]}";
        let other =
            "{kind: Pod, metadata: {name: y, annotations: {internal.config.kubernetes.io/index: '1'}}}";
        let parse = |body: &str| Request::parse(secret(&format!("kind: ResourceList\n{body}")));
        let both = parse(&format!("items: [{config}, {other}]\nfunctionConfig: {config}\n")).unwrap();
        assert_eq!((both.generators.len(), both.passing.len()), (1, 1));
        assert!(both.passing[0].contains("internal.config.kubernetes.io/index"));
        let items = parse(&format!("items: [{config}, {config}]\n")).unwrap();
        assert_eq!((items.generators.len(), items.passing.len()), (2, 0));
        assert!(parse("items: []\n").is_err());
        assert!(Request::parse(secret("kind: Pod\n")).is_err());
    }

    #[test]
    fn keys_are_names_of_files_unless_said() {
        assert_eq!(key_and_path("a/b.txt"), ("b.txt", "a/b.txt"));
        assert_eq!(key_and_path("k=a/b.txt"), ("k", "a/b.txt"));
    }
}
