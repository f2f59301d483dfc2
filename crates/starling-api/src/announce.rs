//! `api.json`: how the owner's programs find a running node and prove that they are the owner's.

use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::token::Token;

/// The file's name within the home.
pub const API_FILE: &str = "api.json";
/// The socket's name within the home.
pub const API_SOCKET: &str = "api.sock";

/// Where a node's API listens: `IP:PORT`, or `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiAddress {
    /// A TCP socket.
    Tcp(SocketAddr),
    /// A Unix socket that only its owner can open.
    Unix(PathBuf),
}

/// A text that is no address of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected IP:PORT or unix:PATH")]
pub struct AddressError;

/// Address and token, as `api.json` holds them.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// Where to call.
    pub address: ApiAddress,
    /// What to show.
    pub token: Token,
}

/// Why `api.json` could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnnounceError {
    /// There is none: no node is running for this home.
    #[error("there is no {API_FILE} in this home")]
    Absent,
    /// The file cannot be read or written.
    #[error("{API_FILE}: {0}")]
    Io(#[from] io::Error),
    /// The file is not what a node writes.
    #[error("{API_FILE} is damaged: {0}")]
    Damaged(String),
}

/// The file's JSON.
#[derive(Serialize, Deserialize)]
struct OnDisk {
    address: String,
    token: String,
}

impl Announcement {
    /// Reads the announcement of the node that runs for `home`, or ran and was killed.
    ///
    /// # Errors
    /// [`AnnounceError`]: no such file, an unreadable one, or a damaged one.
    pub fn read(home: &Path) -> Result<Self, AnnounceError> {
        let file = match File::open(home.join(API_FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(AnnounceError::Absent),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = zeroize::Zeroizing::new(Vec::new());
        file.take(limits::API_FILE_BYTES).read_to_end(&mut bytes)?;
        let damaged = |what: &str| AnnounceError::Damaged(what.to_owned());
        // serde's own message may quote the token.
        let disk: OnDisk =
            serde_json::from_slice(&bytes).map_err(|_| damaged("expected address and token"))?;
        Ok(Self {
            address: disk.address.parse().map_err(|error: AddressError| damaged(&error.to_string()))?,
            token: zeroize::Zeroizing::new(disk.token).parse().map_err(|_| damaged("expected a token"))?,
        })
    }

    /// Writes the announcement so that a reader sees the old file or the new one, and only the owner either.
    ///
    /// # Errors
    /// [`AnnounceError::Io`] from beneath.
    pub fn write(&self, home: &Path) -> Result<(), AnnounceError> {
        let disk = OnDisk { address: self.address.to_string(), token: self.token.reveal().to_owned() };
        let mut text = serde_json::to_vec(&disk).map_err(io::Error::from)?;
        text.push(b'\n');
        let temporary = home.join(format!("{API_FILE}.new"));
        // What a killed node left there may have other rights: it is removed, not reused.
        remove_if_there(&temporary)?;
        let mut file = owner_only().open(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&temporary, home.join(API_FILE))?;
        Ok(())
    }

    /// Removes the announcement, unless another node has put its own in place.
    ///
    /// # Errors
    /// [`AnnounceError::Io`] from beneath.
    pub fn withdraw(&self, home: &Path) -> Result<(), AnnounceError> {
        match Self::read(home) {
            Ok(found) if found.token.is(self.token.reveal().as_bytes()) => {
                Ok(remove_if_there(&home.join(API_FILE))?)
            }
            Ok(_) | Err(AnnounceError::Absent | AnnounceError::Damaged(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Removes a file that may not be there.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a new file that nobody else can open, from its first moment on.
fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

impl fmt::Display for ApiAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for ApiAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix("unix:") {
            Some("") => Err(AddressError),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| AddressError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement() -> Announcement {
        Announcement {
            address: ApiAddress::Tcp("127.0.0.1:4040".parse().unwrap()),
            token: Token::generate().unwrap(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let home = tempfile::tempdir().unwrap();
        let written = announcement();
        written.write(home.path()).unwrap();
        let read = Announcement::read(home.path()).unwrap();
        assert_eq!(read.address, written.address);
        assert!(read.token.is(written.token.reveal().as_bytes()));
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        // Left by a killed node, open to all: its rights must not survive.
        let left = home.path().join("api.json.new");
        fs::write(&left, "x").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o666)).unwrap();
        announcement().write(home.path()).unwrap();
        let mode = fs::metadata(home.path().join(API_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!left.exists());
    }

    #[test]
    fn only_ones_own_is_withdrawn() {
        let home = tempfile::tempdir().unwrap();
        let (mine, other) = (announcement(), announcement());
        other.write(home.path()).unwrap();
        mine.withdraw(home.path()).unwrap();
        assert!(home.path().join(API_FILE).exists());
        other.withdraw(home.path()).unwrap();
        assert!(!home.path().join(API_FILE).exists());
        other.withdraw(home.path()).unwrap();
    }

    #[test]
    fn damage_is_told_apart_from_absence() {
        let home = tempfile::tempdir().unwrap();
        assert!(matches!(Announcement::read(home.path()), Err(AnnounceError::Absent)));
        let secret = "5".repeat(64);
        for text in ["", "{}", "null", &format!(r#"{{"address":"x","token":"{secret}"}}"#)] {
            fs::write(home.path().join(API_FILE), text).unwrap();
            let error = Announcement::read(home.path()).unwrap_err();
            assert!(matches!(error, AnnounceError::Damaged(_)), "{text}");
            assert!(!error.to_string().contains(&secret));
        }
    }

    #[test]
    fn addresses_round_trip() {
        for text in ["127.0.0.1:1", "[::1]:65535", "unix:/srv/somewhere/api.sock"] {
            assert_eq!(text.parse::<ApiAddress>().unwrap().to_string(), text);
        }
        for text in ["", "unix:", "localhost:1", "127.0.0.1", "http://127.0.0.1:1"] {
            assert_eq!(text.parse::<ApiAddress>(), Err(AddressError), "{text:?}");
        }
    }
}
