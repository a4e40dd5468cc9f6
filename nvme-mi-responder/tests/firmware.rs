//! Firmware Image Download and Firmware Commit: the story of an update, and everything that goes
//! wrong in one.

mod support;

use core::task::Poll;

use nvme_mi_responder::ControllerId;
use nvme_mi_responder::world::{
    FirmwareError, FirmwareStore, HealthReport, MemoryFirmware, ResetHook, StreamedFirmware,
    firmware_image_header,
};
use support::{ADMIN, Admin, Device, NotSupported, Parts, field};

const AREA: usize = 32 * 1024;
const PAGE: usize = 4096;

const INVALID_FIELD: u16 = 0x002;
const INTERNAL_ERROR: u16 = 0x006;
const INVALID_SLOT: u16 = 0x106;
const INVALID_IMAGE: u16 = 0x107;
const NEEDS_CONTROLLER_RESET: u16 = 0x111;
const OVERLAPPING_RANGE: u16 = 0x114;

/// Actions of Firmware Commit.
const STORE: u32 = 0;
const STORE_AND_ACTIVATE_ON_RESET: u32 = 1;
const ACTIVATE_ON_RESET: u32 = 2;
const ACTIVATE: u32 = 3;

struct Resets;

impl ResetHook for Resets {
    fn supports_reset(&self) -> bool {
        true
    }
}

type Store = MemoryFirmware<'static, 3>;
type World<F> = Parts<HealthReport, F, NotSupported, Resets>;

/// Slot 1 read-only and active, slot 2 filled, slot 3 empty; 4 KiB granularity.
fn store() -> Store {
    let memory = Box::leak(vec![0; 4 * AREA].into_boxed_slice());
    let slots = [Some(*b"REF00001"), Some(*b"REF00002"), None];
    MemoryFirmware::new(memory, slots).with_read_only_first_slot()
}

fn device_with<F: FirmwareStore>(store: F) -> Device<World<F>> {
    let world = Parts::new(HealthReport::healthy())
        .with_firmware(store)
        .with_reset(Resets);
    Device::reference(world)
}

fn device() -> Device<World<Store>> {
    device_with(store())
}

/// An image of `pages` pages.
fn image(revision: &[u8; 8], pages: usize) -> Vec<u8> {
    let content: Vec<u8> = (0..pages * PAGE - 24)
        .map(|at| ((at * 31) >> 3) as u8)
        .collect();
    let mut image = firmware_image_header(*revision, &content).to_vec();
    image.extend(content);
    image
}

fn piece(offset: usize, data: &[u8]) -> Admin<'_> {
    Admin {
        opcode: 0x11,
        length: data.len() as u32,
        dwords: [data.len() as u32 / 4 - 1, offset as u32 / 4, 0, 0, 0, 0],
        data,
        ..ADMIN
    }
}

fn commit(slot: u32, action: u32) -> Admin<'static> {
    Admin {
        opcode: 0x10,
        dwords: [action << 3 | slot, 0, 0, 0, 0, 0],
        ..ADMIN
    }
}

impl<F: FirmwareStore> Device<World<F>> {
    fn download(&mut self, image: &[u8]) {
        for (index, page) in image.chunks(PAGE).enumerate() {
            assert_eq!(self.admin_ok(piece(index * PAGE, page)), (0, vec![]));
        }
    }

    /// The Reset command, which is not answered.
    fn reset(&mut self) {
        let mut message = vec![0x84, 0x08, 0, 0, 0x07];
        message.resize(16, 0);
        assert_eq!(self.raw(&support::sealed(&message)), None);
    }

    /// Composite Controller Status Flags, cleared.
    fn changes(&mut self) -> u16 {
        field(&self.mi(0x01, 0, 1 << 31, &[])[4..], 4, 2) as u16
    }

    fn firmware(&mut self) -> &mut F {
        &mut self.world().firmware
    }
}

const FIRMWARE_ACTIVATED: u16 = 1 << 7;

#[test]
fn an_update_runs_after_the_reset() {
    let mut device = device();
    let image = image(b"REF00003", 8);
    device.download(&image);
    device.admin_ok(commit(3, STORE_AND_ACTIVATE_ON_RESET));
    assert_eq!(device.firmware().revision(3), Some(*b"REF00003"));
    assert_eq!(device.firmware().active_slot(), 1);
    assert_eq!(device.firmware().next_slot(), Some(3));
    assert_eq!(device.firmware().running_revision(), Some(*b"REF00001"));
    device.reset();
    assert_eq!(device.firmware().active_slot(), 3);
    assert_eq!(device.firmware().next_slot(), None);
    assert_eq!(device.firmware().running_revision(), Some(*b"REF00003"));
    assert_eq!(device.firmware().image(3), Some(&image[..]));
    assert_eq!(device.changes() & FIRMWARE_ACTIVATED, FIRMWARE_ACTIVATED);
}

