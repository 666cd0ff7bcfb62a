//! Whose credentials requests are made with: where they are looked for, and in which order.
//!
//! Owns the order of Azure's client in sops (`DefaultAzureCredential`): the environment, a workload identity, a managed
//! identity, `az`, `azd`, PowerShell; and `AZURE_TOKEN_CREDENTIALS`, which chooses among them. Asks nobody: tokens are got by `tokens`.

use reqwest::Url;
use zeroize::Zeroizing;

use super::challenge::is_tenant;
use crate::error::Result;
use crate::host::Host;
use crate::keys::web::{Cause, Problem, address};
use crate::secret::SecretString;

const TENANT: &str = "AZURE_TENANT_ID";
const CLIENT: &str = "AZURE_CLIENT_ID";
const CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";
const CERTIFICATE: &str = "AZURE_CLIENT_CERTIFICATE_PATH";
const USER: &str = "AZURE_USERNAME";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const AUTHORITY: &str = "AZURE_AUTHORITY_HOST";
const CHOSEN: &str = "AZURE_TOKEN_CREDENTIALS";
const MORE_TENANTS: &str = "AZURE_ADDITIONALLY_ALLOWED_TENANTS";
const IDENTITY_ENDPOINT: &str = "IDENTITY_ENDPOINT";
const MSI_ENDPOINT: &str = "MSI_ENDPOINT";

/// Where tokens of Microsoft's identities are had, if the user does not say otherwise.
const MICROSOFT: &str = "https://login.microsoftonline.com/";

/// What a machine of Azure is asked at; Azure's clients know the variable, too.
const METADATA: &str = "http://169.254.169.254";
const METADATA_HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";

/// The names of kinds of credentials in [`CHOSEN`], in the order in which they are tried.
const KINDS: [&str; 6] = [
    "EnvironmentCredential",
    "WorkloadIdentityCredential",
    "ManagedIdentityCredential",
    "AzureCLICredential",
    "AzureDeveloperCLICredential",
    "AzurePowerShellCredential",
];

/// What the user has to get tokens by.
pub(super) struct Found {
    /// One after the other.
    pub sources: Vec<Source>,
    pub authority: Url,
    pub more_tenants: Vec<String>,
}

/// What tokens are got by.
pub(super) enum Source {
    /// An application of a tenant.
    Application {
        tenant: String,
        client: String,
        proof: Proof,
    },
    Machine(Machine),
    /// A program that somebody has logged in to.
    Program(Program),
}

/// How an application shows who it is.
pub(super) enum Proof {
    Secret(SecretString),
    /// A file in PEM with a certificate and its private key.
    Certificate(String),
    /// A file with a token of another identity provider: a cluster, a CI system.
    Token(String),
}

/// What gives tokens on a machine of Azure, and for which of its identities.
pub(super) struct Machine {
    pub place: Place,
    pub client: Option<String>,
}

pub(super) enum Place {
    /// App Service, Functions, Container Apps.
    AppService {
        endpoint: Url,
        header: SecretString,
    },
    MachineLearning {
        endpoint: Url,
        secret: SecretString,
    },
    CloudShell {
        endpoint: Url,
    },
    /// A machine that Azure Arc manages.
    Arc {
        endpoint: Url,
    },
    /// A virtual machine, if it is one.
    Metadata {
        endpoint: Url,
    },
    /// One from which Sealant gets no tokens.
    NotKnown(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    Az,
    Azd,
    PowerShell,
}

impl Found {
    /// Where the user may have credentials; an error for settings that cannot be used.
    pub fn of_user(host: &dyn Host) -> Result<Self, Problem> {
        let authority = host.env_text(AUTHORITY)?.unwrap_or_else(|| MICROSOFT.to_owned());
        let authority = address(&authority, AUTHORITY)?;
        if authority.scheme() != "https" {
            let message = format!("{AUTHORITY}: {authority} would get secrets, and is not https");
            return Err(Problem::new(Cause::Credentials, message));
        }
        let more_tenants = host.env_text(MORE_TENANTS)?.unwrap_or_default();
        Ok(Self {
            sources: sources(host)?,
            authority,
            more_tenants: more_tenants.split(';').map(|tenant| tenant.trim().to_owned()).collect(),
        })
    }

