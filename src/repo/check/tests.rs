use super::*;
use crate::config::{Config, Dialect};

const ALICE: &str = "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy";
const BOB: &str = "age1y7vjqnlnw64gvpkcpjawve7el6gesg7f6wvyjanexwqke20yssss4yshtd";
const TOKEN: &str = "ENC[AES256_GCM,data:AA==,iv:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,tag:AAAAAAAAAAAAAAAAAAAAAA==,type:str]";

/// The policy of the only rule of a config.
fn rule(rule: &str) -> Option<Policy> {
    let text = format!("creation_rules:\n  - {rule}\n");
    let config = Config::parse(&text, "/repo/.sops.yaml", Dialect::Sealant).unwrap();
    Some(config.policies().remove(0).unwrap())
}

/// What is found, as `LINE ID`.
fn found(format: Format, text: &str, policy: &Option<Policy>) -> Vec<String> {
    let findings = check(format, SecretBytes::new(text.into()), policy.as_ref()).unwrap().findings;
    findings.iter().map(|finding| format!("{} {}", finding.line, finding.rule.id())).collect()
}

fn messages(text: &str, policy: &Option<Policy>) -> Vec<String> {
    let findings = check(Format::Yaml, SecretBytes::new(text.into()), policy.as_ref()).unwrap().findings;
    findings.into_iter().map(|finding| finding.message).collect()
}

/// A document with these lines and metadata for Alice.
fn encrypted(lines: &str) -> String {
    format!(
        "{lines}sops:\n    age:\n        - recipient: {ALICE}\n          enc: x\n    lastmodified: \"2026-01-01T00:00:00Z\"\n    mac: {TOKEN}\n    unencrypted_suffix: _unencrypted\n    version: 3.13.3\n"
    )
}

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  a: aHVudGVyMg==\n";

/// `cat -n` and editors show no line 3 there; the parser counts the lone carriage return.
#[test]
fn a_lone_carriage_return_ends_no_line() {
    let secrets = rule(&format!("{{path_regex: .*, age: {ALICE}}}"));
    assert_eq!(found(Format::Yaml, "a: b\npassword: x\r\u{1a}", &secrets), ["2 broken"]);
}

#[test]
fn what_a_rule_covers_is_encrypted() {
    let secrets = rule(&format!("{{path_regex: secrets/, age: {ALICE}}}"));
    let all = rule(&format!("{{age: {ALICE}}}"));
    let picks = rule(&format!("{{encrypted_suffix: _enc, age: {ALICE}}}"));
    let flux = rule(&format!("{{path_regex: .*, encrypted_regex: ^(data|stringData)$, age: {ALICE}}}"));
    let token = encrypted(&format!("a: {TOKEN}\nb_unencrypted: 1\n"));
    let config_map = "apiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n";
    use Format::{Binary, Dotenv, Ini, Json, Yaml};
    for (format, text, policy, expected) in [
        (Yaml, "# a\na: 1\nb: 2\n", &secrets, vec!["2 plaintext"]),
        (Json, "{\"a\": 1}", &secrets, vec!["1 plaintext"]),
        (Dotenv, "A=1\n", &secrets, vec!["1 plaintext"]),
        (Ini, "[a]\nb = 1\n", &secrets, vec!["2 plaintext"]),
        (Binary, "x", &secrets, vec!["1 plaintext"]),
        (Yaml, "a: ''\n", &secrets, vec![]),
        (Binary, "", &secrets, vec![]),
        (Yaml, "a: [\n", &secrets, vec!["1 broken"]),
        (
            Yaml,
            &format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 1\n", "0a".repeat(32)),
            &secrets,
            vec!["1 broken"],
        ),
        (Yaml, &token, &secrets, vec![]),
        // A rule for every file does not say that every file is secret, but what it picks is.
        (Yaml, "a: 1\n", &all, vec![]),
        (Yaml, "a: [\n", &all, vec![]),
        (Yaml, "a: 1\nb_enc: 2\n", &picks, vec!["2 plaintext"]),
        (Binary, "x", &picks, vec![]),
        (Yaml, config_map, &flux, vec![]),
        (Yaml, SECRET, &flux, vec!["5 plaintext"]),
        (Yaml, "data: {a: b}\n", &flux, vec!["1 plaintext"]),
        (Yaml, "a: {{ b }}\n", &flux, vec![]),
        (
            Yaml,
            &format!("1: no key of sops\n{}", SECRET.replace("Secret", "\"\\x53ecret\"")),
            &flux,
            vec!["6 kubernetes-secret"],
        ),
        (Yaml, "a: [}\nkind: \"\\x53ecret\"\nstringData: {p: hunter2} # {{ x }}\n", &flux, vec!["1 broken"]),
        (Yaml, "a: [}\ndata: {p: hunter2}\n", &flux, vec!["1 broken"]),
        (Yaml, "a: [}\ndata: {p: hunter2}\n", &all, vec![]),
        (Json, "[{\"kind\": \"x\"}]", &flux, vec![]),
        (Yaml, "# a chart's file that is left empty\n", &flux, vec![]),
    ] {
        assert_eq!(found(format, text, policy), expected, "{format}: {text}");
    }
}

