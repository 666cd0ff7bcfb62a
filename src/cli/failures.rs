//! What fails, and the exit code that it makes.

use std::collections::HashSet;
use std::process::ExitCode;

use crate::cli::ui::Ui;
use crate::error::{Error, Kind};

/// What failed of a command over many files. Each failure is told at once; together they make the exit code.
#[derive(Debug, Default)]
pub struct Failures {
    kinds: Vec<Kind>,
    /// Messages of several lines that were told in full.
    told: HashSet<String>,
}

impl Failures {
    pub fn add(&mut self, ui: &Ui, error: &Error) {
        // Two hundred files that nobody here can open have one reason, which is not to be read two hundred times.
        let summary = error.message().trim_end_matches(':');
        let told = || format!("{summary}\n{}", error.below().cloned().collect::<Vec<_>>().join("\n"));
        match error.file() {
            Some(file) if error.below().next().is_some() && !self.told.insert(told()) => {
                ui.error(&Error::new(error.kind(), format!("{summary}, as above")).in_file(file));
            }
            _ => ui.error(error),
        }
        self.kinds.push(error.kind());
    }

    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The code that all failures share, else 1; 0 when there were none.
    pub fn exit_code(&self) -> ExitCode {
        self.code().into()
    }

    /// The same as a number.
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
            failures.exit_code()
        };
        assert_eq!(code(&[]), ExitCode::SUCCESS);
        assert_eq!(code(&[Kind::NoDataKey, Kind::NoDataKey]), 128.into());
        assert_eq!(code(&[Kind::NoDataKey, Kind::Read]), 1.into());
    }
}
