//! Whatever comes in from outside, an answer or an error comes out, and memory stays small.

use lockkeeper_rules::driver::kubeadm::manifests;
use lockkeeper_rules::facts::Matrix;
use lockkeeper_rules::wire::alertmanager;
use lockkeeper_rules::wire::api_requests::{self, ForEach};
use lockkeeper_rules::wire::command_line;
use lockkeeper_rules::wire::helm;
use lockkeeper_rules::wire::kubelet;
use lockkeeper_rules::wire::packages;
use lockkeeper_rules::wire::prometheus;
use lockkeeper_rules::wire::risk;
use lockkeeper_rules::wire::webhook_calls;
use lockkeeper_rules::words::version::{Minor, Version};
use lockkeeper_rules::words::yaml;
use peak_alloc::PeakAlloc;
use proptest::prelude::*;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// More than all tests of this program need together, and less than what anybody would notice.
const MEGABYTES_MAX: f32 = 256.0;

const FACTS: [&str; 6] = [
    include_str!("../data/addons.yaml"),
    include_str!("../data/components.yaml"),
    include_str!("../data/nodes.yaml"),
    include_str!("../data/releases.yaml"),
    include_str!("../data/removed-apis.yaml"),
    include_str!("../data/volume-plugins.yaml"),
];
const INDEX: [&str; 1] = [
    "Package: kubeadm\nVersion: 1.36.1-1.1\nArchitecture: amd64\nFilename: a.deb\n\nPackage: kubelet\nVersion: 1.36.1-1.1\nArchitecture: amd64\nDescription: x\n y\n\n",
];
const ANSWERS: [&str; 5] = [
    r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"instance":"a:6443","group":"batch","version":"v1beta1","resource":"cronjobs","removed_release":"1.25"},"value":[1783000000.5,"1"]}]}}"#,
    r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a"},"value":[1783000000.5,"1"]}]}}"#,
    r#"{"status":"success","data":{"groups":[{"name":"g","file":"f","interval":5,"lastEvaluation":"2026-11-22T03:04:05Z","evaluationTime":0.1,"rules":[{"type":"alerting","name":"A","query":"up == 0","duration":0,"labels":{},"annotations":{},"alerts":[],"health":"ok","state":"inactive","lastEvaluation":"2026-11-22T03:04:05Z","evaluationTime":0.1}]}]}}"#,
    r#"{"status":"success","data":{"startTime":"2026-11-22T03:04:05Z","reloadConfigSuccess":true}}"#,
    r#"{"status":"error","errorType":"bad_data","error":"no"}"#,
];
const MESSAGES: [&str; 2] = [
    r#"{"version":"4","groupKey":"g","truncatedAlerts":0,"externalURL":"http://a","status":"firing","receiver":"r","groupLabels":{},"commonLabels":{},"commonAnnotations":{},"alerts":[{"status":"firing","labels":{"alertname":"A"},"annotations":{},"startsAt":"2026-11-22T03:04:05Z","endsAt":"0001-01-01T00:00:00Z","fingerprint":"f"}]}"#,
    r#"[{"labels":{"alertname":"A"},"annotations":{},"startsAt":"2026-11-22T03:04:05Z","endsAt":"2026-11-22T03:04:05Z","updatedAt":"2026-11-22T03:04:05Z","fingerprint":"f","receivers":[],"status":{"state":"active","silencedBy":[],"inhibitedBy":[]}}]"#,
];
const RELEASE: [&str; 1] = [
    r#"{"name":"web","namespace":"apps","manifest":"apiVersion: v1\nkind: Service\n","chart":{"metadata":{"name":"nginx","version":"1.2.3"}}}"#,
];
const KUBELETS: [&str; 4] = [
    r#"{"kubeletconfig":{"kind":"KubeletConfiguration","featureGates":{"A":true},"failCgroupV1":false}}"#,
    r#"{"kubeletconfig":{"syncFrequency":"1m0s","authentication":{},"featureGates":{"A":true},"failCgroupV1":false}}"#,
    "kind: KubeletConfiguration\nfeatureGates: {A: true}\n",
    "# TYPE kubelet_cgroup_version gauge\nkubelet_cgroup_version 2\n",
];

