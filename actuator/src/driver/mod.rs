//! What carries a driver's orders out: one folder or file for each driver. Nothing is chosen here.

mod job;
pub mod kubeadm;

use lockkeeper_rules::driver::order::{Create, Look, PutBack, Read, Start};
use lockkeeper_rules::driver::reading::Sight;
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::reason::Finding;
use lockkeeper_rules::words::name::{NodeName, RunUid};

use crate::execute::Clearance;
use kubeadm::Ssh;

/// Looks at the nodes of an order. There is one answer for each, in the order's order.
pub async fn look(ssh: &Ssh, order: &Look, run: &RunUid) -> Vec<(NodeName, Result<Sight, Finding>)> {
    match order {
        Look::Kubeadm(order) => {
            let said = kubeadm::survey(ssh, order, run).await.into_iter();
            said.map(|(node, said)| (node, said.map(|it| Sight::Kubeadm(Box::new(it))))).collect()
        }
        Look::Job(order) => {
            order.jobs_on.iter().map(|node| (node.clone(), Err(job::refusal(node)))).collect()
        }
    }
}

/// Creates what is to be started on a node.
///
/// # Errors
/// It was refused, and why; or nobody knows whether it was created, and reading it tells.
pub fn create(order: &Create) -> Result<(), Finding> {
    match order {
        Create::Job(order) => Err(job::refusal(&order.job.node)),
    }
}

/// Starts something on a node. The clearance is asked once more right before.
///
/// # Errors
/// It was refused, and why; or nobody knows whether it was started, and reading it tells.
pub async fn start(ssh: &Ssh, order: &Start, clearance: Clearance<'_>) -> Result<(), Finding> {
    match order {
        Start::Kubeadm(order) => kubeadm::start_unit(ssh, order, clearance).await,
        Start::Job(order) => Err(job::refusal(&order.job.node)),
    }
}

/// Reads what became of something.
///
/// # Errors
/// It cannot be read.
pub async fn read(ssh: &Ssh, order: &Read) -> Result<Progress, Finding> {
    match order {
        Read::Kubeadm(order) => kubeadm::read_ledger(ssh, order).await,
        Read::Job(order) => Err(job::refusal(&order.node)),
    }
}

/// Puts back what a driver has left on a node.
///
/// # Errors
/// It was refused, and why; or nobody knows what became of it.
pub async fn put_back(ssh: &Ssh, order: &PutBack, clearance: Clearance<'_>) -> Result<(), Finding> {
    match order {
        PutBack::Kubeadm(order) => kubeadm::restore_source(ssh, order, clearance).await,
        PutBack::Job(order) => Err(job::refusal(&order.node)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use lockkeeper_rules::driver::job::{JobLook, JobRef, JobRelease, JobToCreate};
    use lockkeeper_rules::driver::kubeadm::KubeadmSettings;
    use lockkeeper_rules::driver::kubeadm::node_script::{EtcdAccess, ScriptSettings};
    use lockkeeper_rules::driver::task::Task;
    use lockkeeper_rules::gate::Proof;
    use lockkeeper_rules::settings::Settings;

    use super::*;

    #[tokio::test]
    async fn every_order_about_a_job_is_refused_the_look_before_anything_is_touched_included() {
        let settings = Settings::default();
        let scripts = ScriptSettings::new(&settings, EtcdAccess::default(), KubeadmSettings::default());
        let ssh = Ssh {
            user: "root".to_owned(),
            port: 22,
            key_file: "/none".into(),
            known_hosts_file: "/none".into(),
            control_directory: None,
            scripts,
        };
        let job = JobRef { node: "n-1".into(), task: Task::Upgrade, token: "u.1.1.00ff".parse().unwrap() };
        let proof = Proof { token: job.token.clone(), checked_at: jiff::Timestamp::now() };
        let clearance = || Clearance {
            proof: None,
            began: Instant::now(),
            settings: &settings,
            leads: &|| true,
            is_revoked: &|| false,
        };
        let hash = || "f3a1".to_owned();
        let looked = Look::Job(JobLook { jobs_on: vec![job.node.clone()], hash: hash() });
        let looked = look(&ssh, &looked, &RunUid("u".to_owned())).await;
        let created = create(&Create::Job(JobToCreate { job: job.clone(), hash: hash() }));
        let released = JobRelease { job: job.clone(), uid: "j".to_owned(), proof };
        let started = start(&ssh, &Start::Job(released), clearance()).await;
        let put_back = put_back(&ssh, &PutBack::Job(job.clone()), clearance()).await;
        let read = read(&ssh, &Read::Job(job)).await;
        let seen = looked.into_iter().map(|(_, seen)| seen.err());
        let said = seen.chain([created.err(), started.err(), put_back.err(), read.err()]);
        let said: Vec<_> = said.map(|finding| finding.unwrap().detail).collect();
        assert_eq!(said, ["this version cannot run Jobs"; 5]);
    }
}
