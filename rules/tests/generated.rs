//! The files that people install are what the code says today.

use lockkeeper_rules::generated::files;

const WRITTEN: [(&str, &str); 7] = [
    ("alerts.yaml", include_str!("../generated/alerts.yaml")),
    ("prometheus-rule.yaml", include_str!("../generated/prometheus-rule.yaml")),
    ("crd-upgraderun.yaml", include_str!("../generated/crd-upgraderun.yaml")),
    ("alertmanager.yaml", include_str!("../generated/alertmanager.yaml")),
    ("matrix.schema.json", include_str!("../generated/matrix.schema.json")),
    ("facts.yaml.sha256", include_str!("../generated/facts.yaml.sha256")),
    ("facts.yaml", include_str!("../generated/facts.yaml")),
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
