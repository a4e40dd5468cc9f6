//! The fixed part of each message, after its header.

use super::cursor::{Cursor, Output};
use super::{Capabilities, EndpointKind, Header, Speed, Status, kind};

/// Endpoint slots of ep_info: 0-15 are the OUT endpoints, 16-31 the IN endpoints; see
/// [`endpoint_slot`].
pub const ENDPOINT_SLOTS: usize = 32;

/// The most interfaces that interface_info can describe.
pub const INTERFACE_SLOTS: usize = 32;

const VERSION_LENGTH: usize = 64;

/// The place of an endpoint address (bit 7: IN, bits 3-0: number) in [`EndpointInfo`].
pub const fn endpoint_slot(address: u8) -> usize {
    ((address & 0x80) >> 3 | address & 0x0F) as usize
}

/// Hello, type 0: the first message of either side.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 64 | version, text ended by zero bytes |
/// | 64 | 4 each | capability words; none at all means no capability. Words after the first are ignored and not sent |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hello {
    /// Name and version of the program, for people.
    pub version: [u8; VERSION_LENGTH],
    /// What that side can do.
    pub capabilities: Capabilities,
}

impl Hello {
    /// A hello with `version` cut to 63 bytes.
    pub fn new(version: &str, capabilities: Capabilities) -> Self {
        let mut field = [0; VERSION_LENGTH];
        let text = version
            .as_bytes()
            .iter()
            .take(VERSION_LENGTH.saturating_sub(1));
        for (to, from) in field.iter_mut().zip(text) {
            *to = *from;
        }
        Self {
            version: field,
            capabilities,
        }
    }
}

/// Device_connect, type 1: the device is plugged in.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 1 | speed |
/// | 1 | 3 | device class, subclass, protocol |
/// | 4 | 2 | vendor id |
/// | 6 | 2 | product id |
/// | 8 | 2 | device version (BCD), only with [`Capabilities::CONNECT_DEVICE_VERSION`] |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DeviceConnect {
    /// Bus speed.
    pub speed: Speed,
    /// bDeviceClass.
    pub class: u8,
    /// bDeviceSubClass.
    pub subclass: u8,
    /// bDeviceProtocol.
    pub protocol: u8,
    /// idVendor.
    pub vendor_id: u16,
    /// idProduct.
    pub product_id: u16,
    /// bcdDevice; 0 when it is not on the wire.
    pub version: u16,
}

/// Interface_info, type 4: the interfaces in their current alternate settings.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 4 | count of interfaces |
/// | 4 | 32 | interface numbers |
/// | 36 | 32 | classes |
/// | 68 | 32 | subclasses |
/// | 100 | 32 | protocols |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct InterfaceInfo {
    /// How many entries of the arrays are valid; a reader must not trust it to be at most 32.
    pub count: u32,
    /// bInterfaceNumber of each.
    pub number: [u8; INTERFACE_SLOTS],
    /// bInterfaceClass of each.
    pub class: [u8; INTERFACE_SLOTS],
    /// bInterfaceSubClass of each.
    pub subclass: [u8; INTERFACE_SLOTS],
    /// bInterfaceProtocol of each.
    pub protocol: [u8; INTERFACE_SLOTS],
}

/// Ep_info, type 5: the endpoints that exist now.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 32 | type of each slot |
/// | 32 | 32 | polling interval (bInterval) of each |
/// | 64 | 32 | interface number of each |
/// | 96 | 64 | maximum packet size of each, 16 bits, only with [`Capabilities::ENDPOINT_MAX_PACKET_SIZE`] |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EndpointInfo {
    /// Transfer type of each slot.
    pub kind: [EndpointKind; ENDPOINT_SLOTS],
    /// bInterval of each; must not be 0 for an interrupt endpoint.
    pub interval: [u8; ENDPOINT_SLOTS],
    /// The interface each belongs to.
    pub interface: [u8; ENDPOINT_SLOTS],
    /// wMaxPacketSize of each, in bytes; 0 when it is not on the wire.
    pub max_packet_size: [u16; ENDPOINT_SLOTS],
}

