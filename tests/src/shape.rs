//! The shape of an answer: which fields it has and of which kind, and not what stands in them.

use std::collections::BTreeSet;

use serde_json::Value;

/// What makes objects what they are: these fields are kept with their values.
const TYPE: [&str; 2] = ["apiVersion", "kind"];

/// Every path in a JSON text with the kind of what is there; nothing if it is none.
///
/// An item of a list is known by its name, where it has one: `.containers[etcd].image:string`.
#[must_use]
pub fn shape_of_json(text: &str) -> BTreeSet<String> {
    let mut shape = BTreeSet::new();
    if let Ok(value) = serde_json::from_str(text) {
        walk(&value, "", &mut shape);
    }
    shape
}

fn walk(value: &Value, path: &str, shape: &mut BTreeSet<String>) {
    let mut here = |kind: &str| {
        shape.insert(format!("{path}:{kind}"));
    };
    match value {
        Value::Null => here("null"),
        Value::Bool(_) => here("bool"),
        Value::Number(_) => here("number"),
        Value::String(_) => here("string"),
        Value::Array(all) => {
            here("list");
            for value in all {
                let key = if path.ends_with(".command") { flag(value) } else { key(value) };
                walk(value, &format!("{path}[{key}]"), shape);
            }
        }
        Value::Object(map) => {
            here("map");
            for (key, value) in map {
                match value.as_str().filter(|_| TYPE.contains(&key.as_str())) {
                    Some(word) => drop(shape.insert(format!("{path}.{key}={word}"))),
                    None => walk(value, &format!("{path}.{key}"), shape),
                }
            }
        }
    }
}

/// What a list's item is called. Static pods are named after their node too, so their label comes first.
fn key(item: &Value) -> &str {
    ["/metadata/labels/component", "/name", "/type"]
        .into_iter()
        .find_map(|at| item.pointer(at)?.as_str())
        .unwrap_or_default()
}

fn flag(word: &Value) -> &str {
    word.as_str().and_then(|word| word.split('=').next()).unwrap_or_default()
}

/// Every line of a text with what differs from machine to machine taken out: numbers, versions, addresses, moments,
/// hashes. What merely has a digit in its name stays: `kubeadm.k8s.io/v1beta4`.
#[must_use]
pub fn shape_of_text(text: &str) -> BTreeSet<String> {
    let line = |line: &str| line.split_whitespace().map(shape_of_word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).filter(|line| !line.is_empty()).collect()
}

/// Names and numbers stand between signs, as in `--listen=https://127.0.0.1:2379`.
fn shape_of_word(word: &str) -> String {
    let is_sign = |c: char| !(c.is_ascii_alphanumeric() || "-._+".contains(c));
    let piece = |piece: &str| {
        let body = piece.trim_end_matches(is_sign);
        shape_of_piece(body) + &piece[body.len()..]
    };
    word.split_inclusive(is_sign).map(piece).collect()
}

fn shape_of_piece(piece: &str) -> String {
    let is_number = piece.starts_with(|c: char| c.is_ascii_digit());
    let version = piece.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let is_version = version.contains('.') && version.starts_with(|c: char| c.is_ascii_digit());
    if is_number || (is_version && ["v", "go"].contains(&piece.trim_end_matches(version))) || is_uid(piece) {
        return "N".to_owned();
    }
    let is_joint = |c: char| "-._+".contains(c);
    let part = |part: &str| {
        let body = part.trim_end_matches(is_joint);
        shape_of_part(body) + &part[body.len()..]
    };
    piece.split_inclusive(is_joint).map(part).collect()
}

/// Such as the last of `cp-1`, or of a folder for once: `kubeadm-dryrun425377686`.
fn shape_of_part(part: &str) -> String {
    let name = part.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = part.len() - name.len();
    match part {
        // Which processor a machine has says nothing of what it answers.
        "amd64" | "arm64" => "N".to_owned(),
        _ if is_hash(part) => "N".to_owned(),
        _ if digits > 0 && (name.is_empty() || digits >= 5) => format!("{name}N"),
        _ => part.to_owned(),
    }
}

/// A digest, or what Kubernetes makes of a pod's template: without vowels, so that no word comes out.
fn is_hash(part: &str) -> bool {
    let all = |is_one: fn(u8) -> bool| part.len() >= 8 && part.bytes().all(is_one);
    let has_digit = part.contains(|c: char| c.is_ascii_digit());
    all(|it| it.is_ascii_hexdigit()) || (has_digit && all(|it| b"bcdfghjklmnpqrstvwxz2456789".contains(&it)))
}

fn is_uid(piece: &str) -> bool {
    let lengths: Vec<usize> = piece.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && piece.bytes().all(|it| it.is_ascii_hexdigit() || it == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_has_fields_and_kinds_and_no_values() {
        let shape = |text| shape_of_json(text);
        assert_eq!(shape(r#"{"a":[{"b":1},{"b":2}]}"#), shape(r#"{"a":[{"b":7}]}"#));
        assert_ne!(shape(r#"{"a":1}"#), shape(r#"{"a":"1"}"#));
        assert_ne!(shape(r#"{"a":1}"#), shape(r#"{"a":1,"kind":"A"}"#));
        assert!(shape("").is_empty());
    }

    #[test]
    fn what_has_a_name_is_not_taken_for_another() {
        let shape = |text| shape_of_json(text).into_iter().collect::<Vec<_>>();
        assert_eq!(shape(r#"[{"name":"a"}]"#), [":list", "[a].name:string", "[a]:map"]);
        let pod = r#"[{"kind":"Pod","metadata":{"name":"etcd-cp-1","labels":{"component":"etcd"}}}]"#;
        assert!(shape(pod).contains(&"[etcd].kind=Pod".to_owned()));
        assert_eq!(
            shape(r#"{"command":["etcd","--data-dir=/var/lib/etcd"]}"#),
            [".command:list", ".command[--data-dir]:string", ".command[etcd]:string", ":map"]
        );
    }

    #[test]
    fn of_a_line_only_what_varies_is_taken_out() {
        let shape = |text| shape_of_text(text).into_iter().collect::<String>();
        for (text, expected) in [
            ("took  12.5s for v1.36.1", "took N for N"),
            ("- --secure-port=6443", "- --secure-port=N"),
            ("apiVersion: kubeadm.k8s.io/v1beta4", "apiVersion: kubeadm.k8s.io/v1beta4"),
            ("server: https://172.30.0.11:6443", "server: https://N:N"),
            ("- lab.local/etcd@sha256:eb890aaea404628c", "- lab.local/etcd@sha256:N"),
            ("uid: a4cb69bb-abcd-4531-af3f-5f75a2ba9216", "uid: N"),
            ("time: \"2026-11-29T18:07:34Z\"", "time: \"N:N:N\""),
            ("coredns-x6b7wd8k7f", "coredns-N"),
            ("kubelet worker-1 v1.35.4", "kubelet worker-N N"),
            ("@@ -104 +103,0 @@", "@@ -N +N,N @@"),
            ("\"/tmp/kubeadm-dryrun425377686/x509\"", "\"/tmp/kubeadm-dryrunN/x509\""),
            (
                "info{go_version=\"go1.26.8\",platform=\"linux/amd64\"} 1",
                "info{go_version=\"N\",platform=\"linux/N\"} N",
            ),
        ] {
            assert_eq!(shape(text), expected);
        }
        assert_ne!(shape("all is well"), shape("all is lost"));
    }
}
