//! Keys that servers have: transit keys of a real OpenBao, which asks the real API server who the controller is, and keys in
//! clouds.

mod clouds;

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::tenant::Tenant;
use crate::common::*;
use sealant::host::{Closed, Host};
use sealant::keys::StartedBy;
use sealant::keys::vault::Settings;
use sealant::keys::{Identities, KeyService, KeySet, MasterKey, TransitKey, Vault};
use sealant::sealed_secret::SealedSecret;
use sealant::secret::{SecretBytes, SecretString};
use sealant_test_support::{Bao, Cluster, argocd_health};
use serde_json::Value;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(cluster);

/// OpenBao, where the service account of the controller in a namespace may decrypt with the key `transit/shop`.
fn bao(tenant: &Tenant, binding: &str) -> Bao {
    set_up(Bao::start(), tenant, binding)
}

fn set_up(bao: Bao, tenant: &Tenant, binding: &str) -> Bao {
    crate::common::vault::set_up(&CLUSTER, bao, &tenant.namespace, binding)
}

fn planted(value: &str) -> String {
    format!("{PLANTED}{value}")
}

fn sealed(bao: &Bao, tenant: &Tenant, name: &str, value: &str) -> SealedSecret {
    let secret = secret(&tenant.namespace, name, &[("a", &planted(value))]);
    seal_with(&secret, crate::common::vault::new_key(bao))
}

#[test]
fn many_are_opened_by_vault_in_few_requests_and_a_sealed_vault_heals_by_itself() {
    const COUNT: usize = 40;
    let tenant = Tenant::new(&CLUSTER, "vault");
    let bao = bao(&tenant, "vault");
    let gate = Gate::before(bao.address());
    let sealed_there = |name: &str, value: &str| {
        json(&sealed(&bao, &tenant, name, value)).replace(bao.address(), &gate.address)
    };
    let many: String = (0..COUNT).map(|index| sealed_there(&format!("s{index}"), "1")).collect();
    CLUSTER.apply(&many).ok();
    let identity = identity();
    tenant.give(&identity);

    let token = crate::common::vault::token(&CLUSTER, &tenant.namespace, "vault-token");
    let allow = format!("--vault-allow={}", gate.address);
    let token = format!("--vault-token-file={}", token.display());
    // However slow the machine is, all are there before the first is answered.
    let closed = gate.closed.lock().unwrap();
    let controller = tenant.start_with("a", &[&allow, &token, "--vault-role=sealant"]);
    wait_until(|| controller.metric("sealant_waiting_for_vault", "") == COUNT as f64);
    drop(closed);
    tenant.wait_for_all(COUNT);
    let requests = bao.requests_to("transit/decrypt").len();
    assert!((1..=COUNT / 4).contains(&requests), "{requests} requests for {COUNT} SealedSecrets");
    assert!(bao.requests_to("auth/kubernetes/login").iter().all(|login| login.error.is_empty()));

    // While Vault is sealed, what was opened not long ago is still repaired, and age keys need no Vault.
    bao.seal();
    let patch = ["patch", "secret", "s0", "--type=merge", "-p", r#"{"stringData": {"a": "changed"}}"#];
    CLUSTER.kubectl(&patch).args(&["-n", &tenant.namespace]).run().ok();
    CLUSTER.wait_for_items(&tenant.namespace, "s0", &[("a", &planted("1"))]);
    let new = sealed_offline(&tenant, &many);
    CLUSTER.apply(&new).ok();
    let waiting = CLUSTER.wait_for_reason(&tenant.namespace, "s0", "VaultUnavailable");
    assert_eq!(condition(&waiting, "Reconciling")["status"], "True");
    assert_eq!(argocd_health(&waiting.to_string()).0, "Progressing");
    CLUSTER.apply(&json(&seal(&secret(&tenant.namespace, "age", &[("a", "2")]), &identity))).ok();
    CLUSTER.wait_for_items(&tenant.namespace, "age", &[("a", "2")]);
    bao.unseal();
    // What was spoilt above is spoilt: now Vault can say so.
    CLUSTER.wait_for_reason(&tenant.namespace, "s0", "NoIdentity");
    CLUSTER.apply(&sealed_there("s0", "3")).ok();
    CLUSTER.wait_for_items(&tenant.namespace, "s0", &[("a", &planted("3"))]);

    // A name of a key that is a way to another endpoint: nothing is sent at all.
    let decrypts = |bao: &Bao| bao.requests_to("transit/decrypt").len();
    let before = (decrypts(&bao), bao.requests_to("auth/token").len());
    for (name, field, value) in [
        ("dots", "keyName", "../../auth/token/revoke-self"),
        ("slash", "keyName", "shop/../other"),
        ("dots-in-path", "enginePath", "transit/../sys"),
    ] {
        let mut object: Value = serde_json::from_str(&sealed_there(name, "1")).unwrap();
        object["spec"]["dataKeys"][0]["hcVault"][0][field] = value.into();
        CLUSTER.apply(&object.to_string()).ok();
        let refused = CLUSTER.wait_for_reason(&tenant.namespace, name, "BadCiphertext");
        assert_eq!(condition(&refused, "Stalled")["status"], "True");
    }
    assert_eq!(before, (decrypts(&bao), bao.requests_to("auth/token").len()));

    // Where nobody has allowed it, nothing goes.
    let other = Bao::start();
    other.transit_key("transit", "shop");
    let before = other.requests().len();
    CLUSTER.apply(&json(&sealed(&other, &tenant, "elsewhere", "1"))).ok();
    let refused = CLUSTER.wait_for_reason(&tenant.namespace, "elsewhere", "NoIdentity");
    let message = condition(&refused, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("may not use a server or key"), "{message}");
    // By now whatever would have been sent was sent: one that came later has been answered.
    CLUSTER.apply(&sealed_there("later", "4")).ok();
    CLUSTER.wait_for_items(&tenant.namespace, "later", &[("a", &planted("4"))]);
    let after: Vec<_> = other
        .requests()
        .into_iter()
        .skip(before)
        .filter(|request| !request.path.contains("encrypt"))
        .collect();
    assert!(after.is_empty(), "{after:?}");
    assert_nothing_leaked(&CLUSTER, &[&controller]);
}

/// A proxy before a server; what is asked of it waits while the gate is closed.
struct Gate {
    address: String,
    closed: Arc<Mutex<()>>,
    asked: Arc<AtomicUsize>,
}

impl Gate {
    fn before(server: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let gate = Self { address, closed: Arc::default(), asked: Arc::default() };
        let server = server.trim_start_matches("http://").to_owned();
        let (closed, asked) = (Arc::clone(&gate.closed), Arc::clone(&gate.asked));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (mut client, mut server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
                let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut answers, &mut back));
                let (closed, asked) = (Arc::clone(&closed), Arc::clone(&asked));
                thread::spawn(move || {
                    let mut room = [0; 1 << 16];
                    while let Ok(length @ 1..) = client.read(&mut room) {
                        asked.fetch_add(1, Ordering::SeqCst);
                        let _open = closed.lock().unwrap();
                        server.write_all(&room[..length]).unwrap();
                    }
                    server.shutdown(Shutdown::Both).ok();
                });
            }
        });
        gate
    }
}

