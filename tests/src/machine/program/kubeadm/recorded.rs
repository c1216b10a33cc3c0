//! What a real kubeadm was recorded to print: the texts of its commands, and the manifests of static pods.
//!
//! ```text
//!   v1.35/to-v1.36-kubeadm-upgrade-plan.txt            what the kubeadm of 1.36 says of a cluster of 1.35
//!   v1.35/to-v1.36-kubeadm-upgrade-apply-dry-run.txt   has the manifests that the kubeadm of 1.36 writes
//!   v1.35/to-v1.36-kubeadm-upgrade-diff.txt            taken back from those: the manifests on the disk,
//!   v1.35/kubeadm-upgrade-diff.txt                     and with this: those that the kubeadm of 1.35 writes
//!   v1.35/kubeadm-upgrade-apply-phase-control-plane.txt   what is said around them in a dry run of this one phase
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lockkeeper_rules::words::version::{Minor, Version};

use crate::recorded::Recorded;

/// What was recorded of kubeadm.
#[derive(Debug)]
pub(in crate::machine) struct Kubeadms {
    root: PathBuf,
}

/// A cluster of one minor that was shown to the kubeadm of another.
struct Pair {
    of: Recorded,
    to: Minor,
}

impl Pair {
    fn text(&self, name: &str) -> Result<String> {
        self.of.text(&format!("to-v{}-kubeadm-upgrade-{name}.txt", self.to))
    }
}

impl Kubeadms {
    /// What lies in a folder of recordings.
    pub(in crate::machine) fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn pairs(&self) -> Vec<Pair> {
        let all = Recorded::all(&self.root);
        let minors: Vec<Minor> = all.iter().map(|it| it.minor).collect();
        let to = |of: Recorded| {
            let minors = minors.iter().map(move |to| Pair { of: of.clone(), to: *to });
            minors.filter(|pair| pair.of.has(&format!("to-v{}-kubeadm-upgrade-plan.txt", pair.to)))
        };
        all.into_iter().flat_map(to).collect()
    }

    /// What the kubeadm of `to` prints for `upgrade plan` or, with `apply-dry-run`, for that, of a cluster of `from`.
    ///
    /// Of a patch nothing was recorded: then it is the text that goes to that minor, or away from it, where no add-on and no
    /// etcd goes to another version.
    pub(super) fn text(&self, name: &str, from: &Version, to: &Version) -> Result<String> {
        let mut pairs = self.pairs();
        // The pair itself is best, then one that goes to this minor.
        pairs.sort_by_key(|pair| (pair.of.minor != from.minor(), pair.to != to.minor()));
        let fits = |pair: &Pair| [pair.of.minor, pair.to].contains(&to.minor()) && from.minor() <= to.minor();
        let whole = |pair: &Pair| pair.of.minor == from.minor() && pair.to == to.minor();
        let is_patch = from.minor() == to.minor();
        let found = pairs.iter().find(|pair| if is_patch { fits(pair) } else { whole(pair) });
        let pair = found.with_context(|| format!("no kubeadm was recorded that goes from {from} to {to}"))?;
        let text = pair.text(name)?;
        let said = planned_target(&pair.text("plan")?)?;
        // Through a word that no text has, since one may be put where the other stood.
        let text = text.replace(&said.bare(), "\u{1}").replace(&pair.of.version()?.bare(), &from.bare());
        let text = text.replace('\u{1}', &to.bare());
        let series = |minor: Minor| format!("in the v{minor} series");
        let text = text.replace(&series(pair.of.minor), &series(from.minor()));
        Ok(if is_patch { stay(&text, pair.to == to.minor()) } else { text })
    }

