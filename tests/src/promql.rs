//! What an expression reads, and by which labels: for tests that hold rules and dashboards against the metric table.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, bail};
use lockkeeper_rules::alert::GATE_LABEL;
use lockkeeper_rules::publish::metric::TABLE;
use promql_parser::parser::{Expr, LabelModifier, VectorSelector, parse};

/// Labels that every scraped series has, and the one by which clusters are told apart.
const SCRAPED: [&str; 3] = ["cluster", "instance", "job"];
/// Labels of `ALERTS` that are asked for.
const OF_ALERTS: [&str; 10] = [
    "alertname",
    "alertstate",
    "cluster",
    "gate_class",
    GATE_LABEL,
    "phase",
    "run",
    "severity",
    "step",
    "token",
];

/// What an expression reads and by which labels it joins and groups.
#[derive(Debug, Default)]
struct Parts {
    selectors: Vec<VectorSelector>,
    labels: BTreeSet<String>,
    made: BTreeSet<String>,
}

/// Every selector of an expression.
///
/// # Errors
/// It is no PromQL.
pub fn selectors(expression: &str) -> Result<Vec<VectorSelector>> {
    Ok(parts(expression)?.selectors)
}

/// The labels that an expression groups or joins by, or makes.
///
/// # Errors
/// It is no PromQL.
pub fn labels(expression: &str) -> Result<BTreeSet<String>> {
    let Parts { labels, made, .. } = parts(expression)?;
    Ok(labels.into_iter().chain(made).collect())
}

/// Holds an expression against the metric table: every metric, every matcher, every label that is joined on.
///
/// # Errors
/// The first thing that the table does not know.
pub fn known(expression: &str) -> Result<()> {
    let Parts { selectors, labels, made } = parts(expression)?;
    let mut all: BTreeSet<String> = made;
    for selector in &selectors {
        let name = selector.name.as_deref().unwrap_or_default();
        let known = labels_of(name).ok_or_else(|| anyhow!("the metric table has no {name:?}"))?;
        for matcher in &selector.matchers.matchers {
            if !known.contains(&matcher.name.as_str()) {
                bail!("{name} has no label {:?}", matcher.name);
            }
        }
        all.extend(known.into_iter().map(str::to_owned));
    }
    match labels.iter().find(|label| !all.contains(*label)) {
        Some(label) => bail!("nothing in the expression has a label {label:?}"),
        None => Ok(()),
    }
}

/// The labels of a metric that rules and dashboards may name.
fn labels_of(metric: &str) -> Option<Vec<&'static str>> {
    match metric {
        "ALERTS" => Some(OF_ALERTS.to_vec()),
        "up" => Some(SCRAPED.to_vec()),
        "prometheus_rule_evaluation_failures_total" => Some([&SCRAPED[..], &["rule_group"]].concat()),
        _ => {
            let metric = TABLE.iter().find(|entry| entry.name == metric)?;
            Some([&SCRAPED[..], metric.labels].concat())
        }
    }
}

fn parts(expression: &str) -> Result<Parts> {
    let expr = parse(expression).map_err(|error| anyhow!("{error}: {expression}"))?;
    let mut parts = Parts::default();
    collect(&expr, &mut parts)?;
    Ok(parts)
}

fn collect(expr: &Expr, parts: &mut Parts) -> Result<()> {
    match expr {
        Expr::Aggregate(aggregate) => {
            parts.note(aggregate.modifier.as_ref());
            collect(&aggregate.expr, parts)
        }
        Expr::Unary(unary) => collect(&unary.expr, parts),
        Expr::Binary(binary) => {
            parts.note(binary.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref()));
            collect(&binary.lhs, parts)?;
            collect(&binary.rhs, parts)
        }
        Expr::Paren(paren) => collect(&paren.expr, parts),
        Expr::Subquery(subquery) => collect(&subquery.expr, parts),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(()),
        Expr::VectorSelector(selector) => {
            parts.selectors.push(selector.clone());
            Ok(())
        }
        Expr::MatrixSelector(matrix) => {
            parts.selectors.push(matrix.vs.clone());
            Ok(())
        }
        Expr::Call(call) => {
            if call.func.name == "label_replace"
                && let Some(Expr::StringLiteral(made)) = call.args.args.get(1).map(AsRef::as_ref)
            {
                parts.made.insert(made.val.clone());
            }
            call.args.args.iter().try_for_each(|arg| collect(arg, parts))
        }
        Expr::Extension(_) => bail!("an extension of PromQL"),
    }
}

impl Parts {
    fn note(&mut self, modifier: Option<&LabelModifier>) {
        let Some(LabelModifier::Include(labels) | LabelModifier::Exclude(labels)) = modifier else { return };
        self.labels.extend(labels.labels.iter().cloned());
    }
}
