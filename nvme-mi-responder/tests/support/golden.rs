//! Frozen requests. Do not change these: a failure here means that the responder changed for its
//! requesters.
//!
//! Source: requests as libnvme builds them, kept in the project's notes on the specification,
//! section 1.8.

/// A message and what it is.
pub struct Golden {
    pub name: &'static str,
    hex: &'static str,
}

const fn golden(name: &'static str, hex: &'static str) -> Golden {
    Golden { name, hex }
}

pub const SUBSYSTEM_INFORMATION: Golden = golden(
    "Read DS subsys info",
    "84 08 00 00 00 00 00 00 00 00 00 00 00 00 00 00 e2 00 06 07",
);
pub const PORT_1: Golden = golden(
    "Read DS port 1",
    "84 08 00 00 00 00 00 00 00 00 01 01 00 00 00 00 57 04 27 d0",
);
pub const CONTROLLER_LIST: Golden = golden(
    "Read DS ctrl list",
    "84 08 00 00 00 00 00 00 00 00 00 02 00 00 00 00 ba df 24 77",
);
pub const CONTROLLER_1: Golden = golden(
    "Read DS ctrl info id 1",
    "84 08 00 00 00 00 00 00 01 00 00 03 00 00 00 00 31 cd 09 06",
);
pub const SUBSYSTEM_HEALTH: Golden = golden(
    "NSHSP CS=1",
    "84 08 00 00 01 00 00 00 00 00 00 00 00 00 00 80 aa ef 81 b4",
);
pub const GET_UNIT: Golden = golden(
    "CfgGet MTU port 1",
    "84 08 00 00 04 00 00 00 03 00 00 01 00 00 00 00 e7 b8 94 21",
);
pub const SET_UNIT_256: Golden = golden(
    "CfgSet MTU 256 port 1",
    "84 08 00 00 03 00 00 00 03 00 00 01 00 01 00 00 09 06 80 12",
);
pub const GET_FREQUENCY: Golden = golden(
    "CfgGet freq port 1",
    "84 08 00 00 04 00 00 00 01 00 00 01 00 00 00 00 a9 42 ec b3",
);
pub const SET_FREQUENCY_400: Golden = golden(
    "CfgSet freq 400k port 1",
    "84 08 00 00 03 00 00 00 01 02 00 01 00 00 00 00 a9 37 bf f5",
);
pub const GET_EVENTS: Golden = golden(
    "CfgGet AE",
    "84 08 00 00 04 00 00 00 04 00 00 00 00 00 00 00 4f d2 dc e3",
);
pub const ACKNOWLEDGE_EVENTS: Golden = golden(
    "CfgSet AE Ack",
    "84 08 00 00 03 00 00 00 04 00 00 00 00 00 00 00 00 00 05 00 05 97 3b dc f1",
);
pub const ENABLE_EVENTS: Golden = golden(
    "CfgSet AE Sync en 06h",
    "84 08 00 00 03 00 00 00 04 64 01 00 00 00 00 00 01 00 08 00 05 03 06 80 6b fc fe 7c",
);
pub const GET_STATE: Golden = golden("Get State slot0", "84 00 00 00 03 00 00 00 ba 2f 16 fb");
pub const GET_STATE_CLEAR: Golden = golden(
    "Get State CESF s1 tagA5",
    "84 01 00 00 03 a5 01 00 36 21 4b d1",
);

/// All requests.
pub const REQUESTS: [Golden; 14] = [
    SUBSYSTEM_INFORMATION,
    PORT_1,
    CONTROLLER_LIST,
    CONTROLLER_1,
    SUBSYSTEM_HEALTH,
    GET_UNIT,
    SET_UNIT_256,
    GET_FREQUENCY,
    SET_FREQUENCY_400,
    GET_EVENTS,
    ACKNOWLEDGE_EVENTS,
    ENABLE_EVENTS,
    GET_STATE,
    GET_STATE_CLEAR,
];

impl Golden {
    /// The whole message, from the message type byte to the Message Integrity Check.
    pub fn bytes(&self) -> Vec<u8> {
        bytes(self.hex)
    }
}

/// Bytes from hexadecimal numbers with spaces between.
pub fn bytes(hex: &str) -> Vec<u8> {
    hex.split(' ')
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}
