use std::path::{Path, PathBuf};
use std::process::ExitCode;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, Config};
use reqwest::Url;
use serde::Serialize;
use tokio::time::timeout;

use crate::cli::args::{Input, ReportArgs};
use crate::cli::cluster::{self, LIMIT, reasons, too_late};
use crate::cli::context::{Context, block_on};
use crate::cli::fetch::{LONGEST, fetch};
use crate::document::{self, Format, to_data};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keys::Recipient;
use crate::keys::web::{install_cryptography, is_here};
use crate::secret::SecretBytes;

/// Print the recipients of a cluster, to seal for it
///
/// The controller publishes them in the ConfigMap `sealant-recipients` of its namespace, for everybody who can log in
/// to the cluster; the newest comes first. They are public, but they decide who can read what you seal: fetch them
/// only from a place where nobody else can write. It is best to fetch them once, and write them into the config.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant fetch-recipient
  sealant fetch-recipient --context prod | head -n 1      # only the newest
  sealant seal --age \"$(sealant fetch-recipient)\" secret.yaml > sealed.yaml
  sealant fetch-recipient --url https://keys.example.com/prod/recipients.txt
  kubectl get configmap sealant-recipients -n sealant-system -o yaml \\
    | sealant fetch-recipient --file -

Add it to .sops.yaml next to your own, so that the cluster can also read every file in a folder:
  creation_rules:
    - path_regex: ^clusters/prod/
      age: age1cluster...,age1you...")]
pub struct Args {
    /// Use this context of the kubeconfig, instead of the current one
    #[arg(long, value_name = "NAME", conflicts_with_all = ["url", "file"])]
    context: Option<String>,

    /// Use this kubeconfig [env: KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "file"])]
    kubeconfig: Option<PathBuf>,

    /// The namespace of the controller
    #[arg(long, value_name = "NAME", default_value = "sealant-system", conflicts_with_all = ["url", "file"])]
    controller_namespace: String,

    /// Fetch them from a web server instead
    #[arg(long, value_name = "URL", conflicts_with = "file")]
    url: Option<String>,

    /// Read them from a file instead: one per line, or the ConfigMap; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(flatten)]
    report: ReportArgs,
}

/// The ConfigMap that the controller publishes, and its key.
const RECIPIENTS: (&str, &str) = ("sealant-recipients", "recipients");

