//! Requests to AWS, signed if somebody signs them.

use reqwest::{Method, RequestBuilder, Url};
use serde::Deserialize;

use super::credentials::Credentials;
use super::problem;
use super::sts::Xml;
use crate::host::Host;
use crate::keys::StartedBy;
use crate::keys::web::{self, Answer, Cause, Manner, Problem, Refused, ToSign, authority};
use crate::secret::SecretBytes;

/// The clients of a run.
pub(super) struct Requests(web::Requests);

/// A request that is signed, if somebody signs it.
pub(super) struct Signed<'r> {
    pub method: Method,
    pub endpoint: &'r Url,
    pub region: &'r str,
    pub service: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: SecretBytes,
}

impl Requests {
    pub fn new(host: &dyn Host, started_by: StartedBy) -> Result<Self, Problem> {
        let bundle = host.env_text("AWS_CA_BUNDLE")?;
        let manner = Manner {
            started_by,
            certificates: bundle.map(|path| certificates(host, &path)).transpose()?,
            attempts: host.env_text("AWS_MAX_ATTEMPTS")?.map(|text| attempts(&text)).transpose()?,
            refusal,
        };
        web::Requests::new(host, manner).map(Self)
    }

    /// Makes a request to AWS until it is done, but not too often.
    pub async fn send(
        &self,
        host: &dyn Host,
        request: &Signed<'_>,
        by: Option<&Credentials>,
    ) -> Result<Answer, Problem> {
        let name = authority(request.endpoint);
        let signed = |client: &reqwest::Client| {
            let mut headers = request.headers.clone();
            if let Some(by) = by {
                let to_sign = ToSign {
                    method: request.method.as_str(),
                    host: &name,
                    path: request.endpoint.path(),
                    query: "",
                    headers: &request.headers,
                    body: &request.body,
                    region: request.region,
                    service: request.service,
                };
                headers.extend(to_sign.sign(by, host.now()));
            }
            let (method, url) = (request.method.clone(), request.endpoint.clone());
            with_headers(client.request(method, url), &headers).body(request.body.to_vec())
        };
        self.0.send(request.endpoint, signed).await
    }

    /// Asks what is on this machine or beside it.
    pub async fn ask_local(
        &self,
        method: Method,
        url: &Url,
        headers: &[(&'static str, String)],
    ) -> Result<Answer, Problem> {
        let request =
            |client: &reqwest::Client| with_headers(client.request(method.clone(), url.clone()), headers);
        self.0.ask_local(url, request).await
    }

    /// Asks AWS without a signature.
    pub async fn ask_aws(&self, url: &Url, headers: &[(&'static str, String)]) -> Result<Answer, Problem> {
        self.0.ask(url, |client| with_headers(client.get(url.clone()), headers)).await
    }
}

fn attempts(text: &str) -> Result<u32, Problem> {
    text.parse().ok().filter(|attempts| *attempts > 0).ok_or_else(|| {
        Problem::new(Cause::Other, format!("AWS_MAX_ATTEMPTS: `{text}` is not a number above 0"))
    })
}

fn certificates(host: &dyn Host, path: &str) -> Result<Vec<reqwest::Certificate>, Problem> {
    let failed =
        |why: String| Problem::new(Cause::Other, format!("AWS_CA_BUNDLE: {path} cannot be used: {why}"));
    let pem = host.read_secret(path.as_ref()).map_err(|error| failed(error.to_string()))?;
    let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.to_string()))?;
    if found.is_empty() { Err(failed("it contains no certificate".to_owned())) } else { Ok(found) }
}

fn with_headers(request: RequestBuilder, headers: &[(&'static str, String)]) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
}

/// An answer that is an error, in JSON as of KMS or in XML as of STS.
fn refusal(refused: &Refused<'_>) -> Problem {
    let Refused { status, body, .. } = *refused;
    let code = refused.header("x-amzn-errortype").map(str::to_owned);
    #[derive(Default, Deserialize)]
    struct Said {
        #[serde(rename = "__type")]
        kind: Option<String>,
        #[serde(alias = "Message")]
        message: Option<String>,
    }
    let said: Said = serde_json::from_slice(body).unwrap_or_default();
    let text = std::str::from_utf8(body).unwrap_or_default();
    let of_xml = |name: &str| Xml(text).get(name).map(|text| text.to_string());
    let code = code.or(said.kind).or_else(|| of_xml("Code")).unwrap_or_default();
    // `com.amazonaws.kms#NotFoundException:http://...`
    let code = code.split(':').next().unwrap_or_default().rsplit('#').next().unwrap_or_default();
    let words = said.message.or_else(|| of_xml("Message")).unwrap_or_default();
    problem::answered(status, code, &words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: Option<&str>, body: &[u8]) -> Problem {
        let headers = code.map(|code| ("x-amzn-errortype".parse().unwrap(), code.parse().unwrap()));
        refusal(&Refused { status, headers: &headers.into_iter().collect(), body })
    }

    #[test]
    fn an_error_is_known_by_its_code() {
        let json = br#"{"__type":"com.amazonaws.kms#DisabledException","message":"arn:x is\ndisabled."}"#;
        let problem = refused(400, None, json);
        assert_eq!(problem.cause, Cause::Unusable);
        assert_eq!(problem.message, "the key is disabled (DisabledException): arn:x is disabled.");
        let header = Some("ThrottlingException:http://internal.amazon.com/");
        assert_eq!(refused(400, header, b"{}").cause, Cause::Throttled);
        let xml =
            b"<ErrorResponse><Error><Code>ExpiredToken</Code><Message>x</Message></Error></ErrorResponse>";
        assert_eq!(refused(403, None, xml).cause, Cause::Expired);
        assert_eq!(refused(502, None, b"<html>").message, "AWS failed (502)");
    }
}
