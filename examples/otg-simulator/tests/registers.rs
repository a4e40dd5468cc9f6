//! The trap behind the registers.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code)]

use std::process::Command;
use std::ptr::null_mut;

use otg_simulator::{Simulator, Speed};

/// The core's number, which is constant, and lies at this offset.
const CID: u32 = 0x5000;
const CID_OFFSET: usize = 0x3C;

#[test]
fn an_instruction_that_is_not_decoded_is_single_stepped() {
    let simulator = Simulator::new(Speed::High);
    let registers = simulator.instance().regs;
    assert_eq!(registers.cid().read().0, CID);
    let bytes = registers.as_ptr().cast::<u8>().wrapping_add(CID_OFFSET);
    for (index, expected) in CID.to_le_bytes().into_iter().enumerate() {
        // SAFETY: the address is that of a register.
        assert_eq!(unsafe { bytes.add(index).read_volatile() }, expected);
    }

    // What `modify` becomes in an optimized build.
    let mask = registers.daintmsk();
    mask.write(|w| w.set_iepm(0x1234));
    // SAFETY: the address is that of a register.
    unsafe {
        std::arch::asm!("or dword ptr [{}], 0x0101", in(reg) mask.as_ptr());
        std::arch::asm!("mov byte ptr [{}], 0x99", in(reg) mask.as_ptr());
    }
    assert_eq!(mask.read().iepm(), 0x1399);
}

#[test]
fn threads_have_simulators_of_their_own() {
    let threads = [0x11, 0x22, 0x33].map(|value| {
        std::thread::spawn(move || {
            let simulator = Simulator::new(Speed::High);
            let mask = simulator.instance().regs.daintmsk();
            for round in 0..1000 {
                mask.write(|w| w.set_iepm(value + round));
                assert_eq!(mask.read().iepm(), value + round);
            }
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
#[should_panic(expected = "one simulator at a time")]
fn a_thread_has_one_simulator_at_a_time() {
    drop(Simulator::new(Speed::High));
    let _first = Simulator::new(Speed::High);
    Simulator::new(Speed::High);
}

#[test]
#[should_panic(expected = "not modelled")]
fn a_register_that_is_not_modelled_is_not_read_in_silence() {
    let simulator = Simulator::new(Speed::High);
    simulator.instance().regs.hcfg().read();
    simulator.run_interrupts();
}

#[test]
#[should_panic(expected = "the receive FIFO was empty")]
fn an_empty_fifo_is_not_read_in_silence() {
    let simulator = Simulator::new(Speed::High);
    simulator.instance().regs.grxstsp().read();
    simulator.run_interrupts();
}

/// Runs itself again, and crashes there.
#[test]
fn another_fault_still_kills_the_process() {
    const IS_CHILD: &str = "OTG_SIMULATOR_CRASHES";
    if std::env::var_os(IS_CHILD).is_some() {
        let _simulator = Simulator::new(Speed::High);
        // SAFETY: none, on purpose: this process must not survive it.
        unsafe { null_mut::<u32>().wrapping_add(1).write_volatile(0) };
        return;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "another_fault_still_kills_the_process"])
        .env(IS_CHILD, "")
        .output()
        .unwrap()
        .status;
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(11)
    );
}
