//! Watches all objects of one kind: lists them, and follows what changes from there.
//!
//! - The list comes as a stream where the API server has that, else by pages that are bounded in bytes: what tenants
//!   write does not decide how much memory it takes.
//! - A page that fails is asked for again, and no list begins again at once. What was known stays known meanwhile.
//! - An object that cannot be read, or that the program fails on, is named, and counts as gone. Each is read by itself.
//!
//! Lists are expensive to the API server and wait longer and longer; a watch that goes on where it was is not. Where there
//! are many watches, few of them list at once, and each lasts longer.

use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use kube::api::{ListParams, WatchParams};
use kube::core::{Request, Status};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::engine::api::{Answer, ApiServer, Failure, LARGEST, append, refusal};
use crate::engine::metrics::{Metrics, OfKind};
use crate::engine::object::{Key, Meta, Shallow, or_absent};
use crate::engine::pieces;
use crate::engine::retry::Backoff;

/// After how many seconds the API server ends a watch, which then goes on where it was. Where there are many it is half a
/// second for each, so that two in a second go on.
const WATCH: RangeInclusive<u32> = 50..=290;

/// The same for one that lists first.
const LIST: u32 = 300;

/// The longest wait before a list begins again.
const BETWEEN_LISTS: Duration = Duration::from_secs(20);

/// The longest wait before a watch goes on.
const BETWEEN_WATCHES: Duration = Duration::from_secs(5);

/// A watch that ends sooner has failed, whatever it says.
const TOO_SHORT: Duration = Duration::from_secs(1);

/// How many bytes a page may have, unless it is of one object alone.
const LARGEST_PAGE: usize = 8 << 20;

/// How many objects are asked for at most.
const MOST: u32 = 500;

/// How often a page is asked for again before the list begins again.
const TRIES: u32 = 6;

/// What is watched.
#[derive(Debug, Clone)]
pub struct What {
    /// As metrics call it.
    pub kind: &'static str,
    /// Empty for all namespaces.
    pub namespace: String,
    pub path: String,
    pub labels: Option<String>,
    /// Whether anything but the metadata is left out.
    pub bare: bool,
}

/// An object that can be watched.
pub trait Object: DeserializeOwned {
    fn meta(&self) -> &Meta;
}

/// What happens.
#[derive(Debug)]
pub enum Event<T> {
    /// A list has begun.
    Begun,
    Listed(T),
    /// The list is complete: what was not in it is gone.
    Complete,
    Changed(T),
    /// It was deleted, or cannot be read any more: what was known of it must not be gone by.
    Gone(Key),
    /// It cannot be listed now: we may not look, there is nothing to look at, or the API server fails at it.
    Unavailable,
}

/// A watch that never ends.
pub struct Watch<T, F> {
    api: ApiServer,
    request: Request,
    what: What,
    metrics: Arc<Metrics>,
    take: F,
    /// Whether lists come as streams; not where the API server knows none.
    streams: bool,
    page: u32,
    /// Whether we may not look, or there is nothing to look at.
    refused: bool,
    objects: PhantomData<fn() -> T>,
}

impl<T: Object, F: FnMut(Event<T>)> Watch<T, F> {
    pub fn new(api: ApiServer, what: What, metrics: Arc<Metrics>, take: F) -> Self {
        api.watches.count.fetch_add(1, Ordering::Relaxed);
        let request = Request::new(what.path.clone());
        Self {
            api,
            request,
            what,
            metrics,
            take,
            streams: true,
            page: MOST,
            refused: false,
            objects: PhantomData,
        }
    }

