//! `make sandbox`; see [`lockkeeper_tests::sandbox`].

use std::process::ExitCode;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    lockkeeper_tests::sandbox::exit_code(lockkeeper_tests::sandbox::main().await)
}