/// A whole map or list may be brought in by an alias or a merge key.
#[test]
fn what_an_alias_brings_in_is_in_plaintext_where_it_appears() {
    let secrets =
        rule(&format!("{{path_regex: secrets/, encrypted_regex: ^(password|secrets)$, age: {ALICE}}}"));
    let all = rule(&format!("{{path_regex: secrets/, age: {ALICE}}}"));
    for entry in ["secrets:\n  <<: *c", "password: *c", "password: [*c]", "password: {a: {<<: [*c]}}"] {
        let text = format!("common: &c\n  apiKey: hunter2\n{entry}\n");
        let line = 3 + entry.matches('\n').count();
        assert_eq!(found(Format::Yaml, &text, &secrets), [format!("{line} plaintext")], "{entry}");
    }
    let list = "common: &c [hunter2, '']\npassword: *c\n";
    assert_eq!(found(Format::Yaml, list, &secrets), ["2 plaintext"]);
    assert_eq!(found(Format::Yaml, "common: &c {a: ''}\npassword: *c\n", &secrets), [""; 0]);
    // In an encrypted file it is one value, by whatever says that it is encrypted.
    for entry in ["token: *b", "token: {<<: *b}"] {
        let text = encrypted(&format!("x_unencrypted: &b {{q: hunter2, r: hunter3}}\n{entry}\na: {TOKEN}\n"));
        for policy in [&all, &None] {
            let all = found(Format::Yaml, &text, policy);
            assert!(all.contains(&"2 plaintext".to_owned()), "{entry}: {all:?}");
            assert_eq!(all.iter().filter(|one| *one == "2 plaintext").count(), 1, "{all:?}");
        }
    }
    // Nor does one hide what the file's own choice leaves in plaintext under the name of a secret.
    let own = |text: &str| {
        encrypted(&format!("{text}a: {TOKEN}\n"))
            .replace("unencrypted_suffix: _unencrypted", "encrypted_regex: ^a$")
    };
    let anchor = "x: &x {value: hunter2}\n";
    assert_eq!(found(Format::Yaml, &own(&format!("{anchor}password: *x\n")), &None), ["2 own-settings"]);
    assert_eq!(found(Format::Yaml, &own("x: &x {minLength: 8}\npassword: *x\n"), &None), [""; 0]);
}

