//! A component's command line, as its static pod has it: which flags are set.
//!
//! Only the values that somebody judges are kept; another flag's value may be an address or a secret.

use std::collections::BTreeMap;

/// The flags whose values are kept.
pub const KEPT: [&str; 6] = [
    "feature-gates",
    "enable-admission-plugins",
    "disable-admission-plugins",
    "admission-control",
    "emulated-version",
    "runtime-config",
];

/// The flags of a component by name; the values of one that is given several times, in their order. A value that is not
/// kept is empty.
///
/// # Errors
/// Why nobody can tell: there is no command, or it is another program's, such as a shell's.
pub fn flags(component: &str, words: &[String]) -> Result<BTreeMap<String, Vec<String>>, String> {
    let (program, words) = words.split_first().ok_or("its command is not shown; write it into the pod")?;
    if program.rsplit('/').next() != Some(component) {
        return Err(format!("its command begins with {program:?} and not with {component}"));
    }
    let mut flags: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix("--").filter(|flag| !flag.is_empty()) else { continue };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        // The components take both spellings.
        let name = name.replace('_', "-");
        let is_kept = KEPT.contains(&name.as_str());
        let values = flags.entry(name).or_default();
        if is_kept {
            let next = || words.next_if(|next| !next.starts_with("--")).map(String::as_str);
            values.push(value.or_else(next).unwrap_or_default().to_owned());
        }
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Vec<String>, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let shown = |(name, values): (String, Vec<String>)| format!("{name}={}", values.join("|"));
        flags("kube-apiserver", &words).map(|flags| flags.into_iter().map(shown).collect())
    }

    #[test]
    fn flags_are_read_in_every_spelling_and_only_some_values_are_kept() {
        let words = [
            "/usr/local/bin/kube-apiserver",
            "--feature-gates=A=true,B=false",
            "--feature_gates",
            "C=true",
            "--etcd-servers=https://user:secret@127.0.0.1:2379",
            "--allow-privileged",
            "-v=2",
            "stray",
            "--",
        ];
        let expected = ["allow-privileged=", "etcd-servers=", "feature-gates=A=true,B=false|C=true"];
        assert_eq!(read(&words), Ok(expected.map(str::to_owned).to_vec()));
        assert_eq!(read(&["kube-apiserver", "--feature-gates", "--v=2"]).unwrap()[0], "feature-gates=");
    }

    #[test]
    fn a_command_that_is_not_the_components_own_says_nothing() {
        for words in [&[][..], &["/bin/sh", "-c", "exec kube-apiserver --feature-gates=A=true"]] {
            assert!(read(words).is_err(), "{words:?}");
        }
    }
}
