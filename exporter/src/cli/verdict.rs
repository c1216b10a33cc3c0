//! `verdict TARGET`: one read of a cluster, or of a saved one, and the answer as an exit code.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockkeeper_rules::cluster::snapshot::{Packages, Snapshot, Source};
use lockkeeper_rules::facts::Matrix;
use lockkeeper_rules::facts::reload::InForce;
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::verdict::Case;
use lockkeeper_rules::wire::kubelet::questions;
use lockkeeper_rules::words::version::Version;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::matrix::{MatrixInput, input_of};
use super::verdict_args::{DEADLINE, Output, SOURCE_DEADLINE, VerdictArgs, within_deadline};
use super::{Failure, compat, input, print};
use crate::config;
use crate::exit::Exit;
use crate::read::inventory::inventory_now;
use crate::read::kubelet::kubelets_now;
use crate::read::now::snapshot_now;
use crate::read::packages::Repository;
use crate::read::polled_sources::PolledConfig;
use crate::saved::Saved;
use crate::serve::judged::Judgement;
use crate::serve::verdict::{Detail, Report, uncovered};
use crate::telemetry::chain;

/// The variable that told the first gate which minor runs, against what the cluster says.
const FIRST_GATE_RUNNING: &str = "RUNNING_K8S";

pub(super) fn run(args: VerdictArgs) -> Result<Exit, Failure> {
    if std::env::var_os(FIRST_GATE_RUNNING).is_some() {
        // Whoever sets it means to be answered for another cluster than the one that is read.
        let why = "is ignored: the running version is read from the cluster, or from the file of --from";
        // Nobody is left to be told if the terminal is gone.
        let _told = writeln!(std::io::stderr(), "lockkeeper-exporter: {FIRST_GATE_RUNNING} {why}");
    }
    let config = args.config.as_deref().map(config::read).transpose().map_err(input)?;
    let configured = config.as_ref().map(|config| config.matrix.files.as_slice()).unwrap_or_default();
    match input_of(&args.matrix, configured)? {
        MatrixInput::Facts(matrix) => judge(&args, config, &matrix),
        MatrixInput::FirstGate(text) => compat::run(&args, &text),
    }
}

fn judge(args: &VerdictArgs, config: Option<config::Config>, matrix: &Matrix) -> Result<Exit, Failure> {
    let target = &args.target;
    let what = |error| anyhow::anyhow!("{target:?} is no target: {error}; give a version such as v1.36.3");
    target.parse::<Version>().map_err(|error| input(what(error)))?;
    let saved = match &args.from {
        Some(path) => Saved::read(path).map_err(input)?,
        None => within_deadline(read(args, config.as_ref(), matrix))?,
    };
    if let Some(path) = &args.save {
        saved.write(path).map_err(input)?;
    }
    let settings = config.map(|config| config.settings).unwrap_or_default();
    let (text, exit) = render(args, matrix, &saved, &settings);
    print(&text).map_err(Failure::unknown)?;
    Ok(exit)
}

fn render(args: &VerdictArgs, matrix: &Matrix, saved: &Saved, settings: &Settings) -> (String, Exit) {
    let Saved { now, snapshot, inventory, .. } = saved;
    let case = Case { snapshot, inventory, matrix, settings, now: *now };
    let judgements = [Arc::new(Judgement::of(&args.target, &case))];
    let uncovered = uncovered(inventory, matrix);
    let detail = if args.verbose { Detail::Verbose } else { Detail::Short };
    let report = Report::new(&judgements, &uncovered, &case, detail);
    let text = match args.output {
        Output::Text => report.text(),
        Output::Json => report.json(),
    };
    (text, judgements[0].verdict.verdict.into())
}

async fn read(
    args: &VerdictArgs,
    config: Option<&config::Config>,
    matrix: &Matrix,
) -> Result<Saved, Failure> {
    // A little before the end, so that what was read by then is told.
    let until = Instant::now() + DEADLINE.saturating_sub(Duration::from_secs(5));
    let cluster = args.connect().await?;
    let facts = InForce { matrix: Arc::new(matrix.clone()), loaded_at: Timestamp::now() };
    let polled_config = PolledConfig {
        prometheus: args.prometheus(config)?,
        selector: config.map(|config| config.settings.selector.clone()).unwrap_or_default(),
        facts: watch::channel(facts).1,
    };
    let settings = config.map(|config| config.settings.clone()).unwrap_or_default();
    let namespaces = settings.served_from(cluster.own_namespace()).namespaces;
    let (mut snapshot, mut inventory) = tokio::join!(
        snapshot_now(&cluster, Source::unread(), &namespaces, SOURCE_DEADLINE),
        inventory_now(&cluster.client, &polled_config, SOURCE_DEADLINE),
    );
    let nodes = snapshot.nodes.value.as_deref().unwrap_or_default();
    let questions = questions(nodes, args.target.parse::<Version>().ok().as_slice());
    // Half of what is left, so that there is time for packages.
    let half = Instant::now() + until.saturating_duration_since(Instant::now()) / 2;
    inventory.kubelets = kubelets_now(&cluster.client, questions, half).await;
    snapshot.packages = packages(&snapshot, config, until).await;
    Ok(Saved::new(Timestamp::now(), snapshot, inventory))
}

