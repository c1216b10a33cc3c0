//! A Lease of the API server: read, and written only over the version that was read.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use lockkeeper_exporter::client::kubernetes::{CallError, call};

/// Where a Lease is, and how long one request for it may take.
pub(crate) struct LeaseAt<'a> {
    pub(crate) client: &'a Client,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) deadline: Duration,
}

impl LeaseAt<'_> {
    /// The Lease; nothing if there is none.
    pub(crate) async fn read(&self) -> Result<Option<Lease>, CallError> {
        call(self.deadline, self.api().get_opt(self.name)).await
    }

    /// Writes it over what was read, or creates it where there was none. Whoever has written since is not overwritten.
    pub(crate) async fn write(
        &self,
        read: Option<&Lease>,
        annotations: Option<BTreeMap<String, String>>,
        spec: LeaseSpec,
    ) -> Result<(), CallError> {
        let metadata = ObjectMeta {
            name: Some(self.name.to_owned()),
            namespace: Some(self.namespace.to_owned()),
            resource_version: read.and_then(|lease| lease.metadata.resource_version.clone()),
            annotations,
            ..ObjectMeta::default()
        };
        let wanted = Lease { metadata, spec: Some(spec) };
        let (api, params) = (self.api(), PostParams::default());
        let answer = async {
            match read {
                Some(_) => api.replace(self.name, &params, &wanted).await,
                None => api.create(&params, &wanted).await,
            }
        };
        call(self.deadline, answer).await.map(|_stored| ())
    }

    fn api(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), self.namespace)
    }
}
