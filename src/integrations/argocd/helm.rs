//! A chart: `helm template` as Argo CD runs it, with values that may be encrypted.

use std::ffi::OsString;
use std::path::Path;

use super::{Part, Run, decrypt_file};
use crate::document::Format;
use crate::encrypted_file::{Meant, format_in, meant};
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Fifo, PrivateDir};

/// The values that helm reads without being told to.
const DEFAULT_VALUES: &str = "values.yaml";

/// Where the charts lie that a chart depends on.
const CHARTS: &str = "charts";

impl Run<'_> {
    /// What a chart renders to.
    pub(super) async fn helm(&self) -> Result<Part> {
        // helm reads all of a chart, and follows links.
        self.place.refuse_links_out()?;
        let variable = |name: &str| self.host.env_text(name);
        let mut args = vec![OsString::from("template")];
        let application = variable("ARGOCD_APP_NAME")?;
        // An application outside of Argo CD's own namespace is called NAMESPACE_NAME.
        let application = application.as_deref().map(|name| name.rsplit('_').next().unwrap_or(name));
        if let Some(release) = self.parameters.release_name.as_deref().or(application) {
            check_release(release)?;
            args.push(release.into());
        }
        args.push(self.place.folder().into());
        args.push("--include-crds".into());
        let single = [("--namespace", "ARGOCD_APP_NAMESPACE"), ("--kube-version", "KUBE_VERSION")];
        for (flag, name) in single {
            args.extend(variable(name)?.map(|value| OsString::from(format!("{flag}={value}"))));
        }
        for version in variable("KUBE_API_VERSIONS")?.unwrap_or_default().split(',').filter(|v| !v.is_empty())
        {
            args.push(format!("--api-versions={version}").into());
        }
        self.refuse_encrypted_charts()?;
        let (values, opened) = self.values().await?;
        args.extend(values);
        args.extend(self.options.helm_args.iter().cloned());
        let holds_plaintext = opened.is_some();
        let output = self.output_of("helm", args, holds_plaintext);
        drop(opened);
        let output = output.map_err(|error| if holds_plaintext { unsaid(error) } else { error })?;
        Part::read("helm template", Format::Yaml, output, false)
    }

    /// Refuses encrypted values of charts within the chart: helm reads them as they stand, whoever has a key.
    fn refuse_encrypted_charts(&self) -> Result<()> {
        let folder = self.place.folder();
        let charts = folder.join(CHARTS);
        if !charts.is_dir() {
            return Ok(());
        }
        for file in fs::files_below(&charts, true)? {
            let name = file.strip_prefix(folder).unwrap_or(&file);
            if !is_default_of_chart(name)
                || meant(Format::Yaml, &self.place.read(name)?) != Some(Meant::Document)
            {
                continue;
            }
            let error = encrypted_values(name);
            return Err(match self.options.decrypt {
                false => error,
                true => error.advise(
                    "Only the values of the chart itself are decrypted: move these there, under the name of the \
                     chart that they are for.",
                ),
            });
        }
        Ok(())
    }

    /// The arguments for values, and the pipes out of which helm reads those that are decrypted. There is no file: Argo
    /// CD's plugin server kills what takes too long, and nobody would be left to remove one.
    async fn values(&self) -> Result<(Vec<OsString>, Option<(Vec<Fifo>, PrivateDir)>)> {
        let (mut args, mut opened) = (Vec::new(), None);
        let has_default = self.place.folder().join(DEFAULT_VALUES).exists();
        let default = has_default.then_some(DEFAULT_VALUES);
        let named = self.parameters.value_files.iter().map(String::as_str);
        for (at, name) in default.into_iter().chain(named).enumerate() {
            let (file, bytes) = (self.place.file(name)?, self.place.read(name)?);
            let by_name = if Format::of_path(&file) == Format::Json { Format::Json } else { Format::Yaml };
            let format = format_in(by_name, &bytes);
            if meant(format, &bytes) == Some(Meant::Document) {
                if !self.options.decrypt {
                    return Err(encrypted_values(name));
                }
                let plain = decrypt_file(self.service, Path::new(name), format, bytes).await?;
                let (pipes, folder) = match &mut opened {
                    Some(opened) => opened,
                    None => opened.insert((Vec::new(), PrivateDir::new(self.host)?)),
                };
                let pipe = folder.create_fifo(&format!("values-{at}.yaml"), plain)?;
                args.push(flag(pipe.path())?);
                pipes.push(pipe);
            } else if Some(name) != default {
                args.push(flag(&file)?);
            }
        }
        Ok((args, opened))
    }
}

/// Whether these are the values of a chart within the chart, or within such a one.
fn is_default_of_chart(name: &Path) -> bool {
    let parts: Vec<_> = name.components().map(|part| part.as_os_str()).collect();
    parts.len() % 2 == 1
        && parts.last().is_some_and(|file| *file == DEFAULT_VALUES)
        && parts[..parts.len() - 1].iter().step_by(2).all(|folder| *folder == CHARTS)
}

fn encrypted_values(name: impl AsRef<Path>) -> Error {
    Error::new(Kind::AlreadyEncrypted, "these values are encrypted with sops").in_file(name.as_ref()).advise(
        "Seal the secret values, and have the chart use that Secret: `sealant seal -n NAMESPACE --name NAME \
         --from-file KEY=FILE --output templates/sealed.yaml`. Then only the controller in the cluster needs a key.",
    )
}

/// Commas and quotes part the files of one flag, so that the name of one could name another.
fn flag(file: &Path) -> Result<OsString> {
    let text = file.to_str().filter(|text| !text.contains([',', '"', '\n']));
    let text =
        text.ok_or_else(|| Error::new(Kind::Read, "a values file cannot have this name").in_file(file))?;
    Ok(format!("--values={text}").into())
}

/// A name that begins with a dash would be a flag.
fn check_release(name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    if name.bytes().all(fits) && edge(bytes.first()) && edge(bytes.last()) && name.len() <= 53 {
        return Ok(());
    }
    Err(Error::new(Kind::Read, "this is not a valid Helm release name")
        .advise("Use lower-case letters, digits, `-` and `.`, at most 53 characters."))
}

fn unsaid(error: Error) -> Error {
    error.advise(
        "Helm's message is not shown, because it may quote decrypted values. Run `helm template` yourself.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_charts_within_charts_are_known() {
        for (name, is_one) in [
            ("charts/a/values.yaml", true),
            ("charts/a/charts/b/values.yaml", true),
            ("charts/values.yaml", false),
            ("charts/a/files/b/values.yaml", false),
            ("charts/a/templates/values.yaml", false),
            ("charts/a/other.yaml", false),
        ] {
            assert_eq!(is_default_of_chart(Path::new(name)), is_one, "{name}");
        }
    }

    #[test]
    fn nothing_becomes_another_flag_or_another_file() {
        for name in ["shop", "shop-2.x", "a"] {
            assert!(check_release(name).is_ok(), "{name}");
        }
        for name in ["", "--post-renderer=/bin/sh", "-x", "Shop", "a b", "a\n", &"x".repeat(54)] {
            assert!(check_release(name).is_err(), "{name}");
        }
        assert_eq!(flag(Path::new("/repo/v.yaml")).unwrap(), "--values=/repo/v.yaml");
        assert!(flag(Path::new("/repo/a,/etc/passwd")).is_err());
    }
}
