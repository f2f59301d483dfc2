//! The exact names under which this server may be called.
//!
//! A page of a foreign site can make a browser call us: by a name of its own that it lets point here (DNS rebinding,
//! seen in `Host`), or across origins (seen in `Origin`). Neither is on the list, and nothing is normalised: a
//! trailing dot, another port or capitals are another name.

use core::net::SocketAddr;

use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Uri};

use super::failure::Failure;
use crate::announce::ApiAddress;
use crate::types::Code;

/// The names, as `Host` writes them.
#[derive(Debug, Clone)]
pub(super) struct Hosts {
    names: Vec<String>,
    /// Pages of these names may call; nobody serves pages over a Unix socket.
    pages: bool,
}

impl Hosts {
    /// The names of a server that listens at `address`, and `extra` ones, each with its port.
    pub(super) fn new(address: &ApiAddress, extra: &[String]) -> Self {
        let mut names = match address {
            ApiAddress::Tcp(socket) => tcp_names(*socket),
            ApiAddress::Unix(_) => vec!["localhost".to_owned()],
        };
        names.extend_from_slice(extra);
        Self { names, pages: matches!(address, ApiAddress::Tcp(_)) }
    }

    /// Refuses a request that was meant for another host or comes from another page.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
        let host = single(headers, &HOST).map_err(|Several| bad_host())?.ok_or_else(bad_host)?;
        // `GET http://evil.example/ HTTP/1.1` names a host too.
        let in_line = uri.authority().is_none_or(|authority| self.knows(authority.as_str().as_bytes()));
        if !self.knows(host.as_bytes()) || !in_line {
            return Err(bad_host());
        }
        match single(headers, &ORIGIN) {
            Ok(None) => Ok(()),
            Ok(Some(origin)) if self.is_own_page(origin.as_bytes()) => Ok(()),
            _ => Err(bad_origin()),
        }
    }

    fn knows(&self, host: &[u8]) -> bool {
        self.names.iter().any(|name| name.as_bytes() == host)
    }

    fn is_own_page(&self, origin: &[u8]) -> bool {
        self.pages && origin.strip_prefix(b"http://").is_some_and(|host| self.knows(host))
    }
}

/// A header line that must be the only one of its name.
pub(super) fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h HeaderValue>, Several> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(Several) } else { Ok(first) }
}

/// There were several lines where one is allowed.
#[derive(Debug)]
pub(super) struct Several;

/// The socket's own spelling and `localhost`. An unspecified address is nobody's name: then loopback's.
fn tcp_names(socket: SocketAddr) -> Vec<String> {
    let port = socket.port();
    let mut names = vec![format!("localhost:{port}")];
    if socket.ip().is_unspecified() {
        names.push(format!("127.0.0.1:{port}"));
        if socket.is_ipv6() {
            names.push(format!("[::1]:{port}"));
        }
    } else {
        names.push(socket.to_string());
    }
    // A browser leaves the standard port out.
    if port == 80 {
        let short: Vec<String> =
            names.iter().filter_map(|n| n.strip_suffix(":80").map(str::to_owned)).collect();
        names.extend(short);
    }
    names
}

fn bad_host() -> Failure {
    Failure::new(
        Code::BadHost,
        "the Host header does not name this server",
        "call the address that api.json in the node's home gives, or localhost with the same port",
    )
}

fn bad_origin() -> Failure {
    Failure::new(
        Code::BadOrigin,
        "the Origin header is not of this server's own page",
        "other pages may not call the API; a program sends no Origin header",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(address: &str) -> Hosts {
        Hosts::new(&address.parse().unwrap(), &[])
    }

    fn check(hosts: &Hosts, host: &str, origin: Option<&str>) -> Result<(), Code> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        hosts.check(&Uri::from_static("/x"), &headers).map_err(|failure| {
            let status = axum::response::IntoResponse::into_response(failure).status();
            assert_eq!(status, 403);
            Code::BadHost
        })
    }

    #[test]
    fn own_names_pass() {
        for (address, names) in [
            ("127.0.0.1:4040", &["127.0.0.1:4040", "localhost:4040"][..]),
            ("[::1]:4040", &["[::1]:4040", "localhost:4040"]),
            ("0.0.0.0:4040", &["127.0.0.1:4040", "localhost:4040"]),
            ("127.0.0.1:80", &["127.0.0.1:80", "localhost"]),
            ("unix:/x", &["localhost"]),
        ] {
            for name in names {
                assert_eq!(check(&hosts(address), name, None), Ok(()), "{address} {name}");
            }
        }
    }

    #[test]
    fn api_01_every_other_name_is_refused() {
        let hosts = hosts("127.0.0.1:4040");
        for name in [
            "evil.example",
            "evil.example:4040",
            "127.0.0.1",
            "127.0.0.1:4041",
            "127.0.0.1:40400",
            "127.0.0.1:4040.",
            "localhost.:4040",
            "localhost",
            "LOCALHOST:4040",
            "127.1:4040",
            "2130706433:4040",
            "[::ffff:127.0.0.1]:4040",
            "0.0.0.0:4040",
            "user@127.0.0.1:4040",
            "",
        ] {
            assert_eq!(check(&hosts, name, None), Err(Code::BadHost), "{name:?}");
        }
    }

    #[test]
    fn api_02_every_other_origin_is_refused() {
        let hosts = hosts("127.0.0.1:4040");
        for origin in ["http://127.0.0.1:4040", "http://localhost:4040"] {
            assert_eq!(check(&hosts, "localhost:4040", Some(origin)), Ok(()));
        }
        for origin in [
            "null",
            "http://evil.example",
            "https://127.0.0.1:4040",
            "http://127.0.0.1:4041",
            "http://127.0.0.1:4040/",
            "http://127.0.0.1:4040.evil.example",
            "127.0.0.1:4040",
            "",
        ] {
            assert_eq!(check(&hosts, "localhost:4040", Some(origin)), Err(Code::BadHost), "{origin:?}");
        }
        let unix = Hosts::new(&"unix:/x".parse().unwrap(), &[]);
        assert_eq!(check(&unix, "localhost", Some("http://localhost")), Err(Code::BadHost));
    }

    #[test]
    fn two_hosts_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(HOST, HeaderValue::from_static("localhost:4040"));
        headers.append(HOST, HeaderValue::from_static("localhost:4040"));
        assert!(hosts("127.0.0.1:4040").check(&Uri::from_static("/x"), &headers).is_err());
        assert!(hosts("127.0.0.1:4040").check(&Uri::from_static("/x"), &HeaderMap::new()).is_err());
    }

    #[test]
    fn a_foreign_host_in_the_request_line_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost:4040"));
        let hosts = hosts("127.0.0.1:4040");
        assert!(hosts.check(&Uri::from_static("http://evil.example/x"), &headers).is_err());
        assert!(hosts.check(&Uri::from_static("http://localhost:4040/x"), &headers).is_ok());
    }
}
