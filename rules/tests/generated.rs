//! The files that people install are what the code says today.

use lockkeeper_rules::facts::json_schema;
use lockkeeper_rules::publish::generated::{PAGES, files, fill, marker, tables};

const WRITTEN: [(&str, &str); 7] = [
    ("alerts.yaml", include_str!("../generated/alerts.yaml")),
    ("prometheus-rule.yaml", include_str!("../generated/prometheus-rule.yaml")),
    ("crd-upgraderun.yaml", include_str!("../generated/crd-upgraderun.yaml")),
    ("alertmanager.yaml", include_str!("../generated/alertmanager.yaml")),
    ("matrix.schema.json", include_str!("../generated/matrix.schema.json")),
    ("facts.yaml.sha256", include_str!("../generated/facts.yaml.sha256")),
    ("facts.yaml", include_str!("../generated/facts.yaml")),
];

const DOCS: [(&str, &str); 6] = [
    ("configuration.md", include_str!("../../docs/configuration.md")),
    ("metrics.md", include_str!("../../docs/metrics.md")),
    ("operations.md", include_str!("../../docs/operations.md")),
    ("reasons.md", include_str!("../../docs/reasons.md")),
    ("runbooks.md", include_str!("../../docs/runbooks.md")),
    ("verdict.md", include_str!("../../docs/verdict.md")),
];

#[test]
fn the_generated_folder_is_what_the_code_says() {
    let generated = files();
    let names: Vec<_> = generated.iter().map(|file| file.name).collect();
    assert_eq!(names, WRITTEN.map(|(name, _)| name));
    for (file, (name, written)) in generated.iter().zip(WRITTEN) {
        let remedy = "run `cargo run -p lockkeeper-rules --example generate`";
        assert!(file.text == written, "rules/generated/{name} is not what the code says: {remedy}");
    }
}

#[test]
fn the_tables_of_the_docs_are_what_the_code_says() {
    assert_eq!(PAGES, DOCS.map(|(name, _)| name));
    for (name, written) in DOCS {
        let remedy = "run `cargo run -p lockkeeper-rules --example generate`";
        assert!(fill(written) == written, "docs/{name} is not what the code says: {remedy}");
    }
    let pages = DOCS.map(|(_, written)| written).concat();
    for (name, table) in tables() {
        assert_eq!(pages.matches(&marker(name)).count(), 1, "{name}");
        assert!(pages.contains(&table) && table.lines().count() > 3, "{name}: {table}");
    }
    assert_eq!(pages.matches("<!-- generated: ").count(), tables().len(), "a marker without a table");
}

#[test]
fn every_choice_of_the_policy_is_told() {
    let (_, verdict) = DOCS[5];
    let schema: serde_json::Value = serde_json::from_str(&json_schema()).unwrap();
    let choices = schema["properties"]["policy"]["properties"].as_object().unwrap();
    for choice in choices.keys() {
        assert!(verdict.contains(&format!("| `{choice}` |")), "{choice}");
    }
}
