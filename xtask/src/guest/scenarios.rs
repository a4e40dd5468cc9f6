//! The scenarios there are.

use super::nvme_cli::Release;
use super::plans::{
    AT_ONCE, ATTACHED_NVME_CLI, BMC_I2C, BMC_SERIAL, BOARD, ECHOES, ENDS, GARBAGE, I2C, I2C_REPLUG,
    LINK_LOSS, LONG_BENCH, MANAGED, NVME_CLI, REPLUG, ROBUST, SERIAL, SERIAL_LOG, SHORT,
    SHORT_BENCH, SLOW_BENCH, SLOW_FIRMWARE, SOCKETS, STOPPED_BENCH, STOPPED_SPANNING_BENCH, Step,
    TWO_DEVICES, TWO_WIRE_PAGE, USBIP, USBIP_LOAD, USBIP_NVME_CLI, USBIP_TOOL,
};
use super::scenario::{Board, Computer, Controller, End, Linux, Listener, Scenario, Wire};

/// The short run.
pub(super) fn smoke() -> Vec<Scenario> {
    vec![linux_7_2("smoke", 68, SHORT)]
}

/// The whole run.
pub(super) fn all() -> Vec<Scenario> {
    use Controller::{Ehci, Xhci};
    vec![
        linux_7_2("7.2-ehci-68", 68, ROBUST),
        Scenario {
            wire: Wire::Usb(Xhci),
            ..linux_7_2("7.2-xhci-251", 251, ROBUST)
        },
        Scenario {
            boots: 3,
            ..linux_7_2("7.2-ehci-reboot", 68, SHORT)
        },
        linux_7_3("7.3-xhci-68", "1.0", 68, ECHOES),
        Scenario {
            speed: "full",
            ..linux_7_3("7.3-xhci-full-speed", "1.0", 251, ROBUST)
        },
        Scenario {
            speed: "full",
            ..linux_7_3("7.3-xhci-full-speed-spanning", "1.1", 8187, ECHOES)
        },
        Scenario {
            wire: Wire::Usb(Ehci),
            ..linux_7_3("7.3-ehci-251", "1.0", 251, ROBUST)
        },
        linux_7_3("7.3-xhci-spanning", "1.1", 8187, ROBUST),
        linux_7_3("7.3-xhci-spanning-68", "1.1", 68, ECHOES),
        Scenario {
            wire: Wire::Usb(Ehci),
            listener: Listener::Device,
            boots: 2,
            ..linux_7_3("7.3-ehci-spanning", "1.1", 8187, ECHOES)
        },
        malformed(linux_7_2("7.2-ehci-malformed", 68, GARBAGE)),
        malformed(linux_7_3("7.3-xhci-malformed", "1.0", 251, GARBAGE)),
        malformed(linux_7_3(
            "7.3-xhci-malformed-spanning",
            "1.1",
            8187,
            GARBAGE,
        )),
        // With buffers for eight echoes, as many as Linux has tags for; then for two.
        at_once(8, linux_7_2("7.2-ehci-at-once", 68, AT_ONCE)),
        at_once(8, linux_7_3("7.3-xhci-at-once", "1.0", 68, AT_ONCE)),
        at_once(
            8,
            linux_7_3("7.3-xhci-spanning-at-once", "1.1", 68, AT_ONCE),
        ),
        at_once(2, linux_7_2("7.2-ehci-at-once-few-buffers", 68, AT_ONCE)),
        at_once(
            2,
            linux_7_3("7.3-xhci-at-once-few-buffers", "1.0", 68, AT_ONCE),
        ),
        at_once(
            2,
            linux_7_3("7.3-xhci-spanning-at-once-few-buffers", "1.1", 68, AT_ONCE),
        ),
        linux_7_2("7.2-ehci-bench", 251, SHORT_BENCH),
        linux_7_2("7.2-ehci-stopped-bench", 251, STOPPED_BENCH),
        linux_7_3(
            "7.3-xhci-spanning-stopped-bench",
            "1.1",
            8187,
            STOPPED_SPANNING_BENCH,
        ),
        linux_7_3("7.3-xhci-long-bench", "1.0", 251, LONG_BENCH),
        linux_7_3("7.3-xhci-spanning-long-bench", "1.1", 8187, LONG_BENCH),
        nvme_cli(
            Release::Bookworm,
            linux_7_2("7.2-ehci-nvme-cli-2.3", 68, NVME_CLI),
        ),
        nvme_cli(
            Release::Trixie,
            linux_7_3("7.3-xhci-nvme-cli-2.13", "1.0", 251, NVME_CLI),
        ),
        slow_firmware(
            Release::Bookworm,
            linux_7_2("7.2-ehci-slow-firmware-2.3", 68, SLOW_FIRMWARE),
        ),
        slow_firmware(
            Release::Trixie,
            linux_7_3("7.3-xhci-slow-firmware-2.13", "1.0", 251, SLOW_FIRMWARE),
        ),
        nvme_cli(
            Release::Trixie,
            linux_7_3("7.3-xhci-link-loss", "1.0", 251, LINK_LOSS),
        ),
        Scenario {
            listener: Listener::Device,
            boots: 2,
            ..nvme_cli(Release::Bookworm, linux_7_2("7.2-ehci-replug", 68, REPLUG))
        },
        serial(linux_7_2("7.2-serial", 68, SERIAL)),
        serial(linux_7_3("7.3-serial", "1.0", 68, SERIAL)),
        serial(nvme_cli(
            Release::Trixie,
            linux_7_3("7.3-serial-nvme-cli-2.13", "1.0", 68, ATTACHED_NVME_CLI),
        )),
        i2c(linux_7_3("7.3-i2c", "1.0", 254, I2C)),
        i2c(nvme_cli(
            Release::Trixie,
            linux_7_3("7.3-i2c-nvme-cli-2.13", "1.0", 254, ATTACHED_NVME_CLI),
        )),
        i2c(nvme_cli(
            Release::Trixie,
            linux_7_3("7.3-two-wire-page", "1.0", 254, TWO_WIRE_PAGE),
        )),
        i2c_replug("7.3-i2c-replug"),
        usbip(linux_7_2("7.2-usbip", 68, USBIP)),
        usbip(linux_7_3("7.3-usbip", "1.0", 251, USBIP)),
        usbip(linux_7_3("7.3-usbip-spanning", "1.1", 8187, ECHOES)),
        Scenario {
            speed: "full",
            ..usbip(linux_7_3("7.3-usbip-full-speed", "1.0", 251, ECHOES))
        },
        usbip_tool(
            Release::Bookworm,
            linux_7_2("7.2-usbip-tool", 68, USBIP_TOOL),
        ),
        usbip_tool(
            Release::Trixie,
            linux_7_3("7.3-usbip-tool", "1.0", 251, USBIP_TOOL),
        ),
        usbip(malformed(linux_7_2("7.2-usbip-load", 251, USBIP_LOAD))),
        usbip(malformed(linux_7_3(
            "7.3-usbip-load",
            "1.0",
            251,
            USBIP_LOAD,
        ))),
        usbip(malformed(linux_7_3(
            "7.3-usbip-spanning-load",
            "1.1",
            8187,
            USBIP_LOAD,
        ))),
        usbip(linux_7_2("7.2-usbip-two-devices", 68, TWO_DEVICES)),
        usbip(linux_7_3("7.3-usbip-two-devices", "1.0", 251, TWO_DEVICES)),
        usbip(nvme_cli(
            Release::Bookworm,
            linux_7_2("7.2-usbip-nvme-cli-2.3", 68, USBIP_NVME_CLI),
        )),
        usbip(nvme_cli(
            Release::Trixie,
            linux_7_3("7.3-usbip-nvme-cli-2.13", "1.0", 251, USBIP_NVME_CLI),
        )),
        usbip(serial_log(linux_7_2(
            "7.2-usbip-serial-log",
            68,
            SERIAL_LOG,
        ))),
        usbip(serial_log(linux_7_3(
            "7.3-usbip-serial-log",
            "1.0",
            251,
            SERIAL_LOG,
        ))),
        linux_7_2("7.2-ehci-sockets", 68, SOCKETS),
        linux_7_3("7.3-xhci-sockets", "1.0", 251, SOCKETS),
        an500(linux_7_2("an500-7.2-ehci", 68, BOARD)),
        an500(linux_7_2("an500-7.2-ehci-bench", 251, SLOW_BENCH)),
        an500(serial(linux_7_2("an500-7.2-serial", 68, SERIAL))),
        an500(serial(linux_7_3("an500-7.3-serial", "1.0", 68, SERIAL))),
        an500(nvme_cli(
            Release::Trixie,
            linux_7_3("an500-7.3-xhci-nvme-cli-2.13", "1.0", 251, NVME_CLI),
        )),
        serial_log(linux_7_2("7.2-ehci-serial-log", 68, SERIAL_LOG)),
        serial_log(linux_7_3("7.3-xhci-serial-log", "1.0", 251, SERIAL_LOG)),
        an500(serial_log(linux_7_2(
            "an500-7.2-ehci-serial-log",
            68,
            SERIAL_LOG,
        ))),
        ends(End::Panic, linux_7_2("an500-7.2-ehci-panic", 68, ENDS)),
        ends(
            End::StackOverflow,
            linux_7_3("an500-7.3-xhci-stack-overflow", "1.0", 251, ENDS),
        ),
        ast2600(linux_7_3("ast2600-7.3-ehci-251", "1.0", 251, MANAGED)),
        ast2600(linux_7_3("ast2600-7.3-ehci-spanning", "1.1", 8187, ECHOES)),
        malformed(ast2600(linux_7_3(
            "ast2600-7.3-ehci-malformed",
            "1.0",
            251,
            GARBAGE,
        ))),
        at_once(
            8,
            ast2600(linux_7_3("ast2600-7.3-ehci-at-once", "1.0", 68, AT_ONCE)),
        ),
        ast2600(linux_7_3("ast2600-7.3-ehci-bench", "1.0", 251, SHORT_BENCH)),
        ast2600(linux_7_3("ast2600-7.3-ehci-sockets", "1.0", 251, SOCKETS)),
        ast2600(i2c(linux_7_3("ast2600-7.3-i2c", "1.0", 254, BMC_I2C))),
        ast2600(i2c_replug("ast2600-7.3-i2c-replug")),
        ast2600(serial(linux_7_3(
            "ast2600-7.3-serial",
            "1.0",
            68,
            BMC_SERIAL,
        ))),
        an500(ast2600(linux_7_3(
            "an500-ast2600-7.3-ehci",
            "1.0",
            251,
            BOARD,
        ))),
    ]
}

