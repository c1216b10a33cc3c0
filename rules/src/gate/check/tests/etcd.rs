//! The rows about what etcd says of itself.

use super::world::*;
use super::*;
use crate::cluster::snapshot::StaticPod;
use crate::gate::Measure;
use crate::wire::prometheus::Sample;

/// Three control planes before the step of one of them, each with a member of etcd that is well and is scraped.
struct Etcd {
    world: World,
    measures: Vec<Measure>,
}

/// Where Prometheus scrapes the members.
const MEMBERS: [&str; 3] = ["10.0.0.1:2381", "10.0.0.2:2381", "[fd00::3]:2381"];

impl Etcd {
    fn well() -> Self {
        let mut world = World::well(Form::Start);
        world.order.step = Step::ControlPlane("cp-1".into());
        world.order.exempt.clear();
        for node in world.nodes() {
            (node.ready, node.lease_renewed_at) = (true, Some(at(-5)));
        }
        let questions = world.questions(&groups());
        world.answers.prometheus = vec![prometheus_of(&groups(), &questions)];
        world.answers.cluster.static_pods =
            Source::read(["cp-1", "cp-2", "cp-3"].map(member).to_vec(), at(-2));
        world.nodes()[0].internal_ips = vec!["fd00::1".to_owned(), "10.0.0.1".to_owned()];
        let mut etcd = Self { world, measures: questions.etcd };
        for n in 0..etcd.measures.len() {
            *etcd.samples(n) = MEMBERS.map(|member| sample([("instance", member)], 2.0)).to_vec();
        }
        etcd
    }

    fn samples(&mut self, measure: usize) -> &mut Vec<Sample> {
        let expr = self.measures[measure].expr.clone();
        self.world.prometheus().queries.get_mut(&expr).unwrap().result.as_mut().unwrap()
    }

    /// What is found where this is broken in the answer about one measure.
    fn judged(measure: usize, break_it: impl Fn(&mut Vec<Sample>)) -> Vec<(Reason, String)> {
        let mut etcd = Self::well();
        break_it(etcd.samples(measure));
        etcd.world.judged()
    }
}

fn member(node: &str) -> StaticPod {
    StaticPod {
        component: "etcd".to_owned(),
        node: node.into(),
        version: Ok("v3.6.8".parse().unwrap()),
        flags: Ok(BTreeMap::new()),
        ready: true,
        ready_since: Some(at(-3600)),
    }
}

#[test]
fn etcd_is_asked_before_a_run_and_a_control_plane_node_and_only_then() {
    let asked = |step: Step| {
        let mut world = World::well(Form::Start);
        world.order.step = step;
        let questions = world.questions(&groups());
        let asked = questions.all().into_iter().filter(|expr| expr.contains("etcd_")).count();
        assert_eq!(asked, questions.etcd.len());
        asked
    };
    assert_eq!(asked(Step::Preflight), 4);
    assert_eq!(asked(Step::ControlPlane("cp-1".into())), 4);
    for step in [Step::Snapshot, Step::Prepare, Step::Worker("w-1".into()), Step::Postflight] {
        assert_eq!(asked(step.clone()), 0, "{step}");
    }
}

#[test]
fn each_measure_of_etcd_closes_alone_beyond_its_limit() {
    assert_eq!(Etcd::well().world.judged(), []);
    let rows = [
        (0, 500.0, Reason::EtcdSlow),
        (1, 250.0, Reason::EtcdSlow),
        (2, 3.0, Reason::EtcdSlow),
        (3, 95.0, Reason::EtcdNearlyFull),
    ];
    for (measure, max, reason) in rows {
        let with = |value: f64| Etcd::judged(measure, |samples| samples[1].value = value);
        let closed = [(reason, MEMBERS[1].to_owned())];
        assert_eq!(with(max), [], "{reason}");
        assert_eq!(with(max + 0.4), [], "three changes are told as 3.2, {reason}");
        assert_eq!(with(max + 1.0), closed);
        assert_eq!(with(f64::INFINITY), closed);
        assert!(REASONS.contains(&reason));
    }
}

#[test]
fn a_member_of_etcd_that_is_not_known_closes_and_an_etcd_that_is_not_scraped_does_not() {
    for measure in 0..4 {
        let unmeasured = |subject: &str| vec![(Reason::EtcdUnmeasured, subject.to_owned())];
        let unknown = Etcd::judged(measure, |samples| samples[2].value = f64::NAN);
        assert_eq!(unknown, unmeasured(MEMBERS[2]));
        assert_eq!(Etcd::judged(measure, |samples| drop(samples.pop())), unmeasured(PROMETHEUS));
        assert_eq!(Etcd::judged(measure, Vec::clear), []);

        let mut etcd = Etcd::well();
        let expr = etcd.measures[measure].expr.clone();
        etcd.world.prometheus().queries.insert(expr, refused());
        assert_eq!(etcd.world.judged(), [(Reason::PrometheusUnreachable, PROMETHEUS.to_owned())]);
    }
    assert!(REASONS.contains(&Reason::EtcdUnmeasured));
    let mut etcd = Etcd::well();
    etcd.world.answers.cluster.static_pods = Source::failed("500");
    assert_eq!(etcd.world.judged(), [(Reason::ApiUnreachable, "static pods".to_owned())]);
}

/// Its member may be down in the middle of the change, and only the change brings it back.
#[test]
fn the_node_at_work_may_have_no_member_of_etcd() {
    let judged = |break_it: fn(&mut Vec<Sample>)| {
        let mut etcd = Etcd::well();
        etcd.world.order.exempt = vec!["cp-1".into()];
        break_it(etcd.samples(0));
        etcd.world.judged()
    };
    assert_eq!(judged(|samples| samples[0].value = f64::NAN), []);
    assert_eq!(judged(|samples| drop(samples.remove(0))), []);
    let other = judged(|samples| samples[1].value = f64::NAN);
    assert_eq!(other, [(Reason::EtcdUnmeasured, MEMBERS[1].to_owned())]);
    let slow = judged(|samples| samples[0].value = 501.0);
    assert_eq!(slow, [(Reason::EtcdSlow, MEMBERS[0].to_owned())]);
    // Its own member does not stand for another that was never scraped.
    assert_eq!(judged(|samples| drop(samples.pop())), [(Reason::EtcdUnmeasured, PROMETHEUS.to_owned())]);
}

/// When the node at work goes, the member of a node that people have asked to leave is one of those that must go on.
#[test]
fn a_node_that_is_left_out_must_have_its_member_of_etcd() {
    let judged = |break_it: fn(&mut Vec<Sample>)| {
        let mut etcd = Etcd::well();
        etcd.world.order.exempt = vec!["cp-1".into(), "cp-2".into()];
        etcd.world.nodes()[1].internal_ips = vec!["10.0.0.2".to_owned()];
        break_it(etcd.samples(0));
        etcd.world.judged()
    };
    assert_eq!(judged(|_| ()), []);
    let unknown = judged(|samples| samples[1].value = f64::NAN);
    assert_eq!(unknown, [(Reason::EtcdUnmeasured, MEMBERS[1].to_owned())]);
    assert_eq!(judged(|samples| drop(samples.remove(1))), [(Reason::EtcdUnmeasured, PROMETHEUS.to_owned())]);
}
