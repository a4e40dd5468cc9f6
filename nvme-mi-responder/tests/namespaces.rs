//! Namespace Management and Namespace Attachment, seen through Identify, the health poll and the
//! changed namespace list.

mod support;

use nvme_mi_responder::world::HealthReport;
use nvme_mi_responder::{ControllerId, ModelError, NamespaceId};
use support::{ADMIN, Admin, Device, Parts, field};

const INVALID_FIELD: u16 = 0x002;
const INVALID_NAMESPACE: u16 = 0x00B;
const INVALID_FORMAT: u16 = 0x10A;
const INSUFFICIENT_CAPACITY: u16 = 0x115;
const IDENTIFIER_UNAVAILABLE: u16 = 0x116;
const ALREADY_ATTACHED: u16 = 0x118;
const IS_PRIVATE: u16 = 0x119;
const NOT_ATTACHED: u16 = 0x11A;
const NOT_THIN: u16 = 0x11B;
const INVALID_CONTROLLER_LIST: u16 = 0x11C;

/// SEL.
const CREATE: u32 = 0;
const DELETE: u32 = 1;
const ATTACH: u32 = 0;
const DETACH: u32 = 1;

const NAMESPACES_CHANGED: u16 = 1 << 6;

type World = Parts<HealthReport>;

fn device() -> Device<World> {
    Device::reference(Parts::new(HealthReport::healthy()))
}

/// A description of a shared namespace.
fn description(blocks: u64) -> [u8; 4096] {
    let mut description = [0; 4096];
    description[..8].copy_from_slice(&blocks.to_le_bytes());
    description[8..16].copy_from_slice(&blocks.to_le_bytes());
    description[30] = 1;
    description
}

fn create(description: &[u8]) -> Admin<'_> {
    Admin {
        opcode: 0x0D,
        length: description.len() as u32,
        dwords: [CREATE, 0, 0, 0, 0, 0],
        data: description,
        ..ADMIN
    }
}

fn delete(namespace: u32) -> Admin<'static> {
    Admin {
        opcode: 0x0D,
        namespace,
        dwords: [DELETE, 0, 0, 0, 0, 0],
        ..ADMIN
    }
}

fn controllers(ids: &[u16]) -> [u8; 4096] {
    let mut list = [0; 4096];
    list[..2].copy_from_slice(&(ids.len() as u16).to_le_bytes());
    for (place, id) in list[2..].chunks_mut(2).zip(ids) {
        place.copy_from_slice(&id.to_le_bytes());
    }
    list
}

fn attachment(select: u32, namespace: u32, list: &[u8]) -> Admin<'_> {
    Admin {
        opcode: 0x15,
        namespace,
        length: list.len() as u32,
        dwords: [select, 0, 0, 0, 0, 0],
        data: list,
        ..ADMIN
    }
}

impl Device<World> {
    fn identify(&mut self, structure: u32, namespace: u32, controller: u16) -> Vec<u8> {
        let command = Admin {
            opcode: 0x06,
            controller,
            namespace,
            length: 4096,
            dwords: [structure, 0, 0, 0, 0, 0],
            ..ADMIN
        };
        self.admin_ok(command).1
    }

    fn ids(&mut self, structure: u32, controller: u16) -> Vec<u32> {
        let list = self.identify(structure, 0, controller);
        let ids = list
            .chunks(4)
            .map(|id| u32::from_le_bytes(id.try_into().unwrap()));
        ids.take_while(|id| *id != 0).collect()
    }

    fn allocated(&mut self) -> Vec<u32> {
        self.ids(0x10, 0)
    }

    fn active(&mut self, controller: u16) -> Vec<u32> {
        self.ids(0x02, controller)
    }

    fn create(&mut self, blocks: u64) -> u32 {
        self.admin_ok(create(&description(blocks))).0
    }

    fn attach(&mut self, namespace: u32, ids: &[u16]) {
        self.admin_ok(attachment(ATTACH, namespace, &controllers(ids)));
    }

    fn refuses(&mut self, select: u32, namespace: u32, ids: &[u16]) -> u16 {
        self.admin_status(attachment(select, namespace, &controllers(ids)))
    }

    /// Composite Controller Status Flags, cleared.
    fn changes(&mut self) -> u16 {
        field(&self.mi(0x01, 0, 1 << 31, &[])[4..], 4, 2) as u16
    }

