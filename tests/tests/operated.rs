//! A budget that an operator moves, on the real parts: the run waits for a person to accept it by name, and then the drain
//! for the operator.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use lockkeeper_rules::reason::Reason;
use lockkeeper_tests::World;
use serde_json::{Value, json};

const RUN: &str = "operated";
const WORKER: &str = "worker-1";
const BUDGET: &str = "db-primary";

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_an_operator_moves_is_accepted_by_name_and_waited_for() {
    let world = World::builder().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    lay_the_database(&world).await;
    let words = ["pdb_may_move", "pdb_blocked", "pdb_may_move@default/other"];
    let spec = json!({"target": "v1.36.3", "stopAfter": format!("worker/{WORKER}"), "acceptRisks": words});
    world.create_run(RUN, spec).await.unwrap();
    let subject = format!("default/{BUDGET}");
    world.wait_until_held(RUN, Reason::PdbMayMove, &subject).await;
    let status = world.run_status(RUN).await.unwrap().unwrap();
    assert!(
        status.waiting.is_none() && status.finished.is_empty(),
        "no word of these accepts it: {status:?}"
    );

    world.patch_run(RUN, json!({"acceptRisks": [format!("pdb_may_move@{subject}")]})).await.unwrap();
    let refused = || async { Ok((refusals(&world) > 1).then_some(())) };
    world.wait_for("the primary to be asked again and again", 300, refused).await;
    let active = world.run_status(RUN).await.unwrap().unwrap().active;
    let stage = active.first().map(|it| (it.step.as_str(), it.stage.as_deref()));
    assert_eq!(stage, Some(("worker/worker-1", Some("drain"))));
    assert!(world.pods().get_opt("db-1").await.unwrap().is_some());

    // As the operator does that sees a node cordoned: another pod becomes the primary.
    for (pod, role) in [("db-2", "primary"), ("db-1", "replica")] {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"role": role}}}));
        world.pods().patch(pod, &PatchParams::default(), &patch).await.unwrap();
    }
    world.wait_until_held(RUN, Reason::StopAfter, "spec.stopAfter").await;
    let versions = world.kubelet_versions().await.unwrap();
    assert!(versions.contains(&(WORKER.to_owned(), "v1.36.3".to_owned())), "{versions:?}");
    assert!(world.pods().get_opt("db-1").await.unwrap().is_none());
    assert!(world.pods().get_opt("db-2").await.unwrap().is_some());
}

/// Two pods of a custom resource on two nodes, of which one is the primary, and the budget that its operator keeps over it.
async fn lay_the_database(world: &World) {
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}});
    let definition = json!({
        "metadata": {"name": "databases.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Database", "plural": "databases"},
            "versions": [version]},
    });
    let definitions: Api<CustomResourceDefinition> = Api::all(world.kube.clone());
    definitions.create(&PostParams::default(), &serde_json::from_value(definition).unwrap()).await.unwrap();
    let kind = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("example.com", "v1", "Database"),
        "databases",
    );
    let databases: Api<DynamicObject> = Api::namespaced_with(world.kube.clone(), "default", &kind);
    let database = DynamicObject::new("db", &kind);
    let created = || async { Ok(databases.create(&PostParams::default(), &database).await.ok()) };
    let created = world.wait_for("the database to be made", 60, created).await;
    let owner = json!([{"apiVersion": "example.com/v1", "kind": "Database", "name": "db", "controller": true,
        "uid": created.metadata.uid}]);

    for (name, role, node) in [("db-1", "primary", WORKER), ("db-2", "replica", "worker-2")] {
        let pod = json!({
            "metadata": {"name": name, "labels": {"db": "db", "role": role}, "ownerReferences": owner},
            "spec": {"nodeName": node, "terminationGracePeriodSeconds": 1, "containers": [{"name": "db", "image": "db"}]},
        });
        let made =
            || async { Ok(world.pods().create(&PostParams::default(), &read::<Pod>(&pod)).await.ok()) };
        world.wait_for(&format!("{name} to be made"), 60, made).await;
    }
    let budget = json!({
        "metadata": {"name": BUDGET, "ownerReferences": owner},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"db": "db", "role": "primary"}}},
    });
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(world.kube.clone(), "default");
    budgets.create(&PostParams::default(), &read(&budget)).await.unwrap();
    let counted = || async {
        let status = budgets.get(BUDGET).await?.status.unwrap_or_default();
        Ok((status.expected_pods == 1 && status.current_healthy == 1).then_some(()))
    };
    world.wait_for("the primary to be counted", 60, counted).await;
}

fn read<T: serde::de::DeserializeOwned>(object: &Value) -> T {
    serde_json::from_value(object.clone()).unwrap()
}

/// How often the eviction of the primary was refused.
fn refusals(world: &World) -> usize {
    let evictions = world.audit("actuator").into_iter().filter(|entry| entry.subresource == "eviction");
    evictions.filter(|entry| entry.code == 429 && entry.name == "db-1").count()
}
