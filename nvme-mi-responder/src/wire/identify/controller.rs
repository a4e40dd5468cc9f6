//! What Identify returns of a controller (NVM Express Base 2.0, sections 5.17.2.1 and 5.17.2.13).

use zerocopy::little_endian::{U16, U32, U128};

use crate::wire::layout::wire;

wire! {
    /// Identify Controller Data Structure, CNS 01h (NVM Express Base 2.0, section 5.17.2.1, Figure
    /// 275; bytes 255:253: NVMe-MI 1.2).
    ///
    /// Fields of NVMe over Fabrics, bytes 2047:1792, and those of the vendor are not named.
    pub struct IdentifyController: 4096 {
        /// VID, PCI vendor ID.
        1:0 pub pci_vendor_id: U16,
        /// SSVID, PCI subsystem vendor ID.
        3:2 pub pci_subsystem_vendor_id: U16,
        /// SN, serial number: ASCII, padded with spaces.
        23:4 pub serial_number: [u8; 20],
        /// MN, model number: ASCII, padded with spaces.
        63:24 pub model_number: [u8; 40],
        /// FR, firmware revision that runs: ASCII, padded with spaces.
        71:64 pub firmware_revision: [u8; 8],
        /// RAB, recommended arbitration burst, as a power of two.
        72 pub recommended_arbitration_burst: u8,
        /// IEEE OUI identifier, least significant byte first.
        75:73 pub ieee_oui: [u8; 3],
        /// CMIC, controller multi-path I/O and namespace sharing capabilities: bit 0 the subsystem
        /// may have several ports; 1 several controllers; 2 this controller is an SR-IOV virtual
        /// function; 3 asymmetric namespace access reporting.
        76 pub multi_path: u8,
        /// MDTS, maximum data transfer size, as a power of two of pages: 0 no limit.
        77 pub maximum_data_transfer_size: u8,
        /// CNTLID, controller ID.
        79:78 pub controller_id: U16,
        /// VER, version: bits 31:16 major, 15:8 minor, 7:0 tertiary.
        83:80 pub version: U32,
        /// RTD3R, RTD3 resume latency in microseconds.
        87:84 pub rtd3_resume_latency: U32,
        /// RTD3E, RTD3 entry latency in microseconds.
        91:88 pub rtd3_entry_latency: U32,
        /// OAES, optional asynchronous events supported: bit 8 namespace attribute notices, 9
        /// firmware activation notices.
        95:92 pub optional_asynchronous_events: U32,
        /// CTRATT, controller attributes.
        99:96 pub controller_attributes: U32,
        /// RRLS, read recovery levels supported.
        101:100 pub read_recovery_levels: U16,
        110:102 pub(crate) reserved_102: [u8; 9],
        /// CNTRLTYPE, controller type: 0 not reported, 1 I/O controller, 2 Discovery controller, 3
        /// Administrative controller.
        111 pub controller_type: u8,
        /// FGUID, FRU globally unique identifier.
        127:112 pub fru_globally_unique_id: [u8; 16],
        /// CRDT1, command retry delay time 1 in units of 100 ms.
        129:128 pub command_retry_delay_1: U16,
        /// CRDT2, command retry delay time 2.
        131:130 pub command_retry_delay_2: U16,
        /// CRDT3, command retry delay time 3.
        133:132 pub command_retry_delay_3: U16,
        252:134 pub(crate) reserved_134: [u8; 119],
        /// NVMSR, NVM subsystem report: bit 0 NVMESD, part of an NVMe storage device; 1 NVMEE, part
        /// of an NVMe enclosure.
        253 pub subsystem_report: u8,
        /// VWCI, VPD write cycle information: bits 6:0 VWCR, remaining writes, 7Fh for 127 or more;
        /// bit 7 VWCRV, that is valid.
        254 pub vpd_write_cycles: u8,
        /// MEC, management endpoint capabilities: bit 0 TWPME, an endpoint at an SMBus/I2C port; 1
        /// PCIEME, one at a PCIe port.
        255 pub endpoint_capabilities: u8,
        /// OACS, optional Admin command support: bit 0 Security Send and Receive; 1 Format NVM; 2
        /// Firmware Commit and Image Download; 3 Namespace Management; 4 Device Self-test; 5
        /// directives; 6 NVMe-MI Send and Receive; 7 Virtualization Management; 8 Doorbell Buffer
        /// Config; 9 Get LBA Status; 10 command and feature lockdown.
        257:256 pub optional_admin_commands: U16,
        /// ACL, abort command limit, less one.
        258 pub abort_command_limit: u8,
        /// AERL, asynchronous event request limit, less one.
        259 pub asynchronous_event_request_limit: u8,
        /// FRMW, firmware updates: bit 0 slot 1 is read only; bits 3:1 number of slots, 1 to 7; bit
        /// 4 activation without a reset; bit 5 SMUD, multiple updates are detected.
        260 pub firmware_updates: u8,
        /// LPA, log page attributes: bit 0 SMART / Health Information of each namespace; 1 Commands
        /// Supported and Effects; 2 extended data, of which offsets; 3 telemetry; 4 persistent
        /// events; 5 LID 00h, 12h and 13h; 6 telemetry data area 4.
        261 pub log_page_attributes: u8,
        /// ELPE, error log page entries, less one.
        262 pub error_log_page_entries: u8,
        /// NPSS, number of power states support, less one.
        263 pub number_of_power_states: u8,
        /// AVSCC, Admin vendor specific command configuration.
        264 pub admin_vendor_command_configuration: u8,
        /// APSTA, autonomous power state transition attributes.
        265 pub autonomous_power_state_transition: u8,
        /// WCTEMP, warning composite temperature threshold in kelvins.
        267:266 pub warning_temperature: U16,
        /// CCTEMP, critical composite temperature threshold in kelvins.
        269:268 pub critical_temperature: U16,
        /// MTFA, maximum time for firmware activation in units of 100 ms.
        271:270 pub maximum_firmware_activation_time: U16,
        /// HMPRE, host memory buffer preferred size in units of 4 KiB.
        275:272 pub host_memory_preferred_size: U32,
        /// HMMIN, host memory buffer minimum size in units of 4 KiB.
        279:276 pub host_memory_minimum_size: U32,
        /// TNVMCAP, total NVM capacity in bytes.
        295:280 pub total_capacity: U128,
        /// UNVMCAP, unallocated NVM capacity in bytes.
        311:296 pub unallocated_capacity: U128,
        /// RPMBS, replay protected memory block support.
        315:312 pub replay_protected_memory: U32,
        /// EDSTT, extended device self-test time in minutes.
        317:316 pub extended_self_test_time: U16,
        /// DSTO, device self-test options: bit 0 one self-test at a time in the subsystem.
        318 pub self_test_options: u8,
        /// FWUG, firmware update granularity in units of 4 KiB: 0 not reported, FFh no restriction.
        319 pub firmware_update_granularity: u8,
        /// KAS, keep alive support: granularity in units of 100 ms.
        321:320 pub keep_alive_support: U16,
        /// HCTMA, host controlled thermal management attributes.
        323:322 pub thermal_management_attributes: U16,
        /// MNTMT, minimum thermal management temperature in kelvins.
        325:324 pub minimum_thermal_temperature: U16,
        /// MXTMT, maximum thermal management temperature in kelvins.
        327:326 pub maximum_thermal_temperature: U16,
        /// SANICAP, sanitize capabilities: bit 0 crypto erase; 1 block erase; 2 overwrite; 29 NDI,
        /// no-deallocate inhibited; bits 31:30 NODMMAS, media after a no-deallocate sanitize.
        331:328 pub sanitize_capabilities: U32,
        /// HMMINDS, host memory buffer minimum descriptor entry size in units of 4 KiB.
        335:332 pub host_memory_minimum_entry: U32,
        /// HMMAXD, host memory maximum descriptors entries.
        337:336 pub host_memory_maximum_entries: U16,
        /// NSETIDMAX, NVM set identifier maximum.
        339:338 pub maximum_nvm_set_id: U16,
        /// ENDGIDMAX, endurance group identifier maximum.
        341:340 pub maximum_endurance_group_id: U16,
        /// ANATT, ANA transition time in seconds.
        342 pub ana_transition_time: u8,
        /// ANACAP, asymmetric namespace access capabilities.
        343 pub ana_capabilities: u8,
        /// ANAGRPMAX, ANA group identifier maximum.
        347:344 pub maximum_ana_group_id: U32,
        /// NANAGRPID, number of ANA group identifiers.
        351:348 pub number_of_ana_group_ids: U32,
        /// PELS, persistent event log size in units of 64 KiB.
        355:352 pub persistent_event_log_size: U32,
        /// Domain identifier: 0 if there are no domains.
        357:356 pub domain_id: U16,
        367:358 pub(crate) reserved_358: [u8; 10],
        /// MEGCAP, max endurance group capacity in bytes.
        383:368 pub maximum_endurance_group_capacity: U128,
        511:384 pub(crate) reserved_384: [u8; 128],
        /// SQES, submission queue entry size, powers of two: bits 3:0 required, 7:4 maximum.
        512 pub submission_queue_entry_size: u8,
        /// CQES, completion queue entry size, powers of two: bits 3:0 required, 7:4 maximum.
        513 pub completion_queue_entry_size: u8,
        /// MAXCMD, maximum outstanding commands.
        515:514 pub maximum_outstanding_commands: U16,
        /// NN, number of namespaces: the highest namespace ID.
        519:516 pub number_of_namespaces: U32,
        /// ONCS, optional NVM command support: bit 4 the save and select fields of features, 6 the
        /// timestamp feature.
        521:520 pub optional_nvm_commands: U16,
        /// FUSES, fused operation support.
        523:522 pub fused_operations: U16,
        /// FNA, format NVM attributes: bit 0 a format, bit 1 a secure erase is of all namespaces;
        /// bit 2 cryptographic erase; bit 3 NSID FFFFFFFFh is not supported.
        524 pub format_attributes: u8,
        /// VWC, volatile write cache: bit 0 it is present.
        525 pub volatile_write_cache: u8,
        /// AWUN, atomic write unit normal in blocks, less one.
        527:526 pub atomic_write_unit_normal: U16,
        /// AWUPF, atomic write unit power fail in blocks, less one.
        529:528 pub atomic_write_unit_power_fail: U16,
        /// ICSVSCC, I/O command set vendor specific command configuration.
        530 pub io_vendor_command_configuration: u8,
        /// NWPC, namespace write protection capabilities.
        531 pub write_protection_capabilities: u8,
        /// ACWU, atomic compare and write unit in blocks, less one.
        533:532 pub atomic_compare_and_write_unit: U16,
        /// OCFS, optional copy formats supported.
        535:534 pub optional_copy_formats: U16,
        /// SGLS, SGL support.
        539:536 pub sgl_support: U32,
        /// MNAN, maximum number of allowed namespaces.
        543:540 pub maximum_allowed_namespaces: U32,
        /// MAXDNA, maximum domain namespace attachments.
        559:544 pub maximum_domain_attachments: U128,
        /// MAXCNA, maximum I/O controller namespace attachments.
        563:560 pub maximum_controller_attachments: U32,
        767:564 pub(crate) reserved_564: [u8; 204],
        /// SUBNQN, NVM subsystem NVMe qualified name: UTF-8, ended by a zero.
        1023:768 pub qualified_name: [u8; 256],
        2047:1024 pub(crate) reserved_1024: [u8; 1024],
        /// PSD0 to PSD31, power state descriptors.
        3071:2048 pub power_states: [PowerStateDescriptor; 32],
        4095:3072 pub(crate) vendor_3072: [u8; 1024],
    }

    /// Power State Descriptor Data Structure, in Identify Controller (NVM Express Base 2.0, section
    /// 5.17.2.1, Figure 276).
    pub struct PowerStateDescriptor: 32 {
        /// MP, maximum power in units of 0.01 W, or 0.0001 W if MXPS is 1.
        1:0 pub maximum_power: U16,
        2 pub(crate) reserved_2: u8,
        /// Bit 0 MXPS, max power scale; bit 1 NOPS, non-operational state; bits 7:2 reserved.
        3 pub flags: u8,
        /// ENLAT, entry latency in microseconds.
        7:4 pub entry_latency: U32,
        /// EXLAT, exit latency in microseconds.
        11:8 pub exit_latency: U32,
        /// RRT, relative read throughput: bits 4:0, 0 is best.
        12 pub relative_read_throughput: u8,
        /// RRL, relative read latency: bits 4:0, 0 is best.
        13 pub relative_read_latency: u8,
        /// RWT, relative write throughput: bits 4:0, 0 is best.
        14 pub relative_write_throughput: u8,
        /// RWL, relative write latency: bits 4:0, 0 is best.
        15 pub relative_write_latency: u8,
        /// IDLP, idle power in the unit of IPS: 0 not reported.
        17:16 pub idle_power: U16,
        /// Bits 7:6 IPS, idle power scale: 0 not reported, 1 0.0001 W, 2 0.01 W; bits 5:0 reserved.
        18 pub idle_power_scale: u8,
        19 pub(crate) reserved_19: u8,
        /// ACTP, active power in the unit of APS: 0 not reported.
        21:20 pub active_power: U16,
        /// Bits 2:0 APW, active power workload; bits 7:6 APS, active power scale, as IPS; bits 5:3
        /// reserved.
        22 pub active_power_attributes: u8,
        31:23 pub(crate) reserved_23: [u8; 9],
    }

    /// Primary Controller Capabilities Structure, CNS 14h (NVM Express Base 2.0, section 5.17.2.13,
    /// Figure 281).
    pub struct PrimaryControllerCapabilities: 4096 {
        /// CNTLID, controller identifier.
        1:0 pub controller_id: U16,
        /// PORTID, port identifier.
        3:2 pub port_id: U16,
        /// CRT, controller resource types: bit 0 VQ resources, bit 1 VI resources can be assigned.
        4 pub resource_types: u8,
        31:5 pub(crate) reserved_5: [u8; 27],
        /// VQFRT, VQ resources flexible total.
        35:32 pub queue_flexible_total: U32,
        /// VQRFA, VQ resources flexible assigned.
        39:36 pub queue_flexible_assigned: U32,
        /// VQRFAP, VQ resources flexible allocated to primary.
        41:40 pub queue_flexible_primary: U16,
        /// VQPRT, VQ resources private total.
        43:42 pub queue_private_total: U16,
        /// VQFRSM, VQ resources flexible secondary maximum.
        45:44 pub queue_secondary_maximum: U16,
        /// VQGRAN, VQ flexible resource preferred granularity.
        47:46 pub queue_granularity: U16,
        63:48 pub(crate) reserved_48: [u8; 16],
        /// VIFRT, VI resources flexible total.
        67:64 pub interrupt_flexible_total: U32,
        /// VIRFA, VI resources flexible assigned.
        71:68 pub interrupt_flexible_assigned: U32,
        /// VIRFAP, VI resources flexible allocated to primary.
        73:72 pub interrupt_flexible_primary: U16,
        /// VIPRT, VI resources private total.
        75:74 pub interrupt_private_total: U16,
        /// VIFRSM, VI resources flexible secondary maximum.
        77:76 pub interrupt_secondary_maximum: U16,
        /// VIGRAN, VI flexible resource preferred granularity.
        79:78 pub interrupt_granularity: U16,
        4095:80 pub(crate) reserved_80: [u8; 4016],
    }
}

/// In `optional_admin_commands`.
impl IdentifyController {
    /// Security Send and Security Receive.
    pub const SECURITY: u16 = 1 << 0;
    /// Format NVM.
    pub const FORMAT_NVM: u16 = 1 << 1;
    /// Firmware Commit and Firmware Image Download.
    pub const FIRMWARE: u16 = 1 << 2;
    /// Namespace Management and Namespace Attachment.
    pub const NAMESPACE_MANAGEMENT: u16 = 1 << 3;
    /// Device Self-test.
    pub const DEVICE_SELF_TEST: u16 = 1 << 4;
}
