//! A kind of object that nothing but tests knows: its text becomes a Secret. It has a status, reasons, words and annotations
//! of its own, and is all that another kind needs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use sealant::secret::SecretBytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::engine::api;
use crate::engine::object::Meta;
use crate::engine::watch::Object;
use crate::managed::decide::{Desired, MADE_BY, MANAGED, Verdict};
use crate::managed::reason::{self, Again, Reason, Standing, Words};
use crate::managed::secret::{self, Items};
use crate::managed::slim::{About, Held, Slim};
use crate::managed::status::{Outcome, Status};
use crate::source::{NoValues, Source};

#[derive(Default)]
pub struct Wishes {
    pub keys: Option<watch::Receiver<Option<Held>>>,
}

#[derive(Deserialize)]
pub struct Wish {
    metadata: Meta,
    text: String,
    #[serde(default)]
    immutable: bool,
    #[serde(default)]
    status: Fulfilment,
}

/// What is said of a wish: nothing like conditions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fulfilment {
    said: Option<String>,
    of: Option<i64>,
    secret: Option<String>,
}

impl Status for Fulfilment {
    fn is_empty(&self) -> bool {
        self.said.is_none()
    }

    fn right_version(&self, generation: Option<i64>) -> Option<&str> {
        self.secret.as_deref().filter(|_| self.was_right(generation))
    }

    fn writer(&self) -> u32 {
        1
    }

    fn was_right(&self, generation: Option<i64>) -> bool {
        self.secret.is_some() && self.of == generation
    }

    fn says(&self, verdict: &Verdict) -> bool {
        self.said.as_deref() == Some(verdict.reason.name)
    }

    fn after(&self, Outcome { verdict, generation, secret_version }: Outcome<'_>) -> Self {
        let is_right = verdict.reason.standing == Standing::Good;
        Self {
            said: Some(verdict.reason.name.to_owned()),
            of: generation,
            secret: secret_version.filter(|_| is_right).map(str::to_owned),
        }
    }

    fn is_but_for_version(&self, other: &Self) -> bool {
        (&self.said, self.of) == (&other.said, other.of)
    }
}

/// Nobody grants this.
pub const TOO_MUCH: Reason = Reason::stalled("TooMuch", Again::OnChange);

const WORDS: Words = Words {
    right: Reason { name: "Granted", standing: Standing::Good, again: Again::OnChange },
    in_sync: "the wish is granted",
    repaired: "GrantedAgain",
    had_changed: "somebody had changed it",
    is_foreign: "it was not wished for",
    is_immutable: "it cannot change",
    is_contested: "somebody else wishes for something else",
};

impl Object for Wish {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

impl Source for Wishes {
    type Found = Wish;
    type Status = Fulfilment;

    const KIND: &'static str = "wishes.example.com";
    const ANNOTATIONS: &'static str = "wishes.example.com/";
    const ACTION: &'static str = "Grant";
    const REASONS: &'static [Reason] = &[WORDS.right, TOO_MUCH, reason::ALREADY_EXISTS, reason::IMMUTABLE];
    const WORDS: &'static Words = &WORDS;

    fn path(&self, namespace: &str) -> String {
        api::path("apis/example.com/v1", namespace, "wishes")
    }

    fn slim(&self, found: &Wish) -> Slim {
        Slim::of(&found.metadata, &found.status, About { is_valid: true, ..About::default() })
    }

    fn status<'f>(&self, found: &'f Wish) -> &'f Fulfilment {
        &found.status
    }

    fn claim(&self, meta: &Meta) -> OwnerReference {
        OwnerReference {
            api_version: "example.com/v1".to_owned(),
            kind: "Wish".to_owned(),
            name: meta.name.clone(),
            uid: meta.uid.clone(),
            controller: Some(true),
            ..OwnerReference::default()
        }
    }

    fn keys(&self) -> Option<watch::Receiver<Option<Held>>> {
        self.keys.clone()
    }

    fn desired(&self, found: &Wish) -> Result<Desired, Verdict> {
        if found.text.contains("two unicorns") {
            return Err(Verdict::new(TOO_MUCH, "there is one at most"));
        }
        let Meta { name, namespace, .. } = found.metadata.clone();
        Ok(Desired {
            labels: [(MANAGED.to_owned(), "true".to_owned())].into(),
            annotations: [].into(),
            made_by: format!("{}/{name}", Self::KIND),
            adopted_by: &[],
            claim: self.claim(&found.metadata),
            owned: true,
            kind: secret::OPAQUE.to_owned(),
            immutable: found.immutable,
            remake: found.immutable,
            words: &WORDS,
            name,
            namespace,
        })
    }

    async fn values(&self, found: &Wish) -> Result<Items, NoValues> {
        Ok([("text".to_owned(), SecretBytes::new(found.text.clone().into_bytes()))].into())
    }
}

/// A new one.
pub fn wish() -> Value {
    json!({"metadata": {"name": "w", "namespace": "shop", "uid": "u", "generation": 1,
        "resourceVersion": "5"}, "text": "a pony"})
}

/// The Secret that the wish becomes.
pub fn granted(version: &str) -> Value {
    let owner =
        json!({"apiVersion": "example.com/v1", "kind": "Wish", "name": "w", "uid": "u", "controller": true});
    json!({"metadata": {"name": "w", "namespace": "shop", "resourceVersion": version,
        "labels": {MANAGED: "true"}, "annotations": {MADE_BY: "wishes.example.com/w"}, "ownerReferences": [owner]},
        "data": {"text": "YSBwb255"}})
}

/// What the status of a wish says whose Secret has this version.
pub fn fulfilled(version: &str) -> Value {
    json!({"said": "Granted", "of": 1, "secret": version})
}
