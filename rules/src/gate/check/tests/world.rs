//! One check in which all is well, and the means to break one thing of it.

use std::collections::BTreeMap;

use super::super::*;
use crate::alert::{AlertRule, READY_ALERT, WATCHDOG_ALERT};
use crate::api::{RunPhase, SnapshotRecord, UpgradeRun, UpgradeRunSpec, UpgradeRunStatus};
use crate::cluster::snapshot::{ApiServer, ControllerLease, Node, Role, Snapshot, Source};
use crate::gate::LockView;
use crate::gate::{AlertmanagerAnswers, Held, PrometheusAnswers};
use crate::wire::alertmanager as am;
use crate::wire::prometheus::{
    self as prom, AlertState, Group, ParseError, Rule, RuleState, RuntimeInfo, Sample,
};
use crate::words::step::Step;

pub(super) const TOKEN: &str = "0b9f3c6e-1111-4222-8333-444455556666.7.1.00ff00ff00ff00ff";
pub(super) const PROMETHEUS: &str = "http://prometheus-0:9090";
pub(super) const ALERTMANAGER: &str = "http://alertmanager-0:9093";

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// The moment of judging; the answers came a second ago.
pub(super) fn now() -> Timestamp {
    at(0)
}

pub(super) fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub(super) fn generated(name: &'static str, gate: Option<&str>) -> AlertRule {
    let mut labels = labels([("severity", "none")]);
    labels.extend(gate.map(|gate| (GATE_LABEL.to_owned(), gate.to_owned())));
    AlertRule { name, expr: format!("{name} == 0"), for_seconds: 0, labels, annotations: BTreeMap::new() }
}

/// Rules of every kind, so that the table does not depend on the generated ones.
pub(super) fn groups() -> Vec<RuleGroup> {
    let gates = vec![
        generated("GateAll", Some("all")),
        generated("GateMutating", Some("mutating")),
        generated("GateStart", Some("start")),
        generated(READY_ALERT, None),
        generated(WATCHDOG_ALERT, None),
    ];
    let people = vec![generated("ForPeople", None)];
    vec![
        RuleGroup { name: "gates", interval_seconds: 5, rules: gates },
        RuleGroup { name: "people", interval_seconds: 30, rules: people },
    ]
}

/// One check in which all is well; each row breaks one thing.
pub(super) struct World {
    pub(super) order: CheckOrder,
    pub(super) answers: Answers,
    pub(super) settings: Settings,
}

impl World {
    pub(super) fn well(form: Form) -> Self {
        let order = CheckOrder {
            step: Step::Worker("w-1".into()),
            token: TOKEN.parse().unwrap(),
            form,
            minted_at: at(-30),
            exempt: vec!["w-1".into(), "skipped".into()],
        };
        let settings = Settings::default();
        let rules = groups();
        let questions = Questions::with(rules.iter().flat_map(|group| &group.rules), &order, &settings);
        let answers = Answers {
            started_at: at(-2),
            prometheus: vec![prometheus_of(&rules, &questions)],
            alertmanager: vec![alertmanager()],
            cluster: cluster(),
            lease: Held::Ours,
            lock: LockView::Ours,
        };
        Self { order, answers, settings }
    }

    pub(super) fn questions(&self, groups: &[RuleGroup]) -> Questions {
        Questions::with(groups.iter().flat_map(|group| &group.rules), &self.order, &self.settings)
    }

    pub(super) fn judged(&self) -> Vec<(Reason, String)> {
        let findings = check_with(&groups(), &self.order, &self.answers, &self.settings, now());
        assert!(findings.is_sorted(), "{findings:?}");
        findings.into_iter().map(|finding| (finding.reason, finding.subject)).collect()
    }

    pub(super) fn prometheus(&mut self) -> &mut PrometheusAnswers {
        &mut self.answers.prometheus[0]
    }

    pub(super) fn loaded(&mut self) -> &mut Vec<Group> {
        self.prometheus().rules.result.as_mut().unwrap()
    }

    pub(super) fn rule(&mut self, name: &str) -> &mut Rule {
        self.loaded().iter_mut().flat_map(|group| &mut group.rules).find(|rule| rule.name == name).unwrap()
    }

