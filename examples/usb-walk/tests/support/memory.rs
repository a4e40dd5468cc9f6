//! A driver in memory that keeps the contract of `embassy-usb-driver`, and its host.
//!
//! It is as strict as drivers on hardware: endpoints that it was not asked for are a panic.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use anyhow::{Result, bail};
use embassy_usb::driver::{
    Bus, ControlPipe, Direction, Driver, Endpoint, EndpointAddress, EndpointAllocError,
    EndpointError, EndpointIn, EndpointInfo, EndpointOut, EndpointType, Event, Unsupported,
};
use usb_walk::host::{Host, Outcome, Until};

use super::{PATIENCE, Tasks};

/// How the device ended a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Accepted,
    Refused,
}

#[derive(Default)]
struct Port {
    enabled: bool,
    halted: bool,
    packets: VecDeque<Vec<u8>>,
}

/// What is between host and device.
#[derive(Default)]
struct Cable {
    events: VecDeque<Event>,
    setup: Option<[u8; 8]>,
    to_device: VecDeque<Vec<u8>>,
    to_host: Vec<u8>,
    status: Option<Status>,
    ports: BTreeMap<u8, Port>,
}

#[derive(Clone, Default)]
pub struct MemoryDriver(Rc<RefCell<Cable>>);

impl MemoryDriver {
    /// Pending until there is something.
    async fn next<T>(&self, mut take: impl FnMut(&mut Cable) -> Option<T>) -> T {
        poll_fn(|_| match take(&mut self.0.borrow_mut()) {
            Some(value) => Poll::Ready(value),
            None => Poll::Pending,
        })
        .await
    }

    fn port<T>(&self, endpoint: EndpointAddress, use_it: impl FnOnce(&mut Port) -> T) -> T {
        let mut cable = self.0.borrow_mut();
        let address = u8::from(endpoint);
        let port = cable.ports.get_mut(&address);
        use_it(port.unwrap_or_else(|| panic!("there is no endpoint {address:02x}")))
    }

    fn allocate(
        &self,
        direction: Direction,
        ep_type: EndpointType,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Pipe {
        let mut cable = self.0.borrow_mut();
        let free = (1..16)
            .map(|number| EndpointAddress::from_parts(number, direction))
            .find(|address| !cable.ports.contains_key(&u8::from(*address)));
        let addr = free.expect("the device has few endpoints");
        cable.ports.insert(addr.into(), Port::default());
        Pipe {
            driver: self.clone(),
            info: EndpointInfo {
                addr,
                ep_type,
                max_packet_size,
                interval_ms,
            },
        }
    }

    fn end(&self, status: Status) {
        let mut cable = self.0.borrow_mut();
        if cable.setup.is_none() {
            cable.status = Some(status);
        }
    }
}

pub struct Pipe {
    driver: MemoryDriver,
    info: EndpointInfo,
}

impl Endpoint for Pipe {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn wait_enabled(&mut self) {
        poll_fn(
            |_| match self.driver.port(self.info.addr, |port| port.enabled) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            },
        )
        .await;
    }
}

impl EndpointOut for Pipe {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, EndpointError> {
        poll_fn(|_| {
            self.driver.port(self.info.addr, |port| {
                if !port.enabled {
                    return Poll::Ready(Err(EndpointError::Disabled));
                }
                let Some(packet) = port.packets.pop_front() else {
                    return Poll::Pending;
                };
                buffer[..packet.len()].copy_from_slice(&packet);
                Poll::Ready(Ok(packet.len()))
            })
        })
        .await
    }
}

impl EndpointIn for Pipe {
    async fn write(&mut self, packet: &[u8]) -> Result<(), EndpointError> {
        poll_fn(|_| {
            self.driver.port(self.info.addr, |port| {
                if !port.enabled {
                    return Poll::Ready(Err(EndpointError::Disabled));
                }
                if !port.packets.is_empty() {
                    return Poll::Pending;
                }
                port.packets.push_back(packet.to_vec());
                Poll::Ready(Ok(()))
            })
        })
        .await
    }
}

impl Bus for MemoryDriver {
    async fn enable(&mut self) {}
    async fn disable(&mut self) {}

    async fn poll(&mut self) -> Event {
        self.next(|cable| {
            let event = cable.events.pop_front();
            if event == Some(Event::Reset) {
                cable
                    .ports
                    .values_mut()
                    .for_each(|port| *port = Port::default());
            }
            event
        })
        .await
    }

    fn endpoint_set_enabled(&mut self, endpoint: EndpointAddress, enabled: bool) {
        self.port(endpoint, |port| {
            *port = Port {
                enabled,
                ..Port::default()
            }
        });
    }

    fn endpoint_set_stalled(&mut self, endpoint: EndpointAddress, stalled: bool) {
        self.port(endpoint, |port| port.halted = stalled);
    }

    fn endpoint_is_stalled(&mut self, endpoint: EndpointAddress) -> bool {
        self.port(endpoint, |port| port.halted)
    }

    async fn remote_wakeup(&mut self) -> Result<(), Unsupported> {
        Err(Unsupported)
    }
}

impl ControlPipe for MemoryDriver {
    fn max_packet_size(&self) -> usize {
        64
    }

    async fn setup(&mut self) -> [u8; 8] {
        self.next(|cable| cable.setup.take()).await
    }

