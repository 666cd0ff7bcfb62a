use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::authority::{make_authority, make_certificate};
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
/// It stops when it is dropped. One that many tests share may be in a `LazyLock`: it stops when the tests end.
pub struct Bao {
    server: Server,
    tls: Tls,
    address: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Tls {
    No,
    Server,
    Mutual,
}

/// A real proxy before a [`Bao`], with a token of its own. It stops when it is dropped.
pub struct BaoProxy {
    server: Server,
    address: String,
}

impl BaoProxy {
    /// For `VAULT_AGENT_ADDR`: `http://127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The socket on which it listens, too: `unix://` and this for `VAULT_AGENT_ADDR`.
    pub fn socket(&self) -> PathBuf {
        self.server.folder().join("socket")
    }
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
    /// Why it was refused; what an engine has said about it is replaced by its HMAC. Empty when it was not refused.
    pub error: String,
}

impl Bao {
    /// Starts a server that speaks HTTP.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(Tls::No)
    }

    /// Starts a server that speaks HTTPS. Its certificate is by an authority of its own: see [`ca_file`](Self::ca_file).
    #[track_caller]
    pub fn start_tls() -> Self {
        Self::start_with(Tls::Server)
    }

    /// Starts a server that speaks HTTPS, and only with those who have a certificate by the same authority: see
    /// [`client_certificate`](Self::client_certificate).
    #[track_caller]
    pub fn start_mutual_tls() -> Self {
        Self::start_with(Tls::Mutual)
    }

    #[track_caller]
    fn start_with(tls: Tls) -> Self {
        on_free_port(|port| {
            let folder = folder("bao");
            let mut config = "audit \"file\" \"log\" {\n options { file_path = \"audit\" }\n}\n".to_owned();
            let listen = format!("127.0.0.1:{port}");
            let mut dev_listen = listen.as_str();
            if tls != Tls::No {
                make_authority(folder.path());
                make_certificate(folder.path(), "server");
                make_certificate(folder.path(), "client");
                // Beside the listener of the development mode, which speaks HTTP and gets a port that nobody knows.
                dev_listen = "127.0.0.1:0";
                write!(
                    config,
                    "listener \"tcp\" {{
                        address = {listen:?}
                        tls_cert_file = \"server.crt\"
                        tls_key_file = \"server.key\"
                        tls_client_ca_file = \"ca.crt\"
                        tls_require_and_verify_client_cert = {}
                    }}",
                    tls == Tls::Mutual
                )
                .expect("a String can be written to");
            }
            fs::write(folder.path().join("config.hcl"), config).expect("a file in the temporary directory");
            let args = [
                "server".to_owned(),
                "-config=config.hcl".to_owned(),
                "-dev".to_owned(),
                "-dev-no-store-token".to_owned(),
                format!("-dev-root-token-id={ROOT_TOKEN}"),
                format!("-dev-listen-address={dev_listen}"),
            ];
            let address = format!("{}://{listen}", if tls == Tls::No { "http" } else { "https" });
            let server = Server::start(folder, &Peers::get().program("bao"), &args);
            Ok(Self { server: server.wait_for("OpenBao server started!")?, tls, address })
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
    pub fn ca_file(&self) -> PathBuf {
        assert!(self.tls != Tls::No, "a server that speaks HTTP has no certificate: use start_tls()");
        self.server.folder().join("ca.crt")
    }

    /// For `VAULT_CLIENT_CERT` and `VAULT_CLIENT_KEY`: a certificate by the same authority, and its key, in PEM.
    ///
    /// # Panics
    /// When the server speaks HTTP.
    #[track_caller]
    pub fn client_certificate(&self) -> (PathBuf, PathBuf) {
        let folder = self.ca_file().with_file_name("");
        (folder.join("client.crt"), folder.join("client.key"))
    }

    /// The real CLI, as root: `bao(&["write", "-f", "transit/keys/team/rotate"])`. As somebody else with
    /// `.env("BAO_TOKEN", ..)`.
    #[track_caller]
    pub fn bao(&self, args: &[&str]) -> Run {
        let mut run = Run::new(&Peers::get().program("bao"), args, self.server.folder().to_owned())
            .env("HOME", self.server.folder())
            .env("BAO_ADDR", &self.address)
            .env("BAO_TOKEN", ROOT_TOKEN);
        if self.tls != Tls::No {
            run = run.env("BAO_CACERT", self.ca_file());
        }
        if self.tls == Tls::Mutual {
            let (certificate, key) = self.client_certificate();
            run = run.env("BAO_CLIENT_CERT", certificate).env("BAO_CLIENT_KEY", key);
        }
        run
    }

    /// Makes a transit key, and enables the engine at this path unless it is.
    #[track_caller]
    pub fn transit_key(&self, mount: &str, name: &str) {
        let enabled = self.bao(&["secrets", "enable", &format!("-path={mount}"), "transit"]).run();
        if !enabled.stderr.contains("path is already in use") {
            enabled.ok();
        }
        self.bao(&["write", "-f", &format!("{mount}/keys/{name}")]).run().ok();
    }

    /// Makes a policy.
    #[track_caller]
    pub fn policy(&self, name: &str, rules: &str) {
        self.bao(&["policy", "write", name, "-"]).stdin(rules).run().ok();
    }

    /// Makes a token, for instance `token(&["-policy=decrypt", "-ttl=1h"])`.
    #[track_caller]
    pub fn token(&self, options: &[&str]) -> String {
        let run = self.bao(&["token", "create", "-field=token"]).args(options);
        run.run().ok().text().trim().to_owned()
    }

    /// Starts the real proxy (`bao proxy`) before this server, which must speak HTTP. It has a token that may do
    /// everything, and lends it to everybody whose requests say that they are meant for it.
    #[track_caller]
    pub fn start_proxy(&self) -> BaoProxy {
        on_free_port(|port| {
            let folder = folder("bao-proxy");
            let config = format!(
                "vault {{ address = {:?} }}
                auto_auth {{
                    method {{
                        type = \"token_file\"
                        config = {{ token_file_path = \"token\" }}
                    }}
                }}
                api_proxy {{ use_auto_auth_token = true }}
                listener \"tcp\" {{
                    address = \"127.0.0.1:{port}\"
                    tls_disable = true
                    require_request_header = true
                }}
                listener \"unix\" {{
                    address = \"{}\"
                    tls_disable = true
                    require_request_header = true
                }}",
                self.address,
                folder.path().join("socket").display()
            );
            for (name, content) in [("config.hcl", config.as_str()), ("token", ROOT_TOKEN)] {
                fs::write(folder.path().join(name), content).expect("a file in the temporary directory");
            }
            let args = ["proxy".to_owned(), "-config=config.hcl".to_owned()];
            let server = Server::start(folder, &Peers::get().program("bao"), &args);
            let server = server.wait_for("authentication successful")?;
            Ok(BaoProxy { server, address: format!("http://127.0.0.1:{port}") })
        })
    }

    /// Seals the server: from now on it answers each request with an error, until [`unseal`](Self::unseal).
    #[track_caller]
    pub fn seal(&self) {
        self.bao(&["operator", "seal"]).run().ok();
    }

    /// Unseals the server.
    #[track_caller]
    pub fn unseal(&self) {
        let output = self.server.output();
        let key = output.lines().find_map(|line| line.strip_prefix("Unseal Key: ")).expect("an unseal key");
        self.bao(&["operator", "unseal", key]).run().ok();
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
                error: text("/error") + &text("/response/data/error"),
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