#[derive(Serialize)]
struct Report {
    recipients: Vec<String>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let host = context.host;
    let (text, from) = match (&args.url, &args.file) {
        (Some(url), _) => (of_url(host, url)?, url.clone()),
        (_, Some(file)) => (of_file(file)?, file.display().to_string()),
        _ => (
            block_on(of_cluster(host, &args))?,
            format!("ConfigMap {}/{}", args.controller_namespace, RECIPIENTS.0),
        ),
    };
    let recipients = recipients(&text).map_err(|error| error.in_file(&from))?;
    if args.report.is_json() {
        context.ui.json(&Report { recipients })?;
    } else {
        recipients.iter().try_for_each(|recipient| context.ui.line(recipient))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The recipients in a text, one per line: what is not one of them must not come into a config.
fn recipients(text: &str) -> Result<Vec<String>> {
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let parsed = lines.map(|(index, line)| {
        // It may be an identity, and is not shown.
        let recipient = line
            .parse::<Recipient>()
            .map_err(|_| Error::new(Kind::Read, "this is not an age recipient").on_line(index + 1))?;
        Ok(recipient.to_string())
    });
    match parsed.collect::<Result<Vec<_>>>()? {
        empty if empty.is_empty() => Err(Error::new(Kind::Read, "there are no recipients in it")
            .advise("A controller without an identity publishes none: its logs say why it has none.")),
        recipients => Ok(recipients),
    }
}

/// What a file or an answer holds: recipients, or the ConfigMap with them.
fn unpacked(bytes: SecretBytes) -> Result<String> {
    let text = String::from_utf8(bytes.to_vec()).map_err(|_| Error::new(Kind::Read, "this is not text"))?;
    if !text.contains("ConfigMap") {
        return Ok(text);
    }
    let document = document::parse(Format::Yaml, bytes, false)?;
    let data = match document.tree().documents() {
        [root] => to_data(&*document, *root)?,
        _ => return Err(Error::new(Kind::Read, "it holds several manifests, and one is expected")),
    };
    let found = data["data"][RECIPIENTS.1].as_str();
    found
        .map(str::to_owned)
        .ok_or_else(|| Error::new(Kind::Read, format!("the ConfigMap has no key `{}`", RECIPIENTS.1)))
}

fn of_file(file: &Path) -> Result<String> {
    let input = Input::of(file);
    let in_file = |error: Error| error.in_file(input.shown());
    unpacked(input.read(LONGEST).map_err(in_file)?).map_err(in_file)
}

fn of_url(host: &dyn Host, url: &str) -> Result<String> {
    let refuse = |message: &str| Error::new(Kind::Other, format!("{url}: {message}"));
    let parsed = Url::parse(url).map_err(|_| refuse("this is not a URL"))?;
    let is_here = is_here(&parsed);
    if parsed.scheme() != "https" && !(parsed.scheme() == "http" && is_here) {
        return Err(refuse(
            "recipients are fetched only over https: anybody who could change them on the way could read what you \
             seal",
        ));
    }
    unpacked(fetch(host, &parsed, "the recipients")?).map_err(|error| error.in_file(url))
}

async fn of_cluster(host: &dyn Host, args: &Args) -> Result<String> {
    install_cryptography();
    let config = config(host, args).await?;
    let server = config.cluster_url.to_string();
    let failed = |message: &str, error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Other, format!("{server}: {message}")).caused_by(reasons(error))
    };
    // Somebody may have to log in here, which takes time.
    let client = Client::try_from(config).map_err(|error| {
        let way_round = format!(
            "kubectl accepts some certificates that Sealant does not, such as MicroK8s's version 1 certificates. \
             Instead: kubectl get configmap {} -n {} -o yaml | sealant fetch-recipient --file -",
            RECIPIENTS.0, args.controller_namespace
        );
        failed("logging in there failed", &error).advise(way_round)
    })?;
    let maps = Api::<ConfigMap>::namespaced(client, &args.controller_namespace);
    let fetch = maps.get(RECIPIENTS.0);
    let place = format!("the ConfigMap {} in namespace {}", RECIPIENTS.0, args.controller_namespace);
    let map = match timeout(LIMIT, fetch).await.map_err(|_| too_late(&server))? {
        Ok(map) => map,
        Err(kube::Error::Api(status)) if status.code == 404 => {
            return Err(Error::new(Kind::Other, format!("{server}: {place} does not exist")).advise(
                "The controller makes it when it has an identity: is it installed there, and in this namespace \
                 (--controller-namespace)?",
            ));
        }
        Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403) => {
            return Err(Error::new(
                Kind::Other,
                format!("{server}: you may not read {place}: {}", status.message),
            )
            .advise("Log in to the cluster: by default everybody who is logged in may read it."));
        }
        Err(kube::Error::Api(status)) => {
            return Err(Error::new(Kind::Other, format!("{server}: {}", status.message)));
        }
        Err(error) => return Err(failed("the cluster gave no answer", &error)),
    };
    map.data
        .and_then(|mut data| data.remove(RECIPIENTS.1))
        .ok_or_else(|| Error::new(Kind::Read, format!("{server}: {place} has no key `{}`", RECIPIENTS.1)))
}

/// Which cluster to ask, and as whom: that of the kubeconfig, else that around us.
async fn config(host: &dyn Host, args: &Args) -> Result<Config> {
    let reached = cluster::reached(host, args.kubeconfig.as_deref(), args.context.as_deref()).await;
    reached.map_err(|error| match error.kind() {
        Kind::NoFile => error.advise("Name one with --kubeconfig; or recipients in a file with --file."),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy";

    #[test]
    fn recipients_are_lines_and_nothing_else() {
        assert_eq!(recipients(&format!("# prod\n{ONE}\n\n")).unwrap(), [ONE]);
        for text in ["<html>", "AGE-SECRET-KEY-1", &format!("{ONE}\nhunter2\n")] {
            assert!(
                recipients(text).unwrap_err().to_string().ends_with("this is not an age recipient"),
                "{text}"
            );
        }
        assert!(recipients("\n# nobody\n").is_err());
    }

    #[test]
    fn the_config_map_is_unpacked() {
        let of = |text: &str| unpacked(SecretBytes::new(text.into()));
        let map = format!("apiVersion: v1\nkind: ConfigMap\ndata:\n  recipients: |\n    {ONE}\n");
        assert_eq!(of(&map).unwrap(), format!("{ONE}\n"));
        let json = format!("{{\"kind\": \"ConfigMap\", \"data\": {{\"recipients\": \"{ONE}\"}}}}");
        assert_eq!(of(&json).unwrap(), ONE);
        assert!(of("kind: ConfigMap\ndata: {}\n").is_err());
        assert_eq!(of(ONE).unwrap(), ONE);
    }

    #[test]
    fn recipients_come_by_https() {
        for url in ["http://example.com/", "ftp://example.com/", "file:///etc/passwd", "nonsense"] {
            assert!(of_url(&crate::host::Closed, url).is_err(), "{url}");
        }
    }
}
