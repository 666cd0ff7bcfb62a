//! Every way to become somebody, with real methods of the real server on the other side.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealant_test_support::{Bao, Cluster, Sandbox};
use serde_json::{Value, json};

use super::place::{BAO, PLAIN, Place, ask, count, key, nobody, search, secret, token, uri};
use super::relay::{Relay, Reply, Request};

/// Enables a method of logging in on the shared server.
fn enable(method: &str, mount: &str) {
    ask(&BAO, "POST", &format!("sys/auth/{mount}"), json!({ "type": method }));
}

/// A policy that lets use one transit key. Returns its name, which is the key's.
fn policy(engine: &str, name: &str) -> String {
    let rule =
        |operation| format!("path \"{engine}/{operation}/{name}\" {{ capabilities = [\"update\"] }}\n");
    BAO.policy(name, &["encrypt", "decrypt"].map(rule).concat());
    name.to_owned()
}

/// An AppRole with these settings at this mount: its id and a secret id for it.
pub fn app_role(mount: &str, name: &str, settings: Value) -> (String, String) {
    let path = format!("auth/{mount}/role/{name}");
    ask(&BAO, "POST", &path, settings);
    let id = ask(&BAO, "GET", &format!("{path}/role-id"), json!({}));
    let secret_id = ask(&BAO, "POST", &format!("{path}/secret-id"), json!({}));
    let text = |answer: &Value, name: &str| secret(answer["data"][name].as_str().expect("an id"));
    (text(&id, "role_id"), text(&secret_id, "secret_id"))
}

#[test]
fn an_app_role_logs_in() {
    let test = Place::new();
    let uri = key("transit", "login-approle");
    test.encrypted("f.yaml", &[&uri]);
    enable("approle", "login-approle");
    let policy = policy("transit", "login-approle");
    let (role, secret_id) = app_role("login-approle", "app", json!({ "token_policies": policy }));
    let address = BAO.address().to_owned();
    let own = [("VAULT_ADDR", address.as_str()), ("VAULT_AUTH_PATH", "login-approle")];
    test.write("role", format!("{role}\n"));
    test.write("secret", format!("{secret_id}\n"));
    for variables in [
        [("VAULT_ROLE_ID", role.as_str()), ("VAULT_SECRET_ID", secret_id.as_str())],
        [("BAO_ROLE_ID", &role), ("BAO_SECRET_ID", &secret_id)],
        [("VAULT_ROLE_ID", &role), ("VAULT_SECRET_ID_FILE", "secret")],
        [("VAULT_ROLE_ID_FILE", "role"), ("VAULT_SECRET_ID_FILE", "secret")],
    ] {
        let run = test.stranger(&["decrypt", "f.yaml"]).envs(&own).envs(&variables);
        assert_eq!(run.run().ok().text(), PLAIN, "{variables:?}");
    }
    // One that was handed over in a wrapping token, which is good for once.
    let path = "auth/login-approle/role/app/secret-id";
    let wrapped = BAO.bao(&["write", "-f", "-wrap-ttl=60s", "-field=wrapping_token", path]).run().ok();
    let wrapped = secret(wrapped.text().trim());
    let by_wrapped = || {
        let run = test.stranger(&["decrypt", "f.yaml"]).envs(&own);
        run.env("VAULT_ROLE_ID", &role).env("VAULT_SECRET_ID", &wrapped)
    };
    assert_eq!(by_wrapped().run().ok().text(), PLAIN);
    let _ = by_wrapped().fails(128, &[&uri, "the secret id is wrapped, and cannot be unwrapped"]);

    let good = [("VAULT_ROLE_ID", role.as_str()), ("VAULT_SECRET_ID", secret_id.as_str())];
    // Who has a token of their own needs no login; who is told how to log in does so.
    let logins = || count(&BAO, "auth/login-approle/login");
    let before = logins();
    test.sealant(&["decrypt", "f.yaml"]).envs(&own).envs(&good).run().ok();
    assert_eq!(logins(), before);
    let method = [("VAULT_AUTH_METHOD", "approle")];
    test.sealant(&["decrypt", "f.yaml"]).envs(&own).envs(&good).envs(&method).run().ok();
    assert_eq!(logins(), before + 1);

    let wrong = secret("00000000-wrong-secret-id");
    let run = |variables: &[(&str, &str)]| test.stranger(&["decrypt", "f.yaml"]).envs(variables);
    let run = |variables: &[(&str, &str)]| run(&own).envs(variables);
    let _ = run(&[good[0], ("VAULT_SECRET_ID", &wrong)]).fails(128, &[&uri, "cannot log in by approle"]);
    let _ = run(&[good[0], ("VAULT_SECRET_ID_FILE", "nowhere")]).fails(128, &[&uri, "nowhere"]);
    let _ = run(&method).fails(128, &["VAULT_ROLE_ID", "VAULT_ROLE_ID_FILE"]);
    let _ = run(&good).env("VAULT_AUTH_PATH", "not-mounted").fails(128, &[&uri, "cannot log in by approle"]);
    for mount in ["../sys", "a b", "%2e%2e/sys", "a//b"] {
        let _ = run(&good).env("VAULT_AUTH_PATH", mount).fails(128, &[mount, "is not a path"]);
    }
}

