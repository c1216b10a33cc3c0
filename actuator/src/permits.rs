//! The permit store: what the webhooks have said, in memory only. It decides nothing and touches nothing.

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use lockkeeper_rules::gate::{self, AcceptContext, Decision, Pending, Permit, Route};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::wire::alertmanager::Webhook;
use lockkeeper_rules::words::name::Token;
use tokio::sync::watch;

/// How often permits were given and revoked: the turn loop waits for a change of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PermitCounts {
    /// A permit was given or renewed.
    pub permits: u64,
    /// Permits were revoked because a gate is said to fire: any earlier check is worth nothing.
    pub revocations: u64,
}

/// The handle that the receiver writes to and the turn loop reads from.
#[derive(Debug, Clone)]
pub struct PermitStore {
    inner: Arc<Mutex<Inner>>,
    counts: watch::Sender<PermitCounts>,
    settings: Arc<Settings>,
}

#[derive(Debug, Default)]
struct Inner {
    leader: bool,
    pending: Option<Pending>,
    permit: Option<Permit>,
    heartbeat_at: Option<Timestamp>,
    /// When the message about gates came that was too large to be read, if none has been read since.
    too_large_at: Option<Timestamp>,
}

impl PermitStore {
    /// A store without a permit, of a replica that does not lead.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self { inner: Arc::default(), counts: watch::Sender::default(), settings }
    }

    /// Says which token waits. The permit of any other token is dropped.
    pub fn set_pending(&self, pending: Option<Pending>) {
        let mut inner = self.lock();
        let keeps = |permit: &Permit| pending.as_ref().is_some_and(|pending| pending.token == permit.token);
        inner.permit = inner.permit.take().filter(keeps);
        inner.pending = pending;
    }

    /// Says whether this replica leads. One that does not has nothing pending and no permit.
    pub fn set_leader(&self, leader: bool) {
        let mut inner = self.lock();
        inner.leader = leader;
        if !leader {
            inner.pending = None;
            inner.permit = None;
            inner.too_large_at = None;
        }
    }

    /// Whether this replica leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.lock().leader
    }

    /// The permit for this token, if it is worth something now.
    #[must_use]
    pub fn permit_for(&self, token: &Token, now: Timestamp) -> Option<Permit> {
        self.lock().permit.clone().filter(|permit| permit.covers(token, now, &self.settings))
    }

    /// Drops the permit of this token: it has been consumed.
    pub fn consume(&self, token: &Token) {
        let mut inner = self.lock();
        inner.permit = inner.permit.take().filter(|permit| permit.token != *token);
    }

    /// Changes whenever a permit is given or permits are revoked.
    #[must_use]
    pub fn counts(&self) -> watch::Receiver<PermitCounts> {
        self.counts.subscribe()
    }

    /// When the Watchdog last came through.
    #[must_use]
    pub fn heartbeat_at(&self) -> Option<Timestamp> {
        self.lock().heartbeat_at
    }

    /// When the message about gates came that was too large to be read; nothing if good or bad news came after it.
    #[must_use]
    pub fn too_large_at(&self) -> Option<Timestamp> {
        self.lock().too_large_at
    }

    /// Accepts an authenticated message that is too large to be read.
    pub fn accept_too_large(&self, route: Route, now: Timestamp) -> Decision {
        let mut inner = self.lock();
        if !inner.leader {
            return Decision::Rejected(gate::Rejected::NotLeader);
        }
        let decision = gate::accept_too_large(route);
        if decision == Decision::RevokeTooLarge {
            inner.too_large_at = Some(now);
        }
        self.apply(inner, decision, now)
    }

    /// Accepts an authenticated, well-formed message. Whether this replica leads is asked again under the lock, so
    /// that a leadership lost meanwhile gives no permit.
    pub fn accept(&self, route: Route, webhook: &Webhook, now: Timestamp) -> Decision {
        let mut inner = self.lock();
        if !inner.leader {
            return Decision::Rejected(gate::Rejected::NotLeader);
        }
        let context = AcceptContext {
            pending: inner.pending.as_ref(),
            permit: inner.permit.as_ref(),
            now,
            settings: &self.settings,
        };
        let decision = gate::accept(route, webhook, context);
        let is_of_gates = route == Route::Gates && !matches!(decision, Decision::Rejected(_));
        // While a gate fires, Prometheus does not call for the step.
        if is_of_gates || decision == Decision::Permit {
            inner.too_large_at = None;
        }
        self.apply(inner, decision, now)
    }

    fn apply(&self, mut inner: MutexGuard<'_, Inner>, decision: Decision, now: Timestamp) -> Decision {
        match decision {
            Decision::Permit | Decision::Ring => {
                let token = inner.pending.as_ref().map(|pending| pending.token.clone());
                inner.permit = token.map(|token| Permit { token, granted_at: now });
                drop(inner);
                self.counts.send_modify(|counts| counts.permits += 1);
            }
            Decision::Revoke | Decision::RevokeTooLarge => {
                inner.permit = None;
                drop(inner);
                self.counts.send_modify(|counts| counts.revocations += 1);
            }
            Decision::Heartbeat => inner.heartbeat_at = Some(now),
            Decision::Duplicate
            | Decision::StaleToken
            | Decision::Ignored(_)
            | Decision::Rejected(_)
            | Decision::Error => {}
        }
        decision
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics while it holds the permit store")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockkeeper_rules::wire::alertmanager::webhook;

    const TOKEN: &str = "run.7.1.00ff00ff00ff00ff";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn message(status: &str, labels: &str) -> Webhook {
        let text = format!(
            r#"{{"version":"4","truncatedAlerts":0,"status":"{status}","alerts":
                [{{"status":"{status}","labels":{{{labels}}},"startsAt":"{}"}}]}}"#,
            at(0)
        );
        webhook(text.as_bytes()).unwrap()
    }

    fn ready() -> Webhook {
        message("firing", &format!(r#""alertname":"K8sUpgradeStepReady","token":"{TOKEN}""#))
    }

    fn gate(status: &str) -> Webhook {
        message(status, r#""alertname":"G","k8s_upgrade_gate":"all""#)
    }

    fn waiting() -> PermitStore {
        let permits = PermitStore::new(Arc::new(Settings::default()));
        permits.set_leader(true);
        permits.set_pending(Some(pending(TOKEN)));
        permits
    }

    fn pending(token: &str) -> Pending {
        Pending { token: token.parse().unwrap(), minted_at: at(0) }
    }

    fn has_permit(permits: &PermitStore, second: i64) -> bool {
        permits.permit_for(&TOKEN.parse().unwrap(), at(second)).is_some()
    }

    #[test]
    fn a_ring_gives_a_permit_for_its_time_and_wakes_whoever_listens() {
        let permits = waiting();
        let mut counts = permits.counts();
        assert!(!has_permit(&permits, 1));
        assert_eq!(permits.accept(Route::Ready, &ready(), at(1)), Decision::Permit);
        assert!(has_permit(&permits, 60) && !has_permit(&permits, 61), "60 s from the message");
        assert!(counts.has_changed().unwrap());
        assert_eq!(*counts.borrow_and_update(), PermitCounts { permits: 1, revocations: 0 });
        assert_eq!(permits.accept(Route::Ready, &ready(), at(2)), Decision::Duplicate);
        assert!(!counts.has_changed().unwrap(), "a duplicate changes nothing");
        assert!(!has_permit(&permits, 61), "nor does it renew");
    }

    #[test]
    fn good_news_of_the_gates_rings_and_bad_news_revokes() {
        let permits = waiting();
        let counts = permits.counts();
        assert_eq!(permits.accept(Route::Gates, &gate("resolved"), at(1)), Decision::Ring);
        assert!(has_permit(&permits, 2));
        assert_eq!(permits.accept(Route::Gates, &gate("firing"), at(2)), Decision::Revoke);
        assert!(!has_permit(&permits, 2));
        assert_eq!(*counts.borrow(), PermitCounts { permits: 1, revocations: 1 });
    }

    #[test]
    fn a_message_about_gates_that_is_too_large_revokes_and_is_told_until_there_is_other_news() {
        let endings: [fn(&PermitStore); 4] = [
            |permits| _ = permits.accept(Route::Ready, &ready(), at(3)),
            |permits| _ = permits.accept(Route::Gates, &gate("resolved"), at(3)),
            |permits| _ = permits.accept(Route::Gates, &gate("firing"), at(3)),
            |permits| permits.set_leader(false),
        ];
        for end in endings {
            let permits = waiting();
            permits.accept(Route::Ready, &ready(), at(1));
            let counts = permits.counts();
            assert_eq!(permits.accept_too_large(Route::Gates, at(2)), Decision::RevokeTooLarge);
            assert!(!has_permit(&permits, 2));
            assert_eq!((counts.borrow().revocations, permits.too_large_at()), (1, Some(at(2))));
            let watchdog = message("firing", r#""alertname":"K8sUpgradeWatchdog""#);
            permits.accept(Route::Heartbeat, &watchdog, at(3));
            permits.accept(Route::Gates, &webhook(br#"{"version":"5"}"#).unwrap(), at(3));
            assert_eq!(permits.too_large_at(), Some(at(2)), "neither says anything of gates");
            end(&permits);
            assert_eq!(permits.too_large_at(), None);
        }
        let permits = waiting();
        permits.accept(Route::Ready, &ready(), at(1));
        permits.accept_too_large(Route::Ready, at(2));
        assert!(has_permit(&permits, 2) && permits.too_large_at().is_none(), "it is not about gates");
        permits.set_leader(false);
        let decision = permits.accept_too_large(Route::Gates, at(2));
        assert_eq!(decision, Decision::Rejected(gate::Rejected::NotLeader));
        assert_eq!(permits.too_large_at(), None);
    }

    #[test]
    fn a_permit_lives_no_longer_than_its_token_and_our_leadership() {
        let endings: [fn(&PermitStore); 4] = [
            |permits| permits.set_pending(None),
            |permits| permits.set_pending(Some(pending("run.8.1.00ff00ff00ff00ff"))),
            |permits| permits.consume(&TOKEN.parse().unwrap()),
            |permits| permits.set_leader(false),
        ];
        for end in endings {
            let permits = waiting();
            permits.accept(Route::Ready, &ready(), at(1));
            permits.set_pending(Some(pending(TOKEN)));
            assert!(has_permit(&permits, 2), "told the same token again it stays");
            end(&permits);
            assert!(!has_permit(&permits, 2));
        }
    }

    #[test]
    fn who_does_not_lead_hears_nothing() {
        let permits = waiting();
        permits.set_leader(false);
        permits.set_pending(Some(pending(TOKEN)));
        let watchdog = message("firing", r#""alertname":"K8sUpgradeWatchdog""#);
        for (route, message) in
            [(Route::Ready, ready()), (Route::Gates, gate("firing")), (Route::Heartbeat, watchdog)]
        {
            let decision = permits.accept(route, &message, at(1));
            assert_eq!(decision, Decision::Rejected(gate::Rejected::NotLeader));
        }
        assert!(!has_permit(&permits, 1) && permits.heartbeat_at().is_none());
    }

    #[test]
    fn the_last_heartbeat_is_kept() {
        let permits = waiting();
        let watchdog = message("firing", r#""alertname":"K8sUpgradeWatchdog""#);
        assert_eq!(permits.accept(Route::Heartbeat, &watchdog, at(5)), Decision::Heartbeat);
        assert_eq!(permits.heartbeat_at(), Some(at(5)));
    }
}
