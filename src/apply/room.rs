//! Room in the pipeline: without it nothing is received, so that a slow destination slows the receiving.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in these, so that their sum fits a semaphore's permits.
const UNIT: usize = 1024;

/// Room in the pipeline, in messages and in bytes. A message takes its place when it is received and gives it back when it
/// is deleted or stays; without room nothing is received, so that a slow destination slows the receiving.
#[derive(Debug)]
pub(super) struct Room {
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    units: u32,
    /// What the last receive brought, in units: what the next is expected to bring. Zero until one has brought anything.
    expected: AtomicU32,
    /// Held by whoever receives while nobody knows what to expect. The others wait until it is known: with very large messages,
    /// each receive can take as much memory as all the room is meant for.
    first: Arc<AsyncMutex<()>>,
    /// Shared with every place that is taken, which counts them.
    taken: Arc<()>,
}

/// Room for what a receive may bring.
#[derive(Debug)]
pub(super) struct Reservation {
    messages: OwnedSemaphorePermit,
    bytes: OwnedSemaphorePermit,
    _first: Option<OwnedMutexGuard<()>>,
}

/// A message's place in the pipeline; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _message: Option<OwnedSemaphorePermit>,
    _bytes: Option<OwnedSemaphorePermit>,
    _taken: Arc<()>,
}

impl Room {
    pub(super) fn new(messages: usize, bytes: usize) -> Self {
        let units = u32::try_from((bytes / UNIT).max(1)).unwrap_or(u32::MAX);
        let permits = usize::try_from(units).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self {
            messages: Arc::new(Semaphore::new(messages)),
            bytes: Arc::new(Semaphore::new(permits)),
            units,
            expected: AtomicU32::new(0),
            first: Arc::default(),
            taken: Arc::new(()),
        }
    }

    /// Waits for room for this many messages, and for as many bytes as the last receive brought; for all before any did.
    pub(super) async fn reserve(&self, messages: u32) -> Option<Reservation> {
        let expected = || Some(self.expected.load(Ordering::Relaxed)).filter(|units| *units > 0);
        let first = match expected() {
            None => Some(Arc::clone(&self.first).lock_owned().await).filter(|_| expected().is_none()),
            Some(_) => None,
        };
        let messages = Arc::clone(&self.messages).acquire_many_owned(messages).await.ok()?;
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(expected().unwrap_or(self.units)).await.ok()?;
        Some(Reservation { messages, bytes, _first: first })
    }

    /// Takes the places of messages out of a reservation, once their sizes are known; gives back the rest of it. Where they
    /// are more than was expected, what was reserved is given back first and all their bytes are waited for at once:
    /// receivers that held some while they wait for more could wait for each other for ever.
    pub(super) async fn places(&self, reservation: Reservation, sizes: &[usize]) -> Vec<Place> {
        let Reservation { mut messages, bytes, .. } = reservation;
        let units = |bytes: &usize| u32::try_from(bytes / UNIT + 1).unwrap_or(u32::MAX).min(self.units);
        let all = sizes.iter().map(units).fold(0, u32::saturating_add).min(self.units);
        self.expected.store(all, Ordering::Relaxed);
        let enough = usize::try_from(all).is_ok_and(|all| all <= bytes.num_permits());
        let mut bytes = Some(bytes).filter(|_| enough);
        if bytes.is_none() {
            bytes = Arc::clone(&self.bytes).acquire_many_owned(all).await.ok();
        }
        let place = |size| {
            let share = |bytes: &mut OwnedSemaphorePermit| {
                let wanted = usize::try_from(units(size)).unwrap_or(usize::MAX);
                bytes.split(wanted.min(bytes.num_permits()))
            };
            let bytes = bytes.as_mut().and_then(share);
            Place { _message: messages.split(1), _bytes: bytes, _taken: Arc::clone(&self.taken) }
        };
        sizes.iter().map(place).collect()
    }