#[test]
fn every_report_says_which_firmware_runs_and_which_will() {
    /// Controller Health Status Poll: all controllers that are plain PCI functions, at most two.
    const ALL_CONTROLLERS: u32 = 1 << 31 | 1 << 24 | 1 << 16;
    let mut device = device();
    let log = Admin {
        opcode: 0x02,
        namespace: u32::MAX,
        length: 64,
        dwords: [127 << 16 | 0x03, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    let revision = Admin {
        opcode: 0x06,
        offset: 64,
        length: 8,
        dwords: [1, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    device.download(&image(b"REF00003", 2));
    device.admin_ok(commit(3, STORE_AND_ACTIVATE_ON_RESET));
    let (_, waiting) = device.admin_ok(log);
    assert_eq!(waiting[0], 3 << 4 | 1);
    assert_eq!(waiting[8..32], *b"REF00001REF00002REF00003");
    assert_eq!(device.admin_ok(revision).1, b"REF00001");
    device.reset();
    let (_, running) = device.admin_ok(log);
    assert_eq!(running[0], 3);
    assert_eq!(running[8..], waiting[8..]);
    for controller in 0..2 {
        let revision = Admin {
            controller,
            ..revision
        };
        assert_eq!(device.admin_ok(revision).1, b"REF00003");
    }
    let health = device.mi(0x02, ALL_CONTROLLERS, 0, &[]);
    assert_eq!(health[3], 2, "controllers");
    for controller in health[4..].chunks(16) {
        let [status, changed] = [2, 9].map(|offset| field(controller, offset, 2) as u16);
        assert_eq!(status & FIRMWARE_ACTIVATED, FIRMWARE_ACTIVATED);
        assert_eq!(changed & FIRMWARE_ACTIVATED, FIRMWARE_ACTIVATED);
    }
}

#[test]
fn a_reset_without_a_waiting_image_activates_nothing() {
    let mut device = device();
    device.download(&image(b"REF00003", 2));
    device.admin_ok(commit(3, STORE));
    device.reset();
    assert_eq!(device.firmware().active_slot(), 1);
    assert_eq!(device.changes() & FIRMWARE_ACTIVATED, 0);
}

#[test]
fn a_stored_image_can_be_activated_later() {
    let mut device = device();
    device.download(&image(b"REF00003", 2));
    device.admin_ok(commit(3, STORE));
    device.admin_ok(commit(3, ACTIVATE_ON_RESET));
    assert_eq!(device.firmware().next_slot(), Some(3));
    device.reset();
    assert_eq!(device.firmware().running_revision(), Some(*b"REF00003"));
}

#[test]
fn the_image_that_was_there_before_can_be_activated() {
    let mut device = device();
    device.admin_ok(commit(2, ACTIVATE_ON_RESET));
    device.reset();
    assert_eq!(device.firmware().running_revision(), Some(*b"REF00002"));
    device.admin_ok(commit(1, ACTIVATE_ON_RESET));
    device.reset();
    assert_eq!(device.firmware().running_revision(), Some(*b"REF00001"));
}

#[test]
fn an_image_is_activated_at_once_where_the_device_can() {
    let mut device = device_with(store().with_immediate_activation());
    device.download(&image(b"REF00003", 2));
    device.admin_ok(commit(3, ACTIVATE));
    assert_eq!(device.firmware().active_slot(), 3);
    assert_eq!(device.firmware().running_revision(), Some(*b"REF00003"));
    assert_eq!(device.changes() & FIRMWARE_ACTIVATED, FIRMWARE_ACTIVATED);
}

#[test]
fn an_image_that_is_activated_at_once_takes_the_turn_of_one_that_waited() {
    let mut device = device_with(store().with_immediate_activation());
    device.admin_ok(commit(2, ACTIVATE_ON_RESET));
    device.admin_ok(commit(1, ACTIVATE));
    assert_eq!(device.firmware().next_slot(), None);
    device.reset();
    assert_eq!(device.firmware().active_slot(), 1);
}

#[test]
fn immediate_activation_without_a_download_is_of_what_is_stored() {
    let mut device = device_with(store().with_immediate_activation());
    device.admin_ok(commit(2, ACTIVATE));
    assert_eq!(device.firmware().running_revision(), Some(*b"REF00002"));
}

#[test]
fn a_repeated_commit_stores_nothing() {
    for action in [STORE, STORE_AND_ACTIVATE_ON_RESET] {
        let mut device = device();
        device.download(&image(b"REF00003", 2));
        device.admin_ok(commit(3, action));
        assert_eq!(device.admin_status(commit(3, action)), INVALID_IMAGE);
        assert_eq!(device.firmware().revision(3), Some(*b"REF00003"));
    }
}

#[test]
fn a_repeated_activation_succeeds() {
    let mut device = device_with(store().with_immediate_activation());
    for action in [ACTIVATE_ON_RESET, ACTIVATE] {
        device.admin_ok(commit(2, action));
        device.admin_ok(commit(2, action));
    }
    assert_eq!(device.firmware().active_slot(), 2);
}

#[test]
fn a_repeated_immediate_activation_in_any_slot_does_not_bring_the_old_image_back() {
    let mut device = device_with(store().with_immediate_activation());
    device.download(&image(b"REF00003", 2));
    device.admin_ok(commit(0, ACTIVATE));
    assert_eq!(device.admin_status(commit(0, ACTIVATE)), INVALID_IMAGE);
    assert_eq!(device.firmware().running_revision(), Some(*b"REF00003"));
}

#[test]
fn immediate_activation_waits_for_a_reset_where_the_device_cannot() {
    let mut device = device();
    device.download(&image(b"REF00003", 2));
    assert_eq!(
        device.admin_status(commit(3, ACTIVATE)),
        NEEDS_CONTROLLER_RESET
    );
    assert_eq!(device.firmware().revision(3), Some(*b"REF00003"));
    assert_eq!(device.firmware().next_slot(), Some(3));
    assert_eq!(device.changes() & FIRMWARE_ACTIVATED, 0);
    device.reset();
    assert_eq!(device.firmware().running_revision(), Some(*b"REF00003"));
}

#[test]
fn an_image_over_the_running_one_runs_after_the_reset() {
    let mut device = device();
    device.admin_ok(commit(2, ACTIVATE_ON_RESET));
    device.reset();
    device.changes();
    device.download(&image(b"REF00003", 2));
    device.admin_ok(commit(2, STORE));
    assert_eq!(device.firmware().revision(2), Some(*b"REF00003"));
    assert_eq!(device.firmware().running_revision(), Some(*b"REF00002"));
    device.reset();
    assert_eq!(device.firmware().running_revision(), Some(*b"REF00003"));
    assert_eq!(device.changes() & FIRMWARE_ACTIVATED, FIRMWARE_ACTIVATED);
}

#[test]
fn pieces_come_in_any_order() {
    let image = image(b"REF00003", 8);
    let orders: [[usize; 8]; 3] = [
        [7, 6, 5, 4, 3, 2, 1, 0],
        [1, 3, 5, 7, 0, 2, 4, 6],
        [4, 0, 2, 6, 1, 7, 5, 3],
    ];
    for order in orders {
        let mut device = device();
        for index in order {
            let at = index * PAGE;
            device.admin_ok(piece(at, &image[at..at + PAGE]));
        }
        device.admin_ok(commit(3, STORE));
        assert_eq!(device.firmware().image(3), Some(&image[..]));
    }
}

#[test]
fn pieces_of_any_length_make_an_image_where_the_device_takes_them() {
    let mut device = device_with(store().with_pieces_of_any_length());
    let image = image(b"REF00003", 3);
    let mut at = 0;
    for length in [4, 64, 4096, 2048, 12, 3996].into_iter().cycle() {
        let end = (at + length).min(image.len());
        device.admin_ok(piece(at, &image[at..end]));
        at = end;
        if at == image.len() {
            break;
        }
    }
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().image(3), Some(&image[..]));
}

#[test]
fn both_controllers_and_slots_serve_the_same_download() {
    let mut device = device();
    let image = image(b"REF00003", 4);
    for (index, page) in image.chunks(PAGE).enumerate() {
        let command = Admin {
            controller: index as u16 & 1,
            slot: index as u8 >> 1 & 1,
            ..piece(index * PAGE, page)
        };
        device.admin_ok(command);
    }
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().image(3), Some(&image[..]));
}

#[test]
fn an_overlap_is_refused_and_costs_nothing() {
    let mut device = device_with(store().with_pieces_of_any_length());
    let image = image(b"REF00003", 4);
    device.admin_ok(piece(0, &image[..PAGE]));
    device.admin_ok(piece(2 * PAGE, &image[2 * PAGE..3 * PAGE]));
    let wrong = [0xEE; PAGE];
    for (offset, length) in [
        (4, PAGE),
        (PAGE - 4, 4),
        (2 * PAGE, PAGE),
        (2 * PAGE, 4),
        (2 * PAGE + 100, 4),
        (3 * PAGE - 4, 8),
        (2 * PAGE - 4, 8),
        (PAGE + 4, PAGE),
    ] {
        let command = piece(offset, &wrong[..length]);
        assert_eq!(
            device.admin_status(command),
            OVERLAPPING_RANGE,
            "{offset} {length}"
        );
    }
    device.admin_ok(piece(PAGE, &image[PAGE..2 * PAGE]));
    device.admin_ok(piece(3 * PAGE, &image[3 * PAGE..]));
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().image(3), Some(&image[..]));
}

#[test]
fn an_overlap_must_not_be_tried_again() {
    let mut device = device();
    let page = [0; PAGE];
    device.admin_ok(piece(PAGE, &page));
    let response = device.admin(piece(PAGE, &[1; PAGE]));
    assert_eq!(field(&response, 12, 4) >> 17, 0x4114);
}

/// Slots as in [`store`], of which the revisions are all that is kept.
fn streamed() -> StreamedFirmware<3> {
    StreamedFirmware::new([Some(*b"REF00001"), Some(*b"REF00002"), None])
        .with_read_only_first_slot()
}

/// Sends every piece twice, as a host does that gets no response to the first one.
fn download_repeating<F: FirmwareStore>(device: &mut Device<World<F>>, image: &[u8]) {
    for (index, page) in image.chunks(PAGE).enumerate() {
        for _ in 0..2 {
            assert_eq!(device.admin_ok(piece(index * PAGE, page)), (0, vec![]));
        }
    }
}

#[test]
fn a_piece_that_is_repeated_at_once_succeeds_and_the_image_is_whole() {
    let image = image(b"REF00003", 4);
    let mut device = device();
    download_repeating(&mut device, &image);
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().image(3), Some(&image[..]));

    // It would refuse a piece that is written twice.
    let mut device = device_with(streamed());
    download_repeating(&mut device, &image);
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().revision(3), Some(*b"REF00003"));
}

