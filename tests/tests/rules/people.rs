//! The alerts for people, with histories as long as it takes.

use lockkeeper_rules::alert::PEOPLE_GROUP;

use super::gates::series;
use super::promtool::{Case, check, default_groups};
use super::verdict;

pub(super) const MINUTE: u64 = 60;
pub(super) const HOUR: u64 = 60 * MINUTE;
/// The interval of the group of these alerts.
pub(super) const EVALUATION_SECONDS: u64 = 30;
const STEP: &str = "run=\"spring\",step=\"worker/w-1\",phase=\"worker\",token=\"u.7.1.00ff\"";

/// A case with one sample a minute.
pub(super) fn case(name: &str) -> Case {
    Case::new(name).every(MINUTE)
}

fn cases() -> Vec<Case> {
    [of_a_run(), of_steps(), of_the_path(), of_versions(), verdict::cases()].concat()
}

fn of_a_run() -> Vec<Case> {
    let phase = |phase: &str| series("k8s_upgrade_phase", &format!("phase=\"{phase}\""));
    let snapshot = series("k8s_upgrade_snapshot_taken", "");
    let in_flight = series("k8s_upgrade_in_flight", "");
    let cordoned = series("k8s_upgrade_node_cordoned_by_run", "node=\"w-1\"");
    let failed = series("k8s_upgrade_node_state", "node=\"w-1\",state=\"failed\"");
    let running = |step: &str| {
        series("k8s_upgrade_step_running", &format!("run=\"spring\",step=\"{step}\",token=\"{step}\""))
    };
    let missing = "EtcdPreUpgradeSnapshotMissing";
    let left = "K8sUpgradeNodeLeftCordoned";
    vec![
        case("a run that halts")
            .with(&series("k8s_upgrade_halted", ""), "0 0 1 1")
            .silent(60, "K8sUpgradeHalted")
            .fires(120, "K8sUpgradeHalted"),
        case("a run that cannot be read")
            .with(&series("k8s_upgrade_run_unreadable", "run=\"spring\""), "0 1+0x60")
            .silent(15 * MINUTE, "K8sUpgradeRunUnreadable")
            .fires(16 * MINUTE, "K8sUpgradeRunUnreadable"),
        case("no snapshot, and nodes are upgraded")
            .with(&phase("worker"), "1+0x60")
            .with(&snapshot, "0+0x60")
            .silent(9 * MINUTE, missing)
            .fires(10 * MINUTE, missing),
        case("a snapshot that nobody speaks of is missing too")
            .with(&phase("worker"), "1+0x60")
            .fires(10 * MINUTE, missing),
        case("a snapshot was taken")
            .with(&phase("worker"), "1+0x60")
            .with(&snapshot, "1+0x60")
            .silent(HOUR, missing),
        case("the snapshot step may wait for as long as it must")
            .with(&phase("snapshot"), "1+0x60")
            .with(&phase("worker"), "0+0x60")
            .with(&snapshot, "0+0x60")
            .silent(HOUR, missing),
        case("a node is left cordoned")
            .with(&cordoned, "1+0x60")
            .with(&failed, "0+0x60")
            .silent(14 * MINUTE, left)
            .fires(15 * MINUTE, left),
        case("a run that is open does not hide that a node is cordoned for nothing")
            .with(&cordoned, "1+0x60")
            .with(&in_flight, "1+0x60")
            .fires(15 * MINUTE, left),
        case("a node is cordoned for the step that runs")
            .with(&cordoned, "1+0x60")
            .with(&running("worker/w-1"), "1+0x60")
            .silent(HOUR, left),
        case("a step that runs on another node, or on none, needs no node cordoned but its own")
            .with(&cordoned, "1+0x60")
            .with(&running("worker/w-2"), "1+0x60")
            .with(&running("preflight"), "1+0x60")
            .fires(15 * MINUTE, left),
        case("the pause between two attempts is short enough")
            .with(&cordoned, "1+0x60")
            .with(&running("worker/w-1"), "1+0x10 stale _x12 1+0x40")
            .silent(HOUR, left),
        case("a node that has halted its run is told of by that")
            .with(&cordoned, "1+0x60")
            .with(&failed, "1+0x60")
            .silent(HOUR, left),
    ]
}

