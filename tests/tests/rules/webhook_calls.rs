//! Whether a webhook has answered lately: the questions to Prometheus, on histories of an API server.

use lockkeeper_rules::wire::webhook_calls::queries;
use lockkeeper_rules::words::selector::Selector;
use serde_json::json;

use super::promtool::{Case, check, default_groups};

/// Three hours, with a sample each minute.
const MINUTES: u64 = 180;
const WEBHOOK: &str = r#"name="pods.example",type="admit""#;
const ON: &str = "0+10x180";

fn called(code: &str, rejected: &str) -> String {
    format!(
        "apiserver_admission_webhook_request_total{{instance=\"a:1\",operation=\"CREATE\",code=\"{code}\",\
         rejected=\"{rejected}\",{WEBHOOK}}}"
    )
}

fn rejected(error_type: &str) -> String {
    format!(
        "apiserver_admission_webhook_rejection_count{{instance=\"a:1\",operation=\"CREATE\",rejection_code=\"503\",\
         error_type=\"{error_type}\",{WEBHOOK}}}"
    )
}

/// An API server, by its renewals of Leases.
fn server(name: &str, leases: &str) -> Case {
    let renewals = r#"apiserver_request_total{instance="a:1",group="coordination.k8s.io",version="v1",resource="leases"}"#;
    Case::new(name).every(60).with(renewals, leases)
}

/// Whether it has answered within ten minutes and within an hour, and whether it has failed.
fn expecting(mut case: Case, answered: [bool; 2], failed: [bool; 2]) -> Case {
    let asked = queries(&Selector::default());
    let all = asked.answered.iter().zip(answered).chain(asked.failed.iter().zip(failed));
    for (query, is_told) in all {
        let sample = is_told.then(|| json!({"labels": format!("{{{WEBHOOK}}}"), "value": 1}));
        case = case.expects(MINUTES * 60, &format!("({query}) > bool 0"), &json!(sample.as_slice()));
    }
    case
}

#[test]
fn calls_within_the_window_are_told_and_no_others() {
    let (yes, no) = ([true; 2], [false; 2]);
    let (of_the_hour, answer) = ([false, true], || called("200", "false"));
    let failure = || rejected("calling_webhook_error");
    let cases = [
        expecting(server("all the while", ON).with(&answer(), "0+1x180"), yes, no),
        expecting(server("half an hour ago", ON).with(&answer(), "5+0x150 6+0x30"), of_the_hour, no),
        expecting(server("two hours ago", ON).with(&answer(), "5+0x50 6+0x130"), no, no),
        expecting(server("the first ever", ON).with(&answer(), "_x150 1+0x30"), of_the_hour, no),
        expecting(
            server("seen first with its API server", "_x150 1+0x30").with(&answer(), "_x150 1+0x30"),
            no,
            no,
        ),
        expecting(
            server("one since a restart", "0+10x150 0+10x30").with(&answer(), "9+0x150 _x5 1+0x24"),
            of_the_hour,
            no,
        ),
        expecting(server("none since a restart", "0+10x150 0+10x30").with(&answer(), "9+0x150 _x30"), no, no),
        expecting(server("refused", ON).with(&called("403", "true"), "0+1x180"), no, no),
        expecting(server("failed open", ON).with(&called("503", "false"), "0+1x180"), no, no),
        expecting(server("failed", ON).with(&failure(), "0+1x180"), no, yes),
        expecting(server("failed first", ON).with(&failure(), "_x150 1+0x30"), no, of_the_hour),
        expecting(
            server("failed before anybody watched", "_x150 1+0x30").with(&failure(), "_x150 1+0x30"),
            no,
            of_the_hour,
        ),
        expecting(server("refused as it ought to", ON).with(&rejected("no_error"), "0+1x180"), no, no),
    ];
    for case in cases {
        let name = case.name().to_owned();
        check(&default_groups(), 60, &[case]).unwrap_or_else(|said| panic!("{name}: {said}"));
    }
}
