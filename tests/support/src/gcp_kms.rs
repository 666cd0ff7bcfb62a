use std::ops::Deref;
use std::process::Command;

use serde_json::json;

use crate::Run;
use crate::server::{folder, on_free_port};
use crate::stand_in::{StandIn, python};

/// A server that stands in for Cloud KMS, and for whoever hands out tokens for it. Google's own client takes it for real
/// ([`GcpKms::sdk`]), and so does sops.
pub struct GcpKms(StandIn);

/// The private key of its service account: a public test key.
const SERVICE_ACCOUNT: &str = include_str!("../../../fixtures/gcp/service-account.pem");

impl GcpKms {
    /// Starts a server.
    #[track_caller]
    pub fn start() -> Self {
        on_free_port(|port| {
            let server = StandIn::start(folder("gcp-kms"), include_str!("gcp_kms.py"), port, &[modulus()]);
            server.map(Self)
        })
    }

    /// The resource ID of a key.
    pub fn key(&self, name: &str) -> String {
        format!("projects/p/locations/global/keyRings/r/cryptoKeys/{name}")
    }

    /// A program that finds KMS here, and no credentials.
    pub fn beside(&self, run: Run) -> Run {
        run.env("SOPS_GCP_KMS_ENDPOINT", self.address())
            .env("SOPS_GCP_KMS_CLIENT_TYPE", "rest")
            .env("GCE_METADATA_HOST", "127.0.0.1:9")
    }

    /// A program that finds KMS here, and an access token in its environment.
    pub fn serve(&self, run: Run) -> Run {
        self.beside(run).env("GOOGLE_OAUTH_ACCESS_TOKEN", "PLANTED-static-token")
    }

    /// A file of credentials of its service account.
    pub fn service_account(&self) -> String {
        let account = json!({
            "type": "service_account", "project_id": "p", "client_email": "a@p.iam.gserviceaccount.com",
            "private_key_id": "1", "private_key": SERVICE_ACCOUNT, "token_uri": format!("{}/token", self.address()),
        });
        account.to_string()
    }

    /// What a script in Python says that is run with Google's own client; `ENDPOINT` in it is this server.
    #[track_caller]
    pub fn sdk(&self, script: &str) -> String {
        python(&["google-cloud-kms", "moto"], &[], &script.replace("ENDPOINT", &self.address()))
    }
}

impl Deref for GcpKms {
    type Target = StandIn;

    fn deref(&self) -> &StandIn {
        &self.0
    }
}

/// That of the key of its service account, in hexadecimal digits.
fn modulus() -> String {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/gcp/service-account.pem");
    let output = Command::new("openssl").args(["rsa", "-noout", "-modulus", "-in", key]).output();
    let text = String::from_utf8(output.expect("openssl is there").stdout).expect("a text");
    text.trim().trim_start_matches("Modulus=").to_owned()
}
