//! Prints the table of `docs/update-time.md`, or writes its plot:
//! `cargo run --release -p update-time [-- --plot docs/update-time.svg]`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        [] => print_table(),
        ["--plot", file] => write_plot(file),
        _ => {
            eprintln!(
                "update-time: the only argument is `--plot FILE`, for the plot in place of the table"
            );
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("update-time: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_table() -> Result<(), String> {
    print!("{}", update_time::table(&update_time::rows()?));
    Ok(())
}

fn write_plot(file: &str) -> Result<(), String> {
    let svg = update_time::plot(&update_time::rows()?)?;
    std::fs::write(file, svg).map_err(|error| format!("cannot write {file}: {error}"))
}
