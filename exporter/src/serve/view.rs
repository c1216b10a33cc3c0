//! What is shown: one state with its verdicts and its metrics, made once and shared by every request.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use lockkeeper_rules::cluster::inventory::Inventory;
use lockkeeper_rules::cluster::snapshot::Snapshot;
use lockkeeper_rules::facts::Matrix;
use lockkeeper_rules::facts::reload::InForce;
use lockkeeper_rules::publish::metric::{
    BUILD_INFO, Memory, SOURCE_ERRORS, Sample, WATCH_EVENTS, WATCH_RESTARTS, matrix_samples, samples, targets,
};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::verdict::{Case, Verdict, verdict};
use lockkeeper_rules::words::version::Version;
use tokio::sync::watch;

use super::judged::{Judgement, Judgements};
use super::metrics::Page;
use super::verdict::uncovered;
use crate::read::cluster_reader::ClusterReader;

/// Not more often than this is a view made, however much changes.
const VIEW_PAUSE: Duration = Duration::from_secs(1);
/// A verdict is made anew after this, so that a quiet cluster does not grow a stale one.
const VIEW_AGE_MAX: Duration = Duration::from_secs(10);

/// One state, ready to be shown.
#[derive(Debug)]
pub struct View {
    /// When it was made.
    pub at: Timestamp,
    /// What was read.
    pub snapshot: Snapshot,
    /// What lives in the cluster beside it.
    pub inventory: Inventory,
    /// What is known of versions.
    pub matrix: Arc<Matrix>,
    /// The verdicts on the newest patch, the next minor and the open run's target, and on what was asked for.
    judgements: Judgements,
    /// The workloads that no row judges, once somebody has asked.
    uncovered: OnceLock<Vec<String>>,
    /// The metrics.
    pub page: Page,
}

impl View {
    /// Judges and encodes a state.
    #[must_use]
    pub fn new(
        snapshot: Snapshot,
        inventory: Inventory,
        matrix: Arc<Matrix>,
        counted: Vec<Sample>,
        memory: &mut Memory,
        settings: &Settings,
        at: Timestamp,
    ) -> Self {
        let case = Case { snapshot: &snapshot, inventory: &inventory, matrix: &matrix, settings, now: at };
        let verdicts: Vec<Verdict> = targets(&snapshot).iter().map(|target| verdict(target, &case)).collect();
        memory.observe(&snapshot, &verdicts, at);
        let mut all = samples(&case, &verdicts, memory);
        all.extend(counted);
        let judgements = Judgements::new(verdicts);
        let page = Page::new(all);
        Self { at, judgements, uncovered: OnceLock::new(), page, snapshot, inventory, matrix }
    }

    /// The verdict on a target, or without one those on what is published. The case is of this state.
    #[must_use]
    pub fn judge(&self, target: Option<&str>, case: &Case<'_>) -> Vec<Arc<Judgement>> {
        match target {
            Some(target) => vec![self.judgements.on(target, case)],
            None => self.judgements.published(case),
        }
    }

    /// The workloads that look like add-ons and that no row judges.
    #[must_use]
    pub fn uncovered(&self) -> &[String] {
        self.uncovered.get_or_init(|| uncovered(&self.inventory, &self.matrix))
    }

    /// What a verdict on this state is made from.
    #[must_use]
    pub fn case<'a>(&'a self, settings: &'a Settings, now: Timestamp) -> Case<'a> {
        let Self { snapshot, inventory, matrix, .. } = self;
        Case { snapshot, inventory, matrix, settings, now }
    }

    /// Whether every source has been read once: before that there is nothing to say.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let Snapshot {
            nodes,
            api_servers,
            static_pods,
            controller_leases,
            packages: _,
            runs,
            // Of the same list.
            runs_elsewhere: _,
        } = &self.snapshot;
        nodes.value.is_some()
            && api_servers.value.is_some()
            && static_pods.value.is_some()
            && controller_leases.value.is_some()
            && runs.value.is_some()
    }
}

/// Makes a view whenever something has changed, at most once a second, for ever.
pub async fn keep(
    reader: Arc<ClusterReader>,
    mut facts: watch::Receiver<InForce>,
    settings: Settings,
    views: watch::Sender<Arc<View>>,
) {
    let mut memory = Memory::default();
    loop {
        let now = Timestamp::now();
        let snapshot = reader.snapshot();
        if let Some(nodes) = &snapshot.nodes.value {
            let targets: Vec<Version> =
                targets(&snapshot).iter().filter_map(|target| target.parse().ok()).collect();
            reader.want_kubelets(nodes, &targets);
        }
        let in_force = facts.borrow_and_update().clone();
        let counted = [counted(&reader), matrix_samples(&in_force)].concat();
        let inventory = reader.inventory();
        let view = View::new(snapshot, inventory, in_force.matrix, counted, &mut memory, &settings, now);
        views.send_replace(Arc::new(view));
        tokio::time::sleep(VIEW_PAUSE).await;
        let changed = async {
            tokio::select! {
                () = reader.changed() => {}
                // Whoever sends them is gone only when the process ends.
                _other_facts = facts.changed() => {}
            }
        };
        let _changed_or_old = tokio::time::timeout(VIEW_AGE_MAX, changed).await;
    }
}

/// A view of nothing, for the time before the first one.
#[must_use]
pub fn empty(settings: &Settings, now: Timestamp) -> View {
    let matrix = Arc::new(Matrix::default());
    let (snapshot, inventory) = (Snapshot::unread(), Inventory::unread());
    View::new(snapshot, inventory, matrix, vec![build_info()], &mut Memory::default(), settings, now)
}

fn build_info() -> Sample {
    Sample::new(&BUILD_INFO, [env!("CARGO_PKG_VERSION")], 1.0)
}

fn counted(reader: &ClusterReader) -> Vec<Sample> {
    #[expect(clippy::cast_precision_loss, reason = "a count is exact up to 2^53")]
    let number = |count: u64| count as f64;
    let mut counted = vec![build_info()];
    for (resource, counts) in reader.watches() {
        counted.push(Sample::new(&WATCH_EVENTS, [resource], number(counts.events)));
        counted.push(Sample::new(&WATCH_RESTARTS, [resource], number(counts.restarts)));
        counted.push(Sample::new(&SOURCE_ERRORS, [resource], number(counts.errors)));
    }
    for (source, errors) in reader.polls() {
        counted.push(Sample::new(&SOURCE_ERRORS, [source], number(errors)));
    }
    counted
}
