//! MCTP over I2C without hardware: Linux's own driver `mctp-i2c` on the bus of the test driver
//! `i2c-vlink`, whose wire is joined to a serial port.
//!
//! At its device file, each write that the kernel makes on the bus can be read as one record; each
//! record written there is a write of somebody else. A record is its length as u16, the low byte
//! first, then so many bytes: the target's address in bits 7:1, and what is written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use linux_requester::interface::{self, Interface, read};
use linux_requester::line_discipline;
use rustix::event::{PollFd, PollFlags, poll};

use crate::undo;

const DEVICE: &str = "/dev/i2c-vlink";
/// The driver whose device is an interface.
const DRIVER: &str = "mctp-i2c-interface";
const BUSES: &str = "/sys/bus/i2c/devices";
/// The name of the bus, and what the names of all buses begin with.
const NAME: &str = "i2c-vlink";
const BUS_PREFIX: &str = "i2c-";
/// Linux's own address on the bus. Added to it is what says that it is its own.
const OWN_ADDRESS: u16 = 0x10;
const OWN: u16 = 0x1000;
/// The longest record that the driver takes.
const LONGEST_RECORD: usize = 512;
/// Where a record has the last byte of the MCTP header: behind length, address, command code, byte
/// count and source address. Two of its bits are set in the first and in the last packet of a message.
const FLAGS: usize = 2 + 4 + 3;
const START_AND_END: u8 = 0xc0;
/// The first bytes of a record of 20.
const TORN_RECORD: [u8; 5] = [20, 0, 0x3a, 0x0f, 17];
const INTERFACE_TIME: Duration = Duration::from_secs(5);
const POLL_PAUSE: Duration = Duration::from_millis(20);

/// A bus that ends at a serial port while the link is open.
#[derive(Debug)]
pub(crate) struct Link {
    /// The folder of the bus, which ends with its number.
    pub(crate) bus: PathBuf,
    port: PathBuf,
    relay: Option<Relay>,
    fault: Arc<Fault>,
}

/// Joins the bus to the serial port at `path`.
pub(crate) fn join(path: &Path) -> Result<Link> {
    let bus = adapter()?;
    let fault = Arc::default();
    let relay = Relay::start(path, &fault)?;
    Ok(Link {
        bus,
        port: path.to_owned(),
        relay: Some(relay),
        fault,
    })
}

impl Link {
    /// Makes an interface of the bus, which stays while the link is closed.
    pub(crate) fn make_interface(&self) -> Result<Interface> {
        let number = self.bus.to_string_lossy();
        let number = number.rsplit('-').next().unwrap_or_default();
        make_device(&self.bus, || {
            wait_for(&format!("{}{number}", interface::I2C))
        })
    }

    /// Ends the relay, and closes the bus and the serial port: nobody acknowledges on that bus.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.relay.take().map_or(Ok(()), Relay::stop)
    }

    /// Joins the bus and the serial port again.
    pub(crate) fn open(&mut self) -> Result<()> {
        self.close()?;
        self.relay = Some(Relay::start(&self.port, &self.fault)?);
        Ok(())
    }

    /// Closes the link in the middle of a record to the device.
    pub(crate) fn tear(&mut self) -> Result<()> {
        self.close()?;
        let mut port = File::from(line_discipline::open_raw(&self.port)?);
        Ok(port.write_all(&TORN_RECORD)?)
    }

    /// Damages the packet error code of the next packet that Linux sends in the middle of a message.
    pub(crate) fn damage_next_middle_packet(&self) {
        self.fault.0.store(true, Ordering::Relaxed);
    }
}

/// Makes a device of the bus for the driver `mctp-i2c`, and deletes it again if `wait` finds no
/// interface.
fn make_device<T>(bus: &Path, wait: impl FnOnce() -> Result<T>) -> Result<T> {
    let address = format!("{:#06x}", OWN | OWN_ADDRESS);
    fs::write(bus.join("new_device"), format!("{DRIVER} {address}"))
        .context("the kernel has no MCTP over I2C, or that interface already")?;
    let found = wait();
    if found.is_ok() {
        return found;
    }
    let deleted = fs::write(bus.join("delete_device"), address);
    undo::then(found, deleted.context("cannot delete the device"))
}