const DIFF: [&str; 1] = [include_str!("data/upgrade-diff-1.36.3-of-1.35.4.txt")];

/// Bytes that are nearly one of these texts: a piece is cut out, doubled or replaced; or no text at all.
fn nearly(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let cut = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0_usize..40,
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..6),
            "[-:{}\\[\\]&*!|>'\"#%@,. \n\t0-9a-z]{0,12}".prop_map(String::into_bytes),
        ],
        0_usize..4,
    );
    let bent = cut.prop_map(|(text, from, length, inside, times)| {
        let mut bytes = text.get(texts).as_bytes().to_vec();
        let from = from.index(bytes.len());
        let piece: Vec<u8> = bytes[from..].iter().take(length).copied().collect();
        bytes.splice(from..from + piece.len(), [inside, piece.repeat(times)].concat());
        bytes
    });
    prop_oneof![9 => bent, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn is_small() -> Result<(), TestCaseError> {
    let peak = MEMORY.peak_usage_as_mb();
    prop_assert!(peak < MEGABYTES_MAX, "{peak} MB");
    Ok(())
}

proptest! {
    // A whole file is much to read.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn no_file_of_facts_makes_it_break_off(bytes in nearly(&FACTS)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Err(mistakes) = Matrix::load(&[("mine.yaml", &text)]) {
            prop_assert!(!mistakes.is_empty());
            for mistake in mistakes {
                let told = mistake.to_string();
                prop_assert!(told.starts_with("mine.yaml:"), "{}", told);
            }
        }
        is_small()?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn no_version_makes_it_break_off(text in "\\PC{0,40}|v?[0-9]{0,21}(\\.[0-9]{0,21}){0,4}[-+]?[a-z0-9.]{0,5}") {
        if let Ok(version) = text.parse::<Version>() {
            prop_assert_eq!(version.to_string().parse::<Version>(), Ok(version));
        }
        let _none_or_one = Minor::parse(&text);
    }

    #[test]
    fn no_index_makes_it_break_off(bytes in nearly(&INDEX)) {
        if let Ok(packages) = packages::parse(&String::from_utf8_lossy(&bytes)) {
            let mut versions = packages.values().flat_map(|packages| packages.values());
            prop_assert!(!packages.is_empty() && versions.all(|of| !of.is_empty() && of.is_sorted()));
        }
        is_small()?;
    }

    #[test]
    fn no_answer_of_prometheus_makes_it_break_off(bytes in nearly(&ANSWERS)) {
        let samples = prometheus::vector(&bytes);
        if let Ok(samples) = &samples {
            let [scraped, proven, now, window, requests] = [(); 5].map(|()| samples.clone());
            let answers = ForEach { scraped, proven, now, window, requests };
            let _said = (api_requests::read(86_400, &answers).is_ok(), risk::is_present(samples).is_ok());
            let two = || [samples.clone(), samples.clone()];
            let answers =
                webhook_calls::ForEach { scraped: samples.clone(), answered: two(), failed: two() };
            let _said = webhook_calls::read(&answers).is_ok();
        }
        let _said = prometheus::rules(&bytes).is_ok();
        let _said = (prometheus::runtime_info(&bytes).is_ok(), prometheus::error_text(&bytes));
        is_small()?;
    }

    #[test]
    fn no_message_of_alertmanager_makes_it_break_off(bytes in nearly(&MESSAGES)) {
        let _said = (alertmanager::webhook(&bytes).is_ok(), alertmanager::alerts(&bytes).is_ok());
        let _said = (alertmanager::status(&bytes).is_ok(), alertmanager::silences(&bytes).is_ok());
        is_small()?;
    }

    #[test]
    fn nothing_that_kubeadm_prints_makes_it_break_off(bytes in nearly(&DIFF)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(changes) = manifests::read_diff(&text.lines().collect::<Vec<_>>()) {
            prop_assert_eq!(changes.is_empty(), changes.digest().is_none());
            prop_assert!(changes.shown().len() <= 21);
        }
        is_small()?;
    }

    #[test]
    fn nothing_that_a_kubelet_says_makes_it_break_off(bytes in nearly(&KUBELETS)) {
        let text = String::from_utf8_lossy(&bytes);
        let _said = (kubelet::configz(&text).is_ok(), kubelet::written(&text).is_ok());
        prop_assert!(kubelet::cgroup_version(&text).is_none_or(|version| (1..=2).contains(&version)));
        is_small()?;
    }

    #[test]
    fn no_command_line_makes_it_break_off(words in prop::collection::vec("(kube-apiserver)?(--)?[-_=a-z,]{0,9}", 0..9)) {
        if let Ok(flags) = command_line::flags("kube-apiserver", &words) {
            prop_assert!(flags.len() < words.len());
        }
    }

    #[test]
    fn no_release_makes_it_break_off(bytes in nearly(&RELEASE)) {
        let _said = helm::release(&bytes).is_ok();
        is_small()?;
    }
}

