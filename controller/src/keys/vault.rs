//! What the library may see of the outside: what the flags say of Vault and of keys in clouds, what the environment says of
//! those clouds, and the files that they name.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use sealant::error::Result;
use sealant::host::{Closed, Host};
use sealant::keys::Vault;
use sealant::keys::vault::Settings;
use sealant::keys::{Allowed, PROXY_VARIABLES, StartedBy};
use sealant::secret::SecretBytes;
use sha2::{Digest, Sha256};

use crate::settings::{CloudSettings, VaultSettings};

/// How long the files of tokens and certificates may be.
const LONGEST_FILE: u64 = 1 << 20;

/// How long Vault may let us wait, in seconds: others may wait for the same answer.
const PATIENCE: &str = "10";

/// A host without prompts, programs, home or environment, but for the proxies that this names.
#[derive(Debug)]
pub struct ControllerHost {
    variables: BTreeMap<String, OsString>,
    /// The keys in clouds that may be used.
    allowed: Allowed,
    readable: Vec<PathBuf>,
    /// A user's settings, wherever they lie.
    config: Option<PathBuf>,
    /// The token to log in with, which is read for each login.
    token: PathBuf,
    /// Certificates and settings that were read, with a digest of what was in them.
    read: Mutex<HashMap<PathBuf, [u8; 32]>>,
}

/// Where the library is told that a user's settings lie.
const CONFIG_DIR: &str = "/settings";

/// Where it looks for them there.
const CONFIG: &str = "/settings/sealant/config.yaml";

impl ControllerHost {
    /// Of these settings; an error when they are wrong. It stays for as long as the controller runs.
    pub fn new(settings: &VaultSettings, clouds: &CloudSettings) -> Result<Self> {
        let allowed = Allowed::parse(clouds.kms_allow.iter().map(String::as_str));
        let allowed_keys = allowed.map_err(|error| error.in_file("--kms-allow"))?;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let allowed = match (settings.vault_allow.as_slice(), &settings.vault_config) {
            ([], None) => Some("none".to_owned()),
            // What the file says counts.
            ([], Some(_)) => None,
            (servers, _) => Some(servers.join(",")),
        };
        let variables = [
            ("SOPS_HC_VAULT_ALLOWLIST", allowed),
            ("VAULT_AUTH_METHOD", Some("kubernetes".to_owned())),
            ("VAULT_AUTH_ROLE", settings.vault_role.clone()),
            ("VAULT_AUTH_PATH", settings.vault_auth_mount.clone()),
            ("VAULT_NAMESPACE", settings.vault_namespace.clone()),
            ("VAULT_ID_TOKEN_FILE", path(&Some(settings.vault_token_file.clone()))),
            ("VAULT_CACERT", path(&settings.vault_ca_file)),
            ("VAULT_CLIENT_CERT", path(&settings.vault_client_cert)),
            ("VAULT_CLIENT_KEY", path(&settings.vault_client_key)),
            ("VAULT_CLIENT_TIMEOUT", Some(PATIENCE.to_owned())),
            ("VAULT_MAX_RETRIES", Some("1".to_owned())),
        ];
        let of_vault =
            variables.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
        let is_known = |name: &str| PROXY_VARIABLES.contains(&name) || allowed_keys.is_about(name);
        let variables = of_environment(is_known).chain(of_vault).collect();
        let named = [&settings.vault_ca_file, &settings.vault_client_cert, &settings.vault_client_key];
        let named = named.into_iter().flatten().cloned();
        let readable = named.chain([settings.vault_token_file.clone()]).collect();
        let (config, token) = (settings.vault_config.clone(), settings.vault_token_file.clone());
        let (allowed, read) = (allowed_keys, Mutex::default());
        Ok(Self { variables, allowed, readable, config, token, read })
    }

    /// The keys in clouds that may be used.
    pub fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// The Vault servers that these settings allow; an error when they are wrong.
    pub fn vault(&self) -> Result<Vault> {
        Ok(Vault::with_settings(Settings::of_user(self, StartedBy::Program)?))
    }

    /// Whether something that was read has another content now: certificates are renewed while the controller runs. One
    /// that is gone for a moment has not changed.
    pub fn has_changed(&self) -> bool {
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let is_other = |path: &Path, print: &[u8; 32]| read(path).is_ok_and(|now| digest(&now) != *print);
        let has_changed = known.iter().any(|(path, print)| is_other(path, print));
        if has_changed {
            known.clear();
        }
        has_changed
    }

    fn read_and_remember(&self, path: &Path) -> io::Result<SecretBytes> {
        let content = read(path)?;
        if path != self.token {
            let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(path.to_owned(), digest(&content));
        }
        Ok(content)
    }
}

fn digest(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one place of the controller that reads the environment for the library"
)]
fn of_environment(is_known: impl Fn(&str) -> bool) -> impl Iterator<Item = (String, OsString)> {
    let texts = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    texts.filter(move |(name, value)| !value.is_empty() && is_known(name))
}

impl ControllerHost {
    /// A message of the library, which goes by variables that people set elsewhere, with the flags in their place.
    pub fn by_flags(message: &str) -> String {
        let flags = [
            ("SOPS_HC_VAULT_ALLOWLIST", "--vault-allow"),
            ("VAULT_NAMESPACE", "--vault-namespace"),
            ("VAULT_AUTH_PATH", "--vault-auth-mount"),
        ];
        flags.iter().fold(message.to_owned(), |text, (variable, flag)| text.replace(variable, flag))
    }
}

