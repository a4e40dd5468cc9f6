//! What the device supports, told from what is being served: Get MCTP Version Support (04h), Get
//! Message Type Support (05h) and Get Vendor Defined Message Support (06h) (DSP0236 1.3.3, sections
//! 12.7 to 12.9).
//!
//! # Get MCTP Version Support
//!
//! Request data: one byte, the message type, or FFh for the base specification. Response data: a
//! count, then as many versions of 4 bytes, oldest first: major, minor, update, alpha, in BCD,
//! where a high digit of Fh means a single digit and an update of FFh any update (section 12.7.2).
//! Completion code 80h: no service of that type, or none that states its versions.
//!
//! # Get Message Type Support
//!
//! There is no request data. Response data: a count, then as many message types in ascending order;
//! type 00h, control, is always the first.
//!
//! # Get Vendor Defined Message Support
//!
//! Request data: one byte, the selector: 0 first, then what the last response said. Response data:
//!
//! | byte | field |
//! |-|-|
//! | 0 | the next selector, FFh after the last |
//! | 1 | vendor ID format: 00h PCI, 01h IANA |
//! | 2.. | vendor ID, 2 or 4 bytes, most significant first |
//! | then | command set, 2 bytes, most significant first |
//!
//! Selectors count from 0 without gaps, as mctpd asks for. `ERROR_INVALID_DATA`: no such selector.

use core::ptr;

use super::{CompletionCode, Payload, put};
use crate::service::{Service, Vendor};

/// The versions of the base specification and of the control protocol, oldest first: 1.0, 1.1, 1.2,
/// 1.3.3 (section 12.7.3).
const BASE_VERSIONS: [[u8; 4]; 4] = [
    [0xF1, 0xF0, 0xFF, 0x00],
    [0xF1, 0xF1, 0xFF, 0x00],
    [0xF1, 0xF2, 0xFF, 0x00],
    [0xF1, 0xF3, 0xF3, 0x00],
];

/// Asks for the versions of the base specification.
const BASE_SPECIFICATION: u8 = 0xFF;
const CONTROL: u8 = 0x00;

/// The selector that says there is no further vendor.
const LAST_SELECTOR: u8 = 0xFF;
const FORMAT_PCI: u8 = 0x00;
const FORMAT_IANA: u8 = 0x01;

/// What is served in a network.
pub(crate) trait Services<'s> {
    /// The first service for which this holds.
    fn find(&self, is_it: &mut dyn FnMut(&'s Service) -> bool) -> Option<&'s Service>;
}

/// Answers Get MCTP Version Support.
pub(crate) fn versions<'s>(
    message_type: u8,
    services: &impl Services<'s>,
    payload: &mut Payload,
) -> Result<(), CompletionCode> {
    let versions = match message_type {
        BASE_SPECIFICATION | CONTROL => &BASE_VERSIONS[..],
        _ => services
            .find(&mut |service| {
                service.message_type.0 == message_type && !service.versions.is_empty()
            })
            .map(|service| service.versions)
            .ok_or(CompletionCode::MessageTypeNotSupported)?,
    };
    put(payload, &[versions.len() as u8])?;
    put(payload, versions.as_flattened())
}

/// Answers Get Message Type Support.
pub(crate) fn message_types<'s>(
    services: &impl Services<'s>,
    payload: &mut Payload,
) -> Result<(), CompletionCode> {
    let mut types = Payload::new();
    // All that the 7-bit field can hold, in order: so none is out of order or twice, without
    // sorting.
    for message_type in CONTROL..=0x7F {
        let mut is_of_type = |service: &Service| service.message_type.0 == message_type;
        if message_type == CONTROL || services.find(&mut is_of_type).is_some() {
            put(&mut types, &[message_type])?;
        }
    }
    put(payload, &[types.len() as u8])?;
    put(payload, &types)
}

/// Answers Get Vendor Defined Message Support.
pub(crate) fn vendors<'s>(
    selector: u8,
    services: &impl Services<'s>,
    payload: &mut Payload,
) -> Result<(), CompletionCode> {
    let mut entry = None;
    let mut before = selector;
    let next = services.find(&mut |one| {
        // Services that share a vendor and a command set are one entry: that of the first.
        let first = services
            .find(&mut |other| (other.vendor, other.command_set) == (one.vendor, one.command_set));
        let (Some(vendor), true) = (one.vendor, first.is_some_and(|first| ptr::eq(first, one)))
        else {
            return false;
        };
        if entry.is_some() {
            return true;
        }
        match before.checked_sub(1) {
            Some(left) => before = left,
            None => entry = Some((vendor, one.command_set)),
        }
        false
    });
    let (vendor, command_set) = entry.ok_or(CompletionCode::InvalidData)?;
    let next = match next {
        Some(_) => selector.wrapping_add(1),
        None => LAST_SELECTOR,
    };
    let [high, low] = command_set.to_be_bytes();
    match vendor {
        Vendor::Pci(id) => {
            let [a, b] = id.to_be_bytes();
            put(payload, &[next, FORMAT_PCI, a, b, high, low])
        }
        Vendor::Iana(id) => {
            let [a, b, c, d] = id.to_be_bytes();
            put(payload, &[next, FORMAT_IANA, a, b, c, d, high, low])
        }
    }
}
