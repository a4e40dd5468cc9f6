//! Checks the memory functions of the Nucleo board, `nucleo-h7s3/src/memory_functions.rs`, and
//! counts what they cost.
//!
//! Every name is checked with all lengths, alignments and overlaps around what the functions do
//! differently. QEMU's exit code is 0 if every byte was right. Then there is one line for each
//! function that is counted and number of calls, as `instructions` prints them: name, bytes, calls,
//! ticks of TIMER0. `cargo xtask ci instructions-m7` starts it with `-icount`.

#![no_std]
#![no_main]

use core::ffi::c_void;
use core::hint::black_box;
use core::ops::RangeInclusive;
use core::panic::PanicInfo;

use cortex_m_rt::{entry, exception};
// Also the functions under test, and the interrupt vectors.
use qemu_an500::time;
use semihosting::{eprintln, println, process};

/// Two rounds of 16 bytes, and the longest rest.
const LONGEST: usize = 2 * 16 + 15;
/// Around 128 bytes, from which on copies align their destination: a little shorter, and up to a
/// round longer.
const LONG: RangeInclusive<usize> = 126..=128 + 3 + 16;
/// Around 176 bytes, a round of the longest loop, and around two.
const LONGER: [RangeInclusive<usize>; 2] = [175..=176 + 3 + 16, 351..=352 + 3 + 16];
/// Offsets of either side: further apart than a word, and than a round of 16 bytes.
const OFFSETS: usize = 20;
const MEMORY: usize = OFFSETS + *LONGER[1].end() + 4;
/// Differs from all bytes of [`pattern`].
const VALUE: u8 = 0xA5;
/// Bytes of what is counted.
const COUNTED: usize = 4096;
/// What differs between the two is what calls cost, and nothing else.
const CALLS: [u32; 2] = [100, 300];

type Copy = unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> *mut c_void;
type Compare = unsafe extern "C" fn(*const c_void, *const c_void, usize) -> i32;
type Set = unsafe extern "C" fn(*mut c_void, i32, usize) -> *mut c_void;
type AeabiSet = unsafe extern "C" fn(*mut c_void, usize, i32);
type AeabiClear = unsafe extern "C" fn(*mut c_void, usize);

