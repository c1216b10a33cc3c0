use std::collections::BTreeMap;

use super::*;
use crate::facts::field::{Field, Notes};
use crate::facts::tree::Tree;
use crate::facts::{BUILT_IN, Matrix, Mistake};

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema()).expect("the schema is one of draft 2020-12")
}

fn parsed(yaml: &str) -> Value {
    crate::words::yaml::read(yaml).unwrap()
}

/// Every mistake in a file.
fn read(text: &str) -> Vec<Mistake> {
    let notes = Notes::new("all.yaml", schema);
    let tree = Tree::documents("all.yaml", text).unwrap().remove(0);
    Matrix::default().read("all.yaml", &Field::whole(&tree, &notes));
    notes.into_mistakes()
}

fn without_indices(path: &str) -> String {
    path.replace("[0]", "[]")
}

/// A file in which every field stands once, with its example.
fn whole(schema: &Value, word: impl Fn(&Value) -> Value + Copy) -> Value {
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    match schema["type"].as_str().expect("every value has a type") {
        "object" => match schema.get("properties") {
            Some(fields) => {
                let fields = fields.as_object().unwrap().iter();
                fields.map(|(name, schema)| (name.clone(), whole(schema, word))).collect()
            }
            None => json!({"3.30": whole(&schema["additionalProperties"], word)}),
        },
        "array" => json!([whole(&schema["items"], word)]),
        "boolean" => json!(true),
        "integer" => schema["minimum"].clone(),
        "string" if schema.get("enum").is_some() => word(schema),
        "string" => schema["examples"][0].clone(),
        other => panic!("the loader knows no {other}"),
    }
}

/// Every field of the schema, and whether it must be there.
fn fields(schema: &Value, path: &str, found: &mut BTreeMap<String, bool>) {
    if let Some(items) = schema.get("items") {
        return fields(items, &format!("{path}[]"), found);
    }
    let Some(properties) = schema.get("properties") else { return };
    for (name, inner) in properties.as_object().unwrap() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        fields(inner, &path, found);
        let must = schema["required"].as_array().unwrap().contains(&json!(name));
        found.insert(path, must);
    }
}

/// The words of every choice, as the loader lists them.
fn choices(schema: &Value, path: &str, found: &mut BTreeMap<String, String>) {
    if let Some(words) = schema.get("enum") {
        let words: Vec<&str> = words.as_array().unwrap().iter().filter_map(Value::as_str).collect();
        found.insert(path.to_owned(), format!("one of {}", words.join(", ")));
    }
    if let Some(items) = schema.get("items") {
        choices(items, &format!("{path}[]"), found);
    }
    for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        choices(inner, &path, found);
    }
}

#[test]
fn the_loader_knows_every_field_of_the_schema_and_misses_each_that_must_be_there() {
    let schema = schema();
    let whole = whole(&schema, |schema| schema["enum"][0].clone());
    let unknown = |it: &Mistake| it.expected == "no field of that name";
    assert_eq!(read(&whole.to_string()).into_iter().find(unknown), None);
    let mut told = BTreeMap::new();
    fields(&schema, "", &mut told);
    assert!(told.len() > 100, "{}", told.len());
    for (path, must) in told {
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", &path));
        let mut less = whole.clone();
        let keys = parent.split('.').filter(|key| !key.is_empty());
        let at = keys.fold(&mut less, |at, key| match key.strip_suffix("[]") {
            Some(list) => &mut at[list][0],
            None => &mut at[key],
        });
        assert!(at.as_object_mut().unwrap().remove(name).is_some(), "{path}");
        let field = if parent.is_empty() { "the file" } else { parent };
        let is_it = |it: &Mistake| without_indices(&it.field) == field && it.found == format!("no {name}");
        assert_eq!(read(&less.to_string()).iter().any(is_it), must, "{path}");
    }
}

