//! A matrix without `schema`: what the first gate would answer on this cluster. What could not be read is told on standard
//! error.

use std::io::Write as _;

use super::verdict_args::{VerdictArgs, within_deadline};
use super::{Failure, input, write};
use crate::compat::cluster::{Seen, seen};
use crate::compat::{Inputs, METRIC, Output, judge};
use crate::exit::Exit;

pub(super) fn run(args: &VerdictArgs, matrix: &[u8]) -> Result<Exit, Failure> {
    if args.from.is_some() || args.save.is_some() || args.is_json() || args.config.is_some() {
        let why = "--from, --save, --config.file and --output json need a --matrix with schema: 2";
        return Err(input(anyhow::anyhow!(why)));
    }
    let (seen, prometheus) = within_deadline(read(args, matrix))?;
    let answer = judge(&Inputs {
        arguments: std::slice::from_ref(&args.target),
        matrix,
        running: None,
        images: &seen.images,
        kubelets: &seen.kubelets,
        runtimes: &seen.runtimes,
        prometheus: prometheus.as_deref().map_err(String::as_str),
    });
    print(&seen.errors, answer)
}

fn print(errors: &[String], answer: Output) -> Result<Exit, Failure> {
    let Output { code, lines, faults } = answer;
    let mut stderr = std::io::stderr().lock();
    let faults = faults.iter().map(ToString::to_string);
    for line in errors.iter().cloned().chain(faults) {
        // Nobody is left to be told if the terminal is gone.
        let _told = writeln!(stderr, "lockkeeper-exporter: {line}");
    }
    if !lines.is_empty() {
        write(&lines.join("\n")).map_err(Failure::unknown)?;
    }
    Ok(match code {
        0 => Exit::Safe,
        2 => Exit::Blocked,
        4 => Exit::Held,
        _ => Exit::Unknown,
    })
}

async fn read(args: &VerdictArgs, matrix: &[u8]) -> Result<(Seen, Result<Vec<u8>, String>), Failure> {
    // A cluster that does not answer is empty to the first gate; one that was not named could make it say "safe".
    let cluster = args.connect().await?;
    let cluster = seen(&cluster.client, matrix);
    let servers = args.prometheus(None)?;
    let asked = async {
        let server = servers.first().ok_or_else(|| "no --prometheus is given".to_owned())?;
        server.raw(METRIC).await
    };
    Ok(tokio::join!(cluster, asked))
}
