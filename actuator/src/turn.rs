//! The turn: look, let the rules decide, store what they decided, do the one thing they asked for, look again. A
//! restart is no other path.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lockkeeper_rules::api::{UpgradeRun, UpgradeRunStatus};
use lockkeeper_rules::cluster::snapshot::{RunElsewhere, Snapshot, Source};
use lockkeeper_rules::driver::Driver;
use lockkeeper_rules::gate::LockView;
use lockkeeper_rules::gate::{self, Pending};
use lockkeeper_rules::notice::{self, News};
use lockkeeper_rules::run::{
    Active, Command, Needs, Observed, Order, Position, State, is_done, needs, pending_for, status_not_served,
};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::turn::{self, Decided};
use lockkeeper_rules::verdict::{self, Case, Verdict};

use crate::executor::Executor;
use crate::leader::Leader;
use crate::lock::Holder;
use crate::memory::RunMemory;
use crate::metrics::{Metrics, Pause};
use crate::permits::PermitStore;
use crate::reader::ClusterView;
use crate::store::{self, StoreError};
use crate::under_way::{Ended, UnderWay};

/// How often the runs that are not served are looked at, to tell one of them so: there may be any number of them.
const ELSEWHERE_PAUSE: Duration = Duration::from_secs(5);
/// The pause after something that did not work, and while another replica leads.
const PAUSE: Duration = Duration::from_millis(500);
/// The pause while there is no run.
const IDLE: Duration = Duration::from_secs(1);

/// Everything that a turn needs.
#[derive(Debug)]
pub struct Actuator {
    /// What is looked at to choose.
    pub cluster: ClusterView,
    /// The thresholds.
    pub settings: Arc<Settings>,
    /// Whether we lead.
    pub leader: Leader,
    /// What the webhooks have said.
    pub permits: PermitStore,
    /// What carries commands out.
    pub executor: Arc<Executor>,
    /// Our own metrics.
    pub metrics: Arc<Metrics>,
    /// Since when we lead without a break.
    pub leading_since: Option<Timestamp>,
    /// What is remembered of each run, by uid.
    pub memories: BTreeMap<String, RunMemory>,
    /// The commands that are under way, each in a task of its own.
    pub under_way: UnderWay,
    /// When the runs that are not served were last looked at.
    pub looked_elsewhere: Option<Instant>,
}

/// What a run was seen to be, beside the snapshot.
struct RunView {
    state: State,
    lock: LockView,
    verdict: Verdict,
    verdict_for_next: Verdict,
    generation: u64,
}

/// What one turn of one run came to.
struct Turned {
    /// When to look again.
    pause: Duration,
    /// The token that waits.
    waiting: Option<Pending>,
    /// What was decided is stored: the run is looked after.
    is_kept: bool,
}

impl Turned {
    /// Nothing is to be done for this run, whatever it asks for.
    fn nothing() -> Self {
        Self { pause: IDLE, waiting: None, is_kept: true }
    }
}

