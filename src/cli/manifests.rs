//! What the commands of Kubernetes share: as what a manifest is read, and as what manifests are written.

use std::path::Path;

use clap::{Args, ValueEnum};

use crate::cli::args::Destination;
use crate::document::Format;
use crate::secret::{SecretBytes, SecretString};

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

/// Several manifests as one output: documents of a YAML stream, or items of a List in JSON, which has no streams.
pub fn joined(manifests: &[SecretString], format: Format) -> SecretBytes {
    let mut parts: Vec<&str> = Vec::new();
    match (format, manifests) {
        (_, [only]) => parts.push(only),
        (Format::Json, _) => {
            parts.push("{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"List\",\n  \"items\": [");
            for (index, manifest) in manifests.iter().enumerate() {
                parts.push(if index == 0 { "" } else { "," });
                for line in manifest.lines() {
                    parts.extend(["\n    ", line]);
                }
            }
            parts.push("\n  ]\n}\n");
        }
        _ => {
            for (index, manifest) in manifests.iter().enumerate() {
                parts.extend([if index == 0 { "" } else { "---\n" }, manifest]);
            }
        }
    }
    // With room for all of it no copy stays behind in a buffer that was outgrown.
    let mut out = SecretBytes::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_manifests_are_a_stream_or_a_list() {
        let texts = |texts: &[&str]| -> Vec<SecretString> {
            texts.iter().map(|text| SecretString::new((*text).to_owned())).collect()
        };
        assert_eq!(*joined(&texts(&["a: 1\n"]), Format::Yaml), b"a: 1\n");
        assert_eq!(*joined(&texts(&["a: 1\n", "b: 2\n"]), Format::Yaml), b"a: 1\n---\nb: 2\n");
        assert_eq!(*joined(&texts(&["{}\n"]), Format::Json), b"{}\n");
        let list: serde_json::Value =
            serde_json::from_slice(&joined(&texts(&["{\n  \"a\": 1\n}\n", "{}\n"]), Format::Json)).unwrap();
        assert_eq!(list, serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [{"a": 1}, {}]}));
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
        assert_eq!(by_content(b"\n {\"a\": 1}"), Format::Json);
    }
}
