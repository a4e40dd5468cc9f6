//! `linux-requester` as a program of the guest.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Its name in a plan.
pub(crate) const NAME: &str = "linux-requester";
const PROGRAM: &str = "/bin/linux-requester";

/// Runs the program with these arguments, which has to succeed. What it says of a failure is in the
/// error.
pub(crate) fn run<T: AsRef<OsStr>>(arguments: impl IntoIterator<Item = T>) -> Result<()> {
    run_program(PROGRAM, arguments)
}

fn run_program<T: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = T>,
) -> Result<()> {
    let mut command = Command::new(program);
    // The console is the host's.
    command.args(arguments).stdin(Stdio::null());
    let child = command.stderr(Stdio::piped()).spawn();
    let child = child.with_context(|| format!("cannot start {program}"))?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim_end();
    match (output.status.success(), said) {
        (true, "") => {}
        (true, said) => eprintln!("{said}"),
        (false, "") => bail!("{program} ended with {}", output.status),
        (false, said) => bail!("{said}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_says_of_its_failure_is_the_error() {
        assert!(run_program("true", [""; 0]).is_ok());
        let error = run_program("sh", ["-c", "echo a reason >&2; exit 1"]).unwrap_err();
        assert_eq!(error.to_string(), "a reason");
        let error = run_program("false", [""; 0]).unwrap_err();
        assert_eq!(error.to_string(), "false ended with exit status: 1");
        let error = run_program("/no/such/program", [""; 0]).unwrap_err();
        assert_eq!(error.to_string(), "cannot start /no/such/program");
    }
}
