//! SealedSecrets for keys in clouds, before servers that stand in for these.

use std::fs;

use sealant_test_support::{AzureKv, GcpKms, Moto, Run, Sandbox};

use super::{sandbox, with, x25519};

const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: db, namespace: shop}
stringData:
  password: hunter2
  user: app
";

/// A cloud with its keys.
struct Cloud<'c> {
    /// The list of a data key.
    list: &'static str,
    /// The field of a rule.
    field: &'static str,
    keys: [String; 2],
    serve: &'c dyn Fn(Run) -> Run,
}

impl Cloud<'_> {
    fn run(&self, test: &Sandbox, args: &[&str]) -> Run {
        (self.serve)(test.sealant(args))
    }

    fn password(&self, test: &Sandbox) -> String {
        self.run(test, &["get", "db.yaml", "password"]).run().ok().text().to_owned()
    }
}

fn clouds(check: impl Fn(&Cloud)) {
    let (moto, gcp, azure) = (Moto::start(), GcpKms::start(), AzureKv::start());
    check(&Cloud {
        list: "awsKms",
        field: "kms",
        keys: [moto.key("eu-west-1"), moto.key("us-east-1")],
        serve: &|run| moto.serve(run),
    });
    check(&Cloud {
        list: "gcpKms",
        field: "gcp_kms",
        keys: [gcp.key("one"), gcp.key("two")],
        serve: &|run| gcp.serve(run),
    });
    check(&Cloud {
        list: "azureKv",
        field: "azure_keyvault",
        keys: [azure.key("one"), azure.key("two")],
        serve: &|run| azure.serve(run),
    });
}

#[test]
fn a_key_in_a_cloud_is_a_recipient_like_any_other() {
    clouds(|cloud| {
        let test = sandbox();
        let [age] = x25519(&test);
        let [one, two] = &cloud.keys;
        let rule = |keys: &str| {
            let rule =
                format!("creation_rules:\n  - {}: '{keys}'\n    age: {}\n", cloud.field, age.recipient);
            test.write(".sops.yaml", rule);
        };
        rule(one);
        test.write("plain.yaml", SECRET);
        cloud.run(&test, &["seal", "plain.yaml", "--output", "db.yaml"]).run().ok();
        fs::remove_file(test.path("plain.yaml")).expect("it is there");
        assert!(test.read_text("db.yaml").contains(&format!("      {}:\n", cloud.list)));
        assert_eq!(cloud.password(&test), "hunter2");
        let by_age = with(test.sealant(&["get", "db.yaml", "password"]), &[&age]).run().ok();
        assert_eq!(by_age.text(), "hunter2");

        // Without credentials it stays shut, and says which key would open it.
        let shut = test.sealant(&["unseal", "db.yaml"]).env("AWS_EC2_METADATA_DISABLED", "true").run();
        let shut = shut.code(128);
        let id = one.trim_start_matches("https://");
        assert!(shut.stderr.contains(id) && !shut.stderr.contains("hunter2"), "{shut}");

        // Values are set, new data keys made, recipients changed: by the cloud's key alone.
        cloud.run(&test, &["set", "db.yaml", "password", "other"]).run().ok();
        assert_eq!(cloud.password(&test), "other");
        cloud.run(&test, &["rotate", "-i", "db.yaml"]).run().ok();
        assert_eq!(cloud.password(&test), "other");
        rule(&format!("{one},{two}"));
        let stale = cloud.run(&test, &["check"]).run().code(1);
        assert!(format!("{}{}", stale.text(), stale.stderr).contains(two.as_str()), "{stale}");
        cloud.run(&test, &["updatekeys", "-y", "db.yaml"]).run().ok();
        cloud.run(&test, &["check"]).run().ok();
        let readers = test.sealant(&["who-can-decrypt", "db.yaml"]).run().ok();
        let inspected = test.sealant(&["inspect", "db.yaml"]).run().ok();
        for key in [one, two] {
            assert!(readers.text().contains(key.as_str()), "{readers}");
            assert!(inspected.text().contains(key.as_str()), "{inspected}");
        }
        rule(two);
        cloud.run(&test, &["updatekeys", "-y", "--rotate", "db.yaml"]).run().ok();
        assert!(!test.read_text("db.yaml").contains(one.as_str()));
        assert_eq!(cloud.password(&test), "other");
        cloud.run(&test, &["rewrap", "db.yaml"]).run().ok();
        assert_eq!(cloud.password(&test), "other");
    });
}

