//! A kind of object that nothing but tests knows: its text becomes a Secret. It uses all that a kind can: a status, reasons,
//! words, annotations and metrics of its own, keys that a task of its own watches and the leader makes, Secrets without a mark
//! of ours, and room in those of others.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use sealant::secret::SecretBytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::engine::object::{Bare, Key, Meta};
use crate::engine::store::{Listed, Store};
use crate::engine::watch::{Event, Object, Watch, What};
use crate::managed::decide::{Adoption, Desired, Gives, Others, Verdict};
use crate::managed::reason::{self, Again, Reason, Standing, Words};
use crate::managed::reconcile::Context;
use crate::managed::secret::{self, Items};
use crate::managed::slim::{About, Held, Keys, Revision, digest};
use crate::managed::status::{Finding, Status};
use crate::managed::write;
use crate::source::{NoValues, Objects, Source, Startup};

/// On Secrets that grant wishes.
pub const LAMP: &str = "wishes.example.com/lamp";

/// On wishes: the text is granted in capitals.
pub const LOUD: &str = "wishes.example.com/loud";

/// On Secrets of somebody else: a wish may be granted in them, or takes them.
pub const ROOM: &str = "wishes.example.com/room";
pub const GIVEN: &str = "wishes.example.com/given";

/// In wishes: the program fails on it.
const CURSE: &str = "a curse";

#[derive(Default)]
pub struct Wishes {
    keys: Option<watch::Receiver<Keys>>,
    lamps: Option<Lamps>,
}

impl Wishes {
    /// Those that take these keys.
    pub fn by(keys: watch::Receiver<Keys>) -> Self {
        Self { keys: Some(keys), lamps: None }
    }
}

/// The lamps that there are.
struct Lamps {
    context: Context,
    namespace: String,
    known: watch::Sender<Keys>,
    granted: Counter,
}

impl Lamps {
    async fn watch(&self) {
        let what = What {
            kind: "lamps",
            namespace: self.namespace.clone(),
            path: secret::path(&self.namespace),
            labels: Some(LAMP.to_owned()),
            bare: true,
        };
        let lamps = Store::new(1);
        let take = |event: Event<Bare>| {
            let is_lamp = |lamp: &Bare| self.context.marks.maker(&lamp.metadata).is_none();
            lamps.apply(0, event, |lamp| is_lamp(lamp).then(|| digest(&lamp.metadata.name)));
            match lamps.listed() {
                Listed::NotYet => {}
                Listed::Unavailable => drop(self.known.send_if_modified(Keys::make_unavailable)),
                Listed::Complete => {
                    let digests = Arc::new(lamps.values().into_iter().flatten().collect());
                    self.known.send_replace(Keys::Held(Held { digests, losses: 0 }));
                }
            }
        };
        Watch::new(self.context.api.clone(), what, Arc::clone(&self.context.metrics), take).run().await;
    }

    async fn make_one(&self) -> anyhow::Result<()> {
        let is_there = self.known.borrow().held().is_some_and(|held| !held.digests.is_empty());
        if !is_there {
            let at = Key::new(&self.namespace, "lamp");
            write::key(&self.context.api, &at, secret::OPAQUE, json!({LAMP: "lit"}), json!({})).await?;
        }
        Ok(())
    }
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
    /// By which annotations.
    by: u64,
    secret: Option<String>,
}

impl Status for Fulfilment {
    fn is_empty(&self) -> bool {
        self.said.is_none()
    }

    fn right_version(&self, revision: Revision) -> Option<&str> {
        self.secret.as_deref().filter(|_| self.was_right(revision))
    }

    fn was_right(&self, revision: Revision) -> bool {
        self.secret.is_some() && self.of == revision.generation && self.by == revision.annotations
    }

    fn says(&self, verdict: &Verdict) -> bool {
        self.said.as_deref() == Some(verdict.reason.name)
    }

    fn after(&self, Finding { verdict, revision, secret_version, .. }: Finding<'_>) -> Self {
        let is_right = verdict.reason.standing == Standing::Good;
        Self {
            said: Some(verdict.reason.name.to_owned()),
            of: revision.generation,
            by: revision.annotations,
            secret: secret_version.filter(|_| is_right).map(str::to_owned),
        }
    }

    fn is_but_for_version(&self, other: &Self) -> bool {
        (&self.said, self.of, self.by) == (&other.said, other.of, other.by)
    }
}