    pub(super) fn samples(&mut self, part: &str) -> &mut Vec<Sample> {
        let queries = &mut self.answers.prometheus[0].queries;
        let (_, answer) = queries.iter_mut().find(|(expr, _)| expr.starts_with(part)).unwrap();
        answer.result.as_mut().unwrap()
    }

    pub(super) fn alertmanager(&mut self) -> &mut AlertmanagerAnswers {
        &mut self.answers.alertmanager[0]
    }

    pub(super) fn alerts(&mut self) -> &mut Vec<am::Alert> {
        self.alertmanager().alerts.result.as_mut().unwrap()
    }

    pub(super) fn ready(&mut self) -> &mut am::Alert {
        self.alerts().iter_mut().find(|alert| alert.labels["alertname"] == READY_ALERT).unwrap()
    }

    pub(super) fn silences(&mut self) -> &mut Vec<am::Silence> {
        self.alertmanager().silences.result.as_mut().unwrap()
    }

    pub(super) fn nodes(&mut self) -> &mut Vec<Node> {
        self.answers.cluster.nodes.value.as_mut().unwrap()
    }

    pub(super) fn run(&mut self) -> &mut UpgradeRun {
        &mut self.answers.cluster.runs.value.as_mut().unwrap()[0]
    }
}

pub(super) fn answer<T>(value: T) -> Answer<T> {
    Answer { result: Ok(value), date: Some(at(-1)), received_at: at(-1) }
}

pub(super) fn refused<T>() -> Answer<T> {
    let result = Err(AskError::Refused { status: 503, message: "starting".to_owned() });
    Answer { result, date: Some(at(-1)), received_at: at(-1) }
}

pub(super) fn unreachable<T>() -> Answer<T> {
    Answer {
        result: Err(AskError::Unreachable("connection refused".to_owned())),
        date: None,
        received_at: at(-1),
    }
}

pub(super) fn unusable<T>() -> Answer<T> {
    let result = Err(AskError::Unusable(ParseError::Incomplete("partial response".to_owned())));
    Answer { result, date: Some(at(-1)), received_at: at(-1) }
}

pub(super) fn sample<const N: usize>(pairs: [(&str, &str); N], value: f64) -> Sample {
    Sample { labels: labels(pairs), evaluated_at: at(-1), value }
}

pub(super) fn prom_alert<const N: usize>(pairs: [(&str, &str); N], state: AlertState) -> prom::Alert {
    prom::Alert { labels: labels(pairs), state }
}

pub(super) fn rule(expected: &AlertRule) -> Rule {
    let fires = [READY_ALERT, WATCHDOG_ALERT].contains(&expected.name);
    let mut alert = prom_alert([("alertname", expected.name), ("token", TOKEN)], AlertState::Firing);
    alert.labels.extend(expected.labels.clone());
    Rule {
        name: expected.name.to_owned(),
        labels: expected.labels.clone(),
        state: if fires { RuleState::Firing } else { RuleState::Inactive },
        healthy: true,
        last_error: String::new(),
        last_evaluation: at(-4),
        alerts: fires.then_some(alert).into_iter().collect(),
    }
}

pub(super) fn prometheus_of(groups: &[RuleGroup], questions: &Questions) -> PrometheusAnswers {
    let loaded = groups.iter().map(|group| Group {
        name: group.name.to_owned(),
        interval_seconds: 5.0,
        rules: group.rules.iter().map(rule).collect(),
    });
    let scraped_at = at(-6).as_duration().as_secs_f64();
    let nodes = ["cp-1", "w-1", "w-2", "skipped"].map(|node| sample([("node", node)], 1.0));
    let mut queries: BTreeMap<String, Answer<Vec<Sample>>> =
        questions.gates.iter().map(|(_, expr)| (expr.clone(), answer(Vec::new()))).collect();
    // As where Prometheus does not scrape etcd.
    queries.extend(questions.etcd.iter().map(|measure| (measure.expr.clone(), answer(Vec::new()))));
    queries.extend([
        (questions.control.clone(), answer(vec![sample([("alertname", WATCHDOG_ALERT)], 1.0)])),
        (questions.echo.clone(), answer(vec![sample([("token", TOKEN)], 1.0)])),
        (questions.echo_time.clone(), answer(vec![sample([("token", TOKEN)], scraped_at)])),
        (questions.nodes.clone(), answer(nodes.to_vec())),
        (questions.history.clone(), answer(vec![sample([], 0.0)])),
    ]);
    PrometheusAnswers {
        url: PROMETHEUS.to_owned(),
        runtime: answer(RuntimeInfo { reload_succeeded: true }),
        rules: answer(loaded.collect()),
        queries,
    }
}

