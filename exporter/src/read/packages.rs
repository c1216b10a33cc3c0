//! What the package repository offers: its `Packages` index over HTTP, with a limit on everything.

use std::io::Read;
use std::time::Duration;

use lockkeeper_rules::cluster::snapshot::ByArchitecture;
use lockkeeper_rules::cluster::snapshot::Packages;
use lockkeeper_rules::wire::packages::{IndexError, parse, together};
use lockkeeper_rules::words::version::{Minor, Version};
use reqwest::StatusCode;
use serde::Deserialize;

use crate::client::shown::shown_url;
use crate::telemetry::chain;

/// How long one index may take, redirects included.
const DEADLINE: Duration = Duration::from_secs(60);
/// How many redirects are followed.
const REDIRECTS_MAX: usize = 5;
/// The largest body. Upstream's index of one minor is under 100 KiB.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The largest index after inflation.
const INDEX_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What is replaced by a minor such as 1.36.
const PLACEHOLDER: &str = "{minor}";

/// Where new versions are looked up: the section `packages` of both programs' files.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PackagesConfig {
    /// The URL of the index, with `{minor}` where the minor stands, such as
    /// `https://packages.example/v{minor}/deb/Packages`.
    pub url: String,
    /// How often it is read while reading succeeds: well inside the six hours for which it counts.
    #[serde(default = "interval_seconds")]
    pub interval_seconds: u64,
}

const fn interval_seconds() -> u64 {
    600
}

impl PackagesConfig {
    /// The pause between two reads that succeed.
    #[must_use]
    pub fn pause(&self) -> Duration {
        Duration::from_secs(self.interval_seconds)
    }
}

/// Why the offer is not known.
#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// The configured URL is none.
    #[error(
        "packages.url: {url:?} has no {PLACEHOLDER} or is no http URL; give one such as https://packages.example/v{PLACEHOLDER}/deb/Packages"
    )]
    Url {
        /// As configured, without what may be a secret.
        url: String,
    },
    /// There is no HTTP client.
    #[error("cannot build the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The server does not answer as it should.
    #[error("packages.url: {url}: {why}; check the URL and the repository")]
    Answer {
        /// What was asked for, without what may be a secret.
        url: String,
        /// What came.
        why: String,
    },
    /// The index of the running minor is not there.
    #[error("packages.url: {url}: there is no index for the running minor; check the URL")]
    Missing {
        /// What was asked for, without what may be a secret.
        url: String,
    },
    /// What came is no whole index.
    #[error("packages.url: {url}: {why}; check the URL and serve the whole Packages index there")]
    Index {
        /// What was asked for, without what may be a secret.
        url: String,
        /// Why; a part of the message, and so no source of its own.
        why: IndexError,
    },
}

/// A package repository.
#[derive(Debug, Clone)]
pub struct Repository {
    client: reqwest::Client,
    url: String,
}

impl Repository {
    /// A repository whose indexes are at `url`, in which `{minor}` stands for a minor such as 1.36.
    ///
    /// # Errors
    /// The URL has no `{minor}` or is no http URL.
    pub fn new(url: &str) -> Result<Self, PackagesError> {
        let example = url.replace(PLACEHOLDER, "1.36");
        let is_http = reqwest::Url::parse(&example).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !url.contains(PLACEHOLDER) || !is_http {
            return Err(PackagesError::Url { url: shown_url(url) });
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX))
            .timeout(DEADLINE)
            .connect_timeout(Duration::from_secs(10))
            .user_agent(concat!("lockkeeper/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(PackagesError::Client)?;
        Ok(Self { client, url: url.to_owned() })
    }

    /// What it offers to a cluster that runs `running`: of that minor and of the next. Where the index of the one is read, a next
    /// one that is not found (404) or not shown (403) is not published; any other failure means that nothing is known of the
    /// next minor.
    ///
    /// The community's repository answers 403 for whatever is not there, as a bucket of S3 does whose contents nobody may list:
    /// <https://github.com/cri-o/packaging/issues/288>, <https://github.com/kubernetes/release/issues/3317>.
    ///
    /// # Errors
    /// The index of the running minor cannot be read whole.
    pub async fn read(&self, running: &Version) -> Result<Packages, PackagesError> {
        let minor = running.minor();
        // One after the other: two of the largest bodies at once would take twice the memory.
        let this = self.index(minor).await?.map_err(|absent| match absent {
            Absent::NotFound => PackagesError::Missing { url: shown_url(&self.url(minor)) },
            Absent::Forbidden => self.refused(minor, StatusCode::FORBIDDEN),
        })?;
        let (next, next_error) = match self.index(minor.next()).await {
            Ok(next) => (next.unwrap_or_default(), None),
            Err(error) => (ByArchitecture::default(), Some(chain(&error))),
        };
        Ok(Packages { next_error, ..together([this, next]) })
    }

    fn url(&self, minor: Minor) -> String {
        self.url.replace(PLACEHOLDER, &minor.to_string())
    }

    fn refused(&self, minor: Minor, status: StatusCode) -> PackagesError {
        let url = shown_url(&self.url(minor));
        PackagesError::Answer { url, why: format!("the server answers {status}") }
    }

    /// The packages of one minor, or how the server says that there is no index.
    async fn index(&self, minor: Minor) -> Result<Result<ByArchitecture, Absent>, PackagesError> {
        let url = self.url(minor);
        let failed = |why: String| PackagesError::Answer { url: shown_url(&url), why };
        let response =
            self.client.get(&url).send().await.map_err(|error| failed(chain(&error.without_url())))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(Err(Absent::NotFound)),
            StatusCode::FORBIDDEN => return Ok(Err(Absent::Forbidden)),
            status => return Err(self.refused(minor, status)),
        }
        let body = body(response).await.map_err(&failed)?;
        let judged = move || text(body).map(|text| parse(&text));
        // Inflating tens of megabytes must not keep the other tasks from running.
        let judged = tokio::task::spawn_blocking(judged).await.map_err(|error| failed(chain(&error)))?;
        match judged.map_err(&failed)? {
            Ok(packages) => Ok(Ok(packages)),
            Err(why) => Err(PackagesError::Index { url: shown_url(&url), why }),
        }
    }
}

