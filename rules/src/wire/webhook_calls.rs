//! Whether webhooks answer: the questions to Prometheus about the calls that API servers have made, and what its answers
//! mean.
//!
//! ```text
//!   apiserver_admission_webhook_request_total{code="200", rejected="false"}       it answered, and let the request pass
//!   apiserver_admission_webhook_rejection_count{error_type!="no_error"}           it did not answer, or nothing of use
//! ```
//!
//! A refusal proves nothing: nobody here knows whether it would refuse what an upgrade needs. Calls that whoever asked gave
//! up are not counted as failed by API servers. Both are counted by the webhook's name and what it does, at each API server.
//!
//! Source: `staging/src/k8s.io/apiserver/pkg/admission` of Kubernetes: `metrics/metrics.go`, and `dispatcher.go` of either
//! kind.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::inventory::{CalledWebhook, WebhookCalls, WebhookKind};
use crate::wire::prometheus::{Labels, ParseError, Sample, shape};
use crate::words::selector::Selector;

/// How far back is looked. What has answered within the hour, and failed nobody since, is believed for as long as one node
/// takes; the shorter one is for what has failed before and is mended.
pub const WINDOWS_SECONDS: [u64; 2] = [600, 3_600];
/// What only an API server of Kubernetes counts, from its start on: every node renews its Lease.
const SERVER: [&str; 2] = [r#"group="coordination.k8s.io""#, r#"resource="leases""#];
/// Calls that were answered.
const ANSWERED: [&str; 2] = [r#"code="200""#, r#"rejected="false""#];
/// Calls that failed, and the request with them.
const FAILED: &str = r#"error_type!="no_error""#;
/// What both are counted by.
const BY: &str = "name, type";
/// How many series of one answer are read: a cluster has some dozens of webhooks.
const SERIES_MAX: usize = 10_000;
const METRIC: &str = "apiserver_admission_webhook_request_total";

/// One thing for each question.
#[derive(Debug, Clone, PartialEq)]
pub struct ForEach<T> {
    /// The API servers that are scraped now.
    pub scraped: T,
    /// For each window, which webhooks have answered.
    pub answered: [T; WINDOWS_SECONDS.len()],
    /// For each window, calls of which have failed.
    pub failed: [T; WINDOWS_SECONDS.len()],
}

/// The questions about the cluster that the selector tells from others. Only calls of its own API servers prove that
/// somebody answers; a call that failed counts also where it does not say of which cluster it is.
#[must_use]
pub fn queries(selector: &Selector) -> ForEach<String> {
    let matchers = |own: &[&str], ours: Vec<String>| {
        let all: Vec<String> = own.iter().map(|it| (*it).to_owned()).chain(ours).collect();
        format!("{{{}}}", all.join(","))
    };
    let servers = format!("apiserver_request_total{}", matchers(&SERVER, selector.own()));
    let answered = format!("{METRIC}{}", matchers(&ANSWERED, selector.own()));
    let failed = matchers(&[FAILED], selector.own_or_nobodys());
    let failed = format!("apiserver_admission_webhook_rejection_count{failed}");
    ForEach {
        scraped: format!("count by (instance) ({servers})"),
        answered: WINDOWS_SECONDS.map(|window| has_answered(&answered, &servers, window)),
        failed: WINDOWS_SECONDS.map(|window| has_failed(&failed, window)),
    }
}

/// A series begins with its first call, which is no increase. It was made within the window only if the API server was
/// watched before, and had not made any.
fn has_answered(calls: &str, servers: &str, window: u64) -> String {
    format!(
        "sum by ({BY}) (increase({calls}[{window}s])) > 0 or \
         sum by ({BY}) ({calls} unless {calls} offset {window}s and on (instance) {servers} offset {window}s) > 0"
    )
}

/// The same, where in doubt it has.
fn has_failed(calls: &str, window: u64) -> String {
    format!(
        "sum by ({BY}) (increase({calls}[{window}s])) > 0 or \
         sum by ({BY}) ({calls} unless {calls} offset {window}s) > 0"
    )
}

/// What the answers mean.
///
/// # Errors
/// An answer has more series than are read, or one that is not what was asked for.
pub fn read(answers: &ForEach<Vec<Sample>>) -> Result<WebhookCalls, ParseError> {
    let ForEach { scraped, answered, failed } = answers;
    if answered.iter().chain(failed).chain([scraped]).any(|samples| samples.len() > SERIES_MAX) {
        return Err(wrong(format!("it has more than {SERIES_MAX} series")));
    }
    let instances = scraped.iter().filter_map(|sample| sample.labels.get("instance").cloned());
    let scraped: BTreeSet<String> = instances.collect();
    let mut called: BTreeMap<(WebhookKind, String, u64), [bool; 2]> = BTreeMap::new();
    for (which, by_window) in [answered, failed].into_iter().enumerate() {
        for (within_seconds, samples) in WINDOWS_SECONDS.into_iter().zip(by_window) {
            for sample in samples {
                let (kind, name) = webhook(&sample.labels)?;
                called.entry((kind, name, within_seconds)).or_default()[which] |= is_any(sample)?;
            }
        }
    }
    let called = called.into_iter().map(|((kind, name, within_seconds), [has_answered, has_failed])| {
        CalledWebhook { kind, name, within_seconds, has_answered, has_failed }
    });
    Ok(WebhookCalls { scraped: scraped.into_iter().collect(), called: called.collect() })
}

fn wrong(detail: String) -> ParseError {
    shape(METRIC, detail)
}

fn webhook(labels: &Labels) -> Result<(WebhookKind, String), ParseError> {
    let kind = match labels.get("type").map(String::as_str) {
        Some("validating") => WebhookKind::Validating,
        Some("admit") => WebhookKind::Mutating,
        other => return Err(wrong(format!("a series has the type {other:?}"))),
    };
    let name = labels.get("name").ok_or_else(|| wrong("a series names no webhook".to_owned()))?;
    Ok((kind, name.clone()))
}

/// Whether calls were made: a number of them, so neither negative nor endless.
fn is_any(sample: &Sample) -> Result<bool, ParseError> {
    if sample.value.is_finite() && sample.value >= 0.0 {
        return Ok(sample.value > 0.0);
    }
    Err(wrong(format!("a number of calls is {}", sample.value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::prometheus::vector;

    fn samples(result: &[(&str, &str, &str)]) -> Vec<Sample> {
        let one = |(kind, name, value): &(&str, &str, &str)| {
            format!(r#"{{"metric":{{"type":"{kind}","name":"{name}"}},"value":[1700000000,"{value}"]}}"#)
        };
        let result = result.iter().map(one).collect::<Vec<_>>().join(",");
        let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#);
        vector(body.as_bytes()).unwrap()
    }

    fn empty() -> ForEach<Vec<Sample>> {
        let none = || [Vec::new(), Vec::new()];
        ForEach { scraped: Vec::new(), answered: none(), failed: none() }
    }

    #[test]
    fn only_calls_of_its_own_api_servers_prove_and_what_failed_may_be_anybodys() {
        let asked = queries(&Selector::default());
        assert!(asked.answered[1].contains(r#"{code="200",rejected="false"}[3600s]"#), "{asked:?}");
        let of_two = queries(&r#"cluster="a""#.parse().unwrap());
        for query in of_two.answered.iter().chain([&of_two.scraped]) {
            let selected = query.matches(r#",cluster="a"}"#).count();
            assert_eq!(selected, query.matches("apiserver_").count(), "{query}");
        }
        for query in &of_two.failed {
            let selected = query.matches(r#"{error_type!="no_error",cluster=~"|a"}"#).count();
            assert_eq!(selected, query.matches("apiserver_").count(), "{query}");
        }
        for ForEach { scraped, answered, failed } in [asked, of_two] {
            for query in answered.iter().chain(&failed).chain([&scraped]) {
                promql_parser::parser::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
            }
        }
    }

    #[test]
    fn what_answered_and_what_failed_is_told_by_webhook_and_window() {
        let pods = ("admit", "pods.example", "2.5");
        let nodes = |value| ("validating", "nodes.example", value);
        let answers = ForEach {
            answered: [samples(&[pods]), samples(&[pods, nodes("1")])],
            failed: [samples(&[nodes("0")]), samples(&[nodes("3")])],
            ..empty()
        };
        let calls = read(&answers).unwrap();
        let told: Vec<_> = calls
            .called
            .iter()
            .map(|it| (it.kind, &*it.name, it.within_seconds, it.has_answered, it.has_failed))
            .collect();
        use WebhookKind::{Mutating, Validating};
        assert_eq!(
            told,
            [
                (Validating, "nodes.example", 600, false, false),
                (Validating, "nodes.example", 3_600, true, true),
                (Mutating, "pods.example", 600, true, false),
                (Mutating, "pods.example", 3_600, true, false),
            ]
        );
    }

    #[test]
    fn what_is_not_what_was_asked_for_is_an_error() {
        let answered = |one| ForEach { answered: [samples(&[one]), Vec::new()], ..empty() };
        let many = vec![samples(&[("admit", "a", "1")]).remove(0); SERIES_MAX + 1];
        for answers in [
            answered(("admit", "a", "-1")),
            answered(("admit", "a", "NaN")),
            answered(("admit", "a", "+Inf")),
            answered(("connect", "a", "1")),
            ForEach { failed: [Vec::new(), many], ..empty() },
        ] {
            assert!(read(&answers).is_err(), "{:?}", answers.answered);
        }
        assert!(read(&empty()).is_ok());
    }
}
