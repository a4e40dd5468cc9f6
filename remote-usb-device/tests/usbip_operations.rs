//! What a USB/IP client asks before it has the device.

#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared with the other tests"
)]
mod support;

use embassy_futures::join::join;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io_async::{Read, Write};
use proptest::prelude::*;
use remote_usb_device::Error;
use remote_usb_device::usbip::wire::DEVICE_LENGTH;
use remote_usb_device::usbip::{Import, Operations};
use support::*;

type Ops = Operations<'static, NoopRawMutex>;
type Served = Result<Option<Import<'static, NoopRawMutex>>, Error>;

const LIST: [u8; 8] = [0x01, 0x11, 0x80, 0x05, 0, 0, 0, 0];

fn import(bus_id: &str) -> Vec<u8> {
    let mut request = vec![0x01, 0x11, 0x80, 0x03, 0, 0, 0, 0];
    request.extend(bus_id.bytes());
    request.resize(40, 0);
    request
}

/// What is answered to this request, and what becomes of the connection.
async fn ask(operations: Ops, request: &[u8]) -> (Vec<u8>, Served) {
    let (device_read, mut write) = pipe();
    let (mut read, device_write) = pipe();
    let client = async {
        if !request.is_empty() {
            assert_eq!(write.write(request).await, Ok(request.len()));
        }
        drop(write);
        let mut reply = Vec::new();
        let mut chunk = [0; 100];
        loop {
            match read.read(&mut chunk).await.unwrap() {
                0 => return reply,
                count => reply.extend(&chunk[..count]),
            }
        }
    };
    join(client, operations.serve(device_read, device_write)).await
}

/// The device of the tests, as it is in a list.
fn expected_device(configuration: u8) -> Vec<u8> {
    let mut device = b"/sys/devices/virtual/usb/1-1".to_vec();
    device.resize(256, 0);
    device.extend(b"1-1");
    device.resize(288, 0);
    device.extend([0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
    device.extend([0x12, 0x09, 0x00, 0x01, 0x01, 0x23]);
    // The class of a device with interface associations.
    device.extend([0xEF, 0x02, 0x01]);
    device.extend([configuration, 1, 2]);
    assert_eq!(device.len(), DEVICE_LENGTH);
    device
}

#[test]
fn a_list_has_the_device_and_the_first_setting_of_each_interface() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let operations = rig.handle.usbip();
    let (reply, served) = rig.play(async move { ask(operations, &LIST).await });
    assert!(matches!(served, Ok(None)));
    let head = [0x01, 0x11, 0x00, 0x05, 0, 0, 0, 0, 0, 0, 0, 1];
    let interfaces = [0xFF, 0x10, 0x20, 0, 0xFE, 0x11, 0x21, 0];
    let expected = [&head[..], &expected_device(0), &interfaces].concat();
    assert_eq!(reply, expected);
}

#[test]
fn the_device_has_power_once_for_a_moment_to_be_listed() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let operations = rig.handle.usbip();
    rig.play(async move {
        for _ in 0..3 {
            ask(operations, &LIST).await.1.unwrap();
        }
    });
    let log = rig.events.borrow().log.clone();
    let powered: Vec<_> = log
        .iter()
        .filter(|event| event.starts_with("enabled"))
        .collect();
    assert_eq!(powered, ["enabled true", "enabled false"]);
    assert_eq!(rig.handle.counters().connections, 0);
}

#[test]
fn an_imported_device_is_in_use_until_the_import_ends_and_is_listed_meanwhile() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let operations = rig.handle.usbip();
    let connect = rig.host::<UsbipHost>();
    rig.play(async move {
        let (reply, served) = ask(operations, &import("1-1")).await;
        let head = [0x01, 0x11, 0x00, 0x03, 0, 0, 0, 0];
        assert_eq!(reply, [&head[..], &expected_device(0)].concat());
        let promise = served.unwrap().expect("the device");
        let mut host = connect();
        host.enumerate().await;
        for _ in 0..2 {
            let (reply, served) = ask(operations, &import("1-1")).await;
            assert_eq!(reply, [0x01, 0x11, 0x00, 0x03, 0, 0, 0, 2]);
            assert!(served.unwrap().is_none());
            let (reply, _) = ask(operations, &LIST).await;
            assert_eq!(reply[12..12 + DEVICE_LENGTH], expected_device(1));
        }
        Host::expect_echo(&mut host).await;
        drop(host);
        let (reply, _) = ask(operations, &import("1-1")).await;
        assert_eq!(reply[7], 2, "the promise lasts");
        drop(promise);
        let (_, served) = ask(operations, &import("1-1")).await;
        assert!(served.unwrap().is_some());
        let (_, served) = ask(operations, &import("1-1")).await;
        assert!(served.unwrap().is_some(), "nobody took the one before");
    });
}

