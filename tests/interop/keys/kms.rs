//! Keys of AWS KMS beside the real sops, before a server that stands in for AWS.

use std::fs;
use std::sync::LazyLock;

use sealant_test_support::{Answering, Gate, Moto, Run, Sandbox};

use super::{PLAIN, sandbox, x25519};

const REGION: &str = "eu-west-1";
const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";

static MOTO: LazyLock<Moto> = LazyLock::new(Moto::start);

fn ours(test: &Sandbox, args: &[&str]) -> Run {
    MOTO.serve(test.sealant(args))
}

fn theirs(test: &Sandbox, args: &[&str]) -> Run {
    MOTO.serve(test.sops(args))
}

fn both_open(test: &Sandbox, file: &str, plain: &str) {
    for run in [ours(test, &["decrypt", file]), theirs(test, &["decrypt", file])] {
        assert_eq!(run.run().ok().text(), plain, "{file}");
    }
}

#[test]
fn what_one_encrypts_for_a_kms_key_the_other_opens() {
    let test = sandbox();
    let key = MOTO.key(REGION);
    for (file, plain) in [
        ("a.yaml", PLAIN),
        ("a.json", "{\n\t\"a\": 1\n}\n"),
        ("a.env", "A=1\n"),
        ("a.ini", "[a]\nb = 1\n"),
        ("a.bin", "any\n"),
    ] {
        for context in [&[][..], &["--encryption-context", "b:2,a:1"]] {
            for encrypt in [ours, theirs] {
                test.write(file, plain);
                encrypt(&test, &[&["encrypt", "-i", "--kms", &key], context, &[file]].concat()).run().ok();
                both_open(&test, file, plain);
            }
        }
    }
}

