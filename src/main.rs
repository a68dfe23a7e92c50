//! The process: parse, tracing, dispatch, exit code; everything else is in the library.

use iceshop::cli::Cli;
use iceshop::failure::{Failure, Kind, OrFail};
use std::io::IsTerminal;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::read();
    match trace(&cli.log).and_then(|()| cli.command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.kind != Kind::ReaderGone {
                eprintln!("iceshop: {failure}");
            }
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

/// Sends what is traced to stderr: stdout belongs to results.
fn trace(filter: &str) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter).or_fail(Kind::Usage, || {
        format!("log: {filter}: not a filter such as info,iceshop=debug")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}
