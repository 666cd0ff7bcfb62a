//! Keys of Huawei Cloud KMS beside the real sops and Huawei's own client, before a server that stands in for Huawei Cloud.

use std::fs;
use std::time::Instant;

use sealant_test_support::{HuaweiKms, PLANTED};

use super::cloud::{By, both_open, ours, says, theirs};
use super::{PLAIN, sandbox, x25519};

const BOTH: [By<HuaweiKms>; 2] = [ours, theirs];

#[test]
fn the_server_speaks_as_huawei_does() {
    let kms = HuaweiKms::start();
    let said = kms.sdk(&format!(
        "
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkkms.v2 import KmsClient, EncryptDataRequest, EncryptDataRequestBody, DecryptDataRequest
from huaweicloudsdkkms.v2 import DecryptDataRequestBody
def client(secret):
    credentials = BasicCredentials('ACCESS', secret, 'project1')
    return KmsClient.new_builder().with_credentials(credentials).with_endpoint('ENDPOINT').build()
body = EncryptDataRequestBody(key_id='{key}', plain_text='YW55')
blob = client('PLANTED-sk').encrypt_data(EncryptDataRequest(body=body)).cipher_text
request = DecryptDataRequest(body=DecryptDataRequestBody(cipher_text=blob, key_id='{key}'))
print(client('PLANTED-sk').decrypt_data(request).plain_text)
try:
    client('PLANTED-wrong').decrypt_data(request)
except Exception as error:
    print(error.error_code)
",
        key = kms.uuid(1)
    ));
    assert_eq!(said, "YW55\nAPIGW.0301");
}

#[test]
fn what_one_encrypts_for_a_huawei_key_the_other_opens() {
    let (test, kms) = (sandbox(), HuaweiKms::start());
    let keys = format!("{},{}", kms.key(1), kms.key(2));
    let mut entries = Vec::new();
    for (file, plain) in
        [("a.yaml", PLAIN), ("a.json", "{\n\t\"a\": 1\n}\n"), ("a.env", "A=1\n"), ("a.bin", "any\n")]
    {
        for encrypt in BOTH {
            test.write(file, plain);
            encrypt(&kms, &test, &["encrypt", "-i", "--hckms", &keys, file]).run().ok();
            both_open(&kms, &test, file, plain);
            if file == "a.yaml" {
                let text = test.read_text(file);
                let (_, text) = text.split_once("    hckms:\n").expect("entries");
                let (text, _) = text.split_once("    lastmodified").expect("the rest of the block");
                let named = |line: &str| line.split_once(": ").expect("a field").0.to_owned();
                entries.push(text.lines().map(named).collect::<Vec<_>>());
            }
            test.write(file, plain);
            let by_variable = encrypt(&kms, &test, &["encrypt", "-i", file]);
            by_variable.env("SOPS_HUAWEICLOUD_KMS_IDS", kms.key(3)).run().ok();
            both_open(&kms, &test, file, plain);
        }
    }
    assert_eq!(entries[0], entries[1]);
}

