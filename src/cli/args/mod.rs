//! Arguments that several commands share, and what they mean to the library.
//!
//! Each group is flattened into a command's `Args` and has one function that turns it into values of the library.

mod files;
mod keys;
mod place;
mod rules;

pub use files::{
    Destination, FormatArgs, Formats, Input, InputArgs, Inputs, LISTED, OutputArgs, STDIN, plain_path,
};
pub use keys::{AwsArgs, ChangeKeyArgs, IdentityArgs, KeyArgs, by_name};
pub use place::{PlaceArgs, scopes};
pub use rules::RuleArgs;

use clap::{Args, ValueEnum};

/// How a result is printed that a program may want to read.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct ReportArgs {
    /// Print the result for people, or as JSON for programs
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: ReportFormat,
}

impl ReportArgs {
    pub fn is_json(self) -> bool {
        self.format == ReportFormat::Json
    }
}

/// For whom a result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    #[default]
    Text,
    Json,
}

/// How a list is printed that people read, or take into a spreadsheet, or give to a program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    #[default]
    Table,
    Json,
    Csv,
}
