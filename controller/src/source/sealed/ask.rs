//! What a SealedSecret asks for, and what is to be said of it before and after it was opened. Pure.

use sealant::error::{Error, Kind};
use sealant::sealed_secret::{DataKeyEntry, DeletionPolicy, GroupEntry, Spec, shell};

use crate::managed::decide::{Adoption, Desired, Gives, MadeBy, Others, Owner, Verdict};
use crate::managed::reason::Reason;
use crate::managed::secret::OPAQUE;
use crate::source::Source;
use crate::source::permitted::Permitted;
use crate::source::sealed::Sealed;
use crate::source::sealed::reason::{self, WORDS};
use crate::source::sealed::resource::{self, ADOPT, MADE_BY_NAME, SealedSecret};

/// How many keys that servers have are tried of one data key, or of a group of it: each takes requests that others wait for.
const MOST_OF_SERVERS: usize = 16;

/// How many lines are said of what would open it: there can be thousands of recipients.
const MOST_LINES: usize = 12;

/// What can be said without a key: `None` when the SealedSecret has to be opened.
pub fn before_opening(sealed: &SealedSecret, permitted: &Permitted) -> Option<Verdict> {
    if sealed.meta.is_annotated(resource::SUSPEND, "true") {
        return Some(Verdict::new(reason::SUSPENDED, reason::IS_SUSPENDED));
    }
    let spec = sealed.spec();
    let template = spec.template.clone().unwrap_or_default();
    if let Err(error) = template.check() {
        return Some(Verdict::new(reason::TEMPLATE_FORBIDDEN, error.message()));
    }
    let labels = template.metadata.iter().flat_map(|metadata| metadata.labels.keys());
    let annotations = template.metadata.iter().flat_map(|metadata| metadata.annotations.keys());
    if let Some(key) = permitted.reserved(labels.chain(annotations), &[]) {
        return Some(Verdict::new(reason::TEMPLATE_FORBIDDEN, reason::forbidden_key(key)));
    }
    let kind = template.kind.as_deref().unwrap_or(OPAQUE);
    if !permitted.allows_type(kind) {
        return Some(Verdict::new(reason::TEMPLATE_FORBIDDEN, reason::forbidden_type(kind)));
    }
    if let Err(error) = spec.check() {
        return Some(Verdict::new(reason::BAD_CIPHERTEXT, error.message()));
    }
    let too_many = groups(spec).any(|group| group.asked_of_servers() > MOST_OF_SERVERS);
    too_many.then(|| Verdict::new(reason::BAD_CIPHERTEXT, reason::too_many_keys_of_servers(MOST_OF_SERVERS)))
}

/// Whether a server may have to be asked.
pub fn asks_servers(spec: &Spec) -> bool {
    groups(spec).any(|group| group.asked_of_servers() > 0)
}

/// What is said while a server that it needs gives no answer.
pub fn unavailable(spec: &Spec) -> Reason {
    match groups(spec).any(|group| !group.hc_vault.is_empty()) {
        true => reason::VAULT_UNAVAILABLE,
        false => reason::KMS_UNAVAILABLE,
    }
}

fn groups(spec: &Spec) -> impl Iterator<Item = &GroupEntry> {
    spec.data_keys.iter().flat_map(DataKeyEntry::groups)
}

/// Why it could not be opened.
pub fn not_opened(error: &Error, spec: &Spec) -> Verdict {
    let reason = match error.kind() {
        Kind::NoDataKey if error.may_pass() => unavailable(spec),
        Kind::NoDataKey => reason::NO_IDENTITY,
        // It was opened, and its templates cannot be rendered.
        Kind::Emit => reason::TEMPLATE_FORBIDDEN,
        _ => reason::BAD_CIPHERTEXT,
    };
    // Which identities and files there are is nothing for all who may read a SealedSecret.
    let details = error.details();
    let left_out = error.lines().len().saturating_sub(MOST_LINES);
    let left_out = (left_out > 0).then(|| format!("  and {left_out} more"));
    let listed = error.lines().iter().take(MOST_LINES).chain(&left_out).map(String::as_str);
    let public = [error.message()].into_iter().chain(listed);
    let not_allowed = error.is_refused().then_some(reason::NOT_ALLOWED);
    let more = (!details.is_empty()).then_some(reason::LOG_SAYS_MORE);
    let lines: Vec<&str> = public.chain(not_allowed).chain(more).collect();
    Verdict::new(reason, lines.join("\n"))
}

