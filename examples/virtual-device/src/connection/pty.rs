//! Terminals, raw: serial ports, and pseudo terminals for QEMU's chardevs `pty` (its terminal,
//! which we open) and `serial` (ours, which it opens).

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::{ControlModes, OptionalActions, tcgetattr, tcsetattr};
use tokio::net::unix::pipe;

use super::{Plug, Stream};

/// The least time between two attempts to open a terminal.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// A terminal by its path.
pub(super) enum Terminal {
    /// Somebody else's, opened again for each stream; with its rate, if it has one.
    Theirs(PathBuf, Option<u32>),
    /// Ours: a new one for each stream, because on one whose other end was closed nobody can wait
    /// for the next. The path is a link to it.
    Ours(PathBuf, Option<Link>, Plug),
}

impl Terminal {
    /// The terminal at `path`, or new ones if nothing is there.
    pub(super) fn new(path: &Path, plug: Plug) -> anyhow::Result<Self> {
        // A link that leads nowhere is what is left when one of us was killed.
        if !path.exists() {
            return Ok(Self::Ours(path.to_owned(), None, plug));
        }
        if !is_terminal(path) {
            bail!(
                "{} exists and is not a terminal; give another path",
                path.display()
            );
        }
        plug.tell(&format!("opening {}", path.display()), "pty,id=mctp");
        Ok(Self::Theirs(path.to_owned(), None))
    }

    /// The serial port at `path`, at `baud` bits a second.
    pub(super) fn port(path: &Path, baud: u32) -> anyhow::Result<Self> {
        let there = open(path).with_context(|| format!("cannot open {}", path.display()))?;
        if !rustix::termios::isatty(&there) {
            bail!("{} is not a serial port", path.display());
        }
        RawTerminal::new(there, Some(baud))
            .with_context(|| format!("cannot set {} to {baud} bits a second", path.display()))?;
        log::info!("opening {} at {baud} bits a second", path.display());
        Ok(Self::Theirs(path.to_owned(), Some(baud)))
    }

    /// Waits for the next stream.
    pub(super) async fn next(&mut self) -> anyhow::Result<Stream> {
        match self {
            Self::Theirs(path, baud) => Ok(open_when_there(path, *baud).await),
            Self::Ours(path, link, plug) => {
                // First the old link, so that its removal does not take the new one.
                drop(link.take());
                let (stream, new) = create(path, *plug).await?;
                *link = Some(new);
                Ok(stream)
            }
        }
    }
}

fn is_terminal(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_char_device())
        && open(path).is_ok_and(rustix::termios::isatty)
}

fn open(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

async fn open_when_there(path: &Path, baud: Option<u32>) -> Stream {
    let mut told = false;
    loop {
        // Before the first attempt as well: a terminal that ends at once is not to be opened in a
        // tight loop.
        tokio::time::sleep(RETRY_INTERVAL).await;
        let there = open(path).map_err(Into::into);
        match there.and_then(|there| RawTerminal::new(there, baud)) {
            Ok(terminal) => return Box::new(terminal.into_stream()),
            Err(error) if !std::mem::replace(&mut told, true) => log::info!(
                "{} cannot be opened yet ({error}); trying again until it can",
                path.display()
            ),
            Err(_) => {}
        }
    }
}

async fn create(path: &Path, plug: Plug) -> anyhow::Result<(Stream, Link)> {
    let cannot = "cannot create a pseudo terminal";
    let controller =
        rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).context(cannot)?;
    rustix::pty::grantpt(&controller).context(cannot)?;
    rustix::pty::unlockpt(&controller).context(cannot)?;
    let name = rustix::pty::ptsname(&controller, Vec::new()).context(cannot)?;
    rustix::fs::fcntl_setfl(&controller, OFlags::RDWR | OFlags::NONBLOCK).context(cannot)?;
    let terminal = RawTerminal::new(controller, None).context(cannot)?;
    let link = Link::create(path, Path::new(name.to_str()?))?;
    plug.tell(
        &format!("waiting at {}", path.display()),
        &format!("serial,id=mctp,path={}", path.display()),
    );
    // The guest's side speaks first as well: its first byte shows that the other end was opened.
    terminal.receiver.readable().await?;
    Ok((Box::new(terminal.into_stream()), link))
}

