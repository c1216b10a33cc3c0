//! A source that is asked again and again.

use std::sync::Mutex;

use jiff::Timestamp;
use lockkeeper_rules::snapshot::Source;

/// What was answered last, and how often it failed.
#[derive(Debug)]
pub(super) struct Polled<T> {
    source: Mutex<Source<T>>,
    errors: Mutex<u64>,
}

impl<T: Clone> Polled<T> {
    pub(super) fn new() -> Self {
        Self { source: Mutex::new(Source::unread()), errors: Mutex::new(0) }
    }

    pub(super) fn source(&self) -> Source<T> {
        self.source.lock().expect("nothing panics while it holds this lock").clone()
    }

    pub(super) fn errors(&self) -> u64 {
        *self.errors.lock().expect("nothing panics while it holds this lock")
    }

    /// A failure keeps the last value for people to look at.
    pub(super) fn note(&self, read: Result<T, String>, asked_at: Timestamp) {
        let mut source = self.source.lock().expect("nothing panics while it holds this lock");
        match read {
            Ok(value) => *source = Source::read(value, asked_at),
            Err(error) => {
                source.error = Some(error);
                *self.errors.lock().expect("nothing panics while it holds this lock") += 1;
            }
        }
    }
}
