//! Every standard request to every recipient in every state, legal and not.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};

use crate::answer::{Answer, State, answer};
use crate::descriptors::Device;
use crate::host::{Host, Outcome, Until, setup};

/// The address that the walk assigns.
const ADDRESS: u16 = 5;
const IN: u8 = 0x80;
const DEVICE: u8 = 0;
const INTERFACE: u8 = 1;
const ENDPOINT: u8 = 2;

/// What a walk has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that were made.
    pub requests: u32,
    /// Those of them that were refused, as they had to be.
    pub refused: u32,
    /// Those of them for which USB 2.0 has no answer.
    pub unspecified: u32,
}

/// What a device is for.
pub trait Function<H: Host> {
    /// Tries it. The device has been configured.
    ///
    /// # Errors
    ///
    /// When it does not work.
    fn try_out(&self, host: &mut H, device: &Device) -> Result<()>;

    /// Makes the device send a packet, and does not collect it.
    ///
    /// # Errors
    ///
    /// When the device refuses that.
    fn provoke(&self, host: &mut H, device: &Device) -> Result<()>;
}

/// A host, what it knows of its device, and in which state that is.
pub struct Walk<'h, H, F> {
    host: &'h mut H,
    device: Device,
    state: State,
    function: F,
    tally: Tally,
}

/// Walks through chapter 9.
///
/// # Errors
///
/// With the first answer that is not the one of USB 2.0.
pub fn walk<H: Host>(host: &mut H, function: impl Function<H>) -> Result<Tally> {
    let mut walk = Walk::begin(host, function)?;
    for state in [State::Default, State::Address, State::configured()] {
        if state == State::Default && !H::ASSIGNS_ADDRESSES {
            continue;
        }
        walk.every_request(&state)?;
    }
    walk.device_qualifier()?;
    walk.alternate_settings()?;
    walk.halts()?;
    walk.uncollected_packets()?;
    walk.abandoned_requests()?;
    walk.check_function().context("at the end of the walk")?;
    Ok(walk.tally)
}

impl<'h, H: Host, F: Function<H>> Walk<'h, H, F> {
    /// Enumerates the device.
    pub(crate) fn begin(host: &'h mut H, function: F) -> Result<Self> {
        host.reset()?;
        if H::ASSIGNS_ADDRESSES {
            let outcome = host.control(setup(0, 5, ADDRESS, 0, 0), &[])?;
            ensure!(outcome == Outcome::Done(Vec::new()), "no address is taken");
        }
        let device = Device::read(host)?;
        let mut walk = Self {
            host,
            device,
            state: State::Address,
            function,
            tally: Tally::default(),
        };
        walk.check_function()?;
        Ok(walk)
    }

    pub(crate) fn host(&mut self) -> &mut H {
        self.host
    }

    /// Enumerates the device anew, and tries its function.
    pub(crate) fn check_function(&mut self) -> Result<()> {
        self.enter(&State::configured())?;
        let again = Device::read(self.host)?;
        ensure!(
            again.configuration == self.device.configuration,
            "another configuration descriptor than before"
        );
        self.function.try_out(self.host, &self.device)
    }

    /// Brings the device into a state, from whatever state it is in.
    fn enter(&mut self, state: &State) -> Result<()> {
        self.host.reset()?;
        self.state = if H::ASSIGNS_ADDRESSES {
            State::Default
        } else {
            State::Address
        };
        if *state == State::Default {
            return Ok(());
        }
        if H::ASSIGNS_ADDRESSES {
            self.ask(setup(0, 5, ADDRESS, 0, 0))?;
            self.state = State::Address;
        }
        if *state == State::Address {
            return Ok(());
        }
        self.ask(self.set_configuration())?;
        self.state = State::configured();
        Ok(())
    }

    fn set_configuration(&self) -> [u8; 8] {
        setup(0, 9, self.device.configuration_value().into(), 0, 0)
    }

