//! What a server's certificate may look like, and what it has to be called there: as the real sops takes it.

use std::path::PathBuf;

use super::place::{BAO, PLAIN, Place, key, token};
use super::relay::{Relay, Reply};

/// A server whose certificate is its own authority, as `openssl req -x509` makes one: CA:TRUE, unless `options` say
/// otherwise. Gives where the certificate is.
fn server(test: &Place, names: &str, options: &[&str]) -> (Relay, PathBuf) {
    let names = format!("subjectAltName={names}");
    let args = ["req", "-x509", "-noenc", "-newkey", "rsa:2048", "-subj", "/CN=vault", "-addext", &names];
    let files = ["-keyout", "server.key", "-out", "server.crt"];
    test.program("openssl", &args).args(&files).args(options).run().ok();
    serve(test)
}

fn serve(test: &Place) -> (Relay, PathBuf) {
    let certificate = test.path("server.crt");
    let folder = certificate.parent().expect("a folder");
    (Relay::tls_before(&BAO, folder, |_, _| Reply::Forward), certificate)
}

/// Encrypts by ours and decrypts by both, all with these variables.
fn both_work(test: &Place, uri: &str, variables: &[(&str, &str)]) {
    test.write("f.yaml", PLAIN);
    test.sealant(&["encrypt", "-i", "--hc-vault-transit", uri, "f.yaml"]).envs(variables).run().ok();
    assert_eq!(test.sealant(&["decrypt", "f.yaml"]).envs(variables).run().ok().text(), PLAIN);
    let run =
        variables.iter().fold(test.sops(&["decrypt", "f.yaml"]), |run, (name, value)| run.env(name, value));
    assert_eq!(run.run().ok().text(), PLAIN, "{variables:?}");
}