    /// The manifest that the kubeadm of a version writes for itself. Addresses in it are those of the recording: whoever
    /// compares manifests compares two of them.
    pub(in crate::machine) fn manifest(&self, component: &str, minor: Minor) -> Result<String> {
        let pairs = self.pairs();
        if let Some(pair) = pairs.iter().find(|pair| pair.to == minor) {
            return printed(&pair.text("apply-dry-run")?, component);
        }
        let pair = pairs.iter().find(|pair| pair.of.minor == minor);
        let pair =
            pair.with_context(|| format!("no manifest was recorded that a kubeadm of {minor} writes"))?;
        let on_disk = patched(
            &printed(&pair.text("apply-dry-run")?, component)?,
            &pair.text("diff")?,
            component,
            true,
        )?;
        patched(&on_disk, &pair.of.text("kubeadm-upgrade-diff.txt")?, component, false)
    }
}

/// What a dry run of the one phase that writes manifests prints, with these manifests in the place of the recorded ones.
pub(super) fn phase(root: &Path, version: &Version, manifests: &[(&str, String)]) -> Result<String> {
    let recorded = Recorded::below(root, version.minor())?;
    let text = recorded.text("kubeadm-upgrade-apply-phase-control-plane.txt")?;
    let mut said = String::new();
    let mut is_ours = false;
    for line in text.replace(&recorded.version()?.bare(), &version.bare()).split_inclusive('\n') {
        let of_file = line.split_once(&format!("[dryrun] Would write file \"{}/", super::manifests::FOLDER));
        if let Some((_, rest)) = of_file {
            let component = rest.split('.').next().unwrap_or_default();
            let manifest = manifests.iter().find(|(name, _)| *name == component);
            is_ours = manifest.is_some();
            said.push_str(line);
            said.push_str(manifest.map_or("", |(_, text)| text));
        } else if line.starts_with('[') || !is_ours {
            is_ours = false;
            said.push_str(line);
        }
    }
    Ok(said)
}

/// The version that a recorded plan goes to.
fn planned_target(plan: &str) -> Result<Version> {
    let said = plan.lines().find_map(|line| line.strip_prefix("[upgrade/versions] Target version: "));
    Ok(said.context("a plan without a target")?.parse()?)
}

/// The rows of a plan's table with etcd and CoreDNS where they are: in the column of the target, or in the other.
fn stay(text: &str, at_target: bool) -> String {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (current, target) = match words[..] {
            ["CoreDNS", current, target] | ["etcd", _, current, target] => (current, target),
            _ => return format!("{line}\n"),
        };
        let stays = if at_target { target } else { current };
        let head = line.split(current).next().unwrap_or_default();
        format!("{head}{stays:<10}{stays}\n")
    };
    text.lines().map(row).collect()
}

/// A manifest that a dry run printed.
fn printed(text: &str, component: &str) -> Result<String> {
    let head = format!(
        "[dryrun] Would write file \"{}/{component}.yaml\" with content:\n",
        super::manifests::FOLDER
    );
    let (_, rest) = text.split_once(&head).with_context(|| format!("no dry run printed {component}"))?;
    Ok(rest.lines().take_while(|line| !line.starts_with('[')).map(|line| format!("{line}\n")).collect())
}

/// A manifest with what kubeadm's diff says of it done to it, or taken back.
fn patched(text: &str, diff: &str, component: &str, back: bool) -> Result<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let head = format!("--- {}/{component}.yaml", super::manifests::FOLDER);
    let of_file = diff.lines().skip_while(|line| *line != head).skip(2);
    let of_file: Vec<&str> = of_file.take_while(|line| !line.starts_with("--- ")).collect();
    let hunks = of_file.split(|line| line.starts_with("@@ ")).skip(1);
    let heads = of_file.iter().filter(|line| line.starts_with("@@ "));
    // From the end, so that the numbers of the others stay.
    for (head, hunk) in heads.zip(hunks).collect::<Vec<_>>().into_iter().rev() {
        let [_, old, new, _] = head.split(' ').collect::<Vec<_>>()[..] else { bail!("{head} heads no hunk") };
        let with =
            |sign: char| hunk.iter().filter_map(move |line| line.strip_prefix(sign)).map(str::to_owned);
        let (place, gone, comes): (&str, Vec<String>, Vec<String>) = if back {
            (new, with('+').collect(), with('-').collect())
        } else {
            (old, with('-').collect(), with('+').collect())
        };
        let number: usize = place[1..].split(',').next().unwrap_or_default().parse()?;
        // Where nothing goes, it is the line after which something comes.
        let start = if gone.is_empty() { number } else { number.saturating_sub(1) };
        let end = start + gone.len();
        if lines.get(start..end) != Some(&gone) {
            bail!("{component}: {head} does not fit");
        }
        lines.splice(start..end, comes);
    }
    Ok(lines.into_iter().map(|line| line + "\n").collect())
}

