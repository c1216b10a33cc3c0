//! The turns of the run, with the independent checker asked before every command.

use std::collections::BTreeSet;
use std::time::Duration;

use lockkeeper_rules::cluster::snapshot::Snapshot;
use lockkeeper_rules::driver::Driver;
use lockkeeper_rules::driver::kubeadm::order::UnitKind;
use lockkeeper_rules::gate::Permit;
use lockkeeper_rules::invariant::Context;
use lockkeeper_rules::notice::Notice;
use lockkeeper_rules::run::{Active, Command, Decision, Known, Observed, Order, Position, State, needs};
use lockkeeper_rules::turn::Decided;
use lockkeeper_rules::verdict::Verdict;
use lockkeeper_rules::{invariant, notice, turn};

use super::{Simulated, stage_of};

impl Simulated {
    pub fn run_to_the_end(&mut self) {
        for _ in 0..40_000 {
            if self.is_over() && !self.lock_is_ours {
                let cordons: BTreeSet<String> =
                    self.nodes.values().filter(|n| n.unschedulable).map(|n| n.name.0.clone()).collect();
                assert_eq!(cordons, self.cordons_before, "the cordons after are the cordons before");
                assert!(self.nodes.values().all(|n| n.cordoned_by.is_none()));
                return;
            }
            // Where what is sent is lost often enough, a run gives up, and rightly so; a person tries again.
            let gave_up = self.halted().as_deref() == Some("attempts_exhausted");
            if gave_up && self.faults.lost_answer_percent > 0 {
                self.retry_what_halted();
            } else {
                assert_eq!(self.halted(), None, "{:?}", self.state().position);
            }
            self.turn();
        }
        panic!("no end after 40000 turns: {:?} holds {:?}", self.state().position, self.held());
    }

    pub fn turns(&mut self, count: usize) {
        for _ in 0..count {
            if self.is_over() || self.halted().is_some() {
                return;
            }
            self.turn();
        }
    }

    pub fn turn(&mut self) {
        if let Some(decided) = self.decide_and_store()
            && !self.crash()
        {
            self.carry_out(decided.decision);
        }
    }

    /// The first half of a turn. Returns what was stored, with every notice that is sent then.
    pub fn decide_and_store(&mut self) -> Option<Decided> {
        if self.crash() {
            return None;
        }
        let state = self.state();
        self.send_webhook(&state);
        let mut decided = self.decide(&state);
        if self.chance(self.faults.conflict_percent) {
            self.pass(Duration::from_millis(100));
            return None;
        }
        let changes = |order: &Order| {
            matches!(order.command, Command::Cordon(_) | Command::Evict(_) | Command::Start(_))
        };
        if decided.decision.orders.iter().any(changes) {
            // Only a status that differs is stored, over the version of the run that was read for this turn.
            assert_ne!(
                self.run.status.as_ref(),
                Some(&decided.status),
                "a pause of the last second would not be seen"
            );
        }
        self.note(&state, &decided.decision.state);
        self.run.status = Some(decided.status.clone());
        // Every channel is through with a notice at once.
        let sent = &mut self.memory.sent;
        let is_new = |notice: &Notice| notice.id.clone().is_none_or(|id| sent.insert(id));
        let kept = notice::unsent(&self.run, &decided.decision.state).into_iter().filter(is_new);
        decided.once.splice(0..0, kept);
        Some(decided)
    }

    /// The second half: every command, or the pause if there is none.
    pub fn carry_out(&mut self, decision: Decision) {
        if decision.orders.is_empty() {
            self.pass(decision.pause.max(Duration::from_millis(10)));
        }
        let running = self.state().active().map(|it| Some(it.token.clone())).collect::<Vec<_>>();
        self.memory.learnt.retain(|step, _| step.is_none() || running.contains(step));
        for Order { step, command } in decision.orders {
            self.at_work = step;
            self.perform(command);
        }
    }