#[test]
fn a_certificate_that_is_its_own_authority_is_taken_when_it_is_named() {
    let test = Place::new();
    key("transit", "own-authority");
    let (relay, certificate) = server(&test, "IP:127.0.0.1", &[]);
    let uri = relay.uri("transit", "own-authority");
    let path = certificate.display().to_string();
    both_work(&test, &uri, &[("VAULT_CACERT", &path)]);
    both_work(&test, &uri, &[("VAULT_CACERT_BYTES", &test.read_text(&certificate))]);
    both_work(&test, &uri, &[("VAULT_CAPATH", &path)]);
    test.write("authorities/deeper/vault.pem", test.read_text(&certificate));
    both_work(&test, &uri, &[("VAULT_CAPATH", &test.path("authorities").display().to_string())]);
    test.settings(&format!(
        "vault:\n  servers:\n    - address: {}\n      ca_cert: {path}\n",
        relay.address()
    ));
    test.sealant(&["decrypt", "f.yaml"]).run().ok();
    test.settings("");

    // Another of the same kind proves nothing.
    let seen = relay.requests().len();
    test.program("openssl", &["req", "-x509", "-noenc", "-newkey", "rsa:2048", "-subj", "/CN=vault"])
        .args(&["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "other.key", "-out", "other.crt"])
        .run()
        .ok();
    let run = test.sealant(&["decrypt", "f.yaml"]).env("VAULT_CACERT", "other.crt");
    let _ = run.fails(128, &[&uri, "CA:TRUE", "Name this certificate itself with VAULT_CACERT"]);
    assert_eq!(relay.requests().len(), seen, "a token went to a server that was not trusted");
}

#[test]
fn a_certificate_for_another_name_is_taken_when_the_name_is_given() {
    let test = Place::new();
    key("transit", "server-name");
    for options in [&[][..], &["-addext", "basicConstraints=critical,CA:FALSE"]] {
        let (relay, certificate) = server(&test, "DNS:vault.internal", options);
        let uri = relay.uri("transit", "server-name");
        let path = certificate.display().to_string();
        test.write("f.yaml", PLAIN);
        let encrypt = || {
            let run = test.sealant(&["encrypt", "--hc-vault-transit", &uri, "f.yaml"]);
            run.env("VAULT_CACERT", &path)
        };
        let words = ["is not for 127.0.0.1, but for vault.internal", "VAULT_TLS_SERVER_NAME=vault.internal"];
        let _ = encrypt().fails(1, &words);
        let _ =
            encrypt().env("VAULT_TLS_SERVER_NAME", "other.internal").fails(1, &["not for other.internal"]);
        assert_eq!(relay.requests().len(), 0, "a token went to a server of another name");
        both_work(&test, &uri, &[("VAULT_CACERT", &path), ("VAULT_TLS_SERVER_NAME", "vault.internal")]);
        both_work(
            &test,
            &uri,
            &[("BAO_CACERT", &path), ("VAULT_CACERT", &path), ("VAULT_TLS_SERVER_NAME", "vault.internal")],
        );

        // A tunnel: files name the server as others reach it.
        let far = "https://vault.internal:8200";
        let entry = format!("vault:\n  servers:\n    - address: {far}\n      reach: {}\n", relay.address());
        test.write("f.yaml", test.read_text("f.yaml").replace(relay.address(), far));
        test.settings(&entry);
        let decrypt = || test.sealant(&["decrypt", "f.yaml"]).env("VAULT_CACERT", &path);
        assert_eq!(decrypt().run().ok().text(), PLAIN);
        test.settings(&entry.replace(far, "https://other.internal:8200"));
        test.write("f.yaml", test.read_text("f.yaml").replace(far, "https://other.internal:8200"));
        let _ = decrypt().fails(128, &["vault.internal", "VAULT_TLS_SERVER_NAME"]);
        let other = entry.replace(far, "https://other.internal:8200");
        test.settings(&format!("{other}      server_name: vault.internal\n"));
        assert_eq!(decrypt().run().ok().text(), PLAIN);
        test.settings(&format!("{other}      server_name: vault internal\n"));
        let _ = decrypt().fails(128, &["config.yaml", "`vault internal` cannot be the name of a server"]);
        test.settings("");
    }
    let run = test.sealant(&["decrypt", "f.yaml"]).env("VAULT_TLS_SERVER_NAME", "vault internal");
    let _ = run.fails(128, &["VAULT_TLS_SERVER_NAME: `vault internal` cannot be the name of a server"]);
}

#[test]
fn a_certificate_out_of_its_time_is_refused_and_its_date_is_told() {
    let test = Place::new();
    key("transit", "dates");
    test.write(
        "ca.cnf",
        "[ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\nrand_serial = yes\nnew_certs_dir = .\ndefault_md = sha256\n\
         policy = p\n[p]\ncommonName = supplied\n[x]\nsubjectAltName = IP:127.0.0.1\nbasicConstraints = CA:TRUE\n\
         [y]\nsubjectAltName = IP:127.0.0.1\nbasicConstraints = CA:FALSE\n",
    );
    let request = ["req", "-new", "-noenc", "-newkey", "rsa:2048", "-subj", "/CN=vault"];
    test.program("openssl", &request).args(&["-keyout", "server.key", "-out", "server.csr"]).run().ok();
    for (kind, from, to, words) in [
        ("x", "20200101000000Z", "20210102030405Z", "has expired, on 2021-01-02T03:04:05Z"),
        ("y", "20200101000000Z", "20210102030405Z", "has expired, on 2021-01-02T03:04:05Z"),
        ("x", "20900102030405Z", "20910101000000Z", "is not valid before 2090-01-02T03:04:05Z"),
    ] {
        test.write("index.txt", "");
        let args = ["ca", "-batch", "-selfsign", "-notext", "-config", "ca.cnf", "-extensions", kind];
        test.program("openssl", &args)
            .args(&["-keyfile", "server.key", "-in", "server.csr", "-out", "server.crt"])
            .args(&["-startdate", from, "-enddate", to])
            .run()
            .ok();
        let (relay, certificate) = serve(&test);
        let uri = relay.uri("transit", "dates");
        test.write("f.yaml", PLAIN);
        let run = test.sealant(&["encrypt", "--hc-vault-transit", &uri, "f.yaml"]);
        let output = run.env("VAULT_CACERT", &certificate).fails(1, &[&uri, words, "this machine's clock"]);
        assert!(!output.stderr.contains("VAULT_CACERT"), "{output}");
        let run =
            test.sops(&["encrypt", "--hc-vault-transit", &uri, "f.yaml"]).env("VAULT_CACERT", &certificate);
        assert_ne!(run.env("VAULT_MAX_RETRIES", "0").run().status, 0);
        assert_eq!(relay.requests().len(), 0);
    }
}

#[test]
fn an_agent_can_listen_on_a_socket() {
    let test = Place::new();
    let here = key("transit", "socket");
    let far = here.replace(BAO.address(), "https://vault.internal:8200");
    let agent = BAO.start_proxy();
    let socket = format!("unix://{}", agent.socket().display());
    test.write("f.yaml", PLAIN);
    for variable in ["VAULT_AGENT_ADDR", "BAO_AGENT_ADDR"] {
        let args = ["encrypt", "--hc-vault-transit", &far, "f.yaml"];
        test.write("e.yaml", test.stranger(&args).env(variable, &socket).run().ok().stdout);
        let run = test.stranger(&["decrypt", "e.yaml"]).env(variable, &socket);
        // A proxy of the environment has nothing to do with it.
        let run = run.env("HTTP_PROXY", "http://proxy.test:1").env("VAULT_PROXY_ADDR", "http://proxy.test:1");
        assert_eq!(run.run().ok().text(), PLAIN);
    }
    let run = test.sops(&["decrypt", "e.yaml"]).env("VAULT_TOKEN", "").env("VAULT_AGENT_ADDR", &socket);
    assert_eq!(run.run().ok().text(), PLAIN);
    let mine = token(&BAO, &["-policy=root"]);
    test.settings(&format!(
        "vault:\n  servers:\n    - address: https://vault.internal:8200\n      reach: {socket}\n"
    ));
    let run = test.stranger(&["decrypt", "e.yaml"]).env("VAULT_TOKEN", mine);
    assert_eq!(run.run().ok().text(), PLAIN);
    let gone = test.stranger(&["decrypt", "e.yaml"]).env("VAULT_AGENT_ADDR", "unix:///nowhere/agent.sock");
    let _ = gone.fails(128, &["cannot be reached"]);
}