#[test]
fn files_of_huawei_keys_are_changed_by_both_alone_and_in_groups() {
    let (test, kms) = (sandbox(), HuaweiKms::start());
    let (one, two) = (kms.key(1), kms.key(2));
    let [age] = x25519(&test);
    let rule = |keys: &str| test.write(".sops.yaml", format!("creation_rules:\n  - hckms: [{keys}]\n"));
    let changed = PLAIN.replace("a: 1", "a: 2");
    for (change, other) in [(BOTH[0], BOTH[1]), (BOTH[1], BOTH[0])] {
        test.write("a.yaml", PLAIN);
        rule(&format!("\"{one}\""));
        other(&kms, &test, &["encrypt", "-i", "a.yaml"]).run().ok();
        change(&kms, &test, &["rotate", "-i", "a.yaml"]).run().ok();
        change(&kms, &test, &["set", "a.yaml", "[\"a\"]", "2"]).run().ok();
        both_open(&kms, &test, "a.yaml", &changed);
        rule(&format!("\"{one}\", \"{two}\""));
        change(&kms, &test, &["updatekeys", "-y", "a.yaml"]).run().ok();
        assert_eq!(test.read_text("a.yaml").matches("key_id: ").count(), 2);
        fs::remove_file(test.path(".sops.yaml")).expect("the config is there");
        let rotate = ["rotate", "-i", "--rm-hckms", &one, "--add-age", &age.recipient, "a.yaml"];
        change(&kms, &test, &rotate).run().ok();
        both_open(&kms, &test, "a.yaml", &changed);
    }
    test.write(".sops.yaml", format!(
        "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - hckms: [{{key_id: '{one}'}}]\n      \
         - age: ['{}']\n      - hckms: [{{key_id: '{two}'}}]\n",
        age.recipient
    ));
    for encrypt in BOTH {
        test.write("a.yaml", PLAIN);
        encrypt(&kms, &test, &["encrypt", "-i", "a.yaml"]).run().ok();
        for open in BOTH {
            let decrypt = || open(&kms, &test, &["decrypt", "a.yaml"]);
            assert_eq!(decrypt().run().ok().text(), PLAIN);
            kms.fault(&kms.uuid(1), "disabled", 1);
            decrypt().run().code(128);
            kms.fault(&kms.uuid(1), "disabled", 1);
            assert_eq!(decrypt().env("SOPS_AGE_KEY", &age.secret).run().ok().text(), PLAIN);
        }
    }
}

#[test]
fn two_hundred_files_take_a_request_each_and_sixteen_at_a_time() {
    let (test, kms) = (sandbox(), HuaweiKms::start());
    test.write(".sops.yaml", format!("creation_rules:\n  - hckms: ['{}']\n", kms.key(1)));
    for number in 0..200 {
        test.write(format!("d/{number}.yaml"), format!("a: {number}\n"));
    }
    let counts = || ["/encrypt-data", "/decrypt-data", "/v3/projects"].map(|what| kms.count(what));
    ours(&kms, &test, &["encrypt", "-i", "--yes", "d"]).run().ok();
    assert_eq!(counts(), [200, 0, 0]);
    // A copy has the same wrapped key.
    test.write("d/copy.yaml", test.read_text("d/0.yaml"));
    ours(&kms, &test, &["decrypt", "--output-dir", "plain", "d"]).run().ok();
    assert_eq!(counts(), [200, 200, 0]);
    assert!((2..=16).contains(&kms.most_at_once()), "{}", kms.most_at_once());
}

#[test]
fn credentials_are_found_where_sops_finds_them() {
    let (test, kms) = (sandbox(), HuaweiKms::start());
    test.write("a.yaml", PLAIN);
    theirs(&kms, &test, &["encrypt", "-i", "--hckms", &kms.key(1), "a.yaml"]).run().ok();
    let file =
        "[basic]\nak = ACCESS\nsk = PLANTED-sk\nproject_id = project1\nsecurity_token = PLANTED-token\n";
    test.write("../home/.huaweicloud/credentials", file);
    test.write("credentials", file);
    let path = test.path("credentials");
    for sops in [true, false] {
        let run = || {
            kms.beside(if sops {
                test.sops(&["decrypt", "a.yaml"])
            } else {
                test.sealant(&["decrypt", "a.yaml"])
            })
        };
        assert_eq!(run().run().ok().text(), PLAIN);
        assert_eq!(run().env("HUAWEICLOUD_SDK_CREDENTIALS_FILE", &path).run().ok().text(), PLAIN);
        let keys = [("HUAWEICLOUD_SDK_AK", "ACCESS"), ("HUAWEICLOUD_SDK_SK", "PLANTED-sk")];
        let more =
            [("HUAWEICLOUD_SDK_PROJECT_ID", "project1"), ("HUAWEICLOUD_SDK_SECURITY_TOKEN", "PLANTED-token")];
        let by_variables =
            keys.into_iter().chain(more).fold(run(), |run, (name, value)| run.env(name, value));
        assert_eq!(by_variables.run().ok().text(), PLAIN);
    }
    // IAM says which project is meant. sops asks it by TLS alone.
    let iam = |file: &str| {
        let run = ours(&kms, &test, &["decrypt", file]).env("HUAWEICLOUD_SDK_PROJECT_ID", "");
        run.env("HUAWEICLOUD_SDK_IAM_ENDPOINT", kms.address())
    };
    assert_eq!(iam("a.yaml").run().ok().text(), PLAIN);
    assert_eq!(kms.count("/v3/projects?name=tr-west-1"), 1);
    test.write("b.yaml", test.read_text("a.yaml").replace("tr-west-1", "af-south-1"));
    says(
        iam("b.yaml").run(),
        &["you have several projects in the region af-south-1", "HUAWEICLOUD_SDK_PROJECT_ID"],
    );
}

