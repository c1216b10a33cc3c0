//! What the scripts print, read back. A text that ends too early is no answer.

use jiff::Timestamp;

use crate::driver::kubeadm::manifests;
use crate::driver::kubeadm::reading::{KubeadmSurvey, ManifestFile, ManifestSurvey, NodeSurvey, Packages};
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;

/// The first line of what a reading script prints.
const FIRST_LINE: &str = "lockkeeper 1";
/// Its last line: without it the text was cut.
const LAST_LINE: &str = "end";
/// How much of a node's output is kept.
const OUTPUT_CHARS_MAX: usize = 4_000;

/// What it means that ssh did not connect, by what it says; it has no other way to tell. Neither meaning lets anything
/// happen: a person mends the one, and time may mend the other.
#[must_use]
pub fn connect_refusal(said: &str) -> Reason {
    let of_host_key =
        ["Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED", "host key is known"];
    if of_host_key.iter().any(|words| said.contains(words)) {
        Reason::SshHostKey
    } else {
        Reason::SshUnreachable
    }
}

/// Reads what the launcher printed.
///
/// # Errors
/// The node refused the unit, and why; or it printed something else, and nobody knows.
pub fn launch_answer(node: &NodeName, stdout: &str, stderr: &str) -> Result<(), Finding> {
    let about = |reason, detail: String| Err(Finding::new(reason, node.0.clone(), detail));
    match stdout.trim_end().lines().last().unwrap_or_default() {
        "started" => Ok(()),
        line => match line.strip_prefix("refused ").and_then(Reason::from_code) {
            Some(reason) => about(reason, "the node refused the unit".to_owned()),
            None => {
                let said = tail(&without_passwords(stderr), 400);
                about(Reason::UnitFailed, format!("its start gave no answer: {said}"))
            }
        },
    }
}

/// Reads what the restorer printed.
///
/// # Errors
/// The source is not put back, and for [`Reason::SourceNotRestored`] never will be; or nobody knows.
pub fn restore_answer(node: &NodeName, stdout: &str, stderr: &str) -> Result<(), Finding> {
    let about = |reason, detail: &str| Err(Finding::new(reason, node.0.clone(), detail));
    match stdout.trim_end().lines().last().unwrap_or_default() {
        "restored" | "nothing" => Ok(()),
        "changed" => about(Reason::SourceNotRestored, "somebody has changed it since, and it stays as it is"),
        "begun" => about(Reason::SourceNotRestored, "the node's change has begun"),
        line => match line.strip_prefix("refused ").and_then(Reason::from_code) {
            Some(reason) => about(reason, "the node refused"),
            None => {
                about(Reason::UnitFailed, &format!("no answer: {}", tail(&without_passwords(stderr), 400)))
            }
        },
    }
}

/// The lines of an answer, each a word and the rest, if it is whole.
pub(crate) fn lines(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let text = text.strip_suffix('\n').ok_or("its last line is cut")?;
    let body = text.strip_prefix(FIRST_LINE).ok_or("it does not begin as one")?;
    let body = body.strip_suffix(LAST_LINE).ok_or("it does not end as one")?;
    Ok(body
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .collect())
}

/// The only value of a word.
pub(crate) fn single<'a>(lines: &[(&'a str, &'a str)], word: &str) -> Result<&'a str, String> {
    let mut values = lines.iter().filter(|(name, _)| *name == word).map(|(_, value)| value.trim());
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(format!("no line {word:?}")),
        (Some(_), Some(_)) => Err(format!("two lines {word:?}")),
    }
}

/// Seconds since 1970.
pub(crate) fn seconds(text: &str) -> Result<Timestamp, String> {
    let seconds = text.parse::<i64>().map_err(|_| format!("{text:?} is no time"))?;
    Timestamp::from_second(seconds).map_err(|_| format!("{text:?} is no time"))
}

/// Every value of a word, one a line.
pub(crate) fn joined(lines: &[(&str, &str)], word: &str) -> String {
    let values: Vec<&str> = lines.iter().filter(|(name, _)| *name == word).map(|(_, value)| *value).collect();
    tail(&without_passwords(&values.join("\n")), OUTPUT_CHARS_MAX)
}