    fn unallocated(&mut self) -> u64 {
        self.model().unallocated()
    }
}

#[test]
fn a_namespace_lives_from_creation_to_deletion() {
    let mut device = device();
    let before = device.unallocated();
    assert_eq!(device.create(1000), 3);
    assert_eq!(device.unallocated(), before - 512_000);
    assert_eq!(device.allocated(), [1, 2, 3]);
    assert_eq!(device.active(0), [1]);
    device.attach(3, &[0]);
    assert_eq!(device.active(0), [1, 3]);
    assert_eq!(device.active(1), [1]);
    let structure = device.identify(0x00, 3, 0);
    assert_eq!(field(&structure, 0, 8), 1000);
    assert_eq!(field(&structure, 8, 8), 1000);
    device.admin_ok(attachment(DETACH, 3, &controllers(&[0])));
    assert_eq!(device.active(0), [1]);
    device.admin_ok(delete(3));
    assert_eq!(device.allocated(), [1, 2]);
    assert_eq!(device.unallocated(), before);
}

#[test]
fn a_new_namespace_gets_the_lowest_free_id() {
    let mut device = device();
    device.create(1);
    device.admin_ok(delete(1));
    assert_eq!(device.create(2), 1);
    assert_eq!(device.create(3), 4);
    assert_eq!(device.allocated(), [1, 2, 3, 4]);
}

#[test]
fn a_new_namespace_under_an_old_id_is_another_one() {
    let mut device = device();
    let before = device.identify(0x11, 2, 0)[104..128].to_vec();
    device.admin_ok(delete(2));
    device.create(1_048_576);
    assert_ne!(device.identify(0x11, 2, 0)[104..128], before);
}

#[test]
fn a_failed_creation_uses_up_no_id() {
    let mut device = device();
    for _ in 0..3 {
        let command = description(u64::MAX);
        assert_eq!(device.admin_status(create(&command)), INSUFFICIENT_CAPACITY);
    }
    assert_eq!(device.allocated(), [1, 2]);
    assert_eq!(device.create(1), 3);
}

#[test]
fn capacity_is_given_out_to_the_last_byte_and_no_further() {
    let mut device = device();
    let blocks = device.unallocated() / 512;
    let too_many = description(blocks + 1);
    assert_eq!(
        device.admin_status(create(&too_many)),
        INSUFFICIENT_CAPACITY
    );
    assert_eq!(device.create(blocks), 3);
    assert_eq!(device.unallocated(), 0);
    assert_eq!(
        device.admin_status(create(&description(1))),
        INSUFFICIENT_CAPACITY
    );
}

#[test]
fn there_are_no_more_namespaces_than_there_is_room_for() {
    let mut device = device();
    device.create(1);
    device.create(1);
    assert_eq!(
        device.admin_status(create(&description(1))),
        IDENTIFIER_UNAVAILABLE
    );
    device.admin_ok(delete(3));
    assert_eq!(device.create(1), 3);
}

#[test]
fn blocks_of_4096_bytes_take_that_much() {
    let mut device = device();
    let before = device.unallocated();
    let mut large = description(10);
    large[26] = 1;
    device.admin_ok(create(&large));
    assert_eq!(device.unallocated(), before - 40_960);
    assert_eq!(device.identify(0x11, 3, 0)[26], 1);
}

#[test]
fn capacity_is_counted_in_bytes_whatever_the_blocks_are() {
    let mut device = device();
    let blocks = device.unallocated() / 4096;
    for (blocks, fits) in [(blocks + 1, false), (blocks, true)] {
        let mut large = description(blocks);
        large[26] = 1;
        if fits {
            device.admin_ok(create(&large));
        } else {
            let refused = device.admin_status(create(&large));
            assert_eq!(refused, INSUFFICIENT_CAPACITY);
        }
    }
    assert_eq!(device.unallocated(), 0);
}

#[test]
fn an_lba_format_that_does_not_exist_is_refused() {
    let mut device = device();
    for format in [2, 0x0F, 0x20, 0x21, 0x60] {
        let mut wrong = description(10);
        wrong[26] = format;
        assert_eq!(
            device.admin_status(create(&wrong)),
            INVALID_FORMAT,
            "{format:02X}h"
        );
    }
}

