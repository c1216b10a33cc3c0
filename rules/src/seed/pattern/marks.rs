//! Where groups begin and end, and how far that is put back.

/// Two marks for each group. Beyond `count` nothing is set, whatever stands there.
pub(super) struct Marks {
    at: Vec<Option<usize>>,
    count: usize,
}

/// How the marks were: how many, and inside a repeat all of them.
pub(super) struct Saved {
    count: usize,
    at: Option<Box<[Option<usize>]>>,
}

impl Saved {
    pub(super) fn size(&self) -> usize {
        self.at.as_ref().map_or(0, |at| at.len())
    }
}

impl Marks {
    pub(super) fn new(groups: usize) -> Self {
        Self { at: vec![None; groups * 2], count: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    /// Tells how many others were passed over.
    pub(super) fn set(&mut self, mark: usize, place: usize) -> usize {
        let passed = mark.saturating_sub(self.count);
        if mark >= self.count {
            self.at.iter_mut().take(mark).skip(self.count).for_each(|passed| *passed = None);
            self.count = mark + 1;
        }
        if let Some(at) = self.at.get_mut(mark) {
            *at = Some(place);
        }
        passed
    }

    /// Where a group begins and ends, if it took part. It may end before it begins: its marks may be of two rounds.
    pub(super) fn group(&self, group: usize) -> Option<(usize, usize)> {
        let end = (group * 2).checked_sub(1).filter(|end| *end < self.count)?;
        let mark = |mark: usize| self.at.get(mark).copied().flatten();
        Some((mark(end - 1)?, mark(end)?))
    }

    pub(super) fn save(&self, all: bool) -> Saved {
        let at = self.at.get(..self.count).filter(|_| all);
        Saved { count: self.count, at: at.map(Box::from) }
    }

    pub(super) fn restore(&mut self, saved: &Saved) {
        self.count = saved.count;
        if let (Some(old), Some(at)) = (&saved.at, self.at.get_mut(..saved.count)) {
            at.copy_from_slice(old);
        }
    }
}
