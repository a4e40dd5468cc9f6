//! A device under test, as the requester sees it.
#![allow(dead_code, unreachable_pub, reason = "each test uses some of it")]

pub mod golden;
mod parts;

pub use parts::{NotSupported, Parts};

use mctp::Eid;
use nvme_mi_responder::world::{
    HealthReport, MemoryFirmware, MemoryMedia, MemoryReset, MemoryVpd, SecurityInformation, World,
};
use nvme_mi_responder::{
    ControllerConfig, Crc32c, Identity, Instant, LinkWidth, ManagementEndpoint, MessageBuffer,
    NamespaceId, PciAddress, PciePort, PortConfig, PortId, PortKind, Requester, SmbusFrequency,
    SoftwareCrc32c, Subsystem, TwoWirePort, Vendor,
};

pub const IDENTITY: Identity<'static> = Identity {
    serial_number: "REF0123456789",
    model_number: "Reference NVM subsystem",
    firmware_revision: "REF00001",
    qualified_name: "nqn.2014-08.com.example:reference",
    capacity: 4 << 30,
    vendor: Vendor::NOT_FOR_DISTRIBUTION,
};

pub const PCIE_PORT: PortConfig = PortConfig {
    kind: PortKind::Pcie(PciePort {
        generation: 4,
        width: LinkWidth::X4,
        link: Some(4),
        payload_exponent: 1,
        number: 0,
    }),
    max_transmission_unit: 64,
};

pub const TWO_WIRE_PORT: PortConfig = PortConfig {
    kind: PortKind::TwoWire(TwoWirePort {
        vpd_address: 0x53,
        vpd_frequency: Some(SmbusFrequency::Khz400),
        endpoint_address: 0x1D,
        frequency: SmbusFrequency::Mhz1,
        basic_management: false,
    }),
    max_transmission_unit: 250,
};

/// The reference device: two ports, controllers 0 and 1 on port 0, namespace 1 attached to both,
/// namespace 2 to none, room for four.
pub fn reference_subsystem() -> Subsystem<'static, 2, 2, 4> {
    let mut subsystem = Subsystem::new(IDENTITY).unwrap();
    let pcie = subsystem.add_port(PCIE_PORT).unwrap();
    subsystem.add_port(TWO_WIRE_PORT).unwrap();
    for function in 0..2 {
        let address = Some(PciAddress {
            bus: 1,
            device: 2,
            function,
        });
        let controller = ControllerConfig {
            address,
            ..ControllerConfig::default()
        };
        subsystem.add_controller(pcie, controller).unwrap();
    }
    let first = subsystem.add_namespace(2_097_152).unwrap();
    subsystem.add_namespace(1_048_576).unwrap();
    for controller in 0..2 {
        subsystem
            .attach_namespace(first, nvme_mi_responder::ControllerId(controller))
            .unwrap();
    }
    assert_eq!(first, NamespaceId(1));
    subsystem.model().allow_namespace_management();
    subsystem
}

/// Message buffers that live as long as the test.
pub fn buffers() -> [&'static mut MessageBuffer; 2] {
    [(); 2].map(|()| Box::leak(Box::new(MessageBuffer::new())))
}

pub type Everything = Parts<
    HealthReport,
    MemoryFirmware<'static, 3>,
    MemoryVpd<256>,
    MemoryReset,
    NotSupported,
    SecurityInformation,
    MemoryMedia,
>;

/// The reference device with all optional commands.
pub fn everything() -> Device<Everything> {
    let memory = Box::leak(vec![0; 4 * 8192].into_boxed_slice());
    let slots = [Some(*b"REF00001"), Some(*b"REF00002"), None];
    let world = Parts::new(HealthReport::healthy())
        .with_firmware(MemoryFirmware::new(memory, slots).with_read_only_first_slot())
        .with_vpd(MemoryVpd::new([0; 256]))
        .with_reset(MemoryReset::default())
        .with_security(SecurityInformation)
        .with_media(MemoryMedia::new());
    Device::reference(world).with_endpoint_buffer(512)
}

/// A device, its management endpoint, and the time.
pub struct Device<W: World> {
    pub inner: nvme_mi_responder::Device<'static, W>,
    pub endpoint: ManagementEndpoint<'static>,
    /// Another management endpoint of the device, at another port.
    second: Option<ManagementEndpoint<'static>>,
    pub now: Instant,
}

