//! What other tools do to our objects in the course of their work: apply them in turn, and write metadata that not
//! every reader can take.

use super::*;

/// An item that Git drops is gone, also when another tool than the last one has applied it: its data key goes with it,
/// and without one it would spoil all the others.
#[test]
fn an_item_that_git_drops_goes_whichever_tool_had_applied_it() {
    let place = place("managers");
    let apply = |sealed: &SealedSecret, manager: &str| {
        let args = ["apply", "--server-side", "--force-conflicts", "--field-manager", manager, "-f", "-"];
        place.world.cluster.kubectl(&args).stdin(json(sealed)).run().ok();
    };
    apply(&place.sealed("db", &[("a", "1"), ("b", "2")]), "kubectl");
    place.items("db", &[("a", "1"), ("b", "2")]);
    apply(&place.sealed("db", &[("a", "3")]), "argocd-controller");
    place.items("db", &[("a", "3")]);
    place.reason("db", "Unsealed");
}

/// A Secret that was applied with its values in plaintext keeps no copy of them when it is adopted.
#[test]
fn old_values_do_not_stay_in_an_adopted_secret() {
    let place = place("applied");
    let old = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"a": "old"},
        "metadata": {"name": "db", "namespace": place.namespace, "annotations": {"sealant.dev/adopt": "true"}}});
    place.world.cluster.kubectl(&["apply", "-f", "-"]).stdin(old.to_string()).run().ok();
    const KEPT: &str = "kubectl.kubernetes.io/last-applied-configuration";
    assert!(place.secret("db").unwrap()["metadata"]["annotations"][KEPT].as_str().unwrap().contains("old"));
    place.apply(&place.sealed("db", &[("a", "new")]));
    place.reason("db", "Unsealed");
    let adopted = place.items("db", &[("a", "new")]);
    assert_eq!(adopted["metadata"]["annotations"][KEPT], Value::Null);
}

/// Two events of one reason say what has happened each time.
#[test]
fn each_event_tells_what_has_happened_this_time() {
    let place = place("events");
    place.apply(&place.sealed("db", &[("a", "1")]));
    place.reason("db", "Unsealed");
    place.apply(&place.sealed("db", &[("a", "2")]));
    let notes = |reason: &str| -> Vec<String> {
        let events = place.world.cluster.events(&place.namespace).into_iter();
        let mut notes: Vec<_> =
            events.filter(|event| event.reason == reason).map(|event| event.message).collect();
        notes.sort();
        notes
    };
    wait_until(|| notes("Unsealed") == ["brought the Secret up to date", "made the Secret"]);
    place.kubectl(&["patch", "secret", "db", "--type=merge", "-p", r#"{"stringData": {"a": "by hand"}}"#]);
    wait_until(|| notes("Repaired").len() == 1);
    place.kubectl(&["delete", "secret", "db"]);
    wait_until(|| notes("Repaired").len() == 2);
    assert!(
        notes("Repaired").iter().any(|note| note.contains("had been deleted")),
        "{:?}",
        notes("Repaired")
    );
}

/// Who has to do something learns which quota or policy it is, and no value.
#[test]
fn a_refusal_names_the_quota_or_the_policy() {
    let place = place("refused");
    // The API server takes up a quota or a policy a moment after it was created.
    let refuses = |name: &str, words: &str| {
        let create = ["create", "secret", "generic", name, "--dry-run=server", "-n", &place.namespace];
        wait_until(|| place.world.cluster.kubectl(&create).run().stderr.contains(words));
    };
    let message = |name: &str, words: &str| {
        place.apply(&place.sealed(name, &[("a", &format!("{PLANTED}refused"))]));
        let said = |sealed: &Value| {
            let ready = condition(sealed, "Ready");
            ready["message"].as_str().is_some_and(|message| message.contains(words))
        };
        place.world.cluster.wait(SEALED, &place.namespace, name, said);
    };

    place.kubectl(&["create", "quota", "small", "--hard=count/secrets=0"]);
    // As the controller of quotas does, which does not run here.
    let counted = r#"{"status": {"hard": {"count/secrets": "0"}, "used": {"count/secrets": "0"}}}"#;
    place.kubectl(&["patch", "quota", "small", "--subresource=status", "--type=merge", "-p", counted]);
    refuses("counted", "exceeded quota");
    message("counted", "(403 Forbidden): it would exceed the quota small");
    place.kubectl(&["delete", "quota", "small"]);

    // Policies are asked before quotas: with both, nobody would hear of the quota.
    let policy = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
         "metadata": {"name": "no-denied"},
         "spec": {"failurePolicy": "Fail", "validations": [{
             "expression": "object.metadata.name != 'denied'",
             "messageExpression": "'no: ' + string(object.data['a'])"}],
             "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"],
                 "operations": ["CREATE"], "resources": ["secrets"]}]}}},
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
         "metadata": {"name": "no-denied"},
         "spec": {"policyName": "no-denied", "validationActions": ["Deny"]}},
    ]});
    place.world.cluster.apply(&policy.to_string()).ok();
    refuses("denied", "no-denied");
    message("denied", ": the policy no-denied denies it");
    place.nothing_leaked();
}
