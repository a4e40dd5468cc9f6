//! The file of a Unix domain socket: a stale one is replaced, a live one is left alone, our own is
//! removed.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tokio::net::{UnixListener, UnixStream};

/// Removes the socket file when dropped, unless somebody has put another one in its place.
pub(super) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

/// Listens on the socket at `path`.
pub(super) async fn listen(path: &Path) -> anyhow::Result<(UnixListener, SocketFile)> {
    make_way(path).await?;
    let listener = UnixListener::bind(path)
        .with_context(|| format!("cannot listen on unix:{}", path.display()))?;
    let file = SocketFile {
        inode: inode(path).context("the socket file vanished")?,
        path: path.to_owned(),
    };
    Ok((listener, file))
}

/// Removes a socket file that nobody listens on any more.
async fn make_way(path: &Path) -> anyhow::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.file_type().is_socket() {
        bail!(
            "{} exists and is not a socket; give another path",
            path.display()
        );
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            log::debug!("replacing the stale socket file {}", path.display());
            fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))
        }
        _ => bail!(
            "another program listens on {}; end it, or give another path",
            path.display()
        ),
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path) == Some(self.inode) {
            // Nothing is left to be done about an error.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_file_is_replaced_and_the_new_one_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a listener that was killed leaves its file");
        let (listener, file) = listen(&path).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
        drop((listener, file));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_live_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let _other = UnixListener::bind(&path).unwrap();
        let error = listen(&path).await.err().unwrap().to_string();
        assert!(error.contains("another program listens"), "{error}");
        UnixStream::connect(&path).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        fs::write(&path, "precious").unwrap();
        let error = listen(&path).await.err().unwrap().to_string();
        assert!(error.contains("not a socket"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn a_socket_of_somebody_else_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let ours = listen(&path).await.unwrap();
        fs::rename(&path, directory.path().join("away")).unwrap();
        let _theirs = UnixListener::bind(&path).unwrap();
        drop(ours);
        assert!(path.exists());
    }
}
