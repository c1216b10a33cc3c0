//! The dashboard, as tests look at it.

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::World;

/// The text of the dashboard.
pub const OVERVIEW: &str = include_str!("../../dashboards/lockkeeper-overview.json");

/// How far back a panel over time looks: a whole run of a World, and what was before it.
const RANGE_SECONDS: i64 = 600;
/// The pause between two points of it.
const STEP_SECONDS: u64 = 5;

/// What Grafana would put in for the variables when "All" is chosen.
const VARIABLES: [(&str, &str); 5] = [
    ("$__rate_interval", "1m"),
    ("$__interval", "15s"),
    ("$job", ".+"),
    ("$instance", ".+"),
    ("$cluster", ".*"),
];

/// One query of one panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanelQuery {
    /// The title of the panel.
    pub title: String,
    /// The expression, with the variables put in.
    pub expr: String,
    /// It is asked over time, not only for now.
    pub is_range: bool,
    /// The panel says what an empty answer means.
    pub may_be_empty: bool,
}

/// The dashboard.
///
/// # Errors
/// It is no JSON.
pub fn overview() -> Result<Value> {
    serde_json::from_str(OVERVIEW).context("dashboards/lockkeeper-overview.json is no JSON")
}

/// Every panel but the rows' headings.
///
/// # Errors
/// The dashboard is no JSON or has no panels.
pub fn panels() -> Result<Vec<Value>> {
    let panels = overview()?["panels"].as_array().context("no panels")?.clone();
    Ok(panels.into_iter().filter(|panel| panel["type"] != "row").collect())
}

/// Every query of every panel.
///
/// # Errors
/// A panel lacks something.
pub fn queries() -> Result<Vec<PanelQuery>> {
    let mut queries = Vec::new();
    for panel in panels()? {
        let title = panel["title"].as_str().context("a panel without a title")?;
        for target in panel["targets"].as_array().with_context(|| format!("{title}: no targets"))? {
            let expr = target["expr"].as_str().with_context(|| format!("{title}: no expression"))?;
            queries.push(PanelQuery {
                title: title.to_owned(),
                expr: substituted(expr),
                is_range: target["instant"] != true,
                may_be_empty: panel.pointer("/fieldConfig/defaults/noValue").is_some(),
            });
        }
    }
    Ok(queries)
}

/// An expression with the variables put in.
#[must_use]
pub fn substituted(expr: &str) -> String {
    VARIABLES.iter().fold(expr.to_owned(), |expr, (name, value)| expr.replace(name, value))
}

/// Asks the World's Prometheus every query of the dashboard, as Grafana would.
///
/// # Errors
/// A query is refused, shows nothing although its panel does not say what that means, or shows what is no number;
/// all of them are told.
pub async fn evaluate(world: &World) -> Result<()> {
    let mut wrong = Vec::new();
    for query in queries()? {
        if let Err(error) = evaluate_one(world, &query).await {
            wrong.push(format!("{}: {error:#}: {}", query.title, query.expr));
        }
    }
    ensure!(wrong.is_empty(), "{} queries of the dashboard fail:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

async fn evaluate_one(world: &World, query: &PanelQuery) -> Result<()> {
    let now = Timestamp::now();
    let series = if query.is_range {
        let from = now - SignedDuration::from_secs(RANGE_SECONDS);
        world.prometheus.query_range(&query.expr, from, now, STEP_SECONDS).await?
    } else {
        world.prometheus.query(&query.expr).await?
    };
    ensure!(query.may_be_empty || !series.is_empty(), "it shows nothing");
    for one in &series {
        let points = match &one["values"] {
            Value::Array(points) => points.clone(),
            _ => vec![one["value"].clone()],
        };
        for point in points {
            let number = point[1].as_str().and_then(|text| text.parse::<f64>().ok());
            ensure!(number.is_some_and(f64::is_finite), "{point} is no number, in {one}");
        }
    }
    Ok(())
}
