//! Where the log goes: plain lines on a terminal, JSON everywhere else.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The environment variable that filters the log, such as `info,lockkeeper_exporter=debug`.
pub const FILTER_VARIABLE: &str = "RUST_LOG";

/// Sends the log to standard error for the rest of the process. A second call changes nothing.
pub fn init() {
    let terminal = std::io::stderr().is_terminal();
    // https://no-color.org: present and not empty.
    let color = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _already_set = if terminal {
        builder.with_ansi(color).with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
}

/// An error with all its causes in one line.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let line = error.to_string();
        // Some libraries repeat their source inside their own message.
        if !text.ends_with(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the file")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn every_cause_is_told_once() {
        let error = Outer(std::io::Error::other("disk is gone"));
        assert_eq!(chain(&error), "cannot read the file: disk is gone");
    }
}
