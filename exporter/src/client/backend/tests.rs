use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper::body::Incoming;
use lockkeeper_rules::wire::prometheus::{RuntimeInfo, error_text, runtime_info};

use super::*;
use crate::client::kubernetes::install_tls_provider;
use crate::server::http::{Limits, Listener, reply, text};

const GOOD: &str = r#"{"status":"success","data":{"reloadConfigSuccess":true}}"#;

/// A server that answers by path, and its URL.
async fn server() -> String {
    install_tls_provider();
    let listener = Listener::bind("127.0.0.1:0", None, Limits::default()).await.unwrap();
    let url = format!("http://{}", listener.local_addr());
    let handler = Arc::new(|request: Request<Incoming>| {
        let answer: futures::future::BoxFuture<'static, _> = Box::pin(async move { answer(&request).await });
        answer
    });
    tokio::spawn(listener.serve(handler, std::future::pending()));
    url
}

async fn answer(request: &Request<Incoming>) -> http::Response<Full<Bytes>> {
    let json = |body: &'static str| reply(http::StatusCode::OK, "application/json", body);
    match request.uri().path() {
        "/good" | "/prefix/good" => json(GOOD),
        "/moved" => {
            let mut response = text(http::StatusCode::FOUND, "");
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/good"));
            response
        }
        "/error" => reply(
            http::StatusCode::UNPROCESSABLE_ENTITY,
            "application/json",
            r#"{"status":"error","error":"odd"}"#,
        ),
        "/empty" => json(""),
        "/html" => json("<html>sign in</html>"),
        "/large" => reply(http::StatusCode::OK, "application/json", vec![b' '; ANSWER_BYTES_MAX + 1]),
        "/old" => {
            let mut response = json(GOOD);
            response
                .headers_mut()
                .insert(header::DATE, HeaderValue::from_static("Tue, 15 Nov 1994 08:12:31 GMT"));
            response
        }
        "/token"
            if request.headers().get(header::AUTHORIZATION).is_some_and(|shown| shown == "Bearer secret") =>
        {
            json(GOOD)
        }
        "/query" if request.uri().query() == Some("query=up%7Bjob%3D%22a+b%22%7D") => json(GOOD),
        "/never" => std::future::pending().await,
        _ => text(http::StatusCode::NOT_FOUND, "not here"),
    }
}

async fn ask(config: &BackendConfig, path: &str, query: &[(&str, &str)]) -> Answer<RuntimeInfo> {
    install_tls_provider();
    let backends = Backend::all(config, CALL_DEADLINE).unwrap();
    backends[0].ask(path, query, Reading { parse: runtime_info, error_text }).await
}

fn config(url: &str) -> BackendConfig {
    BackendConfig { urls: vec![url.to_owned()], token_file: None }
}

#[tokio::test]
async fn an_answer_comes_with_both_clocks() {
    let url = server().await;
    let before = Timestamp::now();
    for base in [url.clone(), format!("{url}/"), format!("{url}/prefix"), format!("{url}/prefix/")] {
        let answer = ask(&config(&base), "good", &[]).await;
        assert_eq!(answer.result, Ok(RuntimeInfo { reload_succeeded: true }), "{base}");
        assert!(answer.received_at >= before);
        assert!(answer.date.unwrap().duration_since(answer.received_at).abs().as_secs() <= 2);
    }
    let old = ask(&config(&url), "old", &[]).await;
    assert_eq!(old.date, Some("1994-11-15T08:12:31Z".parse().unwrap()));
}

#[tokio::test]
async fn what_is_no_good_answer_is_an_error_of_its_own_kind() {
    let url = server().await;
    let refused = |status, message: &str| Err(AskError::Refused { status, message: message.to_owned() });
    assert_eq!(ask(&config(&url), "moved", &[]).await.result, refused(302, ""), "no redirect is followed");
    assert_eq!(ask(&config(&url), "error", &[]).await.result, refused(422, "odd"));
    assert_eq!(ask(&config(&url), "nowhere", &[]).await.result, refused(404, "not here"));
    assert_eq!(ask(&config(&url), "large", &[]).await.result, Err(AskError::Unusable(ParseError::TooLarge)));
    for path in ["empty", "html"] {
        let answer = ask(&config(&url), path, &[]).await;
        assert!(matches!(answer.result, Err(AskError::Unusable(ParseError::Shape { .. }))), "{path}");
        assert!(answer.date.is_some());
    }
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_are_both_no_answer_in_time() {
    let url = server().await;
    // A port that was free a moment ago and that nobody listens at.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let started = Instant::now();
    let (silent, gone) = (config(&url), config(&format!("http://{gone}")));
    let (silent, gone) = tokio::join!(ask(&silent, "never", &[]), ask(&gone, "good", &[]));
    assert!(started.elapsed() < CALL_DEADLINE * 2);
    for answer in [silent, gone] {
        assert!(matches!(answer.result, Err(AskError::Unreachable(_))), "{answer:?}");
        assert_eq!(answer.date, None);
    }
}

#[tokio::test]
async fn the_token_is_shown_and_a_query_is_escaped() {
    let url = server().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "secret\n").unwrap();
    let with_token = |file| BackendConfig { token_file: Some(file), ..config(&url) };
    assert!(ask(&with_token(file), "token", &[]).await.result.is_ok());
    assert!(ask(&config(&url), "query", &[("query", "up{job=\"a b\"}")]).await.result.is_ok());
    let unreadable = ask(&with_token(folder.path().join("nowhere")), "token", &[]).await;
    assert!(matches!(unreadable.result, Err(AskError::Unreachable(why)) if why.contains("nowhere")));
}

#[test]
fn what_is_no_base_url_is_refused_and_a_password_is_never_shown() {
    install_tls_provider();
    for url in ["", "prometheus:9090", "/api", "ftp://a", "http://", "http://a/?x=1", "http://a/#x"] {
        let error = Backend::all(&config(url), CALL_DEADLINE).unwrap_err();
        assert!(matches!(error, BackendError::Url { .. }), "{url}");
    }
    let error =
        Backend::all(&config("https://ada:secret@prometheus/?token=secret"), CALL_DEADLINE).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    let backends = Backend::all(&config("https://ada:secret@prometheus:9090/path/"), CALL_DEADLINE).unwrap();
    assert_eq!(backends[0].shown(), "https://prometheus:9090/path");
}