#[test]
fn an_error_says_what_is_wrong_with_the_key() {
    let (test, kms) = (sandbox(), HuaweiKms::start());
    let key = kms.key(1);
    test.write("a.yaml", PLAIN);
    ours(&kms, &test, &["encrypt", "-i", "--hckms", &key, "a.yaml"]).run().ok();
    let decrypt = || ours(&kms, &test, &["decrypt", "a.yaml"]);
    for (fault, words) in [
        ("unauthenticated", "rejects the access key"),
        ("denied", "kms:cmk:decrypt"),
        ("missing", "there is no such key"),
        ("disabled", "the key is disabled"),
        ("deleted", "about to be deleted"),
        ("closed", "KMS cannot decrypt it"),
    ] {
        kms.fault(&kms.uuid(1), fault, 1);
        says(decrypt().run(), &[words, &key]);
    }
    for (fault, times, seconds) in [("throttled", 2, 2), ("unavailable", 2, 0), ("slow", 1, 2)] {
        kms.fault(&kms.uuid(1), fault, times);
        let since = Instant::now();
        assert_eq!(decrypt().run().ok().text(), PLAIN, "{fault}");
        assert!(since.elapsed().as_secs() >= seconds, "{fault}: {:?}", since.elapsed());
    }
    says(decrypt().env("HUAWEICLOUD_SDK_SK", "PLANTED-wrong").run(), &["rejects the access key"]);
    let nobody = || kms.beside(test.sealant(&["decrypt", "a.yaml"]));
    says(
        nobody().run(),
        &["there are no Huawei Cloud credentials", "The agency of a machine or pod is not asked"],
    );
    for variable in ["HUAWEICLOUD_SDK_IDP_ID", "HC_CONTAINER_CREDENTIALS_FULL_URI"] {
        says(
            nobody().env(variable, "any").run(),
            &["does not take", variable, "HUAWEICLOUD_SDK_SECURITY_TOKEN"],
        );
    }
    let down = decrypt().env("HUAWEICLOUD_SDK_REGION_KMS_TR_WEST_1", "http://127.0.0.1:9");
    says(down.run(), &["cannot be reached", &key]);
    test.write("d.yaml", PLAIN);
    for id in ["evil.test/:k", "tr-west-1"] {
        let output = ours(&kms, &test, &["encrypt", "--hckms", id, "d.yaml"]).run();
        assert!(
            output.stderr.contains(&format!("`{id}` is not the name of a key of Huawei Cloud KMS: ")),
            "{output}"
        );
    }
    kms.fault(&kms.uuid(1), "denied", 1);
    let refused = ours(&kms, &test, &["encrypt", "-i", "--hckms", &key, "d.yaml"]).run();
    assert!(refused.stderr.contains("kms:cmk:encrypt"), "{}", refused.stderr);
    assert_eq!(test.read_text("d.yaml"), PLAIN);
    let before = kms.requests().len();
    test.write(".sops.yaml", format!("creation_rules:\n  - hckms: ['{key}']\n"));
    let doctor = ours(&kms, &test, &["doctor"]).run();
    assert!(doctor.text().contains("HUAWEICLOUD_SDK_AK: the access key ACCESS"), "{doctor}");
    assert!(!format!("{}{}", doctor.text(), doctor.stderr).contains(PLANTED), "{doctor}");
    assert_eq!(kms.requests().len(), before);
}
