//! Endpoints that follow a script, and an executor that counts polls.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use embassy_usb_driver::{
    Direction, Endpoint, EndpointAddress, EndpointError, EndpointIn, EndpointInfo, EndpointOut,
    EndpointType,
};

use crate::{BusEvents, Version};

/// All that there are with these features.
pub(crate) const VERSIONS: &[Version] = &[
    Version::V1_0,
    #[cfg(feature = "v1-1")]
    Version::V1_1,
];

/// Polls until ready. A future that is still pending after many polls has nothing left to wait for.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    poll_times(100_000, future).expect("the future never completes")
}

/// Polls so often, then drops the future.
pub(crate) fn poll_times<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..times {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
    None
}

fn info(direction: Direction, max_packet_size: u16) -> EndpointInfo {
    EndpointInfo {
        addr: EndpointAddress::from_parts(1, direction),
        ep_type: EndpointType::Bulk,
        max_packet_size,
        interval_ms: 0,
    }
}

async fn pending_once() {
    let mut waited = false;
    poll_fn(|_| match std::mem::replace(&mut waited, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await
}

/// What the host, or the bus, does to the OUT endpoint.
pub(crate) enum Out<'a> {
    /// One USB packet.
    Data(Vec<u8>),
    /// The read ends because the endpoint is disabled; it is enabled again when somebody waits for
    /// that.
    Disabled,
    /// A USB packet that does not fit.
    TooLong,
    /// Nothing for one poll.
    Nothing,
    /// Something beside the endpoint.
    Event(Box<dyn FnOnce() + 'a>),
}

/// After the end of its script, reads are pending for ever.
pub(crate) struct MockOut<'a> {
    info: EndpointInfo,
    pub(crate) script: VecDeque<Out<'a>>,
    enabled: bool,
}

impl<'a> MockOut<'a> {
    pub(crate) fn new(max_packet_size: u16, script: impl IntoIterator<Item = Out<'a>>) -> Self {
        Self {
            info: info(Direction::Out, max_packet_size),
            script: script.into_iter().collect(),
            enabled: false,
        }
    }
}

impl MockOut<'_> {
    /// The next wait for the endpoint is over at the first poll.
    pub(crate) fn wait_enabled_at_once(&mut self) {
        self.enabled = true;
    }
}

impl Endpoint for MockOut<'_> {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn wait_enabled(&mut self) {
        if !self.enabled {
            pending_once().await;
        }
        self.enabled = true;
    }
}

impl EndpointOut for MockOut<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, EndpointError> {
        assert!(buffer.len() >= usize::from(self.info.max_packet_size));
        loop {
            match self.script.pop_front() {
                Some(Out::Data(bytes)) => {
                    buffer[..bytes.len()].copy_from_slice(&bytes);
                    return Ok(bytes.len());
                }
                Some(Out::Disabled) => {
                    self.enabled = false;
                    return Err(EndpointError::Disabled);
                }
                Some(Out::TooLong) => return Err(EndpointError::BufferOverflow),
                Some(Out::Nothing) => pending_once().await,
                Some(Out::Event(event)) => event(),
                None => poll_fn(|_| Poll::Pending).await,
            }
        }
    }
}

/// Keeps what is written. `accepts` of the writes succeed at once, later ones are pending or fail.
pub(crate) struct MockIn<'a> {
    info: EndpointInfo,
    pub(crate) written: Vec<Vec<u8>>,
    pub(crate) accepts: usize,
    pub(crate) then: Option<EndpointError>,
    /// The bus is reset during this write, counted from one.
    pub(crate) reset_at: Option<(usize, &'a BusEvents)>,
}

impl MockIn<'_> {
    pub(crate) fn new(max_packet_size: u16) -> Self {
        Self {
            info: info(Direction::In, max_packet_size),
            written: Vec::new(),
            accepts: usize::MAX,
            then: None,
            reset_at: None,
        }
    }
}

impl Endpoint for MockIn<'_> {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn wait_enabled(&mut self) {}
}

impl EndpointIn for MockIn<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), EndpointError> {
        assert!(bytes.len() <= usize::from(self.info.max_packet_size));
        if self.accepts == 0 {
            return match self.then {
                Some(error) => Err(error),
                None => poll_fn(|_| Poll::Pending).await,
            };
        }
        self.accepts -= 1;
        self.written.push(bytes.to_vec());
        if let Some((number, events)) = self.reset_at
            && self.written.len() == number
        {
            events.restarted();
        }
        Ok(())
    }
}
