//! One kind of object, kept by watching, with a proven age.
//!
//! ```text
//!   list ──▶ watch, in windows of a few seconds ──▶ Kept
//!               │ late in each window: list?limit=1 says the newest resource version
//!               ▼ the bookmark that ends each window is at or past it: everything up to the question has arrived
//! ```
//!
//! A watch that says nothing may be quiet or dead; only the comparison tells. Where no event or bookmark catches up
//! with the newest resource version, the list is read anew, which is a proof too.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Resource};
use lockkeeper_rules::cluster::snapshot::Source;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use super::list::list_all;
use crate::client::kubernetes::explain;

/// How long one watch request goes on. The API server sends a bookmark two seconds before its end, so that this is
/// how often a quiet watch is proven. At least 5 s.
const WINDOW_SECONDS: u32 = 8;
/// When in a window the newest resource version is asked for: early enough for the bookmark to be past it.
const PROBE_AFTER: Duration = Duration::from_secs(4);
/// How long a proof may take before the list is read anew.
const PROOF_DEADLINE: Duration = Duration::from_secs(24);
/// How long a window may be silent beyond its end before the connection is given up.
const SILENCE_GRACE: Duration = Duration::from_secs(5);
/// How long a small request may take.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// How long a whole list may take.
const LIST_DEADLINE: Duration = Duration::from_secs(60);

/// What is kept of one kind of object.
#[derive(Debug)]
pub struct Watched<T> {
    kept: Mutex<Kept<T>>,
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct Kept<T> {
    /// Nothing before the first list.
    objects: Option<BTreeMap<String, T>>,
    proven_at: Option<Timestamp>,
    error: Option<String>,
    counts: Counts,
}

/// What has happened to a watch since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events, bookmarks included.
    pub events: u64,
    /// Lists that began the watch anew.
    pub restarts: u64,
    /// Requests that failed.
    pub errors: u64,
}

impl<T: Clone> Watched<T> {
    /// Nothing is known yet. `changed` is told of every change, proofs included.
    #[must_use]
    pub fn new(changed: Arc<Notify>) -> Self {
        let error = Some("not read yet".to_owned());
        let kept = Kept { objects: None, proven_at: None, error, counts: Counts::default() };
        Self { kept: Mutex::new(kept), changed }
    }

    /// The objects by name, with their proof.
    #[must_use]
    pub fn source(&self) -> Source<BTreeMap<String, T>> {
        let kept = self.lock();
        Source { value: kept.objects.clone(), proven_at: kept.proven_at, error: kept.error.clone() }
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().expect("nothing panics while it holds this lock")
    }

    fn change(&self, change: impl FnOnce(&mut Kept<T>)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }

    fn failed(&self, what: &str, why: &str) {
        tracing::debug!(what, why, "watch failed");
        self.change(|kept| {
            kept.error = Some(why.to_owned());
            kept.counts.errors += 1;
        });
    }

    fn proven(&self, at: Timestamp) {
        self.change(|kept| {
            kept.proven_at = Some(at);
            kept.error = None;
        });
    }

    fn replace(&self, objects: BTreeMap<String, T>, at: Timestamp) {
        self.change(|kept| {
            kept.objects = Some(objects);
            kept.counts.restarts += 1;
            kept.proven_at = Some(at);
            kept.error = None;
        });
    }

    fn apply(&self, key: String, value: Option<T>) {
        self.change(|kept| {
            kept.counts.events += 1;
            let objects = kept.objects.get_or_insert_default();
            match value {
                Some(value) => drop(objects.insert(key, value)),
                None => drop(objects.remove(&key)),
            }
        });
    }
}

/// What to watch, and what to keep of each object; nothing for objects that only look alike.
pub(super) struct Watch<K, T> {
    pub(super) api: Api<K>,
    pub(super) labels: Option<&'static str>,
    pub(super) convert: fn(&K) -> Option<T>,
}

