//! How values stand in columns.

use std::net::{IpAddr, SocketAddr};

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use starling_overlay::group::AddressGroup;

/// A `u64`, kept as the signed number of the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bits(pub(crate) u64);

impl ToSql for Bits {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.cast_signed()))
    }
}

impl FromSql for Bits {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(|number| Self(number.cast_unsigned()))
    }
}

/// A `u64` that SQLite orders or compares: its first bit turned over, so that it sorts as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ordered(pub(crate) u64);

impl ToSql for Ordered {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from((self.0 ^ FIRST_BIT).cast_signed()))
    }
}

impl FromSql for Ordered {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(|number| Self(number.cast_unsigned() ^ FIRST_BIT))
    }
}

const FIRST_BIT: u64 = 1 << 63;

/// What finds damage that the page codes let pass: see `schema/v1.sql`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 16]);

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut digest = [0; 16];
        blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut digest);
        Self(digest)
    }

    /// Hands `bytes` on if they are the ones that were digested.
    pub(crate) fn checked(self, bytes: &[u8]) -> FromSqlResult<&[u8]> {
        if Self::of(bytes) == self { Ok(bytes) } else { Err(FromSqlError::InvalidType) }
    }
}

impl ToSql for Digest {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.as_slice()))
    }
}

impl FromSql for Digest {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        FromSql::column_result(value).map(Self)
    }
}

/// A socket address: 4 or 16 bytes and the port. The scope of a link-local address is not kept: it is the number of an
/// interface, which another start may number otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Socket(pub(crate) SocketAddr);

impl ToSql for Socket {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(socket_bytes(&self.0)))
    }
}

impl FromSql for Socket {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        socket_of(value.as_blob()?).map(Self).ok_or(FromSqlError::InvalidType)
    }
}

/// An address group: a byte for its kind, then its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group(pub(crate) AddressGroup);

const V4: u8 = 1;
const V6: u8 = 2;
const LOCAL: u8 = 3;
const LOOPBACK: u8 = 4;

impl ToSql for Group {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let (kind, content) = match self.0 {
            AddressGroup::V4(bits) => (V4, bits.to_vec()),
            AddressGroup::V6(bits) => (V6, bits.to_vec()),
            AddressGroup::Local(ip) => (LOCAL, ip_bytes(&ip)),
            AddressGroup::Loopback(socket) => (LOOPBACK, socket_bytes(&socket)),
        };
        Ok(ToSqlOutput::from([&[kind], content.as_slice()].concat()))
    }
}

impl FromSql for Group {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let (&kind, content) = value.as_blob()?.split_first().ok_or(FromSqlError::InvalidType)?;
        let group = match kind {
            V4 => content.try_into().ok().map(AddressGroup::V4),
            V6 => content.try_into().ok().map(AddressGroup::V6),
            LOCAL => ip_of(content).map(AddressGroup::Local),
            LOOPBACK => socket_of(content).map(AddressGroup::Loopback),
            _ => None,
        };
        group.map(Self).ok_or(FromSqlError::InvalidType)
    }
}

fn ip_bytes(ip: &IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn ip_of(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn socket_bytes(socket: &SocketAddr) -> Vec<u8> {
    [ip_bytes(&socket.ip()).as_slice(), &socket.port().to_be_bytes()].concat()
}

fn socket_of(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_last_chunk()?;
    Some(SocketAddr::new(ip_of(ip)?, u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;

    fn through_sqlite<T: ToSql + FromSql>(value: &T) -> rusqlite::Result<T> {
        Connection::open_in_memory().unwrap().query_row("SELECT ?1", [value], |row| row.get(0))
    }

    fn group(ip: IpAddr, port: u16, kind: u8) -> AddressGroup {
        match (kind, ip) {
            (0, IpAddr::V4(v4)) => AddressGroup::V4(*v4.octets().first_chunk().unwrap()),
            (0, IpAddr::V6(v6)) => AddressGroup::V6(*v6.octets().first_chunk().unwrap()),
            (1, ip) => AddressGroup::Local(ip),
            (_, ip) => AddressGroup::Loopback(SocketAddr::new(ip, port)),
        }
    }

    proptest! {
        #[test]
        fn columns_round_trip(number: u64, ip: IpAddr, port: u16, kind in 0u8..3) {
            prop_assert_eq!(through_sqlite(&Bits(number)).unwrap(), Bits(number));
            prop_assert_eq!(through_sqlite(&Ordered(number)).unwrap(), Ordered(number));
            let socket = Socket(SocketAddr::new(ip, port));
            prop_assert_eq!(through_sqlite(&socket).unwrap(), socket);
            let group = Group(group(ip, port, kind));
            prop_assert_eq!(through_sqlite(&group).unwrap(), group);
        }

        #[test]
        fn ordered_numbers_sort_as_they_are(left: u64, right: u64) {
            let less: bool = Connection::open_in_memory()
                .unwrap()
                .query_row("SELECT ?1 < ?2", [Ordered(left), Ordered(right)], |row| row.get(0))
                .unwrap();
            prop_assert_eq!(less, left < right);
        }

        #[test]
        fn other_bytes_are_refused(bytes: Vec<u8>) {
            let read = |bytes: &[u8]| Group::column_result(ValueRef::Blob(bytes));
            if let Ok(group) = read(&bytes) {
                let ToSqlOutput::Owned(rusqlite::types::Value::Blob(again)) = group.to_sql().unwrap() else { panic!() };
                prop_assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn a_digest_finds_zeros_in_the_place_of_data() {
        let digest = Digest::of(b"data");
        assert!(digest.checked(b"data").is_ok());
        assert!(digest.checked(&[0; 4]).is_err());
        assert_eq!(through_sqlite(&digest).unwrap(), digest);
    }
}
