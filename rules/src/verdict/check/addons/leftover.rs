//! What an add-on leaves behind when only its workload is deleted: definitions whose objects nobody looks after, and
//! webhooks that nobody answers.

use std::collections::HashSet;

use super::super::{Evidence, Facts};
use super::fit::{about, unless_it_runs};
use super::sign::is_of_another;
use super::{Question, Tally};
use crate::facts::Addon;
use crate::reason::{Finding, Reason};

/// How much of it is named; the rest is counted.
const NAMED_MAX: usize = 5;

/// What is in the cluster beside workloads, by name.
#[derive(Debug)]
pub(super) struct Left<'a> {
    /// Whole names of definitions, and the groups that they are of.
    definitions: HashSet<&'a str>,
    /// Names of webhooks and of their configurations.
    webhooks: HashSet<&'a str>,
}

impl<'a> Left<'a> {
    /// What can be read of it.
    pub(super) fn read(facts: &Facts<'a>) -> Result<(Self, [Evidence; 2]), Finding> {
        let inventory = &facts.case.inventory;
        let (definitions, definitions_read) = facts.state("definitions", &inventory.definitions)?;
        let (webhooks, webhooks_read) = facts.state("webhooks", &inventory.webhooks)?;
        let names = definitions.iter().map(|it| it.name.as_str());
        let groups = names.clone().filter_map(|name| Some(name.split_once('.')?.1));
        let configurations = webhooks.iter().flat_map(|configuration| {
            let each = configuration.webhooks.iter().map(|webhook| webhook.name.as_str());
            each.chain([configuration.name.as_str()])
        });
        let left = Self { definitions: names.chain(groups).collect(), webhooks: configurations.collect() };
        Ok((left, [definitions_read, webhooks_read]))
    }
}

/// What is said of an add-on of which no workload was found.
pub(super) fn judge(addon: &Addon, question: &Question<'_>, tally: &mut Tally) {
    let witnesses = &addon.detection.witnesses;
    if !witnesses.has_of_cluster() {
        return;
    }
    let left = match &question.left {
        Ok(left) => left,
        Err(finding) => {
            let list = unless_it_runs(question, &mut tally.unknowns, &mut tally.notes);
            // It is one source for many rows.
            if !list.contains(finding) {
                list.push(finding.clone());
            }
            return;
        }
    };
    let definitions = witnesses.crd_groups.iter().filter(|name| left.definitions.contains(name.as_str()));
    let webhooks = witnesses.webhooks.iter().filter(|name| left.webhooks.contains(name.as_str()));
    let definitions = definitions.map(|name| format!("definitions of {name}"));
    let all: Vec<String> = definitions.chain(webhooks.map(|name| format!("the webhook {name}"))).collect();
    if all.is_empty() {
        return;
    }
    let more = all.len().saturating_sub(NAMED_MAX);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named: Vec<&str> = all.iter().take(NAMED_MAX).map(String::as_str).collect();
    let named = named.join(", ");
    if let Some(other) = question.workloads.iter().find(|it| is_of_another(&addon.detection, it)) {
        let detail =
            format!("{other} runs an image of another project that is called alike, beside {named}{rest}");
        let finding = Finding::new(Reason::AddonVersionUnreadable, &addon.name, detail);
        return unless_it_runs(question, &mut tally.unknowns, &mut tally.notes).push(finding);
    }
    let detail = format!("{named}{rest}, and its main workload was not found");
    let finding = about(addon, Reason::AddonLeftover, &detail);
    unless_it_runs(question, &mut tally.blockers, &mut tally.notes).push(finding);
}
