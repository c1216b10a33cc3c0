//! How long a verdict takes on a cluster that is larger than most, and how much memory the cluster takes: `make bench`.
//!
//! 5,000 nodes, 200 add-ons with a row each, 20,000 other objects. What changes in a cluster changes the verdict, so
//! this is what the exporter does at most once a second.

mod cluster;

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use lockkeeper_rules::publish::metric::{Memory, samples, targets};
use lockkeeper_rules::verdict::{Status, Verdict, not_covered, verdict, way};
use peak_alloc::PeakAlloc;

use cluster::Cluster;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fn main() {
    let before_mib = MEMORY.current_usage_as_mb();
    let cluster = Cluster::large();
    let cluster_mib = MEMORY.current_usage_as_mb() - before_mib;
    check(&cluster);
    MEMORY.reset_peak_usage();
    let verdicts = judged(&cluster);
    let peak_mib = MEMORY.peak_usage_as_mb() - before_mib - cluster_mib;
    drop(verdicts);
    println!(
        "{}: {cluster_mib:.1} MiB, and at most {peak_mib:.1} MiB more while it is judged",
        cluster.size()
    );
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .configure_from_args();
    measure(&mut criterion, &cluster);
    criterion.final_summary();
}

fn measure(criterion: &mut Criterion, cluster: &Cluster) {
    let case = cluster.case();
    let verdicts: Vec<Verdict> = judged(cluster);
    let (patch, minor) = ("v1.36.3", "v1.37.0");
    criterion.bench_function("verdict on the next minor", |it| it.iter(|| verdict(black_box(minor), &case)));
    criterion
        .bench_function("verdict on the newest patch", |it| it.iter(|| verdict(black_box(patch), &case)));
    criterion.bench_function("way to the next minor", |it| {
        let target = minor.parse().expect("a version");
        it.iter(|| way(black_box(&target), &case));
    });
    criterion.bench_function("what no row judges", |it| {
        let workloads = case.inventory.workloads.value.as_deref().unwrap_or_default();
        it.iter(|| not_covered(black_box(workloads), &case.matrix.addons.value));
    });
    criterion.bench_function("samples of all", |it| {
        let mut memory = Memory::default();
        memory.observe(case.snapshot, &verdicts, case.now);
        it.iter(|| samples(black_box(&case), &verdicts, &memory));
    });
}

fn judged(cluster: &Cluster) -> Vec<Verdict> {
    targets(&cluster.snapshot).iter().map(|target| verdict(target, &cluster.case())).collect()
}

/// What is measured is a cluster that the checks have looked at, and not one at whose first source they gave up.
fn check(cluster: &Cluster) {
    let verdicts = judged(cluster);
    let says = |verdict: &Verdict, id: &str| {
        let check = verdict.checks.iter().find(|check| check.id == id).expect("a check of that name");
        (check.status, check.findings.len())
    };
    let [patch, minor] = verdicts.as_slice() else { panic!("two targets are published: {verdicts:#?}") };
    for id in ["path", "kubelet_skew", "runtime", "kernel", "addons", "stored_versions"] {
        assert_eq!(says(patch, id), (Status::Pass, 0), "{id}");
    }
    assert_eq!(says(minor, "addons"), (Status::Block, cluster::ADDONS / 2));
}