impl EndpointInfo {
    /// No endpoint at all.
    pub const EMPTY: Self = Self {
        kind: [EndpointKind::ABSENT; ENDPOINT_SLOTS],
        interval: [0; ENDPOINT_SLOTS],
        interface: [0; ENDPOINT_SLOTS],
        max_packet_size: [0; ENDPOINT_SLOTS],
    };
}

/// Control_packet, type 100: a control transfer, or the answer to it.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 1 | endpoint: 80h for IN, 00h for OUT |
/// | 1 | 1 | bRequest |
/// | 2 | 1 | bmRequestType |
/// | 3 | 1 | status, in an answer |
/// | 4 | 2 | wValue |
/// | 6 | 2 | wIndex |
/// | 8 | 2 | length: wLength in a request, bytes done in an answer |
///
/// Data follow in an OUT request and in an IN answer, exactly `length` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ControlHeader {
    /// 80h for IN, 00h for OUT.
    pub endpoint: u8,
    /// bRequest.
    pub request: u8,
    /// bmRequestType.
    pub request_type: u8,
    /// How it ended.
    pub status: Status,
    /// wValue.
    pub value: u16,
    /// wIndex.
    pub index: u16,
    /// Bytes asked for, or done.
    pub length: u16,
}

/// Bulk_packet, type 101: a bulk transfer, or the answer to it.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 1 | endpoint address |
/// | 1 | 1 | status, in an answer |
/// | 2 | 2 | length, low half: bytes asked for in a request, done in an answer |
/// | 4 | 4 | stream id, 0 without USB 3 streams |
/// | 8 | 2 | length, high half, only with [`Capabilities::BULK_LENGTH_32_BITS`] |
///
/// Data follow in an OUT request and in an IN answer, exactly `length` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BulkHeader {
    /// Endpoint address, bit 7 for IN.
    pub endpoint: u8,
    /// How it ended.
    pub status: Status,
    /// Bytes asked for, or done.
    pub length: u32,
    /// USB 3 stream.
    pub stream_id: u32,
}

/// Interrupt_packet, type 103: one interrupt packet, or the answer to it.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 1 | endpoint address |
/// | 1 | 1 | status |
/// | 2 | 2 | length in bytes |
///
/// IN packets come unasked while receiving is started. OUT packets are requests with data, answered
/// without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct InterruptHeader {
    /// Endpoint address, bit 7 for IN.
    pub endpoint: u8,
    /// How it ended.
    pub status: Status,
    /// Bytes.
    pub length: u16,
}

/// One message, without its header and data.
///
/// In the comments: (d) only the device side sends it, (g) only the guest side, (b) both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(
    clippy::large_enum_variant,
    reason = "short-lived, and there is no allocator to box with"
)]
#[allow(
    missing_docs,
    reason = "the fields of the small messages are what their names say, one byte each, in wire order"
)]
pub enum Message {
    /// (b) Type 0.
    Hello(Hello),
    /// (d) Type 1.
    DeviceConnect(DeviceConnect),
    /// (d) Type 2: the device is unplugged.
    DeviceDisconnect,
    /// (g) Type 3: bus reset.
    Reset,
    /// (d) Type 4.
    InterfaceInfo(InterfaceInfo),
    /// (d) Type 5.
    EndpointInfo(EndpointInfo),
    /// (g) Type 6: answered by type 8.
    SetConfiguration { configuration: u8 },
    /// (g) Type 7: answered by type 8.
    GetConfiguration,
    /// (d) Type 8.
    ConfigurationStatus { status: Status, configuration: u8 },
    /// (g) Type 9: answered by type 11.
    SetAltSetting { interface: u8, alt_setting: u8 },
    /// (g) Type 10: answered by type 11.
    GetAltSetting { interface: u8 },
    /// (d) Type 11.
    AltSettingStatus {
        status: Status,
        interface: u8,
        alt_setting: u8,
    },
    /// (g) Type 15: answered by type 17; interrupt packets of this endpoint may be sent from now
    /// on.
    StartInterruptReceiving { endpoint: u8 },
    /// (g) Type 16: answered by type 17.
    StopInterruptReceiving { endpoint: u8 },
    /// (d) Type 17.
    InterruptReceivingStatus { status: Status, endpoint: u8 },
    /// (g) Type 21: answer the request with this id at once, as cancelled.
    CancelDataPacket,
    /// (g) Type 24, only with [`Capabilities::DEVICE_DISCONNECT_ACK`].
    DeviceDisconnectAck,
    /// (b) Type 100.
    Control(ControlHeader),
    /// (b) Type 101.
    Bulk(BulkHeader),
    /// (b) Type 103.
    Interrupt(InterruptHeader),
}

