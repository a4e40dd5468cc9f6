//! Preallocated tags: message tags that the kernel keeps for a program (Linux
//! `include/uapi/linux/mctp.h`).
//!
//! A plain request gets a tag from the kernel, which forgets it with the first answer, or after six
//! seconds. A preallocated one stays until it is dropped: several answers may come on it, and
//! several requests may be sent with it. Two pairs of system calls (`ioctl`) allocate and drop one:
//!
//! | call | number | argument |
//! |---|---|---|
//! | `SIOCMCTPALLOCTAG2` | 89E2h | `struct mctp_ioc_tag_ctl2`, 12 bytes |
//! | `SIOCMCTPDROPTAG2` | 89E3h | the same |
//! | `SIOCMCTPALLOCTAG` | 89E0h | `struct mctp_ioc_tag_ctl`, 4 bytes |
//! | `SIOCMCTPDROPTAG` | 89E1h | the same |
//!
//! | bytes of the first | of the second | field |
//! |---|---|---|
//! | 0..4 | | network, which has to be a real one: 0 is not the default one here |
//! | 4 | 0 | endpoint ID of the peer |
//! | 5 | | own endpoint ID, 0 for any |
//! | 6..8 | 2..4 | flags, 0 |
//! | 8 | 1 | tag: 0 to allocate, then what the kernel returned, with the bits of [`TAG_OWNER`] and [`TAG_PREALLOCATED`] |
//! | 9..12 | | padding |
//!
//! The second pair is of network 1 alone. Older kernels have no other, and answer the first with
//! `EINVAL`.
//!
//! [`TAG_OWNER`]: crate::address::TAG_OWNER
//! [`TAG_PREALLOCATED`]: crate::address::TAG_PREALLOCATED

use std::io;

use crate::address::FIRST_NETWORK;