/// A text with nothing of the user and password that a URL in it may have: kubeadm prints what it writes, and it writes
/// the proxies that it is started with.
#[must_use]
pub fn without_passwords(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end =
            part.find(|c: char| c.is_whitespace() || ['"', '\'', ','].contains(&c)).unwrap_or(part.len());
        let from = part[..end].rfind('@').unwrap_or(0);
        shown.push_str("://");
        shown.push_str(if from > 0 { "***" } else { "" });
        shown.push_str(&part[from..]);
    }
    shown
}

fn tail(text: &str, chars_max: usize) -> String {
    let skip = text.chars().count().saturating_sub(chars_max);
    text.chars().skip(skip).collect::<String>().trim().to_owned()
}

/// How far a clock that said this was from the time in which it was asked.
fn off_seconds(said: Timestamp, asked: Timestamp, answered: Timestamp) -> i64 {
    let [said, asked, answered] = [said, asked, answered].map(Timestamp::as_second);
    said - said.clamp(asked.min(answered), asked.max(answered))
}

/// Reads what the survey printed, which was asked and answered at these times.
///
/// # Errors
/// The text is cut or is not what the script prints.
pub fn survey_answer(text: &str, asked: Timestamp, answered: Timestamp) -> Result<NodeSurvey, String> {
    let lines = lines(text)?;
    let number = |word: &str| {
        let value = single(&lines, word)?;
        value.parse::<u64>().map_err(|_| format!("{word} is {value:?}"))
    };
    let (disk_free_mib, disk_place) = disk(single(&lines, "disk")?)?;
    Ok(NodeSurvey {
        machine_id: single(&lines, "machine")?.to_owned(),
        booted_at: seconds(single(&lines, "btime")?)?,
        clock_off_seconds: off_seconds(seconds(single(&lines, "now")?)?, asked, answered),
        disk_free_mib,
        disk_place,
        ledger_sequence: number("sequence")?,
        patches_missing: lines.contains(&("patches", "missing")),
        lacking: single(&lines, "lacking")?.split_whitespace().map(str::to_owned).collect(),
        packages: packages(&lines)?,
        kubeadm: kubeadm(&lines),
        manifests: manifests(&lines)?,
    })
}

/// How much is free, and where.
fn disk(said: &str) -> Result<(u64, String), String> {
    let (free, place) = said.split_once(' ').ok_or_else(|| format!("disk is {said:?}"))?;
    Ok((free.parse().map_err(|_| format!("disk is {said:?}"))?, place.to_owned()))
}

fn packages(lines: &[(&str, &str)]) -> Result<Option<Packages>, String> {
    if !lines.iter().any(|(name, _)| *name == "packages") {
        return Ok(None);
    }
    let said = single(lines, "packages")?;
    match said.split_once(' ').unwrap_or((said, "")) {
        ("ready", "") => Ok(Some(Packages::Ready)),
        ("unfetched", "") => Ok(Some(Packages::Unfetched)),
        ("missing", "") => Ok(Some(Packages::Missing)),
        ("blocked", why) => Ok(Some(Packages::Blocked(tail(&without_passwords(why), 400)))),
        _ => Err(format!("packages is {said:?}")),
    }
}

fn kubeadm(lines: &[(&str, &str)]) -> Option<KubeadmSurvey> {
    let codes: Vec<(&str, &str)> = lines
        .iter()
        .filter(|(name, _)| *name == "kubeadm")
        .filter_map(|(_, value)| value.split_once(' '))
        .collect();
    if codes.is_empty() {
        return None;
    }
    let agrees = ["fetch", "plan", "apply"].iter().all(|name| codes.contains(&(name, "0")));
    Some(KubeadmSurvey { agrees, output: joined(lines, "output") })
}

