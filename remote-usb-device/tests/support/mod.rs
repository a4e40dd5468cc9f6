//! A device under test, a guest that plays QEMU's part word by word, and a host that plays that of
//! Linux's USB/IP driver.

mod host;
mod usbip;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;
use embassy_usb::control::{InResponse, OutResponse, Recipient, Request, RequestType};
use embassy_usb::driver::{Endpoint, EndpointError, EndpointIn as _, EndpointOut as _};
use embassy_usb::{Builder, Handler, UsbDevice};
use embedded_io_async::{ErrorType, Read, Write};
use futures::executor::{LocalPool, LocalSpawner};
use futures::task::LocalSpawnExt;
use remote_usb_device::usbredir::wire::{
    BulkHeader, Capabilities, ControlHeader, Header, Hello, Message, Status, fixed_length,
};
use remote_usb_device::{Buffers, Config, Driver, EndpointIn, EndpointOut, Error, Handle, State};

#[allow(unused_imports, reason = "not every test has a host on both wires")]
pub use host::{Host, Outcome};
#[allow(unused_imports, reason = "not every test has a host on both wires")]
pub use usbip::{Answer, UsbipHost, submit};

pub type Input = EndpointIn<'static, NoopRawMutex>;
pub type Output = EndpointOut<'static, NoopRawMutex>;
type Usb = UsbDevice<'static, Driver<'static, NoopRawMutex>>;

pub const MAX_PACKET: usize = 512;
/// Buffer sizes of the device under test.
pub const IN_BUFFER: usize = 4096;
pub const OUT_BUFFER: usize = 4096;
pub const CONTROL_BUFFER: usize = 1024;

/// What QEMU 10 announces.
pub const QEMU: Capabilities = Capabilities(0xFF);

pub const BULK_OUT: u8 = 0x01;
pub const BULK_IN: u8 = 0x81;
pub const INTERRUPT_IN: u8 = 0x82;
pub const ALT_OUT: u8 = 0x02;
pub const ALT_IN: u8 = 0x83;
pub const INTERRUPT_OUT: u8 = 0x03;

// An in-memory byte stream.

struct Queue {
    bytes: VecDeque<u8>,
    capacity: usize,
    closed: bool,
    wakers: Vec<Waker>,
}

impl Queue {
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

const PIPE_CAPACITY: usize = 1 << 16;

pub struct PipeReader(Rc<RefCell<Queue>>);
pub struct PipeWriter(Rc<RefCell<Queue>>);

pub fn pipe() -> (PipeReader, PipeWriter) {
    narrow_pipe(PIPE_CAPACITY)
}

/// A stream that takes so many bytes until they are read.
pub fn narrow_pipe(capacity: usize) -> (PipeReader, PipeWriter) {
    let channel = Rc::new(RefCell::new(Queue {
        bytes: VecDeque::new(),
        capacity,
        closed: false,
        wakers: Vec::new(),
    }));
    (PipeReader(channel.clone()), PipeWriter(channel))
}

impl ErrorType for PipeReader {
    type Error = Infallible;
}

impl ErrorType for PipeWriter {
    type Error = Infallible;
}

impl Read for PipeReader {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        poll_fn(|cx| {
            let mut channel = self.0.borrow_mut();
            if channel.bytes.is_empty() && !channel.closed {
                channel.wakers.push(cx.waker().clone());
                return Poll::Pending;
            }
            let count = buf.len().min(channel.bytes.len());
            buf[..count]
                .iter_mut()
                .for_each(|byte| *byte = channel.bytes.pop_front().unwrap());
            channel.wake();
            Poll::Ready(Ok(count))
        })
        .await
    }
}

