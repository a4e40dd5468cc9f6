//! What the device supports, told from what is being served: Get MCTP Version Support, Get Message
//! Type Support and Get Vendor Defined Message Support (DSP0236 1.3.3, sections 12.7 to 12.9).

use core::ptr;

use crate::service::Service;
use crate::wire::{
    CompletionCode, GetMessageTypeSupportResponse, GetVersionSupportRequest,
    GetVersionSupportResponse, MESSAGE_TYPE, Response, VendorSupport, Version,
};

/// The versions of the base specification and of the control protocol, oldest first: 1.0, 1.1, 1.2,
/// 1.3.3 (section 12.7.3).
const BASE_VERSIONS: [Version; 4] = [
    Version::from_bytes([0xF1, 0xF0, 0xFF, 0x00]),
    Version::from_bytes([0xF1, 0xF1, 0xFF, 0x00]),
    Version::from_bytes([0xF1, 0xF2, 0xFF, 0x00]),
    Version::from_bytes([0xF1, 0xF3, 0xF3, 0x00]),
];

/// What is served in a network.
pub(crate) trait Services<'s> {
    /// The first service for which this holds.
    fn find(&self, is_it: &mut dyn FnMut(&'s Service) -> bool) -> Option<&'s Service>;
}

/// Answers Get MCTP Version Support.
pub(crate) fn versions<'s>(
    message_type: u8,
    services: &impl Services<'s>,
    response: &mut Response,
) -> Result<(), CompletionCode> {
    let versions = match message_type {
        GetVersionSupportRequest::BASE_SPECIFICATION | MESSAGE_TYPE => &BASE_VERSIONS[..],
        _ => services
            .find(&mut |service| {
                service.message_type.0 == message_type && !service.versions.is_empty()
            })
            .map(|service| service.versions)
            .ok_or(CompletionCode::MESSAGE_TYPE_NOT_SUPPORTED)?,
    };
    GetVersionSupportResponse::emit(versions, response);
    Ok(())
}

/// Answers Get Message Type Support.
pub(crate) fn message_types<'s>(services: &impl Services<'s>, response: &mut Response) {
    // All that the 7-bit field can hold, in order: so none is out of order or twice, without
    // sorting.
    let types = (MESSAGE_TYPE + 1..0x80).filter(|message_type| {
        let mut is_of_type = |service: &Service| service.message_type.0 == *message_type;
        services.find(&mut is_of_type).is_some()
    });
    GetMessageTypeSupportResponse::emit(types, response);
}

/// Answers Get Vendor Defined Message Support.
pub(crate) fn vendor<'s>(
    selector: u8,
    services: &impl Services<'s>,
) -> Result<VendorSupport, CompletionCode> {
    let mut entry = None;
    let mut before = selector;
    let next = services.find(&mut |one| {
        // Services that share a vendor and a command set are one entry: that of the first.
        let first = services
            .find(&mut |other| (other.vendor, other.command_set) == (one.vendor, one.command_set));
        if one.vendor.is_none() || !first.is_some_and(|first| ptr::eq(first, one)) {
            return false;
        }
        if entry.is_some() {
            return true;
        }
        match before.checked_sub(1) {
            Some(left) => before = left,
            None => entry = Some(one),
        }
        false
    });
    let entry = entry.and_then(|one| Some((one.vendor?, one.command_set)));
    let (vendor, command_set) = entry.ok_or(CompletionCode::INVALID_DATA)?;
    Ok(VendorSupport {
        // mctpd asks for selectors without gaps.
        next_selector: next.map_or(VendorSupport::LAST, |_| selector.wrapping_add(1)),
        vendor,
        command_set,
    })
}