#[test]
fn nothing_in_a_file_switches_its_rule_off() {
    let secrets = rule(&format!("{{path_regex: secrets/, age: {ALICE}}}"));
    let sealed = "apiVersion: sealant.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: a\n  namespace: b\n  annotations: {c: d}\nspec:\n  encryptedData: {}\n";
    let secret = SECRET.replace("  a: aHVudGVyMg==", "  a: ''");
    let block = encrypted("").replace("age:", "age: # ").replace("# \n", "\n");
    use Format::{Binary, Dotenv, Ini, Json, Yaml};
    for (format, text, expected) in [
        (Yaml, sealed.to_owned(), vec![]),
        (Yaml, format!("# why\n{sealed}  scope: cluster # why\nstatus: {{a: {{b: c}}}}\n"), vec![]),
        (Yaml, format!("{sealed}---\npassword: hunter2\n"), vec!["10 plaintext"]),
        (Yaml, format!("password: hunter2\n---\n{sealed}"), vec!["1 plaintext"]),
        (Yaml, format!("{sealed}---\n# password: hunter2\n"), vec!["10 comment"]),
        (Yaml, format!("{sealed}---\n{secret}"), vec![]),
        (Yaml, format!("{sealed}---\n{SECRET}"), vec!["14 plaintext"]),
        (Yaml, format!("{sealed}  stringData: {{a: hunter2}}\n"), vec!["9 plaintext", "9 broken"]),
        (Yaml, format!("{sealed}stringData: {{a: hunter2}}\n"), vec!["9 plaintext", "9 broken"]),
        (Yaml, sealed.replace("name: a", "name: a\n  password: hunter2"), vec!["5 plaintext"]),
        (Yaml, format!("{sealed}  template: {{data: {{a: hunter2}}}}\n"), vec!["9 plaintext"]),
        (Yaml, format!("{sealed}  template: {{data: {{a: '{{{{ .b }}}}'}}}}\n"), vec![]),
        (Yaml, format!("{sealed}  template: {{data: {{a: 'x{{{{ index . \"b\" | upper }}}}'}}}}\n"), vec![]),
        (
            Yaml,
            format!("{sealed}  template: {{data: {{a: '{{{{ \"hunter2\" }}}}'}}}}\n"),
            vec!["9 plaintext"],
        ),
        (Yaml, format!("{sealed}  template: {{data: {{a: '{{{{/* */}}}}hunter2'}}}}\n"), vec!["9 plaintext"]),
        (
            Yaml,
            sealed.replace("c: d", "kubectl.kubernetes.io/last-applied-configuration: hunter2"),
            vec!["6 plaintext"],
        ),
        (Yaml, "sops:\n  password: hunter2\n".into(), vec!["2 plaintext"]),
        (Yaml, "sops: hunter2\n".into(), vec!["1 plaintext"]),
        (Yaml, "\"\\x73ops\": {a: hunter2}\n".into(), vec!["1 plaintext"]),
        (Yaml, "a: ''\n---\nsops:\n  password: hunter2\n".into(), vec!["4 plaintext"]),
        (Json, "{\"sops\": {\"pw\": \"hunter2\"}}".into(), vec!["1 plaintext"]),
        (Ini, "[sops]\npw = hunter2\n".into(), vec!["2 plaintext"]),
        (Dotenv, "sops_pw=hunter2\n".into(), vec!["1 plaintext"]),
        (
            Binary,
            format!("{{\"data\":\"{TOKEN}\",\"sops\":{{\"pw\":\"hunter2\"}}}}"),
            vec!["1 plaintext", "1 broken"],
        ),
        (Binary, "{\"data\":\"\",\"sops\":{\"pw\":\"hunter2\"}}".into(), vec!["1 plaintext"]),
        // Metadata of an encrypted file, and something beside what sops has there.
        (Yaml, block.clone(), vec![]),
        (Yaml, format!("{block}    password: hunter2\n"), vec!["9 plaintext"]),
        (
            Yaml,
            block.replace("          enc: x\n", "          enc: x\n          pw: hunter2\n"),
            vec!["5 plaintext"],
        ),
        (Yaml, block.replace("    mac:", "    # hunter2\n    mac:"), vec!["6 comment"]),
        // Without a MAC and a ciphertext nothing is encrypted.
        (
            Yaml,
            format!("a: hunter2\n{}", block.replace(&format!("    mac: {TOKEN}\n"), "")),
            vec!["1 plaintext", "2 broken"],
        ),
        (Yaml, "# pw: hunter2\n".into(), vec!["1 comment"]),
        (Yaml, "---\n\n# pw: hunter2\n".into(), vec!["3 comment"]),
        (Yaml, "# pw: hunter2\na: 1\n".into(), vec!["2 plaintext"]),
        (Dotenv, "#PASSWORD=hunter2\n".into(), vec!["1 comment"]),
        (Ini, "[a]\n; pw = hunter2\nb =\n".into(), vec!["2 comment"]),
        (
            Yaml,
            format!("# pw: hunter2\n{}", encrypted(&format!("#{TOKEN}\na: {TOKEN}\n"))),
            vec!["1 comment"],
        ),
        (
            Yaml,
            encrypted(&format!("a: {TOKEN} # hunter2\nb_unencrypted: 1 # why\n")),
            vec!["1 comment", "2 comment"],
        ),
        (Yaml, format!("# license\n{secret}"), vec![]),
        (Yaml, secret.replace("''", "'' # hunter2"), vec!["5 comment"]),
    ] {
        assert_eq!(found(format, &text, &secrets), expected, "{format}: {text}");
    }
}

