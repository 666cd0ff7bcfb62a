//! Objects in buckets of Google Cloud Storage, which `publish` writes.

use reqwest::Url;

use super::worker::Kms;
use crate::error::Result;
use crate::host::Host;
use crate::keys::StartedBy;
use crate::keys::web::{Cause, Manner, Operation, Problem, Requests, Token, address};

/// As Google's own clients have it: a server for tests, which is asked without a token.
const EMULATOR: &str = "STORAGE_EMULATOR_HOST";

impl Kms {
    /// Puts an object into a bucket, with the user's own credentials.
    pub async fn put_object(&self, host: &dyn Host, bucket: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let put = self.put(host, bucket, name, bytes).await;
        let told = |problem: Problem| match problem.cause {
            Cause::Missing => Problem { message: "there is no such bucket".to_owned(), ..problem },
            _ => problem,
        };
        put.map_err(|problem| {
            told(problem).error(&format_args!("gcs://{bucket}/{name}"), Operation::Encrypt, None)
        })
    }

    async fn put(&self, host: &dyn Host, bucket: &str, name: &str, bytes: &[u8]) -> Result<(), Problem> {
        let refusal = super::problem::refusal;
        if let Some(emulator) = host.env_text(EMULATOR)? {
            let base = if emulator.contains("://") { emulator } else { format!("http://{emulator}") };
            let url = upload(&base, EMULATOR, bucket, name)?;
            let requests = Requests::new(host, Manner::of(StartedBy::Program, refusal))?;
            return requests.send(&url, |client| request(client, &url, bytes)).await.map(drop);
        }
        let setup = self.setup(host)?;
        let url =
            upload(&format!("https://storage.{}", setup.universe(host)?), "the universe", bucket, name)?;
        let sent =
            async |by: &Token| setup.send_request(&url, by, |client| request(client, &url, bytes)).await;
        self.with_token(host, setup, sent).await.map(drop)
    }
}

fn request(client: &reqwest::Client, url: &Url, bytes: &[u8]) -> reqwest::RequestBuilder {
    client.post(url.clone()).header("content-type", "application/octet-stream").body(bytes.to_vec())
}

/// Where an object is uploaded to. The name of its bucket is one part of a path, whatever is in it.
fn upload(base: &str, setting: &str, bucket: &str, name: &str) -> Result<Url, Problem> {
    let mut url = address(base, setting)?;
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    if bucket.len() < 3 || bucket.contains("..") || !bucket.bytes().all(is_letter) {
        return Err(Problem::new(Cause::Other, format!("`{bucket}` is not the name of a bucket")));
    }
    url.set_path(&format!("{}/upload/storage/v1/b/{bucket}/o", url.path().trim_end_matches('/')));
    url.query_pairs_mut().append_pair("uploadType", "media").append_pair("name", name);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_their_bucket() {
        let at = |bucket| upload("https://storage.googleapis.com", "", bucket, "a b/../c?x&name=d").ok();
        let url = "https://storage.googleapis.com/upload/storage/v1/b/shop/o?uploadType=media&name=a+b%2F..%2Fc%3Fx%26name%3Dd";
        assert_eq!(at("shop").unwrap().as_str(), url);
        for bucket in ["", "..", "a/b", "shop?x", "../x", "Shop"] {
            assert_eq!(at(bucket), None, "{bucket}");
        }
    }
}