async fn packages(snapshot: &Snapshot, config: Option<&config::Config>, until: Instant) -> Source<Packages> {
    let Some(config) = config else {
        return Source::failed("not asked: give --config.file with packages.url");
    };
    let servers = snapshot.api_servers.value.iter().flatten();
    let Some(running) = servers.filter_map(|server| server.version.as_ref().ok()).min() else {
        return Source::failed("not asked: the running version is not known");
    };
    let now = Timestamp::now();
    let asked = async { Repository::new(&config.packages.url)?.read(running).await };
    match timeout_at(until, asked).await {
        Ok(Ok(packages)) => Source::read(packages, now),
        Ok(Err(error)) => Source::failed(chain(&error)),
        Err(_elapsed) => Source::failed("packages.url: no answer in time; check the URL and the network"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use lockkeeper_rules::cluster::inventory::Inventory;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: VerdictArgs,
    }

    fn args(words: &[&str]) -> VerdictArgs {
        Line::parse_from([&["verdict"], words].concat()).args
    }

    fn refused(words: &[&str]) -> String {
        match run(args(words)) {
            Err(Failure::Input(error)) => chain(error.as_ref()),
            Err(Failure::Run(error)) => panic!("{words:?} ends as if the program had broken off: {error:#}"),
            Ok(exit) => panic!("{words:?} ends as {exit:?}"),
        }
    }

    #[test]
    fn a_cluster_of_which_nothing_is_known_is_unknown_and_what_can_never_be_is_blocked() {
        let now = "2026-12-01T03:04:05Z".parse().unwrap();
        let mut saved = Saved::new(now, Snapshot::unread(), Inventory::unread());
        let answer = |saved: &Saved, words: &[&str]| {
            render(&args(words), &Matrix::built_in(), saved, &Settings::default())
        };
        let (text, exit) = answer(&saved, &["v1.36.3"]);
        assert_eq!(exit, Exit::Unknown);
        assert!(text.contains("offered: source_unreadable (1)"), "{text}");
        let (json, exit) = answer(&saved, &["v1.36.3", "--output=json"]);
        let document: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((exit, document["verdicts"][0]["exit_code"].as_u64()), (Exit::Unknown, Some(3)));
        let server = lockkeeper_rules::cluster::snapshot::ApiServer {
            name: "a".to_owned(),
            version: Ok("v1.36.3".parse().unwrap()),
            ready: true,
        };
        saved.snapshot.api_servers = Source::read(vec![server], now);
        assert_eq!(answer(&saved, &["v1.36.1"]).1, Exit::Blocked);
    }

    #[test]
    fn what_cannot_be_asked_is_bad_input_with_a_remedy() {
        crate::client::kubernetes::install_tls_provider();
        let folder = tempfile::tempdir().unwrap();
        let seed = folder.path().join("seed.json");
        std::fs::write(&seed, r#"{"addons": []}"#).unwrap();
        let seed = format!("--matrix={}", seed.display());
        for (words, said) in [
            (vec!["nonsense"], "give a version such as v1.36.3"),
            (vec!["v1.36.3", "--from=/nonexistent"], "/nonexistent: cannot read it; check --from"),
            (vec!["v1.36.3", "--kubeconfig=/nonexistent"], "check --kubeconfig"),
            (vec!["v1.36.3", "--config.file=/nonexistent"], "check --config.file"),
            (vec!["v1.36.3", "--matrix=/nonexistent"], "check the path of the matrix"),
            (vec!["v1.36.3", &seed, "--from=/nonexistent"], "need a --matrix with schema: 2"),
            (vec!["v1.36.3", &seed, "--kubeconfig=/nonexistent"], "check --kubeconfig"),
        ] {
            assert!(refused(&words).contains(said), "{words:?}: {}", refused(&words));
        }
    }
}