#[test]
fn credentials_go_only_to_servers_that_the_user_has_named() {
    let test = Place::new();
    let spy = Relay::before(&BAO, |_, _| Reply::Forward);
    let uri = key("transit", "login-trust");
    test.encrypted("f.yaml", &[&uri]);
    test.replace("f.yaml", BAO.address(), spy.address());
    let policy = policy("transit", "login-trust");
    enable("approle", "login-trust");
    let (role, secret_id) = app_role("login-trust", "app", json!({ "token_policies": policy }));
    let own = [("VAULT_AUTH_PATH", "login-trust"), ("VAULT_ROLE_ID", &role), ("VAULT_SECRET_ID", &secret_id)];
    let run = |variables: &[(&str, &str)]| test.stranger(&["decrypt", "f.yaml"]).envs(&own).envs(variables);
    let elsewhere = nobody();
    for variables in [
        &[][..],
        &[("VAULT_ADDR", elsewhere.as_str())],
        &[("BAO_ADDR", &elsewhere), ("VAULT_ADDR", spy.address())],
        &[("SOPS_HC_VAULT_ALLOWLIST", "all")],
    ] {
        let words = [spy.address(), "only a file names", "VAULT_ADDR"];
        let _ = run(variables).fails(128, &words);
        let github = [
            ("ACTIONS_ID_TOKEN_REQUEST_URL", spy.address()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "planted-bearer-token"),
            ("VAULT_AUTH_METHOD", "jwt"),
            ("VAULT_AUTH_ROLE", "ci"),
        ];
        let _ = run(variables).envs(&github).fails(128, &words);
        let user = [("VAULT_AUTH_METHOD", "userpass"), ("VAULT_USERNAME", "alice")];
        let _ = run(variables).envs(&user).fails(128, &words);
    }
    assert_eq!(spy.requests().len(), 0);
    for variables in [
        [("VAULT_ADDR", spy.address())],
        [("BAO_ADDR", &format!("{}/", spy.address()))],
        [("SOPS_HC_VAULT_ALLOWLIST", spy.address())],
    ] {
        run(&variables).run().ok();
    }
    test.settings(&format!("vault:\n  servers:\n    - address: {}\n", spy.address()));
    run(&[]).run().ok();
}

/// A key of a CI system, and what it signs.
struct Issuer<'a> {
    test: &'a Sandbox,
}

impl<'a> Issuer<'a> {
    fn new(test: &'a Sandbox) -> Self {
        test.program("openssl", &["genrsa", "-out", "issuer.key", "2048"]).run().ok();
        let public = ["rsa", "-in", "issuer.key", "-pubout", "-out", "issuer.pub"];
        test.program("openssl", &public).run().ok();
        Self { test }
    }

