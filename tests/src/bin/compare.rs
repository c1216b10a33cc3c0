//! The second half of `make bench`; see [`lockkeeper_tests::compare`].

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    lockkeeper_tests::compare::main().await
}
