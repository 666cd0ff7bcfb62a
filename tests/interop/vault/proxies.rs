//! Through which proxy of the environment a token goes: through none that the real sops does not use.

use super::place::{BAO, PLAIN, Place, key};
use super::relay::{Relay, Reply};

/// Whether a request to the server of this address goes through the proxy, by ours and by the real sops.
fn goes_through(test: &Place, spy: &Relay, address: &str, variables: &[(&str, &str)]) -> [bool; 2] {
    let uri = format!("{address}/v1/transit/keys/proxied");
    let args = ["encrypt", "--hc-vault-transit", &uri, "f.yaml"];
    // Who goes straight there finds nobody.
    let odd = [("VAULT_MAX_RETRIES", "0"), ("VAULT_CLIENT_TIMEOUT", "1")];
    let seen = |run: &dyn Fn()| {
        let before = spy.requests().len();
        run();
        spy.requests().len() > before
    };
    let ours = seen(&|| drop(test.sealant(&args).envs(&odd).envs(variables).run()));
    let theirs = seen(&|| {
        let all = odd.iter().chain(variables);
        drop(all.fold(test.sops(&args), |run, (name, value)| run.env(name, value)).run());
    });
    [ours, theirs]
}

#[test]
fn no_proxy_sees_what_it_is_told_not_to_see() {
    let test = Place::new();
    key("transit", "proxied");
    test.write("f.yaml", PLAIN);
    let spy = Relay::before(&BAO, |_, _| Reply::Forward);
    let (named, ip) = ("http://vault.corp.test:8200", "http://192.0.2.1:8200");
    for (no_proxy, address, through) in [
        ("", named, true),
        ("vault.corp.test:8200", named, false),
        ("vault.corp.test:8201", named, true),
        ("*.corp.test", named, false),
        ("*.corp.test:8200", named, false),
        (".corp.test", named, false),
        ("corp.test", named, false),
        ("a, vault.corp.test ,b", named, false),
        ("other.test", named, true),
        ("*", named, false),
        ("192.0.2.1", ip, false),
        ("192.0.2.1:8200", ip, false),
        ("192.0.2.1:8201", ip, true),
        ("192.0.2.0/24", ip, false),
        ("192.0.2.1,corp.test", "http://192.0.2.2:8200", true),
    ] {
        for [proxy, except] in [["HTTP_PROXY", "NO_PROXY"], ["http_proxy", "no_proxy"]] {
            let found = goes_through(&test, &spy, address, &[(proxy, spy.address()), (except, no_proxy)]);
            assert_eq!(found, [through; 2], "{except}={no_proxy} {address}");
        }
    }
    for (variables, through) in [
        ([("ALL_PROXY", spy.address()), ("all_proxy", spy.address())], false),
        ([("HTTP_PROXY", ""), ("http_proxy", spy.address())], true),
        ([("HTTPS_PROXY", spy.address()), ("https_proxy", spy.address())], false),
        ([("HTTP_PROXY", spy.address()), ("REQUEST_METHOD", "GET")], false),
        ([("HTTP_PROXY", spy.address().trim_start_matches("http://")), ("NO_PROXY", "")], true),
    ] {
        assert_eq!(goes_through(&test, &spy, named, &variables), [through; 2], "{variables:?}");
    }
}
