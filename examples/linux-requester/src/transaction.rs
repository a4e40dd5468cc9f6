//! Changes of the kernel's configuration that are undone when a later step fails.
//!
//! Taking an endpoint into service needs several changes, with requests to the device in between.
//! Any of them can fail. A [`Transaction`] that is dropped before [`keep`](Transaction::keep) undoes
//! what it has changed, the latest change first, and reports each. What was there before the
//! transaction stays.
//!
//! ```
//! use linux_requester::netlink::Change;
//! use linux_requester::transaction::{ChangeError, Kernel, Transaction};
//!
//! /// Sets an interface up that is down, and gives it an endpoint ID: both or nothing.
//! fn begin(kernel: &mut impl Kernel, interface_index: u32) -> Result<(), ChangeError> {
//!     let mut report = |line: &str| println!("{line}");
//!     let mut transaction = Transaction::begin(kernel, "mctpusb0", &mut report);
//!     let state = |up| Change::LinkState { interface_index, up };
//!     transaction.apply(state(true), state(false))?;
//!     let endpoint_id = 8;
//!     transaction.apply(
//!         Change::AddAddress { interface_index, endpoint_id },
//!         Change::RemoveAddress { interface_index, endpoint_id },
//!     )?;
//!     transaction.keep();
//!     Ok(())
//! }
//! ```

use std::io;

use crate::netlink::{Applied, Change, Route};

/// The kernel's network configuration: `Rtnetlink`, or that of a test.
pub trait Kernel {
    /// Makes a change. An address, route or neighbour that is there already is not an error.
    fn apply(&mut self, change: Change) -> io::Result<Applied>;

    /// All routes of MCTP.
    fn routes(&mut self) -> io::Result<Vec<Route>>;
}

#[cfg(target_os = "linux")]
impl Kernel for crate::netlink::Rtnetlink {
    fn apply(&mut self, change: Change) -> io::Result<Applied> {
        Self::apply(self, change)
    }

    fn routes(&mut self) -> io::Result<Vec<Route>> {
        Self::routes(self)
    }
}

/// The kernel did not make a change, or did not tell its routes.
#[derive(Debug, thiserror::Error)]
#[error("cannot {change}")]
pub struct ChangeError {
    /// What was to be done, for people.
    pub change: String,
    /// What the kernel says.
    pub source: io::Error,
}

/// Changes to one interface.
pub struct Transaction<'a, K: Kernel> {
    kernel: &'a mut K,
    interface: &'a str,
    report: &'a mut dyn FnMut(&str),
    /// What undoes the changes, in their order.
    undo: Vec<Change>,
}

impl<'a, K: Kernel> Transaction<'a, K> {
    /// Begins without a change. `interface` is the name for messages; `report` gets one line for
    /// each step.
    pub fn begin(kernel: &'a mut K, interface: &'a str, report: &'a mut dyn FnMut(&str)) -> Self {
        Self {
            kernel,
            interface,
            report,
            undo: Vec::new(),
        }
    }

    /// The name of the interface.
    pub fn interface(&self) -> &'a str {
        self.interface
    }

    /// Says that a step was done.
    pub fn report(&mut self, line: &str) {
        (self.report)(line);
    }

    /// Makes a change, and takes note of what undoes it.
    pub fn apply(&mut self, change: Change, undo: Change) -> Result<(), ChangeError> {
        match self.kernel.apply(change) {
            Ok(Applied::Changed) if change != undo => self.undo.push(undo),
            Ok(_) => {}
            Err(source) => {
                let change = change.describe(self.interface);
                return Err(ChangeError { change, source });
            }
        }
        Ok(())
    }

    /// The routes that there are at this moment.
    pub fn routes(&mut self) -> Result<Vec<Route>, ChangeError> {
        self.kernel.routes().map_err(|source| ChangeError {
            change: "read the routes".to_owned(),
            source,
        })
    }

    /// The place between the changes so far and the next one.
    pub fn position(&self) -> usize {
        self.undo.len()
    }

    /// Undoes the changes after a position, the latest first. If one cannot be undone, the others
    /// are nevertheless; the first such error is returned.
    pub fn undo_since(&mut self, position: usize) -> Result<(), ChangeError> {
        let mut result = Ok(());
        while self.undo.len() > position {
            let Some(undo) = self.undo.pop() else { break };
            let change = undo.describe(self.interface);
            match self.kernel.apply(undo) {
                Ok(_) => (self.report)(&format!("undo: {change}")),
                Err(source) => {
                    (self.report)(&format!("cannot undo: {change}: {source}"));
                    result = result.and(Err(ChangeError { change, source }));
                }
            }
        }
        result
    }

    /// All steps succeeded: the changes stay.
    pub fn keep(mut self) {
        self.undo.clear();
    }
}