/// Keeps `watched` for ever.
pub(super) async fn keep<K, T>(watch: Watch<K, T>, watched: Arc<Watched<T>>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    T: Clone,
{
    let mut pause = Pause::new();
    loop {
        let asked_at = Timestamp::now();
        let params = ListParams { label_selector: watch.labels.map(str::to_owned), ..ListParams::default() };
        match list_all(&watch.api, &params, LIST_DEADLINE).await {
            Ok(listed) => {
                let keyed = |object: &K| Some((key(object), (watch.convert)(object)?));
                watched.replace(listed.items.iter().filter_map(keyed).collect(), asked_at);
                follow(&watch, &watched, listed.resource_version, &mut pause).await;
            }
            Err(error) => watched.failed("list", &error.to_string()),
        }
        pause.wait().await;
    }
}

/// Watches from a list on until the list must be read anew.
async fn follow<K, T>(watch: &Watch<K, T>, watched: &Watched<T>, from: String, pause: &mut Pause)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    T: Clone,
{
    let mut progress = Progress { seen: from, question: None, proven: Instant::now() };
    loop {
        let mut params = WatchParams::default().timeout(WINDOW_SECONDS);
        params.label_selector = watch.labels.map(str::to_owned);
        let opened = timeout(REQUEST_DEADLINE, watch.api.watch(&params, &progress.seen)).await;
        let ended = match opened {
            Ok(Ok(stream)) => {
                pause.reset();
                window(watch, watched, std::pin::pin!(stream), &mut progress).await
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 410 => Ended::TooOld,
            Ok(Err(error)) => Ended::Broken(explain(&error)),
            Err(_elapsed) => Ended::Broken("the watch was not answered in time".to_owned()),
        };
        match ended {
            Ended::Whole => {}
            Ended::TooOld => return,
            Ended::Broken(why) => {
                watched.failed("watch", &why);
                pause.wait().await;
            }
        }
        if progress.proven.elapsed() > PROOF_DEADLINE {
            tracing::debug!(seen = progress.seen, "no proof in time: the list is read anew");
            return;
        }
    }
}

/// How a window ended.
enum Ended {
    /// At its time.
    Whole,
    /// The resource version is no longer known: the list must be read anew.
    TooOld,
    /// The connection or the answer failed.
    Broken(String),
}

/// How far a watch has come.
struct Progress {
    /// The resource version of the newest event or bookmark.
    seen: String,
    /// A resource version that was the newest when it was asked for.
    question: Option<(String, Timestamp)>,
    /// When the last proof came.
    proven: Instant,
}

impl Progress {
    /// Notes a proof if everything up to the question has arrived.
    fn check<T: Clone>(&mut self, watched: &Watched<T>) {
        if let Some((_, asked_at)) = self.question.take_if(|(newest, _)| reached(&self.seen, newest)) {
            watched.proven(asked_at);
            self.proven = Instant::now();
        }
    }
}

async fn window<K, T, S>(
    watch: &Watch<K, T>,
    watched: &Watched<T>,
    mut stream: std::pin::Pin<&mut S>,
    progress: &mut Progress,
) -> Ended
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    T: Clone,
    S: Stream<Item = kube::Result<WatchEvent<K>>>,
{
    let end = Instant::now() + Duration::from_secs(WINDOW_SECONDS.into()) + SILENCE_GRACE;
    let mut due = std::pin::pin!(sleep_until(Instant::now() + PROBE_AFTER));
    let mut probed = progress.question.is_some();
    let mut asking = None;
    loop {
        let event = tokio::select! {
            () = &mut due, if !probed => {
                probed = true;
                asking = Some((progress.seen.clone(), Box::pin(newest(&watch.api))));
                continue;
            }
            (before, answer) = answer(&mut asking), if asking.is_some() => {
                asking = None;
                match answer {
                    // etcd was restored: a watch would wait in silence for a version that lies in its past.
                    Ok((newest, _)) if !reached(&newest, &before) => return Ended::TooOld,
                    Ok(question) => progress.question = Some(question),
                    Err(why) => watched.failed("probe", &why),
                }
                progress.check(watched);
                continue;
            }
            event = stream.next() => event,
            () = sleep_until(end) => return Ended::Broken("the watch went silent".to_owned()),
        };
        match event {
            None => return Ended::Whole,
            Some(Err(error)) => return Ended::Broken(explain(&error)),
            Some(Ok(WatchEvent::Error(status))) if status.code == 410 => return Ended::TooOld,
            Some(Ok(WatchEvent::Error(status))) => {
                return Ended::Broken(explain(&kube::Error::Api(status)));
            }
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                progress.seen = object.meta().resource_version.clone().unwrap_or_default();
                watched.apply(key(&object), (watch.convert)(&object));
            }
            Some(Ok(WatchEvent::Deleted(object))) => {
                progress.seen = object.meta().resource_version.clone().unwrap_or_default();
                watched.apply(key(&object), None);
            }
            Some(Ok(WatchEvent::Bookmark(bookmark))) => progress.seen = bookmark.metadata.resource_version,
        }
        progress.check(watched);
    }
}

/// Waits for the answer that is being asked for, if any, and says what had been seen before.
async fn answer<F: Future + Unpin>(asking: &mut Option<(String, F)>) -> (String, F::Output) {
    match asking {
        Some((before, asked)) => {
            let output = asked.await;
            (std::mem::take(before), output)
        }
        None => std::future::pending().await,
    }
}

/// The newest resource version, by a consistent read of at most one object, and when it was asked for.
async fn newest<K>(api: &Api<K>) -> Result<(String, Timestamp), String>
where
    K: Clone + DeserializeOwned + Debug,
{
    let asked_at = Timestamp::now();
    match timeout(REQUEST_DEADLINE, api.list(&ListParams::default().limit(1))).await {
        Ok(Ok(list)) => Ok((list.metadata.resource_version.unwrap_or_default(), asked_at)),
        Ok(Err(error)) => Err(explain(&error)),
        Err(_elapsed) => Err("the newest resource version was not told in time".to_owned()),
    }
}

/// Whether `seen` is at or past `newest`. Both are counts of changes to etcd; what is no number is only ever equal.
fn reached(seen: &str, newest: &str) -> bool {
    match (seen.parse::<u64>(), newest.parse::<u64>()) {
        (Ok(seen), Ok(newest)) => seen >= newest,
        _ => !seen.is_empty() && seen == newest,
    }
}

fn key<K: Resource<DynamicType = ()>>(object: &K) -> String {
    let metadata = object.meta();
    let name = metadata.name.as_deref().unwrap_or_default();
    match &metadata.namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

/// The pause before a failed request is made again.
struct Pause(ExponentialBackoff);

impl Pause {
    fn new() -> Self {
        let grows = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(5))
            .with_jitter()
            .without_max_times();
        Self(grows.build())
    }

    fn reset(&mut self) {
        *self = Self::new();
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.0.next().unwrap_or(Duration::from_secs(5))).await;
    }
}

