//! A look at nodes: at all of them before a run, at each before its own step.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockkeeper_rules::driver::kubeadm::node_script::{
    self, survey_answer, survey_seconds_max, without_passwords,
};
use lockkeeper_rules::driver::kubeadm::order::{NodeTarget, SurveyOrder};
use lockkeeper_rules::driver::kubeadm::reading::NodeSurvey;
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::words::name::{NodeName, RunUid};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{ScriptOutput, Ssh};

/// How many nodes are looked at together.
const TOGETHER_MAX: usize = 10;

/// Looks at every node of the order, some of them together. There is one answer for each, in the order's order.
pub async fn survey(
    ssh: &Ssh,
    order: &SurveyOrder,
    run: &RunUid,
) -> Vec<(NodeName, Result<NodeSurvey, Finding>)> {
    let together = Arc::new(Semaphore::new(TOGETHER_MAX));
    let mut looks = JoinSet::new();
    for (place, node) in order.nodes.iter().enumerate() {
        let (ssh, order, run, node) = (ssh.clone(), order.clone(), run.clone(), node.clone());
        let together = Arc::clone(&together);
        looks.spawn(async move {
            let _turn = together.acquire_owned().await;
            (place, look(&ssh, &order, &node, &run).await)
        });
    }
    let unanswered =
        |node: &NodeTarget| Finding::new(Reason::SshUnreachable, node.name.0.clone(), "it was not asked");
    let mut answers: Vec<_> =
        order.nodes.iter().map(|node| (node.name.clone(), Err(unanswered(node)))).collect();
    while let Some(look) = looks.join_next().await {
        match look {
            Ok((place, answer)) => answers[place].1 = answer,
            Err(error) => tracing::error!(%error, "a look at a node broke off"),
        }
    }
    answers
}

async fn look(
    ssh: &Ssh,
    order: &SurveyOrder,
    node: &NodeTarget,
    run: &RunUid,
) -> Result<NodeSurvey, Finding> {
    let script = node_script::survey(order, node, run, &ssh.scripts)?;
    let deadline = Duration::from_secs(survey_seconds_max(order, node));
    let asked = Timestamp::now();
    let answer = ssh.run(node, &script, deadline, || Ok(())).await?;
    read(&node.name, &answer, asked)
}

fn read(node: &NodeName, answer: &ScriptOutput, asked: Timestamp) -> Result<NodeSurvey, Finding> {
    survey_answer(&answer.stdout, asked, Timestamp::now()).map_err(|error| {
        let said: String = without_passwords(answer.stderr.trim()).chars().take(400).collect();
        let detail = format!("what it printed cannot be read: {error}; {said}");
        Finding::new(Reason::LedgerUnreadable, node.0.clone(), detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_beside_its_answer_is_shown_without_the_password_of_a_proxy() {
        let answer = ScriptOutput {
            stdout: "cut off".to_owned(),
            stderr: "HTTPS_PROXY=http://ann:secret@proxy.example:3128 is not reached\n".to_owned(),
        };
        let finding = read(&NodeName("cp-1".to_owned()), &answer, Timestamp::now()).unwrap_err();
        assert_eq!((finding.reason, finding.subject.as_str()), (Reason::LedgerUnreadable, "cp-1"));
        assert!(
            finding.detail.ends_with("; HTTPS_PROXY=http://***@proxy.example:3128 is not reached"),
            "{finding}"
        );
    }
}