impl<K: Kernel> Drop for Transaction<'_, K> {
    fn drop(&mut self) {
        // Each failure was reported.
        let _ = self.undo_since(0);
    }
}

#[cfg(test)]
pub(crate) mod fake {
    use std::collections::BTreeMap;

    use super::*;

    /// A kernel whose whole configuration can be compared.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Configuration {
        pub(crate) up: bool,
        pub(crate) mtu: u32,
        pub(crate) queue_length: u32,
        pub(crate) addresses: BTreeMap<u8, ()>,
        pub(crate) routes: BTreeMap<u8, Option<u32>>,
        /// By the first and the last endpoint ID, their bridge.
        pub(crate) gateway_routes: BTreeMap<(u8, u8), u8>,
        pub(crate) neighbours: BTreeMap<u8, u8>,
    }

    #[derive(Debug, Default)]
    pub(crate) struct FakeKernel {
        pub(crate) configuration: Configuration,
        /// How many changes were asked for.
        pub(crate) asked: usize,
        /// The changes with these numbers fail.
        pub(crate) failing: Vec<usize>,
    }

    impl Kernel for FakeKernel {
        fn apply(&mut self, change: Change) -> io::Result<Applied> {
            self.asked += 1;
            if self.failing.contains(&self.asked) {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            let present = &mut self.configuration;
            match change {
                Change::LinkState { up, .. } => present.up = up,
                Change::LinkMtu { mtu, .. } => present.mtu = mtu,
                Change::LinkQueueLength { packets, .. } => present.queue_length = packets,
                Change::AddAddress { endpoint_id, .. } => {
                    return Ok(add(&mut present.addresses, endpoint_id, ()));
                }
                Change::AddRoute {
                    endpoint_id, mtu, ..
                } => return Ok(add(&mut present.routes, endpoint_id, mtu)),
                Change::AddGatewayRoute {
                    first,
                    last,
                    gateway,
                    ..
                } => return Ok(add(&mut present.gateway_routes, (first, last), gateway)),
                Change::AddNeighbour {
                    endpoint_id,
                    hardware_address,
                    ..
                } => return Ok(add(&mut present.neighbours, endpoint_id, hardware_address)),
                Change::RemoveAddress { endpoint_id, .. } => {
                    remove(&mut present.addresses, endpoint_id)?;
                }
                Change::RemoveRoute { endpoint_id, .. } => {
                    remove(&mut present.routes, endpoint_id)?;
                }
                Change::RemoveGatewayRoute { first, last, .. } => {
                    remove(&mut present.gateway_routes, (first, last))?;
                }
                Change::RemoveNeighbour { endpoint_id, .. } => {
                    remove(&mut present.neighbours, endpoint_id)?;
                }
            }
            Ok(Applied::Changed)
        }

        fn routes(&mut self) -> io::Result<Vec<Route>> {
            let direct = self.configuration.routes.keys().map(|id| Route {
                first: *id,
                last: *id,
                gateway: None,
            });
            let gateway_routes = self.configuration.gateway_routes.iter();
            let through = gateway_routes.map(|((first, last), gateway)| Route {
                first: *first,
                last: *last,
                gateway: Some(*gateway),
            });
            Ok(direct.chain(through).collect())
        }
    }

    fn add<I: Ord, T>(entries: &mut BTreeMap<I, T>, key: I, value: T) -> Applied {
        if entries.contains_key(&key) {
            return Applied::Present;
        }
        entries.insert(key, value);
        Applied::Changed
    }

    fn remove<I: Ord, T>(entries: &mut BTreeMap<I, T>, key: I) -> io::Result<T> {
        entries
            .remove(&key)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::fake::FakeKernel;
    use super::*;

    const INDEX: u32 = 3;

    fn set_mtu(mtu: u32) -> Change {
        let interface_index = INDEX;
        Change::LinkMtu {
            interface_index,
            mtu,
        }
    }

    fn add_route(transaction: &mut Transaction<'_, FakeKernel>) -> Result<(), ChangeError> {
        let (interface_index, endpoint_id) = (INDEX, 9);
        let add = Change::AddRoute {
            interface_index,
            endpoint_id,
            mtu: None,
        };
        let remove = Change::RemoveRoute {
            interface_index,
            endpoint_id,
        };
        transaction.apply(add, remove)
    }

    /// Sets the MTU and adds a route, and perhaps keeps that; the lines that were reported.
    fn run(kernel: &mut FakeKernel, keep: bool) -> Vec<String> {
        let mut lines = Vec::new();
        let mut report = |line: &str| lines.push(line.to_owned());
        let before = kernel.configuration.mtu;
        let mut transaction = Transaction::begin(kernel, "mctpusb0", &mut report);
        transaction.apply(set_mtu(251), set_mtu(before)).unwrap();
        add_route(&mut transaction).unwrap();
        if keep {
            transaction.keep();
        } else {
            drop(transaction);
        }
        lines
    }

    #[test]
    fn what_is_not_kept_is_undone_the_latest_first() {
        let mut kernel = FakeKernel::default();
        kernel.configuration.mtu = 68;
        let before = kernel.configuration.clone();
        assert_eq!(
            run(&mut kernel, false),
            [
                "undo: remove the route to EID 9 through mctpusb0",
                "undo: set the MTU of mctpusb0 to 68"
            ]
        );
        assert_eq!(kernel.configuration, before);
    }

    #[test]
    fn what_is_kept_stays() {
        let mut kernel = FakeKernel::default();
        assert!(run(&mut kernel, true).is_empty());
        assert_eq!(kernel.configuration.mtu, 251);
        assert!(kernel.configuration.routes.contains_key(&9));
    }

    #[test]
    fn what_was_there_before_is_not_undone() {
        let mut kernel = FakeKernel::default();
        kernel.configuration.mtu = 251;
        kernel.configuration.routes.insert(9, None);
        let before = kernel.configuration.clone();
        assert!(run(&mut kernel, false).is_empty());
        assert_eq!(kernel.configuration, before);
    }

    #[test]
    fn what_cannot_be_undone_is_reported_and_the_rest_is_undone() {
        let mut kernel = FakeKernel {
            failing: vec![3],
            ..FakeKernel::default()
        };
        assert_eq!(
            run(&mut kernel, false),
            [
                "cannot undo: remove the route to EID 9 through mctpusb0: permission denied",
                "undo: set the MTU of mctpusb0 to 0"
            ]
        );
        assert_eq!(kernel.configuration.mtu, 0);
    }

    #[test]
    fn a_change_that_fails_is_named_with_what_the_kernel_says() {
        let mut kernel = FakeKernel {
            failing: vec![1],
            ..FakeKernel::default()
        };
        let mut report = |_: &str| {};
        let mut transaction = Transaction::begin(&mut kernel, "mctpusb0", &mut report);
        let error = transaction.apply(set_mtu(300), set_mtu(68)).unwrap_err();
        assert_eq!(
            format!("{:#}", anyhow::Error::from(error)),
            "cannot set the MTU of mctpusb0 to 300: permission denied"
        );
    }
}
