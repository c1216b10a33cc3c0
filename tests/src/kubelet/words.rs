//! What a kubelet of each minor says, as a real one was recorded to say it. What is a machine's own is put in where it is
//! said: names, addresses, times, versions.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use lockkeeper_rules::words::version::{Minor, Version};
use serde_json::Value;

use crate::recorded::{Recorded, root};

/// What changes from one moment to the next.
const TIMES: [&str; 4] = ["lastHeartbeatTime", "lastTransitionTime", "startTime", "startedAt"];

/// What kubelets of one minor say.
#[derive(Debug)]
pub(super) struct Words {
    /// The Node object of the first control-plane node.
    pub(super) node: Value,
    /// Its static pods by component.
    pub(super) pods: BTreeMap<String, Value>,
    /// `/configz`.
    pub(super) configz: String,
    /// Of `/metrics` what somebody reads.
    pub(super) metrics: String,
}

/// By minor.
#[derive(Debug)]
pub(super) struct Dictionary(BTreeMap<Minor, Words>);

impl Dictionary {
    /// Everything that was recorded.
    ///
    /// # Errors
    /// A recording lacks something.
    pub(super) fn read() -> Result<Self> {
        let all = Recorded::all(&root());
        Ok(Self(all.iter().map(|it| Ok((it.minor, Words::read(it)?))).collect::<Result<_>>()?))
    }

    /// What kubelets of this version say.
    ///
    /// # Errors
    /// Nobody has recorded its minor.
    pub(super) fn of(&self, version: &Version) -> Result<&Words> {
        match self.0.get(&version.minor()) {
            Some(words) => Ok(words),
            // It has the words for that.
            None => Err(Recorded::of(version.minor()).err().context("a recording made meanwhile")?),
        }
    }
}

impl Words {
    fn read(recorded: &Recorded) -> Result<Self> {
        let mut list = recorded.json("static-pods.json")?;
        let pods = list["items"].as_array_mut().context("static-pods.json is no list")?;
        let component = |pod: &Value| pod["metadata"]["labels"]["component"].as_str().map(str::to_owned);
        let by_component = |pod: &mut Value| Some((component(pod)?, pod.take()));
        Ok(Self {
            node: recorded.json("node.json")?,
            pods: pods.iter_mut().filter_map(by_component).collect(),
            configz: recorded.text("configz.json")?,
            metrics: recorded.text("metrics.txt")?,
        })
    }

    /// The name of the recorded node.
    pub(super) fn node_name(&self) -> &str {
        self.node["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Its InternalIP.
    pub(super) fn address(&self) -> &str {
        let mut addresses = self.node["status"]["addresses"].as_array().into_iter().flatten();
        let internal = addresses.find(|address| address["type"] == "InternalIP");
        internal.and_then(|address| address["address"].as_str()).unwrap_or_default()
    }
}

/// Puts one text in the place of another wherever it stands.
pub(super) fn replace(value: &mut Value, old: &str, new: &str) {
    match value {
        Value::String(text) => *text = text.replace(old, new),
        Value::Array(all) => all.iter_mut().for_each(|value| replace(value, old, new)),
        Value::Object(map) => map.values_mut().for_each(|value| replace(value, old, new)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Puts this moment in the place of the one of the recording.
pub(super) fn date(value: &mut Value, now: &str) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(|value| date(value, now)),
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| match value {
            Value::String(text) if TIMES.contains(&key.as_str()) => *text = now.to_owned(),
            value => date(value, now),
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
