//! USB enumeration (USB 2.0, section 9; DSP0283 for the interface).

use anyhow::Context;
use mctp_usb::Version;
use remote_usb_device::usbredir::wire::Speed;

use super::expectations::Expectations;
use super::screen::Screen;
use crate::enumeration::{Enumeration, InterfaceDescriptor, enumerate};
use crate::guest::Guest;
use crate::transport::Pipes;

/// Development identity of the reference hardware.
const VENDOR_AND_PRODUCT: (u16, u16) = (0xCCDE, 0x0000);

pub(super) async fn show(
    guest: &Guest,
    expectations: &Expectations,
    screen: &mut Screen<'_>,
) -> anyhow::Result<Pipes> {
    let found = enumerate(guest)
        .await
        .context("the device cannot be enumerated")?;
    screen.heading("USB: the host asks the device what it is")?;
    screen.highlight("device", device(guest, expectations, &found))?;
    screen.check("strings", strings(expectations, &found))?;
    screen.check("configuration", configuration(&found))?;
    let mctp = found
        .configuration
        .interfaces
        .first()
        .context("the device has no interface")?;
    screen.highlight("interface 0", interface(expectations, mctp))?;
    screen.highlight("endpoints", endpoints(expectations, mctp))?;
    Pipes::of(mctp).context("the device has no MCTP interface")
}

fn device(
    guest: &Guest,
    expectations: &Expectations,
    found: &Enumeration,
) -> Result<String, String> {
    let (speed, name) = match expectations.speed {
        remote_usb_device::Speed::High => (Speed::HIGH, "high"),
        _ => (Speed::FULL, "full"),
    };
    let device = &found.device;
    expect("speed", guest.device.speed, speed)?;
    expect(
        "VID:PID",
        (device.vendor_id, device.product_id),
        VENDOR_AND_PRODUCT,
    )?;
    expect(
        "connected as",
        (guest.device.vendor_id, guest.device.product_id),
        VENDOR_AND_PRODUCT,
    )?;
    expect("class", device.class, [0; 3])?;
    expect("bMaxPacketSize0", device.max_packet_size_0, 64)?;
    Ok(format!(
        "{:04x}:{:04x}, USB {:x}.{:x}, {name} speed, class 00h",
        device.vendor_id,
        device.product_id,
        device.usb_version >> 8,
        device.usb_version >> 4 & 0xF
    ))
}

fn strings(expectations: &Expectations, found: &Enumeration) -> Result<String, String> {
    let device = &found.device;
    expect(
        "serial number",
        &device.serial_number,
        &expectations.serial_number,
    )?;
    if device.manufacturer.is_empty() || device.product.is_empty() {
        return Err("manufacturer or product has no name".into());
    }
    Ok(format!(
        "{}, {}, serial number {}",
        device.manufacturer, device.product, device.serial_number
    ))
}

fn configuration(found: &Enumeration) -> Result<String, String> {
    let configuration = &found.configuration;
    expect("bNumConfigurations", found.device.configurations, 1)?;
    expect("interfaces", configuration.interfaces.len(), 1)?;
    let power = if configuration.self_powered {
        "self-powered"
    } else {
        "bus-powered"
    };
    Ok(format!(
        "{}, {power}, at most {} mA, 1 interface",
        configuration.value, configuration.max_power_ma
    ))
}

fn interface(
    expectations: &Expectations,
    interface: &InterfaceDescriptor,
) -> Result<String, String> {
    let version = expectations.usb;
    let subclass = match version {
        Version::V1_0 => 0x00,
        Version::V1_1 => 0x02,
        other => return Err(format!("no subclass code is known for version {other}")),
    };
    expect("class", interface.class, [0x14, subclass, 0x01])?;
    expect("bAlternateSetting", interface.alternate_setting, 0)?;
    Ok(format!(
        "class 14h MCTP, subclass {subclass:02x}h {version}, protocol 01h"
    ))
}

fn endpoints(
    expectations: &Expectations,
    interface: &InterfaceDescriptor,
) -> Result<String, String> {
    let endpoints = &interface.endpoints;
    let bulk = |input| endpoints.iter().find(|endpoint| endpoint.is_bulk(input));
    let (Some(output), Some(input), 2) = (bulk(false), bulk(true), endpoints.len()) else {
        return Err("not one bulk OUT and one bulk IN endpoint".into());
    };
    let max_packet = expectations.bulk_packet();
    for endpoint in endpoints {
        expect("wMaxPacketSize", endpoint.max_packet_size, max_packet)?;
    }
    Ok(format!(
        "{:02x}h bulk OUT and {:02x}h bulk IN, {max_packet} bytes each",
        output.address, input.address
    ))
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what} is {found:?}, should be {expected:?}"))
}
