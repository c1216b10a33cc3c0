//! Who may lead: judged by what we saw change and when, by our own clock that nobody sets; never by the clock of
//! the one who wrote it.

use std::time::Duration;

/// What a Lease says, as far as leading goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseFacts {
    /// Who holds it; empty if nobody does.
    pub holder: String,
    /// How often the holder has changed: the generation of the leadership.
    pub transitions: u64,
    /// The version that a write must name.
    pub resource_version: String,
}

/// What we remember of the Lease. Times are durations since this process began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaseMemory {
    /// The version that was seen last, or that there was none, and when that was seen first.
    seen: Option<(Option<String>, Duration)>,
    /// When our last successful write was begun.
    renewed: Option<Duration>,
    /// The highest generation that was ever seen.
    highest: u64,
}

/// How long a Lease is worth something. The holder stops acting a good while before others may take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTimes {
    /// How long others wait after the last change that they saw.
    pub duration: Duration,
    /// How long the holder acts after it began its last write.
    pub act: Duration,
}

impl LeaseTimes {
    /// Others wait for `seconds`; the holder acts for two thirds of that.
    #[must_use]
    pub fn new(seconds: u64) -> Self {
        let duration = Duration::from_secs(seconds);
        Self { duration, act: duration * 2 / 3 }
    }
}

/// What to do about the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseMove {
    /// There is none, and has been none for long enough: create it.
    Create {
        /// The generation that it begins with.
        transitions: u64,
    },
    /// It is ours: write it again, same generation.
    Renew {
        /// The generation.
        transitions: u64,
    },
    /// Nobody holds it, or its holder has been silent for too long: take it with the next generation.
    Take {
        /// The generation that the taking makes.
        transitions: u64,
    },
    /// Somebody else holds it, or held it until it was deleted.
    Wait,
}

impl LeaseMemory {
    /// Looks at the Lease as it was read, and says what to do. A Lease that is gone or somebody else's ends our
    /// leadership at once. `now` is our monotonic time.
    ///
    /// Nodes refuse an older generation than they have seen, and a Lease that somebody deleted takes its count along.
    /// So no generation is below `minutes`, those since 1970: whoever begins a Lease anew is above whoever led before.
    pub fn look(
        &mut self,
        lease: Option<&LeaseFacts>,
        us: &str,
        times: LeaseTimes,
        now: Duration,
        minutes: u64,
    ) -> LeaseMove {
        let version = lease.map(|lease| lease.resource_version.clone());
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            Some(_) | None => now,
        };
        self.seen = Some((version, since));
        let is_silent = now.saturating_sub(since) > times.duration;
        let highest = self.highest;
        self.highest = highest.max(lease.map_or(0, |lease| lease.transitions));
        let transitions = (self.highest + 1).max(minutes);
        let is_ours = lease.is_some_and(|lease| lease.holder == us);
        if !is_ours {
            self.renewed = None;
        }
        let action = match lease {
            // Also one whose answer was lost: nobody else can have acted in between.
            Some(lease) if is_ours && lease.transitions >= highest => {
                return LeaseMove::Renew { transitions: lease.transitions };
            }
            // Ours, but somebody has set its count back.
            Some(_) if is_ours => LeaseMove::Take { transitions },
            Some(lease) if lease.holder.is_empty() || is_silent => LeaseMove::Take { transitions },
            // Whoever held it may not have noticed yet.
            None if is_silent => LeaseMove::Create { transitions },
            Some(_) | None => return LeaseMove::Wait,
        };
        // It may be stored though its answer is lost, and be deleted before we see it.
        self.highest = transitions;
        action
    }

    /// Notes that our write, begun at `began`, was stored.
    pub fn stored(&mut self, began: Duration) {
        self.renewed = Some(began);
    }

    /// Notes that the Lease is not ours any more.
    pub fn lost(&mut self) {
        self.renewed = None;
    }

    /// Whether we may act now: our last stored write is young enough that nobody else can have taken the Lease.
    #[must_use]
    pub fn leads(&self, times: LeaseTimes, now: Duration) -> bool {
        self.renewed.is_some_and(|began| now.saturating_sub(began) < times.act)
    }
}

