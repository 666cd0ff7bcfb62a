//! The flags. Each of them is a variable of the environment, too: `--x-y` is `SEALANT_X_Y`.

// Help texts are for terminals.
#![allow(rustdoc::bare_urls)]

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, Resettable};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::source::bitnami::settings::BitnamiSettings;

/// Turns SealedSecrets into native Kubernetes Secrets.
///
/// Runs in a cluster as its service account, or with a kubeconfig (KUBECONFIG). Each flag is also a variable of the
/// environment; a flag wins.
#[derive(Debug, Parser)]
#[command(name = "sealant-controller", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub settings: Settings,
}

impl Cli {
    /// Reads the flags and the environment, or ends the program. A variable that is empty is not given.
    pub fn of_program() -> Self {
        #[allow(clippy::disallowed_methods)]
        let command = without_empty(Self::command(), |name| std::env::var_os(name));
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }
}

fn without_empty(command: clap::Command, value: impl Fn(&OsStr) -> Option<OsString>) -> clap::Command {
    command.mut_args(|flag| {
        let is_empty = flag.get_env().and_then(&value).is_some_and(|value| value.is_empty());
        if is_empty { flag.env(Resettable::Reset) } else { flag }
    })
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the CustomResourceDefinitions that ship with the controller
    Crd,
}

#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Namespace of the controller: of its identities, its Lease and the recipients that it publishes. Without it, the
    /// one that it runs in
    #[arg(long, env = "SEALANT_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,

    /// Namespaces to look after, with commas between them. Without it, all of them, which takes the cluster-wide rights
    #[arg(long, env = "SEALANT_WATCH_NAMESPACES", value_name = "NAMES", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new())]
    pub watch_namespaces: Vec<String>,

    /// Label selector of the objects to look after, of every kind, as kubectl takes it: another controller looks after the others
    #[arg(long, env = "SEALANT_SELECTOR", value_name = "SELECTOR")]
    pub selector: Option<String>,

    /// Files with age identities, or folders of *.agekey files, beside the labelled Secrets. They are read again when
    /// they change
    #[arg(long, env = "SEALANT_IDENTITY_FILE", value_name = "PATHS", value_delimiter = ',')]
    pub identity_file: Vec<PathBuf>,

    /// Whether to make a first identity when none is configured and there is no SealedSecret yet
    #[arg(long, env = "SEALANT_GENERATE_IDENTITY", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub generate_identity: bool,

    /// Types of Secrets to make although they are refused, as kubernetes.io/service-account-token is: whoever may create
    /// SealedSecrets can then get such tokens
    #[arg(long, env = "SEALANT_ALLOW_TYPE", value_name = "TYPES", value_delimiter = ',')]
    pub allow_type: Vec<String>,

    /// How many objects to work on at once, of all kinds together
    #[arg(long, env = "SEALANT_CONCURRENCY", value_name = "NUMBER", default_value_t = 64,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,

    /// Whether several replicas agree by a Lease on one that writes
    #[arg(long, env = "SEALANT_LEADER_ELECT", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_elect: bool,

    /// What this replica is called in the Lease and in events: the name of its pod, which no other replica may have
    #[arg(long, env = "SEALANT_POD_NAME", value_name = "NAME")]
    pub pod_name: Option<String>,

    /// Where to serve /metrics
    #[arg(long, env = "SEALANT_METRICS_ADDRESS", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub metrics_address: SocketAddr,

    /// Where to serve /healthz and /readyz
    #[arg(long, env = "SEALANT_HEALTH_ADDRESS", value_name = "ADDRESS", default_value = "0.0.0.0:8081")]
    pub health_address: SocketAddr,

    /// How to write the log
    #[arg(long, env = "SEALANT_LOG_FORMAT", value_enum, value_name = "FORMAT", default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,

    /// What to log: error, warn, info, debug or trace
    #[arg(long, env = "SEALANT_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: tracing::Level,

    #[command(flatten)]
    pub vault: VaultSettings,

    #[command(flatten)]
    pub clouds: CloudSettings,

    #[command(flatten)]
    pub bitnami: BitnamiSettings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Json,
    Text,
}

/// How we log in to Vault.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Vault and OpenBao")]
pub struct VaultSettings {
    /// Servers that may be asked, with commas between them: https://vault.example:8200. No other is ever sent anything,
    /// whatever a SealedSecret names
    #[arg(long, env = "SEALANT_VAULT_ALLOW", value_name = "ADDRESSES", value_delimiter = ',')]
    pub vault_allow: Vec<String>,

    /// Role of the Kubernetes auth method to log in with
    #[arg(long, env = "SEALANT_VAULT_ROLE", value_name = "NAME")]
    pub vault_role: Option<String>,