impl Write for PipeWriter {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        poll_fn(|cx| {
            let mut channel = self.0.borrow_mut();
            let count = buf.len().min(channel.capacity - channel.bytes.len());
            if channel.closed {
                return Poll::Ready(Ok(0));
            }
            if count == 0 {
                channel.wakers.push(cx.waker().clone());
                return Poll::Pending;
            }
            channel.bytes.extend(&buf[..count]);
            channel.wake();
            Poll::Ready(Ok(count))
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut channel = self.0.borrow_mut();
        channel.closed = true;
        channel.wake();
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        let mut channel = self.0.borrow_mut();
        channel.closed = true;
        channel.wake();
    }
}

// The device under test.

/// Vendor requests: 1 OUT stores its data, 2 IN gives them back, everything else is refused.
#[derive(Default)]
pub struct Events {
    pub log: Vec<String>,
    stored: Vec<u8>,
}

struct Recorder(Rc<RefCell<Events>>);

impl Handler for Recorder {
    fn enabled(&mut self, enabled: bool) {
        self.0.borrow_mut().log.push(format!("enabled {enabled}"));
    }

    fn reset(&mut self) {
        self.0.borrow_mut().log.push("reset".into());
    }

    fn addressed(&mut self, address: u8) {
        self.0.borrow_mut().log.push(format!("addressed {address}"));
    }

    fn configured(&mut self, configured: bool) {
        self.0
            .borrow_mut()
            .log
            .push(format!("configured {configured}"));
    }

    fn control_out(&mut self, request: Request, data: &[u8]) -> Option<OutResponse> {
        if request.request_type != RequestType::Vendor || request.recipient != Recipient::Device {
            return None;
        }
        if request.request != 1 {
            return Some(OutResponse::Rejected);
        }
        self.0.borrow_mut().stored = data.to_vec();
        Some(OutResponse::Accepted)
    }

    fn control_in<'a>(&'a mut self, request: Request, buf: &'a mut [u8]) -> Option<InResponse<'a>> {
        if request.request_type != RequestType::Vendor || request.request != 2 {
            return None;
        }
        let stored = &self.0.borrow().stored;
        buf[..stored.len()].copy_from_slice(stored);
        Some(InResponse::Accepted(&buf[..stored.len()]))
    }
}

/// What the device speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Usbredir,
    Usbip,
}

pub struct Rig {
    pool: LocalPool,
    pub spawner: LocalSpawner,
    streams: &'static Channel<NoopRawMutex, (PipeReader, PipeWriter), 4>,
    pub handle: Handle<'static, NoopRawMutex>,
    pub events: Rc<RefCell<Events>>,
    /// Drops the future of the connection being served.
    pub drop_connection: &'static Signal<NoopRawMutex, ()>,
    /// How each connection ended.
    pub ends: Rc<RefCell<Vec<Result<(), Error>>>>,
    endpoints: Option<Endpoints>,
}

pub struct Endpoints {
    pub bulk_out: Output,
    pub bulk_in: Input,
    pub interrupt_in: Input,
    pub interrupt_out: Output,
    pub alt_out: Output,
    pub alt_in: Input,
}

fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

/// Interface 0: bulk OUT 1 and IN 1, interrupt IN 2, interrupt OUT 3. Interface 1: nothing in
/// setting 0, bulk OUT 2 and IN 3 in setting 1.
fn build(driver: Driver<'static, NoopRawMutex>, events: Rc<RefCell<Events>>) -> (Usb, Endpoints) {
    let mut config = embassy_usb::Config::new(0x1209, 0x0001);
    config.device_release = 0x0123;
    let mut builder = Builder::new(
        driver,
        config,
        leak([0; 512]),
        leak([0; 64]),
        &mut [],
        leak([0; 1024]),
    );
    builder.handler(leak(Recorder(events)));
    let mut function = builder.function(0xFF, 1, 2);
    let mut interface = function.interface();
    let mut alt = interface.alt_setting(0xFF, 0x10, 0x20, None);
    let bulk_out = alt.endpoint_bulk_out(Some(BULK_OUT.into()), MAX_PACKET as u16);
    let bulk_in = alt.endpoint_bulk_in(None, MAX_PACKET as u16);
    let interrupt_in = alt.endpoint_interrupt_in(None, 16, 0);
    let interrupt_out = alt.endpoint_interrupt_out(Some(INTERRUPT_OUT.into()), 16, 4);
    let mut interface = function.interface();
    interface.alt_setting(0xFE, 0x11, 0x21, None);
    let mut alt = interface.alt_setting(0xFD, 0x12, 0x22, None);
    let alt_out = alt.endpoint_bulk_out(None, MAX_PACKET as u16);
    let alt_in = alt.endpoint_bulk_in(None, MAX_PACKET as u16);
    drop(function);
    (
        builder.build(),
        Endpoints {
            bulk_out,
            bulk_in,
            interrupt_in,
            interrupt_out,
            alt_out,
            alt_in,
        },
    )
}