/// A system call, with the argument that the kernel reads and writes.
#[derive(Debug)]
pub enum Call<'a> {
    /// `SIOCMCTPALLOCTAG2`.
    AllocateOfNetwork(&'a mut [u8; 12]),
    /// `SIOCMCTPDROPTAG2`.
    DropOfNetwork(&'a mut [u8; 12]),
    /// `SIOCMCTPALLOCTAG`.
    Allocate(&'a mut [u8; 4]),
    /// `SIOCMCTPDROPTAG`.
    Drop(&'a mut [u8; 4]),
}

impl Call<'_> {
    /// The number of the call, and its argument: of the length that the kernel takes.
    pub fn parts(self) -> (u32, *mut u8) {
        match self {
            Self::AllocateOfNetwork(argument) => (0x89e2, argument.as_mut_ptr()),
            Self::DropOfNetwork(argument) => (0x89e3, argument.as_mut_ptr()),
            Self::Allocate(argument) => (0x89e0, argument.as_mut_ptr()),
            Self::Drop(argument) => (0x89e1, argument.as_mut_ptr()),
        }
    }
}

/// What does the system calls: a socket.
pub trait Control {
    /// Does the system call.
    fn control(&self, call: Call<'_>) -> io::Result<()>;
}

/// A socket with a tag that the kernel keeps for it. When this is dropped, the kernel may give the
/// tag to others.
#[derive(Debug)]
pub struct PreallocatedTag<S: Control> {
    socket: S,
    network: u32,
    peer: u8,
    tag: u8,
    /// Which pair of system calls the kernel has.
    calls: Calls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calls {
    /// Of any network.
    OfNetwork,
    /// Of network 1.
    Old,
}

impl<S: Control> PreallocatedTag<S> {
    /// Has the kernel keep a tag for messages to a peer. There are eight for each peer:
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) if none is left.
    pub fn allocate(socket: S, network: u32, peer: u8) -> io::Result<Self> {
        let mut argument = of_network(network, peer, 0);
        let (tag, calls) = match socket.control(Call::AllocateOfNetwork(&mut argument)) {
            Ok(()) => (argument[8], Calls::OfNetwork),
            // The older pair would take a tag of another network.
            Err(error)
                if error.kind() == io::ErrorKind::InvalidInput && network == FIRST_NETWORK =>
            {
                let mut argument = [peer, 0, 0, 0];
                socket.control(Call::Allocate(&mut argument))?;
                (argument[1], Calls::Old)
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            socket,
            network,
            peer,
            tag,
            calls,
        })
    }

    /// The socket, to send and receive by.
    pub fn socket(&self) -> &S {
        &self.socket
    }

    /// What stands in the address of each message that is sent with the tag.
    pub fn value(&self) -> u8 {
        self.tag
    }
}

impl<S: Control> Drop for PreallocatedTag<S> {
    fn drop(&mut self) {
        // Where it fails, the tag goes with the socket.
        let _ = match self.calls {
            Calls::OfNetwork => {
                let mut argument = of_network(self.network, self.peer, self.tag);
                self.socket.control(Call::DropOfNetwork(&mut argument))
            }
            Calls::Old => {
                let mut argument = [self.peer, self.tag, 0, 0];
                self.socket.control(Call::Drop(&mut argument))
            }
        };
    }
}

/// `struct mctp_ioc_tag_ctl2`.
fn of_network(network: u32, peer: u8, tag: u8) -> [u8; 12] {
    let [a, b, c, d] = network.to_ne_bytes();
    [a, b, c, d, peer, 0, 0, 0, tag, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// The numbers of the system calls that were made, and their arguments.
    type Made = Vec<(u32, Vec<u8>)>;

    /// A kernel that gives tag 5, and fails the calls with these numbers.
    #[derive(Debug)]
    struct Kernel<'c> {
        made: &'c RefCell<Made>,
        without: &'static [u32],
        error: io::ErrorKind,
    }

    impl Control for Kernel<'_> {
        fn control(&self, call: Call<'_>) -> io::Result<()> {
            let (number, argument, tag): (_, &mut [u8], _) = match call {
                Call::AllocateOfNetwork(argument) => (0x89e2, argument, Some(8)),
                Call::DropOfNetwork(argument) => (0x89e3, argument, None),
                Call::Allocate(argument) => (0x89e0, argument, Some(1)),
                Call::Drop(argument) => (0x89e1, argument, None),
            };
            self.made.borrow_mut().push((number, argument.to_vec()));
            if self.without.contains(&number) {
                return Err(self.error.into());
            }
            if let Some(tag) = tag {
                argument[tag] = 0x1d;
            }
            Ok(())
        }
    }

    fn allocate<'c>(
        made: &'c RefCell<Made>,
        network: u32,
        without: &'static [u32],
        error: io::ErrorKind,
    ) -> io::Result<PreallocatedTag<Kernel<'c>>> {
        let kernel = Kernel {
            made,
            without,
            error,
        };
        PreallocatedTag::allocate(kernel, network, 9)
    }

    #[test]
    fn a_tag_is_allocated_and_dropped_with_the_same_network_and_peer() {
        let made = RefCell::default();
        let tag = allocate(&made, 0x0102_0304, &[], io::ErrorKind::Other).unwrap();
        assert_eq!(tag.value(), 0x1d);
        drop(tag);
        let network = 0x0102_0304_u32.to_ne_bytes();
        let allocation = [&network[..], &[9, 0, 0, 0, 0, 0, 0, 0]].concat();
        let end = [&network[..], &[9, 0, 0, 0, 0x1d, 0, 0, 0]].concat();
        assert_eq!(*made.borrow(), [(0x89e2, allocation), (0x89e3, end)]);
    }

    #[test]
    fn a_kernel_without_the_newer_calls_gets_the_older_ones() {
        let made = RefCell::default();
        let tag = allocate(&made, 1, &[0x89e2], io::ErrorKind::InvalidInput).unwrap();
        assert_eq!(tag.value(), 0x1d);
        drop(tag);
        let older = [(0x89e0, vec![9, 0, 0, 0]), (0x89e1, vec![9, 0x1d, 0, 0])];
        assert_eq!(made.borrow()[1..], older);
    }

    #[test]
    fn calls_have_the_numbers_of_linux() {
        let numbers = [
            Call::AllocateOfNetwork(&mut [0; 12]).parts().0,
            Call::DropOfNetwork(&mut [0; 12]).parts().0,
            Call::Allocate(&mut [0; 4]).parts().0,
            Call::Drop(&mut [0; 4]).parts().0,
        ];
        assert_eq!(numbers, [0x89e2, 0x89e3, 0x89e0, 0x89e1]);
    }

    #[test]
    fn the_older_calls_are_not_for_another_network_or_another_error() {
        for (network, error) in [
            (2, io::ErrorKind::InvalidInput),
            (1, io::ErrorKind::ResourceBusy),
        ] {
            let made = RefCell::default();
            let failed = allocate(&made, network, &[0x89e2], error).unwrap_err();
            assert_eq!(failed.kind(), error);
            // Nor is a tag dropped that there is not.
            assert_eq!(made.borrow().len(), 1);
        }
    }
}