/// What changes without our doing, or takes minutes, is run only by its name.
pub(super) fn on_request() -> Vec<Scenario> {
    vec![
        nvme_cli(
            Release::Sid,
            linux_7_3("7.3-xhci-nvme-cli-sid", "1.1", 251, NVME_CLI),
        ),
        linux_7_2("7.2-ehci-long-bench", 251, LONG_BENCH),
    ]
}

fn nvme_cli(release: Release, scenario: Scenario) -> Scenario {
    Scenario {
        nvme_cli: Some(release),
        ..scenario
    }
}

fn slow_firmware(release: Release, scenario: Scenario) -> Scenario {
    Scenario {
        model: Some("slow-firmware.toml"),
        ..nvme_cli(release, scenario)
    }
}

fn an500(scenario: Scenario) -> Scenario {
    Scenario {
        board: Board::An500,
        ..scenario
    }
}

fn ast2600(scenario: Scenario) -> Scenario {
    Scenario {
        computer: Computer::Ast2600,
        wire: match scenario.wire {
            // Its own.
            Wire::Usb(_) => Wire::Usb(Controller::Ehci),
            other => other,
        },
        ..scenario
    }
}

fn usbip(scenario: Scenario) -> Scenario {
    Scenario {
        wire: Wire::Usbip,
        ..scenario
    }
}

