//! The texts behind the options in what `--help` shows.

pub(super) const EXAMPLES: &str = "\
Examples:
  virtual-device
      Tries the device out with a host in the same process. Needs nothing else.
  virtual-device --usb 1.1 --mtu 8187 --max-message 65536
      The same with the longest packets and messages there are.
  virtual-device usbredir --listen unix:mctp.sock
      Waits for a QEMU guest that is started with:
        -device usb-ehci,id=usb -chardev socket,id=mctp,path=mctp.sock
        -device usb-redir,chardev=mctp,bus=usb.0
  virtual-device usbredir --connect tcp:127.0.0.1:4000 --pcap mctp.pcap
      Attaches to a guest whose chardev waits on that port, and captures the packets.
  virtual-device usbredir --listen unix:mctp.sock --model my-drive.toml
      Manages another NVM subsystem than the default one; models/default.toml says what may be in such a file.
  virtual-device usbip
      Waits for a Linux with vhci-hcd: usbip attach -r 127.0.0.1 -b 1-1
  virtual-device usbip --attach
      Attaches the device to this machine itself. Needs root and vhci-hcd, and no network.
  virtual-device serial --tty /dev/ttyUSB0
      The same device on a serial port: MCTP over serial, without USB.
  virtual-device i2c --listen unix:mctp.sock --address 1D
      The same device on an I2C bus in software: every write on the bus is a record on the stream.
  virtual-device usbredir --listen unix:mctp.sock --pcap - | wireshark -k -i -
      Shows the packets as they come.
  virtual-device help usbredir
  virtual-device help usbip
  virtual-device help serial
  virtual-device help i2c
      All ways to attach, with the QEMU options for each.";

pub(super) const USBREDIR_EXAMPLES: &str = "\
What to give QEMU with each, beside -device usb-ehci,id=usb -device usb-redir,chardev=mctp,bus=usb.0
  --listen unix:mctp.sock       -chardev socket,id=mctp,path=mctp.sock
  --listen tcp:127.0.0.1:4000   -chardev socket,id=mctp,host=127.0.0.1,port=4000
  --connect unix:mctp.sock      -chardev socket,id=mctp,path=mctp.sock,server=on,wait=off
  --connect tcp:127.0.0.1:4000  -chardev socket,id=mctp,host=127.0.0.1,port=4000,server=on,wait=off
  --pty mctp.tty                -chardev serial,id=mctp,path=mctp.tty
  --pty /dev/pts/7              -chardev pty,id=mctp   (QEMU says which /dev/pts/N it took)
With --listen, add reconnect-ms=500 (before QEMU 9.2: reconnect=1) to the chardev, and the guest survives a restart of
the device.";

pub(super) const USBIP_EXAMPLES: &str = "\
On the Linux that attaches the device, as root:
  modprobe vhci-hcd
  usbip list -r 127.0.0.1
  usbip attach -r 127.0.0.1 -b 1-1
  usbip port
  usbip detach -p 0
The tool is in Debian's package usbip. With --attach, only the first of these is needed.
Nobody is authenticated, so that --listen is for the loopback interface, or for a network whose members may all have the
device.";

pub(super) const SERIAL_EXAMPLES: &str = "\
What to give QEMU with each, beside -serial chardev:mctp
  --listen unix:mctp.sock       -chardev socket,id=mctp,path=mctp.sock
  --listen tcp:127.0.0.1:4000   -chardev socket,id=mctp,host=127.0.0.1,port=4000
  --connect unix:mctp.sock      -chardev socket,id=mctp,path=mctp.sock,server=on,wait=off
  --pty mctp.tty                -chardev serial,id=mctp,path=mctp.tty
  --pty /dev/pts/7              -chardev pty,id=mctp   (QEMU says which /dev/pts/N it took)
On the Linux at the other end:
  mctp link serial /dev/ttyS1 &
  mctp link set mctpserial0 up
  mctp addr add 8 dev mctpserial0
  mctp route add 9 via mctpserial0";

pub(super) const I2C_EXAMPLES: &str = "\
The stream has one record for each write on the bus, in both directions: two bytes that say how many follow, the low byte
first, then these: the target's address, shifted left by one, and what is written to it. So does Linux's i2c-vlink, a test
driver, at /dev/i2c-vlink. What to give QEMU with each, beside -serial chardev:mctp
  --listen unix:mctp.sock       -chardev socket,id=mctp,path=mctp.sock
  --connect unix:mctp.sock      -chardev socket,id=mctp,path=mctp.sock,server=on,wait=off
In the guest, which is at address 10h of its bus, here the one of number 0:
  guest-tests attach-i2c /dev/ttyS1 &
  mctp link set mctpi2c0 up
  mctp addr add 8 dev mctpi2c0
  mctp route add 9 via mctpi2c0
  mctp neigh add 9 dev mctpi2c0 lladdr 0x1d";
