//! What the commands of Kubernetes share: as what a manifest is read, and as what manifests are written.

use std::path::Path;

use clap::{Args, ValueEnum};

use crate::cli::args::Destination;
use crate::document::Format;

/// As what manifests are written.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct ManifestArgs {
    /// Write manifests as yaml or json; by default as the name of the output says, else as what was read
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    format: Option<ManifestFormat>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ManifestFormat {
    Yaml,
    Json,
}

impl ManifestArgs {
    /// As what to write what comes of a manifest in this format.
    pub fn of(self, destination: &Destination, input: Format) -> Format {
        let by_name = match destination {
            Destination::File(file) => of_name(file),
            _ => None,
        };
        match self.format {
            Some(ManifestFormat::Yaml) => Format::Yaml,
            Some(ManifestFormat::Json) => Format::Json,
            None => by_name.unwrap_or(input),
        }
    }
}

/// The format of manifests that a name stands for.
pub fn of_name(name: &Path) -> Option<Format> {
    Some(Format::of_path(name)).filter(|format| matches!(format, Format::Yaml | Format::Json))
}

/// As what to read a manifest that came without a name which says it.
pub fn by_content(bytes: &[u8]) -> Format {
    if bytes.trim_ascii_start().starts_with(b"{") { Format::Json } else { Format::Yaml }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_counts_before_a_name_and_a_name_before_what_was_read() {
        let format =
            |format, destination: &Destination| ManifestArgs { format }.of(destination, Format::Json);
        let [yaml, other] = ["a.yml", "a.txt"].map(|name| Destination::File(name.into()));
        assert_eq!(format(None, &yaml), Format::Yaml);
        assert_eq!(format(None, &other), Format::Json);
        assert_eq!(format(Some(ManifestFormat::Json), &yaml), Format::Json);
        assert_eq!(format(Some(ManifestFormat::Yaml), &Destination::Stdout), Format::Yaml);
        assert_eq!(by_content(b"\n {\"a\": 1}"), Format::Json);
    }
}
