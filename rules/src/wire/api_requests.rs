//! Who asks for deprecated APIs: the questions to Prometheus, and what its answers mean.
//!
//! An API server sets `apiserver_requested_deprecated_apis` when it is asked, and forgets it when it restarts. An empty
//! answer is therefore a proof only together with samples of every API server over the whole window.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::inventory::{ApiRequests, Caller, RequestedApi, ScrapedServer, Seen};
use crate::wire::prometheus::{Labels, ParseError, Sample, shape};
use crate::words::selector::Selector;

/// What only an API server of Kubernetes counts, from its start on: every node renews its Lease. Kubelets, controllers
/// and aggregated API servers at the same address have no such series.
const SERVER: [&str; 2] = [r#"group="coordination.k8s.io""#, r#"resource="leases""#];
/// What an API server sets when it is asked for a deprecated API.
const REQUESTED: &str = "apiserver_requested_deprecated_apis";
/// At how many moments of the window Prometheus is asked whether it had samples.
const MOMENTS: u64 = 720;
/// No two moments are closer: about as often as people scrape.
const STEP_SECONDS_MIN: u64 = 60;
/// Whoever has not asked for so long is a ghost. A watch is counted when it ends, by default within an hour.
const LIVE_SECONDS: u64 = 7_200;
/// How old a sample may be that Prometheus still shows, unless it is told otherwise.
const LOOK_BACK_SECONDS: u64 = 300;
/// How many series of one answer are read. All deprecated APIs of a minor are some dozens.
const SERIES_MAX: usize = 10_000;

/// One thing for each question.
#[derive(Debug, Clone, PartialEq)]
pub struct ForEach<T> {
    /// The API servers that are scraped now.
    pub scraped: T,
    /// At how many moments of the window each API server had samples.
    pub proven: T,
    /// What the API servers that run have been asked for.
    pub now: T,
    /// The same of all that ran within the window.
    pub window: T,
    /// How many requests came within two hours; nothing where that cannot be told.
    pub requests: T,
}

/// The questions about a window of the cluster that the selector tells from others. Only its own API servers prove
/// that nobody has asked; what somebody has asked for counts also where it does not say of which cluster it is.
#[must_use]
pub fn queries(window_seconds: u64, selector: &Selector) -> ForEach<String> {
    let step = step_seconds(window_seconds);
    let own = matchers(SERVER.map(str::to_owned).into_iter().chain(selector.own()).collect());
    let servers = format!("count by (instance) (apiserver_request_total{own})");
    let ours = matchers(selector.own_or_nobodys());
    ForEach {
        proven: format!("count_over_time(({servers})[{window_seconds}s:{step}s])"),
        scraped: servers,
        now: format!("{REQUESTED}{ours}"),
        window: format!("max_over_time({REQUESTED}{ours}[{window_seconds}s])"),
        requests: requests(selector),
    }
}

/// How many requests came lately. A series that is new begins with its first request, which is no increase: it counts
/// by the sum being larger than before. That none came is told only of an API that was counted all the while, by an API
/// server that was not restarted: a count that is the same as before may have begun anew.
fn requests(selector: &Selector) -> String {
    let api = "instance, group, version, resource, subresource";
    let ours = matchers(selector.own_or_nobodys());
    let leases = matchers(SERVER.map(str::to_owned).into_iter().chain(selector.own_or_nobodys()).collect());
    let total = format!("apiserver_request_total{ours}");
    let (now, before) =
        (format!("sum by ({api}) ({total})"), format!("sum by ({api}) ({total} offset {LIVE_SECONDS}s)"));
    let increase = format!("sum by ({api}) (increase({total}[{LIVE_SECONDS}s]))");
    // What was shown two hours ago may have been taken before: a restart may lie between that and the first sample
    // since, or just after a sample at the very edge, which Prometheus leaves out of a range from version 3 on.
    let watched_seconds = LIVE_SECONDS + LOOK_BACK_SECONDS;
    let restarted =
        format!("max by (instance) (resets(apiserver_request_total{leases}[{watched_seconds}s])) > 0");
    format!(
        "({increase} > 0 or {now} > {before} or (0 * {before} unless on (instance) ({restarted}))) \
         and on ({api}) {REQUESTED}{ours}"
    )
}

fn matchers(all: Vec<String>) -> String {
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

/// What the answers mean.
///
/// # Errors
/// An answer has more series than are read, or one that is not what was asked for.
pub fn read(window_seconds: u64, answers: &ForEach<Vec<Sample>>) -> Result<ApiRequests, ParseError> {
    let ForEach { scraped, proven, now, window, requests } = answers;
    if [scraped, proven, now, window, requests].iter().any(|samples| samples.len() > SERIES_MAX) {
        return Err(wrong(format!("it has more than {SERIES_MAX} series")));
    }
    let requested = requested(now, window, &counted(requests)?)?;
    Ok(ApiRequests { window_seconds, servers: servers(window_seconds, scraped, proven)?, requested })
}

fn step_seconds(window_seconds: u64) -> u64 {
    (window_seconds / MOMENTS).max(STEP_SECONDS_MIN)
}

fn wrong(detail: String) -> ParseError {
    shape("apiserver_requested_deprecated_apis", detail)
}

fn label(labels: &Labels, name: &str) -> String {
    // Prometheus leaves empty labels out.
    labels.get(name).cloned().unwrap_or_default()
}

/// A number of things, so neither negative nor endless.
fn amount(sample: &Sample) -> Result<f64, ParseError> {
    if sample.value.is_finite() && sample.value >= 0.0 {
        return Ok(sample.value);
    }
    Err(wrong(format!("an amount is {}", sample.value)))
}

fn servers(
    window_seconds: u64,
    scraped: &[Sample],
    proven: &[Sample],
) -> Result<Vec<ScrapedServer>, ParseError> {
    let now: BTreeSet<String> = scraped.iter().map(|sample| label(&sample.labels, "instance")).collect();
    let mut moments: BTreeMap<String, f64> = now.iter().map(|instance| (instance.clone(), 0.0)).collect();
    for sample in proven {
        moments.insert(label(&sample.labels, "instance"), amount(sample)?);
    }
    #[expect(clippy::cast_precision_loss, reason = "a window of seconds is far below 2^52")]
    let (step, longest) = (step_seconds(window_seconds) as f64, window_seconds as f64);
    let server = |(instance, moments): (String, f64)| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the window, which came from a u64"
        )]
        let proven_seconds = (moments * step).min(longest) as u64;
        ScrapedServer { is_scraped: now.contains(&instance), instance, proven_seconds }
    };
    Ok(moments.into_iter().map(server).collect())
}

