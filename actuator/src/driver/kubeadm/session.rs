//! One SSH session for one script: connect, send, read what it prints, close. Nothing is kept between two of them.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use lockkeeper_exporter::client::deadline::Late;
use lockkeeper_exporter::telemetry::chain;
use lockkeeper_rules::driver::kubeadm::node_script::{ScriptSettings, connect_refusal};
use lockkeeper_rules::driver::kubeadm::order::NodeTarget;
use lockkeeper_rules::reason::{Finding, Reason};
use openssh::{Child, ControlPersist, Error, KnownHosts, Session, SessionBuilder, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

/// How long a connection may take.
const CONNECT_SECONDS: u64 = 10;
/// How long one address may take while there is another one to try.
const ADDRESS_DEADLINE: Duration = Duration::from_secs(CONNECT_SECONDS + 5);
/// How often a silent server is asked whether it is there; ssh gives up after three.
const ALIVE_SECONDS: u64 = 5;
/// How long closing may take before it is left to ssh's own idle limit.
const CLOSE_DEADLINE: Duration = Duration::from_secs(3);
/// ssh's connection ends by itself after this long, even if we are killed.
const IDLE_SECONDS: usize = 20;
/// How much a node may print on each stream.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// How nodes are reached, and what their scripts take from the settings.
#[derive(Debug, Clone)]
pub struct Ssh {
    /// The user; any but root needs sudo without a password.
    pub user: String,
    /// The port.
    pub port: u16,
    /// The private key.
    pub key_file: PathBuf,
    /// The host keys of every node; a node without one is not reached.
    pub known_hosts_file: PathBuf,
    /// Where control sockets lie; a short path, because socket names are limited.
    pub control_directory: Option<PathBuf>,
    /// What the scripts take from the settings.
    pub scripts: ScriptSettings,
}

/// What a script printed, once it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptOutput {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error: for people, never judged.
    pub stderr: String,
}

impl Ssh {
    /// Runs a script as root on a node. `may_send` is asked after the connection stands and right before the script
    /// is sent. A deadline that passes ends our waiting and nothing on the node.
    ///
    /// # Errors
    /// The node cannot be reached, its host key is not the known one, `may_send` says no, or there is no answer.
    pub async fn run(
        &self,
        node: &NodeTarget,
        script: &str,
        deadline: Duration,
        may_send: impl FnOnce() -> Result<(), Finding>,
    ) -> Result<ScriptOutput, Finding> {
        let others = u32::try_from(node.addresses.len().saturating_sub(1)).unwrap_or_default();
        // An address that does not answer takes none of the time of the one that does.
        let deadline = deadline + ADDRESS_DEADLINE * others;
        let unreachable = |detail: String| Finding::new(Reason::SshUnreachable, node.name.0.clone(), detail);
        let late = |_elapsed| unreachable(Late(deadline).to_string());
        let limit = tokio::time::Instant::now() + deadline;
        let session = tokio::time::timeout_at(limit, self.connect(node)).await.map_err(late)??;
        may_send()?;
        let answer = tokio::time::timeout_at(limit, self.send(&session, script)).await;
        // The session is closed in any case; ssh's own idle limit ends it if we do not come to it.
        if tokio::time::timeout(CLOSE_DEADLINE, session.close()).await.is_err() {
            tracing::debug!(node = %node.name, "the SSH session did not close in time");
        }
        answer.map_err(late)?.map_err(|error| unreachable(line(&error)))
    }

    async fn connect(&self, node: &NodeTarget) -> Result<Session, Finding> {
        let builder = &self.builder();
        let tried = first_of(&node.addresses, ADDRESS_DEADLINE, |address| async move {
            builder.connect_mux(address).await.map_err(|error| line(&error))
        });
        tried.await.map_err(|said| {
            // What is wrong with the first one is what a person mends first.
            let reason = said.first().map_or(Reason::SshUnreachable, |(_, detail)| connect_refusal(detail));
            let all: Vec<String> =
                said.iter().map(|(address, detail)| format!("{address}: {detail}")).collect();
            Finding::new(reason, node.name.0.clone(), all.join("; "))
        })
    }