/// What a server answers where there is no index.
enum Absent {
    /// 404.
    NotFound,
    /// 403.
    Forbidden,
}

async fn body(mut response: reqwest::Response) -> Result<Vec<u8>, String> {
    let too_large = || format!("the body is larger than {BODY_BYTES_MAX} bytes");
    if response
        .content_length()
        .is_some_and(|bytes| usize::try_from(bytes).map_or(true, |bytes| bytes > BODY_BYTES_MAX))
    {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error.without_url()))? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The index as text, inflated if it is compressed, whatever its name says.
fn text(body: Vec<u8>) -> Result<String, String> {
    let plain = if body.starts_with(&[0x1f, 0x8b]) { inflate(&body)? } else { body };
    String::from_utf8(plain).map_err(|_not_text| "the index is no text".to_owned())
}

fn inflate(body: &[u8]) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    let limit = u64::try_from(INDEX_BYTES_MAX).unwrap_or(u64::MAX) + 1;
    let inflated = flate2::read::MultiGzDecoder::new(body).take(limit).read_to_end(&mut plain);
    inflated.map_err(|error| format!("the index cannot be inflated: {error}"))?;
    if plain.len() > INDEX_BYTES_MAX {
        return Err(format!("the inflated index is larger than {INDEX_BYTES_MAX} bytes"));
    }
    Ok(plain)
}