    /// Where the Kubernetes auth method is mounted [default: kubernetes]
    #[arg(long, env = "SEALANT_VAULT_AUTH_MOUNT", value_name = "PATH")]
    pub vault_auth_mount: Option<String>,

    /// Namespace to log in to
    #[arg(long, env = "SEALANT_VAULT_NAMESPACE", value_name = "NAME")]
    pub vault_namespace: Option<String>,

    /// The token of the service account to log in with: best one of its own audience
    #[arg(
        long,
        env = "SEALANT_VAULT_TOKEN_FILE",
        value_name = "PATH",
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    )]
    pub vault_token_file: PathBuf,

    /// The authority that has signed the servers' certificates, in PEM
    #[arg(long, env = "SEALANT_VAULT_CA_FILE", value_name = "PATH")]
    pub vault_ca_file: Option<PathBuf>,

    /// A certificate to show to servers that ask for one, in PEM; with --vault-client-key
    #[arg(long, env = "SEALANT_VAULT_CLIENT_CERT", value_name = "PATH")]
    pub vault_client_cert: Option<PathBuf>,

    /// The key of that certificate, in PEM
    #[arg(long, env = "SEALANT_VAULT_CLIENT_KEY", value_name = "PATH")]
    pub vault_client_key: Option<PathBuf>,

    /// A file that says how each server is reached from in here, where SealedSecrets name another address: as a user's
    /// sealant/config.yaml
    #[arg(long, env = "SEALANT_VAULT_CONFIG", value_name = "PATH")]
    pub vault_config: Option<PathBuf>,
}

impl VaultSettings {
    /// Whether any server may be asked.
    pub fn is_used(&self) -> bool {
        !self.vault_allow.is_empty() || self.vault_config.is_some()
    }
}

/// Which keys in clouds we use.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Keys in clouds")]
pub struct CloudSettings {
    /// Keys of AWS KMS, Google Cloud KMS and Azure Key Vault that may be used, with commas between them: ARNs, resource IDs
    /// and URLs, or what they begin with. No other is ever asked for anything, whatever a SealedSecret names
    #[arg(long, env = "SEALANT_KMS_ALLOW", value_name = "KEYS", value_delimiter = ',')]
    pub kms_allow: Vec<String>,
}

impl CloudSettings {
    /// Whether any key may be used.
    pub fn is_used(&self) -> bool {
        !self.kms_allow.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::column;

    #[test]
    fn a_variable_that_is_empty_is_not_given() {
        let value = |name: &OsStr| (name == "SEALANT_NAMESPACE").then(OsString::new);
        let command = without_empty(Cli::command(), value);
        let variable = |id: &str| {
            let flag = command.get_arguments().find(|flag| flag.get_id() == id).unwrap();
            flag.get_env().map(OsStr::to_owned)
        };
        assert_eq!(variable("namespace"), None);
        assert_eq!(variable("pod_name"), Some("SEALANT_POD_NAME".into()));
    }

    /// An empty name would be that of all namespaces.
    #[test]
    fn no_namespace_is_empty() {
        let names = |value: &str| {
            let flag = format!("--watch-namespaces={value}");
            Cli::try_parse_from(["sealant-controller", &flag]).map(|cli| cli.settings.watch_namespaces)
        };
        assert_eq!(names("a,b").unwrap(), ["a", "b"]);
        for value in ["a,", ",a", ",", ""] {
            assert!(names(value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn every_flag_is_described_and_is_a_variable() {
        let command = Cli::command();
        command.clone().debug_assert();
        let flags =
            command.get_arguments().filter(|flag| !matches!(flag.get_id().as_str(), "help" | "version"));
        let mut count = 0;
        for flag in flags {
            let long = flag.get_long().unwrap();
            let variable = format!("SEALANT_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(flag.get_env().and_then(|name| name.to_str()), Some(variable.as_str()), "--{long}");
            assert!(flag.get_help().is_some(), "--{long}");
            count += 1;
        }
        assert!(count > 15, "{count}");
    }

    #[test]
    fn the_page_has_every_flag_its_variable_and_its_default() {
        let command = Cli::command();
        let flags: Vec<_> = command.get_arguments().filter(|flag| flag.get_env().is_some()).collect();
        let names: Vec<_> =
            flags.iter().map(|flag| format!("--{}", flag.get_long().unwrap_or_default())).collect();
        assert_eq!(column("## Settings", 1), names);
        let variables: Vec<_> = flags.iter().filter_map(|flag| flag.get_env()?.to_str()).collect();
        assert_eq!(column("## Settings", 2), variables);
        for (flag, said) in flags.iter().zip(column("## Settings", 3)) {
            let default = flag.get_default_values().first().and_then(|value| value.to_str());
            assert_eq!(default.unwrap_or(said), said, "{}", flag.get_id());
        }
    }
}
