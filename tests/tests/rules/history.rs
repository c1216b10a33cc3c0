//! How old the data of a Prometheus is: the live check's question, on histories of scrapes.

use lockkeeper_rules::gate::CheckOrder;
use lockkeeper_rules::gate::{Form, Questions};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::words::step::Step;
use serde_json::json;

use super::promtool::{Case, check, default_groups};

/// Scrapes of one target each 5 s, and the last moment without data that is told at this second; 0 if there is none. The
/// data must be 303 s old, and every sixth second is asked about.
fn blind_at(name: &str, up: &str, at_seconds: u64, blind_at: u64) -> Case {
    let order = CheckOrder {
        step: Step::Preflight,
        token: "run.1.1.00".parse().unwrap(),
        form: Form::Start,
        minted_at: jiff::Timestamp::UNIX_EPOCH,
        exempt: Vec::new(),
    };
    let question = Questions::of(&order, &Settings::default()).history;
    let series = format!("up{{job=\"{name}\"}}");
    Case::new(name).with(&series, up).expects(
        at_seconds,
        &question,
        &json!([{"labels": "{}", "value": blind_at}]),
    )
}

#[test]
fn data_that_is_too_young_or_was_lost_is_told_with_its_last_moment_without() {
    let cases = [
        blind_at("all the while", "1+0x200", 900, 0),
        blind_at("a target that is down", "0+0x200", 900, 0),
        blind_at("set up a while ago", "_x60 1+0x200", 400, 294),
        blind_at("about to be old enough", "_x60 1+0x200", 600, 294),
        blind_at("old enough", "_x60 1+0x200", 610, 0),
        blind_at("away for 200 s", "1+0x60 _x40 1+0x100", 600, 0),
        blind_at("away for 400 s", "1+0x20 _x80 1+0x100", 600, 504),
        blind_at("gone", "1+0x20", 900, 900),
    ];
    for case in cases {
        let name = case.name().to_owned();
        check(&default_groups(), 5, &[case]).unwrap_or_else(|said| panic!("{name}: {said}"));
    }
}