    pub async fn run(mut self) {
        let mut backoff = Backoff::up_to(BETWEEN_LISTS);
        loop {
            let listed = self.list().await;
            let is_listed = listed.is_ok();
            let failure = match listed {
                Ok((version, lines)) => {
                    self.now_refused(false);
                    let begun = Instant::now();
                    let failure = self.follow(version, lines).await;
                    // A list that cannot be followed is no success.
                    if begun.elapsed() >= BETWEEN_LISTS {
                        backoff.reset();
                    }
                    failure
                }
                Err(failure) => failure,
            };
            let is_refused = matches!(failure.code(), Some(403 | 404));
            match is_refused {
                true => self.refuse(&failure),
                false => self.report(&failure),
            }
            // Whoever waits for the list waits no longer: a failure of one kind holds up no other.
            if is_refused || !is_listed {
                (self.take)(Event::Unavailable);
            }
            backoff.wait(failure.retry_after()).await;
        }
    }

    /// Lists everything; returns the version that it is of, and what follows if that comes in the same answer.
    async fn list(&mut self) -> Result<(String, Option<Lines>), Failure> {
        let may_list = self.api.watches.may_list(self.what.kind);
        let _turn = may_list.acquire().await;
        self.metrics.lists.get_or_create(&OfKind { kind: self.what.kind }).inc();
        if self.streams {
            match self.list_by_stream().await {
                // Who may not watch may still list: that can change.
                Err(failure) if failure.code() == Some(403) => {}
                Err(failure) if matches!(failure.code(), Some(400 | 422)) => self.streams = false,
                listed => return listed.map(|(version, lines)| (version, Some(lines))),
            }
        }
        Ok((self.list_by_pages().await?, None))
    }

    async fn list_by_stream(&mut self) -> Result<(String, Lines), Failure> {
        let params = WatchParams { timeout: Some(LIST), ..self.params() }.initial_events();
        let mut lines = self.open(&params, "").await?;
        (self.take)(Event::Begun);
        while let Some(line) = lines.next().await? {
            match self.read(&line)? {
                Line::Changed(object) => (self.take)(Event::Listed(object)),
                Line::Gone(named) => (self.take)(Event::Gone(named.key)),
                Line::Bookmark(named) if named.is_complete => {
                    (self.take)(Event::Complete);
                    return Ok((named.version, lines));
                }
                Line::Bookmark(_) => {}
            }
        }
        Err(Failure::Silent)
    }

    async fn list_by_pages(&mut self) -> Result<String, Failure> {
        let (mut backoff, mut tries) = (Backoff::up_to(BETWEEN_WATCHES), 0);
        let mut token: Option<String> = None;
        loop {
            match self.ask_for_page(token.as_deref()).await {
                Ok(page) => {
                    if token.is_none() {
                        (self.take)(Event::Begun);
                    }
                    tries = 0;
                    page.items.into_iter().for_each(&mut self.take);
                    token = page.next;
                    if token.is_none() {
                        (self.take)(Event::Complete);
                        return Ok(page.version);
                    }
                }
                // What it says comes when the page is short enough.
                Err(Failure::TooLong) if self.page > 1 => self.page = (self.page / 4).max(1),
                // The first one is the list that begins again.
                Err(failure) if token.is_none() || tries >= TRIES || !may_pass(&failure) => {
                    return Err(failure);
                }
                Err(failure) => {
                    self.report(&failure);
                    tries += 1;
                    backoff.wait(failure.retry_after()).await;
                }
            }
        }
    }

    async fn ask_for_page(&mut self, token: Option<&str>) -> Result<Page<T>, Failure> {
        let params = ListParams {
            limit: Some(self.page),
            continue_token: token.map(str::to_owned),
            label_selector: self.what.labels.clone(),
            ..ListParams::default()
        };
        let request =
            if self.what.bare { self.request.list_metadata(&params) } else { self.request.list(&params) };
        let most = if self.page > 1 { LARGEST_PAGE } else { LARGEST };
        let mut answer = self.api.begin(request).await?;
        let mut text = Zeroizing::new(Vec::new());
        while let Some(part) = answer.next().await? {
            append(&mut text, &part, most)?;
        }
        if text.len() < LARGEST_PAGE / 8 {
            self.page = (self.page * 2).min(MOST);
        }
        self.read_page(&text)
    }

