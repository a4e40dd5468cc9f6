//! What tells devices from each other: the UUID of each is made of this machine and of how the
//! device is attached, so that it is the same after a restart, and another for each of two devices.

use uuid::Uuid;

/// The namespace of the names that UUIDs are made of (RFC 9562, section 5.5), chosen at random.
pub const NAMESPACE: Uuid = Uuid::from_u128(0xd5149a61_68d7_450c_b58f_e9a17e47d67a);

/// The UUID of the device that is attached to this machine in this way.
pub fn derive_uuid(machine: &str, attachment: &str) -> Uuid {
    let name = ["virtual-device", machine, attachment].join("\0");
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// What tells this machine from others: the machine ID of its system, or its host name.
///
/// The machine ID is to be kept secret (`machine-id(5)`): it is for [`derive_uuid`] only.
pub fn machine() -> String {
    let id = std::fs::read_to_string("/etc/machine-id");
    let id = id.ok().map(|text| text.trim().to_owned());
    id.filter(|id| !id.is_empty()).unwrap_or_else(host_name)
}

#[cfg(unix)]
fn host_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_depends_on_the_machine_and_on_the_attachment_and_on_nothing_else() {
        let uuid = derive_uuid("a", "usbredir listen unix:/s");
        // From Python's uuid.uuid5 with the same namespace and name.
        let expected = "20145851-6fde-56ef-833e-e4d1310840d7";
        assert_eq!(uuid.to_string(), expected);
        assert_ne!(uuid, derive_uuid("b", "usbredir listen unix:/s"));
        assert_ne!(uuid, derive_uuid("a", "usbredir listen unix:/t"));
    }

    #[test]
    fn this_machine_has_an_identity() {
        assert!(!machine().is_empty());
        assert_eq!(machine(), machine());
    }
}