impl Host for ControllerHost {
    fn env(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).cloned()
    }
    fn config_dir(&self) -> Option<PathBuf> {
        self.config.as_ref().map(|_| CONFIG_DIR.into())
    }
    fn note(&self, message: &str) {
        tracing::info!("{message}");
    }
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    fn read_secret(&self, path: &Path) -> io::Result<SecretBytes> {
        match &self.config {
            // One that was named has to be there.
            Some(config) if path == Path::new(CONFIG) => self
                .read_and_remember(config)
                .map_err(|error| io::Error::other(format!("{}: {error}", config.display()))),
            // It names certificates of its own.
            Some(_) => self.read_and_remember(path),
            // Where credentials for a cloud are is for the operator to say, in variables and in files that those name.
            None if !self.allowed.is_empty() => self.read_and_remember(path),
            None if self.readable.iter().any(|known| known == path) => self.read_and_remember(path),
            None => Closed.read_secret(path),
        }
    }
    /// One that is renewed is no change of settings.
    fn read_token(&self, path: &Path) -> io::Result<SecretBytes> {
        match self.allowed.is_empty() {
            true => Closed.read_secret(path),
            false => read(path),
        }
    }
}

/// The content of a file that holds something secret.
pub fn read(path: &Path) -> io::Result<SecretBytes> {
    let file = File::open(path)?;
    let room = file.metadata()?.len().min(LONGEST_FILE) as usize + 1;
    let mut content = SecretBytes::new(Vec::with_capacity(room));
    file.take(LONGEST_FILE + 1).read_to_end(&mut content)?;
    match content.len() as u64 > LONGEST_FILE {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too large")),
        false => Ok(content),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::settings::Cli;

    fn host<'f>(flags: impl IntoIterator<Item = &'f &'f str>) -> Result<ControllerHost> {
        let settings = Cli::try_parse_from(flags).unwrap().settings;
        ControllerHost::new(&settings.vault, &settings.clouds)
    }

    fn vault(flags: &[&str]) -> Result<Vault> {
        let flags = ["sealant-controller"].iter().chain(flags);
        host(flags).unwrap().vault()
    }

    #[test]
    fn a_file_of_settings_that_was_named_has_to_be_there_and_right() {
        let folder = std::env::temp_dir().join(format!("sealant-vault-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let [file, missing] =
            ["config.yaml", "missing.yaml"].map(|name| folder.join(name).display().to_string());
        let good = "vault:\n  allow: [https://outside]\n  servers:\n    - {address: https://outside, reach: https://inside}\n";
        std::fs::write(&file, good).unwrap();
        assert!(vault(&[]).is_ok() && vault(&["--vault-config", &file]).is_ok());
        std::fs::write(&file, "vault: {serverz: []}\n").unwrap();
        assert!(vault(&["--vault-config", &file]).is_err());
        let error = vault(&["--vault-config", &missing]).err().unwrap().to_string();
        assert!(error.contains("missing.yaml"), "{error}");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_was_read_and_has_another_content_is_noticed_once() {
        let folder = std::env::temp_dir().join(format!("sealant-vault-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let [authority, token] = ["ca.pem", "token"].map(|name| folder.join(name));
        let flags = [
            format!("--vault-ca-file={}", authority.display()),
            format!("--vault-token-file={}", token.display()),
        ];
        let flags = ["sealant-controller", &flags[0], &flags[1]];
        let host = host(&flags).unwrap();
        let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
        write(&authority, "old");
        write(&token, "old");
        assert!(!host.has_changed());
        for path in [&authority, &token] {
            assert_eq!(&**host.read_secret(path).unwrap(), b"old");
        }
        write(&token, "new");
        assert!(!host.has_changed());
        std::fs::remove_file(&authority).unwrap();
        assert!(!host.has_changed());
        write(&authority, "new");
        assert!(host.has_changed() && !host.has_changed());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_wrong_is_named_by_its_flag() {
        let error = vault(&["--vault-allow", "nonsense"]).err().unwrap().to_string();
        assert!(ControllerHost::by_flags(&error).starts_with("--vault-allow: `nonsense`"), "{error}");
        let error = host(&["sealant-controller", "--kms-allow=nonsense"]).err().unwrap().to_string();
        assert!(error.starts_with("--kms-allow: `nonsense`: it does not name a key in a cloud"), "{error}");
    }

    /// Each kind is a feature. Without it the settings that need it are refused when the controller starts.
    #[test]
    fn a_kind_that_was_left_out_is_named() {
        for (key, is_built, kind) in [
            ("arn:aws:kms:eu-west-1:1", cfg!(feature = "aws"), "a key of AWS KMS"),
            ("projects/p", cfg!(feature = "gcp"), "a key of Google Cloud KMS"),
            ("https://v.vault.azure.net", cfg!(feature = "azure"), "a key of Azure Key Vault"),
        ] {
            let error =
                host(&["sealant-controller", "--kms-allow", key]).err().map(|error| error.to_string());
            let left_out = format!("--kms-allow: `{key}`: {kind}, which this program was built without");
            assert_eq!(error, (!is_built).then_some(left_out));
        }
    }
}