    fn read_page(&self, text: &[u8]) -> Result<Page<T>, Failure> {
        let List { metadata: head } = serde_json::from_slice(text).map_err(|_| Failure::Unreadable)?;
        let items = pieces::items(text).ok_or(Failure::Unreadable)?;
        let next = head.next.filter(|token| !token.is_empty());
        let items = items.into_iter().map(|item| match self.read_object(item) {
            Ok(object) => Event::Listed(object),
            Err(named) => Event::Gone(named.key),
        });
        Ok(Page { version: head.resource_version.unwrap_or_default(), next, items: items.collect() })
    }

    /// Reads one object, or what it is called: one that cannot be read, or makes the program fail, is named and skipped.
    fn read_object(&self, text: &[u8]) -> Result<T, Named> {
        match catch_unwind(|| serde_json::from_slice(text)) {
            Ok(Ok(object)) => return Ok(object),
            Ok(Err(_)) => {}
            Err(_) => drop(self.metrics.panics.inc()),
        }
        let named = Named::of(text);
        let kind = self.what.kind;
        self.metrics.unreadable.get_or_create(&OfKind { kind }).inc();
        tracing::error!(kind, object = %named.key, "an object cannot be read, and nothing is done for it");
        Err(named)
    }

    /// Follows what changes until it has to be listed again: the API server has forgotten where we were, or refuses it.
    async fn follow(&mut self, mut version: String, mut lines: Option<Lines>) -> Failure {
        let mut backoff = Backoff::up_to(BETWEEN_WATCHES);
        loop {
            let begun = Instant::now();
            let failure = match self.take_all(&mut version, lines.take()).await {
                Ok(()) if begun.elapsed() >= TOO_SHORT => {
                    backoff.reset();
                    continue;
                }
                Ok(()) => None,
                Err(failure) if matches!(failure.code(), Some(403 | 404 | 410)) => return failure,
                Err(failure) => Some(failure),
            };
            failure.iter().for_each(|failure| self.report(failure));
            backoff.wait(failure.and_then(|failure| failure.retry_after())).await;
        }
    }

    /// Takes what comes until the watch ends.
    async fn take_all(&mut self, version: &mut String, lines: Option<Lines>) -> Result<(), Failure> {
        let mut lines = match lines {
            Some(lines) => lines,
            None => self.open(&self.params(), version).await?,
        };
        while let Some(line) = lines.next().await? {
            let (new, event) = match self.read(&line)? {
                Line::Changed(object) => {
                    (object.meta().resource_version.clone(), Some(Event::Changed(object)))
                }
                Line::Gone(named) => (named.version, Some(Event::Gone(named.key))),
                Line::Bookmark(named) => (named.version, None),
            };
            if !new.is_empty() {
                *version = new;
            }
            event.into_iter().for_each(&mut self.take);
        }
        Ok(())
    }

    fn params(&self) -> WatchParams {
        let labels = self.what.labels.clone();
        let lasts = self.api.watches.count.load(Ordering::Relaxed) / 2;
        let lasts = lasts.clamp(*WATCH.start(), *WATCH.end());
        WatchParams { timeout: Some(lasts), label_selector: labels, ..WatchParams::default() }
    }

    async fn open(&self, params: &WatchParams, version: &str) -> Result<Lines, Failure> {
        let request = if self.what.bare {
            self.request.watch_metadata(params, version)
        } else {
            self.request.watch(params, version)
        };
        Ok(Lines { answer: self.api.begin(request).await?, rest: Bytes::new() })
    }

