//! Small pieces of text that the pages share.

use jiff::Timestamp;
use lockkeeper_rules::words::counted;

/// Text from the cluster, safe for a terminal: control characters could move the cursor or change colours.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Text, safe inside HTML.
pub(super) fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() && c != '\n' => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// How long ago, in the largest unit that makes sense.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => counted(seconds.unsigned_abs() / 86_400, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_the_cluster_reaches_a_terminal_or_a_browser_as_a_command() {
        assert_eq!(plain("a\u{1b}[31mb\nc\u{9b}"), "a [31mb c ");
        assert_eq!(html("<a href='x'>&\"\u{1b}"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot; ");
    }

    #[test]
    fn time_is_told_in_the_largest_unit_that_makes_sense() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for (seconds, expected) in
            [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 days"), (-5, "0 s")]
        {
            assert_eq!(ago(at(1_000_000), at(1_000_000 + seconds)), expected);
        }
    }
}