#[test]
fn flat_metadata_are_known_by_their_fields() {
    let secrets = rule(&format!("{{path_regex: secrets/, age: {ALICE}}}"));
    let fields = |line: &dyn Fn(&str, &str) -> String| {
        [
            ("age__list_0__map_recipient", ALICE),
            ("age__list_0__map_enc", "x"),
            ("kms__list_0__map_context__map_a", "b"),
            ("kms__list_0__map_arn", "x"),
            ("lastmodified", "2026-01-01T00:00:00Z"),
            ("mac", TOKEN),
            ("unencrypted_suffix", "_unencrypted"),
            ("version", "3.13.3"),
            ("pw", "hunter2"),
        ]
        .map(|(name, value)| line(name, value))
        .concat()
    };
    let dotenv = format!("A={TOKEN}\n{}", fields(&|name, value| format!("sops_{name}={value}\n")));
    assert_eq!(found(Format::Dotenv, &dotenv, &secrets), ["2 recipients", "10 plaintext"]);
    let ini = format!("[a]\nb = {TOKEN}\n[sops]\n{}", fields(&|name, value| format!("{name} = {value}\n")));
    assert_eq!(found(Format::Ini, &ini, &secrets), ["3 recipients", "12 plaintext"]);
}

#[test]
fn a_value_that_came_into_an_encrypted_file_is_found_and_not_quoted() {
    let text = encrypted(&format!("a: {TOKEN}\nb: {{c: [hunter2]}}\nd: {TOKEN} hunter3\n"));
    assert_eq!(found(Format::Yaml, &text, &None), ["2 plaintext", "3 plaintext"]);
    let told = messages(&text, &None);
    assert_eq!(told[0], "b.c[0] is in plaintext, but the file's metadata says to encrypt it");
    assert!(told.iter().all(|message| !message.contains("hunter")));
    // Something that only looks like a ciphertext hides nothing.
    for made_up in ["data:hunter2,iv:x,tag:y", "data:AA==,iv:AA==,tag:AA=="] {
        let text = encrypted(&format!("a: ENC[AES256_GCM,{made_up},type:str]\n"));
        assert_eq!(found(Format::Yaml, &text, &None), ["1 plaintext"], "{made_up}");
    }
    // The rule may want more than the file says of itself.
    let all = rule(&format!("{{unencrypted_suffix: _plain, age: {ALICE}}}"));
    let text = encrypted(&format!("a: {TOKEN}\nb_unencrypted: 1\n"));
    assert_eq!(found(Format::Yaml, &text, &None), Vec::<String>::new());
    assert_eq!(
        messages(&text, &all),
        [
            "b_unencrypted is in plaintext, but .sops.yaml:2 says to encrypt it",
            "encrypts by `unencrypted_suffix: _unencrypted`, but .sops.yaml:2 says `unencrypted_suffix: _plain`: which \
             leaves a value in plaintext",
        ]
    );
}

#[test]
fn a_rule_about_secrets_counts_in_other_objects_for_all_but_their_data() {
    let flux = rule(&format!("{{path_regex: .*, encrypted_regex: ^(data|stringData)$, age: {ALICE}}}"));
    let more =
        format!("{{path_regex: .*, encrypted_regex: ^(data|stringData|password|token)$, age: {ALICE}}}");
    let more = rule(&more);
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nspec:\n  values:\n";
    let config_map = "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: b\n";
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, data: {a: b}}\n";
    for (text, policy, expected) in [
        (format!("{release}    db:\n      password: hunter2\n"), &more, vec!["6 plaintext"]),
        (format!("{release}    db:\n      password: hunter2\n"), &flux, vec![]),
        (format!("{release}    stringData: {{a: hunter2}}\n"), &flux, vec!["5 plaintext"]),
        (format!("{release}    password: {{data: hunter2}}\n"), &more, vec!["5 plaintext"]),
        (config_map.to_owned(), &more, vec![]),
        (config_map.replace("a:", "token:"), &more, vec!["4 plaintext"]),
        (config_map.replace("a:", "token:"), &flux, vec![]),
        (list.to_owned(), &more, vec![]),
        (format!("{SECRET}---\n{config_map}"), &more, vec!["5 plaintext"]),
    ] {
        assert_eq!(found(Format::Yaml, &text, policy), expected, "{text}");
    }
}

