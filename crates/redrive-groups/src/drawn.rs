//! As many things as there is room for, drawn by hash: those with the lowest draw. Which ones stay does not depend on the order in
//! which they came, and because the draw is a hash of the message ID, they are a random sample of all that came.

use std::collections::BinaryHeap;

/// Things within a budget.
#[derive(Debug)]
pub(crate) struct Drawn<T> {
    room: usize,
    used: usize,
    heap: BinaryHeap<One<T>>,
    /// Draws from here on have no room.
    end: Option<u64>,
}

#[derive(Debug)]
struct One<T> {
    draw: u64,
    weight: usize,
    thing: T,
}

impl<T> Drawn<T> {
    /// Room for things of this weight together.
    pub(crate) fn new(room: usize) -> Self {
        Self { room, used: 0, heap: BinaryHeap::new(), end: None }
    }

    /// Offers a thing. It goes, or another does, if there is no room.
    pub(crate) fn offer(&mut self, draw: u64, weight: usize, thing: impl FnOnce() -> T) {
        if self.end.is_some_and(|end| draw >= end) {
            return;
        }
        self.used += weight;
        self.heap.push(One { draw, weight, thing: thing() });
        while self.used > self.room
            && let Some(last) = self.heap.pop()
        {
            self.used -= last.weight;
            self.end = Some(last.draw);
            // Two of one draw share their fate, or which of them stays would depend on the order.
            while self.heap.peek().is_some_and(|next| next.draw == last.draw) {
                self.used -= self.heap.pop().map_or(0, |next| next.weight);
            }
        }
    }

    /// What stayed, in the order of the draw.
    pub(crate) fn into_sorted(self) -> Vec<(u64, T)> {
        self.heap.into_sorted_vec().into_iter().map(|one| (one.draw, one.thing)).collect()
    }
}

impl<T> PartialEq for One<T> {
    fn eq(&self, other: &Self) -> bool {
        self.draw == other.draw
    }
}

impl<T> Eq for One<T> {}

impl<T> PartialOrd for One<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for One<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.draw.cmp(&other.draw)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_stays_does_not_depend_on_the_order(things in prop::collection::vec((0_u64..50, 1_usize..9), 0..60), turn in 0_usize..60) {
            let stayed = |things: &[(u64, usize)]| {
                let mut drawn = Drawn::new(40);
                for (draw, weight) in things {
                    drawn.offer(*draw, *weight, || *weight);
                }
                let mut stayed = drawn.into_sorted();
                stayed.sort_unstable();
                stayed
            };
            let mut turned = things.clone();
            turned.rotate_left(turn.min(things.len()));
            let backwards: Vec<_> = things.iter().rev().copied().collect();
            prop_assert_eq!(stayed(&things), stayed(&turned));
            prop_assert_eq!(stayed(&things), stayed(&backwards));
            prop_assert!(stayed(&things).iter().map(|(_, weight)| weight).sum::<usize>() <= 40);
        }
    }
}
