//! The standard metrics of a process, read at the moment of the scrape.

use lockkeeper_rules::publish::metric::{
    Metric, PROCESS_CPU, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT, PROCESS_START, PROCESS_THREADS,
    PROCESS_VIRTUAL, Sample,
};

/// Clock ticks in `/proc` are of this size on every Linux that Rust knows.
const TICKS_PER_SECOND: f64 = 100.0;

/// What `/proc` says of this process. What it does not say is left out.
#[must_use]
pub fn samples() -> Vec<Sample> {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let system = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let open = std::fs::read_dir("/proc/self/fd").ok().map(|entries| count(entries.count()));
    let found: [(&'static Metric, Option<f64>); 7] = [
        (&PROCESS_CPU, cpu_seconds(&stat)),
        (&PROCESS_RESIDENT, kib(&status, "VmRSS:")),
        (&PROCESS_VIRTUAL, kib(&status, "VmSize:")),
        (&PROCESS_OPEN_FDS, open),
        (&PROCESS_MAX_FDS, word(&limits, "Max open files", 0)),
        (&PROCESS_THREADS, word(&status, "Threads:", 0)),
        (&PROCESS_START, start_seconds(&stat, &system)),
    ];
    found.into_iter().filter_map(|(metric, value)| Some(Sample::new(metric, [], value?))).collect()
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

/// The nth word after a line's head, as a number.
fn word(text: &str, head: &str, nth: usize) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(head))?.split_whitespace().nth(nth)?.parse().ok()
}

fn kib(status: &str, head: &str) -> Option<f64> {
    Some(word(status, head, 0)? * 1024.0)
}

/// A field of `/proc/self/stat`, counted from 1 as in its manual; the name in field 2 may have spaces and brackets.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(number - 3)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS_PER_SECOND)
}

fn start_seconds(stat: &str, system: &str) -> Option<f64> {
    Some(word(system, "btime", 0)? + field(stat, 22)? / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 4 0 200 9 9";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(start_seconds(stat, "cpu 1\nbtime 1000\n"), Some(1002.0));
    }

    #[test]
    fn this_process_says_all_seven() {
        let samples = samples();
        assert_eq!(samples.len(), 7, "{samples:?}");
        assert!(
            samples.iter().all(|sample| sample.value > 0.0 || sample.metric == &PROCESS_CPU),
            "{samples:?}"
        );
    }
}