/// What is true of both kinds of stores.
fn only_the_last_piece_can_be_repeated<F: FirmwareStore>(mut device: Device<World<F>>) {
    let image = image(b"REF00003", 4);
    let page = |index: usize| piece(index * PAGE, &image[index * PAGE..][..PAGE]);
    for index in 0..3 {
        device.admin_ok(page(index));
    }
    let mut other = image[2 * PAGE..3 * PAGE].to_vec();
    other[PAGE - 1] ^= 1;
    let with_other_bytes = piece(2 * PAGE, &other);
    assert_eq!(device.admin_status(with_other_bytes), OVERLAPPING_RANGE);
    assert_eq!(device.admin_status(page(1)), OVERLAPPING_RANGE);
    device.admin_ok(page(2));
    device.admin_ok(page(3));
    assert_eq!(device.admin_status(page(2)), OVERLAPPING_RANGE);
    device.admin_ok(page(3));
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().revision(3), Some(*b"REF00003"));
}

#[test]
fn a_piece_with_other_bytes_and_one_before_the_last_overlap() {
    only_the_last_piece_can_be_repeated(device());
    only_the_last_piece_can_be_repeated(device_with(streamed()));
}

#[test]
fn the_same_piece_by_another_command_is_no_repetition() {
    let mut device = device();
    let data = [0; PAGE];
    device.admin_ok(piece(PAGE, &data));
    for (slot, controller) in [(1, 0), (0, 1)] {
        let other = Admin {
            slot,
            controller,
            ..piece(PAGE, &data)
        };
        assert_eq!(device.admin_status(other), OVERLAPPING_RANGE);
    }
    device.admin_ok(piece(PAGE, &data));
}

#[test]
fn a_part_of_the_last_piece_is_no_repetition() {
    let mut device = device_with(store().with_pieces_of_any_length());
    let data = [0; PAGE];
    device.admin_ok(piece(PAGE, &data));
    for (offset, length) in [(PAGE, PAGE - 4), (PAGE + 4, PAGE - 4), (PAGE - 4, PAGE)] {
        let part = piece(offset, &data[..length]);
        assert_eq!(device.admin_status(part), OVERLAPPING_RANGE);
    }
}

/// What is true of both kinds of stores.
fn a_first_piece_is_repeated_or_starts_over<F: FirmwareStore>(mut device: Device<World<F>>) {
    let (first, second) = (image(b"REF00003", 2), image(b"REF00004", 2));
    device.admin_ok(piece(0, &first[..PAGE]));
    device.admin_ok(piece(0, &first[..PAGE]));
    device.admin_ok(piece(PAGE, &first[PAGE..]));
    // After another piece, the same one begins again.
    device.admin_ok(piece(0, &first[..PAGE]));
    device.admin_ok(piece(PAGE, &first[PAGE..]));
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().revision(3), Some(*b"REF00003"));
    // With other bytes, it begins again in any case.
    device.admin_ok(piece(0, &first[..PAGE]));
    device.download(&second);
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().revision(3), Some(*b"REF00004"));
}

#[test]
fn a_first_piece_is_a_repetition_after_itself_and_otherwise_starts_over() {
    a_first_piece_is_repeated_or_starts_over(device());
    a_first_piece_is_repeated_or_starts_over(device_with(streamed()));
}

