//! Endpoints behind the bridge, as the tests play them, and the time in which the bridge finds them.

use mctp_router::{Instant, PortId, Receipt};
use mctp_transport::{PhysicalAddress, SendError};

use crate::device::{Device, I2C, SERIAL, UPSTREAM};
use crate::support::Wire;

/// An endpoint, or a bridge that wants a pool.
#[derive(Clone, Debug)]
pub(crate) struct Neighbour {
    pub(crate) port: PortId,
    pub(crate) address: PhysicalAddress,
    pub(crate) is_present: bool,
    /// Nobody acknowledges its address while it is absent; otherwise it is silent.
    pub(crate) is_acknowledged: bool,
    pub(crate) endpoint_id: u8,
    pub(crate) uuid: [u8; 16],
    /// How many endpoint IDs a bridge wants.
    pub(crate) wants: u8,
    /// First and number of those that it has.
    pub(crate) pool: (u8, u8),
    /// The commands that it was asked, with their data.
    pub(crate) asked: Vec<Vec<u8>>,
}

impl Neighbour {
    pub(crate) fn new(port: PortId, address: PhysicalAddress, uuid: u8) -> Self {
        Self {
            port,
            address,
            is_present: true,
            is_acknowledged: false,
            endpoint_id: 0,
            uuid: [uuid; 16],
            wants: 0,
            pool: (0, 0),
            asked: Vec::new(),
        }
    }

    pub(crate) fn bridge(mut self, wants: u8) -> Self {
        self.wants = wants;
        self
    }

    /// Whether a packet is a request to it.
    fn hears(&self, header: Wire) -> bool {
        let is_for_it = [0, self.endpoint_id].contains(&header.destination);
        self.is_present && is_for_it && header.tag_owner
    }

    /// Completion code and data.
    fn answer(&mut self, command: u8, data: &[u8]) -> Vec<u8> {
        let bridge = u8::from(self.wants > 0);
        match (command, data) {
            (1, [0 | 1, endpoint_id]) => {
                self.endpoint_id = *endpoint_id;
                let pool_status = bridge << u8::from(self.pool.1 > 0);
                vec![0, pool_status, *endpoint_id, self.wants]
            }
            (2, []) => vec![0, self.endpoint_id, bridge << 4, 0],
            (3, []) => [&[0], &self.uuid[..]].concat(),
            (8, [0 | 1, count, first]) => {
                self.pool = (*first, *count);
                vec![0, 0, *count, *first]
            }
            (9, _) if bridge == 1 => vec![0],
            _ => vec![5],
        }
    }

    /// The packet that answers a packet.
    fn respond(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let (header, message) = Wire::parse(packet);
        let [0, flags, command, data @ ..] = message else {
            panic!("a control request: {packet:02x?}");
        };
        assert!(flags & 0xE0 == 0x80, "{packet:02x?}");
        self.asked.push([&[*command], data].concat());
        let asked = header.destination;
        let answer = self.answer(*command, data);
        let source = if *command == 1 {
            asked
        } else {
            self.endpoint_id
        };
        let back = Wire {
            destination: header.source,
            source,
            tag_owner: false,
            ..header
        };
        Some(back.packet(&[&[0, flags & 0x1F, *command], &answer[..]].concat()))
    }

    /// How often it was asked a command.
    pub(crate) fn count(&self, command: u8) -> usize {
        let asked = self.asked.iter();
        asked.filter(|asked| asked[0] == command).count()
    }
}

impl Device {
    /// Lets time pass; the neighbours hear and answer at once.
    pub(crate) fn run(&mut self, milliseconds: u64, neighbours: &mut [Neighbour]) {
        let end = self.now + milliseconds;
        loop {
            self.deliver(neighbours);
            let deadline = self.core.next_deadline();
            if deadline > Instant::from_millis(end) {
                self.now = end;
                return;
            }
            let before = self.now;
            self.now = deadline.as_millis().max(self.now);
            self.core.expire(self.now());
            let is_ahead = self.core.next_deadline() > Instant::from_millis(self.now);
            assert!(is_ahead || self.now > before, "the deadline does not move");
        }
    }

    /// A neighbour sends Discovery Notify; the completion code that it gets.
    pub(crate) fn notify(
        &mut self,
        from: (PortId, PhysicalAddress),
        header: Wire,
        neighbours: &mut [Neighbour],
    ) -> Option<Vec<u8>> {
        let packet = header.packet(&[0, 0x81, 0x0D]);
        assert_eq!(self.receive(from, &packet), Receipt::Control);
        // The answer is first in the port.
        let outbound = self.core.poll_transmit(from.0)?;
        let answer = outbound.transfer.packets().next().map(<[u8]>::to_vec);
        self.core
            .transmit_done(self.now(), from.0, outbound, Ok(()));
        self.deliver(neighbours);
        answer.map(|packet| packet[7..].to_vec())
    }

    /// Brings the packets that wait at the ports downstream to the neighbours, and their answers
    /// back, until there are none.
    pub(crate) fn deliver(&mut self, neighbours: &mut [Neighbour]) {
        loop {
            let mut answers = Vec::new();
            for port in [I2C, SERIAL, UPSTREAM] {
                while let Some(outbound) = self.core.poll_transmit(port) {
                    let address = outbound.transfer.destination();
                    let there = neighbours
                        .iter_mut()
                        .find(|neighbour| (neighbour.port, neighbour.address) == (port, address));
                    let mut result = Ok(());
                    match there {
                        Some(neighbour) if !neighbour.is_present && neighbour.is_acknowledged => {
                            result = Err(SendError::NotAccepted);
                        }
                        Some(neighbour) => {
                            for packet in outbound.transfer.packets() {
                                let (header, _) = Wire::parse(packet);
                                if neighbour.hears(header) {
                                    answers.extend(
                                        neighbour
                                            .respond(packet)
                                            .map(|answer| (port, address, answer)),
                                    );
                                }
                            }
                        }
                        None => {}
                    }
                    self.core.transmit_done(self.now(), port, outbound, result);
                }
            }
            if answers.is_empty() {
                return;
            }
            for (port, address, answer) in answers {
                self.receive((port, address), &answer);
            }
        }
    }
}
