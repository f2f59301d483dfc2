//! Connections that others open: counted before a byte of handshake is spent on them.

use std::sync::Arc;

use super::{Pool, Seat};
use crate::limits;
use crate::transport::{CloseCode, Connection, Incoming, Transport};

impl<T: Transport> Pool<T> {
    /// Accepts connections until the node ends.
    pub(super) async fn accept_all(self) {
        loop {
            let incoming = tokio::select! {
                incoming = self.0.transport.accept() => incoming,
                () = self.stopping() => return,
            };
            match incoming {
                Some(incoming) => self.admit(incoming),
                None => return,
            }
        }
    }

    /// Decides, without waiting, what becomes of a first packet.
    fn admit(&self, incoming: T::Incoming) {
        let Ok(handshake) = Arc::clone(&self.0.handshakes).try_acquire_owned() else {
            incoming.ignore();
            return;
        };
        let under_way = self.0.limits.handshakes.saturating_sub(self.0.handshakes.available_permits());
        if under_way > limits::HANDSHAKES_UNPROVEN && !incoming.address_proven() {
            incoming.prove_address();
            return;
        }
        let seat = self.0.seats.incoming(&incoming.address());
        if seat.is_err() && !incoming.address_proven() {
            // Forged addresses may close nobody's connection.
            incoming.prove_address();
            return;
        }
        let pool = self.clone();
        tokio::spawn(async move {
            let greeted =
                tokio::time::timeout(pool.0.limits.handshake_time, pool.welcome(incoming, seat.ok()));
            if greeted.await.is_err() {
                tracing::debug!("an incoming connection did not greet in time");
            }
            drop(handshake);
        });
    }

    async fn welcome(&self, incoming: T::Incoming, seat: Option<Seat>) {
        let seat = match seat {
            Some(seat) => Some(seat),
            None => self.seat_for(&incoming.address()).await,
        };
        match seat {
            Some(seat) => self.handshake(incoming, seat).await,
            None => {
                tracing::debug!("an incoming connection found no seat");
                incoming.refuse();
            }
        }
    }

    async fn handshake(&self, incoming: T::Incoming, seat: Seat) {
        let Ok(connection) = incoming.accept().await else { return };
        // Closes the connection if this future is dropped at the deadline, too.
        let ungreeted = Ungreeted(Some(connection));
        let Some(connection) = &ungreeted.0 else { return };
        if let Some(hello) = self.greet_back(connection).await
            && !self.is_stopping()
        {
            self.add(connection.clone(), hello, false, seat);
            ungreeted.keep();
        }
    }
}

/// A connection that is closed unless it is kept.
pub(super) struct Ungreeted<C: Connection>(pub(super) Option<C>);

impl<C: Connection> Ungreeted<C> {
    pub(super) fn keep(mut self) {
        self.0 = None;
    }
}

impl<C: Connection> Drop for Ungreeted<C> {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.close(CloseCode::NotGreeted);
        }
    }
}
