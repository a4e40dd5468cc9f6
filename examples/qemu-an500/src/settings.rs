//! What QEMU's command line says, such as `-semihosting-config
//! enable=on,target=native,arg=qemu-an500,arg=mtu=251`.

use log::LevelFilter;
use semihosting::experimental::env;

/// Bytes of all arguments together.
const ARGUMENTS: usize = 1024;

/// How this start of the board differs from others.
pub struct Settings {
    /// What a chip would have burnt in.
    pub unique_id: [u8; 12],
    /// The longest packet sent, until another is configured over NVMe-MI: in bytes, with the
    /// 4-byte MCTP header.
    pub mtu: u16,
    /// Which records are logged.
    pub log: LevelFilter,
    /// How the device ends when it is given endpoint ID 253, for tests of what it says then.
    pub end: Option<End>,
}

/// The endpoint ID that makes the device end.
pub const ENDING_ENDPOINT_ID: u8 = 253;

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A panic.
    Panic,
    /// More calls than the stack has room for.
    StackOverflow,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            unique_id: *b"\0qemu-an500\0",
            mtu: 68,
            log: device_log::default_level(),
            end: None,
        }
    }
}

impl Settings {
    /// Reads them, or says in one sentence what is wrong.
    pub fn read() -> Result<Self, &'static str> {
        let mut settings = Self::default();
        let Ok(arguments) = env::args::<ARGUMENTS>() else {
            return Err("the arguments are longer than 1024 bytes");
        };
        // Without arguments, QEMU says what its own `-kernel` and `-append` are.
        for argument in &arguments {
            let argument = argument.map_err(|_| "an argument is not UTF-8")?;
            if let Some(value) = argument.strip_prefix("unique-id=") {
                settings.unique_id =
                    unique_id(value).ok_or("unique-id has 24 hexadecimal digits")?;
            }
            if let Some(value) = argument.strip_prefix("mtu=") {
                settings.mtu = value.parse().map_err(|_| "mtu is a number of bytes")?;
            }
            if let Some(value) = argument.strip_prefix("log=") {
                settings.log = value.parse().map_err(|_| "log is a level, such as debug")?;
            }
            if let Some(value) = argument.strip_prefix("end=") {
                settings.end = Some(end(value).ok_or("end is panic or stack-overflow")?);
            }
        }
        Ok(settings)
    }
}

fn end(text: &str) -> Option<End> {
    match text {
        "panic" => Some(End::Panic),
        "stack-overflow" => Some(End::StackOverflow),
        _ => None,
    }
}

fn unique_id(text: &str) -> Option<[u8; 12]> {
    let mut unique_id = [0; 12];
    if text.len() != 2 * unique_id.len() {
        return None;
    }
    for (index, byte) in unique_id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(unique_id)
}
