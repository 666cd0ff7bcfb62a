use std::process::ExitCode;

fn main() -> ExitCode {
    sealant::cli::run(std::env::args_os())
}
