//! Peers that answered.

use std::net::SocketAddr;

use rusqlite::Connection;
use starling_core::storage::{PeerStore, StorageError};
use starling_proto::addr::Peer;
use starling_proto::ids::NodeKey;
use starling_proto::time::UnixSeconds;

use crate::Database;
use crate::columns::Socket;

const PART: &str = "peers";

const SELECT_ALL: &str = "
    SELECT peers.node_key, address.socket
    FROM peers LEFT JOIN peer_addresses AS address USING (node_key)
    ORDER BY peers.answered_s DESC, peers.node_key, address.position";

const UPSERT: &str = "
    INSERT INTO peers (node_key, answered_s) VALUES (?1, ?2)
    ON CONFLICT (node_key) DO UPDATE SET answered_s = excluded.answered_s";

const DELETE_ADDRESSES: &str = "DELETE FROM peer_addresses WHERE node_key = ?1";

const INSERT_ADDRESS: &str = "INSERT INTO peer_addresses (node_key, position, socket) VALUES (?1, ?2, ?3)";

const DELETE: &str = "DELETE FROM peers WHERE node_key = ?1";

impl PeerStore for Database {
    fn known_peers(&self) -> Result<Vec<Peer>, StorageError> {
        let rows = self.read(PART, rows)?;
        let peers = rows.chunk_by(|left, right| left.0 == right.0).filter_map(|rows| {
            let key = NodeKey::new(rows.first()?.0);
            Some(Peer::new(key, rows.iter().filter_map(|row| row.1)))
        });
        Ok(peers.collect())
    }

    fn write_peer(&mut self, peer: &Peer, at: UnixSeconds) -> Result<(), StorageError> {
        // Read in this order by SQLite, so a clock beyond the year 292 billion counts as that.
        let answered_s = i64::try_from(at.get()).unwrap_or(i64::MAX);
        let written = self.write(PART, |connection| {
            let key = peer.key();
            connection.prepare_cached(UPSERT)?.execute((key.as_bytes(), answered_s))?;
            connection.prepare_cached(DELETE_ADDRESSES)?.execute([key.as_bytes()])?;
            let mut insert = connection.prepare_cached(INSERT_ADDRESS)?;
            for (position, &address) in (0i64..).zip(peer.addresses()) {
                insert.execute((key.as_bytes(), position, Socket(address)))?;
            }
            Ok(())
        });
        Ok(written?)
    }

    fn remove_peer(&mut self, key: &NodeKey) -> Result<(), StorageError> {
        let removed =
            self.write(PART, |connection| connection.prepare_cached(DELETE)?.execute([key.as_bytes()]));
        removed?;
        Ok(())
    }
}

/// One row for each address, and one for a peer without any.
fn rows(connection: &Connection) -> rusqlite::Result<Vec<([u8; NodeKey::LEN], Option<SocketAddr>)>> {
    let mut statement = connection.prepare_cached(SELECT_ALL)?;
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, Option<Socket>>(1)?.map(|socket| socket.0))))?;
    rows.collect()
}
