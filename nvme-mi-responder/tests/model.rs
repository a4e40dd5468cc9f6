//! What the model refuses, and what it does.

mod support;

use nvme_mi_responder::world::HealthReport;
use nvme_mi_responder::{
    ControllerConfig, ControllerId, Device, Identity, IdentityText, ManagementEndpoint, ModelError,
    NamespaceId, PciePort, PortConfig, PortId, PortKind, Subsystem, TwoWirePort,
};
use support::{IDENTITY, PCIE_PORT, Parts, TWO_WIRE_PORT, buffers, reference_subsystem};

fn refusal(identity: Identity<'static>) -> ModelError {
    Subsystem::<1, 1, 1>::new(identity).unwrap_err()
}

#[test]
fn texts_of_the_identity_are_printable_and_fit_their_fields() {
    let long = "x".repeat(224).leak();
    let cases = [
        (
            IdentityText::SerialNumber,
            Identity {
                serial_number: &long[..21],
                ..IDENTITY
            },
        ),
        (
            IdentityText::ModelNumber,
            Identity {
                model_number: &long[..41],
                ..IDENTITY
            },
        ),
        (
            IdentityText::FirmwareRevision,
            Identity {
                firmware_revision: &long[..9],
                ..IDENTITY
            },
        ),
        (
            IdentityText::QualifiedName,
            Identity {
                qualified_name: long,
                ..IDENTITY
            },
        ),
        (
            IdentityText::SerialNumber,
            Identity {
                serial_number: "tab\t",
                ..IDENTITY
            },
        ),
        (
            IdentityText::ModelNumber,
            Identity {
                model_number: "Größe",
                ..IDENTITY
            },
        ),
    ];
    for (name, identity) in cases {
        assert_eq!(refusal(identity), ModelError::InvalidText(name));
    }
}

#[test]
fn a_qualified_name_starts_with_nqn() {
    let identity = Identity {
        qualified_name: "iqn.2014-08.com.example",
        ..IDENTITY
    };
    assert_eq!(refusal(identity), ModelError::InvalidQualifiedName);
}

fn port(kind: PortKind) -> PortConfig {
    PortConfig { kind, ..PCIE_PORT }
}

fn add_port(config: PortConfig) -> Result<PortId, ModelError> {
    Subsystem::<1, 1, 1>::new(IDENTITY)
        .unwrap()
        .add_port(config)
}

#[test]
fn ports_that_cannot_be_are_refused() {
    let (PortKind::Pcie(pcie), PortKind::TwoWire(two_wire)) = (PCIE_PORT.kind, TWO_WIRE_PORT.kind)
    else {
        panic!("the fixtures are of these kinds");
    };
    for bad in [
        PciePort {
            generation: 0,
            link: None,
            ..pcie
        },
        PciePort {
            generation: 7,
            ..pcie
        },
        PciePort {
            link: Some(5),
            ..pcie
        },
        PciePort {
            link: Some(0),
            ..pcie
        },
        PciePort {
            payload_exponent: 6,
            ..pcie
        },
    ] {
        assert_eq!(
            add_port(port(PortKind::Pcie(bad))),
            Err(ModelError::InvalidPciePort)
        );
    }
    for bad in [
        TwoWirePort {
            vpd_address: 0x80,
            ..two_wire
        },
        TwoWirePort {
            endpoint_address: 0x80,
            ..two_wire
        },
    ] {
        assert_eq!(
            add_port(port(PortKind::TwoWire(bad))),
            Err(ModelError::InvalidAddress)
        );
    }
    let small = PortConfig {
        max_transmission_unit: 63,
        ..PCIE_PORT
    };
    assert_eq!(add_port(small), Err(ModelError::TransmissionUnitTooSmall));
}

#[test]
fn each_capacity_is_a_limit_with_its_own_error() {
    let mut subsystem = reference_subsystem();
    assert_eq!(subsystem.add_port(PCIE_PORT), Err(ModelError::TooManyPorts));
    let controller = subsystem.add_controller(PortId(0), ControllerConfig::default());
    assert_eq!(controller, Err(ModelError::TooManyControllers));
    assert_eq!(subsystem.add_namespace(1), Ok(NamespaceId(3)));
    assert_eq!(subsystem.add_namespace(1), Ok(NamespaceId(4)));
    assert_eq!(
        subsystem.add_namespace(1),
        Err(ModelError::TooManyNamespaces)
    );
}

#[test]
fn there_are_at_most_32_controllers() {
    let mut subsystem = Subsystem::<1, 40, 0>::new(IDENTITY).unwrap();
    let pcie = subsystem.add_port(PCIE_PORT).unwrap();
    for id in 0..32 {
        assert_eq!(
            subsystem.add_controller(pcie, ControllerConfig::default()),
            Ok(ControllerId(id))
        );
    }
    let one_more = subsystem.add_controller(pcie, ControllerConfig::default());
    assert_eq!(one_more, Err(ModelError::TooManyControllers));
}

