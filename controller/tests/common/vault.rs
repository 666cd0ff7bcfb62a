//! OpenBao as the controller of a namespace uses it.

use std::fs;
use std::path::PathBuf;

use sealant::host::Closed;
use sealant::keys::vault::Settings;
use sealant::keys::{Identities, KeyService, KeySet, MasterKey, TransitKey, Vault};
use sealant::sealed_secret::NewDataKey;
use sealant::secret::SecretString;
use sealant_test_support::{Bao, Cluster};

use super::{Client, new_key_by};

/// Lets the service account of the controller in a namespace decrypt with the key `transit/shop`.
pub fn set_up(cluster: &Cluster, bao: Bao, namespace: &str, binding: &str) -> Bao {
    bao.transit_key("transit", "shop");
    bao.policy("unseal", "path \"transit/decrypt/shop\" { capabilities = [\"update\"] }");
    cluster.kubectl_ok(&["create", "serviceaccount", "vault", "-n", namespace]);
    let account = format!("--serviceaccount={namespace}:vault");
    let role = "--clusterrole=system:auth-delegator";
    cluster.kubectl_ok(&["create", "clusterrolebinding", binding, role, &account]);
    let reviewer = cluster.service_account_token(namespace, "vault", None);
    bao.bao(&["auth", "enable", "kubernetes"]).run().ok();
    let ca = fs::read_to_string(cluster.ca_file()).unwrap();
    let config = ["write", "auth/kubernetes/config", "disable_local_ca_jwt=true"];
    bao.bao(&config)
        .arg(format!("kubernetes_host={}", cluster.address()))
        .arg(format!("token_reviewer_jwt={reviewer}"))
        .arg(format!("kubernetes_ca_cert={ca}"))
        .run()
        .ok();
    bao.bao(&["write", "auth/kubernetes/role/sealant", "audience=vault", "token_policies=unseal"])
        .args(&["bound_service_account_names=sealant-controller"])
        .arg(format!("bound_service_account_namespaces={namespace}"))
        .run()
        .ok();
    bao
}

/// The flags by which a controller asks it.
pub fn flags(cluster: &Cluster, bao: &Bao, namespace: &str) -> Vec<String> {
    vec![
        format!("--vault-allow={}", bao.address()),
        format!("--vault-token-file={}", token(cluster, namespace, "vault-token").display()),
        "--vault-role=sealant".to_owned(),
    ]
}

/// A file with the token by which Vault knows the service account of the controller.
pub fn token(cluster: &Cluster, namespace: &str, name: &str) -> PathBuf {
    let token = cluster.ca_file().with_file_name(name);
    let text = cluster.service_account_token(namespace, "sealant-controller", Some("vault"));
    fs::write(&token, text).unwrap();
    token
}

/// A data key that the transit key opens.
pub fn new_key(bao: &Bao) -> NewDataKey {
    let allowed = [bao.address().to_owned()];
    let settings = Settings::none().allowing(&allowed).unwrap();
    let settings = settings.with_token(SecretString::new(bao.root_token().to_owned()));
    let service = KeyService::new(&Closed, Identities::none()).with_vault(Vault::with_settings(settings));
    let key = TransitKey::new(bao.address(), None, "transit", "shop").unwrap();
    new_key_by(&service, &KeySet::any_of(vec![MasterKey::Vault(key)]))
}
