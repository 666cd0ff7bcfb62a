//! What opens SealedSecrets: private keys, from files or from a cluster, or else the cluster that has opened them.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::time::timeout;

use super::OpenerArgs;
use super::live::Live;
use crate::bitnami::{self, KEY_LABEL, SealedSecret, SealingKey};
use crate::cli::cluster::{self, LIMIT, reasons, too_late};
use crate::cli::context::{Context, block_on};
use crate::cli::kubeseal::recovery;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keys::web::install_cryptography;
use crate::secret::SecretBytes;
use crate::shown::typed;

/// What the first versions called the Secret with their only key.
const FIRST_KEY: &str = "sealed-secrets-key";

pub enum Opener {
    Keys(Vec<SealingKey>),
    Live(Live),
}

impl Opener {
    /// That of the flags.
    pub fn new(args: &OpenerArgs, context: &Context) -> Result<Self> {
        if args.live_secrets {
            return block_on(Server::of(args, context.host)).map(|server| Self::Live(Live(server)));
        }
        let found = recovery::keys(&args.key).map_err(|error| {
            error.advise(format!("--key takes the controller's private keys: {}.", how_to_get_keys(args)))
        })?;
        let mut keys: Vec<SealingKey> = found.into_iter().map(|key| key.key).collect();
        if args.cluster_keys {
            keys.extend(block_on(cluster_keys(args, context))?);
        }
        match keys.is_empty() {
            true => Err(none_given(args)),
            false => Ok(Self::Keys(keys)),
        }
    }

    /// The values of an object.
    pub fn open(&self, object: &SealedSecret) -> Result<BTreeMap<String, SecretBytes>> {
        match self {
            Self::Keys(keys) => {
                let keys: Vec<&SealingKey> = keys.iter().collect();
                bitnami::open(object, &keys, 0).map(|(items, _)| items).map_err(|why| {
                    Error::new(Kind::Decrypt, why.to_string()).advise(
                        "A value opens only with the key that it was sealed for, under its own scope, namespace and name. Get all \
                         keys of the cluster with --cluster-keys; or, if the cluster has opened it, use --live-secrets.",
                    )
                })
            }
            Self::Live(live) => block_on(live.values(object)),
        }
    }
}

fn none_given(args: &OpenerArgs) -> Error {
    Error::new(Kind::Usage, "no way to open the SealedSecrets was given").advise(format!(
        "Get the controller's keys, {}, and add `--key keys.yaml`; or add --cluster-keys, or --live-secrets.",
        how_to_get_keys(args)
    ))
}

fn how_to_get_keys(args: &OpenerArgs) -> String {
    let namespace = typed(Path::new(&args.controller_namespace));
    format!(
        "`kubectl get secrets -n {namespace} -l {KEY_LABEL} -o yaml > keys.yaml`, outside of the repository"
    )
}

/// An API server.
pub struct Server {
    pub client: Client,
    pub url: String,
}

impl Server {
    pub async fn of(args: &OpenerArgs, host: &dyn Host) -> Result<Self> {
        install_cryptography();
        let config = cluster::reached(host, args.kubeconfig.as_deref(), args.context.as_deref()).await;
        let config = config.map_err(|error| match error.kind() {
            Kind::NoFile => error.advise("Name one with --kubeconfig; or keys in a file with --key."),
            _ => error,
        })?;
        let url = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| {
            Error::new(Kind::Other, format!("{url}: logging in there failed")).caused_by(reasons(&error))
        })?;
        Ok(Self { client, url })
    }

    /// What it answers, within the time that is given to it.
    pub async fn answer<T>(&self, asked: impl Future<Output = kube::Result<T>>) -> Result<T> {
        let answer = timeout(LIMIT, asked).await.map_err(|_| too_late(&self.url))?;
        answer.map_err(|error| {
            let why = match &error {
                kube::Error::Api(status) => status.message.clone(),
                other => reasons(other),
            };
            Error::new(Kind::Other, format!("{}: {why}", self.url))
        })
    }
}

/// The private keys of the controller in a cluster: those that are retired, too.
async fn cluster_keys(args: &OpenerArgs, context: &Context<'_>) -> Result<Vec<SealingKey>> {
    let server = Server::of(args, context.host).await?;
    let secrets = Api::<Secret>::namespaced(server.client.clone(), &args.controller_namespace);
    let mut found = server.answer(secrets.list(&ListParams::default().labels(KEY_LABEL))).await?.items;
    found.extend(server.answer(secrets.get_opt(FIRST_KEY)).await?);
    let mut keys = Vec::new();
    for secret in found {
        let mut data = secret.data.unwrap_or_default();
        let key = data.remove("tls.key").map(|key| SecretBytes::new(key.0)).unwrap_or_default();
        match SealingKey::of_pem(&key) {
            Ok(key) => keys.push(key),
            Err(bad) => {
                let name = secret.metadata.name.unwrap_or_default();
                context.ui.warning(format!("the Secret {}/{name}: {bad}", args.controller_namespace));
            }
        }
    }
    if keys.is_empty() {
        let message =
            format!("{}: there are no sealing keys in namespace {}", server.url, args.controller_namespace);
        return Err(Error::new(Kind::Other, message)
            .advise("Name the controller's namespace with --controller-namespace."));
    }
    Ok(keys)
}
