//! Jobs on nodes. A cluster that is changed by them has no static pods: one program is both API server and kubelet.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lockkeeper_rules::driver::job::{Job, JobRef, JobRelease, JobToCreate};
use lockkeeper_rules::driver::looked::Looked;
use lockkeeper_rules::driver::order::{Create, Look, PutBack, Read, Start};
use lockkeeper_rules::driver::reading::Sight;
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::driver::task::Task;
use lockkeeper_rules::run::{Command, ReadBack};
use lockkeeper_rules::words::name::NodeName;

use super::{Faults, Simulated, TO};

/// What the Jobs of the run are told.
const HASH: &str = "f3a1";

/// Every Job of the cluster.
#[derive(Default)]
pub struct Jobs {
    /// The next upgrades of this node that fail.
    pub failing: BTreeMap<String, usize>,
    /// The Job for this node is deleted by hand as soon as it was let go.
    pub vanishing: Option<String>,
    /// Each that was let go, in order: what, and where.
    pub released: Vec<(Task, String)>,
    labels: BTreeMap<NodeName, String>,
    all: Vec<OneJob>,
    created: usize,
}

struct OneJob {
    job: JobRef,
    uid: String,
    /// Until then it works; nothing while it was not let go.
    ends_at: Option<Timestamp>,
    code: i32,
    applied: bool,
    /// When it and its pods are gone.
    gone_at: Option<Timestamp>,
}

impl Jobs {
    pub fn driver(&self) -> Job {
        Job { hash: HASH.to_owned(), version: Some(TO.parse().unwrap()), labels: self.labels.clone() }
    }

    fn create(&mut self, order: &JobToCreate) {
        assert_eq!(order.hash, HASH);
        let JobToCreate { job, hash: _ } = order;
        assert!(self.on(&job.node).next().is_none(), "{job:?} beside another one");
        self.created += 1;
        let uid = format!("job-{}", self.created);
        let job = job.clone();
        self.all.push(OneJob { job, uid, ends_at: None, code: 0, applied: false, gone_at: None });
    }

    fn read(&self, order: &JobRef, now: Timestamp) -> Progress {
        match self.on(&order.node).find(|it| it.job == *order && it.gone_at.is_none()) {
            None if self.on(&order.node).next().is_some() => Progress::Left,
            None => Progress::Unseen,
            Some(OneJob { ends_at: None, uid, .. }) => Progress::Created { uid: uid.clone() },
            Some(OneJob { ends_at: Some(at), .. }) if now < *at => Progress::Started { at: now, alive: true },
            Some(OneJob { ends_at: Some(at), code, .. }) => {
                Progress::Ended { code: *code, at: *at, report: Vec::new(), output: String::new() }
            }
        }
    }

    fn on(&self, node: &NodeName) -> impl Iterator<Item = &OneJob> {
        self.all.iter().filter(move |it| it.job.node == *node)
    }
}

impl Simulated {
    /// A cluster whose nodes are changed by Jobs.
    pub fn with_jobs(control_planes: usize, workers: usize, seed: u64, faults: Faults) -> Self {
        let mut cluster = Self::new(control_planes, workers, seed, faults);
        cluster.servers.clear();
        cluster.jobs = Some(Jobs::default());
        cluster
    }

    pub fn jobs_mut(&mut self) -> &mut Jobs {
        self.jobs.as_mut().unwrap()
    }

    /// How many Jobs have been created.
    pub fn jobs_created(&self) -> usize {
        self.jobs.as_ref().unwrap().created
    }

    /// Somebody deletes every Job that was not let go.
    pub fn delete_unreleased_jobs(&mut self) {
        self.jobs_mut().all.retain(|it| it.ends_at.is_some());
    }

    /// How often something was let go on a node.
    pub fn released(&self, task: Task, node: &str) -> usize {
        let jobs = self.jobs.as_ref().unwrap();
        jobs.released.iter().filter(|(what, name)| *what == task && name == node).count()
    }

