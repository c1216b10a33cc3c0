//! An operator's facts about versions, replaced while both programs run as kubelet replaces a mounted ConfigMap.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use lockkeeper_tests::World;
use serde_json::{Value, json};
use tempfile::TempDir;

const RUN: &str = "facts";
/// How long a change may take, and a little for the look from outside.
const RELOAD_SECONDS_MAX: u64 = 12;
const GOOD: &str = "schema: 2\nas_of: \"2026-07-24\"\npolicy: {not_covered: warn}\n";
const BAD: &str = "schema: 2\nas_of: \"2026-07-24\"\nruntime: {}\n";

/// The built-in facts about runtimes, as of their day, and beside them a floor that no node's runtime reaches.
fn blocking() -> String {
    let built_in = include_str!("../../rules/data/nodes.yaml");
    let mut facts: Value = serde_yaml::from_str(built_in).unwrap();
    let mut runtimes = facts["runtimes"].take();
    let floor = json!({"from": "1.30", "release": "99.0.0", "source": "https://example.com/a-page"});
    runtimes["containerd"]["hard"].as_array_mut().unwrap().push(floor);
    format!("schema: 2\nas_of: {}\nruntimes: {runtimes}\n", facts["as_of"])
}

/// A folder in which a file is a link into `..data`, which is a link to a folder of its own for each change.
struct Mount {
    folder: TempDir,
    changes: u32,
}

impl Mount {
    fn new(text: &str) -> Self {
        let mut mount = Self { folder: TempDir::new().unwrap(), changes: 0 };
        symlink("..data/matrix.yaml", mount.file()).unwrap();
        mount.replace(text);
        mount
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("matrix.yaml")
    }

    fn replace(&mut self, text: &str) {
        let at = |name: &str| self.folder.path().join(name);
        self.changes += 1;
        let folder = format!("..{}", self.changes);
        std::fs::create_dir(at(&folder)).unwrap();
        std::fs::write(at(&folder).join("matrix.yaml"), text).unwrap();
        symlink(&folder, at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    }
}

/// Waits until both programs say that the newest file is in force, or that it is not.
async fn both_say(world: &World, is_in_force: bool) {
    let value = f64::from(u8::from(is_in_force));
    for (product, name) in [(&world.exporter, "exporter"), (&world.actuator, "actuator")] {
        let series = format!("k8s_upgrade_{name}_config_last_reload_successful");
        world
            .wait_for(&format!("{series} {value}"), RELOAD_SECONDS_MAX, || async {
                Ok(product.series().await?.get(&series).copied().filter(|said| *said == value))
            })
            .await;
    }
}

async fn verdict_is(world: &World, words: &[&str]) {
    world
        .wait_for(&format!("the verdict to say {words:?}"), RELOAD_SECONDS_MAX, || async {
            let verdict = world.exporter.get("/verdict?target=v1.36.3").await?;
            // Lines are broken for a terminal.
            let line = verdict.split_whitespace().collect::<Vec<_>>().join(" ");
            anyhow::ensure!(words.iter().all(|word| line.contains(word)), "{verdict}");
            Ok(Some(()))
        })
        .await;
}

/// Waits until the run is held for this reason.
async fn run_waits_for(world: &World, reason: &str) {
    world
        .wait_for(&format!("the run to wait for {reason}"), 60, || async {
            let holds = world.run_status(RUN).await?.map(|status| status.holds).unwrap_or_default();
            Ok(holds.iter().any(|hold| hold.reason == reason).then_some(()))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_are_replaced_while_a_run_waits_and_refused_ones_hold_it() {
    let world = World::builder().without_products().start().await;
    let mut world = world.unwrap_or_else(|error| panic!("{error:#}"));
    let mut mount = Mount::new(GOOD);
    for product in [&mut world.exporter, &mut world.actuator] {
        product.config["matrix"] = json!({"files": [mount.file()]});
    }
    world.start_products().await.unwrap_or_else(|error| panic!("{error:#}"));
    both_say(&world, true).await;
    verdict_is(&world, &["v1.36.3: SAFE"]).await;

    // A mistake: nobody knows what the operator wanted to say.
    mount.replace(BAD);
    both_say(&world, false).await;
    let place = format!("{}:3:1: runtime: found the field", mount.file().display());
    verdict_is(&world, &["v1.36.3: UNKNOWN", "matrix_refused (1)", &place, "newer files REFUSED: "]).await;
    world.create_run(RUN, json!({"target": "v1.36.3"})).await.unwrap();
    run_waits_for(&world, "matrix_refused").await;

    // It was to be a block.
    mount.replace(&blocking());
    both_say(&world, true).await;
    verdict_is(&world, &["v1.36.3: BLOCKED", "runtime_too_old"]).await;
    run_waits_for(&world, "runtime_too_old").await;
    assert!(world.run_status(RUN).await.unwrap().unwrap().finished.is_empty());

    // Mended: nobody has to start anything again.
    mount.replace(GOOD);
    verdict_is(&world, &["v1.36.3: SAFE"]).await;
    world
        .wait_for("the run to have done a step", 90, || async {
            Ok(world.run_status(RUN).await?.filter(|status| !status.finished.is_empty()))
        })
        .await;
}
