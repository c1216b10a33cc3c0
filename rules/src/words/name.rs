//! Names that must not be mixed up: nodes, runs, tokens.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a Kubernetes node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct NodeName(pub String);

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for NodeName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// The uid that the API server gave an `UpgradeRun`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunUid(pub String);

impl fmt::Display for RunUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One attempt of one step, named everywhere by the same text: `<run uid>.<sequence>.<attempt>.<nonce>`.
///
/// It is a challenge: minted by the actuator, exposed by the exporter, it can come back in a webhook only when
/// scrape, rule, Alertmanager and route all worked after it was minted. On the node it names the unit and its
/// line in the ledger. Its characters are those of a systemd unit name, a label value and a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// The run it belongs to.
    pub run: RunUid,
    /// Counts the tokens of the run from 1; never reused.
    pub sequence: u64,
    /// Counts the attempts of the step from 1.
    pub attempt: u32,
    /// Random, 16 hexadecimal digits, so that nobody can guess the next token.
    pub nonce: String,
}

/// A text that is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a token of the form <run uid>.<sequence>.<attempt>.<nonce>")]
pub struct TokenError;

/// The longest text that is looked at: a uid is 36 characters.
const TOKEN_LENGTH_MAX: usize = 128;

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.run, self.sequence, self.attempt, self.nonce)
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        if text.len() > TOKEN_LENGTH_MAX {
            return Err(TokenError);
        }
        let parts: Vec<&str> = text.split('.').collect();
        let &[run, sequence, attempt, nonce] = parts.as_slice() else { return Err(TokenError) };
        let plain =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !plain(run) || !plain(nonce) {
            return Err(TokenError);
        }
        Ok(Self {
            run: RunUid(run.to_owned()),
            sequence: sequence.parse().map_err(|_| TokenError)?,
            attempt: attempt.parse().map_err(|_| TokenError)?,
            nonce: nonce.to_owned(),
        })
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_written() {
        let text = "0b9f3c6e-1111-4222-8333-444455556666.7.2.00ff00ff00ff00ff";
        assert_eq!(text.parse::<Token>().unwrap().to_string(), text);
    }

    #[test]
    fn what_could_leave_a_file_name_or_a_shell_word_is_no_token() {
        for text in [
            "",
            "a.1.1",
            "a.1.1.b.c",
            "a b.1.1.c",
            "../x.1.1.c",
            "a.x.1.c",
            "a.1.-1.c",
            "$(id).1.1.c",
            ".1.1.c",
        ] {
            assert_eq!(text.parse::<Token>(), Err(TokenError), "{text}");
        }
    }
}
