//! What a node remembers of the tokens it has seen.

use crate::driver::kubeadm::node_script::{joined, lines, seconds, single};
use crate::driver::kubeadm::order::LedgerOrder;
use crate::driver::task::Progress;
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;

/// Reads what the ledger's script printed about one token.
///
/// The lines of a ledger are `<fact> <seconds> <token> … .`, with the facts `start`, `did`, `exit` and `refuse`. The
/// full stop tells a whole line from one that was torn by a crash.
///
/// # Errors
/// The text is cut, is not what the script prints, comes from another machine, or tells of a later token of the run.
pub fn parse(text: &str, order: &LedgerOrder) -> Result<Progress, Finding> {
    let about = |reason, detail: String| Finding::new(reason, order.node.name.0.clone(), detail);
    let lines = lines(text).map_err(|error| about(Reason::LedgerUnreadable, error))?;
    let machine = single(&lines, "machine").map_err(|error| about(Reason::LedgerUnreadable, error))?;
    if machine != order.node.machine_id {
        let detail = format!("the machine at {} says {machine:?}", order.node.addresses.join(", "));
        return Err(about(Reason::MachineIdMismatch, detail));
    }
    let newest = single(&lines, "sequence")
        .and_then(|text| text.parse::<u64>().map_err(|_| format!("sequence is {text:?}")));
    let newest = newest.map_err(|error| about(Reason::LedgerUnreadable, error))?;
    // The token at hand is the newest that the run has given out: the node remembers what the cluster has forgotten.
    if newest > order.token.sequence {
        return Err(went_backwards(&order.node.name, newest, order.token.sequence));
    }
    judge(&lines, &order.token.to_string()).map_err(|error| about(Reason::LedgerUnreadable, error))
}

/// A ledger ahead of its run: etcd was restored, or the run's status was put back by hand.
pub(crate) fn went_backwards(node: &NodeName, in_ledger: u64, sent: u64) -> Finding {
    let detail = format!("its ledger has token {in_ledger}, the run has sent none after {sent}");
    Finding::new(Reason::StateWentBackwards, node.0.clone(), detail)
}

fn judge(lines: &[(&str, &str)], token: &str) -> Result<Progress, String> {
    let now = seconds(single(lines, "now")?)?;
    let alive = is_alive(single(lines, "unit")?)?;
    let facts: Vec<Vec<&str>> = lines
        .iter()
        .filter(|(word, _)| *word == "fact")
        .map(|(_, fact)| fact.split(' ').collect::<Vec<_>>())
        .filter(|words| words.get(2) == Some(&token))
        .collect();
    let whole = |name: &str| {
        facts
            .iter()
            .find(|words| words.first() == Some(&name) && words.len() > 4 && words.last() == Some(&"."))
    };
    if let Some(exit) = whole("exit") {
        let code = exit[3].parse().map_err(|_| format!("exit code {:?}", exit[3]))?;
        let report = report(lines);
        return Ok(Progress::Ended { code, at: seconds(exit[1])?, report, output: joined(lines, "output") });
    }
    if let Some(start) = whole("start") {
        return Ok(Progress::Started { at: seconds(start[1])?, alive });
    }
    if let Some(refused) = whole("refuse") {
        let reason = Reason::from_code(refused[3]).ok_or_else(|| format!("refused for {:?}", refused[3]))?;
        return Ok(Progress::Refused(reason));
    }
    // A unit that has not written its start yet, or a line about the token that was torn: something began.
    if alive || is_loaded(single(lines, "unit")?) || !facts.is_empty() {
        return Ok(Progress::Started { at: now, alive });
    }
    Ok(Progress::Unseen)
}

