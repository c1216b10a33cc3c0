//! What kubelets say of their configuration, through the API server's proxy to each node.
//!
//! ```text
//!   want(questions) ──▶ round: a few at once, each within seconds, the whole within minutes
//!                          │ an answer is kept for the life of its kubelet, and asked for anew after ten minutes
//!                          ▼ the first "forbidden" ends the round: a right that is missing is missing for all
//! ```
//!
//! The right for it is `get` on `nodes/proxy`, which is not in `deploy/base`; nothing is asked where no target needs it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::{StreamExt, stream};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use lockkeeper_rules::cluster::inventory::{
    Inventory, KubeProxyConfig, KubeadmConfig, KubeletConfig, KubeletUnread, RunningKubelet,
};
use lockkeeper_rules::cluster::snapshot::Source;
use lockkeeper_rules::driver::kubeadm::kept;
use lockkeeper_rules::wire::kubelet::{
    ANSWER_BYTES_MAX, Question, cgroup_version, configz, written, written_of_kube_proxy,
};
use lockkeeper_rules::words::name::NodeName;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::convert::SYSTEM_NAMESPACE;
use crate::client::deadline::within;
use crate::client::kubernetes::{call, explain};

/// What kubeadm keeps the kubelets' configuration in, and under which key.
const KUBELET_CONFIG: (&str, &str) = ("kubelet-config", "kubelet");
/// The same for kube-proxy.
const KUBE_PROXY_CONFIG: (&str, &str) = ("kube-proxy", "config.conf");
/// What kubeadm keeps of the cluster itself.
const KUBEADM_CONFIG: (&str, &str) = ("kubeadm-config", "ClusterConfiguration");
/// How many kubelets are asked at once. An answer is small; the API server opens a connection for each.
const AT_ONCE: usize = 8;
/// How long one kubelet may take.
const KUBELET_DEADLINE: Duration = Duration::from_secs(10);
/// How long a round may take. Who was not asked by then is asked in the next.
const ROUND_DEADLINE: Duration = Duration::from_secs(300);
/// How often it is looked whom to ask.
const ROUND_PAUSE: Duration = Duration::from_secs(60);
/// How old an answer is when it is asked for anew.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(600);
/// How often the ConfigMap is read: within the age that the state of the cluster may have.
const CONFIG_MAP_PAUSE: Duration = Duration::from_secs(20);
/// How long it may take.
const CONFIG_MAP_DEADLINE: Duration = Duration::from_secs(10);

/// What kubelets have said, and who is to be asked.
#[derive(Debug)]
pub(super) struct Kubelets {
    wanted: watch::Sender<BTreeMap<NodeName, Question>>,
    kept: Mutex<Kept>,
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct Kept {
    /// By node, with the question that was answered.
    answers: BTreeMap<NodeName, KubeletAnswer>,
    /// When the last round ended.
    looked_at: Option<Timestamp>,
    configurations: Configurations,
}

/// What kubeadm keeps in the cluster: for every kubelet, for every kube-proxy, and of the cluster itself.
pub(super) type Configurations =
    (Source<Option<KubeletConfig>>, Source<Option<KubeProxyConfig>>, Source<Option<KubeadmConfig>>);

#[derive(Debug, Clone)]
struct KubeletAnswer {
    question: Question,
    asked_at: Timestamp,
    kubelet: RunningKubelet,
}

impl Kubelets {
    pub(super) fn new(changed: Arc<Notify>) -> Self {
        let configurations = (Source::unread(), Source::unread(), Source::unread());
        let kept = Kept { answers: BTreeMap::new(), looked_at: None, configurations };
        Self { wanted: watch::channel(BTreeMap::new()).0, kept: Mutex::new(kept), changed }
    }

    /// Who is to be asked from now on.
    pub(super) fn want(&self, questions: BTreeMap<NodeName, Question>) {
        self.wanted.send_if_modified(|wanted| {
            let is_new = *wanted != questions;
            *wanted = questions;
            is_new
        });
    }

