//! Objects in buckets of S3, which `publish` writes.

use reqwest::{Method, Url};

use super::credentials::Credentials;
use super::key::place_in;
use super::profiles::DEFAULT;
use super::requests::Signed;
use super::worker::Kms;
use crate::error::Result;
use crate::host::Host;
use crate::keys::web::{Cause, Operation, Problem};
use crate::secret::SecretBytes;

impl Kms {
    /// Puts an object into a bucket, with the user's own credentials and in the user's own region.
    pub async fn put_object(&self, host: &dyn Host, bucket: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let put = self.put(host, bucket, name, bytes).await;
        put.map_err(|problem| problem.error(&format_args!("s3://{bucket}/{name}"), Operation::Encrypt, None))
    }

    async fn put(&self, host: &dyn Host, bucket: &str, name: &str, bytes: &[u8]) -> Result<(), Problem> {
        let setup = self.setup(host)?;
        let region = setup.region(host)?;
        let place = place_in(&region);
        let endpoint = object(setup.endpoint(host, None, "s3", place)?, bucket, name)?;
        let request = Signed {
            method: Method::PUT,
            endpoint: &endpoint,
            region: &region,
            service: "s3",
            headers: vec![
                ("content-type", "application/octet-stream".to_owned()),
                ("x-amz-content-sha256", crate::keys::web::hash(bytes)),
            ],
            body: SecretBytes::new(bytes.to_vec()),
        };
        let sent = async |by: &Credentials| setup.requests.send(host, &request, Some(by)).await;
        self.signed_by(host, setup, None, None, place, sent).await.map(drop)
    }
}

impl super::worker::Setup {
    /// The region of the user.
    fn region(&self, host: &dyn Host) -> Result<String, Problem> {
        let of_profile = || {
            let name = host.env_text("AWS_PROFILE")?;
            let section = self.files.profile(name.as_deref().unwrap_or(DEFAULT));
            Ok::<_, Problem>(section.and_then(|section| section.get("region")).map(str::to_owned))
        };
        let named = host.env_text("AWS_REGION")?.or(host.env_text("AWS_DEFAULT_REGION")?);
        let region = named.map_or_else(of_profile, |region| Ok(Some(region)))?;
        let missing = || {
            Problem::new(Cause::Credentials, "there is no region to look for the bucket in")
                .advise("Set AWS_REGION to the region of the bucket.")
        };
        let region = region.ok_or_else(missing)?;
        let is_region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        match region.bytes().all(is_region) {
            true => Ok(region),
            false => Err(Problem::new(Cause::Other, format!("`{region}` is not a region of AWS"))),
        }
    }
}

/// The address of an object: below a host of its bucket, or below the bucket where there can be no such host.
fn object(mut endpoint: Url, bucket: &str, name: &str) -> Result<Url, Problem> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let is_bucket = (3..=63).contains(&bucket.len())
        && bucket.bytes().all(is_letter)
        && bucket.starts_with(|first: char| first.is_ascii_alphanumeric());
    if !is_bucket {
        return Err(Problem::new(Cause::Other, format!("`{bucket}` is not the name of a bucket")));
    }
    let path: String = name.split('/').map(encoded).collect::<Vec<_>>().join("/");
    let domain = endpoint.domain().filter(|domain| domain.contains('.') && !bucket.contains('.'));
    let path = match domain.map(|domain| format!("{bucket}.{domain}")) {
        Some(host) => {
            let wrong = |_| Problem::new(Cause::Other, format!("`{host}` is not a host"));
            endpoint.set_host(Some(&host)).map_err(wrong)?;
            format!("/{path}")
        }
        None => format!("/{bucket}/{path}"),
    };
    endpoint.set_path(&path);
    Ok(endpoint)
}

/// A part of a path as it is signed.
fn encoded(part: &str) -> String {
    let mut encoded = String::new();
    for byte in part.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_its_host_where_it_can_have_one() {
        let at = |endpoint: &str, bucket: &str| {
            object(Url::parse(endpoint).unwrap(), bucket, "a b/c+d.yaml").map(|url| url.to_string())
        };
        let ours = |bucket| at("https://s3.eu-west-1.amazonaws.com/", bucket).ok();
        assert_eq!(ours("shop").unwrap(), "https://shop.s3.eu-west-1.amazonaws.com/a%20b/c%2Bd.yaml");
        assert_eq!(ours("sh.op").unwrap(), "https://s3.eu-west-1.amazonaws.com/sh.op/a%20b/c%2Bd.yaml");
        assert_eq!(
            at("http://127.0.0.1:5000", "shop").unwrap(),
            "http://127.0.0.1:5000/shop/a%20b/c%2Bd.yaml"
        );
        for bucket in ["", "a", "evil.test/x?", "@evil", "-x-", "Shop", "a#b"] {
            assert_eq!(ours(bucket), None, "{bucket}");
        }
    }
}