/// Whether an HTTP status says for certain that a write of the Lease was not stored: we then do not lead any more. Any
/// other error leaves it open, and only time tells.
#[must_use]
pub fn is_refusal(code: u16) -> bool {
    // 429 asks for patience and says nothing of the Lease.
    (400..500).contains(&code) && code != 429
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const MINUTES: u64 = 29_000_000;

    #[test]
    fn only_an_answer_that_says_no_is_a_refusal() {
        for (code, expected) in
            [(400, true), (403, true), (404, true), (409, true), (422, true), (429, false)]
        {
            assert_eq!(is_refusal(code), expected, "{code}");
        }
        assert!([200, 399, 500, 503, 504].into_iter().all(|code| !is_refusal(code)));
    }

    fn lease(holder: &str, transitions: u64, version: &str) -> LeaseFacts {
        LeaseFacts { holder: holder.to_owned(), transitions, resource_version: version.to_owned() }
    }

    #[test]
    fn a_silent_holder_is_followed_only_after_we_watched_its_silence() {
        let times = LeaseTimes::new(15);
        let (old, renewed) = (lease("them", MINUTES + 3, "7"), lease("them", MINUTES + 3, "8"));
        let mut memory = LeaseMemory::default();
        let mut look = |lease, second| memory.look(Some(lease), "us", times, seconds(second), MINUTES);
        assert_eq!(look(&old, 100), LeaseMove::Wait);
        assert_eq!(look(&old, 115), LeaseMove::Wait);
        assert_eq!(look(&old, 116), LeaseMove::Take { transitions: MINUTES + 4 });
        assert_eq!(look(&renewed, 117), LeaseMove::Wait);
    }

    #[test]
    fn a_lease_that_is_gone_is_begun_anew_only_after_we_watched_its_absence() {
        let (times, theirs) = (LeaseTimes::new(15), lease("them", MINUTES, "1"));
        let mut memory = LeaseMemory::default();
        let mut look = |lease, second, minutes| memory.look(lease, "us", times, seconds(second), minutes);
        assert_eq!(look(None, 0, MINUTES), LeaseMove::Wait);
        assert_eq!(look(None, 16, MINUTES), LeaseMove::Create { transitions: MINUTES });
        // Within one minute, and with a clock that was set back: still higher than what was seen.
        assert_eq!(look(Some(&theirs), 17, MINUTES), LeaseMove::Wait);
        assert_eq!(look(None, 18, MINUTES - 5), LeaseMove::Wait);
        assert_eq!(look(None, 34, MINUTES - 5), LeaseMove::Create { transitions: MINUTES + 1 });
    }

    #[test]
    fn a_generation_that_was_asked_for_is_never_asked_for_again() {
        let times = LeaseTimes::new(15);
        let mut memory = LeaseMemory::default();
        let mut look = |lease, second| memory.look(lease, "us", times, seconds(second), MINUTES);
        let free = lease("", MINUTES, "1");
        assert_eq!(look(Some(&free), 1), LeaseMove::Take { transitions: MINUTES + 1 });
        assert_eq!(look(None, 2), LeaseMove::Wait, "deleted before we saw what we wrote");
        assert_eq!(look(None, 18), LeaseMove::Create { transitions: MINUTES + 2 });
    }

    #[test]
    fn a_generation_never_falls_whatever_somebody_wrote_into_the_lease() {
        let times = LeaseTimes::new(15);
        for (claim, holder) in [("given back", ""), ("ours", "us")] {
            let mut memory = LeaseMemory::default();
            memory.look(Some(&lease("us", MINUTES + 9, "1")), "us", times, seconds(1), MINUTES);
            let found = memory.look(Some(&lease(holder, 0, "2")), "us", times, seconds(2), MINUTES);
            assert_eq!(found, LeaseMove::Take { transitions: MINUTES + 10 }, "{claim}");
        }
        let fresh = LeaseMemory::default().look(Some(&lease("", 0, "2")), "us", times, seconds(2), MINUTES);
        assert_eq!(fresh, LeaseMove::Take { transitions: MINUTES }, "one that has seen nothing");
    }

    #[test]
    fn a_lease_that_is_gone_or_anothers_ends_our_leadership_at_once() {
        let times = LeaseTimes::new(15);
        let (ours, theirs, nobodys) = (lease("us", 3, "1"), lease("them", 4, "2"), lease("", 3, "2"));
        for (found, leads) in
            [(Some(&ours), true), (Some(&theirs), false), (Some(&nobodys), false), (None, false)]
        {
            let mut memory = LeaseMemory::default();
            memory.look(Some(&ours), "us", times, seconds(1), MINUTES);
            memory.stored(seconds(1));
            memory.look(found, "us", times, seconds(2), MINUTES);
            assert_eq!(memory.leads(times, seconds(2)), leads, "{found:?}");
        }
    }

    #[test]
    fn a_holder_stops_acting_before_others_may_take() {
        let times = LeaseTimes::new(15);
        let mut memory = LeaseMemory::default();
        assert!(!memory.leads(times, seconds(1)));
        memory.stored(seconds(1));
        assert!(memory.leads(times, seconds(10)) && !memory.leads(times, seconds(11)));
    }

    /// What happens next: a replica takes a turn, in the middle of which time passes, or somebody deletes the Lease.
    #[derive(Debug, Clone, Copy)]
    enum Happens {
        Turn { who: usize, pause: u64, answer_is_lost: bool },
        Deletion,
    }

    fn a_turn() -> impl Strategy<Value = Happens> {
        // Mostly short pauses: two leaders are seen only while neither has been silent for long.
        let pause = prop_oneof![3 => 0u64..3, 1 => 0u64..20];
        (0usize..2, pause, proptest::bool::weighted(0.2))
            .prop_map(|(who, pause, answer_is_lost)| Happens::Turn { who, pause, answer_is_lost })
    }

    /// A store with compare-and-swap and two replicas whose clocks start anywhere, each of which stalls at will.
    fn simulate(times: LeaseTimes, course: &[Happens], offsets: [u64; 2]) -> Result<(), TestCaseError> {
        let mut stored = Some(lease("", 0, "0"));
        let mut version = 0u64;
        let mut memories = [LeaseMemory::default(), LeaseMemory::default()];
        let mut generations = [0u64; 2];
        let mut true_time = 0u64;
        for &happens in course {
            let Happens::Turn { who, pause, answer_is_lost } = happens else {
                stored = None;
                continue;
            };
            let began = seconds(true_time + offsets[who]);
            let seen = stored.clone();
            let name = ["a", "b"][who];
            let minutes = MINUTES + true_time / 60;
            let action = memories[who].look(seen.as_ref(), name, times, began, minutes);
            true_time += pause;
            let transitions = match action {
                LeaseMove::Create { transitions }
                | LeaseMove::Renew { transitions }
                | LeaseMove::Take { transitions } => transitions,
                LeaseMove::Wait => continue,
            };
            if stored != seen {
                memories[who].lost();
                continue;
            }
            version += 1;
            stored = Some(lease(name, transitions, &version.to_string()));
            if !answer_is_lost {
                memories[who].stored(began);
                generations[who] = transitions;
            }
            let now = |i: usize| seconds(true_time + offsets[i]);
            let leading = [memories[0].leads(times, now(0)), memories[1].leads(times, now(1))];
            prop_assert!(!(leading[0] && leading[1]), "both lead at {true_time}");
            if leading[0] != leading[1] {
                let leader = usize::from(leading[1]);
                prop_assert!(generations[leader] >= generations[1 - leader], "an older generation leads");
            }
        }
        Ok(())
    }

    /// One leads and falls silent, the other watches and takes over: the shortest course in which a holder that acts
    /// for longer than others wait is seen.
    fn a_handover() -> Vec<Happens> {
        let turn = |who, pause| Happens::Turn { who, pause, answer_is_lost: false };
        vec![turn(0, 0), turn(1, 16), turn(1, 0)]
    }

    #[test]
    fn the_simulation_sees_two_leaders_where_the_holder_acts_for_too_long() {
        let times = LeaseTimes::new(15);
        assert!(simulate(times, &a_handover(), [0, 7]).is_ok());
        let too_long = LeaseTimes { act: times.duration + seconds(2), ..times };
        assert!(simulate(too_long, &a_handover(), [0, 7]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn two_never_lead_at_once_though_the_lease_is_deleted_in_between(
            mut course in proptest::collection::vec(a_turn(), 1..200),
            deletion in any::<prop::sample::Index>(),
            offsets in [0u64..1_000_000, 0u64..1_000_000],
        ) {
            course.insert(deletion.index(course.len()), Happens::Deletion);
            simulate(LeaseTimes::new(15), &course, offsets)?;
        }
    }
}
