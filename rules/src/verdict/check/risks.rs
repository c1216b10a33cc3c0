//! No known danger is on the way to the target, or it is proven not to be in this cluster.
//!
//! A row tells between which versions the danger is, and may tell how to ask Prometheus whether it is here: one sample, 0
//! or 1. Whatever else comes back proves nothing, so that the verdict is unknown for the versions that are in danger.

use super::{Facts, Outcome, POLLED_AGE_SECONDS_MAX, unreadable_version, usable};
use crate::cluster::inventory::RiskAnswer;
use crate::cluster::snapshot::Source;
use crate::facts::{Risk, Severity};
use crate::reason::{Finding, Reason};
use crate::verdict::Evidence;
use crate::words::version::Version;

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    judge(facts).unwrap_or_else(|unknown| unknown)
}

fn judge(facts: &Facts<'_>) -> Result<Outcome, Outcome> {
    let part = &facts.case.matrix.risks;
    let target = facts.version()?;
    // No file has such a section: nobody has named a danger, and there is none to age.
    let risks = if part.file.is_empty() {
        &part.value
    } else {
        part.fresh(facts.case.now).map_err(Outcome::unknown)?
    };
    let age_seconds = if part.file.is_empty() { 0 } else { part.age_seconds(facts.case.now) };
    let known = Evidence { source: "risks", count: risks.0.len(), age_seconds };
    if risks.0.is_empty() {
        return Ok(Outcome::pass(known, []));
    }
    let (servers, servers_read) =
        facts.state("api_servers", &facts.case.snapshot.api_servers).map_err(Outcome::unknown)?;
    let (mut evidence, mut blockers, mut unknowns, mut notes) =
        (vec![servers_read], Vec::new(), Vec::new(), Vec::new());
    let (nodes, nodes_read) = facts.state("nodes", &facts.case.snapshot.nodes).map_err(Outcome::unknown)?;
    evidence.push(nodes_read);
    // A danger may be one of API servers or one of kubelets: whoever is in it counts.
    let versions = servers.iter().map(|server| (server.name.as_str(), &server.version));
    let versions = versions.chain(nodes.iter().map(|node| (node.name.0.as_str(), &node.kubelet_version)));
    let mut running: Vec<&Version> = Vec::new();
    for (name, version) in versions {
        match version {
            Ok(version) => running.push(version),
            Err(written) => unknowns.push(unreadable_version(name, written)),
        }
    }
    let answers = RiskAnswers::of(facts);
    evidence.extend(answers.read.clone().ok().flatten());
    for risk in &risks.0 {
        if !running.iter().any(|running| risk.is_on_the_way(running, target)) {
            continue;
        }
        let found = match answers.on(risk) {
            Ok(false) => continue,
            Ok(true) => {
                Finding::new(Reason::RiskPresent, &risk.name, format!("{} ({})", risk.why, risk.source))
            }
            Err(why) => Finding::new(Reason::RiskUnknown, &risk.name, why),
        };
        match (risk.severity, found.reason) {
            (Severity::Note, _) => notes.push(found),
            (Severity::Block, Reason::RiskPresent) => blockers.push(found),
            (Severity::Block, _) => unknowns.push(found),
        }
    }
    Ok(Outcome::judge(known, evidence, blockers, unknowns).noting(notes))
}

/// What Prometheus has said.
struct RiskAnswers<'a> {
    said: &'a [RiskAnswer],
    /// The evidence, nothing where nobody had to be asked, or why there is none.
    read: Result<Option<Evidence>, String>,
}

impl<'a> RiskAnswers<'a> {
    fn of(facts: &Facts<'a>) -> Self {
        let Some(source): Option<&Source<Vec<RiskAnswer>>> = facts.case.inventory.risk_answers.as_ref()
        else {
            return Self { said: &[], read: Ok(None) };
        };
        let now = facts.case.now;
        match usable("risk_answers", source, now, POLLED_AGE_SECONDS_MAX) {
            Ok(said) => {
                let age_seconds = source.age_seconds(now).unwrap_or_default();
                Self {
                    said,
                    read: Ok(Some(Evidence { source: "risk_answers", count: said.len(), age_seconds })),
                }
            }
            Err(finding) => Self { said: &[], read: Err(finding.detail) },
        }
    }

