//! What Argo CD makes of a SealedSecret, by its own Lua interpreter.

use sealant_test_support::argocd_health;
use serde_json::{Value, json};

/// A SealedSecret of generation 2 with conditions as the controller writes them.
fn object(observed: i64, conditions: &[(&str, &str, &str)]) -> Value {
    let condition = |(name, status, reason): &(&str, &str, &str)| json!({"type": name, "status": status, "reason": reason, "message": format!("why {reason}"), "observedGeneration": observed});
    json!({
        "apiVersion": "sealant.dev/v1alpha1",
        "kind": "SealedSecret",
        "metadata": {"name": "db", "namespace": "shop", "generation": 2},
        "status": {"observedGeneration": observed, "conditions": conditions.iter().map(condition).collect::<Vec<_>>()},
    })
}

#[test]
fn each_state_of_a_sealed_secret_is_shown_as_what_it_is() {
    let good: &[_] = &[("Ready", "True", "Unsealed"), ("Synced", "True", "Unsealed")];
    let stalled: &[_] = &[
        ("Ready", "False", "BadCiphertext"),
        ("Stalled", "True", "BadCiphertext"),
        ("Synced", "False", "BadCiphertext"),
    ];
    let waiting: &[_] = &[
        ("Ready", "False", "VaultUnavailable"),
        ("Reconciling", "True", "VaultUnavailable"),
        ("Synced", "False", "VaultUnavailable"),
    ];
    let waits = "waiting for the controller to unseal it";
    for (object, status, message) in [
        (object(2, good), "Healthy", "why Unsealed"),
        (object(2, stalled), "Degraded", "BadCiphertext: why BadCiphertext"),
        (object(2, waiting), "Progressing", "VaultUnavailable: why VaultUnavailable"),
        // What was said of what stood there before says nothing of what is there now.
        (object(1, good), "Progressing", waits),
        (object(1, stalled), "Progressing", waits),
        (object(2, &[]), "Progressing", waits),
        (object(2, &[("Ready", "False", "Odd")]), "Degraded", "Odd: why Odd"),
    ] {
        assert_eq!(argocd_health(&object.to_string()), (status.to_owned(), message.to_owned()), "{object}");
    }
    let mut new = object(2, good);
    new.as_object_mut().unwrap().remove("status");
    assert_eq!(argocd_health(&new.to_string()), ("Progressing".to_owned(), waits.to_owned()));
    let mut suspended = object(1, good);
    suspended["metadata"]["annotations"] = json!({"sealant.dev/suspend": "true"});
    assert_eq!(argocd_health(&suspended.to_string()).0, "Suspended");
}
