//! Gathering batches within a count and a number of bytes. Pure.

/// What is gathered so far.
#[derive(Debug)]
pub(super) struct Batcher<T> {
    items: Vec<T>,
    bytes: usize,
    max_items: usize,
    max_bytes: usize,
}

impl<T> Batcher<T> {
    pub(super) fn new(max_items: usize, max_bytes: usize) -> Self {
        Self { items: Vec::new(), bytes: 0, max_items, max_bytes }
    }

    /// Takes an item; gives a batch that is full with it, or that has no more room for it. One item alone is a batch even
    /// where it is larger than a batch may be: the destination decides about it.
    pub(super) fn push(&mut self, item: T, bytes: usize) -> Option<Vec<T>> {
        let mut full = None;
        if !self.items.is_empty() && self.bytes.saturating_add(bytes) > self.max_bytes {
            full = Some(self.take());
        }
        self.items.push(item);
        self.bytes = self.bytes.saturating_add(bytes);
        if full.is_none() && self.items.len() >= self.max_items {
            full = Some(self.take());
        }
        full
    }

    /// Gives what is gathered.
    pub(super) fn take(&mut self) -> Vec<T> {
        self.bytes = 0;
        std::mem::take(&mut self.items)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// The two halves of a batch that was refused as a whole, to find the item that is to blame; the item, where it stands alone.
pub(super) fn halves<T>(mut batch: Vec<T>) -> Result<[Vec<T>; 2], T> {
    match batch.pop() {
        Some(last) if batch.is_empty() => Err(last),
        last => {
            batch.extend(last);
            let rear = batch.split_off(batch.len() / 2);
            Ok([batch, rear])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn batches_keep_order_and_bounds(sizes in prop::collection::vec(0_usize..120, 0..200)) {
            let mut batcher = Batcher::new(10, 100);
            let mut batches = Vec::new();
            for (number, size) in sizes.iter().enumerate() {
                batches.extend(batcher.push((number, *size), *size));
            }
            batches.push(batcher.take());
            for batch in &batches {
                let bytes: usize = batch.iter().map(|item| item.1).sum();
                prop_assert!(batch.len() <= 10 && (bytes <= 100 || batch.len() == 1));
            }
            let numbers: Vec<usize> = batches.into_iter().flatten().map(|item| item.0).collect();
            prop_assert_eq!(numbers, (0..sizes.len()).collect::<Vec<_>>());
        }
    }
}
