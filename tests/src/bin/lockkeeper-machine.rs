//! The inside of a simulated machine; see [`lockkeeper_tests::machine`].

use std::process::ExitCode;

fn main() -> ExitCode {
    lockkeeper_tests::machine::main()
}
