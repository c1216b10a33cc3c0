//! Handing over while a renewal is under way, with an API server that answers when it is told to.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use lockkeeper_exporter::server::http::{Handler, Limits, Listener, reply};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::*;

const US: &str = "us";

/// One Lease, with compare-and-swap.
#[derive(Debug, Default)]
struct Store {
    lease: Mutex<Stored>,
    /// The answer to our next renewal is withheld: first this says that it was stored, then that one lets it go.
    withholds: Mutex<Option<(Arc<Notify>, Arc<Notify>)>>,
}

#[derive(Debug, Default)]
struct Stored {
    holder: String,
    version: u64,
    /// A write that nobody waits for any more comes before the next one that gives the Lease back.
    late: bool,
}

impl Store {
    fn holder(&self) -> String {
        self.lease.lock().unwrap().holder.clone()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        if parts.method == Method::GET {
            return json(StatusCode::OK, &lease(&self.lease.lock().unwrap()));
        }
        let sent: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
        let holder = sent["spec"]["holderIdentity"].as_str().unwrap().to_owned();
        let withheld = self.withholds.lock().unwrap().take_if(|_| !holder.is_empty());
        let stored = {
            let mut lease = self.lease.lock().unwrap();
            if holder.is_empty() && std::mem::take(&mut lease.late) {
                lease.version += 1;
            }
            if sent["metadata"]["resourceVersion"] != json!(lease.version.to_string()) {
                let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                                    "message": "changed", "reason": "Conflict", "code": 409});
                return json(StatusCode::CONFLICT, &status);
            }
            lease.holder = holder;
            lease.version += 1;
            self::lease(&lease)
        };
        if let Some((is_stored, go_on)) = withheld {
            is_stored.notify_one();
            go_on.notified().await;
        }
        json(StatusCode::OK, &stored)
    }
}

fn lease(stored: &Stored) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": LEASE_NAME, "namespace": "n", "resourceVersion": stored.version.to_string()},
        "spec": {"holderIdentity": stored.holder, "leaseTransitions": 1},
    })
}

fn json(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    reply(status, "application/json", body.to_string())
}

/// A leader, and the store that its Lease is in.
async fn leader() -> (Leader, Arc<Store>) {
    lockkeeper_exporter::client::kubernetes::install_tls_provider();
    let store = Arc::new(Store::default());
    let listener = Listener::bind("127.0.0.1:0", None, Limits::default()).await.unwrap();
    let url = format!("http://{}", listener.local_addr()).parse().unwrap();
    let served = Arc::clone(&store);
    let handler: Handler = Arc::new(move |request| {
        let store = Arc::clone(&served);
        Box::pin(async move { store.answer(request).await })
    });
    drop(tokio::spawn(listener.serve(handler, std::future::pending())));
    let client = Client::try_from(kube::Config::new(url)).unwrap();
    let leader = Leader::new(client, "n", US, 30);
    leader.turn().await;
    assert!(leader.generation().is_some(), "nobody holds it, and it is taken at once");
    (leader, store)
}

#[tokio::test]
async fn a_renewal_that_comes_back_after_a_hand_over_is_no_lead() {
    let (leader, store) = leader().await;
    let (is_stored, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    *store.withholds.lock().unwrap() = Some((Arc::clone(&is_stored), Arc::clone(&go_on)));
    let renewing = leader.clone();
    let renewal = tokio::spawn(async move { renewing.turn().await });
    is_stored.notified().await;

    let handing = leader.clone();
    let mut hand_over = tokio::spawn(async move { handing.hand_over().await });
    // As far as it gets without the answer.
    let _still_waits = tokio::time::timeout(Duration::from_millis(300), &mut hand_over).await;
    assert_eq!(leader.generation(), None, "nothing is done from the hand-over on");
    go_on.notify_one();
    renewal.await.unwrap();
    assert_eq!(leader.generation(), None, "the answer of a renewal that was under way leads nowhere");
    if !hand_over.is_finished() {
        hand_over.await.unwrap();
    }
    assert_eq!((store.holder().as_str(), leader.generation()), ("", None), "the others may lead");
    leader.turn().await;
    assert_eq!((store.holder().as_str(), leader.generation()), ("", None), "it is left to them for a while");
}

#[tokio::test]
async fn a_lease_that_a_late_renewal_has_changed_is_given_back_all_the_same() {
    let (leader, store) = leader().await;
    store.lease.lock().unwrap().late = true;
    leader.hand_over().await;
    assert_eq!((store.holder().as_str(), leader.generation()), ("", None));
}
