//! What the machine gives: time and ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Checkup;

/// 2025-01-01T00:00:00Z, in seconds: this program is younger.
const EARLIEST: u64 = 1_735_689_600;
/// 2100-01-01T00:00:00Z, in seconds.
const LATEST: u64 = 4_102_444_800;

/// Checks the clock, and whether a node could listen at `listen`.
pub(super) fn check(listen: SocketAddr, checkup: &mut Checkup) {
    clock(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()), checkup);
    udp(listen, checkup);
    api(checkup);
}

fn clock(now: u64, checkup: &mut Checkup) {
    if (EARLIEST..LATEST).contains(&now) {
        checkup.ok("clock", "plausible");
    } else {
        let message = format!("{now} seconds after 1970 cannot be the time");
        checkup.fail("clock", message, "set the clock: records and certificates depend on the date");
    }
}

fn udp(listen: SocketAddr, checkup: &mut Checkup) {
    match UdpSocket::bind(listen) {
        Ok(_) if listen.port() == 0 => checkup.ok("udp port", "a node can listen for peers"),
        Ok(_) => checkup.ok("udp port", format!("a node can listen for peers at {listen}")),
        Err(error) => checkup.fail(
            "udp port",
            format!("a node cannot listen for peers at {listen}: {error}"),
            "choose another address or port with `starling run --listen`, or end what listens there",
        ),
    }
}

fn api(checkup: &mut Checkup) {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, 0)) {
        Ok(_) => checkup.ok("api port", "a node can listen for commands on this machine"),
        Err(error) => checkup.fail(
            "api port",
            format!("a node cannot listen for commands on this machine: {error}"),
            "use `starling run --api unix`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    fn outcome(check: impl FnOnce(&mut Checkup)) -> Outcome {
        let mut checkup = Checkup::default();
        check(&mut checkup);
        checkup.checks[0].status
    }

    #[test]
    fn an_impossible_time_is_seen() {
        for (now, expected) in [
            (0, Outcome::Fail),
            (EARLIEST, Outcome::Ok),
            (LATEST - 1, Outcome::Ok),
            (LATEST, Outcome::Fail),
            (u64::MAX, Outcome::Fail),
        ] {
            assert_eq!(outcome(|checkup| clock(now, checkup)), expected, "{now}");
        }
    }

    #[test]
    fn a_taken_port_is_seen() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(outcome(|checkup| udp(address, checkup)), Outcome::Fail);
        drop(taken);
        assert_eq!(outcome(|checkup| udp(address, checkup)), Outcome::Ok);
    }
}