/// What is true of both kinds of stores.
fn nothing_is_repeated_after_a_commit<F: FirmwareStore>(mut device: Device<World<F>>) {
    let image = image(b"REF00003", 1);
    device.admin_ok(piece(0, &image));
    device.admin_ok(commit(3, STORE));
    // The download of another one, which a commit of a wrong slot ends as well.
    device.admin_ok(piece(0, &image));
    assert_eq!(device.admin_status(commit(1, STORE)), INVALID_SLOT);
    device.admin_ok(piece(0, &image));
    device.admin_ok(commit(2, STORE));
    assert_eq!(device.firmware().revision(2), Some(*b"REF00003"));
    assert_eq!(device.admin_status(commit(2, STORE)), INVALID_IMAGE);
}

#[test]
fn a_piece_after_a_commit_is_no_repetition() {
    nothing_is_repeated_after_a_commit(device());
    nothing_is_repeated_after_a_commit(device_with(streamed()));
}

#[test]
fn a_piece_after_a_reset_is_no_repetition() {
    let mut device = device();
    let image = image(b"REF00003", 1);
    device.admin_ok(piece(0, &image));
    device.reset();
    device.admin_ok(piece(0, &image));
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().image(3), Some(&image[..]));
}

#[test]
fn an_image_with_a_gap_is_not_committed_and_the_slot_keeps_its_own() {
    for missing in 0..4 {
        let mut device = device();
        let image = image(b"REF00003", 4);
        for (index, page) in image.chunks(PAGE).enumerate() {
            if index != missing {
                device.admin_ok(piece(index * PAGE, page));
            }
        }
        let command = commit(2, STORE_AND_ACTIVATE_ON_RESET);
        assert_eq!(device.admin_status(command), INVALID_IMAGE, "{missing}");
        assert_eq!(device.firmware().revision(2), Some(*b"REF00002"));
        assert_eq!(device.firmware().next_slot(), None);
    }
}

#[test]
fn nothing_downloaded_is_an_invalid_image() {
    let mut device = device();
    for action in [STORE, STORE_AND_ACTIVATE_ON_RESET] {
        assert_eq!(device.admin_status(commit(2, action)), INVALID_IMAGE);
    }
    assert_eq!(device.firmware().revision(2), Some(*b"REF00002"));
}

#[test]
fn a_bad_image_is_refused_and_the_slot_keeps_its_own() {
    let mut device = device();
    let good = image(b"REF00004", 2);
    device.download(&good);
    device.admin_ok(commit(3, STORE));
    let mut bad = image(b"REF00005", 2);
    bad[PAGE + 1] ^= 1;
    device.download(&bad);
    let command = commit(3, STORE_AND_ACTIVATE_ON_RESET);
    assert_eq!(device.admin_status(command), INVALID_IMAGE);
    assert_eq!(device.firmware().image(3), Some(&good[..]));
    assert_eq!(device.firmware().revision(3), Some(*b"REF00004"));
    assert_eq!(device.firmware().next_slot(), None);
}

#[test]
fn a_bad_image_ends_the_download() {
    let mut device = device();
    let mut bad = image(b"REF00003", 2);
    bad[0] ^= 1;
    device.download(&bad);
    assert_eq!(device.admin_status(commit(3, STORE)), INVALID_IMAGE);
    let good = image(b"REF00003", 2);
    device.download(&good);
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().image(3), Some(&good[..]));
}

#[test]
fn pieces_that_are_not_whole_pages_are_refused_where_pages_are_required() {
    let mut device = device();
    let data = [0; PAGE];
    for (offset, length) in [
        (4, PAGE),
        (PAGE - 4, PAGE),
        (0, 4),
        (PAGE, PAGE - 4),
        (4, PAGE - 4),
    ] {
        let command = piece(offset, &data[..length]);
        assert_eq!(
            device.admin_status(command),
            INVALID_FIELD,
            "{offset} {length}"
        );
    }
    device.admin_ok(piece(PAGE, &data));
}

#[test]
fn pieces_beyond_the_longest_image_are_refused() {
    let mut device = device();
    let data = [0; PAGE];
    device.admin_ok(piece(AREA - PAGE, &data));
    assert_eq!(device.admin_status(piece(AREA, &data)), INVALID_FIELD);
    let last = Admin {
        dwords: [1023, u32::MAX, 0, 0, 0, 0],
        ..piece(0, &data)
    };
    assert_eq!(device.admin_status(last), INVALID_FIELD);
    let mut device = device_with(store().with_pieces_of_any_length());
    let too_long = piece(AREA - 4, &data[..8]);
    assert_eq!(device.admin_status(too_long), INVALID_FIELD);
    device.admin_ok(piece(AREA - 4, &data[..4]));
}

#[test]
fn a_length_that_is_not_that_of_the_data_is_refused_at_its_field() {
    let mut device = device();
    let data = [0; PAGE];
    for dwords in [0, 1022, 1024, u32::MAX] {
        let command = Admin {
            dwords: [dwords, 0, 0, 0, 0, 0],
            ..piece(0, &data)
        };
        assert_eq!(device.admin(command), [4, 0, 32, 0], "{dwords}");
    }
}

#[test]
fn more_or_less_data_than_the_data_length_says_is_refused() {
    let mut device = device();
    let data = [0; PAGE];
    let too_short = Admin {
        data: &data[..PAGE - 4],
        ..piece(0, &data)
    };
    assert_eq!(device.admin(too_short), [6, 0, 0, 0]);
    let longer = [0; PAGE + 4];
    let too_long = Admin {
        data: &longer,
        ..piece(0, &data)
    };
    assert_eq!(device.admin(too_long), [6, 0, 0, 0]);
}

#[test]
fn data_without_a_data_length_are_taken_as_libnvme_before_1_11_sends_them() {
    let mut device = device();
    let image = image(b"REF00003", 1);
    let command = Admin {
        flags: 0,
        length: 0,
        ..piece(0, &image)
    };
    device.admin_ok(command);
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().image(3), Some(&image[..]));
    let wrong = Admin {
        data: &image[..PAGE - 4],
        ..command
    };
    assert_eq!(device.admin(wrong), [6, 0, 0, 0]);
}