impl Actuator {
    /// Takes turns until `stop`. A command that is being carried out is not cut off: its outcome would be unknown.
    pub async fn work(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut counts = self.permits.counts();
        let mut revocations = 0;
        loop {
            let pause = match self.leader.generation() {
                Some(generation) => {
                    self.permits.set_leader(true);
                    self.leading_since.get_or_insert_with(Timestamp::now);
                    self.metrics.leader(true);
                    self.pass(generation).await
                }
                None => {
                    self.stand_by();
                    PAUSE
                }
            };
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(pause) => {}
                () = self.under_way.one_has_ended() => {}
                changed = counts.changed() => if changed.is_err() { break },
            }
            let now = *counts.borrow_and_update();
            if now.revocations != revocations {
                revocations = now.revocations;
                // Somebody says that a gate fires: whatever was found before is worth nothing now.
                self.memories.values_mut().for_each(RunMemory::forget_checks);
            }
            self.take_back();
        }
        self.stand_by();
        while self.under_way.is_any() {
            self.under_way.one_has_ended().await;
        }
    }

    /// Remembers what the commands have learnt that have ended. A check that began before somebody said that a gate fires is
    /// worth nothing.
    fn take_back(&mut self) {
        for Ended { run, step, mut memory } in self.under_way.ended() {
            if memory.check().is_some_and(|check| check.revocations != self.executor.live_check.revocations())
            {
                memory.forget_check();
            }
            if let Some(of_run) = self.memories.get_mut(&run) {
                of_run.put(step, memory);
            }
        }
    }

    fn stand_by(&mut self) {
        self.permits.set_leader(false);
        self.metrics.leader(false);
        self.leading_since = None;
        self.memories.clear();
    }

    /// One turn for each run. Returns how long nothing needs to be looked at.
    async fn pass(&mut self, generation: u64) -> Duration {
        // Read before the runs, or a holder that is younger than their list would pass for gone.
        let holder = Holder::read(self.cluster.by_name()).await;
        let mut snapshot = self.cluster.snapshot().await;
        let runs = match snapshot.runs.fresh(Timestamp::now(), self.settings.check_seconds_max) {
            Ok(runs) => runs.clone(),
            Err(error) => {
                tracing::warn!(%error, "the runs cannot be read");
                return PAUSE;
            }
        };
        snapshot.runs_elsewhere = self.runs_elsewhere(&holder, &runs).await;
        let snapshot = Arc::new(snapshot);
        if let Some(elsewhere) = &snapshot.runs_elsewhere.value {
            let elsewhere = elsewhere.iter().map(|run| run.uid.as_str());
            let alive: BTreeSet<&str> = runs.iter().map(|run| run.uid.as_str()).chain(elsewhere).collect();
            self.memories.retain(|uid, _| alive.contains(uid.as_str()));
        }
        // All of them at once: whom to ask must not change from run to run.
        let targets: Vec<_> = runs.iter().filter_map(|run| run.spec.target.parse().ok()).collect();
        self.cluster.want_kubelets(snapshot.nodes.value.as_deref().unwrap_or_default(), &targets);
        let mut pause = IDLE;
        let mut waiting = None;
        let mut all_kept = true;
        for run in &runs {
            let turned = self.turn(run, &snapshot, &holder, generation).await;
            pause = pause.min(turned.pause);
            waiting = waiting.or(turned.waiting);
            all_kept &= turned.is_kept;
        }
        self.permits.set_pending(waiting);
        if all_kept {
            self.metrics.turned(Timestamp::now());
        }
        self.mark_one_not_served(snapshot.runs_elsewhere.value.as_deref().unwrap_or_default()).await;
        pause
    }

    /// The runs that are not served, where it is time to tell them so or where one of them may hold the cluster lock.
    /// Anybody who may make such runs may make thousands, and none of them may hold up a run that is served.
    async fn runs_elsewhere(&mut self, holder: &Holder, served: &[UpgradeRun]) -> Source<Vec<RunElsewhere>> {
        let is_due = self.looked_elsewhere.is_none_or(|at| at.elapsed() >= ELSEWHERE_PAUSE);
        if !is_due && !holder.is_none_of(served) {
            return Source::unread();
        }
        self.looked_elsewhere = Some(Instant::now());
        self.cluster.runs_elsewhere().await
    }

    /// Tells a run of a namespace that is not served that nothing is done for it: one at a time, each version of it once,
    /// the newest first, since whoever has made that one waits for an answer. One that could not be told comes after them.
    async fn mark_one_not_served(&mut self, elsewhere: &[RunElsewhere]) {
        let mut newest_first: Vec<_> = elsewhere.iter().collect();
        let memories = &mut self.memories;
        newest_first.sort_by_key(|run| {
            (memories.get(&run.uid).is_some_and(RunMemory::has_failed_to_announce), Reverse(run.created_at))
        });
        let mut is_news = |run: &RunElsewhere| {
            memories.entry(run.uid.clone()).or_default().is_news(&run.generation.to_string())
        };
        let Some(run) = newest_first.into_iter().find(|&run| is_news(run)) else { return };
        if let Err(error) = self.mark_not_served(run).await {
            let (name, namespace) = (&run.name, &run.namespace);
            tracing::warn!(run = name, namespace, %error, "the run was not told that it is not served");
            if matches!(error, StoreError::Conflict | StoreError::Unknown(_)) {
                self.memories.entry(run.uid.clone()).or_default().announce_failed();
            }
        }
    }

    /// Reads the run whole and writes into its status that it is not served, unless that says so.
    async fn mark_not_served(&self, run: &RunElsewhere) -> Result<(), StoreError> {
        let read = self.cluster.by_name().run(&run.namespace, &run.name).await;
        let Some(run) = read.newest().map_err(StoreError::Unknown)? else { return Ok(()) };
        let Some(status) = status_not_served(run, Timestamp::now()) else { return Ok(()) };
        store::keep(&self.executor.cluster.client, run, &status).await?;
        tracing::info!(run = run.name, namespace = run.namespace, "the run is not served");
        Ok(())
    }

    /// One turn of one run.
    async fn turn(
        &mut self,
        run: &UpgradeRun,
        snapshot: &Arc<Snapshot>,
        holder: &Holder,
        generation: u64,
    ) -> Turned {
        let state = match State::parse(run.status.as_ref(), &run.uid) {
            Ok(state) => state,
            Err(finding) => {
                if self.memories.entry(run.uid.clone()).or_default().is_news(&run.resource_version) {
                    self.executor.channels.notify(run, News::StatusUnreadable(finding));
                }
                return Turned::nothing();
            }
        };
        let lock = holder.seen_from(&run.uid, snapshot);
        if is_done(&state, run.deleting, &lock) {
            return Turned::nothing();
        }
        let (verdict, verdict_for_next) = self.verdicts(run, snapshot);
        let view = RunView { state, lock, verdict, verdict_for_next, generation };
        let Decided { decision, status, once } = self.decide(run, &view, snapshot).await;
        let after = decision.state;
        let before = view.state;
        let waiting = |state: &State| pending_for(state, &view.lock);
        if let Err(error) = self.keep(run, &before, &after, status).await {
            let is_kept = matches!(error, StoreError::Gone);
            return Turned { pause: self.not_kept(run, &error), waiting: waiting(&before), is_kept };
        }
        // The permit store learns of a token as soon as it is stored: a webhook may come within the second.
        if view.lock == LockView::Ours && before.position != after.position {
            self.permits.set_pending(waiting(&after));
        }
        let memory = self.memories.entry(run.uid.clone()).or_default();
        memory.keep_only(after.active().map(|it| &it.token));
        self.executor.channels.deliver(&notice::unsent(run, &after), &mut memory.deliveries);
        once.into_iter().for_each(|notice| self.executor.channels.send(notice));
        self.start(decision.orders, run, snapshot, generation);
        Turned { pause: decision.pause, waiting: waiting(&after), is_kept: true }
    }

    /// Starts every command in a task of its own, so that a slow one costs nobody else's time. A hand-over waits until none is
    /// under way, and none is started before it.
    fn start(&mut self, orders: Vec<Order>, run: &UpgradeRun, snapshot: &Arc<Snapshot>, generation: u64) {
        let hands_over = orders.iter().any(|order| order.command == Command::HandOver);
        if hands_over && self.under_way.is_any() {
            return;
        }
        let memory = self.memories.entry(run.uid.clone()).or_default();
        for Order { step, command } in orders {
            if hands_over && command != Command::HandOver {
                continue;
            }
            let mut learnt = memory.take(step.as_ref());
            let (executor, run, snapshot) = (Arc::clone(&self.executor), run.clone(), Arc::clone(snapshot));
            self.under_way.start(&run.uid.clone(), step.clone(), async move {
                let done = executor.perform(&command, &run, &snapshot, generation, &mut learnt).await;
                if !done {
                    tokio::time::sleep(PAUSE).await;
                }
                Ended { run: run.uid, step, memory: learnt }
            });
        }
    }

    /// The verdict, of the checks that concern what is left of the run, and for a step that would begin beside others.
    fn verdicts(&self, run: &UpgradeRun, snapshot: &Snapshot) -> (Verdict, Verdict) {
        let now = Timestamp::now();
        let (inventory, matrix) = (self.cluster.inventory(), self.cluster.matrix());
        let case = Case { snapshot, inventory: &inventory, matrix: &matrix, settings: &self.settings, now };
        let whole = verdict::verdict(&run.spec.target, &case);
        (whole.for_run(run, snapshot), whole.for_next(run, snapshot))
    }

    async fn decide(&self, run: &UpgradeRun, view: &RunView, snapshot: &Snapshot) -> Decided {
        let cluster = &self.cluster;
        let (pods, budgets, places) = match needs(&view.state, run) {
            Needs::Nothing => (None, None, None),
            Needs::PodsOn(nodes) => (Some(cluster.by_name().pods_on(&nodes).await), None, None),
            Needs::AllPods => (Some(cluster.all_pods().await), None, None),
            Needs::AllPodsBudgetsAndPlaces => {
                let (pods, budgets, places) =
                    tokio::join!(cluster.all_pods(), cluster.budgets(), cluster.places());
                (Some(pods), Some(budgets), Some(places))
            }
        };
        let now = Timestamp::now();
        let memory = self.memories.get(&run.uid);
        let known = |step| memory.map(|memory| memory.known(step, now)).unwrap_or_default();
        let steps = view.state.active().map(|it| (it.token.clone(), known(Some(&it.token)))).collect();
        let known = known(None);
        let under_way = self.under_way.of(&run.uid);
        let permit = match &view.state.position {
            Position::Waiting(it) => self.permits.permit_for(&it.token, now),
            Position::Open | Position::Active(_) | Position::Halted(_) | Position::Succeeded { .. } => None,
        };
        let since = self.leading_since.unwrap_or(now);
        let mut alert_path: Vec<_> =
            gate::heartbeat(self.permits.heartbeat_at(), since, now, &self.settings).into_iter().collect();
        alert_path.extend(self.permits.too_large_at().map(gate::too_large));
        let nonce = nonce();
        let matrix = self.cluster.matrix();
        let standing = view.verdict.allows(now, &self.settings).err().unwrap_or_default();
        let for_next = view.verdict_for_next.allows(now, &self.settings).err().unwrap_or_default();
        let driver = Driver::kubeadm(&run.spec.target, &self.executor.ssh.scripts.kubeadm);
        let observed = Observed {
            run,
            snapshot,
            verdict: &standing,
            verdict_for_next: &for_next,
            accepts: &matrix.accept.value,
            pods: pods.as_ref(),
            budgets: budgets.as_ref(),
            places: places.as_ref(),
            lock: &view.lock,
            permit: permit.as_ref(),
            alert_path: &alert_path,
            known: &known,
            steps: &steps,
            under_way: &under_way,
            generation: view.generation,
            nonce: &nonce,
            own_node: self.executor.own_node.as_ref(),
            settings: &self.settings,
            driver: &driver,
        };
        let is_sent = |id: &str| memory.is_some_and(|memory| memory.deliveries.is_sent(id));
        turn::take(&view.state, &observed, is_sent, now)
    }

    /// Stores what was decided, over the version that it was decided on.
    async fn keep(
        &mut self,
        run: &UpgradeRun,
        before: &State,
        after: &State,
        status: UpgradeRunStatus,
    ) -> Result<(), StoreError> {
        self.metrics.paused(Pause::Spec, run.spec.paused);
        if run.status.as_ref() == Some(&status) {
            return Ok(());
        }
        store::keep(&self.executor.cluster.client, run, &status).await?;
        let is_new = |it: &&Active| before.active().all(|was| was.token != it.token);
        for it in after.active().filter(is_new) {
            self.permits.consume(&it.token);
            self.metrics.permit_consumed();
        }
        let finished = after.nodes_done.saturating_sub(before.nodes_done);
        self.memories.entry(run.uid.clone()).or_default().nodes_finished(finished);
        Ok(())
    }

    fn not_kept(&mut self, run: &UpgradeRun, error: &StoreError) -> Duration {
        match error {
            StoreError::Conflict => Duration::ZERO,
            StoreError::Gone => PAUSE,
            StoreError::Unknown(_) => {
                tracing::warn!(run = run.name, %error, "the state was not stored");
                PAUSE
            }
            StoreError::Pruned(_) => {
                tracing::error!(run = run.name, %error, "nothing is done until the state can be stored whole");
                IDLE
            }
        }
    }
}

/// Sixteen hexadecimal digits that nobody can guess.
fn nonce() -> String {
    let bits = getrandom::u64().expect("the kernel has random numbers");
    format!("{bits:016x}")
}
