//! A source that is asked again and again.

use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;
use lockkeeper_rules::cluster::snapshot::Source;

/// What it said last, with its proven age.
#[derive(Debug)]
pub(super) struct Polled<T>(Mutex<Kept<T>>);

#[derive(Debug)]
struct Kept<T> {
    source: Source<T>,
    errors: u64,
}

impl<T: Clone> Polled<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Kept { source: Source::unread(), errors: 0 }))
    }

    pub(super) fn source(&self) -> Source<T> {
        self.lock().source.clone()
    }

    pub(super) fn errors(&self) -> u64 {
        self.lock().errors
    }

    /// A failure keeps the last value for people to look at.
    pub(super) fn note(&self, read: Result<T, String>, asked_at: Timestamp) {
        let mut kept = self.lock();
        match read {
            Ok(value) => kept.source = Source::read(value, asked_at),
            Err(error) => {
                kept.source.error = Some(error);
                kept.errors += 1;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_counted_and_keeps_what_was_seen_but_nobody_may_use_it() {
        let polled = Polled::new();
        let at = |second| Timestamp::from_second(second).unwrap();
        polled.note(Ok(1), at(5));
        polled.note(Err("gone".to_owned()), at(6));
        let source = polled.source();
        assert_eq!((source.value, source.proven_at, polled.errors()), (Some(1), Some(at(5)), 1));
        assert!(source.fresh(at(6), 300).is_err());
        polled.note(Ok(2), at(7));
        assert_eq!(polled.source().fresh(at(7), 300), Ok(&2));
    }
}
