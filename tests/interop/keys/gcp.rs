//! Keys of Google Cloud KMS beside the real sops and Google's own client, before a server that stands in for Google.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use sealant_test_support::{GcpKms, PLANTED, Sandbox};

use super::cloud::{By, both_open, ours, says, theirs};
use super::{PLAIN, sandbox, x25519};

const BOTH: [By<GcpKms>; 2] = [ours, theirs];

#[test]
fn the_server_speaks_as_google_does() {
    let kms = GcpKms::start();
    let said = kms.sdk(&format!(
        "
import json
from google.cloud import kms
from google.oauth2 import service_account
account = json.loads({:?})
scopes = ['https://www.googleapis.com/auth/cloudkms']
credentials = service_account.Credentials.from_service_account_info(account, scopes=scopes)
options = {{'api_endpoint': 'ENDPOINT'}}
client = kms.KeyManagementServiceClient(credentials=credentials, transport='rest', client_options=options)
name = '{}'
blob = client.encrypt(request={{'name': name, 'plaintext': b'any'}}).ciphertext
print(client.decrypt(request={{'name': name, 'ciphertext': blob}}).plaintext.decode())
try:
    client.decrypt(request={{'name': name + 'x', 'ciphertext': blob}})
except Exception as error:
    print(type(error).__name__)
",
        kms.service_account(),
        kms.key("k"),
    ));
    assert_eq!(said, "any\nBadRequest");
}

#[test]
fn what_one_encrypts_for_a_cloud_kms_key_the_other_opens() {
    let (test, kms) = (sandbox(), GcpKms::start());
    let keys = format!("{},{}", kms.key("a"), kms.key("b"));
    for (file, plain) in [
        ("a.yaml", PLAIN),
        ("a.json", "{\n\t\"a\": 1\n}\n"),
        ("a.env", "A=1\n"),
        ("a.ini", "[a]\nb = 1\n"),
        ("a.bin", "any\n"),
    ] {
        for encrypt in BOTH {
            test.write(file, plain);
            encrypt(&kms, &test, &["encrypt", "-i", "--gcp-kms", &keys, file]).run().ok();
            both_open(&kms, &test, file, plain);
            test.write(file, plain);
            let by_variable =
                encrypt(&kms, &test, &["encrypt", "-i", file]).env("SOPS_GCP_KMS_IDS", kms.key("c"));
            by_variable.run().ok();
            both_open(&kms, &test, file, plain);
        }
    }
}

#[test]
fn a_new_entry_is_written_as_sops_writes_it() {
    let (test, kms) = (sandbox(), GcpKms::start());
    let entry = |encrypt: By<GcpKms>| {
        test.write("a.yaml", PLAIN);
        encrypt(&kms, &test, &["encrypt", "-i", "--gcp-kms", &kms.key("a"), "a.yaml"]).run().ok();
        let text = test.read_text("a.yaml");
        let (_, text) = text.split_once("    gcp_kms:\n").expect("an entry");
        let (entry, _) = text.split_once("    lastmodified").expect("the rest of the block");
        let named = |line: &str| line.split_once(": ").expect("a field").0.to_owned();
        entry.lines().map(named).collect::<Vec<_>>()
    };
    assert_eq!(entry(ours), ["        - created_at", "          enc", "          resource_id"]);
    assert_eq!(entry(ours), entry(theirs));
}