impl Rig {
    pub fn new() -> Self {
        Self::with_config(Config::default())
    }

    pub fn with_config(config: Config) -> Self {
        Self::assemble(Wire::Usbredir, config, false)
    }

    /// The patience with an OUT endpoint is over at once.
    pub fn impatient() -> Self {
        Self::assemble(Wire::Usbredir, Config::default(), true)
    }

    pub fn on(wire: Wire) -> Self {
        Self::assemble(wire, Config::default(), false)
    }

    fn assemble(wire: Wire, config: Config, impatient: bool) -> Self {
        let pool = LocalPool::new();
        let spawner = pool.spawner();
        let buffers = leak(Buffers::<3, IN_BUFFER, OUT_BUFFER, CONTROL_BUFFER>::new());
        let state = leak(State::<NoopRawMutex>::new(buffers));
        let (driver, mut runner, handle) = remote_usb_device::new(state, config);
        let events = Rc::new(RefCell::new(Events::default()));
        let (mut usb, endpoints) = build(driver, events.clone());
        spawner.spawn_local(async move { usb.run().await }).unwrap();
        let streams: &'static Channel<NoopRawMutex, (PipeReader, PipeWriter), 4> =
            leak(Channel::new());
        let ends = Rc::new(RefCell::new(Vec::new()));
        let recorded = ends.clone();
        let drop_connection: &'static Signal<NoopRawMutex, ()> = leak(Signal::new());
        let serve = async move {
            loop {
                let (read, write) = streams.receive().await;
                let run = async {
                    if wire == Wire::Usbip {
                        runner.run_usbip(read, write).await
                    } else if impatient {
                        runner
                            .run_usbredir_with_patience(read, write, async || ())
                            .await
                    } else {
                        runner.run_usbredir(read, write).await
                    }
                };
                if let Either::First(result) = select(run, drop_connection.wait()).await {
                    recorded.borrow_mut().push(result);
                }
            }
        };
        spawner.spawn_local(serve).unwrap();
        Self {
            pool,
            spawner,
            streams,
            handle,
            drop_connection,
            events,
            ends,
            endpoints: Some(endpoints),
        }
    }

    pub fn endpoints(&mut self) -> Endpoints {
        self.endpoints.take().expect("taken once")
    }

    /// A device that sends back on bulk IN each packet it reads on bulk OUT, on both interfaces.
    pub fn echo() -> Self {
        Self::echo_on(Wire::Usbredir)
    }

    pub fn echo_on(wire: Wire) -> Self {
        let mut rig = Self::on(wire);
        let endpoints = rig.endpoints();
        rig.spawner
            .spawn_local(echo(endpoints.bulk_out, endpoints.bulk_in))
            .unwrap();
        rig.spawner
            .spawn_local(echo(endpoints.alt_out, endpoints.alt_in))
            .unwrap();
        rig
    }

    /// Opens a stream to the device.
    pub fn connect(&self) -> Guest {
        connect(self.streams)
    }

