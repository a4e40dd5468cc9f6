//! Prints the table of `docs/update-time.md`: `cargo run --release -p update-time`.

fn main() -> Result<(), String> {
    print!("{}", update_time::table(&update_time::rows()?));
    Ok(())
}