    /// Whether no message has a place.
    pub(super) fn is_empty(&self) -> bool {
        Arc::strong_count(&self.taken) == 1
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn receivers_that_wait_for_bytes_never_wait_for_each_other() {
        // All wait for bytes at once; each batch needs more than half of the room.
        let room = Arc::new(Room::new(100, 10 * UNIT));
        let everything = room.places(room.reserve(1).await.expect("open"), &[9 * UNIT]).await;
        let batches: Vec<_> = (0..4)
            .map(|_| {
                let room = Arc::clone(&room);
                let reservation = async move {
                    let reservation = room.reserve(10).await.expect("open");
                    room.places(reservation, &[UNIT; 4]).await.len()
                };
                tokio::spawn(reservation)
            })
            .collect();
        tokio::task::yield_now().await;
        drop(everything);
        for batch in batches {
            let placed = tokio::time::timeout(Duration::from_secs(20), batch).await.expect("no deadlock");
            assert_eq!(placed.expect("placed"), 4);
        }
        assert!(room.is_empty());
    }

    #[tokio::test]
    async fn a_batch_larger_than_the_room_gets_all_of_it_and_gives_it_back() {
        let room = Room::new(10, 4 * UNIT);
        let reservation = room.reserve(10).await.expect("open");
        let places = room.places(reservation, &[100 * UNIT, 1, 1]).await;
        assert_eq!((places.len(), room.is_empty()), (3, false));
        assert_eq!((room.messages.available_permits(), room.bytes.available_permits()), (7, 0));
        drop(places);
        assert!(room.is_empty());
        assert_eq!((room.messages.available_permits(), room.bytes.available_permits()), (10, 4));
    }

    #[tokio::test]
    async fn room_is_kept_for_as_much_as_the_last_receive_brought() {
        let room = Room::new(100, 20 * UNIT);
        drop(room.places(room.reserve(10).await.expect("open"), &[2 * UNIT; 4]).await);
        let next = room.reserve(10).await.expect("open");
        assert_eq!(room.bytes.available_permits(), 20 - 12, "before anything is received");
        let places = room.places(next, &[1, 1]).await;
        let left = (room.messages.available_permits(), room.bytes.available_permits());
        assert_eq!(left, (98, 18), "the rest is given back");
        drop(places);
        assert_eq!(room.bytes.available_permits(), 20);
    }

    /// What a future gives without anything having to happen first.
    async fn at_once<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        tokio::select! {
            biased;
            value = future => Some(value),
            () = std::future::ready(()) => None,
        }
    }

    #[tokio::test]
    async fn the_first_receive_has_all_the_room_and_the_others_wait_for_what_it_tells() {
        let room = Room::new(100, 20 * UNIT);
        for _ in 0..2 {
            let first = room.reserve(10).await.expect("open");
            assert_eq!(room.bytes.available_permits(), 0);
            let mut second = std::pin::pin!(room.reserve(10));
            assert!(at_once(second.as_mut()).await.is_none());
            // It brought nothing, so the next is as good as the first.
            drop(first);
            assert_eq!(second.await.expect("open").bytes.num_permits(), 20);
        }
        let first = room.reserve(10).await.expect("open");
        let (mut second, mut third) = (std::pin::pin!(room.reserve(10)), std::pin::pin!(room.reserve(10)));
        assert!(at_once(second.as_mut()).await.is_none() && at_once(third.as_mut()).await.is_none());
        let places = room.places(first, &[1; 4]).await;
        let both = (at_once(second).await.flatten(), at_once(third).await.flatten());
        assert!(both.0.is_some() && both.1.is_some());
        assert_eq!((room.bytes.available_permits(), room.messages.available_permits()), (20 - 12, 100 - 24));
        drop((places, both));
        assert!(room.is_empty());
        assert_eq!((room.bytes.available_permits(), room.messages.available_permits()), (20, 100));
    }
}
