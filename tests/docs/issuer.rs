//! A server that issues signed tokens for CI jobs, as GitLab does: an OpenID Connect issuer, as far as Vault asks one.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sealant_test_support::Sandbox;
use serde_json::{Value, json};

/// Which servers of the documentation it is.
pub const STANDS_FOR: &str = "https://gitlab.example.com";
pub const STANDS_FOR_GITHUB: &str = "https://token.actions.githubusercontent.com";

/// It answers until the test process ends.
pub struct Issuer {
    address: String,
    token: String,
}

impl Issuer {
    /// Starts it, and makes a token for a server (the audience).
    pub fn start(audience: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("a listener has an address"));
        let keys = Sandbox::new("");
        let openssl = |args: &[&str]| keys.program("openssl", args).run().ok();
        let _ = openssl(&["genrsa", "-out", "key.pem", "2048"]);
        let modulus = openssl(&["rsa", "-in", "key.pem", "-noout", "-modulus"]);
        let modulus = hex(modulus.text().trim().trim_start_matches("Modulus="));

        let configuration = json!({
            "issuer": address,
            "authorization_endpoint": format!("{address}/authorize"),
            "token_endpoint": format!("{address}/token"),
            "jwks_uri": format!("{address}/keys"),
            "id_token_signing_alg_values_supported": ["RS256"],
        });
        let key = json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "e": "AQAB", "n": BASE64.encode(modulus),
        });
        let jwks = json!({ "keys": [key] });
        let now = jiff::Timestamp::now().as_second();
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "1" });
        let claims = json!({
            "iss": address, "aud": audience, "sub": "project_path:shop/deploy:ref_type:branch:ref:main",
            "project_path": "shop/deploy", "ref": "main", "ref_protected": "true",
            "repository": "shop/deploy", "environment": "production",
            "iat": now, "nbf": now - 60, "exp": now + 3600,
        });
        let encode = |value: &Value| BASE64.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        keys.write("signed", &signed);
        let signature = openssl(&["dgst", "-sha256", "-sign", "key.pem", "signed"]).stdout;
        let token = format!("{signed}.{}", BASE64.encode(signature));
        let value = json!({ "value": token });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who hangs up early has missed something, and nobody else has.
                let _ = answer(stream, [("/.well-known/", &configuration), ("/job", &value), ("", &jwks)]);
            }
        });
        Self { address, token }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where a job of GitHub's asks for its token.
    pub fn token_url(&self) -> String {
        format!("{}/job?api-version=2.0", self.address)
    }

    pub fn token(&self) -> &str {
        &self.token
    }
}

/// Answers a request with the first of these whose path it names.
fn answer(mut stream: TcpStream, pages: [(&str, &Value); 3]) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let body = pages.iter().find(|(path, _)| request.contains(path)).map(|(_, body)| body.to_string());
    let body = body.unwrap_or_default();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn hex(digits: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a hexadecimal digit") as u8;
    digits.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
