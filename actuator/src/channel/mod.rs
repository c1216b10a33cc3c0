//! Where people are told what happens to a run. `rules::notice` decides what is news; a channel says it in its words and
//! sends it, best effort, bounded, and never in a run's way.
//!
//! ```text
//!                     ┌─▶ log
//!   turn ─▶ Channels ─┤                    ┌─ a task each ─┐
//!                     └─▶ queue, bounded ──▶ tries, bounded ──▶ events ──▶ API server
//!                              └── full ───────── in vain ──▶ counted
//! ```

mod events;
mod log;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;
use lockkeeper_rules::api::UpgradeRun;
use lockkeeper_rules::notice::{News, Notice};
use tokio::sync::mpsc::{self, error::TrySendError};

pub use self::events::Events;
use crate::metrics::{CHANNELS, Metrics};

/// A way to reach people.
pub enum Channel {
    /// Kubernetes Events.
    Events(Events),
}

impl Channel {
    /// Its name in metrics.
    fn name(&self) -> &'static str {
        match self {
            Self::Events(_) => CHANNELS[0],
        }
    }

    /// Sends a notice; one that this channel has no words for is sent.
    async fn send(&self, notice: &Notice) -> Result<(), String> {
        match self {
            Self::Events(events) => events.send(notice).await,
        }
    }
}

/// What a channel may take, in notices and in time.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How many notices may wait to be sent. Of more than these, those that may be lost are dropped, and counted.
    pub queue_length_max: usize,
    /// How long one try may take.
    pub deadline: Duration,
    /// How often is tried what must not be lost. All else is tried once, because it must not come twice.
    pub tries_max: u32,
    /// The pause after the first try; each one after that is twice as long.
    pub pause: Duration,
}

impl Default for Bounds {
    /// A channel that is down for a minute loses nothing that must not be lost.
    fn default() -> Self {
        Self {
            queue_length_max: 100,
            deadline: Duration::from_secs(5),
            tries_max: 6,
            pause: Duration::from_secs(2),
        }
    }
}

/// Every channel, each with a queue and a task of its own, so that none waits for another one.
#[derive(Debug, Clone)]
pub struct Channels {
    queues: Vec<Queue>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Clone)]
struct Queue {
    channel: &'static str,
    sender: mpsc::Sender<Arc<Notice>>,
}

/// What was handed to the channels of the notices of one run that must not be lost, by id. It is lost with the process,
/// and then they are sent again.
#[derive(Debug, Default)]
pub struct Deliveries(BTreeMap<String, Vec<Option<Weak<Notice>>>>);

impl Deliveries {
    /// Whether every channel is through with the notice of this id: it was sent, or tried as often as it may be.
    #[must_use]
    pub fn is_sent(&self, id: &str) -> bool {
        // The channel's own copy lives as long as it waits or is being sent.
        let is_through = |copy: &Option<Weak<Notice>>| copy.as_ref().is_some_and(|it| it.strong_count() == 0);
        self.0.get(id).is_some_and(|copies| copies.iter().all(is_through))
    }
}

impl Channels {
    /// Starts the tasks that send; they end with the last handle.
    #[must_use]
    pub fn start(channels: Vec<Channel>, metrics: &Arc<Metrics>, bounds: Bounds) -> Self {
        let start = |channel: Channel| {
            let (sender, queue) = mpsc::channel(bounds.queue_length_max);
            let name = channel.name();
            tokio::spawn(work(channel, queue, Arc::clone(metrics), bounds));
            Queue { channel: name, sender }
        };
        Self { queues: channels.into_iter().map(start).collect(), metrics: Arc::clone(metrics) }
    }

    /// Sends news of what has just happened, once.
    pub fn notify(&self, run: &UpgradeRun, news: News) {
        let sequence = run.status.as_ref().map_or(0, |status| status.sequence);
        self.send(Notice::new(run, sequence, Timestamp::now(), news));
    }

    /// Sends a notice that may be lost, at most once.
    pub fn send(&self, notice: Notice) {
        log::write(&notice);
        let notice = Arc::new(notice);
        for queue in &self.queues {
            if queue.sender.try_send(Arc::clone(&notice)).is_err() {
                dropped(&self.metrics, queue.channel, "too many wait");
            }
        }
    }

    /// Sends the notices of a run that must not be lost: each one until every channel has had it, and none twice. What is no
    /// longer among them is forgotten.
    pub fn deliver(&self, notices: &[Notice], deliveries: &mut Deliveries) {
        let notices: Vec<_> = notices.iter().filter_map(|it| Some((it.id.as_ref()?, it))).collect();
        deliveries.0.retain(|id, _| notices.iter().any(|(other, _)| *other == id));
        for (id, notice) in notices {
            let copies = deliveries.0.entry(id.clone()).or_insert_with(|| {
                log::write(notice);
                vec![None; self.queues.len()]
            });
            for (queue, copy) in self.queues.iter().zip(copies).filter(|(_, copy)| copy.is_none()) {
                *copy = queue.offer(notice);
            }
        }
    }
}

impl Queue {
    /// Hands over a copy, if there is room.
    fn offer(&self, notice: &Notice) -> Option<Weak<Notice>> {
        let own = Arc::new(notice.clone());
        let copy = Arc::downgrade(&own);
        match self.sender.try_send(own) {
            // A channel that has ended is through with everything.
            Ok(()) | Err(TrySendError::Closed(_)) => Some(copy),
            Err(TrySendError::Full(_)) => None,
        }
    }
}

async fn work(
    channel: Channel,
    mut queue: mpsc::Receiver<Arc<Notice>>,
    metrics: Arc<Metrics>,
    bounds: Bounds,
) {
    while let Some(notice) = queue.recv().await {
        if let Err(error) = send(&channel, &notice, bounds).await {
            dropped(&metrics, channel.name(), &error);
        }
    }
}

async fn send(channel: &Channel, notice: &Notice, bounds: Bounds) -> Result<(), String> {
    let tries_max = if notice.id.is_some() { bounds.tries_max } else { 1 };
    let mut pause = bounds.pause;
    for tries_left in (0..tries_max).rev() {
        let error = match tokio::time::timeout(bounds.deadline, channel.send(notice)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_elapsed) => "no answer in time".to_owned(),
        };
        if tries_left == 0 {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(())
}

fn dropped(metrics: &Metrics, channel: &'static str, error: &str) {
    if metrics.notice_dropped(channel) {
        tracing::warn!(channel, error, "a notice was dropped; the next ones are only counted");
    }
}
