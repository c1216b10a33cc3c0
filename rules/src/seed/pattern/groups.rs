//! What an opening parenthesis begins.

use super::PatternError;
use super::flags::Scope;
use super::fold::is_name;
use super::read::{Group, Reader, invalid, not_supported};
use super::tree::Node;

impl Reader {
    /// What an opening parenthesis begins; none for comments and for flags that hold everywhere.
    pub(super) fn opened(&mut self, scope: Scope, is_first: bool) -> Result<Option<Node>, PatternError> {
        if !self.eats('?') {
            return self.capture(None, scope).map(Some);
        }
        Ok(Some(match self.next() {
            Some('P') if self.eats('<') => {
                let name = self.until('>')?;
                self.capture(Some(name), scope)?
            }
            Some('P') if self.eats('=') => {
                let name = self.until(')')?;
                let group = self.named(&name)?;
                self.again(group, scope.flags(self.everywhere))?
            }
            Some(':') => Node::Plain(self.inside(scope)?),
            Some('>') => Node::Atomic(self.inside(scope)?),
            Some('#') => return self.until(')').map(|_| None),
            Some(letter @ ('=' | '!')) => self.looks_ahead(letter == '!', scope)?,
            Some('<') => match self.next() {
                Some(letter @ ('=' | '!')) => self.looks_behind(letter == '!', scope)?,
                _ => return invalid("unknown extension ?<"),
            },
            Some('(') => self.condition(scope)?,
            Some(letter) => return self.flag_group(letter, scope, is_first),
            None => return invalid("it ends in an open group"),
        }))
    }

    fn named(&self, name: &str) -> Result<usize, PatternError> {
        match self.groups.iter().position(|group| group.name.as_deref() == Some(name)) {
            Some(place) => Ok(place + 1),
            None => invalid(&format!("there is no group named {name:?}")),
        }
    }

    pub(super) fn inside(&mut self, scope: Scope) -> Result<Vec<Node>, PatternError> {
        let nodes = self.branches(Scope { depth: scope.depth + 1, ..scope })?;
        if !self.eats(')') {
            return invalid("a group is not closed");
        }
        Ok(nodes)
    }

    fn looks_ahead(&mut self, is_negated: bool, scope: Scope) -> Result<Node, PatternError> {
        Ok(Node::Look { behind: 0, is_negated, inner: self.inside(scope)? })
    }

    fn looks_behind(&mut self, is_negated: bool, scope: Scope) -> Result<Node, PatternError> {
        let outer = self.behind;
        self.behind = outer.or(Some(self.groups.len()));
        let inner = self.inside(scope)?;
        self.behind = outer;
        let width = self.width(&inner);
        match usize::try_from(width.low) {
            _ if width.low != width.high => invalid("looking behind needs a fixed width"),
            Ok(behind) if behind < u32::MAX as usize => Ok(Node::Look { behind, is_negated, inner }),
            _ => invalid("it looks too far behind"),
        }
    }

    fn capture(&mut self, name: Option<String>, scope: Scope) -> Result<Node, PatternError> {
        if let Some(name) = &name
            && (!is_name(name) || self.named(name).is_ok())
        {
            return invalid(&format!("{name:?} cannot be the name of a group, or is one already"));
        }
        self.groups.push(Group { name, width: None });
        let group = self.groups.len();
        let inner = self.inside(scope)?;
        let width = self.width(&inner);
        if let Some(closed) = self.groups.get_mut(group - 1) {
            closed.width = Some(width);
        }
        Ok(Node::Capture { group, inner })
    }

    /// `(?(group)yes|no)`, after the second parenthesis.
    fn condition(&mut self, scope: Scope) -> Result<Node, PatternError> {
        let name = self.until(')')?;
        let group = if is_name(&name) { self.named(&name)? } else { number(&name)? };
        self.asked_max = self.asked_max.max(group);
        self.stands_before(group)?;
        let scope = Scope { depth: scope.depth + 1, ..scope };
        let yes = self.sequence(scope, false)?;
        let no = if self.eats('|') { self.sequence(scope, false)? } else { Vec::new() };
        match self.next() {
            Some(')') => Ok(Node::Condition { group, yes, no }),
            Some('|') => invalid("a condition has more than two branches"),
            _ => invalid("a group is not closed"),
        }
    }

    /// What looks behind speaks only of groups that were closed before it.
    pub(super) fn stands_before(&self, group: usize) -> Result<(), PatternError> {
        let Some(before) = self.behind else { return Ok(()) };
        let is_closed = self.groups.get(group - 1).is_some_and(|group| group.width.is_some());
        if is_closed && group <= before {
            return Ok(());
        }
        invalid(&format!("group {group} is not closed before it is spoken of while looking behind"))
    }
}

/// The number of a group in a condition. The seed's language reads signs, spaces and underscores in it, too.
fn number(text: &str) -> Result<usize, PatternError> {
    let text = crate::seed::text::strip(text);
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_number = digits.split('_').all(|run| !run.is_empty() && run.chars().all(char::is_numeric));
    if is_number && !digits.is_ascii() {
        return not_supported("digits beyond ASCII in the number of a group");
    }
    match digits.replace('_', "").parse() {
        Ok(group) if group > 0 && is_number => Ok(group),
        _ => invalid(&format!("{text:?} is no group")),
    }
}