#[test]
fn a_slot_that_does_not_exist_is_refused_and_the_download_stays() {
    let mut device = device();
    let image = image(b"REF00003", 2);
    device.download(&image);
    for slot in 4..8 {
        for action in [
            STORE,
            STORE_AND_ACTIVATE_ON_RESET,
            ACTIVATE_ON_RESET,
            ACTIVATE,
        ] {
            assert_eq!(device.admin_status(commit(slot, action)), INVALID_SLOT);
        }
    }
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().image(3), Some(&image[..]));
}

#[test]
fn a_read_only_slot_is_refused_and_the_download_stays() {
    let mut device = device();
    let image = image(b"REF00003", 2);
    device.download(&image);
    for action in [STORE, STORE_AND_ACTIVATE_ON_RESET, ACTIVATE] {
        assert_eq!(device.admin_status(commit(1, action)), INVALID_SLOT);
    }
    assert_eq!(device.firmware().revision(1), Some(*b"REF00001"));
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().image(3), Some(&image[..]));
}

#[test]
fn an_empty_slot_is_not_activated() {
    let mut device = device();
    for action in [ACTIVATE_ON_RESET, ACTIVATE] {
        assert_eq!(device.admin_status(commit(3, action)), INVALID_IMAGE);
    }
    assert_eq!(device.firmware().next_slot(), None);
}

#[test]
fn reserved_actions_and_those_of_boot_partitions_are_refused() {
    let mut device = device();
    device.download(&image(b"REF00003", 2));
    for action in 4..8 {
        assert_eq!(device.admin_status(commit(3, action)), INVALID_FIELD);
    }
    assert_eq!(device.firmware().revision(3), None);
}

#[test]
fn reserved_bits_of_a_commit_are_ignored() {
    let mut device = device();
    device.download(&image(b"REF00003", 2));
    let command = Admin {
        dwords: [
            0x7FFF_FFC3,
            u32::MAX,
            u32::MAX,
            u32::MAX,
            u32::MAX,
            u32::MAX,
        ],
        ..commit(0, 0)
    };
    device.admin_ok(command);
    assert_eq!(device.firmware().revision(3), Some(*b"REF00003"));
}

#[test]
fn slot_zero_is_the_first_empty_one_and_then_one_that_is_neither_active_nor_next() {
    let mut device = device();
    device.download(&image(b"REF00003", 2));
    device.admin_ok(commit(0, STORE));
    assert_eq!(device.firmware().revision(3), Some(*b"REF00003"));
    device.download(&image(b"REF00004", 2));
    device.admin_ok(commit(0, STORE_AND_ACTIVATE_ON_RESET));
    assert_eq!(device.firmware().revision(2), Some(*b"REF00004"));
    device.download(&image(b"REF00005", 2));
    device.admin_ok(commit(0, STORE));
    assert_eq!(device.firmware().revision(3), Some(*b"REF00005"));
    device.reset();
    assert_eq!(device.firmware().running_revision(), Some(*b"REF00004"));
}

#[test]
fn slot_zero_of_an_activation_is_the_first_image_that_does_not_run() {
    let mut device = device();
    device.admin_ok(commit(0, ACTIVATE_ON_RESET));
    assert_eq!(device.firmware().next_slot(), Some(2));
}

#[test]
fn slot_zero_is_refused_when_there_is_none_to_choose() {
    let memory = Box::leak(vec![0; 2 * AREA].into_boxed_slice());
    let store = MemoryFirmware::new(memory, [Some(*b"REF00001")]);
    let mut device = device_with(store);
    device.download(&image(b"REF00003", 2));
    assert_eq!(device.admin_status(commit(0, STORE)), INVALID_SLOT);
    device.admin_ok(commit(1, STORE));
}

#[test]
fn a_download_that_was_interrupted_starts_over() {
    for done in 1..8 {
        let mut device = device();
        let first = image(b"REF00003", 8);
        for (index, page) in first.chunks(PAGE).take(done).enumerate() {
            device.admin_ok(piece(index * PAGE, page));
        }
        let second = image(b"REF00004", 6);
        device.download(&second);
        device.admin_ok(commit(3, STORE));
        assert_eq!(device.firmware().image(3), Some(&second[..]), "{done}");
    }
}

#[test]
fn a_download_can_be_repeated_before_the_commit() {
    let mut device = device();
    let image = image(b"REF00003", 8);
    device.download(&image);
    device.download(&image);
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().image(3), Some(&image[..]));
}

#[test]
fn the_first_piece_can_be_the_last_to_come() {
    let mut device = device();
    let image = image(b"REF00003", 2);
    device.admin_ok(piece(PAGE, &image[PAGE..]));
    device.admin_ok(piece(0, &image[..PAGE]));
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().image(3), Some(&image[..]));
}

#[test]
fn a_commit_discards_the_download() {
    let mut device = device();
    device.download(&image(b"REF00003", 2));
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.admin_status(commit(2, STORE)), INVALID_IMAGE);
    assert_eq!(device.firmware().revision(2), Some(*b"REF00002"));
}

#[test]
fn a_commit_that_only_activates_ends_the_download_too() {
    let mut device = device_with(store().with_immediate_activation());
    device.download(&image(b"REF00003", 1));
    device.admin_ok(commit(2, ACTIVATE_ON_RESET));
    // There is nothing to store before: what is activated is the image of the slot.
    device.admin_ok(commit(2, ACTIVATE));
    assert_eq!(device.firmware().running_revision(), Some(*b"REF00002"));
    assert_eq!(device.admin_status(commit(3, STORE)), INVALID_IMAGE);
}

#[test]
fn the_first_piece_after_a_commit_begins_another_download() {
    let mut device = device();
    let image = image(b"REF00003", 2);
    device.admin_ok(piece(PAGE, &[0xEE; PAGE]));
    assert_eq!(device.admin_status(commit(1, STORE)), INVALID_SLOT);
    device.admin_ok(piece(PAGE, &image[PAGE..]));
    device.admin_ok(piece(0, &image[..PAGE]));
    device.admin_ok(commit(3, STORE));
    assert_eq!(device.firmware().image(3), Some(&image[..]));
}

#[test]
fn a_reset_discards_the_download_and_nothing_that_was_committed() {
    let mut device = device();
    let committed = image(b"REF00003", 2);
    device.download(&committed);
    device.admin_ok(commit(3, STORE));
    device.download(&image(b"REF00004", 2));
    device.reset();
    assert_eq!(device.admin_status(commit(3, STORE)), INVALID_IMAGE);
    assert_eq!(device.firmware().image(3), Some(&committed[..]));
}