fn report(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    let values =
        lines.iter().filter(|(word, _)| *word == "report").filter_map(|(_, value)| value.split_once('='));
    values.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn property<'a>(unit: &'a str, name: &str) -> Option<&'a str> {
    unit.split(' ')
        .filter_map(|word| word.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

fn is_loaded(unit: &str) -> bool {
    property(unit, "LoadState") != Some("not-found")
}

/// Whether the unit runs, by what systemd says of it. What is not known is no answer.
fn is_alive(unit: &str) -> Result<bool, String> {
    match (property(unit, "ActiveState"), property(unit, "SubState")) {
        (Some("active"), Some("exited")) | (Some("inactive" | "failed"), Some(_)) => Ok(false),
        (Some("active" | "activating" | "deactivating" | "reloading"), Some(_)) => Ok(true),
        _ => Err(format!("the unit is {unit:?}")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::driver::kubeadm::order::NodeTarget;

    const TOKEN: &str = "0b9f3c6e-1111-4222-8333-444455556666.7.2.00ff00ff00ff00ff";
    const NEVER: &str = "ActiveState=inactive LoadState=not-found SubState=dead";
    const RUNS: &str = "ActiveState=active LoadState=loaded SubState=running";
    const ENDED: &str = "ActiveState=active LoadState=loaded SubState=exited";
    const KILLED: &str = "ActiveState=failed LoadState=loaded SubState=failed";

    fn order() -> LedgerOrder {
        let node = NodeTarget {
            name: "w-1".into(),
            addresses: vec!["10.0.0.1".to_owned()],
            machine_id: "abc".to_owned(),
        };
        LedgerOrder { node, token: TOKEN.parse().unwrap() }
    }

    fn text(unit: &str, rest: &str) -> String {
        format!("lockkeeper 1\nmachine abc\nnow 1763717100\nsequence 7\nunit {unit} \n{rest}end\n")
    }

    fn start() -> String {
        format!("fact start 1763717000 {TOKEN} 7 upgrade-node v1.36.3 2025-11-21T09:00:00Z .\n")
    }

    #[test]
    fn each_picture_is_read_as_what_it_is() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let ended =
            |code| Progress::Ended { code, at: at(1763717050), report: vec![], output: String::new() };
        let started = |second, alive| Progress::Started { at: at(second), alive };
        let (start, exit) = (start(), format!("fact exit 1763717050 {TOKEN} 0 .\n"));
        let refuse = format!("fact refuse 1763717060 {TOKEN} token_already_seen .\n");
        let other = start.replace(".7.2.", ".6.1.");
        for (claim, unit, facts, expected) in [
            ("nothing at all", NEVER, String::new(), Progress::Unseen),
            ("another token", NEVER, other, Progress::Unseen),
            ("it runs", RUNS, start.clone(), started(1763717000, true)),
            ("it runs and has not written yet", RUNS, String::new(), started(1763717100, true)),
            ("it was killed", KILLED, start.clone(), started(1763717000, false)),
            ("the machine was restarted", NEVER, start.clone(), started(1763717000, false)),
            ("it was killed before it wrote", KILLED, String::new(), started(1763717100, false)),
            (
                "its start is torn",
                NEVER,
                format!("fact start 1763717000 {TOKEN} 7 upgr\n"),
                started(1763717100, false),
            ),
            (
                "its end is torn",
                NEVER,
                format!("{start}fact exit 1763717050 {TOKEN} 0\n"),
                started(1763717000, false),
            ),
            ("it ended", ENDED, format!("{start}{exit}"), ended(0)),
            ("it ended as it was asked", RUNS, format!("{start}{exit}"), ended(0)),
            ("a second start was refused", ENDED, format!("{start}{exit}{refuse}"), ended(0)),
            ("and while the first runs", RUNS, format!("{start}{refuse}"), started(1763717000, true)),
            ("it failed", ENDED, format!("{start}{}", exit.replace(" 0 .", " 124 .")), ended(124)),
            ("it was refused", ENDED, refuse.clone(), Progress::Refused(Reason::TokenAlreadySeen)),
        ] {
            assert_eq!(parse(&text(unit, &facts), &order()), Ok(expected), "{claim}");
        }
    }

    #[test]
    fn report_and_output_come_with_the_end() {
        let facts = format!(
            "{}fact exit 1763717050 {TOKEN} 0 .\nreport path=/a=b\noutput one\n\noutput end\n",
            start()
        );
        let Ok(Progress::Ended { report, output, .. }) = parse(&text(ENDED, &facts), &order()) else {
            panic!()
        };
        assert_eq!(report, [("path".to_owned(), "/a=b".to_owned())]);
        assert_eq!(output, "one\nend");
    }

    #[test]
    fn what_is_cut_or_not_understood_is_unreadable() {
        let whole = text(RUNS, &start());
        for end in 0..whole.len() {
            assert_eq!(
                parse(&whole[..end], &order()).unwrap_err().reason,
                Reason::LedgerUnreadable,
                "cut at {end}"
            );
        }
        for (from, to) in
            [("ActiveState=active", "ActiveState=new"), ("now 1763717100", "now x"), ("machine", "m")]
        {
            assert!(parse(&whole.replace(from, to), &order()).is_err(), "{to}");
        }
        for sequence in ["", "-1", "7 8"] {
            let text = whole.replace("sequence 7", &format!("sequence {sequence}"));
            assert_eq!(parse(&text, &order()).unwrap_err().reason, Reason::LedgerUnreadable, "{sequence:?}");
        }
        let ahead = parse(&whole.replace("sequence 7", "sequence 8"), &order()).unwrap_err();
        assert_eq!(ahead.to_string(), went_backwards(&"w-1".into(), 8, 7).to_string());
        let mismatch = parse(&whole.replace("machine abc", "machine def"), &order()).unwrap_err();
        assert_eq!(mismatch.reason, Reason::MachineIdMismatch);
    }
}