/// One end of a terminal that passes every byte on as it is.
///
/// tokio reads and writes it as it does a pipe: by readiness, without a look at the kind of file.
struct RawTerminal {
    receiver: pipe::Receiver,
    sender: pipe::Sender,
}

impl RawTerminal {
    fn new(terminal: OwnedFd, baud: Option<u32>) -> std::io::Result<Self> {
        let mut settings = tcgetattr(&terminal)?;
        settings.make_raw();
        // No modem lines.
        settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
        if let Some(baud) = baud {
            settings.set_speed(baud)?;
        }
        tcsetattr(&terminal, OptionalActions::Now, &settings)?;
        let copy = terminal.as_fd().try_clone_to_owned()?;
        Ok(Self {
            receiver: pipe::Receiver::from_file_unchecked(File::from(terminal))?,
            sender: pipe::Sender::from_file_unchecked(File::from(copy))?,
        })
    }

    fn into_stream(self) -> tokio::io::Join<pipe::Receiver, pipe::Sender> {
        tokio::io::join(self.receiver, self.sender)
    }
}

/// A symbolic link to our terminal, removed when dropped unless it leads elsewhere by then.
pub(super) struct Link {
    path: PathBuf,
    target: PathBuf,
}

impl Link {
    fn create(path: &Path, target: &Path) -> anyhow::Result<Self> {
        if fs::symlink_metadata(path).is_ok() && !path.exists() {
            fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))?;
        }
        std::os::unix::fs::symlink(target, path).with_context(|| {
            format!(
                "cannot make {} a link to {}",
                path.display(),
                target.display()
            )
        })?;
        Ok(Self {
            path: path.to_owned(),
            target: target.to_owned(),
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if fs::read_link(&self.path).is_ok_and(|target| target == self.target) {
            // Nothing is left to be done about an error.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const ALL_BYTES: fn() -> Vec<u8> = || (0..=255).collect();

    async fn exchange_all_bytes(left: &mut Stream, right: &mut Stream) {
        for (from, to) in [(0, 1), (1, 0)] {
            let ends = [&mut *left, &mut *right];
            let mut received = [0; 256];
            let [left, right] = ends;
            let (sender, receiver) = if (from, to) == (0, 1) {
                (left, right)
            } else {
                (right, left)
            };
            sender.write_all(&ALL_BYTES()).await.unwrap();
            receiver.read_exact(&mut received).await.unwrap();
            assert_eq!(received[..], ALL_BYTES());
        }
    }

    async fn wait_for(path: &Path) {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_new_terminal_passes_every_byte_and_is_followed_by_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tty");
        let mut ours = Terminal::new(&path, Plug::Serial).unwrap();
        for _ in 0..2 {
            let peer = async {
                wait_for(&path).await;
                let mut peer = Box::new(open_when_there(&path, None).await) as Stream;
                peer.write_all(b"!").await.unwrap();
                peer
            };
            let (stream, mut peer) = tokio::join!(ours.next(), peer);
            let mut stream = stream.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), b'!');
            exchange_all_bytes(&mut stream, &mut peer).await;
            drop(peer);
            assert!(stream.read_u8().await.is_err(), "the end is seen");
            drop(stream);
        }
        drop(ours);
        assert!(fs::symlink_metadata(&path).is_err(), "the link is removed");
    }

    #[tokio::test]
    async fn a_link_left_behind_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tty");
        std::os::unix::fs::symlink("/no/such/terminal", &path).unwrap();
        let mut ours = Terminal::new(&path, Plug::Serial).unwrap();
        assert!(matches!(ours, Terminal::Ours(..)));
        let waiting = tokio::time::timeout(Duration::from_millis(100), ours.next()).await;
        assert!(waiting.is_err(), "nobody is there");
    }

    #[test]
    fn a_serial_port_that_is_none_is_refused() {
        let error = |path: &Path| format!("{:#}", Terminal::port(path, 115_200).err().unwrap());
        let missing = error(Path::new("/no/such/port"));
        assert!(
            missing.starts_with("cannot open /no/such/port: "),
            "{missing}"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(error(file.path()).ends_with("is not a serial port"));
    }

    #[test]
    fn a_file_that_is_no_terminal_is_left_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Terminal::new(file.path(), Plug::Serial)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("not a terminal"), "{error}");
    }
}
