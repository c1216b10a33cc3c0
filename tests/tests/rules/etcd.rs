//! What the live check asks about etcd, on histories of its members.

use jiff::Timestamp;
use lockkeeper_rules::gate::CheckOrder;
use lockkeeper_rules::gate::{Form, Questions};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::words::step::Step;
use serde_json::{Value, json};

use super::promtool::{Case, check};

/// How often etcd is scraped: as the examples of Prometheus do it.
const SCRAPE_SECONDS: u64 = 15;
/// Samples of every series: an hour and a half.
const LENGTH: u64 = 360;
const FSYNC: &str = "etcd_disk_wal_fsync_duration_seconds_bucket";
const COMMIT: &str = "etcd_disk_backend_commit_duration_seconds_bucket";
const CHANGES: &str = "etcd_server_leader_changes_seen_total";
const SIZE: &str = "etcd_mvcc_db_total_size_in_bytes";
const QUOTA: &str = "etcd_server_quota_backend_bytes";

/// The expressions, in the order of [`Questions::etcd`].
fn expressions(settings: &Settings) -> [String; 4] {
    let order = CheckOrder {
        step: Step::Preflight,
        token: "0b9f3c6e-1111-4222-8333-444455556666.1.1.00ff00ff00ff00ff".parse().expect("a token"),
        form: Form::Start,
        minted_at: Timestamp::UNIX_EPOCH,
        exempt: Vec::new(),
    };
    let measures = Questions::of(&order, settings).etcd.into_iter();
    measures.map(|measure| measure.expr).collect::<Vec<_>>().try_into().expect("four")
}

fn series(metric: &str, member: &str, more: &str) -> String {
    format!("{metric}{{job=\"etcd\",instance=\"{member}:2381\"{more}}}")
}

/// A member that is scraped all the time.
fn scraped(case: Case, member: &str) -> Case {
    member_until(case, member, "")
}

/// A member of which one in fifty writes took between half a second and a second, whose leader never changed, and
/// whose database fills half of its quota. `end` is what comes after its first 20 minutes.
fn member_until(mut case: Case, member: &str, end: &str) -> Case {
    let length = if end.is_empty() { LENGTH } else { 80 };
    for metric in [FSYNC, COMMIT] {
        for (le, writes) in [("0.256", 97), ("0.512", 98), ("1.024", 100), ("+Inf", 100)] {
            let bucket = series(metric, member, &format!(",le=\"{le}\""));
            case = case.with(&bucket, &format!("0+{writes}x{length}{end}"));
        }
    }
    for (metric, value) in [(CHANGES, 7), (SIZE, 1_000_000_000), (QUOTA, 2_000_000_000)] {
        case = case.with(&series(metric, member, ""), &format!("{value}+0x{length}{end}"));
    }
    case
}

fn values(of: &[(&str, f64)]) -> Value {
    let samples = of
        .iter()
        .map(|(member, value)| json!({"labels": format!("{{instance=\"{member}:2381\"}}"), "value": value}));
    samples.collect()
}

/// What is no number compares with nothing, itself included.
fn unknown(expr: &str) -> String {
    format!("count by (instance) (({expr}) != ({expr}))")
}

fn whole(expr: &str) -> String {
    format!("round({expr})")
}

#[test]
fn what_etcd_says_is_asked_in_the_units_of_the_settings() {
    let [fsync, commit, changes, quota] = expressions(&Settings::default());
    let case = |name: &str| Case::new(name).every(SCRAPE_SECONDS);
    let mut well = scraped(scraped(case("two members"), "a"), "b");
    for (expr, value) in [(&fsync, 768.0), (&commit, 768.0), (&changes, 0.0), (&quota, 50.0)] {
        well = well.expects(1200, &whole(expr), &values(&[("a", value), ("b", value)])).expects(
            1200,
            &unknown(expr),
            &json!([]),
        );
    }
    let mut nobody = case("etcd is not scraped").with("up{job=\"site\"}", "1+0x360");
    for expr in [&fsync, &commit, &changes, &quota] {
        nobody = nobody.expects(1200, expr, &json!([]));
    }
    let elections = "7+0x70 8 9 10 11 11+0x300";
    let leaders = case("elections, and a restart, which begins at 0 and sees one")
        .with(&series(CHANGES, "a", ""), elections)
        .with(&series(CHANGES, "b", ""), "7+0x70 1+0x300")
        .expects(1200, &whole(&changes), &values(&[("a", 4.0), ("b", 1.0)]))
        .expects(3600, &whole(&changes), &values(&[("a", 0.0), ("b", 0.0)]));
    let unlimited = scraped(case("a database without a quota"), "a")
        .with(&series(QUOTA, "a", ""), "-1+0x360")
        .expects(1200, &quota, &values(&[("a", -1e11)]));
    check(&[], SCRAPE_SECONDS, &[well, nobody, leaders, unlimited]).unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn a_member_that_was_scraped_is_missed_for_an_hour() {
    let expressions = expressions(&Settings::default());
    let gone = member_until(scraped(Case::new("gone").every(SCRAPE_SECONDS), "a"), "b", " stale");
    // A disk that hangs: the member answers, and no write of it comes to an end.
    let hung = member_until(scraped(Case::new("hung").every(SCRAPE_SECONDS), "a"), "b", " 8000+0x280");
    let gone = expressions.iter().fold(gone, |case, expr| {
        let is_unknown = unknown(expr);
        case.expects(1200, &is_unknown, &json!([]))
            // Ranges look back over 15 minutes at most.
            .expects(2400, &is_unknown, &values(&[("b", 1.0)]))
            .expects(4700, &is_unknown, &values(&[("b", 1.0)]))
            .expects(4900, &is_unknown, &json!([]))
    });
    let hung = expressions[..2]
        .iter()
        .fold(hung, |case, expr| case.expects(2400, &unknown(expr), &values(&[("b", 1.0)])));
    check(&[], SCRAPE_SECONDS, &[gone, hung]).unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn the_etcd_of_another_cluster_in_the_same_prometheus_is_not_asked() {
    let settings = Settings { selector: "cluster=\"a\"".parse().expect("a selector"), ..Settings::default() };
    let mut case = scraped(Case::new("another cluster").every(SCRAPE_SECONDS), "b")
        .map_series(|series| series.replace('{', "{cluster=\"b\","));
    for expr in expressions(&settings) {
        case = case.expects(1200, &expr, &json!([]));
    }
    check(&[], SCRAPE_SECONDS, &[case]).unwrap_or_else(|said| panic!("{said}"));
}