/// The length of the fixed part of a message of this type, in bytes; `None` when [`Message`] does
/// not model it.
///
/// For hello that is the version and the first capability word; a peer that has no capability sends
/// 64 bytes only, so take the lesser of this and the header's `length`.
pub const fn fixed_length(message_kind: u32, caps: Capabilities) -> Option<usize> {
    Some(match message_kind {
        kind::HELLO => 68,
        kind::DEVICE_CONNECT if caps.has(Capabilities::CONNECT_DEVICE_VERSION) => 10,
        kind::DEVICE_CONNECT => 8,
        kind::INTERFACE_INFO => 132,
        kind::ENDPOINT_INFO if caps.has(Capabilities::ENDPOINT_MAX_PACKET_SIZE) => 160,
        kind::ENDPOINT_INFO => 96,
        kind::DEVICE_DISCONNECT
        | kind::RESET
        | kind::GET_CONFIGURATION
        | kind::CANCEL_DATA_PACKET
        | kind::DEVICE_DISCONNECT_ACK => 0,
        kind::SET_CONFIGURATION
        | kind::GET_ALT_SETTING
        | kind::START_INTERRUPT_RECEIVING
        | kind::STOP_INTERRUPT_RECEIVING => 1,
        kind::CONFIGURATION_STATUS | kind::SET_ALT_SETTING | kind::INTERRUPT_RECEIVING_STATUS => 2,
        kind::ALT_SETTING_STATUS => 3,
        kind::CONTROL_PACKET => 10,
        kind::BULK_PACKET if caps.has(Capabilities::BULK_LENGTH_32_BITS) => 10,
        kind::BULK_PACKET => 8,
        kind::INTERRUPT_PACKET => 4,
        _ => return None,
    })
}

impl Message {
    /// The type number.
    pub const fn kind(&self) -> u32 {
        match self {
            Self::Hello(_) => kind::HELLO,
            Self::DeviceConnect(_) => kind::DEVICE_CONNECT,
            Self::DeviceDisconnect => kind::DEVICE_DISCONNECT,
            Self::Reset => kind::RESET,
            Self::InterfaceInfo(_) => kind::INTERFACE_INFO,
            Self::EndpointInfo(_) => kind::ENDPOINT_INFO,
            Self::SetConfiguration { .. } => kind::SET_CONFIGURATION,
            Self::GetConfiguration => kind::GET_CONFIGURATION,
            Self::ConfigurationStatus { .. } => kind::CONFIGURATION_STATUS,
            Self::SetAltSetting { .. } => kind::SET_ALT_SETTING,
            Self::GetAltSetting { .. } => kind::GET_ALT_SETTING,
            Self::AltSettingStatus { .. } => kind::ALT_SETTING_STATUS,
            Self::StartInterruptReceiving { .. } => kind::START_INTERRUPT_RECEIVING,
            Self::StopInterruptReceiving { .. } => kind::STOP_INTERRUPT_RECEIVING,
            Self::InterruptReceivingStatus { .. } => kind::INTERRUPT_RECEIVING_STATUS,
            Self::CancelDataPacket => kind::CANCEL_DATA_PACKET,
            Self::DeviceDisconnectAck => kind::DEVICE_DISCONNECT_ACK,
            Self::Control(_) => kind::CONTROL_PACKET,
            Self::Bulk(_) => kind::BULK_PACKET,
            Self::Interrupt(_) => kind::INTERRUPT_PACKET,
        }
    }

