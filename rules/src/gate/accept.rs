//! What a webhook message is worth. A message may give a permit to ask; it never decides that a step may start.

use std::fmt;

use jiff::Timestamp;

use super::Permit;
use crate::alert::{GATE_LABEL, READY_ALERT, WATCHDOG_ALERT};
use crate::reason::{Finding, Reason};
use crate::settings::Settings;
use crate::wire::alertmanager::{Message, MessageAlert, MessageStatus, WEBHOOK_BYTES_MAX, Webhook};
use crate::words::name::Token;

/// Which door the message came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// "This step may start."
    Ready,
    /// Gate alerts, and their end.
    Gates,
    /// The Watchdog: the path is whole.
    Heartbeat,
}

impl Route {
    /// Every route.
    pub const ALL: [Self; 3] = [Self::Ready, Self::Gates, Self::Heartbeat];

    /// The path of the webhook.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Ready => "/alertmanager/v4/ready",
            Self::Gates => "/alertmanager/v4/gates",
            Self::Heartbeat => "/alertmanager/v4/heartbeat",
        }
    }

    /// The value of the label `endpoint`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Gates => "gates",
            Self::Heartbeat => "heartbeat",
        }
    }

    /// The route that has this path.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.path() == path)
    }
}

/// What is made of a request. Everything but the first five changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// The ready alert of the pending token has come: it gets a permit, or a new one.
    Permit,
    /// The gates are said to be clear: the pending token gets a permit too.
    Ring,
    /// A gate is said to fire: permits are revoked, and the check is asked at once.
    Revoke,
    /// More is said of gates than is read: as if one of them fired.
    RevokeTooLarge,
    /// The Watchdog has come through.
    Heartbeat,
    /// The same news again while its permit is young.
    Duplicate,
    /// The ready alert of a token that is not the pending one: late, replayed or invented.
    StaleToken,
    /// A message that has nothing to say here.
    Ignored(Ignored),
    /// A message that cannot be believed.
    Rejected(Rejected),
    /// Something of ours failed.
    Error,
}

/// Why a message has nothing to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ignored {
    /// No step waits.
    NothingPending,
    /// It is the end of an alert.
    Resolved,
    /// It is about an alert that belongs elsewhere.
    OtherAlert,
}

/// Why a message cannot be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejected {
    /// No or a wrong bearer token.
    Unauthenticated,
    /// A body beyond the limit.
    TooLarge,
    /// No JSON, or no webhook message.
    Malformed,
    /// Another version than 4.
    Version,
    /// Alerts were cut off, so the rest says nothing.
    Truncated,
    /// The alert fires since before its token was minted.
    BeforeMint,
    /// This replica does not lead.
    NotLeader,
}

impl Decision {
    /// Every decision.
    pub const ALL: [Self; 18] = [
        Self::Permit,
        Self::Ring,
        Self::Revoke,
        Self::RevokeTooLarge,
        Self::Heartbeat,
        Self::Duplicate,
        Self::StaleToken,
        Self::Ignored(Ignored::NothingPending),
        Self::Ignored(Ignored::Resolved),
        Self::Ignored(Ignored::OtherAlert),
        Self::Rejected(Rejected::Unauthenticated),
        Self::Rejected(Rejected::TooLarge),
        Self::Rejected(Rejected::Malformed),
        Self::Rejected(Rejected::Version),
        Self::Rejected(Rejected::Truncated),
        Self::Rejected(Rejected::BeforeMint),
        Self::Rejected(Rejected::NotLeader),
        Self::Error,
    ];

    /// The value of the label `decision`, and the word of the answer.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Ring => "ring",
            Self::Revoke => "revoke",
            Self::RevokeTooLarge => "revoke_too_large",
            Self::Heartbeat => "heartbeat",
            Self::Duplicate => "duplicate",
            Self::StaleToken => "stale_token",
            Self::Ignored(Ignored::NothingPending) => "ignored_nothing_pending",
            Self::Ignored(Ignored::Resolved) => "ignored_resolved",
            Self::Ignored(Ignored::OtherAlert) => "ignored_other_alert",
            Self::Rejected(Rejected::Unauthenticated) => "rejected_unauthenticated",
            Self::Rejected(Rejected::TooLarge) => "rejected_too_large",
            Self::Rejected(Rejected::Malformed) => "rejected_malformed",
            Self::Rejected(Rejected::Version) => "rejected_version",
            Self::Rejected(Rejected::Truncated) => "rejected_truncated",
            Self::Rejected(Rejected::BeforeMint) => "rejected_before_mint",
            Self::Rejected(Rejected::NotLeader) => "rejected_not_leader",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The token that waits, and since when it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The token.
    pub token: Token,
    /// When it was minted.
    pub minted_at: Timestamp,
}

