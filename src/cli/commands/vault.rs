use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use zeroize::Zeroizing;

use crate::cli::context::{Context, block_on};
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Mode};
use crate::host::Host;
use crate::keys::StartedBy;
use crate::keys::vault::{Auth, Method, Settings, Vault, token_path};
use crate::secret::SecretString;

/// Work with Vault and OpenBao: log in
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant vault login --method userpass --username alice
  sealant help vault")]
pub struct Args {
    #[command(subcommand)]
    command: VaultCommand,
}

#[derive(Debug, Subcommand)]
enum VaultCommand {
    Login(LoginArgs),
}

/// Log in and keep the token where `vault login` keeps it: ~/.vault-token
///
/// Only the token is stored, in a file that only you can read, as Vault's and OpenBao's own clients store it. Other
/// credentials for the login come from the environment: VAULT_ROLE_ID and VAULT_SECRET_ID (approle), VAULT_ID_TOKEN
/// (jwt), the token of the pod (kubernetes). It asks for a password or a token.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant vault login https://vault.example.com:8200
  sealant vault login --method userpass --username alice
  sealant vault login --method kubernetes --role deploy")]
struct LoginArgs {
    /// The server [env: BAO_ADDR, VAULT_ADDR]
    address: Option<String>,

    /// How to log in [env: VAULT_AUTH_METHOD]
    #[arg(long, value_enum, value_name = "METHOD")]
    method: Option<MethodArg>,

    /// The role to log in with [env: VAULT_AUTH_ROLE]
    #[arg(long, value_name = "NAME")]
    role: Option<String>,

    /// Where the method is mounted, by default under its own name [env: VAULT_AUTH_PATH]
    #[arg(long, value_name = "PATH")]
    mount: Option<String>,

    /// The user to log in as, by the method userpass [env: VAULT_USERNAME]
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MethodArg {
    /// A token that you have
    Token,
    /// A role's id and secret
    Approle,
    /// The token of a pod's service account
    Kubernetes,
    /// The signed token of a CI job
    Jwt,
    /// A user's name and password
    Userpass,
}

impl From<MethodArg> for Method {
    fn from(method: MethodArg) -> Self {
        match method {
            MethodArg::Token => Self::Token,
            MethodArg::Approle => Self::AppRole,
            MethodArg::Kubernetes => Self::Kubernetes,
            MethodArg::Jwt => Self::Jwt,
            MethodArg::Userpass => Self::UserPass,
        }
    }
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let VaultCommand::Login(args) = args.command;
    log_in(args, context)?;
    Ok(ExitCode::SUCCESS)
}

fn log_in(args: LoginArgs, context: &Context) -> Result<()> {
    let host = context.host;
    let settings = Settings::of_user(host, StartedBy::Person)?;
    let address = args.address.or_else(|| settings.address.clone()).ok_or_else(|| {
        Error::new(Kind::Usage, "no server was named").advise(
            "Give its address, or set VAULT_ADDR: `sealant vault login https://vault.example.com:8200`",
        )
    })?;
    let address = address.trim_end_matches('/').to_owned();
    let path = token_path(host)
        .ok_or_else(|| Error::new(Kind::Other, "HOME is not set, so there is no place to keep a token"))?;
    let mut auth = Auth {
        method: args.method.map(Method::from),
        mount: args.mount,
        role: args.role,
        username: args.username,
    };
    let mut settings = settings.with_address(&address).with_auth(auth.clone());
    if settings.method() == Method::UserPass && !settings.names_user() {
        auth.username = Some(host.ask_line(&format!("User at {address}"))?);
        settings = settings.with_auth(auth);
    }

    let vault = match settings.method() {
        Method::Token => {
            if !host.can_ask() {
                return Err(Error::new(Kind::Other, "there is no terminal to ask for the token").advise(
                    "For a program, set VAULT_TOKEN or use an AppRole (VAULT_ROLE_ID, VAULT_SECRET_ID): it needs no login.",
                ));
            }
            let token = host.ask_passphrase(&format!("Token for {address}"))?;
            Vault::with_settings(settings.with_token(Zeroizing::new(token.trim().to_owned())))
        }
        _ => Vault::with_settings(settings),
    };
    let token: SecretString = block_on(vault.log_in(host, &address))?;
    let vault = Vault::with_settings(
        Settings::of_user(host, StartedBy::Person)?.with_address(&address).with_token(token.clone()),
    );
    let who = block_on(vault.who_am_i(host, &address))?;
    fs::write_atomic(&path, token.as_bytes(), Mode::Private)?;
    context.ui.say(format!("Logged in at {address} as {}", who.described()));
    context.ui.say(format!("The token is in {}", path.display()));
    Ok(())
}