/// A SealedSecret that changes while Vault is asked: what it is now waits for no answer about what it was before, and
/// that is never written.
#[test]
fn old_values_are_not_written_once_the_sealed_secret_has_changed() {
    let tenant = Tenant::new(&CLUSTER, "stale");
    let bao = bao(&tenant, "stale-vault");
    let gate = Gate::before(bao.address());
    let identity = identity();
    tenant.give(&identity);
    let flags = [
        format!("--vault-allow={}", gate.address),
        format!(
            "--vault-token-file={}",
            crate::common::vault::token(&CLUSTER, &tenant.namespace, "stale-token").display()
        ),
        "--vault-role=sealant".to_owned(),
    ];
    let controller = tenant.start_with("a", &flags.each_ref().map(String::as_str));
    for round in 0..3 {
        let name = format!("s{round}");
        let mut old: Value = serde_json::from_str(&json(&sealed(&bao, &tenant, &name, "old"))).unwrap();
        old["spec"]["dataKeys"][0]["hcVault"][0]["address"] = gate.address.as_str().into();
        let asked = gate.asked.load(Ordering::SeqCst);
        let closed = gate.closed.lock().unwrap();
        CLUSTER.apply(&old.to_string()).ok();
        wait_until(|| gate.asked.load(Ordering::SeqCst) > asked);
        let new = secret(&tenant.namespace, &name, &[("a", &planted("new"))]);
        CLUSTER.apply(&json(&seal(&new, &identity))).ok();
        CLUSTER.wait_for_items(&tenant.namespace, &name, &[("a", &planted("new"))]);
        drop(closed);
        // By now the old one has been answered, if it ever is: one that came later has.
        let later = format!("later{round}");
        let mut after: Value = serde_json::from_str(&json(&sealed(&bao, &tenant, &later, "later"))).unwrap();
        after["spec"]["dataKeys"][0]["hcVault"][0]["address"] = gate.address.as_str().into();
        CLUSTER.apply(&after.to_string()).ok();
        CLUSTER.wait_for_items(&tenant.namespace, &later, &[("a", &planted("later"))]);
        CLUSTER.wait_for_items(&tenant.namespace, &name, &[("a", &planted("new"))]);
        CLUSTER.wait_for_reason(&tenant.namespace, &name, "Unsealed");
        assert!(tenant.writes_of_secrets().values().all(|writes| *writes == 1));
    }
    assert_nothing_leaked(&CLUSTER, &[&controller]);
}

