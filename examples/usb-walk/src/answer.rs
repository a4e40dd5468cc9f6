//! The answer that USB 2.0 gives to a standard request, section by section of 9.4.
//!
//! Where it says "not specified", so does this.

use std::collections::{BTreeMap, BTreeSet};

use crate::descriptors::Device;

/// What a device has to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Success, with this data.
    Data(Vec<u8>),
    /// Success, with data that begins so.
    DataThatBegins(Vec<u8>),
    /// A request error: STALL.
    Stall,
    /// Any, as long as there is one.
    Unspecified,
}

/// A visible device state (section 9.1.1), with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// After a reset.
    Default,
    /// With an address.
    Address,
    /// With a configuration.
    Configured {
        /// The alternate setting of each interface that has not its first one.
        settings: BTreeMap<u8, u8>,
        /// Endpoints that are halted.
        halted: BTreeSet<u8>,
    },
}

impl State {
    /// Just configured.
    pub fn configured() -> Self {
        Self::Configured {
            settings: BTreeMap::new(),
            halted: BTreeSet::new(),
        }
    }
}

const DEVICE: u8 = 0;
const INTERFACE: u8 = 1;
const ENDPOINT: u8 = 2;

const ENDPOINT_HALT: u16 = 0;
const DEVICE_REMOTE_WAKEUP: u16 = 1;

/// A SETUP packet, taken apart.
struct Request {
    is_in: bool,
    recipient: u8,
    value: u16,
    index: u16,
    length: u16,
}

/// The answer to a standard request.
///
/// Success without data is `Data` of no bytes.
pub fn answer(device: &Device, state: &State, setup: [u8; 8]) -> Answer {
    let [request_type, code, v0, v1, i0, i1, l0, l1] = setup;
    let request = Request {
        is_in: request_type & 0x80 != 0,
        recipient: request_type & 0x1F,
        value: u16::from_le_bytes([v0, v1]),
        index: u16::from_le_bytes([i0, i1]),
        length: u16::from_le_bytes([l0, l1]),
    };
    assert_eq!(request_type & 0x60, 0, "a standard request");
    let answer = match (code, request.is_in) {
        (0, true) => get_status(device, state, &request),
        (1, false) => clear_feature(device, state, &request),
        (3, false) => set_feature(device, state, &request),
        (5, false) => set_address(state, &request),
        (6, true) => get_descriptor(device, &request),
        (8, true) => get_configuration(device, state, &request),
        (9, false) => set_configuration(device, state, &request),
        (10, true) => get_interface(device, state, &request),
        (11, false) => set_interface(device, state, &request),
        // Set Descriptor and Synch Frame are optional (9.4.8, 9.4.11), all else is reserved.
        _ => Answer::Stall,
    };
    match answer {
        Answer::Data(mut bytes) => {
            bytes.truncate(request.length.into());
            Answer::Data(bytes)
        }
        Answer::DataThatBegins(mut bytes) => {
            bytes.truncate(request.length.into());
            Answer::DataThatBegins(bytes)
        }
        other => other,
    }
}

/// Interface or endpoint of a request: `None` if there is no such thing.
fn recipient_exists(device: &Device, settings: &BTreeMap<u8, u8>, request: &Request) -> bool {
    let Ok(index) = u8::try_from(request.index) else {
        return false;
    };
    match request.recipient {
        DEVICE => true,
        INTERFACE => device.interfaces.contains_key(&index),
        ENDPOINT => device.interfaces.iter().any(|(number, alternatives)| {
            let setting = settings.get(number).copied().unwrap_or(0);
            alternatives[usize::from(setting)].contains(&index)
        }),
        _ => false,
    }
}

fn is_control_endpoint(request: &Request) -> bool {
    request.recipient == ENDPOINT && matches!(request.index, 0 | 0x80)
}

/// 9.4.5.
fn get_status(device: &Device, state: &State, request: &Request) -> Answer {
    if request.recipient > ENDPOINT {
        return Answer::Stall;
    }
    let at_device = request.recipient == DEVICE;
    if request.value != 0 || (at_device && request.index != 0) || *state == State::Default {
        return Answer::Unspecified;
    }
    if at_device {
        return Answer::Data(vec![device.is_self_powered().into(), 0]);
    }
    if is_control_endpoint(request) {
        return Answer::Data(vec![0, 0]);
    }
    let State::Configured { settings, halted } = state else {
        return Answer::Stall;
    };
    if !recipient_exists(device, settings, request) {
        return Answer::Stall;
    }
    let is_halted = request.recipient == ENDPOINT && halted.contains(&(request.index as u8));
    Answer::Data(vec![is_halted.into(), 0])
}

