//! What the library may see of the outside: what the flags say of Vault, and the files that they name.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sealant::error::Result;
use sealant::host::{Closed, Command, Host};
use sealant::keys::Vault;
use sealant::keys::vault::{Settings, StartedBy};
use sealant::secret::{SecretBytes, SecretString};

use crate::settings::VaultSettings;

/// How long the files of tokens and certificates may be.
const LONGEST_FILE: u64 = 1 << 20;

/// How long Vault may let us wait, in seconds: others may wait for the same answer.
const PATIENCE: &str = "10";

/// A host without prompts, programs, home or environment.
#[derive(Debug)]
pub struct ControllerHost {
    variables: BTreeMap<&'static str, String>,
    readable: Vec<PathBuf>,
}

impl ControllerHost {
    /// Of these settings. It stays for as long as the controller runs.
    pub fn new(settings: &VaultSettings) -> Self {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let allowed =
            if settings.vault_allow.is_empty() { "none".to_owned() } else { settings.vault_allow.join(",") };
        let variables = [
            ("SOPS_HC_VAULT_ALLOWLIST", Some(allowed)),
            ("VAULT_AUTH_METHOD", Some("kubernetes".to_owned())),
            ("VAULT_AUTH_ROLE", settings.vault_role.clone()),
            ("VAULT_AUTH_PATH", settings.vault_auth_mount.clone()),
            ("VAULT_NAMESPACE", settings.vault_namespace.clone()),
            ("VAULT_ID_TOKEN_FILE", path(&Some(settings.vault_token_file.clone()))),
            ("VAULT_CACERT", path(&settings.vault_ca_file)),
            ("VAULT_CLIENT_TIMEOUT", Some(PATIENCE.to_owned())),
            ("VAULT_MAX_RETRIES", Some("1".to_owned())),
        ];
        let variables = variables.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let readable =
            settings.vault_ca_file.iter().cloned().chain([settings.vault_token_file.clone()]).collect();
        Self { variables, readable }
    }

    /// The Vault servers that these settings allow; an error when they are wrong.
    pub fn vault(&self) -> Result<Vault> {
        Ok(Vault::with_settings(Settings::of_user(self, StartedBy::Program)?))
    }
}

impl Host for ControllerHost {
    fn env(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).map(OsString::from)
    }
    fn home(&self) -> Option<PathBuf> {
        None
    }
    fn ask_passphrase(&self, prompt: &str) -> Result<SecretString> {
        Closed.ask_passphrase(prompt)
    }
    fn ask_line(&self, prompt: &str) -> Result<String> {
        Closed.ask_line(prompt)
    }
    fn confirm(&self, question: &str) -> Result<bool> {
        Closed.confirm(question)
    }
    fn output_of(&self, command: &Command) -> Result<SecretBytes> {
        Closed.output_of(command)
    }
    fn may_run_plugins(&self) -> bool {
        false
    }
    fn note(&self, message: &str) {
        tracing::info!("{message}");
    }
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    fn read_secret(&self, path: &Path) -> io::Result<SecretBytes> {
        match self.readable.iter().any(|known| known == path) {
            true => read(path),
            false => Closed.read_secret(path),
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
