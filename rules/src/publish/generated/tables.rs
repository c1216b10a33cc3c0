//! The tables in `docs/` that are made from tables in the code. A page says between two markers where one belongs:
//!
//! ```text
//!   <!-- generated: metrics -->
//!   …
//!   <!-- end -->
//! ```

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::alert;
use crate::facts;
use crate::publish::crd;
use crate::publish::metric;
use crate::publish::metric::{Kind, Program};
use crate::reason::Reason;
use crate::settings::{self, AlertSettings, Settings};
use crate::verdict;

/// The pages in `docs/` that have generated tables.
pub const PAGES: [&str; 6] =
    ["configuration.md", "metrics.md", "operations.md", "reasons.md", "runbooks.md", "verdict.md"];

/// A page with every table in it as the code has it today.
#[must_use]
pub fn fill(page: &str) -> String {
    tables().iter().fold(page.to_owned(), |page, (name, table)| put(page, name, table))
}

/// What a table of this name stands behind.
#[must_use]
pub fn marker(name: &str) -> String {
    format!("<!-- generated: {name} -->\n")
}

const END: &str = "<!-- end -->";

/// The page with this table between its markers; as it was if it has none.
fn put(page: String, name: &str, table: &str) -> String {
    let marker = marker(name);
    let Some((before, rest)) = page.split_once(&marker) else { return page };
    let Some((_old, after)) = rest.split_once(END) else { return page };
    format!("{before}{marker}\n{table}\n{END}{after}")
}

/// Every table by its name.
#[must_use]
pub fn tables() -> Vec<(&'static str, String)> {
    let defaults = json!(Settings::default());
    let schemas = [crd::schema_of::<Settings>(), crd::schema_of::<AlertSettings>()];
    let run = crd::upgrade_run();
    let spec = &run["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    vec![
        ("settings", settings("settings", &schemas[0], &defaults)),
        ("alert settings", settings("settings.alerts", &schemas[1], &defaults["alerts"])),
        ("setting pairs", pairs()),
        ("run", table(["field", "default", "meaning"], fields("", spec))),
        ("checks", checks()),
        ("reasons", reasons()),
        ("metrics of the exporter", metrics(Program::Exporter)),
        ("metrics of the actuator", metrics(Program::Actuator)),
        ("alerts", alerts()),
    ]
}

fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: [String; N]| format!("| {} |\n", cells.map(|it| it.replace('|', r"\|")).join(" | "));
    let mut table = format!("{}|{}\n", line(head.map(str::to_owned)), "---|".repeat(N));
    table.extend(rows.into_iter().map(line));
    table
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

/// What a field's own comment says, in one line.
fn meaning(field: &Value) -> String {
    let text = field["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn settings(prefix: &str, schema: &Value, defaults: &Value) -> String {
    let bounds: BTreeMap<_, _> = settings::bounds().into_iter().collect();
    let fields = schema["properties"].as_object().into_iter().flatten();
    // A group has a table of its own.
    let rows = fields.filter(|(name, _)| !defaults[name.as_str()].is_object()).map(|(name, field)| {
        let range = bounds.get(format!("{prefix}.{name}").as_str());
        let range = range.map(|range| format!("{} to {}", range.start(), range.end()));
        [code(name), code(&defaults[name.as_str()].to_string()), range.unwrap_or_default(), meaning(field)]
    });
    table(["setting", "default", "allowed", "meaning"], rows)
}

fn pairs() -> String {
    let rows = settings::orders().into_iter().map(|(small, factor, large, why)| {
        let share = if factor == 1 { String::new() } else { format!(" divided by {factor}") };
        [code(small), format!("{}{share}", code(large)), why.to_owned()]
    });
    table(["setting", "is at most", "otherwise"], rows)
}

/// The fields of an object, those of a part of it under its name.
fn fields(prefix: &str, object: &Value) -> Vec<[String; 3]> {
    let properties = object["properties"].as_object().into_iter().flatten();
    let rows = properties.flat_map(|(name, field)| {
        let name = format!("{prefix}{name}");
        if field["properties"].is_object() {
            return fields(&format!("{name}."), field);
        }
        let words: Vec<_> =
            field["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let words =
            if words.is_empty() { String::new() } else { format!(" One of `{}`.", words.join("`, `")) };
        let default = field.get("default").map_or_else(String::new, |it| it.to_string().replace('"', ""));
        vec![[code(&name), code(&default), meaning(field) + &words]]
    });
    rows.collect()
}

fn checks() -> String {
    let codes = |reasons: &[Reason]| reasons.iter().map(|it| code(it.code())).collect::<Vec<_>>().join(", ");
    let acceptable = |check: &str| match facts::ACCEPTABLE.iter().find(|(name, _)| *name == check) {
        None => "no".to_owned(),
        Some((_, facts::Of::Any)) => "yes".to_owned(),
        Some((_, facts::Of::AnyBut(never))) => format!("all but {}", codes(never)),
        Some((_, facts::Of::Only(these))) => format!("only {}", codes(these)),
    };
    let page = |source: &str| if source.is_empty() { String::new() } else { format!("[page]({source})") };
    let rows = verdict::questions().into_iter();
    let rows = rows.map(|[id, asks, source]| [code(id), asks.to_owned(), acceptable(id), page(source)]);
    table(["check", "question", "may be accepted", "rule"], rows)
}

fn reasons() -> String {
    let entries = Reason::ALL.iter().map(|reason| reason.entry());
    let rows = entries.map(|it| [code(it.code), it.meaning.to_owned(), it.remedy.to_owned()]);
    table(["reason", "meaning", "what to do"], rows)
}

fn metrics(program: Program) -> String {
    let rows = metric::TABLE.iter().filter(|metric| metric.program == program).map(|metric| {
        let kind = match metric.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        [code(metric.name), kind.to_owned(), code(&metric.labels.join(", ")), metric.help.to_owned()]
    });
    table(["metric", "type", "labels", "meaning"], rows)
}

fn alerts() -> String {
    // Also the one that only a Prometheus which scrapes itself can have.
    let settings = Settings { prometheus_job: "prometheus".to_owned(), ..Settings::default() };
    let rules = alert::groups(&settings).into_iter().flat_map(|group| group.rules);
    let rows = rules.map(|rule| {
        let link = format!("[{}](#{})", rule.name, rule.name.to_lowercase());
        let closes = rule.gate().map(code).unwrap_or_default();
        let word = |words: Option<&String>| words.cloned().unwrap_or_default();
        [link, word(rule.labels.get("severity")), closes, word(rule.annotations.get("summary"))]
    });
    table(["alert", "severity", "closes the gate for", "summary"], rows)
}