#[test]
fn files_of_cloud_kms_keys_are_changed_by_both() {
    let (test, kms) = (sandbox(), GcpKms::start());
    let (one, two) = (kms.key("one"), kms.key("two"));
    let [age] = x25519(&test);
    let rule = |keys: &str| test.write(".sops.yaml", format!("creation_rules:\n  - gcp_kms: \"{keys}\"\n"));
    let changed = PLAIN.replace("a: 1", "a: 2");
    for (change, other) in [(BOTH[0], BOTH[1]), (BOTH[1], BOTH[0])] {
        test.write("a.yaml", PLAIN);
        rule(&one);
        other(&kms, &test, &["encrypt", "-i", "a.yaml"]).run().ok();
        change(&kms, &test, &["rotate", "-i", "a.yaml"]).run().ok();
        both_open(&kms, &test, "a.yaml", PLAIN);
        change(&kms, &test, &["set", "a.yaml", "[\"a\"]", "2"]).run().ok();
        both_open(&kms, &test, "a.yaml", &changed);
        rule(&format!("{one}, {two}"));
        change(&kms, &test, &["updatekeys", "-y", "a.yaml"]).run().ok();
        assert_eq!(test.read_text("a.yaml").matches("resource_id: ").count(), 2);
        both_open(&kms, &test, "a.yaml", &changed);
        fs::remove_file(test.path(".sops.yaml")).expect("the config is there");
        let rotate = ["rotate", "-i", "--rm-gcp-kms", &one, "--add-age", &age.recipient, "a.yaml"];
        change(&kms, &test, &rotate).run().ok();
        assert!(!test.read_text("a.yaml").contains(&one));
        both_open(&kms, &test, "a.yaml", &changed);
        let rotate = ["rotate", "-i", "--add-gcp-kms", &one, "--rm-gcp-kms", &two, "a.yaml"];
        change(&kms, &test, &rotate).run().ok();
        both_open(&kms, &test, "a.yaml", &changed);
    }
}

#[test]
fn groups_mix_cloud_kms_keys_and_age() {
    let (test, kms) = (sandbox(), GcpKms::start());
    let [age] = x25519(&test);
    let (one, two) = (kms.key("one"), kms.key("two"));
    let config = format!(
        "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - gcp_kms: [{{resource_id: '{one}'}}]\n      \
         - age: ['{}']\n      - gcp_kms: [{{resource_id: '{two}'}}]\n",
        age.recipient
    );
    test.write(".sops.yaml", config);
    for encrypt in BOTH {
        test.write("a.yaml", PLAIN);
        encrypt(&kms, &test, &["encrypt", "-i", "a.yaml"]).run().ok();
        both_open(&kms, &test, "a.yaml", PLAIN);
        for open in BOTH {
            let decrypt = || open(&kms, &test, &["decrypt", "a.yaml"]);
            kms.fault(&one, "disabled", 1);
            decrypt().run().code(128);
            kms.fault(&one, "disabled", 1);
            assert_eq!(decrypt().env("SOPS_AGE_KEY", &age.secret).run().ok().text(), PLAIN);
        }
    }
}

#[test]
fn two_hundred_files_take_a_request_each_and_sixteen_at_a_time() {
    let (test, kms) = (sandbox(), GcpKms::start());
    test.write(".sops.yaml", format!("creation_rules:\n  - gcp_kms: {}\n", kms.key("k")));
    for number in 0..200 {
        test.write(format!("d/{number}.yaml"), format!("a: {number}\n"));
    }
    let count = |what: &str| kms.requests().iter().filter(|line| line.contains(what)).count();
    let run = |args: &[&str]| {
        let account = kms.service_account();
        kms.beside(test.sealant(args)).env("GOOGLE_CREDENTIALS", &account).run().ok()
    };
    run(&["encrypt", "-i", "--yes", "d"]);
    assert_eq!((count(":encrypt"), count(":decrypt"), count("/token")), (200, 0, 1));
    // A copy has the same wrapped key.
    test.write("d/copy.yaml", test.read_text("d/0.yaml"));
    run(&["decrypt", "--output-dir", "plain", "d"]);
    assert_eq!((count(":encrypt"), count(":decrypt"), count("/token")), (200, 200, 2));
    assert_eq!(test.read_text("plain/d/199.yaml"), "a: 199\n");
    assert!((2..=16).contains(&kms.most_at_once()), "{}", kms.most_at_once());
}

