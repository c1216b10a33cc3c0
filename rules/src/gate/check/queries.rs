//! The rows about instant queries: the gates' own expressions, the control, the token's echo, the nodes, etcd.

use std::collections::BTreeSet;

use super::{Check, describe, seconds};
use crate::alert::WATCHDOG_ALERT;
use crate::cluster::snapshot::ETCD;
use crate::gate::ask::has;
use crate::gate::{Measure, PrometheusAnswers, history};
use crate::reason::Reason;
use crate::wire::prometheus::{Sample, timestamp};
use crate::words::name::NodeName;

/// How many scrapes the echo may be old.
const SCRAPES_MAX: u64 = 3;

impl<'a> Check<'a> {
    pub(super) fn queries(&mut self, prometheus: &'a PrometheusAnswers) {
        let questions = self.questions.clone();
        for (name, expr) in &questions.gates {
            let Some(samples) = self.query(prometheus, name, expr) else { continue };
            for sample in samples {
                self.found(Reason::GateExpressionTrue, name, describe(&sample.labels));
            }
        }
        let control = self.query(prometheus, "control", &questions.control);
        if control.is_some_and(<[Sample]>::is_empty) {
            self.found(
                Reason::WatchdogMissing,
                &prometheus.url,
                format!("no series of {WATCHDOG_ALERT} in ALERTS"),
            );
        }
        self.echo(prometheus, &questions.echo, &questions.echo_time);
        self.nodes(prometheus, &questions.nodes);
        self.history(prometheus, &questions.history);
        self.etcd(prometheus, &questions.etcd);
    }

