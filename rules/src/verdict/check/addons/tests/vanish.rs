//! What is recognised by one thing is recognised by each other one: nothing that people rename makes an add-on vanish.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::find::{Found, find};
use super::super::sign::Place;
use super::super::survey::Survey;
use super::witnesses::{labelled, seen};
use super::*;
use crate::facts::{AddonVersion, last_part};

/// What is said of these workloads, by rows that were read once.
fn status(cluster: &mut Healthy, workloads: Vec<Workload>) -> Status {
    cluster.inventory.workloads.value = Some(workloads);
    check(&Facts { target: "v1.37.0".parse(), case: &cluster.case() }).status
}

/// One release of an add-on that does not fit the target, with what it is recognised by.
fn installed(signs: [bool; 6], on_pods: bool) -> Workload {
    let [is_named, has_image, has_name, has_part_of, has_chart, has_label] = signs;
    let labels = [
        (has_name, ("app.kubernetes.io/name", "net")),
        (has_part_of, ("app.kubernetes.io/part-of", "nets")),
        (has_chart, ("helm.sh/chart", "net-1.0.0")),
        (has_label, ("app", "net")),
    ];
    let labels: Vec<_> = labels.into_iter().filter(|(is_there, _)| *is_there).map(|(_, it)| it).collect();
    let image = if has_image { "q.io/mirror/net/node:v1.0.4" } else { "q.io/things:v1.0.4" };
    let mut found = labelled(if is_named { "a/net-node" } else { "a/b" }, image, &labels);
    if is_named {
        found.kind = WorkloadKind::DaemonSet;
    }
    if on_pods {
        std::mem::swap(&mut found.labels, &mut found.pod_labels);
    }
    found
}

/// Every way to take witnesses away while one is left, alone and beside an installation that fits.
#[test]
fn while_one_witness_is_left_nothing_becomes_safe() {
    let mut cluster = healthy();
    set(&mut cluster, &file(&seen(WIDE)), Vec::new());
    let fits = || vec![net("net/node:v1.1.0")];
    assert_eq!(status(&mut cluster, fits()), Status::Pass);
    assert_eq!(
        status(&mut cluster, vec![installed([false; 6], false)]),
        Status::Pass,
        "without any it is not there"
    );
    for bits in 1..64_u32 {
        let signs = std::array::from_fn(|at| bits & (1 << at) != 0);
        for (on_pods, beside) in [(false, false), (true, false), (false, true), (true, true)] {
            let one = installed(signs, on_pods);
            let all = if beside { [fits(), vec![one]].concat() } else { vec![one] };
            let expected = if signs[1] { Status::Block } else { Status::Unknown };
            assert_eq!(status(&mut cluster, all), expected, "{signs:?} {on_pods} {beside}");
        }
    }
}

/// The built-in rows, each alone: to index all of them for each workload would take most of the time.
static ROWS: LazyLock<Vec<Addons>> = LazyLock::new(|| {
    let rows = Matrix::built_in().addons.value.0;
    rows.into_iter().map(|row| Addons(vec![row])).collect()
});

/// What is read of one workload by a row.
fn read(row: &Addons, workload: Workload) -> Option<Result<Vec<AddonVersion>, Reason>> {
    let workloads = [workload];
    let survey = Survey::of(row, &workloads);
    let (addon, places) = survey.rows(row).next().unwrap();
    match find(addon, places) {
        Found::Nowhere => None,
        Found::Versions(versions) => Some(Ok(versions.into_keys().collect())),
        Found::Unknown(finding) => Some(Err(finding.reason)),
    }
}

