//! `UpgradeRun` as a Kubernetes object. The rules know its shape; here it gets its address.

use std::borrow::Cow;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DynamicObject, PartialObjectMeta};
use kube::core::NamespaceResourceScope;
use lockkeeper_rules::api::{
    FINALIZER, GROUP, Halt, Hold, RunPhase, StoredFinding, UpgradeRun, UpgradeRunSpec, UpgradeRunStatus,
    VERSION,
};
use lockkeeper_rules::cluster::snapshot::RunElsewhere;
use lockkeeper_rules::reason::{Finding, Reason};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The kind of the resource.
pub const KIND: &str = "UpgradeRun";
/// The plural, as in URLs.
pub const PLURAL: &str = "upgraderuns";

/// An `UpgradeRun`, typed for writing or raw for reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeRunObject<Spec = UpgradeRunSpec, Status = UpgradeRunStatus> {
    /// `lockkeeper.dev/v1alpha1`.
    #[serde(default = "api_version")]
    pub api_version: String,
    /// `UpgradeRun`.
    #[serde(default = "kind")]
    pub kind: String,
    /// The standard metadata.
    pub metadata: ObjectMeta,
    /// What people wrote.
    pub spec: Spec,
    /// What the actuator stored.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// An `UpgradeRun` of which only the metadata has been looked at, so that one object that cannot be parsed does
/// not make the whole list fail.
pub type RawUpgradeRun = UpgradeRunObject<Value, Value>;

fn api_version() -> String {
    format!("{GROUP}/{VERSION}")
}

fn kind() -> String {
    KIND.to_owned()
}

impl<Spec, Status> UpgradeRunObject<Spec, Status> {
    /// A new object with this spec and no status.
    pub fn new(namespace: &str, name: &str, spec: Spec) -> Self {
        let metadata = ObjectMeta {
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        };
        Self { api_version: api_version(), kind: kind(), metadata, spec, status: None }
    }
}