#[test]
fn a_stream_that_is_served_without_an_import_is_in_use_too() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let operations = rig.handle.usbip();
    let mut host = rig.host::<UsbipHost>()();
    rig.play(async move {
        host.enumerate().await;
        let (reply, _) = ask(operations, &import("1-1")).await;
        assert_eq!(reply, [0x01, 0x11, 0x00, 0x03, 0, 0, 0, 2]);
    });
}

#[test]
fn another_bus_id_is_no_device() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let operations = rig.handle.usbip();
    rig.play(async move {
        for bus_id in ["9-9", "", "1-", "1-11", "1-1.1"] {
            let (reply, served) = ask(operations, &import(bus_id)).await;
            assert_eq!(reply, [0x01, 0x11, 0x00, 0x03, 0, 0, 0, 4], "{bus_id}");
            assert!(served.unwrap().is_none());
        }
    });
}

#[test]
fn a_device_that_is_unplugged_is_not_there() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let operations = rig.handle.usbip();
    rig.handle.set_attached(false);
    let handle = rig.handle;
    rig.play(async move {
        let (reply, _) = ask(operations, &LIST).await;
        assert_eq!(reply, [0x01, 0x11, 0x00, 0x05, 0, 0, 0, 0, 0, 0, 0, 0]);
        let (reply, served) = ask(operations, &import("1-1")).await;
        assert_eq!(reply, [0x01, 0x11, 0x00, 0x03, 0, 0, 0, 1]);
        assert!(served.unwrap().is_none());
        handle.set_attached(true);
        let (reply, _) = ask(operations, &LIST).await;
        assert_eq!(reply[11], 1);
    });
}

#[test]
fn other_operations_end_the_connection_and_short_ones_are_no_error() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let operations = rig.handle.usbip();
    rig.play(async move {
        for code in [0x8002u16, 0x8000, 0x0005, 0xFFFF] {
            let [high, low] = code.to_be_bytes();
            let (reply, served) = ask(operations, &[1, 0x11, high, low, 0, 0, 0, 0]).await;
            assert!(matches!(served, Err(Error::Protocol)));
            assert_eq!(reply, []);
        }
        for length in 0..40 {
            let (reply, served) = ask(operations, &import("1-1")[..length]).await;
            assert!(matches!(served, Ok(None)));
            assert_eq!(reply, []);
        }
        let mut newer = LIST;
        newer[1] = 0x12;
        let (reply, _) = ask(operations, &newer).await;
        assert_eq!(reply[..2], [0x01, 0x11], "our version, whatever theirs is");
    });
}

#[test]
fn no_byte_of_what_follows_an_import_is_taken() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let operations = rig.handle.usbip();
    rig.play(async move {
        let (mut device_read, mut write) = pipe();
        let (_read, device_write) = pipe();
        let request = [&import("1-1")[..], b"next"].concat();
        assert_eq!(write.write(&request).await, Ok(44));
        let served = operations.serve(&mut device_read, device_write).await;
        assert!(served.unwrap().is_some());
        let mut rest = [0; 10];
        assert_eq!(device_read.read(&mut rest).await, Ok(4));
    });
}

proptest! {
    #[test]
    fn survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..100), known in any::<bool>()) {
        let mut rig = Rig::echo_on(Wire::Usbip);
        let operations = rig.handle.usbip();
        rig.play(async move {
            let mut bytes = bytes;
            if known && bytes.len() > 4 {
                bytes[..3].copy_from_slice(&[1, 0x11, 0x80]);
                bytes[3] = 3 + (bytes[3] & 2);
            }
            drop(ask(operations, &bytes).await);
            let (_, served) = ask(operations, &import("1-1")).await;
            assert!(served.unwrap().is_some());
        });
    }
}