#[test]
fn controllers_are_on_pcie_ports_that_exist() {
    let mut subsystem = reference_subsystem();
    let config = ControllerConfig::default();
    assert_eq!(
        subsystem.add_controller(PortId(1), config),
        Err(ModelError::NotPcie(PortId(1)))
    );
    assert_eq!(
        subsystem.add_controller(PortId(2), config),
        Err(ModelError::NoSuchPort(PortId(2)))
    );
}

#[test]
fn namespaces_have_blocks_and_share_the_capacity() {
    let mut subsystem = Subsystem::<1, 1, 4>::new(Identity {
        capacity: 10 << 9,
        ..IDENTITY
    })
    .unwrap();
    assert_eq!(subsystem.add_namespace(0), Err(ModelError::NoBlocks));
    assert_eq!(
        subsystem.add_namespace(11),
        Err(ModelError::InsufficientCapacity)
    );
    assert_eq!(subsystem.add_namespace(6), Ok(NamespaceId(1)));
    assert_eq!(subsystem.model().unallocated(), 4 << 9);
    assert_eq!(
        subsystem.add_namespace(5),
        Err(ModelError::InsufficientCapacity)
    );
    assert_eq!(
        subsystem.add_namespace(u64::MAX),
        Err(ModelError::InsufficientCapacity)
    );
    assert_eq!(subsystem.add_namespace(4), Ok(NamespaceId(2)));
}

#[test]
fn namespaces_are_attached_once_and_only_where_both_exist() {
    let mut subsystem = reference_subsystem();
    let mut model = subsystem.model();
    let (first, second, none) = (NamespaceId(1), NamespaceId(2), NamespaceId(5));
    let (controller, no_controller) = (ControllerId(1), ControllerId(2));
    assert_eq!(
        model.attach_namespace(first, controller),
        Err(ModelError::AlreadyAttached)
    );
    assert_eq!(
        model.attach_namespace(none, controller),
        Err(ModelError::NoSuchNamespace(none))
    );
    assert_eq!(
        model.attach_namespace(first, no_controller),
        Err(ModelError::NoSuchController(no_controller))
    );
    assert_eq!(
        model.detach_namespace(second, controller),
        Err(ModelError::NotAttached)
    );
    assert_eq!(
        model.detach_namespace(none, controller),
        Err(ModelError::NoSuchNamespace(none))
    );
    assert_eq!(
        model.detach_namespace(first, no_controller),
        Err(ModelError::NoSuchController(no_controller))
    );
    assert_eq!(model.detach_namespace(first, controller), Ok(()));
    assert_eq!(model.attach_namespace(first, controller), Ok(()));
}

#[test]
fn changes_of_controllers_that_are_not_there_are_refused() {
    let mut subsystem = reference_subsystem();
    let mut model = subsystem.model();
    let none = ControllerId(7);
    let refused = Err(ModelError::NoSuchController(none));
    assert_eq!(model.set_enabled(none, true), refused);
    assert_eq!(model.set_ready(none, true), refused);
    assert_eq!(model.set_fatal(none, true), refused);
    assert_eq!(model.set_shutdown_status(none, 1), refused);
}

#[test]
fn only_pcie_ports_have_a_link_and_only_one_they_can_have() {
    let mut subsystem = reference_subsystem();
    let mut model = subsystem.model();
    let (pcie, two_wire, none) = (PortId(0), PortId(1), PortId(2));
    assert_eq!(
        model.set_link(two_wire, None),
        Err(ModelError::NotPcie(two_wire))
    );
    assert_eq!(
        model.set_link(none, None),
        Err(ModelError::NoSuchPort(none))
    );
    assert_eq!(
        model.set_link(pcie, Some(5)),
        Err(ModelError::InvalidPciePort)
    );
    assert_eq!(model.set_link(pcie, None), Ok(()));
    assert_eq!(model.set_link(pcie, Some(3)), Ok(()));
}

#[test]
fn an_endpoint_is_at_a_port_that_exists() {
    let mut subsystem = reference_subsystem();
    let world = Parts::new(HealthReport::healthy());
    let mut device = Device::new(subsystem.model(), world);
    let refused = ManagementEndpoint::new(&mut device, PortId(2), buffers());
    assert_eq!(refused.err(), Some(ModelError::NoSuchPort(PortId(2))));
    assert!(ManagementEndpoint::new(&mut device, PortId(1), buffers()).is_ok());
    let refused = ManagementEndpoint::new(&mut device, PortId(1), buffers());
    assert_eq!(refused.err(), Some(ModelError::HasEndpoint(PortId(1))));
}

#[test]
fn errors_are_sentences_that_name_the_number() {
    assert_eq!(
        ModelError::NoSuchNamespace(NamespaceId(5)).to_string(),
        "there is no namespace 5"
    );
    assert_eq!(
        ModelError::InvalidText(IdentityText::SerialNumber).to_string(),
        "the serial number is too long or not printable ASCII"
    );
}
