//! Each node's kernel is one that kubeadm's own preflight accepts.

use super::{Facts, Outcome};
use crate::matrix::Kernels;
use crate::reason::{Finding, Reason};
use crate::version::Minor;

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    let read = facts.state("nodes", &facts.case.snapshot.nodes);
    let read = read.and_then(|(nodes, read)| Ok((nodes, read, facts.known(&facts.case.matrix.kernels)?)));
    let (nodes, nodes_read, (kernels, known)) = match read {
        Ok(read) => read,
        Err(finding) => return Outcome::unknown(finding),
    };
    let (mut blockers, mut unknowns) = (Vec::new(), Vec::new());
    if nodes.is_empty() {
        unknowns.push(Finding::new(Reason::NoNodes, "nodes", "the list is empty"));
    }
    for node in nodes {
        let about = |reason, detail: String| Finding::new(reason, node.name.0.clone(), detail);
        match branch(&node.kernel_version) {
            None => unknowns.push(about(Reason::KernelUnknown, format!("it runs {:?}", node.kernel_version))),
            Some(branch) if !accepts(kernels, branch) => {
                blockers.push(about(Reason::KernelUnsupported, format!("it runs {}", node.kernel_version)));
            }
            Some(_) => {}
        }
    }
    Outcome::judge(nodes_read, vec![known], blockers, unknowns)
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