    /// Makes a request, and checks its answer.
    fn ask(&mut self, request: [u8; 8]) -> Result<Outcome> {
        let length = u16::from_le_bytes([request[6], request[7]]);
        let zeros = vec![0; length.into()];
        let data = if request[0] & IN == 0 { &*zeros } else { &[] };
        let state = self.state.clone();
        let told = || format!("{request:02x?} in {state:?}");
        let outcome = self.host.control(request, data).with_context(told)?;
        let wanted = answer(&self.device, &self.state, request);
        self.tally.requests += 1;
        let is_right = match (&wanted, &outcome) {
            (Answer::Unspecified, _) => {
                self.tally.unspecified += 1;
                true
            }
            (Answer::Stall, Outcome::Stall) => {
                self.tally.refused += 1;
                true
            }
            (Answer::Data(wanted), Outcome::Done(bytes)) => wanted == bytes,
            (Answer::DataThatBegins(wanted), Outcome::Done(bytes)) => {
                bytes.len() <= length.into() && bytes.starts_with(wanted)
            }
            _ => false,
        };
        if !is_right {
            bail!("{}: {wanted:02x?} is right, {outcome:02x?} came", told());
        }
        Ok(outcome)
    }

    fn every_request(&mut self, state: &State) -> Result<()> {
        self.enter(state)?;
        for request in requests(&self.device) {
            let has_no_effect = request[0] & IN != 0;
            if request[..2] == [0, 5] && !H::ASSIGNS_ADDRESSES {
                continue;
            }
            let outcome = self.ask(request)?;
            if !has_no_effect && outcome != Outcome::Stall {
                self.enter(state)?;
            }
        }
        self.check_function()
            .with_context(|| format!("after every request in {state:?}"))
    }

    /// A device that can work at the other speed has a device qualifier and the configuration for
    /// it, any other has neither (section 9.6.2).
    fn device_qualifier(&mut self) -> Result<()> {
        self.enter(&State::Address)?;
        let qualifier = self.host.control(setup(IN, 6, 0x0600, 0, 10), &[])?;
        let other_speed = self.host.control(setup(IN, 6, 0x0700, 0, 9), &[])?;
        self.tally.requests += 2;
        match (qualifier, other_speed) {
            (Outcome::Stall, Outcome::Stall) => Ok(()),
            (Outcome::Done(qualifier), Outcome::Done(other)) => {
                ensure!(qualifier.len() == 10 && qualifier[..2] == [10, 6]);
                ensure!(other.len() == 9 && other[..2] == [9, 7]);
                Ok(())
            }
            _ => bail!("only one of the two descriptors of the other speed is there"),
        }
    }

    /// Each alternate setting is chosen, and what it has and has not is asked for.
    fn alternate_settings(&mut self) -> Result<()> {
        let interfaces = self.device.interfaces.clone();
        for (interface, alternatives) in interfaces {
            for setting in 0..alternatives.len() as u8 {
                self.enter(&State::configured())?;
                let index = interface.into();
                self.ask(setup(INTERFACE, 11, setting.into(), index, 0))?;
                self.state = State::Configured {
                    settings: BTreeMap::from([(interface, setting)]),
                    halted: BTreeSet::new(),
                };
                self.ask(setup(IN | INTERFACE, 10, 0, index, 1))?;
                for endpoint in alternatives.iter().flatten() {
                    self.ask(setup(IN | ENDPOINT, 0, 0, (*endpoint).into(), 2))?;
                    self.ask(setup(ENDPOINT, 1, 0, (*endpoint).into(), 0))?;
                }
                self.ask(setup(INTERFACE, 11, 0, index, 0))?;
                self.state = State::configured();
                self.function
                    .try_out(self.host, &self.device)
                    .with_context(|| format!("after setting {setting} of interface {interface}"))?;
            }
        }
        Ok(())
    }