#[test]
fn a_new_entry_is_written_as_sops_writes_it() {
    let test = sandbox();
    let key = format!("{}+{ROLE}", MOTO.key(REGION));
    let entry = |encrypt: fn(&Sandbox, &[&str]) -> Run| {
        test.write("a.yaml", PLAIN);
        encrypt(&test, &["encrypt", "-i", "--kms", &key, "--encryption-context", "b:2,a:1", "a.yaml"])
            .run()
            .ok();
        let text = test.read_text("a.yaml");
        let (_, text) = text.split_once("    kms:\n").expect("an entry");
        let (entry, _) = text.split_once("    lastmodified").expect("the rest of the block");
        let changes = |line: &&str| !line.contains("enc: ") && !line.contains("created_at: ");
        entry.lines().filter(changes).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(entry(ours), entry(theirs));
}

#[test]
fn files_of_kms_keys_are_changed_by_both() {
    let test = sandbox();
    let (one, two) = (MOTO.key(REGION), MOTO.key("us-east-1"));
    let [age] = x25519(&test);
    let rule = |keys: &str| test.write(".sops.yaml", format!("creation_rules:\n  - kms: \"{keys}\"\n"));
    for (change, other) in
        [(ours as fn(&Sandbox, &[&str]) -> Run, theirs as fn(&Sandbox, &[&str]) -> Run), (theirs, ours)]
    {
        test.write("a.yaml", PLAIN);
        rule(&one);
        other(&test, &["encrypt", "-i", "a.yaml"]).run().ok();
        change(&test, &["rotate", "-i", "a.yaml"]).run().ok();
        both_open(&test, "a.yaml", PLAIN);
        change(&test, &["set", "a.yaml", "[\"a\"]", "2"]).run().ok();
        both_open(&test, "a.yaml", &PLAIN.replace("a: 1", "a: 2"));
        rule(&format!("{one},{two}"));
        change(&test, &["updatekeys", "-y", "a.yaml"]).run().ok();
        assert_eq!(test.read_text("a.yaml").matches("arn: ").count(), 2);
        both_open(&test, "a.yaml", &PLAIN.replace("a: 1", "a: 2"));
        fs::remove_file(test.path(".sops.yaml")).expect("the config is there");
        change(&test, &["rotate", "-i", "--rm-kms", &one, "--add-age", &age.recipient, "a.yaml"]).run().ok();
        assert!(!test.read_text("a.yaml").contains(&one));
        both_open(&test, "a.yaml", &PLAIN.replace("a: 1", "a: 2"));
    }
}

#[test]
fn groups_mix_kms_keys_and_age() {
    let test = sandbox();
    let [age] = x25519(&test);
    let (one, two) = (MOTO.key(REGION), MOTO.key(REGION));
    let config = format!(
        "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - kms: [{{arn: '{one}', context: {{app: shop}}}}]\n      \
         - age: ['{}']\n      - kms: [{{arn: '{two}'}}]\n",
        age.recipient
    );
    test.write(".sops.yaml", config);
    for encrypt in [ours, theirs] {
        test.write("a.yaml", PLAIN);
        encrypt(&test, &["encrypt", "-i", "a.yaml"]).run().ok();
        both_open(&test, "a.yaml", PLAIN);
        // With another context the first group stays closed.
        test.write("a.yaml", test.read_text("a.yaml").replace("app: shop", "app: shup"));
        for open in [ours, theirs] {
            open(&test, &["decrypt", "a.yaml"]).run().code(128);
            let run = open(&test, &["decrypt", "a.yaml"]).env("SOPS_AGE_KEY", &age.secret);
            assert_eq!(run.run().ok().text(), PLAIN);
        }
    }
}

#[test]
fn a_role_is_assumed_when_the_user_has_named_it() {
    let test = sandbox();
    let key = format!("{}+{ROLE}", MOTO.key(REGION));
    for encrypt in [ours, theirs] {
        test.write("a.yaml", PLAIN);
        encrypt(&test, &["encrypt", "-i", "--kms", &key, "a.yaml"]).run().ok();
        let refused = ours(&test, &["decrypt", "a.yaml"]).run().code(128);
        assert!(refused.stderr.contains(&format!("SOPS_KMS_ARN='{key}'")), "{}", refused.stderr);
        let named = ours(&test, &["decrypt", "a.yaml"]).env("SOPS_KMS_ARN", &key);
        assert_eq!(named.run().ok().text(), PLAIN);
        assert_eq!(ours(&test, &["decrypt", "a.yaml"]).called_as("sops").run().ok().text(), PLAIN);
        assert_eq!(theirs(&test, &["decrypt", "a.yaml"]).run().ok().text(), PLAIN);
    }
}

#[test]
fn an_error_says_what_is_wrong_with_the_key() {
    let test = sandbox();
    let key = MOTO.key(REGION);
    test.write("a.yaml", PLAIN);
    ours(&test, &["encrypt", "-i", "--kms", &key, "--encryption-context", "a:1", "a.yaml"]).run().ok();
    let said = |run: Run, words: &str| {
        let output = run.run().code(128);
        assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
    };
    test.write("b.yaml", test.read_text("a.yaml").replace("a: \"1\"", "a: \"2\""));
    said(ours(&test, &["decrypt", "b.yaml"]), "with another context");
    let nowhere = ours(&test, &["decrypt", "a.yaml"]).env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    said(nowhere, "cannot be reached");
    let nobody = ours(&test, &["decrypt", "a.yaml"])
        .env("AWS_ACCESS_KEY_ID", "")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    said(nobody, "there are no AWS credentials");
    let profile =
        ours(&test, &["decrypt", "a.yaml"]).env("AWS_ACCESS_KEY_ID", "").env("AWS_PROFILE", "nobody");
    said(profile, "there is no AWS profile `nobody`");
    test.write("c.yaml", test.read_text("a.yaml").replace(REGION, "evil.example.com/"));
    said(ours(&test, &["decrypt", "c.yaml"]), "not the name of a key of AWS KMS");
}

#[test]
fn profiles_are_those_of_the_sdk() {
    let test = sandbox();
    let key = MOTO.key(REGION);
    test.write("config", format!(
        "[profile base]\naws_access_key_id = a\naws_secret_access_key = b\n[profile deploy]\nrole_arn = {ROLE}\n\
         source_profile = base\n[profile program]\ncredential_process = echo '{{\"Version\": 1, \"AccessKeyId\": \"a\", \
         \"SecretAccessKey\": \"b\"}}'\n"
    ));
    test.write("a.yaml", PLAIN);
    theirs(&test, &["encrypt", "-i", "--kms", &key, "a.yaml"]).run().ok();
    for profile in ["base", "deploy", "program"] {
        // The SDK of sops assumes the role of a profile at AWS alone, whatever AWS_ENDPOINT_URL says.
        let theirs = (profile != "deploy").then(|| test.sops(&["decrypt", "a.yaml"]));
        for run in theirs.into_iter().chain([test.sealant(&["decrypt", "a.yaml"])]) {
            let run = run.env("AWS_CONFIG_FILE", test.path("config")).env("AWS_PROFILE", profile);
            let run = run.env("AWS_ENDPOINT_URL", MOTO.address());
            assert_eq!(run.run().ok().text(), PLAIN, "{profile}");
        }
    }
}

/// Credentials as agents and machines tell them.
fn handed_out() -> String {
    r#"{"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "handed", "SecretAccessKey": "PLANTED-key",
        "Token": "PLANTED-token", "Expiration": "2100-01-01T00:00:00Z"}"#
        .to_owned()
}

