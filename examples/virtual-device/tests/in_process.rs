//! Devices in this process, as other people's tests start them.

use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use mctp::Eid;
use mctp_serial::framing::PREAMBLE;
use remote_usb_device::Speed;
use uuid::Uuid;
use virtual_device::model_file::DeviceModel;
use virtual_device::settings::SettingsError;
use virtual_device::{ByteStream, DeviceSettings, StartError, VirtualDevice, VirtualLineDevice};
use virtual_host::requester::Requester;
use virtual_host::with_device;

/// Longer than anything here takes, on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Get Endpoint ID and Get Endpoint UUID, from the message type on.
const GET_ENDPOINT_ID: [u8; 3] = [0x00, 0x80, 0x02];
const GET_ENDPOINT_UUID: [u8; 3] = [0x00, 0x80, 0x03];

/// USB/IP: what the host submits, and what the device returns (`USBIP_CMD_SUBMIT`,
/// `USBIP_RET_SUBMIT`).
const SUBMIT: [u8; 4] = [0, 0, 0, 1];
const SUBMITTED: [u8; 4] = [0, 0, 0, 3];

fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let test = async { tokio::time::timeout(TIME_LIMIT, test).await.unwrap() };
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

/// Runs a test that blocks, but not for ever.
fn in_a_thread(test: impl FnOnce() + Send + 'static) {
    let (end, ended) = mpsc::channel();
    let test = thread::spawn(move || {
        test();
        let _ = end.send(());
    });
    match ended.recv_timeout(TIME_LIMIT) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the device did not answer in time"),
        _ => test.join().unwrap(),
    }
}

fn settings(uuid: u128) -> DeviceSettings {
    DeviceSettings {
        uuid: Uuid::from_u128(uuid),
        ..DeviceSettings::default()
    }
}

async fn ask(requester: &Requester<'_, '_>, request: &[u8]) -> Vec<u8> {
    requester.request(Eid(0), request).await.unwrap()
}

async fn set_endpoint_id(requester: &Requester<'_, '_>, endpoint_id: u8) {
    let answer = ask(requester, &[0x00, 0x81, 0x01, 0x00, endpoint_id]).await;
    assert_eq!(answer, [0x00, 0x01, 0x01, 0x00, 0x00, endpoint_id, 0x00]);
}

/// Endpoint ID and UUID.
async fn identity_of(requester: &Requester<'_, '_>) -> (u8, Vec<u8>) {
    let endpoint_id = ask(requester, &GET_ENDPOINT_ID).await[4];
    let uuid = ask(requester, &GET_ENDPOINT_UUID).await[4..].to_vec();
    (endpoint_id, uuid)
}

/// The UUID of the device on this bus.
async fn uuid_of(bus: ByteStream) -> Vec<u8> {
    let identity = with_device(bus, async |requester| identity_of(&requester).await);
    identity.await.unwrap().1
}

#[test]
fn two_devices_at_once_are_two_devices() {
    let uuids = [0x1111, 0x2222].map(|last| 0x0f5b_2c1a_0000_4000_8000_0000_0000_0000 | last);
    let devices = uuids.map(|uuid| VirtualDevice::start(settings(uuid)).unwrap());
    block_on(async {
        let [first, second] = &devices;
        // Both buses are in use at the same time.
        let first_host = with_device(first.usbredir(), async |first| {
            let second_host = with_device(second.usbredir(), async |second| {
                set_endpoint_id(&first, 9).await;
                set_endpoint_id(&second, 10).await;
                [identity_of(&first).await, identity_of(&second).await]
            });
            second_host.await.unwrap()
        });
        let [first, second] = uuids.map(|uuid| uuid.to_be_bytes().to_vec());
        assert_eq!(first_host.await.unwrap(), [(9, first), (10, second)]);
    });
}

#[test]
fn a_device_stays_switched_on_while_it_is_unplugged() {
    let device = VirtualDevice::start(DeviceSettings::default()).unwrap();
    block_on(async {
        for expected in [0, 9, 9] {
            let answer = with_device(device.usbredir(), async |requester| {
                let answer = ask(&requester, &GET_ENDPOINT_ID).await;
                set_endpoint_id(&requester, 9).await;
                answer
            });
            assert_eq!(answer.await.unwrap()[4], expected);
        }
    });
}

#[test]
fn a_stream_waits_until_the_one_before_has_ended() {
    let device = VirtualDevice::start(DeviceSettings::default()).unwrap();
    let uuid = DeviceSettings::default().uuid.as_bytes().to_vec();
    block_on(async {
        let unused = device.usbredir();
        let next = uuid_of(device.usbredir());
        tokio::pin!(next);
        let waited = tokio::time::timeout(Duration::from_millis(200), &mut next).await;
        assert!(waited.is_err());
        drop(unused);
        assert_eq!(next.await, uuid);
    });
}

