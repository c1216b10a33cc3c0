//! One question over HTTP to Prometheus or Alertmanager: a deadline, a limit, no redirects, and both clocks.

use std::path::PathBuf;
use std::time::Duration;

use http::header;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use lockkeeper_rules::gate::{Answer, AskError};
use lockkeeper_rules::wire::prometheus::{ANSWER_BYTES_MAX, ParseError};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use super::shown::shown_url;
use crate::telemetry::chain;

/// How long a question of a live check may take, from the connection to the last byte.
pub const CALL_DEADLINE: Duration = Duration::from_secs(3);
/// How much of an error answer is read.
const ERROR_BYTES_MAX: usize = 4096;

/// Where a kind of backend is found. Every URL is one server of its own, never a name that is balanced.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BackendConfig {
    /// The base URLs, such as `http://prometheus-0.monitoring:9090`.
    pub urls: Vec<String>,
    /// A file with a bearer token, read for every question.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
}

/// A backend that cannot be configured.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// It has no usable URL.
    #[error("{url:?} is not the base URL of a server, such as http://prometheus-0:9090")]
    Url {
        /// The text, as written, without what may be a secret.
        url: String,
    },
    /// The HTTP client cannot be built.
    #[error("cannot build the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// How an answer is read: its value, and what an error says.
pub(crate) struct Reading<T> {
    pub(crate) parse: fn(&[u8]) -> Result<T, ParseError>,
    pub(crate) error_text: fn(&[u8]) -> String,
}

#[derive(Debug, Clone)]
pub(crate) struct Backend {
    http: Client,
    base: Url,
    token_file: Option<PathBuf>,
}

impl Backend {
    /// Every server; a question to it takes at most `deadline`.
    pub(crate) fn all(config: &BackendConfig, deadline: Duration) -> Result<Vec<Self>, BackendError> {
        let http = Client::builder()
            .timeout(deadline)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy could answer from its cache, and for a server that is gone.
            .no_proxy()
            .user_agent(concat!("lockkeeper/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(BackendError::Client)?;
        let backend = |url: &String| {
            let base = base(url).ok_or_else(|| BackendError::Url { url: shown_url(url) })?;
            Ok(Self { http: http.clone(), base, token_file: config.token_file.clone() })
        };
        config.urls.iter().map(backend).collect()
    }

    /// The URL as people may see it.
    pub(crate) fn shown(&self) -> String {
        shown_url(self.base.as_str()).trim_end_matches('/').to_owned()
    }

    pub(crate) async fn ask<T>(&self, path: &str, query: &[(&str, &str)], reading: Reading<T>) -> Answer<T> {
        let response = match self.send(path, query).await {
            Ok(response) => response,
            Err(error) => return Answer { result: Err(error), date: None, received_at: Timestamp::now() },
        };
        let received_at = Timestamp::now();
        let date = date(&response);
        Answer { result: read(response, reading).await, date, received_at }
    }

    async fn send(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, AskError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.get(url);
        if let Some(path) = &self.token_file {
            let token = tokio::fs::read_to_string(path)
                .await
                .map_err(|error| AskError::Unreachable(format!("token file {}: {error}", path.display())))?;
            request = request.bearer_auth(token.trim());
        }
        request.send().await.map_err(|error| AskError::Unreachable(chain(&error.without_url())))
    }
}

fn base(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_base = url.query().is_none() && url.fragment().is_none();
    (matches!(url.scheme(), "http" | "https") && url.has_host() && is_base).then_some(url)
}

fn date(response: &Response) -> Option<Timestamp> {
    let text = response.headers().get(header::DATE)?.to_str().ok()?;
    DateTimeParser::new().parse_timestamp(text).ok()
}

async fn read<T>(response: Response, reading: Reading<T>) -> Result<T, AskError> {
    let status = response.status();
    if status != StatusCode::OK {
        // What cannot be read of an error is left out: the status says enough.
        let body = body(response, ERROR_BYTES_MAX).await.unwrap_or_default();
        return Err(AskError::Refused { status: status.as_u16(), message: (reading.error_text)(&body) });
    }
    let body = body(response, ANSWER_BYTES_MAX).await?;
    Ok((reading.parse)(&body)?)
}

async fn body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, AskError> {
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| AskError::Unreachable(chain(&error.without_url())))?
    {
        if body.len() + chunk.len() > bytes_max {
            return Err(ParseError::TooLarge.into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
