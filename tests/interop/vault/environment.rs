//! What the environment and the user's own settings say: which server, whose token, which certificates, which
//! addresses.

use std::sync::LazyLock;

use sealant_test_support::Bao;

use super::place::{BAO, PLAIN, Place, ask, count, key, nobody, secret, token, uri};
use super::relay::{Relay, Reply};

/// A server with TLS, and a transit key on it.
static TLS: LazyLock<Bao> = LazyLock::new(|| {
    let bao = Bao::start_tls();
    bao.transit_key("transit", "shop");
    bao
});

#[test]
fn the_address_of_the_file_counts() {
    let test = Place::new();
    let uri = key("transit", "address");
    test.write("f.yaml", PLAIN);
    let nobody = nobody();
    for variable in ["VAULT_ADDR", "BAO_ADDR"] {
        let args = ["encrypt", "-i", "--hc-vault-transit", &uri, "f.yaml"];
        test.sealant(&args).env(variable, &nobody).run().ok();
        test.opens("f.yaml");
        test.sealant(&["decrypt", "-i", "f.yaml"]).env(variable, &nobody).run().ok();
    }
}

#[test]
fn tokens_come_from_the_environment_or_the_home_folder() {
    let test = Place::new();
    let uri = key("transit", "tokens");
    test.encrypted("f.yaml", &[&uri]);
    BAO.policy("tokens", "path \"transit/+/tokens\" { capabilities = [\"update\"] }");
    let good = token(&BAO, &["-policy=tokens"]);
    let bad = secret("hvs.thereisnosuchtokenatall");
    let decrypts = |variables: &[(&str, &str)]| {
        let output = test.stranger(&["decrypt", "f.yaml"]).envs(variables).run();
        assert!(output.status == 0 || output.status == 128, "{output}");
        output.status == 0
    };
    assert!(decrypts(&[("VAULT_TOKEN", &good)]));
    assert!(decrypts(&[("BAO_TOKEN", &good), ("VAULT_TOKEN", &bad)]), "OpenBao's come first");
    assert!(!decrypts(&[("BAO_TOKEN", &bad), ("VAULT_TOKEN", &good)]));

    let file = test.home(".vault-token");
    let none = test.stranger(&["decrypt", "f.yaml"]);
    let shown = file.display().to_string();
    let _ = none.fails(128, &[&uri, "no token", "VAULT_TOKEN", &shown]);
    test.write(&file, format!("{good}\n"));
    assert!(decrypts(&[]));
    assert!(decrypts(&[("VAULT_TOKEN", "")]), "empty is as if it were not set");
    assert!(!decrypts(&[("VAULT_TOKEN", &bad)]), "the environment comes first");
    for (content, message) in [
        (String::new(), "no token"),
        ("\n".to_owned(), "no token"),
        (format!("{good}\n{good}"), "cannot be a token"),
        (format!("{good}\u{e9}"), "cannot be a token"),
    ] {
        test.write(&file, content);
        let _ = test.stranger(&["decrypt", "f.yaml"]).fails(128, &[&uri, message, &shown]);
    }
    let spread = format!("{good}\r\nX-Vault-Namespace: root");
    let output = test.stranger(&["decrypt", "f.yaml"]).env("VAULT_TOKEN", spread);
    let _ = output.fails(128, &["VAULT_TOKEN", "cannot be a token"]);
}

#[test]
fn an_age_file_needs_nothing_of_vault() {
    let test = Place::new();
    let identity = secret(test.age_keygen(&[]).run().ok().text().lines().last().unwrap_or_default());
    let recipient = test.age_keygen(&["-y"]).stdin(identity.as_bytes()).run().ok().text().trim().to_owned();
    test.write("f.yaml", PLAIN);
    let odd = [("VAULT_CLIENT_TIMEOUT", "soon"), ("VAULT_CACERT", "nowhere"), ("VAULT_AUTH_METHOD", "x")];
    test.stranger(&["encrypt", "-i", "--age", &recipient, "f.yaml"]).envs(&odd).run().ok();
    let output = test.stranger(&["decrypt", "f.yaml"]).envs(&odd).env("SOPS_AGE_KEY", &identity).run().ok();
    assert_eq!(output.text(), PLAIN);
}