/// An index that has all of these versions for amd64.
#[cfg(test)]
pub(crate) fn of(versions: &[&str]) -> Packages {
    let each = versions.iter().flat_map(|version| ["kubeadm", "kubelet", "kubectl"].map(|it| (it, version)));
    let stanza =
        |(package, version)| format!("Package: {package}\nVersion: {version}-1.1\nArchitecture: amd64\n\n");
    together([parse(&each.map(stanza).collect::<String>()).expect("it is whole")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    const INDEX: &[u8] = b"Package: kubeadm\nVersion: 1.36.3-1.1\nArchitecture: amd64\n\n";

    /// A server that answers each path with raw bytes; every other path is 404. What is asked for has secrets in it.
    async fn server(answers: Vec<(&'static str, Vec<u8>)>) -> Repository {
        crate::client::kubernetes::install_tls_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let path = head.split([' ', '?']).nth(1).unwrap();
                let missing =
                    b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec();
                let answer = answers
                    .iter()
                    .find(|(known, _)| *known == path)
                    .map_or(missing, |(_, bytes)| bytes.clone());
                // The client may hang up on a body that is too large.
                let _hung_up = stream.write_all(&answer).await;
            }
        });
        Repository::new(&format!("http://reader:hunter2@{address}/v{{minor}}/Packages?token=hunter2"))
            .unwrap()
    }

    fn ok(body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    const RUNNING: Version = Version::new(1, 36, 1);

    #[tokio::test]
    async fn plain_compressed_and_redirected_indexes_are_read() {
        let moved =
            b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        for answers in [
            vec![("/v1.36/Packages", ok(INDEX))],
            vec![("/v1.36/Packages", ok(&gzip(INDEX)))],
            vec![("/v1.36/Packages", moved.to_vec()), ("/elsewhere", ok(INDEX))],
        ] {
            let offered = server(answers).await.read(&RUNNING).await.unwrap();
            assert_eq!(offered.versions, [Version::new(1, 36, 3)]);
        }
        let next = ok(b"Package: kubeadm\nVersion: 1.37.0-1.1\nArchitecture: arm64\n\n");
        let both = server(vec![("/v1.36/Packages", ok(INDEX)), ("/v1.37/Packages", next)]).await;
        let offered = both.read(&RUNNING).await.unwrap();
        assert_eq!(offered.versions, [Version::new(1, 36, 3), Version::new(1, 37, 0)]);
        let lacking = offered.lacking(&Version::new(1, 37, 0), "arm64");
        assert_eq!(lacking, Some(vec!["kubelet", "kubectl"]), "what the other packages are is read too");
    }

    #[tokio::test]
    async fn whatever_is_no_whole_index_is_an_error() {
        let circle = b"HTTP/1.1 302 Found\r\nlocation: /v1.36/Packages\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let short = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\nconnection: close\r\n\r\nPackage: kubeadm\nVersion: 1.36.3-1.1\n";
        let huge = b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\nconnection: close\r\n\r\n";
        let down = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let cut = gzip(INDEX);
        for (answer, words) in [
            (ok(b""), "empty"),
            (ok(b"<html>\nSign in</html>\n"), "no field"),
            (ok(&cut[..cut.len() - 9]), "inflated"),
            (circle.to_vec(), "redirect"),
            (short.to_vec(), ""),
            (huge.to_vec(), "larger"),
            (down.to_vec(), "503"),
        ] {
            let shown = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
            let error = server(vec![("/v1.36/Packages", answer)]).await.read(&RUNNING).await.unwrap_err();
            assert!(error.to_string().contains(words), "{shown}: {error}");
            assert!(!chain(&error).contains("hunter2"), "{shown}: {}", chain(&error));
        }
        let error = server(Vec::new()).await.read(&RUNNING).await.unwrap_err();
        assert!(matches!(error, PackagesError::Missing { .. }), "{error}");
        assert!(!chain(&error).contains("hunter2"), "{error}");
        let next_is_down =
            server(vec![("/v1.36/Packages", ok(INDEX)), ("/v1.37/Packages", down.to_vec())]).await;
        let offered = next_is_down.read(&RUNNING).await.unwrap();
        assert_eq!(
            offered.versions,
            [Version::new(1, 36, 3)],
            "a patch of what runs is on offer all the same"
        );
        let error = offered.next_error.expect("that is no answer about a minor");
        assert!(error.contains("503") && error.contains("v1.37") && !error.contains("hunter2"), "{error}");
    }

    /// As the community's repository was reported to answer for what is not there.
    fn denied() -> Vec<u8> {
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        format!(
            "HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\nserver: AmazonS3\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    #[tokio::test]
    async fn a_next_minor_that_is_denied_or_not_found_is_not_published_if_the_running_one_is_read() {
        let this = || ("/v1.36/Packages", ok(INDEX));
        for answers in [vec![this()], vec![this(), ("/v1.37/Packages", denied())]] {
            let offered = server(answers).await.read(&RUNNING).await.unwrap();
            assert_eq!((offered.versions, offered.next_error), (vec![Version::new(1, 36, 3)], None));
        }
        let next = || ("/v1.37/Packages", ok(INDEX));
        for (answers, words) in [
            (vec![("/v1.36/Packages", denied()), next()], "the server answers 403 Forbidden"),
            (vec![next()], "no index for the running minor"),
        ] {
            let error = server(answers).await.read(&RUNNING).await.unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        let unauthorized = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let locked = server(vec![this(), ("/v1.37/Packages", unauthorized.to_vec())]).await;
        let offered = locked.read(&RUNNING).await.unwrap();
        assert!(offered.next_error.is_some(), "it asks for a password and says nothing of the minor");
    }

    #[test]
    fn a_small_body_that_inflates_without_end_is_refused() {
        let bomb = gzip(&vec![b'x'; INDEX_BYTES_MAX + 1]);
        assert!(bomb.len() < 1024 * 1024);
        assert!(text(bomb).unwrap_err().contains("larger than"));
    }

    #[test]
    fn a_url_that_cannot_work_is_refused_and_named() {
        crate::client::kubernetes::install_tls_provider();
        for url in ["", "https://packages.example/Packages", "file:///v{minor}", "packages.example/v{minor}"]
        {
            assert!(Repository::new(url).unwrap_err().to_string().starts_with("packages.url"), "{url}");
        }
        let error = Repository::new("https://reader:hunter2@packages.example/?token=hunter2").unwrap_err();
        assert!(!chain(&error).contains("hunter2"), "{error}");
    }
}
