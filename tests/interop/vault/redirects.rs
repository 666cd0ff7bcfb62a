//! A standby that sends us to the active server: our token goes along only to where it may go.

use sealant_test_support::Bao;

use super::place::{BAO, PLAIN, Place, key};
use super::relay::{Relay, Reply};

#[test]
fn a_standby_leads_to_the_active_server() {
    let test = Place::new();
    let uri = key("transit", "standby");
    test.encrypted("f.yaml", &[&uri]);
    let active = BAO.address().to_owned();
    let statuses = [307, 308, 301, 302];
    let standby = Relay::before(&BAO, move |number, request| {
        Reply::redirect_by(statuses[number % statuses.len()], request, &active)
    });
    test.replace("f.yaml", BAO.address(), standby.address());
    for _ in statuses {
        assert_eq!(test.sealant(&["decrypt", "f.yaml"]).run().ok().text(), PLAIN);
    }
    let decrypt = |list: Option<&str>| {
        let run = test.sealant(&["decrypt", "f.yaml"]);
        match list {
            Some(list) => run.env("SOPS_HC_VAULT_ALLOWLIST", list),
            None => run,
        }
    };
    assert_eq!(decrypt(None).run().ok().text(), PLAIN);
    let both = format!("{},{}", standby.address(), BAO.address());
    assert_eq!(decrypt(Some(&both)).run().ok().text(), PLAIN);
    assert_eq!(decrypt(Some("all")).run().ok().text(), PLAIN);
    for variable in ["VAULT_DISABLE_REDIRECTS", "BAO_DISABLE_REDIRECTS"] {
        assert_eq!(decrypt(None).env(variable, "false").run().ok().text(), PLAIN);
        let words = [standby.address(), BAO.address(), "VAULT_DISABLE_REDIRECTS forbids"];
        let _ = decrypt(None).env(variable, "true").fails(128, &words);
    }
    let run = test.sops(&["decrypt", "f.yaml"]).env("VAULT_DISABLE_REDIRECTS", "true");
    assert_ne!(run.env("VAULT_MAX_RETRIES", "0").run().status, 0);
    test.write("g.yaml", PLAIN);
    let there = standby.uri("transit", "standby");
    test.sealant(&["encrypt", "-i", "--hc-vault-transit", &there, "g.yaml"]).run().ok();
    assert!(test.read_text("g.yaml").contains(standby.address()), "the file names what it was told");
    test.replace("g.yaml", standby.address(), BAO.address());
    test.opens("g.yaml");
}

#[test]
fn a_token_is_not_led_to_where_it_may_not_go() {
    let test = Place::new();
    let uri = key("transit", "led");
    test.encrypted("f.yaml", &[&uri]);
    let spy = Relay::before(&BAO, |_, _| Reply::Forward);
    let target = spy.address().to_owned();
    let standby = Relay::before(&BAO, move |_, request| Reply::redirect(request, &target));
    test.replace("f.yaml", BAO.address(), standby.address());
    let run = test.sealant(&["decrypt", "f.yaml"]).env("SOPS_HC_VAULT_ALLOWLIST", standby.address());
    let words = [standby.address(), "transit/keys/led", spy.address(), "not allowed"];
    let _ = run.fails(128, &words);
    assert_eq!((standby.requests().len(), spy.requests().len()), (1, 0));
    test.settings(&format!("vault:\n  allow: [\"{}\"]\n", standby.address()));
    let _ = test.wary_with_token(&["decrypt", "f.yaml"]).fails(128, &words);
    assert_eq!(spy.requests().len(), 0);
}

/// Another name is another host, even on this machine.
#[test]
fn without_a_list_no_token_leaves_the_host_that_was_named() {
    let test = Place::new();
    let uri = key("transit", "away");
    test.encrypted("f.yaml", &[&uri]);
    let spy = Relay::before(&BAO, |_, _| Reply::Forward);
    let elsewhere = spy.address().replace("127.0.0.1", "localhost");
    let target = elsewhere.clone();
    let standby = Relay::before(&BAO, move |_, request| Reply::redirect(request, &target));
    test.replace("f.yaml", BAO.address(), standby.address());
    let decrypt = || test.wary_with_token(&["decrypt", "f.yaml"]).env("VAULT_ADDR", standby.address());
    let _ = decrypt().fails(128, &[standby.address(), "transit/keys/away", &elsewhere, "not allowed"]);
    assert_eq!((standby.requests().len(), spy.requests().len()), (1, 0));
    test.settings(&format!("vault:\n  servers:\n    - address: \"{elsewhere}\"\n"));
    assert_eq!(decrypt().run().ok().text(), PLAIN);
    assert_eq!(spy.requests().len(), 1);
}

#[test]
fn a_token_is_not_led_out_of_encryption() {
    let test = Place::new();
    let bao = Bao::start_tls();
    let folder = bao.ca_file().with_file_name("");
    let uri = key("transit", "downgrade");
    test.encrypted("f.yaml", &[&uri]);
    let spy = Relay::before(&BAO, |_, _| Reply::Forward);
    let target = spy.address().to_owned();
    let standby = Relay::tls_before(&BAO, &folder, move |_, request| Reply::redirect(request, &target));
    test.replace("f.yaml", BAO.address(), standby.address());
    let run = |list: &str| {
        let run = test.sealant(&["decrypt", "f.yaml"]).env("VAULT_CACERT", bao.ca_file());
        run.env("SOPS_HC_VAULT_ALLOWLIST", list)
    };
    let both = format!("{},{}", standby.address(), spy.address());
    for list in ["all", &both] {
        let words = [standby.address(), "transit/keys/downgrade", spy.address(), "without encryption"];
        let _ = run(list).fails(128, &words);
    }
    assert_eq!((standby.requests().len(), spy.requests().len()), (2, 0));
    // The other way round is no harm.
    let secure = Relay::tls_before(&BAO, &folder, |_, _| Reply::Forward);
    let target = secure.address().to_owned();
    let standby = Relay::before(&BAO, move |_, request| Reply::redirect(request, &target));
    let old = test.read_text("f.yaml");
    let address = old.lines().find_map(|line| line.split_once("vault_address: ")).expect("an address").1;
    test.replace("f.yaml", address, standby.address());
    assert_eq!(run("all").run().ok().text(), PLAIN);
}

#[test]
fn servers_that_lead_in_a_circle_or_nowhere_come_to_an_end() {
    let test = Place::new();
    let uri = key("transit", "circle");
    test.encrypted("f.yaml", &[&uri]);
    let circle = Relay::before(&BAO, |_, request| {
        let host = request.head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        Reply::redirect(request, &format!("http://{host}"))
    });
    test.replace("f.yaml", BAO.address(), circle.address());
    let run = test.sealant(&["decrypt", "f.yaml"]).within(20);
    let _ = run.fails(128, &[circle.address(), "transit/keys/circle", "elsewhere"]);
    assert!(circle.requests().len() <= 4, "{}", circle.requests().len());

    for location in ["", "Location: \r\n", "Location: ldap://x/\r\n", "Location: http://[\r\n"] {
        let lost = Relay::before(&BAO, move |_, _| Reply::Answer(307, location.to_owned(), String::new()));
        let text = test.read_text("f.yaml");
        let address = text.lines().find_map(|line| line.split_once("vault_address: ")).expect("an address").1;
        test.replace("f.yaml", address, lost.address());
        let _ = test.sealant(&["decrypt", "f.yaml"]).within(20).fails(128, &[lost.address()]);
    }
}
