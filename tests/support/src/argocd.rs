use std::path::{Path, PathBuf};

use crate::server::{Server, folder};
use crate::{Peers, Run};

/// Argo CD's real plugin server with one plugin, and Argo CD's own client to ask it.
///
/// ```no_run
/// use sealant_test_support::PluginServer;
///
/// # let (sealant, repository) = (std::path::Path::new(""), std::path::Path::new(""));
/// let server = PluginServer::start("metadata: {name: sealant} ...", sealant, &[]);
/// let output = server.ask("generate", repository, "apps/shop", &["ARGOCD_APP_NAME=shop"]).run().ok();
/// ```
///
/// It stops when it is dropped.
pub struct PluginServer {
    server: Server,
    socket: PathBuf,
}

impl PluginServer {
    /// Starts a server with this plugin.yaml, of a plugin named `sealant`. The folder of the program under test comes
    /// first on its `PATH`, then those of the real programs; `env` is what the sidecar's environment has besides.
    #[track_caller]
    pub fn start(plugin: &str, sealant: &Path, env: &[(&str, &str)]) -> Self {
        let folder = folder("argocd");
        std::fs::write(folder.path().join("plugin.yaml"), plugin).expect("a file in the temporary directory");
        let tmp = folder.path().join("tmp");
        std::fs::create_dir(&tmp).expect("a folder in the temporary directory");
        let ours = sealant.parent().expect("the binary stands in a folder").display();
        let peers = Peers::get().directory().display();
        let here = folder.path().display();
        let mut args = vec![
            format!("PATH={ours}:{peers}:/usr/local/bin:/usr/bin:/bin"),
            format!("HOME={here}"),
            format!("TMPDIR={}", tmp.display()),
            format!("ARGOCD_PLUGINSOCKFILEPATH={here}"),
        ];
        args.extend(env.iter().map(|(key, value)| format!("{key}={value}")));
        args.push(Peers::get().program("argocd-cmp-server").display().to_string());
        args.extend(["--loglevel", "debug", "--config-dir-path"].map(str::to_owned));
        args.push(here.to_string());
        let socket = folder.path().join("sealant.sock");
        let server = Server::start(folder, Path::new("env"), &args).wait_for("serving on");
        Self { server: server.unwrap_or_else(|error| panic!("{error}")), socket }
    }

    /// Asks `generate`, `match` or `parameters` about a folder of a repository, as the repo-server does. `env` is what
    /// it hands on of the application.
    #[track_caller]
    pub fn ask(&self, question: &str, repository: &Path, app: &str, env: &[&str]) -> Run {
        let client = Peers::get().program("argocd-cmp-client");
        let run = Run::new(&client, &[], repository.to_owned()).arg(&self.socket).arg(question);
        run.arg(repository).arg(repository.join(app)).arg(format!("ARGOCD_APP_SOURCE_PATH={app}")).args(env)
    }

    /// Its log, which has all that plugins print, too.
    pub fn log(&self) -> String {
        self.server.output()
    }

    /// Where it unpacks repositories.
    pub fn tmp(&self) -> PathBuf {
        self.server.folder().join("tmp")
    }
}

/// What Argo CD shows of an object (in JSON) by the health check in `deploy/argocd`: its status, and its message. Argo CD's
/// own interpreter runs it.
#[track_caller]
pub fn argocd_health(object: &str) -> (String, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/argocd/health.lua");
    let program = Peers::get().program("argocd-health");
    let output = Run::new(&program, &[], std::env::temp_dir()).arg(script).stdin(object).run().ok();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a health in JSON");
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("message"))
}