/// While Vault is slow, as many objects of several namespaces as there are workers, and more, wait for it. They hold none of
/// them: an object of another namespace that needs no Vault is ready at once. With the answer they are ready by themselves.
#[test]
fn a_slow_vault_holds_no_workers() {
    const EACH: usize = 12;
    let others = ["slow-b", "slow-age"].map(|name| CLUSTER.new_namespace(name));
    let tenant = Tenant::new(&CLUSTER, "slow-a");
    others.iter().for_each(|other| tenant.open(other));
    let tenant = others.iter().fold(tenant, |tenant, other| tenant.watching(other));
    let [other, third] = &others;
    let bao = bao(&tenant, "slow-vault");
    let gate = Gate::before(bao.address());
    let identity = identity();
    tenant.give(&identity);
    let flags = [
        format!("--vault-allow={}", gate.address),
        format!(
            "--vault-token-file={}",
            crate::common::vault::token(&CLUSTER, &tenant.namespace, "slow-token").display()
        ),
        "--vault-role=sealant".to_owned(),
        "--concurrency=4".to_owned(),
    ];
    let controller = tenant.start_with("a", &flags.each_ref().map(String::as_str));
    let of_vault = |namespace: &str, index: usize| {
        let secret = secret(namespace, &format!("s{index}"), &[("a", &planted("1"))]);
        let sealed = json(&seal_with(&secret, crate::common::vault::new_key(&bao)));
        let mut object: Value = serde_json::from_str(&sealed).unwrap();
        object["spec"]["dataKeys"][0]["hcVault"][0]["address"] = gate.address.as_str().into();
        object.to_string()
    };
    let all: String =
        [&tenant.namespace, other].iter().flat_map(|at| (0..EACH).map(|index| of_vault(at, index))).collect();
    let age = json(&seal(&secret(third, "age", &[("a", &planted("2"))]), &identity));
    let asked = gate.asked.load(Ordering::SeqCst);
    let closed = gate.closed.lock().unwrap();
    CLUSTER.apply(&all).ok();
    wait_until(|| gate.asked.load(Ordering::SeqCst) > asked);
    // Long enough for each worker to have taken one.
    thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    CLUSTER.apply(&age).ok();
    CLUSTER.wait_for_items(third, "age", &[("a", &planted("2"))]);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    wait_until(|| controller.metric("sealant_waiting_for_vault", "") == (2 * EACH) as f64);
    drop(closed);
    for namespace in [&tenant.namespace, other] {
        for index in 0..EACH {
            CLUSTER.wait_for_items(namespace, &format!("s{index}"), &[("a", &planted("1"))]);
        }
    }
    tenant.wait_for_all(EACH);
    assert!(tenant.writes_of_secrets().values().all(|writes| *writes <= 2));
    let decrypts = bao.requests_to("transit/decrypt").len();
    assert!(decrypts <= EACH, "{decrypts}");
    wait_until(|| controller.metric("sealant_waiting_for_vault", "") == 0.0);
    assert_nothing_leaked(&CLUSTER, &[&controller]);
}

/// A server that takes requests and never answers keeps nobody waiting but those who need it; when it is gone and the
/// real one is in its place, they heal.
#[test]
fn a_server_that_never_answers_holds_up_no_other() {
    const COUNT: usize = 200;
    let tenant = Tenant::new(&CLUSTER, "silent");
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let identity = identity();
    tenant.give(&identity);
    let token = CLUSTER.ca_file().with_file_name("silent-token");
    fs::write(&token, "token").unwrap();
    let flags = [
        format!("--vault-allow={address}"),
        format!("--vault-token-file={}", token.display()),
        "--vault-role=sealant".to_owned(),
        "--concurrency=8".to_owned(),
    ];
    let controller = tenant.start_with("a", &flags.each_ref().map(String::as_str));
    let template = json(&seal(&secret(&tenant.namespace, "x", &[("a", "1")]), &identity));
    let with_server = |template: &str, index: usize| {
        let mut object: Value = serde_json::from_str(template).unwrap();
        let key = &mut object["spec"]["dataKeys"][0];
        let enc = format!("vault:v1:{index:040}");
        key["hcVault"] =
            serde_json::json!([{"address": address, "enginePath": "transit", "keyName": "shop", "enc": enc}]);
        object
    };
    let waiting = |index: usize| {
        let mut object = with_server(&template, index);
        object["metadata"]["name"] = format!("waiting{index}").into();
        object["spec"]["dataKeys"][0].as_object_mut().unwrap().remove("age");
        object.to_string()
    };
    CLUSTER.apply(&waiting(0)).ok();
    let _asked = silent.accept().unwrap();
    // While the server is asked for another, what an age key opens as well does not wait for it.
    let both = json(&seal(&secret(&tenant.namespace, "both", &[("a", &planted("3"))]), &identity));
    CLUSTER.apply(&with_server(&both, COUNT).to_string()).ok();
    CLUSTER.wait_for_items(&tenant.namespace, "both", &[("a", &planted("3"))]);
    CLUSTER.wait_for_reason(&tenant.namespace, "both", "Unsealed");
    let told = CLUSTER.events(&tenant.namespace);
    assert!(!told.iter().any(|told| told.name == "both" && told.reason == "VaultUnavailable"));
    CLUSTER.apply(&(1..COUNT).map(waiting).collect::<String>()).ok();
    let waiting = CLUSTER.wait_for_reason(&tenant.namespace, "waiting0", "VaultUnavailable");
    assert_eq!(condition(&waiting, "Reconciling")["status"], "True");
    CLUSTER.apply(&json(&seal(&secret(&tenant.namespace, "age", &[("a", &planted("2"))]), &identity))).ok();
    CLUSTER.wait_for_items(&tenant.namespace, "age", &[("a", &planted("2"))]);
    let waiting = CLUSTER.wait_for_reason(&tenant.namespace, "waiting0", "VaultUnavailable");
    assert_eq!(condition(&waiting, "Ready")["status"], "False");
    // It may go at any time, and one that refuses says no more than that.
    drop(silent);
    controller.signal("TERM");
    controller.wait_for_log("this was the end: 0");
}

