use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::{
    Addon, AddonVersion, Addons, Agree, CeilingRaisedBy, Claim, Coverage, Detection, Floors, IfAbsent,
    ImagePattern, Lifecycle, Pin, Reading, Requires, Support, VersionRange, Window,
};
use crate::inventory::{Workload, WorkloadKind};
use crate::matrix::hand::{Fields, Hand};
use crate::matrix::{Section, date, minor, source};
use crate::version::Minor;

/// How many versions or windows a row may name: far more than any project has lines of releases.
const FLOORS_MAX: usize = 500;

impl Section for Addons {
    const KEY: &'static str = "addons";

    fn read(hand: &Hand<'_>) -> Option<Self> {
        let mut names = BTreeSet::new();
        let mut read = |hand: &Hand<'_>| {
            let addon = addon(hand)?;
            let is_new = names.insert(addon.name.clone());
            if !is_new {
                hand.wrong(format!("one row for {}", addon.name));
            }
            is_new.then_some(addon)
        };
        hand.list()?.iter().map(&mut read).collect::<Vec<_>>().into_iter().collect::<Option<_>>().map(Self)
    }

    const ROWS_ARE_DATED: bool = true;

    fn date(mut self, as_of: Option<Date>) -> Self {
        for row in &mut self.0 {
            row.as_of = row.as_of.or(as_of);
        }
        self
    }

    /// Row by row: a later file's row takes the place of the one of its name.
    fn join(mut self, later: Self) -> Self {
        for row in later.0 {
            match self.0.iter_mut().find(|known| known.name == row.name) {
                Some(known) => *known = row,
                None => self.0.push(row),
            }
        }
        self
    }
}

/// A field that may be left out: nothing only if what is there is wrong.
fn optional<'a, T>(
    fields: &Fields<'a>,
    name: &str,
    read: impl FnOnce(&Hand<'a>) -> Option<T>,
) -> Option<Option<T>> {
    fields.optional(name).map_or(Some(None), |hand| read(&hand).map(Some))
}

fn required<T>(fields: &Fields<'_>, name: &str, read: impl FnOnce(&Hand<'_>) -> Option<T>) -> Option<T> {
    fields.required(name).and_then(|hand| read(&hand))
}

fn text(hand: &Hand<'_>) -> Option<String> {
    hand.parsed("a text that is not empty", |text| (!text.trim().is_empty()).then(|| text.to_owned()))
}

fn addon(hand: &Hand<'_>) -> Option<Addon> {
    let fields = hand.fields()?;
    let name = required(&fields, "name", text);
    let detection = detection(&fields);
    let support = support(&fields);
    let requires = optional(&fields, "requires", requires);
    let ceiling_raised_by = optional(&fields, "ceiling_raised_by", |hand| {
        hand.one_of(&[("release", CeilingRaisedBy::Release), ("docs", CeilingRaisedBy::Docs)])
    });
    let lifecycle = optional(&fields, "lifecycle", lifecycle);
    let pin = pin(&fields);
    let source = required(&fields, "source", source);
    let as_of = optional(&fields, "as_of", date);
    fields.finish();
    Some(Addon {
        name: name?,
        detection: detection?,
        support: support?,
        requires: requires?.unwrap_or_default(),
        ceiling_raised_by: ceiling_raised_by?.unwrap_or(CeilingRaisedBy::Release),
        lifecycle: lifecycle?.unwrap_or(Lifecycle::Active),
        pin: pin?,
        source: source?,
        as_of: as_of?,
    })
}

fn detection(fields: &Fields<'_>) -> Option<Detection> {
    let kinds = [
        ("deploy", WorkloadKind::Deployment),
        ("ds", WorkloadKind::DaemonSet),
        ("sts", WorkloadKind::StatefulSet),
    ];
    let kind = required(fields, "kind", |hand| hand.one_of(&kinds));
    let namespace = required(fields, "namespace", text);
    let resource = required(fields, "resource", text);
    let image = required(fields, "image_re", image);
    let container = optional(fields, "container", text);
    let init_containers = optional(fields, "init_containers", Hand::bool);
    let if_absent = optional(fields, "if_absent", |hand| {
        hand.one_of(&[
            ("unknown", IfAbsent::Unknown),
            ("not-applicable", IfAbsent::NotApplicable),
            ("required", IfAbsent::Required),
        ])
    });
    let also_read = optional(fields, "also_read", readings);
    let agree = optional(fields, "agree", |hand| hand.one_of(&[("any", Agree::Any), ("all", Agree::All)]));
    let digests = optional(fields, "digests", digests);
    let verified = optional(fields, "detection", verified);
    let (image, also_read) = (image?, also_read?.unwrap_or_default());
    if image.is_none() && !also_read.iter().any(|reading| matches!(reading, Reading::Label(_))) {
        fields.hand().wrong("an image_re, or a label in also_read, to read the version from");
        return None;
    }
    Some(Detection {
        kind: kind?,
        namespace: namespace?,
        resource: resource?,
        image,
        container: container?,
        init_containers: init_containers?.unwrap_or(false),
        if_absent: if_absent?.unwrap_or(IfAbsent::Unknown),
        also_read,
        agree: agree?.unwrap_or(Agree::Any),
        digests: digests?.unwrap_or_default(),
        verified: verified?.flatten(),
    })
}