/// What was known when a message came.
#[derive(Debug, Clone, Copy)]
pub struct AcceptContext<'a> {
    /// The token that waits.
    pub pending: Option<&'a Pending>,
    /// The permit that lives.
    pub permit: Option<&'a Permit>,
    /// When the message came.
    pub now: Timestamp,
    /// The thresholds.
    pub settings: &'a Settings,
}

/// Repeats of one group come at least a sixth of a permit's life apart; what comes sooner is the same news twice.
const DUPLICATE_SHARE: u64 = 6;

/// Decides what an authenticated, well-formed message is worth.
#[must_use]
pub fn accept(route: Route, webhook: &Webhook, context: AcceptContext<'_>) -> Decision {
    let message = match webhook {
        Webhook::OtherVersion(_) => return Decision::Rejected(Rejected::Version),
        Webhook::V4(message) => message,
    };
    match route {
        Route::Ready => ready(message, context),
        Route::Gates => gates(message, context),
        Route::Heartbeat => heartbeat(message),
    }
}

/// Decides what an authenticated message is worth that is too large to be read. The live check asks Alertmanager itself
/// which alerts there are; until it does, the gates are not known to be clear.
#[must_use]
pub fn accept_too_large(route: Route) -> Decision {
    match route {
        Route::Gates => Decision::RevokeTooLarge,
        Route::Ready | Route::Heartbeat => Decision::Rejected(Rejected::TooLarge),
    }
}

/// What is wrong if the newest message about gates, which came at this time, was too large to be read.
#[must_use]
pub fn too_large(at: Timestamp) -> Finding {
    let detail = format!("the one of {at} has more than {} KiB", WEBHOOK_BYTES_MAX / 1024);
    Finding::new(Reason::GatesTooLarge, "route", detail)
}

fn ready(message: &Message, context: AcceptContext<'_>) -> Decision {
    if message.truncated_alerts != 0 {
        return Decision::Rejected(Rejected::Truncated);
    }
    let mut ours = named(message, READY_ALERT).peekable();
    if ours.peek().is_none() {
        return Decision::Ignored(Ignored::OtherAlert);
    }
    let mut firing = ours.filter(|alert| alert.status == MessageStatus::Firing).peekable();
    if firing.peek().is_none() {
        return Decision::Ignored(Ignored::Resolved);
    }
    let Some(pending) = context.pending else { return Decision::Ignored(Ignored::NothingPending) };
    let token = pending.token.to_string();
    let mut echoes =
        firing.filter(|alert| alert.labels.get("token").is_some_and(|echo| *echo == token)).peekable();
    if echoes.peek().is_none() {
        return Decision::StaleToken;
    }
    let slack =
        jiff::SignedDuration::from_secs(i64::try_from(context.settings.clock_skew_seconds_max).unwrap_or(0));
    if !echoes.any(|alert| alert.starts_at.duration_since(pending.minted_at) >= -slack) {
        return Decision::Rejected(Rejected::BeforeMint);
    }
    context.grant(pending, Decision::Permit)
}

/// Bad news is believed whatever else is wrong with the message; good news only gives a permit to ask.
fn gates(message: &Message, context: AcceptContext<'_>) -> Decision {
    let mut gates = message.alerts.iter().filter(|alert| alert.labels.contains_key(GATE_LABEL)).peekable();
    if gates.peek().is_none() {
        return Decision::Ignored(Ignored::OtherAlert);
    }
    if message.status == MessageStatus::Firing || gates.any(|alert| alert.status == MessageStatus::Firing) {
        return Decision::Revoke;
    }
    if message.truncated_alerts != 0 {
        return Decision::Rejected(Rejected::Truncated);
    }
    match context.pending {
        None => Decision::Ignored(Ignored::NothingPending),
        Some(pending) => context.grant(pending, Decision::Ring),
    }
}

fn heartbeat(message: &Message) -> Decision {
    let mut beats = named(message, WATCHDOG_ALERT).peekable();
    if beats.peek().is_none() {
        return Decision::Ignored(Ignored::OtherAlert);
    }
    if beats.any(|alert| alert.status == MessageStatus::Firing) {
        return Decision::Heartbeat;
    }
    Decision::Ignored(Ignored::Resolved)
}

fn named<'a>(message: &'a Message, name: &'a str) -> impl Iterator<Item = &'a MessageAlert> {
    message.alerts.iter().filter(move |alert| super::ask::has(&alert.labels, "alertname", name))
}

impl AcceptContext<'_> {
    /// A permit for the pending token, or the same news twice.
    fn grant(&self, pending: &Pending, decision: Decision) -> Decision {
        let young = |permit: &&Permit| {
            let age = self.now.duration_since(permit.granted_at).as_secs();
            permit.token == pending.token
                && u64::try_from(age).is_ok_and(|age| age < self.settings.permit_seconds / DUPLICATE_SHARE)
        };
        match self.permit.filter(young) {
            Some(_) => Decision::Duplicate,
            None => decision,
        }
    }
}

#[cfg(test)]
mod tests;