/// Ten names for ten names for ten names…
fn bomb(head: &str) -> String {
    let level = |level: usize| {
        let names: Vec<String> = (0..10).map(|_| format!("*a{}", level - 1)).collect();
        format!("a{level}: &a{level} [{}]\n", names.join(", "))
    };
    format!("{head}a0: &a0 [x, x, x, x]\n{}", (1..10).map(level).collect::<String>())
}

/// The texts that the random ones above start from are what they are meant to be.
#[test]
fn whole_texts_are_understood() {
    for text in FACTS {
        assert!(Matrix::load(&[("mine.yaml", text)]).is_ok());
    }
    assert_eq!(packages::parse(INDEX[0]).unwrap().len(), 1);
    assert_eq!(prometheus::vector(ANSWERS[1].as_bytes()).unwrap().len(), 1);
    assert_eq!(prometheus::rules(ANSWERS[2].as_bytes()).unwrap().len(), 1);
    prometheus::runtime_info(ANSWERS[3].as_bytes()).unwrap();
    alertmanager::webhook(MESSAGES[0].as_bytes()).unwrap();
    assert_eq!(alertmanager::alerts(MESSAGES[1].as_bytes()).unwrap().len(), 1);
    helm::release(RELEASE[0].as_bytes()).unwrap();
    for text in &KUBELETS[..2] {
        assert_eq!(kubelet::configz(text).unwrap().feature_gates.len(), 1, "{text}");
    }
    assert_eq!(kubelet::written(KUBELETS[2]).unwrap().feature_gates.len(), 1);
    assert_eq!(kubelet::cgroup_version(KUBELETS[3]), Some(2));
}

#[test]
fn what_unfolds_to_more_than_it_says_is_refused() {
    let head = "schema: 2\nas_of: \"2026-08-22\"\n";
    assert!(Matrix::load(&[("mine.yaml", &bomb(head))]).is_err());
    assert!(yaml::read::<serde_json::Value>(&bomb("")).is_err());
    let deep = format!("{head}addons: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Matrix::load(&[("mine.yaml", &deep)]).is_err());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(prometheus::vector(deep.as_bytes()).is_err());
    let manifest = serde_json::to_string(&bomb("apiVersion: v1\nkind: Service\n")).unwrap();
    let release = format!(
        r#"{{"name":"web","namespace":"apps","manifest":{manifest},"chart":{{"metadata":{{"name":"nginx","version":"1"}}}}}}"#
    );
    assert!(helm::release(release.as_bytes()).is_err());
    assert!(MEMORY.peak_usage_as_mb() < MEGABYTES_MAX, "{} MB", MEMORY.peak_usage_as_mb());
}