/// What is beside a ciphertext or an armor in the metadata nobody reads, and somebody may have put it there.
#[test]
fn nothing_is_beside_what_is_read_in_the_metadata() {
    let armor = "-----BEGIN AGE ENCRYPTED FILE-----\\nYQ==\\n-----END AGE ENCRYPTED FILE-----";
    let text = |enc: &str, mac: &str| {
        let text = encrypted(&format!("a: {TOKEN}\n"));
        let text = text.replace("enc: x", &format!("enc: \"{enc}\""));
        text.replace(&format!("mac: {TOKEN}"), &format!("mac: \"{mac}\""))
    };
    for (enc, mac, expected) in [
        (format!("{armor}\\n"), TOKEN.to_owned(), vec![]),
        (format!("hunter2\\n{armor}\\n"), TOKEN.to_owned(), vec!["5 plaintext"]),
        (format!("{armor}\\nhunter2\\n"), TOKEN.to_owned(), vec!["5 plaintext"]),
        (format!("{armor}hunter2"), TOKEN.to_owned(), vec!["5 plaintext"]),
        (format!("{armor}\\nhunter2\\n{armor}\\n"), TOKEN.to_owned(), vec!["5 plaintext"]),
        (armor.to_owned(), format!("{TOKEN} hunter2"), vec!["7 plaintext"]),
    ] {
        assert_eq!(found(Format::Yaml, &text(&enc, &mac), &None), expected, "{enc} {mac}");
    }
}

#[test]
fn metadata_cannot_take_back_what_a_rule_implies() {
    let secrets = rule(&format!("{{path_regex: secrets/, age: {ALICE}}}"));
    let all = rule(&format!("{{age: {ALICE}}}"));
    let of = |lines: &str, regex: &str| {
        let regex = format!("encrypted_regex: {regex}");
        encrypted(lines).replace("unencrypted_suffix: _unencrypted", &regex)
    };
    let text = of(&format!("a: {TOKEN}\npassword: hunter2\nb_unencrypted: 1\n"), "^x$");
    assert_eq!(messages(&text, &secrets), ["password is in plaintext, but .sops.yaml:2 says to encrypt it"]);
    // A rule for every file does not say which are secret: names alone do.
    let by_name = "its own `encrypted_regex: ^x$` leaves these in plaintext, and no rule does: password";
    assert_eq!(messages(&text, &all), [by_name]);
    assert_eq!(messages(&text.replace("password", "host"), &all), Vec::<String>::new());
    // Of a Secret only the values are encrypted when nothing else is said.
    let text = of(&SECRET.replace("aHVudGVyMg==", TOKEN), "^(data|stringData)$");
    assert_eq!(messages(&text, &secrets), Vec::<String>::new());
}

#[test]
fn what_is_written_in_utf16_is_looked_at() {
    let utf16 = |text: &str, to_bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{feff}{text}").encode_utf16().flat_map(to_bytes).collect()
    };
    let secrets = rule(&format!("{{path_regex: secrets/, age: {ALICE}}}"));
    let token = encrypted(&format!("a: {TOKEN}\n"));
    let json = format!(
        "{{\"a\": \"{TOKEN}\", \"sops\": {{\"mac\": \"{TOKEN}\", \"lastmodified\": \"2026-01-01T00:00:00Z\", \"version\": \"3.13.3\", \"age\": [{{\"recipient\": \"a\", \"enc\": \"b\"}}]}}}}"
    );
    use Format::{Binary, Yaml};
    for (format, text, policy, expected) in [
        (Yaml, SECRET, &None, vec!["5 kubernetes-secret"]),
        (Yaml, "# \u{1f511}\na: 1\n", &secrets, vec!["2 plaintext"]),
        (Binary, "x", &secrets, vec!["1 plaintext"]),
        (Yaml, "a: 1\n", &None, vec![]),
        (Yaml, &token, &None, vec![]),
        // Neither sops nor we read this.
        (Format::Json, &json, &None, vec!["1 broken"]),
    ] {
        for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let file = SecretBytes::new(utf16(text, to_bytes));
            let findings = check(format, file, policy.as_ref()).unwrap().findings;
            let found: Vec<_> =
                findings.iter().map(|finding| format!("{} {}", finding.line, finding.rule.id())).collect();
            assert_eq!(found, expected, "{format}: {text}");
        }
    }
}