/// 9.4.1.
fn clear_feature(device: &Device, state: &State, request: &Request) -> Answer {
    feature(device, state, request)
}

/// 9.4.9. A high-speed device should have test modes; that this one has none is a deviation.
fn set_feature(device: &Device, state: &State, request: &Request) -> Answer {
    feature(device, state, request)
}

fn feature(device: &Device, state: &State, request: &Request) -> Answer {
    let exists = match request.recipient {
        DEVICE => request.value == DEVICE_REMOTE_WAKEUP && device.can_wake_the_host(),
        ENDPOINT => request.value == ENDPOINT_HALT && !is_control_endpoint(request),
        _ => false,
    };
    match state {
        _ if !exists => Answer::Stall,
        _ if request.length != 0 => Answer::Unspecified,
        State::Default => Answer::Unspecified,
        State::Address if request.recipient != DEVICE => Answer::Stall,
        State::Configured { settings, .. } if !recipient_exists(device, settings, request) => {
            Answer::Stall
        }
        _ => Answer::Data(Vec::new()),
    }
}

/// 9.4.6.
fn set_address(state: &State, request: &Request) -> Answer {
    if request.recipient != DEVICE {
        return Answer::Stall;
    }
    let is_legal = request.value <= 127 && request.index == 0 && request.length == 0;
    match state {
        State::Default | State::Address if is_legal => Answer::Data(Vec::new()),
        _ => Answer::Unspecified,
    }
}

/// 9.4.3. Both or none of the descriptors of the other speed are checked by the walk itself.
fn get_descriptor(device: &Device, request: &Request) -> Answer {
    let [index, kind] = request.value.to_le_bytes();
    match (request.recipient, kind, index) {
        (DEVICE, 1, 0) if request.index == 0 => Answer::Data(device.descriptor.clone()),
        (DEVICE, 2, 0) if request.index == 0 => Answer::Data(device.configuration.clone()),
        (DEVICE, 1 | 2, 0) => Answer::Unspecified,
        (DEVICE, 3, 0) => Answer::DataThatBegins(vec![4, 3]),
        (DEVICE, 3, index) if device.strings.contains(&index) => Answer::DataThatBegins(Vec::new()),
        (DEVICE, 6 | 7, 0) => Answer::Unspecified,
        // The binary object store of USB 2.1.
        (DEVICE, 15, 0) if device.descriptor[3] >= 2 && device.descriptor[2] >= 1 => {
            Answer::DataThatBegins(vec![5, 15])
        }
        _ => Answer::Stall,
    }
}

/// 9.4.2.
fn get_configuration(device: &Device, state: &State, request: &Request) -> Answer {
    if request.recipient != DEVICE {
        return Answer::Stall;
    }
    if request.value != 0 || request.index != 0 {
        return Answer::Unspecified;
    }
    match state {
        State::Default => Answer::Unspecified,
        State::Address => Answer::Data(vec![0]),
        State::Configured { .. } => Answer::Data(vec![device.configuration_value()]),
    }
}

/// 9.4.7.
fn set_configuration(device: &Device, state: &State, request: &Request) -> Answer {
    if request.recipient != DEVICE {
        return Answer::Stall;
    }
    if request.value > 0xFF || request.index != 0 || request.length != 0 || *state == State::Default
    {
        return Answer::Unspecified;
    }
    if request.value == 0 || request.value == device.configuration_value().into() {
        Answer::Data(Vec::new())
    } else {
        Answer::Stall
    }
}

/// 9.4.4.
fn get_interface(device: &Device, state: &State, request: &Request) -> Answer {
    if request.recipient != INTERFACE {
        return Answer::Stall;
    }
    match state {
        State::Default => Answer::Unspecified,
        State::Address => Answer::Stall,
        State::Configured { settings, .. } if recipient_exists(device, settings, request) => {
            if request.value != 0 {
                return Answer::Unspecified;
            }
            let setting = settings.get(&(request.index as u8)).copied().unwrap_or(0);
            Answer::Data(vec![setting])
        }
        State::Configured { .. } => Answer::Stall,
    }
}

/// 9.4.10.
fn set_interface(device: &Device, state: &State, request: &Request) -> Answer {
    if request.recipient != INTERFACE {
        return Answer::Stall;
    }
    match state {
        State::Default => Answer::Unspecified,
        State::Address => Answer::Stall,
        State::Configured { settings, .. } => {
            if !recipient_exists(device, settings, request) {
                return Answer::Stall;
            }
            let alternatives = device.interfaces[&(request.index as u8)].len();
            if usize::from(request.value) >= alternatives {
                return Answer::Stall;
            }
            if request.length != 0 {
                return Answer::Unspecified;
            }
            Answer::Data(Vec::new())
        }
    }
}