/// The folder of the bus, which ends with its number.
fn adapter() -> Result<PathBuf> {
    for entry in fs::read_dir(BUSES).context("the kernel has no I2C")? {
        let entry = entry?;
        let is_bus = entry.file_name().to_string_lossy().starts_with(BUS_PREFIX);
        let folder = entry.path();
        if is_bus && read(&folder.join("name"))? == NAME {
            return Ok(folder);
        }
    }
    bail!("there is no I2C bus {NAME}")
}

fn wait_for(name: &str) -> Result<Interface> {
    let deadline = Instant::now() + INTERFACE_TIME;
    loop {
        match Interface::named(name) {
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => thread::sleep(POLL_PAUSE),
            found => return found,
        }
    }
}

/// Two threads, each of which passes on what is read at one side.
#[derive(Debug)]
struct Relay {
    /// They end when this is closed.
    stop: PipeWriter,
    threads: [JoinHandle<io::Result<()>>; 2],
}

impl Relay {
    fn start(port: &Path, fault: &Arc<Fault>) -> Result<Self> {
        let port = File::from(line_discipline::open_raw(port)?);
        let bus = OpenOptions::new()
            .read(true)
            .write(true)
            .open(DEVICE)
            .with_context(|| format!("cannot open {DEVICE}"))?;
        let (stopped, stop) = io::pipe()?;
        let from_bus = Side(bus.try_clone()?, stopped.try_clone()?);
        let (from_port, to_port) = (Side(port.try_clone()?, stopped), port);
        let fault = Arc::clone(fault);
        let outward = move || copy_records(from_bus, to_port, |record| fault.apply(record));
        let inward = move || copy_records(from_port, bus, |_| {});
        Ok(Self {
            stop,
            threads: [
                spawn("from the bus", outward)?,
                spawn("to the bus", inward)?,
            ],
        })
    }

    fn stop(self) -> Result<()> {
        drop(self.stop);
        for thread in self.threads {
            thread
                .join()
                .map_err(|_| anyhow!("a relay has panicked"))??;
        }
        Ok(())
    }
}

/// A file of which nothing more is read when the other one has ended.
struct Side(File, PipeReader);

impl Read for Side {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut files = [
            PollFd::new(&self.0, PollFlags::IN),
            PollFd::new(&self.1, PollFlags::IN),
        ];
        poll(&mut files, None)?;
        if files[1].revents().is_empty() {
            self.0.read(buffer)
        } else {
            Ok(0)
        }
    }
}

