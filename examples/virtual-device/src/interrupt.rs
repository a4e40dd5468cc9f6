//! What ends the program, and that nothing holds it up then.

use std::io;

/// Runs `work` to its end on a runtime of its own. In paused time, which passes only while nothing
/// has anything to do, if `start_paused`.
///
/// What `work` leaves behind in threads is not waited for: the resolution of a name may take a
/// minute.
///
/// # Errors
///
/// When the system has no resources for a runtime.
pub fn run_to_end<T>(start_paused: bool, work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(start_paused)
        .build()?;
    let value = tokio::task::LocalSet::new().block_on(&runtime, work);
    runtime.shutdown_background();
    Ok(value)
}

/// Returns when the process is asked to end: Ctrl-C, or SIGTERM.
///
/// # Errors
///
/// When the system does not let us know.
pub async fn interrupted() -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_thread_that_is_stuck_does_not_hold_the_end_up() {
        let start = Instant::now();
        let (end, ended) = channel::<()>();
        let value = run_to_end(false, async move {
            // As tokio resolves the names of hosts.
            let stuck = move || ended.recv_timeout(Duration::from_secs(30));
            let _resolution = tokio::task::spawn_blocking(stuck);
            tokio::task::yield_now().await;
            5
        });
        assert_eq!(value.unwrap(), 5);
        assert!(start.elapsed() < Duration::from_secs(10));
        drop(end);
    }
}