    /// Alertmanager, which repeats itself every half minute.
    pub(super) fn send_webhook(&mut self, state: &State) {
        let Position::Waiting(it) = &state.position else { return };
        let is_new =
            |p: &Permit| p.token != it.token || self.now.duration_since(p.granted_at).as_secs() >= 30;
        if self.now >= it.not_before && !self.gate_is_shut && self.memory.permit.as_ref().is_none_or(is_new) {
            self.memory.permit = Some(Permit { token: it.token.clone(), granted_at: self.now });
        }
    }

    pub(super) fn decide(&self, state: &State) -> Decided {
        let (snapshot, known) = (self.snapshot(), self.known(None));
        let steps = state.active().map(|it| (it.token.clone(), self.known(Some(&it.token)))).collect();
        let (pods, budgets, places) = self.read(&needs(state, &self.run));
        let standing = self.standing(&snapshot, Verdict::for_run);
        let for_next = self.standing(&snapshot, Verdict::for_next);
        let kubeadm = || Driver::kubeadm(&self.run.spec.target, &self.kubeadm);
        let driver = self.jobs.as_ref().map_or_else(kubeadm, |jobs| Driver::Job(jobs.driver()));
        let observed = Observed {
            run: &self.run,
            snapshot: &snapshot,
            verdict: &standing,
            verdict_for_next: &for_next,
            accepts: &self.accepts,
            pods: pods.as_ref(),
            budgets: budgets.as_ref(),
            places: places.as_ref(),
            lock: &self.lock(),
            permit: self.memory.permit.as_ref(),
            alert_path: &[],
            known: &known,
            steps: &steps,
            under_way: &[],
            generation: 1,
            nonce: &format!("{:016x}", self.random),
            own_node: self.own_node.as_ref(),
            settings: &self.settings,
            driver: &driver,
        };
        let is_sent = |id: &str| self.memory.sent.contains(id);
        let decided = turn::take(state, &observed, is_sent, self.now);
        assert_eq!(
            State::parse(Some(&decided.status), &self.run.uid).as_ref(),
            Ok(&decided.decision.state),
            "what is stored is what is read"
        );
        for Order { step, command } in &decided.decision.orders {
            self.ask_the_checker(command, &snapshot, &self.known(step.as_ref()));
        }
        decided
    }

    pub(super) fn ask_the_checker(&self, command: &Command, snapshot: &Snapshot, known: &Known) {
        let context = Context {
            run: &self.run.uid,
            target: &self.run.spec.target.parse().unwrap(),
            workers_max: self.run.spec.workers.concurrency,
            topology_key: self.run.spec.workers.topology_key.as_deref(),
            skip: &self.run.spec.skip,
            snapshot,
            known,
            own_node: self.own_node.as_ref(),
            settings: &self.settings,
        };
        assert_eq!(invariant::check(&context, command, self.now), [], "{command:?}");
    }

    pub(super) fn note(&mut self, before: &State, after: &State) {
        let is_new = |it: &&Active| before.active().all(|was| was.token != it.token);
        for active in after.active().filter(is_new) {
            let Position::Waiting(waiting) = &before.position else { panic!("{} did not wait", active.step) };
            assert_eq!(waiting.token, active.token);
            self.permits_consumed += 1;
            self.memory.permit = None;
            self.started.push(active.step.to_string());
        }
        if after.nodes_done > before.nodes_done {
            self.memory.nodes_finished.push(self.now);
        }
        let stage = after.active().next().and_then(stage_of);
        if stage.is_some() && stage == self.close_gate_when {
            self.gate_is_shut = true;
        } else if self.close_gate_when == Some("drain") && matches!(after.position, Position::Waiting(_)) {
            self.gate_is_shut = false;
        }
        let has_unit = self.units.iter().any(|u| u.order.kind == UnitKind::UpgradeFirst);
        if stage.is_some() && stage == self.delete_when && (stage != Some("mutate") || has_unit) {
            self.run.deleting = true;
        }
    }
}