fn spawn(
    name: &'static str,
    copy: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<io::Result<()>>> {
    let said = move || copy().inspect_err(|error| println!("nothing more comes {name}: {error}"));
    thread::Builder::new().name(name.into()).spawn(said)
}

/// Whether the next packet in the middle of a message gets a wrong packet error code.
#[derive(Debug, Default)]
struct Fault(AtomicBool);

impl Fault {
    fn apply(&self, record: &mut [u8]) {
        let flags = record.get(FLAGS).copied().unwrap_or(START_AND_END);
        if flags & START_AND_END == 0 && self.0.swap(false, Ordering::Relaxed) {
            // The last byte of each packet.
            if let Some(code) = record.last_mut() {
                *code ^= 0x01;
            }
        }
    }
}

/// Each side gets whole records, one in each write.
fn copy_records(
    mut from: impl Read,
    mut to: impl Write,
    change: impl Fn(&mut [u8]),
) -> io::Result<()> {
    let mut records = Records::default();
    let mut bytes = [0; 4096];
    loop {
        match from.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(len) => records.0.extend_from_slice(&bytes[..len]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        while let Some(mut record) = records.next()? {
            change(&mut record);
            to.write_all(&record)?;
        }
    }
}

/// Bytes that have come, from the beginning of a record.
#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    /// The next whole record, with its length before it.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(length) = self.0.first_chunk() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_le_bytes(*length));
        if !(1..=LONGEST_RECORD).contains(&length) {
            let text = format!("a record of {length} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let whole = length + 2;
        Ok((self.0.len() >= whole).then(|| self.0.drain(..whole).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes note of what each write had.
    #[derive(Default)]
    struct Writes(Vec<Vec<u8>>);

    impl Write for &mut Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Gives so many bytes at a time.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(buffer.len());
            self.0.read(&mut buffer[..len])
        }
    }

    #[test]
    fn records_are_written_whole_however_they_come() {
        let records = [[1, 0, 0x20].to_vec(), [&[44, 1][..], &[0x3b; 300]].concat()];
        let bytes = [records.concat(), records.concat(), vec![9, 0, 1]].concat();
        for size in [1, 2, 3, 302, 5000] {
            let mut writes = Writes::default();
            copy_records(Pieces(&bytes, size), &mut writes, |_| {}).unwrap();
            assert_eq!(writes.0, [&records[..], &records[..]].concat());
        }
    }

    #[test]
    fn a_record_without_bytes_and_one_too_long_end_it() {
        for length in [0_u16, 513, u16::MAX] {
            let bytes = [&[1, 0, 0x20][..], &length.to_le_bytes()].concat();
            let mut writes = Writes::default();
            assert!(copy_records(&bytes[..], &mut writes, |_| {}).is_err());
            assert_eq!(writes.0, [[1, 0, 0x20]]);
        }
    }

    /// A packet with these flags and a packet error code of 56h.
    fn record(flags: u8) -> Vec<u8> {
        vec![11, 0, 0x3a, 0x0f, 8, 0x21, 1, 9, 8, flags, 0x7e, 0xcc, 0x56]
    }

    #[test]
    fn a_fault_is_for_one_packet_in_the_middle_of_a_message() {
        let flags = [0x88, 0x18, 0x28, 0x78, 0xc8];
        let bytes = flags.map(record).concat();
        let fault = Fault(AtomicBool::new(true));
        let mut writes = Writes::default();
        copy_records(&bytes[..], &mut writes, |record| fault.apply(record)).unwrap();
        let mut expected = flags.map(record);
        *expected[1].last_mut().unwrap() = 0x57;
        assert_eq!(writes.0, expected);
    }

    #[test]
    fn without_a_fault_every_packet_is_as_it_was() {
        let mut packet = record(0x18);
        Fault::default().apply(&mut packet);
        assert_eq!(packet, record(0x18));
        // Too short for a packet.
        Fault(AtomicBool::new(true)).apply(&mut [1, 0, 0x3a]);
    }

    #[test]
    fn a_device_that_is_no_interface_is_deleted() {
        for fails in [false, true] {
            let bus = tempfile::tempdir().unwrap();
            let written = |file: &str| fs::read_to_string(bus.path().join(file)).ok();
            let made = make_device(bus.path(), || {
                anyhow::ensure!(!fails, "there is no interface");
                Ok(())
            });
            assert_eq!(made.is_err(), fails);
            let made = written("new_device");
            assert_eq!(made.as_deref(), Some("mctp-i2c-interface 0x1010"));
            let deleted = written("delete_device");
            assert_eq!(deleted.as_deref(), fails.then_some("0x1010"));
        }
    }

    #[test]
    fn a_relay_ends_when_it_is_told_so() {
        let (stopped, stop) = io::pipe().unwrap();
        let (nothing, writer) = io::pipe().unwrap();
        let side = Side(File::from(std::os::fd::OwnedFd::from(nothing)), stopped);
        drop(stop);
        let mut writes = Writes::default();
        copy_records(side, &mut writes, |_| {}).unwrap();
        assert_eq!(writes.0, [[0; 0]; 0]);
        drop(writer);
    }
}