#[test]
fn protection_information_is_refused() {
    for kind in 1..8 {
        let mut wrong = description(10);
        wrong[29] = kind;
        assert_eq!(device().admin_status(create(&wrong)), INVALID_FORMAT);
    }
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    for (size, capacity, status) in [
        (0, 0, INVALID_FIELD),
        (10, 0, INVALID_FIELD),
        (0, 10, INVALID_FIELD),
        (10, 11, INVALID_FIELD),
        (11, 10, NOT_THIN),
    ] {
        let mut wrong = description(size);
        wrong[8..16].copy_from_slice(&u64::to_le_bytes(capacity));
        let mut device = device();
        assert_eq!(
            device.admin_status(create(&wrong)),
            status,
            "{size} {capacity}"
        );
        assert_eq!(device.allocated(), [1, 2]);
    }
}

#[test]
fn another_io_command_set_is_refused() {
    let description = description(10);
    let command = Admin {
        dwords: [CREATE, 2 << 24, 0, 0, 0, 0],
        ..create(&description)
    };
    assert_eq!(device().admin_status(command), 0x129);
}

#[test]
fn an_ana_group_is_refused() {
    let mut wrong = description(10);
    wrong[92] = 1;
    assert_eq!(device().admin_status(create(&wrong)), 0x124);
}

#[test]
fn a_description_that_was_not_sent_is_one_of_no_blocks() {
    assert_eq!(device().admin_status(create(&[])), INVALID_FIELD);
}

#[test]
fn other_selections_are_refused() {
    let description = description(10);
    for select in 2..16 {
        let management = Admin {
            dwords: [select, 0, 0, 0, 0, 0],
            ..create(&description)
        };
        assert_eq!(device().admin_status(management), INVALID_FIELD);
        assert_eq!(device().refuses(select, 2, &[0]), INVALID_FIELD);
    }
}

#[test]
fn reserved_bits_of_the_selection_are_ignored() {
    let description = description(10);
    let command = Admin {
        dwords: [0xFFFF_FFF0, 0x00FF_FFFF, 0, 0, 0, 0],
        ..create(&description)
    };
    assert_eq!(device().admin_ok(command).0, 3);
}

#[test]
fn a_namespace_that_does_not_exist_is_neither_deleted_nor_attached() {
    let mut device = device();
    for (namespace, status) in [
        (0, INVALID_NAMESPACE),
        (3, INVALID_FIELD),
        (4, INVALID_FIELD),
        (5, INVALID_NAMESPACE),
        (0xFFFF_FFFE, INVALID_NAMESPACE),
    ] {
        assert_eq!(device.admin_status(delete(namespace)), status);
        assert_eq!(device.refuses(ATTACH, namespace, &[0]), status);
        assert_eq!(device.refuses(DETACH, namespace, &[0]), status);
    }
    assert_eq!(device.refuses(ATTACH, u32::MAX, &[0]), INVALID_FIELD);
    assert_eq!(device.refuses(DETACH, u32::MAX, &[0]), INVALID_FIELD);
    assert_eq!(device.allocated(), [1, 2]);
    assert_eq!(device.active(0), [1]);
}

#[test]
fn a_repeated_creation_makes_another_namespace() {
    let mut device = device();
    assert_eq!([device.create(10), device.create(10)], [3, 4]);
}

#[test]
fn a_repeated_deletion_finds_the_id_free() {
    let mut device = device();
    device.admin_ok(delete(2));
    assert_eq!(device.admin_status(delete(2)), INVALID_FIELD);
    assert_eq!(device.allocated(), [1]);
}

#[test]
fn a_repeated_attachment_or_detachment_is_refused_and_changes_nothing() {
    let mut device = device();
    device.attach(2, &[0]);
    assert_eq!(device.refuses(ATTACH, 2, &[0]), ALREADY_ATTACHED);
    assert_eq!(device.active(0), [1, 2]);
    device.admin_ok(attachment(DETACH, 2, &controllers(&[0])));
    assert_eq!(device.refuses(DETACH, 2, &[0]), NOT_ATTACHED);
    assert_eq!(device.active(0), [1]);
}

#[test]
fn a_deleted_namespace_is_active_nowhere() {
    let mut device = device();
    device.admin_ok(delete(1));
    assert_eq!(device.active(0), [0; 0]);
    assert_eq!(device.active(1), [0; 0]);
    assert_eq!(device.allocated(), [2]);
}