    /// Begins to ask. The tasks end when the set is dropped.
    pub(super) fn open(self: &Arc<Self>, client: &Client, tasks: &mut JoinSet<()>) {
        tasks.spawn(Arc::clone(self).keep_asking(client.clone()));
        tasks.spawn(Arc::clone(self).keep_config(client.clone()));
    }

    /// What is known now. It is as old as its oldest answer.
    pub(super) fn fill(&self, inventory: &mut Inventory) {
        let kept = self.lock();
        let (of_kubelets, of_kube_proxy, of_kubeadm) = kept.configurations.clone();
        inventory.kubelet_config = of_kubelets;
        inventory.kube_proxy_config = of_kube_proxy;
        inventory.kubeadm_config = Some(of_kubeadm);
        let Some(looked_at) = kept.looked_at else { return };
        let wanted = self.wanted.borrow();
        let answers = || kept.answers.iter().filter(|(node, it)| wanted.get(*node) == Some(&it.question));
        let oldest = answers().map(|(_, it)| it.asked_at).min();
        let kubelets = answers().map(|(_, it)| it.kubelet.clone()).collect();
        inventory.kubelets = Source::read(kubelets, oldest.unwrap_or(looked_at));
    }

    async fn keep_asking(self: Arc<Self>, client: Client) {
        let mut wanted = self.wanted.subscribe();
        loop {
            let questions = wanted.borrow_and_update().clone();
            self.round(&client, &questions, Instant::now() + ROUND_DEADLINE).await;
            self.changed.notify_one();
            let _new_or_old = timeout(ROUND_PAUSE, wanted.changed()).await;
        }
    }

    /// Asks everybody whose answer is missing, old or none.
    async fn round(&self, client: &Client, questions: &BTreeMap<NodeName, Question>, until: Instant) {
        let mut due = self.due(questions, Timestamp::now()).into_iter();
        // The first one alone: where the right is missing, it is asked for once and not for every node.
        if let Some((node, question)) = due.next() {
            let answered = ask_about(client, node, question).await;
            let forbidden = match &answered.kubelet.config {
                Err(KubeletUnread::Forbidden(why)) => Some(why.clone()),
                Err(KubeletUnread::Failed(_)) | Ok(_) => None,
            };
            self.note(answered);
            match forbidden {
                Some(why) => due.for_each(|(node, question)| self.note(refused(node, question, &why))),
                None => {
                    let asked = due.map(|(node, question)| ask_about(client, node, question));
                    let asked = stream::iter(asked).buffer_unordered(AT_ONCE);
                    let all = asked.for_each(|answered| {
                        self.note(answered);
                        std::future::ready(())
                    });
                    // Whoever was not asked in time keeps what it said before, or has said nothing yet.
                    let _ended_or_late = timeout_at(until, all).await;
                }
            }
        }
        self.lock().looked_at = Some(Timestamp::now());
    }

    /// Who must be asked now. What is known of kubelets that nobody wants to know of, or of another life, is forgotten.
    fn due(&self, questions: &BTreeMap<NodeName, Question>, now: Timestamp) -> Vec<(NodeName, Question)> {
        let mut kept = self.lock();
        kept.answers.retain(|node, it| questions.get(node) == Some(&it.question));
        let is_due = |node: &NodeName| match kept.answers.get(node) {
            None => true,
            Some(it) => match &it.kubelet.config {
                Err(KubeletUnread::Failed(_)) => true,
                Ok(_) | Err(KubeletUnread::Forbidden(_)) => {
                    let age = Duration::try_from(now.duration_since(it.asked_at));
                    age.is_ok_and(|age| age >= ANSWER_AGE_MAX)
                }
            },
        };
        let due = questions.iter().filter(|(node, _)| is_due(node));
        due.map(|(node, question)| (node.clone(), question.clone())).collect()
    }

