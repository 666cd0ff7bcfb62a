use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use crate::cli::audit_log::{hash, log_of, no_place};
use crate::cli::context::Context;
use crate::error::{Kind, Result};
use crate::fs;

/// Verify that the audit log is complete and unchanged
///
/// Each line of the log has the SHA-256 of the line before it, which reveals lines that are missing at the beginning
/// or in between. To detect lines that are missing at the end, or a log that was replaced as a whole, keep the hash
/// of the last line, which this command prints, in another place.
///
/// The log is written if your own settings, `$XDG_CONFIG_HOME/sealant/config.yaml`, say `audit: {}`, or when the
/// config of a repository says `sealant: {audit: true}`. It is $XDG_STATE_HOME/sealant/audit.jsonl, unless your
/// settings name another file: `audit: {log: /var/log/sealant.jsonl}`. If the log cannot be written, or others can
/// read or write it, nothing is decrypted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant audit
  sealant audit /var/log/sealant.jsonl
  jq 'select(.command == \"decrypt\")' ~/.local/state/sealant/audit.jsonl")]
pub struct Args {
    /// The log, if not your own
    #[arg(value_name = "FILE")]
    log: Option<PathBuf>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let path = match args.log {
        Some(path) => path,
        None => log_of(context.host)?.1.ok_or_else(no_place)?,
    };
    let (mut number, mut last, mut broken) = (0_usize, None, Vec::new());
    fs::read_lines(&path, |line| {
        number += 1;
        let found: Option<Value> = serde_json::from_slice(line).ok();
        let prev = found.as_ref().and_then(|line| line.get("prev")).and_then(Value::as_str);
        // The first line of a log follows no other.
        if found.is_none() || prev != last.as_deref() {
            broken.push(number);
        }
        last = Some(hash(line));
        Ok(())
    })
    .map_err(|error| match error.kind() {
        Kind::NoFile => {
            error.advise("Nothing has been logged yet. `sealant help audit` says how to turn the log on.")
        }
        _ => error,
    })?;
    for line in &broken {
        let what = match line {
            1 => "is not how a log begins: lines before it are missing, or it was changed",
            _ => "is not what followed the line before it",
        };
        context.ui.line(format!("{}:{line}: {what}", path.display()))?;
    }
    let last = last.unwrap_or_else(|| "none".to_owned());
    context.ui.say(format!("{number} lines, {} broken; the hash of the last is {last}", broken.len()));
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { Kind::Other.exit_code().into() })
}
