//! Which identities there are: labelled Secrets of the controller's namespace, and files; read again when they change.
//!
//! Also makes the first identity, if nothing else is there, and publishes the recipients. Both are the leader's.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{GetParams, Patch, PatchParams};
use kube::core::Request;
use sealant::host::Closed;
use sealant::keys::{Identities, KeyService, generate_identity, recipients_of};
use sealant::secret::SecretBytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, watch};

use crate::engine::api::{self, ApiServer, Failure};
use crate::engine::lease::Leadership;
use crate::engine::metrics::Metrics;
use crate::engine::object::{Key, Meta};
use crate::engine::store::{Listed, Store};
use crate::engine::watch::{Watch, What};
use crate::keys::metrics::KeyMetrics;
use crate::keys::opening::{Keyring, Opener};
use crate::keys::vault::{ControllerHost, read};
use crate::managed::decide::Marks;
use crate::managed::secret::{self, MANAGER, Secret};
use crate::managed::slim::{Held, Keys, digest as digest_of};
use crate::managed::write::{self, NOT_THERE};

/// On Secrets of the controller's namespace that hold identities: `active` or `retired`.
pub const LABEL: &str = "sealant.dev/identity";

/// The first identity, if the controller makes it.
const FIRST: &str = "sealant-identity";

/// Where the recipients are published.
const RECIPIENTS: &str = "sealant-recipients";

/// How the keys of a Secret end that hold identities, as Flux names them.
const ENDING: &str = ".agekey";

/// How often files are looked at.
const FILES_EVERY: Duration = Duration::from_secs(2);

/// An identity file.
#[derive(Clone)]
struct Entry {
    name: String,
    text: SecretBytes,
    recipients: Vec<String>,
    is_retired: bool,
    /// Files come first, then the newest. Such texts have the order of their times.
    created: Option<String>,
}

impl Entry {
    fn new(name: String, text: SecretBytes) -> Result<Self, String> {
        let recipients = recipients_of(&text, &name, &Closed).map_err(|error| error.to_string())?;
        let recipients = recipients.iter().map(ToString::to_string).collect();
        Ok(Self { name, text, recipients, is_retired: false, created: None })
    }
}

/// All identities, in their order.
#[derive(Clone, Default)]
pub struct Ring {
    entries: Vec<Entry>,
    problems: Vec<String>,
}