fn of_steps() -> Vec<Case> {
    let since = series("k8s_upgrade_step_running_since_timestamp_seconds", STEP);
    let progress = series("k8s_upgrade_progress_timestamp_seconds", "run=\"spring\"");
    let ready = format!("ALERTS{{alertname=\"K8sUpgradeStepReady\",alertstate=\"firing\",{STEP}}}");
    let [stalled, holding, unanswered] =
        ["K8sUpgradeStalled", "K8sUpgradeHolding", "K8sUpgradeReadyUnanswered"];
    vec![
        case("a step that does not end")
            .with(&since, "0+0x120")
            .silent(90 * MINUTE, stalled)
            .fires(91 * MINUTE, stalled),
        case("many steps, one after the other, are a long run and not a stalled one")
            .with(&since, "0+0x60 stale")
            .with(&since.replace("w-1", "w-2"), "_x60 3600+0x60")
            .silent(2 * HOUR, stalled),
        case("a run that waits for a day")
            .with(&progress, "0+0x1500")
            .silent(24 * HOUR, holding)
            .fires(24 * HOUR + MINUTE, holding),
        case("a run that comes further once a day")
            .with(&progress, "0+0x1400 84060+0x1500")
            .silent(24 * HOUR + MINUTE, holding)
            .silent(46 * HOUR, holding)
            .fires(48 * HOUR, holding),
        case("a run that must soak for a day does not wait")
            .with(&progress, "86400+0x1500")
            .silent(24 * HOUR + 30 * MINUTE, holding),
        case("a gap in the scrapes does not start the day anew")
            .with(&progress, "0+0x700 stale _x60 0+0x800")
            .fires(24 * HOUR + MINUTE, holding),
        attempts_without_end()
            .silent(24 * HOUR, holding)
            .fires(24 * HOUR + MINUTE, holding)
            .fires(29 * HOUR + 7 * MINUTE, holding),
        case("a step that is ready and not started")
            .with(&ready, "1+0x60")
            .silent(9 * MINUTE, unanswered)
            .fires(10 * MINUTE, unanswered),
        case("a step that is started in time")
            .with(&ready, "1+0x8 stale")
            .silent(10 * MINUTE, unanswered)
            .silent(HOUR, unanswered),
    ]
}

/// A preflight that fails whenever it is tried: each attempt waits ten minutes under a token of its own, and then runs
/// for one.
fn attempts_without_end() -> Case {
    let mut case = case("a step that fails for ever")
        .with(&series("k8s_upgrade_progress_timestamp_seconds", "run=\"spring\""), "0+0x1800");
    for attempt in 0..160 {
        let token = format!("token=\"u.{attempt}.{attempt}.00ff\"");
        let waits = |value: u64| format!("_x{} {value}+0x9 stale", 11 * attempt);
        let step =
            format!("run=\"spring\",step=\"preflight\",phase=\"preflight\",{token},gate_class=\"start\"");
        case = case.with(&series("k8s_upgrade_step_pending", &step), &waits(1)).with(
            &series("k8s_upgrade_step_not_before_timestamp_seconds", &token),
            &waits(600 + 660 * attempt),
        );
    }
    case
}

