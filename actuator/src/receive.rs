//! The webhook receiver: authenticates, limits, hands the message to the permit store and answers at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use jiff::Timestamp;
use lockkeeper_exporter::server::http::{Handler, read_body, reply, text};
use lockkeeper_rules::gate::{Decision, Rejected, Route};
use lockkeeper_rules::wire::alertmanager::{self, WEBHOOK_BYTES_MAX};
use subtle::ConstantTimeEq;

use crate::metrics::Metrics;
use crate::permits::PermitStore;

/// A file that holds the bearer token of the webhook. It is read for every request, so a new one holds at once.
#[derive(Debug, Clone)]
pub struct TokenFile {
    path: PathBuf,
}

/// A token file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It cannot be read.
    #[error("cannot read the token file {}; check webhook.tokenFile", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It holds no token.
    #[error("the token file {} must hold one token of {TOKEN_BYTES_MIN} to {TOKEN_BYTES_MAX} visible characters", .0.display())]
    NoToken(PathBuf),
}

/// The shortest token; what is shorter can be guessed.
const TOKEN_BYTES_MIN: usize = 16;
/// The longest token.
const TOKEN_BYTES_MAX: usize = 4096;

impl TokenFile {
    /// Takes the file and reads it once, so that one that cannot be used is known at the start.
    ///
    /// # Errors
    /// It cannot be read or holds no token.
    pub async fn open(path: &Path) -> Result<Self, TokenFileError> {
        let file = Self { path: path.to_owned() };
        file.read().await?;
        Ok(file)
    }

    async fn read(&self) -> Result<Vec<u8>, TokenFileError> {
        let unreadable = |source| TokenFileError::Unreadable { path: self.path.clone(), source };
        let file = tokio::fs::File::open(&self.path).await.map_err(unreadable)?;
        let mut text = Vec::new();
        // Two more than a token, for the line's end.
        let limit = u64::try_from(TOKEN_BYTES_MAX + 3).expect("a small number");
        let mut file = tokio::io::AsyncReadExt::take(file, limit);
        tokio::io::AsyncReadExt::read_to_end(&mut file, &mut text).await.map_err(unreadable)?;
        let token = text.trim_ascii();
        let fits = (TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&token.len());
        if !fits || !token.iter().all(u8::is_ascii_graphic) {
            return Err(TokenFileError::NoToken(self.path.clone()));
        }
        Ok(token.to_vec())
    }
}

/// What answers the webhooks.
#[derive(Debug)]
pub struct Receiver {
    /// Where messages are handed to.
    pub permits: PermitStore,
    /// What a caller must show.
    pub token: TokenFile,
    /// Where every request is counted.
    pub metrics: Arc<Metrics>,
}

impl Receiver {
    /// The handler of the webhook's listener.
    #[must_use]
    pub fn handler(self) -> Handler {
        let receiver = Arc::new(self);
        Arc::new(move |request: Request<Incoming>| {
            let receiver = Arc::clone(&receiver);
            Box::pin(async move { receiver.answer(request).await })
        })
    }

    async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Some(route) = Route::of_path(request.uri().path()) else {
            return text(StatusCode::NOT_FOUND, "no such webhook\n");
        };
        if request.method() != Method::POST {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only POST\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        let (status, decision) = self.decide(route, request).await;
        self.metrics.webhook(route, decision);
        log(route, decision);
        answer(status, decision)
    }

    async fn decide<B>(&self, route: Route, request: Request<B>) -> (StatusCode, Decision)
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match self.authenticate(request.headers()).await {
            Ok(true) => {}
            Ok(false) => return (StatusCode::UNAUTHORIZED, Decision::Rejected(Rejected::Unauthenticated)),
            Err(error) => {
                tracing::error!(error = %error, "nobody can be authenticated");
                return (StatusCode::SERVICE_UNAVAILABLE, Decision::Error);
            }
        }
        self.metrics.webhook_authenticated(route, Timestamp::now());
        if !self.permits.is_leader() {
            return (StatusCode::SERVICE_UNAVAILABLE, Decision::Rejected(Rejected::NotLeader));
        }
        let (head, mut body) = request.into_parts();
        let body = match read_body(&head.headers, &mut body, WEBHOOK_BYTES_MAX).await {
            Ok(body) => body,
            Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                let decision = self.permits.accept_too_large(route, Timestamp::now());
                if decision == Decision::RevokeTooLarge {
                    pass_over(body).await;
                }
                return (status_of(decision), decision);
            }
            Err(_broken) => return (StatusCode::BAD_REQUEST, Decision::Rejected(Rejected::Malformed)),
        };
        let Ok(webhook) = alertmanager::webhook(&body) else {
            return (StatusCode::BAD_REQUEST, Decision::Rejected(Rejected::Malformed));
        };
        let decision = self.permits.accept(route, &webhook, Timestamp::now());
        if decision == Decision::Heartbeat {
            self.metrics.heartbeat(Timestamp::now());
        }
        (status_of(decision), decision)
    }

    async fn authenticate(&self, headers: &HeaderMap) -> Result<bool, TokenFileError> {
        let expected = self.token.read().await?;
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(shown), None) = (shown.next(), shown.next()) else { return Ok(false) };
        let Some((scheme, shown)) = shown.as_bytes().split_at_checked("Bearer ".len()) else {
            return Ok(false);
        };
        Ok(scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(shown.ct_eq(&expected)))
    }
}

/// How much of a message is passed over, in bytes.
const PASSED_OVER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Reads on what nobody keeps. Alertmanager reads no answer while it still sends, and sends a message that was not answered
/// again and again, also when all of its alerts have ended.
async fn pass_over<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let mut rest = PASSED_OVER_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Some(less) = rest.checked_sub(bytes) else { return };
        rest = less;
    }
}

/// The status of the answer to a message that was accepted.
fn status_of(decision: Decision) -> StatusCode {
    match decision {
        Decision::Rejected(Rejected::NotLeader) => StatusCode::SERVICE_UNAVAILABLE,
        Decision::Rejected(Rejected::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::OK,
    }
}

fn answer(status: StatusCode, decision: Decision) -> Response<Full<Bytes>> {
    let body = format!("{{\"decision\":\"{decision}\"}}\n");
    let mut response = reply(status, "application/json", body);
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        // So that the retry opens a connection of its own, which can reach the leader.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn log(route: Route, decision: Decision) {
    let (endpoint, decision_code) = (route.label(), decision.code());
    match decision {
        Decision::Permit | Decision::Ring | Decision::Revoke => {
            tracing::info!(endpoint, decision = decision_code, "webhook heard");
        }
        Decision::RevokeTooLarge => {
            tracing::warn!(endpoint, decision = decision_code, "webhook heard, and too large to be read");
        }
        Decision::Rejected(_) | Decision::Error => {
            tracing::warn!(endpoint, decision = decision_code, "webhook refused");
        }
        Decision::Heartbeat | Decision::Duplicate | Decision::StaleToken | Decision::Ignored(_) => {
            tracing::debug!(endpoint, decision = decision_code, "webhook heard");
        }
    }
}

#[cfg(test)]
mod tests;