/// Whatever a row recognises alone, the look at all rows at once leads to it: what each built-in row is known by, whole and
/// in part, in each way together.
#[test]
fn what_a_row_recognises_is_found_among_all_rows() {
    let addons = Matrix::built_in().addons.value;
    let mut workloads = Vec::new();
    for Addon { detection, .. } in &addons.0 {
        let (resource, namespace) = (&detection.resource, detection.namespace.as_str());
        let names = [resource.clone(), format!("x-{resource}"), format!("{resource}-1-29"), "a".to_owned()];
        let end = detection.ends().next().unwrap_or("q/none");
        let last = last_part(end);
        let joined = end.replace('/', "-");
        let digest = detection.digests.keys().next().map_or_else(String::new, |it| format!("@{it}"));
        let images =
            ["q/none".to_owned(), format!("q/none{digest}"), format!("q/{end}"), format!("m/{last}-fips")];
        let copies =
            [format!("m/corp-{last}"), format!("m/quay.io-{joined}"), format!("m/mirrored-{joined}")];
        let own = detection.witnesses.labels.iter().next().map(|(key, value)| (key.as_str(), value.as_str()));
        for (namespace, name) in
            [namespace, "kube-system", "t"].iter().flat_map(|it| names.iter().map(move |name| (it, name)))
        {
            for image in images.iter().chain(&copies) {
                for label in [None, own] {
                    let place = format!("{namespace}/{name}");
                    let one = labelled(&place, image, label.as_slice());
                    workloads.push(Workload { kind: detection.kind, ..one });
                }
            }
        }
    }
    let survey = Survey::of(&addons, &workloads);
    let mut found = 0;
    for (addon, places) in survey.rows(&addons) {
        let mut expected: Vec<_> =
            workloads.iter().filter_map(|it| Place::of(&addon.detection, it)).collect();
        expected.sort_by_key(|place| std::ptr::from_ref(place.workload));
        let mut places: Vec<_> =
            places.iter().map(|place| (std::ptr::from_ref(place.workload), place.by())).collect();
        places.sort_unstable();
        let expected: Vec<_> = expected.iter().map(|it| (std::ptr::from_ref(it.workload), it.by())).collect();
        assert!(places == expected, "{}: {} of {}", addon.name, places.len(), expected.len());
        found += places.len();
    }
    assert!(found > workloads.len() / 2, "{found} of {}", workloads.len());
}

fn texts(value: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(value)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(30) })]

    // Each row, by each of its images alone.
    #[test]
    fn a_new_name_a_registry_a_suffix_and_a_digest_make_no_built_in_addon_vanish(
        place in "[a-z]{1,8}/[a-z]{1,8}(-[a-z0-9]{1,5})?",
        registry in texts(&["", "quay.io/", "registry.local:5000/", "localhost/", "10.0.0.1:443/a/b/", "proxy/docker.io/"]),
        suffix in texts(&["", "-debian-12-r0", "-distroless", "-alpine3.20", "_amd64", "-hardened1"]),
        digest in texts(&["", "@sha256:ab"]),
        v in texts(&["", "v"]),
        build in texts(&["", "-fips", "-distroless", "-iamguarded-fips"]),
        is_copied in any::<bool>(),
    ) {
        for row in ROWS.iter() {
            let addon = &row.0[0];
            for end in addon.detection.ends() {
                let end = if is_copied && end.contains('/') { end.replace('/', "-") } else { end.to_owned() };
                let image = format!("{registry}{end}{build}:{v}1.2.3{suffix}{digest}");
                let found = read(row, labelled(&place, &image, &[]));
                match (&addon.detection.image, found) {
                    (Some(_), Some(Ok(versions))) => prop_assert_eq!(versions, [AddonVersion::new(1, 2, 3)]),
                    (Some(_), other) => {
                        let why = format!("{}: {image}: {other:?}", addon.name);
                        return Err(TestCaseError::fail(why));
                    }
                    // Its images tell no version.
                    (None, found) => prop_assert!(found.is_some(), "{}: {image}", addon.name),
                }
            }
        }
    }

    // Each row, by each of its labels alone: it runs, and nobody knows what.
    #[test]
    fn each_label_alone_shows_that_a_built_in_addon_is_there(
        place in "[a-z]{1,8}/[a-z]{1,8}",
        image in texts(&["registry.local/x:v1", "x@sha256:ab", "x"]),
        on_pods in any::<bool>(),
    ) {
        for row in ROWS.iter() {
            let addon = &row.0[0];
            let witnesses = &addon.detection.witnesses;
            let names = witnesses.names.iter().map(|it| ("app.kubernetes.io/name", it.clone()));
            let part_of = witnesses.part_of.iter().map(|it| ("app.kubernetes.io/part-of", it.clone()));
            let charts = witnesses.charts.iter().map(|it| ("helm.sh/chart", format!("{it}-v4.11.3")));
            let own = witnesses.labels.iter().map(|(key, value)| (key.as_str(), value.clone()));
            for (key, value) in names.chain(part_of).chain(charts).chain(own) {
                let mut found = labelled(&place, image, &[(key, &value)]);
                if on_pods {
                    std::mem::swap(&mut found.labels, &mut found.pod_labels);
                }
                let read = read(row, found);
                prop_assert_eq!(read, Some(Err(Reason::AddonVersionUnreadable)), "{} {}={}", addon.name, key, value);
            }
        }
    }
}