    pub fn connector(&self) -> impl Fn() -> Guest + 'static {
        let streams = self.streams;
        move || connect(streams)
    }

    /// Opens a stream to the device, for a host on its wire.
    pub fn host<H: Host>(&self) -> impl Fn() -> H + Clone + 'static {
        let streams = self.streams;
        move || {
            let (read, write) = open(streams, PIPE_CAPACITY);
            H::new(read, write)
        }
    }

    /// The same, but the device can send only so many bytes before the host reads them.
    pub fn host_that_reads_late<H: Host>(&self, capacity: usize) -> H {
        let (read, write) = open(self.streams, capacity);
        H::new(read, write)
    }

    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.spawner.spawn_local(future).unwrap();
    }

    /// Runs everything until nothing can go on; fails if `script` is not at its end then.
    pub fn play<T: 'static>(&mut self, script: impl Future<Output = T> + 'static) -> T {
        let result = Rc::new(RefCell::new(None));
        let slot = result.clone();
        self.spawn(async move { *slot.borrow_mut() = Some(script.await) });
        self.pool.run_until_stalled();
        result
            .take()
            .expect("the script waits for something that does not come")
    }
}

type Streams = &'static Channel<NoopRawMutex, (PipeReader, PipeWriter), 4>;

/// The host's ends of a new stream. That to the host takes `capacity` bytes until they are read.
fn open(streams: Streams, capacity: usize) -> (PipeReader, PipeWriter) {
    let (device_read, host_write) = pipe();
    let (host_read, device_write) = narrow_pipe(capacity);
    streams.try_send((device_read, device_write)).ok().unwrap();
    (host_read, host_write)
}

fn connect(streams: Streams) -> Guest {
    let (read, write) = open(streams, PIPE_CAPACITY);
    Guest {
        read,
        write,
        caps: Capabilities::NONE,
    }
}

async fn echo(mut output: Output, mut input: Input) {
    loop {
        output.wait_enabled().await;
        while echo_packet(&mut output, &mut input).await.is_ok() {}
    }
}

async fn echo_packet(output: &mut Output, input: &mut Input) -> Result<(), EndpointError> {
    let mut packet = [0; MAX_PACKET];
    let length = output.read(&mut packet).await?;
    input.write(&packet[..length]).await
}

// The guest.

pub struct Guest {
    read: PipeReader,
    pub write: PipeWriter,
    pub caps: Capabilities,
}

#[derive(Debug, PartialEq)]
pub struct Incoming {
    pub id: u64,
    pub message: Message,
    pub data: Vec<u8>,
}