/// Nobody grants this.
pub const TOO_MUCH: Reason = Reason::stalled("TooMuch", Again::OnChange);

/// There is a Secret of somebody else.
pub const TAKEN: Reason = Reason::stalled("Taken", Again::ByItself);

const WORDS: Words = Words {
    right: Reason { name: "Granted", standing: Standing::Good, again: Again::OnChange },
    own: &[
        (reason::ALREADY_EXISTS, TAKEN),
        (reason::IMMUTABLE, TAKEN),
        (reason::REFUSED, TOO_MUCH),
        (reason::CONFLICT, TAKEN),
    ],
    in_sync: "the wish is granted",
    created: "it was granted",
    updated: "it was granted otherwise",
    recreated: "it was granted again",
    repaired: "GrantedAgain",
    had_changed: "somebody had changed it",
    had_gone: "somebody had taken it",
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

    const NAME: &'static str = "wishes.example.com";
    const API_VERSION: &'static str = "example.com/v1";
    const KIND: &'static str = "Wish";
    const PREFIX: &'static str = "wishes.example.com/";
    const ACTION: &'static str = "Grant";
    const REASONS: &'static [Reason] =
        &[WORDS.right, TOO_MUCH, TAKEN, reason::API_SERVER_UNAVAILABLE, reason::TERMINATING];
    const WORDS: &'static Words = &WORDS;
    const LABELS_OF_KEYS: &'static [&'static str] = &[LAMP];
    const LABELLED: bool = false;

    fn start(startup: &mut Startup<'_>) -> anyhow::Result<Option<Self>> {
        let granted = Counter::default();
        startup.registry.register("wishes_granted", "Wishes granted", granted.clone());
        let (known, keys) = watch::channel(Keys::Unknown);
        let (context, namespace) = (startup.context.clone(), startup.namespace.to_owned());
        let lamps = Some(Lamps { context, namespace, known, granted });
        Ok(Some(Self { keys: Some(keys), lamps }))
    }

    fn about(&self, found: &Wish) -> About {
        assert!(!found.text.contains(CURSE), "a bug in what is kept of wishes");
        About { is_valid: true, ..About::default() }
    }

    fn status<'f>(&self, found: &'f Wish) -> &'f Fulfilment {
        &found.status
    }

    fn keys(&self) -> Option<watch::Receiver<Keys>> {
        self.keys.clone()
    }

    fn desired(&self, found: &Wish) -> Result<Desired, Verdict> {
        assert!(!found.text.contains(CURSE), "a bug in what wishes ask for");
        if found.text.contains("two unicorns") {
            return Err(Verdict::new(TOO_MUCH, "there is one at most"));
        }
        Ok(Desired {
            labels: [].into(),
            annotations: [].into(),
            made_by: None,
            adopted_by: &[
                Adoption { key: ROOM, value: "yes", gives: Gives::Room },
                Adoption { key: GIVEN, value: "yes", gives: Gives::All },
            ],
            comes_after: None,
            comes_before: None,
            taken_from: None,
            earlier_managers: &[],
            others: Others::Stay,
            claim: Self::claim(&found.metadata),
            owned: true,
            kind: secret::OPAQUE.to_owned(),
            immutable: found.immutable,
            remake: found.immutable,
            words: &WORDS,
        })
    }

    async fn values(&self, found: &Wish) -> Result<Items, NoValues> {
        if let Some(lamps) = &self.lamps {
            lamps.granted.inc();
        }
        let text = match found.metadata.is_annotated(LOUD, "yes") {
            true => found.text.to_uppercase(),
            false => found.text.clone(),
        };
        Ok([("text".to_owned(), SecretBytes::new(text.into_bytes()))].into())
    }

    async fn run(&self) {
        match &self.lamps {
            Some(lamps) => lamps.watch().await,
            None => std::future::pending().await,
        }
    }

    async fn lead(&self, _objects: Objects) -> anyhow::Result<Option<Duration>> {
        if let Some(lamps) = &self.lamps {
            lamps.make_one().await?;
        }
        Ok(None)
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
    json!({"metadata": {"name": "w", "namespace": "shop", "resourceVersion": version, "ownerReferences": [owner]},
        "data": {"text": "YSBwb255"}})
}

/// What the status of a wish says whose Secret has this version.
pub fn fulfilled(version: &str) -> Value {
    json!({"said": "Granted", "of": 1, "by": 0, "secret": version})
}
