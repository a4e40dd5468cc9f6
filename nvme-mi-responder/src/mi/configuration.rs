//! Configuration Set, opcode 03h, and Configuration Get, opcode 04h (NVMe-MI 1.2).
//!
//! | byte | field |
//! |-|-|
//! | 8 | CID, what is to be set or got |
//! | 15:9 | depends on it |
//!
//! | CID | what | set | got |
//! |-|-|-|-|
//! | 01h | SMBus/I2C frequency | byte 9, 3:0: 1 100 kHz, 2 400 kHz, 3 1 MHz; byte 11: port | byte 5, 3:0 |
//! | 02h | health status change | bytes 13:12: which composite flags to clear | nothing |
//! | 03h | MCTP transmission unit | bytes 13:12: its size; byte 11: port | bytes 6:5 |
//! | 04h | [Asynchronous Events](crate::aem) (2.0) | which | which |
//!
//! A new frequency or transmission unit is reported to the world after the response was sent, which
//! still travels with the old one. Both are back at 100 kHz and 64 bytes after a reset.
//!
//! Errors: Invalid Parameter at byte 8 for another CID, at 11 for a port that is not there or, for
//! 01h, not two-wire, at 9 for a frequency and at 12 for a size that the port cannot have; Invalid
//! Command Input Data Size for any Request Data of 01h to 03h.

use crate::aem;
use crate::context::{Context, Effect};
use crate::exchange::Exchange;
use crate::failure::{Failure, Handled};
use crate::model::{BASELINE_TRANSMISSION_UNIT, Port, PortId, PortKind, SmbusFrequency};
use crate::world::World;

use super::Request;

const SMBUS_FREQUENCY: u8 = 0x01;
const HEALTH_STATUS_CHANGE: u8 = 0x02;
const TRANSMISSION_UNIT: u8 = 0x03;
const ASYNCHRONOUS_EVENT: u8 = 0x04;

/// Configuration Set.
pub(super) fn set<W: World>(
    context: &mut Context<'_, '_, W>,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let [identifier, frequency, _, port] = request.dword0.to_le_bytes();
    let port = PortId(port);
    match identifier {
        SMBUS_FREQUENCY => set_frequency(context, port, frequency & 0xF, exchange),
        HEALTH_STATUS_CHANGE => clear_composite(context, request.dword1, exchange),
        TRANSMISSION_UNIT => {
            set_transmission_unit(context, port, (request.dword1 & 0xFFFF) as u16, exchange)
        }
        ASYNCHRONOUS_EVENT => aem::set(context, request.dword0, exchange),
        _ => Err(Failure::parameter(8, 0).into()),
    }
}

/// Configuration Get.
pub(super) fn get<W: World>(
    context: &mut Context<'_, '_, W>,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let [identifier, _, _, port] = request.dword0.to_le_bytes();
    let port = PortId(port);
    let value = match identifier {
        SMBUS_FREQUENCY => u32::from(two_wire(context, port)?.0.frequency as u8),
        HEALTH_STATUS_CHANGE => 0,
        TRANSMISSION_UNIT => u32::from(find(context, port)?.transmission_unit),
        ASYNCHRONOUS_EVENT => return aem::get(context, exchange),
        _ => return Err(Failure::parameter(8, 0).into()),
    };
    exchange.expect_request_data(0)?;
    Ok(value)
}

fn find<'c, W>(context: &'c mut Context<'_, '_, W>, id: PortId) -> Result<&'c mut Port, Failure> {
    context.model.port_mut(id).ok_or(Failure::parameter(11, 0))
}

/// A two-wire port and the fastest it can run.
fn two_wire<'c, W>(
    context: &'c mut Context<'_, '_, W>,
    id: PortId,
) -> Result<(&'c mut Port, SmbusFrequency), Failure> {
    let port = find(context, id)?;
    match port.config.kind {
        PortKind::TwoWire(two_wire) => Ok((port, two_wire.frequency)),
        PortKind::Pcie(_) => Err(Failure::parameter(11, 0)),
    }
}

fn set_frequency<W>(
    context: &mut Context<'_, '_, W>,
    id: PortId,
    code: u8,
    exchange: &Exchange<'_>,
) -> Handled {
    let (port, fastest) = two_wire(context, id)?;
    let wanted = SmbusFrequency::from_code(code).filter(|wanted| *wanted <= fastest);
    let wanted = wanted.ok_or(Failure::parameter(9, 0))?;
    exchange.expect_request_data(0)?;
    port.frequency = wanted;
    *context.effect = Some(Effect::Frequency(id, wanted));
    Ok(0)
}

/// Clears composite flags. The bits of the request are those of the flags without a gap at bit 3: 0
/// RDY, 1 CFS, 2 SHST, 3 NSSRO, 4 CECO, 5 NAC, 6 FA, 7 CSTS, 8 CTEMP, 9 PDLU, 10 SPARE, 11 CWARN,
/// 12 TCIDA.
fn clear_composite<W>(
    context: &mut Context<'_, '_, W>,
    mask: u32,
    exchange: &Exchange<'_>,
) -> Handled {
    exchange.expect_request_data(0)?;
    let mask = (mask & 0x1FFF) as u16;
    if let Some(port) = context.model.port_mut(context.endpoint.port) {
        port.composite &= !(mask & 0x0007 | (mask & 0x1FF8) << 1);
    }
    Ok(0)
}

fn set_transmission_unit<W>(
    context: &mut Context<'_, '_, W>,
    id: PortId,
    unit: u16,
    exchange: &Exchange<'_>,
) -> Handled {
    let port = find(context, id)?;
    if !(BASELINE_TRANSMISSION_UNIT..=port.config.max_transmission_unit).contains(&unit) {
        return Err(Failure::parameter(12, 0).into());
    }
    exchange.expect_request_data(0)?;
    port.transmission_unit = unit;
    *context.effect = Some(Effect::TransmissionUnit(id, unit));
    Ok(0)
}
