//! Events for people. Nothing depends on one: nobody waits for it, and when there are too many they are counted and
//! dropped.
//!
//! Each is an object of its own with its own words. There is one only when something has changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::PostParams;
use kube::core::Request;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::engine::api::{self, ApiServer};
use crate::engine::metrics::Metrics;

/// How many may wait to be written.
const MOST_WAITING: usize = 10_000;

/// How many are written at once.
const AT_ONCE: usize = 16;

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the API server takes as a note, in bytes.
const LONGEST_NOTE: usize = 1024;

/// What is told about an object.
#[derive(Debug)]
pub struct Event {
    pub namespace: String,
    pub about: OwnerReference,
    pub warning: bool,
    pub reason: &'static str,
    /// What was done, in a word.
    pub action: &'static str,
    pub note: String,
}

/// Tells events.
#[derive(Clone)]
pub struct Events {
    waiting: mpsc::Sender<Event>,
    /// How many were told and are not written.
    left: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

impl Events {
    /// With a task that writes them, and ends when nobody tells any more.
    pub fn start(api: ApiServer, controller: &str, instance: &str, metrics: Arc<Metrics>) -> Self {
        let (waiting, told) = mpsc::channel(MOST_WAITING);
        let events = Self { waiting, left: Arc::default(), metrics };
        let (controller, instance) = (controller.to_owned(), instance.to_owned());
        let (left, lost) = (Arc::clone(&events.left), Arc::clone(&events.metrics));
        let told = futures_util::stream::unfold(told, |mut told| async { Some((told.recv().await?, told)) });
        let write = move |event: Event| {
            let (api, left, lost) = (api.clone(), Arc::clone(&left), Arc::clone(&lost));
            let body = body(&event, &controller, &instance).to_string().into_bytes();
            let path = api::path("apis/events.k8s.io/v1", &event.namespace, "events");
            async move {
                let request = Request::new(path).create(&PostParams::default(), body);
                let written = tokio::time::timeout(PATIENCE, api.ask::<IgnoredAny>(request)).await;
                if !matches!(written, Ok(Ok(_))) {
                    lost.events_lost.inc();
                }
                left.fetch_sub(1, Ordering::SeqCst);
            }
        };
        tokio::spawn(told.for_each_concurrent(AT_ONCE, write));
        events
    }

    pub fn tell(&self, event: Event) {
        self.left.fetch_add(1, Ordering::SeqCst);
        if self.waiting.try_send(event).is_err() {
            self.left.fetch_sub(1, Ordering::SeqCst);
            self.metrics.events_lost.inc();
        }
    }

    /// Waits until all that was told is written.
    pub async fn written(&self) {
        while self.left.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn body(event: &Event, controller: &str, instance: &str) -> Value {
    let Event { namespace, about, warning, reason, action, note } = event;
    // Names are ASCII, and those of objects may be as long as that of the event.
    let start = about.name.get(..about.name.len().min(200)).unwrap_or_default();
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": format!("{start}.{:016x}", rand::random::<u64>()), "namespace": namespace},
        "eventTime": format!("{:.6}", Timestamp::now()),
        "type": if *warning { "Warning" } else { "Normal" },
        "reason": reason,
        "action": action,
        "note": shortened(note),
        "regarding": {"apiVersion": about.api_version, "kind": about.kind, "namespace": namespace,
                      "name": about.name, "uid": about.uid},
        "reportingController": controller,
        "reportingInstance": shortened_to(instance, 128),
    })
}

fn shortened(note: &str) -> String {
    match note.len() <= LONGEST_NOTE {
        true => note.to_owned(),
        false => format!("{}...", shortened_to(note, LONGEST_NOTE - 3)),
    }
}

fn shortened_to(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, note: String) -> Event {
        let about = OwnerReference { name: name.to_owned(), ..OwnerReference::default() };
        Event {
            namespace: "shop".to_owned(),
            about,
            warning: false,
            reason: "Unsealed",
            action: "Unseal",
            note,
        }
    }

    #[test]
    fn notes_are_cut_where_the_api_server_would_refuse_them() {
        assert_eq!(shortened("short"), "short");
        for long in ["x".repeat(5000), "\u{1F511}".repeat(1000)] {
            let note = shortened(&long);
            assert!(note.len() <= 1024 && note.ends_with("..."), "{}", note.len());
        }
    }

    #[test]
    fn each_event_has_a_name_of_its_own_however_long_that_of_its_object_is() {
        let name = |object: &str| {
            let body = body(&event(object, String::new()), "c", "i");
            body["metadata"]["name"].as_str().unwrap().to_owned()
        };
        assert_ne!(name("db"), name("db"));
        assert!(name("db").starts_with("db.") && name(&"x".repeat(253)).len() <= 253);
    }
}