/// A pattern, compiled now: one that cannot be used must not become one that never matches.
fn image(hand: &Hand<'_>) -> Option<Option<ImagePattern>> {
    let text = hand.text()?;
    if text.is_empty() {
        return Some(None);
    }
    match ImagePattern::new(text) {
        Ok(pattern) => Some(Some(pattern)),
        Err(why) => {
            hand.wrong(format!("a pattern with a group for the version: {why}"));
            None
        }
    }
}

fn readings(hand: &Hand<'_>) -> Option<Vec<Reading>> {
    let labels = Workload::LABELS.map(|label| (label, label));
    let reading = |hand: &Hand<'_>| {
        let fields = hand.fields()?;
        let label = optional(&fields, "label", |hand| hand.one_of(&labels));
        let chart = optional(&fields, "helm_chart", text);
        let query = optional(&fields, "promql", text);
        fields.finish();
        match (label?, chart?, query?) {
            (Some(label), None, None) => Some(Reading::Label(label.to_owned())),
            (None, Some(chart), None) => Some(Reading::HelmChart(chart)),
            (None, None, Some(query)) => Some(Reading::Promql(query)),
            _ => {
                hand.wrong("one of label, helm_chart, promql");
                None
            }
        }
    };
    hand.list()?.iter().map(reading).collect::<Vec<_>>().into_iter().collect()
}

