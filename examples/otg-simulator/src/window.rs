//! The register window: memory that the driver cannot touch without the model seeing it.
//!
//! The window is mapped without access rights, so that an access of the driver raises SIGSEGV. Its
//! handler carries out the instruction and skips it, if it is a `mov`. If not, it opens the page,
//! puts the value of the register there, and has the processor stop after the instruction, whatever
//! it is. That raises SIGTRAP: its handler closes the page again, and gives the model the value of
//! a write.
//!
//! Each thread has one window, for one simulator at a time. A fault is delivered to the thread that
//! caused it, so the handlers find their window in a thread-local variable, and tests run in
//! parallel. Both handlers leave signals alone that are none of theirs.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::{NonNull, null_mut};
use std::sync::OnceLock;

use libc::{c_int, c_void, siginfo_t, ucontext_t};

use crate::core::Core;
use crate::instruction::{Mov, decode};

/// Registers, and a FIFO of 4 KiB of address space for each of 16 endpoints.
const WINDOW_LEN: usize = 0x1_1000;
const PAGE_LEN: usize = 0x1000;

/// The FIFOs begin here.
const FIFOS: usize = 0x1000;

/// EFLAGS.TF: the processor stops after the next instruction.
const TRAP_FLAG: i64 = 0x100;
/// The bit of a page fault's error code that says that the access was a write.
const WRITE_FAULT: i64 = 0x2;

thread_local! {
    static WINDOW: Window = const {
        Window {
            base: Cell::new(null_mut()),
            core: Cell::new(null_mut()),
            access: Cell::new(None),
        }
    };
}

/// The window of a thread.
struct Window {
    /// Null until the thread has had a simulator. The mapping is never given back, so that a
    /// register address which outlives its simulator never points to other memory.
    base: Cell<*mut u8>,
    /// The model behind the window, or null.
    core: Cell<*mut Core>,
    /// The access that is being single-stepped.
    access: Cell<Option<Access>>,
}

#[derive(Clone, Copy)]
struct Access {
    offset: usize,
    is_write: bool,
}

/// A model claims the window of this thread.
///
/// # Panics
///
/// If this thread has a simulator already.
///
/// # Safety
///
/// Until [`release`], `core` is valid, and no reference to the model exists while the window is
/// accessed.
pub(crate) unsafe fn claim(core: NonNull<Core>) -> NonNull<u8> {
    install_handlers();
    WINDOW.with(|window| {
        assert!(
            window.core.get().is_null(),
            "one simulator at a time on a thread"
        );
        if window.base.get().is_null() {
            window.base.set(map());
        }
        window.core.set(core.as_ptr());
        NonNull::new(window.base.get()).expect("a mapping is not at address 0")
    })
}

/// The opposite of [`claim`].
pub(crate) fn release() {
    WINDOW.with(|window| window.core.set(null_mut()));
}

