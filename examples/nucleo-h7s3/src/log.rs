//! The log, on RTT: text, which the USB serial port shows too, or defmt's frames, or both, or none.
//!
//! | RTT channel | feature | has |
//! |-|-|-|
//! | `Terminal` | `text-log` | lines, as long as somebody reads them; the serial port's reader keeps its own place |
//! | `Last words` | `text-log` | why the device stopped; nothing else, so that there is always room |
//! | `defmt` | `defmt` | frames, as long as somebody reads them |
//!
//! Writing never waits.

use reference_device::{DropCounters, Event, Identity, Observer};

#[cfg(feature = "text-log")]
mod text {
    use core::cell::RefCell;

    use device_log::{DeviceLog, Sink};
    use embassy_sync::blocking_mutex::CriticalSectionMutex;
    use embassy_time::Instant;
    use rtt_target::UpChannel;

    /// A channel, once RTT has been set up.
    pub type Channel = CriticalSectionMutex<RefCell<Option<UpChannel>>>;

    pub static TERMINAL: Channel = Channel::new(RefCell::new(None));
    pub static LAST_WORDS: Channel = Channel::new(RefCell::new(None));

    /// The first lines, and the newest, for whoever opens the serial port.
    pub static TEXT: DeviceLog<Wire, 1024, 2048> = DeviceLog::new(Wire);

    pub struct Wire;

    impl Sink for Wire {
        fn uptime(&self) -> u64 {
            Instant::now().as_millis()
        }

        fn write(&self, text: &[u8]) {
            write(&TERMINAL, text);
        }

        fn write_last(&self, text: &[u8]) {
            write(&LAST_WORDS, text);
        }
    }

    pub fn set(channel: &Channel, to: UpChannel) {
        channel.lock(|channel| {
            if let Ok(mut channel) = channel.try_borrow_mut() {
                *channel = Some(to);
            }
        });
    }

    fn write(channel: &Channel, text: &[u8]) {
        channel.lock(|channel| {
            // Never in use here: nobody else has it but under this lock, in which nothing is
            // logged.
            let mut channel = channel.try_borrow_mut().ok()?;
            channel.as_mut().map(|channel| channel.write(text))
        });
    }
}

#[cfg(feature = "text-log")]
pub use text::TEXT;

/// Sets RTT up. Lines before this are lost.
pub fn start() {
    #[cfg(all(feature = "text-log", feature = "defmt"))]
    let channels = rtt_target::rtt_init! {
        up: {
            0: { size: 1024, name: "Terminal" }
            1: { size: 256, mode: rtt_target::ChannelMode::NoBlockTrim, name: "Last words" }
            2: { size: 256, name: "defmt" }
        }
    };
    #[cfg(all(feature = "text-log", not(feature = "defmt")))]
    let channels = rtt_target::rtt_init! {
        up: {
            0: { size: 1024, name: "Terminal" }
            1: { size: 256, mode: rtt_target::ChannelMode::NoBlockTrim, name: "Last words" }
        }
    };
    #[cfg(all(feature = "defmt", not(feature = "text-log")))]
    let channels = rtt_target::rtt_init! {
        up: {
            0: { size: 256, name: "defmt" }
        }
    };
    #[cfg(feature = "text-log")]
    {
        text::set(&text::TERMINAL, channels.up.0);
        text::set(&text::LAST_WORDS, channels.up.1);
        // It fails only for the second one.
        let _ = TEXT.start(device_log::default_level());
    }
    #[cfg(all(feature = "text-log", feature = "defmt"))]
    rtt_target::set_defmt_channel(channels.up.2);
    #[cfg(all(feature = "defmt", not(feature = "text-log")))]
    rtt_target::set_defmt_channel(channels.up.0);
}

/// Logs who the device is.
pub fn identity(identity: &Identity<'_>) {
    #[cfg(feature = "text-log")]
    {
        let uuid = u128::from_be_bytes(identity.uuid);
        let serial_number = identity.serial_number();
        log::info!("reference device on NUCLEO-H7S3L8, UUID {uuid:032x}");
        log::info!(
            "USB {:04x}:{:04x}, serial number {serial_number}",
            identity.vendor_id,
            identity.product_id
        );
    }
    // It begins with the serial number.
    #[cfg(feature = "defmt")]
    defmt::info!("UUID {=[u8; 16]:02x}", identity.uuid);
    #[cfg(not(any(feature = "text-log", feature = "defmt")))]
    let _ = identity;
}

/// Logs what happens to the device.
pub static EVENTS: EventLog = EventLog {
    #[cfg(feature = "text-log")]
    text: reference_device::EventLog::new(),
};

pub struct EventLog {
    #[cfg(feature = "text-log")]
    text: reference_device::EventLog,
}

impl Observer for EventLog {
    const LOOKS_AT_PACKETS: bool = false;

    fn event(&self, event: Event, drops: &DropCounters) {
        #[cfg(feature = "defmt")]
        {
            // Said here: half as much code as the event's own format.
            match event {
                Event::EndpointIdSet {
                    network,
                    endpoint_id,
                    bus_owner,
                } => defmt::info!(
                    "endpoint ID {=u8} in network {=u8}, from {=u8}",
                    endpoint_id.0,
                    network.0,
                    bus_owner.endpoint_id.0
                ),
                Event::LinkUp(port) => defmt::info!("link of port {=u8} up", port.0),
                Event::LinkDown(port) => defmt::info!("link of port {=u8} down", port.0),
                _ => {}
            }
            defmt::info!("packets dropped so far: {}", drops);
        }
        #[cfg(feature = "text-log")]
        self.text.event(event, drops);
        #[cfg(not(any(feature = "text-log", feature = "defmt")))]
        let _ = (event, drops);
    }

    #[cfg(all(feature = "bench", feature = "text-log"))]
    fn stream_sent(&self, sent: &reference_device::Sent) {
        self.text.stream_sent(sent);
    }

    #[cfg(all(feature = "bench", feature = "text-log"))]
    fn stream_received(&self, statistics: &reference_device::Statistics) {
        self.text.stream_received(statistics);
    }
}
