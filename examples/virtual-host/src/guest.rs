//! The guest side of the usbredir protocol, as QEMU 10 speaks it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use remote_usb_device::usbredir::wire::{
    BulkHeader, Capabilities, ControlHeader, DeviceConnect, EndpointInfo, Header, Hello,
    InterfaceInfo, MAX_HEADER_LENGTH, MAX_LENGTH, MAX_MESSAGE_LENGTH, Message, Status,
    fixed_length, kind,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// What QEMU 10 announces.
const CAPABILITIES: Capabilities = Capabilities(0xFF);

/// IN, in an endpoint address and in bmRequestType.
const IN: u8 = 0x80;

/// Why a request to the device failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsbError {
    /// The device ended it with another status than success.
    #[error("the device answered with status {}", .0.0)]
    Status(Status),
    /// The device is not there any more, or said something that is not the protocol.
    #[error("the device is gone: {0}")]
    Gone(String),
}

/// A device on the bus, and all that can be done with it.
///
/// Must be made in a tokio `LocalSet`, where it works for as long as this value lives.
pub struct Guest {
    shared: Rc<Shared>,
    /// What the device said of itself when it was connected.
    pub device: DeviceConnect,
    pump: JoinHandle<()>,
}

struct Shared {
    outbox: mpsc::UnboundedSender<Vec<u8>>,
    capabilities: Capabilities,
    state: RefCell<State>,
}

struct State {
    next_id: u64,
    waiting: HashMap<u64, oneshot::Sender<Reply>>,
    interfaces: InterfaceInfo,
    endpoints: EndpointInfo,
    /// Why there is no device any more.
    gone: Option<String>,
}

struct Reply {
    message: Message,
    data: Vec<u8>,
}

struct Received {
    id: u64,
    message: Message,
    data: Vec<u8>,
}

impl Guest {
    /// Waits for the device to say hello and to be plugged in.
    ///
    /// # Errors
    ///
    /// When the stream ends before that, or what comes is not the protocol.
    pub async fn attach(
        mut stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    ) -> Result<Self, UsbError> {
        let capabilities = exchange_hello(&mut stream).await.map_err(UsbError::Gone)?;
        let (mut read, write) = tokio::io::split(stream);
        let (mut interfaces, mut endpoints) = (None, None);
        let device = loop {
            let received = receive(&mut read, capabilities)
                .await
                .map_err(UsbError::Gone)?;
            match received.message {
                Message::InterfaceInfo(info) => interfaces = Some(info),
                Message::EndpointInfo(info) => endpoints = Some(info),
                Message::DeviceConnect(device) => break device,
                other => {
                    return Err(gone(&format!(
                        "type {} before device_connect",
                        other.kind()
                    )));
                }
            }
        };
        let (Some(interfaces), Some(endpoints)) = (interfaces, endpoints) else {
            return Err(gone("device_connect before interface_info and ep_info"));
        };
        let (outbox, mail) = mpsc::unbounded_channel();
        let shared = Rc::new(Shared {
            outbox,
            capabilities,
            state: RefCell::new(State {
                next_id: 1,
                waiting: HashMap::new(),
                interfaces,
                endpoints,
                gone: None,
            }),
        });
        let pump = tokio::task::spawn_local(pump(Rc::clone(&shared), read, write, mail));
        Ok(Self {
            shared,
            device,
            pump,
        })
    }

    /// Interfaces in the current configuration.
    pub fn interfaces(&self) -> InterfaceInfo {
        self.shared.state.borrow().interfaces
    }

    /// Endpoints in the current configuration.
    pub fn endpoints(&self) -> EndpointInfo {
        self.shared.state.borrow().endpoints
    }

    /// Resets the bus.
    pub fn reset(&self) {
        self.shared.send(Message::Reset, 0, &[]);
    }

    /// A control transfer that reads at most `length` bytes.
    ///
    /// # Errors
    ///
    /// [`Status::STALL`] when the device refuses it.
    pub async fn control_in(
        &self,
        request_type: u8,
        request: u8,
        value: u16,
        index: u16,
        length: u16,
    ) -> Result<Vec<u8>, UsbError> {
        let header = ControlHeader {
            endpoint: IN,
            request,
            request_type: request_type | IN,
            status: Status::SUCCESS,
            value,
            index,
            length,
        };
        match self.request(Message::Control(header), &[]).await? {
            Reply {
                message: Message::Control(reply),
                data,
            } => success(reply.status, data),
            _ => Err(gone("another answer than to a control transfer")),
        }
    }

