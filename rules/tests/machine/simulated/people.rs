//! What people do to the run and to the cluster, and what else comes over a cluster.

use std::collections::BTreeMap;

use lockkeeper_rules::api::Retry;
use lockkeeper_rules::cluster::snapshot::{Node, Role};
use lockkeeper_rules::drain::{Pod, PodPhase};
use lockkeeper_rules::run::Position;

use super::{Simulated, TO, node, pod};

impl Simulated {
    pub fn retry_what_halted(&mut self) {
        let Position::Halted(it) = self.state().position else { panic!("not halted") };
        self.run.spec.retry = vec![Retry { step: it.step.to_string(), attempt: it.attempt }];
    }

    /// A pod that takes the place of one that had to leave, and finds no node.
    pub fn leave_a_pod_pending(&mut self) {
        let pod = Pod {
            node: None,
            phase: PodPhase::Pending,
            ready: false,
            created_at: Some(self.now),
            ..pod("w-9", 9)
        };
        self.pods.push((pod, None));
    }

    /// It finds one after all.
    pub fn schedule_what_is_pending(&mut self, name: &str) {
        for pod in self.pods_mut().filter(|pod| pod.node.is_none()) {
            (pod.node, pod.phase, pod.ready) = (Some(name.into()), PodPhase::Running, true);
        }
    }

    /// Somebody puts a finalizer on every pod of a node, or takes it off: its drain comes to no end meanwhile.
    pub fn keep_pods_of(&mut self, node: &str, keeps: bool) {
        let on_it = self
            .pods
            .iter()
            .map(|(pod, _)| pod)
            .filter(|pod| pod.node.as_ref().is_some_and(|it| it.0 == node));
        let names: Vec<String> = on_it.map(|pod| pod.name.clone()).collect();
        for name in names {
            self.keep_pod(&name, keeps.then_some("example.com/kept"));
        }
    }

    pub fn cordon_by_hand(&mut self, name: &str) {
        self.nodes.get_mut(name).unwrap().unschedulable = true;
        self.cordons_before.insert(name.to_owned());
    }

    pub fn uncordon_by_hand(&mut self, name: &str) {
        self.nodes.get_mut(name).unwrap().unschedulable = false;
        self.cordons_before.remove(name);
    }

    /// As a person does who has looked at a node that the run holds: uncordoned, and our annotation taken off.
    pub fn give_back_by_hand(&mut self, name: &str) {
        let node = self.nodes.get_mut(name).unwrap();
        (node.unschedulable, node.cordoned_by) = (false, None);
    }

    /// The pods as they are now, to be made others.
    pub fn pods_mut(&mut self) -> impl Iterator<Item = &mut Pod> {
        self.pods.iter_mut().map(|(pod, _)| pod)
    }

    /// Somebody puts a finalizer on a pod, or takes it off; one that is being deleted is then gone.
    pub fn keep_pod(&mut self, name: &str, finalizer: Option<&str>) {
        let now = self.now;
        let (pod, gone) = self.pods.iter_mut().find(|(pod, _)| pod.name == name).unwrap();
        pod.finalizers = finalizer.into_iter().map(str::to_owned).collect();
        if pod.deleting && pod.finalizers.is_empty() {
            gone.get_or_insert(now);
        }
    }

    /// Somebody deletes a node, and it is gone.
    pub fn delete_node(&mut self, name: &str) {
        self.nodes.remove(name);
        self.pods.retain(|(pod, _)| pod.node.as_ref().is_none_or(|node| node.0 != name));
    }

    /// Somebody deletes a node, and a finalizer keeps it for now.
    pub fn is_being_deleted(&mut self, name: &str) {
        self.nodes.get_mut(name).unwrap().deleting = true;
    }

    pub fn upgrade_by_hand(&mut self, name: &str) {
        self.nodes.get_mut(name).unwrap().kubelet_version = Ok(TO.parse().unwrap());
    }

    /// As an earlier run, or a person with kubeadm, leaves a control-plane node.
    pub fn upgrade_whole_by_hand(&mut self, name: &str) {
        self.upgrade_by_hand(name);
        self.servers.insert(name.to_owned(), TO.parse().unwrap());
    }

    /// A worker that comes into the cluster with a pod.
    pub fn join(&mut self, name: &str) {
        self.nodes.insert(name.to_owned(), node(name, Role::Worker, self.now));
        self.pods.push((pod(name, 0), None));
    }

    /// A pod that comes to a node, cordoned or not.
    pub fn bind_pod(&mut self, node: &str) {
        self.pods.push((pod(node, 7), None));
    }

    /// Another machine takes the place of a node, under its name.
    pub fn replace(&mut self, name: &str) {
        let role = self.nodes[name].role;
        let new = Node { uid: "uid-new".to_owned(), ..node(name, role, self.now) };
        self.nodes.insert(name.to_owned(), Node { machine_id: "machine-new".to_owned(), ..new });
        self.installed.remove(name);
    }

    pub fn set_machine_id(&mut self, name: &str, machine_id: &str) {
        self.nodes.get_mut(name).unwrap().machine_id = machine_id.to_owned();
    }

    pub fn set_address(&mut self, name: &str, address: &str) {
        self.nodes.get_mut(name).unwrap().internal_ips = vec![address.to_owned()];
    }

    pub fn change_node(&mut self, name: &str, change: impl FnOnce(&mut Node)) {
        change(self.nodes.get_mut(name).unwrap());
    }

    pub fn label_of(&self, name: &str, key: &str) -> Option<String> {
        self.nodes[name].topology(key).map(str::to_owned)
    }

    pub fn set_ready(&mut self, name: &str, ready: bool) {
        self.nodes.get_mut(name).unwrap().ready = ready;
    }

    /// A replica of the actuator on a node; nothing starts it again elsewhere.
    pub fn run_replica(&mut self, node: &str, ready: bool) {
        let label = ("app.kubernetes.io/name".to_owned(), "lockkeeper-actuator".to_owned());
        self.pods.push((Pod { ready, labels: BTreeMap::from([label]), ..pod(node, 9) }, None));
    }
}