#[test]
fn what_is_wrong_in_the_environment_is_named() {
    let test = Place::new();
    let uri = key("transit", "odd");
    test.encrypted("f.yaml", &[&uri]);
    for (name, value) in [
        ("VAULT_CLIENT_TIMEOUT", "soon"),
        ("VAULT_MAX_RETRIES", "-1"),
        ("VAULT_AUTH_METHOD", "ldap"),
        ("SOPS_HC_VAULT_ALLOWLIST", "vault:8200"),
    ] {
        let _ = test.sealant(&["decrypt", "f.yaml"]).env(name, value).fails(128, &[&uri, name]);
    }
    for agent in ["vault:8200", "unix://run/vault.sock"] {
        let _ =
            test.sealant(&["decrypt", "f.yaml"]).env("VAULT_AGENT_ADDR", agent).fails(128, &[&uri, agent]);
    }
}

#[test]
fn the_environment_is_read_as_vaults_own_client_reads_it() {
    let test = Place::new();
    let uri = key("transit", "spellings");
    test.encrypted("f.yaml", &[&uri]);
    let upper = BAO.address().replace("http://", "HTTP://");
    for (name, value) in [("VAULT_CLIENT_TIMEOUT", "0"), ("VAULT_ADDR", upper.as_str())] {
        assert_eq!(test.sealant(&["decrypt", "f.yaml"]).env(name, value).run().ok().text(), PLAIN);
        assert_eq!(test.sops(&["decrypt", "f.yaml"]).env(name, value).run().ok().text(), PLAIN);
    }
    // A password goes to the server that is named, however it is spelled.
    BAO.bao(&["auth", "enable", "-path=spellings", "userpass"]).run().ok();
    BAO.bao(&["write", "auth/spellings/users/u", "password=horse-staple", "token_policies=spellings"])
        .run()
        .ok();
    BAO.policy("spellings", "path \"transit/decrypt/spellings\" { capabilities = [\"update\"] }");
    for (address, file) in [(upper.as_str(), "f.yaml"), (&format!("{}/", BAO.address()), "f.yaml")] {
        let run =
            test.wary(&["decrypt", file]).env("VAULT_ADDR", address).env("VAULT_AUTH_PATH", "spellings");
        let run = run.env("VAULT_AUTH_METHOD", "userpass").env("VAULT_USERNAME", "u");
        let mut terminal = run.on_terminal();
        terminal.wait_for("Password of u");
        terminal.send_hidden_line("horse-staple");
        assert!(terminal.finish().ok().text().contains("name: shop"));
    }
}

/// As the API packages of Vault 1.23 and OpenBao 2.7 name them, each by `VAULT_` or `BAO_`; the last two are of the programs.
const OF_CLIENTS: [&str; 25] = [
    "ADDR",
    "AGENT_ADDR",
    "CACERT",
    "CACERT_BYTES",
    "CAPATH",
    "CLIENT_CERT",
    "CLIENT_CERT_BYTES",
    "CLIENT_KEY",
    "CLIENT_KEY_BYTES",
    "CLIENT_TIMEOUT",
    "HEADERS",
    "SRV_LOOKUP",
    "SKIP_VERIFY",
    "NAMESPACE",
    "TLS_SERVER_NAME",
    "WRAP_TTL",
    "MAX_RETRIES",
    "TOKEN",
    "MFA",
    "RATE_LIMIT",
    "HTTP_PROXY",
    "PROXY_ADDR",
    "DISABLE_REDIRECTS",
    "TOKEN_PATH",
    "CONFIG_PATH",
];

/// `tests/docs` holds the page against our own code; here it is held against the real clients.
#[test]
fn the_page_has_each_variable_of_both_clients_and_what_has_no_effect_has_none() {
    let page = include_str!("../../../docs/vault.md");
    let is_on_page =
        |name: &str| ["VAULT_", "BAO_"].iter().any(|kind| page.contains(&format!("`{kind}{name}`")));
    let helps = [&["read", "-h"], &["login", "-h"]].map(|args| BAO.bao(args).run().ok().text().to_owned());
    let words = helps.iter().flat_map(|help| help.split(|c: char| !c.is_ascii_uppercase() && c != '_'));
    let of_bao: Vec<&str> = words.filter_map(|word| word.strip_prefix("BAO_")).collect();
    assert!(of_bao.contains(&"WRAP_TTL") && of_bao.contains(&"DISABLE_REDIRECTS"), "{of_bao:?}");
    for name in OF_CLIENTS.iter().copied().chain(of_bao) {
        assert!(is_on_page(name), "{name}");
    }

    let test = Place::new();
    test.encrypted("f.yaml", &[&key("transit", "no-effect")]);
    let (_, rows) = page.split_once("| variable | because |\n|---|---|\n").expect("the table");
    let ignored: Vec<&str> =
        rows.lines().map_while(|row| row.strip_prefix("| `VAULT_")?.split('`').next()).collect();
    assert!(ignored.contains(&"MFA") && ignored.len() > 5, "{ignored:?}");
    let odd = ignored.iter().flat_map(|name| [format!("VAULT_{name}"), format!("BAO_{name}")]);
    let run = odd.fold(test.sealant(&["decrypt", "f.yaml"]), |run, name| run.env(&name, "!"));
    assert_eq!(run.run().ok().text(), PLAIN);
}

