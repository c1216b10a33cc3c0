//! What a turn sees, and what it yields.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::command::{Command, Known};
use super::state::State;
use crate::api::UpgradeRun;
use crate::cluster::snapshot::{Node, Role, Snapshot, Source};
use crate::drain::{Budget, Place, Pod};
use crate::driver::{Driver, View};
use crate::facts::Accepts;
use crate::gate::LockView;
use crate::gate::Permit;
use crate::reason::{Finding, Reason};
use crate::settings::Settings;
use crate::words::name::{NodeName, Token};

/// Everything that one decision is made on, read a moment ago.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// The run, as the API server has it.
    pub run: &'a UpgradeRun,
    /// The cluster, read for this turn.
    pub snapshot: &'a Snapshot,
    /// What stands in the way by the verdict as far as it concerns this run now
    /// ([`for_run`](crate::verdict::Verdict::for_run)); empty means safe.
    pub verdict: &'a [Finding],
    /// The same for a step that would begin beside those that run.
    pub verdict_for_next: &'a [Finding],
    /// What the files of facts accept.
    pub accepts: &'a Accepts,
    /// The pods that [`super::needs`] asked for.
    pub pods: Option<&'a Source<Vec<Pod>>>,
    /// The budgets that [`super::needs`] asked for.
    pub budgets: Option<&'a Source<Vec<Budget>>>,
    /// The nodes as a scheduler sees them, that [`super::needs`] asked for.
    pub places: Option<&'a Source<Vec<Place>>>,
    /// Whose the cluster lock is.
    pub lock: &'a LockView,
    /// The permit that a webhook has given last.
    pub permit: Option<&'a Permit>,
    /// What is wrong with the way from Prometheus through Alertmanager to us; empty while heartbeats arrive and every
    /// message can be read.
    pub alert_path: &'a [Finding],
    /// What this process has learnt since it began to lead: of a step while that is decided, else of the run.
    pub known: &'a Known,
    /// What it has learnt of each step that runs.
    pub steps: &'a BTreeMap<Token, Known>,
    /// For whom a command is under way: steps that run, or the run itself. Nothing is decided for them.
    pub under_way: &'a [Option<Token>],
    /// The generation of our leadership.
    pub generation: u64,
    /// Random, 16 hexadecimal digits, for a token that may be minted.
    pub nonce: &'a str,
    /// The node that the actuator itself runs on, if it runs on one.
    pub own_node: Option<&'a NodeName>,
    /// The thresholds.
    pub settings: &'a Settings,
    /// Who changes the nodes, and where to.
    pub driver: &'a Driver<'a>,
}

/// What all turns of one moment yield: persist the state, then run the commands, then look again.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The state that follows.
    pub state: State,
    /// What to do once the state is stored, at most one for each running step and one for the run.
    pub orders: Vec<Order>,
    /// How long to wait before the next look if nothing is heard and no command ends; zero means at once.
    pub pause: Duration,
}

/// A command, and for whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The running step, by its token; nothing for the run itself.
    pub step: Option<Token>,
    /// What is to be done.
    pub command: Command,
}

/// Where something that is to be started stands.
pub(super) enum Followed {
    /// It has not ended: this is the turn.
    Turn(Box<Turn>),
    /// It ended.
    Ended { code: i32, at: Timestamp, report: Vec<(String, String)>, output: String },
    /// It started and is gone without a result.
    Vanished,
    /// It did not begin, and is certain not to begin any more.
    NotBegun(Finding),
}

/// What a turn yields: persist the state, then run the command, then look again.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// The state that follows.
    pub state: State,
    /// The one thing to do once the state is stored.
    pub command: Option<Command>,
    /// How long to wait before the next turn if no webhook comes; zero means at once.
    pub pause: Duration,
}

impl Turn {
    /// Look again at once: the state has changed.
    pub(super) fn again(state: State) -> Self {
        Self { state, command: None, pause: Duration::ZERO }
    }

    /// Do this, then look again at once.
    pub(super) fn run(state: State, command: Command) -> Self {
        Self { state, command: Some(command), pause: Duration::ZERO }
    }

    /// Nothing to do for a while.
    pub(super) fn wait(state: State, pause_seconds: u64) -> Self {
        Self { state, command: None, pause: Duration::from_secs(pause_seconds) }
    }
}

/// Of a step of which nothing has been learnt yet.
const NOTHING: &Known = &Known::nothing();

impl<'a> Observed<'a> {
    /// How many workers may be out of service at a time.
    pub(super) fn concurrency(&self) -> usize {
        usize::try_from(self.run.spec.workers.concurrency).unwrap_or(1).max(1)
    }

    /// The same for one of the steps that run.
    pub(super) fn of_step(&self, token: &Token) -> Self {
        Self { known: self.steps.get(token).unwrap_or(NOTHING), ..*self }
    }

    /// Whether a command is under way for this step, or for the run itself.
    pub(super) fn is_under_way(&self, step: Option<&Token>) -> bool {
        self.under_way.iter().any(|it| it.as_ref() == step)
    }

