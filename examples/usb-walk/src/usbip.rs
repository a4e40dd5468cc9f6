//! A host that reaches its device by USB/IP, as Linux's `vhci-hcd` does.

use std::io::{Read, Write};

use anyhow::{Context, Result, bail, ensure};
use remote_usb_device::usbip::wire::{
    BUS_ID_LENGTH, Command, DEVICE_LENGTH, HEADER_LENGTH, OPERATION_LENGTH, Operation,
    OperationStatus, Reply, Submit, Unlink, status,
};
use remote_usb_device::usbip::{BUS_ID, DEVICE_ID};

use crate::host::{Host, Outcome, Until};

const IN: u8 = 0x80;
/// GET_DESCRIPTOR for 64 bytes of the device descriptor: the first request of an enumeration, by
/// which the device knows it.
const ENUMERATION: [u8; 8] = [IN, 6, 0, 1, 0, 0, 64, 0];

/// A host on a stream, from the first request for the device on. Reads of the stream must end with
/// an error when nothing comes for too long.
pub struct UsbipHost<S> {
    stream: S,
    next_number: u32,
}

/// A transfer to do.
struct Transfer<'a> {
    endpoint: u8,
    setup: [u8; 8],
    /// What to send, or how many bytes to receive at most.
    data: Result<&'a [u8], usize>,
}

impl<S: Read + Write> UsbipHost<S> {
    /// Asks a server for the device, as `usbip attach` does.
    ///
    /// # Errors
    ///
    /// The server does not give the device away.
    pub fn import(mut stream: S) -> Result<Self> {
        let mut bus_id = [0; BUS_ID_LENGTH];
        bus_id[..BUS_ID.len()].copy_from_slice(BUS_ID.as_bytes());
        stream.write_all(&Operation::Import.request())?;
        stream.write_all(&bus_id)?;
        let mut reply = [0; OPERATION_LENGTH];
        stream.read_exact(&mut reply)?;
        ensure!(
            reply == Operation::Import.reply(OperationStatus::Ok),
            "the server answers {reply:02x?}"
        );
        stream.read_exact(&mut [0; DEVICE_LENGTH])?;
        Ok(Self::new(stream))
    }

    /// A host that has the device.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            next_number: 1,
        }
    }

    fn number(&mut self) -> u32 {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        number
    }

    fn begin(&mut self, transfer: &Transfer<'_>) -> Result<u32> {
        let number = self.number();
        let data = transfer.data.unwrap_or_default();
        let length = transfer.data.map_or_else(|asked| asked, <[u8]>::len);
        let command = Command::Submit(Submit {
            number,
            device_id: DEVICE_ID,
            is_in: transfer.data.is_err(),
            endpoint: transfer.endpoint,
            flags: 0,
            length: length.try_into()?,
            start_frame: 0,
            packets: 0,
            interval: 0,
            setup: transfer.setup,
        });
        self.stream.write_all(&command.emit())?;
        self.stream.write_all(data)?;
        Ok(number)
    }

    /// The next reply; of an IN transfer with its data.
    fn reply(&mut self, is_in: bool) -> Result<(Reply, Vec<u8>)> {
        let mut header = [0; HEADER_LENGTH];
        self.stream.read_exact(&mut header)?;
        let reply = Reply::parse(&header).context("no reply")?;
        let mut data = Vec::new();
        if let Reply::Submit { length, .. } = reply
            && is_in
        {
            data.resize(length.try_into()?, 0);
            self.stream.read_exact(&mut data)?;
        }
        Ok((reply, data))
    }

    fn exchange(&mut self, transfer: &Transfer<'_>) -> Result<Outcome> {
        let wanted = self.begin(transfer)?;
        let (reply, data) = self.reply(transfer.data.is_err())?;
        let Reply::Submit { number, status, .. } = reply else {
            bail!("{reply:?} instead of the reply to {wanted}");
        };
        ensure!(number == wanted, "a reply to {number} instead of {wanted}");
        match status {
            status::SUCCESS => Ok(Outcome::Done(data)),
            status::STALL => Ok(Outcome::Stall),
            other => bail!("status {other}"),
        }
    }
}

/// A control transfer; without a data stage, the direction is that of the SETUP packet.
fn control<'a>(setup: [u8; 8], data: &'a [u8]) -> Transfer<'a> {
    let [request_type, .., low, high] = setup;
    let length = u16::from_le_bytes([low, high]);
    Transfer {
        endpoint: 0,
        setup,
        data: if request_type & IN != 0 {
            Err(length.into())
        } else {
            Ok(data)
        },
    }
}

impl<S: Read + Write> Host for UsbipHost<S> {
    // Linux keeps Set Address to itself, and the device assigns itself one.
    const ASSIGNS_ADDRESSES: bool = false;

    /// There is no message for it. The device takes it from the beginning of an enumeration, if it
    /// is configured.
    fn reset(&mut self) -> Result<()> {
        self.exchange(&control([0x00, 9, 1, 0, 0, 0, 0, 0], &[]))?;
        let outcome = self.exchange(&control(ENUMERATION, &[]))?;
        ensure!(outcome != Outcome::Stall, "an enumeration is refused");
        Ok(())
    }

    /// What would be taken for the beginning of an enumeration asks for a byte more.
    fn control(&mut self, mut setup: [u8; 8], data: &[u8]) -> Result<Outcome> {
        if setup == ENUMERATION {
            setup[6] += 1;
        }
        self.exchange(&control(setup, data))
    }

    /// There is one way to take a request back, however far it is.
    fn abandon(&mut self, setup: [u8; 8], data: &[u8], _: Until) -> Result<()> {
        let transfer = control(setup, data);
        let target = self.begin(&transfer)?;
        let wanted = self.number();
        let unlink = Command::Unlink(Unlink {
            number: wanted,
            device_id: DEVICE_ID,
            target,
        });
        self.stream.write_all(&unlink.emit())?;
        let mut is_answered = false;
        loop {
            let (reply, _) = self.reply(transfer.data.is_err())?;
            match reply {
                Reply::Submit { number, .. } if number == target && !is_answered => {
                    is_answered = true;
                }
                Reply::Unlink { number, status } if number == wanted => {
                    let expected = if is_answered {
                        status::SUCCESS
                    } else {
                        status::UNLINKED
                    };
                    ensure!(status == expected, "status {status} of an unlink");
                    return Ok(());
                }
                other => bail!("{other:?} instead of the reply to {wanted}"),
            }
        }
    }

    fn bulk_out(&mut self, endpoint: u8, data: &[u8]) -> Result<Outcome> {
        self.exchange(&Transfer {
            endpoint,
            setup: [0; 8],
            data: Ok(data),
        })
    }

    fn bulk_in(&mut self, endpoint: u8, length: usize) -> Result<Outcome> {
        self.exchange(&Transfer {
            endpoint: endpoint & !IN,
            setup: [0; 8],
            data: Err(length),
        })
    }
}
