//! Each node's kernel is one that kubeadm's own preflight accepts.

use super::{Against, Facts, Outcome};
use crate::matrix::Kernels;
use crate::reason::{Finding, Reason};
use crate::snapshot::Node;
use crate::version::Minor;

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    facts.each_node(&facts.case.matrix.kernels, against)
}

fn against(node: &Node, kernels: &Kernels) -> Against {
    let runs = &node.kernel_version;
    let about = |reason, detail| Finding::new(reason, node.name.0.clone(), detail);
    match branch(runs) {
        None => Against::Unknown(about(Reason::KernelUnknown, format!("it runs {runs:?}"))),
        Some(branch) if !accepts(kernels, branch) => {
            Against::Blocks(about(Reason::KernelUnsupported, format!("it runs {runs}")))
        }
        Some(_) => Against::Nothing,
    }
}

fn accepts(kernels: &Kernels, branch: Minor) -> bool {
    kernels.branches.contains(&branch) || kernels.from.is_some_and(|from| branch >= from)
}

/// The branch of a kernel such as `5.15.0-91-generic`.
fn branch(text: &str) -> Option<Minor> {
    let mut numbers = text.splitn(3, '.');
    let major = numbers.next()?.parse().ok()?;
    let minor: String = numbers.next()?.chars().take_while(char::is_ascii_digit).collect();
    Some(Minor { major, minor: minor.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, outcome};
    use super::*;
    use crate::snapshot::Source;
    use crate::verdict::Status;

    #[test]
    fn only_long_term_branches_and_new_kernels_pass() {
        for (kernel, status, reason) in [
            ("5.15.0-91-generic", Status::Pass, None),
            ("5.4.0", Status::Pass, None),
            ("6.1.0-18-amd64", Status::Pass, None),
            ("7.0-rc1", Status::Pass, None),
            ("4.19.0", Status::Block, Some("kernel_unsupported")),
            ("5.8.0-1", Status::Block, Some("kernel_unsupported")),
            ("", Status::Unknown, Some("kernel_unknown")),
            ("generic", Status::Unknown, Some("kernel_unknown")),
        ] {
            let on = |cluster: &mut Healthy| {
                cluster.snapshot.nodes.value.as_mut().unwrap()[1].kernel_version = kernel.to_owned();
            };
            assert_eq!(outcome(check, "v1.36.3", on), (status, reason.into_iter().collect()), "{kernel}");
        }
        let lost = |cluster: &mut Healthy| cluster.snapshot.nodes = Source::failed("gone");
        assert_eq!(outcome(check, "v1.36.3", lost), (Status::Unknown, vec!["source_unreadable"]));
    }
}
