//! Whether somebody still asks for an API that goes: the question to Prometheus, on histories of an API server.

use lockkeeper_rules::wire::api_requests::queries;
use lockkeeper_rules::words::selector::Selector;
use serde_json::json;

use super::promtool::{Case, check, default_groups};

/// Three hours, with a sample each minute.
const MINUTES: u64 = 180;
const API: &str = r#"group="batch",version="v1beta1",resource="cronjobs""#;

fn requests(verb: &str) -> String {
    format!("apiserver_request_total{{instance=\"a:1\",verb=\"{verb}\",{API}}}")
}

/// An API server that was asked for the API, and renewals of Leases.
fn server(name: &str, leases: &str) -> Case {
    let renewals = r#"apiserver_request_total{instance="a:1",group="coordination.k8s.io",version="v1",resource="leases"}"#;
    let gauge =
        format!("apiserver_requested_deprecated_apis{{instance=\"a:1\",removed_release=\"1.25\",{API}}}");
    Case::new(name).every(60).with(renewals, leases).with(&gauge, "1+0x180")
}

/// Whether requests have come, where that can be told.
fn have_come(case: Case, have_come: Option<bool>) -> Case {
    let query = queries(86_400, &Selector::default()).requests;
    let labels = format!("{{instance=\"a:1\",{API}}}");
    let samples = have_come.map(|have_come| json!({"labels": labels, "value": u8::from(have_come)}));
    case.expects(MINUTES * 60, &format!("({query}) > bool 0"), &json!(samples.as_slice()))
}

#[test]
fn that_nobody_asks_any_more_is_told_only_where_it_is_certain() {
    let on = "0+10x180";
    let cases = [
        have_come(server("all the while the same", on).with(&requests("LIST"), "7+0x180"), Some(false)),
        have_come(server("one more", on).with(&requests("LIST"), "7+0x150 8+0x30"), Some(true)),
        have_come(server("the first ever", on).with(&requests("LIST"), "_x150 1+0x30"), None),
        have_come(
            server("the first of another verb", on)
                .with(&requests("LIST"), "7+0x180")
                .with(&requests("WATCH"), "_x150 1+0x30"),
            Some(true),
        ),
        have_come(
            server("the same after a restart", "0+10x150 0+10x30").with(&requests("LIST"), "1+0x180"),
            None,
        ),
        have_come(
            server("the same after a restart right after the two hours have begun", "0+10x60 0+10x119")
                .with(&requests("LIST"), "1+0x180"),
            None,
        ),
        have_come(
            server("the same after a restart while they began", "0+10x58 _ _ 0+10x119")
                .with(&requests("LIST"), "1+0x58 _ _ 1+0x119"),
            None,
        ),
        have_come(
            server("restarted before that", "0+10x30 0+10x150").with(&requests("LIST"), "1+0x180"),
            Some(false),
        ),
    ];
    for case in cases {
        let name = case.name().to_owned();
        check(&default_groups(), 60, &[case]).unwrap_or_else(|said| panic!("{name}: {said}"));
    }
}