#[test]
fn all_namespaces_are_deleted_at_once() {
    let mut device = device();
    let all = device.unallocated() + 3_145_728 * 512;
    device.admin_ok(delete(u32::MAX));
    assert_eq!(device.allocated(), [0; 0]);
    assert_eq!(device.unallocated(), all);
    device.admin_ok(delete(u32::MAX));
}

#[test]
fn a_list_attaches_all_of_its_controllers_or_none() {
    let mut device = device();
    device.attach(2, &[1]);
    assert_eq!(device.refuses(ATTACH, 2, &[0, 1]), ALREADY_ATTACHED);
    assert_eq!(device.active(0), [1]);
    assert_eq!(device.refuses(DETACH, 2, &[0, 1]), NOT_ATTACHED);
    assert_eq!(device.active(1), [1, 2]);
    device.admin_ok(attachment(DETACH, 2, &controllers(&[1])));
    device.attach(2, &[0, 1]);
    assert_eq!(
        (device.active(0), device.active(1)),
        (vec![1, 2], vec![1, 2])
    );
}

#[test]
fn a_private_namespace_is_attached_to_one_controller_at_a_time() {
    let mut device = device();
    let mut private = description(10);
    private[30] = 0;
    device.admin_ok(create(&private));
    assert_eq!(device.identify(0x11, 3, 0)[30], 0);
    assert_eq!(device.refuses(ATTACH, 3, &[0, 1]), IS_PRIVATE);
    device.attach(3, &[0]);
    assert_eq!(device.refuses(ATTACH, 3, &[1]), IS_PRIVATE);
    let model = device.model();
    let refused = model.attach_namespace(NamespaceId(3), ControllerId(1));
    assert_eq!(refused, Err(ModelError::IsPrivate));
    device.admin_ok(attachment(DETACH, 3, &controllers(&[0])));
    device.attach(3, &[1]);
}

#[test]
fn a_shared_namespace_says_so() {
    let mut device = device();
    let namespace = device.create(10);
    assert_eq!(device.identify(0x11, namespace, 0)[30], 1);
}

#[test]
fn controller_lists_that_cannot_be_are_refused() {
    let mut device = device();
    for ids in [&[][..], &[2], &[0, 2], &[1, 0], &[0, 0], &[0xFFFF]] {
        assert_eq!(
            device.refuses(ATTACH, 2, ids),
            INVALID_CONTROLLER_LIST,
            "{ids:?}"
        );
    }
    let mut too_long = controllers(&[0]);
    too_long[..2].copy_from_slice(&2048u16.to_le_bytes());
    let command = attachment(ATTACH, 2, &too_long);
    assert_eq!(device.admin_status(command), INVALID_CONTROLLER_LIST);
    let cut = [2, 0, 0, 0];
    let command = attachment(ATTACH, 2, &cut);
    assert_eq!(device.admin_status(command), INVALID_CONTROLLER_LIST);
    assert_eq!(device.active(0), [1]);
}