#[test]
fn a_data_key_is_shared_out_to_a_cloud_and_a_person() {
    clouds(|cloud| {
        let test = sandbox();
        let [age] = x25519(&test);
        let [one, _] = &cloud.keys;
        let key = match (cloud.field, one.split_once("/keys/")) {
            ("kms", _) => format!("{{arn: '{one}', context: {{app: shop}}}}"),
            (_, Some((vault, key))) => format!("{{vaultUrl: '{vault}', key: {key}}}"),
            _ => format!("{{resource_id: '{one}'}}"),
        };
        test.write(
            ".sops.yaml",
            format!(
                "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - {}: [{key}]\n      - age: ['{}']\n",
                cloud.field, age.recipient
            ),
        );
        test.write("plain.yaml", SECRET);
        cloud.run(&test, &["seal", "plain.yaml", "--output", "db.yaml"]).run().ok();
        cloud.run(&test, &["unseal", "db.yaml"]).run().code(128);
        with(test.sealant(&["unseal", "db.yaml"]), &[&age]).run().code(128);
        let both = with(cloud.run(&test, &["get", "db.yaml", "password"]), &[&age]).run().ok();
        assert_eq!(both.text(), "hunter2");
    });
}

/// The encryption context is part of what was wrapped: without it, or with another one, KMS opens nothing.
#[test]
fn a_context_that_differs_opens_nothing() {
    let (test, moto) = (sandbox(), Moto::start());
    let key = moto.key("eu-west-1");
    test.write("plain.yaml", SECRET);
    let seal =
        ["seal", "--kms", &key, "--encryption-context", "app:shop", "plain.yaml", "--output", "db.yaml"];
    moto.serve(test.sealant(&seal)).run().ok();
    let get = || moto.serve(test.sealant(&["get", "db.yaml", "password"])).run();
    assert_eq!(get().ok().text(), "hunter2");
    let text = test.read_text("db.yaml");
    assert!(text.contains("          context:\n            app: shop\n"), "{text}");
    test.write("db.yaml", text.replace("app: shop", "app: other"));
    let refused = get().code(128);
    assert!(refused.stderr.contains("another context"), "{refused}");
}

/// A data key opens the values of its own object alone, whoever has wrapped it.
#[test]
fn a_wrap_that_was_carried_elsewhere_opens_nothing_there() {
    let (test, moto) = (sandbox(), Moto::start());
    let key = moto.key("eu-west-1");
    let seal = |name: &str, file: &str| {
        test.write("plain.yaml", SECRET.replace("name: db", &format!("name: {name}")));
        moto.serve(test.sealant(&["seal", "--kms", &key, "plain.yaml", "--output", file])).run().ok();
    };
    seal("db", "db.yaml");
    let carried = test.read_text("db.yaml").replace("name: db", "name: mine");
    test.write("mine.yaml", carried);
    let refused = moto.serve(test.sealant(&["unseal", "mine.yaml"])).run().code(25);
    assert!(!format!("{}{}", refused.text(), refused.stderr).contains("hunter2"), "{refused}");
}

#[test]
fn a_role_that_only_a_file_names_is_not_assumed() {
    let (test, moto) = (sandbox(), Moto::start());
    let key = format!("{}+arn:aws:iam::123456789012:role/deploy", moto.key("eu-west-1"));
    test.write("plain.yaml", SECRET);
    moto.serve(test.sealant(&["seal", "--kms", &key, "plain.yaml", "--output", "db.yaml"])).run().ok();
    let refused = moto.serve(test.sealant(&["unseal", "db.yaml"])).run().code(128);
    assert!(refused.stderr.contains(&format!("SOPS_KMS_ARN='{key}'")), "{refused}");
    let named = moto.serve(test.sealant(&["get", "db.yaml", "password"])).env("SOPS_KMS_ARN", &key);
    assert_eq!(named.run().ok().text(), "hunter2");
}

/// PGP needs a program that a controller has not, and Huawei's keys have no list.
#[test]
fn a_key_that_no_list_can_hold_is_refused_by_name() {
    let test = sandbox();
    test.write("plain.yaml", SECRET);
    let huawei = "tr-west-1:0d0466b0-e727-4d9c-b35d-f84bb474a37f";
    let refused = test.sealant(&["seal", "--hckms", huawei, "plain.yaml"]).run().code(8);
    assert!(
        refused.stderr.contains(&format!("a SealedSecret cannot have the recipient hckms {huawei}")),
        "{refused}"
    );
    assert!(
        refused
            .stderr
            .contains("a key of AWS KMS, or a key of Google Cloud KMS, or a key of Azure Key Vault"),
        "{refused}"
    );
}