    fn read(&self, line: &[u8]) -> Result<Line<T>, Failure> {
        let told: Told = serde_json::from_slice(line).map_err(|_| Failure::Unreadable)?;
        let Some(object) = pieces::field(line, "object") else { return Err(Failure::Unreadable) };
        Ok(match told.kind.as_str() {
            "ADDED" | "MODIFIED" => match self.read_object(object) {
                Ok(object) => Line::Changed(object),
                Err(named) => Line::Gone(named),
            },
            "DELETED" => Line::Gone(Named::of(object)),
            "BOOKMARK" => Line::Bookmark(Named::of(object)),
            _ => {
                let status: Status = serde_json::from_slice(object).map_err(|_| Failure::Unreadable)?;
                return Err(Failure::Refused(Box::new(refusal(&status, status.code, None))));
            }
        })
    }

    /// It is tried again for ever, and said once.
    fn refuse(&mut self, failure: &Failure) {
        let What { kind, namespace, .. } = &self.what;
        self.metrics.watch_failures.get_or_create(&OfKind { kind }).inc();
        if !self.refused {
            let why = if failure.code() == Some(404) { "this kind is not installed here: " } else { "" };
            tracing::warn!(kind, namespace, "cannot watch, and tries again until it can: {why}{failure}");
        }
        self.now_refused(true);
    }

    fn now_refused(&mut self, refused: bool) {
        if std::mem::replace(&mut self.refused, refused) == refused {
            return;
        }
        let What { kind, namespace, .. } = &self.what;
        self.metrics.refused.get_or_create(&OfKind { kind }).inc_by(if refused { 1 } else { -1 });
        if !refused {
            tracing::info!(kind, namespace, "can be watched");
        }
    }

    fn report(&self, failure: &Failure) {
        let What { kind, namespace, .. } = &self.what;
        self.metrics.watch_failures.get_or_create(&OfKind { kind }).inc();
        match failure.code() {
            // It is starting, or busy, and says when to come again; or has forgotten where we were.
            Some(410 | 429) => tracing::info!(kind, namespace, "cannot watch: {failure}"),
            _ => tracing::warn!(kind, namespace, "cannot watch: {failure}"),
        }
    }
}

/// Whether the same page may come when it is asked for again.
fn may_pass(failure: &Failure) -> bool {
    !matches!(failure.code(), Some(400 | 403 | 404 | 410))
}

/// What one line of a watch says.
enum Line<T> {
    Changed(T),
    /// It was deleted, or cannot be read.
    Gone(Named),
    Bookmark(Named),
}

/// A line of a watch, as the API server writes it.
#[derive(Deserialize)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
}

/// What an object is called, as far as that can be read, whatever else is in it.
#[derive(Debug, Deserialize)]
#[serde(from = "Stored")]
struct Named {
    key: Key,
    version: String,
    /// Of a bookmark: all that there was at the beginning has been told.
    is_complete: bool,
}

#[derive(Default, Deserialize)]
struct Stored {
    metadata: Name,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Name {
    namespace: Shallow,
    name: Shallow,
    resource_version: Shallow,
    annotations: Shallow,
}

impl Named {
    fn of(object: &[u8]) -> Self {
        serde_json::from_slice(object).unwrap_or_else(|_| Stored::default().into())
    }
}

impl From<Stored> for Named {
    fn from(Stored { metadata: Name { namespace, name, resource_version, annotations } }: Stored) -> Self {
        let text = |Shallow(value)| or_absent::<String>(value);
        Self {
            key: Key::new(&text(namespace), &text(name)),
            version: text(resource_version),
            is_complete: annotations.0["k8s.io/initial-events-end"] == "true",
        }
    }
}

struct Page<T> {
    version: String,
    next: Option<String>,
    items: Vec<Event<T>>,
}

/// An answer to a list, as the API server writes it, without its items.
#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: Head,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Head {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    next: Option<String>,
}

/// The lines of an answer.
struct Lines {
    answer: Answer,
    rest: Bytes,
}

