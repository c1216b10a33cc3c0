//! A package repository: the `Packages` index of each minor, over HTTP, with everything that can be wrong with one.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Write;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context as Wake, Poll};

use anyhow::Result;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame};
use lockkeeper_rules::words::version::Version;

use crate::serve::{Body, Server, status, text};

/// What is wrong with the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PackagesFault {
    /// Nothing.
    #[default]
    None,
    /// The index has no bytes.
    Empty,
    /// A page for people instead of the index, with status 200.
    Html,
    /// The index ends in the middle of an entry, after a whole line of it.
    Truncated,
    /// The index goes on for a gigabyte.
    Endless,
    /// A few megabytes of gzip that inflate to a gigabyte.
    Bomb,
    /// 404, as a mirror of one's own answers.
    NotFound,
    /// 403, as for what is not there.
    Denied,
    /// 500.
    ServerError,
    /// 302 to the same index under another path.
    Redirect,
    /// 302 to itself.
    RedirectLoop,
    /// Gzip where plain text is expected, named by Content-Encoding.
    Gzip,
}

#[derive(Debug, Default)]
struct State {
    versions: Vec<Version>,
    fault: PackagesFault,
    requests: BTreeMap<String, u64>,
}

/// The repository.
#[derive(Debug)]
pub struct Packages {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Packages {
    /// Serves these versions of every package.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(address: Ipv4Addr, versions: Vec<Version>) -> Result<Self> {
        let state = Arc::new(Mutex::new(State { versions, ..State::default() }));
        let own = state.clone();
        let server =
            Server::start(address, Arc::new(move |request| answer(&mut lock(&own), request))).await?;
        Ok(Self { server, state })
    }

    /// The URL for the products' configuration; `{minor}` is theirs to fill in.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/v{{minor}}/deb/Packages", self.server.url())
    }

    /// From now on this is wrong.
    pub fn set_fault(&self, fault: PackagesFault) {
        lock(&self.state).fault = fault;
    }

    /// From now on these versions are offered.
    pub fn set_versions(&self, versions: Vec<Version>) {
        lock(&self.state).versions = versions;
    }

    /// How often each path was asked for.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<String, u64> {
        lock(&self.state).requests.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no one panics while holding the repository")
}

fn answer(state: &mut State, request: &Request<Bytes>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    *state.requests.entry(path.clone()).or_default() += 1;
    let Some((minor, file)) = parse(&path) else { return denied() };
    let index = index(&state.versions, minor);
    if index.is_empty() {
        return denied();
    }
    match state.fault {
        PackagesFault::None | PackagesFault::Redirect | PackagesFault::Gzip
            if path.starts_with("/moved/") =>
        {
            text("text/plain", index)
        }
        PackagesFault::None if file == "Packages.gz" => {
            text("application/gzip", gzip(&index, Compression::fast()))
        }
        PackagesFault::None => text("text/plain", index),
        PackagesFault::Empty => text("text/plain", ""),
        PackagesFault::Html => {
            text("text/html", "<!DOCTYPE html><html><body><h1>Sign in to the Wi-Fi</h1></body></html>")
        }
        PackagesFault::Truncated => text("text/plain", cut(&index)),
        PackagesFault::Endless => {
            Response::new(Endless { index: Bytes::from(index), left: 1 << 30 }.boxed_unsync())
        }
        PackagesFault::Bomb => text("application/gzip", bomb(&index)),
        PackagesFault::NotFound => status(StatusCode::NOT_FOUND),
        PackagesFault::Denied => denied(),
        PackagesFault::ServerError => status(StatusCode::INTERNAL_SERVER_ERROR),
        PackagesFault::Redirect => redirect(&format!("/moved{path}")),
        PackagesFault::RedirectLoop => redirect(&path),
        PackagesFault::Gzip => {
            let mut answer = text("text/plain", gzip(&index, Compression::fast()));
            answer.headers_mut().insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
            answer
        }
    }
}

/// The minor and the file of `/v1.36/deb/Packages`.
fn parse(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix("/moved").unwrap_or(path);
    let (minor, file) = path.strip_prefix("/v")?.split_once("/deb/")?;
    matches!(file, "Packages" | "Packages.gz").then_some((minor, file))
}

/// What the community's repository answers for whatever is not there, a minor that is not released yet among it: it lies in a
/// bucket of S3 that nobody may list (<https://github.com/kubernetes/website/issues/42624> shows the answer,
/// <https://github.com/cri-o/packaging/issues/288> that of a minor).
fn denied() -> Response<Body> {
    const DENIED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    let mut answer = text("application/xml", DENIED);
    *answer.status_mut() = StatusCode::FORBIDDEN;
    answer.headers_mut().insert(header::SERVER, header::HeaderValue::from_static("AmazonS3"));
    answer
}

fn redirect(to: &str) -> Response<Body> {
    let mut answer = status(StatusCode::FOUND);
    if let Ok(to) = to.parse() {
        answer.headers_mut().insert(header::LOCATION, to);
    }
    answer
}

/// The index as the community's repository writes it.
fn index(versions: &[Version], minor: &str) -> String {
    let mut index = String::new();
    for version in versions.iter().filter(|version| version.minor().to_string() == minor) {
        for package in ["kubeadm", "kubectl", "kubelet"] {
            let version = version.bare();
            index.push_str(&format!(
                "Package: {package}\nVersion: {version}-1.1\nArchitecture: amd64\nMaintainer: Kubernetes Authors \
                 <dev@kubernetes.io>\nInstalled-Size: 71000\nSection: admin\nPriority: optional\n\
                 Filename: amd64/{package}_{version}-1.1_amd64.deb\nSize: 12000000\nDescription: {package}\n\n"
            ));
        }
    }
    index
}

fn gzip(text: &str, level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("memory takes every byte")
}

/// Ends after a line that says a version, as late as the index allows.
fn cut(index: &str) -> String {
    let last = index.rfind("Version: ").unwrap_or(0);
    let end = index[last..].find('\n').map_or(index.len(), |length| last + length + 1);
    index[..end].to_owned()
}

/// A gigabyte of the index, compressed: one member of a megabyte, a thousand times.
fn bomb(index: &str) -> Vec<u8> {
    gzip(&index.repeat((1 << 20) / index.len() + 1), Compression::best()).repeat(1 << 10)
}

/// The same index again and again, made while it is sent.
struct Endless {
    index: Bytes,
    left: usize,
}

impl HttpBody for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Wake<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left = self.left.saturating_sub(self.index.len());
        Poll::Ready(Some(Ok(Frame::data(self.index.clone()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_denied_and_not_called_missing() {
        let mut state = State { versions: vec![Version::new(1, 36, 3)], ..State::default() };
        let mut asked = |path: &str| {
            let request = Request::get(path).body(Bytes::new()).unwrap();
            answer(&mut state, &request).status()
        };
        for (path, status) in [
            ("/v1.36/deb/Packages", StatusCode::OK),
            ("/v1.37/deb/Packages", StatusCode::FORBIDDEN),
            ("/v1.36/deb/", StatusCode::FORBIDDEN),
        ] {
            assert_eq!(asked(path), status, "{path}");
        }
    }

    #[test]
    fn an_index_has_the_packages_of_its_own_minor_only() {
        let versions = ["1.36.1", "1.36.3", "1.37.0"].map(|version| version.parse().unwrap());
        let index = index(&versions, "1.36");
        assert_eq!(index.matches("Package: kubeadm\n").count(), 2);
        assert!(index.contains("Version: 1.36.3-1.1\n") && !index.contains("1.37.0"));
    }
}
