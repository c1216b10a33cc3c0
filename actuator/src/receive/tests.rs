use std::sync::atomic::{AtomicU32, Ordering};

use http_body_util::BodyExt;
use lockkeeper_rules::gate::{Pending, Permit};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::words::name::Token;

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const TOKEN: &str = "run.7.1.00ff00ff00ff00ff";

/// A folder of this test's own, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("lockkeeper-receive-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, text: &[u8]) -> PathBuf {
        let path = self.0.join("token");
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct House {
    receiver: Receiver,
    folder: Folder,
}

impl House {
    /// A leader with a token pending.
    async fn new() -> Self {
        let folder = Folder::new();
        let token = TokenFile::open(&folder.write(format!("{SECRET}\n").as_bytes())).await.unwrap();
        let permits = PermitStore::new(Arc::new(Settings::default()));
        permits.set_leader(true);
        permits.set_pending(Some(Pending { token: own_token(), minted_at: Timestamp::now() }));
        Self { receiver: Receiver { permits, token, metrics: Arc::new(Metrics::new()) }, folder }
    }

    async fn post(&self, path: &str, authorization: &[&str], body: impl Into<Bytes>) -> (u16, String) {
        let mut request = Request::post(path);
        for value in authorization {
            request = request.header(header::AUTHORIZATION, *value);
        }
        self.answer(request.body(Full::new(body.into())).unwrap()).await
    }

    async fn ready(&self, authorization: &str) -> (u16, String) {
        self.post("/alertmanager/v4/ready", &[authorization], ready()).await
    }

    async fn answer(&self, request: Request<Full<Bytes>>) -> (u16, String) {
        let response = self.receiver.answer(request).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap().trim_end().to_owned())
    }

    fn permit(&self) -> Option<Permit> {
        self.receiver.permits.permit_for(&own_token(), Timestamp::now())
    }

    fn count(&self, endpoint: &str, decision: &str) -> String {
        let line =
            format!("k8s_upgrade_webhook_requests_total{{endpoint=\"{endpoint}\",decision=\"{decision}\"}} ");
        let page = self.receiver.metrics.page();
        page.lines().find_map(|shown| shown.strip_prefix(&line)).unwrap_or("no such series").to_owned()
    }
}

fn own_token() -> Token {
    TOKEN.parse().unwrap()
}

fn bearer() -> String {
    format!("Bearer {SECRET}")
}

fn ready() -> String {
    format!(
        r#"{{"version":"4","truncatedAlerts":0,"status":"firing","alerts":[{{"status":"firing",
            "labels":{{"alertname":"K8sUpgradeStepReady","token":"{TOKEN}"}},"startsAt":"{}"}}]}}"#,
        Timestamp::now()
    )
}

fn decided(code: &str) -> String {
    format!("{{\"decision\":\"{code}\"}}")
}

#[tokio::test]
async fn a_valid_message_is_answered_with_its_decision_and_counted() {
    let house = House::new().await;
    assert_eq!(house.ready(&bearer()).await, (200, decided("permit")));
    assert!(house.permit().is_some());
    assert_eq!(house.ready(&bearer()).await, (200, decided("duplicate")));
    assert_eq!((house.count("ready", "permit"), house.count("ready", "duplicate")), ("1".into(), "1".into()));
}

#[tokio::test]
async fn who_does_not_show_the_token_is_refused_before_the_body_is_read() {
    let house = House::new().await;
    let wrong = format!("Bearer {}", SECRET.replace('0', "1"));
    let basic = format!("Basic {SECRET}");
    let prefix = format!("Bearer {}", &SECRET[..31]);
    let longer = format!("{}x", bearer());
    let attempts: [&[&str]; 8] =
        [&[], &[""], &["Bearer "], &[&wrong], &[&basic], &[&prefix], &[&longer], &[&bearer(), &wrong]];
    for authorization in attempts {
        // A body that would be too large, were it looked at.
        let body = vec![b' '; WEBHOOK_BYTES_MAX + 1];
        let answered = house.post("/alertmanager/v4/ready", authorization, body).await;
        assert_eq!(answered, (401, decided("rejected_unauthenticated")), "{authorization:?}");
    }
    assert_eq!(house.count("ready", "rejected_unauthenticated"), "8");
    assert!(house.permit().is_none());
    assert!(
        house
            .receiver
            .metrics
            .page()
            .contains("k8s_upgrade_webhook_last_timestamp_seconds{endpoint=\"ready\"} 0.0")
    );
}

#[tokio::test]
async fn a_new_token_in_the_file_holds_at_once_and_the_old_one_no_more() {
    let house = House::new().await;
    house.folder.write(b"fedcba9876543210fedcba9876543210");
    assert_eq!(house.ready(&bearer()).await.0, 401);
    assert_eq!(house.ready("bearer fedcba9876543210fedcba9876543210").await.0, 200);
}

