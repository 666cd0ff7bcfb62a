//! The in-cluster controller: turns objects such as SealedSecrets into native Secrets. Parses the flags, sets up the log, and runs.

mod engine;
mod keys;
mod managed;
#[cfg(test)]
mod page;
mod run;
mod settings;
mod source;

use std::process::ExitCode;

use settings::{Cli, Command, LogFormat, Settings};

/// How many threads the controller has at most, beside the one that opens data keys.
const MOST_THREADS: usize = 4;

fn main() -> ExitCode {
    let cli = Cli::of_program();
    if let Some(Command::Crd) = cli.command {
        return print_crds();
    }
    log_as(&cli.settings);
    // It fails only if there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // What is opened has a thread of its own; the rest waits for others, and needs no more on a node of many cores.
    let threads =
        std::thread::available_parallelism().map_or(MOST_THREADS, |cores| cores.get().min(MOST_THREADS));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(run::run(cli.settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    tracing::error!("{error:#}");
    ExitCode::FAILURE
}

/// The definitions of all kinds that have one.
fn print_crds() -> ExitCode {
    let crds = source::KINDS.iter().filter_map(|kind| (kind.crd)());
    let texts: Result<Vec<String>, _> = crds.map(|crd| serde_yaml::to_string(&crd)).collect();
    match texts {
        Ok(texts) => {
            print!("{}", texts.join("---\n"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("the CustomResourceDefinitions cannot be written: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Logs to standard error, and nothing of any library: the client logs whole answers when they do not decode, as a
/// warning, with all that is secret in them. What fails comes back as an error, and is said by us.
fn log_as(settings: &Settings) {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::prelude::*;
    let level = LevelFilter::from_level(settings.log_level);
    let ours = Targets::new()
        .with_default(LevelFilter::OFF)
        .with_target("sealant_controller", level)
        .with_target("audit", LevelFilter::INFO);
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let log = tracing_subscriber::registry().with(ours);
    match settings.log_format {
        LogFormat::Json => log.with(format.json().flatten_event(true)).init(),
        LogFormat::Text => log.with(format).init(),
    }
}