pub(super) fn am_alert<const N: usize>(pairs: [(&str, &str); N], state: am::AlertState) -> am::Alert {
    am::Alert { labels: labels(pairs), state, silenced_by: Vec::new(), inhibited_by: Vec::new() }
}

pub(super) fn alertmanager() -> AlertmanagerAnswers {
    let active = am::AlertState::Active;
    AlertmanagerAnswers {
        url: ALERTMANAGER.to_owned(),
        status: answer(am::Status { cluster: am::ClusterStatus::Disabled, started_at: at(-3600) }),
        alerts: answer(vec![
            am_alert([("alertname", WATCHDOG_ALERT)], active),
            am_alert([("alertname", READY_ALERT), ("token", TOKEN), ("cluster", "a")], active),
            am_alert([("alertname", "Elsewhere"), ("severity", "critical")], active),
        ]),
        silences: answer(vec![silence("old", "alertname", READY_ALERT, am::SilenceState::Expired)]),
    }
}

pub(super) fn silence(id: &str, name: &str, value: &str, state: am::SilenceState) -> am::Silence {
    let matcher = am::Matcher { name: name.into(), value: value.into(), is_regex: false, is_equal: true };
    am::Silence {
        id: id.into(),
        state,
        matchers: vec![matcher],
        created_by: "ada".into(),
        comment: "wait".into(),
        ends_at: at(3600),
        updated_at: at(-60),
    }
}

pub(super) fn node(name: &str, role: Role) -> Node {
    Node {
        uid: format!("uid-{name}"),
        resource_version: "1".to_owned(),
        internal_ips: vec!["127.0.0.2".to_owned()],
        machine_id: "m".to_owned(),
        boot_id: "b".to_owned(),
        kubelet_version: Ok("v1.36.1".parse().unwrap()),
        container_runtime: "containerd://2.1.9".to_owned(),
        ready: true,
        ready_since: Some(at(-3600)),
        lease_renewed_at: Some(at(-5)),
        ..Node::silent(name, role)
    }
}

pub(super) fn cluster() -> Snapshot {
    // The step's own node and a skipped one are down, and nothing is wrong with that.
    let down = |name| Node { ready: false, lease_renewed_at: None, ..node(name, Role::Worker) };
    let nodes =
        vec![node("cp-1", Role::ControlPlane), down("w-1"), node("w-2", Role::Worker), down("skipped")];
    let server = ApiServer { name: "cp-1".into(), version: Ok("v1.36.3".parse().unwrap()), ready: true };
    let lease = ControllerLease { name: "kube-scheduler".into(), renewed_at: Some(at(-3)) };
    Snapshot {
        nodes: Source::read(nodes, at(-2)),
        api_servers: Source::read(vec![server], at(-2)),
        static_pods: Source::unread(),
        controller_leases: Source::read(vec![lease], at(-2)),
        packages: Source::unread(),
        runs: Source::read(vec![run()], at(-2)),
        runs_elsewhere: Source::read(Vec::new(), at(-2)),
    }
}

pub(super) fn run() -> UpgradeRun {
    let mut status: UpgradeRunStatus =
        serde_json::from_str(r#"{"schemaVersion": 1, "phase": "Running"}"#).unwrap();
    status.phase = RunPhase::Running;
    status.snapshot = Some(SnapshotRecord {
        node: "cp-1".into(),
        path: "/var/lib/lockkeeper/snapshot.db".to_owned(),
        size_bytes: 1,
        hash: "1".to_owned(),
        taken_at: at(-600),
    });
    UpgradeRun {
        namespace: "k8s-upgrade".to_owned(),
        name: "to-1-36-3".to_owned(),
        uid: "0b9f3c6e-1111-4222-8333-444455556666".to_owned(),
        resource_version: "1".to_owned(),
        generation: 1,
        created_at: Some(at(-900)),
        deleting: false,
        has_finalizer: true,
        spec: UpgradeRunSpec { target: "v1.36.3".to_owned(), ..UpgradeRunSpec::default() },
        status: Some(status),
    }
}
