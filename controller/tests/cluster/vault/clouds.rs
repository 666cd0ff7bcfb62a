//! Keys in clouds, used by the controller as itself: by the web identity that a pod of EKS has, by the metadata server that
//! one of GKE asks, and by the workload identity of one of AKS.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sealant::config::KeySpec;
use sealant::keys::aws;
use sealant::policy;
use sealant_test_support::{AzureKv, GcpKms, Moto, Sandbox};

use super::*;

/// Whoever seals, with an access key of AWS and a token of Google.
struct Person(BTreeMap<&'static str, String>);

impl Host for Person {
    fn env(&self, name: &str) -> Option<OsString> {
        self.0.get(name).map(OsString::from)
    }
    fn note(&self, _: &str) {}
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// An object that any of these keys opens, named in a file as `fields` say.
fn sealed_for(person: &Person, tenant: &Tenant, name: &str, keys: Vec<MasterKey>) -> String {
    let service = KeyService::new(person, Identities::none()).with_clouds(StartedBy::Person).naming(&keys);
    let key = new_key_by(&service, &KeySet::any_of(keys));
    json(&seal_with(&secret(&tenant.namespace, name, &[("a", &planted(name))]), key))
}

fn of_aws(arn: &str, role: Option<&str>) -> MasterKey {
    let context = [("app".to_owned(), "shop".to_owned())].into();
    MasterKey::Kms(aws::Key::new(arn, role, context, None).unwrap())
}

#[test]
fn keys_in_clouds_that_are_listed_are_used_as_the_pod_itself() {
    let tenant = Tenant::new(&CLUSTER, "clouds");
    let (moto, gcp) = (Moto::start(), GcpKms::start());
    let (kms, sts) =
        (sealant_test_support::Gate::before(moto.port()), sealant_test_support::Gate::before(moto.port()));
    let person = Person(
        [
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_ENDPOINT_URL", moto.address()),
            ("SOPS_GCP_KMS_ENDPOINT", gcp.address()),
            ("GOOGLE_OAUTH_ACCESS_TOKEN", "PLANTED-static-token".to_owned()),
        ]
        .into(),
    );
    let (ours, theirs) = (moto.key("eu-west-1"), moto.key("eu-west-1"));
    let role = "arn:aws:iam::123456789012:role/people";

    tenant.give(&identity());
    let token = CLUSTER.ca_file().with_file_name("aws-token");
    fs::write(
        &token,
        CLUSTER.service_account_token(&tenant.own, "sealant-controller", Some("sts.amazonaws.com")),
    )
    .unwrap();
    let environment = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/sealant".to_owned()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string()),
        ("AWS_ENDPOINT_URL_KMS", kms.address()),
        ("AWS_ENDPOINT_URL_STS", sts.address()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("SOPS_GCP_KMS_ENDPOINT", gcp.address()),
        ("GCE_METADATA_HOST", gcp.authority()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value));
    let allow = format!("--kms-allow={ours},projects/p/locations/global");
    let controller = tenant.start_in("a", &[&allow], &environment);

    // A role is for people: the controller is itself.
    CLUSTER.apply(&sealed_for(&person, &tenant, "aws", vec![of_aws(&ours, None)])).ok();
    CLUSTER.apply(&sealed_for(&person, &tenant, "role", vec![of_aws(&ours, Some(role))])).ok();
    let google = policy::master_key(&KeySpec::GcpKms(gcp.key("k"))).unwrap();
    CLUSTER.apply(&sealed_for(&person, &tenant, "gcp", vec![google])).ok();
    for name in ["aws", "role", "gcp"] {
        CLUSTER.wait_for_items(&tenant.namespace, name, &[("a", &planted(name))]);
    }
    assert_eq!(sts.take().passed, 1, "one login for all");
    assert_eq!(kms.take().passed, 2);
    assert_eq!(gcp.count(":decrypt"), 1);
    assert!(gcp.count("/computeMetadata/") > 0);

    // What was opened is remembered, and repaired without a request.
    CLUSTER.kubectl_ok(&["delete", "secret", "aws", "-n", &tenant.namespace]);
    CLUSTER.wait_for_items(&tenant.namespace, "aws", &[("a", &planted("aws"))]);
    assert_eq!(kms.take().passed, 0);

    // A key that is not on the list: that is said, and nothing is sent.
    CLUSTER.apply(&sealed_for(&person, &tenant, "other", vec![of_aws(&theirs, None)])).ok();
    let refused = CLUSTER.wait_for_reason(&tenant.namespace, "other", "NoIdentity");
    let message = condition(&refused, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&theirs) && message.contains("--kms-allow"), "{message}");
    assert_eq!(condition(&refused, "Stalled")["status"], "True");
    assert_eq!(kms.take().passed, 0);

    // While KMS fails, that is said; then it heals by itself.
    kms.refuse(&["503 Service Unavailable\r\n\r\n"; 40]);
    CLUSTER.apply(&sealed_for(&person, &tenant, "later", vec![of_aws(&ours, None)])).ok();
    let waiting = CLUSTER.wait_for_reason(&tenant.namespace, "later", "KmsUnavailable");
    assert_eq!(condition(&waiting, "Reconciling")["status"], "True");
    kms.refuse(&[]);
    CLUSTER.wait_for_items(&tenant.namespace, "later", &[("a", &planted("later"))]);
    assert_eq!(controller.metric("sealant_data_keys_total", "from=\"kms\""), 4.0);

    // A name that would lead elsewhere is refused.
    let mut object: Value =
        serde_json::from_str(&sealed_for(&person, &tenant, "evil", vec![of_aws(&ours, None)])).unwrap();
    let arn = "arn:aws:kms:evil.example.com/:1:key/k";
    object["spec"]["dataKeys"][0]["awsKms"][0]["arn"] = arn.into();
    CLUSTER.apply(&object.to_string()).ok();
    CLUSTER.wait_for_reason(&tenant.namespace, "evil", "BadCiphertext");
    assert_nothing_leaked(&CLUSTER, &[&controller]);
    assert!(!controller.log().contains("PLANTED"), "{}", controller.log());
}

/// Azure's servers are reached by TLS, through a proxy that has certificates of an authority of its own: so the program
/// `sealant` seals, whose environment names it.
#[test]
fn azure_keys_that_are_listed_are_used_as_the_workload_of_the_pod() {
    let tenant = Tenant::new(&CLUSTER, "azure");
    let azure = AzureKv::start();
    let person = Sandbox::new(crate::common::sealant());
    let sealed_for = |name: &str, key: &str| {
        let secret = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"a": planted(name)},
            "metadata": {"name": name, "namespace": tenant.namespace}});
        let seal = person.sealant(&["seal", "--azure-kv", key, "--format", "json"]);
        azure.serve(seal).stdin(secret.to_string()).run().ok().text().to_owned()
    };
    tenant.give(&identity());
    // The webhook of Azure puts these into a pod.
    let token = CLUSTER.ca_file().with_file_name("azure-token");
    fs::write(&token, "PLANTED-subject").unwrap();
    let of_pod = [
        ("AZURE_TENANT_ID", "tenant-1".to_owned()),
        ("AZURE_CLIENT_ID", "application".to_owned()),
        ("AZURE_FEDERATED_TOKEN_FILE", token.display().to_string()),
        ("NO_PROXY", "127.0.0.1".to_owned()),
    ];
    let environment = of_pod.into_iter().chain(azure.variables());
    let environment: Vec<_> = environment.map(|(name, value)| (name.to_owned(), value)).collect();
    let controller = tenant.start_in("a", &[&format!("--kms-allow={}", azure.key("k"))], &environment);

    let objects = ["one", "two"].map(|name| sealed_for(name, &azure.key("k"))).concat();
    let before = azure.count("/token ");
    CLUSTER.apply(&objects).ok();
    for name in ["one", "two"] {
        CLUSTER.wait_for_items(&tenant.namespace, name, &[("a", &planted(name))]);
    }
    // The vault says first what it wants a token for.
    assert_eq!(azure.count("decrypt?"), 3);
    assert_eq!(azure.count("/token "), before + 1, "one login for all");

    let other = sealed_for("other", &azure.key("other"));
    let requests = azure.requests().len();
    CLUSTER.apply(&other).ok();
    let refused = CLUSTER.wait_for_reason(&tenant.namespace, "other", "NoIdentity");
    let message = condition(&refused, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("keys/other") && message.contains("--kms-allow"), "{message}");
    assert_eq!(azure.requests().len(), requests);

    // While Azure fails, that is said; then it heals by itself.
    let later = sealed_for("later", &azure.key("k"));
    azure.fault(&azure.key("k"), "unavailable", 20);
    CLUSTER.apply(&later).ok();
    let waiting = CLUSTER.wait_for_reason(&tenant.namespace, "later", "KmsUnavailable");
    assert_eq!(condition(&waiting, "Reconciling")["status"], "True");
    azure.fault(&azure.key("k"), "unavailable", 1);
    CLUSTER.wait_for_items(&tenant.namespace, "later", &[("a", &planted("later"))]);
    assert_nothing_leaked(&CLUSTER, &[&controller]);
    assert!(!controller.log().contains("PLANTED"), "{}", controller.log());
}