/// An API at an API server: instance, group, version, resource, subresource.
type Key = [String; 5];

fn key(labels: &Labels) -> Key {
    ["instance", "group", "version", "resource", "subresource"].map(|name| label(labels, name))
}

fn counted(requests: &[Sample]) -> Result<BTreeMap<Key, f64>, ParseError> {
    requests.iter().map(|sample| Ok((key(&sample.labels), amount(sample)?))).collect()
}

fn requested(
    now: &[Sample],
    window: &[Sample],
    counted: &BTreeMap<Key, f64>,
) -> Result<Vec<RequestedApi>, ParseError> {
    let mut seen = BTreeMap::new();
    // What is in both answers is told by the later insertion.
    for (samples, when) in [(window, Seen::Earlier), (now, Seen::Now)] {
        for Sample { labels, .. } in samples {
            if ["version", "resource"].iter().any(|name| label(labels, name).is_empty()) {
                return Err(wrong("a series names no version or no resource".to_owned()));
            }
            seen.insert((key(labels), label(labels, "removed_release")), when);
        }
    }
    let api = |((key, removed_release), seen): ((Key, String), Seen)| {
        let caller = match counted.get(&key) {
            None => Caller::Unknown,
            Some(requests) if *requests > 0.0 => Caller::Live,
            Some(_) => Caller::Ghost,
        };
        let [instance, group, version, resource, subresource] = key;
        RequestedApi { group, version, resource, subresource, removed_release, instance, seen, caller }
    };
    Ok(seen.into_iter().map(api).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::prometheus::vector;

    const DAY: u64 = 86_400;

    fn samples(result: &str) -> Vec<Sample> {
        let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#);
        vector(body.as_bytes()).unwrap()
    }

    fn sample(labels: &str, value: &str) -> String {
        format!(r#"{{"metric":{{{labels}}},"value":[1700000000,"{value}"]}}"#)
    }

    fn series(version: &str) -> String {
        format!(r#""instance":"a:6443","group":"batch","version":"{version}","resource":"cronjobs""#)
    }

    fn empty() -> ForEach<Vec<Sample>> {
        let [scraped, proven, now, window, requests] = [(); 5].map(|()| Vec::new());
        ForEach { scraped, proven, now, window, requests }
    }

    #[test]
    fn the_questions_name_the_window_and_the_plain_one_has_no_selector() {
        let asked = queries(30 * DAY, &Selector::default());
        assert_eq!(asked.now, "apiserver_requested_deprecated_apis");
        assert_eq!(asked.window, "max_over_time(apiserver_requested_deprecated_apis[2592000s])");
        assert!(asked.proven.ends_with("[2592000s:3600s])"), "{}", asked.proven);
        let of_two = queries(DAY, &r#"cluster="a",site="b""#.parse().unwrap());
        assert_eq!(of_two.now, r#"apiserver_requested_deprecated_apis{cluster=~"|a",site=~"|b"}"#);
        let selected = of_two.requests.matches(r#"cluster=~"|a",site=~"|b"}"#).count();
        assert_eq!(selected, of_two.requests.matches("apiserver_").count(), "{}", of_two.requests);
        let own = r#"{group="coordination.k8s.io",resource="leases",cluster="a",site="b"}"#;
        assert!(of_two.scraped.contains(own) && of_two.proven.contains(own), "{of_two:?}");
        for ForEach { scraped, proven, now, window, requests } in [asked, of_two] {
            for query in [scraped, proven, now, window, requests] {
                promql_parser::parser::parse(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
            }
        }
    }

    #[test]
    fn a_server_is_proven_for_the_moments_at_which_it_had_samples() {
        let instance = |name: &str, value: &str| sample(&format!(r#""instance":"{name}:6443""#), value);
        let answers = ForEach {
            scraped: samples(&[instance("a", "9"), instance("new", "9")].join(",")),
            proven: samples(&[instance("a", "721"), instance("gone", "360")].join(",")),
            ..empty()
        };
        let servers = read(30 * DAY, &answers).unwrap().servers;
        let told: Vec<_> =
            servers.iter().map(|it| (&*it.instance, it.is_scraped, it.proven_seconds)).collect();
        assert_eq!(told, [("a:6443", true, 30 * DAY), ("gone:6443", false, 15 * DAY), ("new:6443", true, 0)]);
    }

    #[test]
    fn what_runs_now_counts_before_the_window_and_requests_tell_ghosts() {
        let all = ["v1", "v1beta1", "v2alpha1"].map(|version| sample(&series(version), "1")).join(",");
        let answers = ForEach {
            now: samples(&[sample(&series("v1"), "1"), sample(&series("v1beta1"), "1")].join(",")),
            window: samples(&all),
            requests: samples(&[sample(&series("v1"), "0"), sample(&series("v1beta1"), "0.5")].join(",")),
            ..empty()
        };
        let requested = read(DAY, &answers).unwrap().requested;
        let told: Vec<_> = requested.iter().map(|it| (&*it.version, it.seen, it.caller)).collect();
        assert_eq!(
            told,
            [
                ("v1", Seen::Now, Caller::Ghost),
                ("v1beta1", Seen::Now, Caller::Live),
                ("v2alpha1", Seen::Earlier, Caller::Unknown)
            ]
        );
    }

    #[test]
    fn what_is_not_what_was_asked_for_is_an_error() {
        let odd = |value: &str| samples(&sample(&series("v1"), value));
        let nameless = || samples(&sample(r#""instance":"a:6443","version":"v1""#, "1"));
        let many = vec![odd("1").remove(0); SERIES_MAX + 1];
        for answers in [
            ForEach { proven: odd("-1"), ..empty() },
            ForEach { proven: odd("+Inf"), ..empty() },
            ForEach { requests: odd("NaN"), ..empty() },
            ForEach { now: nameless(), ..empty() },
            ForEach { window: nameless(), ..empty() },
            ForEach { window: many, ..empty() },
        ] {
            assert!(read(DAY, &answers).is_err(), "{:?}", answers.proven);
        }
        assert!(read(DAY, &empty()).is_ok());
    }
}
