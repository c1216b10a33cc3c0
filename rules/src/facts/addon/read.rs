use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::{
    Addon, AddonVersion, Addons, Agree, CeilingRaisedBy, Claim, Coverage, Detection, Floors, IfAbsent,
    ImagePattern, Kernel, Lifecycle, Pin, Requires, Support, VersionRange, Window, witnesses,
};
use crate::cluster::inventory::{Workload, WorkloadKind};
use crate::facts::hand::{Fields, Hand};
use crate::facts::older::Replaced;
use crate::facts::{Section, date, minor, source};
use crate::words::version::Minor;

pub(super) const KINDS: [(&str, WorkloadKind); 3] = [
    ("deploy", WorkloadKind::Deployment),
    ("ds", WorkloadKind::DaemonSet),
    ("sts", WorkloadKind::StatefulSet),
];
pub(super) const IF_ABSENT: [(&str, IfAbsent); 3] = [
    ("unknown", IfAbsent::Unknown),
    ("not-applicable", IfAbsent::NotApplicable),
    ("required", IfAbsent::Required),
];
pub(super) const AGREE: [(&str, Agree); 2] = [("any", Agree::Any), ("all", Agree::All)];
pub(super) const RAISED_BY: [(&str, CeilingRaisedBy); 2] =
    [("release", CeilingRaisedBy::Release), ("docs", CeilingRaisedBy::Docs)];
/// Whether kubeadm upgrades it.
pub(super) const UPGRADED_BY: [(&str, bool); 2] = [("people", false), ("kubeadm", true)];
/// Whether it is verified.
pub(super) const VERIFIED: [(&str, bool); 2] = [("verified", true), ("unverified", false)];
/// Whether it is retired.
pub(super) const LIFECYCLE: [(&str, bool); 2] = [("active", false), ("retired", true)];

