//! The controller of a cluster, as kubeseal asks it: through the API server, at the Service of the controller.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::config::{
    AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext,
};
use kube::{Api, Client, Config};
use tokio::time::timeout;

use super::flags::Flags;
use crate::cli::cluster::{self, LIMIT, reasons, too_late};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keys::web::install_cryptography;

/// What all that is overridden is called in the kubeconfig that it makes.
const OURS: &str = "kubeseal";

/// What kubeseal says where it finds no Service.
const PLEASE: &str = "Please, use the flag --controller-name and --controller-namespace to set up the name and namespace of \
                      the sealed secrets controller";

/// Where the controller of a cluster answers.
pub struct Controller {
    client: Client,
    /// Up to what it is asked for, without the server.
    path: String,
    server: String,
    patience: Duration,
}

/// What it said: its status, and the body.
type Answer = std::result::Result<String, (u16, String)>;

impl Controller {
    /// That of the flags `--controller-name` and `--controller-namespace`.
    pub async fn of(flags: &Flags, host: &dyn Host) -> Result<Self> {
        install_cryptography();
        let patience = patience(flags.text("request-timeout"))?;
        let config = config(flags, host).await?;
        let server = config.cluster_url.to_string();
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Error::new(Kind::Other, format!("{server}: logging in there failed")).caused_by(reasons(error))
        };
        let client = Client::try_from(config).map_err(|error| failed(&error))?;
        let (namespace, name) = (flags.text("controller-namespace"), flags.text("controller-name"));
        let services = Api::<Service>::namespaced(client.clone(), namespace);
        let found = timeout(patience, services.get(name)).await.map_err(|_| too_late(&server))?;
        let service = found.map_err(|error| {
            let cause = match error {
                kube::Error::Api(status) => status.message,
                other => reasons(&other),
            };
            Error::new(Kind::Other, format!("cannot get sealed secret service: {cause}."))
                .listing([PLEASE.to_owned()])
            .advise(
                "The chart calls it `sealed-secrets`. Without a cluster: `kubeseal --cert FILE`, with its \
                 certificate in a file.",
            )
        })?;
        let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
        let port = ports.first().and_then(|port| port.name.clone()).unwrap_or_default();
        let path = format!("/api/v1/namespaces/{namespace}/services/http:{name}:{port}/proxy");
        Ok(Self { client, path, server, patience })
    }

    /// The certificate, in PEM.
    pub async fn certificate(&self) -> Result<String> {
        let answer = self.ask("GET", "/v1/cert.pem", Vec::new()).await?;
        answer.map_err(|(_, message)| Error::new(Kind::Other, format!("cannot fetch certificate: {message}")))
    }

    /// Whether it can open a SealedSecret, in JSON.
    pub async fn verify(&self, name: &str, object: Vec<u8>) -> Result<()> {
        match self.ask("POST", "/v1/verify", object).await? {
            Ok(_) => Ok(()),
            Err((409, _)) => Err(Error::new(Kind::Other, format!("unable to decrypt sealed secret: {name}"))),
            Err((_, message)) => {
                Err(Error::new(Kind::Other, format!("cannot validate sealed secret: {message}")))
            }
        }
    }

    /// A SealedSecret under its newest key, in JSON.
    pub async fn rotate(&self, object: Vec<u8>) -> Result<String> {
        match self.ask("POST", "/v1/rotate", object).await? {
            Ok(text) => Ok(text),
            Err((409, _)) => Err(Error::new(Kind::Other, "unable to rotate secret")),
            Err((code, message)) => {
                let error = Error::new(Kind::Other, format!("cannot re-encrypt secret: {message}"));
                Err(match code {
                    404 | 410 => error.advise(
                        "This controller opens nothing for others. With its private key: \
                         `kubeseal --re-encrypt --recovery-private-key KEY.yaml < FILE`.",
                    ),
                    _ => error,
                })
            }
        }
    }

    async fn ask(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Answer> {
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Error::new(Kind::Other, format!("{}: the controller gave no answer", self.server))
                .caused_by(reasons(error))
        };
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.path))
            .header("Accept", "application/x-pem-file, */*")
            .body(body)
            .map_err(|error| failed(&error))?;
        let asked = timeout(self.patience, self.client.request_text(request));
        match asked.await.map_err(|_| too_late(&self.server))? {
            Ok(text) => Ok(Ok(text)),
            Err(kube::Error::Api(status)) => Ok(Err((status.code, status.message.clone()))),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// The namespace that flags or the kubeconfig name, and whether it was a flag. `None` without a cluster.
pub fn namespace(flags: &Flags, host: &dyn Host) -> Option<(String, bool)> {
    if let Some(given) = flags.given("namespace") {
        return Some((given.to_owned(), true));
    }
    match cluster::kubeconfig(host, flags.given("kubeconfig").map(Path::new)) {
        Ok(found) => {
            let context = context_of(&found, flags).ok()?;
            let namespace = context.and_then(|context| context.namespace).filter(|name| !name.is_empty());
            Some((namespace.unwrap_or_else(|| "default".to_owned()), false))
        }
        Err(_) => Config::incluster().ok().map(|config| (config.default_namespace, false)),
    }
}

async fn config(flags: &Flags, host: &dyn Host) -> Result<Config> {
    let named = flags.given("kubeconfig").map(Path::new);
    let found = match cluster::kubeconfig(host, named) {
        Err(error) if error.kind() == Kind::NoFile && named.is_none() => {
            match (flags.given("server"), Config::incluster()) {
                (None, Ok(config)) => return Ok(config),
                (None, Err(_)) => {
                    return Err(Error::new(
                        Kind::Other,
                        "invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER \
                         environment variable",
                    )
                    .advise("Name a kubeconfig with --kubeconfig; or seal without a cluster: `kubeseal --cert FILE`."));
                }
                (Some(_), _) => Kubeconfig::default(),
            }
        }
        found => found?,
    };
    let found = overridden(found, flags)?;
    let options = KubeConfigOptions { context: Some(OURS.to_owned()), ..KubeConfigOptions::default() };
    cluster::config(host, found, &options).await
}

/// The context that flags choose, or the current one.
fn context_of(found: &Kubeconfig, flags: &Flags) -> Result<Option<Context>> {
    let asked = flags.given("context");
    let Some(name) = asked.or(found.current_context.as_deref()).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let context = found.contexts.iter().find(|context| context.name == name);
    match context {
        None if asked.is_some() => Err(Error::new(Kind::Other, format!("context \"{name}\" does not exist"))
            .advise("List them: `kubectl config get-contexts`.")),
        context => Ok(context.and_then(|context| context.context.clone())),
    }
}

/// The kubeconfig with the one context that is meant, and with what flags say of its cluster and user.
fn overridden(found: Kubeconfig, flags: &Flags) -> Result<Kubeconfig> {
    let context = context_of(&found, flags)?.unwrap_or_default();
    let owned = |name: &str| flags.given(name).map(str::to_owned);
    let cluster = owned("cluster").unwrap_or(context.cluster);
    let user = owned("user").or(context.user);
    let mut cluster = found
        .clusters
        .into_iter()
        .find(|named| named.name == cluster)
        .and_then(|named| named.cluster)
        .unwrap_or_default();
    let mut auth: AuthInfo = found
        .auth_infos
        .into_iter()
        .find(|named| Some(&named.name) == user.as_ref())
        .and_then(|named| named.auth_info)
        .unwrap_or_default();
    apply_to_cluster(&mut cluster, flags);
    auth.token = owned("token").map(Into::into).or(auth.token);
    auth.username = owned("username").or(auth.username);
    auth.password = owned("password").map(Into::into).or(auth.password);
    auth.impersonate = owned("as").or(auth.impersonate);
    if !flags.list("as-group").is_empty() {
        auth.impersonate_groups = Some(flags.list("as-group").to_vec());
    }
    if let Some(file) = owned("client-certificate") {
        (auth.client_certificate, auth.client_certificate_data) = (Some(file), None);
    }
    if let Some(file) = owned("client-key") {
        (auth.client_key, auth.client_key_data) = (Some(file), None);
    }
    let name = OURS.to_owned();
    let context = Context { cluster: name.clone(), user: Some(name.clone()), ..Context::default() };
    Ok(Kubeconfig {
        clusters: vec![NamedCluster {
            name: name.clone(),
            cluster: Some(cluster),
            ..NamedCluster::default()
        }],
        auth_infos: vec![NamedAuthInfo {
            name: name.clone(),
            auth_info: Some(auth),
            ..NamedAuthInfo::default()
        }],
        contexts: vec![NamedContext {
            name: name.clone(),
            context: Some(context),
            ..NamedContext::default()
        }],
        current_context: Some(name),
        ..Kubeconfig::default()
    })
}

fn apply_to_cluster(cluster: &mut Cluster, flags: &Flags) {
    let owned = |name: &str| flags.given(name).map(str::to_owned);
    let server = owned("server").map(|server| match server.contains("://") {
        true => server,
        false => format!("http://{server}"),
    });
    cluster.server = server.or(cluster.server.take());
    cluster.proxy_url = owned("proxy-url").or(cluster.proxy_url.take());
    cluster.tls_server_name = owned("tls-server-name").or(cluster.tls_server_name.take());
    if let Some(file) = owned("certificate-authority") {
        (cluster.certificate_authority, cluster.certificate_authority_data) = (Some(file), None);
    }
    if flags.is_set("insecure-skip-tls-verify") {
        cluster.insecure_skip_tls_verify = Some(true);
        (cluster.certificate_authority, cluster.certificate_authority_data) = (None, None);
    }
    if flags.is_set("disable-compression") {
        cluster.disable_compression = Some(true);
    }
}

/// How long to wait for an answer: `5`, `5s`, `2m`. Even who asks for no limit gets one.
fn patience(text: &str) -> Result<Duration> {
    let wrong = || {
        Error::new(
            Kind::Other,
            "Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a \
             corresponding time unit (e.g. 1s | 2m | 3h)",
        )
    };
    let at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let of_one = match unit {
        "ms" => Duration::from_millis(1),
        "" | "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        _ => return Err(wrong()),
    };
    match number {
        0 => Ok(LIMIT),
        number => Ok(of_one.saturating_mul(number.try_into().unwrap_or(u32::MAX))),
    }
}