impl Ring {
    fn new(mut entries: Vec<Entry>, problems: Vec<String>) -> Self {
        entries.sort_by(|a, b| {
            let place = |entry: &Entry| {
                let newest_first = entry.created.clone().map(std::cmp::Reverse);
                (entry.is_retired, entry.created.is_some(), newest_first, entry.name.clone())
            };
            place(a).cmp(&place(b))
        });
        Self { entries, problems }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether somebody has configured an identity, though it may be broken.
    pub fn is_configured(&self) -> bool {
        !self.entries.is_empty() || !self.problems.is_empty()
    }

    /// Whether everything that one of them could open, another ring can open, too.
    pub fn is_within(&self, other: &Self) -> bool {
        self.recipients(true).is_subset(&other.recipients(true))
    }

    pub fn recipients(&self, with_retired: bool) -> BTreeSet<&str> {
        let entries = self.entries.iter().filter(|entry| with_retired || !entry.is_retired);
        entries.flat_map(|entry| &entry.recipients).map(String::as_str).collect()
    }

    /// The recipients to seal for, a line each, the newest first.
    fn published(&self) -> String {
        let mut lines: Vec<&str> = Vec::new();
        for entry in self.entries.iter().filter(|entry| !entry.is_retired) {
            for recipient in &entry.recipients {
                if !lines.contains(&recipient.as_str()) {
                    lines.push(recipient);
                }
            }
        }
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Changes when anything in it does.
    fn print(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for entry in &self.entries {
            for part in [entry.name.as_bytes(), &*entry.text, &[u8::from(entry.is_retired)]] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        self.problems.iter().for_each(|problem| hash.update(problem));
        hash.finalize().into()
    }

    fn identities(&self) -> Identities {
        let add = |identities: Identities, entry: &Entry| {
            identities.with_text(entry.name.clone(), entry.text.clone())
        };
        self.entries.iter().fold(Identities::none(), add)
    }
}

/// Keeps the identities up to date.
pub struct Keeper {
    pub api: ApiServer,
    pub namespace: String,
    pub files: Vec<PathBuf>,
    pub host: &'static ControllerHost,
    pub opener: Opener,
    pub metrics: Arc<Metrics>,
    pub key_metrics: KeyMetrics,
    /// By which Secrets are known that are no identities.
    pub marks: Arc<Marks>,
    /// `None` until the first list.
    pub ring: watch::Sender<Option<Arc<Ring>>>,
    /// The same, as it is told to those who must not see identities.
    pub keys: watch::Sender<Keys>,
}

impl Keeper {
    pub async fn run(&self) {
        let (known, changed) = (Store::new(1), Notify::new());
        let take = |event| {
            known.apply(0, event, Secret::clone);
            changed.notify_one();
        };
        let what = What {
            kind: "identities",
            namespace: self.namespace.clone(),
            path: secret::path(&self.namespace),
            labels: Some(LABEL.to_owned()),
            bare: false,
        };
        let watch = Watch::new(self.api.clone(), what, Arc::clone(&self.metrics), take);
        tokio::join!(watch.run(), self.keep(&known, &changed));
    }

    async fn keep(&self, known: &Store<Secret>, changed: &Notify) {
        let mut ticks = tokio::time::interval(FILES_EVERY);
        let mut print = None;
        loop {
            tokio::select! {
                () = changed.notified() => {}
                _ = ticks.tick() => {}
            }
            let Some((of_files, has_changed)) = self.look_at_files().await else { continue };
            let ring = match known.listed() {
                Listed::Complete => {
                    let secrets = known.values();
                    let found = secrets.iter().flat_map(|secret| of_secret(secret, &self.marks));
                    gather(found.chain(of_files))
                }
                Listed::Unavailable => {
                    self.keys.send_if_modified(Keys::make_unavailable);
                    continue;
                }
                Listed::NotYet => continue,
            };
            if print.replace(ring.print()) != Some(ring.print()) {
                self.announce(&ring);
            } else if has_changed {
                tracing::info!(
                    "certificates, settings or credentials for servers have changed: reading them again"
                );
            } else {
                continue;
            }
            self.use_ring(ring);
        }
    }

    /// The identities of files, and whether other files have changed. A volume may let us wait.
    async fn look_at_files(&self) -> Option<(Vec<Result<Entry, String>>, bool)> {
        let (files, host) = (self.files.clone(), self.host);
        let look = move || (files.iter().flat_map(|path| of_path(path)).collect(), host.has_changed());
        tokio::task::spawn_blocking(look).await.ok()
    }

    fn announce(&self, ring: &Ring) {
        ring.problems.iter().for_each(|problem| tracing::warn!("an identity cannot be used: {problem}"));
        let names: Vec<&str> = ring.entries.iter().map(|entry| entry.name.as_str()).collect();
        tracing::info!(identities = names.join(", "), "identities in use: {}", names.len());
        self.key_metrics.identities.set(i64::try_from(ring.entries.len()).unwrap_or(i64::MAX));
        self.key_metrics.broken_identities.set(i64::try_from(ring.problems.len()).unwrap_or(i64::MAX));
    }

    fn use_ring(&self, ring: Ring) {
        let (identities, host) = (ring.identities(), self.host);
        let recipients = ring.recipients(true).into_iter().map(str::to_owned).collect();
        let make = Box::new(move || {
            let service = KeyService::new(host, identities);
            let service = service.with_allowed_clouds(host.allowed());
            match host.vault() {
                Ok(vault) => service.with_vault(vault),
                // The settings were looked at when the controller started.
                Err(_) => service,
            }
        });
        let has_lost = self.ring.borrow().as_ref().is_some_and(|old| !old.is_within(&ring));
        let losses = self.keys.borrow().held().map_or(0, |held| held.losses) + u32::from(has_lost);
        let digests = Arc::new(ring.recipients(true).into_iter().map(digest_of).collect());
        self.opener.replace(Keyring { make, recipients });
        self.ring.send_replace(Some(Arc::new(ring)));
        self.keys.send_replace(Keys::Held(Held { digests, losses }));
    }
}

fn gather(found: impl Iterator<Item = Result<Entry, String>>) -> Ring {
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for entry in found {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(problem) => problems.push(problem),
        }
    }
    Ring::new(entries, problems)
}

/// The identities of a labelled Secret.
fn of_secret(secret: &Secret, marks: &Marks) -> Vec<Result<Entry, String>> {
    let name = &secret.meta.name;
    let role = secret.meta.labels.get(LABEL).map(String::as_str);
    if let Some(maker) = marks.maker(&secret.meta) {
        return vec![Err(format!("Secret {name}: {maker}"))];
    }
    let is_retired = match role {
        Some("active") => false,
        Some("retired") => true,
        _ => return vec![Err(format!("Secret {name}: the label {LABEL} is neither active nor retired"))],
    };
    let files = secret.data.iter().filter(|(key, _)| key.ends_with(ENDING));
    let entries: Vec<_> = files
        .map(|(key, value)| {
            let entry = Entry::new(format!("Secret {name}/{key}"), value.clone())?;
            Ok(Entry { is_retired, created: Some(secret.meta.created.clone()), ..entry })
        })
        .collect();
    match entries.is_empty() {
        true => vec![Err(format!("Secret {name}: it has no key that ends in {ENDING}"))],
        false => entries,
    }
}

/// The identities of a file, or of the files of a folder.
fn of_path(path: &Path) -> Vec<Result<Entry, String>> {
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let files = match std::fs::read_dir(path) {
        Err(_) => vec![path.to_owned()],
        Ok(entries) => {
            let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
            let mut paths: Vec<_> = paths.filter(|path| path.to_string_lossy().ends_with(ENDING)).collect();
            paths.sort();
            paths
        }
    };
    files
        .iter()
        .map(|file| Entry::new(file.display().to_string(), read(file).map_err(|error| failed(file, error))?))
        .collect()
}

/// The ConfigMap with the recipients.
#[derive(Deserialize)]
struct Published {
    metadata: Meta,
    #[serde(default)]
    data: HashMap<String, String>,
}

async fn published(api: &ApiServer, namespace: &str) -> Result<Option<Published>, Failure> {
    api.find(Request::new(maps(namespace)).get(RECIPIENTS, &GetParams::default())).await
}

fn maps(namespace: &str) -> String {
    api::path("api/v1", namespace, "configmaps")
}

/// Whether recipients were published: then there was an identity, and people have sealed for it.
pub async fn were_published(api: &ApiServer, namespace: &str) -> Result<bool, Failure> {
    Ok(published(api, namespace).await?.is_some())
}

/// Makes the first identity. Somebody else may be faster: then it is theirs.
pub async fn generate(api: &ApiServer, namespace: &str) -> Result<(), Failure> {
    let identity = generate_identity(false, Timestamp::now());
    let labels = json!({LABEL: "active", "app.kubernetes.io/part-of": "sealant"});
    let values = json!({format!("first{ENDING}"): &*identity.file});
    match write::key(api, &Key::new(namespace, FIRST), secret::OPAQUE, labels, values).await? {
        true => {
            tracing::info!(recipient = %identity.recipient, "made the first identity: keep a copy of Secret {FIRST} in a safe place")
        }
        false => tracing::warn!("Secret {FIRST} exists, but is not labelled {LABEL}"),
    }
    Ok(())
}

/// Publishes the recipients, if they are not published yet.
pub async fn publish(
    api: &ApiServer,
    namespace: &str,
    ring: &Ring,
    metrics: &KeyMetrics,
    leadership: &Leadership,
) -> Result<(), Failure> {
    let recipients = ring.published();
    let current = published(api, namespace).await?;
    let is_published = current.as_ref().is_some_and(|map| map.data.get("recipients") == Some(&recipients));
    // Who leads no more may know of older identities.
    if is_published || !leadership.is_leader() {
        return Ok(());
    }
    let version = current.as_ref().map(|map| map.metadata.resource_version.as_str());
    let body = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": RECIPIENTS,
            "resourceVersion": version.unwrap_or(NOT_THERE),
            "labels": {"app.kubernetes.io/part-of": "sealant"},
        },
        "data": {"recipients": recipients},
    });
    let params = PatchParams::apply(MANAGER).force();
    let request = Request::new(maps(namespace)).patch(RECIPIENTS, &params, &Patch::Apply(&body));
    api.ask::<IgnoredAny>(request).await?;
    metrics.recipients_published.set(Timestamp::now().as_second() as f64);
    tracing::info!("published the recipients in ConfigMap {RECIPIENTS}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str, role: &str, age: i64, text: &[u8]) -> Secret {
        let mut secret: Secret = serde_json::from_value(json!({"metadata": {
            "name": name,
            "labels": {LABEL: role},
            "creationTimestamp": Timestamp::from_second(age).unwrap(),
        }}))
        .unwrap();
        secret.data = [("key.agekey".to_owned(), SecretBytes::new(text.to_vec()))].into();
        secret
    }

    #[test]
    fn the_newest_active_identity_comes_first_and_retired_ones_are_not_published() {
        let made: Vec<_> = (0..3).map(|_| generate_identity(false, Timestamp::UNIX_EPOCH)).collect();
        let secrets = [
            secret("old", "active", 1, made[0].file.as_bytes()),
            secret("retired", "retired", 3, made[1].file.as_bytes()),
            secret("new", "active", 2, made[2].file.as_bytes()),
        ];
        let entries = secrets
            .iter()
            .flat_map(|secret| of_secret(secret, &Marks::default()))
            .map(Result::unwrap)
            .collect();
        let ring = Ring::new(entries, Vec::new());
        assert_eq!(ring.published(), format!("{}\n{}\n", made[2].recipient, made[0].recipient));
        let fewer = Ring::new(ring.entries[..2].to_vec(), Vec::new());
        assert!(fewer.is_within(&ring) && !ring.is_within(&fewer));
    }

    #[test]
    fn what_is_no_identity_is_named_and_never_quoted() {
        let mut managed = secret("managed", "active", 1, b"x");
        managed.meta.annotations =
            [(crate::managed::decide::MADE_BY.to_owned(), "managed".to_owned())].into();
        let mut owned = secret("owned", "active", 1, b"x");
        let owner =
            json!({"apiVersion": "x.dev/v1", "kind": "Wish", "name": "x", "uid": "u", "controller": true});
        owned.meta.owners = vec![serde_json::from_value(owner).unwrap()];
        let mut empty = secret("empty", "active", 1, b"x");
        empty.data.clear();
        let cases = [
            (managed, "the controller has made it"),
            (owned, "Secret owned: it belongs to Wish x"),
            (empty, "no key that ends in .agekey"),
            (secret("odd", "maybe", 1, b"x"), "neither active nor retired"),
            (secret("bad", "active", 1, b"hunter2"), "Secret bad/key.agekey: line 1 is not an age identity"),
        ];
        for (secret, expected) in cases {
            let Err(problem) = of_secret(&secret, &Marks::default()).remove(0) else { panic!("{expected}") };
            assert!(problem.contains(expected) && !problem.contains("hunter2"), "{problem}");
        }
    }
}
