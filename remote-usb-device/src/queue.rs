//! The transfers an endpoint has outstanding, and their bytes. No waiting happens here: callers
//! poll.

mod bytes;
mod input;
mod output;

pub(crate) use bytes::ByteQueue;
pub(crate) use input::InQueue;
pub(crate) use output::{Begin, OutQueue};

use embassy_sync::waitqueue::WakerRegistration;
use embassy_usb_driver::{EndpointInfo, EndpointType};

use crate::engine::Outcome;

/// How many transfers each endpoint can have outstanding.
///
/// Linux's CDC-ACM driver keeps 16 in each direction, its MCTP driver one. One more than this is
/// refused with an error.
pub const MAX_TRANSFERS: usize = 32;

/// What both directions have in common.
pub(crate) struct Port {
    /// `None` until the endpoint is allocated.
    pub(crate) info: Option<EndpointInfo>,
    pub(crate) enabled: bool,
    pub(crate) stalled: bool,
    /// Goes up whenever an enabled endpoint stops, so that its user learns of it even if it is
    /// enabled again at once.
    pub(crate) session: u32,
    pub(crate) waker: WakerRegistration,
}

impl Port {
    const fn new() -> Self {
        Self {
            info: None,
            enabled: false,
            stalled: false,
            session: 0,
            waker: WakerRegistration::new(),
        }
    }

    fn max_packet_size(&self) -> usize {
        self.info.map_or(0, |info| info.max_packet_size.into())
    }

    /// Whether a transfer of this type can be queued now, and with what outcome to refuse it if not.
    fn admit(&self, kind: EndpointType) -> Result<(), Outcome> {
        if !self.enabled || self.info.is_none_or(|info| info.ep_type != kind) {
            return Err(Outcome::Invalid);
        }
        if self.stalled {
            Err(Outcome::Stall)
        } else {
            Ok(())
        }
    }

    fn end_session(&mut self) {
        if self.enabled {
            self.session = self.session.wrapping_add(1);
        }
        self.enabled = false;
        self.stalled = false;
        self.waker.wake();
    }
}