#[test]
fn secrets_in_clear_are_found_without_any_rule() {
    for (text, expected) in [
        (SECRET.to_owned(), vec!["5 kubernetes-secret"]),
        (format!("a: 1\n---\n{SECRET}"), vec!["7 kubernetes-secret"]),
        (SECRET.replace("data:", "stringData:"), vec!["5 kubernetes-secret"]),
        (
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  data: {a: b}\n".into(),
            vec!["6 kubernetes-secret"],
        ),
        (SECRET.replace("aHVudGVyMg==", "''"), vec![]),
        (SECRET.replace("aHVudGVyMg==", "${PASSWORD}"), vec![]),
        (SECRET.replace("aHVudGVyMg==", "'{{ .Values.a }}'"), vec![]),
        (SECRET.replace("aHVudGVyMg==", "'{{ .Values.a }}{{ .Values.b }}'"), vec![]),
        (SECRET.replace("aHVudGVyMg==", "'{{ x }}hunter2{{ y }}'"), vec!["5 kubernetes-secret"]),
        (SECRET.replace("aHVudGVyMg==", "'${USER}:hunter2@${HOST}'"), vec!["5 kubernetes-secret"]),
        (SECRET.replace("aHVudGVyMg==", "'${'"), vec!["5 kubernetes-secret"]),
        (SECRET.replace("name: a", "name: {{ .Values.name }}"), vec!["5 kubernetes-secret"]),
        (SECRET.replace("aHVudGVyMg==", "{{ .Values.a }}"), vec![]),
        (SECRET.replace("v1", "external-secrets.io/v1"), vec![]),
        (SECRET.replace("Secret", "ConfigMap"), vec![]),
        (SECRET.replace("aHVudGVyMg==", "'${hunter2}'"), vec!["5 kubernetes-secret"]),
        (SECRET.replace("aHVudGVyMg==", "'{{ \"hunter2\" }}'"), vec!["5 kubernetes-secret"]),
        (SECRET.replace("Secret", "\"\\x53ecret\""), vec!["5 kubernetes-secret"]),
        (SECRET.replace("Secret", "\"Sec\\\n  ret\""), vec!["6 kubernetes-secret"]),
        (SECRET.replace("Secret", "!!binary U2VjcmV0"), vec!["5 kubernetes-secret"]),
        (SECRET.replace("Secret", "!!str Secret"), vec!["5 kubernetes-secret"]),
        ("v: &v v1\n".to_owned() + &SECRET.replace("v1", "*v"), vec!["6 kubernetes-secret"]),
        (
            format!("x: &x {{stringData: {{p: hunter2}}}}\n{}<<: *x\n", SECRET.replace("aHVudGVyMg==", "''")),
            vec!["1 kubernetes-secret"],
        ),
        ("apiVersion: v1\nkind: SecretList\nitems:\n- data: {a: b}\n".into(), vec!["4 kubernetes-secret"]),
        (SECRET.replace("kind", "kind: ConfigMap\nkind"), vec!["6 kubernetes-secret"]),
        (
            "{{ if .Values.on }}\napiVersion: v1\nkind: Secret\nstringData: {p: hunter2}\n{{ end }}\n".into(),
            vec!["4 kubernetes-secret"],
        ),
    ] {
        assert_eq!(found(Format::Yaml, &text, &None), expected, "{text}");
    }
    let json = r#"{"apiVersion":"v1","kind":"Secret","data":{"a":"b"}}"#;
    assert_eq!(found(Format::Json, json, &None), ["1 kubernetes-secret"]);
    for spelled in ["\"\\u0053ecret\"", "!!binary U2VjcmV0", "Secret"] {
        let json = json.replace("\"Secret\"", spelled);
        assert_eq!(found(Format::Json, &json, &None), ["1 kubernetes-secret"], "{json}");
        assert_eq!(found(Format::Yaml, &json, &None), ["1 kubernetes-secret"], "{json}");
        assert_eq!(found(Format::Json, &format!("[{json},]"), &None), ["1 kubernetes-secret"], "{json}");
    }
    assert_eq!(
        found(Format::Json, &json.replace("\"data\"", "\"kind\":\"Secret\",\"data\""), &None),
        ["1 kubernetes-secret"]
    );
}

