//! Whether webhooks answer, as every Prometheus has seen it.

use futures::future::{join_all, try_join_all};
use lockkeeper_rules::cluster::inventory::WebhookCalls;
use lockkeeper_rules::wire::prometheus::Sample;
use lockkeeper_rules::wire::webhook_calls::{ForEach, queries, read};
use lockkeeper_rules::words::selector::Selector;

use super::prometheus::Prometheus;

/// Asks every server at once. What one of them has seen counts, whatever the others say; all of them must answer, since
/// each may be the only one that has seen a call fail.
///
/// # Errors
/// No server is configured, or one of them has no usable answer.
pub(super) async fn webhook_calls(
    servers: &[Prometheus],
    selector: &Selector,
) -> Result<WebhookCalls, String> {
    if servers.is_empty() {
        return Err("no Prometheus is configured; set prometheus.urls, or give --prometheus".to_owned());
    }
    let asked = queries(selector);
    let mut all = empty();
    for answers in join_all(servers.iter().map(|server| one(server, &asked))).await {
        let ForEach { scraped, answered, failed } = answers?;
        all.scraped.extend(scraped);
        all.answered.iter_mut().zip(answered).for_each(|(all, more)| all.extend(more));
        all.failed.iter_mut().zip(failed).for_each(|(all, more)| all.extend(more));
    }
    read(&all).map_err(|error| error.to_string())
}

fn empty() -> ForEach<Vec<Sample>> {
    ForEach { scraped: Vec::new(), answered: Default::default(), failed: Default::default() }
}

async fn one(server: &Prometheus, asked: &ForEach<String>) -> Result<ForEach<Vec<Sample>>, String> {
    let ForEach { scraped, answered, failed } = asked;
    let all = [std::slice::from_ref(scraped), answered, failed].concat();
    let mut said = try_join_all(all.iter().map(|expr| server.samples(expr))).await?.into_iter();
    let mut next = || said.next().expect("there is an answer for each question");
    Ok(ForEach {
        scraped: next(),
        answered: answered.each_ref().map(|_| next()),
        failed: failed.each_ref().map(|_| next()),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{Request, StatusCode};
    use hyper::body::Incoming;

    use super::*;
    use crate::client::backend::BackendConfig;
    use crate::client::kubernetes::install_tls_provider;
    use crate::server::http::{Limits, Listener, reply};

    const NONE: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    const SCRAPED: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"instance":"a:6443"},"value":[1,"9"]}]}}"#;
    const CALLED: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"name":"pods.example","type":"admit"},"value":[1,"2"]}]}}"#;

    /// A Prometheus that knows of one API server, and says so of calls that were answered, and of those that failed.
    async fn prometheus(answered: &'static str, failed: &'static str) -> String {
        install_tls_provider();
        let listener = Listener::bind("127.0.0.1:0", None, Limits::default()).await.unwrap();
        let url = format!("http://{}", listener.local_addr());
        let handler = Arc::new(move |request: Request<Incoming>| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let answer: futures::future::BoxFuture<'static, _> = Box::pin(async move {
                let body = match query.as_str() {
                    query if query.starts_with("query=count") => SCRAPED,
                    query if query.contains("rejection_count") => failed,
                    _ => answered,
                };
                reply(StatusCode::OK, "application/json", body)
            });
            answer
        });
        tokio::spawn(listener.serve(handler, std::future::pending()));
        url
    }

    async fn read_from(answers: &[(&'static str, &'static str)]) -> Result<WebhookCalls, String> {
        let mut urls = Vec::new();
        for (answered, failed) in answers {
            urls.push(prometheus(answered, failed).await);
        }
        let servers = Prometheus::all(&BackendConfig { urls, token_file: None }).unwrap();
        // As a task, the way it is polled.
        tokio::spawn(async move { webhook_calls(&servers, &Selector::default()).await }).await.unwrap()
    }

    #[tokio::test]
    async fn what_any_server_has_seen_counts_for_and_against_a_webhook() {
        for (answers, expected) in [
            (&[(CALLED, NONE)][..], Some((true, false))),
            (&[(NONE, CALLED)], Some((false, true))),
            (&[(CALLED, NONE), (NONE, CALLED)], Some((true, true))),
            (&[(NONE, NONE)], None),
        ] {
            let seen = read_from(answers).await.unwrap();
            assert_eq!(seen.scraped, ["a:6443"], "{answers:?}");
            let told: Vec<_> = seen.called.iter().map(|it| (it.has_answered, it.has_failed)).collect();
            // Once for each window.
            assert_eq!(told, expected.map_or(vec![], |one| vec![one; 2]), "{answers:?}");
        }
    }

    #[tokio::test]
    async fn every_server_must_have_a_whole_answer() {
        let partial = r#"{"status":"success","warnings":["a store is missing"],"data":{"resultType":"vector","result":[]}}"#;
        for odd in ["{}", r#"{"status":"error","error":"busy"}"#, partial] {
            for answers in [(odd, NONE), (CALLED, odd)] {
                let error = read_from(&[(CALLED, NONE), answers]).await.unwrap_err();
                assert!(error.starts_with("http://127.0.0.1:"), "{odd}: {error}");
            }
        }
        assert!(read_from(&[]).await.unwrap_err().contains("prometheus.urls"));
    }
}
