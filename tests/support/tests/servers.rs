//! The real servers: that each works, and that nothing of it stays.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use sealant_test_support::Bao;

#[test]
fn bao_encrypts_and_tells_who_asked_for_what() {
    let bao = Bao::start();
    bao.transit_key("transit", "team");
    bao.transit_key("transit", "other");
    bao.policy("encrypt", r#"path "transit/encrypt/team" { capabilities = ["update"] }"#);
    let token = bao.token(&["-policy=encrypt", "-ttl=5m", "-display-name=tester"]);
    let encrypt = |key: &str| {
        bao.bao(&["write", "-field=ciphertext", &format!("transit/encrypt/{key}"), "plaintext=aGVsbG8="])
            .env("BAO_TOKEN", &token)
            .run()
    };
    let ciphertext = encrypt("team").ok();
    assert!(ciphertext.text().starts_with("vault:v1:"), "{ciphertext}");
    let decrypt = [
        "write",
        "-field=plaintext",
        "transit/decrypt/team",
        &format!("ciphertext={}", ciphertext.text().trim()),
    ];
    assert_eq!(bao.bao(&decrypt).run().ok().text().trim(), "aGVsbG8=");
    assert!(encrypt("other").code(2).stderr.contains("permission denied"));

    let requests = bao.requests_to("transit/encrypt/");
    let seen: Vec<_> =
        requests.iter().map(|request| (request.path.as_str(), request.error.contains("denied"))).collect();
    assert_eq!(seen, [("transit/encrypt/team", false), ("transit/encrypt/other", true)]);
    assert!(requests.iter().all(|request| request.display_name == "token-tester"), "{requests:?}");
}

#[test]
fn bao_with_tls_is_verified_by_its_own_authority() {
    let bao = Bao::start_tls();
    bao.transit_key("transit", "team");
    let stranger = bao.bao(&["status"]).env("BAO_CACERT", "/etc/ssl/certs/ca-certificates.crt").run();
    assert!(stranger.stderr.contains("certificate signed by unknown authority"), "{stranger}");
}

#[test]
fn bao_with_mutual_tls_wants_a_certificate() {
    let bao = Bao::start_mutual_tls();
    bao.transit_key("transit", "team");
    let _ = bao.bao(&["status"]).run().ok();
    // With TLS 1.3 it is a matter of luck how much of the refusal the client sees.
    let _ = bao.bao(&["status"]).env("BAO_CLIENT_CERT", "").env("BAO_CLIENT_KEY", "").run().code(1);
}

#[test]
fn a_sealed_bao_refuses_until_it_is_unsealed() {
    let bao = Bao::start();
    bao.seal();
    let sealed = bao.bao(&["token", "lookup"]).run().code(2);
    assert!(sealed.stderr.contains("sealed"), "{sealed}");
    bao.unseal();
    let _ = bao.bao(&["token", "lookup"]).run().ok();
}

#[test]
fn a_dropped_bao_is_gone() {
    let bao = Bao::start();
    let address = bao.address().trim_start_matches("http://").to_owned();
    assert!(TcpStream::connect(&address).is_ok());
    drop(bao);
    assert!(TcpStream::connect(&address).is_err());
}

static SHARED: LazyLock<Bao> = LazyLock::new(Bao::start);

/// Not a test of its own: what `a_bao_is_gone_when_the_tests_are` runs in a process which it then kills.
#[test]
#[ignore = "runs until it is killed"]
fn a_test_that_is_killed() {
    println!("{}", SHARED.address());
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_bao_is_gone_when_the_tests_are() {
    let tests = env::current_exe().unwrap();
    let mut child = Command::new(tests)
        .args(["--exact", "a_test_that_is_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.into_iter().find_map(|line| line.strip_prefix("http://").map(str::to_owned)).unwrap();
    assert!(TcpStream::connect(&address).is_ok());
    child.kill().unwrap();
    child.wait().unwrap();
    let began = Instant::now();
    while TcpStream::connect(&address).is_ok() {
        assert!(began.elapsed() < Duration::from_secs(20), "the server is still there");
        thread::sleep(Duration::from_millis(10));
    }
}