    /// Reads the fixed part of a message of type `message_kind` from the start of `body`.
    ///
    /// `None` when `body` is shorter than it, or the type is not modelled. What follows the fixed
    /// part is not looked at.
    pub fn parse(message_kind: u32, caps: Capabilities, body: &[u8]) -> Option<Self> {
        let mut body = Cursor(body);
        Some(match message_kind {
            kind::HELLO => Self::Hello(Hello {
                version: body.array()?,
                capabilities: Capabilities(body.u32().unwrap_or(0)),
            }),
            kind::DEVICE_CONNECT => Self::DeviceConnect(parse_device_connect(caps, &mut body)?),
            kind::DEVICE_DISCONNECT => Self::DeviceDisconnect,
            kind::RESET => Self::Reset,
            kind::INTERFACE_INFO => Self::InterfaceInfo(InterfaceInfo {
                count: body.u32()?,
                number: body.array()?,
                class: body.array()?,
                subclass: body.array()?,
                protocol: body.array()?,
            }),
            kind::ENDPOINT_INFO => Self::EndpointInfo(parse_endpoint_info(caps, &mut body)?),
            kind::SET_CONFIGURATION => Self::SetConfiguration {
                configuration: body.u8()?,
            },
            kind::GET_CONFIGURATION => Self::GetConfiguration,
            kind::CONFIGURATION_STATUS => Self::ConfigurationStatus {
                status: Status(body.u8()?),
                configuration: body.u8()?,
            },
            kind::SET_ALT_SETTING => Self::SetAltSetting {
                interface: body.u8()?,
                alt_setting: body.u8()?,
            },
            kind::GET_ALT_SETTING => Self::GetAltSetting {
                interface: body.u8()?,
            },
            kind::ALT_SETTING_STATUS => Self::AltSettingStatus {
                status: Status(body.u8()?),
                interface: body.u8()?,
                alt_setting: body.u8()?,
            },
            kind::START_INTERRUPT_RECEIVING => Self::StartInterruptReceiving {
                endpoint: body.u8()?,
            },
            kind::STOP_INTERRUPT_RECEIVING => Self::StopInterruptReceiving {
                endpoint: body.u8()?,
            },
            kind::INTERRUPT_RECEIVING_STATUS => Self::InterruptReceivingStatus {
                status: Status(body.u8()?),
                endpoint: body.u8()?,
            },
            kind::CANCEL_DATA_PACKET => Self::CancelDataPacket,
            kind::DEVICE_DISCONNECT_ACK => Self::DeviceDisconnectAck,
            kind::CONTROL_PACKET => Self::Control(parse_control(&mut body)?),
            kind::BULK_PACKET => Self::Bulk(parse_bulk(caps, &mut body)?),
            kind::INTERRUPT_PACKET => Self::Interrupt(InterruptHeader {
                endpoint: body.u8()?,
                status: Status(body.u8()?),
                length: body.u16()?,
            }),
            _ => return None,
        })
    }

    /// Writes header and fixed part to `out`, for a message that `data_length` bytes of data will
    /// follow.
    ///
    /// Returns how many bytes it wrote; `None` when `out` is too short
    /// ([`MAX_MESSAGE_LENGTH`](super::MAX_MESSAGE_LENGTH) is always enough).
    pub fn emit(
        &self,
        caps: Capabilities,
        id: u64,
        data_length: u32,
        out: &mut [u8],
    ) -> Option<usize> {
        let caps = if matches!(self, Self::Hello(_)) {
            Capabilities::NONE
        } else {
            caps
        };
        let header_length = Header::encoded_length(caps);
        let mut body = Output::new(out.get_mut(header_length..)?);
        self.emit_fixed(caps, &mut body)?;
        let fixed = body.length();
        let length = u32::try_from(fixed).ok()?.checked_add(data_length)?;
        Header {
            kind: self.kind(),
            length,
            id,
        }
        .emit(caps, out)?;
        header_length.checked_add(fixed)
    }

