//! The seats of `starling-overlay`, shared by the tasks of the pool.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starling_overlay::group::AddressGroup;
use starling_overlay::seats::{Full, Seat as Place, SeatLimits, Seats as Places, Standing};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The seats of all connections, from the first packet of a handshake to the core's notice of the end.
#[derive(Debug, Clone)]
pub(crate) struct Seats {
    places: Arc<Mutex<Places>>,
    freed: Arc<Notify>,
}

/// A seat; free again when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    /// There until it is dropped.
    place: Option<Place>,
}

impl Seats {
    pub(crate) fn new(limits: SeatLimits) -> Self {
        Self { places: Arc::new(Mutex::new(Places::new(limits))), freed: Arc::default() }
    }

    /// A seat for a dial of ours.
    pub(crate) fn outgoing(&self) -> Result<Seat, Full> {
        let place = self.lock().outgoing()?;
        Ok(self.seat(place))
    }

    /// A seat for a connection from `address`.
    pub(crate) fn incoming(&self, address: &SocketAddr) -> Result<Seat, Full> {
        let place = self.lock().incoming(AddressGroup::of(address))?;
        Ok(self.seat(place))
    }

    /// Which of these makes room for a connection from `address`.
    pub(crate) fn room_for<K>(&self, address: &SocketAddr, standing: Vec<Standing<K>>) -> Option<K> {
        self.lock().room_for(AddressGroup::of(address), standing)
    }

    /// Resolves when a seat that is taken now is free.
    pub(crate) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    fn seat(&self, place: Place) -> Seat {
        Seat { seats: self.clone(), place: Some(place) }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // No code that holds the lock can panic, so a poisoned lock holds whole counts.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The group that an incoming connection counts against.
    pub(crate) fn group(&self) -> Option<AddressGroup> {
        self.place.as_ref().and_then(Place::group)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.seats.lock().free(place);
        }
        self.seats.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_that_is_dropped_is_free() {
        let seats = Seats::new(SeatLimits { connections: 1, ..SeatLimits::default() });
        let seat = seats.incoming(&"8.8.8.1:1".parse().unwrap()).unwrap();
        assert_eq!(seats.outgoing().unwrap_err(), Full);
        drop(seat);
        assert_eq!(seats.lock().taken(), 0);
        assert!(seats.outgoing().is_ok());
    }
}
