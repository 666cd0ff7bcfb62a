//! Keys of Azure Key Vault beside the real sops and Azure's own client, before a server that stands in for Azure.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use sealant_test_support::{AzureKv, PLANTED, Sandbox};

use super::cloud::{By, both_open, ours, says, theirs};
use super::{PLAIN, sandbox, x25519};

const BOTH: [By<AzureKv>; 2] = [ours, theirs];

#[test]
fn the_server_speaks_as_azure_does() {
    let azure = AzureKv::start();
    let said = azure.sdk(&format!(
        "
from azure.identity import ClientSecretCredential, CertificateCredential
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm
secret = ClientSecretCredential('tenant-1', 'application', 'PLANTED-secret')
certificate = CertificateCredential('tenant-1', 'application', '{}')
key = KeyClient('https://v.vault.azure.net', secret).get_key('k')
print(key.properties.version)
algorithm = EncryptionAlgorithm.rsa_oaep_256
# With the public key, on this machine; then by the vault.
blob = CryptographyClient(key, secret).encrypt(algorithm, b'any').ciphertext
print(CryptographyClient(key.id, certificate).decrypt(algorithm, blob).plaintext.decode())
other = KeyClient('https://v.vault.azure.net', secret).get_key('other')
try:
    CryptographyClient(other.id, secret).decrypt(algorithm, blob)
except Exception as error:
    print(type(error).__name__)
",
        azure.certificate(),
    ));
    assert_eq!(said, "00000000000000000000000000000001\nany\nHttpResponseError");
}

#[test]
fn what_one_encrypts_for_an_azure_key_the_other_opens() {
    let (test, azure) = (sandbox(), AzureKv::start());
    azure.rotate("b");
    let keys = format!("{},{}", azure.version("a", 1), azure.key("b"));
    for (file, plain) in [
        ("a.yaml", PLAIN),
        ("a.json", "{\n\t\"a\": 1\n}\n"),
        ("a.env", "A=1\n"),
        ("a.ini", "[a]\nb = 1\n"),
        ("a.bin", "any\n"),
    ] {
        for encrypt in BOTH {
            test.write(file, plain);
            encrypt(&azure, &test, &["encrypt", "-i", "--azure-kv", &keys, file]).run().ok();
            assert!(test.read_text(file).contains("00000000000000000000000000000002"), "the newest of b");
            both_open(&azure, &test, file, plain);
            test.write(file, plain);
            let by_variable = encrypt(&azure, &test, &["encrypt", "-i", file])
                .env("SOPS_AZURE_KEYVAULT_URLS", azure.key("c"));
            by_variable.run().ok();
            both_open(&azure, &test, file, plain);
        }
    }
}

#[test]
fn a_new_entry_is_written_as_sops_writes_it() {
    let (test, azure) = (sandbox(), AzureKv::start());
    let entry = |encrypt: By<AzureKv>| {
        test.write("a.yaml", PLAIN);
        encrypt(&azure, &test, &["encrypt", "-i", "--azure-kv", &azure.key("a"), "a.yaml"]).run().ok();
        let text = test.read_text("a.yaml");
        let (_, text) = text.split_once("    azure_kv:\n").expect("an entry");
        let (entry, _) = text.split_once("    lastmodified").expect("the rest of the block");
        let field = |line: &str| {
            let (name, value) = line.split_once(": ").expect("a field");
            let is_known = ["name", "vault_url", "version"].iter().any(|known| name.ends_with(known));
            if is_known { line.to_owned() } else { format!("{name} of {}", value.len()) }
        };
        entry.lines().map(field).collect::<Vec<_>>()
    };
    assert_eq!(entry(ours), entry(theirs));
    assert_eq!(entry(ours)[1], "          enc of 342");
}