    async fn data_out(
        &mut self,
        buffer: &mut [u8],
        _: bool,
        _: bool,
    ) -> Result<usize, EndpointError> {
        let packet = self
            .next(|cable| match cable.setup {
                Some(_) => Some(None),
                None => cable.to_device.pop_front().map(Some),
            })
            .await
            .ok_or(EndpointError::Disabled)?;
        let space = buffer.get_mut(..packet.len());
        space
            .ok_or(EndpointError::BufferOverflow)?
            .copy_from_slice(&packet);
        Ok(packet.len())
    }

    async fn data_in(&mut self, data: &[u8], _: bool, last: bool) -> Result<(), EndpointError> {
        if self.0.borrow().setup.is_some() {
            return Err(EndpointError::Disabled);
        }
        self.0.borrow_mut().to_host.extend_from_slice(data);
        if last {
            self.end(Status::Accepted);
        }
        Ok(())
    }

    async fn accept(&mut self) {
        self.end(Status::Accepted);
    }

    async fn reject(&mut self) {
        self.end(Status::Refused);
    }

    async fn accept_set_address(&mut self, _: u8) {
        self.end(Status::Accepted);
    }
}

impl Driver<'_> for MemoryDriver {
    type EndpointOut = Pipe;
    type EndpointIn = Pipe;
    type ControlPipe = Self;
    type Bus = Self;

    fn alloc_endpoint_out(
        &mut self,
        ep_type: EndpointType,
        _: Option<EndpointAddress>,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Result<Pipe, EndpointAllocError> {
        Ok(self.allocate(Direction::Out, ep_type, max_packet_size, interval_ms))
    }

    fn alloc_endpoint_in(
        &mut self,
        ep_type: EndpointType,
        _: Option<EndpointAddress>,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Result<Pipe, EndpointAllocError> {
        Ok(self.allocate(Direction::In, ep_type, max_packet_size, interval_ms))
    }

    fn start(self, _: u16) -> (Self, Self) {
        for control in [0x00, 0x80] {
            self.0.borrow_mut().ports.insert(control, Port::default());
        }
        (self.clone(), self)
    }
}

/// The host at the other end of the driver.
pub struct MemoryHost<'d> {
    driver: MemoryDriver,
    tasks: Tasks<'d>,
}

impl<'d> MemoryHost<'d> {
    pub fn new(driver: MemoryDriver, device: impl Future<Output = ()> + 'd) -> Self {
        let mut tasks = Tasks::default();
        tasks.spawn(device);
        driver.0.borrow_mut().events.push_back(Event::PowerDetected);
        Self { driver, tasks }
    }

    /// Polls the device until there is something.
    fn wait<T>(&mut self, mut take: impl FnMut(&mut Cable) -> Option<T>) -> Result<T> {
        for _ in 0..PATIENCE {
            if let Some(value) = take(&mut self.driver.0.borrow_mut()) {
                return Ok(value);
            }
            self.tasks.poll();
        }
        bail!("the device waits, and so does the host")
    }

    fn begin(&mut self, setup: [u8; 8], data: &[u8]) {
        let mut cable = self.driver.0.borrow_mut();
        cable.setup = Some(setup);
        cable.to_device = data.chunks(64).map(<[u8]>::to_vec).collect();
        cable.to_host.clear();
        cable.status = None;
    }
}

impl Host for MemoryHost<'_> {
    const ASSIGNS_ADDRESSES: bool = true;

    /// A device that waits for the rest of a request hears of it with the next SETUP packet.
    fn reset(&mut self) -> Result<()> {
        self.driver.0.borrow_mut().events.push_back(Event::Reset);
        self.tasks.poll();
        Ok(())
    }

    fn control(&mut self, setup: [u8; 8], data: &[u8]) -> Result<Outcome> {
        self.begin(setup, data);
        let status = self.wait(|cable| cable.status.take())?;
        let data = std::mem::take(&mut self.driver.0.borrow_mut().to_host);
        Ok(match status {
            Status::Accepted => Outcome::Done(data),
            Status::Refused => Outcome::Stall,
        })
    }

    /// The device sees the SETUP packet, or the data of the stage as well; or nothing before the
    /// next one.
    fn abandon(&mut self, setup: [u8; 8], data: &[u8], until: Until) -> Result<()> {
        let sent = match until {
            Until::Setup => 0,
            Until::FirstPacket => data.len().min(64),
            Until::Status => data.len(),
        };
        self.begin(setup, &data[..sent]);
        if until != Until::Setup {
            self.tasks.poll();
        }
        Ok(())
    }

    fn bulk_out(&mut self, endpoint: u8, data: &[u8]) -> Result<Outcome> {
        if let Some(port) = self.driver.0.borrow_mut().ports.get_mut(&endpoint) {
            if port.halted {
                return Ok(Outcome::Stall);
            }
            port.packets.push_back(data.to_vec());
        }
        self.wait(|cable| cable.ports[&endpoint].packets.is_empty().then_some(()))?;
        Ok(Outcome::Done(Vec::new()))
    }

    fn bulk_in(&mut self, endpoint: u8, _: usize) -> Result<Outcome> {
        let packet = self.wait(|cable| {
            let port = cable.ports.get_mut(&endpoint)?;
            if port.halted {
                return Some(None);
            }
            port.packets.pop_front().map(Some)
        })?;
        Ok(packet.map_or(Outcome::Stall, Outcome::Done))
    }
}