/// The Secret that a SealedSecret asks for, without its values. `comes_after` is whose Secrets it may take over.
pub fn desired(sealed: &SealedSecret, comes_after: Option<Owner>) -> Desired {
    let made = shell(&sealed.sealed);
    Desired {
        labels: made.labels,
        annotations: made.annotations,
        claim: Sealed::claim(&sealed.meta),
        made_by: Some(MadeBy {
            text: format!("{}/{}", Sealed::NAME, sealed.name()),
            earlier: Some((MADE_BY_NAME, sealed.name().to_owned())),
        }),
        adopted_by: &[Adoption { key: ADOPT, value: "true", gives: Gives::It }],
        comes_after,
        comes_before: None,
        taken_from: None,
        earlier_managers: &[],
        others: Others::Stay,
        owned: sealed.spec().deletion_policy != Some(DeletionPolicy::Retain),
        kind: made.kind.unwrap_or_else(|| OPAQUE.to_owned()),
        immutable: made.immutable.unwrap_or_default(),
        remake: sealed.meta.is_annotated(resource::ON_IMMUTABLE, "Recreate"),
        words: &WORDS,
    }
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::source::wishes::{LAMP, Wishes};
    use crate::source::{self, KINDS};

    pub fn sealed(change: impl FnOnce(&mut Value)) -> SealedSecret {
        let mut object = json!({
            "metadata": {"name": "db", "namespace": "shop", "uid": "u1", "generation": 1, "annotations": {}},
            "spec": {"encryptedData": {}},
        });
        change(&mut object);
        serde_json::from_value::<resource::Found>(object).unwrap().sealed.unwrap()
    }

    /// Nothing but what is allowed to all.
    fn none() -> Permitted {
        Permitted::new(Vec::new(), KINDS)
    }

    fn held(sealed: &SealedSecret, permitted: &Permitted) -> Option<Verdict> {
        before_opening(sealed, permitted)
    }

    #[test]
    fn a_template_is_refused_before_anything_is_opened() {
        let allowed = vec!["bootstrap.kubernetes.io/token".to_owned()];
        let permitted = Permitted::new(allowed, &[source::Kind::of::<Wishes>()]);
        let cases = [
            (json!({"type": "kubernetes.io/service-account-token"}), Some(reason::TEMPLATE_FORBIDDEN)),
            (json!({"type": "bootstrap.kubernetes.io/token"}), None),
            (json!({"type": "kubernetes.io/tls"}), None),
            (json!({"data": {"a": "{{ .b }}"}}), None),
            (json!({"data": {"a": "{{ now }}"}}), Some(reason::TEMPLATE_FORBIDDEN)),
            (
                json!({"metadata": {"labels": {"sealant.dev/identity": "active"}}}),
                Some(reason::TEMPLATE_FORBIDDEN),
            ),
            (
                json!({"metadata": {"annotations": {"sealedsecrets.bitnami.com/managed": "true"}}}),
                Some(reason::TEMPLATE_FORBIDDEN),
            ),
            (
                json!({"metadata": {"annotations": {"kubernetes.io/service-account.name": "x"}}}),
                Some(reason::TEMPLATE_FORBIDDEN),
            ),
            (
                json!({"metadata": {"annotations": {"kubectl.kubernetes.io/x": "x"}}}),
                Some(reason::TEMPLATE_FORBIDDEN),
            ),
            // What only another kind knows.
            (json!({"metadata": {"labels": {LAMP: "lit"}}}), Some(reason::TEMPLATE_FORBIDDEN)),
        ];
        for (template, expected) in cases {
            let sealed = sealed(|object| object["spec"]["template"] = template.clone());
            assert_eq!(held(&sealed, &permitted).map(|verdict| verdict.reason), expected, "{template}");
        }
    }

    #[test]
    fn many_keys_of_servers_are_refused() {
        let reason = |count: usize, grouped: bool| {
            let entry =
                json!({"address": "https://v", "enginePath": "transit", "keyName": "k", "enc": "vault:v1:x"});
            let keys = vec![entry; count];
            let commitment = "A".repeat(43) + "=";
            let mut key = json!({"id": "00000000", "commitment": commitment});
            match grouped {
                false => key["hcVault"] = keys.into(),
                true => key["keyGroups"] = json!([{"hcVault": keys}, {"hcVault": keys}]),
            }
            let sealed = sealed(|object| object["spec"]["dataKeys"] = json!([key]));
            held(&sealed, &none()).map(|verdict| verdict.message)
        };
        for grouped in [false, true] {
            assert_eq!(reason(MOST_OF_SERVERS, grouped), None);
            let refused = Some(reason::too_many_keys_of_servers(MOST_OF_SERVERS));
            assert_eq!(reason(MOST_OF_SERVERS + 1, grouped), refused);
        }
    }

    #[test]
    fn suspension_comes_before_everything_else() {
        let suspended = |value: &str| {
            sealed(|object| {
                object["metadata"]["annotations"][resource::SUSPEND] = value.into();
                object["spec"]["template"] = json!({"data": {"a": "{{ now }}"}});
            })
        };
        let reason = |sealed: &SealedSecret| held(sealed, &none()).unwrap().reason;
        assert_eq!(reason(&suspended("true")), reason::SUSPENDED);
        assert_eq!(reason(&suspended("false")), reason::TEMPLATE_FORBIDDEN);
    }

    fn with_list(list: &str, entry: Value) -> Spec {
        let key = json!({"id": "x", "commitment": "x", list: [entry]});
        serde_json::from_value(json!({"encryptedData": {}, "dataKeys": [key]})).unwrap()
    }

    #[test]
    fn what_did_not_open_waits_for_vault_or_for_a_person() {
        let vault = with_list(
            "hcVault",
            json!({"address": "https://v", "enginePath": "t", "keyName": "k", "enc": "x"}),
        );
        let kms = with_list("gcpKms", json!({"resourceId": "x", "enc": "x"}));
        let not_opened = |error: &Error| super::not_opened(error, &vault);
        let error = |kind, passing| not_opened(&Error::new(kind, "x").passing(passing)).reason;
        assert_eq!(error(Kind::NoDataKey, true), reason::VAULT_UNAVAILABLE);
        assert_eq!(unavailable(&kms), reason::KMS_UNAVAILABLE);
        assert!(asks_servers(&vault) && asks_servers(&kms) && !asks_servers(&Spec::default()));
        assert_eq!(error(Kind::NoDataKey, false), reason::NO_IDENTITY);
        assert_eq!(error(Kind::Decrypt, false), reason::BAD_CIPHERTEXT);
        let closed = || Error::new(Kind::NoDataKey, "nothing opens it");
        let detailed = |lines: &[&str]| closed().detailing(lines.iter().map(ToString::to_string));
        let found = detailed(&["looked for identities in:", "  Secret team"]);
        let said = |error: &Error| not_opened(error).message;
        assert_eq!(said(&found), format!("nothing opens it\n{}", reason::LOG_SAYS_MORE));
        let failed = detailed(&["what went wrong:", "  /run/token: gone"]).refused(true);
        let expected = format!("nothing opens it\n{}\n{}", reason::NOT_ALLOWED, reason::LOG_SAYS_MORE);
        assert_eq!(said(&failed), expected);
        assert_eq!(said(&closed()), "nothing opens it");
        let wanted = closed().listing(["wanted, any of:".to_owned(), "  age1x".to_owned()]);
        assert_eq!(said(&wanted), "nothing opens it\nwanted, any of:\n  age1x");
        let recipients = (0..500).map(|index| format!("  age1{index}"));
        let many = said(&closed().listing(["wanted, any of:".to_owned()].into_iter().chain(recipients)));
        assert!(many.contains("\n  age110\n  and 489 more"), "{many}");
        assert!(!many.contains("  age111\n"), "{many}");
        let long = Verdict::new(reason::NO_IDENTITY, "x".repeat(5000));
        assert_eq!(long.message.len(), 2003);
    }
}
