use std::ops::Deref;
use std::path::PathBuf;

use serde_json::json;

use crate::Run;
use crate::authority::{make_authority, make_certificate_for, openssl};
use crate::server::{folder, on_free_port};
use crate::stand_in::{StandIn, python};

/// A server that stands in for Azure Key Vault, Microsoft's identities and a machine of Azure: a proxy through which all
/// vaults are itself, with certificates of an authority of its own. Azure's own client takes it for real
/// ([`AzureKv::sdk`]), and so does sops.
pub struct AzureKv {
    server: StandIn,
    folder: PathBuf,
}

/// The names that its certificate is for.
const NAMES: &str = "subjectAltName=DNS:*.vault.azure.net,DNS:login.microsoftonline.com,DNS:login.microsoftonline.us,\
                     DNS:vault.example.com";

impl AzureKv {
    /// Starts a server.
    #[track_caller]
    pub fn start() -> Self {
        on_free_port(|port| {
            let folder = folder("azure-kv");
            let path = folder.path().to_owned();
            make_authority(&path);
            make_certificate_for(&path, "azure", NAMES);
            let private_key = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/gcp/service-account.pem");
            let request =
                ["req", "-x509", "-subj", "/CN=application", "-key", private_key, "-out", "application.crt"];
            openssl(&path, &request);
            let [key, certificate] = [private_key.into(), path.join("application.crt")]
                .map(|path: PathBuf| std::fs::read_to_string(path).expect("a file"));
            std::fs::write(path.join("application.pem"), key + &certificate).expect("a file");
            let script = include_str!("azure_kv.py");
            let server = StandIn::start(folder, script, port, &[private_key.to_owned()])?;
            Ok(Self { server, folder: path })
        })
    }

    /// The URL of a key, without a version.
    pub fn key(&self, name: &str) -> String {
        format!("https://v.vault.azure.net/keys/{name}")
    }

    /// The URL of a key in its version of this number, from 1.
    pub fn version(&self, name: &str, number: usize) -> String {
        format!("{}/{number:032x}", self.key(name))
    }

    /// Gives a key a newer version.
    #[track_caller]
    pub fn rotate(&self, name: &str) {
        self.ask("POST", "/rotate", &json!({"key": self.key(name)}));
    }

    /// A token that counts, as a program would have it that somebody is logged in to.
    #[track_caller]
    pub fn token(&self) -> String {
        self.ask("POST", "/token-of-tests", &json!({}))["access_token"].as_str().expect("a token").to_owned()
    }

    /// A file with the certificate and the private key of its application.
    pub fn certificate(&self) -> String {
        self.folder.join("application.pem").display().to_string()
    }

    /// A program that comes to this server for Azure, and has no credentials.
    pub fn beside(&self, run: Run) -> Run {
        self.variables().into_iter().fold(run, |run, (name, value)| run.env(name, value))
    }

    /// A program that comes to this server for Azure, and has the secret of an application in its environment.
    pub fn serve(&self, run: Run) -> Run {
        let run = self.beside(run).env("AZURE_TENANT_ID", "tenant-1").env("AZURE_CLIENT_ID", "application");
        run.env("AZURE_CLIENT_SECRET", "PLANTED-secret")
    }

    /// The environment in which a program takes this server for Azure.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let authority = self.folder.join("ca.crt").display().to_string();
        vec![
            ("HTTPS_PROXY", self.address()),
            ("SSL_CERT_FILE", authority.clone()),
            ("REQUESTS_CA_BUNDLE", authority),
            ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9".to_owned()),
        ]
    }

    /// What a script in Python says that is run with Azure's own client.
    #[track_caller]
    pub fn sdk(&self, script: &str) -> String {
        python(&["azure-keyvault", "moto"], &self.variables(), script)
    }
}

impl Deref for AzureKv {
    type Target = StandIn;

    fn deref(&self) -> &StandIn {
        &self.server
    }
}