/// A file for a key, and a program without any credentials of its own that is to open it.
fn without_credentials(test: &Sandbox) {
    test.write("a.yaml", PLAIN);
    ours(test, &["encrypt", "-i", "--kms", &MOTO.key(REGION), "a.yaml"]).run().ok();
}

fn opens_with(run: Run, variables: &[(&str, String)]) {
    let run = run.env("AWS_ENDPOINT_URL_KMS", MOTO.address()).env("AWS_EC2_METADATA_DISABLED", "true");
    let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
    let output = run.run().ok();
    assert_eq!(output.text(), PLAIN);
    assert!(!output.stderr.contains("PLANTED"), "{output}");
}

fn both(test: &Sandbox) -> [Run; 2] {
    [test.sealant(&["decrypt", "a.yaml"]), test.sops(&["decrypt", "a.yaml"])]
}

/// As in a pod of EKS (IRSA). The SDK of sops asks STS at AWS alone.
#[test]
fn a_web_identity_is_used() {
    let test = sandbox();
    without_credentials(&test);
    test.write("token", "PLANTED-web-identity\n");
    let sts = Gate::before(MOTO.port());
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", test.path("token").display().to_string()),
        ("AWS_ROLE_ARN", ROLE.to_owned()),
        ("AWS_ENDPOINT_URL_STS", sts.address()),
    ];
    opens_with(test.sealant(&["decrypt", "a.yaml"]), &variables);
    assert_eq!(sts.take().passed, 1);
    // Without a role, and without its token.
    for (name, value) in [("AWS_ROLE_ARN", ""), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere")] {
        let run = variables
            .iter()
            .fold(test.sealant(&["decrypt", "a.yaml"]), |run, (name, value)| run.env(name, value));
        let output = run.env(name, value).run().code(128);
        assert!(
            output.stderr.contains(if value.is_empty() { "AWS_ROLE_ARN is not set" } else { "/nowhere" }),
            "{output}"
        );
    }
    assert_eq!(sts.take().passed, 0);
}

/// As in a task of ECS, or a pod of EKS with an identity of its own.
#[test]
fn credentials_of_a_container_are_used() {
    let test = sandbox();
    without_credentials(&test);
    test.write("token", "PLANTED-of-container");
    let agent = Answering::start(|head| {
        let may = head.starts_with("GET /creds ")
            && head.to_lowercase().contains("authorization: planted-of-container\r\n");
        may.then(handed_out)
    });
    for by_file in [true, false] {
        let token = match by_file {
            true => ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", test.path("token").display().to_string()),
            false => ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "PLANTED-of-container".to_owned()),
        };
        for run in both(&test) {
            let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/creds", agent.address()));
            // The SDK of sops takes no region from the key alone for this.
            opens_with(run, &[full, token.clone(), ("AWS_REGION", REGION.to_owned())]);
        }
    }
    assert_eq!(agent.heads().len(), 4);
    let elsewhere = test
        .sealant(&["decrypt", "a.yaml"])
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.test/creds");
    let refused = elsewhere.env("AWS_EC2_METADATA_DISABLED", "true").run().code(128);
    assert!(refused.stderr.contains("is neither https nor on this machine"), "{refused}");
}