#[test]
fn a_controller_level_reset_activates_and_discards_as_another_reset_does() {
    let mut device = device();
    device.download(&image(b"REF00003", 2));
    device.admin_ok(commit(3, STORE_AND_ACTIVATE_ON_RESET));
    let pages = image(b"REF00004", 2);
    device.admin_ok(piece(0, &pages[..PAGE]));
    device.changes();
    device.inner.reset_controller(ControllerId(1)).unwrap();
    assert_eq!(device.firmware().running_revision(), Some(*b"REF00003"));
    assert_eq!(device.changes() & FIRMWARE_ACTIVATED, FIRMWARE_ACTIVATED);
    device.admin_ok(piece(PAGE, &pages[PAGE..]));
    assert_eq!(device.admin_status(commit(2, STORE)), INVALID_IMAGE);
}

#[test]
fn images_over_images_are_each_what_was_sent() {
    let mut device = device();
    for (round, slot) in [2, 3, 2, 3, 3, 2].into_iter().enumerate() {
        let revision = [b'R', b'E', b'V', b'0', b'0', b'0', b'0', b'0' + round as u8];
        let image = image(&revision, round + 1);
        device.download(&image);
        device.admin_ok(commit(slot, STORE));
        assert_eq!(device.firmware().image(slot as u8), Some(&image[..]));
        assert_eq!(device.firmware().revision(slot as u8), Some(revision));
    }
}

#[test]
fn more_gaps_than_can_be_kept_are_refused_until_some_are_filled() {
    let mut device = device_with(store().with_pieces_of_any_length());
    let dword = [0; 4];
    for index in 0..16 {
        device.admin_ok(piece(index * 8, &dword));
    }
    let response = device.admin(piece(128, &dword));
    assert_eq!(field(&response, 12, 4) >> 17, u64::from(INTERNAL_ERROR));
    device.admin_ok(piece(124, &dword));
    device.admin_ok(piece(4, &dword));
    device.admin_ok(piece(136, &dword));
}

#[test]
fn a_device_without_a_store_has_no_firmware_commands() {
    let mut device = Device::reference(Parts::new(HealthReport::healthy()));
    assert_eq!(device.admin(piece(0, &[0; 4])), [3, 0, 0, 0]);
    assert_eq!(device.admin(commit(0, 0)), [3, 0, 0, 0]);
}

#[test]
fn firmware_commands_are_in_the_list_of_optional_commands_of_a_device_that_has_them() {
    let list = device().mi(0x00, 4 << 24, 0, &[]);
    assert!(list[6..].chunks(2).any(|entry| entry == [0x10, 0x10]));
    assert!(list[6..].chunks(2).any(|entry| entry == [0x10, 0x11]));
}

impl Device<World<Slow>> {
    /// Sends a command that is not answered at once.
    fn send(&mut self, command: Admin<'_>) {
        assert_eq!(self.raw(&support::sealed(&command.message())), None);
    }

    /// The slot and content, from byte 4, of the response that comes after a while.
    fn wait(&mut self) -> (u8, Vec<u8>) {
        for _ in 0..8 {
            self.now = self.now.after(10);
            self.endpoint.advance(&mut self.inner, self.now);
            if let Some(response) = self.response() {
                let end = response.len() - 4;
                return (response[1] & 1, response[4..end].to_vec());
            }
        }
        panic!("no response");
    }

    fn finish(&mut self, command: Admin<'_>) -> Vec<u8> {
        self.send(command);
        self.wait().1
    }
}

#[test]
fn a_download_of_one_dword_is_answered_byte_for_byte() {
    let mut device = device_with(store().with_pieces_of_any_length());
    let request = piece(0, &[1, 2, 3, 4]).message();
    let mut expected = vec![0x84, 0x10, 0, 0, 0x11, 1, 0, 0];
    expected.resize(32, 0);
    expected.extend([4, 0, 0, 0]);
    expected.resize(68, 0);
    expected.extend([1, 2, 3, 4]);
    assert_eq!(request, expected);
    let mut answer = vec![0x84, 0x90];
    answer.resize(20, 0);
    answer.extend([0x47, 0x4D, 0x00, 0x88]);
    assert_eq!(device.raw(&support::sealed(&request)), Some(answer));
}

#[test]
fn three_mebibytes_arrive_as_they_were_sent() {
    let memory = Box::leak(vec![0; 4 * (3 << 20)].into_boxed_slice());
    let slots = [Some(*b"REF00001"), Some(*b"REF00002"), None];
    let mut device = device_with(MemoryFirmware::new(memory, slots));
    let image = image(b"REF00003", 768);
    let killed_at = 500 * PAGE;
    device.download(&image[..killed_at]);
    device.download(&image);
    device.admin_ok(commit(3, STORE_AND_ACTIVATE_ON_RESET));
    device.reset();
    assert!(device.firmware().image(3) == Some(&image[..]));
    assert_eq!(device.firmware().running_revision(), Some(*b"REF00003"));
}

/// Bytes of a page of [`Pages`].
const PIECE: usize = 1024;

/// What the specification says of a download, for comparison: which pages are there. And which
/// piece came last, with its bytes, as a requester repeats it.
#[derive(Default)]
struct Pages {
    present: [bool; 8],
    ended: bool,
    last: Option<(usize, Vec<u8>)>,
}

impl Pages {
    fn download(&mut self, at: usize, data: &[u8]) -> Option<u16> {
        let count = data.len() / PIECE;
        if at + count > 8 {
            return Some(INVALID_FIELD);
        }
        let piece = Some((at, data.to_vec()));
        if !self.ended && self.last == piece {
            return None;
        }
        if self.ended || at == 0 && self.present[0] {
            *self = Self::default();
        }
        if self.present[at..at + count].contains(&true) {
            return Some(OVERLAPPING_RANGE);
        }
        self.present[at..at + count].fill(true);
        self.last = piece;
        None
    }

    fn commit(&mut self, slot: u32, good: bool) -> Option<u16> {
        self.ended = true;
        if !(2..=3).contains(&slot) {
            return Some(INVALID_SLOT);
        }
        let whole = self
            .present
            .iter()
            .skip_while(|page| **page)
            .all(|page| !page);
        let good = good && whole && self.present[0];
        self.present = [false; 8];
        self.last = None;
        (!good).then_some(INVALID_IMAGE)
    }
}