fn map() -> *mut u8 {
    // SAFETY: a new anonymous mapping, at an address that the kernel chooses, affects no other
    // memory.
    let base = unsafe {
        libc::mmap(
            null_mut(),
            WINDOW_LEN,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert_ne!(base, libc::MAP_FAILED, "no address space for the registers");
    base.cast()
}

impl Window {
    /// Where an address is in the window, while there is a model behind it.
    fn offset(&self, address: usize) -> Option<usize> {
        let offset = address.wrapping_sub(self.base.get() as usize);
        (!self.core.get().is_null() && offset < WINDOW_LEN).then_some(offset)
    }

    fn read(&self, offset: usize) -> u32 {
        // SAFETY: the contract of `claim` keeps the model valid and unborrowed.
        unsafe { (*self.core.get()).read(offset) }
    }

    fn write(&self, offset: usize, value: u32) {
        // SAFETY: as in `read`.
        unsafe { (*self.core.get()).write(offset, value) }
    }

    /// Carries out the instruction that faulted, if it is one of those that are known.
    fn carry_out(&self, offset: usize, registers: &mut Registers) -> bool {
        let code = registers[libc::REG_RIP as usize] as *const u8;
        // SAFETY: the processor has read all bytes of the instruction.
        let Some((mov, len)) = decode(|index| unsafe { code.add(index).read() }) else {
            return false;
        };
        match mov {
            Mov::Load(number) => registers[GENERAL[number]] = self.read(offset).into(),
            Mov::Store(number) => self.write(offset, registers[GENERAL[number]] as u32),
            Mov::StoreConstant(value) => self.write(offset, value),
        }
        registers[libc::REG_RIP as usize] += len as i64;
        true
    }

    /// Prepares the window for one instruction.
    fn begin(&self, offset: usize, is_write: bool) {
        self.protect(offset, libc::PROT_READ | libc::PROT_WRITE);
        // An instruction that reads, modifies and writes faults as a write. FIFOs are not accessed
        // so: to read one takes a word out of it.
        if !is_write || offset < FIFOS {
            let value = self.read(offset & !3);
            // SAFETY: the register lies in the page that was opened above.
            unsafe { self.register(offset).write_volatile(value) };
        }
        self.access.set(Some(Access { offset, is_write }));
    }

    /// Completes the access after its instruction; false if there is none.
    fn end(&self) -> bool {
        let Some(Access { offset, is_write }) = self.access.take() else {
            return false;
        };
        if is_write {
            // SAFETY: the page is open since `begin`.
            let value = unsafe { self.register(offset).read_volatile() };
            self.write(offset & !3, value);
        }
        self.protect(offset, libc::PROT_NONE);
        true
    }

    /// The word that an access touches. Registers are words.
    fn register(&self, offset: usize) -> *mut u32 {
        self.base.get().wrapping_add(offset & !3).cast()
    }

    fn protect(&self, offset: usize, rights: c_int) {
        let page = self.base.get().wrapping_add(offset / PAGE_LEN * PAGE_LEN);
        // SAFETY: the page belongs to the window, which nothing but the driver and these handlers
        // use.
        if unsafe { libc::mprotect(page.cast(), PAGE_LEN, rights) } != 0 {
            // SAFETY: `abort` may be called in a signal handler.
            unsafe { libc::abort() };
        }
    }
}

/// The handlers that were installed before these.
static PREVIOUS: OnceLock<[libc::sigaction; 2]> = OnceLock::new();

fn install_handlers() {
    PREVIOUS.get_or_init(|| {
        [
            install(libc::SIGSEGV, on_fault),
            install(libc::SIGTRAP, on_trap),
        ]
    });
}

type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

fn install(signal: c_int, handler: Handler) -> libc::sigaction {
    // SAFETY: all-zero is a valid `sigaction`: the default action, no flags, an empty mask.
    let (mut action, mut previous): (libc::sigaction, libc::sigaction) =
        unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler has the signature that SA_SIGINFO asks for.
    let result = unsafe { libc::sigaction(signal, &action, &mut previous) };
    assert_eq!(result, 0, "the handler of signal {signal} cannot be set");
    previous
}

/// Gives a signal to the handler that was there before. The instruction that caused a fault faults
/// again, then.
fn pass_on(signal: c_int) {
    let previous = PREVIOUS.get().map(|[fault, trap]| match signal {
        libc::SIGSEGV => fault,
        _ => trap,
    });
    // SAFETY: `previous` is what the system returned, or null, which leaves the action alone; both
    // functions may be called in a signal handler.
    unsafe {
        match previous {
            Some(previous) => libc::sigaction(signal, previous, null_mut()),
            None => libc::abort(),
        };
        if signal == libc::SIGTRAP {
            libc::raise(signal);
        }
    }
}

/// The processor's registers, in the order of libc's `REG_` constants.
type Registers = [i64; 23];

/// The general registers, in the order of their numbers in instructions.
const GENERAL: [usize; 16] = [
    libc::REG_RAX as usize,
    libc::REG_RCX as usize,
    libc::REG_RDX as usize,
    libc::REG_RBX as usize,
    libc::REG_RSP as usize,
    libc::REG_RBP as usize,
    libc::REG_RSI as usize,
    libc::REG_RDI as usize,
    libc::REG_R8 as usize,
    libc::REG_R9 as usize,
    libc::REG_R10 as usize,
    libc::REG_R11 as usize,
    libc::REG_R12 as usize,
    libc::REG_R13 as usize,
    libc::REG_R14 as usize,
    libc::REG_R15 as usize,
];

/// The processor's registers when the signal came.
///
/// # Safety
///
/// `context` is what the kernel passed to a handler that is still running.
unsafe fn registers<'a>(context: *mut c_void) -> &'a mut Registers {
    // SAFETY: the third argument of an SA_SIGINFO handler is a valid `ucontext_t`.
    unsafe { &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs }
}

extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes valid pointers.
    let (address, registers) = unsafe { ((*info).si_addr() as usize, registers(context)) };
    let is_write = registers[libc::REG_ERR as usize] & WRITE_FAULT != 0;
    WINDOW.with(|window| match window.offset(address) {
        Some(offset) if window.carry_out(offset, registers) => {}
        Some(offset) => {
            window.begin(offset, is_write);
            registers[libc::REG_EFL as usize] |= TRAP_FLAG;
        }
        None => pass_on(signal),
    });
}

extern "C" fn on_trap(signal: c_int, _info: *mut siginfo_t, context: *mut c_void) {
    if WINDOW.with(Window::end) {
        // SAFETY: the kernel passes a valid pointer.
        let registers = unsafe { registers(context) };
        registers[libc::REG_EFL as usize] &= !TRAP_FLAG;
    } else {
        pass_on(signal);
    }
}
