//! The byte numbers that `location!` gives.

use crate::wire::*;

/// Byte numbers of the Parameter Error Location, from our notes on NVMe-MI 1.2.
#[test]
fn locations_are_those_of_the_standard() {
    assert_eq!(location!(RequestHeader, flags), 2);
    assert_eq!(location!(ManagementRequest, opcode), 4);
    assert_eq!(location!(AdminRequest, opcode), 4);
    assert_eq!(location!(PcieRequest, opcode), 4);
    assert_eq!(location!(ControlPrimitiveRequest, parameter), 6);
    assert_eq!(location!(AdminRequest, controller_id), 6);
    assert_eq!(location!(PcieRequest, controller_id), 6);
    assert_eq!(location!(ReadDataStructure, controller_id), 8);
    assert_eq!(location!(ReadDataStructure, port_id), 10);
    assert_eq!(location!(ReadDataStructure, data_structure_type), 11);
    assert_eq!(location!(ConfigurationSet, identifier), 8);
    assert_eq!(location!(ConfigurationGet, identifier), 8);
    assert_eq!(location!(ConfigurationGet, port_id), 11);
    assert_eq!(location!(SetSmbusFrequency, frequency), 9);
    assert_eq!(location!(SetSmbusFrequency, port_id), 11);
    assert_eq!(location!(SetTransmissionUnitSize, port_id), 11);
    assert_eq!(location!(SetTransmissionUnitSize, size), 12);
    assert_eq!(location!(ControllerHealthPoll, maximum_entries), 10);
    assert_eq!(location!(VpdRead, offset), 8);
    assert_eq!(location!(VpdRead, length), 12);
    assert_eq!(location!(VpdWrite, offset), 8);
    assert_eq!(location!(VpdWrite, length), 12);
    assert_eq!(location!(EndpointBufferRead, offset), 8);
    assert_eq!(location!(EndpointBufferRead, length), 12);
    assert_eq!(location!(EndpointBufferWrite, length), 12);
    assert_eq!(location!(Reset, reset_type), 11);
    assert_eq!(location!(Shutdown, shutdown_type), 11);
    assert_eq!(location!(AdminRequest, data_offset), 28);
    assert_eq!(location!(AdminRequest, data_length), 32);
    assert_eq!(location!(PcieRequest, length), 8);
    assert_eq!(location!(PcieRequest, base_address_register), 10);
    assert_eq!(location!(PcieRequest, offset), 12);
}

#[test]
fn a_location_is_a_constant() {
    const LENGTH: u16 = location!(AdminRequest, data_length);
    assert_eq!(LENGTH, 32);
}