#[test]
fn every_choice_has_the_words_of_the_loader() {
    let schema = schema();
    let mistakes = read(&whole(&schema, |_| json!("nonsense")).to_string());
    let refused = mistakes.iter().filter(|mistake| mistake.found == "the text \"nonsense\"");
    let refused =
        refused.map(|mistake| (without_indices(&mistake.field), mistake.expected.clone())).collect();
    let mut told = BTreeMap::new();
    choices(&schema, "", &mut told);
    assert_eq!(told, refused);
}

#[test]
fn every_field_is_explained() {
    fn explained(schema: &Value, path: &str) {
        let words = schema["description"].as_str().unwrap_or_default();
        assert!(words.ends_with('.'), "{path} has no description");
        for inner in ["items", "additionalProperties"].into_iter().filter_map(|key| schema.get(key)) {
            if inner.is_object() {
                explained(inner, path);
            }
        }
        for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            explained(inner, &format!("{path}.{name}"));
        }
    }
    explained(&schema(), "");
}

#[test]
fn every_built_in_file_is_as_the_schema_says() {
    let validator = validator();
    for (name, text) in BUILT_IN {
        let errors: Vec<String> = validator
            .iter_errors(&parsed(text))
            .map(|error| format!("{name} {}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

fn addon(change: &str) -> String {
    format!(
        "addons:\n- {{name: a, namespace: n, kind: ds, resource: r, image_re: 'a:v(\\d+)', claim: tested, max_k8s: {{\"1.0\": \"1.36\"}}, source: \"https://example.com/a\"{change}}}\n"
    )
}

fn assert_alike(validator: &jsonschema::Validator, text: &str, is_good: bool) {
    let text = format!("schema: 2\nas_of: \"2026-08-22\"\n{text}");
    assert_eq!(validator.is_valid(&parsed(&text)), is_good, "the schema on {text}");
    // By itself: what a file must not forget of the built-in ones no schema can say.
    assert_eq!(read(&text).is_empty(), is_good, "the loader on {text}");
}

#[test]
fn mistakes_are_refused_by_schema_and_loader_alike() {
    let validator = validator();
    for (text, is_good) in [
        (String::new(), true),
        (addon(""), true),
        (addon(", pin: {reason: r, by: b, until: \"2026-12-31\"}"), true),
        (addon(", pin: {reason: r, by: b}"), false),
        (addon(", pinned: \"false\""), false),
        (addon(", minimum: 1"), false),
        (addon(", min_k8s: {\"1.0\": 1.30}"), false),
        (addon(", min_k8s: {newest: \"1.30\"}"), false),
        (addon(", lifecycle: {status: gone}"), false),
        (addon(", also_read: [{}]"), false),
        (addon(", also_read: [{helm_chart: a, promql: b}]"), false),
        (addon(", witnesses: {images: [a/b, c], labels: [app=a], crd_groups: [a.io], names: [a]}"), true),
        (addon(", witnesses: {}"), true),
        (addon(", witnesses: {images: [a/b/c]}"), false),
        (addon(", witnesses: {images: ['a:1']}"), false),
        (addon(", witnesses: {images: [controller]}"), false),
        (addon(", witnesses: {names: [operator]}"), false),
        (addon(", witnesses: {charts: ['']}"), false),
        (addon(", witnesses: {labels: [a]}"), false),
        (addon(", witnesses: {labels: ['=a']}"), false),
        (addon(", witnesses: {labels: [component=server]}"), false),
        (addon(", witnesses: {labels: [app.kubernetes.io/name=a]}"), false),
        (addon(", witnesses: {crd_groups: [monitoring.coreos.com]}"), false),
        (addon(", witnesses: {crd_groups: [a]}"), false),
        (addon(", witnesses: {webhooks: [webhook]}"), false),
        (addon(", witnesses: {kinds: [a]}"), false),
        ("max_age_days: -1\n".to_owned(), false),
        ("release: []\n".to_owned(), false),
        ("etcd: {}\n".to_owned(), false),
        (
            "etcd: [{target_from: \"1.36\", release: new, source: \"https://example.com/a\"}]\n".to_owned(),
            false,
        ),
        ("kernel: {branches: [5.10], from: \"6.0\", source: \"https://example.com/a\"}\n".to_owned(), false),
        ("policy: {not_covered: no}\n".to_owned(), false),
        ("policy: {deprecated_api_window_days: 366}\n".to_owned(), false),
        ("policy: {ignored_api_writers: [1]}\n".to_owned(), false),
        (
            "releases: [{minor: 1.36, end_of_life: \"2026-08-11\", source: \"https://example.com/a\"}]\n"
                .to_owned(),
            false,
        ),
        (
            "releases: [{minor: \"1.36\", end_of_life: soon, source: \"https://example.com/a\"}]\n"
                .to_owned(),
            false,
        ),
        (
            "releases: [{minor: \"1.36\", end_of_life: \"2026-08-11\", source: \"a page\"}]\n".to_owned(),
            false,
        ),
    ] {
        assert_alike(&validator, &text, is_good);
    }
    for text in ["schema: 3\nas_of: \"2026-08-22\"\n", "schema: 2\n", "as_of: \"2026-08-22\"\n", "[]\n"] {
        assert!(!validator.is_valid(&parsed(text)), "{text}");
        assert!(Matrix::load(&[("mine.yaml", text)]).is_err(), "{text}");
    }
}

#[test]
fn what_would_never_count_is_refused_by_schema_and_loader_alike() {
    let validator = validator();
    let source = "source: \"https://example.com/a\"";
    let accepts = |count| {
        let row = |n| format!("{{check: addons, subject: a-{n}, why: w, by: b, until: \"2026-12-30\"}}, ");
        format!("accept: [{}]\n", (0..count).map(row).collect::<String>())
    };
    let recommended = |releases: &str| {
        let row = format!("{{kubernetes: \"1.36\", releases: {releases}, {source}}}");
        let others = format!("cri_o: {{behind_max: 0, {source}}}, docker: {{removed: \"1.24\", {source}}}");
        format!("runtimes: {{containerd: {{recommended: [{row}], hard: []}}, {others}}}\n")
    };
    let components = |component: &str, flag: &str, gate: &str| {
        let flags = format!("{{component: {component}, removed: \"1.37\", flags: [\"{flag}\"], {source}}}");
        format!(
            "components: {{gates: [], other_gates: [\"{gate}\"], flags: [{flags}], admission_plugins: [], kubeadm: {{gates: [], formats: []}}}}\n"
        )
    };
    for (text, is_good) in [
        (addon(", pin: "), false),
        (addon(", container: "), false),
        (addon(", digests: {\"sha256:ab\": \"1.0\"}"), true),
        (addon(", digests: {\"v1.0\": \"1.0\"}"), false),
        (
            addon(&format!(
                ", min_k8s: {{{}}}",
                (0..501).map(|n| format!("\"1.{n}\": \"1.30\", ")).collect::<String>()
            )),
            false,
        ),
        ("addons:\n".to_owned(), false),
        ("policy: {helm_manifests: }\n".to_owned(), false),
        ("policy: {ignored_api_writers: ['']}\n".to_owned(), false),
        (accepts(100), true),
        (accepts(101), false),
        (recommended("[\"2.1.0\"]"), true),
        (recommended("[]"), false),
        (components("kubelet", "config", "SidecarContainers"), true),
        (components("kublet", "config", "SidecarContainers"), false),
        (components("kubelet", "--config", "SidecarContainers"), false),
        (components("kubelet", "config=a", "SidecarContainers"), false),
        (components("kubelet", "", "SidecarContainers"), false),
        (components("kubelet", "config", "SidecarContainers=true"), false),
        (components("kubelet", "config", ""), false),
    ] {
        assert_alike(&validator, &text, is_good);
    }
}