    /// Keeps an answer. One that failed does not take the place of one that did not: that one grows old by itself.
    fn note(&self, answered: KubeletAnswer) {
        let mut kept = self.lock();
        let failed = matches!(answered.kubelet.config, Err(KubeletUnread::Failed(_)));
        let known = kept.answers.get(&answered.kubelet.node);
        let is_known = known.is_some_and(|it| it.question == answered.question && it.kubelet.config.is_ok());
        if !(failed && is_known) {
            kept.answers.insert(answered.kubelet.node.clone(), answered);
        }
    }

    async fn keep_config(self: Arc<Self>, client: Client) {
        loop {
            let configurations = configurations(&client, CONFIG_MAP_DEADLINE).await;
            self.lock().configurations = configurations;
            self.changed.notify_one();
            tokio::time::sleep(CONFIG_MAP_PAUSE).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("nothing panics while it holds this lock")
    }
}

/// Asks all of them once; what has not come by then has not been said.
pub async fn kubelets_now(
    client: &Client,
    questions: BTreeMap<NodeName, Question>,
    until: Instant,
) -> Source<Vec<RunningKubelet>> {
    let kubelets = Kubelets::new(Arc::default());
    kubelets.round(client, &questions, until).await;
    kubelets.want(questions);
    let mut inventory = Inventory::unread();
    kubelets.fill(&mut inventory);
    inventory.kubelets
}

/// What kubeadm keeps. A cluster that was not made by it has no such ConfigMaps.
pub(super) async fn configurations(client: &Client, deadline: Duration) -> Configurations {
    tokio::join!(
        configuration(client, KUBELET_CONFIG, written, deadline),
        configuration(client, KUBE_PROXY_CONFIG, written_of_kube_proxy, deadline),
        configuration(client, KUBEADM_CONFIG, kept, deadline),
    )
}

async fn configuration<T>(
    client: &Client,
    (name, key): (&str, &str),
    parse: fn(&str) -> Result<T, String>,
    deadline: Duration,
) -> Source<Option<T>> {
    let now = Timestamp::now();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let about = |why: &str| format!("ConfigMap {SYSTEM_NAMESPACE}/{name}: {why}");
    let map = match call(deadline, maps.get_opt(name)).await {
        Ok(map) => map,
        Err(error) => return Source::failed(about(&error.to_string())),
    };
    let Some(map) = map else { return Source::read(None, now) };
    let text = map.data.as_ref().and_then(|data| data.get(key));
    match text.map(|text| parse(text)) {
        Some(Ok(config)) => Source::read(Some(config), now),
        Some(Err(why)) => Source::failed(about(&why)),
        None => Source::failed(about(&format!("it has no data.{key}"))),
    }
}

async fn ask_about(client: &Client, node: NodeName, question: Question) -> KubeletAnswer {
    let asked_at = Timestamp::now();
    let config = ask(client, &node, "configz").await;
    let config = config.and_then(|text| configz(&text).map_err(KubeletUnread::Failed));
    // A kubelet that does not tell its cgroup version leaves it unknown, which is judged where it matters.
    let metrics =
        if question.with_cgroup && config.is_ok() { ask(client, &node, "metrics").await.ok() } else { None };
    let cgroup_version = metrics.and_then(|text| cgroup_version(&text));
    KubeletAnswer { question, asked_at, kubelet: RunningKubelet { node, config, cgroup_version } }
}

fn refused(node: NodeName, question: Question, why: &str) -> KubeletAnswer {
    let config = Err(KubeletUnread::Forbidden(why.to_owned()));
    let kubelet = RunningKubelet { node, config, cgroup_version: None };
    KubeletAnswer { question, asked_at: Timestamp::now(), kubelet }
}

/// One small request to a kubelet.
async fn ask(client: &Client, node: &NodeName, path: &str) -> Result<String, KubeletUnread> {
    let answer = within(KUBELET_DEADLINE, request(client, node, path)).await;
    answer.unwrap_or_else(|late| Err(KubeletUnread::Failed(format!("/{path}: {late}"))))
}

async fn request(client: &Client, node: &NodeName, path: &str) -> Result<String, KubeletUnread> {
    let failed = |why: String| KubeletUnread::Failed(format!("/{path}: {why}"));
    let request = Request::get(format!("/api/v1/nodes/{node}/proxy/{path}"))
        .body(kube::client::Body::empty())
        .map_err(|error| failed(error.to_string()))?;
    let answer = client.send(request).await.map_err(|error| failed(explain(&error)))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| failed(error.to_string()))?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() { Ok(text) } else { Err(refusal(path, status, &text)) }
}

/// Why it was refused. The API server says so in a Status; a kubelet that does not trust the API server does not.
fn refusal(path: &str, status: StatusCode, text: &str) -> KubeletUnread {
    const SHOWN_CHARS_MAX: usize = 300;
    let said = serde_json::from_str::<kube::core::Status>(text);
    let by_api_server = said.as_ref().is_ok_and(|said| said.reason == "Forbidden");
    let why = said.map_or_else(|_| text.trim().to_owned(), |said| said.message);
    let why: String = why.chars().take(SHOWN_CHARS_MAX).collect();
    if status == StatusCode::FORBIDDEN && by_api_server {
        KubeletUnread::Forbidden(why)
    } else {
        KubeletUnread::Failed(format!("/{path} is answered {status}: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::client::kubernetes::install_tls_provider;
    use crate::server::http::{Handler, Limits, Listener, reply};

    fn question(life: &str) -> Question {
        Question { life: life.to_owned(), with_cgroup: false }
    }

    fn answer(life: &str, second: i64, config: Result<KubeletConfig, KubeletUnread>) -> KubeletAnswer {
        let asked_at = Timestamp::from_second(second).unwrap();
        let kubelet = RunningKubelet { node: "w-1".into(), config, cgroup_version: None };
        KubeletAnswer { question: question(life), asked_at, kubelet }
    }

    fn failed() -> Result<KubeletConfig, KubeletUnread> {
        Err(KubeletUnread::Failed("gone".to_owned()))
    }

    #[test]
    fn an_answer_counts_for_its_kubelets_life_and_is_asked_for_anew_in_time() {
        let kubelets = Kubelets::new(Arc::default());
        let due = |life: &str, second| {
            let questions = BTreeMap::from([("w-1".into(), question(life))]);
            kubelets.due(&questions, Timestamp::from_second(second).unwrap()).len()
        };
        assert_eq!(due("first", 0), 1, "never asked");
        kubelets.note(answer("first", 0, Ok(KubeletConfig::default())));
        assert_eq!(due("first", 599), 0);
        assert_eq!(due("first", 600), 1, "old");
        kubelets.note(answer("first", 600, failed()));
        assert!(kubelets.lock().answers[&"w-1".into()].kubelet.config.is_ok(), "a failure forgets nothing");
        assert_eq!(due("second", 601), 1, "another boot");
        kubelets.note(answer("second", 601, failed()));
        assert_eq!(due("second", 602), 1, "asked again after a failure");
        kubelets.note(answer("second", 602, Err(KubeletUnread::Forbidden("no".to_owned()))));
        assert_eq!(due("second", 700), 0, "a right that is missing is not asked for each minute");
    }

    #[test]
    fn only_what_is_wanted_is_told_and_it_is_as_old_as_its_oldest_answer() {
        let kubelets = Kubelets::new(Arc::default());
        let told = || {
            let mut inventory = Inventory::unread();
            kubelets.fill(&mut inventory);
            inventory.kubelets
        };
        assert_eq!(told(), Source::unread());
        kubelets.note(answer("first", 5, Ok(KubeletConfig::default())));
        kubelets.lock().looked_at = Some(Timestamp::from_second(9).unwrap());
        assert_eq!(told(), Source::read(Vec::new(), Timestamp::from_second(9).unwrap()));
        kubelets.want(BTreeMap::from([("w-1".into(), question("first"))]));
        assert_eq!(told().proven_at, Some(Timestamp::from_second(5).unwrap()));
        kubelets.want(BTreeMap::from([("w-1".into(), question("second"))]));
        assert_eq!(told().value, Some(Vec::new()));
    }

    /// An API server that answers so for each path, and counts the requests that are open.
    async fn server(answer: fn(&str) -> (StatusCode, &'static str)) -> (Client, Arc<[AtomicUsize; 3]>) {
        install_tls_provider();
        let listener = Listener::bind("127.0.0.1:0", None, Limits::default()).await.unwrap();
        let url = format!("http://{}", listener.local_addr()).parse().unwrap();
        let counts = Arc::new([const { AtomicUsize::new(0) }; 3]);
        let counted = Arc::clone(&counts);
        let handler: Handler = Arc::new(move |request| {
            let [all, open, most] = &*counted;
            all.fetch_add(1, Ordering::SeqCst);
            most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let (status, text) = answer(request.uri().path());
            let counted = Arc::clone(&counted);
            Box::pin(async move {
                // So that others may come meanwhile.
                tokio::task::yield_now().await;
                counted[1].fetch_sub(1, Ordering::SeqCst);
                reply(status, "application/json", text)
            })
        });
        tokio::spawn(listener.serve(handler, std::future::pending()));
        (Client::try_from(kube::Config::new(url)).unwrap(), counts)
    }

    fn nodes(count: usize) -> BTreeMap<NodeName, Question> {
        (0..count).map(|n| (format!("w-{n:03}").as_str().into(), question("first"))).collect()
    }

    async fn read_from(client: &Client, count: usize) -> Vec<RunningKubelet> {
        kubelets_now(client, nodes(count), Instant::now() + ROUND_DEADLINE).await.value.unwrap()
    }

    #[tokio::test]
    async fn a_right_that_is_missing_is_asked_for_once_and_told_of_every_kubelet() {
        const STATUS: &str =
            r#"{"kind":"Status","status":"Failure","reason":"Forbidden","message":"no","code":403}"#;
        let (client, counts) = server(|_| (StatusCode::FORBIDDEN, STATUS)).await;
        let said = read_from(&client, 50).await;
        let forbidden = Err(KubeletUnread::Forbidden("no".to_owned()));
        assert!(said.len() == 50 && said.iter().all(|it| it.config == forbidden), "{said:#?}");
        assert_eq!(counts[0].load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_few_are_asked_at_once_and_one_that_fails_is_by_itself() {
        let answer = |path: &str| {
            if path == "/api/v1/nodes/w-007/proxy/configz" {
                return (StatusCode::BAD_GATEWAY, "no");
            }
            (StatusCode::OK, r#"{"kubeletconfig":{"kind":"KubeletConfiguration","featureGates":{"A":true}}}"#)
        };
        let (client, counts) = server(answer).await;
        let said = read_from(&client, 50).await;
        let (good, bad): (Vec<_>, Vec<_>) = said.iter().partition(|it| it.config.is_ok());
        assert_eq!((good.len(), bad.len(), bad[0].node.0.as_str()), (49, 1, "w-007"));
        assert_eq!(counts[0].load(Ordering::SeqCst), 50);
        assert!(counts[2].load(Ordering::SeqCst) <= AT_ONCE, "{counts:?}");
    }

    #[test]
    fn a_missing_right_is_told_from_a_kubelet_that_refuses() {
        let status = r#"{"kind":"Status","status":"Failure","reason":"Forbidden","code":403,
            "message":"nodes \"w-1\" is forbidden: User \"exporter\" cannot get resource \"nodes/proxy\""}"#;
        let said = refusal("configz", StatusCode::FORBIDDEN, status);
        assert!(matches!(&said, KubeletUnread::Forbidden(why) if why.contains("nodes/proxy")), "{said:?}");
        for (code, text) in [(403, "Forbidden (user=kube-apiserver)"), (502, status), (503, "no")] {
            let said = refusal("configz", StatusCode::from_u16(code).unwrap(), text);
            assert!(matches!(said, KubeletUnread::Failed(_)), "{code}: {said:?}");
        }
    }
}
