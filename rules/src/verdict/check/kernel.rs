//! Each node's kernel can be read, and is noted where kubeadm's own preflight does not know it: of any other kubeadm only
//! warns, of those of Red Hat's releases 8 and 9 too, whose numbers are older than what is in them.

use super::{Against, Facts, Outcome};
use crate::cluster::snapshot::Node;
use crate::facts::Kernels;
use crate::reason::{Finding, Reason};
use crate::words::version::Minor;

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    facts.each_node(&facts.case.matrix.kernels, against)
}

fn against(node: &Node, kernels: &Kernels) -> Against {
    let runs = &node.kernel_version;
    let about = |reason, detail| Finding::new(reason, node.name.0.clone(), detail);
    match branch(runs) {
        None => Against::Unknown(about(Reason::KernelUnknown, format!("it runs {runs:?}"))),
        Some(branch) if !accepts(kernels, branch) => {
            let accepted = kernels.branches.iter().map(ToString::to_string);
            let newer = kernels.from.map(|from| format!("{from} and everything newer"));
            let accepted = accepted.chain(newer).collect::<Vec<_>>().join(", ");
            let detail = format!("it runs {runs}; kubeadm knows {accepted} ({})", kernels.source);
            Against::Note(about(Reason::KernelUnsupported, detail))
        }
        Some(_) => Against::Nothing,
    }
}

fn accepts(kernels: &Kernels, branch: Minor) -> bool {
    kernels.branches.contains(&branch) || kernels.from.is_some_and(|from| branch >= from)
}

/// The branch of a kernel such as `5.15.0-91-generic`.
pub(super) fn branch(text: &str) -> Option<Minor> {
    let mut numbers = text.splitn(3, '.');
    let major = numbers.next()?.parse().ok()?;
    let minor: String = numbers.next()?.chars().take_while(char::is_ascii_digit).collect();
    Some(Minor { major, minor: minor.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, healthy, outcome};
    use super::*;
    use crate::cluster::snapshot::Source;
    use crate::verdict::Status;

    #[test]
    fn what_kubeadm_only_warns_of_is_noted_and_what_cannot_be_read_is_unknown() {
        for (kernel, status, reason) in [
            ("5.15.0-91-generic", Status::Pass, None),
            ("5.4.0", Status::Pass, None),
            ("6.1.0-18-amd64", Status::Pass, None),
            ("7.0-rc1", Status::Pass, None),
            ("4.19.0", Status::Pass, None),
            ("3.10.0-1160.el7.x86_64", Status::Pass, None),
            ("5.3.18", Status::Pass, None),
            ("5.14.0-503.el9.x86_64", Status::Pass, None),
            ("", Status::Unknown, Some("kernel_unknown")),
            ("generic", Status::Unknown, Some("kernel_unknown")),
        ] {
            let on = |cluster: &mut Healthy| {
                cluster.snapshot.nodes.value.as_mut().unwrap()[1].kernel_version = kernel.to_owned();
            };
            assert_eq!(outcome(check, "v1.36.3", on), (status, reason.into_iter().collect()), "{kernel}");
        }
        let on = |cluster: &mut Healthy| {
            cluster.snapshot.nodes.value.as_mut().unwrap()[1].kernel_version =
                "4.18.0-553.el8_10.x86_64".to_owned();
        };
        let mut cluster = healthy();
        on(&mut cluster);
        let nodes = cluster.snapshot.nodes.value.as_mut().unwrap();
        let like = nodes[1].clone();
        nodes.extend(
            (2..9).map(|number| Node { name: format!("w-{number}").as_str().into(), ..like.clone() }),
        );
        let noted = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() }).notes;
        let told: Vec<_> = noted.iter().map(|note| (note.reason, note.subject.as_str())).collect();
        assert_eq!(told, [(Reason::KernelUnsupported, "w-1, w-2, w-3, w-4, w-5 and 3 more")]);
        let lost = |cluster: &mut Healthy| cluster.snapshot.nodes = Source::failed("gone");
        assert_eq!(outcome(check, "v1.36.3", lost), (Status::Unknown, vec!["source_unreadable"]));
    }
}
