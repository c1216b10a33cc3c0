//! `make e2e`; see [`lockkeeper_tests::e2e`].

use std::process::ExitCode;

fn main() -> ExitCode {
    match lockkeeper_tests::e2e::main() {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("e2e: {error:#}");
            ExitCode::FAILURE
        }
    }
}