#[test]
fn headers_of_the_environment_go_where_a_token_goes_and_are_not_repeated() {
    let test = Place::new();
    key("transit", "headers");
    test.write("f.yaml", PLAIN);
    let pass = secret("pass-of-the-gateway");
    let headers = format!("{{\"X-Edge-Pass\": \"{pass}\", \"X-Team\": \"a\"}}");
    let words = format!("who says {pass}?");
    let gateway = Relay::before(&BAO, move |_, request| match request.line.contains("refused") {
        true => Reply::error(400, &words),
        false => Reply::Forward,
    });
    let (uri, refused) = (gateway.uri("transit", "headers"), gateway.uri("transit", "refused"));
    let encrypt = |uri: &str| test.sealant(&["encrypt", "--hc-vault-transit", uri, "f.yaml"]);
    // Whether all requests since then had them.
    let had = |since: usize| {
        let heads =
            gateway.requests().split_off(since).into_iter().map(|request| request.head.to_lowercase());
        let heads: Vec<String> = heads.collect();
        let has =
            |head: &String| head.contains(&format!("x-edge-pass: {pass}")) && head.contains("x-team: a");
        !heads.is_empty() && heads.iter().all(has)
    };
    for variable in ["VAULT_HEADERS", "BAO_HEADERS"] {
        let since = gateway.requests().len();
        encrypt(&uri).env(variable, &headers).run().ok();
        assert!(had(since), "{variable}");
    }
    let since = gateway.requests().len();
    let run = test.sops(&["encrypt", "--hc-vault-transit", &uri, "f.yaml"]);
    run.env("VAULT_HEADERS", &headers).run().ok();
    assert!(had(since));
    // A gateway that tells what it was told.
    let _ = encrypt(&refused).env("VAULT_HEADERS", &headers).fails(1, &["refused (400)", "who says ***?"]);
    for odd in ["X-Edge: a", "[]", "{\"X Edge\": \"a\"}"] {
        let _ = encrypt(&uri).env("VAULT_HEADERS", odd).fails(1, &["VAULT_HEADERS"]);
    }
}

#[test]
fn the_token_is_where_bao_has_put_it() {
    let test = Place::new();
    test.encrypted("f.yaml", &[&key("transit", "token-path")]);
    let (mine, path) = (token(&BAO, &["-policy=root"]), test.path("elsewhere"));
    BAO.bao(&["login", "-no-print", &mine]).env("BAO_TOKEN", "").env("BAO_TOKEN_PATH", &path).run().ok();
    assert!(test.read_text(&path).contains(&mine));
    let run = test.stranger(&["decrypt", "f.yaml"]).env("BAO_TOKEN_PATH", &path);
    assert_eq!(run.run().ok().text(), PLAIN);
}