    /// A control transfer without data.
    ///
    /// # Errors
    ///
    /// [`Status::STALL`] when the device refuses it.
    pub async fn control(
        &self,
        request_type: u8,
        request: u8,
        value: u16,
        index: u16,
    ) -> Result<(), UsbError> {
        let header = ControlHeader {
            endpoint: 0,
            request,
            request_type: request_type & !IN,
            status: Status::SUCCESS,
            value,
            index,
            length: 0,
        };
        match self.request(Message::Control(header), &[]).await?.message {
            Message::Control(reply) => success(reply.status, ()),
            _ => Err(gone("another answer than to a control transfer")),
        }
    }

    /// Chooses a configuration; 0 for none.
    ///
    /// # Errors
    ///
    /// [`Status::STALL`] when the device has no such configuration.
    pub async fn set_configuration(&self, configuration: u8) -> Result<(), UsbError> {
        match self
            .request(Message::SetConfiguration { configuration }, &[])
            .await?
            .message
        {
            Message::ConfigurationStatus {
                status,
                configuration: now,
            } if now == configuration => success(status, ()),
            _ => Err(gone("another configuration than asked for")),
        }
    }

    /// Sends a bulk transfer.
    ///
    /// # Errors
    ///
    /// The device's status, if it is not success, or not all of the transfer was taken.
    pub async fn bulk_out(&self, endpoint: u8, data: &[u8]) -> Result<(), UsbError> {
        let header = bulk_header(endpoint, data.len());
        match self.request(Message::Bulk(header), data).await?.message {
            Message::Bulk(reply) if reply.length == header.length => success(reply.status, ()),
            Message::Bulk(reply) if reply.status != Status::SUCCESS => success(reply.status, ()),
            _ => Err(gone("a bulk OUT transfer was not taken whole")),
        }
    }

    /// Asks for a bulk transfer of at most `length` bytes. The device answers in the order of the
    /// requests.
    pub fn bulk_in(&self, endpoint: u8, length: usize) -> BulkIn {
        let (id, reply) = self.submit(Message::Bulk(bulk_header(endpoint, length)), &[]);
        BulkIn {
            shared: Rc::clone(&self.shared),
            id,
            reply,
        }
    }

    async fn request(&self, message: Message, data: &[u8]) -> Result<Reply, UsbError> {
        let (_, reply) = self.submit(message, data);
        reply.await.map_err(|_| self.shared.why_gone())
    }

    fn submit(&self, message: Message, data: &[u8]) -> (u64, oneshot::Receiver<Reply>) {
        let (sender, receiver) = oneshot::channel();
        let id = {
            let mut state = self.shared.state.borrow_mut();
            let id = state.next_id;
            state.next_id += 1;
            if state.gone.is_none() {
                state.waiting.insert(id, sender);
            }
            id
        };
        self.shared.send(message, id, data);
        (id, receiver)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.pump.abort();
        self.shared.lost("the host let go of it".into());
    }
}

/// A bulk IN request that the device has not answered yet.
pub struct BulkIn {
    shared: Rc<Shared>,
    id: u64,
    reply: oneshot::Receiver<Reply>,
}

impl BulkIn {
    /// The transfer. The future may be dropped, and asked for again until it was ready.
    ///
    /// # Errors
    ///
    /// The device's status, if it is not success.
    pub async fn complete(&mut self) -> Result<Vec<u8>, UsbError> {
        match (&mut self.reply).await {
            Ok(Reply {
                message: Message::Bulk(reply),
                data,
            }) => success(reply.status, data),
            Ok(_) => Err(gone("another answer than to a bulk transfer")),
            Err(_) => Err(self.shared.why_gone()),
        }
    }

    /// Takes the request back. [`complete`](Self::complete) still says what became of it.
    pub fn cancel(&self) {
        self.shared.send(Message::CancelDataPacket, self.id, &[]);
    }
}

impl Shared {
    fn send(&self, message: Message, id: u64, data: &[u8]) {
        // Only IN requests promise bytes that do not follow.
        let bytes = encode(message, self.capabilities, id, data);
        // After the end of the pump whoever waits is told by `why_gone`.
        let _ = self.outbox.send(bytes);
    }

    fn lost(&self, why: String) {
        let mut state = self.state.borrow_mut();
        state.gone.get_or_insert(why);
        state.waiting.clear();
    }

    fn why_gone(&self) -> UsbError {
        let state = self.state.borrow();
        UsbError::Gone(state.gone.clone().unwrap_or_else(|| "unplugged".into()))
    }