    fn sign(&self, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&json!({ "alg": "RS256", "typ": "JWT" })), encode(claims));
        let sign = ["dgst", "-sha256", "-sign", "issuer.key"];
        let signature = self.test.program("openssl", &sign).stdin(signed.as_bytes()).run().ok().stdout;
        secret(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn claims(audience: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    json!({ "iss": "ci", "sub": "repo:shop", "aud": audience, "iat": now, "nbf": now - 5, "exp": now + 600 })
}

#[test]
fn a_signed_token_of_a_ci_system_logs_in() {
    let test = Place::new();
    let uri = key("transit", "login-jwt");
    test.encrypted("f.yaml", &[&uri]);
    let policy = policy("transit", "login-jwt");
    let issuer = Issuer::new(&test);
    enable("jwt", "ci/gitlab");
    let public = test.read_text("issuer.pub");
    ask(&BAO, "POST", "auth/ci/gitlab/config", json!({ "jwt_validation_pubkeys": [public] }));
    ask(
        &BAO,
        "POST",
        "auth/ci/gitlab/role/shop",
        json!({ "role_type": "jwt", "user_claim": "sub", "token_policies": policy,
            "bound_audiences": ["https://vault.example.com", BAO.address()] }),
    );
    let address = BAO.address();
    let own = [("VAULT_ADDR", address), ("VAULT_AUTH_PATH", "/ci/gitlab/"), ("VAULT_AUTH_ROLE", "shop")];
    let run = |variables: &[(&str, &str)]| test.stranger(&["decrypt", "f.yaml"]).envs(&own).envs(variables);
    let good = issuer.sign(&claims("https://vault.example.com"));
    test.write("id-token", format!("{good}\n"));
    for variable in
        [("VAULT_ID_TOKEN", good.as_str()), ("BAO_ID_TOKEN", &good), ("VAULT_ID_TOKEN_FILE", "id-token")]
    {
        assert_eq!(run(&[variable]).run().ok().text(), PLAIN, "{variable:?}");
    }
    let mut old = claims("https://vault.example.com");
    old["exp"] = json!(old["iat"].as_u64().expect("a time") - 300);
    old["nbf"] = json!(old["iat"].as_u64().expect("a time") - 600);
    let (others, mine) = (issuer.sign(&claims("https://other")), good.rsplit_once('.').expect("three parts"));
    let forged = format!("{}.{}", mine.0, others.rsplit_once('.').expect("three parts").1);
    for bad in [issuer.sign(&old), issuer.sign(&claims("https://other")), secret(forged)] {
        let _ = run(&[("VAULT_ID_TOKEN", &bad)]).fails(128, &[&uri, "cannot log in by jwt"]);
    }
    let _ = run(&[("VAULT_AUTH_METHOD", "jwt")]).fails(128, &[&uri, "VAULT_ID_TOKEN", "id-token: write"]);

    // GitHub gives a token to a job that shows another one, for the audience that is asked for.
    let bearer = secret("planted-bearer-of-the-job");
    let for_vault = issuer.sign(&claims("https://vault.example.com"));
    let of_address = issuer.sign(&claims(address));
    let github = Relay::before(&BAO, {
        let (bearer, for_vault, of_address) = (bearer.clone(), for_vault.clone(), of_address.clone());
        let encoded: String = address
            .bytes()
            .map(|byte| match byte {
                b'.' | b'0'..=b'9' | b'a'..=b'z' => char::from(byte).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect();
        move |_, request: &Request| {
            let audience = request.line.split_once("audience=").map_or("", |(_, audience)| audience);
            let shown = request.head.to_ascii_lowercase().contains(&format!("bearer {bearer}"));
            match (shown && request.line.starts_with("GET /token?v=1&"), audience) {
                (true, "https%3A%2F%2Fvault.example.com") => answer(&json!({ "value": for_vault })),
                (true, audience) if audience == encoded => answer(&json!({ "value": of_address })),
                (true, "empty") => answer(&json!({ "count": 1 })),
                (true, "moved") => Reply::redirect(request, &nobody()),
                _ => Reply::Answer(401, String::new(), format!("who is {bearer}?")),
            }
        }
    });
    let request = format!("{}/token?v=1", github.address());
    let job =
        [("ACTIONS_ID_TOKEN_REQUEST_URL", request.as_str()), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", &bearer)];
    run(&job).env("VAULT_AUTH_AUDIENCE", "https://vault.example.com").run().ok();
    run(&job).run().ok();
    // Neither an allow-list nor certificates for Vault concern GitHub.
    run(&job).env("SOPS_HC_VAULT_ALLOWLIST", address).run().ok();
    for (audience, words) in [
        ("empty", "GitHub's answer contains no token"),
        ("nobody", "GitHub gave no token: it answered with 401"),
        ("moved", "GitHub gave no token"),
    ] {
        let _ = run(&job).env("VAULT_AUTH_AUDIENCE", audience).fails(128, &[&uri, words]);
    }
    let lost = [("ACTIONS_ID_TOKEN_REQUEST_URL", nobody()), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", bearer)];
    let lost = lost.each_ref().map(|(name, value)| (*name, value.as_str()));
    let _ = run(&lost).fails(128, &[&uri, "GitHub gave no token", "cannot be reached"]);
}

fn answer(body: &Value) -> Reply {
    Reply::Answer(200, "Content-Type: application/json\r\n".to_owned(), body.to_string())
}

#[test]
fn the_endpoint_of_a_ci_system_is_trusted_as_the_operating_system_says() {
    let test = Place::new();
    let bao = Bao::start_tls();
    bao.transit_key("transit", "shop");
    let issuer = Issuer::new(&test);
    // GitHub's certificate is by one of the well-known authorities, and Vault's by one of our own.
    let folder = test.path("github");
    std::fs::create_dir(&folder).expect("a folder");
    certificates(&test, &folder);
    let signed = issuer.sign(&claims("shop"));
    let github = Relay::tls_before(&BAO, &folder, move |_, _| answer(&json!({ "value": signed })));
    bao.bao(&["auth", "enable", "jwt"]).run().ok();
    bao.bao(&["write", "auth/jwt/config"])
        .arg(format!("jwt_validation_pubkeys={}", test.read_text("issuer.pub")))
        .run()
        .ok();
    bao.policy("use", "path \"transit/*\" { capabilities = [\"update\"] }");
    let role = ["role_type=jwt", "user_claim=sub", "bound_audiences=shop", "token_policies=use"];
    bao.bao(&["write", "auth/jwt/role/ci"]).args(&role).run().ok();
    test.write("f.yaml", PLAIN);
    let (request, bearer) = (format!("{}/token", github.address()), secret("planted-bearer-of-tls"));
    let encrypt = |variables: &[(&str, &str)]| {
        let run = test.stranger(&["encrypt", "--hc-vault-transit", &uri(&bao, "transit", "shop"), "f.yaml"]);
        let run = run.env("VAULT_ADDR", bao.address()).env("VAULT_AUTH_ROLE", "ci");
        let run = run.env("ACTIONS_ID_TOKEN_REQUEST_URL", &request);
        run.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", &bearer).envs(variables)
    };
    let vaults = bao.ca_file().display().to_string();
    let systems = folder.join("ca.crt").display().to_string();
    encrypt(&[("VAULT_CACERT", &vaults), ("SSL_CERT_FILE", &systems)]).run().ok();
    let asked = github.requests().len();
    // That somebody trusts any Vault does not mean that they hand out their job's token.
    let careless = [("VAULT_SKIP_VERIFY", "true")];
    let _ = encrypt(&careless).fails(1, &["GitHub gave no token", "certificate"]);
    assert_eq!(github.requests().len(), asked);
}

/// An authority, and a certificate by it for this machine.
fn certificates(test: &Sandbox, folder: &Path) {
    let path = |name: &str| folder.join(name).display().to_string();
    let make = |name: &str, options: &[&str]| {
        let run = test.program("openssl", &["req", "-x509", "-noenc", "-days", "2", "-newkey", "rsa:2048"]);
        let run = run.args(&["-subj", &format!("/CN={name}"), "-keyout", &path(&format!("{name}.key"))]);
        run.args(&["-out", &path(&format!("{name}.crt"))]).args(options).run().ok();
    };
    make("ca", &[]);
    let (certificate, key) = (path("ca.crt"), path("ca.key"));
    let names = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"];
    make("server", &[&["-CA", &certificate, "-CAkey", &key][..], &names].concat());
}

#[test]
fn a_password_is_asked_for_once() {
    let test = Place::new();
    let names = ["login-user-a", "login-user-b", "login-user-c"];
    let uris = names.map(|name| key("transit", name));
    for (file, uri) in ["a.yaml", "b.yaml", "c.yaml"].iter().zip(&uris) {
        test.encrypted(file, &[uri]);
    }
    BAO.policy("login-user", "path \"transit/+/login-user-*\" { capabilities = [\"update\"] }");
    enable("userpass", "people");
    let password = secret("correct horse battery");
    let user = json!({ "password": password, "token_policies": "login-user" });
    ask(&BAO, "POST", "auth/people/users/alice", user);
    let start = |args: &[&str]| {
        let run = test.stranger(args).env("VAULT_ADDR", BAO.address()).env("VAULT_AUTH_PATH", "people");
        run.env("VAULT_AUTH_METHOD", "userpass").env("VAULT_USERNAME", "alice")
    };
    let logins = || count(&BAO, "auth/people/login/alice");
    let files = ["decrypt", "--output-dir", "out", "a.yaml", "b.yaml", "c.yaml"];
    let mut terminal = start(&files).on_terminal();
    terminal.wait_for("Password of alice at ");
    terminal.send_hidden_line(&password);
    let output = terminal.finish().ok();
    search(&output);
    assert_eq!(output.text().matches("Password").count(), 1, "{output}");
    assert_eq!(logins(), 1);
    for file in ["a.yaml", "b.yaml", "c.yaml"] {
        assert_eq!(test.read_text(format!("out/{file}")), PLAIN);
    }

    // A wrong one fails for all: a server that locks out after some tries must not do so for one mistake.
    let wrong = secret("incorrect horse");
    let mut terminal = start(&files).on_terminal();
    terminal.wait_for("Password of alice at ");
    terminal.send_hidden_line(&wrong);
    let output = terminal.finish().code(128);
    search(&output);
    assert_eq!(output.text().matches("Password of").count(), 1, "{output}");
    assert_eq!(output.text().matches("cannot log in by userpass").count(), 3, "{output}");
    assert_eq!(logins(), 2);

    // What the policy does not allow is not put right by another login.
    let denied = key("transit", "login-denied");
    test.encrypted("d.yaml", &[&denied]);
    let mut terminal = start(&["decrypt", "d.yaml"]).on_terminal();
    terminal.wait_for("Password of alice at ");
    terminal.send_hidden_line(&password);
    let output = terminal.finish().code(128);
    assert_eq!(output.text().matches("Password of").count(), 1, "{output}");
    assert!(output.text().contains("permission denied"), "{output}");

    // Nobody is there to be asked.
    let _ = start(&["decrypt", "a.yaml"]).fails(128, &[&uris[0]]);
    let odd = start(&["decrypt", "a.yaml"]).env("VAULT_USERNAME", "../../sys");
    let _ = odd.fails(128, &["VAULT_USERNAME"]);
}

#[test]
fn a_service_account_of_kubernetes_logs_in() {
    let test = Place::new();
    let cluster = Cluster::start();
    let uri = key("transit", "login-kubernetes");
    test.encrypted("f.yaml", &[&uri]);
    let policy = policy("transit", "login-kubernetes");
    for name in ["vault", "app", "stranger"] {
        cluster.kubectl(&["create", "serviceaccount", name]).run().ok();
    }
    let binding = ["create", "clusterrolebinding", "vault", "--clusterrole=system:auth-delegator"];
    cluster.kubectl(&binding).arg("--serviceaccount=default:vault").run().ok();
    enable("kubernetes", "kubernetes");
    let reviewer = secret(cluster.service_account_token("default", "vault", None));
    ask(
        &BAO,
        "POST",
        "auth/kubernetes/config",
        json!({ "kubernetes_host": cluster.address(), "token_reviewer_jwt": reviewer,
            "kubernetes_ca_cert": test.read_text(cluster.ca_file()), "disable_local_ca_jwt": true }),
    );
    ask(
        &BAO,
        "POST",
        "auth/kubernetes/role/shop",
        json!({ "bound_service_account_names": "app", "bound_service_account_namespaces": "default",
            "audience": "vault", "token_policies": policy }),
    );
    let own = [("VAULT_ADDR", BAO.address()), ("VAULT_AUTH_METHOD", "kubernetes")];
    let of = |name: &str, audience| secret(cluster.service_account_token("default", name, audience));
    let app = of("app", Some("vault"));
    test.write("token", format!("{app}\n"));
    let run = |variables: &[(&str, &str)]| {
        test.stranger(&["decrypt", "f.yaml"]).envs(&own).env("VAULT_AUTH_ROLE", "shop").envs(variables)
    };
    for variable in [("VAULT_ID_TOKEN_FILE", "token"), ("VAULT_ID_TOKEN", app.as_str())] {
        assert_eq!(run(&[variable]).run().ok().text(), PLAIN);
    }
    let logins = BAO.requests_to("auth/kubernetes/login");
    assert!(logins.iter().all(|login| login.display_name == "kubernetes-default-app"), "{logins:?}");
    for wrong in [of("stranger", Some("vault")), of("app", Some("other"))] {
        let run = run(&[("VAULT_ID_TOKEN", &wrong)]);
        let _ = run.fails(128, &[&uri, "cannot log in by kubernetes"]);
    }
    let _ = run(&[("VAULT_AUTH_ROLE", "")]).fails(128, &[&uri, "VAULT_AUTH_ROLE"]);
    let _ = run(&[]).fails(128, &[&uri, "/var/run/secrets/kubernetes.io/serviceaccount/token"]);
    let _ =
        run(&[("VAULT_ID_TOKEN", &app), ("VAULT_AUTH_ROLE", "none")]).fails(128, &[&uri, "cannot log in"]);
}

#[test]
fn a_login_may_be_slow_or_busy() {
    let test = Place::new();
    let uri = key("transit", "login-busy");
    test.encrypted("f.yaml", &[&uri]);
    let policy = policy("transit", "login-busy");
    enable("approle", "login-busy");
    let (role, secret_id) = app_role("login-busy", "app", json!({ "token_policies": policy }));
    let own = [("VAULT_AUTH_PATH", "login-busy"), ("VAULT_ROLE_ID", &role), ("VAULT_SECRET_ID", &secret_id)];
    let busy = Relay::before(&BAO, |number, _| match number {
        0 => Reply::error(503, "not ready"),
        1 => Reply::Late(Duration::from_millis(300)),
        _ => Reply::Forward,
    });
    test.replace("f.yaml", BAO.address(), busy.address());
    let run = test.stranger(&["decrypt", "f.yaml"]).envs(&own).env("VAULT_ADDR", busy.address());
    assert_eq!(run.run().ok().text(), PLAIN);
    assert_eq!(busy.count("auth/login-busy/login"), 2);

    let echo = Relay::before(&BAO, |_, request| Reply::error(400, &format!("what is {}?", request.body)));
    test.replace("f.yaml", busy.address(), echo.address());
    let run = test.stranger(&["decrypt", "f.yaml"]).envs(&own).env("VAULT_ADDR", echo.address());
    let _ = run.fails(128, &[echo.address(), "cannot log in by approle"]);
    // Nobody takes a token for a login.
    let mine = token(&BAO, &["-policy=default"]);
    let run = test.stranger(&["decrypt", "f.yaml"]).env("VAULT_TOKEN", mine);
    let _ = run.fails(128, &[echo.address(), "refused (400)"]);
}
