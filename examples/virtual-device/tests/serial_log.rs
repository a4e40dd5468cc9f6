//! The device's log on its serial port (CDC-ACM).

mod support;

use std::sync::Mutex;
use std::time::Duration;

use log::LevelFilter;
use support::{RawHost, block_on_in_virtual_time, with_serial_log};
use virtual_device::logger;
use virtual_host::enumeration::EndpointDescriptor;
use virtual_host::guest::BulkIn;

/// Class and interface, in bmRequestType.
const CLASS_REQUEST: u8 = 0x21;
/// USB CDC 1.2, PSTN subclass 1.2, section 6.3.12.
const SET_CONTROL_LINE_STATE: u8 = 0x22;
/// Data Terminal Ready: somebody has opened the port.
const DTR: u16 = 1;
/// What Linux asks for.
const LENGTH: usize = 1024;
/// Longer than anything takes, in virtual time.
const WHILE: Duration = Duration::from_secs(1);

const FIRST: &str = "the first line of all";

/// The log is the process's: one test at a time.
static LOG: Mutex<()> = Mutex::new(());

fn with_log(test: impl AsyncFnOnce(RawHost)) {
    let _turn = LOG.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    logger::start(LevelFilter::Info);
    log::info!("{FIRST}");
    block_on_in_virtual_time(with_serial_log(test));
}

fn bulk(host: &RawHost, input: bool) -> EndpointDescriptor {
    let endpoints = &host.found.configuration.interfaces[2].endpoints;
    let found = endpoints.iter().find(|endpoint| endpoint.is_bulk(input));
    *found.unwrap()
}

async fn set_dtr(host: &RawHost, open: bool) {
    let value = if open { DTR } else { 0 };
    let interface = host.found.configuration.interfaces[1].number.into();
    let request = host
        .guest
        .control(CLASS_REQUEST, SET_CONTROL_LINE_STATE, value, interface);
    request.await.unwrap();
}

fn ask(host: &RawHost) -> BulkIn {
    host.guest.bulk_in(bulk(host, true).address, LENGTH)
}

/// What comes until nothing does, and the request that is left.
async fn read(host: &RawHost, mut request: BulkIn) -> (String, BulkIn) {
    let mut text = Vec::new();
    while let Ok(transfer) = tokio::time::timeout(WHILE, request.complete()).await {
        text.extend(transfer.unwrap());
        request = ask(host);
    }
    (String::from_utf8(text).unwrap(), request)
}

#[test]
fn mctp_stays_the_first_interface_of_what_is_now_a_composite_device() {
    with_log(async |host| {
        assert_eq!(host.found.device.class, [0xEF, 0x02, 0x01]);
        let interfaces = &host.found.configuration.interfaces;
        let classes: Vec<_> = interfaces.iter().map(|found| found.class).collect();
        assert_eq!(
            classes,
            [[0x14, 0x00, 0x01], [0x02, 0x02, 0x00], [0x0A, 0x00, 0x00]]
        );
        assert_eq!(bulk(&host, true).max_packet_size, 512);
        assert_eq!(bulk(&host, false).max_packet_size, 512);
    });
}

#[test]
fn the_log_comes_from_the_first_line_each_time_the_port_is_opened() {
    with_log(async |host| {
        let mut request = ask(&host);
        for round in 0..3 {
            log::info!("round {round}");
            set_dtr(&host, true).await;
            let (text, left) = read(&host, request).await;
            let first = text.lines().next().unwrap();
            assert!(first.ends_with(FIRST), "{first}");
            assert!(text.ends_with(&format!("round {round}\r\n")), "{text}");
            log::info!("meanwhile");
            let (text, left) = read(&host, left).await;
            assert!(text.ends_with("meanwhile\r\n") && text.lines().count() == 1);
            set_dtr(&host, false).await;
            request = left;
        }
    });
}

#[test]
fn nothing_is_sent_while_the_port_is_closed() {
    with_log(async |host| {
        let request = ask(&host);
        log::info!("nobody listens");
        let (text, request) = read(&host, request).await;
        assert_eq!(text, "");
        set_dtr(&host, true).await;
        let (_, request) = read(&host, request).await;
        set_dtr(&host, false).await;
        log::info!("nobody listens any more");
        let (text, _) = read(&host, request).await;
        assert_eq!(text, "");
    });
}

#[test]
fn what_a_terminal_echoes_holds_nothing_up() {
    with_log(async |mut host| {
        let endpoint = bulk(&host, false).address;
        for open in [false, true] {
            set_dtr(&host, open).await;
            for length in [1, 511, 512, 513, 16384].repeat(20) {
                host.guest
                    .bulk_out(endpoint, &vec![b'x'; length])
                    .await
                    .unwrap();
            }
            assert!(host.get_endpoint_id().await.is_some());
        }
    });
}

#[test]
fn a_port_that_is_open_and_not_read_holds_nothing_up() {
    with_log(async |mut host| {
        set_dtr(&host, true).await;
        for _ in 0..1000 {
            log::info!("{}", "x".repeat(200));
            assert!(host.get_endpoint_id().await.is_some());
        }
        let request = ask(&host);
        let (text, _) = read(&host, request).await;
        assert!(text.lines().next().unwrap().ends_with(FIRST));
        let notes: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("... "))
            .collect();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(text.ends_with("xxx\r\n"));
    });
}