#[test]
fn attachment_and_detachment_are_changes_of_the_controllers_concerned() {
    let mut device = device();
    device.changes();
    device.attach(2, &[1]);
    assert_eq!(device.changes() & NAMESPACES_CHANGED, NAMESPACES_CHANGED);
    let log = |controller| Admin {
        opcode: 0x02,
        controller,
        namespace: u32::MAX,
        length: 8,
        dwords: [0x0001_0004, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    assert_eq!(device.admin_ok(log(0)).1, [0; 8]);
    assert_eq!(device.admin_ok(log(1)).1, [2, 0, 0, 0, 0, 0, 0, 0]);
    device.admin_ok(attachment(DETACH, 2, &controllers(&[1])));
    assert_eq!(device.changes() & NAMESPACES_CHANGED, NAMESPACES_CHANGED);
}

#[test]
fn creation_is_no_change_of_a_controller_but_deletion_of_what_it_had_is() {
    let mut device = device();
    device.changes();
    device.create(10);
    device.admin_ok(delete(2));
    assert_eq!(device.changes() & NAMESPACES_CHANGED, 0);
    device.admin_ok(delete(1));
    assert_eq!(device.changes() & NAMESPACES_CHANGED, NAMESPACES_CHANGED);
}

#[test]
fn five_attachments_and_a_list_are_no_trouble() {
    let mut device = device();
    device.create(10);
    device.create(10);
    for namespace in 2..=4 {
        device.attach(namespace, &[0, 1]);
    }
    for _ in 0..5 {
        assert_eq!(device.refuses(ATTACH, 4, &[0]), ALREADY_ATTACHED);
    }
    assert_eq!(device.active(0), [1, 2, 3, 4]);
    assert_eq!(device.active(1), [1, 2, 3, 4]);
}

#[test]
fn a_device_that_does_not_allow_it_has_no_namespace_commands() {
    let mut subsystem = support::reference_subsystem();
    subsystem.model().forbid_namespace_management();
    let subsystem = Box::leak(Box::new(subsystem));
    let mut device = Device::of(subsystem.model(), Parts::new(HealthReport::healthy()));
    assert_eq!(device.admin(create(&description(1))), [3, 0, 0, 0]);
    assert_eq!(
        device.admin(attachment(ATTACH, 2, &controllers(&[0]))),
        [3, 0, 0, 0]
    );
}

/// What the specification says of namespaces, for comparison: size and attachments by ID.
type Expected = std::collections::BTreeMap<u32, (u64, [bool; 2])>;

fn expect_creation(expected: &mut Expected, blocks: u64) -> Option<u16> {
    let used: u64 = expected.values().map(|(blocks, _)| blocks * 512).sum();
    if expected.len() == 4 {
        return Some(IDENTIFIER_UNAVAILABLE);
    }
    if blocks * 512 > (4 << 30) - used {
        return Some(INSUFFICIENT_CAPACITY);
    }
    let id = (1..).find(|id| !expected.contains_key(id)).unwrap();
    expected.insert(id, (blocks, [false; 2]));
    None
}

fn expect_attachment(expected: &mut Expected, id: u32, ids: &[u16], attach: bool) -> Option<u16> {
    if id == 0 || id > 4 {
        return Some(INVALID_NAMESPACE);
    }
    let Some((_, attached)) = expected.get_mut(&id) else {
        return Some(INVALID_FIELD);
    };
    if ids.iter().any(|id| attached[usize::from(*id)] == attach) {
        return Some(if attach {
            ALREADY_ATTACHED
        } else {
            NOT_ATTACHED
        });
    }
    for id in ids {
        attached[usize::from(*id)] = attach;
    }
    None
}

#[test]
fn any_order_of_namespace_commands_leaves_what_was_specified() {
    let mut device = device();
    let mut expected = Expected::from([(1, (2_097_152, [true; 2])), (2, (1_048_576, [false; 2]))]);
    let mut random = 1u32;
    let mut next = |limit: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) % limit
    };
    let (mut done, mut refused) = (0, 0);
    for round in 0..2_000 {
        let id = next(6);
        let ids: &[u16] = [&[0][..], &[1], &[0, 1]][next(3) as usize];
        let (status, response) = match next(8) {
            0..=2 => {
                let blocks = u64::from(next(4) + 1) << 20;
                let status = expect_creation(&mut expected, blocks);
                (status, device.admin(create(&description(blocks))))
            }
            3 => {
                let exists = expected.remove(&id).is_some();
                let invalid = if id == 0 || id > 4 {
                    INVALID_NAMESPACE
                } else {
                    INVALID_FIELD
                };
                ((!exists).then_some(invalid), device.admin(delete(id)))
            }
            choice => {
                let attach = choice < 6;
                let status = expect_attachment(&mut expected, id, ids, attach);
                let select = if attach { ATTACH } else { DETACH };
                (
                    status,
                    device.admin(attachment(select, id, &controllers(ids))),
                )
            }
        };
        let found = field(&response, 12, 4) >> 17 & 0x7FF;
        assert_eq!(found, u64::from(status.unwrap_or(0)), "{round}");
        *(if status.is_none() {
            &mut done
        } else {
            &mut refused
        }) += 1;
        let ids = expected.keys().copied();
        assert_eq!(device.allocated(), ids.collect::<Vec<_>>(), "{round}");
        for controller in 0..2 {
            let active = expected
                .iter()
                .filter(|(_, (_, at))| at[usize::from(controller)]);
            let active: Vec<u32> = active.map(|(id, _)| *id).collect();
            assert_eq!(device.active(controller), active, "{round}");
        }
    }
    assert!(done > 400 && refused > 400, "{done} {refused}");
}
