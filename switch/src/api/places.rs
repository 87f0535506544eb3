//! Places for connections, and who has to give his up when all are taken: whoever has kept one for longest without a request
//! that the controller works on. So those who connect and say nothing, or half a request, lock nobody out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tracing::debug;

tokio::task_local! {
    /// That of the connection whose request is being answered.
    static PLACE: Arc<Place>;
}

/// All places, and those that can be taken back, the longest idle first.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    idle: Mutex<BTreeMap<u64, Arc<Notify>>>,
    next: AtomicU64,
}

/// A connection's place.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    /// Told to give it up.
    told: Arc<Notify>,
    /// Its number among the idle ones; 0 while it is not one.
    number: AtomicU64,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// So many.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(most)),
            idle: Mutex::default(),
            next: AtomicU64::new(1),
        })
    }

    /// A place, somebody else's if there is no other. Waits where all are busy.
    pub(super) async fn take(self: &Arc<Self>) -> Arc<Place> {
        let permit = match self.free.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                if let Some((_, longest)) = self.idle().pop_first() {
                    debug!("every connection to the control socket is taken: the longest idle one is closed");
                    longest.notify_one();
                }
                self.free.clone().acquire_owned().await.expect("the semaphore is never closed")
            }
        };
        let told = Arc::new(Notify::new());
        let place =
            Arc::new(Place { places: self.clone(), told, number: AtomicU64::new(0), _permit: permit });
        place.rest();
        place
    }

    fn idle(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Notify>>> {
        // Nothing panics while it is held.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Until somebody else needs it.
    pub(super) async fn is_needed(&self) {
        self.told.notified().await;
    }

    /// Runs the answering of a request of this connection.
    pub(super) async fn answering<T>(self: Arc<Self>, answer: impl Future<Output = T>) -> T {
        PLACE.scope(self, answer).await
    }

    fn rest(&self) {
        let number = self.places.next.fetch_add(1, Ordering::Relaxed);
        self.number.store(number, Ordering::Relaxed);
        self.places.idle().insert(number, self.told.clone());
    }

    fn work(&self) {
        self.places.idle().remove(&self.number.swap(0, Ordering::Relaxed));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.work();
    }
}

/// While it lives, the connection at hand keeps its place.
pub(super) struct Busy(Option<Arc<Place>>);

/// The controller begins to work for the connection at hand.
pub(super) fn busy() -> Busy {
    let place = PLACE.try_with(Arc::clone).ok();
    if let Some(place) = &place {
        place.work();
    }
    Busy(place)
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(place) = &self.0 {
            place.rest();
        }
    }
}