#[test]
fn files_of_azure_keys_are_changed_by_both() {
    let (test, azure) = (sandbox(), AzureKv::start());
    let (one, two) = (azure.version("one", 1), azure.version("two", 1));
    let [age] = x25519(&test);
    let rule = |keys: &str| {
        test.write(".sops.yaml", format!("creation_rules:\n  - azure_keyvault: \"{keys}\"\n"));
    };
    let changed = PLAIN.replace("a: 1", "a: 2");
    for (change, other) in [(BOTH[0], BOTH[1]), (BOTH[1], BOTH[0])] {
        test.write("a.yaml", PLAIN);
        rule(&one);
        other(&azure, &test, &["encrypt", "-i", "a.yaml"]).run().ok();
        change(&azure, &test, &["rotate", "-i", "a.yaml"]).run().ok();
        both_open(&azure, &test, "a.yaml", PLAIN);
        change(&azure, &test, &["set", "a.yaml", "[\"a\"]", "2"]).run().ok();
        both_open(&azure, &test, "a.yaml", &changed);
        rule(&format!("{one}, {two}"));
        change(&azure, &test, &["updatekeys", "-y", "a.yaml"]).run().ok();
        assert_eq!(test.read_text("a.yaml").matches("vault_url: ").count(), 2);
        both_open(&azure, &test, "a.yaml", &changed);
        fs::remove_file(test.path(".sops.yaml")).expect("the config is there");
        let rotate = ["rotate", "-i", "--rm-azure-kv", &one, "--add-age", &age.recipient, "a.yaml"];
        change(&azure, &test, &rotate).run().ok();
        assert!(!test.read_text("a.yaml").contains("name: one"));
        both_open(&azure, &test, "a.yaml", &changed);
        let rotate = ["rotate", "-i", "--add-azure-kv", &one, "--rm-azure-kv", &two, "a.yaml"];
        change(&azure, &test, &rotate).run().ok();
        both_open(&azure, &test, "a.yaml", &changed);
    }
}

#[test]
fn groups_mix_azure_keys_and_age() {
    let (test, azure) = (sandbox(), AzureKv::start());
    let [age] = x25519(&test);
    let vault = "https://v.vault.azure.net";
    let config = format!(
        "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - azure_keyvault: [{{vaultUrl: '{vault}', key: one, \
         version: '{:032x}'}}]\n      - age: ['{}']\n      - azure_keyvault: [{{vaultUrl: '{vault}', key: two}}]\n",
        1, age.recipient
    );
    test.write(".sops.yaml", config);
    for encrypt in BOTH {
        test.write("a.yaml", PLAIN);
        encrypt(&azure, &test, &["encrypt", "-i", "a.yaml"]).run().ok();
        both_open(&azure, &test, "a.yaml", PLAIN);
        for open in BOTH {
            let decrypt = || open(&azure, &test, &["decrypt", "a.yaml"]);
            azure.fault(&azure.key("one"), "disabled", 1);
            decrypt().run().code(128);
            azure.fault(&azure.key("one"), "disabled", 1);
            assert_eq!(decrypt().env("SOPS_AGE_KEY", &age.secret).run().ok().text(), PLAIN);
        }
    }
}

#[test]
fn a_rule_without_a_version_is_content_with_any() {
    let (test, azure) = (sandbox(), AzureKv::start());
    test.write(".sops.yaml", format!("creation_rules:\n  - azure_keyvault: {}\n", azure.key("k")));
    test.write("a.yaml", PLAIN);
    ours(&azure, &test, &["encrypt", "-i", "a.yaml"]).run().ok();
    azure.rotate("k");
    let (before, requests) = (test.read_text("a.yaml"), azure.requests().len());
    ours(&azure, &test, &["check", "."]).run().ok();
    ours(&azure, &test, &["updatekeys", "-y", "a.yaml"]).run().ok();
    assert_eq!((test.read_text("a.yaml"), azure.requests().len()), (before, requests));
    // A new data key stays with the version of the file, as with sops.
    ours(&azure, &test, &["rotate", "-i", "a.yaml"]).run().ok();
    assert!(test.read_text("a.yaml").contains(&format!("version: {:?}", format!("{:032x}", 1))));
    // Whoever names a version means it.
    test.write(".sops.yaml", format!("creation_rules:\n  - azure_keyvault: {}\n", azure.version("k", 2)));
    ours(&azure, &test, &["check", "."]).run().code(1);
    ours(&azure, &test, &["updatekeys", "-y", "a.yaml"]).run().ok();
    assert!(test.read_text("a.yaml").contains(&format!("{:032x}", 2)));
    both_open(&azure, &test, "a.yaml", PLAIN);
    // Without a version, all are meant to go.
    let [age] = x25519(&test);
    fs::remove_file(test.path(".sops.yaml")).expect("the config is there");
    let key = azure.key("k");
    let rotate = ["rotate", "-i", "--rm-azure-kv", &key, "--add-age", &age.recipient, "a.yaml"];
    ours(&azure, &test, &rotate).run().ok();
    assert!(!test.read_text("a.yaml").contains("vault_url"));
}