#[test]
fn certificates_are_trusted_as_the_environment_says() {
    let test = Place::new();
    let uri = uri(&TLS, "transit", "shop");
    let token = token(&TLS, &["-policy=root"]);
    let (authority, folder) = (TLS.ca_file(), test.path("authorities"));
    let path = authority.display().to_string();
    let pem = test.read_text(&authority);
    test.write("authorities/vault.pem", &pem);
    test.write("f.yaml", PLAIN);
    let encrypt = |variables: &[(&str, &str)]| {
        let args = ["encrypt", "--hc-vault-transit", &uri, "f.yaml"];
        test.stranger(&args).env("VAULT_TOKEN", &token).envs(variables)
    };
    for variables in [
        [("VAULT_CACERT", path.as_str())],
        [("BAO_CACERT", path.as_str())],
        [("VAULT_CAPATH", folder.to_str().expect("a path"))],
        [("VAULT_CACERT_BYTES", pem.as_str())],
        [("VAULT_SKIP_VERIFY", "true")],
        // As the authorities of the operating system.
        [("SSL_CERT_FILE", path.as_str())],
    ] {
        let output = encrypt(&variables).run().ok();
        test.write("e.yaml", output.stdout);
        let run = test.sops(&["decrypt", "e.yaml"]).env("VAULT_TOKEN", &token).env("VAULT_CACERT", &path);
        assert_eq!(run.run().ok().text(), PLAIN, "{variables:?}");
    }
    test.settings(&format!("vault:\n  servers:\n    - address: {}\n      ca_cert: {path}\n", TLS.address()));
    encrypt(&[]).run().ok();
    test.settings("");

    let _ = encrypt(&[]).fails(1, &[&uri, "certificate", "VAULT_CACERT"]);
    let _ = encrypt(&[("VAULT_SKIP_VERIFY", "false")]).fails(1, &[&uri, "certificate"]);
    let _ =
        encrypt(&[("VAULT_SKIP_VERIFY", "yes")]).fails(1, &["VAULT_SKIP_VERIFY", "neither true nor false"]);
    test.program("openssl", &["req", "-x509", "-noenc", "-newkey", "rsa:2048", "-subj", "/CN=other"])
        .args(&["-keyout", "other.key", "-out", "other.pem"])
        .run()
        .ok();
    let _ = encrypt(&[("VAULT_CACERT", "other.pem")]).fails(1, &[&uri, "certificate", "VAULT_CACERT"]);
    // The first of them counts, as to sops.
    for (variables, works) in [
        ([("VAULT_CACERT", path.as_str()), ("VAULT_CAPATH", "nowhere")], true),
        ([("VAULT_CACERT_BYTES", pem.as_str()), ("VAULT_CAPATH", "nowhere")], true),
        ([("VAULT_CACERT", "other.pem"), ("VAULT_CACERT_BYTES", pem.as_str())], false),
        ([("VAULT_CACERT", "other.pem"), ("VAULT_CAPATH", path.as_str())], false),
    ] {
        assert_eq!(encrypt(&variables).run().status == 0, works, "{variables:?}");
        let run = test.sops(&["decrypt", "e.yaml"]).env("VAULT_TOKEN", &token).env("VAULT_MAX_RETRIES", "0");
        let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
        assert_eq!(run.run().status == 0, works, "{variables:?}");
    }
    let _ = encrypt(&[("VAULT_CACERT", "nowhere.pem")]).fails(1, &["nowhere.pem"]);
    let _ = encrypt(&[("VAULT_CAPATH", "nowhere")]).fails(1, &["nowhere"]);
    let _ = encrypt(&[("VAULT_CACERT", "f.yaml")]).fails(1, &["f.yaml", "no certificate"]);
    let _ = encrypt(&[("VAULT_CACERT_BYTES", "x")]).fails(1, &["VAULT_CACERT_BYTES", "no certificate"]);
    // A name that is not in the certificate.
    let wrong = uri.replace("127.0.0.1", "127.0.0.2");
    let args = ["encrypt", "--hc-vault-transit", &wrong, "f.yaml"];
    let run = test.stranger(&args).env("VAULT_TOKEN", &token).env("VAULT_CACERT", &path);
    let _ = run.fails(1, &[&wrong]);
}

