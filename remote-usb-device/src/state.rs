//! The storage that the caller owns.

use core::cell::RefCell;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;

use crate::engine::{Engine, Storage};
use crate::queue::{InQueue, OutQueue};

/// Memory for the transfers of one device.
///
/// | parameter | meaning |
/// |---|---|
/// | `ENDPOINTS` | endpoints besides endpoint 0, in each direction |
/// | `IN` | bytes collected for each IN endpoint: at least the longest request of the guest, else it ends early, between packets |
/// | `OUT` | bytes kept for each OUT endpoint until the device reads them; a longer transfer streams through while it is read |
/// | `CONTROL` | the longest control data stage, configuration descriptor included; QEMU takes at most 4096 |
///
/// It takes `ENDPOINTS * (IN + OUT) + CONTROL` bytes, and less than 2.5 KiB of queues for each of
/// the `ENDPOINTS`.
pub struct Buffers<
    const ENDPOINTS: usize = 4,
    const IN: usize = 4096,
    const OUT: usize = 16384,
    const CONTROL: usize = 4096,
> {
    control: [u8; CONTROL],
    ins: [InQueue; ENDPOINTS],
    in_bytes: [[u8; IN]; ENDPOINTS],
    outs: [OutQueue; ENDPOINTS],
    out_bytes: [[u8; OUT]; ENDPOINTS],
}

impl<const ENDPOINTS: usize, const IN: usize, const OUT: usize, const CONTROL: usize>
    Buffers<ENDPOINTS, IN, OUT, CONTROL>
{
    /// Empty buffers.
    pub const fn new() -> Self {
        Self {
            control: [0; CONTROL],
            ins: [const { InQueue::new() }; ENDPOINTS],
            in_bytes: [[0; IN]; ENDPOINTS],
            outs: [const { OutQueue::new() }; ENDPOINTS],
            out_bytes: [[0; OUT]; ENDPOINTS],
        }
    }
}

impl<const ENDPOINTS: usize, const IN: usize, const OUT: usize, const CONTROL: usize> Default
    for Buffers<ENDPOINTS, IN, OUT, CONTROL>
{
    fn default() -> Self {
        Self::new()
    }
}

/// What the driver, the runner and the handle of one device share.
///
/// Choose `NoopRawMutex` when all of them run on one executor. With `CriticalSectionRawMutex` they
/// can be on several, but interrupts are off while bytes are copied, up to about a kilobyte at a
/// time, or up to `OUT` bytes when a queue has to be moved together.
pub struct State<'d, M: RawMutex> {
    engine: Mutex<M, RefCell<Engine<'d>>>,
}

impl<'d, M: RawMutex> State<'d, M> {
    /// The state of a device that has these buffers.
    pub fn new<const ENDPOINTS: usize, const IN: usize, const OUT: usize, const CONTROL: usize>(
        buffers: &'d mut Buffers<ENDPOINTS, IN, OUT, CONTROL>,
    ) -> Self {
        let storage = Storage {
            control_bytes: &mut buffers.control,
            ins: &mut buffers.ins,
            in_bytes: buffers.in_bytes.as_flattened_mut(),
            in_size: IN,
            outs: &mut buffers.outs,
            out_bytes: buffers.out_bytes.as_flattened_mut(),
            out_size: OUT,
        };
        Self {
            engine: Mutex::new(RefCell::new(Engine::new(storage))),
        }
    }

    /// Works on the engine. `f` must not come back here: wakers only schedule, they do not poll.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Engine<'d>) -> R) -> R {
        self.engine.lock(|engine| f(&mut engine.borrow_mut()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embassy_sync::blocking_mutex::raw::NoopRawMutex;

    #[test]
    fn ram_is_what_the_readme_says() {
        assert!(size_of::<Buffers>() <= 96 << 10);
        assert!(size_of::<Buffers<1, 0, 0, 0>>() <= 2500);
        assert!(size_of::<Buffers<2, 1024, 2048, 256>>() <= 11 << 10);
        assert!(size_of::<State<'_, NoopRawMutex>>() <= 1200);
    }
}
