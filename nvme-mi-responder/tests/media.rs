//! Device Self-test, Format NVM and Sanitize, with what their logs say.

mod support;

use std::task::Poll;

use nvme_mi_responder::ControllerId;
use nvme_mi_responder::Instant;
use nvme_mi_responder::world::{
    Format, HealthReport, Media, MediaError, MemoryFirmware, MemoryMedia, SanitizeAction,
    SanitizeProgress, SelfTestProgress,
};
use support::{ADMIN, Admin, Device, NotSupported, Parts, field};

const INVALID_FIELD: u16 = 0x002;
const INTERNAL_ERROR: u16 = 0x006;
const INVALID_NAMESPACE: u16 = 0x00B;
const SANITIZE_FAILED: u16 = 0x01C;
const SANITIZE_IN_PROGRESS: u16 = 0x01D;
const INVALID_FORMAT: u16 = 0x10A;
const NEEDS_RESET: u16 = 0x111;
const TEST_IN_PROGRESS: u16 = 0x11D;

const ALL: u32 = u32::MAX;

const SHORT: u32 = 1;
const EXTENDED: u32 = 2;
const ABORT: u32 = 0xF;

type World = Parts<
    HealthReport,
    MemoryFirmware<'static, 2>,
    NotSupported,
    NotSupported,
    NotSupported,
    NotSupported,
    MemoryMedia,
>;

fn device_with(media: MemoryMedia) -> Device<World> {
    let health = HealthReport {
        power_on_hours: 77,
        ..HealthReport::healthy()
    };
    let slots = [Some(*b"REF00001"), Some(*b"REF00002")];
    let firmware = MemoryFirmware::new(&mut [], slots);
    Device::reference(Parts::new(health).with_firmware(firmware).with_media(media))
}

fn device() -> Device<World> {
    device_with(MemoryMedia::new())
}

fn self_test(code: u32, namespace: u32) -> Admin<'static> {
    Admin {
        opcode: 0x14,
        namespace,
        dwords: [code, 0, 0, 0, 0, 0],
        ..ADMIN
    }
}

fn format(namespace: u32, dword10: u32) -> Admin<'static> {
    Admin {
        opcode: 0x80,
        namespace,
        dwords: [dword10, 0, 0, 0, 0, 0],
        ..ADMIN
    }
}

fn sanitize(dword10: u32) -> Admin<'static> {
    Admin {
        opcode: 0x84,
        dwords: [dword10, 0xDEAD_BEEF, 0, 0, 0, 0],
        ..ADMIN
    }
}

const LEAVE_FAILURE_MODE: u32 = 1;
const BLOCK_ERASE: u32 = 2;
const OVERWRITE: u32 = 3;
const CRYPTO_ERASE: u32 = 4;
const UNRESTRICTED: u32 = 1 << 3;

impl Device<World> {
    fn log(&mut self, id: u32, length: u32) -> Vec<u8> {
        let command = Admin {
            opcode: 0x02,
            namespace: ALL,
            length,
            dwords: [(length / 4 - 1) << 16 | id, 0, 0, 0, 0, 0],
            ..ADMIN
        };
        self.admin_ok(command).1
    }

    fn tests(&mut self) -> Vec<u8> {
        self.log(0x06, 564)
    }

    /// The newest result.
    fn result(&mut self) -> u8 {
        self.tests()[4]
    }

    fn sanitize_log(&mut self) -> Vec<u8> {
        self.log(0x81, 512)
    }

    /// SSTAT.
    fn sanitize_status(&mut self) -> u64 {
        field(&self.sanitize_log(), 2, 2)
    }

    fn identify(&mut self, structure: u32, namespace: u32) -> Vec<u8> {
        let command = Admin {
            opcode: 0x06,
            namespace,
            length: 4096,
            dwords: [structure, 0, 0, 0, 0, 0],
            ..ADMIN
        };
        self.admin_ok(command).1
    }

    fn subsystem_status(&mut self) -> u8 {
        self.mi(0x01, 0, 0, &[])[4]
    }

    fn wait(&mut self, milliseconds: u32) {
        self.now = self.now.after(milliseconds);
    }

    fn media(&mut self) -> &mut MemoryMedia {
        &mut self.world().media
    }
}