/// What requesters of a second endpoint do meanwhile: by the test program, which runs the tests of
/// the others again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    /// There is none.
    Absent,
    /// Nothing.
    Idle,
    /// They poll and clear what they have seen.
    Polling,
}

/// The first value, or the second if there is a second endpoint, at the PCIe port.
pub fn with_second<T>(alone: T, beside: T) -> T {
    match second() {
        Second::Absent => alone,
        Second::Idle | Second::Polling => beside,
    }
}

pub fn second() -> Second {
    match env!("CARGO_CRATE_NAME") {
        "beside_an_idle_endpoint" => Second::Idle,
        "beside_a_polling_endpoint" => Second::Polling,
        _ => Second::Absent,
    }
}

/// An Admin request; [`ADMIN`] is one with all fields zero.
#[derive(Clone, Copy)]
pub struct Admin<'d> {
    pub slot: u8,
    pub opcode: u8,
    pub flags: u8,
    pub controller: u16,
    pub namespace: u32,
    pub offset: u32,
    pub length: u32,
    /// Dwords 10 to 15.
    pub dwords: [u32; 6],
    pub data: &'d [u8],
}

pub const ADMIN: Admin<'static> = Admin {
    slot: 0,
    opcode: 0,
    flags: 1,
    controller: 0,
    namespace: 0,
    offset: 0,
    length: 0,
    dwords: [0; 6],
    data: &[],
};

impl Admin<'_> {
    /// The request without its Message Integrity Check.
    pub fn message(&self) -> Vec<u8> {
        let mut message = vec![0x84, 0x10 | self.slot, 0, 0, self.opcode, self.flags];
        message.extend(self.controller.to_le_bytes());
        message.extend(self.namespace.to_le_bytes());
        message.extend([0; 16]);
        message.extend(self.offset.to_le_bytes());
        message.extend(self.length.to_le_bytes());
        message.extend([0; 8]);
        message.extend(self.dwords.iter().flat_map(|dword| dword.to_le_bytes()));
        message.extend(self.data);
        message
    }
}

pub fn crc(bytes: &[u8]) -> [u8; 4] {
    SoftwareCrc32c.crc32c(&[bytes]).to_le_bytes()
}

/// The message with its Message Integrity Check.
pub fn sealed(message: &[u8]) -> Vec<u8> {
    [message, &crc(message)].concat()
}

impl<W: World> Device<W> {
    /// The reference subsystem in this world, with its endpoint at the two-wire port.
    pub fn reference(world: W) -> Self {
        Self::of(Box::leak(Box::new(reference_subsystem())).model(), world)
    }

    pub fn of(model: nvme_mi_responder::Model<'static>, world: W) -> Self {
        Self::at(model, PortId(1), world)
    }

    /// The same with the endpoint at another port.
    pub fn at(model: nvme_mi_responder::Model<'static>, port: PortId, world: W) -> Self {
        let mut inner = nvme_mi_responder::Device::new(model, world);
        let endpoint = ManagementEndpoint::new(&mut inner, port, buffers()).unwrap();
        let other = PortId(1 - port.0);
        let second = match second() {
            Second::Absent => None,
            // Some models have one port.
            _ => ManagementEndpoint::new(&mut inner, other, buffers()).ok(),
        };
        Self {
            inner,
            endpoint,
            second,
            now: Instant::START,
        }
    }

    /// What requesters of the second endpoint do between two messages of the first.
    pub fn meanwhile(&mut self) {
        let Some(endpoint) = &mut self.second else {
            return;
        };
        if second() != Second::Polling {
            return;
        }
        let polls: [&[u8]; 2] = [
            // NVM Subsystem Health Status Poll, which clears the composite flags.
            &[8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80],
            // Controller Health Status Poll of all controllers, which clears their flags.
            &[8, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0x87, 0x1F, 0, 0, 0x80],
        ];
        let requester = Requester {
            endpoint_id: Eid(20),
            exchange: 900,
        };
        for poll in polls {
            let check = crc(&[&[0x84], poll].concat());
            let message = [poll, &check].concat();
            let taken = endpoint.receive(&mut self.inner, self.now, requester, true, &message);
            assert_eq!(taken, Ok(()));
            let transmission = endpoint.transmission().expect("a response");
            assert_eq!(transmission.body[3], 0, "success");
            let source = transmission.source;
            endpoint.sent(&mut self.inner, source);
        }
    }

