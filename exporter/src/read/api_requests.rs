//! Who asks for deprecated APIs, as every Prometheus has seen it.

use futures::future::join_all;
use lockkeeper_rules::cluster::inventory::ApiRequests;
use lockkeeper_rules::wire::api_requests::{ForEach, queries, read};
use lockkeeper_rules::words::selector::Selector;

use super::prometheus::Prometheus;

/// Asks every server at once. What one of them has seen counts, whatever the others say: each may have been away while
/// somebody asked. So all of them must answer. How long an API server was watched is the longest of all, since one
/// proof of the whole window is enough.
///
/// # Errors
/// No server is configured, or one of them has no usable answer.
pub async fn api_requests(
    servers: &[Prometheus],
    window_seconds: u64,
    selector: &Selector,
) -> Result<ApiRequests, String> {
    if servers.is_empty() {
        return Err("no Prometheus is configured; set prometheus.urls, or give --prometheus".to_owned());
    }
    let mut all = ApiRequests { window_seconds, servers: Vec::new(), requested: Vec::new() };
    for seen in join_all(servers.iter().map(|server| one(server, window_seconds, selector))).await {
        let ApiRequests { window_seconds: _, servers, requested } = seen?;
        all.servers.extend(servers);
        all.requested.extend(requested);
    }
    Ok(all)
}

async fn one(server: &Prometheus, window_seconds: u64, selector: &Selector) -> Result<ApiRequests, String> {
    let ForEach { scraped, proven, now, window, requests } = queries(window_seconds, selector);
    let (scraped, proven, now, window, requests) = tokio::try_join!(
        server.samples(&scraped),
        server.samples(&proven),
        server.samples(&now),
        server.samples(&window),
        server.samples(&requests),
    )?;
    let answers = ForEach { scraped, proven, now, window, requests };
    read(window_seconds, &answers).map_err(|error| format!("{}: {error}", server.url()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{Request, StatusCode};
    use hyper::body::Incoming;
    use lockkeeper_rules::cluster::inventory::Seen;

    use super::*;
    use crate::client::backend::BackendConfig;
    use crate::client::kubernetes::install_tls_provider;
    use crate::server::http::{Limits, Listener, reply};

    const EMPTY: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    const ASKED: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"instance":"a:6443","group":"batch","version":"v1beta1","resource":"cronjobs"},"value":[1,"1"]}]}}"#;
    const SCRAPED: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"instance":"a:6443"},"value":[1,"9"]}]}}"#;

    /// A Prometheus that answers the plain question so, and knows of one API server.
    async fn prometheus(plain: &'static str) -> String {
        install_tls_provider();
        let listener = Listener::bind("127.0.0.1:0", None, Limits::default()).await.unwrap();
        let url = format!("http://{}", listener.local_addr());
        let handler = Arc::new(move |request: Request<Incoming>| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let answer: futures::future::BoxFuture<'static, _> = Box::pin(async move {
                let body = match query.as_str() {
                    "query=apiserver_requested_deprecated_apis" => plain,
                    query if query.starts_with("query=count") => SCRAPED,
                    _ => EMPTY,
                };
                reply(StatusCode::OK, "application/json", body)
            });
            answer
        });
        tokio::spawn(listener.serve(handler, std::future::pending()));
        url
    }

    async fn read_from(answers: &[&'static str]) -> Result<ApiRequests, String> {
        let mut urls = Vec::new();
        for answer in answers {
            urls.push(prometheus(answer).await);
        }
        let servers = Prometheus::all(&BackendConfig { urls, token_file: None }).unwrap();
        // As a task, the way it is polled.
        tokio::spawn(async move { api_requests(&servers, 86_400, &Selector::default()).await }).await.unwrap()
    }

    #[tokio::test]
    async fn what_any_server_has_seen_counts() {
        let seen = read_from(&[EMPTY, ASKED]).await.unwrap();
        assert_eq!(seen.servers.iter().map(|it| &*it.instance).collect::<Vec<_>>(), ["a:6443"; 2]);
        assert!(seen.servers.iter().all(|it| it.is_scraped));
        assert_eq!(
            seen.requested.iter().map(|it| (&*it.resource, it.seen)).collect::<Vec<_>>(),
            [("cronjobs", Seen::Now)]
        );
    }

    #[tokio::test]
    async fn every_server_must_have_a_whole_answer() {
        let partial = r#"{"status":"success","warnings":["a store is missing"],"data":{"resultType":"vector","result":[]}}"#;
        for odd in ["{}", r#"{"status":"error","error":"busy"}"#, partial] {
            let error = read_from(&[EMPTY, odd]).await.unwrap_err();
            assert!(error.starts_with("http://127.0.0.1:"), "{odd}: {error}");
        }
        assert!(read_from(&[]).await.unwrap_err().contains("prometheus.urls"));
    }
}
