//! Where fields stand.

use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::wire::*;

use super::types;

#[test]
fn fields_follow_each_other_without_gaps() {
    for layout in types() {
        let mut next = layout.first;
        for field in layout.fields {
            assert_eq!(field.first, next, "{}.{}", layout.name, field.name);
            assert_ne!(field.length, 0, "{}.{}", layout.name, field.name);
            next += field.length;
        }
        assert_eq!(next, layout.first + layout.length, "{}", layout.name);
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = types().map(|layout| layout.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// Reserved fields are named after their first byte.
#[test]
fn reserved_fields_say_where_they_are() {
    for layout in types() {
        for field in layout.fields {
            if let Some(first) = field.name.strip_prefix("reserved_") {
                assert_eq!(first, field.first.to_string(), "{}", layout.name);
            }
        }
    }
}

#[track_caller]
fn check(layout: Layout, length: usize, fields: &[(&str, usize, usize)]) {
    assert_eq!(layout.length, length, "{}", layout.name);
    for (name, first, length) in fields {
        let field = layout.fields.iter().find(|field| field.name == *name);
        let found = field.map(|field| (field.first, field.length));
        assert_eq!(found, Some((*first, *length)), "{}.{name}", layout.name);
    }
}

#[test]
fn messages_begin_behind_the_message_type_byte() {
    for layout in [
        RequestHeader::BYTE_TABLE,
        GenericResponse::BYTE_TABLE,
        InvalidParameterResponse::BYTE_TABLE,
        MoreProcessingRequiredResponse::BYTE_TABLE,
        ControlPrimitiveRequest::BYTE_TABLE,
        ControlPrimitiveResponse::BYTE_TABLE,
        ManagementRequest::BYTE_TABLE,
        ManagementResponse::BYTE_TABLE,
        AdminRequest::BYTE_TABLE,
        AdminResponse::BYTE_TABLE,
        PcieRequest::BYTE_TABLE,
        PcieResponse::BYTE_TABLE,
        EventMessage::BYTE_TABLE,
    ] {
        assert_eq!(layout.first, 1, "{}", layout.name);
    }
    assert_eq!(ManagementRequest::BYTE_TABLE.length, 16 - 1);
    assert_eq!(AdminRequest::BYTE_TABLE.length, 68 - 1);
    assert_eq!(AdminResponse::BYTE_TABLE.length, 20 - 1);
    assert_eq!(PcieRequest::BYTE_TABLE.length, 20 - 1);
}

#[test]
fn an_admin_request_is_laid_out_as_in_figure_116() {
    check(
        AdminRequest::BYTE_TABLE,
        67,
        &[
            ("opcode", 4, 1),
            ("flags", 5, 1),
            ("controller_id", 6, 2),
            ("namespace_id", 8, 4),
            ("dwords_2_to_5", 12, 16),
            ("data_offset", 28, 4),
            ("data_length", 32, 4),
            ("dwords_10_to_15", 44, 24),
        ],
    );
}

/// The fields that NVMe-MI clients read, from our notes on NVM Express Base 2.0.
#[test]
fn identify_controller_is_laid_out_as_in_figure_275() {
    check(
        IdentifyController::BYTE_TABLE,
        4096,
        &[
            ("pci_vendor_id", 0, 2),
            ("pci_subsystem_vendor_id", 2, 2),
            ("serial_number", 4, 20),
            ("model_number", 24, 40),
            ("firmware_revision", 64, 8),
            ("ieee_oui", 73, 3),
            ("multi_path", 76, 1),
            ("maximum_data_transfer_size", 77, 1),
            ("controller_id", 78, 2),
            ("version", 80, 4),
            ("optional_asynchronous_events", 92, 4),
            ("controller_attributes", 96, 4),
            ("controller_type", 111, 1),
            ("fru_globally_unique_id", 112, 16),
            ("subsystem_report", 253, 1),
            ("vpd_write_cycles", 254, 1),
            ("endpoint_capabilities", 255, 1),
            ("optional_admin_commands", 256, 2),
            ("abort_command_limit", 258, 1),
            ("asynchronous_event_request_limit", 259, 1),
            ("firmware_updates", 260, 1),
            ("log_page_attributes", 261, 1),
            ("error_log_page_entries", 262, 1),
            ("number_of_power_states", 263, 1),
            ("warning_temperature", 266, 2),
            ("critical_temperature", 268, 2),
            ("total_capacity", 280, 16),
            ("unallocated_capacity", 296, 16),
            ("extended_self_test_time", 316, 2),
            ("self_test_options", 318, 1),
            ("firmware_update_granularity", 319, 1),
            ("sanitize_capabilities", 328, 4),
            ("submission_queue_entry_size", 512, 1),
            ("completion_queue_entry_size", 513, 1),
            ("number_of_namespaces", 516, 4),
            ("optional_nvm_commands", 520, 2),
            ("format_attributes", 524, 1),
            ("volatile_write_cache", 525, 1),
            ("maximum_allowed_namespaces", 540, 4),
            ("qualified_name", 768, 256),
            ("power_states", 2048, 1024),
        ],
    );
}

#[test]
fn identify_namespace_is_laid_out_as_in_figure_97() {
    check(
        IdentifyNamespace::BYTE_TABLE,
        4096,
        &[
            ("size", 0, 8),
            ("capacity", 8, 8),
            ("utilization", 16, 8),
            ("features", 24, 1),
            ("number_of_formats", 25, 1),
            ("formatted_size", 26, 1),
            ("protection_settings", 29, 1),
            ("sharing", 30, 1),
            ("nvm_capacity", 48, 16),
            ("ana_group_id", 92, 4),
            ("globally_unique_id", 104, 16),
            ("extended_unique_id", 120, 8),
            ("formats", 128, 256),
        ],
    );
    check(
        NamespaceManagementData::BYTE_TABLE,
        4096,
        &[
            ("size", 0, 8),
            ("capacity", 8, 8),
            ("formatted_size", 26, 1),
            ("protection_settings", 29, 1),
            ("sharing", 30, 1),
            ("ana_group_id", 92, 4),
        ],
    );
    check(
        IndependentNamespace::BYTE_TABLE,
        4096,
        &[("features", 0, 1), ("sharing", 1, 1), ("status", 14, 1)],
    );
}

#[test]
fn log_pages_are_laid_out_as_in_base_2_0() {
    check(
        SmartHealth::BYTE_TABLE,
        512,
        &[
            ("critical_warning", 0, 1),
            ("composite_temperature", 1, 2),
            ("available_spare", 3, 1),
            ("available_spare_threshold", 4, 1),
            ("percentage_used", 5, 1),
            ("data_units_read", 32, 16),
            ("data_units_written", 48, 16),
            ("host_read_commands", 64, 16),
            ("host_write_commands", 80, 16),
            ("controller_busy_time", 96, 16),
            ("power_cycles", 112, 16),
            ("power_on_hours", 128, 16),
            ("unsafe_shutdowns", 144, 16),
            ("media_errors", 160, 16),
            ("error_log_entries", 176, 16),
            ("warning_temperature_time", 192, 4),
            ("critical_temperature_time", 196, 4),
            ("temperature_sensors", 200, 16),
        ],
    );
    check(
        ErrorInformation::BYTE_TABLE,
        64,
        &[
            ("error_count", 0, 8),
            ("submission_queue_id", 8, 2),
            ("command_id", 10, 2),
            ("status", 12, 2),
            ("parameter_error_location", 14, 2),
            ("logical_block", 16, 8),
            ("namespace_id", 24, 4),
            ("opcode", 31, 1),
            ("version", 63, 1),
        ],
    );
    check(SelfTestLog::BYTE_TABLE, 564, &[("results", 4, 20 * 28)]);
    check(
        SelfTestResult::BYTE_TABLE,
        28,
        &[
            ("segment", 1, 1),
            ("valid", 2, 1),
            ("power_on_hours", 4, 8),
            ("namespace_id", 12, 4),
        ],
    );
    check(
        TelemetryHeader::BYTE_TABLE,
        512,
        &[
            ("ieee_oui", 5, 3),
            ("data_area_1_last_block", 8, 2),
            ("data_area_3_last_block", 12, 2),
            ("host_generation", 381, 1),
            ("controller_data_available", 382, 1),
            ("controller_generation", 383, 1),
        ],
    );
    check(
        SanitizeStatus::BYTE_TABLE,
        512,
        &[
            ("progress", 0, 2),
            ("status", 2, 2),
            ("command_dword10", 4, 4),
            ("overwrite_time", 8, 4),
            ("crypto_erase_no_deallocate_time", 28, 4),
            ("state", 36, 1),
        ],
    );
    check(
        FirmwareSlotInformation::BYTE_TABLE,
        512,
        &[("revisions", 8, 56)],
    );
    check(SupportedLogPages::BYTE_TABLE, 1024, &[]);
    check(
        CommandEffects::BYTE_TABLE,
        4096,
        &[("io_commands", 1024, 1024)],
    );
    check(FeatureEffects::BYTE_TABLE, 1024, &[]);
    check(
        ManagementEffects::BYTE_TABLE,
        4096,
        &[("commands", 0, 1024)],
    );
}

#[test]
fn health_is_laid_out_as_in_figures_79_and_89() {
    check(
        SubsystemHealth::BYTE_TABLE,
        8,
        &[
            ("status", 0, 1),
            ("smart_warnings", 1, 1),
            ("composite_temperature", 2, 1),
            ("percentage_used", 3, 1),
            ("composite_controller_status", 4, 2),
        ],
    );
    check(
        ControllerHealth::BYTE_TABLE,
        16,
        &[
            ("controller_id", 0, 2),
            ("status", 2, 2),
            ("composite_temperature", 4, 2),
            ("percentage_used", 6, 1),
            ("available_spare", 7, 1),
            ("critical_warning", 8, 1),
            ("changed_flags", 9, 2),
        ],
    );
}

#[test]
fn vital_product_data_are_contiguous_areas() {
    // Common header, product info area, NVMe MultiRecord: the PCIe port record is at byte 184.
    let lengths = [
        VpdCommonHeader::BYTE_TABLE.length,
        VpdProductInfo::BYTE_TABLE.length,
        NvmeMultiRecord::BYTE_TABLE.length,
    ];
    assert_eq!(lengths, [8, 112, 64]);
    assert_eq!(NvmePciePortMultiRecord::BYTE_TABLE.length, 16);
    check(
        VpdProductInfo::BYTE_TABLE,
        112,
        &[
            ("manufacturer_name", 4, 8),
            ("product_name", 13, 24),
            ("model_number", 38, 40),
            ("product_version", 79, 2),
            ("serial_number", 82, 20),
            ("end_of_record", 104, 1),
            ("checksum", 111, 1),
        ],
    );
}

#[test]
fn new_values_are_zero_in_every_byte() {
    assert!(
        IdentifyController::new_zeroed()
            .as_bytes()
            .iter()
            .all(|byte| *byte == 0)
    );
    assert_eq!(
        IdentifyController::default(),
        IdentifyController::new_zeroed()
    );
    assert_eq!(SubsystemHealth::default().as_bytes(), [0; 8]);
    assert_eq!(AdminRequest::default().as_bytes(), [0; 67]);
}

#[test]
fn reserved_bytes_of_constructed_messages_are_zero() {
    let request = ManagementRequest::new(1, Reset::default());
    assert_eq!(request.as_bytes()[4..7], [0; 3]);
    let request = AdminRequest::new(1, 0xFFFF, Identify::default());
    assert_eq!(request.as_bytes()[35..43], [0; 8]);
    let response = GenericResponse::new(MessageKind::ADMIN, 1, ResponseStatus::ACCESS_DENIED);
    assert_eq!(response.as_bytes()[4..7], [0; 3]);
    let response = MoreProcessingRequiredResponse::new(MessageKind::ADMIN, 1, u16::MAX);
    assert_eq!(response.as_bytes()[4], 0);
}

#[test]
fn values_without_a_name_survive() {
    let header = RequestHeader::read_from_bytes(&[0xFE, 0xFC, 0xFF]).unwrap();
    assert_eq!(header.kind(), MessageKind(0xF));
    assert_eq!(header.kind().name(), None);
    assert_eq!((header.slot(), header.is_response()), (0, true));
    assert!(!header.pauses() && !header.uses_endpoint_buffer());
    assert_eq!(header.as_bytes(), [0xFE, 0xFC, 0xFF]);
    assert_eq!(ResponseStatus(0x04).name(), Some("INVALID_PARAMETER"));
}