    /// The target for people to read, if it can be read.
    pub(super) fn target(&self) -> Result<String, Finding> {
        self.driver.target()
    }

    /// What the driver judges by.
    pub(super) fn view(&self, now: Timestamp) -> View<'a> {
        View { run: self.run, snapshot: self.snapshot, settings: self.settings, now }
    }

    /// The nodes, if they were read for this turn.
    pub(super) fn nodes(&self, now: Timestamp) -> Result<&'a [Node], Finding> {
        let fresh = self.snapshot.nodes.fresh(now, self.settings.check_seconds_max);
        let nodes = fresh.map_err(|error| error.finding(Reason::ApiUnreachable, "nodes"))?;
        // What a node runs is told by both: without the static pods a control-plane node would look unfinished.
        let static_pods = self.snapshot.static_pods.fresh(now, self.settings.check_seconds_max);
        static_pods.map_err(|error| error.finding(Reason::ApiUnreachable, "static pods"))?;
        if nodes.is_empty() {
            return Err(Finding::new(Reason::NoNodes, "nodes", "the list is empty"));
        }
        Ok(nodes)
    }

    /// One node, if the nodes were read for this turn; nothing if it is not among them.
    pub(super) fn node(&self, name: &NodeName, now: Timestamp) -> Result<Option<&'a Node>, Finding> {
        Ok(self.nodes(now)?.iter().find(|node| node.name == *name))
    }

    /// Whether people asked for this node to be left as it is.
    pub(super) fn is_skipped(&self, node: &NodeName) -> bool {
        self.run.spec.skip.contains(&node.0)
    }

    /// Whether this run upgrades a node: not one that people left out, and not one that is being deleted.
    pub(super) fn takes(&self, node: &Node) -> bool {
        !self.is_skipped(&node.name) && !node.deleting
    }

    /// Whether a node is cordoned by this run.
    pub(super) fn is_ours(&self, node: &Node) -> bool {
        let token = node.cordoned_by.as_deref().and_then(|text| text.parse::<Token>().ok());
        token.is_some_and(|token| token.run.0 == self.run.uid)
    }

    /// Whether somebody else has cordoned a node.
    pub(super) fn is_cordoned_by_others(&self, node: &Node) -> bool {
        node.unschedulable && !self.is_ours(node)
    }

    /// Whether a node shows the target in all that an upgrade of it changes.
    pub(super) fn is_at_target(&self, node: &Node) -> bool {
        self.driver.is_at_target(node, self.snapshot)
    }

    /// The static pods of a node that are not Ready.
    pub(super) fn unready_static_pods(&self, node: &NodeName) -> Vec<Finding> {
        let pods = self.snapshot.static_pods.value.as_deref().unwrap_or_default();
        let unready = pods.iter().filter(|pod| pod.node == *node && !pod.ready);
        unready
            .map(|pod| Finding::new(Reason::ControlPlaneNotReady, format!("{}/{node}", pod.component), ""))
            .collect()
    }

    /// What keeps the members of etcd from being called healthy and stable.
    pub(super) fn etcd_findings(&self, now: Timestamp) -> Vec<Finding> {
        let pods = match self.snapshot.static_pods.fresh(now, self.settings.check_seconds_max) {
            Ok(pods) => pods,
            Err(error) => return vec![error.finding(Reason::EtcdUnhealthy, "static pods")],
        };
        let stable = i64::try_from(self.settings.etcd_stable_seconds).unwrap_or(i64::MAX);
        // No etcd pod at all means an external etcd, which an upgrade of a node does not touch; where one node has a
        // member, every control-plane node must show its own.
        let members: Vec<_> = pods.iter().filter(|pod| pod.component == "etcd").collect();
        let nodes = self.snapshot.nodes.value.as_deref().unwrap_or_default();
        let lacks_one =
            |node: &&Node| node.role == Role::ControlPlane && members.iter().all(|pod| pod.node != node.name);
        let missing = nodes.iter().filter(lacks_one).filter(|_| !members.is_empty());
        let missing = missing
            .map(|node| Finding::new(Reason::EtcdUnhealthy, node.name.0.clone(), "its pod is not shown"));
        members
            .iter()
            .filter_map(|pod| match pod.ready_since.filter(|_| pod.ready) {
                None => Some(Finding::new(Reason::EtcdUnhealthy, pod.node.0.clone(), "its pod is not Ready")),
                Some(since) if now.duration_since(since).as_secs() < stable => {
                    let detail = format!("Ready for less than {stable} s");
                    Some(Finding::new(Reason::EtcdRecentlyRestarted, pod.node.0.clone(), detail))
                }
                Some(_) => None,
            })
            .chain(missing)
            .collect()
    }

    /// The annotation by which this run has cordoned a node, as written.
    pub(super) fn our_annotation(&self, node: &Node) -> Option<String> {
        if self.is_ours(node) { node.cordoned_by.clone() } else { None }
    }
}
