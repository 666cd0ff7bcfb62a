//! A Secret becomes a SealedSecret: what of its metadata goes where, and its values encrypted.

use std::collections::BTreeMap;

use super::belongs::Place;
use super::binding::Binding;
use super::check::{FORBIDDEN_TYPES, check_item_name, check_size};
use super::data_keys::NewDataKey;
use super::secret::Secret;
use super::types::{API_VERSION, KIND, Metadata, Scope, SealedSecret, Spec, Template, TemplateMetadata};
use crate::document::{Document, METADATA_KEY, NodeId, NodeKind};
use crate::error::{Error, Kind, Result};

/// A manifest beyond this many bytes cannot be applied by `kubectl apply` without `--server-side`, which keeps a copy
/// of it in an annotation.
pub const LARGE_MANIFEST: usize = 256 << 10;

/// How a Secret is sealed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `None` is strict.
    pub scope: Option<Scope>,
    /// For Secrets that name none; one that names another is refused.
    pub namespace: Option<String>,
    /// Whether a Secret may have no values at all.
    pub allow_empty: bool,
}

/// Seals a Secret under a data key that was made for it.
pub fn seal(secret: &Secret, options: &Options, key: NewDataKey) -> Result<SealedSecret> {
    let scope = options.scope.unwrap_or_default();
    let namespace = namespace(secret, options.namespace.as_deref(), scope)?;
    check_name(&secret.name)?;
    if secret.items.is_empty() && !options.allow_empty {
        let error = Error::new(Kind::Other, "the Secret has neither data nor stringData");
        return Err(error.advise("To seal it anyway, add --allow-empty-data."));
    }
    let binding = Binding::new(scope, namespace.as_deref(), &secret.name)?;
    check_size(secret.items.values().map(|value| value.len()).sum())?;
    let routed = route(secret)?;
    let mut encrypted_data = BTreeMap::new();
    for (item, value) in &secret.items {
        check_item_name(item)?;
        encrypted_data.insert(item.clone(), key.key.seal(&binding, item, value)?);
    }
    let spec = Spec {
        scope: Some(scope),
        deletion_policy: None,
        data_keys: if encrypted_data.is_empty() { Vec::new() } else { vec![key.entry] },
        encrypted_data,
        template: routed.template,
    };
    spec.check()?;
    let metadata = Metadata {
        name: secret.name.clone(),
        namespace,
        labels: routed.labels,
        annotations: routed.annotations,
        ..Metadata::default()
    };
    Ok(SealedSecret { metadata, spec })
}

/// The namespace of a Secret that is sealed with this flag. One for the whole cluster may be asked for anywhere.
fn namespace(secret: &Secret, wanted: Option<&str>, scope: Scope) -> Result<Option<String>> {
    let own = secret.namespace.as_deref().filter(|namespace| !namespace.is_empty());
    match (own, wanted) {
        (Some(own), Some(wanted)) if own != wanted && scope != Scope::Cluster => {
            let message = format!("the Secret has the namespace `{own}`, but --namespace says `{wanted}`");
            Err(Error::new(Kind::Conflict, message))
        }
        (own, wanted) => Ok(own.or(wanted).map(str::to_owned)),
    }
}

/// What Kubernetes takes for a name: one that it refuses later would have been sealed in vain.
fn check_name(name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    if name.is_empty() {
        return Err(Error::new(Kind::Read, "the Secret has no name").advise(
            "Set metadata.name: a name that Kubernetes makes from generateName cannot be sealed for.",
        ));
    }
    if name.len() <= 253 && name.bytes().all(fits) && edge(name.bytes().next()) && edge(name.bytes().last()) {
        return Ok(());
    }
    Err(Error::new(Kind::Read, "metadata.name is not a valid name for a Secret").advise(
        "Use lower-case letters, digits, `-` and `.`, a letter or digit at both ends, at most 253 characters.",
    ))
}