#[test]
fn a_secret_is_found_in_what_is_no_text() {
    let json = b"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"x\":\"\xff\",\"data\":{\"a\":\"b\"}}";
    for format in [Format::Json, Format::Yaml] {
        let findings = check(format, SecretBytes::new(json.to_vec()), None).unwrap().findings;
        assert_eq!(findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), [Rule::Secret]);
    }
}

#[test]
fn what_only_speaks_of_sops_is_no_finding_without_a_rule() {
    for text in
        ["sops:\n  enabled: true\n", "sops:\n  mac: x\n  lastmodified: y\n", "a: 1\nsops: [1]\n", "# sops\n"]
    {
        assert_eq!(found(Format::Yaml, text, &None), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn many_findings_take_no_longer_than_the_file_is_long() {
    let start = std::time::Instant::now();
    let values: String = (0..30_000).map(|n| format!("k{n}: hunter2 # note\n")).collect();
    // Values and comments, the first of each one by one.
    assert_eq!(found(Format::Yaml, &encrypted(&values), &None).len(), 2 * (MOST_TOLD + 1));
    let items = "- {apiVersion: v1, kind: Secret, data: {a: b}}\n".repeat(10_000);
    assert_eq!(
        found(Format::Yaml, &format!("apiVersion: v1\nkind: List\nitems:\n{items}"), &None).len(),
        10_000
    );
    let unread = format!("kind: Secret\n{{{{ x }}}}\n{}", "data: {\n".repeat(100_000));
    let error = check(Format::Yaml, SecretBytes::new(unread.into()), None).err().unwrap().to_string();
    assert!(error.contains("nested more than 10000 levels deep"), "{error}");
    let quotes = format!("kind: Secret\n{}", "{{\\\" }}".repeat(100_000));
    assert_eq!(found(Format::Yaml, &quotes, &None), Vec::<String>::new());
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

/// The parser ends at what is before it, and whoever removes that deploys it.
#[test]
fn a_secret_in_json_behind_something_else_is_found() {
    let secret = r#"{"apiVersion":"v1","kind":"Secret","stringData":{"user":"$U","password":"hunter2"}}"#;
    let pretty = "{\n \"kind\" : \"Secret\",\n \"data\": {\n  \"a\": \"aHVudGVyMg==\"\n }\n}";
    for before in ["// comment\n", "junk\n", "<!--\n", "<<<<<<< a\n", "[\n\"\n"] {
        for format in [Format::Json, Format::Yaml] {
            for text in [
                secret,
                pretty,
                "{\"kind\": \"Secret\", \"data\": {\"n\": 1, \"a\": \"aHVudGVyMg==\"}}",
                "{\"kind\": \"Secret\", \"stringData\": {\"a\": 123456}}",
                "{\"kind\": \"Secret\", \"stringData\": {\"e\": \"\", \"a\": \"x\\\"y\"}}",
                "{\"kind\": \"Secret\",\n\"stringData\": {\n// note\n<<<<<<< a\n\"a\": \"hunter2\"\n}}",
                "{\"kind\":\"\\u0053ecret\",\"stringData\":{\"a\":\"hunter2\"}}",
                "{\"kind\":/* x */\"Secret\",\"string\\u0044ata\":/* } */{\"e\":{},/* \" */\"a\":/**/\"hunter2\"}}",
                "{\"kind\":\"Secret\",\"stringData\":{\n// it\"s }\n\"a\":\"hunter2\"}}",
                "{'kind':'Secret','stringData':{'a':'hunter2'}}",
                "{\"kind\":\"SecretList\",\"items\":[{\"data\":{\"a\":\"aHVudGVyMg==\"}}]}",
                "{\"kind\":\n<<<<<<< a\n\"Secret\",\n=======\n\"Secret\",\n>>>>>>> b\n\"data\":{\"a\":\"aHVudGVyMg==\"}}",
            ] {
                let text = format!("{before}{text}\n");
                let found = found(format, &text, &None);
                assert!(found.iter().any(|one| one.ends_with(" kubernetes-secret")), "{text}: {found:?}");
            }
        }
    }
    let template = "// x\n{\"kind\": \"Secret\", \"data\": {\"a\": \"{{ .Values.a }}\"}}\n";
    assert_eq!(found(Format::Json, template, &None), Vec::<String>::new());
    let empty = "// x\n{\"kind\": \"Secret\", \"data\": {\"a\": \"\"}, \"type\": \"Opaque\"}\n";
    assert_eq!(found(Format::Json, empty, &None), Vec::<String>::new());
}

#[test]
fn the_copy_that_kubectl_leaves_is_found_in_encrypted_files_too() {
    let of = |value: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  annotations:\n    \
             kubectl.kubernetes.io/last-applied-configuration: |\n      \
             {{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{{\"a\":\"{value}\"}}}}\ndata:\n  a: {TOKEN}\n"
        )
    };
    let file =
        |value| encrypted(&of(value)).replace("unencrypted_suffix: _unencrypted", "encrypted_regex: ^data$");
    assert_eq!(found(Format::Yaml, &file("aHVudGVyMg=="), &None), ["5 last-applied"]);
    assert_eq!(found(Format::Yaml, &file(TOKEN), &None), Vec::<String>::new());
}

#[test]
fn recipients_are_those_of_the_rule() {
    let text = encrypted(&format!("a: {TOKEN}\n"));
    let of = |recipients: &str| rule(&format!("{{age: '{recipients}'}}"));
    assert_eq!(messages(&text, &of(ALICE)), Vec::<String>::new());
    assert_eq!(found(Format::Yaml, &text, &of(BOB)), ["2 recipients"]);
    let both = format!("has other recipients than .sops.yaml:2 says: it lacks {BOB}");
    assert_eq!(messages(&text, &of(&format!("{ALICE},{BOB}"))), [both.as_str()]);
    assert_eq!(messages(&text, &of(BOB)), [format!("{both}; it has {ALICE}, whom the rule does not name")]);
    let groups = rule(&format!("{{key_groups: [{{age: [{ALICE}]}}, {{age: [{BOB}]}}]}}"));
    assert_eq!(found(Format::Yaml, &text, &groups), ["2 recipients"]);
    let nonsense = rule("{age: nonsense}");
    assert!(check(Format::Yaml, SecretBytes::new(text.into()), nonsense.as_ref()).is_err());
}

#[test]
fn what_is_meant_to_be_encrypted_and_is_not_readable_is_found() {
    let text = encrypted(&format!("a: {TOKEN}\n"));
    let mac = format!("    mac: {TOKEN}\n");
    for (text, expected) in [
        (text.replace("sops:\n", "sops: [\n"), "broken"),
        (text.replace(&mac, ""), "2 broken"),
        (text.replace("    version: 3.13.3\n", "    version: x\n"), "broken"),
        (format!("a: {TOKEN}\n"), "broken"),
        (format!("<<<<<<< a\n{text}=======\n{text}>>>>>>> b\n"), "1 broken"),
        ("apiVersion: sealant.dev/v1alpha1\nkind: SealedSecret\nspec: 1\n".to_owned(), "broken"),
    ] {
        let found = found(Format::Yaml, &text, &None);
        assert!(found.len() == 1 && found[0].ends_with(expected), "{found:?}: {text}");
    }
    assert_eq!(found(Format::Yaml, "a: we use sops\nb: [\n", &None), Vec::<String>::new());
    assert_eq!(found(Format::Binary, "sops writes ENC[AES256_GCM,\n", &None), Vec::<String>::new());
}
