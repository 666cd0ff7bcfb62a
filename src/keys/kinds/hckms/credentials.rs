//! The access key that requests are signed with.
//!
//! Owns where it is looked for, as Huawei's client in sops does: the environment, then the section `basic` of
//! `HUAWEICLOUD_SDK_CREDENTIALS_FILE`, else of `~/.huaweicloud/credentials`.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::error::Result;
use crate::host::Host;
use crate::keys::web::{Cause, Problem};
use crate::secret::SecretString;

const ACCESS_KEY: &str = "HUAWEICLOUD_SDK_AK";
const SECRET_KEY: &str = "HUAWEICLOUD_SDK_SK";
const SECURITY_TOKEN: &str = "HUAWEICLOUD_SDK_SECURITY_TOKEN";
const PROJECT: &str = "HUAWEICLOUD_SDK_PROJECT_ID";
const FILE: &str = "HUAWEICLOUD_SDK_CREDENTIALS_FILE";

/// An access key, and what belongs to it.
pub(super) struct Credentials {
    /// The variable or the file.
    place: String,
    pub access_key: String,
    pub secret_key: SecretString,
    pub security_token: Option<SecretString>,
    /// The project that keys are in, if they say so.
    pub project: Option<String>,
}

impl Credentials {
    /// Those of the user; `None` if they have none.
    pub fn of_user(host: &dyn Host) -> Result<Option<Self>, Problem> {
        let var = |name: &str| host.env_text(name);
        if let Some((access_key, secret_key)) = var(ACCESS_KEY)?.zip(var(SECRET_KEY)?) {
            return Ok(Some(Self {
                place: ACCESS_KEY.to_owned(),
                access_key,
                secret_key: Zeroizing::new(secret_key),
                security_token: var(SECURITY_TOKEN)?.map(Zeroizing::new),
                project: var(PROJECT)?,
            }));
        }
        let Some((path, is_named)) = file(host)? else { return Ok(None) };
        let content = match host.read_secret(&path) {
            Ok(content) => content,
            Err(error) if is_named => return Err(wrong(&path, &error.to_string())),
            Err(_) => return Ok(None),
        };
        let text = std::str::from_utf8(&content).map_err(|_| wrong(&path, "it is not UTF-8"))?;
        let field = |name: &str| field_of(text, name).map(str::to_owned);
        let (Some(access_key), Some(secret_key)) = (field("ak"), field("sk")) else {
            return Err(wrong(&path, "its section `basic` has no `ak` and `sk`"));
        };
        Ok(Some(Self {
            place: path.display().to_string(),
            access_key,
            secret_key: Zeroizing::new(secret_key),
            security_token: field("security_token").map(Zeroizing::new),
            project: field("project_id"),
        }))
    }
}

/// The file of credentials, and whether the user has named it.
fn file(host: &dyn Host) -> Result<Option<(PathBuf, bool)>, Problem> {
    Ok(match host.env_text(FILE)? {
        Some(path) => Some((path.into(), true)),
        None => host.home().map(|home| (home.join(".huaweicloud/credentials"), false)),
    })
}

/// A field of the section `basic` of a file in INI.
fn field_of<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut is_in = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            is_in = section.trim_end_matches(']').trim() == "basic";
        } else if is_in
            && let Some((field, value)) = line.split_once('=')
            && field.trim() == name
        {
            return Some(value.trim()).filter(|value| !value.is_empty());
        }
    }
    None
}

fn wrong(path: &std::path::Path, why: &str) -> Problem {
    Problem::new(Cause::Credentials, format!("the credentials in {} cannot be used: {why}", path.display()))
}

/// What Huawei's client uses without an access key, and Sealant does not: by the variable that asks for it.
const NOT_TAKEN: [(&str, &str); 2] = [
    ("HUAWEICLOUD_SDK_IDP_ID", "tokens of an identity provider"),
    ("HC_CONTAINER_CREDENTIALS_FULL_URI", "the identity of a pod"),
];

pub(super) fn none_found(host: &dyn Host) -> Problem {
    let asked = NOT_TAKEN.iter().find(|(variable, _)| host.env(variable).is_some());
    let message = match asked {
        Some((variable, what)) => format!(
            "there is no access key of Huawei Cloud, and Sealant does not take {what}, which {variable} asks for"
        ),
        None => "there are no Huawei Cloud credentials".to_owned(),
    };
    Problem::new(Cause::Credentials, message).advise(
        "Set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, or write them into ~/.huaweicloud/credentials. The agency of a \
         machine or pod is not asked: make a temporary access key with it, and set HUAWEICLOUD_SDK_SECURITY_TOKEN, too.",
    )
}

/// Which credentials the user has.
pub(super) fn described(host: &dyn Host) -> Result<Option<String>> {
    let found = Credentials::of_user(host).map_err(Problem::of_settings)?;
    Ok(found.map(|found| format!("{}: the access key {}", found.place, found.access_key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::fake_host::FakeHost;

    #[test]
    fn they_are_found_where_sops_finds_them() {
        let file = "[global]\nak = x\n[basic]\nak = FILE\nsk = PLANTED\nproject_id = p\n";
        let path = "/home/u/.huaweicloud/credentials";
        let said = |host: FakeHost| described(&host).map_err(|error| error.to_string());
        let host = || FakeHost::default().file(path, file);
        assert_eq!(said(host()), Ok(Some(format!("{path}: the access key FILE"))));
        let by_variable = host().env(ACCESS_KEY, "ENV").env(SECRET_KEY, "PLANTED");
        assert_eq!(said(by_variable), Ok(Some(format!("{ACCESS_KEY}: the access key ENV"))));
        assert_eq!(said(FakeHost::default().env(ACCESS_KEY, "ENV")), Ok(None));
        assert!(said(FakeHost::default().env(FILE, "/nowhere")).unwrap_err().contains("/nowhere"));
        let wrong = said(FakeHost::default().file(path, "[basic]\nsk = PLANTED\n")).unwrap_err();
        assert!(wrong.contains("no `ak` and `sk`") && !wrong.contains("PLANTED"), "{wrong}");
    }
}