    /// Whether a risk is there, or why nobody knows.
    fn on(&self, risk: &Risk) -> Result<bool, String> {
        let Some(promql) = &risk.promql else { return Ok(true) };
        if let Err(why) = &self.read {
            return Err(why.clone());
        }
        // By the expression and not by the name: the row may have another one since it was asked.
        let answer = self.said.iter().find(|answer| answer.promql == *promql);
        answer
            .map_or_else(|| Err("nobody has asked for it yet".to_owned()), |answer| answer.is_present.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, api_server, outcome};
    use super::*;
    use crate::facts::Matrix;
    use crate::verdict::Status;

    const ROW: &str = "name: A, why: b, from: \"<1.37\", to: \">=1.37\", severity: block, source: \"https://example.com/a\"";

    fn lay(cluster: &mut Healthy, rows: &str) {
        let text = format!("schema: 2\nas_of: \"2026-08-22\"\nrisks: [{rows}]\n");
        let loaded = Matrix::load(&[("mine.yaml", &text)]).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        cluster.matrix.risks = loaded.risks;
    }

    fn answered(said: Result<bool, &str>) -> impl FnOnce(&mut Healthy) {
        let is_present = said.map_err(str::to_owned);
        move |cluster| {
            lay(cluster, &format!("{{{ROW}, promql: x}}"));
            let answer = RiskAnswer { promql: "x".to_owned(), is_present };
            cluster.inventory.risk_answers = Some(Source::read(vec![answer], cluster.now));
        }
    }

    #[test]
    fn a_danger_that_needs_no_proof_blocks_on_its_way_only() {
        let row = |cluster: &mut Healthy| lay(cluster, &format!("{{{ROW}}}"));
        assert_eq!(outcome(check, "v1.37.0", row), (Status::Block, vec!["risk_present"]));
        assert_eq!(outcome(check, "v1.36.3", row), (Status::Pass, vec![]));
        let behind = |cluster: &mut Healthy| {
            row(cluster);
            cluster.snapshot.api_servers.value = Some(vec![api_server("cp-1", "v1.37.0")]);
        };
        assert_eq!(outcome(check, "v1.37.1", behind).0, Status::Block, "kubelets are in danger yet");
        let half = |cluster: &mut Healthy| {
            row(cluster);
            let servers = cluster.snapshot.api_servers.value.as_mut().unwrap();
            servers.push(api_server("cp-2", "v1.37.0"));
        };
        assert_eq!(outcome(check, "v1.37.0", half).0, Status::Block, "one API server is in danger yet");
        assert_eq!(outcome(check, "v1.37.0", |_| {}), (Status::Pass, vec![]));
    }

    #[test]
    fn only_a_proof_that_it_is_not_there_lets_it_pass() {
        assert_eq!(outcome(check, "v1.37.0", answered(Ok(false))), (Status::Pass, vec![]));
        assert_eq!(outcome(check, "v1.37.0", answered(Ok(true))), (Status::Block, vec!["risk_present"]));
        let unknown = (Status::Unknown, vec!["risk_unknown"]);
        assert_eq!(outcome(check, "v1.37.0", answered(Err("no sample"))), unknown);
        assert_eq!(outcome(check, "v1.36.3", answered(Err("no sample"))), (Status::Pass, vec![]));
        type Change = fn(&mut Healthy);
        let losses: [Change; 4] = [
            |cluster| cluster.inventory.risk_answers = None,
            |cluster| cluster.inventory.risk_answers = Some(Source::failed("gone")),
            |cluster| cluster.inventory.risk_answers = Some(Source::read(Vec::new(), cluster.now)),
            |cluster| cluster.now += jiff::SignedDuration::from_secs(301),
        ];
        for (number, lose) in losses.into_iter().enumerate() {
            let found = outcome(check, "v1.37.0", |cluster| {
                answered(Ok(false))(cluster);
                lose(cluster);
            });
            assert_eq!(found.0, Status::Unknown, "loss {number}: {:?}", found.1);
        }
        // The expression was changed since.
        let other = |cluster: &mut Healthy| {
            answered(Ok(false))(cluster);
            lay(cluster, &format!("{{{ROW}, promql: y}}"));
        };
        assert_eq!(outcome(check, "v1.37.0", other), unknown);
    }

    #[test]
    fn a_note_is_in_nobodys_way_and_old_rows_say_nothing() {
        let note = |cluster: &mut Healthy| lay(cluster, &format!("{{{}}}", ROW.replace("block", "note")));
        assert_eq!(outcome(check, "v1.37.0", note), (Status::Pass, vec![]));
        let old = |cluster: &mut Healthy| {
            lay(cluster, &format!("{{{ROW}}}"));
            cluster.matrix.risks.as_of = Some("2020-01-01".parse().unwrap());
        };
        assert_eq!(outcome(check, "v1.36.3", old), (Status::Unknown, vec!["matrix_stale"]));
    }
}
