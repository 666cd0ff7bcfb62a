use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::server::{Server, folder, on_free_port};
use crate::{Peers, Run};

const ROOT_TOKEN: &str = "root";

/// A real OpenBao server on a port of its own, in memory, unsealed. It is ready after a quarter of a second.
///
/// ```no_run
/// use sealant_test_support::Bao;
///
/// let bao = Bao::start();
/// bao.transit_key("transit", "team");
/// bao.policy("decrypt", r#"path "transit/decrypt/team" { capabilities = ["update"] }"#);
/// let token = bao.token(&["-policy=decrypt", "-ttl=1h"]);
/// // ... .env("VAULT_ADDR", bao.address()).env("VAULT_TOKEN", &token) ...
/// assert_eq!(bao.requests_to("transit/decrypt/").len(), 1);
/// ```
///
/// It stops when it is dropped. One that many tests share may stand in a `LazyLock`: it stops when the tests end.
pub struct Bao {
    server: Server,
    address: String,
    ca_file: Option<PathBuf>,
}

/// A request that the server has answered, from its audit log.
#[derive(Debug, Clone)]
pub struct AuditRequest {
    /// Without a slash at its begin, for instance `transit/decrypt/team`.
    pub path: String,
    /// `read`, `update` (any POST or PUT), `create`, `delete`, `list`.
    pub operation: String,
    /// Whose token it was, or who has logged in, for instance `token`, `approle`, `kubernetes-default-app`. Empty for
    /// nobody.
    pub display_name: String,
    /// The namespace, without a slash at its end. Empty for the root.
    pub namespace: String,
    /// What was sent. Each string in it is replaced by its HMAC, but lists keep their lengths.
    pub data: Value,
    /// Why it was refused. Empty when it was not.
    pub error: String,
}

impl Bao {
    /// Starts a server that speaks HTTP.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// Starts a server that speaks HTTPS, with a certificate by an authority of its own: see [`ca_file`](Self::ca_file).
    #[track_caller]
    pub fn start_tls() -> Self {
        Self::start_with(true)
    }

    #[track_caller]
    fn start_with(tls: bool) -> Self {
        let program = Peers::get().program("bao");
        on_free_port(|port| {
            let folder = folder("bao");
            let path = |name: &str| folder.path().join(name).into_os_string().into_string().expect("UTF-8");
            let audit = format!("audit \"file\" \"log\" {{ options {{ file_path = {:?} }} }}", path("audit"));
            fs::write(path("config.hcl"), audit).expect("a file in the temporary directory");
            let mut args = vec![
                "server".to_owned(),
                "-dev".to_owned(),
                "-dev-no-store-token".to_owned(),
                format!("-dev-root-token-id={ROOT_TOKEN}"),
                format!("-dev-listen-address=127.0.0.1:{port}"),
                format!("-config={}", path("config.hcl")),
            ];
            if tls {
                args.extend(["-dev-tls".to_owned(), format!("-dev-tls-cert-dir={}", path(""))]);
            }
            let ca_file = tls.then(|| path("vault-ca.pem").into());
            let address = format!("http{}://127.0.0.1:{port}", if tls { "s" } else { "" });
            let server = Server::start(folder, &program, &args, &[]).wait_for("OpenBao server started!")?;
            Ok(Self { server, address, ca_file })
        })
    }

    /// For `VAULT_ADDR`: `http://127.0.0.1:PORT`, or `https://...`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// For `VAULT_TOKEN`: a token that may do everything.
    pub fn root_token(&self) -> &str {
        ROOT_TOKEN
    }

    /// For `VAULT_CACERT`: the authority of the server's certificate, in PEM.
    ///
    /// # Panics
    /// When the server speaks HTTP.
    #[track_caller]
    pub fn ca_file(&self) -> &Path {
        self.ca_file.as_deref().expect("only a server of start_tls() has a certificate")
    }

    /// The real CLI, as root: `bao(&["write", "-f", "transit/keys/team/rotate"])`. As somebody else with
    /// `.env("BAO_TOKEN", ..)`.
    #[track_caller]
    pub fn bao(&self, args: &[&str]) -> Run {
        let run = Run::new(&Peers::get().program("bao"), args, self.server.folder().to_owned())
            .env("HOME", self.server.folder())
            .env("BAO_ADDR", &self.address)
            .env("BAO_TOKEN", ROOT_TOKEN);
        match &self.ca_file {
            Some(file) => run.env("BAO_CACERT", file),
            None => run,
        }
    }

    /// Makes a transit key, and enables the engine at this path unless it is.
    #[track_caller]
    pub fn transit_key(&self, mount: &str, name: &str) {
        let enabled = self.bao(&["secrets", "enable", &format!("-path={mount}"), "transit"]).run();
        if !enabled.stderr.contains("path is already in use") {
            let _ = enabled.ok();
        }
        let _ = self.bao(&["write", "-f", &format!("{mount}/keys/{name}")]).run().ok();
    }

    /// Makes a policy.
    #[track_caller]
    pub fn policy(&self, name: &str, rules: &str) {
        let _ = self.bao(&["policy", "write", name, "-"]).stdin(rules).run().ok();
    }

    /// Makes a token, for instance `token(&["-policy=decrypt", "-ttl=1h"])`.
    #[track_caller]
    pub fn token(&self, options: &[&str]) -> String {
        let run = self.bao(&["token", "create", "-field=token"]).args(options);
        run.run().ok().text().trim().to_owned()
    }

    /// Seals the server: from now on it answers each request with an error, until [`unseal`](Self::unseal).
    #[track_caller]
    pub fn seal(&self) {
        let _ = self.bao(&["operator", "seal"]).run().ok();
    }

    /// Unseals the server.
    #[track_caller]
    pub fn unseal(&self) {
        let output = self.server.output();
        let key = output.lines().find_map(|line| line.strip_prefix("Unseal Key: ")).expect("an unseal key");
        let _ = self.bao(&["operator", "unseal", key]).run().ok();
    }

    /// All requests that the server has answered, oldest first, those of [`bao`](Self::bao) included. Not among them
    /// are those that need no token (`sys/health`, `sys/seal-status`), and those that a sealed server has refused.
    #[track_caller]
    pub fn requests(&self) -> Vec<AuditRequest> {
        let log = fs::read_to_string(self.server.folder().join("audit")).expect("the audit log");
        let mut requests: Vec<(String, AuditRequest)> = Vec::new();
        // What comes after the last line break is still being written.
        let complete = log.rfind('\n').map_or("", |end| &log[..end]);
        for line in complete.lines() {
            let entry: Value = serde_json::from_str(line).expect("a line of the audit log is JSON");
            let text =
                |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let id = text("/request/id");
            // Each request is there twice, as "request" and as "response". Who has logged in is only in the latter.
            let request = AuditRequest {
                path: text("/request/path"),
                operation: text("/request/operation"),
                display_name: text("/auth/display_name"),
                namespace: text("/request/namespace/path").trim_end_matches('/').to_owned(),
                data: entry.pointer("/request/data").cloned().unwrap_or_default(),
                error: text("/error"),
            };
            match requests.iter_mut().rev().find(|(known, _)| *known == id) {
                Some((_, known)) => *known = request,
                None => requests.push((id, request)),
            }
        }
        requests.into_iter().map(|(_, request)| request).collect()
    }

    /// Those of [`requests`](Self::requests) whose path begins like this.
    #[track_caller]
    pub fn requests_to(&self, prefix: &str) -> Vec<AuditRequest> {
        self.requests().into_iter().filter(|request| request.path.starts_with(prefix)).collect()
    }
}