    /// Halts of each endpoint; then everything works again from the first packet, whichever was the
    /// last toggle.
    fn halts(&mut self) -> Result<()> {
        let interfaces = self.device.interfaces.clone();
        for used_before in 0..3 {
            for (interface, settings) in &interfaces {
                for endpoint in &settings[0] {
                    let index = u16::from(*endpoint);
                    let ends = [
                        // Of an endpoint that is not halted any more, too.
                        vec![
                            setup(ENDPOINT, 1, 0, index, 0),
                            setup(ENDPOINT, 1, 0, index, 0),
                        ],
                        vec![self.set_configuration()],
                        vec![setup(INTERFACE, 11, 0, (*interface).into(), 0)],
                    ];
                    for end in ends {
                        self.enter(&State::configured())?;
                        for _ in 0..used_before {
                            self.function.try_out(self.host, &self.device)?;
                        }
                        self.halt(*endpoint, &end)
                            .with_context(|| format!("halt of {endpoint:02x}, then {end:02x?}"))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A halt that ends with these requests.
    fn halt(&mut self, endpoint: u8, end: &[[u8; 8]]) -> Result<()> {
        let index = endpoint.into();
        self.ask(setup(ENDPOINT, 3, 0, index, 0))?;
        self.state = State::Configured {
            settings: BTreeMap::new(),
            halted: BTreeSet::from([endpoint]),
        };
        self.ask(setup(IN | ENDPOINT, 0, 0, index, 2))?;
        if [IN, 0]
            .iter()
            .any(|way| self.device.bulk_endpoint(*way) == Some(endpoint))
        {
            let outcome = match endpoint & IN {
                0 => self.host.bulk_out(endpoint, &[0; 1])?,
                _ => self.host.bulk_in(endpoint, 64)?,
            };
            ensure!(
                outcome == Outcome::Stall,
                "a halted endpoint has {outcome:02x?}"
            );
        }
        for request in end {
            self.ask(*request)?;
            self.state = State::configured();
            self.ask(setup(IN | ENDPOINT, 0, 0, index, 2))?;
            self.function.try_out(self.host, &self.device)?;
        }
        Ok(())
    }

    /// What the device would send when its endpoints begin anew is gone, and they work.
    fn uncollected_packets(&mut self) -> Result<()> {
        let output = self
            .device
            .bulk_endpoint(0)
            .context("no bulk OUT endpoint")?;
        let interfaces = self.device.interfaces.iter();
        let interface = interfaces.filter(|(_, settings)| settings[0].contains(&output));
        let interface = interface.map(|(number, _)| u16::from(*number)).next();
        let interface = interface.context("an endpoint of no interface")?;
        let again = [
            self.set_configuration(),
            setup(INTERFACE, 11, 0, interface, 0),
        ];
        for request in again.map(Some).into_iter().chain([None]) {
            self.enter(&State::configured())?;
            self.function.provoke(self.host, &self.device)?;
            match request {
                Some(request) => drop(self.ask(request)?),
                None => self.enter(&State::configured())?,
            }
            self.function
                .try_out(self.host, &self.device)
                .with_context(|| {
                    format!("with a packet that was not collected before {request:02x?}")
                })?;
        }
        Ok(())
    }

    /// Requests that the host leaves unfinished, then another one at once.
    fn abandoned_requests(&mut self) -> Result<()> {
        self.enter(&State::configured())?;
        let configuration = setup(IN, 6, 0x0200, 0, 0xFFFF);
        let begun = [
            (configuration, 0),
            (setup(IN, 6, 0x0100, 0, 18), 0),
            (setup(IN, 6, 0x0100, 0, 0), 0),
            (setup(IN, 0, 0, 0, 2), 0),
            (self.set_configuration(), 0),
            // Nobody has this class request; its data may come all the same.
            (setup(0x21, 0x20, 0, 0, 100), 100),
            (setup(IN, 6, 0x0900, 0, 18), 0),
        ];
        for (request, length) in begun {
            for until in [Until::Setup, Until::FirstPacket, Until::Status] {
                let data = vec![0; length];
                let told = || format!("after {request:02x?} was abandoned: {until:?}");
                self.host.abandon(request, &data, until)?;
                self.ask(configuration).with_context(told)?;
                self.host.abandon(request, &data, until)?;
                self.ask(setup(IN | ENDPOINT, 0, 0, 0x0F, 2))
                    .with_context(told)?;
                for _ in 0..3 {
                    self.host.abandon(request, &data, until)?;
                }
                self.ask(setup(IN, 8, 0, 0, 1)).with_context(told)?;
                self.host.abandon(request, &data, until)?;
                self.check_function().with_context(told)?;
            }
        }
        Ok(())
    }
}

/// Requests that are legal in some state, and each of them with one field that is something else.
fn requests(device: &Device) -> Vec<[u8; 8]> {
    let interfaces = device.interfaces.keys().map(|number| u16::from(*number));
    let interfaces: Vec<u16> = interfaces.collect();
    let endpoints = device.endpoints().map(u16::from);
    let endpoints: Vec<u16> = endpoints.chain([0, 0x80]).collect();
    let mut models = vec![
        setup(IN, 0, 0, 0, 2),
        setup(0, 1, 1, 0, 0),
        setup(0, 3, 1, 0, 0),
        setup(0, 3, 2, 0x0100, 0),
        setup(0, 5, ADDRESS + 1, 0, 0),
        setup(0, 7, 0x0100, 0, 18),
        setup(IN, 8, 0, 0, 1),
        setup(0, 9, device.configuration_value().into(), 0, 0),
        setup(0, 9, 0, 0, 0),
    ];
    for kind in 0..=16 {
        models.push(setup(IN, 6, kind << 8, 0, 0xFF));
    }
    for index in 0..=255 {
        models.push(setup(IN, 6, 0x0300 | index, 0x0409, 0xFF));
    }
    for index in interfaces {
        models.push(setup(IN | INTERFACE, 0, 0, index, 2));
        models.push(setup(IN | INTERFACE, 10, 0, index, 1));
        models.push(setup(INTERFACE, 11, 0, index, 0));
    }
    for index in endpoints {
        models.push(setup(IN | ENDPOINT, 0, 0, index, 2));
        models.push(setup(ENDPOINT, 1, 0, index, 0));
        models.push(setup(ENDPOINT, 3, 0, index, 0));
        models.push(setup(IN | ENDPOINT, 12, 0, index, 2));
    }
    let mut requests: BTreeSet<[u8; 8]> = models.iter().copied().collect();
    // All codes, to all kinds of recipients.
    for recipient in [DEVICE, INTERFACE, ENDPOINT, 3, 4, 31] {
        for code in (0..=15).chain([0x20, 0xFE, 0xFF]) {
            for direction in [0, IN] {
                requests.insert(setup(direction | recipient, code, 0, 0, 0));
                requests.insert(setup(
                    direction | recipient,
                    code,
                    0,
                    0,
                    u16::from(direction != 0),
                ));
            }
        }
    }
    for endpoint in 0..=255 {
        requests.insert(setup(IN | ENDPOINT, 0, 0, endpoint, 2));
        requests.insert(setup(ENDPOINT, 1, 0, endpoint, 0));
        requests.insert(setup(ENDPOINT, 3, 0, endpoint, 0));
    }
    for model in models.iter().filter(|model| model[..4] != [IN, 6, 0, 3]) {
        if model[1] == 6 && model[3] == 3 && model[2] > 4 {
            continue;
        }
        for value in [1, 2, 3, 0x7F, 0x80, 0xFF, 0x0100, 0x0101, 0xFFFF] {
            requests.insert(with(*model, 2, value));
        }
        for index in [
            1, 2, 3, 0x0F, 0x10, 0x8F, 0xFF, 0x0100, 0x0181, 0x8000, 0xFFFF,
        ] {
            requests.insert(with(*model, 4, index));
        }
        let is_in = model[0] & IN != 0;
        let lengths: &[u16] = if is_in {
            &[0, 1, 2, 8, 18, 63, 64, 65, 0x0100, 0xFFFF]
        } else {
            &[1, 8, 64, 65, 300]
        };
        for length in lengths {
            requests.insert(with(*model, 6, *length));
        }
    }
    // Not a standard request, and in no document.
    requests.retain(|request| request[0] & 0x60 == 0);
    requests.into_iter().collect()
}

/// The same request with another 16-bit field at `offset`.
fn with(mut request: [u8; 8], offset: usize, value: u16) -> [u8; 8] {
    request[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
    request
}