#[test]
fn a_self_test_runs_in_the_background_and_leaves_a_result() {
    let mut device = device();
    device.admin_ok(self_test(SHORT, 0));
    assert_eq!(device.tests()[..4], [1, 0, 0, 0]);
    device.wait(1000);
    assert_eq!(device.tests()[..2], [1, 50]);
    device.wait(1000);
    let log = device.tests();
    assert_eq!(log[..4], [0; 4]);
    assert_eq!(log[4..8], [0x10, 0, 0, 0]);
    assert_eq!(field(&log, 8, 8), 77);
    assert_eq!(log[16..32], [0; 16]);
    assert_eq!(log[32], 0x0F);
}

#[test]
fn results_that_do_not_exist_say_so() {
    let log = device().tests();
    assert_eq!(log[..4], [0; 4]);
    for result in log[4..].chunks(28) {
        assert_eq!(result[0], 0x0F);
        assert_eq!(result[1..], [0; 27]);
    }
}

#[test]
fn a_self_test_that_runs_is_never_all_done() {
    let mut device = device();
    device.media().test_result = SelfTestProgress::Running(100);
    device.admin_ok(self_test(SHORT, 0));
    device.wait(60_000);
    assert_eq!(device.tests()[..2], [1, 99]);
}

/// Media that are always at the end of sanitizing.
struct Endless;

impl Media for Endless {
    /// All kinds of operations, always with deallocation.
    fn sanitize_capabilities(&self) -> u32 {
        1 << 29 | 0b111
    }
    fn start_sanitize(&mut self, _: Instant, _: SanitizeAction, _: bool) -> Result<(), MediaError> {
        Ok(())
    }
    fn sanitize_progress(&mut self, _: Instant) -> SanitizeProgress {
        SanitizeProgress::Running(u16::MAX)
    }
}