    fn builder(&self) -> SessionBuilder {
        let mut builder = SessionBuilder::default();
        builder
            .user(self.user.clone())
            .port(self.port)
            .keyfile(&self.key_file)
            .known_hosts_check(KnownHosts::Strict)
            .user_known_hosts_file(&self.known_hosts_file)
            // What the image's own configuration says must not change how we connect.
            .config_file("/dev/null")
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
            .server_alive_interval(Duration::from_secs(ALIVE_SECONDS))
            .control_persist(ControlPersist::IdleFor(
                NonZeroUsize::new(IDLE_SECONDS).expect("the constant is not zero"),
            ));
        if let Some(directory) = &self.control_directory {
            builder.control_directory(directory);
        }
        builder
    }

    async fn send(&self, session: &Session, script: &str) -> Result<ScriptOutput, Error> {
        let mut command = if self.user == "root" {
            session.command("bash")
        } else {
            let mut command = session.command("sudo");
            command.args(["-n", "bash"]);
            command
        };
        command.arg("-s").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().await?;
        let (stdin, stdout, stderr) = streams(&mut child);
        let write = async {
            let mut stdin = stdin;
            // A script that ends before it was read whole has said why by then.
            let _early_end = stdin.write_all(script.as_bytes()).await;
            drop(stdin);
        };
        let ((), stdout, stderr) = tokio::join!(write, read(stdout), read(stderr));
        // Exit codes are hints: the scripts say in words how they ended.
        let _status = child.wait().await?;
        Ok(ScriptOutput { stdout: stdout?, stderr: stderr? })
    }
}

/// What the first address gives that gives anything, each but the last within its bound; or what each said.
async fn first_of<'a, T, F: Future<Output = Result<T, String>>>(
    addresses: &'a [String],
    bound: Duration,
    connect: impl Fn(&'a str) -> F,
) -> Result<T, Vec<(&'a str, String)>> {
    let mut said = Vec::new();
    for (number, address) in (1..).zip(addresses) {
        let tried = connect(address);
        let tried = if number == addresses.len() {
            tried.await
        } else {
            let late = |_elapsed| Err(format!("no connection within {bound:?}"));
            tokio::time::timeout(bound, tried).await.unwrap_or_else(late)
        };
        match tried {
            Ok(session) => return Ok(session),
            Err(why) => said.push((address.as_str(), why)),
        }
    }
    Err(said)
}

fn streams(child: &mut Child<&Session>) -> (openssh::ChildStdin, openssh::ChildStdout, openssh::ChildStderr) {
    let stdin = child.stdin().take().expect("stdin is piped");
    let stdout = child.stdout().take().expect("stdout is piped");
    let stderr = child.stderr().take().expect("stderr is piped");
    (stdin, stdout, stderr)
}

async fn read(stream: impl AsyncRead + Unpin) -> Result<String, Error> {
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await.map_err(Error::ChildIo)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// An error with what is behind it, in one line.
fn line(error: &Error) -> String {
    chain(error).replace(['\r', '\n'], " ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_millis(20);

    async fn tried(addresses: &[&str]) -> (Result<String, Vec<String>>, Vec<String>) {
        let addresses: Vec<String> = addresses.iter().map(|&address| address.to_owned()).collect();
        let asked = std::sync::Mutex::new(Vec::new());
        let answer = first_of(&addresses, BOUND, |address| {
            asked.lock().unwrap().push(address.to_owned());
            async move {
                match address {
                    "silent" => std::future::pending().await,
                    "slow" => tokio::time::sleep(BOUND * 2).await,
                    _ => {}
                }
                if address == "refused" { Err("refused".to_owned()) } else { Ok(address.to_owned()) }
            }
        });
        let answer = answer.await.map_err(|said| {
            said.into_iter().map(|(address, why)| format!("{address}: {why}")).collect::<Vec<_>>()
        });
        (answer, asked.into_inner().unwrap())
    }

    #[tokio::test]
    async fn addresses_are_tried_in_order_each_within_its_bound() {
        let late = |address: &str| format!("{address}: no connection within {BOUND:?}");
        for (addresses, answer, asked) in [
            (&["10.0.0.1", "fd00::1"][..], Ok("10.0.0.1".to_owned()), 1),
            (&["refused", "fd00::1"], Ok("fd00::1".to_owned()), 2),
            (&["silent", "fd00::1"], Ok("fd00::1".to_owned()), 2),
            (&["silent", "refused"], Err(vec![late("silent"), "refused: refused".to_owned()]), 2),
            (&["refused", "slow"], Ok("slow".to_owned()), 2),
            (&["slow"], Ok("slow".to_owned()), 1),
            (&[], Err(Vec::new()), 0),
        ] {
            let (said, tried) = tried(addresses).await;
            assert_eq!((said, tried.len()), (answer, asked), "{addresses:?}");
        }
    }
}