#[test]
fn any_order_of_downloads_and_commits_is_answered_as_specified() {
    let memory = Box::leak(vec![0; 4 * 8 * PIECE].into_boxed_slice());
    let slots = [Some(*b"REF00001"), Some(*b"REF00002"), None];
    let store = MemoryFirmware::new(memory, slots)
        .with_read_only_first_slot()
        .with_pieces_of_any_length()
        .with_verification(|image| (image.len() > PIECE).then_some(*b"TAKEN   "));
    let mut device = device_with(store);
    let mut expected = Pages::default();
    let mut contents = vec![0; 8 * PIECE];
    let mut random = 1u32;
    let mut next = |limit: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) % limit
    };
    let (mut taken, mut refused, mut repeated) = (0, 0, 0);
    let mut sent = (0, vec![0; PIECE]);
    for round in 0..8_000u32 {
        let status = if next(4) > 0 {
            if next(4) > 0 {
                let (at, count) = (next(9) as usize, 1 + next(3) as usize);
                sent = (at, vec![round as u8; count * PIECE]);
            }
            let (at, data) = sent.clone();
            let is_last = expected.last.as_ref() == Some(&sent);
            repeated += u32::from(is_last && !expected.ended);
            let status = expected.download(at, &data);
            if status.is_none() {
                contents[at * PIECE..][..data.len()].copy_from_slice(&data);
            }
            assert_eq!(device.outcome(piece(at * PIECE, &data)), status, "{round}");
            status
        } else {
            let slot = 1 + next(4);
            let pages = expected.present.iter().take_while(|page| **page).count();
            let before: Vec<_> = (1..=3).map(|slot| device.image(slot)).collect();
            let status = expected.commit(slot, pages > 1);
            assert_eq!(device.outcome(commit(slot, STORE)), status, "{round}");
            for other in 1..=3 {
                let mut kept = before[other as usize - 1].clone();
                if status.is_none() && u32::from(other) == slot {
                    kept = Some(contents[..pages * PIECE].to_vec());
                }
                assert_eq!(device.image(other), kept, "{round}");
            }
            status
        };
        match status {
            None => taken += 1,
            Some(_) => refused += 1,
        }
    }
    let counts = [taken, refused, repeated];
    assert!(counts.iter().all(|count| *count > 400), "{counts:?}");
}

impl Device<World<Store>> {
    /// The completion status, `None` for success.
    fn outcome(&mut self, command: Admin<'_>) -> Option<u16> {
        let response = self.admin(command);
        assert_eq!(response[..4], [0; 4]);
        let status = field(&response, 12, 4) >> 17;
        (status != 0).then_some(status as u16 & 0x7FF)
    }

    fn image(&mut self, slot: u8) -> Option<Vec<u8>> {
        self.firmware().image(slot).map(<[u8]>::to_vec)
    }
}

/// A store that takes its time, and fails when told to.
struct Slow {
    inner: Store,
    left: u8,
    result: Option<FirmwareError>,
    written: usize,
}

impl Slow {
    fn new() -> Self {
        Self {
            inner: store(),
            left: 3,
            result: None,
            written: 0,
        }
    }

    fn is_busy(&mut self) -> bool {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => self.left = 3,
        }
        self.left != 3
    }
}

impl FirmwareStore for Slow {
    fn slots(&self) -> u8 {
        self.inner.slots()
    }
    fn active_slot(&self) -> u8 {
        self.inner.active_slot()
    }
    fn next_slot(&self) -> Option<u8> {
        self.inner.next_slot()
    }
    fn revision(&self, slot: u8) -> Option<[u8; 8]> {
        self.inner.revision(slot)
    }
    fn capacity(&self) -> u32 {
        self.inner.capacity()
    }
    fn write(&mut self, offset: u32, data: &[u8]) -> Poll<Result<(), FirmwareError>> {
        if self.is_busy() {
            return Poll::Pending;
        }
        self.written += 1;
        match self.result.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => self.inner.write(offset, data),
        }
    }
    fn commit(&mut self, slot: u8, length: u32) -> Poll<Result<(), FirmwareError>> {
        if self.is_busy() {
            return Poll::Pending;
        }
        match self.result.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => self.inner.commit(slot, length),
        }
    }
    fn activate_on_reset(&mut self, slot: u8) -> Result<(), FirmwareError> {
        self.result.take().map_or(Ok(()), Err)?;
        self.inner.activate_on_reset(slot)
    }
    fn discard(&mut self) {
        self.inner.discard();
    }
    fn reset(&mut self) -> bool {
        self.inner.reset()
    }
}

#[test]
fn every_error_of_the_store_has_its_status() {
    for (error, status) in [
        (FirmwareError::Failed, INTERNAL_ERROR),
        (FirmwareError::NeedsConventionalReset, 0x10B),
        (FirmwareError::NeedsSubsystemReset, 0x110),
        (FirmwareError::NeedsControllerReset, 0x111),
        (FirmwareError::MaximumTimeViolation, 0x112),
        (FirmwareError::ActivationProhibited, 0x113),
    ] {
        let mut device = device_with(Slow::new());
        device.firmware().result = Some(error);
        let command = commit(2, ACTIVATE_ON_RESET);
        assert_eq!(device.admin_status(command), status);
    }
}

/// Two slots, of which no other image ever runs.
#[derive(Default)]
struct Prohibiting {
    next: Option<u8>,
}

impl FirmwareStore for Prohibiting {
    fn slots(&self) -> u8 {
        2
    }
    fn active_slot(&self) -> u8 {
        1
    }
    fn next_slot(&self) -> Option<u8> {
        self.next
    }
    fn revision(&self, _: u8) -> Option<[u8; 8]> {
        Some(*b"REF00001")
    }
    fn capacity(&self) -> u32 {
        0
    }
    fn discard(&mut self) {}
    fn write(&mut self, _: u32, _: &[u8]) -> Poll<Result<(), FirmwareError>> {
        Poll::Ready(Err(FirmwareError::Failed))
    }
    fn commit(&mut self, _: u8, _: u32) -> Poll<Result<(), FirmwareError>> {
        Poll::Ready(Err(FirmwareError::Failed))
    }
    fn activate_on_reset(&mut self, slot: u8) -> Result<(), FirmwareError> {
        self.next = Some(slot);
        Ok(())
    }
    fn activate(&mut self, _: u8) -> Result<(), FirmwareError> {
        Err(FirmwareError::ActivationProhibited)
    }
    fn reset(&mut self) -> bool {
        false
    }
}