fn usbip_tool(release: Release, scenario: Scenario) -> Scenario {
    Scenario {
        usbip_tool: Some(release),
        ..usbip(scenario)
    }
}

fn serial(scenario: Scenario) -> Scenario {
    Scenario {
        wire: Wire::Serial,
        ..scenario
    }
}

fn i2c(scenario: Scenario) -> Scenario {
    Scenario {
        wire: Wire::I2c,
        ..scenario
    }
}

fn i2c_replug(name: &'static str) -> Scenario {
    Scenario {
        listener: Listener::Device,
        boots: 2,
        ..i2c(linux_7_3(name, "1.0", 254, I2C_REPLUG))
    }
}

/// Two processors, so that messages do not reach the driver one after the other.
fn at_once(message_buffers: u8, scenario: Scenario) -> Scenario {
    Scenario {
        message_buffers,
        processors: 2,
        ..scenario
    }
}

fn serial_log(scenario: Scenario) -> Scenario {
    Scenario {
        serial_log: true,
        ..scenario
    }
}

fn ends(end: End, scenario: Scenario) -> Scenario {
    Scenario {
        end: Some(end),
        ..an500(scenario)
    }
}

fn linux_7_2(name: &'static str, mtu: u32, steps: &'static [Step]) -> Scenario {
    Scenario {
        name,
        board: Board::Pc,
        computer: Computer::X86,
        linux: Linux::V7_2,
        wire: Wire::Usb(Controller::Ehci),
        listener: Listener::Qemu,
        usb: "1.0",
        speed: "high",
        mtu,
        boots: 1,
        well_formed: true,
        message_buffers: 8,
        processors: 1,
        nvme_cli: None,
        usbip_tool: None,
        serial_log: false,
        model: None,
        end: None,
        steps,
    }
}

