//! The source of packages that prepare has switched, and a run that ends before the node was changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, DeleteParams, ListParams};
use lockkeeper_rules::words::version::Version;
use lockkeeper_tests::World;
use lockkeeper_tests::world::{CONTROL_PLANE, NAMESPACE};
use serde_json::json;

const RUN: &str = "to-the-next-minor";
const WORKER: &str = "worker-1";
const FILE: &str = "etc/apt/sources.list.d/kubernetes.list";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_gives_the_nodes_that_it_did_not_change_their_sources_back() {
    let (from, to) = (Version::new(1, 35, 4), Version::new(1, 36, 3));
    let world = World::builder().workers(1).from(from.clone()).repository(vec![from, to.clone()]);
    let world = world.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    // As people write it: with other repositories, and for some eyes only.
    for machine in &world.machines {
        let text = fs::read_to_string(machine.folder.path(FILE)).unwrap();
        let more = "# ours\n\ndeb https://pkgs.example/isv:/cri-o:/stable:/v1.35/deb/ /";
        fs::write(machine.folder.path(FILE), format!("{text}{more}")).unwrap();
        fs::set_permissions(machine.folder.path(FILE), fs::Permissions::from_mode(0o640)).unwrap();
    }
    let before = [CONTROL_PLANE, WORKER].map(|node| source(&world, node));

    world.create_run(RUN, json!({"target": to.to_string(), "stopAfter": "prepare"})).await.unwrap();
    until_stopped(&world).await;
    for (node, (text, mode)) in [CONTROL_PLANE, WORKER].into_iter().zip(&before) {
        let now = source(&world, node);
        assert_eq!(
            now,
            (format!("{}\n", text.replace("core:/stable:/v1.35", "core:/stable:/v1.36")), *mode),
            "{node}"
        );
        assert!(now.0 != *text && kept(&world, node).as_ref() == Some(text), "{node}");
    }
    a_node_that_is_not_reached_is_named(&world, &before).await;
    a_node_that_was_changed_keeps_the_source(&world, &to, &before).await;
}

/// The text of the source and its mode.
fn source(world: &World, node: &str) -> (String, u32) {
    let path = world.machine(node).folder.path(FILE);
    (fs::read_to_string(&path).unwrap(), fs::metadata(&path).unwrap().permissions().mode())
}

/// What the source was, as the node keeps it.
fn kept(world: &World, node: &str) -> Option<String> {
    fs::read_to_string(world.machine(node).var_lib("lockkeeper/source/original")).ok()
}

async fn until_stopped(world: &World) {
    world
        .wait_for("the run to stop", 180, || async {
            let holds = world.run_status(RUN).await?.map(|status| status.holds).unwrap_or_default();
            Ok(holds.iter().any(|hold| hold.reason == "stop_after").then_some(()))
        })
        .await;
}

async fn delete(world: &World) {
    world.runs().delete(RUN, &DeleteParams::default()).await.unwrap();
    world
        .wait_for("the run to go", 120, || async {
            Ok(world.runs().get_opt(RUN).await?.is_none().then_some(()))
        })
        .await;
}

async fn a_node_that_is_not_reached_is_named(world: &World, before: &[(String, u32); 2]) {
    let switched = source(world, WORKER);
    world.machine(WORKER).unplug().await.unwrap();
    delete(world).await;
    // Looked at once: what can be put back is put back before the run is gone.
    assert_eq!((source(world, CONTROL_PLANE), kept(world, CONTROL_PLANE)), (before[0].clone(), None));
    assert_eq!((source(world, WORKER), kept(world, WORKER)), (switched, Some(before[1].0.clone())));
    let events: Api<Event> = Api::namespaced(world.kube.clone(), NAMESPACE);
    world
        .wait_for("an Event to name it, with what to do", 30, || async {
            let events = events.list(&ListParams::default()).await?.items;
            let says = |event: &Event| {
                let text = event.message.as_deref().unwrap_or_default();
                event.reason.as_deref() == Some("SourceNotRestored")
                    && text.starts_with("source_not_restored worker-1: ssh_unreachable")
                    && text.contains("cp -p /var/lib/lockkeeper/source/original")
            };
            Ok(events.iter().any(says).then_some(()))
        })
        .await;
    world.machine(WORKER).plug().await.unwrap();
}

/// Another run prepares a node whose source the first one has left switched.
async fn a_node_that_was_changed_keeps_the_source(world: &World, to: &Version, before: &[(String, u32); 2]) {
    let stop = format!("control-plane/{CONTROL_PLANE}");
    world.create_run(RUN, json!({"target": to.to_string(), "stopAfter": stop})).await.unwrap();
    until_stopped(world).await;
    let changed = source(world, CONTROL_PLANE);
    assert!(changed.0.contains("core:/stable:/v1.36"), "{changed:?}");
    assert_eq!(kept(world, WORKER).as_ref(), Some(&before[1].0), "what it was, not what it was switched to");
    delete(world).await;
    assert_eq!((source(world, WORKER), kept(world, WORKER)), (before[1].clone(), None));
    assert_eq!((source(world, CONTROL_PLANE), kept(world, CONTROL_PLANE)), (changed, None));
}