#[test]
fn a_dropped_device_ends_its_streams() {
    in_a_thread(|| {
        let device = VirtualDevice::start(DeviceSettings::default()).unwrap();
        let (mut used, mut waiting) = (device.usbredir(), device.usbredir());
        let mut hello = [0; 12];
        used.read_exact(&mut hello).unwrap();
        drop(device);
        let mut rest = Vec::new();
        used.read_to_end(&mut rest).unwrap();
        assert_eq!(waiting.read(&mut [0; 1]).unwrap(), 0);
        assert_eq!(
            waiting.write(&[0]).unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    });
}

#[test]
fn a_thread_without_a_runtime_reads_the_device_descriptor_by_usbip() {
    in_a_thread(|| {
        let full_speed = DeviceSettings {
            speed: Speed::Full,
            ..DeviceSettings::default()
        };
        let device = VirtualDevice::start(full_speed).unwrap();
        let mut bus = device.usbip();
        // Sequence number 1, device 1-1, direction IN, endpoint 0, no flags, 18 bytes, no isochronous
        // packets; GET_DESCRIPTOR of type 1.
        let mut submit = SUBMIT.to_vec();
        for word in [1u32, 0x0001_0001, 1, 0, 0, 18, 0, 0, 0] {
            submit.extend(word.to_be_bytes());
        }
        submit.extend([0x80, 6, 0, 1, 0, 0, 18, 0]);
        bus.write_all(&submit).unwrap();
        let mut answer = [0; 48 + 18];
        bus.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..4], SUBMITTED);
        assert_eq!(answer[48..50], [18, 1]);
        assert_eq!(answer[48 + 8..48 + 12], [0xDE, 0xCC, 0x00, 0x00]);
    });
}

#[test]
fn a_serial_line_has_one_end_after_the_other() {
    in_a_thread(|| {
        let device = VirtualLineDevice::start_serial(DeviceSettings::default()).unwrap();
        for _ in 0..2 {
            let mut line = device.connect();
            // Get Endpoint ID to whoever is at the other end: flag, revision, length, packet, check,
            // flag.
            line.write_all(b"\x7E\x01\x07\x01\x00\x08\xC8\x00\x80\x02\x2B\xC1\x7E")
                .unwrap();
            let mut preamble = vec![0; PREAMBLE.len()];
            line.read_exact(&mut preamble).unwrap();
            assert_eq!(preamble, PREAMBLE);
            let mut answer = [0; 14];
            line.read_exact(&mut answer).unwrap();
            assert_eq!(answer[..3], [0x7E, 0x01, 0x0B]);
            assert_eq!(answer[7..14], [0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00]);
        }
    });
}

#[test]
fn an_i2c_bus_carries_records() {
    in_a_thread(|| {
        let address = mctp_i2c::TargetAddress::new(0x1D).unwrap();
        let device = VirtualLineDevice::start_i2c(DeviceSettings::default(), address).unwrap();
        let mut bus = device.connect();
        // To 1Dh from 10h: MCTP, seven bytes of packet, Get Endpoint ID, and the PEC of it all.
        let mut write = vec![
            0x3A, 0x0F, 0x08, 0x21, 0x01, 0x00, 0x08, 0xC8, 0x00, 0x80, 0x02,
        ];
        write.push(crc::Crc::<u8>::new(&crc::CRC_8_SMBUS).checksum(&write));
        let length = u16::try_from(write.len()).unwrap().to_le_bytes();
        bus.write_all(&[&length[..], &write].concat()).unwrap();
        let mut answer = [0; 2 + 16];
        bus.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..6], [16, 0, 0x20, 0x0F, 12, 0x3B]);
        assert_eq!(answer[10..17], [0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00]);
    });
}

#[test]
fn settings_that_no_device_can_have_are_refused() {
    let refusal = |change: fn(&mut DeviceSettings)| {
        let mut settings = DeviceSettings::default();
        change(&mut settings);
        match VirtualDevice::start(settings) {
            Err(StartError::Settings(error)) => error,
            _ => panic!("there is a device"),
        }
    };
    let mtu = refusal(|settings| settings.mtu = 252);
    assert_eq!(mtu.to_string(), "an MTU of 252 bytes is not in 68 to 251");
    let short = refusal(|settings| settings.max_message = 63);
    assert_eq!(short, SettingsError::MaxMessage(63));
    let port = refusal(|settings| settings.model.management_port.0 = 9);
    assert_eq!(port, SettingsError::ManagementPort(9));
    let name = refusal(|settings| settings.model.model_number = "x".repeat(41));
    assert!(matches!(name, SettingsError::Model(_)), "{name}");
    assert!(DeviceModel::default().model_number.len() <= 40);
    let long = DeviceSettings {
        mtu: 255,
        ..DeviceSettings::default()
    };
    VirtualLineDevice::start_serial(long.clone()).unwrap();
    let address = mctp_i2c::TargetAddress::new(0x1D).unwrap();
    assert!(VirtualLineDevice::start_i2c(long, address).is_err());
}