fn of_the_path() -> Vec<Case> {
    let of_actuator = |metric: &str| format!("{metric}{{instance=\"a:1\",job=\"k8s-upgrade-actuator\"}}");
    let up = of_actuator("up");
    let turn = of_actuator("k8s_upgrade_turn_timestamp_seconds");
    let leads = of_actuator("k8s_upgrade_leader");
    let heard = of_actuator("k8s_upgrade_pipeline_heartbeat_timestamp_seconds");
    let ready = series("k8s_upgrade_node_ready", "node=\"w-1\"");
    let [down, silent] = ["K8sUpgradeActuatorDown", "K8sUpgradePipelineSilent"];
    vec![
        case("an actuator that is down")
            .with(&up, "1+0x10 0+0x60")
            .with(&turn, "0+60x10 stale")
            .silent(25 * MINUTE, down)
            .fires(26 * MINUTE, down),
        case("an actuator that nobody scrapes")
            .silent(14 * MINUTE, down)
            .fires(15 * MINUTE, down)
            .silent(HOUR, silent),
        case("an actuator that is replaced")
            .with(&turn, "0+60x10 stale _x8 1200+60x60")
            .silent(25 * MINUTE, down)
            .silent(HOUR, down),
        case("an actuator that stands by beside one that works")
            .with(&up, "1+0x60")
            .with(&turn, "0+0x60")
            .with(&turn.replace("a:1", "a:2"), "0+60x60")
            .silent(HOUR, down),
        case("an actuator that is up and never gets through a turn")
            .with(&up, "1+0x60")
            .with(&turn, "0+0x60")
            .fires(31 * MINUTE, down),
        case("an actuator that is started again and again and never gets through a turn")
            .with(&up, "1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1")
            .with(&turn, "0 stale 0 stale 0 stale 0 stale 0 stale 0 stale 0 stale 0 stale 0 stale 0+0x40")
            .fires(31 * MINUTE, down),
        case("an actuator whose turns have ended while it still answers")
            .with(&up, "1+0x60")
            .with(&turn, "0+60x10 600+0x50")
            .silent(39 * MINUTE, down)
            .fires(41 * MINUTE, down),
        case("a heartbeat that has stopped")
            .with(&leads, "1+0x60")
            .with(&heard, "0+60x10 600+0x60")
            .silent(26 * MINUTE, silent)
            .fires(27 * MINUTE, silent),
        case("a heartbeat that never came").with(&leads, "1+0x60").fires(15 * MINUTE, silent),
        case("a heartbeat that beats").with(&leads, "1+0x60").with(&heard, "0+60x60").silent(HOUR, silent),
        case("an actuator that does not lead hears nothing, and is not deaf")
            .with(&up, "1+0x60")
            .with(&leads, "0+0x60")
            .with(&heard, "0+0x60")
            .silent(HOUR, silent),
        case("a node that is not Ready")
            .with(&ready, "0+0x60")
            .silent(14 * MINUTE, "K8sUpgradeNodeUnready")
            .fires(15 * MINUTE, "K8sUpgradeNodeUnready"),
        case("telemetry that is lost")
            .silent(14 * MINUTE, "K8sUpgradeTelemetryLost")
            .fires(15 * MINUTE, "K8sUpgradeTelemetryLost"),
    ]
}

fn of_versions() -> Vec<Case> {
    let success = series("k8s_upgrade_detection_last_success_timestamp_seconds", "");
    let distinct = series("k8s_upgrade_distinct_versions", "component=\"kubelet\"");
    let in_flight = series("k8s_upgrade_in_flight", "");
    let stale = "K8sUpgradeDetectionStale";
    vec![
        case("nothing new was learnt for more than a day")
            .with(&success, "0+0x1700")
            .silent(26 * HOUR + 15 * MINUTE, stale)
            .fires(26 * HOUR + 16 * MINUTE, stale),
        case("detection never succeeded").silent(14 * MINUTE, stale).fires(15 * MINUTE, stale),
        case("two versions of one component")
            .with(&distinct, "2+0x60")
            .with(&in_flight, "0+0x60")
            .silent(29 * MINUTE, "K8sVersionSkew")
            .fires(30 * MINUTE, "K8sVersionSkew"),
        case("two versions in a run")
            .with(&distinct, "2+0x60")
            .with(&in_flight, "1+0x60")
            .silent(HOUR, "K8sVersionSkew"),
    ]
}

#[test]
fn people_are_told_when_it_is_time_and_not_before() {
    let mut groups = default_groups();
    groups.retain(|group| group.name == PEOPLE_GROUP);
    check(&groups, EVALUATION_SECONDS, &cases()).unwrap_or_else(|said| panic!("{said}"));
}