/// How many rows a file may have: with the bound of each pattern, this is what they may take of memory.
const ADDONS_MAX: usize = 1000;
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
        let rows = hand.list()?;
        if rows.len() > ADDONS_MAX {
            hand.wrong(format!("at most {ADDONS_MAX} add-ons"));
            return None;
        }
        rows.iter().map(&mut read).collect::<Vec<_>>().into_iter().collect::<Option<_>>().map(Self)
    }

    fn schema() -> serde_json::Value {
        super::schema::addons()
    }

    const ROWS_ARE_DATED: bool = true;

    fn date(mut self, as_of: Option<Date>) -> Self {
        for row in &mut self.0 {
            row.as_of = row.as_of.or(as_of);
        }
        self
    }

    fn replaced(&self, later: &Self) -> Vec<Replaced> {
        let replaced = |row: &Addon| {
            let known = self.0.iter().find(|known| known.name == row.name)?;
            let is_same = *known == Addon { as_of: known.as_of, ..row.clone() };
            (!is_same).then(|| Replaced { row: Some(row.name.clone()), was: known.as_of, is: row.as_of })
        };
        later.0.iter().filter_map(replaced).collect()
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
    let ceiling_raised_by = optional(&fields, "ceiling_raised_by", |hand| hand.one_of(&RAISED_BY));
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
    let kind = required(fields, "kind", |hand| hand.one_of(&KINDS));
    let namespace = required(fields, "namespace", text);
    let resource = required(fields, "resource", text);
    let of_kubeadm = optional(fields, "upgraded_by", |hand| hand.one_of(&UPGRADED_BY));
    let image = required(fields, "image_re", image);
    let container = optional(fields, "container", text);
    let witnesses = optional(fields, "witnesses", witnesses::read);
    let init_containers = optional(fields, "init_containers", Hand::bool);
    let if_absent = optional(fields, "if_absent", |hand| hand.one_of(&IF_ABSENT));
    let also_read = optional(fields, "also_read", readings);
    let agree = optional(fields, "agree", |hand| hand.one_of(&AGREE));
    let digests = optional(fields, "digests", digests);
    let verified = optional(fields, "detection", verified);
    let (image, also_read) = (image?, also_read?.unwrap_or_default());
    if image.is_none() && also_read.is_empty() {
        fields.hand().wrong("an image_re, or a label in also_read, to read the version from");
        return None;
    }
    Some(Detection {
        kind: kind?,
        namespace: namespace?,
        resource: resource?,
        of_kubeadm: of_kubeadm?.unwrap_or(false),
        image,
        container: container?,
        witnesses: witnesses?.unwrap_or_default(),
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

fn readings(hand: &Hand<'_>) -> Option<Vec<String>> {
    let labels = Workload::LABELS.map(|label| (label, label));
    let reading = |hand: &Hand<'_>| {
        let fields = hand.fields()?;
        let label = required(&fields, "label", |hand| hand.one_of(&labels));
        fields.finish();
        label.map(str::to_owned)
    };
    hand.list()?.iter().map(reading).collect::<Vec<_>>().into_iter().collect()
}

fn digests(hand: &Hand<'_>) -> Option<BTreeMap<String, AddonVersion>> {
    let entry = |(digest, hand): (&str, Hand<'_>)| Some((digest.to_owned(), version(&hand)?));
    hand.entries()?.into_iter().map(entry).collect::<Vec<_>>().into_iter().collect()
}

fn verified(hand: &Hand<'_>) -> Option<Option<String>> {
    let fields = hand.fields()?;
    let is_verified = required(&fields, "status", |hand| hand.one_of(&VERIFIED));
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
        let windows: Vec<_> = windows.iter().map(window).collect();
        windows.into_iter().collect::<Option<Vec<_>>>().filter(|windows| is_unambiguous(windows, hand))
    });
    let claim = required(fields, "claim", |hand| hand.one_of(&Claim::WORDS));
    let max = max?.unwrap_or_default();
    let windows = windows?.unwrap_or_default();
    let has_ceiling = !no_ceiling?.unwrap_or(false);
    let is_stated = !max.is_empty() || windows.iter().any(|window| window.max.is_some());
    let is_contradicted = !has_ceiling && !max.is_empty();
    let support = Support { min: min?.unwrap_or_default(), max, has_ceiling, windows, claim: claim? };
    if is_contradicted || has_ceiling && !is_stated {
        fields.hand().wrong("either max_k8s or no_declared_ceiling: true");
        return None;
    }
    is_consistent(&support, fields.hand()).then_some(support)
}

/// No release has two windows that say different things: the order of the file must not decide.
fn is_unambiguous(windows: &[Window], hand: &Hand<'_>) -> bool {
    let mut sorted: Vec<_> = windows.iter().map(|window| (window.versions.lowest(), window)).collect();
    sorted.sort_unstable_by_key(|(lowest, _)| *lowest);
    for (index, (_, one)) in sorted.iter().enumerate() {
        let later = sorted[index + 1..].iter().take_while(|(lowest, _)| one.versions.contains(*lowest));
        for (lowest, other) in later {
            let is_same = (one.min, one.max, one.claim) == (other.min, other.max, other.claim);
            if other.versions.contains(*lowest) && !is_same {
                hand.wrong(format!("no other bounds for {lowest} in a second window"));
                return false;
            }
        }
    }
    true
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
    let oldest = optional(&fields, "kernel", |hand| {
        hand.parsed("the oldest branch of a kernel, such as \">=5.10\"", |text| {
            Minor::parse(text.strip_prefix(">=")?)
        })
    });
    let since = optional(&fields, "kernel_since", version);
    let like = optional(&fields, "kernel_like", |hand| {
        hand.list()?.iter().map(text).collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()
    });
    let source = optional(&fields, "kernel_source", source);
    let os_table = optional(&fields, "os_table", Hand::bool);
    fields.finish();
    let kernel = Kernel { oldest: oldest?, since: since?, like: like?.unwrap_or_default(), source: source? };
    Some(Requires { kernel, os_table: os_table?.unwrap_or(false) })
}

fn lifecycle(hand: &Hand<'_>) -> Option<Lifecycle> {
    let fields = hand.fields()?;
    let is_retired = required(&fields, "status", |hand| hand.one_of(&LIFECYCLE));
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
    let pin = optional(fields, "pin", |hand| {
        let fields = hand.fields()?;
        let reason = required(&fields, "reason", text);
        let by = required(&fields, "by", text);
        let until = required(&fields, "until", date);
        fields.finish();
        Some(Pin { reason: reason?, by: by?, until: until? })
    });
    let pin = pin?;
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
