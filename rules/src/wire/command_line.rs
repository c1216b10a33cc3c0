//! A component's command line, as its static pod has it: which flags are set.
//!
//! Only the values that somebody judges are kept; another flag's value may be an address or a secret.

use std::collections::BTreeMap;

use crate::cluster::snapshot::ETCD;

/// The flags whose values are kept.
pub const KEPT: [&str; 7] = [
    "feature-gates",
    "enable-aggregator-routing",
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
/// Why nobody can tell: there is no command, it is another program's, such as a shell's, or a part of it is filled in
/// only when it starts.
pub fn flags(component: &str, words: &[String]) -> Result<BTreeMap<String, Vec<String>>, String> {
    let (program, words) = words.split_first().ok_or("its command is not shown; write it into the pod")?;
    if program.rsplit('/').next() != Some(component) {
        return Err(format!("its command begins with {program:?} and not with {component}"));
    }
    let mut flags: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        // The kubelet fills in variables, so that a word of any shape may become a flag, and a flag another one.
        if word.split('=').next().is_some_and(is_filled_in) {
            return Err("one of its arguments is a variable, such as $(NAME); write it out".to_owned());
        }
        // One dash is enough for etcd; for the others a letter follows it.
        let short = || word.strip_prefix('-').filter(|_| component == ETCD);
        let flag = word.strip_prefix("--").or_else(short).filter(|flag| !flag.is_empty());
        let Some(flag) = flag else { continue };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        // The components take both spellings.
        let name = name.replace('_', "-");
        let is_kept = KEPT.contains(&name.as_str());
        if is_kept {
            let next = || words.next_if(|next| !next.starts_with("--")).map(String::as_str);
            let value = value.or_else(next).unwrap_or_default();
            if is_filled_in(value) {
                return Err(format!("the value of --{name} is a variable, such as $(NAME); write it out"));
            }
            flags.entry(name).or_default().push(value.to_owned());
        } else {
            flags.entry(name).or_default();
        }
    }
    Ok(flags)
}

/// Whether something is put in there when the container starts.
fn is_filled_in(text: &str) -> bool {
    text.contains("$(")
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
    fn one_dash_is_enough_for_etcd() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let found = flags("etcd", &words(&["etcd", "-enable-v2=true", "--name=a"])).unwrap();
        assert_eq!(found.into_keys().collect::<Vec<_>>(), ["enable-v2", "name"]);
        assert_eq!(read(&["kube-apiserver", "-v=2"]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_word_that_may_become_another_flag_hides_what_is_set() {
        for words in [
            &["kube-apiserver", "$(EXTRA)"][..],
            &["kube-apiserver", "--allow-privileged", "$(EXTRA)"],
            &["kube-apiserver", "--$(FLAG)=x"],
            &["kube-apiserver", "--feature-$(REST)"],
            &["kube-apiserver", "-$(REST)"],
            &["kube-apiserver", "--enable-admission-plugins=$(PLUGINS)"],
            &["kube-apiserver", "--enable-admission-plugins", "$(PLUGINS)"],
            &["$(PROGRAM)", "--v=2"],
        ] {
            assert!(read(words).is_err(), "{words:?}");
        }
        // The value of a flag that nobody judges stays a value.
        let words = ["kube-apiserver", "--advertise-address=$(POD_IP)", "--token=a$b"];
        assert_eq!(read(&words).unwrap(), ["advertise-address=", "token="]);
    }

    #[test]
    fn a_command_that_is_not_the_components_own_says_nothing() {
        for words in [&[][..], &["/bin/sh", "-c", "exec kube-apiserver --feature-gates=A=true"]] {
            assert!(read(words).is_err(), "{words:?}");
        }
    }
}