/// Where a machine has its copy of the recordings.
pub(in crate::machine) fn on_machine() -> PathBuf {
    Path::new(super::super::super::INSIDE).join("recorded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::root;

    const TWO: &str = "--- /etc/kubernetes/manifests/a.yaml\n+++ new manifest\n@@ -2 +2 @@\n-2\n+two\n@@ -4,0 +5,2 @@\n+5\n+6\n\
                       --- /etc/kubernetes/manifests/b.yaml\n+++ new manifest\n@@ -1 +0,0 @@\n-1\n";

    #[test]
    fn what_a_diff_has_done_is_taken_back() {
        let (old, new) = ("1\n2\n3\n4\n", "1\ntwo\n3\n4\n5\n6\n");
        assert_eq!(patched(old, TWO, "a", false).unwrap(), new);
        assert_eq!(patched(new, TWO, "a", true).unwrap(), old);
        assert_eq!(patched("1\n2\n", TWO, "b", false).unwrap(), "2\n");
        assert_eq!(patched("2\n", TWO, "b", true).unwrap(), "1\n2\n");
        assert_eq!(patched(old, TWO, "c", true).unwrap(), old);
        assert!(patched(new, TWO, "a", false).is_err());
    }

    #[test]
    fn the_manifests_of_each_recorded_minor_are_those_whose_difference_was_recorded() {
        let kubeadms = Kubeadms::below(root());
        for recorded in Recorded::all(&root()) {
            for component in super::super::COMPONENTS {
                let text = kubeadms.manifest(component, recorded.minor).unwrap();
                let has = |what: &str| text.contains(what);
                assert!(
                    text.starts_with("apiVersion: v1\nkind: Pod\n") && text.ends_with("status: {}\n"),
                    "{text}"
                );
                assert!(has(&format!("/{component}:v{}.", recorded.minor)), "{text}");
                // What the site of the recording has patched is not what kubeadm writes.
                assert!(!has("terminationGracePeriodSeconds"), "{text}");
                let takes_flex_volumes = recorded.minor < Minor { major: 1, minor: 36 };
                let is_manager = component == "kube-controller-manager";
                assert_eq!(has("flexvolume-dir"), takes_flex_volumes && is_manager, "{text}");
            }
        }
    }

    #[test]
    fn a_text_names_the_versions_that_it_is_asked_for() {
        let kubeadms = Kubeadms::below(root());
        let text = |from: &str, to: &str| kubeadms.text("plan", &from.parse().unwrap(), &to.parse().unwrap());
        for (from, to, etcd) in [
            ("v1.35.1", "v1.36.2", ["3.6.6-0", "3.6.8-0"]),
            ("v1.36.1", "v1.36.3", ["3.6.8-0"; 2]),
            ("v1.35.1", "v1.35.4", ["3.6.6-0"; 2]),
        ] {
            let text = text(from, to).unwrap();
            let row =
                |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace();
            assert!(row("kube-scheduler").eq(["kube-scheduler", "cp-1", from, to]), "{text}");
            assert!(row("etcd").eq(["etcd", "cp-1", etcd[0], etcd[1]]), "{text}");
            assert!(text.contains(&format!("\tkubeadm upgrade apply {to}\n")), "{text}");
            assert!(text.contains(&format!("Latest version in the {} series: {to}\n", &from[..5])), "{text}");
        }
        assert!(text("v1.34.1", "v1.35.4").is_err() && text("v1.36.3", "v1.37.0").is_err());
    }
}
