//! Which cluster a command asks, and as which user: from the kubeconfig that kubectl would use.
//!
//! Knows no command. Proxies count as they do for kubectl.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use reqwest::Url;

use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keys::web::Proxies;

/// How long to wait for a server.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Reads the kubeconfig that was named, else that of the environment or the home folder. Without one, the error is of kind
/// [`Kind::NoFile`].
pub fn kubeconfig(host: &dyn Host, named: Option<&Path>) -> Result<Kubeconfig> {
    let found = match named {
        Some(file) => Kubeconfig::read_from(file),
        None => of_environment(host).unwrap_or_else(Kubeconfig::read),
    };
    found.map_err(|error| match error {
        KubeconfigError::ReadConfig(error, path) if error.kind() == io::ErrorKind::NotFound => {
            Error::new(Kind::NoFile, "there is no kubeconfig").in_file(path)
        }
        other => unusable(&other),
    })
}

/// How to reach the cluster of the kubeconfig that was named, or is found, or else the one around us. Without either, the error is
/// of kind [`Kind::NoFile`].
pub async fn reached(host: &dyn Host, named: Option<&Path>, context: Option<&str>) -> Result<Config> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    match kubeconfig(host, named) {
        Ok(found) => config(host, found, &options).await,
        Err(error) if error.kind() == Kind::NoFile && named.is_none() => {
            Config::incluster().map_err(|_| error)
        }
        Err(error) => Err(error),
    }
}

/// How to reach the cluster of a kubeconfig.
pub async fn config(host: &dyn Host, found: Kubeconfig, options: &KubeConfigOptions) -> Result<Config> {
    let proxies = found.clusters.iter().filter_map(|named| named.cluster.as_ref()?.proxy_url.as_deref());
    let named: Vec<_> = proxies.filter_map(|url| url.parse().ok()).collect();
    let mut config =
        Config::from_custom_kubeconfig(found, options).await.map_err(|error| unusable(&error))?;
    // A proxy of the environment counts as it does for kubectl: kube asks NO_PROXY about the proxy, not the server.
    if !config.proxy_url.as_ref().is_some_and(|url| named.contains(url)) {
        let server = Url::parse(&config.cluster_url.to_string()).ok();
        let proxy = server.and_then(|server| Proxies::of_environment(host).ok()?.of(&server));
        config.proxy_url = proxy.and_then(|proxy| proxy.as_str().parse().ok());
    }
    config.connect_timeout = Some(LIMIT);
    config.read_timeout = Some(LIMIT);
    Ok(config)
}

fn unusable(error: &(dyn StdError + 'static)) -> Error {
    Error::new(Kind::Config, "the kubeconfig cannot be used").caused_by(reasons(error)).advise(
        "Name another file with --kubeconfig, or another context with --context (`kubectl config get-contexts`).",
    )
}

/// The kubeconfig that the environment names: a list of files, of which those that are missing are skipped, as kubectl
/// does.
fn of_environment(host: &dyn Host) -> Option<std::result::Result<Kubeconfig, KubeconfigError>> {
    let list = host.env("KUBECONFIG").filter(|list| !list.is_empty())?;
    let files: Vec<PathBuf> =
        std::env::split_paths(&list).filter(|file| !file.as_os_str().is_empty()).collect();
    let (mut merged, mut missing) = (None, None);
    for file in files {
        match Kubeconfig::read_from(&file) {
            Err(error @ KubeconfigError::ReadConfig(..)) if is_missing(&error) => missing = Some(error),
            Err(error) => return Some(Err(error)),
            Ok(next) => {
                merged = Some(match merged {
                    None => next,
                    Some(before) => match Kubeconfig::merge(before, next) {
                        Ok(merged) => merged,
                        Err(error) => return Some(Err(error)),
                    },
                });
            }
        }
    }
    merged.map(Ok).or(missing.map(Err))
}

fn is_missing(error: &KubeconfigError) -> bool {
    matches!(error, KubeconfigError::ReadConfig(error, _) if error.kind() == io::ErrorKind::NotFound)
}

/// What is said of a server that does not answer.
pub fn too_late(server: &str) -> Error {
    Error::new(Kind::Other, format!("{server}: no answer within {} seconds", LIMIT.as_secs()))
        .advise("Is this machine connected to it, by a VPN for instance?")
}

/// An error and what it came of, each said once.
pub fn reasons(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text += &format!(": {reason}");
        }
        source = error.source();
    }
    text
}
