//! The byte streams on which QEMU's `usb-redir` device, or a serial port, can be reached.

use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

#[cfg(unix)]
mod pty;
#[cfg(unix)]
mod socket_file;

/// How long a peer may say nothing after it has connected.
///
/// A host on USB says hello first, so such a peer is sent away. A host on a serial line or an I2C
/// bus has nothing to say until it wants something: it gives way to the next one that connects.
pub const SILENCE: Duration = Duration::from_secs(10);

/// How long nothing comes before the system asks whether the peer is still there.
#[cfg(target_os = "linux")]
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// The least time between two attempts to connect.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// Where a stream comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Others connect to us.
    Listen(Address),
    /// We connect to others.
    Connect(Address),
    /// A pseudo terminal.
    Pty(PathBuf),
    /// A serial port.
    Tty {
        /// Its device file.
        path: PathBuf,
        /// Its rate, in bits a second.
        baud: u32,
    },
}

impl Connection {
    /// A name that is the same after a restart, in whatever folder; but any TCP port is another one
    /// each time.
    pub fn identity(&self) -> String {
        match self {
            Self::Listen(address) => format!("listen {}", address.identity()),
            Self::Connect(address) => format!("connect {}", address.identity()),
            Self::Pty(path) => format!("pty {}", absolute(path).display()),
            Self::Tty { path, .. } => format!("tty {}", absolute(path).display()),
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What of a guest the stream is plugged into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plug {
    /// A USB port, by way of usbredir.
    Usbredir,
    /// A serial port.
    Serial,
    /// A serial port that is joined to an I2C bus in the guest.
    I2c,
}

impl Plug {
    /// What to add to QEMU's command line.
    fn qemu_options(self, chardev: &str) -> String {
        match self {
            Self::Usbredir => format!(
                "-device usb-ehci,id=usb -chardev {chardev} -device usb-redir,chardev=mctp,bus=usb.0"
            ),
            Self::Serial | Self::I2c => {
                format!("-chardev {chardev} -serial chardev:mctp")
            }
        }
    }

    fn tell(self, what: &str, chardev: &str) {
        log::info!("{what}; QEMU: {}", self.qemu_options(chardev));
    }
}

/// The address of a stream socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix domain socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp {
        /// A name or an IP address, an IPv6 one without its brackets.
        host: String,
        /// The port; 0 to listen on any.
        port: u16,
    },
}

impl Address {
    /// Reads `unix:PATH` or `tcp:HOST:PORT`.
    ///
    /// # Errors
    ///
    /// A sentence for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::parse_unix(path);
        }
        let Some((host, port)) = text
            .strip_prefix("tcp:")
            .and_then(|rest| rest.rsplit_once(':'))
        else {
            return Err("an address is unix:PATH or tcp:HOST:PORT".into());
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(
                "the host is missing; an address is tcp:HOST:PORT, such as tcp:127.0.0.1:4000"
                    .into(),
            );
        }
        let port = port
            .parse()
            .map_err(|_| format!("{port:?} is not a port number, 0 to 65535"))?;
        Ok(Self::Tcp {
            host: host.into(),
            port,
        })
    }

    fn parse_unix(path: &str) -> Result<Self, String> {
        if !cfg!(unix) {
            return Err("Unix domain sockets are for Unix systems; use tcp:HOST:PORT here".into());
        }
        if path.is_empty() {
            return Err(
                "the path is missing; an address is unix:PATH, such as unix:mctp.sock".into(),
            );
        }
        Ok(Self::Unix(path.into()))
    }

    /// What QEMU's `-chardev` wants for this address.
    fn chardev(&self, qemu_listens: bool) -> String {
        let server = if qemu_listens {
            ",server=on,wait=off"
        } else {
            ""
        };
        match self {
            Self::Unix(path) => format!("socket,id=mctp,path={}{server}", path.display()),
            Self::Tcp { host, port } => format!("socket,id=mctp,host={host},port={port}{server}"),
        }
    }

    fn identity(&self) -> String {
        match self {
            Self::Unix(path) => format!("unix:{}", absolute(path).display()),
            Self::Tcp { port: 0, .. } => format!("{self} {}", std::process::id()),
            Self::Tcp { .. } => self.to_string(),
        }
    }

    async fn connect(&self) -> io::Result<Stream> {
        match self {
            #[cfg(unix)]
            Self::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
            #[cfg(not(unix))]
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
            Self::Tcp { host, port } => {
                tcp_stream(TcpStream::connect((host.as_str(), *port)).await?)
            }
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
        }
    }
}

/// A connected byte stream.
pub type Stream = Box<dyn ByteStream>;

/// Bytes in both directions.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> ByteStream for T {}

/// Makes one stream after the other.
///
/// Dropping it removes what it left in the file system.
pub struct Connector(Kind);

enum Kind {
    #[cfg(unix)]
    UnixListener(
        tokio::net::UnixListener,
        #[allow(dead_code)] socket_file::SocketFile,
    ),
    TcpListener(TcpListener),
    Client(Client),
    #[cfg(unix)]
    Pty(pty::Terminal),
}

impl Connector {
    /// Prepares to make streams: a listener listens from now on.
    ///
    /// # Errors
    ///
    /// When that is not possible, and will not be by waiting.
    pub async fn open(connection: &Connection, plug: Plug) -> anyhow::Result<Self> {
        let kind = match connection {
            Connection::Listen(address) => listen(address, plug).await?,
            Connection::Connect(address) => {
                plug.tell(&format!("connecting to {address}"), &address.chardev(true));
                Kind::Client(Client::new(address.clone()))
            }
            #[cfg(unix)]
            Connection::Pty(path) => Kind::Pty(pty::Terminal::new(path, plug)?),
            #[cfg(unix)]
            Connection::Tty { path, baud } => Kind::Pty(pty::Terminal::port(path, *baud)?),
            #[cfg(not(unix))]
            Connection::Pty(_) | Connection::Tty { .. } => {
                anyhow::bail!("this system has no terminals")
            }
        };
        Ok(Self(kind))
    }

