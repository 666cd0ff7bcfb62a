//! The keys of a run, and the many requests to KMS.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::credentials::{Credentials, none_found};
use super::key::Key;
use super::problem::{self, refusal};
use super::signature::Request;
use crate::error::Result;
use crate::host::Host;
use crate::keys::kind::{MasterKey, Wrapped};
use crate::keys::web::{
    Answer, Cause, Cloud, Kept, Lasting, Made, Manner, Operation, Problem, Requests, Secret, address,
    authority, is_here,
};
use crate::keys::{KeyKind, StartedBy};
use crate::secret::SecretBytes;

const IAM: &str = "https://iam.myhuaweicloud.com";
const IAM_ENDPOINT: &str = "HUAWEICLOUD_SDK_IAM_ENDPOINT";

/// What sops asks for.
const ALGORITHM: &str = "SYMMETRIC_DEFAULT";

/// The keys of Huawei Cloud KMS, with the user's own credentials.
pub struct Kms {
    started_by: StartedBy,
    setup: Made<Setup>,
    /// The user's project in each region.
    projects: Mutex<HashMap<String, Arc<Kept<Project>>>>,
}

/// What is read and made once.
struct Setup {
    requests: Requests,
    credentials: Credentials,
}

struct Project(String);

/// It does not change within a run.
impl Lasting for Project {
    fn ends(&self) -> Option<Timestamp> {
        None
    }
}

impl Kms {
    /// As the user of this host has settled it.
    pub fn of_user(started_by: StartedBy) -> Self {
        Self { started_by, setup: Made::default(), projects: Mutex::default() }
    }

    fn setup(&self, host: &dyn Host) -> Result<&Setup, Problem> {
        let make = || {
            let credentials = Credentials::of_user(host)?.ok_or_else(|| none_found(host))?;
            let requests = Requests::new(host, Manner::of(self.started_by, refusal))?;
            Ok(Setup { requests, credentials })
        };
        self.setup.get(make)
    }

    async fn ask(
        &self,
        host: &dyn Host,
        key: &Key,
        operation: &str,
        wish: &impl Serialize,
    ) -> Result<Answer, Problem> {
        let setup = self.setup(host)?;
        let project = self.project(host, setup, key.region()).await?;
        // With room for all of it no copy stays behind in a buffer that was outgrown.
        let mut body = Zeroizing::new(Vec::with_capacity(16 << 10));
        serde_json::to_writer(&mut *body, wish)
            .map_err(|_| Problem::new(Cause::Other, "it cannot be asked for"))?;
        let mut url = endpoint(host, key.region())?;
        url.set_path(&format!("/v1.0/{project}/kms/{operation}"));
        setup.post(host, &url, &project, &body).await
    }

    /// The user's project in a region: the one they name, else the one that there is.
    async fn project(&self, host: &dyn Host, setup: &Setup, region: &str) -> Result<String, Problem> {
        let project = match &setup.credentials.project {
            Some(project) => project.clone(),
            None => {
                let kept = {
                    let mut projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
                    Arc::clone(projects.entry(region.to_owned()).or_default())
                };
                let get = async || setup.project_in(host, region).await.map(Project);
                kept.with(host, get, async |Project(id)| Ok(id.clone())).await?
            }
        };
        match project.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            true => Ok(project),
            false => Err(Problem::new(Cause::Credentials, format!("`{project}` is not the ID of a project"))),
        }
    }
}

impl Setup {
    async fn post(
        &self,
        host: &dyn Host,
        url: &Url,
        project: &str,
        body: &SecretBytes,
    ) -> Result<Answer, Problem> {
        let name = authority(url);
        let request = |client: &Client| {
            let signed = Request {
                method: "POST",
                host: &name,
                path: url.path(),
                query: "",
                project: Some(project),
                body,
            };
            let headers = signed.sign(&self.credentials, host.now());
            let request = client.post(url.clone()).header("content-type", "application/json;charset=UTF-8");
            headers
                .iter()
                .fold(request, |request, (name, value)| request.header(*name, value))
                .body(body.to_vec())
        };
        self.requests.send(url, request).await
    }

    /// The project of a region, as IAM knows it.
    async fn project_in(&self, host: &dyn Host, region: &str) -> Result<String, Problem> {
        #[derive(Deserialize)]
        struct Projects {
            projects: Vec<One>,
        }
        #[derive(Deserialize)]
        struct One {
            id: String,
        }
        let mut url = iam(host)?;
        url.set_path("/v3/projects");
        let query = format!("name={region}");
        url.set_query(Some(&query));
        let name = authority(&url);
        let request = |client: &Client| {
            let signed = Request {
                method: "GET",
                host: &name,
                path: url.path(),
                query: &query,
                project: None,
                body: b"",
            };
            let headers = signed.sign(&self.credentials, host.now());
            headers
                .iter()
                .fold(client.get(url.clone()), |request, (name, value)| request.header(*name, value))
        };
        let answer = self.requests.send(&url, request).await;
        let answer = answer.map_err(|problem| problem.after("cannot ask IAM for the project"))?;
        let Projects { mut projects } = answer.json("IAM")?;
        match (projects.pop(), projects.is_empty()) {
            (Some(project), true) => Ok(project.id),
            (found, _) => {
                let many = if found.is_some() { "several projects" } else { "no project" };
                let message = format!("you have {many} in the region {region}");
                Err(Problem::new(Cause::Credentials, message).advise(
                    "Name it: HUAWEICLOUD_SDK_PROJECT_ID=ID; the console shows it under `My Credentials`.",
                ))
            }
        }
    }
}