/// Where the metadata of a Secret go.
pub struct Routed {
    pub template: Option<Template>,
    /// Those of the SealedSecret itself.
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

/// Divides what a Secret has besides its values between the template and the SealedSecret.
pub fn route(secret: &Secret) -> Result<Routed> {
    let mut metadata = TemplateMetadata::default();
    let mut own = TemplateMetadata::default();
    for (is_label, map) in [(true, &secret.labels), (false, &secret.annotations)] {
        for (key, value) in map {
            let target = match Place::of(key, is_label) {
                Place::Object => &mut own,
                Place::Template => &mut metadata,
                Place::Nowhere => continue,
                Place::Refused => {
                    let advice = match key.starts_with("sealedsecrets.bitnami.com/") {
                        true => "Remove it; choose the scope with --scope.",
                        false => "Remove it: the controller would refuse it.",
                    };
                    let message = format!("a Secret that is sealed may not have {key}");
                    return Err(Error::new(Kind::Read, message).advise(advice));
                }
            };
            let target = if is_label { &mut target.labels } else { &mut target.annotations };
            target.insert(key.clone(), value.clone());
        }
    }
    let template = Template {
        kind: secret.kind.clone(),
        immutable: secret.immutable,
        metadata: (metadata != TemplateMetadata::default()).then_some(metadata),
        ..Template::default()
    };
    let template = (template != Template::default()).then_some(template);
    Ok(Routed { template, labels: own.labels, annotations: own.annotations })
}

/// What people should know of a SealedSecret that was written.
pub fn warnings(sealed: &SealedSecret, manifest_len: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    let kind = sealed.spec.template.as_ref().and_then(|template| template.kind.as_deref());
    if let Some(kind) = kind.filter(|kind| FORBIDDEN_TYPES.contains(kind)) {
        warnings.push(format!(
            "the controller makes Secrets of type {kind} only if one of its flags allows them"
        ));
    }
    if manifest_len > LARGE_MANIFEST {
        warnings.push(format!(
            "the manifest has {manifest_len} bytes: `kubectl apply` only accepts it with --server-side"
        ));
    }
    let used: Vec<&str> = sealed.spec.encrypted_data.values().filter_map(|text| id_of(text)).collect();
    let entries = sealed.spec.data_keys.iter();
    for unused in entries.filter(|entry| !used.contains(&entry.id.as_str())) {
        warnings.push(format!("no item uses the data key {}: `sealant rotate` drops it", unused.id));
    }
    let keys = sealed.spec.data_keys.len();
    if keys > MANY_DATA_KEYS {
        warnings.push(format!("there are {keys} data keys: `sealant rotate` replaces them with one"));
    }
    warnings
}

/// The id of the data key that an item names.
pub(super) fn id_of(item: &str) -> Option<&str> {
    item.split_once(':').map(|(id, _)| id)
}

/// How many data keys make it worth while to rotate.
pub const MANY_DATA_KEYS: usize = 8;

/// Whether a plaintext document holds a Secret, whatever is beside it.
pub fn holds_secrets(document: &dyn Document) -> bool {
    fn holds(document: &dyn Document, node: NodeId) -> bool {
        let (tree, source) = (document.tree(), document.source());
        let entry = |key: &str| tree.entry(source, tree.resolve(node), key).map(|entry| tree.resolve(entry));
        let is = |key: &str, text: &str| entry(key).is_some_and(|entry| tree[entry].text.get(source) == text);
        let mut items = entry("items").into_iter().flat_map(|items| tree.entries(items));
        is("apiVersion", "v1")
            && (is("kind", "Secret") || (is("kind", "List") && items.any(|item| holds(document, item))))
    }
    document.tree().documents().iter().any(|&root| holds(document, root))
}

/// The Secrets of a plaintext document, those of Lists included. Anything else in it is refused by name.
pub fn secrets(document: &dyn Document) -> Result<Vec<Secret>> {
    let mut secrets = Vec::new();
    for &root in document.tree().documents() {
        if document.tree().entries(root).next().is_some() {
            collect(document, root, &mut secrets)?;
        }
    }
    Ok(secrets)
}

fn collect(document: &dyn Document, node: NodeId, secrets: &mut Vec<Secret>) -> Result<()> {
    let (tree, source) = (document.tree(), document.source());
    let object = tree.resolve(node);
    let entry = |key: &str| tree.entry(source, object, key).map(|entry| tree.resolve(entry));
    let text = |key: &str| entry(key).map_or("", |entry| tree[entry].text.get(source));
    let refuse = |message: &str| Error::new(Kind::Read, message).on_line(document.line(node));
    if entry(METADATA_KEY).is_some() {
        return Err(match text("kind") {
            "Secret" | "List" => refuse("the Secret is encrypted with sops")
                .with_kind(Kind::AlreadyEncrypted)
                .advise("Decrypt it first: `sealant decrypt FILE | sealant seal --filename-override FILE`."),
            _ => refuse("this is encrypted with sops, and it is no Secret: only Secrets can be sealed")
                .with_kind(Kind::AlreadyEncrypted)
                .advise("To seal it as a value: `sealant decrypt FILE | sealant seal --filename-override FILE --name NAME --from-file KEY=-`."),
        });
    }
    match (text("apiVersion"), text("kind")) {
        ("v1", "Secret") => secrets.push(Secret::read(document, object)?),
        ("v1", "List") => {
            let items = entry("items").filter(|&items| tree[items].kind == NodeKind::List);
            for item in items.into_iter().flat_map(|items| tree.entries(items)) {
                collect(document, item, secrets)?;
            }
        }
        (API_VERSION, KIND) => {
            let error = refuse("this is a SealedSecret already").with_kind(Kind::AlreadyEncrypted);
            return Err(error.advise("Change it with `sealant edit FILE`."));
        }
        (_, "") => return Err(refuse("this is not a manifest: it has no `kind`")),
        (_, kind) => {
            return Err(refuse(&format!("this is a {kind}, and only Secrets can be sealed"))
                .advise("Move the Secrets to a file of their own."));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::unseal;
    use super::*;
    use crate::document::Format;
    use crate::sealed_secret::manifest;

    fn try_seal(secret: &Secret, options: &Options) -> Result<SealedSecret> {
        seal(secret, options, new_key(&any_of(&[&Person::new()])))
    }

    fn options(scope: Scope, namespace: Option<&str>) -> Options {
        Options { scope: Some(scope), namespace: namespace.map(str::to_owned), allow_empty: false }
    }

    #[test]
    fn a_secret_comes_back_as_it_was() {
        let alice = Person::new();
        let mut plain = secret(&[("a", "1"), ("empty", "")]);
        plain.labels.insert("app".to_owned(), "shop".to_owned());
        plain.annotations.insert("note".to_owned(), "x".to_owned());
        plain.kind = Some("kubernetes.io/basic-auth".to_owned());
        plain.immutable = Some(false);
        for scope in Scope::ALL {
            let sealed = seal(&plain, &options(scope, None), new_key(&any_of(&[&alice]))).unwrap();
            let keys = open(&sealed, &[&alice]).unwrap();
            assert_eq!(unseal(&sealed, &keys).unwrap(), plain);
            assert_eq!(sealed.spec.scope, Some(scope));
        }
    }

    #[test]
    fn values_are_bound_to_scope_namespace_and_name() {
        let alice = Person::new();
        let moved = |scope: Scope, change: fn(&mut SealedSecret)| {
            let mut sealed =
                seal(&secret(&[("a", "1"), ("b", "2")]), &options(scope, None), new_key(&any_of(&[&alice])))
                    .unwrap();
            change(&mut sealed);
            unsealed(&sealed, &alice).is_ok()
        };
        let rename: fn(&mut SealedSecret) = |s| s.metadata.name = "other".to_owned();
        let carry: fn(&mut SealedSecret) = |s| s.metadata.namespace = Some("other".to_owned());
        let widen: fn(&mut SealedSecret) = |s| s.spec.scope = Some(Scope::Cluster);
        let narrow: fn(&mut SealedSecret) = |s| s.spec.scope = None;
        let swap: fn(&mut SealedSecret) = |s| {
            let [a, b] = ["a", "b"].map(|item| s.spec.encrypted_data[item].clone());
            s.spec.encrypted_data.insert("a".to_owned(), b);
            s.spec.encrypted_data.insert("b".to_owned(), a);
        };
        let item: fn(&mut SealedSecret) = |s| {
            let a = s.spec.encrypted_data.remove("a").unwrap();
            s.spec.encrypted_data.insert("c".to_owned(), a);
        };
        let opens = |scope| [rename, carry, widen, narrow, swap, item].map(|change| moved(scope, change));
        assert_eq!(opens(Scope::Strict), [false, false, false, true, false, false]);
        assert_eq!(opens(Scope::Namespace), [true, false, false, false, false, false]);
        assert_eq!(opens(Scope::Cluster), [true, true, true, false, false, false]);
    }

    #[test]
    fn a_place_has_to_be_known() {
        let plain = secret(&[("a", "1")]);
        let nowhere = Secret { namespace: None, ..plain.clone() };
        let place = |secret: &Secret, scope, namespace: Option<&str>| {
            try_seal(secret, &options(scope, namespace))
                .map(|sealed| sealed.metadata.namespace.unwrap_or_default())
                .map_err(|error| error.message().to_owned())
        };
        assert_eq!(place(&plain, Scope::Strict, None).unwrap(), "shop");
        assert_eq!(place(&nowhere, Scope::Namespace, Some("flag")).unwrap(), "flag");
        assert_eq!(place(&nowhere, Scope::Cluster, None).unwrap(), "");
        assert_eq!(place(&plain, Scope::Cluster, Some("flag")).unwrap(), "shop");
        assert!(place(&nowhere, Scope::Strict, None).unwrap_err().starts_with("the namespace is unknown"));
        assert!(place(&plain, Scope::Strict, Some("flag")).unwrap_err().contains("--namespace says `flag`"));
        for name in ["", "Upper", "-x", "x_y", &"x".repeat(254)] {
            let named = Secret { name: name.to_owned(), ..plain.clone() };
            assert!(place(&named, Scope::Cluster, None).unwrap_err().contains("name"), "{name}");
        }
    }

    #[test]
    fn nothing_is_sealed_only_on_demand() {
        let error = try_seal(&secret(&[]), &Options::default()).unwrap_err();
        assert!(error.advice().unwrap().contains("--allow-empty-data"));
        let sealed = try_seal(&secret(&[]), &Options { allow_empty: true, ..Options::default() }).unwrap();
        assert!(sealed.spec.data_keys.is_empty() && sealed.spec.check().is_ok());
    }

    #[test]
    fn labels_and_annotations_go_where_they_belong() {
        let mut plain = secret(&[("a", "1")]);
        let annotate = |secret: &mut Secret, keys: &[&str]| {
            secret.annotations.extend(keys.iter().map(|key| ((*key).to_owned(), "x".to_owned())));
        };
        annotate(&mut plain, &["note", "argocd.argoproj.io/sync-wave", "argocd.argoproj.io/sync-options"]);
        annotate(&mut plain, &["argocd.argoproj.io/hook", "argocd.argoproj.io/hook-delete-policy"]);
        annotate(&mut plain, &["argocd.argoproj.io/compare-options", "sealant.dev/suspend"]);
        annotate(&mut plain, &["argocd.argoproj.io/tracking-id", "meta.helm.sh/release-name"]);
        annotate(&mut plain, &["kubectl.kubernetes.io/last-applied-configuration", "sealant.dev/adopt"]);
        annotate(&mut plain, &["helm.sh/resource-policy", "kustomize.toolkit.fluxcd.io/prune"]);
        let tracking = ["applyset.kubernetes.io/part-of", "argocd.argoproj.io/instance"];
        for label in
            ["app", "kustomize.toolkit.fluxcd.io/name", "sealant.dev/managed"].iter().chain(&tracking)
        {
            plain.labels.insert((*label).to_owned(), "x".to_owned());
        }
        let sealed = try_seal(&plain, &Options::default()).unwrap();
        let keys = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            keys(&sealed.metadata.annotations),
            [
                "argocd.argoproj.io/compare-options",
                "argocd.argoproj.io/hook",
                "argocd.argoproj.io/hook-delete-policy",
                "argocd.argoproj.io/sync-options",
                "argocd.argoproj.io/sync-wave",
                "helm.sh/resource-policy",
                "kustomize.toolkit.fluxcd.io/prune",
                "sealant.dev/suspend"
            ]
        );
        let template = sealed.spec.template.unwrap().metadata.unwrap();
        assert_eq!(
            (keys(&template.annotations), keys(&template.labels)),
            (vec!["note".to_owned()], vec!["app".to_owned()])
        );

        for key in
            ["sealedsecrets.bitnami.com/cluster-wide", "kubernetes.io/service-account.name", "sealant.dev/x"]
        {
            let mut plain = secret(&[("a", "1")]);
            annotate(&mut plain, &[key]);
            assert_eq!(
                refusal(try_seal(&plain, &Options::default())),
                format!("a Secret that is sealed may not have {key}")
            );
        }
    }

    #[test]
    fn what_is_written_is_no_secret_to_those_who_look_for_one() {
        let mut plain = secret(&[("a", "1")]);
        let copy = "{\"kind\":\"Secret\",\"stringData\":{\"a\":\"hunter2\"}}";
        plain
            .annotations
            .insert("kubectl.kubernetes.io/last-applied-configuration".to_owned(), copy.to_owned());
        let sealed = try_seal(&plain, &Options::default()).unwrap();
        for format in [Format::Yaml, Format::Json] {
            let text = manifest(&sealed, format).unwrap();
            assert!(!text.contains("hunter2") && !text.contains("sops"), "{text}");
            let kinds: Vec<_> = text
                .lines()
                .filter(|line| line.contains("kind"))
                .map(|line| line.contains("SealedSecret"))
                .collect();
            assert_eq!(kinds, [true], "{text}");
        }
    }

    #[test]
    fn large_ones_are_refused_or_warned_about() {
        let of = |size: usize| secret(&[("a", &"x".repeat(size)), ("b", "")]);
        assert!(
            refusal(try_seal(&of((1 << 20) + 1), &Options::default())).contains("Kubernetes allows at most")
        );
        let sealed = try_seal(&of(1 << 20), &Options::default()).unwrap();
        assert!(
            warnings(&sealed, manifest(&sealed, Format::Yaml).unwrap().len())[0].contains("--server-side")
        );
        let sealed = try_seal(&of(1), &Options::default()).unwrap();
        assert!(warnings(&sealed, 1000).is_empty());
        let mut many = sealed.clone();
        many.spec.data_keys = vec![many.spec.data_keys[0].clone(); MANY_DATA_KEYS + 1];
        many.spec.template =
            Some(Template { kind: Some(FORBIDDEN_TYPES[0].to_owned()), ..Template::default() });
        assert_eq!(warnings(&many, 1000).len(), 2);
    }

    #[test]
    fn secrets_are_found_in_streams_and_lists_and_nothing_else_is() {
        let one = "apiVersion: v1\nkind: Secret\nmetadata: {name: one}\n";
        let list =
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: two}}\n";
        let found = secrets(&*yaml(&format!("---\n{one}---\n# nothing\n---\n{list}"))).unwrap();
        assert_eq!(found.iter().map(|secret| &*secret.name).collect::<Vec<_>>(), ["one", "two"]);
        for (text, message) in [
            (
                "apiVersion: v1\nkind: ConfigMap\n",
                "line 1: this is a ConfigMap, and only Secrets can be sealed",
            ),
            ("apiVersion: v2\nkind: Secret\n", "line 1: this is a Secret, and only Secrets can be sealed"),
            ("a: 1\n", "line 1: this is not a manifest: it has no `kind`"),
            (
                "apiVersion: sealant.dev/v1alpha1\nkind: SealedSecret\n",
                "line 1: this is a SealedSecret already",
            ),
            (&format!("{one}sops: {{}}\n"), "line 1: the Secret is encrypted with sops"),
        ] {
            assert_eq!(refusal(secrets(&*yaml(text))), message);
        }
    }
}