fn linux_7_3(name: &'static str, usb: &'static str, mtu: u32, steps: &'static [Step]) -> Scenario {
    Scenario {
        linux: Linux::V7_3,
        wire: Wire::Usb(Controller::Xhci),
        usb,
        ..linux_7_2(name, mtu, steps)
    }
}

fn malformed(scenario: Scenario) -> Scenario {
    Scenario {
        well_formed: false,
        ..scenario
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kernels_meet_every_wire() {
        for linux in [Linux::V7_2, Linux::V7_3] {
            for controller in ["usb-ehci", "qemu-xhci", "vhci-hcd", "16550A"] {
                assert!(
                    all()
                        .iter()
                        .any(|s| s.linux == linux && s.wire.device() == controller),
                    "{linux:?} {controller}"
                );
            }
        }
    }

    #[test]
    fn over_usbip_both_kernels_meet_what_they_meet_over_usbredir_and_more() {
        let words = [
            "linux-requester bench ",
            "--at-once 12",
            "inject ",
            "nvme-check ",
            "serial-log ",
            "reset-usb ",
            "cycle-link ",
            "cycle-link-under-load ",
            "two-devices ",
            "cycle-usbip 9 --mtu",
            "check-usbip-tool ",
            "cycle-by-tool 9 --mtu",
        ];
        for linux in [Linux::V7_2, Linux::V7_3] {
            let over_usbip = |s: &Scenario| s.linux == linux && s.wire == Wire::Usbip;
            let plans = all().into_iter().filter(over_usbip).map(|s| s.plan());
            let plans: Vec<_> = plans.collect();
            for words in words {
                assert!(plans.iter().any(|plan| plan.contains(words)), "{words}");
            }
            assert!(
                plans
                    .iter()
                    .all(|plan| plan.contains("check-usbip\n") || plan.ends_with("check-usbip"))
            );
            let of_cycles = plans.iter().filter(|plan| plan.contains("--count 100 /"));
            assert_eq!(of_cycles.count(), 2);
        }
    }

    #[test]
    fn the_emulated_bmc_meets_every_wire_and_both_devices() {
        let with = |is_there: &dyn Fn(&Scenario) -> bool| {
            let mut scenarios = all().into_iter();
            scenarios.any(|s| s.computer == Computer::Ast2600 && is_there(&s))
        };
        for wire in [Wire::Usb(Controller::Ehci), Wire::Serial, Wire::I2c] {
            assert!(with(&|s| s.wire == wire), "{wire:?}");
        }
        for board in [Board::Pc, Board::An500] {
            assert!(with(&|s| s.board == board), "{board:?}");
        }
        // It has no other one.
        assert!(!with(&|s| s.wire == Wire::Usb(Controller::Xhci)));
    }

    #[test]
    fn the_bus_in_software_is_of_the_newer_kernel_alone() {
        let on_the_bus = |linux| {
            let is_there = |s: &&Scenario| s.wire == Wire::I2c && s.linux == linux;
            all().iter().filter(is_there).count()
        };
        assert_eq!(on_the_bus(Linux::V7_2), 0);
        assert!(on_the_bus(Linux::V7_3) > 0);
    }

    #[test]
    fn guests_have_the_services_that_their_plans_start() {
        for scenario in all() {
            let is_started = scenario.plan().contains("start /bin/linux-service ");
            assert_eq!(scenario.has_service(), is_started, "{}", scenario.name);
        }
    }

    #[test]
    fn names_are_different_because_they_are_folders() {
        let mut names: Vec<_> = all().iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().len());
    }

    #[test]
    fn guests_reboot_with_a_device_that_stays_and_are_replaced_with_one_that_listens() {
        for listener in [Listener::Qemu, Listener::Device] {
            assert!(all().iter().any(|s| s.boots > 1 && s.listener == listener));
        }
    }

    #[test]
    fn scenarios_that_inject_are_not_expected_to_be_well_formed() {
        for scenario in all() {
            assert_eq!(scenario.plan().contains("inject"), !scenario.well_formed);
        }
    }
}
