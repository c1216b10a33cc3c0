//! Questions of several who ask at the same time, asked once. Whoever comes while a round is under way joins the next one: an
//! answer never began before its question.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot::{self, error::TryRecvError};

/// How long a round waits for others. The commands of one decision start within a moment; whoever is answered together asks
/// together again.
const GATHER_PAUSE: Duration = Duration::from_millis(20);

/// The questions of the next round, each with where its answer goes, and the turn of who asks.
pub struct Rounds<Q, A> {
    next: Mutex<Vec<(Q, oneshot::Sender<A>)>>,
    turn: tokio::sync::Mutex<()>,
}

impl<Q, A> Default for Rounds<Q, A> {
    fn default() -> Self {
        Self { next: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl<Q, A> fmt::Debug for Rounds<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rounds").finish_non_exhaustive()
    }
}

impl<Q: Clone, A: Clone> Rounds<Q, A> {
    /// The answer of a round that began after this was called and asked `question` among others.
    pub async fn ask<F: Future<Output = A>>(&self, question: Q, round: impl FnOnce(Vec<Q>) -> F) -> A {
        loop {
            let (sender, mut answer) = oneshot::channel();
            self.next.lock().unwrap_or_else(PoisonError::into_inner).push((question.clone(), sender));
            let _turn = self.turn.lock().await;
            match answer.try_recv() {
                Ok(answer) => return answer,
                // Whoever asked for us was dropped in the middle of it.
                Err(TryRecvError::Closed) => continue,
                Err(TryRecvError::Empty) => {}
            }
            tokio::time::sleep(GATHER_PAUSE).await;
            let joined = std::mem::take(&mut *self.next.lock().unwrap_or_else(PoisonError::into_inner));
            let (questions, senders): (Vec<Q>, Vec<_>) = joined.into_iter().unzip();
            let answer = round(questions).await;
            for sender in senders {
                // Nobody waits any more for one that is dropped, nor for our own.
                let _ = sender.send(answer.clone());
            }
            return answer;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    /// Rounds that last until they are let go, and tell their number and their questions.
    #[derive(Debug, Default)]
    struct Asked {
        rounds: Rounds<&'static str, (u32, Vec<&'static str>)>,
        begun: AtomicU32,
        began: Notify,
        ends: Notify,
    }

    impl Asked {
        fn ask(
            self: &Arc<Self>,
            question: &'static str,
        ) -> tokio::task::JoinHandle<(u32, Vec<&'static str>)> {
            let asked = Arc::clone(self);
            tokio::spawn(async move {
                let round = async |questions: Vec<&'static str>| {
                    let number = asked.begun.fetch_add(1, Ordering::SeqCst) + 1;
                    asked.began.notify_one();
                    asked.ends.notified().await;
                    (number, questions)
                };
                asked.rounds.ask(question, round).await
            })
        }

        async fn end(&self) {
            let began = tokio::time::timeout(Duration::from_secs(10), self.began.notified());
            began.await.expect("another round begins");
            self.ends.notify_one();
        }
    }

    #[tokio::test]
    async fn one_round_answers_all_who_asked_before_it_began_and_nobody_who_came_later() {
        let asked = Arc::new(Asked::default());
        let first = [asked.ask("a"), asked.ask("b")];
        asked.began.notified().await;
        let later = ["c", "d", "e"].map(|question| asked.ask(question));
        tokio::task::yield_now().await;
        asked.ends.notify_one();
        for task in first {
            assert_eq!(task.await.unwrap(), (1, vec!["a", "b"]));
        }
        asked.end().await;
        for task in later {
            assert_eq!(task.await.unwrap(), (2, vec!["c", "d", "e"]));
        }
    }

    #[tokio::test]
    async fn a_round_that_is_given_up_is_asked_again_by_those_who_wait() {
        let asked = Arc::new(Asked::default());
        let (gives_up, waits) = (asked.ask("a"), asked.ask("b"));
        asked.began.notified().await;
        gives_up.abort();
        asked.end().await;
        assert_eq!(waits.await.unwrap(), (2, vec!["b"]));
    }
}
