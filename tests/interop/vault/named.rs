//! A server that only a file or a rule names: a person is asked before their token goes there, and nobody else is.

use super::place::{BAO, PLAIN, Place, key};
use super::relay::{Relay, Reply};

const QUESTION: &str = "Log in there with your token? [y/N/always]: ";

/// Two files for a key on a server that is not the user's, and the server, which counts requests.
fn cloned(name: &str) -> (Place, Relay) {
    let test = Place::new();
    let uri = key("transit", name);
    let spy = Relay::before(&BAO, |_, _| Reply::Forward);
    for file in ["a.yaml", "b.yaml"] {
        test.encrypted(file, &[&uri]);
        test.replace(file, BAO.address(), spy.address());
    }
    test.rule(&format!("hc_vault_transit_uri: {}", spy.uri("transit", name)));
    (test, spy)
}

#[test]
fn without_a_terminal_no_command_sends_a_token_there() {
    let (test, spy) = cloned("unnamed");
    test.write("plain.yaml", PLAIN);
    test.write(
        "secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: n, namespace: n}\nstringData: {a: b}\n",
    );
    for args in [
        &["decrypt", "a.yaml"][..],
        &["decrypt", "-i", "."],
        &["get", "a.yaml", "[\"name\"]"],
        &["set", "a.yaml", "[\"name\"]", "\"x\""],
        &["unset", "a.yaml", "[\"name\"]"],
        &["edit", "a.yaml"],
        &["edit", "new.yaml"],
        &["diff", "a.yaml", "b.yaml"],
        &["rewrap", "a.yaml"],
        &["rotate", "-i", "a.yaml"],
        &["exec-env", "a.yaml", "true"],
        &["exec-file", "a.yaml", "true"],
        &["encrypt", "plain.yaml"],
        &["seal", "secret.yaml"],
    ] {
        let editor = test.editor("echo 'a: b' > \"$1\"");
        let output = test.wary_with_token(args).env("EDITOR", editor).run();
        assert!(output.status != 0, "{args:?}\n{output}");
        assert!(output.stderr.contains("you have not named this server"), "{args:?}\n{output}");
        assert!(output.stderr.contains("SOPS_HC_VAULT_ALLOWLIST"), "{args:?}\n{output}");
        assert!(output.stderr.contains("sealant/config.yaml"), "{args:?}\n{output}");
        assert_eq!(spy.requests().len(), 0, "{args:?}");
    }
    for args in
        [&["check", "--verify", "."][..], &["status", "."], &["doctor"], &["updatekeys", "--yes", "."]]
    {
        let _ = test.wary_with_token(args).run();
        assert_eq!(spy.requests().len(), 0, "{args:?}");
    }
}

#[test]
fn by_the_name_of_sops_it_goes_on_as_sops_does() {
    let (test, spy) = cloned("as-sops");
    let output = test.wary_with_token(&["sops", "decrypt", "a.yaml"]).run().ok();
    assert_eq!(output.text(), PLAIN);
    assert_eq!(test.sops(&["decrypt", "a.yaml"]).run().ok().text(), PLAIN);
    assert_eq!(spy.requests().len(), 2);
    let mut terminal = test.wary_with_token(&["sops", "decrypt", "a.yaml"]).on_terminal();
    terminal.wait_for("shop");
    assert!(!terminal.finish().ok().text().contains(QUESTION));
}

#[test]
fn what_is_typed_or_set_names_a_server() {
    let (test, spy) = cloned("typed");
    let uri = spy.uri("transit", "typed");
    test.write("plain.yaml", PLAIN);
    test.wary_with_token(&["encrypt", "--hc-vault-transit", &uri, "plain.yaml"]).run().ok();
    test.wary_with_token(&["encrypt", "plain.yaml"]).env("SOPS_VAULT_URIS", &uri).run().ok();
    test.wary_with_token(&["encrypt", "plain.yaml"]).env("VAULT_ADDR", spy.address()).run().ok();
    test.wary_with_token(&["rotate", "-i", "--add-hc-vault-transit", &uri, "b.yaml"]).run().ok();
    let upper = spy.address().replace("http://", "HTTP://");
    test.wary_with_token(&["decrypt", "a.yaml"]).env("BAO_ADDR", format!("{upper}/")).run().ok();
}

#[test]
fn a_person_is_asked_once_and_the_answer_can_be_kept() {
    let (test, spy) = cloned("asked");
    let decrypt = ["decrypt", "--output-dir", "out", "a.yaml", "b.yaml"];
    let answered = |answer: &str| {
        let mut terminal = test.wary_with_token(&decrypt).on_terminal();
        terminal.wait_for(spy.address());
        terminal.wait_for(QUESTION);
        terminal.send_line(answer);
        terminal.finish()
    };
    let output = answered("").code(128);
    assert_eq!(output.text().matches(QUESTION).count(), 1, "{output}");
    assert_eq!((spy.requests().len(), test.path("out/a.yaml").exists()), (0, false));

    let output = answered("y").ok();
    assert_eq!(output.text().matches(QUESTION).count(), 1, "{output}");
    assert_eq!(test.read_text("out/a.yaml"), PLAIN);

    let before = format!("# mine\naudit: {{log: \"{}\"}}   # kept\n", test.path("audit.log").display());
    test.settings(&before);
    let output = answered("always").ok();
    assert!(output.text().contains("to `servers` in "), "{output}");
    let kept = test.read_text(test.home(".config/sealant/config.yaml"));
    assert_eq!(kept, format!("{before}vault:\n  servers:\n    - address: {}\n", spy.address()));
    test.wary_with_token(&["decrypt", "a.yaml"]).run().ok();
    let mut terminal = test.wary_with_token(&["decrypt", "a.yaml"]).on_terminal();
    terminal.wait_for("shop");
    assert!(!terminal.finish().ok().text().contains(QUESTION));
}

#[test]
fn an_entry_with_a_path_binds_the_namespace() {
    let test = Place::new();
    let spy = Relay::before(&BAO, |_, _| Reply::Forward);
    let uri = key("team-a/transit", "bound");
    test.write(
        "plain.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: n, namespace: n}\nstringData: {a: b}\n",
    );
    let sealed = test.sealant(&["seal", "--hc-vault-transit", &uri, "plain.yaml"]).run().ok();
    let sealed = sealed.text().replace(BAO.address(), spy.address());
    test.write("own.yaml", &sealed);
    let theirs =
        sealed.replace("enginePath: team-a", "namespace: other-tenant\n          enginePath: team-a");
    assert_ne!(theirs, sealed);
    test.write("theirs.yaml", theirs);
    let list = format!("{}/v1/team-a/transit/", spy.address());
    let unseal = |file: &str| test.sealant(&["unseal", file]).env("SOPS_HC_VAULT_ALLOWLIST", &list);
    let _ = unseal("theirs.yaml").fails(128, &["other-tenant", "not allowed"]);
    assert_eq!(spy.requests().len(), 0);
    unseal("own.yaml").run().ok();
    assert_eq!(spy.requests().len(), 1);
}
