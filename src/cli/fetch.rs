//! Fetching a public text from a web server: recipients, a certificate.

use reqwest::Url;
use tokio::time::timeout;

use crate::cli::cluster::{LIMIT, reasons, too_late};
use crate::cli::context::block_on;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keys::web::{Proxies, install_cryptography};
use crate::secret::SecretBytes;

/// More than a thousand recipients have.
pub const LONGEST: usize = 4 << 20;

/// What a server has at an address, at most [`LONGEST`] bytes. `what` it is, is for messages. Nobody is followed from https
/// to http.
pub fn fetch(host: &dyn Host, url: &Url, what: &str) -> Result<SecretBytes> {
    let refuse = |message: &str| Error::new(Kind::Other, format!("{url}: {message}"));
    let is_https = url.scheme() == "https";
    install_cryptography();
    let proxies = Proxies::of_environment(host)?;
    let fetch = async {
        let client = reqwest::Client::builder()
            .user_agent(concat!("sealant/", env!("CARGO_PKG_VERSION")))
            .https_only(is_https)
            .no_proxy()
            .proxy(reqwest::Proxy::custom(move |url| proxies.of(url)))
            .build()?;
        let mut answer = client.get(url.clone()).send().await?.error_for_status()?;
        let mut body = SecretBytes::new(Vec::new());
        while let Some(chunk) = answer.chunk().await?.filter(|_| body.len() <= LONGEST) {
            body.extend_from_slice(&chunk);
        }
        Ok::<_, reqwest::Error>(body)
    };
    let answer = block_on(async { timeout(LIMIT, fetch).await });
    let body = answer.map_err(|_| too_late(url.as_str()))?.map_err(|error| {
        refuse(&format!("{what} cannot be fetched")).caused_by(reasons(&error.without_url()))
    })?;
    match body.len() {
        0..=LONGEST => Ok(body),
        _ => Err(refuse("the answer is too long")),
    }
}