fn digests(hand: &Hand<'_>) -> Option<BTreeMap<String, AddonVersion>> {
    let entry = |(digest, hand): (&str, Hand<'_>)| Some((digest.to_owned(), version(&hand)?));
    hand.entries()?.into_iter().map(entry).collect::<Vec<_>>().into_iter().collect()
}

fn verified(hand: &Hand<'_>) -> Option<Option<String>> {
    let fields = hand.fields()?;
    let is_verified =
        required(&fields, "status", |hand| hand.one_of(&[("verified", true), ("unverified", false)]));
    let place = optional(&fields, "place", source);
    fields.finish();
    match (is_verified?, place?) {
        (true, None) => {
            hand.wrong("the place of what was looked at");
            None
        }
        (true, place) => Some(place),
        (false, _) => Some(None),
    }
}

fn version(hand: &Hand<'_>) -> Option<AddonVersion> {
    hand.parsed("a version such as \"3.30\" or \"3.30.1\"", |text| text.parse().ok())
}

fn support(fields: &Fields<'_>) -> Option<Support> {
    let min = optional(fields, "min_k8s", floors);
    let max = optional(fields, "max_k8s", floors);
    let no_ceiling = optional(fields, "no_declared_ceiling", Hand::bool);
    let windows = optional(fields, "windows", |hand| {
        let windows = hand.list()?;
        if windows.len() > FLOORS_MAX {
            hand.wrong(format!("at most {FLOORS_MAX} windows"));
            return None;
        }
        windows.iter().map(window).collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()
    });
    let claim = required(fields, "claim", |hand| hand.one_of(&Claim::WORDS));
    let max = max?.unwrap_or_default();
    let windows = windows?.unwrap_or_default();
    let support = Support { min: min?.unwrap_or_default(), max, windows, claim: claim? };
    if support.has_ceiling() == no_ceiling?.unwrap_or(false) {
        fields.hand().wrong("either max_k8s or no_declared_ceiling: true");
        return None;
    }
    is_consistent(&support, fields.hand()).then_some(support)
}

/// Every known release has a window that is not empty.
fn is_consistent(support: &Support, hand: &Hand<'_>) -> bool {
    let known = support.known();
    if known.is_empty() {
        hand.wrong("a version in min_k8s, max_k8s or windows");
        return false;
    }
    let upside_down = known.into_iter().find(|version| match support.of(*version) {
        Coverage::Known(fit) => fit.min.zip(fit.max).is_some_and(|(min, max)| max < min),
        Coverage::Older | Coverage::Newer => false,
    });
    if let Some(version) = upside_down {
        hand.wrong(format!("a newest minor that is not older than the oldest one, for {version}"));
    }
    upside_down.is_none()
}

fn floors(hand: &Hand<'_>) -> Option<Floors> {
    let entries = hand.entries()?;
    if entries.len() > FLOORS_MAX {
        hand.wrong(format!("at most {FLOORS_MAX} versions"));
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut floor = |(key, hand): (&str, Hand<'_>)| -> Option<(AddonVersion, Minor)> {
        let minor = minor(&hand);
        let Ok(version) = key.parse::<AddonVersion>() else {
            hand.wrong(format!("a version such as \"3.30\" as its key, not {key:?}"));
            return None;
        };
        if !seen.insert(version) {
            hand.wrong(format!("{version} once"));
            return None;
        }
        Some((version, minor?))
    };
    let read: Vec<_> = entries.into_iter().map(&mut floor).collect();
    read.into_iter().collect::<Option<Vec<_>>>().map(Floors::new)
}

fn window(hand: &Hand<'_>) -> Option<Window> {
    let fields = hand.fields()?;
    let versions = required(&fields, "version", |hand| {
        hand.parsed("bounds such as \">=3.28.4 <3.29\"", |text| text.parse::<VersionRange>().ok())
    });
    let min = optional(&fields, "min_k8s", minor);
    let max = optional(&fields, "max_k8s", minor);
    let claim = optional(&fields, "claim", |hand| hand.one_of(&Claim::WORDS));
    let note = optional(&fields, "note", text);
    fields.finish();
    note?;
    let (min, max) = (min?, max?);
    if min.is_none() && max.is_none() {
        hand.wrong("a min_k8s, a max_k8s, or both");
        return None;
    }
    Some(Window { versions: versions?, min, max, claim: claim? })
}

fn requires(hand: &Hand<'_>) -> Option<Requires> {
    let fields = hand.fields()?;
    let kernel = optional(&fields, "kernel", text);
    let os_table = optional(&fields, "os_table", Hand::bool);
    fields.finish();
    Some(Requires { kernel: kernel?, os_table: os_table?.unwrap_or(false) })
}

fn lifecycle(hand: &Hand<'_>) -> Option<Lifecycle> {
    let fields = hand.fields()?;
    let is_retired = required(&fields, "status", |hand| hand.one_of(&[("active", false), ("retired", true)]));
    let retired_on = optional(&fields, "retired_on", text);
    let replacement = optional(&fields, "replacement", text);
    fields.finish();
    retired_on?;
    match (is_retired?, replacement?) {
        (false, _) => Some(Lifecycle::Active),
        (true, Some(replacement)) => Some(Lifecycle::Retired { replacement }),
        (true, None) => {
            hand.wrong("the replacement of what is retired");
            None
        }
    }
}

/// A pin names who wants it, why, and until when: one without an end is forgotten.
fn pin(fields: &Fields<'_>) -> Option<Option<Pin>> {
    let pinned = fields.optional("pinned").map(|hand| (hand.bool(), hand));
    let old_reason = optional(fields, "pin_reason", |hand| hand.text().map(str::to_owned));
    let pin = optional(fields, "pin", |hand| {
        let fields = hand.fields()?;
        let reason = required(&fields, "reason", text);
        let by = required(&fields, "by", text);
        let until = required(&fields, "until", date);
        fields.finish();
        Some(Pin { reason: reason?, by: by?, until: until? })
    });
    let (pin, _) = (pin?, old_reason?);
    match pinned {
        Some((None, _)) => None,
        Some((Some(true), hand)) if pin.is_none() => {
            hand.wrong("a pin with reason, by and until beside it");
            None
        }
        Some((Some(false), _)) => Some(None),
        Some((Some(true), _)) | None => Some(pin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;

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

    #[test]
    fn s13_s14_s30_every_mistake_of_a_row_is_told_with_its_field() {
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
            (r"'net:v(\d+\.\d+)'", r"'net:v\d+'", "image_re", "no group"),
            (r"'net:v(\d+\.\d+)'", r"'(?<=net:)v(\d+)'", "image_re", "look-around"),
            (r"'net:v(\d+\.\d+)'", "''", "addons[0]", "or a label in also_read"),
            ("kind: ds", "kind: pod", "kind", "one of deploy, ds, sts"),
            ("claim", "pinned: \"false\", claim", "pinned", "true or false"),
            ("claim", "pinned: true, claim", "pinned", "a pin with reason, by and until"),
            ("claim", "pin: {reason: x, by: y}, claim", "pin", "the field until"),
            ("claim", "pin: {reason: '', by: y, until: '2026-12-31'}, claim", "pin.reason", "not empty"),
            ("claim", "also_read: [{label: team}], claim", "also_read[0].label", "app.kubernetes.io/version"),
            ("claim", "also_read: [{}], claim", "also_read[0]", "one of label, helm_chart, promql"),
            ("claim", "windows: [{version: '1.0', max_k8s: '1.37'}], claim", "windows[0].version", "bounds"),
            ("claim", "windows: [{version: '>=1.0'}], claim", "windows[0]", "a min_k8s, a max_k8s"),
            ("claim", "lifecycle: {status: retired}, claim", "lifecycle", "the replacement"),
            ("claim", "detection: {status: verified}, claim", "detection", "the place"),
            ("claim", "digests: {a: 1.1}, claim", "digests.a", "a text in quotation marks"),
            ("claim", "colour: red, claim", "colour", "no field of that name"),
        ] {
            let told = load(&with(from, to)).unwrap_err();
            let is_told = |it: &&String| it.contains(field) && it.contains(expected);
            assert!(told.len() == 1 && told.iter().any(|it| is_told(&it)), "{to}: {told:#?}");
        }
    }

    #[test]
    fn all_mistakes_of_all_rows_are_told_at_once() {
        let told =
            load(&[ROW.replace("tested", "x"), ROW.replace("1.36", "y"), ROW.to_owned(), ROW.to_owned()]);
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
}
