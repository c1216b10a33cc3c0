//! A pattern as it was read, with the flags that hold at each place.

/// More than any text has: how wide a part without a bound is.
pub(super) const WIDTH_MAX: u128 = 1 << 64;

/// How letter case is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    No,
    Ascii,
    Unicode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    Digit,
    Space,
    Word,
}

/// What is in a set of characters. Codes are numbers, because a pattern may name half of a surrogate pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Member {
    One(u32),
    Range(u32, u32),
    Category {
        category: Category,
        is_negated: bool,
        is_ascii: bool,
    },
    /// What a dot does not match. A set that was written to mean the same is still another.
    LineEnd,
}

/// A test of one character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letters {
    pub(super) is_negated: bool,
    pub(super) members: Vec<Member>,
    pub(super) fold: Fold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Start,
    TextStart,
    LineStart,
    End,
    TextEnd,
    LineEnd,
    Boundary { is_negated: bool, is_ascii: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greed {
    Greedy,
    Lazy,
    Possessive,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Letters(Letters),
    Place(Place),
    /// The text that a group has matched.
    Again {
        group: usize,
        fold: Fold,
    },
    Capture {
        group: usize,
        inner: Vec<Node>,
    },
    /// A group with flags of its own.
    Flagged(Vec<Node>),
    /// A group that only holds together; it is dissolved at the end of the sequence that it stands in.
    Plain(Vec<Node>),
    Branches(Vec<Vec<Node>>),
    Repeat {
        inner: Vec<Node>,
        low: u32,
        high: Option<u32>,
        greed: Greed,
    },
    Atomic(Vec<Node>),
    Look {
        behind: usize,
        is_negated: bool,
        inner: Vec<Node>,
    },
    Condition {
        group: usize,
        yes: Vec<Node>,
        no: Vec<Node>,
    },
}

/// The fewest and the most characters that something may match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Width {
    pub(super) low: u128,
    pub(super) high: u128,
}

impl Width {
    pub(super) const fn of(count: u128) -> Self {
        Self { low: count, high: count }
    }

    fn or(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// Of a sequence; `group` knows the width of each closed group.
    pub(super) fn of_all(nodes: &[Node], group: &impl Fn(usize) -> Self) -> Self {
        let (low, high) = nodes.iter().fold((0, 0), |(low, high), node| {
            let width = Self::of_one(node, group);
            (low + width.low, high + width.high)
        });
        Self { low: low.min(WIDTH_MAX), high: high.min(WIDTH_MAX) }
    }

    fn of_one(node: &Node, group: &impl Fn(usize) -> Self) -> Self {
        match node {
            Node::Letters(_) => Self::of(1),
            Node::Place(_) | Node::Look { .. } => Self::of(0),
            Node::Again { group: number, .. } => group(*number),
            Node::Capture { inner, .. } | Node::Flagged(inner) | Node::Plain(inner) | Node::Atomic(inner) => {
                Self::of_all(inner, group)
            }
            Node::Branches(all) => {
                let widths = all.iter().map(|branch| Self::of_all(branch, group));
                widths.reduce(Self::or).unwrap_or(Self::of(0))
            }
            Node::Condition { yes, no, .. } => Self::of_all(yes, group).or(Self::of_all(no, group)),
            Node::Repeat { inner, low, high, .. } => {
                let width = Self::of_all(inner, group);
                let high = match high {
                    None if width.high > 0 => WIDTH_MAX,
                    None => 0,
                    Some(high) => width.high * u128::from(*high),
                };
                Self { low: width.low * u128::from(*low), high }
            }
        }
    }
}

/// The branches of a group, as the seed's engine arranges them: what all begin with stands before them, and branches of
/// one character each are a set. That is seen in what groups hold after a branch has failed.
pub(super) fn branches(mut all: Vec<Vec<Node>>) -> Vec<Node> {
    let mut nodes = Vec::new();
    if all.len() > 1 {
        while let Some(same) = common_start(&all) {
            all.iter_mut().for_each(|branch| drop(branch.remove(0)));
            nodes.push(same);
        }
        match set(&all) {
            Some(letters) => nodes.push(Node::Letters(letters)),
            None => nodes.push(Node::Branches(all)),
        }
    } else {
        nodes.extend(all.into_iter().flatten());
    }
    nodes
}

fn common_start(all: &[Vec<Node>]) -> Option<Node> {
    let first = all.first()?.first()?;
    let is_plain = matches!(first, Node::Letters(_) | Node::Place(_) | Node::Again { .. });
    (is_plain && all.iter().all(|branch| branch.first() == Some(first))).then(|| first.clone())
}

fn set(all: &[Vec<Node>]) -> Option<Letters> {
    let mut set = Letters { is_negated: false, members: Vec::new(), fold: Fold::No };
    for branch in all {
        let [Node::Letters(Letters { is_negated: false, members, fold })] = branch.as_slice() else {
            return None;
        };
        set.fold = *fold;
        members.iter().for_each(|member| set.add(member.clone()));
    }
    Some(set)
}

impl Letters {
    pub(super) fn add(&mut self, member: Member) {
        if !self.members.contains(&member) {
            self.members.push(member);
        }
    }
}