/// A machine of AWS, asked as its second version wants it: nothing is told without a token of its own.
#[test]
fn credentials_of_a_machine_are_used() {
    const BASE: &str = "/latest/meta-data/iam/security-credentials/";
    let test = sandbox();
    without_credentials(&test);
    let machine = Answering::start(|head| {
        if head.starts_with("PUT /latest/api/token ") {
            return head
                .to_lowercase()
                .contains("x-aws-ec2-metadata-token-ttl-seconds:")
                .then(|| "PLANTED-session".to_owned());
        }
        if !head.to_lowercase().contains("x-aws-ec2-metadata-token: planted-session\r\n") {
            return None;
        }
        match head.split(' ').nth(1)? {
            BASE => Some("machine-role".to_owned()),
            path if path.strip_prefix(BASE) == Some("machine-role") => Some(handed_out()),
            _ => None,
        }
    });
    // The SDK of sops asks for more, to 404, and does with what it has.
    let endpoint = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.address());
    opens_with(
        test.sealant(&["decrypt", "a.yaml"]),
        &[endpoint, ("AWS_EC2_METADATA_DISABLED", "false".to_owned())],
    );
    let asked: Vec<_> = machine
        .heads()
        .iter()
        .map(|head| head.split(" HTTP").next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        asked,
        ["PUT /latest/api/token".to_owned(), format!("GET {BASE}"), format!("GET {BASE}machine-role")]
    );
}

#[test]
fn the_login_of_a_company_is_used_until_it_ends() {
    let test = sandbox();
    without_credentials(&test);
    let portal = Answering::start(|head| {
        let is_asked =
            head.starts_with("GET /federation/credentials?role_name=deploy&account_id=123456789012 ");
        let is_logged_in = head.to_lowercase().contains("x-amz-sso_bearer_token: planted-login\r\n");
        (is_asked && is_logged_in).then(|| {
            r#"{"roleCredentials": {"accessKeyId": "handed", "secretAccessKey": "PLANTED-key",
                "sessionToken": "PLANTED-token", "expiration": 4102444800000}}"#
                .to_owned()
        })
    });
    test.write(
        "config",
        "[profile of-session]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = deploy\n\
         [sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.test/start\n\
         [profile of-url]\nsso_start_url = https://corp.test/start\nsso_region = eu-west-1\n\
         sso_account_id = 123456789012\nsso_role_name = deploy\n",
    );
    // The names are SHA-1 of `corp` and of the URL, as `aws sso login` has them.
    let login = |ends: &str| {
        for name in [sha1(&test, "corp"), sha1(&test, "https://corp.test/start")] {
            let token = format!(
                r#"{{"accessToken": "PLANTED-login", "expiresAt": "{ends}", "region": "eu-west-1"}}"#
            );
            test.write(format!("../home/.aws/sso/cache/{name}.json"), token);
        }
    };
    let run = |profile: &str| {
        let run = test.sealant(&["decrypt", "a.yaml"]).env("AWS_CONFIG_FILE", test.path("config"));
        run.env("AWS_PROFILE", profile).env("AWS_ENDPOINT_URL_SSO", portal.address())
    };
    login("2100-01-01T00:00:00Z");
    for profile in ["of-session", "of-url"] {
        opens_with(run(profile), &[]);
    }
    login("2026-01-01T00:00:00Z");
    let ended = run("of-url").run().code(128);
    assert!(
        ended.stderr.contains("aws sso login --profile of-url") && !ended.stderr.contains("PLANTED"),
        "{ended}"
    );
    assert_eq!(portal.heads().len(), 2);
}

fn sha1(test: &Sandbox, text: &str) -> String {
    let sum = test.program("sha1sum", &[]).stdin(text).run().ok();
    sum.text().split(' ').next().unwrap_or_default().to_owned()
}

/// The same before a gate.
fn through(gate: &Gate, run: Run) -> Run {
    MOTO.serve(run).env("AWS_ENDPOINT_URL", gate.address())
}

#[test]
fn two_hundred_files_take_two_hundred_requests_a_few_at_a_time() {
    let test = sandbox();
    let (key, gate) = (MOTO.key(REGION), Gate::before(MOTO.port()));
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^secrets/\n    kms: {key}\n"));
    (0..200).for_each(|file| test.write(format!("secrets/{file}.yaml"), format!("a: {file}\n")));
    let run = |args: &[&str]| {
        through(&gate, test.sealant(args)).run().ok();
        let seen = gate.take();
        assert!((2..=16).contains(&seen.at_once), "{args:?}: {seen:?}");
        seen.passed
    };
    assert_eq!(run(&["encrypt", "-i", "secrets"]), 200);
    assert_eq!(run(&["decrypt", "--output-dir", "plain", "secrets"]), 200);
    assert_eq!(test.read_text("plain/secrets/7.yaml"), "a: 7\n");
    // Each is opened and wrapped once.
    assert_eq!(run(&["rotate", "-i", "secrets"]), 400);
}