    /// Whose tenant a token is asked for: that of the vault, if `own` allows it.
    pub fn tenant<'t>(&self, own: Option<&'t str>, of_vault: &'t str) -> Result<&'t str, Problem> {
        let is_allowed = self.more_tenants.iter().any(|tenant| tenant == "*" || tenant == of_vault);
        match own {
            Some(own) if own == of_vault => Ok(own),
            None if self.more_tenants.iter().all(String::is_empty) => Ok(of_vault),
            _ if is_allowed => Ok(of_vault),
            _ => {
                let message =
                    format!("the vault belongs to the tenant {of_vault}, and the credentials to another one");
                let advice = format!("If they are valid there too, set {MORE_TENANTS}={of_vault}.");
                Err(Problem::new(Cause::Credentials, message).advise(advice))
            }
        }
    }
}

fn sources(host: &dyn Host) -> Result<Vec<Source>, Problem> {
    let chosen = Chosen::of_user(host)?;
    let client = host.env_text(CLIENT)?;
    let mut sources = Vec::new();
    for kind in KINDS.into_iter().filter(|kind| chosen.has(kind)) {
        match kind {
            "EnvironmentCredential" => sources.extend(of_environment(host, client.as_deref())?),
            "WorkloadIdentityCredential" => sources.extend(of_workload(host, client.as_deref())?),
            "ManagedIdentityCredential" => {
                sources.push(Source::Machine(Machine { place: place(host)?, client: client.clone() }));
            }
            "AzureCLICredential" => sources.push(Source::Program(Program::Az)),
            "AzureDeveloperCLICredential" => sources.push(Source::Program(Program::Azd)),
            _ => sources.push(Source::Program(Program::PowerShell)),
        }
    }
    Ok(sources)
}

/// Which kinds of credentials the user has chosen.
struct Chosen(Option<String>);

impl Chosen {
    fn of_user(host: &dyn Host) -> Result<Self, Problem> {
        let chosen = host.env_text(CHOSEN)?;
        let is_known = |name: &String| {
            matches!(name.as_str(), "dev" | "prod")
                || KINDS.iter().any(|kind| kind.eq_ignore_ascii_case(name))
        };
        match chosen {
            Some(name) if !is_known(&name) => {
                let message = format!("{CHOSEN}: Sealant does not know the kind of credentials `{name}`");
                let kinds = KINDS.join(", ");
                Err(Problem::new(Cause::Credentials, message).advise(format!("They are dev, prod, {kinds}.")))
            }
            chosen => Ok(Self(chosen)),
        }
    }