#[test]
fn a_sanitize_operation_that_runs_is_never_all_done() {
    let media = Parts::new(HealthReport::healthy()).with_media(Endless);
    let mut device = Device::reference(media);
    device.admin_ok(sanitize(BLOCK_ERASE));
    let log = Admin {
        opcode: 0x02,
        length: 4,
        dwords: [0x81, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    assert_eq!(device.admin_ok(log).1, [0xFE, 0xFF, 2, 0]);
}

#[test]
fn media_that_always_deallocate_refuse_not_to() {
    let media = Parts::new(HealthReport::healthy()).with_media(Endless);
    let mut device = Device::reference(media);
    let refused = device.admin_status(sanitize(BLOCK_ERASE | 1 << 9));
    assert_eq!(refused, INVALID_FIELD);
    device.admin_ok(sanitize(BLOCK_ERASE));
}

#[test]
fn deleting_one_of_its_namespaces_ends_a_self_test_of_all() {
    let mut device = device();
    device.admin_ok(self_test(EXTENDED, ALL));
    device.admin_ok(Admin {
        opcode: 0x0D,
        namespace: 2,
        dwords: [1, 0, 0, 0, 0, 0],
        ..ADMIN
    });
    assert_eq!(device.result(), 0x23);
}

#[test]
fn a_command_that_finds_another_in_progress_may_be_tried_again() {
    const DO_NOT_RETRY: u8 = 1 << 7;
    let mut device = device();
    device.admin_ok(self_test(EXTENDED, 0));
    let busy = device.admin(self_test(SHORT, 0));
    assert_eq!(busy[14..16], [0x1D << 1, 1 << 1]);
    device.admin_ok(sanitize(BLOCK_ERASE));
    let busy = device.admin(self_test(SHORT, 0));
    assert_eq!(busy[14..16], [0x1D << 1, 0]);
    let wrong = device.admin(sanitize(0));
    assert_eq!(wrong[15] & DO_NOT_RETRY, 0, "sanitizing comes first");
    let wrong = device.admin(Admin {
        opcode: 0x06,
        dwords: [0xEE, 0, 0, 0, 0, 0],
        ..ADMIN
    });
    assert_eq!(wrong[15] & DO_NOT_RETRY, DO_NOT_RETRY);
}

#[test]
fn a_self_test_that_begins_during_a_format_goes_on() {
    let mut device = device();
    device.media().format_time = 60;
    assert_eq!(device.raw(&support::sealed(&format(1, 0).message())), None);
    let beside = Admin {
        slot: 1,
        ..self_test(EXTENDED, 1)
    };
    device.admin_ok(beside);
    device.wait(60);
    device.endpoint.advance(&mut device.inner, device.now);
    assert!(device.response().is_some());
    assert_eq!(device.tests()[0], 2);
}

#[test]
fn an_extended_self_test_of_a_namespace_says_which() {
    let mut device = device();
    device.admin_ok(self_test(EXTENDED, 1));
    device.wait(30_000);
    assert_eq!(device.tests()[..2], [2, 50]);
    device.wait(30_000);
    let log = device.tests();
    assert_eq!(log[4..8], [0x20, 0, 1, 0]);
    assert_eq!(field(&log, 16, 4), 1);
}

#[test]
fn a_failed_segment_is_named_if_it_is_known() {
    let mut device = device();
    for (result, expected) in [
        (SelfTestProgress::Failed(Some(3)), [0x17, 3]),
        (SelfTestProgress::Failed(None), [0x16, 0]),
        (SelfTestProgress::Incomplete, [0x15, 0]),
    ] {
        device.media().test_result = result;
        device.admin_ok(self_test(SHORT, 0));
        device.wait(2000);
        assert_eq!(device.tests()[4..6], expected);
    }
}

#[test]
fn a_second_self_test_is_refused_while_one_runs_on_any_controller() {
    let mut device = device();
    device.admin_ok(self_test(SHORT, 0));
    let other = Admin {
        controller: 1,
        ..self_test(EXTENDED, 0)
    };
    assert_eq!(device.admin_status(self_test(SHORT, 0)), TEST_IN_PROGRESS);
    assert_eq!(device.admin_status(other), TEST_IN_PROGRESS);
    device.wait(2000);
    device.admin_ok(other);
}

#[test]
fn a_self_test_is_aborted_and_to_abort_none_is_a_success() {
    let mut device = device();
    device.admin_ok(self_test(ABORT, 0));
    assert_eq!(device.result(), 0x0F);
    device.admin_ok(self_test(EXTENDED, ALL));
    device.admin_ok(self_test(ABORT, 0));
    device.admin_ok(self_test(ABORT, 0));
    assert_eq!(device.result(), 0x21);
    assert_eq!(device.tests()[0], 0);
}

#[test]
fn other_self_test_codes_are_refused() {
    for code in (0..16).filter(|code| ![SHORT, EXTENDED, ABORT].contains(code)) {
        assert_eq!(device().admin_status(self_test(code, 0)), INVALID_FIELD);
    }
}

#[test]
fn a_self_test_of_a_namespace_that_is_not_there_is_refused() {
    let mut device = device();
    for (namespace, status) in [
        (2, INVALID_FIELD),
        (3, INVALID_FIELD),
        (5, INVALID_NAMESPACE),
    ] {
        assert_eq!(device.admin_status(self_test(SHORT, namespace)), status);
    }
    device.admin_ok(self_test(SHORT, 1));
}

#[test]
fn the_last_twenty_results_are_kept_newest_first() {
    let mut device = device();
    for round in 1..=25 {
        device.media().test_result = SelfTestProgress::Failed(Some(round));
        device.admin_ok(self_test(SHORT, 0));
        device.wait(2000);
        device.tests();
    }
    let segments: Vec<u8> = device.tests()[4..]
        .chunks(28)
        .map(|result| result[1])
        .collect();
    assert_eq!(segments, (6..=25).rev().collect::<Vec<u8>>());
}

#[test]
fn a_reset_ends_a_short_self_test_and_no_extended_one() {
    let mut device = device();
    device.admin_ok(self_test(SHORT, 0));
    device.inner.reset_subsystem();
    assert_eq!(device.result(), 0x12);
    device.admin_ok(self_test(EXTENDED, 0));
    device.inner.reset_subsystem();
    assert_eq!(device.tests()[0], 2);
    device.wait(60_000);
    assert_eq!(device.result(), 0x20);
}

#[test]
fn a_controller_level_reset_ends_a_short_self_test_of_that_controller() {
    let mut device = device();
    device.admin_ok(self_test(SHORT, 0));
    device.inner.reset_controller(ControllerId(1)).unwrap();
    assert_eq!(device.tests()[0], 1);
    device.inner.reset_controller(ControllerId(0)).unwrap();
    assert_eq!(device.result(), 0x12);
}

#[test]
fn deleting_its_namespace_ends_a_self_test() {
    let mut device = device();
    let delete = |namespace| Admin {
        opcode: 0x0D,
        namespace,
        dwords: [1, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    device.admin_ok(self_test(EXTENDED, 1));
    device.admin_ok(delete(2));
    assert_eq!(device.tests()[0], 2);
    device.admin_ok(delete(1));
    assert_eq!(device.result(), 0x23);
}

#[test]
fn formatting_its_namespace_ends_a_self_test() {
    let mut device = device();
    device.admin_ok(self_test(EXTENDED, 0));
    device.admin_ok(format(1, 0));
    assert_eq!(device.tests()[0], 2);
    device.admin_ok(self_test(ABORT, 0));
    device.admin_ok(self_test(EXTENDED, 1));
    device.admin_ok(format(1, 0));
    assert_eq!(device.result(), 0x24);
}

#[test]
fn formatting_all_namespaces_ends_a_self_test_of_one_of_them() {
    let mut device = device();
    device.admin_ok(self_test(EXTENDED, 1));
    device.admin_ok(format(ALL, 0));
    assert_eq!(device.result(), 0x24);
    device.admin_ok(self_test(EXTENDED, 0));
    device.admin_ok(format(ALL, 0));
    assert_eq!(device.tests()[0], 2, "one of the controller alone goes on");
}

#[test]
fn sanitizing_ends_a_self_test_and_lets_none_begin() {
    let mut device = device();
    device.admin_ok(self_test(EXTENDED, 0));
    device.admin_ok(sanitize(CRYPTO_ERASE));
    assert_eq!(device.result(), 0x29);
    assert_eq!(
        device.admin_status(self_test(SHORT, 0)),
        SANITIZE_IN_PROGRESS
    );
}

#[test]
fn identify_says_how_self_tests_are() {
    let controller = device().identify(0x01, 0);
    assert_eq!(field(&controller, 316, 2), 1);
    assert_eq!(controller[318] & 1, 1);
    assert_eq!(controller[256] & 0x12, 0x12);
}

#[test]
fn a_format_changes_blocks_and_keeps_bytes() {
    let mut device = device();
    device.mi(0x01, 0, 1 << 31, &[]);
    device.admin_ok(format(1, 1));
    let namespace = device.identify(0x00, 1);
    assert_eq!(field(&namespace, 0, 8), 2_097_152 / 8);
    assert_eq!(namespace[26], 1);
    assert_eq!(field(&namespace, 48, 8), 1 << 30);
    assert_eq!(
        field(&device.mi(0x01, 0, 1 << 31, &[])[4..], 4, 2) & 1 << 6,
        1 << 6
    );
    device.admin_ok(format(1, 0));
    assert_eq!(field(&device.identify(0x00, 1), 0, 8), 2_097_152);
}

#[test]
fn a_format_in_the_same_format_is_no_change() {
    let mut device = device();
    device.mi(0x01, 0, 1 << 31, &[]);
    device.admin_ok(format(1, 0));
    assert_eq!(field(&device.mi(0x01, 0, 0, &[])[4..], 4, 2) & 1 << 6, 0);
}

#[test]
fn a_repeated_format_succeeds_and_leaves_the_same() {
    let mut device = device();
    for _ in 0..2 {
        device.admin_ok(format(1, 1));
        assert_eq!(field(&device.identify(0x00, 1), 0, 8), 2_097_152 / 8);
    }
}

#[test]
fn all_namespaces_of_the_controller_are_formatted_and_no_others() {
    let mut device = device();
    device.admin_ok(format(ALL, 1));
    assert_eq!(device.identify(0x11, 1)[26], 1);
    assert_eq!(device.identify(0x11, 2)[26], 0);
}

#[test]
fn namespaces_that_cannot_be_formatted_are_refused() {
    let mut device = device();
    for (namespace, status) in [
        (0, INVALID_NAMESPACE),
        (2, INVALID_FIELD),
        (3, INVALID_FIELD),
        (5, INVALID_NAMESPACE),
    ] {
        assert_eq!(
            device.admin_status(format(namespace, 1)),
            status,
            "{namespace}"
        );
    }
    let model = device.model();
    for controller in 0..2 {
        let namespace = nvme_mi_responder::NamespaceId(1);
        let controller = ControllerId(controller);
        model.detach_namespace(namespace, controller).unwrap();
    }
    assert_eq!(device.admin_status(format(ALL, 1)), INVALID_NAMESPACE);
}

#[test]
fn formats_that_do_not_exist_are_refused() {
    let mut device = device();
    for dword10 in [2, 0xF, 1 << 12, 1 << 12 | 1, 3 << 12, 1 << 5, 7 << 5] {
        assert_eq!(
            device.admin_status(format(1, dword10)),
            INVALID_FORMAT,
            "{dword10:X}"
        );
    }
    assert_eq!(device.identify(0x00, 1)[26], 0);
}

#[test]
fn a_namespace_too_small_for_the_block_is_refused() {
    let mut device = device();
    let model = device.model();
    let small = model.add_namespace(7).unwrap();
    model.attach_namespace(small, ControllerId(0)).unwrap();
    assert_eq!(device.admin_status(format(3, 1)), INVALID_FORMAT);
    assert_eq!(device.admin_status(format(ALL, 1)), INVALID_FORMAT);
    assert_eq!(device.identify(0x00, 1)[26], 0);
}

#[test]
fn secure_erase_is_user_data_or_cryptographic() {
    let mut device = device();
    for erase in 0..3 {
        device.admin_ok(format(1, erase << 9));
    }
    for erase in 3..8 {
        assert_eq!(device.admin_status(format(1, erase << 9)), INVALID_FIELD);
    }
    assert_eq!(device.identify(0x01, 0)[524], 1 << 2);
}

#[test]
fn a_format_that_the_media_fail_changes_nothing_and_can_be_tried_again() {
    let mut device = device();
    device.media().format_fails = true;
    let response = device.admin(format(1, 1));
    assert_eq!(field(&response, 12, 4) >> 17, u64::from(INTERNAL_ERROR));
    assert_eq!(device.identify(0x00, 1)[26], 0);
}

#[test]
fn a_long_format_gets_its_response_when_it_is_done() {
    let mut device = device();
    device.media().format_time = 60;
    assert_eq!(device.raw(&support::sealed(&format(1, 1).message())), None);
    assert_eq!(device.model().unallocated(), (4 << 30) - (3 << 29));
    device.wait(50);
    device.endpoint.advance(&mut device.inner, device.now);
    assert_eq!(device.response(), None);
    device.wait(10);
    device.endpoint.advance(&mut device.inner, device.now);
    let response = device.response().unwrap();
    assert_eq!(response[4..20], [0; 16]);
    assert_eq!(device.identify(0x00, 1)[26], 1);
}

/// A format in command slot 1.
fn format_beside(namespace: u32) -> Vec<u8> {
    let command = Admin {
        slot: 1,
        ..format(namespace, 0)
    };
    support::sealed(&command.message())
}

#[test]
fn a_format_that_waited_for_the_other_slot_still_ends_a_self_test() {
    let mut device = device();
    let mut controllers = [0; 4096];
    controllers[0] = 1;
    device.admin_ok(Admin {
        opcode: 0x15,
        namespace: 2,
        length: 4096,
        data: &controllers,
        ..ADMIN
    });
    device.admin_ok(self_test(EXTENDED, 1));
    device.media().format_time = 60;
    assert_eq!(device.raw(&support::sealed(&format(2, 0).message())), None);
    assert_eq!(device.raw(&format_beside(1)), None);
    for slot in 0..2 {
        device.wait(60);
        device.endpoint.advance(&mut device.inner, device.now);
        assert_eq!(device.response().unwrap()[1], 0x90 | slot);
    }
    assert_eq!(device.result(), 0x24);
}

/// Media that cannot be formatted any more while they are.
#[derive(Default)]
struct Breaking(bool);

impl Media for Breaking {
    fn supports_format(&self) -> bool {
        !self.0
    }
    fn format(&mut self, _: Instant, _: Format) -> Poll<Result<(), MediaError>> {
        self.0 = true;
        Poll::Pending
    }
}

#[test]
fn a_format_that_ends_as_the_media_break_keeps_nobody_waiting() {
    let media = Parts::new(HealthReport::healthy()).with_media(Breaking::default());
    let mut device = Device::reference(media);
    assert_eq!(device.raw(&support::sealed(&format(1, 0).message())), None);
    device.endpoint.advance(&mut device.inner, device.now);
    let response = device.response().unwrap();
    assert_eq!(response[4], 3, "Invalid Command Opcode");
    // Namespace Management, to delete, waits for commands that must be alone.
    device.admin_ok(Admin {
        slot: 1,
        opcode: 0x0D,
        namespace: 2,
        dwords: [1, 0, 0, 0, 0, 0],
        ..ADMIN
    });
}

#[test]
fn abort_says_that_nothing_was_done_of_a_command_that_waits_for_the_other_slot() {
    let mut device = device();
    device.media().format_time = 60;
    assert_eq!(device.raw(&support::sealed(&format(1, 0).message())), None);
    assert_eq!(device.raw(&format_beside(1)), None);
    let abort = |slot| [0x84, slot, 0, 0, 2, 0, 0, 0];
    assert_eq!(device.request(&abort(1)), [0, 0, 1, 0]);
    assert_eq!(device.request(&abort(0)), [0, 0, 2, 0]);
}

/// Read NVMe-MI Data Structure, both health polls, and Configuration Get in command slot 1 succeed.
fn assert_management_goes_on(device: &mut Device<World>) {
    for (opcode, dword0) in [(0, 0), (1, 0), (2, 1 << 31 | 1 << 24), (4, 0x0100_0003)] {
        let mut message = vec![0x84, 9, 0, 0, opcode, 0, 0, 0];
        message.extend(u32::to_le_bytes(dword0));
        message.extend([0; 4]);
        assert_eq!(device.request(&message)[0], 0, "opcode {opcode:02X}h");
    }
}

#[test]
fn management_commands_go_on_during_a_format() {
    let mut device = device();
    device.media().format_time = 60;
    assert_eq!(device.raw(&support::sealed(&format(1, 0).message())), None);
    assert_management_goes_on(&mut device);
}

#[test]
fn management_commands_go_on_during_sanitizing_and_in_failure_mode() {
    let mut device = device();
    device.media().sanitize_fails = true;
    device.admin_ok(sanitize(BLOCK_ERASE));
    assert_eq!(device.sanitize_status() & 7, 2);
    assert_management_goes_on(&mut device);
    device.wait(60_000);
    assert_eq!(device.sanitize_status() & 7, 3);
    assert_management_goes_on(&mut device);
}

#[test]
fn a_drive_that_was_never_sanitized_says_so() {
    let log = device().sanitize_log();
    assert_eq!(field(&log, 0, 2), 0xFFFF);
    assert_eq!(field(&log, 2, 2), 0x100);
    assert_eq!(field(&log, 4, 4), 0);
    assert_eq!(log[8..32], [0xFF; 24]);
    assert_eq!(log[32..], [0; 480]);
}

#[test]
fn sanitizing_reports_its_progress_and_its_end() {
    let mut device = device();
    device.admin_ok(sanitize(BLOCK_ERASE));
    let log = device.sanitize_log();
    assert_eq!((field(&log, 0, 2), field(&log, 2, 2)), (0, 2));
    assert_eq!(field(&log, 4, 4), u64::from(BLOCK_ERASE));
    device.wait(2500);
    assert_eq!(field(&device.sanitize_log(), 0, 2), 0x8000);
    device.wait(2500);
    let log = device.sanitize_log();
    assert_eq!((field(&log, 0, 2), field(&log, 2, 2)), (0xFFFF, 0x101));
}

#[test]
fn a_repeated_sanitize_operation_finds_the_first_under_way_and_begins_after_its_end() {
    let mut device = device();
    device.admin_ok(sanitize(BLOCK_ERASE));
    let repeated = device.admin_status(sanitize(BLOCK_ERASE));
    assert_eq!(repeated, SANITIZE_IN_PROGRESS);
    device.wait(5000);
    device.admin_ok(sanitize(BLOCK_ERASE));
    assert_eq!(field(&device.sanitize_log(), 2, 2) & 7, 2);
}

#[test]
fn passes_of_overwriting_are_counted() {
    let mut device = device();
    device.admin_ok(sanitize(OVERWRITE | 4 << 4));
    device.wait(2500);
    assert_eq!(device.sanitize_status(), 2 << 3 | 2);
    device.wait(2500);
    assert_eq!(device.sanitize_status(), 0x100 | 4 << 3 | 1);
    device.admin_ok(sanitize(OVERWRITE));
    device.wait(5000);
    assert_eq!(device.sanitize_status(), 0x100 | 16 << 3 | 1);
}

#[test]
fn without_deallocation_the_status_says_so() {
    let mut device = device();
    device.admin_ok(sanitize(CRYPTO_ERASE | 1 << 9));
    device.wait(5000);
    assert_eq!(device.sanitize_status() & 7, 4);
}

#[test]
fn sanitize_actions_that_do_not_exist_are_refused() {
    let mut device = device();
    for dword10 in [0, 5, 6, 7, BLOCK_ERASE | 1 << 10] {
        assert_eq!(device.admin_status(sanitize(dword10)), INVALID_FIELD);
    }
    assert_eq!(device.sanitize_status() & 7, 0);
    let capabilities = field(&device.identify(0x01, 0), 328, 4);
    assert_eq!(capabilities & 7, 7);
}

#[test]
fn admin_commands_that_change_something_wait_for_the_end_of_sanitizing() {
    let mut device = device();
    device.admin_ok(sanitize(BLOCK_ERASE));
    let commit = Admin {
        opcode: 0x10,
        dwords: [2 << 3 | 2, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    for command in [
        sanitize(BLOCK_ERASE),
        sanitize(LEAVE_FAILURE_MODE),
        format(1, 0),
        self_test(ABORT, 0),
        commit,
    ] {
        assert_eq!(device.admin_status(command), SANITIZE_IN_PROGRESS);
    }
    device.identify(0x01, 0);
    device.log(0x02, 512);
    let timestamp = Admin {
        opcode: 0x0A,
        length: 8,
        dwords: [0x0E, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    device.admin_ok(timestamp);
    device.wait(5000);
    device.admin_ok(format(1, 0));
}

#[test]
fn sanitizing_goes_on_through_a_reset() {
    let mut device = device();
    device.admin_ok(sanitize(BLOCK_ERASE));
    device.inner.reset_subsystem();
    assert_eq!(device.sanitize_status(), 2);
    device.wait(5000);
    assert_eq!(device.sanitize_status() & 7, 1);
}

#[test]
fn an_operation_that_failed_leads_into_failure_mode() {
    let mut device = device();
    device.media().sanitize_fails = true;
    device.admin_ok(sanitize(BLOCK_ERASE));
    assert_eq!(device.subsystem_status() & 1 << 6, 0);
    device.wait(5000);
    assert_eq!(device.subsystem_status() & 1 << 6, 1 << 6);
    assert_eq!(device.sanitize_status() & 7, 3);
    assert_eq!(device.admin_status(format(1, 0)), SANITIZE_FAILED);
    assert_eq!(device.admin_status(self_test(SHORT, 0)), SANITIZE_FAILED);
    device.identify(0x01, 0);
}

#[test]
fn restricted_failure_mode_is_left_by_a_restricted_operation_only() {
    let mut device = device();
    device.media().sanitize_fails = true;
    device.admin_ok(sanitize(BLOCK_ERASE));
    device.wait(5000);
    assert_eq!(
        device.admin_status(sanitize(LEAVE_FAILURE_MODE)),
        SANITIZE_FAILED
    );
    assert_eq!(
        device.admin_status(sanitize(BLOCK_ERASE | UNRESTRICTED)),
        SANITIZE_FAILED
    );
    device.media().sanitize_fails = false;
    device.admin_ok(sanitize(BLOCK_ERASE));
    device.wait(5000);
    device.admin_ok(format(1, 0));
    assert_eq!(device.subsystem_status() & 1 << 6, 0);
}

#[test]
fn unrestricted_failure_mode_can_be_left() {
    let mut device = device();
    device.media().sanitize_fails = true;
    device.admin_ok(sanitize(BLOCK_ERASE | UNRESTRICTED));
    device.wait(5000);
    assert_eq!(device.admin_status(format(1, 0)), SANITIZE_FAILED);
    device.admin_ok(sanitize(LEAVE_FAILURE_MODE));
    device.admin_ok(format(1, 0));
    assert_eq!(device.subsystem_status() & 1 << 6, 0);
    assert_eq!(device.sanitize_status() & 7, 3);
}

#[test]
fn leaving_failure_mode_without_being_in_it_is_a_success() {
    device().admin_ok(sanitize(LEAVE_FAILURE_MODE));
}

#[test]
fn firmware_that_waits_for_a_reset_comes_before_sanitizing() {
    let mut device = device();
    let commit = Admin {
        opcode: 0x10,
        dwords: [2 << 3 | 2, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    device.admin_ok(commit);
    assert_eq!(device.admin_status(sanitize(BLOCK_ERASE)), NEEDS_RESET);
    device.inner.reset_subsystem();
    device.admin_ok(sanitize(BLOCK_ERASE));
}

#[test]
fn firmware_that_waits_no_more_lets_sanitizing_begin() {
    let mut device = device();
    for slot in [2, 1] {
        device.admin_ok(Admin {
            opcode: 0x10,
            dwords: [2 << 3 | slot, 0, 0, 0, 0, 0],
            ..ADMIN
        });
    }
    assert_eq!(
        device.log(0x03, 512)[0],
        1,
        "slot 1 runs, and no other waits"
    );
    device.admin_ok(sanitize(BLOCK_ERASE));
}

#[test]
fn sanitizing_empties_the_endpoint_buffer_and_says_so_once() {
    let subsystem = Box::leak(Box::new(support::reference_subsystem()));
    let world = Parts::new(HealthReport::healthy()).with_media(MemoryMedia::new());
    let mut device = Device::of(subsystem.model(), world);
    device = device.with_endpoint_buffer(64);
    assert_eq!(device.mi(0x0B, 0, 4, &[1, 2, 3, 4]), [0, 0, 0, 0]);
    device.admin_ok(sanitize(BLOCK_ERASE));
    assert_eq!(device.mi(0x0A, 0, 4, &[]), [0x22, 0, 0, 0]);
    assert_eq!(device.mi(0x0A, 0, 4, &[]), [0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn after_a_reset_nothing_is_said_of_a_buffer_that_sanitizing_emptied() {
    let mut device = device();
    device = device.with_endpoint_buffer(64);
    device.admin_ok(sanitize(BLOCK_ERASE));
    device.inner.reset_subsystem();
    assert_eq!(device.mi(0x0A, 0, 4, &[]), [0; 8]);
}

#[test]
fn what_the_media_cannot_do_does_not_exist() {
    let mut device = Device::reference(Parts::new(HealthReport::healthy()));
    for command in [self_test(SHORT, 0), format(1, 0), sanitize(BLOCK_ERASE)] {
        assert_eq!(device.admin(command), [3, 0, 0, 0]);
    }
    for log in [0x06, 0x81] {
        let command = Admin {
            opcode: 0x02,
            namespace: ALL,
            length: 4,
            dwords: [log, 0, 0, 0, 0, 0],
            ..ADMIN
        };
        assert_eq!(device.admin_status(command), 0x109);
    }
}

#[test]
fn the_effects_of_commands_are_what_they_do() {
    let log = device().log(0x05, 4096);
    for (opcode, effects) in [
        (0x0D, 0x0002_0009),
        (0x10, 0x0002_0011),
        (0x11, 0x0002_0001),
        (0x14, 0x0000_0001),
        (0x15, 0x0002_0009),
        (0x80, 0x0002_0007),
        (0x81, 0),
        (0x84, 0x0002_0003),
    ] {
        assert_eq!(field(&log, opcode * 4, 4), effects, "{opcode:02X}h");
    }
}
