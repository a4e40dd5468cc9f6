//! What happened on the bus, as told by the USB stack to the two halves.

use core::sync::atomic::{AtomicBool, Ordering};

/// Interruptions of the link, which its two halves see at their next USB packet.
///
/// The class for `embassy-usb` reports them. With another USB stack, the firmware that makes
/// [`Receiver`](crate::Receiver) and [`Sender`](crate::Sender) reports them here.
///
/// Some USB drivers do not end a pending read when the bus is reset; without this, the first half
/// of a packet from before the reset could be joined to the second half of one after it.
///
/// Three flags, set here and cleared by the halves, with loads and stores only, as not every core
/// has more.
#[derive(Debug, Default)]
pub struct BusEvents {
    /// Also set, last, when the bus was restarted: the receiver looks at this flag alone for each
    /// USB packet.
    receiver_interrupted: AtomicBool,
    receiver_restarted: AtomicBool,
    sender_restarted: AtomicBool,
}

impl BusEvents {
    /// Nothing happened yet.
    pub const fn new() -> Self {
        Self {
            receiver_interrupted: AtomicBool::new(false),
            receiver_restarted: AtomicBool::new(false),
            sender_restarted: AtomicBool::new(false),
        }
    }

    /// The bus was reset, the device was configured or unconfigured, or it lost power: what was
    /// under way will not go on.
    pub fn restarted(&self) {
        self.receiver_restarted.store(true, Ordering::Release);
        self.receiver_interrupted.store(true, Ordering::Release);
        self.sender_restarted.store(true, Ordering::Release);
    }

    /// The bus was suspended, or the interface was set anew: unfinished packets will not go on, the
    /// link does.
    pub fn paused(&self) {
        self.receiver_interrupted.store(true, Ordering::Release);
    }

    /// Whether there is anything for the receiver to take: asked for each USB packet.
    #[inline]
    pub(crate) fn receiver_interrupted(&self) -> bool {
        self.receiver_interrupted.load(Ordering::Acquire)
    }

    /// Takes what there is for the receiver: whether the bus was restarted.
    pub(crate) fn take_receiver_restarted(&self) -> bool {
        take(&self.receiver_interrupted);
        take(&self.receiver_restarted)
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