impl<Spec, Status> kube::Resource for UpgradeRunObject<Spec, Status> {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl From<UpgradeRunObject> for UpgradeRun {
    fn from(object: UpgradeRunObject) -> Self {
        run(object.metadata, object.spec, object.status)
    }
}

impl From<RawUpgradeRun> for UpgradeRun {
    /// Parses spec and status. A run that cannot be read never vanishes and never looks new: it comes back halted,
    /// with a status of a schema that nobody knows, which is what stops the machine from writing over it.
    fn from(raw: RawUpgradeRun) -> Self {
        let spec = parse::<UpgradeRunSpec>("spec", &raw.spec);
        let status =
            raw.status.as_ref().map(|status| parse::<UpgradeRunStatus>("status", status)).transpose();
        let stored_schema = raw.status.as_ref().and_then(|status| status.get("schemaVersion")?.as_u64());
        match (spec, status) {
            (Ok(spec), Ok(status)) => run(raw.metadata, spec, status),
            (Ok(spec), Err(error)) => {
                let status = unreadable(&raw.metadata, stored_schema, error);
                run(raw.metadata, spec, Some(status))
            }
            (Err(error), _) => {
                let status = unreadable(&raw.metadata, stored_schema, error);
                let target = raw.spec.get("target").and_then(Value::as_str).unwrap_or_default().to_owned();
                run(raw.metadata, UpgradeRunSpec { target, ..UpgradeRunSpec::default() }, Some(status))
            }
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(field: &str, value: &'a Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| format!("{field} cannot be read: {error}"))
}

fn run(metadata: ObjectMeta, spec: UpgradeRunSpec, status: Option<UpgradeRunStatus>) -> UpgradeRun {
    UpgradeRun {
        namespace: metadata.namespace.unwrap_or_default(),
        name: metadata.name.unwrap_or_default(),
        uid: metadata.uid.unwrap_or_default(),
        resource_version: metadata.resource_version.unwrap_or_default(),
        generation: metadata.generation.unwrap_or(0),
        created_at: metadata.creation_timestamp.map(|time| time.0),
        deleting: metadata.deletion_timestamp.is_some(),
        has_finalizer: metadata.finalizers.is_some_and(|all| all.iter().any(|one| one == FINALIZER)),
        spec,
        status,
    }
}

/// A run of which only the metadata was read.
pub(super) fn run_elsewhere(listed: PartialObjectMeta<DynamicObject>) -> RunElsewhere {
    let metadata = listed.metadata;
    RunElsewhere {
        namespace: metadata.namespace.unwrap_or_default(),
        name: metadata.name.unwrap_or_default(),
        uid: metadata.uid.unwrap_or_default(),
        generation: metadata.generation.unwrap_or(0),
        created_at: metadata.creation_timestamp.map(|time| time.0),
        target: String::new(),
        phase: None,
    }
}

/// The schema version of a status that could not be read: no Lockkeeper ever wrote it.
const UNREADABLE_SCHEMA_VERSION: u32 = 0;
/// The schema version that this program reads and writes.
const SCHEMA_VERSION: u64 = 1;

fn unreadable(metadata: &ObjectMeta, stored_schema: Option<u64>, error: String) -> UpgradeRunStatus {
    let newer =
        stored_schema.filter(|&schema| schema > SCHEMA_VERSION).and_then(|schema| u32::try_from(schema).ok());
    let reason = if newer.is_some() { Reason::StatusNewer } else { Reason::StatusMalformed };
    let name = metadata.name.clone().unwrap_or_default();
    let finding = StoredFinding::from(&Finding::new(reason, name, error));
    let at = metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    UpgradeRunStatus {
        schema_version: newer.unwrap_or(UNREADABLE_SCHEMA_VERSION),
        phase: RunPhase::Halted,
        from: None,
        started_at: None,
        finished_at: None,
        sequence: 0,
        waiting: None,
        active: Vec::new(),
        finished: Vec::new(),
        attempted: Vec::new(),
        progressed_at: None,
        nodes_done: 0,
        soak_until: None,
        snapshot: None,
        manifests: Vec::new(),
        prepare_again: None,
        silences: Vec::new(),
        switched: Vec::new(),
        restoring_since: None,
        failed: Vec::new(),
        workers_done: 0,
        soaking: Vec::new(),
        holds: vec![Hold {
            step: None,
            reason: finding.reason.clone(),
            subject: finding.subject.clone(),
            detail: finding.detail.clone(),
            words: finding.words.clone(),
            remedy: reason.entry().remedy.to_owned(),
            since: at,
        }],
        halted: Some(Halt { step: String::new(), attempt: 0, at, finding }),
        summary: lockkeeper_rules::api::Summary::default(),
        history: Vec::new(),
        unsent_notices: Vec::new(),
        conditions: Vec::new(),
        observed_generation: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::Resource as _;
    use serde_json::json;

    fn read(spec: &Value, status: &Value) -> UpgradeRun {
        let object = json!({
            "apiVersion": "lockkeeper.dev/v1alpha1", "kind": "UpgradeRun",
            "metadata": {"namespace": "k8s-upgrade", "name": "r", "uid": "u", "resourceVersion": "7",
                         "finalizers": ["lockkeeper.dev/put-nodes-back"]},
            "spec": spec, "status": status,
        });
        UpgradeRun::from(serde_json::from_value::<RawUpgradeRun>(object).unwrap())
    }

    #[test]
    fn a_run_is_read_with_its_metadata_and_without_a_status() {
        let run = read(&json!({"target": "v1.36.3"}), &Value::Null);
        assert_eq!((run.name.as_str(), run.uid.as_str(), run.resource_version.as_str()), ("r", "u", "7"));
        assert!(run.has_finalizer && !run.deleting && run.status.is_none());
        assert_eq!(run.spec.target, "v1.36.3");
    }

    #[test]
    fn a_status_that_cannot_be_read_never_looks_like_a_new_run() {
        for (status, reason, schema) in [
            (json!({"schemaVersion": 1, "phase": "Dancing"}), "status_malformed", 0),
            (json!({"phase": "Waiting"}), "status_malformed", 0),
            (json!([]), "status_malformed", 0),
            (json!({"schemaVersion": 7, "shape": "other"}), "status_newer", 7),
        ] {
            let run = read(&json!({"target": "v1.36.3"}), &status);
            let stored = run.status.unwrap();
            assert_eq!((stored.phase, stored.schema_version), (RunPhase::Halted, schema), "{status}");
            assert_eq!(stored.halted.unwrap().finding.reason, reason, "{status}");
        }
    }

    #[test]
    fn a_spec_that_cannot_be_read_halts_and_still_names_its_target() {
        let run = read(&json!({"target": "v1.36.3", "skip": 7}), &Value::Null);
        assert_eq!(run.spec.target, "v1.36.3");
        let halt = run.status.unwrap().halted.unwrap();
        assert!(halt.finding.detail.starts_with("spec cannot be read"), "{halt:?}");
    }

    #[test]
    fn what_is_written_names_its_kind_and_address() {
        let object: UpgradeRunObject = UpgradeRunObject::new("k8s-upgrade", "r", UpgradeRunSpec::default());
        let value = serde_json::to_value(&object).unwrap();
        assert_eq!(
            (value["apiVersion"].as_str(), value["kind"].as_str()),
            (Some("lockkeeper.dev/v1alpha1"), Some(KIND))
        );
        assert_eq!(
            UpgradeRunObject::<Value, Value>::url_path(&(), Some("k8s-upgrade")),
            "/apis/lockkeeper.dev/v1alpha1/namespaces/k8s-upgrade/upgraderuns"
        );
    }
}
