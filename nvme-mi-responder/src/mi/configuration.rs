//! Configuration Set, opcode 03h, and Configuration Get, opcode 04h (NVMe-MI 1.2, sections 5.2,
//! Figures 69 to 75, and 5.1, Figures 62 to 68).
//!
//! | CID | what | set | got |
//! |-|-|-|-|
//! | 01h | SMBus/I2C frequency (sections 5.2.1, 5.1.1) | [`SetSmbusFrequency`] | [`SmbusFrequencyResult`] |
//! | 02h | health status change (sections 5.2.2, 5.1.2) | [`SetHealthStatusChange`]: which composite flags to clear | nothing |
//! | 03h | MCTP transmission unit (sections 5.2.3, 5.1.3) | [`SetTransmissionUnitSize`] | [`TransmissionUnitSizeResult`] |
//! | 04h | [Asynchronous Events](crate::aem) (2.0) | which | which |
//!
//! A new frequency or transmission unit is reported to the world after the response was sent, which
//! still travels with the old one. Both are back at 100 kHz and 64 bytes after a reset.
//!
//! A requester that did not get the response sends the command again: it succeeds again. The world
//! is told of the frequency or the transmission unit again, too, so that the requester can repair a
//! link that lost them.
//!
//! Errors: Invalid Parameter at CID for another CID, at PORTID for a port that is not there or, for
//! 01h, not two-wire, at SFREQ for a frequency and at MTUS for a size that the port cannot have;
//! Invalid Command Input Data Size for any Request Data of 01h to 03h.
//!
//! **Reading.** The same configuration set again: succeeds, and the world is told again.
//!
//! **Reading.** When a new transmission unit takes effect: when the response was sent.

use crate::aem;
use crate::context::{Context, Effect};
use crate::exchange::Exchange;
use crate::failure::{Failure, Handled};
use crate::model::{BASELINE_TRANSMISSION_UNIT, Port, PortId, PortKind, SmbusFrequency};
use crate::wire::{
    ConfigurationGet, ConfigurationIdentifier, ConfigurationSet, ManagementRequest,
    SetHealthStatusChange, SetSmbusFrequency, SetTransmissionUnitSize, SmbusFrequencyResult,
    TransmissionUnitSizeResult, location,
};
use crate::world::World;

/// Configuration Set.
pub(super) fn set<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &ManagementRequest,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let command: ConfigurationSet = request.command();
    match command.identifier {
        ConfigurationIdentifier::SMBUS_FREQUENCY => {
            set_frequency(context, request.command(), exchange)
        }
        ConfigurationIdentifier::HEALTH_STATUS_CHANGE => {
            clear_composite(context, request.command(), exchange)
        }
        ConfigurationIdentifier::TRANSMISSION_UNIT_SIZE => {
            set_transmission_unit(context, request.command(), exchange)
        }
        ConfigurationIdentifier::ASYNCHRONOUS_EVENT => {
            aem::set(context, request.command(), exchange)
        }
        _ => Err(Failure::parameter(location!(ConfigurationSet, identifier), 0).into()),
    }
}

/// Configuration Get.
pub(super) fn get<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &ManagementRequest,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let command: ConfigurationGet = request.command();
    let port = PortId(command.port_id);
    let result = match command.identifier {
        ConfigurationIdentifier::SMBUS_FREQUENCY => {
            let result = SmbusFrequencyResult {
                frequency: two_wire(context, port)?.0.frequency as u8,
                ..SmbusFrequencyResult::default()
            };
            super::result(result.into())
        }
        ConfigurationIdentifier::HEALTH_STATUS_CHANGE => 0,
        ConfigurationIdentifier::TRANSMISSION_UNIT_SIZE => {
            let mut result = TransmissionUnitSizeResult::default();
            result.size.set(find(context, port)?.transmission_unit);
            super::result(result.into())
        }
        ConfigurationIdentifier::ASYNCHRONOUS_EVENT => return aem::get(context, exchange),
        _ => return Err(Failure::parameter(location!(ConfigurationGet, identifier), 0).into()),
    };
    exchange.expect_request_data(0)?;
    Ok(result)
}

/// A port that is not the one it has to be: PORTID is at the same place in all these commands.
const WRONG_PORT: Failure = Failure::parameter(location!(ConfigurationGet, port_id), 0);

fn find<'c, W>(context: &'c mut Context<'_, '_, W>, id: PortId) -> Result<&'c mut Port, Failure> {
    context.model.port_mut(id).ok_or(WRONG_PORT)
}

/// A two-wire port and the fastest it can run.
fn two_wire<'c, W>(
    context: &'c mut Context<'_, '_, W>,
    id: PortId,
) -> Result<(&'c mut Port, SmbusFrequency), Failure> {
    let port = find(context, id)?;
    match port.config.kind {
        PortKind::TwoWire(two_wire) => Ok((port, two_wire.frequency)),
        PortKind::Pcie(_) => Err(WRONG_PORT),
    }
}

fn set_frequency<W>(
    context: &mut Context<'_, '_, W>,
    command: SetSmbusFrequency,
    exchange: &Exchange<'_>,
) -> Handled {
    let id = PortId(command.port_id);
    let (port, fastest) = two_wire(context, id)?;
    let wanted = SmbusFrequency::from_code(command.frequency & 0xF);
    let wanted = wanted.filter(|wanted| *wanted <= fastest);
    let wanted = wanted.ok_or(Failure::parameter(
        location!(SetSmbusFrequency, frequency),
        0,
    ))?;
    exchange.expect_request_data(0)?;
    port.frequency = wanted;
    *context.effect = Some(Effect::Frequency(id));
    Ok(0)
}

/// Clears composite flags.
fn clear_composite<W>(
    context: &mut Context<'_, '_, W>,
    command: SetHealthStatusChange,
    exchange: &Exchange<'_>,
) -> Handled {
    /// The bits of the request that are those of the flags: RDY, CFS and SHST.
    const SAME_BITS: u16 = 0x0007;
    /// The rest, which are one further in the flags.
    const SHIFTED_BITS: u16 = 0x1FF8;
    exchange.expect_request_data(0)?;
    let changes = (command.changes.get() & 0xFFFF) as u16;
    if let Some(port) = context.model.port_mut(context.endpoint.port) {
        port.composite &= !(changes & SAME_BITS | (changes & SHIFTED_BITS) << 1);
    }
    Ok(0)
}

fn set_transmission_unit<W>(
    context: &mut Context<'_, '_, W>,
    command: SetTransmissionUnitSize,
    exchange: &Exchange<'_>,
) -> Handled {
    let (id, unit) = (PortId(command.port_id), command.size.get());
    let port = find(context, id)?;
    if !(BASELINE_TRANSMISSION_UNIT..=port.config.max_transmission_unit).contains(&unit) {
        return Err(Failure::parameter(location!(SetTransmissionUnitSize, size), 0).into());
    }
    exchange.expect_request_data(0)?;
    port.transmission_unit = unit;
    *context.effect = Some(Effect::TransmissionUnit(id));
    Ok(0)
}