#[test]
fn two_hundred_files_take_a_request_each_and_sixteen_at_a_time() {
    let (test, azure) = (sandbox(), AzureKv::start());
    test.write(".sops.yaml", format!("creation_rules:\n  - azure_keyvault: {}\n", azure.key("k")));
    for number in 0..200 {
        test.write(format!("d/{number}.yaml"), format!("a: {number}\n"));
    }
    let counts = || ["encrypt?", "decrypt?", "/token ", "keys/k/?"].map(|what| azure.count(what));
    ours(&azure, &test, &["encrypt", "-i", "--yes", "d"]).run().ok();
    // The vault says what it wants a token for, then which version is the newest.
    assert_eq!(counts(), [200, 0, 1, 2]);
    // A copy has the same wrapped key.
    test.write("d/copy.yaml", test.read_text("d/0.yaml"));
    ours(&azure, &test, &["decrypt", "--output-dir", "plain", "d"]).run().ok();
    assert_eq!(counts(), [200, 201, 2, 2]);
    assert_eq!(azure.count(" 401"), 2);
    assert_eq!(test.read_text("plain/d/199.yaml"), "a: 199\n");
    assert!((2..=16).contains(&azure.most_at_once()), "{}", azure.most_at_once());
}

/// Each way to credentials, and what it is called.
fn credentials(azure: &AzureKv, test: &Sandbox) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let application = |more: (&'static str, String)| {
        let [tenant, client] = [("AZURE_TENANT_ID", "tenant-1"), ("AZURE_CLIENT_ID", "application")]
            .map(|(name, value)| (name, value.to_owned()));
        vec![tenant, client, more]
    };
    let machine = |path: &str, more: Option<(&'static str, &str)>| {
        let variable = if path == "app-service" { "IDENTITY_ENDPOINT" } else { "MSI_ENDPOINT" };
        let more = more.map(|(name, value)| (name, value.to_owned()));
        [(variable, format!("{}/{path}", azure.address()))].into_iter().chain(more).collect::<Vec<_>>()
    };
    let program = |name: &str, said: String| {
        test.write(
            format!("{name}/{name}"),
            format!("#!/bin/sh\ncase $(pwd -P) in */bin) echo '{said}' ;; esac\n"),
        );
        let path = test.path(format!("{name}/{name}"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a script");
        // sops asks the machine first, whatever answers at its address.
        vec![
            ("PATH", format!("{}:/usr/bin:/bin", test.path(name).display())),
            ("AZURE_TOKEN_CREDENTIALS", "dev".to_owned()),
        ]
    };
    test.write("subject", "PLANTED-subject");
    let subject = test.path("subject").display().to_string();
    let metadata = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
    vec![
        ("a secret", application(("AZURE_CLIENT_SECRET", "PLANTED-secret".to_owned()))),
        ("a certificate", application(("AZURE_CLIENT_CERTIFICATE_PATH", azure.certificate()))),
        ("a workload identity", application(("AZURE_FEDERATED_TOKEN_FILE", subject))),
        ("App Service", machine("app-service", Some(("IDENTITY_HEADER", "PLANTED-header")))),
        ("Machine Learning", machine("machine-learning", Some(("MSI_SECRET", "PLANTED-secret")))),
        ("Cloud Shell", machine("cloud-shell", None)),
        ("a virtual machine", vec![("HTTP_PROXY", azure.address()), (metadata, azure.address())]),
        (
            "az",
            program(
                "az",
                format!(
                    r#"{{"accessToken": "{}", "expires_on": 4102444800, "expiresOn": "2100-01-01 00:00:00.000000"}}"#,
                    azure.token()
                ),
            ),
        ),
        (
            "azd",
            program(
                "azd",
                format!(r#"{{"token": "{}", "expiresOn": "2100-01-01T00:00:00Z"}}"#, azure.token()),
            ),
        ),
        (
            "PowerShell",
            program("pwsh", format!(r#"{{"Token": "{}", "ExpiresOn": 4102444800}}"#, azure.token())),
        ),
    ]
}

#[test]
fn credentials_are_found_where_sops_finds_them() {
    let (test, azure) = (sandbox(), AzureKv::start());
    test.write("a.yaml", PLAIN);
    theirs(&azure, &test, &["encrypt", "-i", "--azure-kv", &azure.key("k"), "a.yaml"]).run().ok();
    for (name, variables) in credentials(&azure, &test) {
        for run in [test.sops(&["decrypt", "a.yaml"]), test.sealant(&["decrypt", "a.yaml"])] {
            let run = variables.iter().fold(azure.beside(run), |run, (name, value)| run.env(name, value));
            assert_eq!(run.run().ok().text(), PLAIN, "{name}");
        }
    }
    // Of another cloud of Azure's.
    for open in BOTH {
        let run = open(&azure, &test, &["decrypt", "a.yaml"]);
        let run = run.env("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/");
        assert_eq!(run.run().ok().text(), PLAIN);
    }
    assert_eq!(
        azure.requests().iter().filter(|line| line.contains("POST login.microsoftonline.us")).count(),
        2
    );
}

#[test]
fn the_agent_of_azure_arc_gets_no_file_but_its_own() {
    let (test, azure) = (sandbox(), AzureKv::start());
    test.write("a.yaml", PLAIN);
    ours(&azure, &test, &["encrypt", "-i", "--azure-kv", &azure.key("k"), "a.yaml"]).run().ok();
    for (path, said) in [
        ("arc", "/var/opt/azcmagent/tokens/none.key, which cannot be read"),
        ("arc-elsewhere", "asks for `/etc/hostname.key`, which is not one of its own files"),
    ] {
        let endpoint = format!("{}/{path}", azure.address());
        let run = azure.beside(test.sealant(&["decrypt", "a.yaml"])).env("IDENTITY_ENDPOINT", &endpoint);
        says(run.env("IMDS_ENDPOINT", &endpoint).run(), &[said]);
    }
}

#[test]
fn a_token_that_has_ended_is_replaced_once() {
    let (test, azure) = (sandbox(), AzureKv::start());
    let key = azure.key("k");
    test.write("a.yaml", PLAIN);
    ours(&azure, &test, &["encrypt", "-i", "--azure-kv", &key, "a.yaml"]).run().ok();
    azure.fault(&key, "expired", 1);
    let before = azure.count("/token ");
    assert_eq!(ours(&azure, &test, &["decrypt", "a.yaml"]).run().ok().text(), PLAIN);
    assert_eq!(azure.count("/token ") - before, 2);
    // What cannot be replaced is told.
    azure.fault(&key, "expired", 9);
    says(ours(&azure, &test, &["decrypt", "a.yaml"]).run(), &["rejects the access token", &key]);
}

#[test]
fn an_error_says_what_is_wrong_with_the_key() {
    let (test, azure) = (sandbox(), AzureKv::start());
    let key = azure.key("k");
    test.write("a.yaml", PLAIN);
    ours(&azure, &test, &["encrypt", "-i", "--azure-kv", &key, "a.yaml"]).run().ok();
    for (fault, words) in [
        ("denied", "Key Vault Crypto User"),
        ("missing", "there is no such key"),
        ("disabled", "the key is disabled"),
    ] {
        azure.fault(&key, fault, 1);
        says(ours(&azure, &test, &["decrypt", "a.yaml"]).run(), &[words, &key]);
    }
    test.write("b.yaml", test.read_text("a.yaml").replace("name: k", "name: other"));
    says(ours(&azure, &test, &["decrypt", "b.yaml"]).run(), &["it was encrypted by another key"]);
    test.write("b.yaml", test.read_text("a.yaml").replace("v.vault.azure.net", "down.vault.azure.net"));
    says(ours(&azure, &test, &["decrypt", "b.yaml"]).run(), &["down.vault.azure.net cannot be reached"]);
    let nobody = azure.beside(test.sealant(&["decrypt", "a.yaml"]));
    says(nobody.run(), &["there are no Azure credentials", "`az`: it is not installed", "az login"]);
    let wrong = ours(&azure, &test, &["decrypt", "a.yaml"]).env("AZURE_CLIENT_SECRET", "PLANTED-wrong");
    says(wrong.run(), &["rejects the credentials", "AADSTS7000215"]);
    let foreign = ours(&azure, &test, &["decrypt", "a.yaml"]).env("AZURE_TENANT_ID", "tenant-2");
    says(
        foreign.run(),
        &["the vault belongs to the tenant tenant-1", "AZURE_ADDITIONALLY_ALLOWED_TENANTS=tenant-1"],
    );
    test.write("d.yaml", PLAIN);
    for (name, why) in
        [("k/../../secrets/s", "its version is not valid"), ("k.k/1", "letters, digits and dashes")]
    {
        let id = format!("https://v.vault.azure.net/keys/{name}");
        let refused = format!("`{id}` is not the name of a key of Azure Key Vault: ");
        let output = ours(&azure, &test, &["encrypt", "--azure-kv", &id, "d.yaml"]).run();
        assert!(output.stderr.contains(&refused) && output.stderr.contains(why), "{output}");
        assert!(output.stderr.contains("az keyvault key list"), "{output}");
    }
    azure.fault(&key, "denied", 1);
    let refused =
        ours(&azure, &test, &["encrypt", "-i", "--azure-kv", &azure.version("k", 1), "d.yaml"]).run();
    assert!(refused.stderr.contains("permission encrypt"), "{}", refused.stderr);
    assert_eq!(test.read_text("d.yaml"), PLAIN);
}

#[test]
fn what_passes_is_waited_for() {
    let (test, azure) = (sandbox(), AzureKv::start());
    let key = azure.key("k");
    test.write("a.yaml", PLAIN);
    ours(&azure, &test, &["encrypt", "-i", "--azure-kv", &key, "a.yaml"]).run().ok();
    for (fault, times, seconds) in [("throttled", 2, 2), ("unavailable", 2, 0), ("slow", 1, 2)] {
        azure.fault(&key, fault, times);
        let since = Instant::now();
        assert_eq!(ours(&azure, &test, &["decrypt", "a.yaml"]).run().ok().text(), PLAIN, "{fault}");
        assert!(since.elapsed().as_secs() >= seconds, "{fault}: {:?}", since.elapsed());
    }
    azure.fault(&key, "unavailable", 9);
    let before = azure.requests().len();
    let output = ours(&azure, &test, &["decrypt", "a.yaml"]).run();
    says(output, &["Azure failed (ServiceUnavailable)", "Try again later"]);
    // A challenge, a token, and five tries.
    assert_eq!(azure.requests().len() - before, 7);
}

#[test]
fn no_token_and_no_data_key_goes_to_a_host_that_only_a_file_names() {
    let (test, azure) = (sandbox(), AzureKv::start());
    let elsewhere = "https://vault.example.com/keys/k/1";
    test.write("a.yaml", PLAIN);
    ours(&azure, &test, &["encrypt", "-i", "--azure-kv", &azure.key("k"), "a.yaml"]).run().ok();
    test.write("a.yaml", test.read_text("a.yaml").replace("v.vault.azure.net", "vault.example.com"));
    test.write(".sops.yaml", format!("creation_rules:\n  - azure_keyvault: {elsewhere}\n"));
    test.write("d.yaml", PLAIN);
    let before = azure.requests().len();
    let refused =
        ["is not on Azure, but you have not", "SOPS_AZURE_KEYVAULT_URLS='https://vault.example.com/keys/k/"];
    says(ours(&azure, &test, &["decrypt", "a.yaml"]).run(), &refused);
    let output = ours(&azure, &test, &["encrypt", "-i", "d.yaml"]).run();
    assert!(output.stderr.contains(refused[0]), "{output}");
    assert_eq!((azure.requests().len(), test.read_text("d.yaml")), (before, PLAIN.to_owned()));
    // Whoever names it is asked by it for a token for something else, which it does not get.
    let named = ours(&azure, &test, &["decrypt", "a.yaml"]).env("SOPS_AZURE_KEYVAULT_URLS", elsewhere);
    says(named.run(), &["`https://management.azure.com`, which it does not belong to"]);
    assert_eq!(azure.count("POST login."), 1);
}

#[test]
fn doctor_says_whose_credentials_it_found_and_sends_them_nowhere() {
    let (test, azure) = (sandbox(), AzureKv::start());
    test.write(".sops.yaml", format!("creation_rules:\n  - azure_keyvault: {}\n", azure.key("k")));
    let secret = azure.serve(test.sealant(&["doctor"])).run();
    let nobody = azure.beside(test.sealant(&["doctor"])).run();
    let wrong = azure.serve(test.sealant(&["doctor"])).env("AZURE_AUTHORITY_HOST", "http://evil.test").run();
    for (output, said) in [
        (secret, "AZURE_CLIENT_SECRET: the application application"),
        (nobody, "no credentials, unless this machine has a managed identity"),
        (wrong, "would get secrets, and is not https"),
    ] {
        assert!(output.text().contains(said), "{output}");
        assert!(!format!("{}{}", output.text(), output.stderr).contains(PLANTED), "{output}");
    }
    assert!(azure.requests().is_empty(), "{:?}", azure.requests());
}