    fn handle(&self, received: Received) -> Result<(), String> {
        let Received { id, message, data } = received;
        let mut state = self.state.borrow_mut();
        match message {
            Message::InterfaceInfo(info) => state.interfaces = info,
            Message::EndpointInfo(info) => state.endpoints = info,
            Message::DeviceDisconnect => return Err("unplugged".into()),
            message => {
                let waiting = state.waiting.remove(&id);
                let waiting = waiting.ok_or_else(|| format!("an answer to no request, id {id}"))?;
                // Whoever asked may have lost interest.
                let _ = waiting.send(Reply { message, data });
            }
        }
        Ok(())
    }
}

async fn pump(
    shared: Rc<Shared>,
    mut read: impl AsyncRead + Unpin,
    mut write: impl AsyncWrite + Unpin,
    mut mail: mpsc::UnboundedReceiver<Vec<u8>>,
) {
    let reading = async {
        loop {
            match receive(&mut read, shared.capabilities)
                .await
                .map(|received| shared.handle(received))
            {
                Ok(Ok(())) => {}
                Ok(Err(why)) | Err(why) => return why,
            }
        }
    };
    let writing = async {
        while let Some(bytes) = mail.recv().await {
            if let Err(error) = write.write_all(&bytes).await {
                return error.to_string();
            }
        }
        "the host let go of it".into()
    };
    let why = tokio::select! {
        why = reading => why,
        why = writing => why,
    };
    shared.lost(why);
}

async fn exchange_hello(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<Capabilities, String> {
    let hello = Message::Hello(Hello::new("virtual-host", CAPABILITIES));
    let bytes = encode(hello, Capabilities::NONE, 0, &[]);
    stream
        .write_all(&bytes)
        .await
        .map_err(|error| error.to_string())?;
    match receive(stream, Capabilities::NONE).await?.message {
        Message::Hello(theirs) => Ok(CAPABILITIES.common(theirs.capabilities)),
        _ => Err("the first message is not hello".into()),
    }
}

fn encode(message: Message, capabilities: Capabilities, id: u64, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; MAX_MESSAGE_LENGTH];
    let data_length = data.len().try_into().expect("test transfers are short");
    let length = message
        .emit(capabilities, id, data_length, &mut bytes)
        .expect("the longest message fits");
    bytes.truncate(length);
    bytes.extend_from_slice(data);
    bytes
}

/// Reads one message, and checks what QEMU's parser checks.
async fn receive(
    read: &mut (impl AsyncRead + Unpin),
    capabilities: Capabilities,
) -> Result<Received, String> {
    let mut header = [0; MAX_HEADER_LENGTH];
    let header_length = Header::encoded_length(capabilities);
    read_exact(read, &mut header[..header_length]).await?;
    let (header, _) = Header::parse(&header, capabilities).ok_or("a short header")?;
    if header.length > MAX_LENGTH {
        return Err(format!("a message of {} bytes", header.length));
    }
    let mut body = vec![0; header.length as usize];
    read_exact(read, &mut body).await?;
    let message = Message::parse(header.kind, capabilities, &body)
        .ok_or_else(|| format!("a malformed message of type {}", header.kind))?;
    let fixed = fixed_length(header.kind, capabilities).unwrap_or(0);
    // Hello may have more capability words.
    let data = if header.kind == kind::HELLO {
        Vec::new()
    } else {
        body.split_off(fixed)
    };
    if data.len() != promised_data(&message) {
        return Err(format!(
            "type {} with {} bytes of data",
            header.kind,
            data.len()
        ));
    }
    Ok(Received {
        id: header.id,
        message,
        data,
    })
}

/// How many bytes of data come with a message of the device.
fn promised_data(message: &Message) -> usize {
    match message {
        Message::Control(header) if header.endpoint & IN != 0 => header.length.into(),
        Message::Bulk(header) if header.endpoint & IN != 0 => header.length as usize,
        Message::Interrupt(header) if header.endpoint & IN != 0 => header.length.into(),
        _ => 0,
    }
}

async fn read_exact(read: &mut (impl AsyncRead + Unpin), bytes: &mut [u8]) -> Result<(), String> {
    match read.read_exact(bytes).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn bulk_header(endpoint: u8, length: usize) -> BulkHeader {
    BulkHeader {
        endpoint,
        status: Status::SUCCESS,
        length: length.try_into().expect("test transfers are short"),
        stream_id: 0,
    }
}

fn success<T>(status: Status, value: T) -> Result<T, UsbError> {
    if status == Status::SUCCESS {
        Ok(value)
    } else {
        Err(UsbError::Status(status))
    }
}

fn gone(why: &str) -> UsbError {
    UsbError::Gone(why.to_owned())
}