#[test]
fn one_data_key_is_opened_once_in_however_many_files_it_is() {
    let test = sandbox();
    let (key, gate) = (MOTO.key(REGION), Gate::before(MOTO.port()));
    test.write("a.yaml", PLAIN);
    ours(&test, &["encrypt", "-i", "--kms", &key, "a.yaml"]).run().ok();
    let file = test.read("a.yaml");
    (0..50).for_each(|copy| test.write(format!("copies/{copy}.yaml"), &file));
    through(&gate, test.sealant(&["decrypt", "--output-dir", "plain", "copies"])).run().ok();
    assert_eq!(gate.take().passed, 1);
}

#[test]
fn what_passes_is_waited_for_and_what_does_not_is_told_at_once() {
    let test = sandbox();
    let (key, gate) = (MOTO.key(REGION), Gate::before(MOTO.port()));
    test.write("a.yaml", PLAIN);
    ours(&test, &["encrypt", "-i", "--kms", &key, "a.yaml"]).run().ok();
    let throttled =
        "400 Bad Request\r\n\r\n{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}";
    let denied =
        "400 Bad Request\r\n\r\n{\"__type\":\"AccessDeniedException\",\"message\":\"planted-denial\"}";
    let busy = "503 Service Unavailable\r\nRetry-After: 1\r\n\r\n";
    let decrypt = |answers: &[&str]| {
        gate.refuse(answers);
        through(&gate, test.sealant(&["decrypt", "a.yaml"])).run()
    };
    for answers in [&[throttled, throttled][..], &[busy], &["500 Internal Server Error\r\n\r\n", throttled]] {
        assert_eq!(decrypt(answers).ok().text(), PLAIN, "{answers:?}");
        let seen = gate.take();
        assert_eq!((seen.refused, seen.passed), (answers.len(), 1), "{answers:?}");
    }
    let output = decrypt(&[throttled; 20]).code(128);
    assert!(
        output.stderr.contains("AWS limits the rate of requests") && output.stderr.contains(&key),
        "{output}"
    );
    assert_eq!(gate.take().refused, 5);
    let output = decrypt(&[denied]).code(128);
    assert!(output.stderr.contains(&key), "{output}");
    assert_eq!(gate.take().refused, 1);
    gate.refuse(&[]);
    // Another key of the group opens it.
    let [age] = x25519(&test);
    ours(&test, &["rotate", "-i", "--add-age", &age.recipient, "a.yaml"]).run().ok();
    gate.refuse(&[denied]);
    let run = through(&gate, test.sealant(&["decrypt", "a.yaml"])).env("SOPS_AGE_KEY", &age.secret);
    assert_eq!(run.run().ok().text(), PLAIN);
}

#[test]
fn doctor_says_where_credentials_come_from_and_sends_them_nowhere() {
    let test = sandbox();
    let gate = Gate::before(MOTO.port());
    test.write(".sops.yaml", format!("creation_rules:\n  - kms: {}\n", MOTO.key(REGION)));
    let output = through(&gate, test.sealant(&["doctor"])).run();
    assert!(output.text().contains("credentials of the environment (AWS_ACCESS_KEY_ID)"), "{output}");
    assert!(!output.text().contains("nothing can be decrypted"), "{output}");
    test.write("config", "[profile deploy]\nregion = eu-west-1\n");
    for (profile, said) in [("deploy", "the profile `deploy`"), ("none", "there is no AWS profile `none`")] {
        let run = test.sealant(&["doctor"]).env("AWS_CONFIG_FILE", test.path("config"));
        let output = run.env("AWS_PROFILE", profile).env("AWS_ENDPOINT_URL", gate.address()).run();
        assert!(output.text().contains(said), "{output}");
    }
    assert_eq!(gate.take().passed, 0);
}
