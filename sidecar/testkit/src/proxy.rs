//! A TCP proxy that makes trouble between two parties: it cuts, resets, delays, swallows.
//!
//! It runs on a thread of its own in real time, so a test may pause its own clock. Trouble holds for the
//! connections that are open and for those to come, from the moment it is set.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    runtime::Builder,
    sync::watch,
    task::JoinSet,
};

/// What the proxy does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Passes them on.
    None,
    /// Passes each piece on after so long.
    Delay(Duration),
    /// Takes them and does nothing: no byte and no end reaches the other side. A half-open connection, or a
    /// peer whose machine is gone.
    Swallow,
    /// Closes every connection with a FIN, new ones at once.
    Close,
    /// Resets every connection with an RST, new ones at once.
    Reset,
    /// Resets a connection once so many bytes have come back to the client on it.
    ResetAfter(u64),
}

/// A running proxy. Dropping it closes its port and all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    trouble: watch::Sender<Trouble>,
    end: watch::Sender<bool>,
    connections: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts one on a free port of 127.0.0.1 that passes everything on to `upstream`.
    ///
    /// # Panics
    /// No socket or thread can be had; a test cannot go on then.
    #[must_use]
    pub fn start(upstream: SocketAddr) -> Self {
        Self::try_start(upstream).expect("a free port on loopback and a thread")
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Makes this trouble from now on.
    pub fn set(&self, trouble: Trouble) {
        self.trouble.send_replace(trouble);
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    fn try_start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (trouble, end) = (watch::Sender::new(Trouble::None), watch::Sender::new(false));
        let connections = Arc::new(AtomicU64::new(0));
        let serving = serve(listener, upstream, trouble.clone(), connections.clone());
        let mut ended = end.subscribe();
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serving => {}
                    _ = ended.wait_for(|ended| *ended) => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("proxy".to_owned()).spawn(run)?;
        Ok(Self { address, trouble, end, connections, thread: Some(thread) })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: tokio::net::TcpListener,
    upstream: SocketAddr,
    trouble: watch::Sender<Trouble>,
    count: Arc<AtomicU64>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((client, _)) = accepted {
                count.fetch_add(1, Ordering::Relaxed);
                connections.spawn(connection(client, upstream, trouble.subscribe()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection until both sides have ended it, or the trouble does.
async fn connection(client: TcpStream, upstream: SocketAddr, trouble: watch::Receiver<Trouble>) {
    let mut ending = trouble.clone();
    let (mut client, mut server) = (client, None);
    let resets = tokio::select! {
        resets = relay(&mut client, &mut server, upstream, trouble) => resets,
        changed = ending.wait_for(|trouble| matches!(trouble, Trouble::Close | Trouble::Reset)) => {
            changed.is_ok_and(|trouble| *trouble == Trouble::Reset)
        }
    };
    if resets {
        for stream in [Some(&client), server.as_ref()].into_iter().flatten() {
            let _ = stream.set_zero_linger();
        }
    }
}

/// Passes bytes both ways; `true` if it ends because the connection shall be reset.
async fn relay(
    client: &mut TcpStream,
    server: &mut Option<TcpStream>,
    upstream: SocketAddr,
    mut trouble: watch::Receiver<Trouble>,
) -> bool {
    if trouble.wait_for(|trouble| *trouble != Trouble::Swallow).await.is_err() {
        return false;
    }
    let Ok(connected) = TcpStream::connect(upstream).await else { return false };
    let server = server.insert(connected);
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_read, client_write) = client.split();
    let (server_read, server_write) = server.split();
    let up = pump(client_read, server_write, trouble.clone(), false);
    let down = pump(server_read, client_write, trouble, true);
    tokio::select! {
        biased;
        // The answer's end is the end; the request's end leaves the answer on its way.
        resets = down => resets,
        () = async { if !up.await { std::future::pending::<()>().await } } => true,
    }
}

/// Passes bytes on until the end of `from`, which is passed on too; `true` if the connection shall be reset.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut trouble: watch::Receiver<Trouble>,
    is_answer: bool,
) -> bool {
    let (mut buffer, mut passed) = (vec![0; 16 << 10], 0_u64);
    loop {
        let count = from.read(&mut buffer).await.unwrap_or(0);
        let now = *trouble.borrow_and_update();
        match now {
            // What was swallowed is gone for good, an end too: the connection hangs until trouble closes it.
            Trouble::Swallow if count == 0 => std::future::pending().await,
            Trouble::Swallow => continue,
            Trouble::Delay(delay) => tokio::time::sleep(delay).await,
            _ => {}
        }
        if count == 0 {
            let _ = to.shutdown().await;
            return false;
        }
        let room = match now {
            Trouble::ResetAfter(bytes) if is_answer => bytes.saturating_sub(passed),
            _ => u64::MAX,
        };
        let sent = count.min(usize::try_from(room).unwrap_or(usize::MAX));
        if to.write_all(&buffer[..sent]).await.is_err() {
            return false;
        }
        passed += sent as u64;
        if sent < count || passed == room {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};

    use outrigger_function::{Function, Program};

    use super::*;

    fn through(proxy: &Proxy) -> std::net::TcpStream {
        let stream = std::net::TcpStream::connect(proxy.addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    fn ask(stream: &mut std::net::TcpStream) -> io::Result<usize> {
        stream.write_all(b"POST / HTTP/1.1\r\nhost: f\r\ncontent-length: 0\r\n\r\n")?;
        stream.read(&mut [0; 4096])
    }

    #[test]
    fn without_trouble_bytes_pass_both_ways() {
        let function = Function::start(Program::default());
        let proxy = Proxy::start(function.addr());
        let mut stream = through(&proxy);
        assert!(ask(&mut stream).unwrap() > 20);
        assert!(ask(&mut stream).unwrap() > 20);
        assert_eq!((proxy.connections(), function.stats().received), (1, 2));
    }

    #[test]
    fn a_reset_reaches_open_connections_and_new_ones() {
        let function = Function::start(Program::default());
        let proxy = Proxy::start(function.addr());
        let mut open = through(&proxy);
        ask(&mut open).unwrap();
        proxy.set(Trouble::Reset);
        assert_eq!(open.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(through(&proxy).read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_close_is_an_orderly_end() {
        let function = Function::start(Program::default());
        let proxy = Proxy::start(function.addr());
        let mut open = through(&proxy);
        ask(&mut open).unwrap();
        proxy.set(Trouble::Close);
        assert_eq!(open.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn what_is_swallowed_reaches_nobody_and_the_connection_stays_open() {
        let function = Function::start(Program::default());
        let proxy = Proxy::start(function.addr());
        let mut stream = through(&proxy);
        ask(&mut stream).unwrap();
        proxy.set(Trouble::Swallow);
        let mut fresh = through(&proxy);
        for stream in [&mut stream, &mut fresh] {
            stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            assert_eq!(ask(stream).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        assert_eq!(function.stats().received, 1);
    }

    #[test]
    fn an_answer_can_be_cut_at_a_byte() {
        let function = Function::start(Program::default());
        let proxy = Proxy::start(function.addr());
        proxy.set(Trouble::ResetAfter(12));
        let mut stream = through(&proxy);
        stream.write_all(b"POST / HTTP/1.1\r\nhost: f\r\ncontent-length: 0\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        assert_eq!(stream.read_to_end(&mut answer).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(answer, b"HTTP/1.1 200");
        assert_eq!(function.stats().statuses[&200], 1);
    }

    #[test]
    fn a_delay_holds_for_each_piece() {
        let function = Function::start(Program::default());
        let proxy = Proxy::start(function.addr());
        proxy.set(Trouble::Delay(Duration::from_millis(50)));
        let before = std::time::Instant::now();
        ask(&mut through(&proxy)).unwrap();
        assert!(before.elapsed() >= Duration::from_millis(100), "there and back");
    }
}