/// The objects without their keys.
pub fn values<T>(source: Source<BTreeMap<String, T>>) -> Source<Vec<T>> {
    let Source { value, proven_at, error } = source;
    Source { value: value.map(|objects| objects.into_values().collect()), proven_at, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_version_is_reached_by_number_and_not_by_text() {
        for (seen, newest, expected) in [
            ("10", "9", true),
            ("9", "10", false),
            ("10", "10", true),
            ("", "", false),
            ("a", "a", true),
            ("b", "a", false),
        ] {
            assert_eq!(reached(seen, newest), expected, "{seen} {newest}");
        }
    }

    #[test]
    fn what_is_kept_goes_on_being_shown_while_reads_fail_and_its_proof_grows_old() {
        let watched = Watched::new(Arc::new(Notify::new()));
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(watched.source().value, None);
        watched.replace(BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]), at(1));
        watched.apply("a".to_owned(), None);
        watched.failed("watch", "gone");
        let source = watched.source();
        assert_eq!(source.value, Some(BTreeMap::from([("b".to_owned(), 2)])));
        assert_eq!((source.proven_at, source.error.as_deref()), (Some(at(1)), Some("gone")));
        watched.proven(at(9));
        assert_eq!((watched.source().proven_at, watched.source().error), (Some(at(9)), None));
        assert_eq!(watched.counts(), Counts { events: 1, restarts: 1, errors: 1 });
    }
}