/// Nothing but the authority of a server's certificate, in a file.
#[derive(Debug)]
struct Trusting(PathBuf);

impl Host for Trusting {
    fn env(&self, name: &str) -> Option<OsString> {
        (name == "VAULT_CACERT_BYTES").then(|| fs::read_to_string(&self.0).unwrap().into())
    }
    fn read_secret(&self, path: &Path) -> std::io::Result<SecretBytes> {
        Closed.read_secret(path)
    }
    fn note(&self, _: &str) {}
    fn now(&self) -> jiff::Timestamp {
        Closed.now()
    }
}

/// The authority of Vault's certificate is renewed while the controller runs: what it reads at its start is not for ever.
#[test]
fn a_renewed_authority_of_vault_is_read_again() {
    let tenant = Tenant::new(&CLUSTER, "authority");
    let bao = set_up(Bao::start_tls(), &tenant, "authority");
    let authority = CLUSTER.ca_file().with_file_name("vault-authority.pem");
    fs::copy(CLUSTER.ca_file(), &authority).unwrap();
    let token = crate::common::vault::token(&CLUSTER, &tenant.namespace, "authority-token");
    let flags = [
        format!("--vault-allow={}", bao.address()),
        format!("--vault-token-file={}", token.display()),
        format!("--vault-ca-file={}", authority.display()),
        "--vault-role=sealant".to_owned(),
    ];
    let controller = tenant.start_with("a", &flags.each_ref().map(String::as_str));
    let settings = Settings::of_user(&Trusting(bao.ca_file()), StartedBy::Program).unwrap();
    let settings = settings.allowing(&[bao.address().to_owned()]).unwrap();
    let settings = settings.with_token(SecretString::new(bao.root_token().to_owned()));
    let service = KeyService::new(&Closed, Identities::none()).with_vault(Vault::with_settings(settings));
    let key = TransitKey::new(bao.address(), None, "transit", "shop").unwrap();
    let key = new_key_by(&service, &KeySet::any_of(vec![MasterKey::Vault(key)]));
    CLUSTER.apply(&json(&seal_with(&secret(&tenant.namespace, "db", &[("a", &planted("1"))]), key))).ok();
    CLUSTER.wait_for_reason(&tenant.namespace, "db", "VaultUnavailable");
    fs::copy(bao.ca_file(), &authority).unwrap();
    CLUSTER.wait_for_reason(&tenant.namespace, "db", "Unsealed");
    CLUSTER.wait_for_items(&tenant.namespace, "db", &[("a", &planted("1"))]);
    assert!(
        controller.log().contains("settings or credentials for servers have changed"),
        "{}",
        controller.log()
    );
}

/// The first SealedSecret with a data key that Vault was never asked about: another version of what wraps it.
fn sealed_offline(tenant: &Tenant, many: &str) -> String {
    let first =
        serde_json::Deserializer::from_str(many).into_iter::<serde_json::Value>().next().unwrap().unwrap();
    let mut first = first;
    assert_eq!(first["metadata"]["namespace"], tenant.namespace);
    let enc = first["spec"]["dataKeys"][0]["hcVault"][0]["enc"].as_str().unwrap().to_owned();
    first["spec"]["dataKeys"][0]["hcVault"][0]["enc"] = format!("vault:v1:AAAA{}", &enc[13..]).into();
    first.to_string()
}
