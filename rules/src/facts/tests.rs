use super::*;

fn mistakes(text: &str) -> Vec<String> {
    Matrix::load(&[("mine.yaml", text)]).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_built_in_can_be_read_and_has_every_section() {
    let matrix = Matrix::load(&[]).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let Matrix {
        releases,
        runtimes,
        kernels,
        cgroup_v1,
        etcd,
        components,
        removed_apis,
        volume_plugins,
        risks: _,
        addons,
        policy: _,
        accept: _,
        files,
        older,
        refused,
    } = &matrix;
    assert!(files.len() == BUILT_IN.len() && older.is_empty() && refused.is_empty());
    assert!(cgroup_v1.value.fails_from.is_some() && cgroup_v1.as_of.is_some());
    assert!(!components.value.gates.is_empty() && components.as_of.is_some());
    assert!(!addons.value.0.is_empty() && addons.as_of.is_some());
    assert!(!releases.value.0.is_empty() && releases.as_of.is_some());
    assert!(!runtimes.value.containerd.recommended.is_empty() && runtimes.as_of.is_some());
    assert!(!kernels.value.branches.is_empty() && !etcd.value.0.is_empty());
    assert!(!removed_apis.value.kinds.is_empty() && removed_apis.as_of.is_some());
    assert!(!volume_plugins.value.0.is_empty() && volume_plugins.as_of.is_some());
}

#[test]
fn no_file_makes_the_rows_of_another_one_young() {
    let file = |days: &str| format!("schema: 2\nas_of: \"2026-11-20\"\n{days}addons: []\nrisks: []\n");
    let allowed = |texts: &[&str]| {
        let files: Vec<_> = texts.iter().map(|days| ("mine.yaml", file(days))).collect();
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let matrix = Matrix::load(&files).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        (matrix.addons.max_age_days, matrix.risks.max_age_days)
    };
    let (long, short) = ("max_age_days: 3650\n", "max_age_days: 30\n");
    // No risk is built in: the first file's stand alone.
    assert_eq!(allowed(&[long]), (MAX_AGE_DAYS, 3650));
    assert_eq!(allowed(&[short]), (30, 30));
    assert_eq!(allowed(&[short, ""]), (30, 30));
    assert_eq!(allowed(&[short, long]), (30, 30));
}

#[test]
fn every_section_of_facts_tells_its_age() {
    let ages = Matrix::built_in().ages();
    assert_eq!(ages.len(), 9);
    assert!(ages.iter().all(|age| age.as_of.is_some() && age.max_age_days > 0), "{ages:?}");
    assert!(Matrix::default().ages().iter().all(|age| age.as_of.is_none()));
}

#[test]
fn a_section_that_is_replaced_is_as_old_as_its_file_and_may_not_be_of_the_future() {
    let now: Timestamp = "2027-06-01T00:00:00Z".parse().unwrap();
    assert!(Matrix::built_in().releases.fresh(now).is_err(), "too old by then");
    let releases = include_str!("../../data/releases.yaml");
    let of = |day: &str| {
        let line = releases.lines().find(|line| line.starts_with("as_of:")).unwrap();
        let text = releases.replace(line, &format!("as_of: \"{day}\""));
        Matrix::load(&[("mine.yaml", &text)]).unwrap().releases
    };
    let newer = of("2027-05-31");
    assert_eq!((newer.file.as_str(), newer.fresh(now).is_ok()), ("mine.yaml", true));
    assert!(of("2027-06-02").fresh(now).is_ok(), "it is tomorrow somewhere");
    let typo = of("2072-05-31").fresh(now).unwrap_err();
    assert!(typo.reason == Reason::MatrixStale && typo.detail.contains("a day to come"), "{typo}");
}

#[test]
fn a_file_says_what_it_is_and_how_old() {
    assert_eq!(
        mistakes("{}"),
        [
            "mine.yaml:1:1: the file: found no schema, expected the field schema",
            "mine.yaml:1:1: the file: found no as_of, expected the field as_of"
        ]
    );
    assert_eq!(
        mistakes("schema: 3\nas_of: 2026-13-01\nrelease: []\n"),
        [
            "mine.yaml:1:9: schema: found the number 3, expected 2, the only schema of this version",
            "mine.yaml:2:8: as_of: found the text \"2026-13-01\", expected a day such as \"2026-08-11\"",
            "mine.yaml:3:1: release: found the field release, expected no field of that name"
        ]
    );
}

#[test]
fn a_key_without_a_value_is_refused() {
    let file = |text: &str| mistakes(&format!("schema: 2\nas_of: \"2026-11-30\"\n{text}"));
    let accept =
        "accept: [{check: addons, subject: our-op, reason: , why: tested, by: ops, until: \"2026-12-30\"}]\n";
    let value = "expected a value, or no such field";
    assert_eq!(file(accept), [format!("mine.yaml:3:43: accept[0].reason: found nothing, {value}")]);
    assert_eq!(file("addons:\n"), [format!("mine.yaml:3:1: addons: found nothing, {value}")]);
    assert_eq!(mistakes("schema: 2\nas_of:\n"), [format!("mine.yaml:2:1: as_of: found nothing, {value}")]);
}

#[test]
fn a_day_is_a_day_and_nothing_more() {
    for day in ["2026-12-01T00:30+14:00", "20261130", "2026-12-30T08:00", "2026-12-1", "+002026-12-01"] {
        let told = mistakes(&format!("schema: 2\nas_of: \"{day}\"\n"));
        let [told] = told.as_slice() else { panic!("{day}: {told:#?}") };
        assert!(told.contains("mine.yaml:2:8: as_of: ") && told.contains("a day such as"), "{day}: {told}");
    }
}

/// The order of the file would decide between them.
#[test]
fn no_row_is_named_twice() {
    let source = "source: \"https://example.com/a-page\"";
    for (name, row) in [
        ("releases.yaml releases", "minor: \"1.36\", end_of_life: \"2030-01-01\""),
        ("nodes.yaml recommended", "kubernetes: \"1.36\", releases: [\"2.1.3\"]"),
        ("nodes.yaml hard", "from: \"1.38\", release: \"1.6.0\""),
        ("nodes.yaml etcd", "target_from: \"1.37\", release: \"3.5.0\""),
        ("components.yaml gates", "minor: \"1.37\", removed: [], locked: {}"),
        ("components.yaml admission_plugins", "name: JobValidation, removed: \"1.37\""),
        ("components.yaml formats", "name: v1beta3, removed: \"1.40\""),
        ("volume-plugins.yaml volume_plugins", "plugin: gitRepo, removed: \"1.40\""),
    ] {
        let (file, list) = name.split_once(' ').unwrap();
        let (_, built_in) = BUILT_IN.iter().find(|(name, _)| *name == file).unwrap();
        let line = built_in.lines().find(|line| line.trim_start() == format!("{list}:")).unwrap();
        let below = built_in.split_once(&format!("{line}\n")).unwrap().1;
        let indent = below.len() - below.trim_start_matches(' ').len();
        let row = format!("{line}\n{}- {{{row}, {source}}}\n", " ".repeat(indent));
        let told = mistakes(&built_in.replacen(&format!("{line}\n"), &row, 1));
        let [told] = told.as_slice() else { panic!("{name}: {told:#?}") };
        assert!(
            told.contains("expected one row for ") || told.contains("expected one floor from "),
            "{told}"
        );
    }
}

#[test]
fn a_list_of_wishes_or_dangers_is_counted_over_all_files() {
    let accept = |n| format!("{{check: addons, subject: a-{n}, why: w, by: b, until: \"2026-12-30\"}}");
    let risk = |n| {
        format!("{{name: r-{n}, why: w, to: \">=1.37\", severity: note, source: \"https://example.com/r\"}}")
    };
    let file = |key: &str, rows: Vec<String>| {
        format!("schema: 2\nas_of: \"2026-11-30\"\n{key}: [{}]\n", rows.join(", "))
    };
    for (key, max, row) in [("accept", 100, &accept as &dyn Fn(usize) -> String), ("risks", 50, &risk)] {
        let two = |last: usize| {
            let [one, other] = [0..max, max / 2..last].map(|numbers| file(key, numbers.map(row).collect()));
            Matrix::load(&[("mine.yaml", &format!("{one}---\n{other}"))])
        };
        assert!(two(max).is_ok(), "{key}");
        let told = two(max + 1).unwrap_err();
        let [mistake] = told.as_slice() else { panic!("{told:#?}") };
        assert!(mistake.field == key && mistake.expected.contains(&format!("at most {max}")), "{mistake}");
    }
}

#[test]
fn a_file_of_facts_is_known_by_its_schema_even_where_it_is_broken() {
    for (text, expected) in [
        ("schema: 2\n", true),
        ("{\"schema\": 3}", true),
        ("as_of: 1\nschema: 2\nschema: 2\n", true),
        ("{\"schema\": 2,", true),
        ("{\"addons\": [{\"schema\": 2}]}", false),
        ("{\"addons\": [], \"addons\": []}", false),
        ("[]", false),
        ("", false),
    ] {
        assert_eq!(has_schema(text), expected, "{text}");
    }
}

#[test]
fn old_facts_say_nothing() {
    let part =
        Part { file: "f".to_owned(), as_of: Some(Date::constant(2026, 8, 11)), max_age_days: 10, value: () };
    for (now, is_fresh) in [("2026-08-21T00:00:00Z", true), ("2026-08-21T00:00:01Z", false)] {
        assert_eq!(part.fresh(now.parse().unwrap()).is_ok(), is_fresh, "{now}");
    }
    assert!(Part::<()>::default().fresh("2026-08-21T00:00:00Z".parse().unwrap()).is_err());
}
