//! Where the user's own credentials would come from, in the order of [`super::credentials`], without asking anybody: for
//! `doctor`, which is run in repositories of others.

use std::fmt;

use super::profiles::{DEFAULT, Files};
use crate::error::{Error, Kind, Result};
use crate::host::Host;

/// What has the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Environment,
    /// A token in this file, as workloads of Kubernetes have it.
    WebIdentity(String),
    Profile(String),
    /// A profile that there is not.
    NoProfile(String),
    Container,
    /// The machine, if it is one of AWS: that is not known before it is asked.
    Machine,
    /// Nothing, and the machine should not be asked.
    Nothing,
}

impl Origin {
    /// Where AWS's own tools would look on this host.
    pub fn of_user(host: &dyn Host) -> Result<Self> {
        let var = |name| host.env_text(name);
        let has_either = |first, second| Ok::<_, Error>(var(first)?.or(var(second)?).is_some());
        if has_either("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY")?
            && has_either("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY")?
        {
            return Ok(Self::Environment);
        }
        if let Some(file) = var("AWS_WEB_IDENTITY_TOKEN_FILE")? {
            return Ok(Self::WebIdentity(file));
        }
        let files = Files::read(host).map_err(|problem| Error::new(Kind::NoDataKey, problem.message))?;
        let exists = |name: &str| files.profile(name).is_some();
        match var("AWS_PROFILE")?.or(var("AWS_DEFAULT_PROFILE")?) {
            Some(name) if exists(&name) => return Ok(Self::Profile(name)),
            Some(name) => return Ok(Self::NoProfile(name)),
            None if exists(DEFAULT) => return Ok(Self::Profile(DEFAULT.to_owned())),
            None => {}
        }
        if has_either("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")? {
            return Ok(Self::Container);
        }
        let is_off =
            var("AWS_EC2_METADATA_DISABLED")?.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        Ok(if is_off { Self::Nothing } else { Self::Machine })
    }

    /// Whether there are credentials, as far as that can be told without a request.
    pub fn is_found(&self) -> bool {
        !matches!(self, Self::NoProfile(_) | Self::Machine | Self::Nothing)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("credentials of the environment (AWS_ACCESS_KEY_ID)"),
            Self::WebIdentity(file) => {
                write!(f, "a web identity token (AWS_WEB_IDENTITY_TOKEN_FILE: {file})")
            }
            Self::Profile(name) => write!(f, "the profile `{name}`"),
            Self::NoProfile(name) => write!(f, "there is no AWS profile `{name}`"),
            Self::Container => f.write_str("credentials of the container"),
            Self::Machine => f.write_str("no credentials, unless this machine has a role of AWS"),
            Self::Nothing => f.write_str("no credentials"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::fake_host::FakeHost;

    #[test]
    fn what_comes_first_is_found_first() {
        let of = |vars: &[(&'static str, &str)]| {
            let host = vars.iter().fold(FakeHost::default(), |host, (name, value)| host.env(name, *value));
            Origin::of_user(&host).unwrap()
        };
        let key = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
        let token = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t");
        let container = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/");
        assert_eq!(of(&[key[0], key[1], token]), Origin::Environment);
        assert_eq!(of(&[key[0], token]), Origin::WebIdentity("/t".to_owned()));
        assert_eq!(of(&[("AWS_PROFILE", "x"), container]), Origin::NoProfile("x".to_owned()));
        assert_eq!(of(&[container]), Origin::Container);
        assert_eq!(of(&[]), Origin::Machine);
        assert_eq!(of(&[("AWS_EC2_METADATA_DISABLED", "true")]), Origin::Nothing);
    }
}
