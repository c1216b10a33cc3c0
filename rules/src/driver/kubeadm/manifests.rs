//! What a person has changed in the manifests of a node's static pods: the lines in which they differ from what the
//! installed kubeadm writes for the version that it is.
//!
//! ```text
//!   kubeadm upgrade diff, or diff(1) ──▶ read_diff ──▶ Changes ──▶ digest   what a person accepts, and nothing else
//!                                                              └─▶ shown    what the lines are about, and no value
//! ```
//!
//! Why: `docs/decisions/0022-drift-is-what-the-installed-kubeadm-did-not-write.md`. A value may be a secret, and what is found
//! is shown to whoever may ask for the verdict.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How many lines are shown of one node.
const SHOWN_LINES_MAX: usize = 20;
/// How much is shown of one line.
const SHOWN_CHARS_MAX: usize = 160;
/// How many digits of a digest a person must write at least: as many as nobody hits by chance.
const DIGITS_MIN: usize = 12;
/// How many digits people are told to write.
const DIGITS_SHOWN: usize = 16;

/// A line that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// The manifest, such as `kube-apiserver.yaml`.
    pub file: String,
    /// Whether an upgrade would bring the line; else it would take it away.
    pub comes: bool,
    /// The line, without white space at its end.
    pub line: String,
}

/// Every line that differs, sorted: where in a file a line stands makes no difference here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Changes(Vec<Change>);

