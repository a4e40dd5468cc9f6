//! The driver: hands out endpoints, then becomes bus and control pipe.

use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_usb_driver::{
    Direction, EndpointAddress, EndpointAllocError, EndpointInfo, EndpointType,
};

use crate::engine::Engine;
use crate::{Bus, ControlPipe, EndpointIn, EndpointOut, State};

/// The driver to give to `embassy_usb::Builder`.
pub struct Driver<'d, M: RawMutex> {
    pub(crate) state: &'d State<'d, M>,
}

/// What embassy-usb asks for.
struct Wanted {
    ep_type: EndpointType,
    address: Option<EndpointAddress>,
    max_packet_size: u16,
    interval_ms: u8,
    direction: Direction,
}

impl Wanted {
    /// `taken` says whether an endpoint number is in use in this direction.
    fn place(
        &self,
        capacity: usize,
        taken: impl Fn(EndpointAddress) -> bool,
    ) -> Result<EndpointInfo, EndpointAllocError> {
        let known_type = matches!(self.ep_type, EndpointType::Bulk | EndpointType::Interrupt);
        if !known_type || self.max_packet_size == 0 || usize::from(self.max_packet_size) > capacity
        {
            return Err(EndpointAllocError);
        }
        let numbers = (1..16).map(|number| EndpointAddress::from_parts(number, self.direction));
        let addr = numbers
            .filter(|addr| self.address.is_none_or(|wanted| wanted == *addr))
            .find(|addr| !taken(*addr))
            .ok_or(EndpointAllocError)?;
        let (ep_type, max_packet_size) = (self.ep_type, self.max_packet_size);
        Ok(EndpointInfo {
            addr,
            ep_type,
            max_packet_size,
            interval_ms: self.interval_ms,
        })
    }
}

fn allocate_in(
    engine: &mut Engine<'_>,
    wanted: &Wanted,
) -> Result<(usize, EndpointInfo), EndpointAllocError> {
    let free = engine
        .in_infos()
        .position(|info| info.is_none())
        .ok_or(EndpointAllocError)?;
    let taken = |addr| engine.in_infos().flatten().any(|info| info.addr == addr);
    let info = wanted.place(engine.in_capacity(), taken)?;
    let (queue, _) = engine.input(free).ok_or(EndpointAllocError)?;
    queue.port.info = Some(info);
    Ok((free, info))
}

fn allocate_out(
    engine: &mut Engine<'_>,
    wanted: &Wanted,
) -> Result<(usize, EndpointInfo), EndpointAllocError> {
    let free = engine
        .out_infos()
        .position(|info| info.is_none())
        .ok_or(EndpointAllocError)?;
    let taken = |addr| engine.out_infos().flatten().any(|info| info.addr == addr);
    let info = wanted.place(engine.out_capacity(), taken)?;
    let (queue, _) = engine.output(free).ok_or(EndpointAllocError)?;
    queue.port.info = Some(info);
    Ok((free, info))
}

impl<'d, M: RawMutex> embassy_usb_driver::Driver<'d> for Driver<'d, M> {
    type EndpointOut = EndpointOut<'d, M>;
    type EndpointIn = EndpointIn<'d, M>;
    type ControlPipe = ControlPipe<'d, M>;
    type Bus = Bus<'d, M>;

    fn alloc_endpoint_out(
        &mut self,
        ep_type: EndpointType,
        ep_addr: Option<EndpointAddress>,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Result<Self::EndpointOut, EndpointAllocError> {
        let wanted = Wanted {
            ep_type,
            address: ep_addr,
            max_packet_size,
            interval_ms,
            direction: Direction::Out,
        };
        let (index, info) = self.state.with(|engine| allocate_out(engine, &wanted))?;
        Ok(EndpointOut::new(self.state, index, info))
    }

    fn alloc_endpoint_in(
        &mut self,
        ep_type: EndpointType,
        ep_addr: Option<EndpointAddress>,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Result<Self::EndpointIn, EndpointAllocError> {
        let wanted = Wanted {
            ep_type,
            address: ep_addr,
            max_packet_size,
            interval_ms,
            direction: Direction::In,
        };
        let (index, info) = self.state.with(|engine| allocate_in(engine, &wanted))?;
        Ok(EndpointIn::new(self.state, index, info))
    }

    fn start(self, control_max_packet_size: u16) -> (Self::Bus, Self::ControlPipe) {
        self.state
            .with(|engine| engine.set_control_size(control_max_packet_size.max(8)));
        (Bus { state: self.state }, ControlPipe { state: self.state })
    }
}