/// Each way to credentials that both know, and what it is called.
fn credentials(kms: &GcpKms, test: &Sandbox) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let server = kms.address();
    let user = format!(
        r#"{{"type": "authorized_user", "client_id": "i", "client_secret": "PLANTED", "refresh_token":
            "PLANTED-refresh", "token_uri": "{server}/token"}}"#
    );
    let external = |source: &str, more: &str| {
        format!(
            r#"{{"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/x",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "{server}/token",
                "credential_source": {source}{more}}}"#
        )
    };
    test.write("subject", "PLANTED-subject\n");
    let of_file = external(&format!(r#"{{"file": "{}"}}"#, test.path("subject").display()), "");
    let impersonated = format!(
        r#", "service_account_impersonation_url": "{server}/v1/projects/-/serviceAccounts/a:generateAccessToken""#
    );
    let of_aws = |machine: &str| {
        external(&format!(r#"{{"environment_id": "aws1"{machine}}}"#), "")
            .replace("urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:aws:token-type:aws4_request")
    };
    let of_machine = format!(
        r#", "region_url": "{server}/aws/region", "url": "{server}/aws/key",
            "imdsv2_session_token_url": "{server}/aws/session""#
    );
    let of_ci = external(
        &format!(
            r#"{{"url": "{server}/oidc", "headers": {{"x-runner": "PLANTED-runner"}},
                "format": {{"type": "json", "subject_token_field_name": "value"}}}}"#
        ),
        &impersonated,
    );
    let file = |name: &str, content: &str| {
        test.write(name, content);
        test.path(name).display().to_string()
    };
    let printed = r#"{"version": 1, "success": true, "token_type": "urn:ietf:params:oauth:token-type:id_token",
        "id_token": "PLANTED-subject"}"#;
    let script =
        file("token", &format!("#!/bin/sh\ntest $1 = for && echo '{printed}' > $2.out; cat $2.out\n"));
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a script");
    let by_program = external(&format!(r#"{{"executable": {{"command": "{script} for {script}"}}}}"#), "");
    let of_another_universe = kms.service_account().replacen('{', r#"{"universe_domain": "other.test","#, 1);
    let by_user =
        format!(r#"{{"type": "impersonated_service_account", "source_credentials": {user}{impersonated}}}"#);
    vec![
        ("a service account", vec![("GOOGLE_CREDENTIALS", kms.service_account())]),
        ("its file", vec![("GOOGLE_CREDENTIALS", file("sa.json", &kms.service_account()))]),
        ("by default", vec![("GOOGLE_APPLICATION_CREDENTIALS", test.path("sa.json").display().to_string())]),
        ("a workload's token in a file", vec![("GOOGLE_APPLICATION_CREDENTIALS", file("ci.json", &of_file))]),
        ("a workload's token of a server", vec![("GOOGLE_CREDENTIALS", of_ci)]),
        (
            "a program",
            vec![
                ("GOOGLE_CREDENTIALS", by_program),
                ("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1".to_owned()),
            ],
        ),
        (
            "an access key of AWS",
            vec![
                ("GOOGLE_CREDENTIALS", of_aws("")),
                ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "PLANTED-aws-secret".to_owned()),
                ("AWS_SESSION_TOKEN", "PLANTED-aws-session".to_owned()),
                ("AWS_REGION", "us-east-1".to_owned()),
            ],
        ),
        ("a machine of AWS", vec![("GOOGLE_CREDENTIALS", of_aws(&of_machine))]),
        ("the machine", vec![("GCE_METADATA_HOST", kms.authority())]),
        // The client of sops asks Google itself for these.
        ("ours: a user's login", vec![("GOOGLE_CREDENTIALS", user)]),
        ("ours: somebody as a service account", vec![("GOOGLE_CREDENTIALS", by_user)]),
        ("ours: a service account of another universe", vec![("GOOGLE_CREDENTIALS", of_another_universe)]),
    ]
}

#[test]
fn credentials_are_found_where_sops_finds_them() {
    let (test, kms) = (sandbox(), GcpKms::start());
    test.write("a.yaml", PLAIN);
    theirs(&kms, &test, &["encrypt", "-i", "--gcp-kms", &kms.key("k"), "a.yaml"]).run().ok();
    for (name, variables) in credentials(&kms, &test) {
        let theirs = (!name.starts_with("ours: ")).then(|| test.sops(&["decrypt", "a.yaml"]));
        for run in theirs.into_iter().chain([test.sealant(&["decrypt", "a.yaml"])]) {
            let run = variables.iter().fold(kms.beside(run), |run, (name, value)| run.env(name, value));
            assert_eq!(run.run().ok().text(), PLAIN, "{name}");
        }
    }
    test.write("../home/.config/gcloud/application_default_credentials.json", kms.service_account());
    for run in [test.sops(&["decrypt", "a.yaml"]), test.sealant(&["decrypt", "a.yaml"])] {
        assert_eq!(kms.beside(run).run().ok().text(), PLAIN);
    }
}

#[test]
fn no_program_runs_that_the_user_has_not_allowed() {
    let (test, kms) = (sandbox(), GcpKms::start());
    test.write("a.yaml", PLAIN);
    ours(&kms, &test, &["encrypt", "-i", "--gcp-kms", &kms.key("k"), "a.yaml"]).run().ok();
    let decrypt = |command: &str, allowed: &str| {
        let credentials = format!(
            r#"{{"type": "external_account", "audience": "a", "subject_token_type": "t", "token_url": "{}/token",
                "credential_source": {{"executable": {{"command": "{command}"}}}}}}"#,
            kms.address()
        );
        let run = kms.beside(test.sealant(&["decrypt", "a.yaml"])).env("GOOGLE_CREDENTIALS", credentials);
        run.env("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", allowed).run()
    };
    let marker = test.path("ran");
    let touch = format!("touch {}", marker.display());
    for allowed in ["", "0", "true"] {
        says(decrypt(&touch, allowed), &["may not run", "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1"]);
        assert!(!marker.exists(), "{allowed:?}");
    }
    // What lies in a repository is not what the user has named.
    says(decrypt("./get-token", "1"), &["is named by a relative path"]);
    says(decrypt("false", "1"), &["`false` failed"]);
    says(decrypt(&touch, "1"), &["the answer cannot be read"]);
    assert!(marker.exists());
}

#[test]
fn a_token_that_has_ended_is_replaced_once() {
    let (test, kms) = (sandbox(), GcpKms::start());
    let key = kms.key("k");
    test.write("a.yaml", PLAIN);
    ours(&kms, &test, &["encrypt", "-i", "--gcp-kms", &key, "a.yaml"]).run().ok();
    kms.fault(&key, "expired", 1);
    let run =
        kms.beside(test.sealant(&["decrypt", "a.yaml"])).env("GOOGLE_CREDENTIALS", kms.service_account());
    assert_eq!(run.run().ok().text(), PLAIN);
    assert_eq!(kms.requests().iter().filter(|line| line.contains("/token")).count(), 2);
    // What cannot be replaced is told.
    kms.fault(&key, "expired", 9);
    says(ours(&kms, &test, &["decrypt", "a.yaml"]).run(), &["rejects the access token", &key]);
}

#[test]
fn an_error_says_what_is_wrong_with_the_key() {
    let (test, kms) = (sandbox(), GcpKms::start());
    let key = kms.key("k");
    test.write("a.yaml", PLAIN);
    ours(&kms, &test, &["encrypt", "-i", "--gcp-kms", &key, "a.yaml"]).run().ok();
    for (fault, words) in [
        ("unauthenticated", "rejects the access token"),
        ("denied", "roles/cloudkms.cryptoKeyDecrypter"),
        ("missing", "there is no such key"),
        ("disabled", "current state is: DISABLED"),
    ] {
        kms.fault(&key, fault, 1);
        says(ours(&kms, &test, &["decrypt", "a.yaml"]).run(), &[words, &key]);
    }
    test.write("b.yaml", test.read_text("a.yaml").replace(&key, &kms.key("other")));
    says(ours(&kms, &test, &["decrypt", "b.yaml"]).run(), &["it was encrypted by another key"]);
    let nobody = kms.beside(test.sealant(&["decrypt", "a.yaml"]));
    says(nobody.run(), &["there are no Google credentials", "gcloud auth application-default login"]);
    let revoked =
        kms.service_account().replace("a@p", "b@p").replace("/token", "/token?").replace("PRIVATE", "PUBLIC");
    let revoked = kms.beside(test.sealant(&["decrypt", "a.yaml"])).env("GOOGLE_CREDENTIALS", revoked);
    says(revoked.run(), &["is not an RSA key in PEM"]);
    let nowhere =
        ours(&kms, &test, &["decrypt", "a.yaml"]).env("SOPS_GCP_KMS_ENDPOINT", "http://127.0.0.1:9");
    says(nowhere.run(), &["cannot be reached", &key]);
    test.write("d.yaml", PLAIN);
    for (id, why) in [
        (format!("{key}/cryptoKeyVersions/1"), "it names a version"),
        (key.replace("projects/p", "projects/.."), "one of its parts is not a valid name"),
    ] {
        test.write("c.yaml", test.read_text("a.yaml").replace(&key, &id));
        let refused = format!("`{id}` is not the name of a key of Google Cloud KMS: {why}");
        says(ours(&kms, &test, &["decrypt", "c.yaml"]).run(), &[&refused]);
        let output = ours(&kms, &test, &["encrypt", "--gcp-kms", &id, "d.yaml"]).run();
        assert!(
            output.stderr.contains(&refused) && output.stderr.contains("gcloud kms keys list"),
            "{output}"
        );
    }
    kms.fault(&key, "denied", 1);
    let refused = ours(&kms, &test, &["encrypt", "-i", "--gcp-kms", &key, "d.yaml"]).run();
    assert!(refused.stderr.contains("roles/cloudkms.cryptoKeyEncrypter"), "{}", refused.stderr);
    assert_eq!(test.read_text("d.yaml"), PLAIN);
}

#[test]
fn what_passes_is_waited_for() {
    let (test, kms) = (sandbox(), GcpKms::start());
    let key = kms.key("k");
    test.write("a.yaml", PLAIN);
    ours(&kms, &test, &["encrypt", "-i", "--gcp-kms", &key, "a.yaml"]).run().ok();
    for (fault, times, seconds) in [("throttled", 2, 2), ("unavailable", 2, 0), ("slow", 1, 2)] {
        kms.fault(&key, fault, times);
        let since = Instant::now();
        assert_eq!(ours(&kms, &test, &["decrypt", "a.yaml"]).run().ok().text(), PLAIN, "{fault}");
        assert!(since.elapsed().as_secs() >= seconds, "{fault}: {:?}", since.elapsed());
    }
    kms.fault(&key, "unavailable", 9);
    let before = kms.requests().len();
    says(
        ours(&kms, &test, &["decrypt", "a.yaml"]).run(),
        &["Google failed (UNAVAILABLE)", "Try again later"],
    );
    assert_eq!(kms.requests().len() - before, 5);
}

#[test]
fn doctor_says_whose_credentials_it_found_and_sends_them_nowhere() {
    let (test, kms) = (sandbox(), GcpKms::start());
    test.write(".sops.yaml", format!("creation_rules:\n  - gcp_kms: {}\n", kms.key("k")));
    for (variable, value, said) in [
        ("GOOGLE_CREDENTIALS", kms.service_account(), "the service account a@p.iam.gserviceaccount.com"),
        ("GOOGLE_OAUTH_ACCESS_TOKEN", "PLANTED-static-token".to_owned(), "an access token"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json".to_owned(), "/nowhere.json: No such file"),
        ("GCE_METADATA_HOST", kms.authority(), "no credentials, unless this machine has a service account"),
    ] {
        let output = kms.beside(test.sealant(&["doctor"])).env(variable, value).run();
        assert!(output.text().contains(said), "{output}");
        assert!(!format!("{}{}", output.text(), output.stderr).contains(PLANTED), "{output}");
    }
    assert!(kms.requests().is_empty(), "{:?}", kms.requests());
}
