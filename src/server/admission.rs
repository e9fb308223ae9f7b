//! Places for requests that bring work. There are so many and no more; one client holds three quarters of them at most,
//! so that another still gets in. Who finds no place is told at once when to come again, instead of waiting in memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::ApiError;

/// The places of a server.
#[derive(Debug)]
pub struct Places {
    total: usize,
    per_client: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// A place; free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    client: IpAddr,
}

impl Places {
    pub fn new(total: usize) -> Arc<Self> {
        Arc::new(Self { total, per_client: (total * 3).div_ceil(4), taken: Mutex::default() })
    }

    /// Takes a place for a client.
    ///
    /// # Errors
    /// 503 where all are taken, 429 where this client has its share.
    pub fn enter(self: &Arc<Self>, client: IpAddr) -> Result<Place, ApiError> {
        let mut taken = self.lock();
        if taken.all >= self.total {
            return Err(ApiError::busy());
        }
        let of_client = taken.by_client.entry(client).or_default();
        if *of_client >= self.per_client {
            return Err(ApiError::too_many());
        }
        *of_client += 1;
        taken.all += 1;
        Ok(Place { places: self.clone(), client })
    }

    /// Places taken now, and all there are.
    pub fn taken(&self) -> (usize, usize) {
        (self.lock().all, self.total)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all -= 1;
        if let Some(of_client) = taken.by_client.get_mut(&self.client) {
            *of_client -= 1;
            if *of_client == 0 {
                taken.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use std::net::Ipv4Addr;

    use axum::http::StatusCode;
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn one_client_leaves_room_and_places_come_back() {
        let client = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        let status = |refused: Result<Place, ApiError>| refused.unwrap_err().into_response().status();
        let places = Places::new(4);
        let mut held: Vec<_> = (0..3).map(|_| places.enter(client(1)).unwrap()).collect();
        assert_eq!(status(places.enter(client(1))), StatusCode::TOO_MANY_REQUESTS);
        held.push(places.enter(client(2)).unwrap());
        assert_eq!(status(places.enter(client(3))), StatusCode::SERVICE_UNAVAILABLE);
        drop(held);
        assert_eq!(places.taken(), (0, 4));
        assert!(places.lock().by_client.is_empty());
        assert!(Places::new(1).enter(client(1)).is_ok());
    }
}