/// What the installed kubeadm says, where it was asked.
fn manifests(lines: &[(&str, &str)]) -> Result<Option<ManifestSurvey>, String> {
    if !lines.iter().any(|(name, _)| *name == "installed") {
        return Ok(None);
    }
    let differences: Vec<&str> =
        lines.iter().filter(|(name, _)| *name == "difference").map(|(_, line)| *line).collect();
    let changes = match single(lines, "manifests")? {
        "0" => manifests::read_diff(&differences),
        code => Err(format!("kubeadm ended with {code}: {}", joined(lines, "manifests-output"))),
    };
    Ok(Some(ManifestSurvey {
        installed: single(lines, "installed")?.to_owned(),
        written: single(lines, "written")?.to_owned(),
        files: lines.iter().filter(|(name, _)| *name == "file").filter_map(|(_, line)| file(line)).collect(),
        inputs: single(lines, "inputs").ok().filter(|text| is_sha256(text)).map(str::to_owned),
        changes,
    }))
}

/// Whether this is a SHA-256, in hexadecimal digits.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A manifest as it lies there; one that is not told whole is not told.
fn file(line: &str) -> Option<ManifestFile> {
    let mut words = line.split(' ');
    let (component, sha256) = (words.next()?, words.next()?);
    let tag = words.next().unwrap_or_default().to_owned();
    is_sha256(sha256).then(|| ManifestFile {
        component: component.to_owned(),
        sha256: sha256.to_owned(),
        tag,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SURVEY: &str = "lockkeeper 1\nmachine abc\nnow 1763717000\nbtime 1763000000\ndisk 5000 /var/lib\nsequence 3\nlacking \nend\n";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn read(text: &str) -> Result<NodeSurvey, String> {
        survey_answer(text, at(1_763_716_990), at(1_763_717_010))
    }

    #[test]
    fn a_clock_is_off_by_what_lies_outside_of_the_time_in_which_it_was_asked() {
        for (said, off) in [(1_763_716_990, 0), (1_763_717_010, 0), (1_763_717_040, 30), (1_763_716_960, -30)]
        {
            let text = SURVEY.replace("now 1763717000", &format!("now {said}"));
            assert_eq!(read(&text).unwrap().clock_off_seconds, off, "{said}");
        }
    }

    #[test]
    fn a_survey_is_read_whole_or_not_at_all() {
        let survey = read(SURVEY).unwrap();
        assert_eq!((survey.disk_free_mib, survey.ledger_sequence, survey.kubeadm), (5000, 3, None));
        for end in 0..SURVEY.len() {
            assert!(read(&SURVEY[..end]).is_err(), "cut at {end}");
        }
        let without_patches = SURVEY.replace("end\n", "patches missing\nend\n");
        assert!(!survey.patches_missing && read(&without_patches).unwrap().patches_missing);
        assert_eq!(survey.lacking, [""; 0]);
        let lacking = SURVEY.replace("lacking ", "lacking apt-get package:kubelet ");
        assert_eq!(read(&lacking).unwrap().lacking, ["apt-get", "package:kubelet"]);
        for word in ["machine", "now", "btime", "disk", "sequence", "lacking"] {
            let without: String =
                SURVEY.split_inclusive('\n').filter(|line| !line.starts_with(word)).collect();
            assert!(read(&without).is_err(), "without {word}");
        }
        assert!(read(&SURVEY.replace("disk 5000 ", "disk ")).is_err());
    }

    fn kubeadm_of(lines: &str) -> KubeadmSurvey {
        read(&SURVEY.replace("end\n", &format!("{lines}end\n"))).unwrap().kubeadm.unwrap()
    }

    #[test]
    fn kubeadm_agrees_only_if_every_question_was_asked_and_answered_well() {
        let all = "kubeadm fetch 0\nkubeadm plan 0\nkubeadm apply 0\n";
        assert!(kubeadm_of(all).agrees);
        for name in ["fetch", "plan", "apply"] {
            assert!(!kubeadm_of(&all.replace(&format!("{name} 0"), &format!("{name} 1"))).agrees, "{name}");
        }
        assert!(!kubeadm_of("kubeadm fetch 0\noutput x\n").agrees);
    }

    #[test]
    fn what_the_installed_kubeadm_says_is_read_with_what_it_is_about() {
        const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        const ASKED: &str = "installed v1.36.1\nwritten v1.36.1\nmanifests 0\ndifference [upgrade/diff] Reading\n\
            difference --- /etc/kubernetes/manifests/kube-apiserver.yaml\ndifference +++ new manifest\n\
            difference @@ -20 +19,0 @@\ndifference -    - --profiling=false\n";
        let of = |lines: &str| read(&SURVEY.replace("end\n", &format!("{lines}end\n")));
        let said = of(ASKED).unwrap().manifests.unwrap();
        assert_eq!((said.installed.as_str(), said.written.as_str()), ("v1.36.1", "v1.36.1"));
        assert_eq!(said.changes.unwrap().shown(), ["kube-apiserver.yaml: - - --profiling=…"]);
        assert!(said.files.is_empty());
        let told =
            format!("file kube-apiserver {HASH} v1.36.1\nfile kube-scheduler {HASH} \nfile etcd cut\n");
        let said = of(&format!("{told}inputs {HASH}\n{ASKED}")).unwrap().manifests.unwrap();
        assert_eq!(said.inputs.as_deref(), Some(HASH));
        assert_eq!(of(&format!("inputs cut\n{ASKED}")).unwrap().manifests.unwrap().inputs, None);
        let files = said.files;
        let shown: Vec<_> = files.iter().map(|file| (&*file.component, &*file.sha256, &*file.tag)).collect();
        assert_eq!(shown, [("kube-apiserver", HASH, "v1.36.1"), ("kube-scheduler", HASH, "")]);
        for (from, to, told) in [
            ("manifests 0", "manifests 1\nmanifests-output no client", "kubeadm ended with 1: no client"),
            ("-20 +19,0", "-20,2 +19,0", "the last hunk is cut"),
        ] {
            let said = of(&ASKED.replace(from, to)).unwrap().manifests.unwrap();
            assert_eq!(said.changes, Err(told.to_owned()));
        }
        // Nothing that differs is an answer only if the question was asked and ended well.
        for missing in ["written v1.36.1\n", "manifests 0\n"] {
            assert!(of(&ASKED.replace(missing, "")).is_err(), "{missing}");
        }
        assert_eq!(of("").unwrap().manifests, None);
    }

    #[test]
    fn no_password_of_a_url_is_shown() {
        for (text, shown) in [
            ("value: http://user:hunter2@proxy:3128/", "value: http://***@proxy:3128/"),
            ("\"https://hunter2@a,https://b\" ftp://c:d@e", "\"https://***@a,https://b\" ftp://***@e"),
            ("http://user:hun@ter2@proxy", "http://***@proxy"),
            ("http://user:hun/ter2@proxy", "http://***@proxy"),
            ("image: registry/a@sha256:00", "image: registry/a@sha256:00"),
            ("://", "://"),
            ("https://b/ user@c", "https://b/ user@c"),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }

    #[test]
    fn a_wrong_host_key_is_told_from_a_node_that_is_away() {
        for (said, reason) in [
            (
                "No ED25519 host key is known for 10.0.0.1 and you have requested strict checking.",
                Reason::SshHostKey,
            ),
            ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", Reason::SshHostKey),
            ("failed to connect: Host key verification failed.", Reason::SshHostKey),
            ("connect to host 10.0.0.1 port 22: Connection refused", Reason::SshUnreachable),
            ("Permission denied (publickey).", Reason::SshUnreachable),
            ("", Reason::SshUnreachable),
        ] {
            assert_eq!(connect_refusal(said), reason, "{said}");
        }
    }

    #[test]
    fn a_start_that_gave_no_answer_is_not_called_started() {
        let node = NodeName::from("w-1");
        assert_eq!(launch_answer(&node, "started\n", ""), Ok(()));
        for (stdout, reason) in [
            ("refused generation_too_old\n", Reason::GenerationTooOld),
            ("refused nonsense\n", Reason::UnitFailed),
            ("", Reason::UnitFailed),
            ("started\nbash: line 3\n", Reason::UnitFailed),
        ] {
            assert_eq!(launch_answer(&node, stdout, "").unwrap_err().reason, reason, "{stdout:?}");
        }
    }
}