#[test]
fn a_client_shows_its_certificate() {
    let test = Place::new();
    let bao = Bao::start_mutual_tls();
    bao.transit_key("transit", "shop");
    let uri = uri(&bao, "transit", "shop");
    let token = token(&bao, &["-policy=root"]);
    let authority = bao.ca_file().display().to_string();
    let (certificate, key) = bao.client_certificate();
    let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
    test.write("f.yaml", PLAIN);
    let encrypt = |variables: &[(&str, &str)]| {
        let run = test.stranger(&["encrypt", "--hc-vault-transit", &uri, "f.yaml"]);
        run.env("VAULT_TOKEN", &token).env("VAULT_CACERT", &authority).envs(variables)
    };
    for [a, b] in [["VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY"], ["BAO_CLIENT_CERT", "BAO_CLIENT_KEY"]] {
        test.write("e.yaml", encrypt(&[(a, &certificate), (b, &key)]).run().ok().stdout);
    }
    let [certificate_text, key_text] = [&certificate, &key].map(|file| test.read_text(file));
    for kind in ["BAO", "VAULT"] {
        let (a, b) = (format!("{kind}_CLIENT_CERT_BYTES"), format!("{kind}_CLIENT_KEY_BYTES"));
        encrypt(&[(&a, &certificate_text), (&b, &key_text)]).run().ok();
    }
    let run = test.sops(&["decrypt", "e.yaml"]).env("VAULT_TOKEN", &token).env("VAULT_CACERT", &authority);
    let run = run.env("VAULT_CLIENT_CERT", &certificate).env("VAULT_CLIENT_KEY", &key);
    assert_eq!(run.run().ok().text(), PLAIN);

    let _ = encrypt(&[]).fails(1, &[&uri]);
    let _ = encrypt(&[("VAULT_CLIENT_CERT", &certificate)]).fails(1, &["VAULT_CLIENT_KEY"]);
    let _ = encrypt(&[("VAULT_CLIENT_KEY", &key)]).fails(1, &["VAULT_CLIENT_CERT"]);
    let other = [("VAULT_CLIENT_CERT", certificate.as_str()), ("VAULT_CLIENT_KEY", "f.yaml")];
    let _ = encrypt(&other).fails(1, &[&certificate, "not a certificate with its key"]);
    let missing = [("VAULT_CLIENT_CERT", certificate.as_str()), ("VAULT_CLIENT_KEY", "nowhere.key")];
    let _ = encrypt(&missing).fails(1, &["nowhere.key"]);
}

#[test]
fn an_agent_takes_the_requests_for_every_server_and_brings_its_own_token() {
    let test = Place::new();
    let here = key("transit", "agent");
    let far = here.replace(BAO.address(), "https://vault.internal:8200");
    let agent = BAO.start_proxy();
    test.write("f.yaml", PLAIN);
    for variable in ["VAULT_AGENT_ADDR", "BAO_AGENT_ADDR"] {
        let args = ["encrypt", "--hc-vault-transit", &far, "f.yaml"];
        let output = test.stranger(&args).env(variable, agent.address()).run().ok();
        test.write("e.yaml", output.stdout);
        assert!(test.read_text("e.yaml").contains("vault_address: https://vault.internal:8200\n"));
        let decrypted = test.stranger(&["decrypt", "e.yaml"]).env(variable, agent.address()).run().ok();
        assert_eq!(decrypted.text(), PLAIN);
    }
    let run =
        test.sops(&["decrypt", "e.yaml"]).env("VAULT_TOKEN", "").env("VAULT_AGENT_ADDR", agent.address());
    assert_eq!(run.run().ok().text(), PLAIN);
    // Where a file may lead us is still decided by its own address.
    let run = test.stranger(&["decrypt", "e.yaml"]).env("VAULT_AGENT_ADDR", agent.address());
    let _ = run.env("SOPS_HC_VAULT_ALLOWLIST", agent.address()).fails(128, &[&far, "not allowed"]);
}

#[test]
fn a_proxy_of_the_environment_sees_nothing_that_stays_on_this_machine() {
    let test = Place::new();
    let uri = key("transit", "proxied");
    let spy = Relay::before(&BAO, |_, _| Reply::Forward);
    test.write("f.yaml", PLAIN);
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        let run = test.sealant(&["encrypt", "--hc-vault-transit", &uri, "f.yaml"]);
        run.env(variable, spy.address()).run().ok();
    }
    assert_eq!(spy.requests().len(), 0, "a token went through a proxy without encryption");
    // One that was named for Vault is meant.
    let far = uri.replace(BAO.address(), "http://vault.internal:8200");
    for variable in ["VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY", "HTTP_PROXY"] {
        let seen = spy.requests().len();
        let run = test.sealant(&["encrypt", "--hc-vault-transit", &far, "f.yaml"]);
        let _ = run.env(variable, spy.address()).env("VAULT_MAX_RETRIES", "0").run();
        assert_eq!(spy.requests().len(), seen + 1, "{variable}");
    }
}