#[tokio::test]
async fn while_the_token_file_cannot_be_used_nobody_is_let_in() {
    let house = House::new().await;
    for text in ["", "\n", "short", "with a space in the middle"] {
        house.folder.write(text.as_bytes());
        let shown = format!("Bearer {text}");
        let shown = if text.contains('\n') { "Bearer " } else { &shown };
        assert_eq!(house.ready(shown).await, (503, decided("error")), "{text:?}");
    }
    std::fs::remove_file(house.folder.0.join("token")).unwrap();
    assert_eq!(house.ready(&bearer()).await, (503, decided("error")));
    assert!(house.permit().is_none());
}

#[tokio::test]
async fn a_token_file_that_cannot_be_used_is_named_at_the_start() {
    let folder = Folder::new();
    let missing = TokenFile::open(&folder.0.join("nowhere")).await.unwrap_err().to_string();
    assert!(missing.contains("nowhere") && missing.contains("webhook.tokenFile"), "{missing}");
    for text in
        [&b""[..], b"short", &[b'x'; TOKEN_BYTES_MAX + 1], "sch\u{f6}nes-geheimnis-ohne-ascii".as_bytes()]
    {
        let error = TokenFile::open(&folder.write(text)).await.unwrap_err().to_string();
        assert!(error.contains("must hold one token"), "{error}");
    }
}

#[tokio::test]
async fn what_is_too_large_or_malformed_or_of_another_version_changes_nothing() {
    let house = House::new().await;
    let path = "/alertmanager/v4/ready";
    let large = vec![b' '; WEBHOOK_BYTES_MAX + 1];
    assert_eq!(house.post(path, &[&bearer()], large).await, (413, decided("rejected_too_large")));
    for body in ["", "{", "[]", "<html>", r#"{"version":"4"}"#] {
        assert_eq!(
            house.post(path, &[&bearer()], body).await,
            (400, decided("rejected_malformed")),
            "{body}"
        );
    }
    let other = ready().replace(r#""version":"4""#, r#""version":"5""#);
    assert_eq!(house.post(path, &[&bearer()], other).await, (200, decided("rejected_version")));
    assert!(house.permit().is_none());
    assert_eq!(house.count("ready", "rejected_malformed"), "5");
}

#[tokio::test]
async fn a_message_about_gates_that_is_too_large_revokes_only_for_whoever_shows_the_token() {
    let house = House::new().await;
    house.ready(&bearer()).await;
    let large = || vec![b' '; WEBHOOK_BYTES_MAX + 1];
    let path = "/alertmanager/v4/gates";
    assert_eq!(house.post(path, &[], large()).await, (401, decided("rejected_unauthenticated")));
    assert!(house.permit().is_some() && house.receiver.permits.too_large_at().is_none());
    assert_eq!(house.post(path, &[&bearer()], large()).await, (200, decided("revoke_too_large")));
    assert!(house.permit().is_none() && house.receiver.permits.too_large_at().is_some());
    assert_eq!(house.count("gates", "revoke_too_large"), "1");
    // Alertmanager calls again for a step that waits while no gate fires.
    assert_eq!(house.ready(&bearer()).await, (200, decided("permit")));
    assert!(house.permit().is_some() && house.receiver.permits.too_large_at().is_none());
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_refused_unread() {
    let house = House::new().await;
    let request = Request::post("/alertmanager/v4/ready")
        .header(header::AUTHORIZATION, bearer())
        .header(header::CONTENT_LENGTH, WEBHOOK_BYTES_MAX + 1);
    assert_eq!(house.answer(request.body(Full::default()).unwrap()).await.0, 413);
}

#[tokio::test]
async fn who_does_not_lead_says_so_and_closes_the_connection() {
    let house = House::new().await;
    house.receiver.permits.set_leader(false);
    let request = Request::post("/alertmanager/v4/ready").header(header::AUTHORIZATION, bearer());
    let response = house.receiver.answer(request.body(Full::new(Bytes::from(ready()))).unwrap()).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()[header::CONNECTION], "close");
    assert_eq!(house.count("ready", "rejected_not_leader"), "1");
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let house = House::new().await;
    for path in ["/", "/alertmanager/v4", "/alertmanager/v4/ready/", "/alertmanager/v3/ready", "/metrics"] {
        assert_eq!(house.post(path, &[&bearer()], ready()).await.0, 404, "{path}");
    }
    let request = Request::get("/alertmanager/v4/ready").header(header::AUTHORIZATION, bearer());
    assert_eq!(house.answer(request.body(Full::default()).unwrap()).await.0, 405);
    assert!(house.permit().is_none());
}