    /// The same with a Management Endpoint Buffer.
    pub fn with_endpoint_buffer(mut self, length: usize) -> Self {
        let buffer = vec![0; length].leak();
        self.endpoint = self.endpoint.with_endpoint_buffer(&mut self.inner, buffer);
        self
    }

    pub fn model(&mut self) -> &mut nvme_mi_responder::Model<'static> {
        self.inner.model()
    }

    pub fn world(&mut self) -> &mut W {
        self.inner.world()
    }

    /// Sends a whole message, type byte to Message Integrity Check, and returns the response like
    /// that, if there is one.
    pub fn raw(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let (message_type, body) = message.split_first()?;
        let requester = Requester {
            endpoint_id: Eid(8),
            exchange: 3,
        };
        self.meanwhile();
        let check = message_type & 0x80 != 0;
        let _ = self
            .endpoint
            .receive(&mut self.inner, self.now, requester, check, body);
        self.response()
    }

    /// The next message from the responder, type byte to Message Integrity Check, as sent.
    pub fn response(&mut self) -> Option<Vec<u8>> {
        let transmission = self.endpoint.transmission()?;
        let response = [&[0x84], transmission.body].concat();
        let source = transmission.source;
        self.endpoint.sent(&mut self.inner, source);
        Some(response)
    }

    /// Sends a message without its Message Integrity Check. Checks the frame of the response and
    /// returns what is inside, from byte 4 on.
    pub fn request(&mut self, message: &[u8]) -> Vec<u8> {
        let response = self.raw(&sealed(message)).expect("no response");
        let (content, check) = response.split_last_chunk::<4>().expect("a short response");
        assert_eq!(
            *check,
            crc(content),
            "the Message Integrity Check of the response is wrong"
        );
        // VPD Read and Management Endpoint Buffer Read answer with as many bytes as were asked for.
        let asks_for_a_length =
            message[1] & !1 == 0x08 && matches!(message.get(4), Some(0x05 | 0x0A));
        assert!(
            asks_for_a_length || response.len().is_multiple_of(4),
            "libnvme before 1.6 takes multiples of 4 only"
        );
        assert_eq!(content[..4], [0x84, message[1] | 0x80, 0, 0]);
        content[4..].to_vec()
    }

    /// Sends an MI command; returns status, NMRESP and data.
    pub fn mi(&mut self, opcode: u8, dword0: u32, dword1: u32, data: &[u8]) -> Vec<u8> {
        let mut message = vec![0x84, 0x08, 0, 0, opcode, 0, 0, 0];
        message.extend(dword0.to_le_bytes());
        message.extend(dword1.to_le_bytes());
        message.extend(data);
        self.request(&message)
    }

    /// Sends an Admin command; returns status, completion and data.
    pub fn admin(&mut self, command: Admin<'_>) -> Vec<u8> {
        self.request(&command.message())
    }

    /// Sends an Admin command that succeeds; returns completion dword 0 and the data.
    pub fn admin_ok(&mut self, command: Admin<'_>) -> (u32, Vec<u8>) {
        let response = self.admin(command);
        assert_eq!(response[..4], [0; 4], "NVMe-MI status");
        assert_eq!(response[12..16], [0; 4], "completion status");
        (
            u32::from_le_bytes(response[4..8].try_into().unwrap()),
            response[16..].to_vec(),
        )
    }

    /// Sends an Admin command that fails with a completion status; returns it, without Do Not
    /// Retry.
    pub fn admin_status(&mut self, command: Admin<'_>) -> u16 {
        let response = self.admin(command);
        assert_eq!(response[..4], [0; 4], "NVMe-MI status");
        assert_eq!(response.len(), 16, "data after a failure");
        let dword3 = u32::from_le_bytes(response[12..16].try_into().unwrap());
        (dword3 >> 17) as u16 & 0x07FF
    }
}

/// The value of `length` bytes at `offset`, little-endian.
pub fn field(data: &[u8], offset: usize, length: usize) -> u64 {
    data[offset..][..length]
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A firmware image of so many pages, with this revision.
pub fn firmware_image(revision: &[u8; 8], pages: usize) -> Vec<u8> {
    let content: Vec<u8> = (0..pages * 4096 - 24).map(|index| index as u8).collect();
    let header = nvme_mi_responder::world::firmware_image_header(*revision, &content);
    [&header[..], &content].concat()
}
