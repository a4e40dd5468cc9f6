//! The USB device behind an MCTP interface: reset, and raw transfers in place of the kernel driver.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use linux_requester::interface::{Interface, read};
use mctp_router::wire::{
    GetEndpointIdRequest, Header, MESSAGE_TYPE, Message, Request, ResponseHeader,
};
use mctp_transport::{Eid, MessageTag, Packet, PacketHeader, SequenceNumber};
use nusb::transfer::{Buffer, Bulk, Direction, In, Out};
use nusb::{Device, Interface as Claimed, MaybeFuture};
use zerocopy::{FromBytes, IntoBytes};

use crate::undo;

/// A device that takes no OUT transfer for this long is stuck.
const TRANSFER_TIME: Duration = Duration::from_secs(2);

/// The next good request has to be answered within this time.
const ANSWER_TIME: Duration = Duration::from_secs(3);

/// The good request: from this endpoint ID to the null one, with this message tag.
const REQUEST: Header = Header::request(0x1f, GetEndpointIdRequest::COMMAND);
const SOURCE: Eid = Eid(8);
const TAG: MessageTag = MessageTag::from_low_bits(5);

/// More than an IN transfer can be long, and a multiple of any USB packet.
const IN_LENGTH: usize = 16 * 1024;

/// Resets the device, as after a disturbance on the cable. The kernel takes the driver off and
/// binds it again.
pub(crate) fn reset(interface: &Interface) -> Result<()> {
    let usb_interface = interface.usb_interface()?;
    let device = open(&usb_interface)?;
    device.reset().wait().context("cannot reset the USB device")
}

/// Sends raw bulk OUT transfers with the kernel driver unbound, and binds it again; the number of
/// transfers taken.
///
/// Directly behind them, before anything else can bring the device back into step, goes one good
/// request. It has to be answered.
pub(crate) fn send_raw(
    interface: &Interface,
    transfers: impl Iterator<Item = Vec<u8>>,
) -> Result<usize> {
    let usb_interface = interface.usb_interface()?;
    let driver = usb_interface
        .join("driver")
        .canonicalize()
        .context("no driver is bound to the USB interface")?;
    without_driver(&driver, &usb_interface, || {
        send_all(&usb_interface, transfers)
    })
}

/// Takes the driver off, and binds it again whatever comes of `act`.
fn without_driver<T>(
    driver: &Path,
    usb_interface: &Path,
    act: impl FnOnce() -> Result<T>,
) -> Result<T> {
    tell(&driver.join("unbind"), usb_interface)?;
    let result = act();
    undo::then(result, tell(&driver.join("bind"), usb_interface))
}

fn send_all(usb_interface: &Path, transfers: impl Iterator<Item = Vec<u8>>) -> Result<usize> {
    let device = open(usb_interface)?;
    let number = u8::from_str_radix(&read(&usb_interface.join("bInterfaceNumber"))?, 16)?;
    let claimed = device
        .claim_interface(number)
        .wait()
        .context("cannot claim the interface")?;
    let mut endpoint = claimed
        .endpoint::<Bulk, Out>(address(&claimed, Direction::Out)?)
        .context("no bulk OUT endpoint")?;

    let mut sent = 0;
    for transfer in transfers.chain([good_transfer()]) {
        let length = transfer.len();
        let completion = endpoint.transfer_blocking(Buffer::from(transfer), TRANSFER_TIME);
        if let Err(error) = completion.status {
            bail!("the device did not take transfer {sent} of {length} bytes: {error}");
        }
        sent += 1;
    }
    wait_for_answer(&claimed)?;
    Ok(sent - 1)
}

fn address(claimed: &Claimed, direction: Direction) -> Result<u8> {
    let descriptor = claimed
        .descriptor()
        .context("the interface has no descriptor")?;
    let endpoint = descriptor
        .endpoints()
        .find(|endpoint| endpoint.direction() == direction);
    Ok(endpoint
        .context("the interface lacks an endpoint")?
        .address())
}

/// Reads until the request behind the raw transfers is answered. Answers to what was good among
/// these come before.
fn wait_for_answer(claimed: &Claimed) -> Result<()> {
    let mut endpoint = claimed
        .endpoint::<Bulk, In>(address(claimed, Direction::In)?)
        .context("no bulk IN endpoint")?;
    let end = Instant::now() + ANSWER_TIME;
    loop {
        let rest = end.saturating_duration_since(Instant::now());
        let completion = endpoint.transfer_blocking(Buffer::new(IN_LENGTH), rest);
        completion
            .status
            .context("the good request behind the malformed transfers was not answered")?;
        if has_answer(&completion.buffer) {
            return Ok(());
        }
    }
}

/// The transfer of [`REQUEST`].
fn good_transfer() -> Vec<u8> {
    let header = PacketHeader {
        destination: Eid(0),
        source: SOURCE,
        start: true,
        end: true,
        sequence: SequenceNumber::default(),
        tag_owner: true,
        tag: TAG,
    };
    let packet = [&header.to_bytes(), Message::new(REQUEST).as_bytes()].concat();
    [&[0x1a, 0xb4, 0x00, 4 + packet.len() as u8], &packet[..]].concat()
}