    fn emit_fixed(&self, caps: Capabilities, out: &mut Output<'_>) -> Option<()> {
        match self {
            Self::Hello(hello) => {
                out.bytes(&hello.version)?;
                out.u32(hello.capabilities.0)
            }
            Self::DeviceConnect(connect) => emit_device_connect(connect, caps, out),
            Self::InterfaceInfo(info) => {
                out.u32(info.count)?;
                out.bytes(&info.number)?;
                out.bytes(&info.class)?;
                out.bytes(&info.subclass)?;
                out.bytes(&info.protocol)
            }
            Self::EndpointInfo(info) => emit_endpoint_info(info, caps, out),
            Self::SetConfiguration { configuration } => out.u8(*configuration),
            Self::ConfigurationStatus {
                status,
                configuration,
            } => out.bytes(&[status.0, *configuration]),
            Self::SetAltSetting {
                interface,
                alt_setting,
            } => out.bytes(&[*interface, *alt_setting]),
            Self::GetAltSetting { interface } => out.u8(*interface),
            Self::AltSettingStatus {
                status,
                interface,
                alt_setting,
            } => out.bytes(&[status.0, *interface, *alt_setting]),
            Self::StartInterruptReceiving { endpoint }
            | Self::StopInterruptReceiving { endpoint } => out.u8(*endpoint),
            Self::InterruptReceivingStatus { status, endpoint } => {
                out.bytes(&[status.0, *endpoint])
            }
            Self::Control(control) => emit_control(control, out),
            Self::Bulk(bulk) => emit_bulk(bulk, caps, out),
            Self::Interrupt(interrupt) => {
                out.bytes(&[interrupt.endpoint, interrupt.status.0])?;
                out.u16(interrupt.length)
            }
            Self::DeviceDisconnect
            | Self::Reset
            | Self::GetConfiguration
            | Self::CancelDataPacket
            | Self::DeviceDisconnectAck => Some(()),
        }
    }
}

fn parse_device_connect(caps: Capabilities, body: &mut Cursor<'_>) -> Option<DeviceConnect> {
    Some(DeviceConnect {
        speed: Speed(body.u8()?),
        class: body.u8()?,
        subclass: body.u8()?,
        protocol: body.u8()?,
        vendor_id: body.u16()?,
        product_id: body.u16()?,
        version: if caps.has(Capabilities::CONNECT_DEVICE_VERSION) {
            body.u16()?
        } else {
            0
        },
    })
}

fn emit_device_connect(
    connect: &DeviceConnect,
    caps: Capabilities,
    out: &mut Output<'_>,
) -> Option<()> {
    out.bytes(&[
        connect.speed.0,
        connect.class,
        connect.subclass,
        connect.protocol,
    ])?;
    out.u16(connect.vendor_id)?;
    out.u16(connect.product_id)?;
    if caps.has(Capabilities::CONNECT_DEVICE_VERSION) {
        out.u16(connect.version)?;
    }
    Some(())
}

fn parse_endpoint_info(caps: Capabilities, body: &mut Cursor<'_>) -> Option<EndpointInfo> {
    let mut info = EndpointInfo {
        kind: body.array::<ENDPOINT_SLOTS>()?.map(EndpointKind),
        interval: body.array()?,
        interface: body.array()?,
        max_packet_size: [0; ENDPOINT_SLOTS],
    };
    if caps.has(Capabilities::ENDPOINT_MAX_PACKET_SIZE) {
        for size in &mut info.max_packet_size {
            *size = body.u16()?;
        }
    }
    Some(info)
}

fn emit_endpoint_info(info: &EndpointInfo, caps: Capabilities, out: &mut Output<'_>) -> Option<()> {
    out.bytes(&info.kind.map(|kind| kind.0))?;
    out.bytes(&info.interval)?;
    out.bytes(&info.interface)?;
    if caps.has(Capabilities::ENDPOINT_MAX_PACKET_SIZE) {
        for size in info.max_packet_size {
            out.u16(size)?;
        }
    }
    Some(())
}

