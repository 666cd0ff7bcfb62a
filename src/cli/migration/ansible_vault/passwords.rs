//! The passwords of ansible-vault, from where ansible itself takes them.

use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::error::{Error, Kind, Result};
use crate::foreign::ansible_vault::Vaulted;
use crate::fs;
use crate::host::Host;
use crate::os;
use crate::secret::SecretBytes;
use crate::shown::typed;

const VARIABLE: &str = "ANSIBLE_VAULT_PASSWORD_FILE";

/// What is a password is no longer than this.
const MOST_BYTES: u64 = 1 << 20;

/// Where the passwords are. All are tried on each ciphertext.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "What opens them")]
pub struct PasswordArgs {
    /// A file with a password [env: ANSIBLE_VAULT_PASSWORD_FILE]; may be repeated
    #[arg(long, value_name = "FILE", alias = "vault-pass-file")]
    vault_password_file: Vec<PathBuf>,

    /// The same with a label, which is ignored: as in Ansible, all passwords are tried
    #[arg(long, value_name = "LABEL@FILE")]
    vault_id: Vec<String>,

    /// Ask for a password
    #[arg(short = 'J', long, alias = "ask-vault-pass")]
    ask_vault_password: bool,
}

impl PasswordArgs {
    /// The flags, for a command to type.
    pub fn typed(&self) -> String {
        let mut line = String::new();
        for file in &self.vault_password_file {
            line += &format!(" --vault-password-file {}", typed(file));
        }
        for id in &self.vault_id {
            line += &format!(" --vault-id {}", typed(Path::new(id)));
        }
        if self.ask_vault_password {
            line += " --ask-vault-password";
        }
        line
    }

    fn files(&self, host: &dyn Host) -> Vec<PathBuf> {
        let file_of = |id: &String| {
            let file = id.split_once('@').map_or(id.as_str(), |(_, file)| file);
            // The shell expands it only at the beginning of a word.
            match (file.strip_prefix("~/"), host.home()) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => PathBuf::from(file),
            }
        };
        let mut files = self.vault_password_file.clone();
        files.extend(self.vault_id.iter().map(file_of));
        if files.is_empty() && !self.ask_vault_password {
            files.extend(host.env(VARIABLE).map(PathBuf::from));
        }
        files
    }
}

pub struct Passwords(Vec<SecretBytes>);

impl Passwords {
    /// Those of the flags, or else of the environment.
    pub fn new(args: &PasswordArgs, context: &Context) -> Result<Self> {
        let files = args.files(context.host).into_iter();
        let mut passwords = files.map(|file| password_in(&file)).collect::<Result<Vec<_>>>()?;
        if args.ask_vault_password {
            let password = context.host.ask_passphrase("Password of ansible-vault")?;
            passwords.push(SecretBytes::new(password.as_bytes().to_vec()));
        }
        match passwords.is_empty() {
            false => Ok(Self(passwords)),
            true => Err(Error::new(Kind::Usage, "no password of ansible-vault is given").advise(
                "Name its file with --vault-password-file, or let it be asked for with --ask-vault-password.",
            )),
        }
    }

    pub fn open(&self, vaulted: &Vaulted) -> Result<SecretBytes> {
        self.0.iter().find_map(|password| vaulted.open(password)).ok_or_else(|| {
            Error::new(Kind::Decrypt, "no password opens it, or somebody has changed it").advise(
                "Passwords of several vault IDs can be given at once: repeat --vault-password-file, or --vault-id.",
            )
        })
    }
}

/// As Ansible reads it: without blanks around it. A program that prints one is not run.
fn password_in(path: &Path) -> Result<SecretBytes> {
    if path.metadata().is_ok_and(|found| found.is_file() && os::says_it_may_be_run(&found) == Some(true)) {
        let shown = typed(path);
        return Err(Error::new(Kind::Conflict, "this is a program, and it is not run").in_file(path).advise(format!(
            "Run it yourself: `--vault-password-file <({shown})`. Or, if it is no program: `chmod a-x {shown}`."
        )));
    }
    let text = fs::read(path, MOST_BYTES)?;
    match text.trim_ascii() {
        [] => Err(Error::new(Kind::Read, "there is no password in it").in_file(path)),
        password => Ok(SecretBytes::new(password.to_vec())),
    }
}
