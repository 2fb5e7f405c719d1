//! Taking a TCP port or an owner-only Unix socket.
//!
//! The errors name the setting that asked for the address and what to do, because they are the first
//! thing that a new user sees. Accepting from a [`Listener`] is [`crate::server::serve`]'s.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::tls::ServerTls;

/// Longest path that fits into `sockaddr_un` on Linux, without the closing NUL (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// A taken address. Dropping it gives the address back; a Unix socket's file is removed then.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A TCP port on which TLS is spoken.
    Tls(TcpListener, Arc<ServerTls>),
    /// A Unix socket that only its owner (and root) may use.
    Unix(OwnerSocket),
}

/// Why an address could not be taken: one line with the setting, the address and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: cannot listen on {address}: {what}")]
pub struct ListenError {
    setting: String,
    address: String,
    what: String,
}

impl Listener {
    /// Takes a TCP port; port 0 takes a free one, see [`Listener::address`].
    ///
    /// `setting` is the configuration's key, such as `ingress.listen`, for the error.
    ///
    /// # Errors
    /// [`ListenError`] when the port is in use, needs privileges or the address is not this machine's.
    pub async fn tcp(address: SocketAddr, setting: &str) -> Result<Listener, ListenError> {
        let bound = TcpListener::bind(address).await;
        bound.map(Listener::Tcp).map_err(|error| ListenError {
            setting: setting.to_owned(),
            address: address.to_string(),
            what: tcp_advice(&error, address),
        })
    }

    /// Takes a Unix socket with mode 0600 whose peers must be its owner or root.
    ///
    /// A socket file that nobody answers on is the leftover of a killed process and is replaced. Anything
    /// else at `path` is left alone. The folder must exist.
    ///
    /// # Errors
    /// [`ListenError`] when another process answers there, something else has the name, or the path is
    /// longer than 107 bytes.
    ///
    /// # Cancellation
    /// Dropping the future may leave a stale socket file, which the next call replaces.
    pub async fn unix(path: &Path, setting: &str) -> Result<Listener, ListenError> {
        let bound = OwnerSocket::bind(path).await;
        bound.map(Listener::Unix).map_err(|what| ListenError {
            setting: setting.to_owned(),
            address: path.display().to_string(),
            what,
        })
    }

    /// The same port with TLS; a Unix socket stays as it is, since its peers are known without.
    #[must_use]
    pub fn secured(self, tls: Arc<ServerTls>) -> Listener {
        match self {
            Listener::Tcp(listener) | Listener::Tls(listener, _) => Listener::Tls(listener, tls),
            Listener::Unix(socket) => Listener::Unix(socket),
        }
    }

    /// The TCP address that was taken, with the real port; `None` for a Unix socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) | Listener::Tls(listener, _) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        }
    }
}

fn tcp_advice(error: &io::Error, address: SocketAddr) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "the port is in use by another process; stop that one (`ss -ltnp sport = :{port}` shows it) or \
             choose another port"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("port {port} needs privileges; choose one of 1024 or above")
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; use 127.0.0.1 for local clients, 0.0.0.0 for all".to_owned()
        }
        _ => error.to_string(),
    }
}

/// A Unix socket whose file goes when it is dropped.
#[derive(Debug)]
pub struct OwnerSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
    owner: u32,
}

impl OwnerSocket {
    pub(crate) fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// The peer's user, if that one may talk to us: the file's mode says so already, but modes can be changed.
    pub(crate) fn allowed(&self, peer: &UnixStream) -> Option<u32> {
        let uid = peer.peer_cred().ok()?.uid();
        (uid == self.owner || uid == 0).then_some(uid)
    }

    async fn bind(path: &Path) -> Result<OwnerSocket, String> {
        let length = path.as_os_str().len();
        if length > SOCKET_PATH_BYTES_MAX {
            return Err(format!(
                "the path has {length} bytes and a Unix socket's at most {SOCKET_PATH_BYTES_MAX}; choose a \
                 shorter one, such as in /run or /tmp"
            ));
        }
        remove_stale(path).await?;
        let listener = UnixListener::bind(path).map_err(|error| unix_advice(&error))?;
        // Whoever connects between these two lines is still asked for its user id.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(|e| e.to_string())?;
        let metadata = fs::symlink_metadata(path).map_err(|e| e.to_string())?;
        Ok(OwnerSocket { listener, path: path.to_owned(), inode: metadata.ino(), owner: metadata.uid() })
    }
}

impl Drop for OwnerSocket {
    fn drop(&mut self) {
        // The name may meanwhile be another process's; then it is not ours to remove.
        if fs::symlink_metadata(&self.path).is_ok_and(|m| m.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

async fn remove_stale(path: &Path) -> Result<(), String> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unix_advice(&error)),
    };
    if !metadata.file_type().is_socket() {
        return Err("something that is no socket has that name; remove it or choose another".to_owned());
    }
    match tokio::time::timeout(ANSWER_TIMEOUT, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| format!("a stale socket cannot be removed: {error}"))
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(Err(error)) => Err(format!("a socket is there that we may not use: {error}")),
        // Somebody answers, or holds it and is too busy to.
        Ok(Ok(_)) | Err(_) => {
            Err("another process answers there; stop that one or choose another path".to_owned())
        }
    }
}

fn unix_advice(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "its folder does not exist; create it".to_owned(),
        io::ErrorKind::PermissionDenied => "its folder is not ours to write to; choose another".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_says_which_setting_and_what_to_do() {
        let first = Listener::tcp(SocketAddr::from(([127, 0, 0, 1], 0)), "ingress.listen").await.unwrap();
        let taken = first.address().unwrap();
        let error = Listener::tcp(taken, "ingress.listen").await.unwrap_err().to_string();
        let start = format!("ingress.listen: cannot listen on {taken}: the port is in use");
        assert!(error.starts_with(&start) && error.contains("choose another port"), "{error}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_says_so() {
        let error = Listener::tcp("192.0.2.1:0".parse().unwrap(), "admin.listen").await.unwrap_err();
        assert!(error.to_string().contains("this machine has no such address"), "{error}");
    }

    #[tokio::test]
    async fn the_socket_is_its_owners_alone_and_goes_with_the_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let listener = Listener::unix(&path, "admin.socket").await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap()); // leaves its file, as a kill does
        let live = Listener::unix(&path, "admin.socket").await.unwrap();
        let error = Listener::unix(&path, "admin.socket").await.unwrap_err().to_string();
        assert!(error.contains("another process answers there"), "{error}");
        drop(live);
    }

    #[tokio::test]
    async fn a_file_with_that_name_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        fs::write(&path, "data").unwrap();
        let error = Listener::unix(&path, "admin.socket").await.unwrap_err().to_string();
        assert!(error.contains("no socket has that name"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"data");
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_and_a_folder_that_is_absent_say_so() {
        let long = PathBuf::from(format!("/tmp/{}", "x".repeat(120)));
        let error = Listener::unix(&long, "admin.socket").await.unwrap_err().to_string();
        assert!(error.contains("the path has 125 bytes"), "{error}");
        let error = Listener::unix(Path::new("/nonexistent/a.sock"), "admin.socket").await.unwrap_err();
        assert!(error.to_string().contains("its folder does not exist"), "{error}");
    }

    #[tokio::test]
    async fn a_successor_keeps_its_socket_when_we_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let old = Listener::unix(&path, "admin.socket").await.unwrap();
        fs::rename(&path, folder.path().join("aside")).unwrap(); // keeps the old inode in use
        let new = Listener::unix(&path, "admin.socket").await.unwrap();
        drop(old);
        assert!(path.exists());
        drop(new);
    }
}
