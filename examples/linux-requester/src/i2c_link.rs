//! MCTP over I2C without hardware: Linux's own driver `mctp-i2c` on the bus of the test driver
//! `i2c-vlink`, whose wire is joined to a serial port.
//!
//! At its device file, each write that the kernel makes on the bus can be read as one record; each
//! record written there is a write of somebody else. A record is its length as u16, the low byte
//! first, then so many bytes: the target's address in bits 7:1, and what is written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::interface::{self, Interface, read};
use crate::line_discipline;

const DEVICE: &str = "/dev/i2c-vlink";
const BUSES: &str = "/sys/bus/i2c/devices";
/// The name of the bus, and what the names of all buses begin with.
const NAME: &str = "i2c-vlink";
const BUS_PREFIX: &str = "i2c-";
/// Linux's own address on the bus. Added to it is what says that it is its own.
const OWN_ADDRESS: u16 = 0x10;
const OWN: u16 = 0x1000;
/// The longest record that the driver takes.
const LONGEST_RECORD: usize = 512;
const INTERFACE_TIME: Duration = Duration::from_secs(5);
const POLL_PAUSE: Duration = Duration::from_millis(20);

/// Makes an interface whose bus ends at the serial port at `path`, for as long as this process runs.
pub fn attach(path: &Path) -> Result<Interface> {
    let adapter = join(path)?;
    let request = format!("mctp-i2c-interface {:#06x}", OWN | OWN_ADDRESS);
    fs::write(adapter.join("new_device"), request)
        .context("the kernel has no MCTP over I2C, or that interface already")?;
    let number = adapter.to_string_lossy();
    let number = number.rsplit('-').next().unwrap_or_default();
    wait_for(&format!("{}{number}", interface::I2C))
}

/// Joins the bus to the serial port at `path`, for as long as this process runs; the folder of the
/// bus, which ends with its number.
pub fn join(path: &Path) -> Result<PathBuf> {
    let port = File::from(line_discipline::open_raw(path)?);
    let bus = OpenOptions::new()
        .read(true)
        .write(true)
        .open(DEVICE)
        .with_context(|| format!("cannot open {DEVICE}"))?;
    let adapter = adapter()?;
    relay(port, bus)?;
    Ok(adapter)
}

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

/// Passes on what is read at either side, in two threads.
fn relay(port: File, bus: File) -> io::Result<()> {
    let (from_bus, to_port) = (bus.try_clone()?, port.try_clone()?);
    let outward = move || copy(from_bus, to_port);
    let inward = move || copy_records(port, bus);
    spawn("from the bus", outward)?;
    spawn("to the bus", inward)
}

fn spawn(
    name: &'static str,
    copy: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let said = move || match copy() {
        Ok(()) => println!("nothing more comes {name}"),
        Err(error) => println!("nothing more comes {name}: {error}"),
    };
    thread::Builder::new()
        .name(name.into())
        .spawn(said)
        .map(drop)
}

/// The serial port does not need to know where records end.
fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut bytes = [0; 4096];
    loop {
        match from.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(len) => to.write_all(&bytes[..len])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The driver gets whole records, one in each write.
fn copy_records(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut records = Records::default();
    let mut bytes = [0; 4096];
    loop {
        match from.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(len) => records.0.extend_from_slice(&bytes[..len]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        while let Some(record) = records.next()? {
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
            copy_records(Pieces(&bytes, size), &mut writes).unwrap();
            assert_eq!(writes.0, [&records[..], &records[..]].concat());
        }
    }

    #[test]
    fn a_record_without_bytes_and_one_too_long_end_it() {
        for length in [0_u16, 513, u16::MAX] {
            let bytes = [&[1, 0, 0x20][..], &length.to_le_bytes()].concat();
            let mut writes = Writes::default();
            assert!(copy_records(&bytes[..], &mut writes).is_err());
            assert_eq!(writes.0, [[1, 0, 0x20]]);
        }
    }
}