#[test]
fn an_allow_list_says_where_a_token_may_go_for_us_as_for_sops() {
    let test = Place::new();
    let engine = "environment/allowed";
    let uri = key(engine, "allowed");
    test.encrypted("f.yaml", &[&uri]);
    let address = BAO.address();
    for (list, allowed) in [
        ("all", true),
        ("none", false),
        (address, true),
        (&uri, true),
        (&format!("https://vault.example.com,{address}/"), true),
        ("https://vault.example.com", false),
        (&format!("{address}/v1/{engine}/keys/allowe"), false),
        (&format!("{address}/v1/other"), false),
    ] {
        let code = if allowed { 0 } else { 128 };
        let before = count(&BAO, engine);
        let ours = test.sealant(&["decrypt", "f.yaml"]).env("SOPS_HC_VAULT_ALLOWLIST", list).run().code(code);
        assert_eq!(count(&BAO, engine) - before, usize::from(allowed), "{list}");
        if !allowed {
            assert!(ours.stderr.contains(&uri) && ours.stderr.contains("not allowed"), "{ours}");
            test.write("g.yaml", PLAIN);
            let args = ["encrypt", "-i", "--hc-vault-transit", &uri, "g.yaml"];
            let run = test.sealant(&args).env("SOPS_HC_VAULT_ALLOWLIST", list);
            let _ = run.fails(1, &[address, "not allowed", "SOPS_HC_VAULT_ALLOWLIST"]);
            assert_eq!(test.read_text("g.yaml"), PLAIN);
        }
        // To sops an entry is where an address begins; to us it may also hold the path of an engine or a key.
        if !list.contains("/v1/") {
            let theirs = test.sops(&["decrypt", "f.yaml"]).env("SOPS_HC_VAULT_ALLOWLIST", list).run();
            assert_eq!(theirs.status, code, "{list}\n{theirs}");
        }
    }
}

#[test]
fn the_users_own_settings_count_where_the_environment_says_nothing() {
    let test = Place::new();
    let uri = key("transit", "settings");
    test.encrypted("f.yaml", &[&uri]);
    let address = BAO.address();
    let decrypt = || test.wary_with_token(&["decrypt", "f.yaml"]);
    test.settings("vault:\n  allow: [\"https://vault.example.com\"]\n");
    let _ = decrypt().fails(128, &[&uri, "not allowed"]);
    decrypt().env("SOPS_HC_VAULT_ALLOWLIST", "all").run().ok();
    test.settings(&format!("vault:\n  allow: [\"{address}\"]\n"));
    decrypt().run().ok();
    test.settings("vault:\n  allow: []\n");
    let _ = decrypt().fails(128, &[&uri, "not allowed"]);
    test.settings("vault:\n  alow: []\n");
    let _ = decrypt().fails(128, &["config.yaml", "alow"]);

    // The address in the file is one that others reach.
    test.replace("f.yaml", address, "https://vault.svc:8200");
    test.settings(&format!(
        "vault:\n  servers:\n    - address: https://vault.svc:8200\n      reach: {address}\n"
    ));
    assert_eq!(decrypt().run().ok().text(), PLAIN);

    // A namespace, and a login, that belong to one server.
    BAO.bao(&["namespace", "create", "settings"]).run().ok();
    let inside = |path: &str, body| ask(&BAO, "POST", &format!("settings/{path}"), body);
    inside("sys/mounts/transit", serde_json::json!({ "type": "transit" }));
    inside("transit/keys/shop", serde_json::json!({}));
    inside("sys/auth/machines", serde_json::json!({ "type": "approle" }));
    let policy = "path \"transit/*\" { capabilities = [\"update\"] }";
    inside("sys/policies/acl/use", serde_json::json!({ "policy": policy }));
    inside(
        "auth/machines/role/app",
        serde_json::json!({ "token_policies": "use", "bind_secret_id": false,
        "secret_id_bound_cidrs": [], "token_bound_cidrs": ["127.0.0.0/8"] }),
    );
    let role = ask(&BAO, "GET", "settings/auth/machines/role/app/role-id", serde_json::json!({}));
    let role = secret(role["data"]["role_id"].as_str().expect("a role id"));
    test.settings(&format!(
        "vault:\n  servers:\n    - address: https://vault.svc:8200\n      reach: {address}\n      namespace: settings\n      \
         auth: {{method: approle, mount: machines}}\n"
    ));
    test.write("g.yaml", PLAIN);
    let args =
        ["encrypt", "-i", "--hc-vault-transit", "https://vault.svc:8200/v1/transit/keys/shop", "g.yaml"];
    test.stranger(&args).env("VAULT_ROLE_ID", &role).run().ok();
    test.replace("g.yaml", "https://vault.svc:8200", address);
    let run = test.sops(&["decrypt", "g.yaml"]).env("VAULT_NAMESPACE", "settings");
    assert_eq!(run.run().ok().text(), PLAIN);
}
