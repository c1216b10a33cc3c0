//! The web config file: TLS and users of a listener, in the format that Prometheus' exporters share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use http::{HeaderMap, header};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::telemetry::chain;

/// The file, as people write it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebConfig {
    tls_server_config: Option<TlsServerConfig>,
    #[serde(default)]
    basic_auth_users: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsServerConfig {
    cert_file: PathBuf,
    key_file: PathBuf,
    #[serde(default)]
    client_auth_type: ClientAuth,
    client_ca_file: Option<PathBuf>,
    #[serde(default)]
    min_version: TlsVersion,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
enum ClientAuth {
    #[default]
    NoClientCert,
    VerifyClientCertIfGiven,
    RequireAndVerifyClientCert,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
enum TlsVersion {
    #[default]
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

/// Why a web config file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebConfigError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("web config file {}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the field.
        message: String,
    },
    /// A certificate or key cannot be used.
    #[error("{field}: cannot use {}: {message}", path.display())]
    Pem {
        /// The field that names the file.
        field: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

/// How often the files are looked at, at most.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How many answers about users are remembered: a check costs tens of milliseconds by design.
const REMEMBERED_MAX: usize = 100;
/// The hash that an unknown user is checked against, so that the time tells nobody which users exist.
const NOBODY_HASH: &str = "$2b$10$abcdefghijklmnopqrstuuSOmWvFy7XwXvAaeGOQp9x.1o6yG1JTe";

/// TLS and users of one listener. The files are looked at again, so that certificates rotate without a restart.
#[derive(Debug)]
pub struct Security {
    path: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    loaded: Loaded,
    looked_at: Instant,
    /// Digests of user, password and hash, with the answer.
    remembered: BTreeMap<[u8; 32], bool>,
}

#[derive(Debug, Clone, Default)]
struct Loaded {
    tls: Option<Arc<ServerConfig>>,
    users: Arc<BTreeMap<String, String>>,
    /// Every file that was read, as it was then.
    stamps: Vec<(PathBuf, Stamp)>,
}

/// What changes when a file is replaced.
type Stamp = Option<(u64, SystemTime)>;

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

impl Security {
    /// Reads the file and all that it names; without a file there is neither TLS nor a user.
    ///
    /// # Errors
    /// A file cannot be read or used; the message names the field.
    pub fn load(path: Option<&Path>) -> Result<Self, WebConfigError> {
        let loaded = path.map(read).transpose()?.unwrap_or_default();
        let state = State { loaded, looked_at: Instant::now(), remembered: BTreeMap::new() };
        Ok(Self { path: path.map(Path::to_owned), state: Mutex::new(state) })
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.current().tls.is_some()
    }

    /// The TLS configuration of now.
    pub(super) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.current().tls
    }

    /// Whether the request names a user and the right password, or nobody needs to.
    pub(super) async fn allows(self: &Arc<Self>, headers: &HeaderMap) -> bool {
        let users = self.current().users;
        if users.is_empty() {
            return true;
        }
        let Some((user, password)) = credentials(headers) else { return false };
        let known = users.get(&user).cloned();
        let digest = digest(&user, &password, known.as_deref().unwrap_or_default());
        if let Some(&answer) = self.lock().remembered.get(&digest) {
            return answer;
        }
        let check = move || {
            let right = bcrypt::verify(&password, known.as_deref().unwrap_or(NOBODY_HASH)).unwrap_or(false);
            right && known.is_some()
        };
        let answer = tokio::task::spawn_blocking(check).await.unwrap_or(false);
        let mut state = self.lock();
        if state.remembered.len() >= REMEMBERED_MAX {
            state.remembered.clear();
        }
        state.remembered.insert(digest, answer);
        answer
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }

    /// What is loaded, after a look at whether a file has changed. A change that cannot be used is logged, and what
    /// was loaded last stays in force: a half-written certificate must not blind the monitoring.
    fn current(&self) -> Loaded {
        let mut state = self.lock();
        let Some(path) = &self.path else { return state.loaded.clone() };
        if state.looked_at.elapsed() >= LOOK_AGAIN {
            state.looked_at = Instant::now();
            if state.loaded.stamps.iter().any(|(path, then)| stamp(path) != *then) {
                match read(path) {
                    Ok(loaded) => {
                        tracing::info!(path = %path.display(), "web config file loaded again");
                        state.loaded = loaded;
                        state.remembered.clear();
                    }
                    Err(error) => tracing::error!(error = chain(&error), "web config file not loaded again"),
                }
            }
        }
        state.loaded.clone()
    }
}

fn digest(user: &str, password: &str, hash: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in [user, password, hash] {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn read(path: &Path) -> Result<Loaded, WebConfigError> {
    // The stamp is taken before the read, so that a change in between is seen the next time.
    let mut stamps = vec![(path.to_owned(), stamp(path))];
    let text = std::fs::read_to_string(path)
        .map_err(|source| WebConfigError::Read { path: path.to_owned(), source })?;
    let wrong = |message: String| WebConfigError::Content { path: path.to_owned(), message };
    let config = if text.trim().is_empty() {
        WebConfig::default()
    } else {
        lockkeeper_rules::words::yaml::read::<WebConfig>(&text).map_err(|error| wrong(error.to_string()))?
    };
    for (user, hash) in &config.basic_auth_users {
        if hash.parse::<bcrypt::HashParts>().is_err() {
            return Err(wrong(format!(
                "basic_auth_users.{user} is no bcrypt hash; make one with htpasswd -nBC 10"
            )));
        }
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let tls = config.tls_server_config.map(|tls| tls.load(folder, &mut stamps, &wrong)).transpose()?;
    Ok(Loaded { tls: tls.map(Arc::new), users: Arc::new(config.basic_auth_users), stamps })
}

impl TlsServerConfig {
    fn load(
        self,
        folder: &Path,
        stamps: &mut Vec<(PathBuf, Stamp)>,
        wrong: &impl Fn(String) -> WebConfigError,
    ) -> Result<ServerConfig, WebConfigError> {
        let mut named = |path: &Path| {
            let path = folder.join(path);
            stamps.push((path.clone(), stamp(&path)));
            path
        };
        let (cert, key) = (named(&self.cert_file), named(&self.key_file));
        let client_ca = self.client_ca_file.as_deref().map(&mut named);
        let versions: &[&rustls::SupportedProtocolVersion] = match self.min_version {
            TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| wrong(format!("tls_server_config.min_version: {error}")))?;
        let builder = match (self.client_auth_type, client_ca) {
            (ClientAuth::NoClientCert, None) => builder.with_no_client_auth(),
            (ClientAuth::NoClientCert, Some(_)) => {
                return Err(wrong("tls_server_config.client_ca_file needs a client_auth_type".to_owned()));
            }
            (_, None) => {
                return Err(wrong("tls_server_config.client_auth_type needs a client_ca_file".to_owned()));
            }
            (auth, Some(path)) => {
                let roots = Arc::new(roots(&path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = match auth {
                    ClientAuth::VerifyClientCertIfGiven => verifier.allow_unauthenticated(),
                    ClientAuth::NoClientCert | ClientAuth::RequireAndVerifyClientCert => verifier,
                };
                builder.with_client_cert_verifier(
                    verifier.build().map_err(|error| pem(CLIENT_CA, &path, &error))?,
                )
            }
        };
        let chain = certificates(CERT, &cert)?;
        let key_der = PrivateKeyDer::from_pem_file(&key).map_err(|error| pem(KEY, &key, &error))?;
        let mut config = builder.with_single_cert(chain, key_der).map_err(|error| pem(KEY, &key, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

const CERT: &str = "tls_server_config.cert_file";
const KEY: &str = "tls_server_config.key_file";
const CLIENT_CA: &str = "tls_server_config.client_ca_file";

fn pem(field: &'static str, path: &Path, error: &dyn std::fmt::Display) -> WebConfigError {
    WebConfigError::Pem { field, path: path.to_owned(), message: error.to_string() }
}

fn certificates(field: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, WebConfigError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(pem(field, path, &"there is no certificate in it")),
        Ok(found) => Ok(found),
        Err(error) => Err(pem(field, path, &error)),
    }
}

fn roots(path: &Path) -> Result<RootCertStore, WebConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CLIENT_CA, path)? {
        roots.add(certificate).map_err(|error| pem(CLIENT_CA, path, &error))?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_takes_as_long_as_somebody_known() {
        let checked = bcrypt::verify("any", NOBODY_HASH);
        assert!(checked.is_ok_and(|right| !right), "a hash that cannot be read would be answered at once");
    }

    #[test]
    fn users_and_passwords_do_not_run_into_each_other() {
        assert_ne!(digest("ab", "c", "h"), digest("a", "bc", "h"));
    }
}