fn parse_control(body: &mut Cursor<'_>) -> Option<ControlHeader> {
    Some(ControlHeader {
        endpoint: body.u8()?,
        request: body.u8()?,
        request_type: body.u8()?,
        status: Status(body.u8()?),
        value: body.u16()?,
        index: body.u16()?,
        length: body.u16()?,
    })
}

fn emit_control(control: &ControlHeader, out: &mut Output<'_>) -> Option<()> {
    out.bytes(&[
        control.endpoint,
        control.request,
        control.request_type,
        control.status.0,
    ])?;
    out.u16(control.value)?;
    out.u16(control.index)?;
    out.u16(control.length)
}

fn parse_bulk(caps: Capabilities, body: &mut Cursor<'_>) -> Option<BulkHeader> {
    let (endpoint, status) = (body.u8()?, Status(body.u8()?));
    let low = u32::from(body.u16()?);
    let stream_id = body.u32()?;
    let high = if caps.has(Capabilities::BULK_LENGTH_32_BITS) {
        u32::from(body.u16()?)
    } else {
        0
    };
    Some(BulkHeader {
        endpoint,
        status,
        length: high << 16 | low,
        stream_id,
    })
}

fn emit_bulk(bulk: &BulkHeader, caps: Capabilities, out: &mut Output<'_>) -> Option<()> {
    out.bytes(&[bulk.endpoint, bulk.status.0])?;
    out.u16(bulk.length as u16)?;
    out.u32(bulk.stream_id)?;
    if caps.has(Capabilities::BULK_LENGTH_32_BITS) {
        out.u16((bulk.length >> 16) as u16)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usbredir::wire::{MAX_MESSAGE_LENGTH, kind};
    use proptest::prelude::*;

    const ALL: Capabilities = Capabilities(0x7F);

    fn every_message() -> Vec<Message> {
        let mut endpoints = EndpointInfo::EMPTY;
        endpoints.kind[endpoint_slot(0x81)] = EndpointKind::BULK;
        endpoints.max_packet_size[endpoint_slot(0x81)] = 512;
        let header = ControlHeader {
            endpoint: 0x80,
            request: 6,
            request_type: 0x80,
            status: Status::STALL,
            value: 0x0100,
            index: 0x0409,
            length: 18,
        };
        vec![
            Message::Hello(Hello::new("test 1.0", Capabilities::DEVICE)),
            Message::DeviceConnect(DeviceConnect {
                speed: Speed::HIGH,
                class: 1,
                subclass: 2,
                protocol: 3,
                vendor_id: 0x1234,
                product_id: 0x5678,
                version: 0x0203,
            }),
            Message::DeviceDisconnect,
            Message::Reset,
            Message::InterfaceInfo(InterfaceInfo {
                count: 1,
                number: [1; 32],
                class: [2; 32],
                subclass: [3; 32],
                protocol: [4; 32],
            }),
            Message::EndpointInfo(endpoints),
            Message::SetConfiguration { configuration: 1 },
            Message::GetConfiguration,
            Message::ConfigurationStatus {
                status: Status::SUCCESS,
                configuration: 1,
            },
            Message::SetAltSetting {
                interface: 1,
                alt_setting: 2,
            },
            Message::GetAltSetting { interface: 1 },
            Message::AltSettingStatus {
                status: Status::STALL,
                interface: 1,
                alt_setting: 2,
            },
            Message::StartInterruptReceiving { endpoint: 0x82 },
            Message::StopInterruptReceiving { endpoint: 0x82 },
            Message::InterruptReceivingStatus {
                status: Status::SUCCESS,
                endpoint: 0x82,
            },
            Message::CancelDataPacket,
            Message::DeviceDisconnectAck,
            Message::Control(header),
            Message::Bulk(BulkHeader {
                endpoint: 1,
                status: Status::SUCCESS,
                length: 0x12_3456,
                stream_id: 0,
            }),
            Message::Interrupt(InterruptHeader {
                endpoint: 0x82,
                status: Status::SUCCESS,
                length: 8,
            }),
        ]
    }

    #[test]
    fn every_message_survives_emit_and_parse() {
        for message in every_message() {
            let mut bytes = [0xAA; MAX_MESSAGE_LENGTH];
            let length = message.emit(ALL, 0x1_0000_0001, 5, &mut bytes).unwrap();
            let caps = if message.kind() == kind::HELLO {
                Capabilities::NONE
            } else {
                ALL
            };
            let (header, start) = Header::parse(&bytes, caps).unwrap();
            assert_eq!(header.kind, message.kind());
            assert_eq!(
                header.length as usize,
                length - start + 5,
                "length counts the fixed part and the data"
            );
            assert_eq!(fixed_length(header.kind, caps), Some(length - start));
            assert_eq!(
                Message::parse(header.kind, caps, &bytes[start..length]),
                Some(message)
            );
        }
    }

    #[test]
    fn every_message_refuses_a_body_one_byte_short() {
        for message in every_message() {
            let mut bytes = [0; MAX_MESSAGE_LENGTH];
            let length = message.emit(ALL, 0, 0, &mut bytes).unwrap();
            assert_eq!(message.emit(ALL, 0, 0, &mut bytes[..length - 1]), None);
            let fixed = fixed_length(message.kind(), ALL).unwrap();
            if fixed > 0 && message.kind() != kind::HELLO {
                assert_eq!(
                    Message::parse(message.kind(), ALL, &bytes[length - fixed..length - 1]),
                    None
                );
            }
        }
    }

    #[test]
    fn fewer_capabilities_make_shorter_messages() {
        let none = Capabilities::NONE;
        let mut bytes = [0; MAX_MESSAGE_LENGTH];
        let bulk = BulkHeader {
            endpoint: 1,
            status: Status::SUCCESS,
            length: 512,
            stream_id: 0,
        };
        assert_eq!(
            Message::Bulk(bulk).emit(none, 0, 0, &mut bytes),
            Some(12 + 8)
        );
        assert_eq!(
            Message::EndpointInfo(EndpointInfo::EMPTY).emit(none, 0, 0, &mut bytes),
            Some(12 + 96)
        );
        assert_eq!(Message::Reset.emit(none, 0, 0, &mut bytes), Some(12));
        assert_eq!(
            Message::Reset.emit(Capabilities::DEVICE, 0, 0, &mut bytes),
            Some(16)
        );
    }

    #[test]
    fn hello_without_capability_words_has_no_capability() {
        let hello = Message::Hello(Hello::new("old", Capabilities::NONE));
        assert_eq!(
            Message::parse(kind::HELLO, Capabilities::NONE, &{
                let mut body = [0; 64];
                body[..3].copy_from_slice(b"old");
                body
            }),
            Some(hello)
        );
    }

    #[test]
    fn version_text_is_cut_to_63_bytes_and_a_zero() {
        let hello = Hello::new(&"x".repeat(100), Capabilities::NONE);
        assert_eq!(hello.version[62], b'x');
        assert_eq!(hello.version[63], 0);
    }

    #[test]
    fn slots_put_out_endpoints_first() {
        assert_eq!(endpoint_slot(0x00), 0);
        assert_eq!(endpoint_slot(0x0F), 15);
        assert_eq!(endpoint_slot(0x80), 16);
        assert_eq!(endpoint_slot(0x8F), 31);
        assert_eq!(endpoint_slot(0xFF), 31);
    }

    proptest! {
        #[test]
        fn whatever_parses_emits_the_same_bytes(message_kind in 0u32..110, body in proptest::collection::vec(any::<u8>(), 68..200), caps in 0u32..0x80) {
            let caps = Capabilities(caps);
            if let Some(message) = Message::parse(message_kind, caps, &body) {
                let mut bytes = [0; MAX_MESSAGE_LENGTH];
                let length = message.emit(caps, 1, 0, &mut bytes).unwrap();
                let fixed = fixed_length(message_kind, caps).unwrap();
                prop_assert_eq!(&bytes[length - fixed..length], &body[..fixed]);
            }
        }
    }
}