    /// Waits for somebody who connects while the stream before has not ended; for ever if that is
    /// not how streams are made.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn newcomer(&mut self) -> anyhow::Result<Stream> {
        match &self.0 {
            #[cfg(unix)]
            Kind::UnixListener(..) => self.next().await,
            Kind::TcpListener(_) => self.next().await,
            Kind::Client(_) => pending().await,
            #[cfg(unix)]
            Kind::Pty(_) => pending().await,
        }
    }

    /// Waits for the next stream. The one before must have ended.
    ///
    /// # Errors
    ///
    /// When there will be none any more.
    pub async fn next(&mut self) -> anyhow::Result<Stream> {
        match &mut self.0 {
            #[cfg(unix)]
            Kind::UnixListener(listener, _) => Ok(Box::new(listener.accept().await?.0)),
            Kind::TcpListener(listener) => Ok(tcp_stream(listener.accept().await?.0)?),
            Kind::Client(client) => Ok(client.connect().await),
            #[cfg(unix)]
            Kind::Pty(terminal) => terminal.next().await,
        }
    }
}

async fn listen(address: &Address, plug: Plug) -> anyhow::Result<Kind> {
    match address {
        #[cfg(unix)]
        Address::Unix(path) => {
            let (listener, file) = socket_file::listen(path).await?;
            plug.tell(&format!("listening on {address}"), &address.chardev(false));
            Ok(Kind::UnixListener(listener, file))
        }
        #[cfg(not(unix))]
        Address::Unix(_) => anyhow::bail!("this system has no Unix domain sockets"),
        Address::Tcp { host, port } => {
            let listener = TcpListener::bind((host.as_str(), *port))
                .await
                .with_context(|| format!("cannot listen on {address}"))?;
            let port = listener.local_addr()?.port();
            let address = Address::Tcp {
                host: host.clone(),
                port,
            };
            plug.tell(&format!("listening on {address}"), &address.chardev(false));
            Ok(Kind::TcpListener(listener))
        }
    }
}

fn tcp_stream(stream: TcpStream) -> io::Result<Stream> {
    prepare(&stream)?;
    Ok(Box::new(stream))
}

/// Each message is one write, and a peer that is gone without a word must not keep the device.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(unix)]
    rustix::net::sockopt::set_socket_keepalive(stream, true)?;
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    Ok(())
}

/// Connects, as often as it takes.
struct Client {
    address: Address,
    next_attempt: Instant,
    told: bool,
}

impl Client {
    fn new(address: Address) -> Self {
        Self {
            address,
            next_attempt: Instant::now(),
            told: false,
        }
    }

    async fn connect(&mut self) -> Stream {
        self.told = false;
        loop {
            tokio::time::sleep_until(self.next_attempt).await;
            self.next_attempt = Instant::now() + RETRY_INTERVAL;
            match self.address.connect().await {
                Ok(stream) => return stream,
                Err(error) => self.tell_once(&error),
            }
        }
    }

    fn tell_once(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.told, true) {
            log::info!(
                "{} does not answer yet ({error}); trying again until it does",
                self.address
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_a_round_trip() {
        for text in ["tcp:127.0.0.1:4000", "tcp:localhost:0", "tcp:[::1]:65535"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        #[cfg(unix)]
        assert_eq!(
            Address::parse("unix:a:b c").unwrap(),
            Address::Unix("a:b c".into())
        );
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        for (text, words) in [
            ("", "unix:PATH or tcp:HOST:PORT"),
            ("mctp.sock", "unix:PATH or tcp:HOST:PORT"),
            ("tcp:4000", "unix:PATH or tcp:HOST:PORT"),
            ("tcp::4000", "host is missing"),
            ("tcp:localhost:70000", "not a port number"),
            ("tcp:localhost:", "not a port number"),
        ] {
            assert!(Address::parse(text).unwrap_err().contains(words), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_tries_again_at_a_bounded_rate() {
        let mut client = Client::new(Address::Unix("no/such/socket".into()));
        let start = Instant::now();
        let attempts = tokio::time::timeout(Duration::from_secs(10), client.connect()).await;
        assert!(attempts.is_err());
        assert!(client.told);
        assert!(client.next_attempt - start <= Duration::from_secs(10) + RETRY_INTERVAL);
    }

    #[test]
    fn a_connection_has_a_name_of_its_own_that_a_restart_does_not_change() {
        let name = |text| Connection::Listen(Address::parse(text).unwrap()).identity();
        assert_eq!(name("tcp:h:4000"), "listen tcp:h:4000");
        assert!(name("tcp:h:0").ends_with(&std::process::id().to_string()));
        let folder = std::env::current_dir().unwrap();
        let path = folder.join("tty");
        let connection = Connection::Pty("tty".into());
        assert_eq!(connection.identity(), format!("pty {}", path.display()));
    }

    #[tokio::test]
    async fn a_listener_serves_one_connection_after_the_other() {
        let connection = Connection::Listen(Address::parse("tcp:127.0.0.1:0").unwrap());
        let mut connector = Connector::open(&connection, Plug::Serial).await.unwrap();
        let Kind::TcpListener(listener) = &connector.0 else {
            panic!()
        };
        let address = listener.local_addr().unwrap();
        for _ in 0..3 {
            let client = TcpStream::connect(address).await.unwrap();
            drop((connector.next().await.unwrap(), client));
        }
    }
}