    fn has(&self, kind: &str) -> bool {
        let place = KINDS.iter().position(|known| *known == kind);
        match self.0.as_deref() {
            None => true,
            Some("dev") => place >= Some(3),
            Some("prod") => place < Some(3),
            Some(name) => name.eq_ignore_ascii_case(kind),
        }
    }
}

/// An application of which all is in the environment; `None` where something is missing.
fn of_environment(host: &dyn Host, client: Option<&str>) -> Result<Option<Source>, Problem> {
    let Some((tenant, client)) = tenant(host)?.zip(client) else { return Ok(None) };
    let proof = match host.env_text(CLIENT_SECRET)? {
        Some(secret) => Some(Proof::Secret(Zeroizing::new(secret))),
        None => host.env_text(CERTIFICATE)?.map(Proof::Certificate),
    };
    if proof.is_none() && host.env(USER).is_some() {
        let message = format!("{USER}: Sealant does not log in to Azure with a password");
        return Err(Problem::new(Cause::Credentials, message)
            .advise("Log in with `az login`, or set AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH."));
    }
    Ok(proof.map(|proof| Source::Application { tenant, client: client.to_owned(), proof }))
}

fn of_workload(host: &dyn Host, client: Option<&str>) -> Result<Option<Source>, Problem> {
    let Some((tenant, client)) = tenant(host)?.zip(client) else { return Ok(None) };
    let file = host.env_text(TOKEN_FILE)?;
    Ok(file.map(|file| Source::Application { tenant, client: client.to_owned(), proof: Proof::Token(file) }))
}

fn tenant(host: &dyn Host) -> Result<Option<String>, Problem> {
    match host.env_text(TENANT)? {
        Some(tenant) if !is_tenant(&tenant) => {
            Err(Problem::new(Cause::Credentials, format!("{TENANT}: `{tenant}` is not a tenant")))
        }
        tenant => Ok(tenant),
    }
}

/// What the environment says of the machine; without a word, it may be a virtual one.
fn place(host: &dyn Host) -> Result<Place, Problem> {
    let secret = |name: &str| Ok::<_, Problem>(host.env_text(name)?.map(Zeroizing::new));
    let endpoint = |name: &str| host.env_text(name)?.map(|text| address(&text, name)).transpose();
    let is_set = |name: &str| host.env(name).is_some();
    let identity = endpoint(IDENTITY_ENDPOINT)?;
    if let Some((endpoint, header)) = identity.clone().zip(secret("IDENTITY_HEADER")?) {
        return Ok(match is_set("IDENTITY_SERVER_THUMBPRINT") {
            true => Place::NotKnown("Service Fabric"),
            false => Place::AppService { endpoint, header },
        });
    }
    if let Some(endpoint) = endpoint(MSI_ENDPOINT)? {
        return Ok(match secret("MSI_SECRET")? {
            Some(secret) => Place::MachineLearning { endpoint, secret },
            None => Place::CloudShell { endpoint },
        });
    }
    if let Some(endpoint) = identity.filter(|_| is_set("IMDS_ENDPOINT")) {
        return Ok(Place::Arc { endpoint });
    }
    let endpoint = endpoint(METADATA_HOST)?.map_or_else(|| address(METADATA, METADATA_HOST), Ok)?;
    Ok(Place::Metadata { endpoint })
}

/// Which credentials the user has, without a request to anybody; `None` if only the machine may have some.
pub(super) fn described(host: &dyn Host) -> Result<Option<String>> {
    let found = Found::of_user(host).map_err(Problem::of_settings)?;
    Ok(found.sources.iter().find_map(|source| source.described(host)))
}

impl Source {
    /// `None` where it is not certain that there is something.
    fn described(&self, host: &dyn Host) -> Option<String> {
        match self {
            Self::Application { client, proof, .. } => Some(match proof {
                Proof::Secret(_) => format!("{CLIENT_SECRET}: the application {client}"),
                Proof::Certificate(path) => format!("{CERTIFICATE} ({path}): the application {client}"),
                Proof::Token(path) => format!("{TOKEN_FILE} ({path}): the workload identity {client}"),
            }),
            Self::Machine(Machine { place, .. }) => match place {
                Place::AppService { .. } | Place::Arc { .. } => {
                    Some(format!("{IDENTITY_ENDPOINT}: a managed identity"))
                }
                Place::MachineLearning { .. } | Place::CloudShell { .. } => {
                    Some(format!("{MSI_ENDPOINT}: a managed identity"))
                }
                Place::Metadata { .. } | Place::NotKnown(_) => None,
            },
            Self::Program(program) => program.has_login(host).then(|| {
                format!("the login of `{}`, unless this machine has a managed identity", program.name())
            }),
        }
    }
}

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Self::Az => "az",
            Self::Azd => "azd",
            Self::PowerShell => "pwsh",
        }
    }

    /// Whether it has a file in which it keeps whose login it has.
    fn has_login(self, host: &dyn Host) -> bool {
        let (variable, folder, file, field) = match self {
            Self::Az => (Some("AZURE_CONFIG_DIR"), ".azure", "azureProfile.json", "subscriptions"),
            Self::Azd => (Some("AZD_CONFIG_DIR"), ".azd", "auth.json", "auth"),
            Self::PowerShell => (None, ".Azure", "AzureRmContext.json", "Contexts"),
        };
        let named = variable.and_then(|name| host.env(name)).map(Into::into);
        let folder = named.or_else(|| Some(host.home()?.join(folder)));
        let content = folder.and_then(|folder: std::path::PathBuf| host.read_secret(&folder.join(file)).ok());
        let text = content.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        // `az` begins the file with a mark of its encoding.
        let value: serde_json::Value =
            serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_default();
        match &value[field] {
            serde_json::Value::Array(items) => !items.is_empty(),
            serde_json::Value::Object(fields) => !fields.is_empty(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::fake_host::FakeHost;

    fn application(proof: &'static str, value: &str) -> FakeHost {
        FakeHost::default().env(TENANT, "t").env(CLIENT, "app").env(proof, value)
    }

    #[test]
    fn they_are_found_where_sops_finds_them() {
        let said = |host: FakeHost| described(&host).unwrap().unwrap_or_default();
        let az = |host: FakeHost| {
            host.file("/home/u/.azure/azureProfile.json", "\u{feff}{\"subscriptions\": [1]}")
        };
        assert_eq!(
            said(az(application(CLIENT_SECRET, "PLANTED"))),
            "AZURE_CLIENT_SECRET: the application app"
        );
        let certificate = application(CERTIFICATE, "/c.pem").env(TOKEN_FILE, "/t");
        assert_eq!(said(certificate), "AZURE_CLIENT_CERTIFICATE_PATH (/c.pem): the application app");
        let workload = "AZURE_FEDERATED_TOKEN_FILE (/t): the workload identity app";
        assert_eq!(said(application(TOKEN_FILE, "/t").env("IDENTITY_ENDPOINT", "http://h")), workload);
        let machine =
            FakeHost::default().env(IDENTITY_ENDPOINT, "http://h").env("IDENTITY_HEADER", "PLANTED");
        assert_eq!(said(machine), "IDENTITY_ENDPOINT: a managed identity");
        assert!(said(az(FakeHost::default())).starts_with("the login of `az`"));
        let azd =
            FakeHost::default().file("/home/u/.azd/auth.json", r#"{"auth": {"account.currentUser": {}}}"#);
        assert!(said(azd).starts_with("the login of `azd`"));
        let powershell =
            FakeHost::default().file("/home/u/.Azure/AzureRmContext.json", r#"{"Contexts": {"me": {}}}"#);
        assert!(said(powershell).starts_with("the login of `pwsh`"));
        // A secret alone names nobody.
        assert_eq!(said(FakeHost::default().env(CLIENT_SECRET, "PLANTED")), "");
        assert_eq!(
            said(FakeHost::default().file("/home/u/.azure/azureProfile.json", "{\"subscriptions\": []}")),
            ""
        );
    }

    #[test]
    fn the_user_chooses_among_them() {
        let of = |chosen: &str| {
            let host = application(CLIENT_SECRET, "s").env(TOKEN_FILE, "/t").env(CHOSEN, chosen);
            let found = Found::of_user(&host).map_err(|problem| problem.message)?;
            Ok::<_, String>(found.sources.len())
        };
        assert_eq!([of("prod"), of("dev"), of("azureclicredential")], [Ok(3), Ok(3), Ok(1)]);
        assert_eq!(of("AzurePowerShellCredential"), Ok(1));
        assert!(
            of("VisualStudioCodeCredential").unwrap_err().contains("does not know the kind of credentials")
        );
    }

    #[test]
    fn a_password_is_refused_by_name() {
        let problem = Found::of_user(&application("AZURE_USERNAME", "u")).err().unwrap();
        assert!(problem.message.contains("AZURE_USERNAME") && problem.advice.unwrap().contains("az login"));
    }

    #[test]
    fn the_tenant_of_a_vault_is_one_of_theirs() {
        let found = |more: &str| {
            let host = FakeHost::default();
            Found::of_user(&if more.is_empty() { host } else { host.env(MORE_TENANTS, more) }).unwrap()
        };
        assert_eq!(found("").tenant(Some("t"), "t").unwrap(), "t");
        assert!(found("").tenant(Some("t"), "other").unwrap_err().advice.unwrap().contains(MORE_TENANTS));
        assert_eq!(found("x;other").tenant(Some("t"), "other").unwrap(), "other");
        assert_eq!(found("*").tenant(Some("t"), "other").unwrap(), "other");
        assert_eq!(found("").tenant(None, "other").unwrap(), "other");
        assert!(found("x").tenant(None, "other").is_err());
    }

    #[test]
    fn secrets_go_by_tls() {
        assert!(Found::of_user(&FakeHost::default().env(AUTHORITY, "http://login.test")).is_err());
        let found =
            Found::of_user(&FakeHost::default().env(AUTHORITY, "https://login.microsoftonline.us")).unwrap();
        assert_eq!(found.authority.as_str(), "https://login.microsoftonline.us/");
        assert!(Found::of_user(&FakeHost::default().env(TENANT, "t/x").env(CLIENT, "c")).is_err());
    }
}
