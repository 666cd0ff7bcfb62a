//! What fails, and the exit code that it makes.

use std::collections::HashMap;
use std::process::ExitCode;

use crate::cli::ui::Ui;
use crate::error::{Error, Kind};

/// As many files are named that fail for one reason; the rest is counted.
const NAMED: usize = 50;

/// What failed of a command over many files. Each failure is told at once; together they make the exit code.
#[derive(Debug, Default)]
pub struct Failures {
    kinds: Vec<Kind>,
    /// Reasons that were told in full, and for how many files.
    told: HashMap<String, usize>,
}

impl Failures {
    pub fn add(&mut self, ui: &Ui, error: &Error) {
        // Two hundred files that we cannot open have one reason, which nobody wants to read two hundred times.
        let summary = error.message().trim_end_matches(':');
        self.kinds.push(error.kind());
        let Some(file) = error.file() else { return ui.error(error) };
        let below: Vec<&str> = error.below().map(String::as_str).collect();
        let files = self.told.entry(format!("{summary}\n{}", below.join("\n"))).or_default();
        *files += 1;
        match *files {
            1 => ui.error(error),
            2..=NAMED if below.is_empty() => ui.error(error),
            2..=NAMED => ui.error(&Error::new(error.kind(), format!("{summary}, as above")).in_file(file)),
            _ => {}
        }
    }

    /// Tells of how many files more failed than were named.
    pub fn tell_rest(&mut self, ui: &Ui) {
        let mut rest: Vec<(String, usize)> = self.told.drain().filter(|(_, files)| *files > NAMED).collect();
        rest.sort();
        for (reason, files) in rest {
            let summary = reason.lines().next().unwrap_or_default();
            ui.error(&Error::new(Kind::Other, format!("and {} more files: {summary}", files - NAMED)));
        }
    }

    /// How many have failed so far.
    pub fn count(&self) -> usize {
        self.kinds.len()
    }

    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The code that all failures share, else 1; 0 when there were none.
    pub fn finish(mut self, ui: &Ui) -> ExitCode {
        self.tell_rest(ui);
        self.code().into()
    }

    /// The same code as a number.
    pub fn code(&self) -> u8 {
        match &self.kinds[..] {
            [] => 0,
            [first, rest @ ..] if rest.iter().all(|kind| kind == first) => first.exit_code(),
            _ => Kind::Other.exit_code(),
        }
    }
}

/// Tells why a command failed, and makes the exit code of it.
pub fn finish(ui: &Ui, result: anyhow::Result<ExitCode>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error.downcast::<Error>(),
    };
    let error = error.unwrap_or_else(|other| Error::new(Kind::Other, format!("{other:#}")));
    ui.error(&error);
    error.kind().exit_code().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::ColorWhen;

    #[test]
    fn failures_that_share_a_code_end_with_it() {
        let ui = Ui::new(ColorWhen::Never, true, true);
        let code = |kinds: &[Kind]| {
            let mut failures = Failures::default();
            kinds.iter().for_each(|kind| failures.add(&ui, &Error::new(*kind, "x")));
            failures.finish(&ui)
        };
        assert_eq!(code(&[]), ExitCode::SUCCESS);
        assert_eq!(code(&[Kind::NoDataKey, Kind::NoDataKey]), 128.into());
        assert_eq!(code(&[Kind::NoDataKey, Kind::Read]), 1.into());
    }
}