/// Whether a packet of an IN transfer answers [`REQUEST`] with success.
fn has_answer(transfer: &[u8]) -> bool {
    let mut rest = transfer;
    while let [0x1a, 0xb4, high, low, ..] = *rest {
        let length = usize::from(u16::from_be_bytes([high & 0x1f, low])).max(4);
        let (packet, next) = rest.split_at(length.min(rest.len()));
        if Packet::parse(&packet[4..]).is_ok_and(|packet| is_answer(&packet)) {
            return true;
        }
        rest = next;
    }
    false
}

fn is_answer(packet: &Packet<'_>) -> bool {
    let header = packet.header;
    let is_whole = header.start && header.end;
    let message = Message::<ResponseHeader>::ref_from_prefix(packet.payload);
    (header.destination, header.tag_owner, header.tag) == (SOURCE, false, TAG)
        && is_whole
        && message.is_ok_and(|(message, _)| {
            message.type_ic == MESSAGE_TYPE
                && message.body.answers(&REQUEST)
                && message.body.completion_code.is_success()
        })
}

/// Writes the name of the USB interface, such as `1-1:1.0`, to a file of its driver.
fn tell(file: &Path, usb_interface: &Path) -> Result<()> {
    let name = usb_interface
        .file_name()
        .context("a USB interface without a name")?;
    fs::write(file, name.as_encoded_bytes())
        .with_context(|| format!("cannot write to {}", file.display()))
}

fn open(usb_interface: &Path) -> Result<Device> {
    let device = usb_interface
        .parent()
        .context("a USB interface without a device")?;
    let node = device_node(
        &read(&device.join("busnum"))?,
        &read(&device.join("devnum"))?,
    )?;
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(&node)
        .with_context(|| format!("cannot open {}", node.display()))?;
    Device::from_fd(OwnedFd::from(file))
        .wait()
        .context("cannot use the USB device")
}

fn device_node(bus: &str, device: &str) -> Result<PathBuf> {
    let (bus, device): (u16, u16) = (bus.parse()?, device.parse()?);
    Ok(PathBuf::from(format!("/dev/bus/usb/{bus:03}/{device:03}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DSP0283 1.0, section 5; DSP0236 1.3.3, sections 8.2, 11.4 and 12.5.
    #[test]
    fn the_good_transfer_is_get_endpoint_id() {
        let bytes = [
            0x1a, 0xb4, 0x00, 11, 0x01, 0x00, 0x08, 0xcd, 0x00, 0x9f, 0x02,
        ];
        assert_eq!(good_transfer(), bytes);
    }

    #[test]
    fn the_answer_is_found_behind_other_packets_of_a_transfer() {
        let other = [0x1a, 0xb4, 0, 9, 0x01, 0x08, 9, 0xc5, 0x7e];
        let answer = [
            0x1a, 0xb4, 0, 15, 0x01, 0x08, 9, 0xe5, 0x00, 0x1f, 0x02, 0x00, 9, 0, 0,
        ];
        assert!(has_answer(&[&other[..], &answer].concat()));
        for at in [5, 7, 9, 10, 11] {
            let mut wrong = answer;
            wrong[at] ^= 1;
            assert!(!has_answer(&wrong), "byte {at}");
        }
        assert!(!has_answer(&answer[..11]));
        assert!(!has_answer(&[0x1a, 0xb4, 0, 0]));
    }

    #[test]
    fn the_driver_is_bound_again_whatever_happens_without_it() {
        let usb_interface = Path::new("/sys/devices/usb1/1-1/1-1:1.0");
        for fails in [false, true] {
            let driver = tempfile::tempdir().unwrap();
            let told = |file: &str| fs::read_to_string(driver.path().join(file)).ok();
            let result = without_driver(driver.path(), usb_interface, || {
                assert_eq!(told("unbind").as_deref(), Some("1-1:1.0"));
                assert_eq!(told("bind"), None);
                anyhow::ensure!(!fails, "a transfer was not taken");
                Ok(())
            });
            assert_eq!(result.is_err(), fails);
            assert_eq!(told("bind").as_deref(), Some("1-1:1.0"));
        }
    }

    #[test]
    fn a_driver_that_cannot_be_bound_again_is_told_with_what_failed_before() {
        let driver = tempfile::tempdir().unwrap();
        // A folder takes no text.
        fs::create_dir(driver.path().join("bind")).unwrap();
        let act = || Err::<(), _>(anyhow::anyhow!("a transfer was not taken"));
        let error = without_driver(driver.path(), Path::new("/1-1:1.0"), act).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.starts_with("cannot undo (cannot write to"), "{text}");
        assert!(text.ends_with("a transfer was not taken"), "{text}");
    }

    #[test]
    fn device_node_has_three_digits_for_bus_and_device() {
        let node = device_node("1", "12").unwrap();
        assert_eq!(node, Path::new("/dev/bus/usb/001/012"));
        assert!(device_node("", "1").is_err());
    }
}