macro_rules! functions {
    ($(fn $name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        unsafe extern "C" {
            $(fn $name($(_: $argument),*) $(-> $result)?;)*
        }
    };
}

functions! {
    fn memcpy(*mut c_void, *const c_void, usize) -> *mut c_void;
    fn memmove(*mut c_void, *const c_void, usize) -> *mut c_void;
    fn memcmp(*const c_void, *const c_void, usize) -> i32;
    fn memset(*mut c_void, i32, usize) -> *mut c_void;
    fn __aeabi_memcpy(*mut c_void, *const c_void, usize) -> *mut c_void;
    fn __aeabi_memcpy4(*mut c_void, *const c_void, usize) -> *mut c_void;
    fn __aeabi_memcpy8(*mut c_void, *const c_void, usize) -> *mut c_void;
    fn __aeabi_memmove(*mut c_void, *const c_void, usize) -> *mut c_void;
    fn __aeabi_memmove4(*mut c_void, *const c_void, usize) -> *mut c_void;
    fn __aeabi_memmove8(*mut c_void, *const c_void, usize) -> *mut c_void;
    fn __aeabi_memset(*mut c_void, usize, i32);
    fn __aeabi_memset4(*mut c_void, usize, i32);
    fn __aeabi_memset8(*mut c_void, usize, i32);
    fn __aeabi_memclr(*mut c_void, usize);
    fn __aeabi_memclr4(*mut c_void, usize);
    fn __aeabi_memclr8(*mut c_void, usize);
}

#[entry]
fn start() -> ! {
    let copies: [Copy; 8] = [
        memcpy,
        memmove,
        __aeabi_memcpy,
        __aeabi_memcpy4,
        __aeabi_memcpy8,
        __aeabi_memmove,
        __aeabi_memmove4,
        __aeabi_memmove8,
    ];
    // With these of the compiler's, names have functions of their own.
    let is_ours = copies
        .iter()
        .all(|copy| *copy as usize == copies[0] as usize);
    assert!(is_ours, "these are not the memory functions of the Nucleo");
    for copy in copies {
        for_all(|to, from, length| check_copy(black_box(copy), to, from, length));
    }
    for_all(|to, _, length| check_set(black_box(memset as Set), to, length));
    for set in [__aeabi_memset as AeabiSet, __aeabi_memset4, __aeabi_memset8] {
        for_all(|to, _, length| check_aeabi_set(black_box(set), to, length));
    }
    for clear in [
        __aeabi_memclr as AeabiClear,
        __aeabi_memclr4,
        __aeabi_memclr8,
    ] {
        for_all(|to, _, length| check_aeabi_clear(black_box(clear), to, length));
    }
    for length in 0..=LONGEST {
        for index in 0..LONGEST {
            check_compare(black_box(memcmp as Compare), index, length);
        }
    }
    time::start();
    count_all();
    process::exit(0)
}

/// A word more than is counted, for destinations and sources at every place in a word.
#[repr(align(4))]
struct Counted([u8; COUNTED + 4]);

fn count_all() {
    let mut destination = Counted([0; COUNTED + 4]);
    let source = Counted([0; COUNTED + 4]);
    let source = source.0.as_ptr();
    let destination = destination.0.as_mut_ptr();
    let to = |offset| destination.wrapping_add(offset).cast();
    let from = |offset| source.wrapping_add(offset).cast();
    let (set, copy) = (black_box(memset as Set), black_box(memcpy as Copy));
    // SAFETY: either side has so many bytes from each of these offsets on.
    unsafe {
        count("memset", || set(to(0), 0, COUNTED));
        count("memset-unaligned", || set(to(1), 0, COUNTED));
        count("memcpy", || copy(to(0), from(0), COUNTED));
        count("memcpy-unaligned", || copy(to(1), from(1), COUNTED));
        count("memcpy-different", || copy(to(0), from(1), COUNTED));
    }
}

fn count(name: &str, mut call: impl FnMut() -> *mut c_void) {
    for calls in CALLS {
        let start = time::cycles();
        for _ in 0..calls {
            black_box(call());
        }
        let ticks = time::cycles() - start;
        println!("{name} {COUNTED} {calls} {ticks}");
    }
}

fn for_all(check: impl Fn(usize, usize, usize)) {
    for to in 0..OFFSETS {
        for from in 0..OFFSETS {
            let lengths = (0..=LONGEST)
                .chain(LONG)
                .chain(LONGER.into_iter().flatten());
            lengths.for_each(|length| check(to, from, length));
        }
    }
}

/// What is at each place before: neither 0 nor [`VALUE`], and repeated after no whole word.
fn pattern(index: usize) -> u8 {
    (index % 163) as u8 + 1
}

fn memory() -> [u8; MEMORY] {
    let mut memory = [0; MEMORY];
    for (index, byte) in memory.iter_mut().enumerate() {
        *byte = black_box(pattern(index));
    }
    memory
}

/// Within one memory, so that source and destination overlap in every way.
fn check_copy(copy: Copy, to: usize, from: usize, length: usize) {
    let mut memory = memory();
    let base = memory.as_mut_ptr();
    let destination = base.wrapping_add(to).cast::<c_void>();
    // SAFETY: both sides are within the memory, and the functions under test allow that they
    // overlap.
    let returned = unsafe { copy(destination, base.wrapping_add(from).cast(), length) };
    assert_eq!(returned, destination);
    check_bytes(&memory, to, length, |index| pattern(index - to + from));
}

fn check_set(set: Set, to: usize, length: usize) {
    let mut memory = memory();
    let destination = memory.as_mut_ptr().wrapping_add(to).cast::<c_void>();
    // SAFETY: the destination is within the memory. Only the lowest byte of the value counts.
    let returned = unsafe { set(destination, 0x100 | i32::from(VALUE), length) };
    assert_eq!(returned, destination);
    check_bytes(&memory, to, length, |_| VALUE);
}

fn check_aeabi_set(set: AeabiSet, to: usize, length: usize) {
    let mut memory = memory();
    // SAFETY: as in `check_set`.
    unsafe {
        set(
            memory.as_mut_ptr().wrapping_add(to).cast(),
            length,
            0x100 | i32::from(VALUE),
        )
    };
    check_bytes(&memory, to, length, |_| VALUE);
}

fn check_aeabi_clear(clear: AeabiClear, to: usize, length: usize) {
    let mut memory = memory();
    // SAFETY: the destination is within the memory.
    unsafe { clear(memory.as_mut_ptr().wrapping_add(to).cast(), length) };
    check_bytes(&memory, to, length, |_| 0);
}

/// Two memories whose bytes differ at `index` and further on, there the other way round; the
/// smaller byte would be the larger one with a sign.
fn check_compare(compare: Compare, index: usize, length: usize) {
    let (mut left, mut right) = (memory(), memory());
    for (at, (left, right)) in left.iter_mut().zip(&mut right).enumerate().skip(index) {
        (*left, *right) = if at == index { (0x7F, 0x80) } else { (2, 1) };
    }
    // SAFETY: both are longer than `length`.
    let order = unsafe { compare(left.as_ptr().cast(), right.as_ptr().cast(), length) };
    // SAFETY: as above.
    let opposite = unsafe { compare(right.as_ptr().cast(), left.as_ptr().cast(), length) };
    let expected = if index < length { -1 } else { 0 };
    assert_eq!(order.signum(), expected, "byte {index} of {length} differs");
    assert_eq!(
        opposite.signum(),
        -expected,
        "byte {index} of {length} differs"
    );
}

/// `length` bytes from `to` on are as `expected`, all others as before.
fn check_bytes(memory: &[u8; MEMORY], to: usize, length: usize, expected: impl Fn(usize) -> u8) {
    for (index, byte) in memory.iter().enumerate() {
        let is_within = (to..to + length).contains(&index);
        let right = if is_within {
            expected(index)
        } else {
            pattern(index)
        };
        assert_eq!(*byte, right, "byte {index}, {length} bytes to {to}");
    }
}

#[panic_handler]
fn panic(information: &PanicInfo<'_>) -> ! {
    eprintln!("{information}");
    process::exit(1)
}

/// Several words stored at once to where no word begins, for example.
#[exception(trampoline = false)]
unsafe fn HardFault() -> ! {
    process::exit(2)
}