#[test]
fn an_image_that_must_not_run_does_not_wait_for_a_reset() {
    let mut device = device_with(Prohibiting::default());
    assert_eq!(device.admin_status(commit(2, ACTIVATE)), 0x113);
    assert_eq!(device.firmware().next_slot(), None);
}

#[test]
fn a_piece_that_the_store_failed_to_keep_can_be_sent_again() {
    let mut device = device_with(Slow::new());
    let image = image(b"REF00003", 1);
    device.firmware().result = Some(FirmwareError::Failed);
    let response = device.finish(piece(0, &image));
    assert_eq!(field(&response, 12, 4) >> 17, u64::from(INTERNAL_ERROR));
    assert_eq!(device.finish(piece(0, &image)), [0; 16]);
    assert_eq!(device.finish(commit(3, STORE)), [0; 16]);
    assert_eq!(device.firmware().inner.image(3), Some(&image[..]));
}

#[test]
fn a_commit_that_the_store_failed_can_be_tried_again() {
    let mut device = device_with(Slow::new());
    let image = image(b"REF00003", 1);
    device.finish(piece(0, &image));
    device.firmware().result = Some(FirmwareError::Failed);
    let response = device.finish(commit(3, STORE));
    assert_eq!(field(&response, 12, 4) >> 17, u64::from(INTERNAL_ERROR));
    assert_eq!(device.finish(commit(3, STORE)), [0; 16]);
    assert_eq!(device.firmware().inner.image(3), Some(&image[..]));
}

#[test]
fn a_slow_store_keeps_every_piece_once() {
    let mut device = device_with(Slow::new());
    let image = image(b"REF00003", 4);
    for (index, page) in image.chunks(PAGE).enumerate() {
        assert_eq!(device.finish(piece(index * PAGE, page)), [0; 16]);
    }
    assert_eq!(device.finish(commit(3, STORE)), [0; 16]);
    assert_eq!(device.firmware().written, 4);
    assert_eq!(device.firmware().inner.image(3), Some(&image[..]));
}

#[test]
fn a_repeated_piece_does_not_reach_the_store() {
    let mut device = device_with(Slow::new());
    let image = image(b"REF00003", 2);
    for (index, page) in image.chunks(PAGE).enumerate() {
        assert_eq!(device.finish(piece(index * PAGE, page)), [0; 16]);
        // Answered at once: the store, which is slow, is not asked.
        assert_eq!(device.admin_ok(piece(index * PAGE, page)), (0, vec![]));
    }
    assert_eq!(device.finish(commit(3, STORE)), [0; 16]);
    assert_eq!(device.firmware().written, 2);
    assert_eq!(device.firmware().inner.image(3), Some(&image[..]));
}

#[test]
fn a_firmware_command_waits_for_the_one_in_the_other_slot() {
    let mut device = device_with(Slow::new());
    let image = image(b"REF00003", 2);
    device.finish(piece(0, &image[..PAGE]));
    let last = Admin {
        slot: 1,
        ..piece(PAGE, &image[PAGE..])
    };
    device.send(last);
    device.send(commit(3, STORE));
    assert_eq!(device.wait(), (1, vec![0; 16]));
    assert_eq!(device.wait(), (0, vec![0; 16]));
    assert_eq!(device.firmware().inner.image(3), Some(&image[..]));
}

#[test]
fn a_reset_while_the_store_works_does_not_keep_the_next_command_waiting() {
    let mut device = device_with(Slow::new());
    let image = image(b"REF00003", 1);
    let abandoned = Admin {
        slot: 1,
        ..piece(0, &image)
    };
    device.send(abandoned);
    device.inner.reset_subsystem();
    assert_eq!(device.finish(piece(0, &image)), [0; 16]);
    assert_eq!(device.finish(commit(3, STORE)), [0; 16]);
    assert_eq!(device.firmware().inner.image(3), Some(&image[..]));
}

#[test]
fn a_commit_whose_image_a_controller_reset_takes_activates_no_other() {
    for action in [STORE_AND_ACTIVATE_ON_RESET, ACTIVATE] {
        let mut device = device_with(Slow::new());
        let image = image(b"REF00003", 1);
        device.finish(piece(0, &image));
        device.send(commit(2, action));
        device.inner.reset_controller(ControllerId(0)).unwrap();
        let response = device.wait().1;
        assert_eq!(
            field(&response, 12, 4) >> 17 & 0x7FF,
            u64::from(INVALID_IMAGE)
        );
        assert_eq!(device.firmware().next_slot(), None);
        assert_eq!(device.firmware().revision(2), Some(*b"REF00002"));
    }
}

#[test]
fn a_command_that_waits_begins_as_soon_as_the_other_slot_is_done() {
    for slot in [0, 1] {
        let mut device = device_with(Slow::new());
        let image = image(b"REF00003", 1);
        let first = Admin {
            slot: 1 - slot,
            ..piece(0, &image)
        };
        device.send(first);
        // It fails at once when it begins, as there is no such firmware slot.
        let waits = Admin {
            slot,
            ..commit(7, STORE)
        };
        device.send(waits);
        assert_eq!(device.wait().0, 0);
        // Before the requester can send the next piece, for which it would wait again.
        assert!(device.response().is_some(), "slot {slot}");
    }
}

#[test]
fn an_aborted_piece_keeps_nobody_waiting_and_can_be_sent_again() {
    let mut device = device_with(Slow::new());
    let image = image(b"REF00003", 1);
    device.send(piece(0, &image));
    let abort = support::sealed(&[0x84, 0, 0, 0, 2, 0, 0, 0]);
    let response = device.raw(&abort).unwrap();
    assert_eq!(response[..6], [0x84, 0x80, 0, 0, 0, 0]);
    let again = Admin {
        slot: 1,
        ..piece(0, &image)
    };
    assert_eq!(device.finish(again), [0; 16]);
    assert_eq!(device.finish(commit(3, STORE)), [0; 16]);
    assert_eq!(device.firmware().inner.image(3), Some(&image[..]));
}
