use super::{AddonVersion, Coverage, Witnesses};
use crate::facts::Matrix;

const ROW: &str = r#"{name: net, namespace: n, kind: ds, resource: r, image_re: 'net:v(\d+\.\d+)', claim: tested, max_k8s: {"1.0": "1.36"}, source: "https://example.com/net"}"#;

fn load(rows: &[String]) -> Result<Matrix, Vec<String>> {
    let rows: String = rows.iter().map(|row| format!("  - {row}\n")).collect();
    let text = format!("schema: 2\nas_of: \"2026-08-22\"\naddons:\n{rows}");
    let loaded = Matrix::load(&[("mine.yaml", &text)]);
    loaded.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

fn with(from: &str, to: &str) -> Vec<String> {
    assert!(ROW.contains(from), "{from}");
    vec![ROW.replace(from, to)]
}

fn assert_told(from: &str, to: &str, field: &str, expected: &str) {
    let told = load(&with(from, to)).unwrap_err();
    let is_told = told.iter().all(|it| it.contains(field) && it.contains(expected));
    assert!(told.len() == 1 && is_told, "{to}: {told:#?}");
}

#[test]
fn every_mistake_of_a_row_is_reported_with_its_field() {
    for (from, to, field, expected) in [
        (r#""1.36""#, "1.36", "max_k8s.1.0", "a text in quotation marks"),
        (r#"{"1.0": "1.36"}"#, r#"["1.36"]"#, "max_k8s", "a mapping"),
        (r#""1.0""#, r#""new""#, "max_k8s.new", "a version such as"),
        (r#"{"1.0": "1.36"}"#, r#"{"1.0": "1.36", "1.0.0": "1.37"}"#, "max_k8s.1.0.0", "1.0.0 once"),
        (r#"max_k8s: {"1.0": "1.36"}, "#, "", "addons[0]", "either max_k8s or no_declared_ceiling"),
        ("claim", "no_declared_ceiling: true, claim", "addons[0]", "either max_k8s or"),
        (
            "claim",
            r#"min_k8s: {"1.0": "1.37"}, claim"#,
            "addons[0]",
            "not older than the oldest one, for 1.0.0",
        ),
        ("claim: tested", "claim: maybe", "claim", "one of supported, tested"),
        ("claim: tested, ", "", "addons[0]", "the field claim"),
        (r#", source: "https://example.com/net""#, "", "addons[0]", "the field source"),
        ("https://example.com/net", "somewhere", "source", "the address of a page"),
        (r"'net:v(\d+\.\d+)'", r"'net:v\d+'", "image_re", "no group"),
        (r"'net:v(\d+\.\d+)'", r"'(?<=net:)v(\d+)'", "image_re", "look-around"),
        (r"'net:v(\d+\.\d+)'", "''", "addons[0]", "or a label in also_read"),
        ("kind: ds", "kind: pod", "kind", "one of deploy, ds, sts"),
        ("claim", "upgraded_by: helm, claim", "upgraded_by", "one of people, kubeadm"),
        ("claim", "pinned: \"false\", claim", "pinned", "true or false"),
        ("claim", "pinned: true, claim", "pinned", "a pin with reason, by and until"),
        ("claim", "pin: {reason: x, by: y}, claim", "pin", "the field until"),
        ("claim", "pin: {reason: '', by: y, until: '2026-12-31'}, claim", "pin.reason", "not empty"),
        ("claim", "also_read: [{label: team}], claim", "also_read[0].label", "app.kubernetes.io/version"),
        ("claim", "also_read: [{}], claim", "also_read[0]", "the field label"),
        ("claim", "windows: [{version: '1.0', max_k8s: '1.37'}], claim", "windows[0].version", "bounds"),
        ("claim", "windows: [{version: '>=1.0'}], claim", "windows[0]", "a min_k8s, a max_k8s"),
        ("claim", "lifecycle: {status: retired}, claim", "lifecycle", "the replacement"),
        ("claim", "detection: {status: verified}, claim", "detection", "the place"),
        ("claim", "digests: {'sha256:a': 1.1}, claim", "digests.sha256:a", "a text in quotation marks"),
        ("claim", "witnesses: {image: [net]}, claim", "witnesses.image", "no field of that name"),
        ("claim", "witnesses: {images: net}, claim", "witnesses.images", "a list"),
        ("claim", "witnesses: {images: [a/b/net]}, claim", "witnesses.images[0]", "the last two"),
        ("claim", "witnesses: {images: ['net:v1']}, claim", "witnesses.images[0]", "without a tag"),
        ("claim", "witnesses: {images: [controller]}, claim", "witnesses.images[0]", "the last two"),
        ("claim", "witnesses: {names: [operator]}, claim", "witnesses.names[0]", "one project only"),
        ("claim", "witnesses: {part_of: ['']}, claim", "witnesses.part_of[0]", "one project only"),
        ("claim", "witnesses: {labels: [net]}, claim", "witnesses.labels[0]", "key=value"),
        ("claim", "witnesses: {labels: [component=controller]}, claim", "witnesses.labels[0]", "one project"),
        ("claim", "witnesses: {labels: [helm.sh/chart=net-1]}, claim", "witnesses.labels[0]", "own"),
        (
            "claim",
            "witnesses: {crd_groups: [gateway.networking.k8s.io]}, claim",
            "witnesses.crd_groups[0]",
            "no other project",
        ),
        (
            "claim",
            "witnesses: {crd_groups: [cilium.io]}, claim",
            "witnesses.crd_groups[0]",
            "no other project",
        ),
        ("claim", "witnesses: {crd_groups: [nets]}, claim", "witnesses.crd_groups[0]", "an API group"),
        ("claim", "witnesses: {webhooks: [webhook]}, claim", "witnesses.webhooks[0]", "one project only"),
        ("claim", "colour: red, claim", "colour", "no field of that name"),
    ] {
        assert_told(from, to, field, expected);
    }
}

/// Each of these was read once, and never counted.
#[test]
fn what_would_never_count_is_refused_with_its_field() {
    for (from, to, field, expected) in [
        ("claim", "digests: {v1.1: '1.1'}, claim", "digests.v1.1", "a digest such as"),
        ("claim", "digests: {v1.1: 1.1}, claim", "digests.v1.1", "a digest such as"),
        ("claim", "pin: , claim", "pin: found nothing", "a value, or no such field"),
        ("claim", "container: , claim", "container: found nothing", "a value, or no such field"),
        (
            r"'net:v(\d+\.\d+)'",
            r"'registry:5000/team/op:v(\d+\.\d+(?:\.\d+)?)'",
            "image_re",
            "without the registry",
        ),
        (
            "claim",
            "windows: [{version: '>=1.4 <1.3', max_k8s: '1.33'}], claim",
            "windows[0].version",
            "no version is within these bounds",
        ),
    ] {
        assert_told(from, to, field, expected);
    }
}

#[test]
fn of_too_many_mistakes_the_rest_is_counted() {
    let told = load(&vec![ROW.replace("tested", "x"); 130]).unwrap_err();
    assert_eq!(told.len(), 100);
    let rest = told.iter().filter(|it| it.contains("; 30 more mistakes follow")).collect::<Vec<_>>();
    assert!(rest.len() == 1 && rest[0] == &told[99], "{rest:?}");
}

#[test]
fn a_file_has_only_so_many_rows_as_their_patterns_have_room() {
    let of = |count| {
        let rows = (0..count).map(|n| ROW.replace("name: net", &format!("name: net-{n}")));
        load(&rows.collect::<Vec<_>>()).err().unwrap_or_default()
    };
    assert_eq!(of(1000), Vec::<String>::new());
    let told = of(1001);
    let is_told = told[0].contains("mine.yaml:4:3: addons: found a list of 1001, expected at most 1000");
    assert!(told.len() == 1 && is_told, "{told:#?}");
}

/// One that takes the place of another does not count twice.
#[test]
fn all_files_together_have_only_so_many_rows_too() {
    let known = Matrix::built_in().addons.value.0.len();
    let rows = |numbers: std::ops::Range<usize>| {
        let row = |n| format!("  - {}\n", ROW.replace("name: net", &format!("name: net-{n}")));
        let head = "schema: 2\nas_of: \"2026-08-22\"\naddons:\n".to_owned();
        numbers.map(row).fold(head, |text, row| text + &row)
    };
    let of = |last| {
        let all = [rows(0..1000), rows(500..1500), rows(1400..last)].join("---\n");
        Matrix::load(&[("mine.yaml", &all)]).err().unwrap_or_default()
    };
    assert_eq!(of(2000 - known), []);
    let told = of(2001 - known);
    let [mistake] = told.as_slice() else { panic!("{told:#?}") };
    assert!(mistake.field == "addons" && mistake.expected.contains("at most 2000"), "{mistake}");
}

/// What is known was once sorted anew for each release of a row: such a file kept a thread busy for seconds.
#[test]
fn a_row_with_as_many_releases_as_it_may_have_is_read() {
    let table = |minor: &str, first: usize| {
        let releases = (first..first + 500).map(|n| format!(r#""1.{n}": "{minor}""#));
        releases.collect::<Vec<_>>().join(", ")
    };
    let windows = (0..500).map(|n| format!("{{version: '>=2.{n} <2.{}', max_k8s: '1.36'}}", n + 1));
    let windows = windows.collect::<Vec<_>>().join(", ");
    let (min, max) = (table("1.30", 0), table("1.36", 0));
    let row = with(
        r#"max_k8s: {"1.0": "1.36"}"#,
        &format!("min_k8s: {{{min}}}, max_k8s: {{{max}}}, windows: [{windows}]"),
    );
    let known = load(&row).unwrap().addons.value.0;
    let support = &known.iter().find(|row| row.name == "net").unwrap().support;
    assert_eq!(support.known().len(), 1000);
    let minors = ["1.30", "1.36"].map(|minor| crate::words::version::Minor::parse(minor).unwrap());
    assert_eq!(support.fitting(&minors).count(), 1000);
}

#[test]
fn windows_that_contradict_each_other_are_refused() {
    let wide = "{version: '>=1.0', max_k8s: '1.40'}";
    for (one, other, is_fine) in [
        (wide, "{version: '>=1.0', max_k8s: '1.33'}", false),
        (wide, "{version: '>=1.3 <1.4', max_k8s: '1.33'}", false),
        (wide, "{version: '<=1.0', min_k8s: '1.33'}", false),
        (wide, "{version: '=1.7', max_k8s: '1.33'}", false),
        (wide, "{version: '>1.7.2', max_k8s: '1.40', claim: supported}", false),
        (wide, "{version: '>=1.5', max_k8s: '1.40'}", true),
        (wide, "{version: '<1.0', max_k8s: '1.33'}", true),
        ("{version: '>=1.0 <=1.1', max_k8s: '1.40'}", "{version: '>1.1', max_k8s: '1.41'}", true),
        ("{version: '>=1.0 <=1.1.0', max_k8s: '1.40'}", "{version: '>1.1.0', max_k8s: '1.41'}", true),
        ("{version: '>=1.0 <=1.1.1', max_k8s: '1.40'}", "{version: '>1.1.0', max_k8s: '1.41'}", false),
    ] {
        for windows in [format!("[{one}, {other}]"), format!("[{other}, {one}]")] {
            let loaded = load(&with("claim", &format!("windows: {windows}, claim")));
            let Err(told) = loaded else {
                assert!(is_fine, "{windows}");
                continue;
            };
            let is_told = told[0].contains("].windows") && told[0].contains("no other bounds");
            assert!(!is_fine && told.len() == 1 && is_told, "{windows}: {told:#?}");
        }
    }
}

#[test]
fn all_mistakes_of_all_rows_are_told_at_once() {
    let told = load(&[ROW.replace("tested", "x"), ROW.replace("1.36", "y"), ROW.to_owned(), ROW.to_owned()]);
    let told = told.unwrap_err();
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told[2].contains("addons[3]") && told[2].contains("one row for net"), "{told:#?}");
}

#[test]
fn a_later_row_takes_the_place_of_the_one_of_its_name() {
    let known = load(&with("name: net", "name: calico")).unwrap().addons.value.0;
    let built_in = Matrix::built_in().addons.value.0;
    assert_eq!(known.len(), built_in.len());
    let calico = known.iter().find(|row| row.name == "calico").unwrap();
    assert_eq!(calico.detection.namespace, "n");
    assert_eq!(load(&[ROW.to_owned()]).unwrap().addons.value.0.len(), built_in.len() + 1);
}

#[test]
fn a_new_file_makes_its_own_rows_young_and_no_others() {
    let text = format!("schema: 2\nas_of: \"2027-12-01\"\naddons:\n  - {ROW}\n");
    let addons = Matrix::load(&[("mine.yaml", &text)]).unwrap().addons;
    let now = "2027-12-24T00:00:00Z".parse().unwrap();
    assert!(addons.fresh(now).is_ok());
    for (name, is_young) in [("net", true), ("calico", false), ("ingress-nginx", true)] {
        let row = addons.value.0.iter().find(|row| row.name == name).unwrap();
        assert_eq!(addons.young(row, now).is_ok(), is_young, "{name}");
    }
    assert!(Matrix::built_in().addons.fresh(now).is_err());
}

#[test]
fn a_version_that_is_not_quoted_as_a_key_stays_what_is_written() {
    let known = load(&with(r#""1.0""#, "1.10")).unwrap().addons.value.0;
    let known = known.iter().find(|row| row.name == "net").unwrap().support.known();
    assert_eq!(known, [AddonVersion::new(1, 10, 0)]);
}

#[test]
fn where_either_list_says_nothing_yet_no_row_vouches() {
    for (from, to) in [("min_k8s", "max_k8s"), ("max_k8s", "min_k8s")] {
        let lists = format!(r#"{from}: {{"3.10": "1.36"}}, {to}: {{"3.30": "1.36"}}"#);
        let known = load(&with(r#"max_k8s: {"1.0": "1.36"}"#, &lists)).unwrap().addons.value.0;
        let support = &known.iter().find(|row| row.name == "net").unwrap().support;
        for (version, is_older) in [("3.9", true), ("3.10", true), ("3.29.9", true), ("3.30", false)] {
            let found = support.of(version.parse().unwrap());
            assert_eq!(found == Coverage::Older, is_older, "{lists}: {version}");
        }
    }
}

#[test]
fn each_floor_holds_until_the_next_and_a_window_overrides_it() {
    let row = with(
        r#"max_k8s: {"1.0": "1.36"}"#,
        r#"min_k8s: {"1.2": "1.31", "1.0": "1.30"}, max_k8s: {"1.10": "1.37", "1.0": "1.34", "1.9": "1.36"}, windows: [{version: ">=1.9.3 <1.10", max_k8s: "1.37"}]"#,
    );
    let known = load(&row).unwrap().addons.value.0;
    let support = &known.iter().find(|row| row.name == "net").unwrap().support;
    for (version, expected) in [
        ("0.9", None),
        ("1.0", Some(("1.30", "1.34"))),
        ("1.8.7", Some(("1.31", "1.34"))),
        ("1.9.2", Some(("1.31", "1.36"))),
        ("1.9.3", Some(("1.31", "1.37"))),
        ("1.10.9", Some(("1.31", "1.37"))),
        ("1.11", None),
    ] {
        let found = match support.of(version.parse().unwrap()) {
            Coverage::Known(fit) => Some((fit.min.unwrap().to_string(), fit.max.unwrap().to_string())),
            Coverage::Older | Coverage::Newer => None,
        };
        let expected = expected.map(|(min, max)| (min.to_owned(), max.to_owned()));
        assert_eq!(found, expected, "{version}");
    }
}

/// A project that counts some of its releases by years: what is known of the one says nothing of the other.
#[test]
fn releases_that_are_counted_in_two_ways_are_known_apart() {
    let row = with(
        r#"max_k8s: {"1.0": "1.36"}"#,
        r#"max_k8s: {"2.19": "1.35", "2.20": "1.36", "23.1.1": "1.29", "25.4": "1.34"}"#,
    );
    let known = load(&row).unwrap().addons.value.0;
    let support = &known.iter().find(|row| row.name == "net").unwrap().support;
    for (version, expected, newest) in [
        ("1.9", "older", "2.20.0"),
        ("2.20.3", "1.36", "2.20.0"),
        ("2.21", "newer", "2.20.0"),
        ("3.0", "newer", "2.20.0"),
        ("18.7.1", "older", "25.4.0"),
        ("22.12.1", "older", "25.4.0"),
        ("24.2.4", "1.29", "25.4.0"),
        ("25.5", "newer", "25.4.0"),
        ("2026.1", "newer", "25.4.0"),
    ] {
        let version = version.parse().unwrap();
        let found = match support.of(version) {
            Coverage::Known(fit) => fit.max.unwrap().to_string(),
            Coverage::Older => "older".to_owned(),
            Coverage::Newer => "newer".to_owned(),
        };
        assert_eq!(found, expected, "{version}");
        assert_eq!(support.newest_like(version).unwrap().to_string(), newest, "{version}");
    }
    // One that has gone over to years knows no release that is counted as the old ones were.
    let row = with(r#"{"1.0": "1.36"}"#, r#"{"25.10": "1.36"}"#);
    let known = load(&row).unwrap().addons.value.0;
    let support = &known.iter().find(|row| row.name == "net").unwrap().support;
    assert_eq!(support.of("1.11.1".parse().unwrap()), Coverage::Older);
}

/// Of old releases a vendor may state a newest minor, and of new ones none.
#[test]
fn a_window_ends_where_the_vendor_declares_no_newest_minor() {
    let row = with(
        r#"max_k8s: {"1.0": "1.36"}"#,
        r#"min_k8s: {"0.3": "1.8", "0.4": "1.8"}, windows: [{version: ">=0.3 <0.4", max_k8s: "1.21"}], no_declared_ceiling: true"#,
    );
    let known = load(&row).unwrap().addons.value.0;
    let support = &known.iter().find(|row| row.name == "net").unwrap().support;
    for (version, max) in [("0.3.7", Some("1.21")), ("0.4.1", None)] {
        let Coverage::Known(fit) = support.of(version.parse().unwrap()) else { panic!("{version}") };
        assert_eq!(fit.max.map(|max| max.to_string()).as_deref(), max, "{version}");
    }
    // Where windows are all that it declares, nothing is said of a release outside them.
    let row = with(
        r#"max_k8s: {"1.0": "1.36"}"#,
        r#"min_k8s: {"0.3": "1.8", "0.4": "1.8"}, windows: [{version: ">=0.3 <0.4", max_k8s: "1.21"}]"#,
    );
    let known = load(&row).unwrap().addons.value.0;
    let support = &known.iter().find(|row| row.name == "net").unwrap().support;
    assert_eq!(support.of("0.4.1".parse().unwrap()), Coverage::Older);
}

#[test]
fn every_witness_is_read_as_it_is_written() {
    let row = with(
        "claim",
        "witnesses: {images: [net, x/node], not_images: [y/x/node], names: [net], part_of: [nets], charts: [net], labels: [app=net], not_labels: [app=net-tools], crd_groups: [net.io, nodes.shared.io], webhooks: [hook.net.io]}, claim",
    );
    let known = load(&row).unwrap().addons.value.0;
    let witnesses = &known.iter().find(|row| row.name == "net").unwrap().detection.witnesses;
    let Witnesses { images, not_images, names, part_of, charts, labels, not_labels, crd_groups, webhooks } =
        witnesses;
    let all = [images, not_images, names, part_of, charts, crd_groups, webhooks];
    let all = all.map(|names| names.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
    assert_eq!(
        all,
        ["net x/node", "y/x/node", "net", "nets", "net", "net.io nodes.shared.io", "hook.net.io"]
    );
    assert_eq!(labels.iter().collect::<Vec<_>>(), [&("app".to_owned(), "net".to_owned())]);
    assert_eq!(not_labels.iter().collect::<Vec<_>>(), [&("app".to_owned(), "net-tools".to_owned())]);
    assert!(witnesses.has_of_cluster());
    let none = load(&[ROW.to_owned()]).unwrap().addons.value.0;
    let none = &none.iter().find(|row| row.name == "net").unwrap().detection.witnesses;
    assert!(*none == Witnesses::default() && !none.has_of_cluster());
}

/// Two that own one group: of what is left behind nobody could say whose it is.
#[test]
fn no_two_built_in_rows_own_one_name() {
    let rows = Matrix::built_in().addons.value.0;
    let mut owners = std::collections::BTreeMap::new();
    for row in &rows {
        let Witnesses { images, names, charts, crd_groups, webhooks, .. } = &row.detection.witnesses;
        for name in [
            ("image", images),
            ("name", names),
            ("chart", charts),
            ("group", crd_groups),
            ("webhook", webhooks),
        ]
        .into_iter()
        .flat_map(|(what, names)| names.iter().map(move |name| (what, name)))
        {
            let other = owners.insert(name, &row.name);
            assert_eq!(other, None, "{name:?} is of {}", row.name);
        }
    }
}
