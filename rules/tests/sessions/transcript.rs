//! What happened, line by line: since when the session goes on, of which step, and what.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockkeeper_rules::api::UpgradeRunStatus;
use lockkeeper_rules::run::{Order, Position};
use lockkeeper_rules::turn::Decided;
use lockkeeper_rules::words::name::Token;

use crate::simulated::Simulated;
use crate::words;

/// What happened so far.
pub(crate) struct Transcript {
    since: Timestamp,
    lines: Vec<Line>,
    /// The step that waits, by its token.
    waiting: Option<Token>,
    /// What each running step was last known to intend.
    intents: BTreeMap<Token, String>,
    /// What the status last said of the whole run.
    standing: String,
}

enum Line {
    /// Of the script.
    Script(String),
    /// A part of what is shown on demand.
    Shown(String),
    Event {
        at: Timestamp,
        who: String,
        what: String,
        /// How often in a row.
        count: usize,
    },
}

impl Line {
    fn says(&self, text: &str) -> bool {
        matches!(self, Self::Event { who, what, .. } if format!("{who} {what}").contains(text))
    }
}

impl Transcript {
    pub(crate) fn new(cluster: &Simulated) -> Self {
        Self {
            since: cluster.now(),
            lines: Vec::new(),
            waiting: None,
            intents: BTreeMap::new(),
            standing: String::new(),
        }
    }

    pub(crate) fn length(&self) -> usize {
        self.lines.len()
    }

    /// Whether a line after so many contains this text.
    pub(crate) fn says(&self, text: &str, after: usize) -> bool {
        self.lines[after..].iter().any(|line| line.says(text))
    }

    /// Takes back every line after so many that does not contain this text.
    pub(crate) fn keep_only(&mut self, text: &str, after: usize) {
        let rest = self.lines.split_off(after);
        self.lines.extend(rest.into_iter().filter(|line| line.says(text)));
    }

    pub(crate) fn command(&mut self, line: &str) {
        self.lines.push(Line::Script(line.to_owned()));
    }

    /// What was stored, and what was sent then.
    pub(crate) fn stored(&mut self, at: Timestamp, decided: &Decided) {
        for notice in &decided.once {
            let (who, what) = words::of_news(&notice.news);
            self.event(at, who, what);
        }
        let waiting = match &decided.decision.state.position {
            Position::Waiting(it) => Some(it),
            Position::Open | Position::Active(_) | Position::Halted(_) | Position::Succeeded { .. } => None,
        };
        if let Some(it) = waiting.filter(|it| self.waiting.as_ref() != Some(&it.token)) {
            let not_before = self.clock(it.not_before);
            self.event(at, it.step.to_string(), format!("waits for its permit, not before {not_before}"));
        }
        self.waiting = waiting.map(|it| it.token.clone());
        let intents = decided.decision.state.active().filter_map(|it| {
            Some((it.token.clone(), it.step.to_string(), words::of_intent(it.intent.as_ref()?)))
        });
        let before = std::mem::take(&mut self.intents);
        for (token, step, intent) in intents {
            if before.get(&token) != Some(&intent) {
                self.event(at, step, intent.clone());
            }
            self.intents.insert(token, intent);
        }
        let standing = standing(&decided.status);
        if standing != self.standing {
            self.event(at, "status".to_owned(), standing.clone());
            self.standing = standing;
        }
    }

    /// What was ordered, and what came back.
    pub(crate) fn carried_out(&mut self, at: Timestamp, decided: &Decided, cluster: &Simulated) {
        for order in &decided.decision.orders {
            let answer = words::answer(&order.command, &cluster.known(order.step.as_ref()));
            self.order(at, decided, order, &answer);
        }
    }

    /// What was ordered of a process that died.
    pub(crate) fn never_carried_out(&mut self, at: Timestamp, decided: &Decided) {
        for order in &decided.decision.orders {
            self.order(at, decided, order, "never carried out");
        }
    }

    fn order(&mut self, at: Timestamp, decided: &Decided, order: &Order, answer: &str) {
        let mut running = decided.decision.state.active();
        let step = running.find(|it| Some(&it.token) == order.step.as_ref());
        let who = step.map_or("run".to_owned(), |it| it.step.to_string());
        self.event(at, who, format!("{} -> {answer}", words::of(&order.command)));
    }

    fn event(&mut self, at: Timestamp, who: String, what: String) {
        let new = (who, what);
        match self.lines.last_mut() {
            Some(Line::Event { who, what, count, .. }) if (&*who, &*what) == (&new.0, &new.1) => *count += 1,
            _ => self.lines.push(Line::Event { at, who: new.0, what: new.1, count: 1 }),
        }
    }

    /// Where the run stands, and everything that it waits for.
    pub(crate) fn show(&mut self, cluster: &Simulated) {
        let Some(status) = &cluster.run.status else { return };
        let mut lines = vec![standing(status)];
        for hold in &status.holds {
            let step = hold.step.as_deref().unwrap_or("run");
            let since = self.clock(hold.since);
            let finding = format!("{} {} {}", hold.reason, hold.subject, hold.detail);
            lines.push(format!("{step} holds since {since}: {}", finding.trim_end()));
        }
        lines.extend(status.conditions.iter().map(|it| format!("{}={} {}", it.type_, it.status, it.reason)));
        let out = cluster.out_of_service();
        lines.push(format!(
            "out of service: {}",
            if out.is_empty() { "none".to_owned() } else { out.join(", ") }
        ));
        self.lines.extend(lines.into_iter().map(Line::Shown));
    }

    /// Hours, minutes, seconds and tenths since the session began.
    fn clock(&self, at: Timestamp) -> String {
        let tenths = at.duration_since(self.since).as_millis() / 100;
        let (seconds, tenths) = (tenths / 10, tenths % 10);
        format!("{}:{:02}:{:02}.{tenths}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }

    pub(crate) fn text(&self) -> String {
        let written = |line: &Line| match line {
            Line::Script(line) if line.is_empty() || line.starts_with('#') => line.clone(),
            Line::Script(line) => format!("> {line}"),
            Line::Shown(text) => format!("    {text}"),
            Line::Event { at, who, what, count } => {
                let often = if *count == 1 { String::new() } else { format!(" ({count} times)") };
                format!("{}  {who:<18} {what}{often}", self.clock(*at))
            }
        };
        self.lines.iter().map(written).collect::<Vec<_>>().join("\n")
    }
}

fn standing(status: &UpgradeRunStatus) -> String {
    let mut parts = vec![format!("{:?}", status.phase)];
    let summary = &status.summary;
    if !summary.progress.is_empty() {
        parts.push(format!("{} nodes", summary.progress));
    }
    if !summary.next.is_empty() {
        parts.push(format!("next {}", summary.next));
    }
    parts.join(", ")
}
