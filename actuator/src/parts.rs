//! The tasks that make an actuator: each needs all the others, so none may end alone.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use tokio::task::{JoinError, JoinHandle};

/// Every task that runs as long as the process. One that is missing leaves something that looks whole and is not:
/// without turns, a leader that renews its Lease and takes webhooks, and never acts.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Looks, decides and acts.
    pub(crate) turns: JoinHandle<()>,
    /// Keeps the Lease.
    pub(crate) lease: JoinHandle<()>,
    /// Reads what the package repository offers.
    pub(crate) packages: JoinHandle<()>,
    /// Reads the files of facts about versions.
    pub(crate) matrix: JoinHandle<()>,
    /// Watches what else lives in the cluster; ends with the first watch that does.
    pub(crate) watches: JoinHandle<()>,
    /// Receives webhooks of Alertmanager.
    pub(crate) webhook: JoinHandle<()>,
    /// Shows our own metrics.
    pub(crate) metrics: JoinHandle<()>,
    /// Answers the kubelet.
    pub(crate) probes: JoinHandle<()>,
}

/// A part that ended though nobody told it to.
#[derive(Debug, thiserror::Error)]
#[error("{part} has ended by itself; the process ends too, and is to be started again by whoever runs it")]
pub(crate) struct Ended {
    /// Which one.
    part: &'static str,
    /// The panic, if it was one.
    #[source]
    why: Option<JoinError>,
}

impl Parts {
    /// Resolves with the first part that ends. None of them does before it is told to, but by a panic, which the
    /// runtime would keep to itself.
    pub(crate) async fn first_to_end(&mut self) -> Ended {
        let Self { turns, lease, packages, matrix, watches, webhook, metrics, probes } = self;
        let mut parts = [
            ("the loop of turns", turns),
            ("the keeper of the Lease", lease),
            ("the reader of packages", packages),
            ("the reader of matrix.files", matrix),
            ("the watches", watches),
            ("the webhook's listener", webhook),
            ("the metrics' listener", metrics),
            ("the probes' listener", probes),
        ];
        poll_fn(|context| {
            let ended = parts.iter_mut().find_map(|(part, task)| match Pin::new(&mut **task).poll(context) {
                Poll::Ready(ended) => Some(Ended { part, why: ended.err() }),
                Poll::Pending => None,
            });
            ended.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Parts {
        let endless = || tokio::spawn(std::future::pending());
        Parts {
            turns: endless(),
            lease: endless(),
            packages: endless(),
            matrix: endless(),
            watches: endless(),
            webhook: endless(),
            metrics: endless(),
            probes: endless(),
        }
    }

    #[tokio::test]
    async fn a_part_that_panics_ends_them_all_and_is_named() {
        let panics = || tokio::spawn(async { panic!("boom") });
        for (name, take) in [
            ("turns", (|parts| &mut parts.turns) as fn(&mut Parts) -> &mut JoinHandle<()>),
            ("Lease", |parts| &mut parts.lease),
            ("packages", |parts| &mut parts.packages),
            ("matrix", |parts| &mut parts.matrix),
            ("watches", |parts| &mut parts.watches),
            ("webhook", |parts| &mut parts.webhook),
            ("metrics", |parts| &mut parts.metrics),
            ("probes", |parts| &mut parts.probes),
        ] {
            let mut parts = parts();
            *take(&mut parts) = panics();
            let ended = parts.first_to_end().await;
            assert!(ended.part.contains(name), "{ended}");
            assert!(ended.why.is_some_and(|why| why.is_panic()), "{name}");
        }
    }

    #[tokio::test]
    async fn a_part_that_returns_ends_them_all_too() {
        let mut parts = Parts { webhook: tokio::spawn(async {}), ..parts() };
        let ended = parts.first_to_end().await;
        assert!(ended.part.contains("webhook") && ended.why.is_none(), "{ended:?}");
    }

    #[tokio::test]
    async fn nothing_ends_while_every_part_runs() {
        let mut parts = parts();
        let mut ended = std::pin::pin!(parts.first_to_end());
        let pending = poll_fn(|context| Poll::Ready(ended.as_mut().poll(context).is_pending())).await;
        assert!(pending);
    }
}
