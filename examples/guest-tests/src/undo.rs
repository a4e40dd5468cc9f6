//! What is undone whether a step failed or not.

use anyhow::Result;

/// The result of a step and of undoing what went before it: if both failed, both are told.
pub(crate) fn then<T>(step: Result<T>, undone: Result<()>) -> Result<T> {
    match (step, undone) {
        (step, Ok(())) => step,
        (Ok(_), Err(undo)) => Err(undo),
        (Err(error), Err(undo)) => Err(error.context(format!("cannot undo ({undo:#})"))),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn every_failure_is_told() {
        let step = |text: &'static str| Err::<(), _>(anyhow!(text));
        let text = |result: Result<()>| format!("{:#}", result.unwrap_err());
        assert!(then(Ok(()), Ok(())).is_ok());
        assert_eq!(text(then(step("a"), Ok(()))), "a");
        assert_eq!(text(then(Ok(()), step("b"))), "b");
        assert_eq!(text(then(step("a"), step("b"))), "cannot undo (b): a");
    }
}