    pub(super) fn perform_job(&mut self, command: &Command, at: Timestamp) {
        match command {
            Command::Look(Look::Job(order)) => {
                let nodes = order.jobs_on.iter().map(|node| (node.clone(), Ok(Sight::Job))).collect();
                self.learnt().looked = Some((Looked { at, age: Duration::ZERO, nodes }, at));
            }
            Command::Create(Create::Job(order)) => self.jobs_mut().create(order),
            Command::Start(Start::Job(order)) => self.release_job(order),
            Command::PutBack(PutBack::Job(order)) => self.clear_jobs(order),
            Command::Read(Read::Job(order)) => {
                let result = Ok(self.jobs_mut().read(order, at));
                let read = ReadBack { order: Read::Job(order.clone()), age: Duration::ZERO, result };
                self.learnt().read = Some((read, at));
            }
            _ => panic!("{command:?} is no order about a Job"),
        }
    }

    fn release_job(&mut self, order: &JobRelease) {
        let JobRelease { job, uid, proof } = order;
        let age = self.now.duration_since(proof.checked_at).as_secs();
        assert!(age <= self.settings.check_seconds_max.try_into().unwrap(), "{age}");
        let stored = self.run.status.as_ref().unwrap().active[0].intent.clone().unwrap();
        assert_eq!(
            (stored.created.as_ref(), stored.unsent),
            (Some(uid), false),
            "it is stored before it is let go"
        );
        if self.chance(self.faults.lost_answer_percent) {
            return;
        }
        let is_upgrade = job.task == Task::Upgrade;
        assert!(!is_upgrade || self.pods_on(&job.node.0) == 0, "a node with pods is changed");
        let fails = self.chance(self.faults.unit_fails_percent);
        let ends_at = self.now + SignedDuration::from_secs(10);
        let jobs = self.jobs.as_mut().unwrap();
        let left = jobs.failing.get_mut(&job.node.0).filter(|left| is_upgrade && **left > 0);
        let is_failing = left.map(|left| *left -= 1).is_some();
        // The patch names the uid: another one of this name is not meant.
        let Some(it) = jobs.all.iter_mut().find(|it| it.job == *job && it.uid == *uid) else { return };
        assert_eq!(it.ends_at, None, "it is let go once");
        (it.ends_at, it.code) = (Some(ends_at), i32::from(fails || is_failing));
        jobs.released.push((job.task, job.node.0.clone()));
        if is_upgrade && jobs.vanishing.take_if(|node| *node == job.node.0).is_some() {
            jobs.all.retain(|it| it.job != *job);
        }
    }

    /// Deletes every other Job on the node that has ended or was never let go; its pods take a while.
    fn clear_jobs(&mut self, order: &JobRef) {
        let (now, gone_at) = (self.now, self.now + SignedDuration::from_secs(3));
        let is_over = |it: &OneJob| it.ends_at.is_none_or(|at| at <= now);
        let jobs = self.jobs.as_mut().unwrap().all.iter_mut();
        for it in jobs.filter(|it| it.job.node == order.node && it.job != *order && is_over(it)) {
            it.gone_at.get_or_insert(gone_at);
        }
    }

    pub(super) fn apply_jobs(&mut self) {
        let Some(jobs) = &mut self.jobs else { return };
        let now = self.now;
        jobs.all.retain(|it| it.gone_at.is_none_or(|at| now < at));
        for it in jobs.all.iter_mut().filter(|it| !it.applied && it.ends_at.is_some_and(|at| at <= now)) {
            it.applied = true;
            let node = self.nodes.get_mut(&it.job.node.0).unwrap();
            if it.code == 0 && it.job.task == Task::Upgrade {
                assert!(node.unschedulable, "a node was changed that was in service");
                node.kubelet_version = Ok(TO.parse().unwrap());
                jobs.labels.insert(node.name.clone(), HASH.to_owned());
            }
        }
    }
}
