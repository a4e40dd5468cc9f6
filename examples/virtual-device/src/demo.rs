//! The device, and the host of `virtual-host` that checks its answers, on a USB bus in this process.

use std::io::Write;

use anyhow::{Context, anyhow};
use reference_device::Observer;
use virtual_host::demo::{
    self, ControllerModel, Expectations, FirmwareModel, Options, SubsystemModel,
};

use crate::model_file::DeviceModel;
use crate::settings::DeviceSettings;
use virtual_device::FirmwareTimes;
use virtual_device::device::{self, Cable};

/// Bytes that the bus holds in each direction.
const BUS_BUFFER: usize = 64 * 1024;

/// What to try next, each line of 80 columns at most.
const ADVICE: &str = "\
The packets, in Wireshark: --pcap FILE.
The device in a QEMU guest, or on this Linux: usbredir --help, usbip --help.";

/// The demo as it runs from the command line.
pub fn options(verbose: bool) -> Options {
    Options {
        verbose,
        advice: match verbose {
            true => ADVICE.into(),
            false => format!("Every check: --verbose. {ADVICE}"),
        },
        ..Options::default()
    }
}

/// Switches a device with these settings on, checks its answers, writes the screen to `out`, and
/// returns whether every check passed.
///
/// # Errors
///
/// When it could not go on to the end.
pub async fn run(
    settings: &DeviceSettings,
    options: &Options,
    observer: &impl Observer,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    device::run(settings, observer, async |cable: Cable<'_>| {
        join(cable, &expectations(settings), options, out).await
    })
    .await
}

/// Puts a host at the other end of the device's cable.
async fn join(
    mut cable: Cable<'_>,
    expectations: &Expectations,
    options: &Options,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let (device_end, host_end) = tokio::io::duplex(BUS_BUFFER);
    tokio::select! {
        ended = cable.plug_into(device_end) => {
            ended.context("the device let go of the bus")?;
            Err(anyhow!("the host let go of the bus"))
        }
        passed = demo::run(expectations, options, host_end, out) => passed,
    }
}

/// What the host may expect of a device with these settings.
fn expectations(settings: &DeviceSettings) -> Expectations {
    Expectations {
        usb: settings.usb,
        speed: settings.speed,
        serial_number: settings.serial_number(),
        mtu: settings.mtu,
        max_message: settings.max_message,
        uuid: settings.uuid,
        model: subsystem_model(&settings.model, settings.serial_number()),
    }
}

fn subsystem_model(model: &DeviceModel, usb_serial_number: String) -> SubsystemModel {
    let firmware = &model.firmware;
    let controllers = model.controllers.iter().map(|controller| ControllerModel {
        port: controller.port,
        config: controller.config,
        namespaces: controller.namespaces.clone(),
    });
    SubsystemModel {
        serial_number: model.serial_number.clone().unwrap_or(usb_serial_number),
        model_number: model.model_number.clone(),
        qualified_name: model.qualified_name.clone(),
        capacity: model.capacity,
        room_for_namespaces: model.room_for_namespaces,
        namespace_management: model.namespace_management,
        vendor: model.vendor,
        management_port: model.management_port,
        ports: model.ports.clone(),
        controllers: controllers.collect(),
        namespaces: model.namespaces.clone(),
        health: model.health,
        firmware: FirmwareModel {
            slots: firmware.slots.clone(),
            first_slot_read_only: firmware.first_slot_read_only,
            activates_without_reset: firmware.activates_without_reset,
            is_slow: firmware.times != FirmwareTimes::default(),
        },
    }
}

#[cfg(test)]
mod tests;