impl Changes {
    /// These lines.
    #[must_use]
    pub fn new(mut changes: Vec<Change>) -> Self {
        changes.sort();
        Self(changes)
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The SHA-256 of the lines, in hexadecimal digits; nothing if nothing differs. Equal changes of two nodes have
    /// equal digests.
    #[must_use]
    pub fn digest(&self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let mut hash = Sha256::new();
        for Change { file, comes, line } in &self.0 {
            // No line holds a line break, and no name of a file: what is told apart stays apart.
            hash.update(format!("{file}\n{}{line}\n", if *comes { '+' } else { '-' }));
        }
        Some(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// What the lines are about, as people see them: without any value, shortened, and with how many are left out.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        let mut files: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
        self.0.iter().for_each(|change| files.entry(&change.file).or_default().push(change));
        let line = |change: &&Change| {
            let sign = if change.comes { '+' } else { '-' };
            let text = about(&change.line);
            let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            let rest = if shown.len() < text.len() { " …" } else { "" };
            format!("{}: {sign} {shown}{rest}", change.file)
        };
        let mut lines: Vec<String> = files.values().flatten().take(SHOWN_LINES_MAX).map(line).collect();
        if self.0.len() > SHOWN_LINES_MAX {
            lines.push(format!("and {} more", self.0.len() - SHOWN_LINES_MAX));
        }
        lines
    }
}

/// What a line of a manifest is about: its flag, or its key. A value is shown of a key alone under which none is secret: the
/// name of a variable, of a mount or of a volume, and the image.
fn about(line: &str) -> String {
    let (item, text) = match line.trim().strip_prefix("- ") {
        Some(text) => ("- ", text.trim()),
        None => ("", line.trim()),
    };
    let is_named = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
    };
    let text = text.trim_matches(['"', '\'']);
    if text.starts_with("--") {
        let name = text.split(['=', ' ']).next().unwrap_or_default();
        let rest = if name.len() < text.len() { "=…" } else { "" };
        return if is_named(name) { format!("{item}{name}{rest}") } else { format!("{item}…") };
    }
    match text.split_once(':').map(|(key, value)| (key, value, value.trim())) {
        Some((key, _, "")) if is_named(key) => format!("{item}{key}:"),
        Some((key @ ("name" | "image"), _, value)) if is_named(value) || key == "image" => {
            format!("{item}{key}: {value}")
        }
        Some((key, value, _)) if is_named(key) && value.starts_with(' ') => format!("{item}{key}: …"),
        Some(_) | None => format!("{item}…"),
    }
}

/// The word for `spec.acceptRisks` that accepts a digest.
#[must_use]
pub fn acceptance(code: &str, digest: &str) -> String {
    format!("{code}@{}", digest.chars().take(DIGITS_SHOWN).collect::<String>())
}

/// Whether this word accepts this digest: with its beginning, and never without one.
#[must_use]
pub fn accepts(word: &str, code: &str, digest: &str) -> bool {
    let digits = word.strip_prefix(code).and_then(|rest| rest.strip_prefix('@'));
    digits.is_some_and(|digits| digits.len() >= DIGITS_MIN && digest.starts_with(digits))
}

/// Reads a unified diff of manifests against what would be written, as kubeadm and diff(1) print it; lines before and
/// between the files are kubeadm's own words.
///
/// # Errors
/// A hunk is cut, or is not what it says it is. No line is shown: it may hold a secret.
pub fn read_diff(lines: &[&str]) -> Result<Changes, String> {
    let mut changes = Vec::new();
    let mut file: Option<String> = None;
    let mut rest = lines.iter().copied().peekable();
    while let Some(line) = rest.next() {
        let name =
            line.strip_prefix("--- ").filter(|_| rest.peek().is_some_and(|next| next.starts_with("+++ ")));
        if let Some(path) = name {
            let path = path.split('\t').next().unwrap_or_default().trim();
            file = Some(path.rsplit('/').next().unwrap_or_default().to_owned());
            rest.next();
        } else if let Some(range) = line.strip_prefix("@@ ") {
            let file = file.as_ref().ok_or("a hunk is of no file")?;
            let (mut old, mut new) = hunk(range).ok_or("a hunk does not say how many lines it has")?;
            while old > 0 || new > 0 {
                let line = rest.next().ok_or("the last hunk is cut")?;
                let is_there = |left: &mut usize| match left.checked_sub(1) {
                    Some(less) => {
                        *left = less;
                        Ok(())
                    }
                    None => Err("a hunk has more lines than it says"),
                };
                let comes = match line.as_bytes().first() {
                    Some(b'-') => {
                        is_there(&mut old)?;
                        Some(false)
                    }
                    Some(b'+') => {
                        is_there(&mut new)?;
                        Some(true)
                    }
                    Some(b'\\') => None,
                    // A line of context that is empty may have lost its blank.
                    Some(b' ') | None => {
                        is_there(&mut old)?;
                        is_there(&mut new)?;
                        None
                    }
                    Some(_) => return Err("a hunk has a line that neither comes, goes nor stays".to_owned()),
                };
                let text = line.get(1..).unwrap_or_default().trim_end();
                if let Some(comes) = comes.filter(|_| !text.is_empty()) {
                    changes.push(Change { file: file.clone(), comes, line: text.to_owned() });
                }
            }
        } else if line.starts_with(['+', '-', ' ']) {
            return Err("a line that differs is of no hunk".to_owned());
        }
    }
    Ok(Changes::new(changes))
}

/// How many lines of the one and of the other file a hunk has: `-67,2 +66,0 @@`.
fn hunk(range: &str) -> Option<(usize, usize)> {
    let mut words = range.split(' ');
    let mut count = |sign: char| {
        let range = words.next()?.strip_prefix(sign)?;
        match range.split_once(',') {
            Some((_, count)) => count.parse().ok(),
            None => range.parse::<usize>().ok().map(|_| 1),
        }
    };
    let (old, new) = (count('-')?, count('+')?);
    (words.next() == Some("@@")).then_some((old, new))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What kubeadm v1.36.3 says of a control plane that kubeadm v1.35.4 made, to the letter.
    const REAL: &str = include_str!("../../../tests/data/upgrade-diff-1.36.3-of-1.35.4.txt");

    fn read(text: &str) -> Result<Changes, String> {
        read_diff(&text.lines().collect::<Vec<_>>())
    }

    fn digest(text: &str) -> String {
        read(text).unwrap().digest().unwrap()
    }

    #[test]
    fn what_kubeadm_prints_is_read() {
        let changes = read(REAL).unwrap();
        let shown = changes.shown();
        assert_eq!(shown.len(), 12, "{shown:#?}");
        assert_eq!(shown[0], "kube-apiserver.yaml: - image: registry.k8s.io/kube-apiserver:v1.35.4");
        assert_eq!(shown[1], "kube-apiserver.yaml: + image: registry.k8s.io/kube-apiserver:v1.36.3");
        assert!(shown.contains(&"kube-controller-manager.yaml: - - hostPath:".to_owned()), "{shown:#?}");
        let nothing = "[upgrade/diff] Reading configuration from the \"kubeadm-config\" ConfigMap in namespace \"kube-system\"...\n\
            [upgrade/diff] Use 'kubeadm init phase upload-config kubeadm --config your-config-file' to re-upload it.\n";
        assert_eq!(read(nothing).unwrap().digest(), None);
        assert_eq!(read("").unwrap(), Changes::default());
    }

    const ONE: &str = "--- /etc/kubernetes/manifests/kube-apiserver.yaml\n+++ new manifest\n@@ -20,2 +20 @@\n-    - --a=1\n-    - --b=2\n+    - --c=3\n";
    const TWO: &str =
        "--- /etc/kubernetes/manifests/kube-scheduler.yaml\n+++ new manifest\n@@ -3,0 +4 @@\n+    - --d=4\n";

    #[test]
    fn a_digest_is_of_the_lines_and_of_nothing_else() {
        let both = digest(&format!("{ONE}{TWO}"));
        assert_eq!(both.len(), 64);
        assert_eq!(digest(&format!("said before\n{TWO}said between\n{ONE}")), both, "the order of the files");
        // The same change elsewhere in the file, in two hunks, with context, as diff(1) prints it.
        let other = "--- /etc/kubernetes/manifests/kube-apiserver.yaml\t2026-01-01 00:00:00\n+++ /tmp/new\t2026-01-01\n\
            @@ -30,3 +30,2 @@ spec:\n     - --z\n-    - --b=2\n\n@@ -70,2 +69,2 @@\n-    - --a=1  \n     - --y\n+    - --c=3\n\\ No newline at end of file\n";
        assert_eq!(digest(&format!("{other}{TWO}")), both);
        for (from, to) in [
            ("--a=1", "--a=2"),
            ("kube-scheduler", "kube-proxy"),
            ("+    - --d", "-    - --d"),
            ("    - --c", "   - --c"),
        ] {
            let text = format!("{ONE}{TWO}").replace(from, to).replace("-3,0 +4 @@\n-", "-3 +4,0 @@\n-");
            assert_ne!(digest(&text), both, "{from} {to}");
        }
    }

    #[test]
    fn a_diff_that_is_not_whole_is_no_answer() {
        for text in [
            &ONE[..ONE.len() - 15],
            "@@ -1 +1 @@\n-a\n+b\n",
            &ONE.replace("@@ -20,2 +20 @@", "@@ what @@"),
            &ONE.replace("-20,2 +20", "-20,3 +20"),
            &ONE.replace("-    - --b=2", "?    - --b=2"),
            &ONE.replace("-20,2 +20", "-20,18446744073709551615 +20"),
            &ONE.replace("-20,2 +20", "-20,2 +20,0"),
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        // A line that is taken away may look like the head of a file.
        let hostile = "--- /m/a.yaml\n+++ new manifest\n@@ -1,2 +1 @@\n--- /m/b.yaml\n-@@ -1 +1 @@\n+++ x\n";
        let changes = read(hostile).unwrap();
        assert!(changes.shown().iter().all(|line| line.starts_with("a.yaml: ")), "{:?}", changes.shown());
    }

    #[test]
    fn people_see_what_changed_and_no_value_and_not_all_of_many() {
        let line = |n: usize| format!("+    - --{n:02}{}=hunter2\n", "x".repeat(200));
        let many: String = (0..30).map(line).collect();
        let text = format!("--- /m/kube-apiserver.yaml\n+++ new manifest\n@@ -1,0 +1,30 @@\n{many}");
        let changes = read(&text).unwrap();
        let shown = changes.shown();
        assert_eq!((shown.len(), shown[20].as_str()), (21, "and 10 more"));
        assert!(shown[0].starts_with("kube-apiserver.yaml: + - --00x"), "{shown:?}");
        assert!(shown.iter().all(|line| line.len() < 250 && !line.contains("hunter2")));
        // People accept the lines as they are.
        assert_ne!(changes.digest(), read(&text.replace("hunter2", "hunter3")).unwrap().digest());
    }

    #[test]
    fn a_line_is_told_by_its_name_and_never_by_its_value() {
        for (line, shown) in [
            ("    - --oidc-client-secret=hunter2", "- --oidc-client-secret=…"),
            ("    - --oidc-client-secret hunter2", "- --oidc-client-secret=…"),
            ("    - \"--oidc-client-secret=hunter2\"", "- --oidc-client-secret=…"),
            ("    - --oidc-client-secret", "- --oidc-client-secret"),
            ("    - hunter2", "- …"),
            ("    - --{hunter2", "- …"),
            ("    - name: HTTP_PROXY", "- name: HTTP_PROXY"),
            ("      value: http://user:hunter2@proxy:3128", "value: …"),
            ("      value: \"hunter2\"", "value: …"),
            ("    - {name: TOKEN, value: hunter2}", "- …"),
            ("    env: [{name: TOKEN, value: hunter2}]", "env: …"),
            ("    - hostPath:", "- hostPath:"),
            ("        path: /etc/hunter2", "path: …"),
            (
                "    image: registry.example:5000/kube-apiserver:v1.36.1",
                "image: registry.example:5000/kube-apiserver:v1.36.1",
            ),
            ("    a.example/hunter: hunter2", "a.example/hunter: …"),
            ("      export TOKEN=hunter2", "…"),
            ("      name: the hunter2", "name: …"),
            ("      http://user:hunter2@proxy", "…"),
            ("      hunter2", "…"),
            ("      \"hunter2\": x", "…"),
        ] {
            assert_eq!(about(line), shown, "{line}");
        }
        let drift = "--- /m/kube-apiserver.yaml\n+++ new manifest\n@@ -1 +1 @@\n-    - --token=hunter2\n+    - --token=hunter3\n";
        for (from, to) in
            [("@@ -1", "@@ hunter2"), ("-    -", "?    -"), ("-1 +1 @@", "-0,0 +1 @@"), ("@@ -1 +1 @@\n", "")]
        {
            let why = read(&drift.replacen(from, to, 1)).unwrap_err();
            assert!(!why.contains("hunter"), "{why}");
        }
    }

    #[test]
    fn only_the_digest_of_a_change_accepts_it() {
        let digest = digest(ONE);
        let word = acceptance("config_drift", &digest);
        assert_eq!(word.len(), "config_drift@".len() + DIGITS_SHOWN);
        assert!(accepts(&word, "config_drift", &digest));
        assert!(accepts(&format!("config_drift@{digest}"), "config_drift", &digest));
        for word in [
            "config_drift",
            "config_drift@",
            &word[..20],
            &word.replace("drift", "rift"),
            &format!("{word}0"),
            &word.to_uppercase(),
        ] {
            assert!(!accepts(word, "config_drift", &digest), "{word}");
        }
    }
}