/// Where KMS of a region is: where the user says, else at Huawei.
fn endpoint(host: &dyn Host, region: &str) -> Result<Url, Problem> {
    let variable = format!("HUAWEICLOUD_SDK_REGION_KMS_{}", region.to_uppercase().replace('-', "_"));
    match host.env_text(&variable)? {
        Some(endpoints) => address(endpoints.split(',').next().unwrap_or_default(), &variable),
        None => {
            // Of Huawei's cloud for Europe.
            let domain = if region == "eu-west-101" { "myhuaweicloud.eu" } else { "myhuaweicloud.com" };
            address(&format!("https://kms.{region}.{domain}"), "key_id")
        }
    }
}

fn iam(host: &dyn Host) -> Result<Url, Problem> {
    let Some(endpoint) = host.env_text(IAM_ENDPOINT)? else { return address(IAM, IAM_ENDPOINT) };
    let url = if endpoint.contains("://") { endpoint } else { format!("https://{endpoint}") };
    let url = address(&url, IAM_ENDPOINT)?;
    match url.scheme() == "https" || is_here(&url) {
        true => Ok(url),
        false => Err(Problem::new(Cause::Credentials, format!("{IAM_ENDPOINT}: {url} is not https"))),
    }
}

impl Cloud for Kms {
    type Key = Key;

    const KIND: KeyKind = KeyKind::HcKms;

    fn own(key: &MasterKey) -> Option<&Key> {
        match key {
            MasterKey::HcKms(key) => Some(key),
            _ => None,
        }
    }

    fn name_of(key: &Key) -> &str {
        key.id()
    }

    async fn encrypt(&self, host: &dyn Host, key: &Key, payload: &[u8]) -> Result<Wrapped, Problem> {
        #[derive(Serialize)]
        struct Wish<'a> {
            key_id: &'a str,
            plain_text: &'a str,
            encryption_algorithm: &'a str,
        }
        #[derive(Deserialize)]
        struct Encrypted {
            cipher_text: String,
        }
        let plain_text = Zeroizing::new(BASE64.encode(payload));
        let wish = Wish { key_id: key.uuid(), plain_text: &plain_text, encryption_algorithm: ALGORITHM };
        let Encrypted { cipher_text } =
            self.ask(host, key, "encrypt-data", &wish).await?.json("Huawei Cloud KMS")?;
        Ok(Wrapped::from(cipher_text))
    }

    async fn decrypt(&self, host: &dyn Host, key: &Key, enc: &str) -> Result<SecretBytes, Problem> {
        #[derive(Serialize)]
        struct Wish<'a> {
            cipher_text: &'a str,
            encryption_algorithm: &'a str,
            key_id: &'a str,
        }
        #[derive(Deserialize)]
        struct Decrypted {
            plain_text: Secret,
        }
        let cipher_text: String = enc.split_whitespace().collect();
        let wish = Wish { cipher_text: &cipher_text, encryption_algorithm: ALGORITHM, key_id: key.uuid() };
        let answer = self.ask(host, key, "decrypt-data", &wish).await?;
        let Decrypted { plain_text } = answer.json("Huawei Cloud KMS")?;
        let payload = BASE64.decode(plain_text.0.as_bytes());
        payload.map(Zeroizing::new).map_err(|_| Problem::not_understood("Huawei Cloud KMS"))
    }

    fn about(problem: Problem, operation: Operation) -> Problem {
        problem::about(problem, operation)
    }

    fn advice(cause: Cause, key: &Key, operation: Operation) -> Option<String> {
        problem::advice(cause, key, operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::fake_host::FakeHost;

    #[test]
    fn kms_is_in_the_region_of_the_key_or_where_the_user_says() {
        let url = |host: FakeHost, region| endpoint(&host, region).map(String::from).ok();
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(url(FakeHost::default(), "tr-west-1"), is("https://kms.tr-west-1.myhuaweicloud.com/"));
        assert_eq!(url(FakeHost::default(), "eu-west-101"), is("https://kms.eu-west-101.myhuaweicloud.eu/"));
        let named =
            FakeHost::default().env("HUAWEICLOUD_SDK_REGION_KMS_TR_WEST_1", "https://kms.test,https://x");
        assert_eq!(url(named, "tr-west-1"), is("https://kms.test/"));
    }
}
