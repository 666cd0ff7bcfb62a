//! What the commands of Kubernetes share: as what a manifest is read, and as what manifests are written.

use std::path::Path;

use clap::{Args, ValueEnum};
use serde::de::IgnoredAny;

use crate::cli::args::Destination;
use crate::document::{self, Document, Format};
use crate::encrypted_file;
use crate::error::Result;
use crate::secret::SecretBytes;

/// As what manifests are written.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct ManifestArgs {
    /// Format of the manifests (default: from the output's name, or else as the input)
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
fn of_name(name: &Path) -> Option<Format> {
    Some(Format::of_path(name)).filter(|format| matches!(format, Format::Yaml | Format::Json))
}

/// As what to read a manifest: as what the file is, and where neither its name nor a ciphertext says so, as JSON if all of it
/// is that, or begins as a map of YAML in braces seldom does, with a key in quotes. `None` for files of other types.
pub fn format_in(by_name: Format, file: &SecretBytes) -> Option<Format> {
    match encrypted_file::format_in(by_name, file) {
        format @ (Format::Yaml | Format::Json) => Some(format),
        Format::Binary if parse(Format::Json, file.clone()).is_ok() => Some(Format::Json),
        Format::Binary if parse(Format::Yaml, file.clone()).is_ok() => Some(Format::Yaml),
        Format::Binary => match file.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start) {
            Some([b'"' | b'}', ..]) => Some(Format::Json),
            _ => Some(Format::Yaml),
        },
        Format::Dotenv | Format::Ini => None,
    }
}

/// Reads manifests. Programs write several in JSON one after the other, which is no document of its own.
pub fn parse(format: Format, bytes: SecretBytes) -> Result<Vec<Box<dyn Document>>> {
    if format == Format::Json {
        let mut values = serde_json::Deserializer::from_slice(&bytes).into_iter::<IgnoredAny>();
        let (mut parts, mut start) = (Vec::new(), 0);
        while let Some(Ok(_)) = values.next() {
            let end = values.byte_offset();
            parts.push(SecretBytes::new(bytes[start..end].to_vec()));
            start = end;
        }
        // Whoever reads it as a whole reports what is wrong with it.
        if parts.len() > 1 && bytes[start..].trim_ascii().is_empty() {
            return parts.into_iter().map(|part| document::parse(format, part, false)).collect();
        }
    }
    document::parse(format, bytes, false).map(|document| vec![document])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_json_may_follow_one_another() {
        let parsed =
            |text: &str| parse(Format::Json, SecretBytes::new(text.into())).map(|all| all.len()).ok();
        let counts = ["{}", "{}\n{\"a\": {}}\n", "{}{}{}", "{} x", "{\"a\": 1", ""].map(parsed);
        assert_eq!(counts, [Some(1), Some(2), Some(3), None, None, None]);
    }

    #[test]
    fn a_flag_counts_before_a_name_and_a_name_before_what_was_read() {
        let format =
            |format, destination: &Destination| ManifestArgs { format }.of(destination, Format::Json);
        let [yaml, other] = ["a.yml", "a.txt"].map(|name| Destination::File(name.into()));
        assert_eq!(format(None, &yaml), Format::Yaml);
        assert_eq!(format(None, &other), Format::Json);
        assert_eq!(format(Some(ManifestFormat::Json), &yaml), Format::Json);
        assert_eq!(format(Some(ManifestFormat::Yaml), &Destination::Stdout), Format::Yaml);
    }

    #[test]
    fn a_manifest_is_what_it_can_be_read_as_where_its_name_does_not_say() {
        let format = |by_name, text: &str| format_in(by_name, &SecretBytes::new(text.into()));
        for (text, expected) in [
            ("\n { \"a\": 1}", Format::Json),
            ("{\"a\": 1}\n{\"b\": 2}", Format::Json),
            ("{a: 1}", Format::Yaml),
            ("{\"a\": 1, b: 2}", Format::Yaml),
            ("{\"a\": 1,", Format::Json),
            ("a: [", Format::Yaml),
        ] {
            assert_eq!(format(Format::Binary, text), Some(expected), "{text}");
        }
        assert_eq!(format(Format::Yaml, "{\"a\": 1}"), Some(Format::Yaml));
        assert_eq!(format(Format::Dotenv, "A=1"), None);
    }
}
