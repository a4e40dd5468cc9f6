//! What is printed of an error: each of its parts once.

use std::io;

use linux_requester::address::Destination;
use linux_requester::bench::RequestError;
use linux_requester::bus_owner::BusOwnerError;
use linux_requester::control::ControlError;
use linux_requester::echo::EchoError;
use linux_requester::firmware::UpdateError;
use linux_requester::nvme_mi::ManagementError;
use linux_requester::transaction::ChangeError;
use mctp_router::wire::Command;

fn unreachable() -> io::Error {
    io::Error::from_raw_os_error(113)
}

fn management() -> ManagementError {
    ManagementError::Socket {
        opcode: 1,
        source: unreachable(),
    }
}

fn control() -> ControlError {
    ControlError::Socket {
        command: Command(2),
        destination: Destination::EndpointId(9),
        source: unreachable(),
    }
}

fn change() -> ChangeError {
    ChangeError {
        change: "set mctpusb0 up".to_owned(),
        source: unreachable(),
    }
}

#[test]
fn what_the_kernel_says_is_printed_once() {
    let echo = EchoError::Socket {
        size: 1,
        source: unreachable(),
    };
    let update = UpdateError::Management {
        step: "Firmware Commit to slot 3".to_owned(),
        source: management(),
    };
    let errors: [anyhow::Error; 8] = [
        control().into(),
        BusOwnerError::Control(control()).into(),
        BusOwnerError::Kernel(change()).into(),
        change().into(),
        echo.into(),
        management().into(),
        update.into(),
        RequestError::Socket(unreachable()).into(),
    ];
    // C libraries have other words for it.
    let reason = unreachable().to_string();
    for error in errors {
        let text = format!("{error:#}");
        assert_eq!(text.matches(&reason).count(), 1, "{text}");
        assert!(text.ends_with(&reason), "{text}");
    }
}

#[test]
fn an_error_says_what_failed_and_then_why() {
    assert_eq!(
        format!("{:#}", anyhow::Error::from(control())),
        format!(
            "cannot send Get Endpoint ID (02h) to EID 9: {}",
            unreachable()
        )
    );
}
