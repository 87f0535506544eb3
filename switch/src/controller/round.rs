//! Some of many, a tick at a time: after the last the first comes again.

/// How far a round through the port slots has come.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Round {
    /// The slot that was last; 0, which is nobody's, begins.
    after: u16,
}

impl Round {
    /// The next of the `slots`, which come in ascending order, at most so many.
    pub(super) fn next(&mut self, slots: impl Iterator<Item = u16>, most: usize) -> Vec<u16> {
        let next: Vec<u16> = slots.filter(|slot| *slot > self.after).take(most).collect();
        self.after = next.last().copied().filter(|_| next.len() == most).unwrap_or(0);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn_and_those_that_come_and_go_change_nothing_for_others() {
        let mut round = Round::default();
        assert_eq!(round.next([1, 2, 5, 9].into_iter(), 2), [1, 2]);
        assert_eq!(round.next([1, 3, 5, 9].into_iter(), 2), [3, 5]);
        assert_eq!(round.next([1, 3].into_iter(), 2), [0; 0]);
        assert_eq!(round.next([1, 3].into_iter(), 2), [1, 3]);
        assert_eq!(round.next([1, 3, 4].into_iter(), 2), [4]);
        assert_eq!(round.next([1].into_iter(), 2), [1]);
    }
}
