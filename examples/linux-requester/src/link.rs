//! An interface made ready for MCTP: queue length, MTU, up, and an endpoint ID of this computer.

use crate::netlink::Change;
use crate::transaction::{ChangeError, Kernel, Transaction};

/// More than the packets of a 64 KiB message at the smallest transmission unit (1024), so that none
/// is dropped.
const QUEUE_LENGTH: u32 = 4096;

/// Settings of an interface that the kernel has at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSettings {
    /// Whether it is up.
    pub up: bool,
    /// The largest packet in bytes, with the 4-byte MCTP header.
    pub mtu: u32,
    /// How many packets may wait.
    pub queue_length: u32,
}

/// What is to be made of an interface.
#[derive(Clone, Copy, Debug)]
pub struct LinkPlan {
    /// The kernel's number of the interface.
    pub interface_index: u32,
    /// What it has now.
    pub before: LinkSettings,
    /// The MTU that it shall have; without one it keeps its own.
    pub mtu: Option<u32>,
    /// This computer's endpoint ID.
    pub local_endpoint_id: u8,
}

/// Configures the interface of a transaction.
pub fn configure<K: Kernel>(
    transaction: &mut Transaction<'_, K>,
    plan: &LinkPlan,
) -> Result<(), ChangeError> {
    let LinkPlan {
        interface_index,
        before,
        local_endpoint_id: endpoint_id,
        ..
    } = *plan;
    let name = transaction.interface();
    let queue_length = |packets| Change::LinkQueueLength {
        interface_index,
        packets,
    };
    transaction.apply(
        queue_length(QUEUE_LENGTH),
        queue_length(before.queue_length),
    )?;
    if let Some(mtu) = plan.mtu {
        set_mtu(transaction, interface_index, before, mtu)?;
        transaction.report(&format!("{name} has MTU {mtu}"));
    }
    set_state(transaction, interface_index, before, true)?;
    transaction.report(&format!("{name} is up"));

    let add = Change::AddAddress {
        interface_index,
        endpoint_id,
    };
    let remove = Change::RemoveAddress {
        interface_index,
        endpoint_id,
    };
    transaction.apply(add, remove)?;
    transaction.report(&format!("{name} has local EID {endpoint_id}"));
    Ok(())
}

/// Sets the MTU of an interface that has other settings now.
pub fn set_mtu<K: Kernel>(
    transaction: &mut Transaction<'_, K>,
    interface_index: u32,
    before: LinkSettings,
    mtu: u32,
) -> Result<(), ChangeError> {
    let change = |mtu| Change::LinkMtu {
        interface_index,
        mtu,
    };
    transaction.apply(change(mtu), change(before.mtu))
}

/// Sets an interface up or down that has other settings now.
pub fn set_state<K: Kernel>(
    transaction: &mut Transaction<'_, K>,
    interface_index: u32,
    before: LinkSettings,
    up: bool,
) -> Result<(), ChangeError> {
    let change = |up| Change::LinkState {
        interface_index,
        up,
    };
    transaction.apply(change(up), change(before.up))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::fake::{Configuration, FakeKernel};

    const BEFORE: LinkSettings = LinkSettings {
        up: false,
        mtu: 68,
        queue_length: 1000,
    };
    const PLAN: LinkPlan = LinkPlan {
        interface_index: 3,
        before: BEFORE,
        mtu: Some(251),
        local_endpoint_id: 8,
    };

    fn kernel(failing: &[usize]) -> FakeKernel {
        FakeKernel {
            configuration: Configuration {
                up: BEFORE.up,
                mtu: BEFORE.mtu,
                queue_length: BEFORE.queue_length,
                ..Configuration::default()
            },
            failing: failing.to_vec(),
            ..FakeKernel::default()
        }
    }

    fn run(kernel: &mut FakeKernel) -> Result<(), ChangeError> {
        let mut report = |_: &str| {};
        let mut transaction = Transaction::begin(kernel, "mctpusb0", &mut report);
        configure(&mut transaction, &PLAN)?;
        transaction.keep();
        Ok(())
    }

    #[test]
    fn an_interface_is_up_with_queue_mtu_and_local_endpoint_id() {
        let mut kernel = kernel(&[]);
        run(&mut kernel).unwrap();
        let Configuration {
            up,
            mtu,
            queue_length,
            addresses,
            ..
        } = kernel.configuration;
        assert!(up && addresses.contains_key(&8));
        assert_eq!((mtu, queue_length), (251, QUEUE_LENGTH));
    }

    #[test]
    fn whichever_change_fails_the_interface_is_as_before() {
        let before = kernel(&[]).configuration;
        for number in 1..=4 {
            let mut kernel = kernel(&[number]);
            assert!(run(&mut kernel).is_err(), "change {number}");
            assert_eq!(kernel.configuration, before, "change {number}");
        }
    }
}