impl Lines {
    /// The next line; `None` at the end. What has no line break at its end was cut off.
    async fn next(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let mut line = Zeroizing::new(Vec::new());
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                append(&mut line, &self.rest.split_to(end), LARGEST)?;
                let _ = self.rest.split_to(1);
                if !line.is_empty() {
                    return Ok(Some(line));
                }
                continue;
            }
            append(&mut line, &std::mem::take(&mut self.rest), LARGEST)?;
            match self.answer.next().await? {
                Some(part) => self.rest = part,
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::{Value, json};

    use super::*;
    use crate::engine::api::LISTS_AT_ONCE;
    use crate::engine::mock;
    use crate::engine::object::Bare;

    /// What a watch tells, a word for each event.
    type Told = Arc<Mutex<Vec<String>>>;

    /// However many watches there are: few list at once, each lasts longer, and none waits for one that follows.
    #[tokio::test]
    async fn many_watches_list_in_turn_and_go_on_seldom() {
        const COUNT: usize = 200;
        let (open, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let lasts = Arc::<Mutex<Vec<u32>>>::default();
        let (now, peak, seen) = (Arc::clone(&open), Arc::clone(&most), Arc::clone(&lasts));
        let answer = move |asked: &str, _: &[u8]| {
            if asked.contains("sendInitialEvents") {
                return mock::Reply::Says(422, json!({"kind": "Status", "code": 422}).to_string());
            }
            if let Some(seconds) = asked.split("timeoutSeconds=").nth(1) {
                seen.lock().unwrap().push(seconds.split('&').next().unwrap().parse::<u32>().unwrap());
                return mock::Reply::Silent;
            }
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let now = Arc::clone(&now);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                now.fetch_sub(1, Ordering::SeqCst);
            });
            let list = json!({"kind": "List", "metadata": {"resourceVersion": "7"}, "items": []});
            mock::Reply::Says(200, list.to_string())
        };
        let (client, _) = mock::start_with(Duration::from_millis(20), answer).await;
        let api = ApiServer::new(client, Arc::new(Metrics::new()));
        for index in 0..COUNT {
            let what = What {
                kind: "things",
                namespace: index.to_string(),
                path: format!("/api/v1/namespaces/{index}/things"),
                labels: None,
                bare: false,
            };
            tokio::spawn(Watch::new(api.clone(), what, Arc::new(Metrics::new()), |_: Event<Bare>| {}).run());
        }
        let start = Instant::now();
        while lasts.lock().unwrap().len() < COUNT {
            assert!(start.elapsed() < Duration::from_secs(30), "{}", lasts.lock().unwrap().len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!((2..=LISTS_AT_ONCE).contains(&most.load(Ordering::SeqCst)), "{most:?}");
        assert!(lasts.lock().unwrap().iter().all(|seconds| *seconds == COUNT as u32 / 2));
    }

    /// An object that cannot be read where its spec is deep, and that the program fails on where its fuse is lit.
    #[derive(Deserialize)]
    struct Thing {
        metadata: Meta,
        #[serde(default, rename = "spec")]
        _spec: Value,
        #[serde(default)]
        fuse: Fuse,
    }

    #[derive(Default, Deserialize)]
    #[serde(from = "bool")]
    struct Fuse;

    impl From<bool> for Fuse {
        fn from(is_lit: bool) -> Self {
            assert!(!is_lit, "lit");
            Self
        }
    }

    impl Object for Thing {
        fn meta(&self) -> &Meta {
            let Fuse = self.fuse;
            &self.metadata
        }
    }

    /// Deeper than serde_json reads, and as deep as an API server lets it be.
    fn deep(name: &str) -> String {
        let (open, close) = ("[".repeat(9000), "]".repeat(9000));
        format!(
            r#"{{"spec": {open}{close}, "metadata": {{"name": "{name}", "namespace": "shop", "resourceVersion": "7"}}}}"#
        )
    }

    /// One that cannot be read stops no list and no watch, is named, and is gone by what was known of it no longer.
    #[tokio::test]
    async fn an_object_that_cannot_be_read_counts_as_gone_and_stops_nothing() {
        let lit = json!({"metadata": {"name": "lit"}, "fuse": true}).to_string();
        for by_stream in [true, false] {
            let lit = lit.clone();
            let (told, _) = watch(move |asked| {
                let line =
                    |kind: &str, object: &str| format!("{{\"object\": {object}, \"type\": \"{kind}\"}}\n");
                let known = thing("known").to_string();
                let then = line("MODIFIED", &deep("known"))
                    + &line("DELETED", &deep("other"))
                    + &line("ADDED", &thing("last").to_string());
                match asked {
                    _ if asked.contains("sendInitialEvents") && by_stream => {
                        let lines = [known, deep("odd"), lit.clone(), thing("b").to_string()];
                        let lines: String = lines.iter().map(|object| line("ADDED", object)).collect();
                        (200, lines + &end_of_list())
                    }
                    _ if asked.contains("sendInitialEvents") => refused(422),
                    _ if asked.contains("watch=true") => (200, then),
                    _ => {
                        let items = [known, deep("odd"), lit.clone(), thing("b").to_string()].join(",");
                        (
                            200,
                            format!("{{\"items\": [{items}], \"metadata\": {{\"resourceVersion\": \"8\"}}}}"),
                        )
                    }
                }
            })
            .await;
            let expected = [
                "begun",
                "listed known",
                "gone odd",
                "gone lit",
                "listed b",
                "complete",
                "gone known",
                "gone other",
                "changed last",
            ];
            assert_eq!(told, expected, "{by_stream}");
        }
    }

    /// Lists of one kind that hang, one for each of many namespaces, hold up no other kind.
    #[tokio::test]
    async fn lists_that_hang_hold_up_their_own_kind_alone() {
        let answer = |asked: &str, _: &[u8]| match asked.contains("/hanging") {
            true => mock::Reply::Silent,
            false => mock::Reply::Says(200, end_of_list()),
        };
        let (client, _) = mock::start_with(Duration::ZERO, answer).await;
        let api = ApiServer::new(client, Arc::new(Metrics::new()));
        let (done, mut is_done) = tokio::sync::mpsc::unbounded_channel();
        for kind in ["hanging"; 20].into_iter().chain(["things"]) {
            let what = What {
                kind,
                namespace: String::new(),
                path: format!("/api/v1/{kind}"),
                labels: None,
                bare: false,
            };
            let done = done.clone();
            let take = move |event: Event<Bare>| {
                if matches!(event, Event::Complete) {
                    let _ = done.send(kind);
                }
            };
            tokio::spawn(Watch::new(api.clone(), what, Arc::new(Metrics::new()), take).run());
            tokio::task::yield_now().await;
        }
        let first = tokio::time::timeout(Duration::from_secs(10), is_done.recv()).await;
        assert_eq!(first.unwrap(), Some("things"));
    }

    /// Watches until a list is complete and what follows has come, or we may not look.
    async fn watch(
        answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static,
    ) -> (Vec<String>, Vec<String>) {
        watch_until(|word| word == "changed last", answer).await
    }

    async fn watch_until(
        is_end: impl Fn(&str) -> bool,
        answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static,
    ) -> (Vec<String>, Vec<String>) {
        let (api, asked) = mock::start(answer).await;
        let told = Told::default();
        let heard = Arc::clone(&told);
        let take = move |event: Event<Thing>| {
            let name = |object: &Thing| object.metadata.name.clone();
            heard.lock().unwrap().push(match &event {
                Event::Begun => "begun".to_owned(),
                Event::Listed(object) => format!("listed {}", name(object)),
                Event::Complete => "complete".to_owned(),
                Event::Changed(object) => format!("changed {}", name(object)),
                Event::Gone(key) => format!("gone {}", key.name()),
                Event::Unavailable => "unavailable".to_owned(),
            });
        };
        let what = What {
            kind: "things",
            namespace: String::new(),
            path: "/api/v1/things".to_owned(),
            labels: None,
            bare: false,
        };
        let watch = Watch::new(api, what, Arc::new(Metrics::new()), take).run();
        let done = async {
            while !told.lock().unwrap().iter().any(|word| is_end(word)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = watch => {}
            () = done => {}
            () = tokio::time::sleep(Duration::from_secs(20)) => panic!("{told:?} {asked:?}"),
        }
        (told.lock().unwrap().clone(), asked.lock().unwrap().clone())
    }

    fn thing(name: &str) -> Value {
        json!({"metadata": {"name": name, "resourceVersion": "7"}})
    }

    fn line(kind: &str, object: Value) -> String {
        format!("{}\n", json!({"type": kind, "object": object}))
    }

    fn end_of_list() -> String {
        let annotations = json!({"k8s.io/initial-events-end": "true"});
        line("BOOKMARK", json!({"metadata": {"resourceVersion": "8", "annotations": annotations}}))
    }

    fn page(items: &[Value], next: &str) -> (u16, String) {
        (200, json!({"metadata": {"resourceVersion": "8", "continue": next}, "items": items}).to_string())
    }

    fn refused(code: u16) -> (u16, String) {
        (code, json!({"kind": "Status", "code": code, "reason": "x", "message": "hunter2"}).to_string())
    }

    /// A server without streaming lists.
    fn no_streams(
        asked: &str,
        list: impl Fn(&str) -> (u16, String),
        follow: impl Fn() -> (u16, String),
    ) -> (u16, String) {
        match asked {
            _ if asked.contains("sendInitialEvents") => refused(422),
            _ if asked.contains("watch=true") => follow(),
            _ => list(asked),
        }
    }

    fn last() -> (u16, String) {
        (200, line("ADDED", thing("last")))
    }

    #[tokio::test]
    async fn a_list_comes_as_a_stream_and_goes_on_where_it_ended() {
        let count = AtomicUsize::new(0);
        let (told, asked) = watch(move |asked| {
            if asked.contains("sendInitialEvents") && count.fetch_add(1, Ordering::SeqCst) == 0 {
                // It ends before it is complete.
                return (200, line("ADDED", thing("a")));
            }
            if asked.contains("sendInitialEvents") {
                let odd = json!({"metadata": {"name": 5, "resourceVersion": "7"}});
                return (200, line("ADDED", thing("a")) + &line("ADDED", odd) + &end_of_list());
            }
            (200, line("MODIFIED", thing("a")) + &line("DELETED", thing("a")) + &line("ADDED", thing("last")))
        })
        .await;
        let first = ["begun", "listed a", "unavailable"];
        let then = ["begun", "listed a", "gone ", "complete", "changed a", "gone a", "changed last"];
        let expected = [&first[..], &then].concat();
        assert_eq!(told, expected);
        assert!(asked.last().unwrap().contains("resourceVersion=8"), "{asked:?}");
    }

    /// What was listed is not listed again because the next page fails, and one object that cannot be read is one.
    #[tokio::test]
    async fn a_page_that_fails_is_asked_for_again_and_an_object_is_passed_over() {
        let count = AtomicUsize::new(0);
        let (told, asked) = watch(move |asked| {
            let list = |asked: &str| match asked.contains("continue=next") {
                false => page(&[thing("a"), json!({"metadata": {"name": {}}}), thing("b")], "next"),
                true if count.fetch_add(1, Ordering::SeqCst) < 2 => refused(429),
                true => page(&[thing("c")], ""),
            };
            no_streams(asked, list, last)
        })
        .await;
        let expected = ["begun", "listed a", "gone ", "listed b", "listed c", "complete", "changed last"];
        assert_eq!(told, expected);
        let lists: Vec<_> = asked.iter().filter(|asked| asked.contains("limit=")).collect();
        assert_eq!(lists.iter().filter(|asked| !asked.contains("continue=")).count(), 1, "{lists:?}");
        assert_eq!(lists.len(), 4, "{lists:?}");
    }

    #[tokio::test]
    async fn a_page_that_is_too_long_is_asked_for_in_shorter_ones() {
        let (told, asked) = watch(move |asked| {
            let list = |asked: &str| {
                let limit = asked.split("limit=").nth(1).unwrap().split('&').next().unwrap();
                let large = "x".repeat(LARGEST_PAGE / 100);
                let item = json!({"metadata": {"name": "a"}, "spec": large});
                page(&vec![item; limit.parse().unwrap()], "")
            };
            no_streams(asked, list, last)
        })
        .await;
        let limits: Vec<_> = asked.iter().filter_map(|asked| asked.split("limit=").nth(1)).collect();
        assert_eq!(limits, ["500", "125", "31"]);
        assert_eq!(told.iter().filter(|word| *word == "listed a").count(), 31);
    }

    /// Lists are expensive: they wait longer and longer also where each goes well and nothing can follow it.
    #[tokio::test]
    async fn what_can_be_listed_and_not_followed_is_listed_seldom() {
        let lists = async |follow: fn() -> (u16, String)| {
            let answer = move |asked: &str| no_streams(asked, |_| page(&[], ""), follow);
            let (api, asked) = mock::start(answer).await;
            let what = What {
                kind: "things",
                namespace: String::new(),
                path: "/api/v1/things".to_owned(),
                labels: None,
                bare: false,
            };
            let watch = Watch::new(api, what, Arc::new(Metrics::new()), |_: Event<Bare>| {}).run();
            assert!(tokio::time::timeout(Duration::from_secs(3), watch).await.is_err());
            let asked = asked.lock().unwrap();
            asked.iter().filter(|asked| asked.contains("limit=")).count()
        };
        let forgotten = || (200, line("ERROR", json!({"kind": "Status", "code": 410, "message": "x"})));
        let counts = tokio::join!(lists(|| refused(403)), lists(|| refused(404)), lists(forgotten));
        assert!([counts.0, counts.1, counts.2].iter().all(|count| (2..6).contains(count)), "{counts:?}");
    }

    /// Rights may come a moment later.
    #[tokio::test]
    async fn who_may_not_watch_for_a_moment_lists_by_streams_afterwards() {
        let count = AtomicUsize::new(0);
        let (told, asked) = watch_until(
            |word| word == "changed last",
            move |asked| match asked.contains("sendInitialEvents") {
                true if count.fetch_add(1, Ordering::SeqCst) > 0 => {
                    (200, end_of_list() + &line("ADDED", thing("last")))
                }
                _ => refused(403),
            },
        )
        .await;
        assert_eq!(told, ["unavailable", "begun", "complete", "changed last"], "{asked:?}");
    }

    #[tokio::test]
    async fn who_may_not_look_says_so_and_what_has_been_forgotten_is_listed_again() {
        let is_unavailable = |word: &str| word == "unavailable";
        for code in [403, 404, 500] {
            let (told, _) = watch_until(is_unavailable, move |_| refused(code)).await;
            assert_eq!(told, ["unavailable"], "{code}");
        }
        let (told, _) = watch_until(is_unavailable, |asked| match asked.contains("watch=") {
            true => refused(403),
            false => page(&[thing("a")], ""),
        })
        .await;
        assert_eq!(told, ["begun", "listed a", "complete", "unavailable"]);
        let count = AtomicUsize::new(0);
        let (told, _) = watch(move |asked| {
            if asked.contains("sendInitialEvents") {
                return (200, end_of_list());
            }
            match count.fetch_add(1, Ordering::SeqCst) {
                0 => (200, line("ERROR", json!({"kind": "Status", "code": 410, "message": "hunter2"}))),
                _ => (200, line("ADDED", thing("last"))),
            }
        })
        .await;
        assert_eq!(told, ["begun", "complete", "begun", "complete", "changed last"]);
    }
}
