//! The user's own settings of AWS: `~/.aws/config` and `~/.aws/credentials`.
//!
//! Owns their form, as the SDK of sops reads it: sections `profile NAME`, `sso-session NAME` and `services NAME`, the
//! credentials file over the config file. Interprets no field, and makes no request.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::host::Host;
use crate::keys::web::{Cause, Problem};
use crate::secret::SecretString;

/// The fields of a section. Their values may be secrets.
pub(super) type Section = HashMap<String, SecretString>;

/// What the two files hold.
#[derive(Default)]
pub(super) struct Files {
    profiles: HashMap<String, Section>,
    sso_sessions: HashMap<String, Section>,
    services: HashMap<String, Section>,
}

impl Files {
    /// Reads them; a file that is not there is empty.
    pub fn read(host: &dyn Host) -> Result<Self, Problem> {
        let mut files = Self::default();
        for (text, is_config) in [
            (text_of(host, "AWS_CONFIG_FILE", "config")?, true),
            (text_of(host, "AWS_SHARED_CREDENTIALS_FILE", "credentials")?, false),
        ] {
            for (title, section) in sections(&text) {
                let (kind, name) = match title.split_once([' ', '\t']) {
                    Some((kind, name)) => (kind, name.trim()),
                    None => ("", title.as_str()),
                };
                let of_kind = match (kind, is_config) {
                    ("sso-session", true) => &mut files.sso_sessions,
                    ("services", true) => &mut files.services,
                    ("profile", true) => &mut files.profiles,
                    ("", true) if name == DEFAULT => &mut files.profiles,
                    ("", false) => &mut files.profiles,
                    _ => continue,
                };
                of_kind.entry(name.to_owned()).or_default().extend(section);
            }
        }
        Ok(files)
    }

    pub fn profile(&self, name: &str) -> Option<Profile<'_>> {
        self.profiles.get(name).map(Profile)
    }

    pub fn sso_session(&self, name: &str) -> Option<Profile<'_>> {
        self.sso_sessions.get(name).map(Profile)
    }

    pub fn services(&self, name: &str) -> Option<Profile<'_>> {
        self.services.get(name).map(Profile)
    }
}

/// The profile that counts where none is named.
pub(super) const DEFAULT: &str = "default";

/// A section.
#[derive(Clone, Copy)]
pub(super) struct Profile<'f>(&'f Section);

impl<'f> Profile<'f> {
    /// The value of a field, if it is not empty.
    pub fn get(self, name: &str) -> Option<&'f str> {
        self.0.get(name).map(|value| value.as_str()).filter(|value| !value.is_empty())
    }
}

fn text_of(host: &dyn Host, variable: &str, name: &str) -> Result<SecretString, Problem> {
    let path = match host.env(variable) {
        Some(path) => expanded(host, PathBuf::from(path)),
        None => match host.home() {
            Some(home) => home.join(".aws").join(name),
            None => return Ok(SecretString::default()),
        },
    };
    let failed =
        |why: &str| Problem::new(Cause::Credentials, format!("{} cannot be read: {why}", path.display()));
    match host.read_secret(&path) {
        Ok(bytes) => {
            let text = std::str::from_utf8(&bytes).map_err(|_| failed("it is not UTF-8"))?;
            Ok(Zeroizing::new(text.to_owned()))
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::Unsupported) => {
            Ok(SecretString::default())
        }
        Err(error) => Err(failed(&error.to_string())),
    }
}

/// `~/` is the home folder.
fn expanded(host: &dyn Host, path: PathBuf) -> PathBuf {
    match (path.strip_prefix("~"), host.home()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

/// The sections in their order, with what is below a field as `FIELD.NAME`.
fn sections(text: &str) -> Vec<(String, Section)> {
    let mut sections: Vec<(String, Section)> = Vec::new();
    let mut above: Option<String> = None;
    for line in text.lines() {
        let line = without_remark(line);
        let trimmed = line.trim();
        if trimmed.is_empty() {
            continue;
        }
        if let Some(title) = trimmed.strip_prefix('[') {
            let title = title.split(']').next().unwrap_or_default().trim().to_owned();
            sections.push((title, Section::new()));
            above = None;
            continue;
        }
        let (Some((_, section)), Some((name, value))) = (sections.last_mut(), trimmed.split_once('=')) else {
            continue;
        };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let is_below = line.starts_with([' ', '\t']);
        let name = match &above {
            Some(above) if is_below => format!("{above}.{name}"),
            _ => name,
        };
        if !is_below {
            above = value.is_empty().then(|| name.clone());
        }
        section.insert(name, Zeroizing::new(value.to_owned()));
    }
    sections
}

/// A line up to a remark: one that begins the line, or follows a space.
fn without_remark(line: &str) -> &str {
    if line.trim_start().starts_with(['#', ';']) {
        return "";
    }
    let ends = [" #", " ;", "\t#", "\t;"].into_iter().filter_map(|mark| line.find(mark));
    ends.min().map_or(line, |end| &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::fake_host::FakeHost;

    #[test]
    fn the_credentials_file_counts_over_the_config_file() {
        let host = FakeHost::default()
            .file(
                "/home/u/.aws/config",
                "# remark\n[default]\nregion = eu-west-1 ; here\n\n[profile  prod]\naws_access_key_id=A\nservices = local\n\
                 [services local]\nkms =\n  endpoint_url = http://127.0.0.1:1\nsts =\n  endpoint_url = http://127.0.0.1:2\n\
                 [sso-session team]\nsso_region = us-east-1\n[stray]\naws_access_key_id = X\n",
            )
            .file("/home/u/.aws/credentials", "[prod]\naws_access_key_id = B#c\n[profile odd]\nx = y\n");
        let files = Files::read(&host).unwrap();
        let prod = files.profile("prod").unwrap();
        assert_eq!(prod.get("aws_access_key_id"), Some("B#c"));
        let services = files.services(prod.get("services").unwrap()).unwrap();
        assert_eq!(services.get("kms.endpoint_url"), Some("http://127.0.0.1:1"));
        assert_eq!(services.get("sts.endpoint_url"), Some("http://127.0.0.1:2"));
        assert_eq!(files.profile("default").unwrap().get("region"), Some("eu-west-1"));
        assert_eq!(files.sso_session("team").unwrap().get("sso_region"), Some("us-east-1"));
        assert!(files.profile("stray").is_none() && files.profile("odd").is_none());
    }

    #[test]
    fn files_can_be_elsewhere_or_nowhere() {
        assert!(Files::read(&FakeHost::default()).unwrap().profile(DEFAULT).is_none());
        let host = FakeHost::default()
            .env("AWS_SHARED_CREDENTIALS_FILE", "~/keys")
            .file("/home/u/keys", "[default]\naws_access_key_id = A\n");
        assert_eq!(Files::read(&host).unwrap().profile(DEFAULT).unwrap().get("aws_access_key_id"), Some("A"));
        let broken = FakeHost::default().file("/home/u/.aws/config", b"\xff");
        assert!(Files::read(&broken).is_err());
    }
}