    fn query(&mut self, prometheus: &'a PrometheusAnswers, what: &str, expr: &str) -> Option<&'a [Sample]> {
        let url = &prometheus.url;
        let Some(answer) = prometheus.queries.get(expr) else {
            self.found(Reason::AnswerMalformed, url, format!("{what}: it was not asked"));
            return None;
        };
        let samples = self.usable(answer, url, what, Reason::PrometheusUnreachable)?;
        // A cache between us and Prometheus would show its own time in the header, and an old one here.
        for sample in samples.iter().take(1) {
            self.clock(url, sample.evaluated_at, answer.received_at);
        }
        Some(samples)
    }

    /// The token has come back through scrape and storage, lately.
    fn echo(&mut self, prometheus: &'a PrometheusAnswers, echo: &str, echo_time: &str) {
        let url = &prometheus.url;
        let token = self.order.token.to_string();
        let ours = |sample: &&Sample| has(&sample.labels, "token", &token);
        let Some(samples) = self.query(prometheus, "echo", echo) else { return };
        #[expect(clippy::float_cmp, reason = "the gauge is exactly 1")]
        if !samples.iter().filter(ours).any(|sample| sample.value == 1.0) {
            self.found(Reason::EchoMissing, url, format!("{echo} is not 1"));
        }
        let Some(samples) = self.query(prometheus, "echo time", echo_time) else { return };
        let age_max = seconds(SCRAPES_MAX * self.settings.scrape_interval_seconds);
        let age = |sample: &Sample| Some(sample.evaluated_at.duration_since(timestamp(sample.value)?));
        match samples.iter().filter(ours).filter_map(age).min() {
            None => self.found(Reason::EchoMissing, url, format!("{echo_time} has no result")),
            Some(age) if age > age_max || age < -age_max => {
                self.counted(Reason::EchoStale, url, "scraped {} s ago", &[&age.as_secs()]);
            }
            Some(_) => {}
        }
    }

    /// Prometheus has data as old as the longest look back. A time that will come is the subject: as a detail it would keep
    /// the words of the loss before.
    fn history(&mut self, prometheus: &'a PrometheusAnswers, expr: &str) {
        let url = &prometheus.url;
        let Some(samples) = self.query(prometheus, "history", expr) else { return };
        let blind_at = match samples {
            [sample] if sample.value == 0.0 => return,
            [sample] => timestamp(sample.value),
            _ => None,
        };
        let Some(blind_at) = blind_at else {
            return self.found(Reason::AnswerMalformed, url, "history: it names no moment");
        };
        let wanted = format!("data of the last {} s is wanted", history::age_seconds_min(self.settings));
        if history::is_now(blind_at, self.now, self.settings) {
            return self.found(Reason::PrometheusYoung, url, format!("it has no data of now; {wanted}"));
        }
        let until = history::old_enough_at(blind_at, self.settings);
        self.found(Reason::PrometheusYoung, format!("{url} until {until}"), wanted);
    }

    /// Prometheus and the API server know the same nodes, by name, so also as many.
    fn nodes(&mut self, prometheus: &'a PrometheusAnswers, expr: &str) {
        let Some(samples) = self.query(prometheus, "nodes", expr) else { return };
        let Some(nodes) = &self.answers.cluster.nodes.value else { return };
        let theirs: BTreeSet<&str> =
            samples.iter().map(|sample| sample.labels.get("node").map_or("", String::as_str)).collect();
        let ours: BTreeSet<&str> = nodes.iter().map(|node| node.name.0.as_str()).collect();
        if theirs != ours {
            let only =
                |a: &BTreeSet<&str>, b| a.difference(b).take(5).copied().collect::<Vec<_>>().join(", ");
            let detail = format!(
                "{} nodes instead of {}; only in Prometheus: [{}]; only in the API server: [{}]",
                theirs.len(),
                ours.len(),
                only(&theirs, &ours),
                only(&ours, &theirs),
            );
            self.found(Reason::NodeMismatch, &prometheus.url, detail);
        }
    }

    /// Where this Prometheus shows etcd, it shows every member, and each is well. Not every Prometheus scrapes etcd.
    fn etcd(&mut self, prometheus: &'a PrometheusAnswers, measures: &[Measure]) {
        for measure in measures {
            let what = measure.what;
            let Some(samples) = self.query(prometheus, what, &measure.expr) else { continue };
            if samples.is_empty() {
                continue;
            }
            for sample in samples {
                self.member(measure, sample);
            }
            let cluster = &self.answers.cluster;
            let pods = self.fresh(&cluster.static_pods, "static pods").map_or(&[][..], Vec::as_slice);
            let others = pods.iter().filter(|pod| pod.component == ETCD && !self.is_at_work(&pod.node));
            let others = others.count();
            let shown = samples.iter().filter(|sample| !self.is_on_node_at_work(instance(sample))).count();
            if shown < others {
                let detail = format!("{what}: shown of {shown}, and {others} members are to go on");
                self.found(Reason::EtcdUnmeasured, &prometheus.url, detail);
            }
        }
    }

    fn member(&mut self, measure: &Measure, sample: &Sample) {
        let Measure { what, max, reason, .. } = measure;
        let instance = instance(sample);
        #[expect(clippy::cast_precision_loss, reason = "the settings' bounds are small")]
        let max_value = *max as f64;
        if sample.value.is_nan() {
            // The member of a node that is half changed may be down: the change is what brings it back.
            if !self.is_on_node_at_work(instance) {
                self.found(Reason::EtcdUnmeasured, instance, format!("{what}: not known any more"));
            }
            return;
        }
        // An increase over a time is no whole number: it is put together from samples that lie within.
        if sample.value.round() > max_value {
            let words = format!("{what}: {{}}, at most {max} is well");
            self.counted(*reason, instance, &words, &[&format!("{:.0}", sample.value)]);
        }
    }

    /// Whether this is the node that the step changes. One that people have asked to leave is none: its member is missed as
    /// any other when the next one goes.
    fn is_at_work(&self, node: &NodeName) -> bool {
        self.order.step.node() == Some(node) && self.is_exempt(node)
    }

    /// Whether a target of Prometheus is at that node, by any of its addresses or its name. One that does not tell is not.
    fn is_on_node_at_work(&self, instance: &str) -> bool {
        let nodes = self.answers.cluster.nodes.value.iter().flatten();
        nodes.filter(|node| self.is_at_work(&node.name)).any(|node| node.has_endpoint(instance))
    }
}

fn instance(sample: &Sample) -> &str {
    sample.labels.get("instance").map_or("", String::as_str)
}