impl Guest {
    pub async fn send_bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = self.write.write(bytes).await.unwrap();
            if count == 0 {
                return;
            }
            bytes = &bytes[count..];
        }
    }

    pub async fn send(&mut self, id: u64, message: Message, data: &[u8]) {
        let mut bytes = [0; 512];
        let length = message
            .emit(self.caps, id, data.len() as u32, &mut bytes)
            .unwrap();
        self.send_bytes(&bytes[..length]).await;
        self.send_bytes(data).await;
    }

    async fn receive_exact(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self.read.read(&mut bytes[filled..]).await.unwrap() {
                0 => return None,
                count => filled += count,
            }
        }
        Some(bytes)
    }

    /// The next message; `None` when the device closed the stream.
    pub async fn try_receive(&mut self) -> Option<Incoming> {
        let head = self
            .receive_exact(Header::encoded_length(self.caps))
            .await?;
        let (header, _) = Header::parse(&head, self.caps).unwrap();
        let body = self.receive_exact(header.length as usize).await?;
        let fixed = fixed_length(header.kind, self.caps).unwrap();
        let message = Message::parse(header.kind, self.caps, &body).expect("a well-formed message");
        Some(Incoming {
            id: header.id,
            message,
            data: body[fixed..].to_vec(),
        })
    }

    pub async fn receive(&mut self) -> Incoming {
        self.try_receive().await.expect("the stream is open")
    }

    /// Says hello with these capabilities and reads the device's hello.
    pub async fn hello(&mut self, capabilities: Capabilities) {
        let hello = Message::Hello(Hello::new("scripted guest", capabilities));
        self.send(0, hello, &[]).await;
        let Message::Hello(theirs) = self.receive().await.message else {
            panic!("the first message is no hello")
        };
        assert_eq!(theirs.capabilities, Capabilities::DEVICE);
        self.caps = theirs.capabilities.common(capabilities);
    }

    /// Hello, and the device's announcement.
    pub async fn plug_in(&mut self) {
        self.hello(QEMU).await;
        self.expect_announcement().await;
    }

    pub async fn expect_announcement(&mut self) {
        assert!(matches!(
            self.receive().await.message,
            Message::EndpointInfo(_)
        ));
        assert!(matches!(
            self.receive().await.message,
            Message::InterfaceInfo(_)
        ));
        assert!(matches!(
            self.receive().await.message,
            Message::DeviceConnect(_)
        ));
    }

    pub async fn configure(&mut self) {
        self.send(77, Message::SetConfiguration { configuration: 1 }, &[])
            .await;
        assert!(matches!(
            self.receive().await.message,
            Message::EndpointInfo(_)
        ));
        assert!(matches!(
            self.receive().await.message,
            Message::InterfaceInfo(_)
        ));
        let status = self.receive().await;
        assert_eq!(status.id, 77);
        assert_eq!(
            status.message,
            Message::ConfigurationStatus {
                status: Status::SUCCESS,
                configuration: 1
            }
        );
    }

    /// What QEMU does until the guest's driver runs.
    pub async fn enumerate(&mut self) {
        self.plug_in().await;
        self.send(0, Message::Reset, &[]).await;
        self.send(0, Message::Reset, &[]).await;
        self.configure().await;
    }

    pub async fn bulk_out(&mut self, id: u64, endpoint: u8, data: &[u8]) {
        self.send(id, bulk(endpoint, Status::SUCCESS, data.len()), data)
            .await;
    }

    pub async fn bulk_in(&mut self, id: u64, endpoint: u8, length: usize) {
        self.send(id, bulk(endpoint, Status::SUCCESS, length), &[])
            .await;
    }

    pub async fn expect_bulk(
        &mut self,
        id: u64,
        endpoint: u8,
        status: Status,
        length: usize,
        data: &[u8],
    ) {
        let incoming = self.receive().await;
        let expected = Incoming {
            id,
            message: bulk(endpoint, status, length),
            data: data.to_vec(),
        };
        assert_eq!(incoming, expected);
    }

    pub async fn control(
        &mut self,
        id: u64,
        setup: [u8; 8],
        data: &[u8],
    ) -> (ControlHeader, Vec<u8>) {
        self.send(id, control(setup), data).await;
        let incoming = self.receive().await;
        assert_eq!(incoming.id, id);
        let Message::Control(header) = incoming.message else {
            panic!("no control answer: {incoming:?}")
        };
        (header, incoming.data)
    }

    /// Works only if the whole device does: an echo of a few bytes.
    pub async fn expect_echo(&mut self) {
        self.bulk_in(1000, BULK_IN, MAX_PACKET).await;
        self.bulk_out(1001, BULK_OUT, b"are you there?").await;
        let mut answers = [self.receive().await, self.receive().await];
        answers.sort_by_key(|answer| answer.id);
        let [input, output] = answers;
        assert_eq!((input.id, input.data), (1000, b"are you there?".to_vec()));
        assert_eq!(output.message, bulk(BULK_OUT, Status::SUCCESS, 14));
    }
}

pub fn bulk(endpoint: u8, status: Status, length: usize) -> Message {
    Message::Bulk(BulkHeader {
        endpoint,
        status,
        length: length as u32,
        stream_id: 0,
    })
}

pub fn control(setup: [u8; 8]) -> Message {
    let [request_type, request, v0, v1, i0, i1, l0, l1] = setup;
    Message::Control(ControlHeader {
        endpoint: request_type & 0x80,
        request,
        request_type,
        status: Status::SUCCESS,
        value: u16::from_le_bytes([v0, v1]),
        index: u16::from_le_bytes([i0, i1]),
        length: u16::from_le_bytes([l0, l1]),
    })
}
