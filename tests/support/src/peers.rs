use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const HOW_TO_GET_THEM: &str = "Get all peers with `make peers` (about twenty minutes, once per machine), \
    or set SEALANT_PEERS to a directory which has them.";

/// The real programs that `tests/peers/get` builds.
pub struct Peers {
    directory: PathBuf,
}

impl Peers {
    /// Finds the directory of the peers: `SEALANT_PEERS`, else where `tests/peers/get` puts them.
    ///
    /// # Panics
    /// When they are not built. A test that needs them cannot show anything without them.
    #[track_caller]
    pub fn get() -> &'static Self {
        static PEERS: OnceLock<Result<Peers, String>> = OnceLock::new();
        match PEERS.get_or_init(|| find().map(|directory| Peers { directory })) {
            Ok(peers) => peers,
            Err(error) => panic!("{error}\n{HOW_TO_GET_THEM}"),
        }
    }

    /// The directory that has all of them, for a `PATH`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of one peer.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn program(&self, name: &str) -> PathBuf {
        let path = self.directory.join(name);
        assert!(path.is_file(), "there is no `{name}` in {}.\n{HOW_TO_GET_THEM}", self.directory.display());
        path
    }
}

fn find() -> Result<PathBuf, String> {
    if let Some(directory) = std::env::var_os("SEALANT_PEERS").filter(|value| !value.is_empty()) {
        return Ok(directory.into());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers/get");
    let output = Command::new(&script)
        .arg("--where")
        .output()
        .map_err(|error| format!("cannot run {}: {error}", script.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
    }
    let directory = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
    Ok(directory.trim_end().into())
}
