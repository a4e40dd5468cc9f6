//! What happened on the bus, as told by the USB stack to the two halves.

use core::sync::atomic::{AtomicBool, Ordering};

/// Interruptions of the link, which its two halves see at their next USB packet.
///
/// [`MctpUsbClass`](crate::MctpUsbClass) reports them from `embassy-usb`. Whoever uses
/// [`Receiver`](crate::Receiver) and [`Sender`](crate::Sender) on bare endpoints reports them here.
///
/// Some USB drivers do not end a pending read when the bus is reset; without this, the first half
/// of a packet from before the reset could be joined to the second half of one after it.
///
/// Three flags, set here and cleared by the halves, with loads and stores only, as not every core
/// has more.
#[derive(Debug, Default)]
pub struct BusEvents {
    receiver_restarted: AtomicBool,
    receiver_paused: AtomicBool,
    sender_restarted: AtomicBool,
}

impl BusEvents {
    /// Nothing happened yet.
    pub const fn new() -> Self {
        Self {
            receiver_restarted: AtomicBool::new(false),
            receiver_paused: AtomicBool::new(false),
            sender_restarted: AtomicBool::new(false),
        }
    }

    /// The bus was reset, the device was configured or unconfigured, or it lost power: what was
    /// under way will not go on.
    pub fn restarted(&self) {
        self.receiver_restarted.store(true, Ordering::Release);
        self.sender_restarted.store(true, Ordering::Release);
    }

    /// The bus was suspended, or the interface was set anew: unfinished packets will not go on, the
    /// link does.
    pub fn paused(&self) {
        self.receiver_paused.store(true, Ordering::Release);
    }

    /// Whether there is anything for the receiver to take: asked for each USB packet.
    #[inline]
    pub(crate) fn any_for_receiver(&self) -> bool {
        self.receiver_restarted.load(Ordering::Acquire)
            | self.receiver_paused.load(Ordering::Acquire)
    }

    pub(crate) fn take_receiver_restarted(&self) -> bool {
        take(&self.receiver_restarted)
    }

    pub(crate) fn take_receiver_paused(&self) -> bool {
        take(&self.receiver_paused)
    }

    pub(crate) fn take_sender_restarted(&self) -> bool {
        take(&self.sender_restarted)
    }
}

/// Clears a flag before its event is acted on: one that is set in between is either this event, or
/// is seen next time.
#[inline(never)]
fn take(flag: &AtomicBool) -> bool {
    let set = flag.load(Ordering::Acquire);
    if set {
        flag.store(false, Ordering::Release);
    }
    set
}
