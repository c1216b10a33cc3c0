//! Which webhooks that leave with a node cannot start again.

use std::collections::BTreeMap;
use std::mem;

use super::LosesBackend;

/// For each, whether its pods cannot start before it is answered for: it is asked about them itself, or by way of others
/// that leave with the same node.
///
/// ```text
///   pods of a namespace ──wait for──▶ those of each webhook that is asked there     one that waits in a circle is stuck
/// ```
pub(super) fn stuck(all: &[LosesBackend]) -> Vec<bool> {
    let mut vertices = BTreeMap::new();
    for one in all {
        let next = vertices.len();
        vertices.entry((&one.node, one.namespace.as_str())).or_insert(next);
    }
    let vertex = |one: &LosesBackend, namespace: &str| vertices.get(&(&one.node, namespace)).copied();
    let edges_of = |one: &LosesBackend| -> Vec<(usize, usize)> {
        let own = vertex(one, &one.namespace);
        let waiting = one.asked_in.iter().filter_map(|namespace| vertex(one, namespace));
        waiting.zip(own.into_iter().cycle()).collect()
    };
    let edges: Vec<_> = all.iter().map(edges_of).collect();
    let mut waits_for = vec![Vec::new(); vertices.len()];
    let mut is_awaited_by = waits_for.clone();
    for &(from, to) in edges.iter().flatten() {
        waits_for[from].push(to);
        is_awaited_by[to].push(from);
    }
    let components = components(&waits_for, &is_awaited_by);
    edges.iter().map(|edges| edges.iter().any(|&(from, to)| components[from] == components[to])).collect()
}

/// The strongly connected components, as Kosaraju finds them: vertices that reach each other have the same number. Each
/// edge is walked once each way, however long the chains are.
fn components(edges: &[Vec<usize>], reversed: &[Vec<usize>]) -> Vec<usize> {
    let mut is_seen = vec![false; edges.len()];
    let mut order = Vec::new();
    for start in 0..edges.len() {
        order.extend(reached(start, edges, &mut is_seen));
    }
    is_seen.fill(false);
    let mut components = vec![0; edges.len()];
    for start in order.into_iter().rev() {
        for vertex in reached(start, reversed, &mut is_seen) {
            components[vertex] = start;
        }
    }
    components
}

/// What is reached from here and was not seen before, each behind all that it leads to. Without recursion: a chain may be
/// longer than the stack is deep.
fn reached(start: usize, edges: &[Vec<usize>], is_seen: &mut [bool]) -> Vec<usize> {
    let mut reached = Vec::new();
    let mut path = Vec::new();
    if !mem::replace(&mut is_seen[start], true) {
        path.push((start, edges[start].iter()));
    }
    while let Some((vertex, ahead)) = path.last_mut() {
        match ahead.next() {
            Some(&next) if !mem::replace(&mut is_seen[next], true) => path.push((next, edges[next].iter())),
            Some(_seen) => {}
            None => {
                reached.push(*vertex);
                path.pop();
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::{Finding, Reason};

    fn loses_backend(node: &str, namespace: &str, asked_in: &[&str]) -> LosesBackend {
        LosesBackend {
            node: node.into(),
            namespace: namespace.to_owned(),
            asked_in: asked_in.iter().map(|it| (*it).to_owned()).collect(),
            is_sure: true,
            finding: Finding::new(Reason::WebhookOnOneNode, "", ""),
        }
    }

    #[test]
    fn a_circle_is_stuck_and_what_only_leads_to_it_or_from_it_is_not() {
        let on = |nodes: [&str; 6]| {
            let [before, first, second, third, behind, own] = nodes;
            stuck(&[
                loses_backend(before, "before", &["elsewhere"]),
                loses_backend(first, "first", &["before", "third"]),
                loses_backend(second, "second", &["first"]),
                loses_backend(third, "third", &["second"]),
                loses_backend(behind, "behind", &["third"]),
                loses_backend(own, "own", &["own"]),
            ])
        };
        assert_eq!(on(["w-1"; 6]), [false, true, true, true, false, true]);
        let apart = ["w-1", "w-1", "w-2", "w-1", "w-1", "w-2"];
        assert_eq!(on(apart), [false, false, false, false, false, true], "one of them stays");
        let chain = [
            loses_backend("w-1", "a", &["b"]),
            loses_backend("w-1", "b", &["c"]),
            loses_backend("w-1", "c", &[]),
        ];
        assert_eq!(stuck(&chain), [false, false, false]);
        let same = [
            loses_backend("w-1", "a", &["b"]),
            loses_backend("w-1", "a", &["c"]),
            loses_backend("w-1", "b", &["a"]),
        ];
        assert_eq!(stuck(&same), [true, false, true], "two in one namespace, of which one is asked");
        assert_eq!(stuck(&[]), Vec::<bool>::new());
    }

    /// The same, one search for each.
    fn waits_for_itself(one: &LosesBackend, all: &[LosesBackend]) -> bool {
        let mut waits_for = vec![one];
        let mut next = 0;
        while let Some(known) = waits_for.get(next).copied() {
            for other in all.iter().filter(|it| it.node == one.node && it.asked_in.contains(&known.namespace))
            {
                if std::ptr::eq(other, one) {
                    return true;
                }
                if !waits_for.iter().any(|it| std::ptr::eq(*it, other)) {
                    waits_for.push(other);
                }
            }
            next += 1;
        }
        false
    }

    #[test]
    fn every_graph_of_four_webhooks_is_judged_as_by_one_search_for_each() {
        // The last two are in one namespace.
        let places = [("w-1", "a"), ("w-1", "b"), ("w-1", "c"), ("w-1", "c")];
        for graph in 0_u32..1 << 12 {
            let asked = |index: usize| -> Vec<&str> {
                let is_asked = |at: &usize| graph >> (index * 3 + at) & 1 == 1;
                (0..3).filter(is_asked).map(|at| ["a", "b", "c"][at]).collect()
            };
            let all: Vec<LosesBackend> = places
                .iter()
                .enumerate()
                .map(|(index, (node, namespace))| loses_backend(node, namespace, &asked(index)))
                .collect();
            let expected: Vec<bool> = all.iter().map(|one| waits_for_itself(one, &all)).collect();
            assert_eq!(stuck(&all), expected, "{graph:012b}");
        }
    }

    #[test]
    fn a_chain_of_thousands_is_judged_at_once_and_so_is_the_circle_that_it_closes() {
        let name = |number: usize| format!("n{number}");
        let mut chain: Vec<LosesBackend> = (0..2_000)
            .map(|number| loses_backend("w-1", &name(number), &[name(number + 1).as_str()]))
            .collect();
        assert_eq!(stuck(&chain), [false; 2_000]);
        chain.push(loses_backend("w-1", &name(2_000), &["n0"]));
        assert_eq!(stuck(&chain), [true; 2_001]);
    }
}
